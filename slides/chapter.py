"""A chapter as its presenter sees it: sections with minutes and the clock, and their cells.

Everything is read from the main notebook: the plan and what viewers ask from its metadata, cells
with their place in the slides and the outputs of the committed run. Beside it lie, in
slides/seconds.json, the seconds that each cell ran in the course's own run.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from course.lessons import ROOT, chapters, sections_of
from playbook.read import BadInput, joined_streams
from slides.words import language, say

SECONDS = "slides/seconds.json"
SLOW = 20  # seconds: a cell that runs longer has no place on the presenter's path
LATE = "late-skip"  # the tag of cells that one leaves out when late; the rest still runs
RESUME = "resume"  # the tag of the cell from which a section starts in a new kernel
INSTEAD = "instead"  # with that tag, of a cell to run in place of the one above, which takes long


@dataclass(frozen=True)
class Cell:
    """One cell; a markdown cell has no outputs and no seconds.

    slide is "slide", "subslide", "fragment", "notes", "skip", or "-" for a part of the slide
    before. outputs are those of the committed run, as nbformat has them, what was printed in
    pieces in one piece. seconds is None where the course's own run has not been timed.
    """

    id: str
    kind: str  # "markdown" or "code"
    slide: str
    source: str
    tags: frozenset[str] = frozenset()
    outputs: tuple[Mapping, ...] = ()
    seconds: float | None = None
    folded: bool = False  # the output is hidden until asked for: viewers guess first
    attachments: Mapping[str, Mapping] = field(default_factory=dict, repr=False)

    @property
    def is_code(self) -> bool:
        return self.kind == "code"

    @property
    def starts(self) -> bool:
        """Whether it is the one from which a section starts in a new kernel."""
        return RESUME in self.tags and INSTEAD not in self.tags

    @property
    def headings(self) -> list[str]:
        """The headings of second level in a markdown cell, with which sections begin."""
        return [] if self.is_code else re.findall(r"^## +(.+?)\s*$", self.source, flags=re.M)

    @property
    def printed(self) -> str:
        """All that the cell's outputs say as text; a picture says nothing."""
        return "\n".join(filter(None, map(text_of, self.outputs)))


@dataclass(frozen=True)
class Section:
    """A section as planned, 12 to 19 minutes into the talk, and its cells.

    What stands before the first section belongs to it, and what stands after the last one as well.
    """

    number: int  # from 1
    title: str
    minutes: int
    start: int
    cells: tuple[Cell, ...]

    @property
    def end(self) -> int:
        return self.start + self.minutes

    @property
    def clock(self) -> str:
        """Its place in the talk: "12–19 min"."""
        return say("clock", start=self.start, end=self.end)

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.is_code]


@dataclass(frozen=True)
class Question:
    """What viewers usually ask, and a good answer."""

    question: str
    answer: str


@dataclass(frozen=True)
class Chapter:
    """One main notebook."""

    name: str  # ch04, appendix-A
    title: str
    path: Path
    sections: tuple[Section, ...]
    asked: tuple[Question, ...] = ()
    metadata: Mapping = field(default_factory=dict, repr=False)

    @property
    def folder(self) -> Path:
        return self.path.parent

    @property
    def minutes(self) -> int:
        return sum(section.minutes for section in self.sections)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        return tuple(cell for section in self.sections for cell in section.cells)

    @property
    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.is_code]

    @property
    def waits(self) -> dict[str, Cell]:
        """The cells that take too long for a talk, by id: each with the cell to run instead.

        They stand in the lesson, and not on the presenter's path.
        """
        pairs = zip(self.code, self.code[1:])
        return {above.id: below for above, below in pairs if INSTEAD in below.tags}

    def section_of(self, cell_id: str) -> Section:
        """The section that a cell stands in."""
        return next(s for s in self.sections if any(c.id == cell_id for c in s.cells))


def text_of(output: Mapping) -> str:
    """What an output says as text."""
    if output["output_type"] == "stream":
        return output["text"].rstrip("\n")
    if output["output_type"] == "error":
        return f"{output['ename']}: {output['evalue']}"
    data = output["data"]
    return "" if "image/png" in data or "image/svg+xml" in data else data.get("text/plain", "")


