"""What a check finds, in the machine's language: its English sentence is read again as Korean.

A check puts its sentence together of parts: "For x of shape (2, 3), " and "{where}the scores are
not scaled." Each part has its Korean in exercises/ko/ch03.json, as `python -m korean` builds it
from the chapter's catalogue, and braces stand for what was filled in, which is read the same way.
Of all readings the one counts that explains the most letters; what has no Korean stays English.
"""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from course.language import language

FOLDER = Path(__file__).parent / "ko"
SHARED = "exercises"  # the sentences of checking.py, which every chapter's checks speak
FIELD = re.compile(r"{[^{}]*}")
JOINED = ["{a}", "{b}"]  # the fields of " and ".join(names)
CALL = re.compile(r"([\w.<>]+)\((.*)\)")
ERROR = re.compile(r"(\w+(?:Error|Exception|Iteration|Exit): )(.*)")
BRACKETS = ("()", "[]", "{}")
QUOTED = re.compile(r"(?<![A-Za-z])b?(['\"])(?:(?!\1)[^\\]|\\.)*\1")
OPENED = re.compile(r"(?<![\w'\")\]}])['\"]")
# A particle depends on the last sound before it: the Korean has both, as in {what}은(는).
PARTICLES = re.compile(r"(은\(는\)|이\(가\)|을\(를\)|과\(와\)|이어야\(여야\)|\(으\)로)")
PAIRS = {
    "이어야(여야)": ("이어야", "여야"),
    "은(는)": "은는",
    "이(가)": "이가",
    "을(를)": "을를",
    "과(와)": "과와",
}


class Template(NamedTuple):
    """A part of a sentence: its literal pieces, the fields between them, and its Korean."""

    pieces: list[str]
    fields: list[str]
    korean: str


@cache
def templates(unit: str) -> list[Template]:
    """Those of a chapter's checks, and those that all checks share."""
    found = {}
    for name in (SHARED, unit):
        path = FOLDER / f"{name}.json"
        if path.exists():
            found |= json.loads(path.read_text(encoding="utf-8"))
    return [
        Template(FIELD.split(english.strip()), FIELD.findall(english), korean.strip())
        for english, korean in found.items()
    ]


def spoken(sentence: str, module: str) -> str:
    """A sentence of the checks in a module such as ch03.checks, in the machine's language."""
    if language() != "ko" or not sentence:
        return sentence
    return with_particles(Reading(templates(module.split(".")[0])).best(sentence).korean)


class Said(NamedTuple):
    """A reading: how many letters it explains, how surely, and the Korean.

    Surest is a template that ends in words of its own, then two parts that are read each for
    itself, then a template whose last field takes all the rest. Longer templates are surer.
    """

    n: int
    surely: tuple[int, int]
    korean: str


NOT_READ, IN_PARTS = (-1, 0), (1, 0)


class Reading:
    """The readings of one sentence, each of its parts read once."""

    def __init__(self, templates: list[Template]):
        self.templates, self.known = templates, {}

    def best(self, text: str) -> Said:
        """The reading of a text that explains the most; of several, the surest."""
        if text not in self.known:
            self.known[text] = max(self.readings(text), key=lambda said: said[:2])
        return self.known[text]

    def readings(self, text: str) -> Iterator[Said]:
        yield Said(0, NOT_READ, text)
        core = text.strip()
        if not re.search("[A-Za-z]", core) or is_data(core):
            return
        if core != text:
            yield self.around(core, text)
            return
        if error := ERROR.fullmatch(text):
            said = max(self.of_templates(error[2]), default=Said(0, NOT_READ, ""))
            if 2 * said.n > len(error[2]):  # our message, not Python's with an `and` in it
                yield said._replace(korean=error[1] + said.korean)
            return
        yield from self.of_templates(text)
        if called := CALL.fullmatch(text):
            arguments = [self.best(argument) for argument in divided(called[2], ", ")]
            shown = ", ".join(said.korean for said in arguments)
            yield Said(sum(said.n for said in arguments), IN_PARTS, f"{called[1]}({shown})")
        else:
            bare = text.strip(":;,. ")
            if bare not in ("", text):
                yield self.around(bare, text)
            words = divided(text, " ")
            for i in range(1, len(words)):
                left, right = self.best(" ".join(words[:i])), self.best(" ".join(words[i:]))
                surely = IN_PARTS if left.n and right.n else NOT_READ
                yield Said(left.n + right.n, surely, f"{left.korean} {right.korean}")

    def around(self, part: str, text: str) -> Said:
        """The reading of a part, between what stands before and after it."""
        said = self.best(part)
        before, _, after = text.partition(part)
        return said._replace(korean=before + said.korean + after)

    def of_templates(self, text: str) -> Iterator[Said]:
        """The readings as one text of the catalogue, whose fields are read in turn."""
        for pieces, fields, korean in self.templates:
            if not all(piece[1:] in text for piece in pieces):
                continue
            for filled in fillings(text, pieces):
                read = [self.best(value) for value in filled]
                if not fits(pieces, fields, filled, read):
                    continue
                values = dict(zip(fields, (said.korean for said in read)))
                n_own = len(text) - sum(map(len, filled))
                whole = FIELD.sub(lambda field, values=values: values[field[0]], korean)
                surely = (0 if pieces[-1] == "" else 2, n_own)
                yield Said(n_own + sum(said.n for said in read), surely, whole)


