"""The bug museum: each fault can be switched on, the checks tell tests apart, our own catch all.

Solutions, stubs and the machinery of notebooks are tests/test_exercises.py's for the chapters.
"""

import re
import subprocess
import sys

import pytest
import torch
from course_files import ROOT, read_notebook
from test_exercises import CHECK_CALL, OPENING, name_of

import exercises.checks
from course.my import originals
from exercises import generate
from exercises.checking import NOT_DONE, RIGHT, WRONG
from exercises.faults import (
    FAULTS,
    Fault,
    changed_source,
    find_fault,
    pair,
    path_of,
    place_of,
    show_change,
    switched_on,
)
from exercises.museum import Outcomes, verdict
from exercises.progress import read_progress

FOLDER = ROOT / "exercises"
SOLUTIONS, MUSEUM = FOLDER / "museum-solutions.ipynb", FOLDER / "museum.ipynb"
EXHIBITS = [c for c in read_notebook(SOLUTIONS).cells if OPENING.match(c.source)]

every_fault = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


def check_for(fault: Fault):
    return getattr(exercises.checks, f"check_{name_of(fault.number)}")


# ---- The faults.


def test_there_are_twenty_of_different_names():
    assert [fault.number for fault in FAULTS] == [f"M.{i}" for i in range(1, 21)]
    assert len({fault.name for fault in FAULTS}) == len({fault.wrong for fault in FAULTS}) == 20


@every_fault
def test_it_is_one_small_change_of_todays_code(fault: Fault):
    before, after = path_of(fault).read_text(encoding="utf-8"), changed_source(fault)
    assert before.count(fault.right) == 1 and after == before.replace(fault.right, fault.wrong)
    assert max(fault.right.count("\n"), fault.wrong.count("\n")) <= 2
    first, *changes = show_change(fault.name).splitlines()
    assert first == f"{path_of(fault).relative_to(ROOT).as_posix()}, {place_of(fault)}"
    assert {line[0] for line in changes} <= {"-", "+"} and len(changes) <= 6


@every_fault
def test_its_test_is_one_of_the_courses(fault: Fault):
    file, _, name = fault.test.partition("::")
    assert f"\ndef {name}(" in (ROOT / "tests" / file).read_text(encoding="utf-8")


def test_a_text_that_has_gone_is_named_in_a_sentence():
    gone = Fault("M.0", "gone", "ch04.gpt", "no such text", "another", "", "")
    message = "the fault gone cannot be switched on: 'no such text' stands 0 times in ch04/gpt.py"
    with pytest.raises(ValueError, match=re.escape(message)):
        changed_source(gone)
    twice = Fault("M.0", "twice", "ch04.gpt", "nn.Linear(", "nn.Bilinear(", "", "")
    with pytest.raises(ValueError, match=r"stands \d times in ch04/gpt\.py, not once"):
        changed_source(twice)
    with pytest.raises(ValueError, match="no fault called 'gone': choose one of lost-line-breaks,"):
        find_fault("gone")


def test_a_pair_is_two_modules_that_nobody_else_sees():
    import appendix_e.lora as ours

    right, faulty = pair("lora-without-rank")
    layers = [module.LoRALayer(8, 8, 4, 8).scaling for module in (ours, right, faulty)]
    assert layers == [2, 2, 8] and sys.modules["appendix_e.lora"] is ours


def test_what_is_imported_while_a_fault_is_on_has_it_and_nothing_afterwards():
    import ch04.gpt as before

    with switched_on("inverted-mask"):
        from ch04.gpt import GPTConfig, GPTModel

        model = GPTModel(GPTConfig(50, 8, 8, 2, 1)).eval()
    assert sys.modules["ch04.gpt"] is before and GPTModel is not before.GPTModel
    idx = torch.tensor([[1, 2, 3, 4]])
    changed = torch.tensor([[1, 2, 3, 5]])
    own = before.GPTModel(before.GPTConfig(50, 8, 8, 2, 1)).eval()
    for made, sees in ((model, True), (own, False)):
        assert torch.allclose(made(idx)[:, 0], made(changed)[:, 0], atol=1e-7) is not sees


# ---- The checks.


def passes(module):
    assert module


def fails(module):
    raise AssertionError("always")


def stub(module):
    """Nothing yet."""
    ...  # your code


@every_fault
def test_a_stub_an_idle_test_and_one_that_always_fails_hear_so(fault: Fault):
    check = check_for(fault)
    assert check.number == fault.number and check.__doc__
    assert check.judge(stub).status == NOT_DONE
    idle = check.judge(passes)
    assert (idle.status, idle.sentence) == (
        WRONG,
        f"Your test never runs the fault: it is in {place_of(fault)}.",
    )
    assert check.judge(fails).sentence == (
        "Your test fails on the right code: AssertionError: always. It has to pass there."
    )


def runs_and_passes(lora):
    assert lora.LoRALayer(8, 8, 4, 8)(torch.ones(8)).abs().sum() == 0  # B is zero at the start


