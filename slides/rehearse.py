"""Rehearse a chapter on this machine: is it fit for the stage?

    python -m slides rehearse ch04               # run it, compare, measure
    python -m slides rehearse --late ch04        # the same without the cells left out when late
    python -m slides rehearse --reference        # before a release: write slides/seconds.json

All cells run once, in order, in a new kernel; the notebook stays as it is. It is fit if no cell
fails, if none on the presenter's path runs longer than 20 seconds (a long one with a cell below it
that goes on without it is not on the path), if reading, showing and running take at most 50
minutes, if every output is the committed one up to the numbers' tolerance, if each section starts
in a new kernel, and the cells below the long ones go on, within five seconds, and if no slide
overflows. The five seconds are the course's own: what a machine takes to import torch, matplotlib,
pandas and scikit-learn comes before them and is named beside them. The exit status is 0 if all of
them are fit, else 1. What the run took is kept in slides/_build/rehearsal/ch04.json, for the
run-sheet.

Seconds are those of the clock. On a machine that other programs use as well the clock says little,
so there a cell counts with the seconds of CPU that its kernel used, if they are fewer, and a line
says so.
"""

import argparse
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import psutil
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat.v4 import new_code_cell
from tqdm.auto import tqdm

from course.lessons import ROOT, count
from playbook.compare import agree
from playbook.read import joined_streams, load
from playbook.run import client_for, write_whole
from playbook.tools import Failed, Missing
from slides.chapter import (
    LATE,
    RESUME,
    SECONDS,
    SLOW,
    Chapter,
    Section,
    read_chapters,
    text_of,
)
from slides.words import say

LIMIT = 50  # minutes
RESCUE = 5.0  # seconds in which a section starts in a new kernel that has imported these
LIBRARIES = "import matplotlib.pyplot, pandas, sklearn.linear_model, torch"
TOLERANCE = 0.05  # of numbers, as playbook compares two runs
BUSY = 0.25  # cores that other programs may use while a clock is trusted
FIRST = "first"
MAY_DIFFER = {"nbval-ignore-output", "nbval-skip"}
ALIKE = re.compile(
    r"0x[0-9a-fA-F]{6,}|\S*ipykernel_\d+[/\\]\d+\.py(:\d+)?|(CPU times|Wall time):.*"
)

COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # of IPython's errors


@dataclass
class Run:
    """Cells that ran in one kernel: their seconds, what they printed, and where it broke off."""

    seconds: dict[str, float] = field(default_factory=dict)
    others: float = 0.0  # cores that other programs used meanwhile
    printed: dict[str, str] = field(default_factory=dict)
    failed: str = ""  # the cell
    reason: str = ""


@dataclass
class Rehearsal:
    """What a rehearsal of one chapter found."""

    chapter: Chapter
    run: Run
    speaking: dict[int, float]  # minutes by section, without running
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def running(self, number: int) -> float:
        """The seconds that a section's cells run on the presenter's path, without the long ones."""
        cells = [
            c for c in self.chapter.sections[number - 1].code if c.id not in self.chapter.waits
        ]
        return sum(self.run.seconds.get(cell.id, 0) for cell in cells)

    def minutes(self, number: int) -> float:
        return self.speaking[number] + self.running(number) / 60

    @property
    def total(self) -> float:
        return sum(self.minutes(section.number) for section in self.chapter.sections)


def run_cells(path: Path, ids: Sequence[str], label: str, on: bool = True, first: str = "") -> Run:
    """Run some code cells of a notebook in a new kernel, in its folder; the file stays as it is.

    What is to run first, in a cell FIRST of its own, is measured like the others.
    """
    notebook = load(path)
    notebook.cells = [c for c in notebook.cells if c.get("id") in set(ids)]
    if first:
        notebook.cells.insert(0, new_code_cell(first, id=FIRST))
    client = client_for(notebook, path, startup_timeout=600)  # s: others may use the machine
    run, meter = Run(), Meter()
    bar = tqdm(total=len(notebook.cells), desc=label, unit="cell", leave=False, disable=not on)

    def begin(cell: Mapping, cell_index: int) -> None:
        meter.begin(cell["id"], client.km.provisioner.pid)

    def end(cell: Mapping, cell_index: int, execute_reply: Mapping) -> None:
        meter.end()
        bar.update()

    client.on_cell_execute, client.on_cell_executed = begin, end
    try:
        client.execute()
    except (CellExecutionError, DeadKernelError) as error:
        run.failed = meter.cell or notebook.cells[0].id
        run.reason = COLOUR.sub("", str(error).strip().splitlines()[-1])
    finally:
        bar.close()
    run.others, run.seconds = meter.others, meter.seconds
    for cell in notebook.cells:
        run.printed[cell.id] = printed(cell.outputs)
    return run


