"""How long a lesson takes, summed up from its notebook, and the plan that stands at its head.

python -m course.lessons                  # minutes by section: counted, and as planned
python -m course.lessons ch03             # of one chapter
python -m course.lessons --write ch03     # also write the plan into the notebook's head, and the
                                          # minutes of lessons and depth into README.md

Reading aloud, a presenter says 140 words a minute, spends 3 seconds on a line of code and 15 on a
picture, and waits while the cells run. Whoever works alone reads, changes and repeats: twice that
time, and the exercises on top. The plan comes from the notebook's metadata; what stands before
the first section counts with it, and what stands after the last one as well.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from course.files import written_whole
from course.terminal import replace_unprintable

ROOT = Path(__file__).resolve().parent.parent
WORDS_A_MINUTE = 140
SECONDS_A_LINE = 3
SECONDS_A_PICTURE = 15
ALONE = 2  # times as long as at the desk
TABLE = re.compile(r"\n*^\| (?:Section \| Minutes|절 \| 분) \|.*\Z", flags=re.S | re.M)
PLAN = re.compile(rf"\n*^\*\*(?:Time|시간)\.\*\* [^\n]*{TABLE.pattern}", flags=re.S | re.M)


@dataclass
class Count:
    """What one section, or a whole notebook, asks of a presenter."""

    words: int = 0
    lines: int = 0
    pictures: int = 0
    cells: int = 0  # of code

    @property
    def minutes(self) -> float:
        seconds = self.lines * SECONDS_A_LINE + self.pictures * SECONDS_A_PICTURE
        return self.words / WORDS_A_MINUTE + seconds / 60

    def __add__(self, other: "Count") -> "Count":
        return Count(*(getattr(self, f) + getattr(other, f) for f in self.__dataclass_fields__))


def read(path: Path) -> Mapping:
    """A notebook. nbformat takes two seconds to load, which a kernel that is new must not wait."""
    import nbformat

    return nbformat.read(path, as_version=4)


def chapters(root: Path = ROOT) -> dict[str, Path]:
    """The main notebooks by name, the appendices last."""
    found = {p.parent.name: p for p in root.glob("*/*.ipynb") if p.stem == p.parent.name}
    return dict(sorted(found.items(), key=lambda item: (item[0].startswith("appendix"), item[0])))


def count(cell: Mapping) -> Count:
    """What one cell adds: spoken words, lines of code, pictures.

    A cell from which a section starts in a new kernel is not read: it adds nothing.
    """
    if "resume" in cell["metadata"].get("tags", []):
        return Count()
    if cell["cell_type"] == "code":
        lines = sum(1 for line in cell["source"].splitlines() if line.strip())
        pictures = sum("image/png" in o.get("data", {}) for o in cell["outputs"])
        return Count(lines=lines, pictures=pictures, cells=1)
    text = PLAN.sub("", cell["source"])
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.S | re.M)
    text, pictures = re.subn(r"!\[[^\]]*\]\([^)]*\)|<img\b[^>]*>", "", text)
    text = re.sub(r"\]\([^)]*\)|<[^>]*>", " ", text)  # addresses and tags are not spoken
    return Count(words=len(re.findall(r"\w+(?:['’.,\-]\w+)*", text)), pictures=pictures)


def sections_of(notebook: Mapping) -> list[tuple[str, int]]:
    """The planned sections: title and minutes."""
    planned = notebook["metadata"].get("course", {}).get("sections", [])
    return [(section["title"], section["minutes"]) for section in planned]


def count_sections(notebook: Mapping) -> dict[str, Count]:
    """What each planned section holds."""
    titles = [title for title, _ in sections_of(notebook)]
    counts = {title: Count() for title in titles}
    now = titles[0]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^## +(.+?)\s*$", cell["source"], flags=re.M)
            now = next((h for h in headings if h in counts), now)
        counts[now] += count(cell)
    return counts


def running_minutes(name: str, root: Path = ROOT) -> float:
    """How long the notebook's cells ran in the run that came with the course."""
    reference = json.loads((root / "playbook" / "reference.json").read_text(encoding="utf-8"))
    return reference["chapters"][name]["run"]["seconds"] / 60


def exercise_minutes(folder: Path) -> int:
    """The sum of what the chapter's exercises say they take."""
    path = folder / "exercises.ipynb"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return sum(int(m) for m in re.findall(r"\*Difficulty \d of 5 · (\d+) minutes", text))


