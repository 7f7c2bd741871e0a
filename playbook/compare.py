"""Put two runs side by side, and say for each chapter that differs what is likely to have done it.

A side is a notebook, a course folder, a folder that `build` has made (or its playbook.json), the
record of a run, or a git revision, whose committed notebooks are taken. Unless a side is named, A
is the run that came with the course.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from playbook.build import RECORD
from playbook.read import (
    REFERENCE,
    ROOT,
    BadInput,
    Cell,
    Chapter,
    chapters_from,
    describe,
    git,
    is_course_chapter,
    learners_notebooks,
    parse,
    read_chapter,
    same_run,
    some,
)
from playbook.run import read_record

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?|\bnan\b|-?\binf\b", re.I)


@dataclass(frozen=True)
class Side:
    """One of the two: how it was named, and its chapters."""

    label: str
    chapters: dict[str, Chapter]


# ---- Reading a side.


def read_side(text: str, root: Path = ROOT) -> Side:
    """Find out what was named. Raises: BadInput if it is none of the five."""
    path = Path(text)
    if path.suffix == ".json" and path.is_file():
        return Side(text, read_json(path))
    if path.suffix == ".ipynb" and path.is_file():
        path = path.resolve()
        home = next((p for p in path.parents if (p / "playbook").is_dir()), path.parent)
        record = read_record(path.stem, home)
        return Side(text, {path.stem: read_chapter(path.stem, path, home, record)})
    if path.is_dir():
        if (path / RECORD).exists():
            return Side(text, read_json(path / RECORD))
        path = path.resolve()
        chapters = {
            name: read_chapter(name, file, path, read_record(name, path))
            for name, file in learners_notebooks(path).items()
        }
        if chapters:
            return Side(text, chapters)
        raise BadInput(f"{text} has neither chapters nor a {RECORD}: name a course or a build.")
    if git(root, "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}"):
        return Side(text, committed_chapters(text, root))
    raise BadInput(f"{text} is no notebook, no folder, no {RECORD} and no git revision.")


def committed_chapters(revision: str, root: Path) -> dict[str, Chapter]:
    """The notebooks of the chapters, and of the learner's own, as committed at a revision."""
    listed = git(root, "ls-tree", "-r", "-z", "--name-only", revision) or ""
    try:
        course = chapters_from(git(root, "show", f"{revision}:./{REFERENCE}") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        course = {}  # a revision without the file, or with one of another form
    chapters = {}
    for line in listed.split("\0"):
        path = root / line
        if path.suffix == ".ipynb" and path.parent in (root / path.stem, root / "playbook"):
            text = git(root, "show", f"{revision}:./{line}") or ""
            chapter = describe(path.stem, parse(text, f"{revision}:{line}"), path.parent)
            if path.stem in course and same_run(chapter.cells, course[path.stem].cells):
                chapter = chapter.with_run(course[path.stem].run)
            chapters[path.stem] = chapter
    if not chapters:
        raise BadInput(f"The revision {revision} holds no chapters: name one that does.")
    order = sorted((not is_course_chapter(n), n.startswith("appendix"), n) for n in chapters)
    return {name: chapters[name] for _, _, name in order}


def read_json(path: Path) -> dict[str, Chapter]:
    """The chapters of a build, or the one of a run's record."""
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text)
        if "chapters" in data:
            return chapters_from(text)
        problems = [{"kind": "run", "text": data["failed"]}] if data["failed"] else []
        run = {"environment": data["environment"], "seconds": data["seconds"], "date": data["date"]}
        return {path.stem: Chapter.from_json(path.stem, {**data, "problems": problems, "run": run})}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(f"{path} is neither a {RECORD} nor the record of a run.") from None


# ---- Results.


def last_place(number: str) -> float:
    """One unit in the last place that is shown: 0.01 for 4.71, and nothing for 4."""
    return 10.0 ** Decimal(number).as_tuple().exponent if "." in number else 0.0


def close(a: str, b: str, tolerance: float) -> bool:
    """Whether two numbers are the same up to a relative tolerance and the rounding shown."""
    x, y = float(a), float(b)
    if not (math.isfinite(x) and math.isfinite(y)):
        return a.lower() == b.lower()
    place = max(last_place(a), last_place(b))
    return abs(x - y) <= max(tolerance * max(abs(x), abs(y)), 1.001 * place)


def agree(a: str, b: str, tolerance: float) -> bool:
    """Whether two values have the same words, and numbers that are close, one by one."""
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):  # all but the numbers, letter for letter
        return False
    numbers = ([found.replace(",", "") for found in NUMBER.findall(text)] for text in (a, b))
    return all(close(x, y, tolerance) for x, y in zip(*numbers))


# ---- Causes.


def own_problems(a: Chapter, b: Chapter) -> list[str]:
    """What is wrong with either run by itself."""
    kinds = ("not run", "order", "error", "result", "edited", "run")
    return [
        f"in {side}: {problem.text.partition(';')[0].rstrip('.')}"
        for side, chapter in (("A", a), ("B", b))
        for problem in chapter.problems
        if problem.kind in kinds
    ]


def likely_causes(a: Chapter, b: Chapter) -> list[str]:
    """Everything known that may have made a difference, the likeliest first."""
    causes = own_problems(a, b)
    envs = [c.run["environment"] if c.run else None for c in (a, b)]
    if all(envs) and envs[0]["switches"] != envs[1]["switches"]:
        shown = [", ".join(f"{k}={v}" for k, v in e["switches"].items()) or "none" for e in envs]
        causes.append(f"switches: {shown[0]} in A, {shown[1]} in B")
    causes += cell_causes({c.id: c for c in a.cells}, {c.id: c for c in b.cells})
    if all(envs):
        causes += environment_causes(*envs)
    return causes


