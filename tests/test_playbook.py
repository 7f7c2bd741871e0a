"""The playbook: what a run tells, what is wrong with it, the three outputs, two runs compared."""

import base64
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pypdf import PdfReader

import playbook.build
import playbook.pdf
import playbook.run
import playbook.tools
from course.browser import Browser
from course.browser import program as browser_program
from course.my import make_copies
from exercises.progress import Record
from playbook.__main__ import main
from playbook.build import build
from playbook.compare import agree, compare_chapter, likely_causes, read_side
from playbook.journey_page import part_of_page
from playbook.pages import demoted, kind_of, make_book
from playbook.read import (
    ROOT,
    BadInput,
    Chapter,
    Problem,
    describe,
    is_course_chapter,
    learners_notebooks,
    load,
    main_notebooks,
    read_cells,
    read_chapter,
    reference_chapters,
    same_run,
)
from playbook.run import environment, merge, read_record, run_notebook, runs_folder
from playbook.tools import Missing

KOREAN = "손실이 예상보다 빨리 내려갔다. 역슬래시 \\\\ 와 수식 $e^{i\\pi}$."
ENGLISH = "The loss fell faster than I had expected."
# A picture of one blue point.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 30">'
    '<text x="5" y="20" font-family="Helvetica, Arial, sans-serif">drawn</text></svg>'
)


# ---- A small course, whose notebooks look as if they had run.


def table(values: dict) -> str:
    rows = "".join(f"<tr><th>{k}</th><td>{v}</td></tr>" for k, v in values.items())
    return f"<table><thead><tr><th></th><th>result</th></tr></thead><tbody>{rows}</tbody></table>"


def code(name: str, source: str, count: int | None, outputs: list = (), tag: str = ""):
    metadata = {"tags": [tag]} if tag else {}
    cell = new_code_cell(source, id=name, metadata=metadata, outputs=list(outputs))
    cell.execution_count = count
    return cell


def markdown(name: str, source: str, tag: str = ""):
    return new_markdown_cell(source, id=name, metadata={"tags": [tag]} if tag else {})


def small_notebook(name: str = "ch01", loss: str = "4.71", answer: str = ""):
    """Title, event, three cells that ran in order, result, reflection."""
    printed = new_output("stream", name="stdout", text="loss 4.7\n")
    drawn = new_output("display_data", {"image/png": PNG, "text/plain": "<Figure>"})
    html = table({"loss": loss, "it fell": "True", "a | b $ [c]": "8 of 23"})
    shown = new_output("execute_result", {"text/html": html}, execution_count=4)
    cells = [
        markdown(f"{name}-title", f"# Chapter {name[-1]}. A title"),
        markdown(f"{name}-event", "**Event.** Find out whether it falls. Then stop.", "event"),
        code(f"{name}-seed", "torch.manual_seed(123)", 1),
        markdown(f"{name}-s1", "## 1.1 A section\n\n![What it shows here](figures/a.svg)"),
        code(f"{name}-train", "print(train())", 2, [printed]),
        code(f"{name}-plot", "plot()", 3, [drawn]),
        code(f"{name}-result", "results", 4, [shown], "result"),
        markdown(
            f"{name}-reflection",
            f"**Reflection.**\n\n1. Why?\n\n   *Your answer:* {answer}…\n\n2. What for?\n\n"
            "   *Your answer:* …",
            "reflection",
        ),
    ]
    return new_notebook(cells=cells, metadata={"language_info": {"name": "python"}})


def cell(notebook, name: str):
    return next(c for c in notebook.cells if c.id.endswith(name))


def save(notebook, root: Path, name: str = "ch01") -> Path:
    path = root / name / f"{name}.ipynb"
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A folder with one chapter, its figure, and the playbook's folder."""
    monkeypatch.setattr(playbook.run, "device_name", lambda: "cpu")  # without importing torch
    root = tmp_path / "course"
    (root / "ch01" / "figures").mkdir(parents=True)
    (root / "ch01" / "figures" / "a.svg").write_text(SVG)
    (root / "playbook" / "chapters").mkdir(parents=True)
    save(small_notebook(), root)
    return root


def commit(root: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("needs git")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "all"]):
        subprocess.run(["git", "-C", str(root), *command], check=True)


def problems(notebook) -> list[str]:
    return [problem.kind for problem in describe("ch01", notebook).problems]


def book_of(root: Path, **chapters: Chapter):
    found = {n: read_chapter(n, p, root) for n, p in main_notebooks(root).items()}
    return make_book(found | chapters, [], environment(root), root)


# ---- Reading a notebook.


def test_a_bonus_notebook_is_no_chapter(course):
    save(small_notebook(), course, "bonus")  # which only looks like one
    (course / "ch01" / "bonus").mkdir()
    for name in ("ch01", "bonus", "more"):
        nbformat.write(small_notebook(), course / "ch01" / "bonus" / f"{name}.ipynb")
    assert main_notebooks(course) == {"ch01": course / "ch01" / "ch01.ipynb"}


def test_the_event_leaves_out_the_table_that_the_action_shows():
    notebook = small_notebook()
    cell(notebook, "event").source += "\n\n| Section | Minutes |\n|:--|--:|\n| 1.1 A | 3 |"
    assert describe("ch01", notebook).event == describe("ch01", small_notebook()).event


def test_a_fresh_run_is_read_whole():
    chapter = describe("ch01", small_notebook())
    assert chapter.problems == ()
    assert chapter.title == "Chapter 1. A title"
    assert chapter.event == "Find out whether it falls. Then stop."
    assert [(s.title, s.n_cells) for s in chapter.action] == [("1.1 A section", 2)]
    assert chapter.result == {"loss": "4.71", "it fell": "True", "a | b $ [c]": "8 of 23"}
    assert chapter.pictures == {"ch01-plot": [(".png", base64.b64decode(PNG))]}
    assert chapter.cells[0].seeds == ("123",)


def test_a_skipped_cell_is_found():
    notebook = small_notebook()
    cell(notebook, "-train").execution_count = None
    assert problems(notebook) == ["not run", "order"]


def test_an_empty_cell_is_not_a_skipped_one():
    notebook = small_notebook()
    notebook.cells.insert(4, code("ch01-empty", "  \n", None))
    assert problems(notebook) == []


@pytest.mark.parametrize("counts", [(1, 3, 2, 4), (1, 2, 3, 5), (2, 3, 4, 5), (1, 5, 3, 4)])
def test_cells_out_of_order_are_found(counts):
    notebook = small_notebook()
    for c, count in zip([c for c in notebook.cells if c.cell_type == "code"], counts):
        c.execution_count = count
    assert problems(notebook) == ["order"]


def test_an_error_is_found_unless_it_is_meant():
    notebook = small_notebook()
    train = cell(notebook, "-train")
    train.outputs = [new_output("error", ename="ValueError", evalue="no", traceback=[])]
    assert problems(notebook) == ["error"]
    train.metadata["tags"] = ["raises-exception"]
    assert problems(notebook) == []


def test_a_result_without_output_or_table_is_found():
    notebook = small_notebook()
    cell(notebook, "-result").outputs = [new_output("stream", name="stdout", text="4.7")]
    assert problems(notebook) == ["result"]
    cell(notebook, "-result").outputs = []
    assert problems(notebook) == ["result"]
    cell(notebook, "-result").metadata["tags"] = []
    assert problems(notebook) == ["result"]


