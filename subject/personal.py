"""Find what is personal in texts, count it, and mask it before anything is trained on.

Rules find forms: a mail address, a telephone number, a resident or a card number, a street
address, a name. What is found is a proposal to look at, and what has no form is not found.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from subject.texts import Document

# English and Korean forms. Numbers are bounded by what is no digit, so that a price is no part
# of one.
PATTERNS = {
    "mail": r"[\w.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
    "card": r"(?<![\d-])\d{4}(?:[ -]?\d{4}){2}[ -]?\d{1,7}(?![\d-])",
    # Korea's has a date of birth and a digit for century and sex; the United States' 3-2-4 digits.
    "resident number": r"(?<![\d-])(?:\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])-[1-8]\d{6}"
    r"|\d{3}-\d{2}-\d{4})(?![\d-])",
    "phone": r"(?<![\d-])(?:\+\d{1,3}[ -]?(?:\(0\))?\d{1,4}(?:[ -]\d{2,4}){1,4}"
    r"|0\d{1,3}[ -]\d{3,4}[ -]\d{3,4}"
    r"|(?:\(\d{3}\) ?|\d{3}[ -])?\d{3}-\d{4})(?![\d-])",
    "street": r"\b\d{1,4}[a-z]? (?:[A-Z][a-z]+ ){1,2}"
    r"(?:Street|Road|Lane|Avenue|Row|Square|Hill)\b"
    r"|(?:[가-힣]+(?:시|군|구|읍|면|동) )?[가-힣]{1,8}(?:로|길) ?\d{1,4}"
    r"(?:번길 ?\d{1,4})?(?:-\d{1,3})?(?![\d가-힣]*(?:년|월|일|원|시|분|개|명))",
}
SURNAMES = (
    "김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민진지엄"
    "채원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국어은편용"
)
NAMES = (
    r"\b(?:Mr|Mrs|Ms|Miss|Dr|Prof|Professor|Captain|Sir|Lady)\.? (?:[A-Z]\. ?)*[A-Z][a-z]+"
    r"(?: [A-Z][a-z]+)?",
    rf"(?<![가-힣])[{SURNAMES}][가-힣]{{2}}"
    r"(?= ?(?:씨|님|선생님|사장님|할머니|할아버지|박사|교수|기자)(?![가-힣]{3}))",
    r"\b[A-Z][a-z]+ [A-Z][a-z]+(?=,? (?:who|whose|wrote|says|said|asked|came|lives|told|from)\b)",
)
KINDS = (*PATTERNS, "name")


@dataclass(frozen=True)
class Found:
    """Something personal: its kind, its text, and where it stands."""

    kind: str
    text: str
    start: int
    end: int


def is_card(text: str) -> bool:
    """Whether the digits are a card's: its last one is a check of the others.

    Source: Luhn 1960, US patent 2,950,048.
    """
    digits = [int(c) for c in text if c.isdigit()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [
        d if i % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(reversed(digits))
    ]
    return sum(doubled) % 10 == 0


def find_personal(text: str) -> list[Found]:
    """What is personal in a text, in its order; of two that overlap, the first kind counts."""
    found, taken = [], set()
    for kind, pattern in PATTERNS.items():
        for match in re.finditer(pattern, text):
            if kind == "card" and not is_card(match[0]):
                continue
            if taken.isdisjoint(range(*match.span())):
                taken.update(range(*match.span()))
                found.append(Found(kind, match[0], *match.span()))
    for pattern in NAMES:
        for match in re.finditer(pattern, text):
            if taken.isdisjoint(range(*match.span())):
                taken.update(range(*match.span()))
                found.append(Found("name", match[0], *match.span()))
    return sorted(found, key=lambda f: f.start)


def tabulate(documents: Sequence[Document]) -> pd.DataFrame:
    """How often each kind is found, in how many documents, and how many are different."""
    times, where, different = Counter(), Counter(), defaultdict(set)
    for document in documents:
        found = find_personal(document.text)
        where.update({f.kind for f in found})
        for f in found:
            times[f.kind] += 1
            different[f.kind].add(f.text)
    rows = {
        kind: {"found": times[kind], "different": len(different[kind]), "documents": where[kind]}
        for kind in KINDS
    }
    return pd.DataFrame(rows).T


def examples(documents: Sequence[Document], n: int = 3) -> pd.DataFrame:
    """The first different ones of each kind, covered but for their ends, with their files."""
    rows, seen = [], defaultdict(set)
    for document in documents:
        for f in find_personal(document.text):
            if len(seen[f.kind]) < n and f.text not in seen[f.kind]:
                seen[f.kind].add(f.text)
                rows.append((f.kind, covered(f.text), document.file))
    rows.sort(key=lambda row: KINDS.index(row[0]))
    return pd.DataFrame(rows, columns=["kind", "found", "file"])


def covered(text: str) -> str:
    """A text with a dot for each letter and digit but the first two and the last."""
    inside = re.sub(r"\w", "·", text[2:-1])
    return text[:2] + inside + text[-1:]


def masked(text: str, kinds: Iterable[str]) -> str:
    """The text with a mark such as <mail> in place of everything of these kinds.

    Raises: ValueError for a kind that is not known.
    """
    kinds = set(kinds)
    if unknown := kinds - set(KINDS):
        raise ValueError(f"mask: {min(unknown)!r} is no kind; there are {', '.join(KINDS)}")
    parts, place = [], 0
    for f in find_personal(text):
        if f.kind in kinds:
            parts += [text[place : f.start], f"<{f.kind}>"]
            place = f.end
    return "".join([*parts, text[place:]])
