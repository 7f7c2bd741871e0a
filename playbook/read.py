"""Read a notebook into Event, Action, Result and Reflection, and say what is wrong with its run.

A result is the run's own only if the whole notebook ran once from top to bottom, and nothing was
changed after that. What the notebook itself shows about it is checked here: the numbers in front
of the cells, errors, the table of the result cell. Whether a cell was edited later shows in the
comparison with what is known of an earlier state: the run's record, or the committed notebook.
"""

import base64
import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from bs4 import BeautifulSoup

from course.lessons import TABLE
from course.my import my_copy, original_of

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = "playbook/reference.json"  # the run that came with the course
RUN_ALL = "run it from top to bottom (in Jupyter: Restart Kernel and Run All Cells), or let"
RUN_AGAIN = f"{RUN_ALL} `make playbook RUN=1` do it"
SEED = re.compile(
    r"(?i)(?:seeds?|default_rng|\brandom)(?:\s*:\s*\w+)?\s*[=(]+\s*(\d+(?:\s*,\s*\d+)*)"
)
NEXT = re.compile(r"^[ >*\-_]*(?:next|다음(?: 실험)?)[*_]*\s*[:：][*_ ]*(.+)$", re.I | re.M)
PLACEHOLDER = " \t\n.…_*"
ANSWER = re.compile(r"\*(?:Your answer|나의 답):\*[ \t]*")


class BadInput(Exception):
    """Something that the caller gave cannot be used; the message says what, where, what to do."""


@dataclass(frozen=True)
class Problem:
    """One reason not to trust a record. Kinds: not run, order, error, result, edited, run, page."""

    kind: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Cell:
    """A code cell as it was found: digests of its source and outputs, its number, its seeds."""

    id: str
    source: str
    outputs: str
    count: int | None
    seeds: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Section:
    """A part of the action: its heading, the presenter's minutes, how many code cells it has."""

    title: str
    minutes: int
    n_cells: int


@dataclass(frozen=True)
class Chapter:
    """What one notebook tells of its run."""

    name: str
    title: str
    event: str
    action: tuple[Section, ...]
    result: dict[str, str]
    reflection: str
    cells: tuple[Cell, ...]
    problems: tuple[Problem, ...] = ()
    run: dict | None = None
    folder: Path = field(default=ROOT, compare=False)
    pictures: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict, repr=False)
    sources: dict[str, str] = field(default_factory=dict, repr=False)
    figures: dict[str, str] = field(default_factory=dict, repr=False)
    attachments: dict[str, dict[str, bytes]] = field(default_factory=dict, repr=False)

    def with_run(self, run: dict | None) -> "Chapter":
        return replace(self, run=run)

    @property
    def answered(self) -> tuple[int, int]:
        """How many of the reflection's questions have an answer, and how many there are."""
        answers = [has_answer for _, has_answer in split_answers(self.reflection)][1:]
        return sum(answers), len(answers)

    @property
    def next(self) -> str:
        """The experiment that the reflection names in a line "Next: …", or nothing."""
        found = (m[1].strip() for m in NEXT.finditer(self.reflection))
        return next((text for text in found if text.strip(PLACEHOLDER)), "")

    def to_json(self) -> dict:
        """What a comparison needs of this chapter, without pictures and prose."""
        return {
            "title": self.title,
            "result": self.result,
            "cells": [asdict(cell) for cell in self.cells],
            "problems": [asdict(problem) for problem in self.problems],
            "run": self.run,
        }

    @classmethod
    def from_json(cls, name: str, data: Mapping) -> "Chapter":
        return cls(
            name=name,
            title=data["title"],
            event="",
            action=(),
            result=data["result"],
            reflection="",
            cells=cells_from(data["cells"]),
            problems=tuple(Problem(**problem) for problem in data["problems"]),
            run=data["run"],
        )


def split_answers(reflection: str) -> list[tuple[str, bool]]:
    """The text before the first "Your answer:" and after each, and whether it begins an answer.

    The last paragraph before the next "Your answer:" is the next question, not an answer.
    """
    parts = ANSWER.split(reflection)
    found = []
    for i, part in enumerate(parts):
        first, *others = re.split(r"\n\s*\n", NEXT.sub("", part))
        n_written = sum(bool(text.strip(PLACEHOLDER)) for text in others)
        n_questions = 0 if i == len(parts) - 1 else 1
        found.append((part, bool(first.strip(PLACEHOLDER)) or n_written > n_questions))
    return found