def test_answers_are_counted_and_the_next_experiment_is_found():
    assert describe("ch01", small_notebook()).answered == (0, 2)
    assert describe("ch01", small_notebook(answer="Because.")).answered == (1, 2)
    long = small_notebook(answer="\n\n   Because of this.\n\n   And of that. ")
    assert describe("ch01", long).answered == (1, 2)
    for line in ("Next: a larger rate", "**Next:** a larger rate", "- 다음 실험: a larger rate"):
        notebook = small_notebook(answer=f"\n\n{line}\n\n")
        assert describe("ch01", notebook).next == "a larger rate"


def test_only_an_empty_answer_is_called_empty(course):
    empty = "   *Your answer:* not written yet."
    save(small_notebook(answer="\n\n   Because of this.\n\n   Next: …\n\n "), course)
    text = book_of(course).pages[1].text
    assert text.count(empty) == 1 and "1 of 2 are answered" in text
    assert text.index("Because of this.") < text.index("What for?") < text.index(empty)
    assert "Not written yet. A suggestion:" in text
    save(small_notebook(), course)
    text = book_of(course).pages[1].text
    assert text.count(empty) == 2 and "0 of 2 are answered" in text


def test_a_file_that_is_no_notebook_is_refused(tmp_path):
    for content in ("", "{}", "<<<<<<< HEAD", '{"nbformat": 4, "cells": 3}'):
        (tmp_path / "x.ipynb").write_text(content)
        with pytest.raises(BadInput, match="x.ipynb cannot be read"):
            load(tmp_path / "x.ipynb")


# ---- Was it edited after its run?


def test_a_cell_edited_since_the_commit_is_found(course):
    commit(course)
    path = course / "ch01" / "ch01.ipynb"
    assert read_chapter("ch01", path, course).problems == ()
    notebook = small_notebook(answer="I see.")
    assert read_chapter("ch01", save(notebook, course), course).problems == ()
    cell(notebook, "-train").source = "print(train(rate=2))"
    (problem,) = read_chapter("ch01", save(notebook, course), course).problems
    assert problem.kind == "edited" and "`ch01-train`" in problem.text


def test_a_notebook_that_was_run_again_is_not_taken_for_edited(course):
    commit(course)
    notebook = small_notebook(loss="4.5")
    cell(notebook, "-seed").source = "torch.manual_seed(7)"  # a cell that shows nothing
    assert read_chapter("ch01", save(notebook, course), course).problems == ()


def test_outside_git_nothing_is_claimed(course):
    chapter = read_chapter("ch01", course / "ch01" / "ch01.ipynb", course)
    assert chapter.problems == () and chapter.run is None


def record_of(notebook) -> dict:
    env = {"device": "cuda, H100", "versions": {"torch": "2.13.0"}, "commit": "a" * 10}
    cells = describe("ch01", notebook).to_json()["cells"]
    env |= {"system": "Linux", "switches": {}}
    run = {"date": "2026-11-21T10:00:00+00:00", "environment": env, "seconds": 125.0}
    return {**run, "failed": "", "title": "t", "result": {"loss": "4.71"}, "cells": cells}


def test_an_edit_after_a_recorded_run_is_found_until_it_is_run(course):
    record, notebook = record_of(small_notebook()), small_notebook()
    chapter = read_chapter("ch01", save(notebook, course), course, record)
    assert chapter.problems == () and chapter.run["seconds"] == 125.0
    cell(notebook, "-seed").source = "torch.manual_seed(7)"
    chapter = read_chapter("ch01", save(notebook, course), course, record)
    assert [problem.kind for problem in chapter.problems] == ["edited"]
    cell(notebook, "-train").outputs[0].text = "loss 4.6\n"
    chapter = read_chapter("ch01", save(notebook, course), course, record)
    assert chapter.problems == () and chapter.run is None  # run by hand: no time is known


def test_a_run_that_broke_off_is_said_until_the_notebook_changes(course):
    record, notebook = record_of(small_notebook()) | {"failed": "It broke off."}, small_notebook()
    chapter = read_chapter("ch01", save(notebook, course), course, record)
    assert [str(problem) for problem in chapter.problems] == ["It broke off."]
    cell(notebook, "-train").source = "print(mended())"
    chapter = read_chapter("ch01", save(notebook, course), course, record)
    assert [problem.kind for problem in chapter.problems] == ["edited"]
    cell(notebook, "-train").outputs[0].text = "loss 4.5\n"  # run by hand
    assert read_chapter("ch01", save(notebook, course), course, record).problems == ()


def test_text_printed_in_pieces_is_the_same_output():
    one, two = small_notebook(), small_notebook()
    pieces = [new_output("stream", name="stdout", text=text) for text in ("loss ", "4.7\n")]
    cell(two, "-train").outputs = pieces
    assert same_run(read_cells(one), read_cells(two))


def test_a_damaged_record_is_named(course):
    runs_folder(course).mkdir()
    (runs_folder(course) / "ch01.json").write_text("{")
    with pytest.raises(BadInput, match="ch01.json is damaged: delete it"):
        read_record("ch01", course)


# ---- Running.


def test_a_reflection_written_during_the_run_is_kept():
    executed, now = small_notebook(), small_notebook(answer="Written meanwhile.")
    cell(executed, "-train").outputs[0].text = "loss 1.0\n"
    assert merge(executed, now)
    assert cell(now, "-train").outputs[0].text == "loss 1.0\n"
    assert "Written meanwhile." in cell(now, "-reflection").source
    cell(now, "-train").source = "print(1)"
    assert not merge(executed, now)


@pytest.mark.slow
def test_a_run_is_kept_with_its_record_and_a_failed_one_is_not(course):
    notebook = small_notebook()
    sources = ("x = 1", "print(x)", "x + 1", "from IPython.display import HTML\nHTML({!r})")
    for c, source in zip([c for c in notebook.cells if c.cell_type == "code"], sources):
        c.source, c.outputs, c.execution_count = source.format(table({"loss": 3})), [], None
    path = save(notebook, course)
    record = run_notebook("ch01", path, course)
    chapter = read_chapter("ch01", path, course, read_record("ch01", course))
    assert chapter.problems == () and chapter.result == {"loss": "3"}
    assert chapter.run["seconds"] == record["seconds"] > 0
    after = load(path)
    assert "version" not in after.metadata.language_info
    assert not any("execution" in c.metadata for c in after.cells)

    cell(after, "-train").source = "1 / 0"
    before = save(after, course).read_bytes()
    run_notebook("ch01", path, course)
    assert path.read_bytes() == before
    chapter = read_chapter("ch01", path, course, read_record("ch01", course))
    assert "broke off at cell `ch01-train` (ZeroDivisionError)" in str(chapter.problems[0])
    assert read_record("ch01", course)["result"] == chapter.result == {"loss": "3"}
    assert (runs_folder(course) / "ch01-failed.ipynb").exists()


# ---- Pages.


def write_template(root: Path, text: str) -> None:
    (root / "playbook" / "chapters" / "ch01.md").write_text(text, encoding="utf-8")


