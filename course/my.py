"""A learner's own copies of the notebooks: made once, kept for ever, and never looked at by git.

python -m course.my            # make the copies in my/ that are missing, and say what is new
python -m course.my lab        # that, then JupyterLab on them: what `make lab` starts
python -m course.my update     # bring the course's changes: what `make update` does

A copy that was worked in is never written to again. When the course has changed its notebook, the
new version is put beside it, as in `my/ch03/ch03 (new).ipynb`; a copy that nobody has worked in
is renewed. my/.copies.json remembers which version each copy was made from. On a Korean machine,
or with COURSE_LANGUAGE=ko, copies are made from the Korean edition in ko/.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from course.files import written_whole
from course.language import language
from course.terminal import replace_unprintable

ROOT = Path(__file__).resolve().parent.parent
MY, KOREAN, RECORD = "my", "ko", ".copies.json"
FIRST = "my/ch01/ch01.ipynb"
FOLDERS = r"ch\d\d|appendix-[A-Z]|exercises|subject"  # exercises has the bug museum
PACKAGES = {"pyproject.toml", "setup/constraints.txt", "setup/get_vocabulary.py"}


# ---- Copies.


def source_of(name: str, root: Path = ROOT) -> Path:
    """The file that a copy is made from: the Korean one on a Korean machine, where there is one."""
    korean = root / KOREAN / name
    return korean if language() == "ko" and korean.exists() else root / name


def originals(root: Path = ROOT) -> list[str]:
    """The notebooks of the course with their figures, as paths from its folder."""
    chapters = [f for f in root.iterdir() if re.fullmatch(FOLDERS, f.name)]
    patterns = ("*.ipynb", "bonus/*.ipynb", "examples/*/*.ipynb", "figures/*", "bonus/figures/*")
    found = [path for folder in chapters for pattern in patterns for path in folder.glob(pattern)]
    names = [path.relative_to(root).as_posix() for path in found if path.is_file()]
    # exercises-NAME.ipynb is a copy that somebody has made by hand.
    return sorted(n for n in names if not PurePosixPath(n).name.startswith("exercises-"))


def essence(content: bytes) -> str:
    """A digest of what somebody may have worked on: a notebook's cells, of other files all.

    Editors rewrite the rest of a notebook as soon as it is opened.
    """
    try:
        cells = json.loads(content)["cells"]
        content = json.dumps(cells, sort_keys=True).encode()
    except (ValueError, KeyError, TypeError, RecursionError):
        pass  # a picture, or a damaged notebook
    return hashlib.sha256(content).hexdigest()


def read_record(root: Path = ROOT) -> dict[str, dict[str, str]]:
    """original -> copy -> essence of the version that this copy was made from."""
    try:
        record = json.loads((root / MY / RECORD).read_text(encoding="utf-8"))
        return record if isinstance(record, dict) else {}
    except (OSError, ValueError):
        return {}  # then every copy counts as worked in


def is_untouched(root: Path, copy: str, was: str | None) -> bool:
    """Whether a copy still holds what it was made with."""
    path = root / MY / copy
    return path.is_file() and essence(path.read_bytes()) == was


def free_name(root: Path, name: str, word: str) -> str:
    """The first name beside a copy that is not taken: ch03 (new).ipynb, ch03 (new 2).ipynb."""
    path, n = PurePosixPath(name), 1
    while True:
        number = f" {n}" if n > 1 else ""
        candidate = path.with_name(f"{path.stem} ({word}{number}){path.suffix}").as_posix()
        if not (root / MY / candidate).exists():
            return candidate
        n += 1


def place_of(root: Path, name: str, now: str, copies: Mapping[str, str]) -> str | None:
    """The copy that the course's present version goes to; None if it has been given already."""
    if not (root / MY / name).exists():
        return name
    if now in copies.values() or is_untouched(root, name, now):
        return None
    untouched = (copy for copy, was in copies.items() if is_untouched(root, copy, was))
    return next(untouched, None) or free_name(root, name, "new")


def make_copies(root: Path = ROOT) -> list[str]:
    """Make the copies that are missing, renew those without work, put new versions beside others.

    Gives a sentence for each new version that lies beside a learner's work, and one for the rest.
    """
    record, edited, beside = read_record(root), edited_files(root), []
    made = renewed = 0
    for name in originals(root):
        content, copies = source_of(name, root).read_bytes(), record.setdefault(name, {})
        now = essence(content)
        copy = place_of(root, name, now, copies)
        existed = copy is not None and (root / MY / copy).exists()
        if copy is None or name in edited and (existed or copy != name):
            continue
        with written_whole(root / MY / copy) as draft:
            draft.write_bytes(content)
        if name in edited:  # holds a learner's work: the record must not call it the course's
            copies.pop(copy, None)
        else:
            copies[copy] = now
        if copy != name and not existed:
            beside.append(f"The course has changed {name}: its new version is {MY}/{copy}.")
        made, renewed = made + (copy == name and not existed), renewed + existed
    with written_whole(root / MY / RECORD) as draft:
        draft.write_text(json.dumps(record, indent=1), encoding="utf-8")
    counts = [f"{made} new" if made else "", f"{renewed} renewed" if renewed else ""]
    if any(counts):
        beside.append(f"Copies of the course in {MY}: {', '.join(filter(None, counts))}.")
    return beside


