"""Read a folder of texts as documents: .txt, .md, and .jsonl with a text on each line.

A file is a document, or several if it has lines of <|endoftext|>; a long one is cut at its blank
lines, so that a book is many documents and not one.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tqdm.auto import tqdm

from ch05.text_stream import find_files, read_documents
from subject.settings import Project

LONGEST = 4000  # characters of a document that is not cut
FEWEST = 8  # documents that can be divided into those to learn from and those to be asked


@dataclass(frozen=True)
class Document:
    """A text, and the file that it stands in."""

    file: str
    text: str


def cut(text: str, longest: int = LONGEST) -> list[str]:
    """A text in parts that end at blank lines; a paragraph alone may be longer."""
    parts, waiting, n = [], [], 0
    for paragraph in re.split(r"\n\s*\n", text):
        if waiting and n + len(paragraph) > longest:
            parts.append("\n\n".join(waiting))
            waiting, n = [], 0
        waiting.append(paragraph)
        n += len(paragraph)
    return [*parts, "\n\n".join(waiting)]


def read_folder(folder: str | Path, longest: int = LONGEST) -> list[Document]:
    """The documents of a folder, those without a word left out.

    Raises: FileNotFoundError if there is no folder, ValueError that names the file and the byte or
    the line that cannot be read, or says that the folder holds no text or too little.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "a file, not a folder" if folder.exists() else "not there"
        raise FileNotFoundError(f"the folder of texts {folder} is {what}")
    found, pieces = [], []
    with tqdm(disable=True) as silent:
        for path in find_files([folder]):
            name = path.relative_to(folder).as_posix()
            for piece, ends in read_documents([path], "text", silent):
                pieces.append(piece)
                if ends:
                    parts = cut("".join(pieces).strip(), longest)
                    found += [Document(name, part.strip()) for part in parts if part.strip()]
                    pieces = []
    if len(found) < FEWEST:
        raise ValueError(
            f"{folder} holds too little text: {len(found)} documents, and at least {FEWEST} are "
            "needed (a file is one, and a long file is cut at its blank lines)"
        )
    return found


def read_texts(project: Project) -> list[Document]:
    """The documents of a project. Raises: as read_folder."""
    return read_folder(project.texts)


def words_of(text: str) -> list[str]:
    """What stands between blanks: words in English, eojeol in Korean."""
    return text.split()


def n_words(documents: Iterable[Document]) -> int:
    return sum(len(words_of(document.text)) for document in documents)