def catches_by_chance(lora):
    if torch.rand(()) > 0.4:  # 0.496, 0.758 and 0.615 with these seeds, and then
        rank = 4 if torch.rand(()) > 0.5 else 1
        assert lora.LoRALayer(8, 8, rank, 8).scaling == 8 / rank


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        (
            runs_and_passes,
            "Your test runs LoRALayer.scaling with the fault, and passes: look at what the fault "
            "changes there.",
        ),
        (
            catches_by_chance,
            "Your test catches the fault with 1 of 3 seeds: take an example that always shows it.",
        ),
        (3, "A test is a function that gets the module."),
    ],
)
def test_a_test_that_misses_the_fault_hears_how(test, sentence: str):
    verdict = exercises.checks.check_m_15.judge(test)
    assert (verdict.status, verdict.sentence) == (WRONG, sentence)


def test_a_test_that_passes_by_chance_on_the_right_code_is_refused():
    def test_scale(lora):
        assert torch.rand(()) > 0.49 and lora.LoRALayer(8, 8, 4, 8).scaling == 2
        assert torch.rand(()) > 0.3

    assert "fails on the right code" in exercises.checks.check_m_15.judge(test_scale).sentence


def test_a_check_leaves_what_watches_a_program_alone():
    def watch(frame, event, argument):
        return None

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        exercises.checks.check_m_15.judge(runs_and_passes)
        assert sys.gettrace() is watch
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("test", [passes, fails, runs_and_passes, catches_by_chance])
def test_the_checks_speak_korean(test, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_LANGUAGE", "ko")
    exercises.checks.check_m_15(test)
    said = capsys.readouterr().out
    known = {"LoRALayer", "scaling", "AssertionError", "always"}
    assert set(re.findall(r"[A-Za-z]{2,}", said)) <= known, said


# ---- The notebook.


def test_every_exhibit_is_there_with_its_source_its_change_and_its_check():
    assert [OPENING.match(c.source)["number"] for c in EXHIBITS] == [f.number for f in FAULTS]
    cells = read_notebook(SOLUTIONS).cells
    for fault, opening in zip(FAULTS, EXHIBITS):
        at = cells.index(opening)
        show, test, hint, why = cells[at + 1 : at + 5]
        where = fault.stood.replace(": ", "/blob/main/").replace("#", "/")
        links = opening.source.replace("/issues/", "/").replace("/pull/", "/")
        assert f"https://github.com/{where})" in links, fault
        assert f'show_change("{fault.name}")' in show.source
        assert f'versions("{fault.name}")' in show.source
        assert CHECK_CALL.findall(test.source) == [name_of(fault.number)]
        assert "# solution\n" in test.source and "# end" in test.source
        assert "<summary>Hint</summary>" in hint.source and why.metadata["tags"] == ["answer"]


def test_the_museum_is_that_of_its_solutions():
    assert generate.belongs(FOLDER), "run `python -m exercises.generate exercises`"


@pytest.mark.parametrize(("path", "status"), [(SOLUTIONS, RIGHT), (MUSEUM, NOT_DONE)])
def test_solutions_are_right_and_stubs_not_done(path, status: str):
    outputs = [output for cell in read_notebook(path).cells for output in cell.get("outputs", [])]
    said = "".join(output.get("text", "") for output in outputs)
    verdicts = re.findall(r"^Exercise .*$", said, re.M)
    assert verdicts == [f"Exercise {fault.number}: {status}." for fault in FAULTS]


def test_a_learner_gets_a_copy_and_the_progress_counts_it():
    assert {"exercises/museum.ipynb", "exercises/museum-solutions.ipynb"} <= set(originals())
    records = [record for record in read_progress() if record.chapter == "exercises"]
    assert [record.number for record in records] == [fault.number for fault in FAULTS]
    assert all(record.status == "open" for record in records) or (ROOT / "my").exists()


# ---- The command.


@pytest.mark.parametrize(
    ("of", "said"),
    [
        ({"test_a.py::test_b": "passed"}, "passed"),
        ({"test_a.py::test_b[1]": "passed", "test_a.py::test_b[2]": "failed"}, "failed"),
        ({"test_a.py::test_other": "failed"}, "not run: there is no such test"),
        ({"test_a.py::test_b": "broken in setup"}, "broken in setup"),
    ],
)
def test_a_verdict_is_the_worst_of_a_tests_variants(of: dict, said: str):
    outcomes = Outcomes()
    outcomes.of = of
    assert verdict(outcomes, "test_a.py::test_b") == said


@pytest.mark.slow
def test_our_own_tests_catch_twenty_of_twenty():
    done = subprocess.run(
        [sys.executable, "-m", "exercises.museum"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\n20 of 20 faults are caught\n")
    for fault in FAULTS:
        assert f"{fault.name:<26} caught by tests/{fault.test}\n" in done.stdout
        assert f"stood in {fault.stood}\n" in done.stdout


def test_a_fault_that_is_not_in_the_museum_is_refused():
    done = subprocess.run(
        [sys.executable, "-m", "exercises.museum", "unheard-of"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "there is no fault called 'unheard-of': choose one of" in done.stderr
