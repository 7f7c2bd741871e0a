"""A main notebook is a lesson of 40 to 50 minutes; a bonus notebook has depth, and an end as well.

`python -m course.lessons` prints what is counted here, section by section.
"""

import re
from pathlib import Path

import nbformat
import pytest
from course_files import (
    BONUS,
    CHAPTERS,
    ROOT,
    bonus_notebooks,
    main_notebook,
    read_notebook,
    relative,
)
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course import lessons
from course.lessons import Count

MAX_SECTION = 10  # minutes
TOLERANCE = 2  # minutes between what is planned for a section and what is counted
MAX_LINE = 80  # characters of code
HEAD = ("You will be able to", "Letters", "Time")
ASKS = re.compile(  # to guess what the next cell shows
    r"\b(?:Guess|Predict)\b|\b[Dd]o you expect\b|\b[Bb]efore you (?:run|open|look)\b"
    r"|\bSay what\b[^.?!]*\b(?:before|must|print)\b"
    r"|\b(?:[Ww]hich|[Ww]hat|[Hh]ow much|[Hh]ow many)\b[^.?!]*\bwill\b[^.?!]*\?"
)

LESSONS = [f for f in CHAPTERS if main_notebook(f).exists()]
each_lesson = pytest.mark.parametrize("path", [main_notebook(f) for f in LESSONS], ids=relative)
each_bonus = pytest.mark.parametrize("path", BONUS, ids=relative)


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def over_budget(notebook, running: float) -> list[str]:
    """What keeps a notebook from being a lesson, a sentence for each."""
    counts = lessons.count_sections(notebook)
    total = sum(count.minutes for count in counts.values()) + running
    problems = [f"it takes {total:.1f} minutes, not 40 to 50"] if not 40 <= total <= 50 else []
    for title, planned in lessons.sections_of(notebook):
        minutes = counts[title].minutes
        if minutes > MAX_SECTION:
            problems.append(f"{title} takes {minutes:.1f} minutes, more than {MAX_SECTION}")
        if abs(minutes - planned) > TOLERANCE:
            problems.append(f"{title} takes {minutes:.1f} minutes, {planned} are planned")
    return problems


def long_lines(path: Path) -> list[str]:
    """The lines of code that are longer than a shared screen shows."""
    code = [c for c in read_notebook(path).cells if c.cell_type == "code"]
    lines = ((c.id, line) for c in code for line in c.source.splitlines())
    return [f"{cell_id}: {line}" for cell_id, line in lines if len(line) > MAX_LINE]


@each_lesson
def test_a_lesson_keeps_its_minutes(path: Path):
    running = lessons.running_minutes(path.stem)
    problems = over_budget(read_notebook(path), running)
    assert not problems, "\n".join([*problems, lessons.report(path.stem, path)])


@each_lesson
def test_a_lesson_has_the_head_that_all_have(path: Path):
    title, event = read_notebook(path).cells[:2]
    assert re.fullmatch(r"# (Chapter \d|Appendix [A-Z])\. [^\n]+\n\n[^\n]+", title.source)
    assert "event" in tags(event)
    assert tuple(re.findall(r"^\*\*([^*]+?)\.?\*\*", event.source, flags=re.M)) == HEAD


@each_lesson
def test_the_head_shows_the_sections_of_the_metadata(path: Path):
    notebook = read_notebook(path)
    event, plan = notebook.cells[1].source, lessons.plan(notebook, path.parent)
    message = f"run `python -m course.lessons --write {path.stem}`"
    assert event == lessons.with_plan(event, plan), message


@each_lesson
def test_code_of_a_lesson_fits_a_shared_screen(path: Path):
    assert [line for p in [path, *bonus_notebooks(path.parent)] for line in long_lines(p)] == []


def answers_shown(notebook) -> list[str]:
    """The cells whose output stands open below a text that asks to guess it."""
    shown = []
    for before, cell in zip(notebook.cells, notebook.cells[1:]):
        if before.cell_type != "markdown" or cell.cell_type != "code" or not cell.outputs:
            continue
        asks = ASKS.search(re.sub(r"!\[[^\]]*\]|<img[^>]*>", "", before.source))
        if asks and not cell.metadata.get("jupyter", {}).get("outputs_hidden"):
            shown.append(f"{cell.id} shows what “{asks[0]}” asks for")
    return shown


