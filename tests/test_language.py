"""What commands say in Korean: every message, its values, and which language it is."""

import argparse
import ast
import re

import pytest
from course_files import ROOT

from course.language import KOREAN, language, padded, say, translate_help

SPEAKERS = ("setup/check_environment.py", "ch05/gpt_train.py", "ch05/gpt_generate.py")
SPEAKERS += ("ch07/chat.py", "exercises/checking.py", "exercises/progress.py")
SPEAKERS += tuple(f"playbook/journey{part}.py" for part in ("", "_line", "_options", "_page"))
SPEAKERS += ("playbook/journey_table.py",)


def trees() -> list[ast.AST]:
    return [ast.parse((ROOT / name).read_text(encoding="utf-8")) for name in SPEAKERS]


def texts(nodes: list[ast.AST]) -> set[str]:
    """The constant texts that stand in these parts of programs."""
    found = (n.value for node in nodes for n in ast.walk(node) if isinstance(n, ast.Constant))
    return {value for value in found if isinstance(value, str)}


def test_every_message_that_is_said_has_its_korean():
    calls = [node for tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    said = [c.args[0] for c in calls if getattr(c.func, "id", "") == "say"]
    constant = {a.value for a in said if isinstance(a, ast.Constant)}
    helps = [k.value for c in calls for k in c.keywords if k.arg in ("help", "description")]
    assert len(constant) > 40 and len(helps) > 20
    assert constant | texts(helps) <= KOREAN.keys()


def test_no_korean_stands_there_for_nothing():
    assert KOREAN.keys() <= texts(trees())


@pytest.mark.parametrize("english", KOREAN)
def test_korean_has_the_same_values(english: str):
    fields = r"{[^}]*}|%\(default\)[rs]"
    assert set(re.findall(fields, KOREAN[english])) == set(re.findall(fields, english))
    assert re.search("[가-힣]", KOREAN[english]) or "{" in english


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LANG": "ko_KR.UTF-8"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "COURSE_LANGUAGE": "en"}, "en"),
        ({"LANG": "en_US.UTF-8", "COURSE_LANGUAGE": "ko"}, "ko"),
        ({"LANG": "ko_KR.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
    ],
)
def test_the_course_speaks_the_language_of_the_machine(variables, expected, monkeypatch):
    for name in ("COURSE_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language() == expected
    said = say("{n} of {all} epochs are complete", n=3, all=20)
    assert said == (
        "20 에포크 가운데 3 에포크를 마쳤습니다"
        if expected == "ko"
        else "3 of 20 epochs are complete"
    )


def test_on_windows_the_locale_says_it(monkeypatch):
    for name in ("COURSE_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("locale.getlocale", lambda: ("Korean_Korea", "949"))
    assert language() == "ko"


def test_help_is_korean_too(monkeypatch):
    monkeypatch.setenv("COURSE_LANGUAGE", "ko")
    parser = argparse.ArgumentParser(description="Write text.")
    parser.add_argument("--seed", default=0, help="of the draw [%(default)s]")
    page = translate_help(parser).format_help()
    assert "텍스트를 씁니다." in page and "뽑을 때 쓰는 시드 [0]" in page


def test_columns_stand_below_each_other():
    assert padded("메모리", 8) == "메모리  " and padded("Memory", 8) == "Memory  "