# ---- Where the notebooks are.


def main_notebooks(root: Path = ROOT) -> dict[str, Path]:
    """The chapters' main notebooks, then those of the learner's own in playbook/, by name.

    A bonus notebook is no chapter: it lies in a folder of its own inside of one.
    """
    folders = [f for f in root.iterdir() if is_course_chapter(f.name)]
    folders.sort(key=lambda f: (f.name.startswith("appendix"), f.name))
    found = {f.name: f / f"{f.name}.ipynb" for f in folders}
    own = sorted((root / "playbook").glob("[!._]*.ipynb"))
    return {n: p for n, p in found.items() if p.exists()} | {path.stem: path for path in own}


def learners_notebooks(root: Path = ROOT) -> dict[str, Path]:
    """The same, with the learner's copy in my/ in place of each chapter that has one."""
    return {name: my_copy(path, root) for name, path in main_notebooks(root).items()}


def git(root: Path, *arguments: str) -> str | None:
    """What git answers, or None without git, outside a repository, or if it refuses."""
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def committed_notebook(path: Path, root: Path = ROOT, revision: str = "HEAD") -> Mapping | None:
    """The notebook as git has it, or None."""
    text = git(root, "show", f"{revision}:./{path.relative_to(root).as_posix()}")
    return parse(text, f"{revision}:{path.name}") if text else None


