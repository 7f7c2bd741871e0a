"""A chapter's run-sheet: what to say and show, and when; and an invitation to it.

    python -m slides sheet ch04             # in the terminal, and as slides/_build/ch04-sheet.html
    python -m slides sheet --open ch04      # and open that page

Everything comes from the notebook and from runs of it: the clock from the plan, what a cell prints
from the committed run, its seconds from the course's run (slides/seconds.json) and from the last
rehearsal here. One stops to ask above the cells whose output is folded: the question is the last
one of the prose before, the answer to expect is what the cell prints. What to leave out when late
is tagged late-skip, and what viewers usually ask stands in the metadata, course.asked.
"""

import argparse
import re
import sys
import textwrap
import webbrowser
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from course.files import written_whole
from course.lessons import ROOT, count
from exercises.quiz import LETTERS, QUIZ, place_of_right
from playbook.read import BadInput, load
from slides.chapter import LATE, RESUME, Cell, Chapter, Question, Section, read_chapters
from slides.deck import LAYOUT, build_folder, deck_path, write_index
from slides.handout import handout_path
from slides.quiz import draw, is_hard, plain, questions_of
from slides.rehearse import last_rehearsal
from slides.shorten import ASKS, BEFORE, blocks, sentences
from slides.words import language, say

WIDTH = 78
N_LINES = 7  # of an expected answer
BAR = re.compile(r"\d+%\|.*\| \d+/\d+ \[")  # a line of tqdm


@dataclass(frozen=True)
class Row:
    """One code cell: what it prints first, and its seconds in the course's run and here."""

    id: str
    shows: str
    course: str
    here: str
    late: bool
    asks: bool


@dataclass(frozen=True)
class Stop:
    """A place to stop and ask: the cell, the question, the answer to expect."""

    cell: str
    question: str
    answer: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One section of the sheet."""

    section: Section
    rows: tuple[Row, ...]
    stops: tuple[Stop, ...]
    late: tuple[str, ...]  # cells to leave out
    saved: float  # minutes
    waits: tuple[str, ...]  # cells that take long: to show, and not to run


@dataclass(frozen=True)
class Sheet:
    """The whole run-sheet."""

    chapter: Chapter
    parts: tuple[Part, ...]
    questions: tuple[dict, ...]
    rehearsed: str
    goal: str

    @property
    def saved(self) -> float:
        return sum(part.saved for part in self.parts)

    @property
    def asked(self) -> Sequence[Question]:
        return self.chapter.asked


def lines_of(cell: Cell) -> list[str]:
    """The lines that a cell prints, without those that only show how far it has come."""
    return [line for line in cell.printed.splitlines() if not BAR.search(line)]


def first_line(cell: Cell) -> str:
    """What a cell shows first: a line of print, a picture, what it defines, or nothing."""
    lines = [line.strip() for line in lines_of(cell) if line.strip()]
    if lines:
        return textwrap.shorten(lines[0], 52, placeholder=" …") or lines[0][:50]
    if any("image/png" in output.get("data", {}) for output in cell.outputs):
        return say("a picture")
    defined = re.findall(r"^(?:def|class) (\w+)", cell.source, flags=re.M)
    return say("defines", names=", ".join(defined)) if defined else ""


def in_seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.1f}"


def question_before(section: Section, cell: Cell) -> str:
    """The last question, or request to guess, of the prose above a cell.

    With it come those directly before it and, as on a slide, two sentences of its paragraph.
    """
    above = section.cells[: section.cells.index(cell)]
    prose = next((c.source for c in reversed(above) if not c.is_code), "")
    paragraphs = [sentences(block) for kind, block in blocks(prose) if kind == "text"]
    for paragraph in reversed(paragraphs):
        asking = [i for i, sentence in enumerate(paragraph) if ASKS.search(sentence)]
        if asking:
            first = asking[-1]
            while first - 1 in asking:  # "Which one? And why?" is one question
                first -= 1
            first = max(0, first - BEFORE)
            while paragraph[first].startswith("("):  # what belongs to a formula above
                first += 1
            return plain(" ".join(paragraph[first : asking[-1] + 1]))
    return plain(paragraphs[-1][-1]) if paragraphs else ""


def stop_at(section: Section, cell: Cell) -> Stop:
    lines = lines_of(cell)
    answer = [line.rstrip() for line in lines[:N_LINES]] or [first_line(cell)]
    if len(lines) > N_LINES:
        answer.append(say("more lines", n=len(lines) - N_LINES))
    return Stop(cell.id, question_before(section, cell), tuple(answer))


def part_of(chapter: Chapter, section: Section, here: dict[str, float]) -> Part:
    code = [cell for cell in section.code if RESUME not in cell.tags]
    rows = tuple(
        Row(
            id=cell.id,
            shows=first_line(cell),
            course=in_seconds(cell.seconds),
            here=in_seconds(here.get(cell.id)),
            late=LATE in cell.tags,
            asks=cell.folded,
        )
        for cell in code
    )
    late = [cell.id for cell in section.cells if LATE in cell.tags]
    cells = {cell["id"]: cell for cell in load(chapter.path)["cells"]}
    return Part(
        section,
        rows,
        tuple(stop_at(section, cell) for cell in code if cell.folded),
        tuple(i for i in late if cells[i]["cell_type"] == "code"),
        sum(count(cells[i]).minutes for i in late),
        tuple(cell.id for cell in code if cell.id in chapter.waits),
    )


def rehearsed_line(chapter: Chapter, record: dict) -> str:
    if not record:
        return say("not rehearsed", chapter=chapter.name)
    key = "rehearsed with problems" if record["problems"] else "rehearsed"
    date = record["date"].replace("T", " ")[:16]
    return say(key, date=date, n=len(record["problems"]), chapter=chapter.name)


def goal_of(chapter: Chapter) -> str:
    """What viewers will be able to do, as the lesson's head says it."""
    head = next((cell.source for cell in chapter.cells if "event" in cell.tags), "")
    return plain(" ".join(head.split("\n\n")[0].split()))


