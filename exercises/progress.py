"""How far the reader has come: which exercises are done, tried, open.

    python -m exercises.progress     # what `make progress` prints

It reads the saved outputs of the reader's own notebooks: exercises.ipynb of each chapter and
museum.ipynb, and what lies beside them under names that begin so, in my/ and in the course itself.
A cell counts as it was when it was last run and saved.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from course.language import KOREAN, say, translate_help
from course.my import MY
from course.terminal import replace_unprintable
from exercises.checking import NOT_DONE, RIGHT, WRONG
from exercises.generate import PAIRS, ROOT, folders_with, pair_of, read_notebook

# As the checks print it in English, and in Korean.
VERDICT = re.compile(
    rf"^(?:Exercise|연습 문제) (\S+): "
    rf"({'|'.join(word for v in (RIGHT, NOT_DONE, WRONG) for word in (v, KOREAN[v]))})\.",
    re.M,
)
OPENING = re.compile(
    r"\A## Exercise (?P<number>\S+) (?P<title>.+)\n\n"
    r"\*Difficulty (?P<difficulty>[1-5]) of 5 · (?P<minutes>\d+) minutes( · beyond the book)?\*\n"
)
STATUS = {RIGHT: "done", WRONG: "tried", NOT_DONE: "open"}
STATUS |= {KOREAN[verdict]: status for verdict, status in STATUS.items()}
SIGNS = {"done": "●", "tried": "◐", "open": "○"}


class Record(NamedTuple):
    """One exercise, and how far the reader has come with it: done, tried or open."""

    chapter: str
    number: str
    title: str
    difficulty: int
    minutes: int
    status: str


def verdicts(path: Path) -> list[tuple[str, str]]:
    """(number, status) of every verdict in a notebook's outputs; a cell that failed was tried.

    Raises: ValueError if the file is no notebook.
    """
    found = []
    for cell in read_notebook(path).cells:
        outputs = cell.get("outputs", [])
        said = "\n".join(out.text for out in outputs if out.output_type == "stream")
        spoken = VERDICT.findall(said)
        found += [(number, STATUS[verdict]) for number, verdict in spoken]
        if not spoken and any(out.output_type == "error" for out in outputs):
            for check in re.findall(r"\bcheck_(\w+)\(", cell.source):
                found.append((check.replace("_", ".").upper(), "tried"))
    return found


def openings(path: Path) -> list[re.Match]:
    """The openings of a notebook's exercises.

    Raises: ValueError if the file is no notebook.
    """
    return list(filter(None, (OPENING.match(cell.source) for cell in read_notebook(path).cells)))


def readable(read: Callable[[Path], list], path: Path) -> list:
    """What is read from a notebook; from a damaged one nothing, and stderr names it."""
    try:
        return read(path)
    except ValueError as error:
        print(error, file=sys.stderr)
        return []


def read_progress(root: Path = ROOT) -> list[Record]:
    """Every exercise of the course, with the best that the reader's notebooks show for it."""
    records = []
    chapters = [folder.name for folder in folders_with([*PAIRS], [], root)]
    for name in sorted(chapters, key=lambda name: (not name.startswith("ch"), name)):
        folder = root / name
        solutions, exercises = pair_of(folder)
        best: dict[str, str] = {}
        places = (root / MY / folder.name, folder)
        found = (
            path for place in places for path in sorted(place.glob(f"{exercises.stem}*.ipynb"))
        )
        for path in found:
            if path.name in PAIRS:  # which shows nobody's work
                continue
            for number, status in readable(verdicts, path):
                best[number] = min(best.get(number, "open"), status, key=list(SIGNS).index)
        for opening in readable(openings, solutions):
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
        count = say("{n} of {all}", n=f"{n_done:>2}", all=f"{len(own):>2}")
        lines.append(f"{chapter:<11} {count}   {signs}")
    n_done = sum(record.status == "done" for record in records)
    minutes = sum(record.minutes for record in records if record.status != "done")
    legend = "   ".join(f"{sign} {say(status)}" for status, sign in SIGNS.items())
    if minutes:
        done = say(
            "{n} of {all} done, about {minutes} minutes of work left",
            n=n_done,
            all=len(records),
            minutes=minutes,
        )
    else:
        done = say("{n} of {all} done", n=n_done, all=len(records))
    return "\n".join([*lines, "", f"{legend}      {done}"])


def main() -> None:
    replace_unprintable()
    about = "How far the reader has come: which exercises are done, tried, open."
    parser = argparse.ArgumentParser(prog="python -m exercises.progress", description=about)
    translate_help(parser).parse_args()
    print(table(read_progress()))


if __name__ == "__main__":
    main()