def reference_chapters(root: Path = ROOT) -> dict[str, Chapter]:
    """The run that came with the course, of each chapter; empty without the file."""
    path = root / REFERENCE
    try:
        return chapters_from(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(f"{path} is damaged: take it from git again.") from None


def chapters_from(text: str) -> dict[str, Chapter]:
    """The chapters of a build's record, or of the reference."""
    return {n: Chapter.from_json(n, c) for n, c in json.loads(text)["chapters"].items()}


def is_course_chapter(name: str) -> bool:
    """Whether a chapter came with the course; any other is the learner's own."""
    return re.fullmatch(r"ch\d\d|appendix-[A-Z]", name) is not None


# ---- One notebook.


def digest(thing: object) -> str:
    """A short name for exactly this content."""
    text = thing if isinstance(thing, str) else json.dumps(thing, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def joined_streams(outputs: Iterable[Mapping]) -> list[dict]:
    """Outputs without their number, with what was printed in pieces in one piece.

    A kernel sends text in pieces of any size, and JupyterLab joins them when it saves.
    """
    joined: list[dict] = []
    for output in outputs:
        output = {k: v for k, v in output.items() if k != "execution_count"}
        last = joined[-1] if joined else {}
        if output.get("name") and output["name"] == last.get("name"):
            last["text"] += output["text"]
        else:
            joined.append(output)
    return joined


def cells_from(data: Iterable[Mapping]) -> tuple[Cell, ...]:
    """Cells as they were written to a file."""
    return tuple(Cell(**{**cell, "seeds": tuple(cell["seeds"])}) for cell in data)


def read_cells(notebook: Mapping) -> tuple[Cell, ...]:
    """The code cells; an empty one is never numbered by Jupyter and is left out."""
    cells = []
    for i, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] != "code" or not cell["source"].strip():
            continue
        outputs = joined_streams(cell["outputs"])
        may_fail = "raises-exception" in cell["metadata"].get("tags", [])
        errors = [o["ename"] for o in outputs if o["output_type"] == "error" and not may_fail]
        cells.append(
            Cell(
                id=cell.get("id", f"number {i + 1}"),
                source=digest(cell["source"].strip()),
                outputs=digest(outputs),
                count=cell["execution_count"],
                seeds=tuple(SEED.findall(cell["source"])),
                error=errors[0] if errors else "",
            )
        )
    return tuple(cells)


def tagged(notebook: Mapping, tag: str) -> Mapping | None:
    """The first cell with a tag, or None."""
    cells = (c for c in notebook["cells"] if tag in c["metadata"].get("tags", []))
    return next(cells, None)


def read_result(cell: Mapping | None) -> dict[str, str]:
    """The table of the result cell: name -> value, both as they are shown."""
    result = {}
    for output in cell["outputs"] if cell else ():
        html = output.get("data", {}).get("text/html", "")
        for row in BeautifulSoup(html, "html.parser").select("tbody tr"):
            name, *values = (field.get_text(strip=True) for field in row.find_all(["th", "td"]))
            result[name] = ", ".join(values)
    return result


def without_label(source: str, label: str) -> str:
    """A cell's text without the heading or the bold word that repeats its tag."""
    return re.sub(rf"\A\s*(#+\s*{label}\s*\n|\*\*{label}\.?\*\*)\s*", "", source, flags=re.I)


def read_action(notebook: Mapping) -> tuple[Section, ...]:
    """The sections that the notebook's metadata plans, or else its headings of second level."""
    planned = notebook["metadata"].get("course", {}).get("sections", [])
    minutes = {section["title"]: section["minutes"] for section in planned}
    counts: dict[str, int] = {}
    now = ""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            for heading in re.findall(r"^## +(.+?)\s*$", cell["source"], flags=re.M):
                now = heading
                counts.setdefault(now, 0)
        elif now and cell["source"].strip() and "result" not in cell["metadata"].get("tags", []):
            counts[now] += 1
    titles = minutes or {title: 0 for title in counts if title.lower() != "reflection"}
    return tuple(Section(t, minutes.get(t, 0), counts.get(t, 0)) for t in titles)


def read_pictures(notebook: Mapping) -> dict[str, list[tuple[str, bytes]]]:
    """The pictures that code cells drew: cell id -> (suffix, content) of each."""
    pictures: dict[str, list[tuple[str, bytes]]] = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/svg+xml" in data:
                picture = (".svg", "".join(data["image/svg+xml"]).encode())
            elif "image/png" in data:
                picture = (".png", base64.b64decode(data["image/png"]))
            else:
                continue
            pictures.setdefault(cell.get("id", ""), []).append(picture)
    return pictures


def read_attachments(cell: Mapping | None) -> dict[str, bytes]:
    """Pictures that were pasted into a markdown cell, by name."""
    return {
        name: base64.b64decode(content)
        for name, kinds in (cell or {}).get("attachments", {}).items()
        for content in kinds.values()
    }


# ---- What is wrong with a run.


def some(ids: Iterable[str]) -> str:
    """Up to three names, and how many more."""
    ids = list(ids)
    more = f" and {len(ids) - 3} more" if len(ids) > 3 else ""
    return ", ".join(f"`{i}`" for i in ids[:3]) + more


def out_of_order(cells: Iterable[Cell]) -> tuple[Cell, int] | None:
    """The first cell whose number does not follow the one before it, and the number expected."""
    expected = 1
    for cell in cells:
        if cell.count is not None:
            if cell.count != expected:
                return cell, expected
            expected += 1
    return None


def run_problems(cells: tuple[Cell, ...]) -> list[Problem]:
    """Cells that were skipped, out of order, or failed."""
    problems = []
    if skipped := [cell.id for cell in cells if cell.count is None]:
        were = "One cell was" if len(skipped) == 1 else f"{len(skipped)} cells were"
        text = f"{were} not run: {some(skipped)}; {RUN_AGAIN}."
        problems.append(Problem("not run", text))
    if wrong := out_of_order(cells):
        cell, expected = wrong
        text = (
            f"Cell `{cell.id}` ran as number {cell.count} where {expected} was due, so cells ran "
            f"out of order or more than once; {RUN_AGAIN}."
        )
        problems.append(Problem("order", text))
    for cell in cells:
        if cell.error:
            text = f"Cell `{cell.id}` ended in an error, {cell.error}; mend it, then {RUN_AGAIN}."
            problems.append(Problem("error", text))
    return problems


def edited_cells(cells: Iterable[Cell], known: Iterable[Cell]) -> list[str]:
    """Cells that differ from a known state whose outputs all still stand: edited after the run.

    If any number or output is another one, the notebook has been run since, and nothing is known.
    """
    before = {cell.id: cell for cell in known}
    both = [(cell, before[cell.id]) for cell in cells if cell.id in before]
    if any((a.count, a.outputs) != (b.count, b.outputs) for a, b in both):
        return []
    return [a.id for a, b in both if a.source != b.source]


def same_run(cells: Iterable[Cell], known: Iterable[Cell]) -> bool:
    """Whether every number and output is that of a known run, whatever the sources are."""
    return [(c.id, c.count, c.outputs) for c in cells] == [
        (c.id, c.count, c.outputs) for c in known
    ]


def station_problems(notebook: Mapping, result: dict[str, str]) -> list[Problem]:
    """Tagged cells that are missing, and a result cell that shows no table."""
    problems = []
    for tag, kind in (("event", "markdown"), ("result", "code"), ("reflection", "markdown")):
        if tagged(notebook, tag) is None:
            text = f"No {kind} cell carries the tag `{tag}`; add the tag to the cell that it means."
            problems.append(Problem("result" if tag == "result" else "page", text))
    cell = tagged(notebook, "result")
    if cell is not None and not result:
        seen = "shows no table" if cell["outputs"] else "has no output"
        text = f"The result cell `{cell.get('id', '')}` {seen}; {RUN_AGAIN}."
        problems.append(Problem("result", text))
    return problems


def load(path: Path) -> Mapping:
    """A notebook's content. Raises: BadInput if the file is none."""
    try:
        return parse(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read as a notebook: {error}.") from None


def parse(text: str, where: str) -> Mapping:
    """A notebook from its text. Raises: BadInput if it is none."""
    import nbformat  # takes two seconds, which who only asks for other names need not wait

    try:
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
        json.dumps(notebook, ensure_ascii=False).encode()  # no half of a character is in it
    except (ValueError, KeyError, AttributeError, TypeError, nbformat.ValidationError) as error:
        reason = next(iter(str(error).splitlines()), "")[:80] or type(error).__name__
        raise BadInput(
            f"{where} cannot be read as a notebook ({reason}): take it from git again, or move it "
            "away."
        ) from None
    return notebook


def describe(name: str, notebook: Mapping, folder: Path = ROOT) -> Chapter:
    """A notebook's four stations, with the problems that the notebook alone can show."""
    text = "\n\n".join(c["source"] for c in notebook["cells"] if c["cell_type"] == "markdown")
    heading = re.search(r"^# +(.+?)\s*$", text, flags=re.M)
    figures = {src: alt for alt, src in re.findall(r"!\[([^\]]*)\]\((figures/[^)\s]+)", text)}
    cells, result = read_cells(notebook), read_result(tagged(notebook, "result"))
    event, reflection = tagged(notebook, "event"), tagged(notebook, "reflection")
    return Chapter(
        name=name,
        title=heading[1] if heading else name,
        # The table of sections is left out: the action shows them, and what each holds.
        event=TABLE.sub("", without_label(event["source"], "event")) if event else "",
        action=read_action(notebook),
        result=result,
        reflection=without_label(reflection["source"], "reflection") if reflection else "",
        cells=cells,
        problems=(*run_problems(cells), *station_problems(notebook, result)),
        folder=folder,
        pictures=read_pictures(notebook),
        sources={c.get("id", ""): c["source"] for c in notebook["cells"]},
        figures=figures,
        attachments={
            "event": read_attachments(event),
            "reflection": read_attachments(reflection),
        },
    )


def read_chapter(
    name: str, path: Path, root: Path = ROOT, record: Mapping | None = None
) -> Chapter:
    """A chapter of the working tree, held against its run's record, the reference, and git.

    The record is what playbook.run has written; it counts as long as the notebook still shows the
    numbers and outputs of that run, or, of a run that broke off, as long as it was not changed.
    """
    chapter = describe(name, load(path), path.parent)
    problems, run = list(chapter.problems), None
    committed = committed_notebook(original_of(path, root), root)
    course = reference_chapters(root).get(name)
    known = read_cells(committed) if committed else ()
    if course and same_run(chapter.cells, course.cells):
        known, run = course.cells, course.run
    if record:
        cells = cells_from(record["cells"])
        if record.get("failed"):
            known = known or cells
            if chapter.cells == cells:
                problems.append(Problem("run", record["failed"]))
        elif same_run(chapter.cells, cells):
            known = cells
            run = {
                key: value
                for key, value in record.items()
                if key not in ("cells", "result", "title")
            }
    if ids := edited_cells(chapter.cells, known):
        were = "Cell {} was" if len(ids) == 1 else "Cells {} were"
        text = f"{were.format(some(ids))} edited after the run, whose outputs still stand"
        problems.append(Problem("edited", f"{text}; {RUN_AGAIN}."))
    return replace(chapter, problems=tuple(problems), run=run)
