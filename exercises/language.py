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
QUOTED = re.compile(r"(?<![A-Za-z])(['\"])(?:(?!\1)[^\\]|\\.)*\1")
OPENED = re.compile(r"(?<![\w'\")\]}])['\"]")
# A particle depends on the last sound before it: the Korean has both, as in {what}은(는).
PARTICLES = re.compile(r"(은\(는\)|이\(가\)|을\(를\)|과\(와\)|\(으\)로)")
PAIRS = {"은(는)": "은는", "이(가)": "이가", "을(를)": "을를", "과(와)": "과와"}


class Template(NamedTuple):
    """A part of a sentence: its literal pieces, a pattern with a group for each field, Korean."""

    pieces: list[str]
    pattern: re.Pattern
    fields: list[str]
    korean: str


def template(english: str, korean: str) -> Template:
    """What a text of a catalogue matches; in the middle of a sentence it may begin small."""
    pieces, fields = FIELD.split(english.strip()), FIELD.findall(english)
    groups = [re.escape(pieces[0])]
    if pieces[0][:1].isalpha():
        first = pieces[0][0]
        groups = [f"[{first.upper()}{first.lower()}]{re.escape(pieces[0][1:])}"]
    for before, after in zip(pieces, pieces[1:]):
        beside_another = before == "" and len(groups) > 1
        groups.append(("()" if beside_another else "(.*?)") + re.escape(after))
    return Template(pieces, re.compile("".join(groups)), fields, korean.strip())


@cache
def templates(unit: str) -> list[Template]:
    """Those of a chapter's checks, and those that all checks share."""
    found = {}
    for name in (SHARED, unit):
        path = FOLDER / f"{name}.json"
        if path.exists():
            found |= json.loads(path.read_text(encoding="utf-8"))
    return [template(english, korean) for english, korean in found.items()]


def spoken(sentence: str, module: str) -> str:
    """A sentence of the checks in a module such as ch03.checks, in the machine's language."""
    if language() != "ko" or not sentence:
        return sentence
    return with_particles(Reading(templates(module.split(".")[0])).best(sentence)[1])


class Reading:
    """The readings of one sentence, each of its parts read once."""

    def __init__(self, templates: list[Template]):
        self.templates, self.known = templates, {}

    def best(self, text: str) -> tuple[int, str]:
        """How many letters of a text have Korean in the reading that explains the most, and it."""
        if text not in self.known:
            self.known[text] = max(self.readings(text), key=lambda reading: reading[0])
        return self.known[text]

    def readings(self, text: str) -> Iterator[tuple[int, str]]:
        yield 0, text
        core = text.strip()
        if not re.search("[A-Za-z]", core) or is_data(core):
            return
        if core != text:
            yield self.around(core, text)
            return
        yield from self.of_templates(text)
        if error := ERROR.fullmatch(text):
            n, said = max(self.of_templates(error[2]), default=(0, ""))
            if 2 * n > len(error[2]):  # our message, not Python's with an `and` in it
                yield n, error[1] + said
        elif called := CALL.fullmatch(text):
            arguments = [self.best(argument) for argument in divided(called[2], ", ")]
            n, said = sum(n for n, _ in arguments), ", ".join(korean for _, korean in arguments)
            yield n, f"{called[1]}({said})"
        else:
            bare = text.strip(":;,. ")
            if bare not in ("", text):
                yield self.around(bare, text)
            words = divided(text, " ")
            for i in range(1, len(words)):
                left, right = self.best(" ".join(words[:i])), self.best(" ".join(words[i:]))
                yield left[0] + right[0], f"{left[1]} {right[1]}"

    def around(self, part: str, text: str) -> tuple[int, str]:
        """The reading of a part, between what stands before and after it."""
        n, korean = self.best(part)
        before, _, after = text.partition(part)
        return n, before + korean + after

    def of_templates(self, text: str) -> Iterator[tuple[int, str]]:
        """The readings as one text of the catalogue, whose fields are read in turn."""
        for pieces, pattern, fields, korean in self.templates:
            if not all(piece[1:] in text for piece in pieces):
                continue
            found = pattern.fullmatch(text)
            if found and all(map(is_whole, found.groups())):
                read = [self.best(group) for group in found.groups()]
                if fields == JOINED and any(
                    n == 0 and len(divided(group, " ")) > 1
                    for (n, _), group in zip(read, found.groups())
                ):
                    continue  # an `and` of its own, not one between names
                values = dict(zip(fields, (value for _, value in read)))
                n_literal = len(text) - sum(map(len, found.groups()))
                whole = FIELD.sub(lambda field, values=values: values[field[0]], korean)
                yield n_literal + sum(n for n, _ in read), whole


def divided(text: str, at: str) -> list[str]:
    """The parts of a text between blanks or commas, but not within brackets or quotes."""
    parts = text.split(at)
    found = [parts[0]]
    for part in parts[1:]:
        if is_whole(found[-1]):
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
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return True


def last_sound(text: str) -> str:
    """The consonant that a text ends with when it is read aloud: ㄹ, another one (x), or none."""
    if re.search(r"[%×]\W*$", text):
        return ""  # 퍼센트, 배
    end = re.search(r"(None|ng|[0-9A-Za-z가-힣])[^0-9A-Za-z가-힣]*$", text)
    said = end[1] if end else ""
    if "가" <= said <= "힣":
        final = (ord(said) - ord("가")) % 28
        return {0: "", 8: "ㄹ"}.get(final, "x")
    if said in [*"178lLR"]:  # 일 칠 팔 엘 알
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
