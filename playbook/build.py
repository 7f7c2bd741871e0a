"""Build the playbook: read the notebooks, make the pages, write playbook.md, site/ and the PDF."""

import json
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from playbook.pages import Book, make_book
from playbook.pdf import write_pdf
from playbook.read import ROOT, BadInput, Chapter, Problem, main_notebooks, read_chapter
from playbook.run import environment, read_record, run_all
from playbook.tools import Missing
from playbook.website import write_pictures, write_site

RECORD = "playbook.json"  # what a comparison reads; it also marks a folder as one of ours


def read_exercises(root: Path) -> tuple[list, list[Problem]]:
    """How far the exercises have come, and the problem if that cannot be read."""
    try:
        from exercises.progress import read_progress

        return read_progress(root), []
    except (ImportError, ValueError, OSError) as error:
        text = f"The exercises' progress could not be read ({error})."
        return [], [Problem("page", text)]


def choose(root: Path, names: list[str]) -> dict[str, Path]:
    """The notebooks that there are. Raises: BadInput if one of the names is not among them."""
    notebooks = main_notebooks(root)
    if not notebooks:
        raise BadInput(f"There is no chapter in {root}: run this in the course's folder.")
    unknown = [name for name in names if name not in notebooks]
    if unknown:
        raise BadInput(f"There is no chapter {unknown[0]}; there are: {', '.join(notebooks)}.")
    return notebooks


def check_target(out: Path) -> None:
    """Only an empty folder or an earlier build may be replaced."""
    if out.exists() and not (out.is_dir() and (not any(out.iterdir()) or (out / RECORD).exists())):
        raise BadInput(f"{out} holds something that is not a playbook: name another folder.")


def write_book(book: Book, chapters: dict[str, Chapter], env: dict, out: Path) -> list[str]:
    """Write everything into a new folder beside `out`, then put it in its place.

    Gives a sentence for each part that could not be made.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    missing = []
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        (new / "playbook.md").write_text(book.joined(), encoding="utf-8")
        write_pictures(book, new / "figures")
        parts: dict[str, Callable[[], None]] = {
            "site": lambda: write_site(book, new / "site"),
            "playbook.pdf": lambda: write_pdf(book, new / "playbook.pdf"),
        }
        for name, write in parts.items():
            try:
                write()
            except Missing as error:
                missing.append(f"{name} was not built: {error}")
        record = {
            "format": 1,
            "built": datetime.now().astimezone().isoformat(timespec="seconds"),
            "environment": env,
            "chapters": {name: chapter.to_json() for name, chapter in chapters.items()},
        }
        (new / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False), "utf-8")
        if out.exists():
            out.rename(Path(scratch) / "old")
        new.rename(out)
    return missing


def build(out: Path, names: list[str], run: bool = False, root: Path = ROOT) -> int:
    """Build the playbook into `out`; 0 if every record holds and every part was made, else 1.

    Raises: BadInput, and then nothing has been written.
    """
    notebooks = choose(root, names)
    check_target(out)
    if run:
        run_all({n: p for n, p in notebooks.items() if not names or n in names}, root)
    chapters = {
        name: read_chapter(name, path, root, read_record(name, root))
        for name, path in notebooks.items()
    }
    records, problems = read_exercises(root)
    env = environment(root)
    book = make_book(chapters, records, env, root, names, problems)
    kept = {n: c for n, c in chapters.items() if not names or n in names}
    missing = write_book(book, kept, env, out)
    report(book, missing, out)
    return 1 if missing or any(page.problems for page in book.pages) else 0


def report(book: Book, missing: list[str], out: Path) -> None:
    """Say on the terminal what was built, and every problem."""
    made = [
        name for name in ("playbook.md", "site/index.html", "playbook.pdf") if (out / name).exists()
    ]
    print(f"{out}: {', '.join(made)}; {len(book.pages)} pages")
    for page in book.pages:
        for problem in page.problems:
            print(f"! {page.name}: {problem}", file=sys.stderr)
    for text in missing:
        print(f"! {text}", file=sys.stderr)


def default_out(root: Path = ROOT) -> Path:
    return root / "playbook" / "_build"
