"""Write a project for somebody's own texts: python -m playbook new-model NAME --texts FOLDER

The notebooks are those of the worked example without what is the example's alone: the same cells,
with no output, on a project of one's own.
"""

import math
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course.language import language
from course.lessons import ROOT
from subject.look import language_of
from subject.settings import EXAMPLES, NAME, Settings, write_settings
from subject.texts import Document, n_words, read_folder

TEMPLATE = "clocks"  # the example that the notebooks are taken from
NOTEBOOKS = ("1-data", "2-pretraining", "3-instructions", "4-evaluation")
OPEN = re.compile(r'open_project\("[^"]*"\)')
TOKENS_A_WORD = {"en": 1.4, "ko": 2.6}  # of a small vocabulary, about
EPOCHS = 20  # a small text is read as often as it helps
FEWEST_WINDOWS = 4  # in the training texts
MOST_TOKENS = 20_000_000  # of a first plan: about an hour on two cores


def template_notebook(name: str, said: str = "en", root: Path = ROOT) -> NotebookNode:
    """A notebook of the example, in English or Korean, as a project of one's own begins with it."""
    place = EXAMPLES.relative_to(ROOT) / TEMPLATE / f"{name}.ipynb"
    korean = root / "ko" / place
    path = korean if said == "ko" and korean.exists() else root / place
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [c for c in notebook.cells if "example" not in c.metadata.get("tags", [])]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.source = OPEN.sub('open_project(".")', cell.source)
        tags = [t for t in cell.metadata.get("tags", []) if not t.startswith("nbval")]
        if "tags" in cell.metadata:
            cell.metadata["tags"] = tags
    return notebook


def refresh(folder: Path, name: str) -> None:
    """Bring the template's texts and code into another example's notebooks; its own cells stay.

    A cell of one's own has a tag "example", and stays behind the cell that it followed.
    """
    for stem in NOTEBOOKS:
        path = folder / f"{stem}.ipynb"
        fresh = template_notebook(stem)
        for cell in fresh.cells:
            cell.source = OPEN.sub(f'open_project("{name}")', cell.source)
        if path.exists():
            before, own = "", {}
            for cell in nbformat.read(path, as_version=4).cells:
                if "example" in cell.metadata.get("tags", []):
                    own.setdefault(before, []).append(cell)
                else:
                    before = cell.id
            cells = list(own.pop("", []))
            for cell in fresh.cells:
                cells += [cell, *own.pop(cell.id, [])]
            if own:
                raise ValueError(f"{path}: {', '.join(own)} is no cell of the template any more")
            fresh.cells = cells
        nbformat.write(fresh, path)


def planned(name: str, texts: str, said: str, documents: Sequence[Document]) -> Settings:
    """Settings for so much text: a vocabulary and a model that it can fill, and tokens to read.

    Raises: ValueError if the text is too little for any training.
    """
    words = n_words(documents)
    held_out = 0.1 if len(documents) >= 20 else 0.25
    context_length = 128 if said == "en" else 192
    # A tenth of what is left is for the validation of ch05.pretrain.
    share = 0.9 * (1 - held_out) * TOKENS_A_WORD[said] / context_length  # windows for a word
    if words * share < FEWEST_WINDOWS:
        raise ValueError(
            f"the texts hold too little: {words} words, and about "
            f"{math.ceil(FEWEST_WINDOWS / share)} are the least to train on"
        )
    tokens = int(min(MOST_TOKENS, EPOCHS * TOKENS_A_WORD[said] * words))
    small, middle = words < 200_000, words < 2_000_000
    sizes = (128, 4, 4) if small else (192, 6, 6) if middle else (256, 8, 8)
    return Settings(
        name=name,
        texts=texts,
        language=said,
        vocab_size=(1024 if said == "en" else 2048) if small else 4096,
        context_length=context_length,
        **dict(zip(("emb_dim", "n_heads", "n_layers"), sizes)),
        tokens=tokens,
        batch_size=min(8 if small else 16, int(words * share) // 2),
        held_out=held_out,
        seeds=3 if small else 1,
    )


def new_model(
    name: str, texts: str | Path, said: str | None = None, out: str | Path | None = None
) -> Path:
    """Write a project; its folder. It is there as a whole, or not at all.

    Raises: ValueError or FileNotFoundError, in one sentence, for a name that cannot be one, a
    folder that is taken, and as read_folder for texts that cannot be read.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise ValueError(
            f"{name!r} cannot be a name: take small letters, digits and hyphens, 40 at most"
        )
    folder = Path(out) if out else ROOT / "my" / name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(
            f"{folder} holds something already, and nothing of it was touched: choose another "
            "name, or go on there"
        )
    documents = read_folder(texts)
    if said is None:
        n_korean = sum(language_of(d.text) == "Korean" for d in documents)
        said = "ko" if n_korean > len(documents) / 2 else "en"
    place = Path(texts).resolve()
    try:
        seen_from = Path(os.path.relpath(place, folder.resolve())).as_posix()
    except ValueError:  # another drive of Windows
        seen_from = place.as_posix()
    settings = planned(name, seen_from, said, documents)
    draft = folder.with_name(folder.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)  # of a command that was killed
    try:
        draft.mkdir(parents=True)
        write_settings(draft / NAME, settings)
        for stem in NOTEBOOKS:
            nbformat.write(template_notebook(stem, language()), draft / f"{stem}.ipynb")
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder
