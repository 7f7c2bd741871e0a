"""What is wrong with the Korean of a text, as far as a program can tell.

Code, formulas, links, numbers and names of the English have to be there, the headings, lists and
tables have to have the same form, terms have to be the glossary's, and sentences end politely.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from course.lessons import ROOT

FENCE = re.compile(r"^```.*?^```", re.M | re.S)
CODE = re.compile(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\s](?:[^$\n]*[^$\s])?\$(?!\d)", re.S)
LINK = re.compile(r"\]\(([^)\s]+)[^)]*\)|<(https?://[^>]+)>")
TAG = re.compile(r"</?[a-z][^>]*>|<!--.*?-->", re.S)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
# GPT-2, PyTorch, AdamW, KV, x86: what has a capital inside, or letters and digits.
NAME = re.compile(r"\b(?:[A-Za-z]+-?\d\w*|[A-Za-z]*[a-z][A-Z]\w*|[A-Z]{2,}\w*)(?![a-zA-Z])")
HANGUL = re.compile(r"[\uac00-\ud7a3]")
BLUNT = re.compile(r"(?<![니시])다[.?!](?=\s|$)|(?<=[한된있없이])가\?")
STIFF = {
    "에 의해": "the active voice, or ~이/가",
    "당신": "no subject, or 여러분",
    "을 가지": "~이/가 있다",
    "를 가지": "~이/가 있다",
    "₩": "a backslash",
    "그녀": "the name",
}


def parts(text: str) -> dict[str, Counter]:
    """What a text has of each kind that has to be in its translation as well."""
    found = {"block of code": Counter(FENCE.findall(text))}
    text = FENCE.sub(" ", text)
    found["code"] = Counter(code for _, code in CODE.findall(text))
    text = CODE.sub(" ", text)
    found["formula"] = Counter(FORMULA.findall(text))
    text = FORMULA.sub(" ", text)
    found["link"] = Counter(a or b for a, b in LINK.findall(text))
    text = LINK.sub("] ", text)
    found["tag"] = Counter(TAG.findall(text))
    text = TAG.sub(" ", text)
    found["number"] = Counter(NUMBER.findall(text))
    # Korean has no plural s: GPTs is GPT, LayerNorms is LayerNorm.
    names = (re.sub(r"(?<=[A-Z0-9rm])s$", "", name) for name in NAME.findall(text))
    found["name"] = Counter(names)
    text = re.sub(r"\S*_\S*", " ", text)  # names of a program without their marks, in a drawing
    found["words"] = Counter(re.findall(r"[A-Za-z]{2,}", text))
    return found


SOME = {"number", "name"}  # Korean may need them more or less often, but not never


def form(text: str) -> list[str]:
    """The lines of a text that a reader sees as headings, list items, rows and quotations."""
    lines = FENCE.sub("", text).splitlines()
    marks = (re.match(r"\s*(#+ |[-*] |\d+\. |> |\|)", line) for line in lines)
    return [
        f"| {line.count('|')}" if mark[1] == "|" else re.sub(r"\d+", "1", mark[0].strip())
        for line, mark in zip(lines, marks)
        if mark
    ]


@cache
def glossary(path: Path = ROOT / "ko" / "glossary.md") -> tuple[tuple[str, str, str], ...]:
    """The terms: English, Korean, and a rendering that is not used, a row for each of these."""
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 3 and not set(cells[0]) <= set(":- "):
            english, korean, others = cells
            rows += [(english, korean, other.strip()) for other in others.split(",") if other]
            rows += [(english, korean, "")] if not others else []
    return tuple(rows[1:])  # without the head


def faults(english: str, korean: str, terms: Iterable[Sequence[str]] | None = None) -> list[str]:
    """What is wrong with a translation: a sentence for each, none if nothing is."""
    ours, theirs = parts(english), parts(korean)
    found = []
    for kind in ours.keys() - {"words"}:
        lacks = ours[kind] - theirs[kind]
        if kind in SOME:
            lacks = [item for item in ours[kind] if item not in theirs[kind]]
            lacks = [i for i in lacks if not (kind == "name" and i in korean)]
        else:
            found += [
                f"the {kind} {item} is not in the English" for item in theirs[kind] - ours[kind]
            ]
        found += [f"the {kind} {item} is missing" for item in lacks]
    if form(english) != form(korean):
        found.append(f"the form is {form(korean)}, not {form(english)}")
    if ours["words"].total() > 5 and not HANGUL.search(korean):
        found.append("there is no Korean in it")
    plain = CODE.sub(" ", FENCE.sub(" ", korean))
    found += [f"“{end[0]}” is not polite" for end in BLUNT.finditer(plain)]
    found += [f"“{word}”: rather {instead}" for word, instead in STIFF.items() if word in plain]
    known = glossary() if terms is None else list(terms)
    here = [row for row in known if re.search(rf"\b{re.escape(row[0])}", english, re.I)]
    right = {rendering for _, rendering, _ in here}  # 기울기 for slope, where gradient stands too
    for term, rendering, other in here:
        if other and other in plain and other not in right:
            found.append(f"“{other}” for {term}: the glossary says {rendering}")
    return found