@pytest.mark.parametrize(
    "path", [p for f in LESSONS for p in [main_notebook(f), *bonus_notebooks(f)]], ids=relative
)
def test_the_answer_to_a_guess_is_folded(path: Path):
    assert answers_shown(read_notebook(path)) == [], 'give it "jupyter": {"outputs_hidden": true}'


@pytest.mark.parametrize(
    ("text", "asks"),
    [
        ("Guess which word is nearest.", True),
        ("Which word will it read?", True),
        ("Say what each line will print.", True),
        ("Compute it before you run the cell.", True),
        ("What is one hot?", False),
        ("What can it do? It will guess the next token.", False),
        ("It has to guess “bridge”. What has it gained?", False),
        ("![What will it read? A picture.](figures/a.svg) Now the code.", False),
    ],
)
def test_who_asks_to_guess_is_found(text: str, asks: bool):
    code = new_code_cell("1", id="c", outputs=[new_output("stream", text="1\n")])
    assert bool(answers_shown(new_notebook(cells=[new_markdown_cell(text), code]))) is asks
    code.metadata["jupyter"] = {"outputs_hidden": True}
    assert answers_shown(new_notebook(cells=[new_markdown_cell(text), code])) == []
    code.metadata, code.outputs = {}, []
    assert answers_shown(new_notebook(cells=[new_markdown_cell(text), code])) == []


# ---- Bonus notebooks.


@each_bonus
def test_a_bonus_asks_a_question_and_shows_figure_asserts_and_result(path: Path):
    cells = read_notebook(path).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    head = cells[0].source
    assert re.match(r"# [^\n]+\n\n", head) and "?" in head
    assert sum((lessons.count(cell) for cell in cells), Count()).pictures > 0
    assert any(re.search(r"^ *(assert\b|.*\bassert_\w+\()", c.source, flags=re.M) for c in code)
    assert "result" in tags(code[-1]) and code[-1].outputs
    headings = re.findall(r"^## +(.+)", "\n".join(c.source for c in cells), flags=re.M)
    assert "Exercise" in headings


@each_bonus
def test_a_bonus_takes_less_than_50_minutes(path: Path):
    whole = sum((lessons.count(cell) for cell in read_notebook(path).cells), Count())
    assert whole.minutes < 48.5  # it may run for 90 seconds


@each_bonus
def test_the_lesson_says_where_a_bonus_is(path: Path):
    lesson = read_notebook(main_notebook(path.parents[1]))
    text = "\n".join(c.source for c in lesson.cells if c.cell_type == "markdown")
    assert f"bonus/{path.name}" in text


def test_the_readme_lists_lessons_and_depth_with_their_minutes():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[^|\n]*\]\(([^)]+\.ipynb)\) \| \d+ min \|", readme, flags=re.M)
    lessons_and_depth = [main_notebook(f) for f in CHAPTERS if main_notebook(f).exists()] + BONUS
    own_subject = sorted((ROOT / "subject" / "examples" / "clocks").glob("*.ipynb"))
    assert sorted(rows) == sorted(map(relative, [*lessons_and_depth, *own_subject]))
    assert readme == lessons.with_minutes(readme), "run `python -m course.lessons --write`"


def test_a_bonus_has_at_most_a_module_or_a_package_of_its_own_name():
    modules = {m for f in CHAPTERS for m in f.glob("bonus/**/*.py") if m.name != "__init__.py"}
    owned = {m for m in modules for own in (m, m.parent) if own.with_suffix(".ipynb") in BONUS}
    assert {relative(m) for m in modules - owned} == set()
    assert {relative(m) for m in modules if not (m.parent / "__init__.py").exists()} == set()


def test_no_two_cells_of_a_chapters_lesson_and_depth_have_one_id():
    for folder in CHAPTERS:
        paths = [main_notebook(folder), *bonus_notebooks(folder)]
        ids = [cell.id for path in paths for cell in read_notebook(path).cells]
        assert sorted(ids) == sorted(set(ids)), folder.name


# ---- The counting itself.


def small_notebook(*cells, minutes: int = 5, title: str = "1.1 First"):
    notebook = new_notebook(cells=list(cells))
    sections = [{"title": title, "minutes": minutes}, {"title": "1.2 Last", "minutes": minutes}]
    notebook.metadata["course"] = {"sections": sections}
    return notebook