def minutes_of(path: Path, root: Path = ROOT) -> int:
    """What a lesson takes a presenter, its run included, or a bonus notebook a reader."""
    cells = read(path).cells
    running = running_minutes(path.stem, root) if path in chapters(root).values() else 0
    return round(sum(map(count, cells), Count()).minutes + running)


def with_minutes(readme: str, root: Path = ROOT) -> str:
    """README's text with the minutes of lessons and depth as they are now, in rows such as
    | [A title](ch02/bonus/fast_bpe.ipynb) | 44 min | ..."""

    def counted(row: re.Match) -> str:
        return f"{row[1]} {minutes_of(root / row[2], root)} min |"

    return re.sub(r"^(\|[^|\n]*\]\(([^)]+\.ipynb)\) \|)[^|\n]*\|", counted, readme, flags=re.M)


def in_hours(minutes: float) -> str:
    """A time to the half hour, as one says it."""
    halves = max(1, round(minutes / 30))
    if halves == 1:
        return "half an hour"
    number = f"{halves // 2 or ''}{'½' if halves % 2 else ''}"
    return "an hour" if halves == 2 else f"{number} hours"


def plan(notebook: Mapping, folder: Path) -> str:
    """The time and the table of sections, as they stand at the notebook's head."""
    sections = sections_of(notebook)
    desk = sum(minutes for _, minutes in sections)
    time = f"**Time.** {desk} minutes at the desk, alone about {in_hours(ALONE * desk)}"
    if practice := exercise_minutes(folder):
        time += f", and {in_hours(practice)} for the exercises"
    rows = [f"| {title} | {minutes} |" for title, minutes in sections]
    return "\n".join([f"{time}.", "", "| Section | Minutes |", "|:--|--:|", *rows])


def with_plan(head: str, plan: str) -> str:
    """The head cell's text, closed by this plan."""
    return f"{PLAN.sub('', head).rstrip()}\n\n{plan}"


def write_plan(path: Path) -> bool:
    """Write the plan into a notebook's head; True if it was another one before."""
    notebook = read(path)
    (head,) = (c for c in notebook.cells if "event" in c.metadata.get("tags", []))
    text = with_plan(head.source, plan(notebook, path.parent))
    is_new = text != head.source
    head.source = text
    if is_new:
        import nbformat

        nbformat.write(notebook, path)
    return is_new


def report(name: str, path: Path, root: Path = ROOT) -> str:
    """A table of one notebook: what each section holds, and the minutes counted and planned."""
    notebook = read(path)
    counts, running = count_sections(notebook), running_minutes(name, root)
    lines = [f"{name:<48}words  lines pictures  cells  minutes planned"]
    whole = sum(counts.values(), Count())
    rows = [(title, counts[title], str(minutes)) for title, minutes in sections_of(notebook)]
    planned = sum(minutes for _, minutes in sections_of(notebook))
    for title, c, minutes in [*rows, ("together", whole, str(planned))]:
        title = title if len(title) < 46 else f"{title[:43]}..."
        lines.append(
            f"  {title:<46}{c.words:>5}{c.lines:>7}{c.pictures:>9}{c.cells:>7}{c.minutes:>9.1f}"
            f"{minutes:>8}"
        )
    lines.append(f"  {'its cells run':<46}{running:>37.1f}")
    lines.append(f"  {'a lesson of':<46}{whole.minutes + running:>37.1f}")
    return "\n".join(lines)


def main() -> int:
    replace_unprintable()
    parser = argparse.ArgumentParser(prog="python -m course.lessons", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help="ch03, appendix-E, ...")
    parser.add_argument("--write", action="store_true", help="write the plan into the heads")
    arguments = parser.parse_args()
    known = chapters()
    if unknown := [name for name in arguments.chapters if name not in known]:
        print(f"No chapter is called {unknown[0]}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    for name in arguments.chapters or known:
        if arguments.write and write_plan(known[name]):
            print(f"{name}: wrote the plan into the head")
        print(report(name, known[name]), end="\n\n")
    if arguments.write:
        readme = ROOT / "README.md"
        text = readme.read_text(encoding="utf-8")
        with written_whole(readme) as draft:
            draft.write_text(with_minutes(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
