"""The Korean edition's files: the notebooks of the course with Korean texts, the same code.

ko/ch04/ch04.ipynb has the ids, the code cells and the outputs of ch04/ch04.ipynb. Its figures lie
beside it with Korean labels. Exercises and quiz follow from the Korean solutions and questions, as
the English ones do from theirs. A page such as README.md has its Korean beside it: README.ko.md.
What a chapter's checks say is in exercises/ko/ch04.json, English -> Korean, which they read as they
speak.
A chapter may have cells that only its Korean edition has: ch02/ko-notes.yaml, texts by the id of
the cell that they follow.
"""

import copy
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

import nbformat
import yaml
from nbformat import NotebookNode

from course.files import written_whole
from course.lessons import ROOT
from exercises.generate import exercises_of, pair_of, read_notebook
from exercises.quiz import QUIZ, notebook_of
from korean.catalogue import read_catalogue
from korean.texts import (
    PAGES,
    blocks,
    catalogue_path,
    figures,
    has_words,
    korean_questions,
    labels,
    notebooks,
    page_texts,
    sentence_texts,
)

EDITION, NOTES = "ko", "ko-notes.yaml"
TARGET = re.compile(r"(\]\()([^)#\s]+)")


def korean_of(unit: str, root: Path = ROOT) -> dict[str, str]:
    """The Korean of each text that has one, by its name."""
    known = read_catalogue(catalogue_path(unit, root))
    return {context: korean for context, (_, korean, _) in known.items() if korean}


def built_path(path: PurePosixPath) -> PurePosixPath | None:
    """Where the Korean edition of a file of the course lies, None if it has none."""
    folder = path.parts[0] if len(path.parts) > 1 else ""
    if folder in PAGES:
        return path.with_suffix(".ko.md") if path.name in PAGES[folder] else None
    if path.suffix in (".ipynb", ".svg") and re.match(
        r"(ch\d\d|appendix-[A-Z]|exercises|subject)$", folder
    ):
        return EDITION / path
    return None


def with_links(text: str, old: PurePosixPath, new: PurePosixPath, root: Path) -> str:
    """The text with links that lead from its new place to the Korean edition, or else the English.

    A link that leads nowhere in the course stays as it is.
    """

    def moved(found: re.Match) -> str:
        target = found[2]
        path = PurePosixPath(os.path.normpath(old.parent / target))
        if ":" in target or not (root / path).exists():
            return found[0]
        place = built_path(path) or path
        return found[1] + Path(os.path.relpath(place, new.parent)).as_posix()

    return TARGET.sub(moved, text)


def korean_notebook(path: Path, korean: Mapping[str, str], root: Path = ROOT) -> NotebookNode:
    """A notebook with Korean texts; what has no Korean yet stays English."""
    notebook = copy.deepcopy(read_notebook(path))
    old = PurePosixPath(path.relative_to(root).as_posix())
    new = built_path(old)
    notes = read_notes(root / old.parts[0] / NOTES)
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = with_links(korean.get(cell.id, cell.source), old, new, root)
        cells.append(cell)
        if cell.id in notes:
            note = nbformat.v4.new_markdown_cell(notes[cell.id], id=f"{cell.id}-ko")
            note.metadata["slideshow"] = {"slide_type": "notes"}
            cells.append(note)
    notebook.cells = cells
    about = notebook.metadata.get("course", {})
    for i, asked in enumerate(about.get("asked", []), start=1):
        for part in ("question", "answer"):
            asked[part] = korean.get(f"asked {i} {part}", asked[part])
    rename_sections(about, read_notebook(path), notebook)
    return notebook


def rename_sections(about: dict, english: NotebookNode, korean: NotebookNode) -> None:
    """Give the sections in a notebook's metadata the headings that they have now."""
    now = {cell.id: headings(cell.source) for cell in korean.cells}
    renamed = {
        old: new
        for cell in english.cells
        if cell.cell_type == "markdown"
        for old, new in zip(headings(cell.source), now[cell.id])
    }
    for section in about.get("sections", []):
        section["title"] = renamed.get(section["title"], section["title"])
    if "title" in about:
        about["title"] = renamed.get(about["title"], about["title"])


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.+?)\s*$", text, re.M)


