"""The English texts of the course, each with a name that it keeps when it changes.

A unit is a folder with a catalogue of its own: a chapter, the exercises' machinery, the worked
examples of subject, the playbook, the set-up, or the course's folder itself with its README. Code,
outputs and whatever is generated from other texts have no entry: exercises.ipynb follows from
exercise-solutions.ipynb, museum.ipynb from museum-solutions.ipynb, quiz.ipynb from quiz.yaml.

The sentences of a chapter's checks are texts, too, as korean/sentences.py takes them out of
checks.py: `check_3_3 7` is the seventh of the function check_3_3. What stands in braces is filled
in when the check speaks and stands in the Korean too.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from course.lessons import ROOT
from exercises.generate import PAIRS, read_notebook
from exercises.quiz import QUIZ, read_quiz
from korean.sentences import sentences

CATALOGUE = "ko.po"
CHAPTER = re.compile(r"ch\d\d|appendix-[A-Z]")
PAGES = {"": ["README.md"], "setup": ["README.md", "reading-together.md"]}
PAGES["playbook"] = ["README.md", "llm-journey.md", "journey.md", "template.md"]
CHECKS = "checks.py"
SPEAKING = {"exercises": "checking.py"}  # what the checks of all chapters say
SHARED = ("subject",)  # its examples have cells in common: one text, by one name
GENERATED = (*PAIRS.values(), "quiz.ipynb")
SVG = "{http://www.w3.org/2000/svg}"
LABELS = {f"{SVG}text", f"{SVG}title", f"{SVG}desc"}


@dataclass(frozen=True)
class Text:
    """A text of the course: context is its name within a unit, place the file it stands in."""

    context: str
    english: str
    place: str


def units(root: Path = ROOT) -> list[str]:
    """The folders that have a catalogue, the chapters first."""
    chapters = sorted(f.name for f in root.iterdir() if CHAPTER.fullmatch(f.name))
    others = [name for name, program in SPEAKING.items() if (root / name / program).exists()]
    others += [name for name in SHARED if notebooks(root / name)]
    return [name for name in chapters if notebooks(root / name)] + others + [*PAGES][::-1]


def translated(root: Path = ROOT) -> list[str]:
    """The units that have a catalogue: all of their texts must have their Korean."""
    return [unit for unit in units(root) if catalogue_path(unit, root).exists()]


def catalogue_path(unit: str, root: Path = ROOT) -> Path:
    return root / unit / CATALOGUE


def notebooks(folder: Path) -> list[Path]:
    """A chapter's notebooks that are written by hand, the main one first."""
    patterns = ("*.ipynb", "bonus/*.ipynb", "examples/*/*.ipynb")
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    own = [p for p in found if p.name not in GENERATED and not p.name.startswith("exercises-")]
    main = f"{folder.name}.ipynb"
    return sorted(own, key=lambda path: (path.name != main, path.as_posix()))


def figures(folder: Path) -> list[Path]:
    return sorted([*folder.glob("figures/*.svg"), *folder.glob("bonus/figures/*.svg")])


def texts_of(unit: str, root: Path = ROOT) -> list[Text]:
    """All texts of a unit, in the order in which a reader meets them.

    Raises: ValueError if two of them have one name, or if a file cannot be read.
    """
    folder = root / unit
    if unit in PAGES:
        found = [text for name in PAGES[unit] for text in page_texts(folder / name, root)]
    else:
        found = [text for path in notebooks(folder) for text in notebook_texts(path, root)]
        found += [text for path in figures(folder) for text in figure_texts(path, root)]
        if (folder / QUIZ).exists():
            found += quiz_texts(folder / QUIZ, root)
        found += sentence_texts(unit, root)
    known: dict[str, Text] = {}
    for text in found:
        if unit in SHARED and text.english == getattr(known.get(text.context), "english", None):
            continue
        if text.context in known:
            other = known[text.context].place
            raise ValueError(f"{other} and {text.place} both have a text named {text.context}")
        known[text.context] = text
    return list(known.values())


