"""How far the reader has come: which exercises are done, tried, open.

    python -m exercises.progress     # what `make progress` prints

It reads the saved outputs of the reader's own notebooks: in each chapter's folder exercises.ipynb
and every exercises-*.ipynb beside it. A cell counts as it was when it was last run and saved.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat

from exercises.checking import NOT_DONE, RIGHT, WRONG
from exercises.generate import ROOT, SOLUTIONS

VERDICT = re.compile(rf"^Exercise (\S+): ({RIGHT}|{NOT_DONE}|{WRONG})\.", re.M)
OPENING = re.compile(
    r"\A## Exercise (?P<number>\S+) (?P<title>.+)\n\n"
    r"\*Difficulty (?P<difficulty>[1-5]) of 5 · (?P<minutes>\d+) minutes( · beyond the book)?\*\n"
)
STATUS = {RIGHT: "done", WRONG: "tried", NOT_DONE: "open"}
SIGNS = {"done": "●", "tried": "◐", "open": "○"}


class Record(NamedTuple):
    """One exercise, and how far the reader has come with it: done, tried or open."""

    chapter: str
    number: str
    title: str
    difficulty: int
    minutes: int
    status: str


def verdicts(path: Path) -> Iterator[tuple[str, str]]:
    """(number, status) of every verdict in a notebook's outputs; a cell that failed was tried.

    Raises: ValueError if the file is no notebook.
    """
    try:
        cells = nbformat.read(path, as_version=4).cells
        code = [(cell.source, cell.outputs) for cell in cells if cell.cell_type == "code"]
    except (ValueError, TypeError, KeyError, AttributeError, nbformat.ValidationError):
        raise ValueError(f"{path} is no notebook: restore it, or move it away") from None
    for source, outputs in code:
        said = "\n".join(out.text for out in outputs if out.output_type == "stream")
        found = VERDICT.findall(said)
        for number, verdict in found:
            yield number, STATUS[verdict]
        if not found and any(out.output_type == "error" for out in outputs):
            for check in re.findall(r"\bcheck_(\w+)\(", source):
                yield check.replace("_", ".").upper(), "tried"


def read_progress(root: Path = ROOT) -> list[Record]:
    """Every exercise of the course, with the best that the reader's notebooks show for it.

    Raises: ValueError if one of the notebooks cannot be read.
    """
    records = []
    chapters = sorted(root.glob(f"*/{SOLUTIONS}"))
    for solutions in sorted(chapters, key=lambda path: path.parent.name.startswith("appendix")):
        folder = solutions.parent
        best: dict[str, str] = {}
        for path in [folder / "exercises.ipynb", *sorted(folder.glob("exercises-*.ipynb"))]:
            for number, status in verdicts(path) if path.exists() else ():
                best[number] = min(best.get(number, "open"), status, key=list(SIGNS).index)
        for cell in nbformat.read(solutions, as_version=4).cells:
            if opening := OPENING.match(cell.source):
                number, title = opening["number"], opening["title"]
                level, minutes = int(opening["difficulty"]), int(opening["minutes"])
                status = best.get(number, "open")
                records.append(Record(folder.name, number, title, level, minutes, status))
    return records


def table(records: list[Record]) -> str:
    """The chapters against their exercises, a sign for each, with the counts."""
    lines = []
    for chapter in dict.fromkeys(record.chapter for record in records):
        own = [record for record in records if record.chapter == chapter]
        signs = "  ".join(f"{record.number} {SIGNS[record.status]}" for record in own)
        n_done = sum(record.status == "done" for record in own)
        lines.append(f"{chapter:<11} {n_done:>2} of {len(own):>2}   {signs}")
    n_done = sum(record.status == "done" for record in records)
    minutes = sum(record.minutes for record in records if record.status != "done")
    legend = "   ".join(f"{sign} {status}" for status, sign in SIGNS.items())
    left = f", about {minutes} minutes of work left" if minutes else ""
    return "\n".join([*lines, "", f"{legend}      {n_done} of {len(records)} done{left}"])


def main() -> int:
    argparse.ArgumentParser(
        prog="python -m exercises.progress", description=__doc__.splitlines()[0]
    ).parse_args()
    try:
        print(table(read_progress()))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