def test_a_page_quotes_results_by_name(course):
    write_template(
        course,
        '# T\n\n{{ result("ch01", "loss") }} {{ result("ch01", "lo*") }} '
        '{{ either("ch01", "it fell", "fell", "rose") }}\n\n{{ table("ch01") }}\n\n'
        '{{ plot("ch01-plot", "Seen.") }} {{ figure("ch01/figures/a.svg") }}',
    )
    book = book_of(course)
    text = book.pages[1].text
    assert "4.71 4.71 fell" in text
    assert r"| a \| b \$ \[c\] | 8 of 23 |" in text
    plot, drawing = sorted(book.pictures, reverse=True)
    assert re.fullmatch(r"ch01-plot-\w{8}\.png", plot) and f"![Seen.](figures/{plot}" in text
    assert re.fullmatch(r"ch01-a-\w{8}\.svg", drawing)
    assert f"![What it shows here](figures/{drawing})" in text


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ('result("ch01", "lost")', r"ch01.md quotes the result 'lost' of ch01.*it has: 'loss'"),
        ('result("ch01", "*")', "quotes the result"),
        ('result("ch09", "loss")', "asks for 'ch09', but there are only: ch01"),
        ('either("ch01", "loss", "a", "b")', "for True or False, but it is '4.71'"),
        ('either("ch01", "it fell", "a", "b", at_most=1)', "for a number, but it is 'True'"),
        ('plot("ch01-none", "x")', "the cell 'ch01-none', which no notebook has"),
        ('code("ch01-none")', "which no notebook has"),
        ('figure("ch01/figures/b.svg")', "shows the figure ch01/figures/b.svg, which is not"),
        ("chapter.nothing", "uses a name that is not known"),
        ("1 +", "ch01.md, line 3: "),
    ],
)
def test_an_unknown_name_is_an_error(course, call, message):
    write_template(course, f"# T\n\n{{{{ {call} }}}}\n")
    with pytest.raises(BadInput, match=message):
        book_of(course)


def test_a_missing_result_is_said_on_the_page_that_quotes_it(course):
    notebook = small_notebook()
    cell(notebook, "-result").outputs = []
    save(notebook, course)
    page = course / "playbook" / "mine.md"
    page.write_text('# Mine\n\nIt was {{ result("ch01", "loss") }}.\n')
    book = book_of(course)
    chapter, mine = book.pages[1:]
    assert "> [!WARNING]" in chapter.text and "has no output" in chapter.text
    assert "**Not as it stands:** 1 problem" in chapter.text
    assert "*(no result)*" in mine.text and "quotes results of `ch01`" in mine.text
    assert len(chapter.problems) == len(mine.problems) == 1


def test_the_head_of_a_page_answers_the_six_questions(course):
    save(small_notebook(answer="\n\nNext: a larger rate\n\n"), course)
    text = book_of(course).pages[1].text
    head = text.split("## Event")[0]
    for start in (
        "> **Goal.** Find out whether it falls.",
        "> **Did it work?** **Ran whole:** all 4 code cells in order, and none failed.",
        "> **What came out?** ",
        "> **How long?** Not recorded.",
        "> **What next?** a larger rate",
        "> **Exercises.** ",
    ):
        assert start in head


def test_a_learners_pictures_and_links_are_adopted(course):
    reflection = (
        "![pasted](attachment:a.png) ![local](figures/a.svg) ![gone](b.png) "
        "![far](https://example.com/x.png) [this](ch01.ipynb) [code](../playbook/x.py) "
        "[web](https://example.com) `![no](picture.png)`"
    )
    notebook = small_notebook(answer=reflection)
    cell(notebook, "-reflection").attachments = {"a.png": {"image/png": PNG}}
    save(notebook, course)
    book = book_of(course)
    page = book.pages[1]
    pictures = re.findall(r"!\[(pasted|local)\]\(figures/(ch01-\w{8}\.\w+)\)", page.text)
    assert [(alt, book.pictures[name]) for alt, name in pictures] == [
        ("pasted", base64.b64decode(PNG)),
        ("local", SVG.encode()),
    ]
    assert "[this](ch01.md)" in page.text and "code (`playbook/x.py`)" in page.text
    assert "[web](https://example.com)" in page.text and "`![no](picture.png)`" in page.text
    assert [str(problem) for problem in page.problems] == [
        "A picture is missing: b.png.",
        "A picture is fetched from elsewhere: https://example.com/x.png; save it beside the page.",
    ]


def test_pages_and_notebooks_of_ones_own_are_picked_up(course, capsys):
    assert main(["new", "my-experiment"], course) == 0
    path = course / "playbook" / "my-experiment.ipynb"
    nbformat.validate(load(path))
    with pytest.raises(BadInput, match="is taken"):
        main_new(course, "my-experiment")
    for name in ("../x", "My Page", ""):
        with pytest.raises(BadInput, match="cannot be a name"):
            main_new(course, name)
    with pytest.raises(BadInput, match="front page"):
        main_new(course, "index")
    with pytest.raises(BadInput, match="has 41 letters: take one of 40"):
        main_new(course, 41 * "a")
    main_new(course, 40 * "a")
    (course / "playbook" / f"{40 * 'a'}.ipynb").unlink()
    shutil.copy(ROOT / "playbook" / "template.md", course / "playbook" / "template.md")
    (course / "playbook" / "notes.md").write_text("# 나의 기록\n\n한글.\n", encoding="utf-8")
    names = [page.name for page in book_of(course).pages]
    assert names == ["llm-journey", "ch01", "my-experiment", "notes"]


@pytest.mark.parametrize("name", ["notes", "llm-journey", "chapters/ch01"])
def test_a_page_may_begin_with_the_mark_of_windows_editors(course, name):
    text = "# 나의 기록\n\n한글.\n"
    (course / "playbook" / f"{name}.md").write_text(text, encoding="utf-8-sig")
    assert "나의 기록" in [page.title for page in book_of(course).pages]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "cp949"])
def test_a_page_in_another_encoding_is_named(course, encoding):
    (course / "playbook" / "notes.md").write_text("# Notes\n\n한\n", encoding=encoding)
    with pytest.raises(BadInput, match="notes.md is not UTF-8 text .*: save it as UTF-8"):
        book_of(course)


def test_half_a_character_in_a_notebook_is_named(course):
    path = course / "ch01" / "ch01.ipynb"
    path.write_text(path.read_text(encoding="utf-8").replace("Then stop", "\\ud83d"))
    with pytest.raises(BadInput, match=r"ch01.ipynb cannot be read .*surrogates"):
        book_of(course)


def test_pictures_of_one_name_stay_two(course):
    other = "R0lGODlhAQABAIAAAP8AAP///ywAAAAAAQABAAACAkQBADs="  # a red point
    notebook = small_notebook(answer="![blue](attachment:image.png)")
    cell(notebook, "-event").source += "\n\n![red](attachment:image.png)"
    cell(notebook, "-event").attachments = {"image.png": {"image/gif": other}}
    cell(notebook, "-reflection").attachments = {"image.png": {"image/png": PNG}}
    save(notebook, course)
    for folder, content in (("a", PNG), ("b", other)):
        (course / "playbook" / folder).mkdir()
        (course / "playbook" / folder / "x.png").write_bytes(base64.b64decode(content))
    (course / "playbook" / "mine.md").write_text("# Mine\n\n![blue](a/x.png) ![red](b/x.png)\n")
    book = book_of(course)
    for page in book.pages[1:]:
        shown = dict(re.findall(r"!\[(red|blue)\]\(figures/([^)]+)\)", page.text))
        assert book.pictures[shown["blue"]] == base64.b64decode(PNG)
        assert book.pictures[shown["red"]] == base64.b64decode(other)


