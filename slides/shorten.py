"""How a cell's prose becomes a slide's few lines. This is the rule, for every slide of every deck:

- The headline is the cell's heading; without one its first question; without one its first
  sentence. What is too long or too short for a headline stands among the lines.
- A paragraph gives its first sentence (the next one, if the first has become the headline), the
  sentences that hold a **bold word**, and those that ask (questions, "Predict …", "Before you run
  …") with the two sentences before them.
- A sentence that points to a bonus notebook is none of these: it is for who reads on alone.
- An item of a list gives the same as a paragraph. A takeaway, a formula, a table and quoted code
  stand whole, and a picture takes all the room that there is.
- All that the slide leaves out goes to the speaker notes, and so do the pictures' descriptions.

A heading in the middle of a cell begins another slide.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from course.lessons import PLAN
from playbook.pages import IMAGE, LINK

HEADLINE = range(14, 106)  # letters: at most two lines at the size of a headline
BEFORE = 2  # sentences that a question needs to be understood
ASKS = re.compile(r"[?？]\W*$|\b(?:Predict|Guess|Before you run)\b|예측해|맞혀")
# On the sentence before: no headline.
LEANS = re.compile(r"(?:And|Or|But|So|그리고|그런데|그러나|하지만|그래서|그러면)\b")
ELSEWHERE = re.compile(r"\bbonus/")
LABEL = re.compile(r"\*\*[^*\n]+[.:]\*\*\s")
WHOLE = re.compile(r"\A\*\*(?:Takeaway|핵심)[.:]\*\*", re.I)
EMPTY_ANSWER = re.compile(r"\n*^[ \t]*\*(?:Your answer|나의 답):\*[^\n]*$", re.M)
ITEM = re.compile(r"^ {0,3}(?:[-*+]|\d+[.)])\s+")
FENCE = re.compile(r"^(```|~~~).*?^\1[ \t]*$", re.S | re.M)
# Inside of these a full stop ends nothing.
CLOSED = re.compile(r"`[^`\n]+`|\$[^$\n]+\$|\b(?:e\.g|i\.e|et al|vs|cf|approx|Fig|No)\.\s")
END = re.compile(r"""[.!?…]["”’')\]*_]*\s+(?=["“‘'(\[*_`$\w−])""")


@dataclass(frozen=True)
class Part:
    """One paragraph, item, formula, table, quotation or picture, as Markdown.

    kind is "text", "item", "takeaway", "formula", "table", "quoted" or "picture". A picture shows
    its address; what it depicts is left to the notes.
    """

    kind: str
    shown: str
    left: str = ""


@dataclass(frozen=True)
class Lines:
    """What one slide says: a headline and parts."""

    headline: str
    parts: tuple[Part, ...]

    @property
    def left(self) -> list[str]:
        """What is left to the speaker notes, by paragraph."""
        return [part.left for part in self.parts if part.left]


def sentences(paragraph: str) -> list[str]:
    """The sentences of a paragraph; a label in bold belongs to the one that follows."""
    text = " ".join(paragraph.split())
    closed = CLOSED.sub(lambda m: "x" * len(m[0]), text)
    closed = LABEL.sub(lambda m: "x" * len(m[0]), closed)
    cuts = [0, *(m.end() for m in END.finditer(closed)), len(text)]
    return [text[a:b].strip() for a, b in zip(cuts, cuts[1:]) if text[a:b].strip()]


def is_question(sentence: str) -> bool:
    return re.search(r"[?？]\W*$", sentence) is not None


def chosen(sentences: list[str], headline: str = "") -> list[bool]:
    """Which sentences of a paragraph a slide shows beside its headline."""
    rest = [i for i, s in enumerate(sentences) if s != headline and not ELSEWHERE.search(s)]
    keep = {*rest[:1], *(i for i in rest if "**" in sentences[i])}
    for i, sentence in enumerate(sentences):
        if ASKS.search(sentence):
            keep |= set(range(max(i - BEFORE, 0), i + 1))
    return [i in keep and sentences[i] != headline for i in range(len(sentences))]


def shortened(kind: str, text: str, headline: str = "") -> Part:
    """A paragraph or item with what is shown, and what is left to the notes."""
    if WHOLE.match(text):
        return Part("takeaway", " ".join(text.split()))
    mark = ITEM.match(text)[0] if kind == "item" else ""
    own = sentences(text[len(mark) :])
    shows = chosen(own, headline)
    shown = " ".join(s for s, is_shown in zip(own, shows) if is_shown)
    left = " ".join(s for s, is_shown in zip(own, shows) if not is_shown and s != headline)
    return Part(kind, mark + shown if shown else "", left)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The blocks of a cell's Markdown with their kinds, "heading" among them."""
    fences = list(FENCE.finditer(text))
    position = 0
    for fence in [*fences, None]:
        for block in re.split(r"\n\s*\n", text[position : fence.start() if fence else len(text)]):
            yield from block_kinds(block.strip("\n"))
        if fence:
            yield "quoted", fence[0]
            position = fence.end()


def block_kinds(block: str) -> Iterator[tuple[str, str]]:
    if not block.strip():
        return
    if heading := re.match(r"#{1,6} +(.+?)\s*(?:\n|\Z)", block):
        yield "heading", heading[1]
        yield from block_kinds(block[heading.end() :])
    elif block.lstrip().startswith("|"):
        yield "table", block
    elif re.fullmatch(r"\s*\$\$.*\$\$\s*", block, flags=re.S):
        yield "formula", block
    elif re.match(r"<(?!img)", block):
        yield "quoted", ""  # HTML is for the notebook's page
    elif ITEM.match(block):
        yield from (("item", item) for item in re.split(rf"\n(?={ITEM.pattern[1:]})", block))
    else:
        pictures = list(IMAGE.finditer(block))
        if words := IMAGE.sub("", block).strip():
            yield "text", words
        for picture in pictures:
            yield "picture", picture[0]


def picture_part(picture: str) -> Part:
    m = IMAGE.fullmatch(picture)
    fields = dict(re.findall(r"""(\w+)\s*=\s*["']([^"']*)["']""", m["tag"] or ""))
    address = (m["to"] or fields.get("src", "")).strip("<>")
    return Part("picture", address, " ".join((m["text"] or fields.get("alt", "")).split()))


def unlinked(text: str) -> str:
    """Markdown whose links to files are only their texts: a deck has no files beside it."""

    def only_text(m: re.Match) -> str:
        return m[0] if re.match(r"https?:", m["to"]) else m["text"]

    return LINK.sub(only_text, text)


def headline_of(texts: list[str]) -> str:
    """The first question, or else the first sentence, if it can be a headline; or nothing."""
    own = [s for text in texts if not WHOLE.match(text) for s in sentences(text)]
    candidates = [*filter(is_question, own), *own[:1]]
    return next((s for s in candidates if len(s) in HEADLINE and can_lead(s)), "")


def can_lead(sentence: str) -> bool:
    """Whether a sentence can be understood as a headline."""
    return not any(found(sentence) for found in (LABEL.match, LEANS.match, ELSEWHERE.search))


def shorten(source: str, headed: bool = True) -> list[Lines]:
    """A cell's prose as slides. Without headed, what precedes any heading has no headline: it
    stays on the slide before."""
    text = unlinked(EMPTY_ANSWER.sub("", PLAN.sub("", source)))
    slides: list[tuple[str, list[tuple[str, str]]]] = [("", [])]
    for kind, block in blocks(text):
        if kind == "heading":
            slides.append((block, []))
        else:
            slides[-1][1].append((kind, block))
    return [lines_of(heading, own, headed) for heading, own in slides if heading or own]


def lines_of(heading: str, own: list[tuple[str, str]], headed: bool) -> Lines:
    texts = [block for kind, block in own if kind == "text"]
    headline = "" if heading or not headed else headline_of(texts)
    parts = []
    for kind, block in own:
        if kind == "picture":
            parts.append(picture_part(block))
        elif kind in ("text", "item"):
            parts.append(shortened(kind, block, headline))
        elif block:
            parts.append(Part(kind, block))
    return Lines(heading or headline, tuple(parts))
