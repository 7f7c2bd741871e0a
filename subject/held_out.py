"""Divide documents, before any training, into those to learn from and those to be asked.

Near duplicates stay together, so that nothing that was learned is asked. Of a group that is to be
learned, one document is kept. What a split was made of is written down with it: other texts make
no other split unseen.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from subject.look import groups_of, near_pairs
from subject.once import made_once
from subject.personal import masked
from subject.settings import Project
from subject.texts import Document, read_texts


@dataclass(frozen=True)
class Split:
    """Documents to learn from and documents held out, both masked; and what was left out."""

    train: list[str]
    held_out: list[str]
    dropped: int  # near duplicates of one that was kept
    digest: str  # of the texts and of all that decides


def divide(
    documents: Sequence[Document], share: float, seed: int, mask: Sequence[str] = ()
) -> Split:
    """Hold out so large a share of the groups of near duplicates.

    Raises: ValueError if one of the sides would be empty, or for a kind of mask that is not known.
    """
    texts = [masked(document.text, mask) for document in documents]
    groups = groups_of(len(texts), near_pairs(texts)).tolist()
    firsts = {}  # the first document of each group stands for it
    for i, group in enumerate(groups):
        firsts.setdefault(group, i)
    drawn = list(firsts.values())
    Random(seed).shuffle(drawn)
    n = round(share * len(drawn))
    if not 0 < n < len(drawn):
        raise ValueError(
            f"{len(drawn)} different documents cannot be divided with held_out {share}: "
            f"{n} would be held out"
        )
    held_out, train = sorted(drawn[:n]), sorted(drawn[n:])
    told = json.dumps([[d.text for d in documents], share, seed, sorted(mask)])
    return Split(
        [texts[i] for i in train],
        [texts[i] for i in held_out],
        len(texts) - len(drawn),
        hashlib.sha256(told.encode()).hexdigest()[:16],
    )


def leaks(split: Split, alike: float = 0.5) -> int:
    """How many documents held out have a near duplicate among those to learn from."""
    n = len(split.held_out)
    pairs = near_pairs([*split.held_out, *split.train], alike)
    return len({a for a, b, _ in pairs if a < n <= b})


def make_split(project: Project) -> Split:
    """The split of a project, written to runs/texts the first time, and the same ever after.

    Raises: ValueError if texts or settings have changed since; and as read_folder and divide.
    """
    settings = project.settings
    split = divide(read_texts(project), settings.held_out, settings.seed, settings.mask)
    folder = project.runs / "texts"
    path = folder / "split.json"
    if path.exists():
        kept = json.loads(path.read_text(encoding="utf-8"))["digest"]
        if kept != split.digest:
            raise ValueError(
                f"the texts or the settings have changed since {path} was made, and models may "
                f"have learned from what would be asked now: delete {project.runs}, and train anew"
            )
        return split
    with made_once(folder) as draft:
        for name in ("train", "held_out"):
            lines = (json.dumps({"text": t}, ensure_ascii=False) for t in getattr(split, name))
            (draft / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        text = json.dumps({"digest": split.digest}) + "\n"
        (draft / path.name).write_text(text, encoding="utf-8")
    return split