def test_a_copied_notebook_shows_its_own_plots(course):
    notebook = small_notebook()
    drawn = new_output("display_data", {"image/svg+xml": SVG, "text/plain": "<Figure>"})
    cell(notebook, "-plot").outputs = [drawn]
    nbformat.write(notebook, course / "playbook" / "copy.ipynb")
    book = book_of(course)
    assert re.search(r"figures/ch01-plot-\w+\.png", book.pages[1].text)
    assert re.search(r"figures/ch01-plot-\w+\.svg", book.pages[2].text)


def test_pictures_by_name_and_with_brackets_are_adopted(course):
    page = course / "playbook" / "mine.md"
    page.write_text(
        "# Mine\n\n![a [b] c](../ch01/figures/a.svg) ![near][1] ![far] ![w](x.webp) `m[1]`\n"
        '[ch](../ch01/ch01.ipynb "why") [also][2] [no name][3]\n\n'
        '[1]: <../ch01/figures/a.svg> "A title"\n[far]: https://example.com/x.png\n'
        "[2]: ../ch01/ch01.ipynb\n\nA note[^1].\n\n[^1]: Here.\n"
    )
    (course / "playbook" / "x.webp").write_bytes(b"RIFF....WEBPVP8 ")
    page = book_of(course).pages[2]
    assert re.search(r"!\[a \[b\] c\]\(figures/mine-\w{8}\.svg\)", page.text)
    assert re.search(r'!\[near\]\(figures/mine-\w{8}\.svg "A title"\)', page.text)
    assert "[ch](ch01.md) [also](ch01.md) [no name][3]" in page.text and "`m[1]`" in page.text
    assert "A note[^1].\n\n[^1]: Here." in page.text
    assert [str(problem) for problem in page.problems] == [
        "A picture is fetched from elsewhere: https://example.com/x.png; save it beside the page.",
        "A picture cannot be read: x.webp; take an .svg, .png, .jpg or .gif.",
    ]


def test_a_picture_is_told_by_its_content():
    assert kind_of(base64.b64decode(PNG)) == ".png" and kind_of(SVG.encode()) == ".svg"
    for content in (b"", b"no picture", base64.b64decode(PNG)[:40], b"<html/>"):
        assert kind_of(content) == ""


def test_headings_are_lowered_but_not_in_code():
    assert demoted("# A\n\n```\n# b\n```\n\n## C") == "#### A\n\n```\n# b\n```\n\n#### C"


def test_a_result_that_must_be_true_and_is_not_did_not_work(course):
    text = '{{ either("ch01", "it fell", "fell", "rose", must=True) }}'
    write_template(
        course,
        '{% extends "layout/chapter.md" %}{% block worked %}\n' + text + "\n{% endblock %}",
    )
    index, page = book_of(course).pages
    assert "**Did it work?** **Ran whole:** all 4 code cells in order, and none failed. fell" in (
        page.text
    )
    assert "| [Chapter 1. A title](ch01.md) | ran whole | – | none | 0 of 2 |" in index.text
    notebook = small_notebook()
    output = cell(notebook, "-result").outputs[0]
    output.data["text/html"] = table({"loss": "4.71", "it fell": "False"})
    save(notebook, course)
    index, page = book_of(course).pages
    assert "**Did it work?** **No.** It ran, all 4 code cells in order" in page.text
    assert "none failed. rose" in page.text and page.problems == []
    assert "| **no**: “it fell” is False |" in index.text


def test_the_front_page_and_each_head_tell_how_far_it_has_come(course):
    """Two chapters, the exercises of both, an answer, and the record of a run."""
    second = small_notebook("ch02", answer="Because.")
    second.cells[0].source = "# A | title"
    save(second, course, "ch02")
    done = [("done", 1), ("tried", 2), ("open", 3), ("done", 4)]
    records = [
        Record(name, f"{n}", f"T{n}", 1, 5, status)
        for name, statuses in (("ch01", done[:3]), ("ch02", done))
        for status, n in statuses
    ]
    record = record_of(small_notebook())
    chapters = {
        "ch01": read_chapter("ch01", course / "ch01" / "ch01.ipynb", course, record),
        "ch02": read_chapter("ch02", course / "ch02" / "ch02.ipynb", course),
    }
    index, one, two = make_book(chapters, records, environment(course), course).pages
    rows = re.findall(r"^\| \[.*$", index.text, flags=re.M)
    assert rows == [
        "| [Chapter 1. A title](ch01.md) | ran whole | 2 min 05 s | 1 of 3 | 0 of 2 |",
        r"| [A \| title](ch02.md) | ran whole | – | 2 of 4 | 1 of 2 |",
    ]
    assert "**How long?** 2 min 05 s on cuda, H100." in one.text
    assert "**Exercises.** 1 done, 1 tried, 1 open. Of the questions at the end, 0 of 2" in one.text
    assert "**Exercises.** 2 done, 1 tried, 1 open. Of the questions at the end, 1 of 2" in two.text
    assert re.findall(r"^\| (date|took|device|system|versions|commit|switches) .*$", two.text) == []
    assert one.text.split("| | |\n|:---|:---|\n")[1].split("\n\n")[0].splitlines() == [
        "| date | 2026-11-21 10:00 |",
        "| took | 2 min 05 s |",
        "| device | cuda, H100 |",
        "| system | Linux |",
        "| versions | torch 2.13.0 |",
        "| commit | aaaaaaaaaa |",
        "| switches | none |",
    ]


def test_a_notebook_of_ones_own_is_not_formatted(course):
    shutil.copy(ROOT / "pyproject.toml", course)
    path = course / "playbook" / "mine.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("import os\nx=1")]), path)
    for command in (["format", "--check"], ["check"]):
        for target in (".", path):  # the pre-commit hook names each file
            ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", target]
            done = subprocess.run(ruff, cwd=course, capture_output=True, text=True)
            assert "mine.ipynb" not in done.stdout + done.stderr


def main_new(root: Path, name: str) -> None:
    from playbook.new import new_notebook as write

    write(name, root)


@pytest.fixture(scope="module")
def own_book():
    """The pages of this very course, as its notebooks are now, without a learner's own."""
    chapters = {
        name: describe(name, load(path), path.parent)
        for name, path in main_notebooks(ROOT).items()
        if is_course_chapter(name)
    }
    env = {"device": "cpu", "system": "s", "versions": {}, "commit": "c", "switches": {}}
    template = (ROOT / "playbook" / "template.md").read_text(encoding="utf-8")
    return make_book(chapters, [], env, ROOT, list(chapters)), chapters, template


def test_every_chapter_has_its_page_and_every_name_in_it_exists(own_book):
    book, chapters, _ = own_book
    for page in book.pages[1:]:
        assert (ROOT / "playbook" / "chapters" / f"{page.name}.md").exists(), page.name
        assert page.name in book.pages[0].text
    assert [page.name for page in book.pages] == ["llm-journey", *chapters]


def test_the_front_page_has_eight_weeks_with_a_checklist_each(own_book):
    text = own_book[0].pages[0].text
    weeks = re.split(r"^## Week ", text, flags=re.M)[1:]
    assert [int(week[0]) for week in weeks] == list(range(1, 9))
    assert all(week.count("- [ ] ") >= 3 for week in weeks)


def test_the_empty_template_is_a_page(own_book, course):
    _, chapters, template = own_book
    (course / "playbook" / "copied.md").write_text(template, encoding="utf-8")
    env = {"device": "cpu", "system": "s", "versions": {}, "commit": "c", "switches": {}}
    pages = make_book({"ch05": chapters["ch05"]}, [], env, course).pages
    assert [page.name for page in pages][-1] == "copied"


# ---- Building.


@pytest.fixture
def bilingual(course):
    """A chapter with a Korean answer, a page in English, a formula, code and a drawing."""
    save(small_notebook(answer=KOREAN), course)
    (course / "playbook" / "english.md").write_text(
        f"# In English\n\n{ENGLISH} A path C:\\\\dir and $x^2$, see [chapter 1](ch01.md).\n\n"
        f"- [x] done\n- [ ] open\n\n![A drawing](../ch01/figures/a.svg)\n\n"
        "```python\nprint('한글', \"\\\\n\")\n```\n\n| a | b |\n|---|---|\n| 1 | 가 |\n",
        encoding="utf-8",
    )
    return course


def needs_hangul() -> None:
    import typst

    if not set(typst.Fonts().families()) & set(playbook.pdf.HANGUL):
        pytest.skip("no font with Hangul is installed")


def pdf_text(path: Path) -> str:
    return "\n".join(page.extract_text() for page in PdfReader(path).pages)


def test_korean_and_english_are_right_in_all_three(bilingual, capsys):
    needs_hangul()
    out = bilingual / "out"
    assert main(["build", "--out", str(out)], bilingual) == 0
    assert capsys.readouterr().err == ""
    as_markdown = (out / "playbook.md").read_text(encoding="utf-8")
    as_site = "".join(p.read_text(encoding="utf-8") for p in (out / "site").glob("*.html"))
    as_pdf = pdf_text(out / "playbook.pdf")
    for text in (as_markdown, as_site, re.sub(r"\s+", " ", as_pdf)):
        assert "손실이 예상보다 빨리 내려갔다." in text and ENGLISH in text
        assert "₩" not in text
    assert "C:\\dir" in as_site and "C:\\dir" in as_pdf
    assert "<math" in as_site and "$x" not in as_site
    assert "drawn" in as_pdf  # the letters of the SVG
    fonts = {
        str(font.get_object()["/BaseFont"])
        for page in PdfReader(out / "playbook.pdf").pages
        for font in page["/Resources"].get("/Font", {}).values()
    }
    assert any("CJK" in f or "KR" in f or "Gothic" in f or "Myeong" in f for f in fonts)


def test_pages_of_any_name_are_linked_in_all_three(course, capsys):
    needs_hangul()
    names = {"나의-기록": "[one](<my page.md>)", "my page": "[two](나의-기록.md)"}
    names |= {"v1.2": "[two](%EB%82%98%EC%9D%98-%EA%B8%B0%EB%A1%9D.md)", "index": "[one](v1.2.md)"}
    for name, text in names.items():
        path = course / "playbook" / f"{name}.md"
        path.write_text(f"# Page {name}\n\n{text}\n", encoding="utf-8")
    out = course / "out"
    assert main(["build", "--out", str(out)], course) == 0
    text = (out / "playbook.md").read_text(encoding="utf-8")
    anchors = set(re.findall(r'^<a id="([\w-]+)"></a>$', text, flags=re.M))
    assert len(anchors) == 6 and "".join(anchors).isascii()
    linked = re.findall(r"\]\(#([\w-]+)\)", text)
    assert set(linked) == anchors - {"index"} and ".md)" not in text
    pages = {p.name: Addresses(p.read_text(encoding="utf-8")) for p in out.glob("site/*.html")}
    assert pages.keys() == {f"{anchor}.html" for anchor in anchors}
    for page in pages.values():
        assert set(page.links) - {"#pages"} <= pages.keys()
    assert {link for page in pages.values() for link in page.links} >= pages.keys()
    targets = PdfReader(out / "playbook.pdf").named_destinations
    assert {name for name in targets if name.startswith("page-")} == {f"page-{a}" for a in anchors}
    n_links = sum(
        annotation.get_object()["/Subtype"] == "/Link"
        for page in PdfReader(out / "playbook.pdf").pages
        for annotation in page.get("/Annots", ())
    )
    assert n_links >= len(linked) == 5 + 4  # one that is broken over two lines counts twice


@pytest.mark.parametrize("language", ["en", "ko"])
def test_a_page_and_its_korean_edition_are_one_page_in_the_readers_language(
    course, monkeypatch, language
):
    monkeypatch.setenv("COURSE_LANGUAGE", language)
    pages = {
        "llm-journey": "# Eight weeks\n\n[one](../ch01/ch01.ipynb), [two](road.md)\n",
        "llm-journey.ko": "# 여덟 주\n\n[하나](../ko/ch01/ch01.ipynb), [둘](road.ko.md)\n",
        "road": "# The road\n",
        "road.ko": "# 길\n",
        "README.ko": "# 읽어 두기\n",
        "mine.ko": "# 내 것\n",  # which has no English page
    }
    for name, text in pages.items():
        (course / "playbook" / f"{name}.md").write_text(text, encoding="utf-8")
    book = book_of(course)
    road = {"en": "The road", "ko": "길"}[language]
    assert [page.title for page in book.pages][2:] == ["내 것", road]
    front = {
        "en": "# Eight weeks\n\n[one](ch01.md), [two](road.md)\n",
        "ko": "# 여덟 주\n\n[하나](ch01.md), [둘](road.md)\n",
    }
    assert book.pages[0].text == front[language]


def test_a_title_has_no_marks_in_the_browsers_tab(course):
    (course / "playbook" / "mine.md").write_text("# My *very* own `my_file` \\| title\n")
    assert main(["build", "--out", str(course / "out")], course) == 0
    text = (course / "out" / "site" / "mine.html").read_text(encoding="utf-8")
    assert "<title>My very own my_file | title</title>" in text


def test_what_cannot_be_read_is_said_and_the_rest_is_built(course, capsys):
    (course / "playbook" / "figures").mkdir()
    (course / "playbook" / "figures" / "bad.png").write_text("no picture")
    (course / "playbook" / "mine.md").write_text(
        "# Mine\n\n![bad](figures/bad.png)\n\n![far][1]\n\nIt is $x^$ here.\n\n"
        "[1]: https://example.com/x.png\n"
    )
    out = course / "out"
    assert main(["build", "--out", str(out)], course) == 1
    said = capsys.readouterr().err
    assert "! mine: A picture cannot be read: figures/bad.png; take" in said
    assert "! mine: Could not convert TeX math x^" in said
    assert (out / "site" / "mine.html").exists() and (out / "playbook.pdf").exists()


@pytest.mark.parametrize("tool", ["typst", "pandoc"])
def test_a_tool_that_refuses_ends_its_part_only(course, monkeypatch, capsys, tool):
    if tool == "typst":
        monkeypatch.setattr(playbook.pdf, "with_fonts", lambda svg: b"no drawing")
    else:
        run = playbook.tools.subprocess.run

        def refuse(command, **options):
            refused = subprocess.CompletedProcess(command, 1, "", "refused")
            return refused if "typst" in command else run(command, **options)

        monkeypatch.setattr(playbook.tools.subprocess, "run", refuse)
    (course / "playbook" / "mine.md").write_text("# Mine\n\n![drawn](../ch01/figures/a.svg)\n")
    assert main(["build", "--out", str(course / "out")], course) == 1
    assert f"! playbook.pdf was not built: {tool}: " in capsys.readouterr().err
    assert (course / "out" / "site" / "index.html").exists()
    assert not (course / "out" / "playbook.pdf").exists()


def test_a_letter_without_a_font_stops_the_pdf(course, monkeypatch, capsys):
    monkeypatch.setattr(playbook.pdf, "letters_of", lambda path, index: set())
    save(small_notebook(answer="가"), course)
    assert main(["build", "--out", str(course / "out")], course) == 1
    assert "the text has" in capsys.readouterr().err
    assert not (course / "out" / "playbook.pdf").exists()


def test_a_folder_that_cannot_be_written_is_refused_at_once(course, capsys, monkeypatch):
    monkeypatch.setattr(playbook.build, "read_chapter", None)
    assert main(["build", "--out", "/proc/x/y"], course) == 2
    assert "/proc/x/y cannot be written" in capsys.readouterr().err


def test_a_build_replaces_only_a_build(course):
    out = course / "out"
    out.mkdir()
    (out / "precious.txt").write_text("mine")
    with pytest.raises(BadInput, match="is not a playbook"):
        build(out, [], root=course)
    assert [path.name for path in out.iterdir()] == ["precious.txt"]
    (out / "precious.txt").unlink()
    assert build(out, [], root=course) == 0
    (out / "stale.txt").touch()
    assert build(out, [], root=course) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        *("figures", "playbook.json", "playbook.md", "playbook.pdf", "site"),
    ]
    assert [p.name for p in course.glob(".out*")] == []


def test_after_an_error_the_last_build_still_stands(course, capsys):
    out = course / "out"
    assert main(["build", "--out", str(out)], course) == 0
    before = (out / "playbook.json").read_bytes()
    write_template(course, '# T\n\n{{ result("ch01", "lost") }}\n')
    capsys.readouterr()
    assert main(["build", "--out", str(out)], course) == 2
    assert "'lost'" in capsys.readouterr().err
    assert (out / "playbook.json").read_bytes() == before
    assert main(["build", "ch77"], course) == 2
    assert "no chapter ch77; there are: ch01" in capsys.readouterr().err


def test_a_problem_is_on_the_page_on_the_terminal_and_in_the_status(course, capsys):
    notebook = small_notebook()
    cell(notebook, "-train").execution_count = None
    save(notebook, course)
    out = course / "out"
    assert main(["build", "--out", str(out)], course) == 1
    said = capsys.readouterr().err
    page = (out / "site" / "ch01.html").read_text()
    for text in (said, page):
        assert "One cell was not run" in text
    assert "not run" in (out / "playbook.json").read_text()
    assert "<strong>no</strong>" in (out / "site" / "index.html").read_text()


@pytest.mark.parametrize(
    ("module", "package", "made"),
    [
        ("typst", "typst", ["figures", "playbook.json", "playbook.md", "site"]),
        ("pypandoc", "pypandoc_binary", ["figures", "playbook.json", "playbook.md"]),
    ],
)
def test_without_a_tool_the_rest_is_built(course, monkeypatch, capsys, module, package, made):
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["build", "--out", str(course / "out")], course) == 1
    assert f"python -m pip install -c setup/constraints.txt {package}" in capsys.readouterr().err
    assert sorted(path.name for path in (course / "out").iterdir()) == made


def test_a_letter_without_a_font_is_named_with_the_command(tmp_path):
    import typst

    folder = playbook.pdf.own_fonts(tmp_path / "fonts")
    fonts = typst.Fonts(include_system_fonts=False, font_paths=[str(folder)])
    playbook.pdf.check_letters("Plain, naïve ≈ √ → ☒ α", fonts)
    with pytest.raises(Missing, match="HANGUL SYLLABLE GA.*sudo apt install fonts-noto-cjk"):
        playbook.pdf.check_letters("가", fonts)


def test_exercises_that_cannot_be_read_are_a_problem(course, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "exercises.progress", None)
    assert main(["build", "--out", str(course / "out")], course) == 1
    assert "exercises' progress could not be read" in capsys.readouterr().err


def test_make_playbook_builds_and_runs_when_asked():
    if shutil.which("make") is None:
        pytest.skip("needs make")

    def recipe(*words: str) -> str:
        command = ["make", "-n", "-o", ".venv/.ready", "playbook", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout

    assert "-m playbook build" in recipe() and "--run" not in recipe()
    assert "-m playbook build --run ch02" in recipe("RUN=1", "ARGS=ch02")
    assert "--run" not in recipe("RUN=0")


# ---- The site.


class Addresses(HTMLParser):
    """Every address that a page leads to or loads, and every id."""

    def __init__(self, text: str):
        super().__init__()
        self.links, self.loaded, self.ids, self.alts = [], [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        fields = dict(attrs)
        self.ids.add(fields.get("id"))
        if tag == "a" and "href" in fields:
            self.links.append(fields["href"])
        elif "href" in fields or "src" in fields:
            self.loaded.append(fields.get("href") or fields.get("src"))
        if tag == "img":
            self.alts.append(fields.get("alt", ""))
        assert tag != "script"


@pytest.fixture(scope="module")
def site(tmp_path_factory, own_book):
    from playbook.website import write_site

    folder = tmp_path_factory.mktemp("book") / "site"
    write_site(own_book[0], folder)
    return folder


def test_every_link_and_every_picture_of_the_site_is_there(site):
    pages = {path.name: Addresses(path.read_text(encoding="utf-8")) for path in site.glob("*.html")}
    assert len(pages) >= 11 and "index.html" in pages
    loaded = set()
    for name, page in pages.items():
        for address in page.loaded:
            assert address.startswith("data:") or (site / address).is_file(), (name, address)
            loaded.add(address)
        for address in page.links:
            file, _, anchor = address.partition("#")
            if address.startswith("https://"):
                continue
            assert (file or name) in pages, (name, address)
            assert not anchor or anchor in pages[file or name].ids, (name, address)
        assert all(len(alt.split()) >= 3 for alt in page.alts), name
    assert {f"figures/{path.name}" for path in (site / "figures").iterdir()} <= loaded
    linked = {a.partition("#")[0] for page in pages.values() for a in page.links}
    assert set(pages) <= linked


def test_every_picture_of_the_site_can_be_drawn(site):
    for path in (site / "figures").iterdir():
        content = path.read_bytes()
        if path.suffix == ".svg":
            assert ET.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"
        else:
            assert content.startswith(b"\x89PNG") and content.rstrip().endswith(b"\xaeB`\x82")


def test_no_markup_is_left_over(site):
    for path in site.glob("*.html"):
        text = re.sub(r"<(pre|code|annotation)\b.*?</\1>", "", path.read_text("utf-8"), flags=re.S)
        assert not re.search(r"\{\{|\{%|\$\$|\]\(|\*\*|\[!WARNING|^#+ ", text, flags=re.M), (
            path.name
        )


@pytest.fixture
def served(site):
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
def test_a_browser_shows_every_page_without_complaint(site, served, tmp_path):
    """Every internal link, every picture, no console error, nothing wider than the screen."""
    if (program := browser_program()) is None:
        pytest.skip("needs chromium: sudo apt install chromium")
    pytest.importorskip("websocket")
    browser = Browser(program, tmp_path / "profile")
    try:
        seen, waiting = set(), [f"{served}/index.html"]
        while waiting:
            url = waiting.pop()
            seen.add(url)
            for width in (1280, 390):
                browser.open(url, width)
                assert browser.complaints() == [], url
                too_wide = "document.documentElement.scrollWidth > innerWidth"
                assert browser.ask(too_wide) is False, (url, width)
                bad = "[...document.images].filter(i => !i.complete || !i.naturalWidth)"
                assert browser.ask(f"{bad}.map(i => i.src)") == [], url
            formulas = "[...document.querySelectorAll('math')].map(m => m.clientHeight)"
            assert all(height > 5 for height in browser.ask(formulas)), url
            links = browser.ask("[...document.links].map(a => a.href.split('#')[0])")
            waiting += {a for a in links if a.startswith(served)} - seen - set(waiting)
        assert {url.rpartition("/")[2] for url in seen} == {p.name for p in site.glob("*.html")}
    finally:
        browser.close()


# ---- Two runs.


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("4.71", "4.73", True),
        ("4.71", "5.71", False),
        ("939,264", "939,264", True),
        ("939,264", "1,939,264", False),
        ("0.97", "0.98", True),
        ("1.0", "1.1", True),  # one unit in the last place
        ("8 of 23", "9 of 23", False),
        ("8 of 23", "8 of 24", True),
        ("[3, 4]", "[3, 4, 5]", False),
        ("6.6e-08", "6.7e-08", True),
        ("6.6e-08", "6.6e-04", False),
        ("True", "False", False),
        ("nan", "4.7", False),
        ("inf", "4.7", False),
        ("inf", "-inf", False),
        ("inf", "Inf", True),
        ("inf at 100", "inf at 101", True),
        ("[0.3, 0.0021]", "[0.3, 0.09]", False),
        ("[0.3, 0.0021]", "[0.4, 0.0022]", True),
        ("True", "–", False),
    ],
)
def test_values_agree_within_tolerance_and_rounding(a, b, same):
    assert agree(a, b, 0.05) is same