def my_copy(path: Path, root: Path = ROOT) -> Path:
    """The learner's copy of one of the course's files if there is one, else the file itself."""
    copy = root / MY / path.relative_to(root)
    return copy if copy.exists() else path


def original_of(path: Path, root: Path = ROOT) -> Path:
    """The course's file that a copy or a Korean one was made from; any other path stays."""
    for folder in (root / MY, root / KOREAN):
        if folder in path.parents:
            return root / path.relative_to(folder)
    return path


# ---- JupyterLab.


def keep_the_course(model: dict, path: str, contents_manager: Any, **_: Any) -> None:
    """Before JupyterLab saves: leave out what it adds on opening, and refuse to change an original.

    So opening a notebook changes nothing, even when it is saved by itself two minutes later.
    Raises: HTTPError, which JupyterLab shows, if cells of an original are no longer the course's.
    """
    if model.get("type") != "notebook" or not model.get("content"):
        return
    notebook = model["content"]
    file = Path(contents_manager._get_os_path(path)).resolve()
    name = file.relative_to(ROOT).as_posix() if ROOT in file.parents else ""
    name = name.removeprefix(f"{KOREAN}/")  # the Korean edition is the course's as well
    known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    metadata = notebook.setdefault("metadata", {})
    if "language_info" in metadata:
        metadata["language_info"] = {"name": metadata["language_info"].get("name", "python")}
    if name not in originals():
        return
    metadata.clear()
    metadata.update(known["metadata"])
    if as_saved(notebook["cells"]) != as_saved(known["cells"]):
        from tornado.web import HTTPError

        said = f"This is the course's original. Your copy is {MY}/{name}: work there, or keep what "
        raise HTTPError(403, said + f"you have done with Save Notebook As, under {MY}/.")


def as_saved(cells: list[dict]) -> str:
    """The cells of a notebook as text, whether their lines come as lists or as one text."""

    def joined(value: Any) -> Any:
        if isinstance(value, list) and all(isinstance(v, str) for v in value):
            return "".join(value)
        if isinstance(value, list):
            return [joined(v) for v in value]
        if isinstance(value, dict):  # JupyterLab notes in a cell whether it may be trusted
            return {k: joined(v) for k, v in value.items() if k != "trusted"}
        return value

    return json.dumps(joined(cells), sort_keys=True)


def lab(
    arguments: list[str], root: Path = ROOT, first: str = f"/lab/tree/{FIRST}", **added: str | Path
) -> int:
    """Start JupyterLab on the learner's copies; give its exit status.

    first is the address that opens; what is added goes into the environment.
    """
    # A notebook in my/ itself would take my/ch03 for the package ch03, were the course not named.
    paths = {"PYTHONPATH": root, "JUPYTER_CONFIG_PATH": root / "setup" / "jupyter"}
    options = [
        f"--LabApp.default_url={first}",
        f"--LabApp.extra_labextensions_path={root / 'setup' / 'jupyter' / 'labextensions'}",
        "--FileContentsManager.pre_save_hook=course.my.keep_the_course",
    ]
    command = [sys.executable, "-m", "jupyterlab", *options, *arguments]
    environment = {**os.environ, **{name: str(value) for name, value in added.items()}}
    for name, path in paths.items():
        environment[name] = os.pathsep.join(filter(None, [str(path), os.environ.get(name)]))
    try:
        return subprocess.call(command, cwd=root, env=environment)
    except KeyboardInterrupt:  # which ends JupyterLab, too
        return 0


# ---- The course's changes.


class Refused(Exception):
    """The course cannot be brought up to date; the message says why, and what to do."""


def git(root: Path, *arguments: str) -> str:
    """What git answers. Raises: Refused with git's own last words."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True)
    except OSError:
        raise Refused("git is not installed.") from None
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
        raise Refused(words[-1])
    return done.stdout.decode(errors="surrogateescape")


def says(root: Path, *arguments: str) -> bool:
    """Whether git agrees."""
    try:
        git(root, *arguments)
    except Refused:
        return False
    return True


def edited_files(root: Path = ROOT) -> set[str]:
    """The course's files that are not as they were committed; none where git is not used."""
    try:
        changed = git(root, "diff", "--name-only", "--no-renames", "--relative", "-z", "HEAD")
    except Refused:
        return set()
    return set(filter(None, changed.split("\0")))