@pytest.mark.parametrize(
    ("text", "words", "pictures"),
    [
        ("Four words, `of_prose` here.", 4, 0),
        ("It isn't state-of-the-art: 1,024 at 0.1.", 6, 0),
        ("See [this page](https://example.com/a/b) <b>now</b>.", 4, 0),
        ("![Two words](figures/a.svg) Said <img src='b.svg'>.", 1, 2),
        ("Before\n\n```python\nx = 1\n```\n\nafter", 2, 0),
        ("", 0, 0),
    ],
)
def test_prose_is_counted_as_it_is_spoken(text: str, words: int, pictures: int):
    assert lessons.count(new_markdown_cell(text)) == Count(words=words, pictures=pictures)


def test_lines_and_plots_are_counted():
    plot = new_output("display_data", data={"image/png": "", "text/plain": ""})
    text = new_output("stream", text="1\n")
    cell = new_code_cell("# why\nx = 1\n\nprint(x)\n", outputs=[text, plot, plot])
    assert lessons.count(cell) == Count(lines=3, pictures=2, cells=1)
    assert Count(words=140, lines=20, pictures=4).minutes == 3


def test_what_stands_before_the_first_section_counts_with_it_and_the_end_with_the_last():
    cells = [new_markdown_cell(text) for text in ("# Title", "## 1.1 First", "## 1.2 Last", "one")]
    counts = lessons.count_sections(small_notebook(*cells, new_markdown_cell("## Result\n\nend")))
    assert [count.words for count in counts.values()] == [3, 5]


@pytest.mark.parametrize(
    ("words", "minutes", "running", "problem"),
    [
        ([8 * 140 - 2] * 2, 8, 30, ""),
        ([8 * 140 - 2] * 2, 8, 35, "it takes 51.0 minutes, not 40 to 50"),
        ([8 * 140 - 2] * 2, 8, 20, "it takes 36.0 minutes, not 40 to 50"),
        ([8 * 140 - 2] * 2, 11, 30, "1.1 First takes 8.0 minutes, 11 are planned"),
        ([11 * 140 - 2] * 2, 10, 25, "1.1 First takes 11.0 minutes, more than 10"),
    ],
)
def test_what_is_over_budget_is_named(words, minutes, running, problem):
    texts = [f"## {t}\n\n{n * 'a '}" for t, n in zip(("1.1 First", "1.2 Last"), words)]
    notebook = small_notebook(*map(new_markdown_cell, texts), minutes=minutes)
    assert "".join(over_budget(notebook, running)[:1]) == problem


def test_the_plan_is_written_into_the_head_once_and_again(tmp_path):
    path = tmp_path / "ch01" / "ch01.ipynb"
    path.parent.mkdir()
    head = new_markdown_cell("**Letters.** None.", metadata={"tags": ["event"]})
    notebook = small_notebook(new_markdown_cell("# T"), head, minutes=20)
    nbformat.write(notebook, path)
    assert lessons.write_plan(path) and not lessons.write_plan(path)
    text = nbformat.read(path, as_version=4).cells[1].source
    assert text == (
        "**Letters.** None.\n\n"
        "**Time.** 40 minutes at the desk, alone about 1½ hours.\n\n"
        "| Section | Minutes |\n|:--|--:|\n| 1.1 First | 20 |\n| 1.2 Last | 20 |"
    )
    other = small_notebook(minutes=5, title="1.1 Other")
    assert lessons.with_plan(text, lessons.plan(other, path.parent)).count("**Time.**") == 1
    words = lessons.count(new_markdown_cell(text)).words
    assert words == 2  # the plan itself is not spoken


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (10, "half an hour"),
        (44, "half an hour"),
        (60, "an hour"),
        (94, "1½ hours"),
        (120, "2 hours"),
    ],
)
def test_hours_are_said_to_the_half(minutes: int, said: str):
    assert lessons.in_hours(minutes) == said


def test_the_minutes_of_a_row_are_counted_again(tmp_path):
    path = tmp_path / "ch01" / "bonus" / "a.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=[new_markdown_cell(280 * "a ")]), path)
    row = "| [A b](ch01/bonus/a.ipynb) | 9 min | what [c](d.ipynb) is |\n"
    assert lessons.with_minutes(row, tmp_path) == row.replace("9 min", "2 min")


def test_an_unknown_chapter_is_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["lessons", "ch99"])
    assert lessons.main() == 2
    assert capsys.readouterr().err.startswith("No chapter is called ch99; there are ch01, ")


def test_the_command_prints_every_section(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["lessons", "ch03"])
    assert lessons.main() == 0
    printed = capsys.readouterr().out
    notebook = read_notebook(main_notebook(ROOT / "ch03"))
    assert all(title[:40] in printed for title, _ in lessons.sections_of(notebook))
    assert "a lesson of" in printed
