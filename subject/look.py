"""Look at texts before anything is trained on them: sizes, languages, duplicates."""

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ch02.tokenizer import split_pieces
from ch05.duplicates import SHINGLE, signature
from ch07.bonus.data import BANDS
from subject.texts import Document, n_words

SCRIPTS = {  # letters by their blocks in Unicode
    "Hangul": r"[\uac00-\ud7a3\u1100-\u11ff\u3130-\u318f]",
    "Latin": r"[A-Za-z\u00c0-\u024f]",
    "Han and Kana": r"[\u3040-\u30ff\u4e00-\u9fff]",
}
ENGLISH = {"the", "of", "and", "to", "in", "is", "a", "was", "it", "for", "that", "on", "with"}
ALIKE = 0.5  # share of runs of five words from which two documents count as near duplicates


def sizes(documents: Sequence[Document]) -> pd.DataFrame:
    """How much text there is, by the kind of file and together.

    Units: characters, bytes of UTF-8, words between blanks.
    """
    rows = {}
    for name in [*sorted({d.file.rpartition(".")[2] for d in documents}), "together"]:
        some = [d for d in documents if name in ("together", d.file.rpartition(".")[2])]
        text = [d.text for d in some]
        rows["together" if name == "together" else f".{name}"] = {
            "files": len({d.file for d in some}),
            "documents": len(some),
            "words": n_words(some),
            "characters": sum(map(len, text)),
            "bytes": sum(len(t.encode()) for t in text),
            "words of the median": int(np.median([len(t.split()) for t in text])),
        }
    return pd.DataFrame(rows).T


def language_of(text: str) -> str:
    """Korean, English, another one in Latin letters, another script, or no letters at all.

    English is told by its smallest words, which stand in every text of it.
    """
    n = {name: len(re.findall(pattern, text)) for name, pattern in SCRIPTS.items()}
    letters = sum(c.isalpha() for c in text)
    if not letters:
        return "no letters"
    if n["Hangul"] > letters / 3:  # Korean texts have names and units in Latin letters
        return "Korean"
    if n["Latin"] < letters / 2:
        return "another script"
    words = re.findall(r"[a-z']+", text.lower())
    small = sum(word in ENGLISH for word in words)
    return "English" if small >= len(words) / 10 else "other Latin"


def languages(documents: Sequence[Document]) -> pd.DataFrame:
    """In which languages the documents are, the most frequent first."""
    counts, letters = Counter(), Counter()
    for document in documents:
        language = language_of(document.text)
        counts[language] += 1
        letters[language] += len(document.text)
    rows = {name: {"documents": n, "characters": letters[name]} for name, n in counts.most_common()}
    return pd.DataFrame(rows).T


@cache
def word_number(piece: str) -> int:
    return zlib.crc32(piece.encode(errors="replace"))


def word_ids(text: str) -> np.ndarray:
    """A number for each word, which needs no vocabulary; case and blanks do not count."""
    pieces = (piece.strip().lower() for piece in split_pieces(text))
    return np.array([word_number(piece) for piece in pieces if piece], np.int64)


def runs_of(ids: np.ndarray) -> set[tuple]:
    """The runs of five words of a document; of a shorter one, all of it."""
    n = max(1, len(ids) - SHINGLE + 1)
    return {tuple(ids[i : i + SHINGLE].tolist()) for i in range(n)}


def near_pairs(texts: Sequence[str], alike: float = ALIKE) -> list[tuple[int, int, float]]:
    """The pairs of texts that are the same or nearly: first, second, shared part of their runs.

    MinHash proposes pairs (28 bands of 4: a pair that shares half of its runs is found with a
    chance of 84%, one that shares 0.7 nearly always), and the runs themselves decide.
    """
    ids = [word_ids(text) for text in texts]
    n_bands, band = BANDS["28 x 4"]
    met = defaultdict(list)
    for i, numbers in enumerate(ids):
        found = signature(numbers)
        if len(numbers) < SHINGLE:  # without a run, only what is equal is alike
            met[("whole", numbers.tobytes())].append(i)
            continue
        for k, part in enumerate(found.reshape(n_bands, band)):
            met[(k, part.tobytes())].append(i)
    proposed = {
        (a, b) for group in met.values() for n, a in enumerate(group) for b in group[n + 1 :]
    }
    runs = {i: runs_of(ids[i]) for i in {i for pair in proposed for i in pair}}
    pairs = []
    for a, b in sorted(proposed):
        both = len(runs[a] & runs[b])
        jaccard = both / (len(runs[a]) + len(runs[b]) - both)
        if jaccard >= alike:
            pairs.append((a, b, jaccard))
    return pairs


def groups_of(n: int, pairs: Sequence[tuple[int, int, float]]) -> np.ndarray:
    """A number for each document, the same for all that pairs join, also through others."""
    a, b = ([pair[i] for pair in pairs] for i in (0, 1))
    graph = coo_matrix((np.ones(len(pairs)), (a, b)), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def duplicates(documents: Sequence[Document], pairs: Sequence[tuple[int, int, float]]) -> dict:
    """How many documents were met before: to the letter but for blanks and case, or nearly.

    "left" is how many there are if of each group one is kept.
    """
    whole = Counter(tuple(word_ids(d.text).tolist()) for d in documents)
    groups = groups_of(len(documents), pairs)
    n_exact, n_left = len(documents) - len(whole), len(set(groups.tolist()))
    return {
        "documents": len(documents),
        "the same as another": n_exact,
        "nearly the same": len(documents) - n_exact - n_left,
        "left": n_left,
    }
