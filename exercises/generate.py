"""Make a chapter's exercises.ipynb from its exercise-solutions.ipynb, and run the stubs.

    python -m exercises.generate ch03        # one chapter
    python -m exercises.generate exercises   # the bug museum: museum.ipynb
    python -m exercises.generate             # all of them
    python -m exercises.generate --check     # only say which do not belong together

The solutions notebook is the one source. In a code cell, what stands between two marks is a
solution; after the second mark may stand what takes its place (else three dots):

    # solution
    return torch.ones(n, n).triu(1).bool()
    # end

    # solution
    n_parameters = 3 * 768**2
    # end: n_parameters = ...

A cell tagged `answer` is left out. An exercise opens with a cell whose first lines are

    ## Exercise 3.4 The causal mask

    *Difficulty 2 of 5 · 10 minutes · beyond the book*
"""

import argparse
import copy
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from course.files import written_whole
from course.terminal import replace_unprintable

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^([ \t]*)# solution\n.*?^[ \t]*# end(?:: ?([^\n]*))?$", re.M | re.S)
SOLUTIONS, EXERCISES = "exercise-solutions.ipynb", "exercises.ipynb"
PAIRS = {SOLUTIONS: EXERCISES, "museum-solutions.ipynb": "museum.ipynb"}


def pair_of(folder: Path) -> tuple[Path, Path]:
    """The notebook of a folder that has the solutions, and the one that follows from it."""
    there = [name for name in PAIRS if (folder / name).exists()] or [SOLUTIONS]
    return folder / there[0], folder / PAIRS[there[0]]


def stub(source: str) -> str:
    """A cell's source with every solution taken out."""
    stubbed = BLOCK.sub(lambda found: found[1] + (found[2] or "...  # your code"), source)
    if re.search(r"^[ \t]*# (solution|end)\b", stubbed, re.M):
        raise ValueError(f"`# solution` and `# end` do not come in pairs in:\n{source}")
    return stubbed


def exercises_of(solutions: NotebookNode) -> NotebookNode:
    """The exercises notebook that belongs to a solutions notebook, not yet run."""
    notebook = copy.deepcopy(solutions)
    kept = [c for c in notebook.cells if "answer" not in c.metadata.get("tags", [])]
    for cell in kept:
        if cell.cell_type == "code":
            cell.source, cell.outputs, cell.execution_count = stub(cell.source), [], None
    notebook.cells = kept
    return notebook


def read_notebook(path: Path) -> NotebookNode:
    """The notebook of a file.

    Raises: ValueError if the file is missing or no notebook.
    """
    try:
        notebook = nbformat.read(path, nbformat.NO_CONVERT)
        nbformat.validate(notebook, relax_add_props=True)
        return nbformat.convert(notebook, 4)
    except Exception:  # a damaged file may raise anything, a RecursionError too
        raise ValueError(f"{path} is no notebook: restore it, or move it away") from None


def sources(notebook: NotebookNode) -> list[tuple[str, str, str]]:
    """What two notebooks must share to belong together: ids, kinds and texts of the cells."""
    return [(cell.get("id"), cell.cell_type, cell.source) for cell in notebook.cells]


def belongs(folder: Path) -> bool:
    """Whether a chapter's exercises are the ones that its solutions give."""
    solutions, path = pair_of(folder)
    if not path.exists():
        return False
    wanted = exercises_of(read_notebook(solutions))
    return sources(read_notebook(path)) == sources(wanted)


def write_executed(notebook: NotebookNode, path: Path) -> None:
    """Run a notebook in its folder and write it whole, without clock times, in English."""
    os.environ["COURSE_LANGUAGE"] = "en"  # whatever the machine speaks, for the kernel
    NotebookClient(
        notebook,
        timeout=600,
        record_timing=False,
        store_widget_state=False,
        coalesce_streams=True,  # else chance decides where a printed line is divided
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
    ).execute()
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata.pop("widgets", None)
    with written_whole(path) as draft:
        nbformat.write(notebook, draft)


def folders_with(names: Sequence[str], chosen: list[str], root: Path = ROOT) -> list[Path]:
    """The folders that hold one of some files; all of them, or the chosen ones.

    Raises: ValueError if a chosen folder holds none.
    """
    for folder in chosen:
        if not any((root / folder / name).is_file() for name in names):
            raise ValueError(f"there is no {folder}/{names[0]}")
    if chosen:
        return [root / folder for folder in chosen]
    return sorted(path.parent for name in names for path in root.glob(f"*/{name}"))


def write_exercises(folder: Path) -> Path:
    """Write and run a chapter's exercises; return where they are."""
    solutions, path = pair_of(folder)
    write_executed(exercises_of(read_notebook(solutions)), path)
    return path


def command(
    module: str,
    about: str,
    sources: Sequence[str],
    belongs: Callable[[Path], bool],
    write: Callable[[Path], Path],
) -> int:
    """The command line of what is made from a file of each chapter: write it, or only check it."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about)
    parser.add_argument("chapters", nargs="*", help="folders such as ch03; without any, all")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if one is off")
    options = parser.parse_args()
    stale = 0
    try:
        for folder in folders_with(sources, options.chapters):
            if options.check:
                fits = belongs(folder)
                stale += not fits
                print(f"{folder.name}: {'belong together' if fits else 'do not belong together'}")
            else:
                print(f"{folder.name}/{write(folder).name} is written")
    except ValueError as error:
        parser.error(str(error))
    return 1 if stale else 0


def main() -> int:
    replace_unprintable()
    about = __doc__.splitlines()[0]
    return command("exercises.generate", about, [*PAIRS], belongs, write_exercises)


if __name__ == "__main__":
    sys.exit(main())