def chapter_with(change=lambda notebook: None, loss="4.71", **env) -> Chapter:
    notebook = small_notebook(loss=loss)
    change(notebook)
    run = {"device": "cpu", "versions": {"torch": "2.13.0"}, "commit": "a", "switches": {}} | env
    return describe("ch01", notebook).with_run({"environment": run})


def changed(name: str, source: str):
    def change(notebook):
        cell(notebook, name).source = source

    return change


def skip(notebook):
    cell(notebook, "-train").execution_count = None


def swap(notebook):
    cell(notebook, "-train").execution_count, cell(notebook, "-plot").execution_count = 3, 2


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        (chapter_with(loss="9", device="cuda, H100"), "device: cpu in A, cuda, H100 in B"),
        (
            chapter_with(loss="9", versions={"torch": "2.14.0"}),
            "version of torch: 2.13.0 in A, 2.14.0 in B",
        ),
        (
            chapter_with(changed("-seed", "torch.manual_seed(7)"), "9"),
            "seed: cell `ch01-seed` sets 123 in A, 7 in B",
        ),
        (chapter_with(changed("-train", "print(1)"), "9"), "the code of `ch01-train` differs"),
        (chapter_with(skip, "9"), "in B: One cell was not run: `ch01-train`"),
        (chapter_with(swap, "9"), "in B: Cell `ch01-train` ran as number 3 where 2 was due"),
        (chapter_with(loss="9", commit="b"), "the course's modules: commit a in A, b in B"),
        (
            chapter_with(loss="9", switches={"COURSE_MODEL": "gpt2"}),
            "switches: none in A, COURSE_MODEL=gpt2 in B",
        ),
        (chapter_with(loss="9"), "depends on clock or threads"),
        (chapter_with(loss="9").with_run(None), "device and versions of B are not recorded"),
    ],
    ids=lambda value: value[:24] if isinstance(value, str) else "",
)
def test_a_difference_has_its_likely_cause(other, cause):
    text, n_differ = compare_chapter(chapter_with(), other, 0.05)
    assert n_differ == 1
    (line,) = re.findall(r"Likely cause: (.*)\.$", text, flags=re.M)
    assert cause in line


def test_a_changed_cell_is_likelier_than_the_device():
    other = chapter_with(changed("-seed", "torch.manual_seed(7)"), "9", device="cuda")
    assert [cause.split(":")[0] for cause in likely_causes(chapter_with(), other)] == [
        *("seed", "device"),
    ]


def test_causes_come_in_the_order_of_the_cells():
    def change(notebook):
        for i in range(9):
            notebook.cells.insert(3, code(f"ch01-new-{9 - i}", f"seed({seed + i})", None))

    sides = []
    for seed in (0, 50):
        versions = {name: f"{seed}.0" for name in ("python", "torch", "numpy", "tiktoken")}
        sides.append(chapter_with(change, versions=versions))
    causes = [cause for cause in likely_causes(*sides) if not cause.startswith("in ")]
    found = [re.search(r"cell `ch01-new-(\d)`|version of (\w+)", cause) for cause in causes]
    assert [m[1] or m[2] for m in found] == [*"123456789", "python", "torch", "numpy", "tiktoken"]


def test_equal_values_of_a_broken_run_are_not_passed_over(course, capsys):
    text, n_differ = compare_chapter(chapter_with(), chapter_with(skip), 0.05)
    assert n_differ == 0 and "But in B: One cell was not run" in text
    before = save(small_notebook(), course).read_text()
    notebook = small_notebook()
    skip(notebook)
    broken = course / "broken.ipynb"
    nbformat.write(notebook, broken)
    (course / "whole.ipynb").write_text(before)
    assert main(["compare", str(course / "whole.ipynb"), str(broken)], course) == 1
    out = capsys.readouterr().out
    assert out.endswith("\nnot every run holds: broken.\n") and "whole and broken  Chapter" in out


def test_a_missing_chapter_is_not_passed_over(course, capsys):
    three = course.parent / "three"
    shutil.copytree(course, three)
    for name in ("ch02", "ch03"):
        save(small_notebook(name), course, name)
        save(small_notebook(name), three, name)
    save(small_notebook("ch04"), course, "ch04")
    nbformat.write(small_notebook(), course / "playbook" / "mine.ipynb")
    for a, b, side in ((course, three, "A"), (three, course, "B")):
        assert main(["compare", str(a), str(b)], course) == 1
        out = capsys.readouterr().out
        assert f"Only in {side}: ch04, mine\nnot on both sides: ch04.\n" in out
    (course / "ch04" / "ch04.ipynb").unlink()
    assert main(["compare", str(course), str(three)], course) == 0  # a learner's own may be missing
    assert capsys.readouterr().out.endswith("Only in A: mine\nEverything agrees.\n")


def test_two_notebooks_are_compared_whatever_their_names(course, capsys):
    mine = course / "playbook" / "mine.ipynb"
    nbformat.write(small_notebook(loss="9.9"), mine)
    commit(course)
    assert main(["compare", str(course / "ch01" / "ch01.ipynb"), str(mine)], course) == 1
    assert "1 result differs." in capsys.readouterr().out
    assert main(["compare", "HEAD", str(mine)], course) == 0