def cell_causes(a: Mapping[str, Cell], b: Mapping[str, Cell]) -> list[str]:
    """Seeds and cells that differ."""
    causes, changed = [], []
    for name in (name for name in a if name in b):
        if a[name].seeds != b[name].seeds:
            seeds = [", ".join(side[name].seeds) or "none" for side in (a, b)]
            causes.append(f"seed: cell `{name}` sets {seeds[0]} in A, {seeds[1]} in B")
        elif a[name].source != b[name].source:
            changed.append(name)
    if changed:
        causes.append(f"the code of {some(changed)} differs")
    for here, there, side in ((a, b, "A"), (b, a, "B")):
        if only := [name for name in here if name not in there]:
            causes.append(f"cells only in {side}: {some(only)}")
    return causes


def environment_causes(a: Mapping, b: Mapping) -> list[str]:
    """Device, versions and commit, where both are known and differ."""
    causes = []
    if a["device"] != b["device"]:
        causes.append(f"device: {a['device']} in A, {b['device']} in B")
    for name in (name for name in a["versions"] if name in b["versions"]):
        x, y = a["versions"][name], b["versions"][name]
        if x.split("+")[0].split(".")[:2] != y.split("+")[0].split(".")[:2]:
            causes.append(f"version of {name}: {x} in A, {y} in B")
    if a.get("commit") and b.get("commit") and a["commit"] != b["commit"]:
        causes.append(f"the course's modules: commit {a['commit']} in A, {b['commit']} in B")
    return causes


def unknown(a: Chapter, b: Chapter) -> str:
    """What to say where a difference has no known cause."""
    unrecorded = [side for side, c in (("A", a), ("B", b)) if not c.run]
    if unrecorded:
        return (
            f"no cell and no seed differs, and device and versions of {' and '.join(unrecorded)} "
            "are not recorded (`make playbook RUN=1` records them)"
        )
    return "no cell, seed, device or version differs: the result depends on clock or threads"


# ---- The table.


def compare_chapter(a: Chapter, b: Chapter, tolerance: float) -> tuple[str, int]:
    """A chapter's results side by side with the causes, and how many differ."""
    names = list(dict.fromkeys([*a.result, *b.result]))
    rows, n_differ = [], 0
    for name in names:
        x, y = a.result.get(name, "–"), b.result.get(name, "–")
        differ = not agree(x, y, tolerance)
        n_differ += differ
        rows.append((name, x, y, "differs" if differ else ""))
    if not names:
        rows.append(("(no result on either side)", "–", "–", "differs"))
        n_differ = 1
    widths = [max(len(row[i]) for row in [*rows, ("", "A", "B", "")]) for i in range(3)]
    lines = [f"{a.name}{f' and {b.name}' if a.name != b.name else ''}  {a.title}"]
    for name, x, y, mark in [("", "A", "B", ""), *rows]:
        line = f"  {name:<{widths[0]}}  {x:>{widths[1]}}  {y:>{widths[2]}}  {mark}"
        lines.append(line.rstrip())
    if n_differ:
        first, *others = likely_causes(a, b) or [unknown(a, b)]
        lines.append(f"  Likely cause: {first}.")
        lines += [f"  Also: {cause}." for cause in others]
    else:  # equal values may still be those of an earlier run
        lines += [f"  But {problem}." for problem in own_problems(a, b)]
    return "\n".join(lines), n_differ


def compare(a: str, b: str, tolerance: float = 0.05, root: Path = ROOT) -> int:
    """Print the comparison; 0 if everything agrees, 1 if something differs.

    Raises: BadInput if a side is nothing that can be compared.
    """
    if not 0 <= tolerance < 1:
        raise BadInput(f"The tolerance is a share between 0 and 1, and {tolerance} is not.")
    left, right = read_side(a, root), read_side(b, root)
    print(f"A: {left.label}\nB: {right.label}\nTolerance: {tolerance:.0%}, or one last place\n")
    if a.endswith(".ipynb") and b.endswith(".ipynb"):  # these two were meant, whatever their names
        pairs = [(*left.chapters.values(), *right.chapters.values())]
    else:
        names = [name for name in left.chapters if name in right.chapters]
        pairs = [(left.chapters[name], right.chapters[name]) for name in names]
    if not pairs:
        raise BadInput(f"{a} and {b} have no chapter in common: name two notebooks.")
    total, broken, missing = 0, [], []
    for one, other in pairs:
        text, n_differ = compare_chapter(one, other, tolerance)
        total += n_differ
        if own_problems(one, other):
            broken.append(other.name)
        print(text + "\n")
    for side, other, label in ((left, right, "A"), (right, left, "B")):
        only = [name for name in side.chapters if name not in other.chapters]
        if only and len(other.chapters) > 1:  # a single notebook was meant to stand alone
            print(f"Only in {label}: {', '.join(only)}")
            missing += filter(is_course_chapter, only)
    said = [f"{total} {'result differs' if total == 1 else 'results differ'}"] if total else []
    if broken:
        said.append(f"not every run holds: {', '.join(broken)}")
    if missing:
        said.append(f"not on both sides: {', '.join(missing)}")
    print("; ".join(said or ["Everything agrees"]) + ".")
    return 1 if said else 0