class Meter:
    """The seconds of cells in a kernel, by the clock or, on a busy machine, of CPU if fewer."""

    def __init__(self) -> None:
        self.cell = ""  # the last that has begun
        self.clock: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self.elsewhere = 0.0  # CPU seconds of other programs while cells ran

    def begin(self, cell: str, kernel: int) -> None:
        self.cell, self.kernel = cell, psutil.Process(kernel)
        self.began = time.perf_counter(), self.used(), used_by_all()

    def used(self) -> float:
        """CPU seconds of the kernel and of what it has started, living or ended."""
        processes = [self.kernel, *self.kernel.children(recursive=True)]
        times = []
        for process in processes:
            try:
                times.append(process.cpu_times())
            except psutil.NoSuchProcess:  # it has ended since
                pass
        return sum(t.user + t.system for t in times) + sum(
            getattr(t, "children_user", 0) + getattr(t, "children_system", 0) for t in times
        )

    def end(self) -> None:
        clock, own, everything = self.began
        self.clock[self.cell] = time.perf_counter() - clock
        self.cpu[self.cell] = max(0.0, self.used() - own)
        self.elsewhere += max(0.0, used_by_all() - everything - self.cpu[self.cell])

    @property
    def others(self) -> float:
        """How many cores other programs used in the mean."""
        return self.elsewhere / (sum(self.clock.values()) or 1.0)

    @property
    def seconds(self) -> dict[str, float]:
        busy = self.others > BUSY
        return {
            cell: round(min(clock, self.cpu[cell]) if busy else clock, 2)
            for cell, clock in self.clock.items()
        }


def used_by_all() -> float:
    """CPU seconds of all programs since the machine has started."""
    times = psutil.cpu_times()
    # Linux counts the time of guests in that of users, too.
    return times.user + times.system + getattr(times, "nice", 0.0)


def printed(outputs: Iterable[Mapping]) -> str:
    return "\n".join(filter(None, map(text_of, joined_streams(outputs))))


def same_text(a: str, b: str) -> bool:
    """Whether two outputs say the same, numbers up to the tolerance, addresses not compared."""
    return agree(ALIKE.sub("", a), ALIKE.sub("", b), TOLERANCE)


# ---- What one checks.


def differing(chapter: Chapter, run: Run) -> tuple[list[str], list[str]]:
    """The cells whose output is not the committed one: those that may differ come second."""
    differ = [
        cell
        for cell in chapter.code
        if cell.id in run.printed
        and cell.id != run.failed
        and cell.id in run.seconds
        and not same_text(cell.printed, run.printed[cell.id])
    ]
    may = [cell.id for cell in differ if cell.tags & MAY_DIFFER]
    return [cell.id for cell in differ if cell.id not in may], may


def speaking_minutes(chapter: Chapter, without: Iterable[str] = ()) -> dict[int, float]:
    """What course.lessons counts for each section: words, lines and pictures."""
    left_out = set(without)
    cells = {cell["id"]: cell for cell in load(chapter.path)["cells"]}
    return {
        section.number: sum(
            count(cells[cell.id]).minutes for cell in section.cells if cell.id not in left_out
        )
        for section in chapter.sections
    }


def overflows(chapter: Chapter) -> tuple[list[str], list[str]]:
    """The faults of a chapter's slides, built anew; a note if they cannot be built or measured."""
    from slides.deck import write_deck
    from slides.measure import faults

    try:
        write_deck(chapter)
        return faults([chapter.name]), []
    except (Missing, Failed) as error:
        return [], [str(error)]


def rescue(chapter: Chapter, root: Path = ROOT) -> tuple[list[str], list[str]]:
    """Start each section in a new kernel, run it, and see whether the next one has what it needs.

    So a chapter is run once more in all, and still every start leads to the end. What takes long is
    left out, as on stage. The first section starts at the top, and needs no cell.
    """
    problems, notes = [], []
    for section, following in zip(chapter.sections, [*chapter.sections[1:], None]):
        code = [cell for cell in section.code if cell.id not in chapter.waits]
        if section.number == 1:
            if len(code) == len(section.code):
                notes.append(say("first section", section=section.title))
                continue
        elif not any(cell.starts for cell in code):
            problems.append(say("no resume cell", section=section.title))
            continue
        next_start = [cell.id for cell in (following.code if following else ()) if cell.starts]
        ids = [*(cell.id for cell in code), *next_start]
        label = say("from", section=section.title)
        run = run_cells(chapter.path, ids, label, first=LIBRARIES)
        if run.failed:
            problems.append(
                say("rescue fails", section=section.title, cell=run.failed, reason=run.reason)
            )
        elif any(run.printed.get(cell) for cell in next_start):
            problems.append(say("rescue lacks", section=section.title, next=following.title))
        else:
            for found, kind, values in starts_timed(chapter, section, run):
                (notes if found <= RESCUE else problems).append(
                    say(f"{kind} {'works' if found <= RESCUE else 'slow'}", **values)
                )
    return problems, notes


