"""Build the playbook: read the notebooks, make the pages, write playbook.md, site/ and the PDF."""

import json
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from course.my import make_copies
from playbook.pages import Book, make_book
from playbook.pdf import write_pdf
from playbook.read import (
    REFERENCE,
    ROOT,
    BadInput,
    Chapter,
    Problem,
    cells_from,
    describe,
    is_course_chapter,
    learners_notebooks,
    load,
    main_notebooks,
    read_chapter,
    reference_chapters,
)
from playbook.run import environment, read_record, run_all, write_whole
from playbook.tools import Failed, Missing
from playbook.website import write_pictures, write_site

RECORD = "playbook.json"  # what a comparison reads; it also marks a folder as one of ours


def read_exercises(root: Path) -> tuple[list, list[Problem]]:
    """How far the exercises have come, and the problem if that cannot be read."""
    try:
        from exercises.progress import read_progress

        return read_progress(root), []
    except ImportError as error:  # a damaged notebook is named by read_progress itself
        text = f"The exercises' progress could not be read ({error})."
        return [], [Problem("page", text)]


def choose(root: Path, names: list[str]) -> dict[str, Path]:
    """The notebooks that there are. Raises: BadInput if one of the names is not among them."""
    notebooks = learners_notebooks(root)
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
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error}): name another folder.") from None


def write_book(book: Book, chapters: dict[str, Chapter], env: dict, out: Path) -> list[str]:
    """Write everything into a new folder beside `out`, then put it in its place.

    Gives a sentence for each part that could not be made, or not wholly.
    """
    missing = []
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}-") as scratch:
        new = Path(scratch) / "new"
        new.mkdir()
        (new / "playbook.md").write_text(book.joined(), encoding="utf-8")
        write_pictures(book, new / "figures")
        parts: dict[str, Callable[[], list[str] | None]] = {
            "site": lambda: write_site(book, new / "site"),
            "playbook.pdf": lambda: write_pdf(book, new / "playbook.pdf"),
        }
        for name, write in parts.items():
            try:
                missing += write() or []
            except (Missing, Failed) as error:
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
        make_copies(root)  # what is run and saved is the learner's
        notebooks = choose(root, names)
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


def write_reference(root: Path = ROOT) -> int:
    """Take the course's notebooks as they are for the run that comes with the course.

    Where and how long a chapter ran says its record. Without one, an unchanged chapter keeps what
    was known, and a changed one has run here, as long as before. Raises: BadInput if a run does
    not hold.
    """
    before, here, lines = reference_chapters(root), environment(root), []
    for name, path in main_notebooks(root).items():
        if not is_course_chapter(name):
            continue
        chapter, record = describe(name, load(path)), read_record(name, root)
        if chapter.problems:
            raise BadInput(f"{name}: {chapter.problems[0]}")
        known = before[name].run if name in before else {}
        if record and not record["failed"] and chapter.cells == cells_from(record["cells"]):
            run = {"environment": record["environment"], "seconds": record["seconds"]}
        elif name in before and chapter.cells == before[name].cells:
            run = known
        else:
            run = {**known, "environment": here}
        run["environment"] = {**run["environment"], "commit": ""}  # the one that brings it is later
        data = json.dumps(chapter.with_run(run).to_json(), ensure_ascii=False)
        lines.append(f"{json.dumps(name)}: {data}")
    write_whole(root / REFERENCE, '{"chapters": {\n' + ",\n".join(lines) + "\n}}\n")
    print(f"{REFERENCE} is written: {len(lines)} chapters")
    return 0


def default_out(root: Path = ROOT) -> Path:
    return root / "playbook" / "_build"