def test_the_run_that_came_with_the_course_stays_known_after_a_commit(course, capsys):
    assert main(["reference"], course) == 0
    reference = json.loads((course / "playbook" / "reference.json").read_text())
    assert "seconds" not in reference["chapters"]["ch01"]["run"]
    commit(course)
    assert main(["compare"], course) == 0
    assert read_side("HEAD", course).chapters["ch01"].run["environment"]["device"] == "cpu"
    index, page = book_of(course).pages
    assert "These are the outputs that came with the course" in page.text
    assert "none failed. The outputs are those of the run that came with the course" in page.text
    assert "| ran whole, as it came with the course |" in index.text
    save(small_notebook(loss="9.9"), course)
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "-C", course, *who, "commit", "-qam", "mine"], check=True)
    assert "came with the course" not in book_of(course).pages[1].text
    assert read_side("HEAD", course).chapters["ch01"].run is None
    capsys.readouterr()
    assert main(["compare"], course) == 1
    assert "4.71   9.9  differs" in re.sub(r" {3,}", "   ", capsys.readouterr().out)


def test_the_learners_copy_takes_the_place_of_the_chapter(course, tmp_path):
    assert main(["reference"], course) == 0
    commit(course)
    make_copies(course)
    mine = course / "my" / "ch01" / "ch01.ipynb"
    assert learners_notebooks(course) == {"ch01": mine}
    nbformat.write(small_notebook(loss="9.9", answer="Because."), mine)
    assert build(tmp_path / "out", [], root=course) in (0, 1)  # a tool may be missing here
    text = (tmp_path / "out" / "playbook.md").read_text(encoding="utf-8")
    assert "9.9" in text and "1 of 2" in text and "came with the course" not in text
    # Held against the committed original, an edited cell is found.
    changed = small_notebook()
    cell(changed, "-train").source = "print(train(2))"
    nbformat.write(changed, mine)
    found = [p.kind for p in read_chapter("ch01", mine, course).problems]
    assert found == ["edited"]
    assert main(["reference"], course) == 0  # which is of the course's own
    assert reference_chapters(course)["ch01"].result["loss"] == "4.71"


def test_a_run_is_kept_in_the_learners_copy(course, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(playbook.build, "run_all", lambda notebooks, root: ran.append(notebooks))
    build(tmp_path / "out", [], run=True, root=course)
    assert ran == [{"ch01": course / "my" / "ch01" / "ch01.ipynb"}]


def test_the_reference_takes_time_and_place_from_the_record(course):
    runs_folder(course).mkdir()
    (runs_folder(course) / "ch01.json").write_text(json.dumps(record_of(small_notebook())))
    assert main(["reference"], course) == 0
    run = reference_chapters(course)["ch01"].run
    assert run["seconds"] == 125.0 and run["environment"]["device"] == "cuda, H100"
    assert run["environment"]["commit"] == ""
    (runs_folder(course) / "ch01.json").unlink()
    page = book_of(course).pages[1]
    assert "**How long?** 2 min 05 s on cuda, H100, in the run that came with the course." in (
        page.text
    )
    save(small_notebook(loss="4.6"), course)  # executed again, here and without a record
    assert main(["reference"], course) == 0
    run = reference_chapters(course)["ch01"].run
    assert run["seconds"] == 125.0 and run["environment"]["device"] == "cpu"
    notebook = small_notebook()
    skip(notebook)
    save(notebook, course)
    assert main(["reference"], course) == 2


def test_a_cell_edited_and_committed_without_a_run_is_found(course):
    assert main(["reference"], course) == 0
    notebook = small_notebook()
    cell(notebook, "-train").source = "print(train(rate=2))"
    save(notebook, course)
    commit(course)
    chapter = read_chapter("ch01", course / "ch01" / "ch01.ipynb", course)
    assert [problem.kind for problem in chapter.problems] == ["edited"]


def test_what_the_readme_shows_of_the_calls_exists():
    readme = (ROOT / "playbook" / "README.md").read_text(encoding="utf-8")
    chapters = json.loads((ROOT / "playbook" / "reference.json").read_text())["chapters"]
    cells = {cell["id"] for chapter in chapters.values() for cell in chapter["cells"]}
    shown = re.findall(r'\{\{ (\w+)\("([^"]+)"(?:, "([^"]+)")?', readme)
    assert {call for call, *_ in shown} == {
        *("result", "either", "table", "plot", "figure", "code", "journey"),
    }
    for call, first, second in shown:
        match call:
            case "result" | "either":
                assert second in chapters[first]["result"]
            case "plot" | "code":
                assert first in cells
            case "figure":
                assert (ROOT / first).is_file()
            case "table":
                assert first in chapters
            case "journey":
                assert part_of_page(first, ROOT, str)


def test_the_reference_fits_the_committed_notebooks():
    reference = reference_chapters()
    now = {
        name: describe(name, load(path))
        for name, path in main_notebooks().items()
        if is_course_chapter(name)
    }
    old = [n for n, c in now.items() if n not in reference or c.cells != reference[n].cells]
    old += [n for n in reference if n not in now]
    assert old == [], "run `python -m playbook reference` and commit playbook/reference.json"
    assert all(chapter.run["seconds"] > 0 for chapter in reference.values())


def test_a_chapter_comes_back_from_its_file_as_it_was():
    chapter = replace(chapter_with(skip), problems=(Problem("run", "It broke off."),))
    data = json.loads(json.dumps(chapter.to_json()))
    back = Chapter.from_json("ch01", data)
    kept = ("name", "title", "result", "cells", "problems", "run")
    assert [getattr(back, name) for name in kept] == [getattr(chapter, name) for name in kept]


def test_every_kind_of_side_can_be_compared(course, capsys):
    commit(course)
    save(small_notebook(loss="9.9"), course)
    out = course / "out"
    build(out, [], root=course)
    runs_folder(course).mkdir()
    (runs_folder(course) / "ch01.json").write_text(json.dumps(record_of(small_notebook())))
    sides = [course, course / "ch01" / "ch01.ipynb", out, out / "playbook.json"]
    for side in [*map(str, sides), str(runs_folder(course) / "ch01.json"), "HEAD"]:
        assert list(read_side(side, course).chapters) == ["ch01"]
    capsys.readouterr()
    assert main(["compare", "HEAD"], course) == 1  # against the folder
    assert "4.71   9.9  differs" in re.sub(r" {3,}", "   ", capsys.readouterr().out)
    assert main(["compare", "HEAD", "HEAD"], course) == 0
    assert main(["compare", "HEAD", str(out), "--tolerance", "0.9"], course) == 0


@pytest.mark.parametrize("side", ["nowhere", "empty", "some.json", "--tolerance=2"])
def test_a_side_that_cannot_be_compared_is_refused(course, capsys, monkeypatch, side):
    commit(course)
    monkeypatch.chdir(course)
    Path("empty").mkdir()
    Path("some.json").write_text('{"chapters": 3}')
    assert main(["compare", side], course) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


def test_the_reference_names_the_version_that_the_course_pins():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for chapter in reference_chapters().values():
        version = chapter.run["environment"]["versions"]["torch"]
        assert f'"torch=={version.partition("+")[0]}"' in project