def sheet_of(chapter: Chapter, seed: int = 1, root: Path = ROOT) -> Sheet:
    record = last_rehearsal(chapter.name, root)
    try:
        drawn = draw(questions_of(chapter), seed)
    except BadInput:  # a chapter without a quiz
        drawn = []
    here = record.get("seconds", {})
    return Sheet(
        chapter=chapter,
        parts=tuple(part_of(chapter, section, here) for section in chapter.sections),
        questions=tuple(drawn),
        rehearsed=rehearsed_line(chapter, record),
        goal=goal_of(chapter),
    )


# ---- The invitation.


def invitation(sheet: Sheet, root: Path = ROOT) -> list[str]:
    """A letter to the group, with blanks for what only the presenter knows."""
    chapter = sheet.chapter
    name = chapter.name
    files = [deck_path(name, root), handout_path(name, root)]
    number = re.search(r"\d+$|[A-Z]$", name)
    which = "appendix" if name.startswith("appendix") else "chapter"
    which = "alone" if name == "appendix-F" else which  # the book has none
    read = say(f"read {which}", number=(number[0].lstrip("0") if number else name))
    after = [
        say(f"invitation {kind}", name=name)
        for kind, file in (("exercises", "exercises.ipynb"), ("quiz", QUIZ))
        if (chapter.folder / file).exists()
    ]
    return [
        say("invitation subject", title=chapter.title),
        "",
        say("invitation hello"),
        "",
        say("invitation when", minutes=chapter.minutes),
        "",
        sheet.goal,
        "",
        say("invitation before", read=read),
        say("invitation lab", notebook=f"my/{name}/{name}.ipynb"),
        *after[:1],
        say("invitation attached", files=", ".join(f.relative_to(root).as_posix() for f in files)),
        "",
        say("invitation end"),
    ]


# ---- Two forms of it.


def wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent))


def render(sheet: Sheet, template: str, root: Path = ROOT) -> str:
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(LAYOUT, encoding="utf-8"),
        autoescape=template.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    jinja.filters.update(plain=plain, wrapped=wrapped)
    return jinja.get_template(template).render(
        sheet=sheet,
        chapter=sheet.chapter,
        invitation=invitation(sheet, root),
        say=say,
        letters=LETTERS,
        right=lambda question: LETTERS[place_of_right(question)],
        is_hard=is_hard,
        language=language(),
        deck=deck_path(sheet.chapter.name, root),
    )


def as_text(sheet: Sheet, root: Path = ROOT) -> str:
    """The sheet for the terminal; the answers of the questions come last."""
    return render(sheet, "sheet.txt", root)


def write_page(sheet: Sheet, root: Path = ROOT) -> Path:
    """The sheet as a page, where answers unfold."""
    path = build_folder(root) / f"{sheet.chapter.name}-sheet.html"
    with written_whole(path) as draft:
        draft.write_text(render(sheet, "sheet.html", root), encoding="utf-8")
    return path


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--open", action="store_true", help="open it as a page")
    parser.add_argument("--seed", type=int, default=1, help="which ten questions")


def run(arguments: argparse.Namespace) -> int:
    for chapter in read_chapters(arguments.chapters):
        sheet = sheet_of(chapter, arguments.seed)
        path = write_page(sheet)
        print(as_text(sheet))
        print(say("as a page", path=path.relative_to(ROOT).as_posix()))
        if arguments.open and not webbrowser.open(path.resolve().as_uri()):
            print(say("no browser", path=path), file=sys.stderr)
    write_index()
    return 0