def read_notes(path: Path) -> dict[str, str]:
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


def korean_figure(path: Path, korean: Mapping[str, str]) -> bytes:
    """A drawing with Korean labels."""
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    tree = ElementTree.parse(path)
    name = path.stem if path.parent.parent.name != "bonus" else f"bonus/{path.stem}"
    root = tree.getroot()
    if has_words(root.get("aria-label", "")):
        root.set("aria-label", korean.get(f"{name}.svg name", root.get("aria-label")))
    for i, label in enumerate(labels(root), start=1):
        label.text = korean.get(f"{name}.svg {i}", label.text)
    root.set("lang", "ko")
    return ElementTree.tostring(root, encoding="utf-8") + b"\n"


def korean_page(path: Path, korean: Mapping[str, str], root: Path = ROOT) -> str:
    """A Markdown page with Korean blocks; code stays as it is."""
    names = {text.english: text.context for text in page_texts(path, root)}
    old = PurePosixPath(path.relative_to(root).as_posix())
    found = (korean.get(names.get(block, ""), block) for block in blocks(path.read_text("utf-8")))
    return with_links("\n\n".join(found) + "\n", old, built_path(old), root)


def built(unit: str, root: Path = ROOT) -> dict[PurePosixPath, bytes]:
    """Every file of a unit's Korean edition: its place in the course, and what it holds."""
    korean, folder, files = korean_of(unit, root), root / unit, {}

    def place(path: Path) -> PurePosixPath:
        return built_path(PurePosixPath(path.relative_to(root).as_posix()))

    if unit in PAGES:
        for name in PAGES[unit]:
            files[place(folder / name)] = korean_page(folder / name, korean, root).encode()
        return files
    found = {place(path): korean_notebook(path, korean, root) for path in notebooks(folder)}
    source, exercises = pair_of(folder)
    solutions = found.get(place(source))
    if solutions is not None:
        found[place(exercises)] = korean_exercises(exercises, solutions)
    if (folder / QUIZ).exists():
        main = found[place(folder / f"{folder.name}.ipynb")]
        questions = korean_questions(folder / QUIZ, korean)
        quiz = notebook_of(folder.name.lower(), main, questions, language="ko")
        found[place(folder / "quiz.ipynb")] = quiz
    files = {path: nbformat.writes(notebook).encode() + b"\n" for path, notebook in found.items()}
    files |= {place(path): korean_figure(path, korean) for path in figures(folder)}
    said = {text.english: korean.get(text.context, "") for text in sentence_texts(unit, root)}
    said = {e: korean for e, korean in said.items() if korean not in ("", e.strip("\n"))}
    if said:
        content = json.dumps(said, ensure_ascii=False, indent=1) + "\n"
        name = unit.lower().replace("-", "_")  # as the package is called
        files[PurePosixPath("exercises", EDITION, f"{name}.json")] = content.encode()
    return files


def korean_exercises(path: Path, solutions: NotebookNode) -> NotebookNode:
    """The exercises that belong to Korean solutions, with the outputs of the English ones."""
    notebook = exercises_of(solutions)
    outputs = {cell.id: cell for cell in read_notebook(path).cells}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            english = outputs[cell.id]
            cell.outputs, cell.execution_count = english.outputs, english.execution_count
    return notebook


def stale(unit: str, root: Path = ROOT) -> list[str]:
    """The files of a unit's Korean edition that do not follow from their sources."""
    return [
        path.as_posix()
        for path, content in built(unit, root).items()
        if not (root / path).exists() or (root / path).read_bytes() != content
    ]


def write(unit: str, root: Path = ROOT) -> list[str]:
    """Write those files of a unit that are stale; give their names."""
    changed = []
    for path, content in built(unit, root).items():
        if not (root / path).exists() or (root / path).read_bytes() != content:
            with written_whole(root / path) as draft:
                draft.write_bytes(content)
            changed.append(path.as_posix())
    return changed