def read_cell(cell: Mapping, seconds: Mapping[str, float]) -> Cell:
    metadata = cell["metadata"]
    is_code = cell["cell_type"] == "code"
    hidden = metadata.get("jupyter", {}).get("outputs_hidden") or metadata.get("collapsed")
    return Cell(
        id=cell["id"],
        kind=cell["cell_type"],
        slide=metadata.get("slideshow", {}).get("slide_type") or "-",
        source=cell["source"],
        tags=frozenset(metadata.get("tags", [])),
        outputs=tuple(joined_streams(cell["outputs"])) if is_code else (),
        seconds=seconds.get(cell["id"]) if is_code else None,
        folded=bool(hidden),
        attachments=cell.get("attachments", {}),
    )


def read_sections(notebook: Mapping, seconds: Mapping[str, float]) -> tuple[Section, ...]:
    """The planned sections with their cells, which begin at the headings of the same names.

    The cell that brings back what a section needs stands above its heading, and belongs to it.
    """
    planned = sections_of(notebook)
    own: list[list[Cell]] = [[] for _ in planned]
    titles = [title for title, _ in planned]
    now, above = 0, []
    for cell in (read_cell(cell, seconds) for cell in notebook["cells"]):
        if cell.starts:
            above.append(cell)
            continue
        now = next((titles.index(h) for h in cell.headings if h in titles), now)
        own[now] += [*above, cell]
        above = []
    starts = [sum(minutes for _, minutes in planned[:i]) for i in range(len(planned))]
    return tuple(
        Section(i + 1, title, minutes, starts[i], tuple(own[i]))
        for i, (title, minutes) in enumerate(planned)
    )


def reference_seconds(root: Path = ROOT) -> dict[str, dict[str, float]]:
    """chapter -> cell id -> seconds in the course's own run; empty without the file."""
    try:
        return json.loads((root / SECONDS).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        raise BadInput(f"{root / SECONDS} is damaged: take it from git again.") from None


def notebook_of(name: str, root: Path = ROOT) -> Path:
    """A chapter's main notebook: the Korean one for LANGUAGE=ko where it has been built.

    Raises: BadInput if there is no such chapter.
    """
    known = chapters(root)
    if name not in known:
        raise BadInput(f"No chapter is called {name}; there are {', '.join(known)}.")
    translated = root / language() / known[name].relative_to(root)
    return translated if translated.exists() else known[name]


def read_notebook(path: Path) -> dict:
    """A notebook, its texts whole, not validated: nbformat alone takes two seconds to load.

    Raises: BadInput if it cannot be read.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            cell["source"] = whole(cell["source"])
            for output in cell.get("outputs", ()):
                if "text" in output:
                    output["text"] = whole(output["text"])
                data = output.get("data", {})
                data.update({kind: whole(content) for kind, content in data.items()})
        return notebook
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path} cannot be read as a notebook: {error}.") from None


def whole(text: object) -> object:
    """A text that a file may hold in lines."""
    return "".join(text) if isinstance(text, list) else text


def read_chapter(name: str, root: Path = ROOT) -> Chapter:
    """One chapter. Raises: BadInput if there is none of this name, or it has no plan."""
    path = notebook_of(name, root)
    notebook = read_notebook(path)
    course = notebook["metadata"].get("course", {})
    sections = read_sections(notebook, reference_seconds(root).get(name, {}))
    if not sections:
        raise BadInput(f"{path} plans no sections: write them into its metadata, course.sections.")
    heading = next((re.search(r"^# +(.+?)\s*$", c.source, re.M) for c in sections[0].cells), None)
    return Chapter(
        name=name,
        title=heading[1] if heading else name,
        path=path,
        sections=sections,
        asked=tuple(Question(q["question"], q["answer"]) for q in course.get("asked", [])),
        metadata=course,
    )


def read_chapters(names: Iterable[str] = (), root: Path = ROOT) -> list[Chapter]:
    """The chapters of these names, or all."""
    return [read_chapter(name, root) for name in names or chapters(root)]