def committed(root: Path, name: str) -> bytes | None:
    """A file as it was committed, or None."""
    done = subprocess.run(["git", "-C", str(root), "show", f"HEAD:./{name}"], capture_output=True)
    return done.stdout if done.returncode == 0 else None


def keep_edited(root: Path, name: str) -> str | None:
    """Take a file that was edited in the course into my/; None if there was nothing to keep."""
    path, before = root / name, committed(root, name)
    if not path.is_file():
        return None
    content = path.read_bytes()
    if before is not None and essence(before) == essence(content):
        return None  # it was only opened
    if is_untouched(root, name, essence(content)):
        return name  # the copy was made from it
    record = read_record(root).get(name, {})
    taken = (root / MY / name).exists() and not is_untouched(root, name, record.get(name))
    copy = name if name in originals(root) and not taken else free_name(root, name, "edited")
    with written_whole(root / MY / copy) as draft:
        draft.write_bytes(content)
    return copy


def give_back(root: Path, name: str) -> None:
    """Let a file be as it was committed; if it was not, let it go."""
    if committed(root, name) is not None:
        git(root, "checkout", "--quiet", "HEAD", "--", name)
    else:
        git(root, "rm", "--quiet", "--cached", "--ignore-unmatch", "--", name)
        (root / name).unlink(missing_ok=True)


def update(root: Path = ROOT) -> None:
    """Bring the course's changes, and keep every file that a learner has edited.

    Raises: Refused, with a sentence for the learner.
    """
    if not shutil.which("git"):
        raise Refused("git is not installed, so the course cannot be brought up to date.")
    if not says(root, "rev-parse", "--verify", "HEAD") or not (root / ".git").exists():
        raise Refused(
            "This folder is no clone of the course. Clone it, and move your folder my into it."
        )
    if not says(root, "rev-parse", "--verify", "@{upstream}"):
        raise Refused(
            "This branch follows none of the course's: `git switch main` goes back to that one."
        )
    if says(root, "rev-parse", "--verify", "MERGE_HEAD"):
        raise Refused("A merge is under way: `git merge --abort` or `git commit` ends it.")
    try:
        git(root, "fetch", "--quiet")
    except Refused as error:
        raise Refused(f"The course could not be reached ({error}). Try again later.") from None
    if says(root, "merge-base", "--is-ancestor", "@{upstream}", "HEAD"):
        print("The course has not changed.")
        return
    if not says(root, "merge-base", "--is-ancestor", "HEAD", "@{upstream}"):
        raise Refused(
            "You have commits of your own, and the course has new ones: `git pull --rebase` puts "
            "yours on top of them."
        )
    changes = git(root, "diff", "--name-only", "--no-renames", "-z", "HEAD", "@{upstream}")
    coming = set(filter(None, changes.split("\0")))
    edited = edited_files(root)
    in_the_way = {n for n in coming if (root / n).exists() and committed(root, n) is None}
    for name in sorted(coming & edited | in_the_way):
        if copy := keep_edited(root, name):
            print(f"You had edited {name}, which the course has changed: yours is {MY}/{copy}.")
        give_back(root, name)
    git(root, "merge", "--quiet", "--ff-only", "@{upstream}")
    print(f"The course is up to date: {len(coming)} files have changed.")
    if coming & PACKAGES:
        print("Packages have changed, too: the next `make lab` installs them.")


def main() -> int:
    replace_unprintable()
    parser = argparse.ArgumentParser(prog="python -m course.my", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("action", nargs="?", choices=["copy", "lab", "update"], default="copy")
    chapters = sorted({PurePosixPath(name).parts[0] for name in originals()})
    parser.add_argument(
        "--present", choices=chapters, metavar="CHAPTER", help="for a shared screen"
    )
    options, rest = parser.parse_known_args()
    if rest and options.action != "lab":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if options.action == "update":
        try:
            update()
        except Refused as error:
            print(error, file=sys.stderr)
            return 1
        if not (ROOT / MY).exists():
            return 0  # nobody has worked here yet
        sys.stdout.flush()  # what the other program says comes after it
        # The copies are made by the course as it is now.
        return subprocess.call([sys.executable, "-m", "course.my"], cwd=ROOT)
    for sentence in make_copies():
        print(sentence, flush=True)
    return lab(rest) if options.action == "lab" else 0


if __name__ == "__main__":
    sys.exit(main())