def fits(pieces: list[str], fields: list[str], filled: list[str], read: list[Said]) -> bool:
    """Whether a template can have been filled in so."""
    if pieces[-1] == "" and re.search("[:;,]$" if read[-1].n else "[:;,.]$", filled[-1]):
        return False  # the mark comes after it, but a sentence has its own full stop
    if fields == JOINED:  # not an `and` of its own: one between names
        return all(s.n > 0 or len(divided(value, " ")) == 1 for s, value in zip(read, filled))
    return "".join(pieces) not in ("a ", "an ") or filled[0].isidentifier()


def fillings(text: str, pieces: list[str]) -> Iterator[list[str]]:
    """Each way to find the pieces in a text: what is filled in between them.

    In the middle of a sentence, a text may begin with a small letter.
    """
    first, *rest = pieces
    if text[:1].lower() + text[1 : len(first)] != first[:1].lower() + first[1:] and first:
        return
    if rest:
        yield from between(text[len(first) :], rest)
    elif len(text) == len(first):
        yield []


def between(text: str, pieces: list[str]) -> Iterator[list[str]]:
    """The same of a text that begins with what is filled in."""
    piece, *rest = pieces
    if not rest:
        if text.endswith(piece) and is_whole(filled := text[: len(text) - len(piece)]):
            yield [filled]
    elif piece == "":  # two fields side by side: the first has it all
        yield from ([after[0], "", *after[1:]] for after in between(text, rest))
    else:
        start = text.find(piece)
        while start >= 0:
            if is_whole(text[:start]):
                for after in between(text[start + len(piece) :], rest):
                    yield [text[:start], *after]
            start = text.find(piece, start + 1)


def divided(text: str, at: str) -> list[str]:
    """The parts of a text between blanks or commas, but not within brackets, quotes, messages."""
    parts = text.split(at)
    found = [parts[0]]
    for part in parts[1:]:
        if is_whole(found[-1]) and not ERROR.match(f"{found[-1]} "):
            found.append(part)
        else:
            found[-1] += at + part
    return found


def is_whole(text: str) -> bool:
    """Whether each bracket and quote that a text opens is closed in it."""
    plain = QUOTED.sub("", text)
    return not OPENED.search(plain) and all(plain.count(a) == plain.count(b) for a, b in BRACKETS)


def is_data(text: str) -> bool:
    """Whether a text is a value as Python writes it, such as 'the goose' or (2, 3)."""
    if text[0] + text[-1] in BRACKETS and is_whole(text[1:-1]):
        return True
    try:
        ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def last_sound(text: str) -> str:
    """The consonant that a text ends with when it is read aloud: ㄹ, another one (x), or none."""
    if re.search(r"[%×]\W*$", text):
        return ""  # 퍼센트, 배
    end = re.search(r"(None|ng|le|[0-9A-Za-z가-힣])[^0-9A-Za-z가-힣]*$", text)
    said = end[1] if end else ""
    if "가" <= said <= "힣":
        final = (ord(said) - ord("가")) % 28
        return {0: "", 8: "ㄹ"}.get(final, "x")
    if said in ["le", *"178lLR"]:  # 일 칠 팔 엘 알
        return "ㄹ"
    return "x" if said in ["None", "ng", *"036mnMN"] else ""


def with_particles(text: str) -> str:
    """The text with the particle that fits in the place of each pair: 값은(는) is 값은."""

    def chosen(found: re.Match) -> str:
        end, pair = last_sound(text[: found.start()]), found[0]
        if pair == "(으)로":
            return "으로" if end == "x" else "로"
        return PAIRS[pair][0 if end else 1]

    return PARTICLES.sub(chosen, text)