def notebook_texts(path: Path, root: Path = ROOT) -> Iterator[Text]:
    """The Markdown cells of a notebook, and what its metadata say of what viewers ask."""
    notebook, place = read_notebook(path), path.relative_to(root).as_posix()
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield Text(cell.id, cell.source, place)
    for i, asked in enumerate(notebook.metadata.get("course", {}).get("asked", []), start=1):
        for part in ("question", "answer"):
            yield Text(f"asked {i} {part}", asked[part], place)


def labels(tree: ElementTree.Element) -> list[ElementTree.Element]:
    """The elements of a drawing that hold words, in its order."""
    found = [e for e in tree.iter() if e.tag in LABELS and has_words(e.text or "")]
    return found


def has_words(text: str) -> bool:
    """Whether there is a word to translate, beside numbers, signs and single letters."""
    return re.search(r"[A-Za-z]{2,}", text) is not None


def figure_texts(path: Path, root: Path = ROOT) -> Iterator[Text]:
    """The words of a drawing: its labels, and its title and name for those who cannot see it."""
    tree, place = ElementTree.parse(path).getroot(), path.relative_to(root).as_posix()
    name = path.stem if path.parent.parent.name != "bonus" else f"bonus/{path.stem}"
    if has_words(tree.get("aria-label", "")):
        yield Text(f"{name}.svg name", tree.get("aria-label"), place)
    for i, label in enumerate(labels(tree), start=1):
        yield Text(f"{name}.svg {i}", label.text, place)


def quiz_texts(path: Path, root: Path = ROOT) -> Iterator[Text]:
    """Questions, choices and reasons."""
    place = path.relative_to(root).as_posix()
    for i, question in enumerate(read_quiz(path), start=1):
        yield Text(f"quiz {i}", str(question["question"]), place)
        for j, choice in enumerate(question["choices"], start=1):
            yield Text(f"quiz {i} choice {j}", str(choice["text"]), place)
            yield Text(f"quiz {i} why {j}", str(choice["why"]), place)


def sentence_texts(unit: str, root: Path = ROOT) -> list[Text]:
    """What the checks of a chapter say; those of the unit exercises, what all checks say."""
    names = filter(None, (SPEAKING.get(unit), CHECKS))
    paths = [path for name in names if (path := root / unit / name).exists()]
    return [
        Text(*found, path.relative_to(root).as_posix())
        for path in paths
        for found in sentences(path)
    ]


def blocks(page: str) -> list[str]:
    """A page's paragraphs, tables, lists and blocks of code, which blank lines divide."""
    found, lines, fenced = [], [], False
    for line in page.splitlines():
        fenced ^= line.lstrip().startswith("```")
        if line.strip() or fenced:
            lines.append(line)
        elif lines:
            found.append("\n".join(lines))
            lines = []
    return [*found, "\n".join(lines)] if lines else found


def page_texts(path: Path, root: Path = ROOT) -> Iterator[Text]:
    """The blocks of a Markdown page, without its code; each is named by its heading and place."""
    place, heading, n = path.relative_to(root).as_posix(), "", 0
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.startswith("#"):
            heading, n = block.lstrip("# "), 0
        elif not block.startswith("```"):
            n += 1
        if not block.startswith("```") and has_words(block):
            yield Text(f"{path.name}: {heading}" + (f" {n}" if n else ""), block, place)


def korean_questions(path: Path, korean: Mapping[str, str]) -> list[dict]:
    """The questions of a quiz.yaml in Korean, in the same order; what has none stays English."""
    questions = read_quiz(path)
    for i, question in enumerate(questions, start=1):
        question["question"] = korean.get(f"quiz {i}", question["question"])
        for j, choice in enumerate(question["choices"], start=1):
            choice["text"] = korean.get(f"quiz {i} choice {j}", choice["text"])
            choice["why"] = korean.get(f"quiz {i} why {j}", choice["why"])
    return questions
