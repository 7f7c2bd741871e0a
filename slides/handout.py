"""A chapter on one page of paper, for the chat of the call.

    python -m slides handout ch04       # slides/_build/ch04-handout.pdf

Nothing on it is written a second time:

- the figure is the first one of the lesson, or the one that its metadata names, course.figure;
- the five sentences to remember are the first ones of the takeaways, those of the longest
  sections; where there are fewer takeaways, their second sentences follow;
- the letters stand in the lesson's head, and shapes in the docstrings of its definitions;
- the exercises are those of the chapter, with how hard they are and their minutes.
"""

import argparse
import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from pypdf import PdfReader

from course.files import written_whole
from course.lessons import ROOT
from playbook.pages import Book, Page
from playbook.pdf import write_pdf
from playbook.read import load
from playbook.tools import Failed, Missing
from slides.chapter import Chapter, read_chapters
from slides.deck import LAYOUT, build_folder, write_index
from slides.needs import python_of
from slides.shorten import WHOLE, blocks, picture_part, sentences, unlinked
from slides.words import say

N_SENTENCES = 5
WIDTHS = (92, 84, 76, 68, 60, 52, 44, 36)  # of the figure, in per cent: the first with one page
DRAFT = re.compile(r"V\d+$|naive|by_hand|^Dummy")
EXERCISE = re.compile(r"^## +Exercise +(.+?)\n+\*Difficulty (\d) of 5 · (\d+) minutes", re.M)
EXERCISE_KO = re.compile(r"^## +연습 문제 +(.+?)\n+\*난이도 (\d) / 5 · (\d+)분", re.M)


@dataclass(frozen=True)
class Exercise:
    title: str
    difficulty: int  # of 5
    minutes: int


def takeaways(chapter: Chapter) -> list[tuple[int, list[str]]]:
    """The minutes of each section and the sentences of its takeaway, in order."""
    return [
        (section.minutes, sentences(WHOLE.sub("", block).strip()))
        for section in chapter.sections
        for cell in section.cells
        if not cell.is_code
        for kind, block in blocks(cell.source)
        if kind == "text" and WHOLE.match(block)
    ]


def to_remember(chapter: Chapter) -> list[str]:
    """Five sentences, in the order of the lesson."""
    found = takeaways(chapter)
    ranks = sorted(range(len(found)), key=lambda i: -found[i][0])
    ranked = [(i, k) for k in range(2) for i in ranks if len(found[i][1]) > k]
    return [found[i][1][k] for i, k in sorted(ranked[:N_SENTENCES])]


def shapes(chapter: Chapter) -> list[tuple[str, str]]:
    """Definitions and the shapes that their docstrings name; drafts are left out."""
    found = {}
    for cell in chapter.code:
        for node in ast.parse(python_of(cell.source)).body:
            if not isinstance(node, ast.ClassDef | ast.FunctionDef) or DRAFT.search(node.name):
                continue
            text = re.search(
                r"Shapes:\s*(.+?)(?=\n\s*\n|\n\s*[A-Z]\w+:|\Z)", ast.get_docstring(node) or "", re.S
            )
            if text:
                found[node.name] = " ".join(text[1].split()).rstrip(".")
    return list(found.items())


def letters(chapter: Chapter) -> str:
    """The paragraph of the lesson's head that says what the letters stand for, or nothing."""
    head = next((c for c in chapter.cells if "event" in c.tags), None)
    texts = [block for kind, block in blocks(head.source if head else "") if kind == "text"]
    return next((t for t in texts if re.match(r"\*\*(?:Letters|기호|문자)\.\*\*", t)), "")


def figure(chapter: Chapter) -> tuple[str, str] | None:
    """The address of the chapter's figure beside the notebook, and what it depicts."""
    found = [
        picture_part(block)
        for cell in chapter.cells
        if not cell.is_code
        for kind, block in blocks(cell.source)
        if kind == "picture"
    ]
    named = chapter.metadata.get("figure")
    chosen = [p for p in found if p.shown == named] or found
    return (chosen[0].shown, chosen[0].left) if chosen else None


def exercises(chapter: Chapter) -> list[Exercise]:
    path = chapter.folder / "exercises.ipynb"
    if not path.exists():
        return []
    texts = [cell["source"] for cell in load(path)["cells"] if cell["cell_type"] == "markdown"]
    rows = [m.groups() for t in texts if (m := EXERCISE.search(t) or EXERCISE_KO.search(t))]
    return [Exercise(title, int(difficulty), int(minutes)) for title, difficulty, minutes in rows]


def exercise_table(found: list[Exercise]) -> list[str]:
    """Two exercises on a row."""
    dots = ["●" * n + "○" * (5 - n) for n in range(6)]
    cells = [f"{e.title} | {dots[e.difficulty]} | {say('minutes', n=e.minutes)}" for e in found]
    half = (len(cells) + 1) // 2
    pairs = zip(cells[:half], [*cells[half:], " | | "])
    return ["| | | | | | |", "|:--|:--|--:|:--|:--|--:|", *(f"| {a} | {b} |" for a, b in pairs)]


def text_of(chapter: Chapter) -> str:
    """The handout as Markdown; its figure lies in figures/."""
    lines = [f"# {chapter.title}", ""]
    if drawn := figure(chapter):
        lines += [f"![{drawn[1]}](figures/{Path(drawn[0]).name})", ""]
    lines += [f"## {say('to remember')}", ""]
    lines += [f"{i}. {unlinked(s)}" for i, s in enumerate(to_remember(chapter), start=1)]
    if named := shapes(chapter):
        lines += ["", f"## {say('shapes')}", "", letters(chapter), "", "| | |", "|:--|:--|"]
        lines += [f"| `{name}` | {shape} |" for name, shape in named]
    at_home = "at home"
    if found := exercises(chapter):
        at_home = "at home, exercises"
        total = sum(exercise.minutes for exercise in found)
        lines += ["", f"## {say('exercises of', n=len(found), minutes=total)}", ""]
        lines += exercise_table(found)
    lines += ["", say(at_home, name=chapter.name, minutes=chapter.minutes)]
    return "\n".join(lines) + "\n"


def handout_path(name: str, root: Path = ROOT) -> Path:
    return build_folder(root) / f"{name}-handout.pdf"


def write_handout(chapter: Chapter, root: Path = ROOT) -> Path:
    """Write the page, with the figure as large as one page allows.

    Raises: Missing without pandoc, typst or a font; Failed if one refuses, or if the text alone is
    longer than a page.
    """
    path, drawn = handout_path(chapter.name, root), figure(chapter)
    pictures = {}
    if drawn:
        pictures[Path(drawn[0]).name] = (chapter.folder / drawn[0]).read_bytes()
    page = Page(chapter.name, chapter.name, chapter.title, text_of(chapter))
    head = (LAYOUT / "handout.typ").read_text(encoding="utf-8")
    with written_whole(path) as draft:
        for width in WIDTHS:
            write_pdf(Book([page], pictures), draft, head.replace("WIDTH", str(width)))
            if len(PdfReader(draft).pages) == 1:
                break
        else:
            raise Failed(say("longer than a page", chapter=chapter.name))
    return path


# ---- The command.


def options(parser: argparse.ArgumentParser) -> None:
    pass


def run(arguments: argparse.Namespace) -> int:
    try:
        for chapter in read_chapters(arguments.chapters):
            print(write_handout(chapter).relative_to(ROOT).as_posix(), flush=True)
        write_index()
    except (Missing, Failed) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