def starts_timed(
    chapter: Chapter, section: Section, run: Run
) -> Iterable[tuple[float, str, dict[str, object]]]:
    """The seconds of each cell in a section that brings something back, and what to say of it."""
    above = {below.id: cell for cell, below in chapter.waits.items()}
    for cell in section.code:
        if RESUME in cell.tags:
            seconds = run.seconds[cell.id]
            values = {"seconds": seconds, "limit": RESCUE}
            if cell.starts:
                values["imports"] = run.seconds[FIRST]
                yield seconds, "rescue", {**values, "section": section.title}
            else:
                yield seconds, "going on", {**values, "cell": above[cell.id]}


def rehearse(
    chapter: Chapter, late: bool = False, with_rescue: bool = True, root: Path = ROOT
) -> Rehearsal:
    """Run a chapter, and gather all that speaks against showing it."""
    left_out = [cell.id for cell in chapter.cells if LATE in cell.tags] if late else []
    ids = [cell.id for cell in chapter.code if cell.id not in left_out]
    run = run_cells(chapter.path, ids, chapter.name)
    found = Rehearsal(chapter, run, speaking_minutes(chapter, left_out))
    if run.failed:
        found.problems.append(say("cell fails", cell=run.failed, reason=run.reason))
        return found
    for cell, seconds in run.seconds.items():
        if cell in chapter.waits:
            found.notes.append(say("cell waits", cell=cell, seconds=seconds))
        elif seconds > SLOW:
            found.problems.append(say("cell slow", cell=cell, seconds=seconds, limit=SLOW))
    if run.others > BUSY:
        found.notes.append(say("busy", cores=run.others))
    if found.total > LIMIT:
        found.problems.append(say("too long", minutes=found.total, limit=LIMIT))
    differ, may = differing(chapter, run)
    found.problems += [say("differs", cell=cell) for cell in differ]
    found.notes += [say("may differ", cells=", ".join(may))] if may else []
    for problems, notes in (
        overflows(chapter),
        rescue(chapter, root) if with_rescue and not late else ([], []),
    ):
        found.problems += problems
        found.notes += notes
    return found


# ---- The report, and what is kept.


def report(found: Rehearsal) -> str:
    chapter = found.chapter
    lines = [f"{chapter.name}  {chapter.title}", say("rehearsal head")]
    for section in chapter.sections:
        seconds = found.running(section.number)
        title = section.title if len(section.title) < 46 else f"{section.title[:43]}..."
        minutes = found.minutes(section.number)
        lines.append(f"  {title:<46}{section.minutes:>7}{minutes:>9.1f}{seconds:>9.1f}")
    seconds = sum(found.running(section.number) for section in chapter.sections)
    lines.append(f"  {say('together'):<46}{chapter.minutes:>7}{found.total:>9.1f}{seconds:>9.1f}")
    lines += [f"  ! {problem}" for problem in found.problems]
    lines += [f"  · {note}" for note in found.notes]
    lines.append(say("not fit" if found.problems else "fit", chapter=chapter.name))
    return "\n".join(lines)


def rehearsal_path(name: str, root: Path = ROOT) -> Path:
    return root / "slides" / "_build" / "rehearsal" / f"{name}.json"


def keep(found: Rehearsal, root: Path = ROOT) -> None:
    record = {
        "date": datetime.now().astimezone().isoformat(timespec="minutes"),
        "seconds": found.run.seconds,
        "problems": found.problems,
    }
    write_whole(rehearsal_path(found.chapter.name, root), json.dumps(record, indent=1))


def last_rehearsal(name: str, root: Path = ROOT) -> dict:
    """The record of the last rehearsal here: date, seconds by cell, problems; or nothing."""
    try:
        return json.loads(rehearsal_path(name, root).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def write_reference(rehearsals: Sequence[Rehearsal], root: Path = ROOT) -> None:
    """Put the seconds of these runs into slides/seconds.json, those of resume cells left out."""
    path = root / SECONDS
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for found in rehearsals:
        code = [cell.id for cell in found.chapter.code if RESUME not in cell.tags]
        known[found.chapter.name] = {i: round(found.run.seconds[i], 1) for i in code}
    lines = [f"{json.dumps(name)}: {json.dumps(known[name])}" for name in sorted(known)]
    write_whole(path, "{\n" + ",\n".join(lines) + "\n}\n")


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--late", action="store_true", help="without the cells left out when late")
    parser.add_argument("--no-rescue", action="store_true", help="start no section by itself")
    parser.add_argument("--reference", action="store_true", help=f"write {SECONDS}")


def run(arguments: argparse.Namespace) -> int:
    rehearsals = []
    for chapter in read_chapters(arguments.chapters):
        found = rehearse(chapter, arguments.late, not arguments.no_rescue)
        rehearsals.append(found)
        if not arguments.late and not arguments.no_rescue:
            keep(found)  # a failed one as well: the sheet must not say that all is well
        print(report(found), end="\n\n", flush=True)
    unfit = [found.chapter.name for found in rehearsals if found.problems]
    if arguments.reference and not arguments.late and not any(f.run.failed for f in rehearsals):
        write_reference(rehearsals)
    print(say("some unfit", chapters=", ".join(unfit)) if unfit else say("all fit for the stage"))
    return 1 if unfit else 0
