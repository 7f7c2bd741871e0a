"""Small tasks whose answer stands in the question: to copy, to spell, to pick, to put in order.

A model that reads them has to look back and copy, also words that it has never met: a third of the
words are invented from syllables, the others come from all the texts that were written for it.
"""

import re
from functools import cache
from importlib.resources import files
from random import Random
from typing import NamedTuple

from ch05.course_model.world import lexicon
from ch05.course_model.world.people import PEOPLE

TEXTS = files("ch05") / "course_model" / "texts"
ONSETS = (
    "b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p pl pr qu r s sc sh sk sl sn sp st t th "
    "tr v w y z"
).split()
VOWELS = "a e i o u a e i o u ai ea ee ie oa oo ou".split()
CODAS = ["", "", "", *"b ck d ft g l lt m mp n nd ng nk nt p r rd rk rn s sk st t th x".split()]
ENDINGS = ["", "", "", *"a y o er le ow in et en ip ish".split()]
ORDINALS = ("first", "second", "third", "fourth")
SMALL_NUMBERS = ("one", "two", "three", "four", "five")


class Task(NamedTuple):
    """What is to be done, with what, and the answer."""

    instruction: str
    input: str
    output: str


@cache
def read_texts(kind: str, held_out: bool | None = None) -> tuple[str, ...]:
    """The texts written for the corpus, in order: pieces of "prose", or stories of "messages".

    Every twentieth is held out for validation; None takes all of them.
    """
    pieces = []
    for path in sorted(TEXTS.iterdir(), key=lambda path: path.name):
        if path.name.startswith(kind):
            text = path.read_text(encoding="utf-8")
            pieces += re.split(r"\n\s*%%\s*\n" if kind == "prose" else r"\n\s*\n", text.strip())
    return tuple(
        piece.strip()
        for i, piece in enumerate(pieces)
        if held_out is None or held_out == (i % 20 == 19)
    )


@cache
def open_words() -> tuple[str, ...]:
    """Every word in lower case of 3 to 9 letters in those of these texts that are not held out."""
    text = "\n".join(read_texts("prose", held_out=False) + read_texts("messages", held_out=False))
    return tuple(sorted(set(re.findall(r"(?<![\w'.@/-])[a-z]{3,9}(?![\w'@/-])", text))))


@cache
def real_words() -> frozenset[str]:
    """Words that mean something in the world or in those texts."""
    return frozenset(lexicon()) | frozenset(open_words())


@cache
def sentences() -> tuple[str, ...]:
    """Sentences of 4 to 12 words from the prose that is not held out, without quotation marks."""
    found = []
    for piece in read_texts("prose", held_out=False):
        for sentence in re.split(r"(?<=[.!?])\s+", piece.replace("\n", " ")):
            plain = re.fullmatch(r"[A-Z][A-Za-z ,;'-]+[.!?]", sentence)
            if plain and 4 <= len(sentence.split()) <= 12:
                found.append(sentence)
    return tuple(dict.fromkeys(found))


def invent(rng: Random) -> str:
    """A word put together by chance, seldom a real one: a syllable or two, perhaps an ending."""
    choice = rng.choice
    word = choice(ONSETS) + choice(VOWELS) + choice(CODAS)
    if rng.random() < 0.4:
        word += choice(ONSETS) + choice(VOWELS) + choice(CODAS)
    return word + (choice(ENDINGS) if word[-1] not in "aeiou" else "")


def invent_unreal(rng: Random) -> str:
    """An invented word that is none of the world's or of the texts written for the corpus."""
    while (word := invent(rng)) in real_words():
        pass
    return word


def spelled(word: str) -> str:
    """The letters of a word, with hyphens between them: c-a-t."""
    return "-".join(word)


QUOTING = {"say": "said", "write": "wrote", "whisper": "whispered", "read": "read"}


class Tasks:
    """Makes one task after the other; all chance comes from rng."""

    def __init__(self, rng: Random):
        self.rng, self.choice = rng, rng.choice

    def word(self) -> str:
        """A word of the open set, or an invented one."""
        return invent(self.rng) if self.rng.random() < 0.35 else self.choice(open_words())

    def words(self, low: int, high: int) -> list[str]:
        """So many different words."""
        words = []
        n = self.rng.randint(low, high)
        while len(words) < n:
            word = self.word()
            if word not in words:
                words.append(word)
        return words

    def names(self, n: int) -> list[str]:
        """Names of people, known ones and invented ones."""
        names = []
        while len(names) < n:
            known = self.rng.random() < 0.6
            name = self.choice(PEOPLE_NAMES) if known else invent(self.rng).capitalize()
            if name not in names:
                names.append(name)
        return names

    # --- what is said again

    def copy(self) -> Task:
        """A word, a sentence, or what somebody said, once more."""
        style = self.rng.randrange(6)
        if style < 2:
            word = self.word()
            wording = self.choice(
                ("Repeat this word.", "Write the word again.", "Copy the word.", "Say it again.")
            )
            return Task(wording, word, word)
        if style == 2:
            sentence = self.choice(sentences())
            wording = self.choice(("Copy the sentence.", "Repeat this sentence.", "Write it down."))
            return Task(wording, sentence, sentence)
        (name,), word = self.names(1), self.word()
        if style == 3:
            base, verb = self.choice(tuple(QUOTING.items()))
            return Task(f"What did {name} {base}?", f'{name} {verb} "{word}".', word)
        if style == 4:
            place = self.choice(("box", "door", "label", "ship", "bottle", "sign", "map", "letter"))
            text = f'On the {place} stands the word "{word}".'
            return Task(f"Which word stands on the {place}?", text, word)
        what = self.choice(("dog", "cat", "boat", "doll", "horse", "village"))
        return Task(f"The {what} is called {name}. What is its name?", "", name)

    def spell(self) -> Task:
        """A word letter by letter, or a word from its letters."""
        word = self.word()
        if self.rng.random() < 0.5:
            wording = self.choice(("Spell this word.", "Give the letters of this word."))
            if self.rng.random() < 0.4:
                return Task(f"How do you spell {word} letter by letter?", "", spelled(word))
            return Task(wording, word, spelled(word))
        wording = self.choice(("Which word is this?", "Read these letters as a word."))
        return Task(wording, spelled(word), word)

    def letter(self) -> Task:
        """The first or last letter of a word, or the word in capitals."""
        word, style = self.word(), self.rng.randrange(3)
        if style == 0:
            return Task(f"What is the first letter of {word}?", "", word[0])
        if style == 1:
            return Task(f"What is the last letter of {word}?", "", word[-1])
        return Task("Write it in capitals.", word, word.upper())

    # --- lists

    def backwards(self) -> Task:
        """A list from its end."""
        words = self.words(2, 4)
        wording = self.choice(
            (
                "Reverse the list.",
                "Write the list in the reverse order.",
                "Turn the list round.",
                "Say the list from its end.",
            )
        )
        return Task(wording, ", ".join(words), ", ".join(words[::-1]))

    def pick(self) -> Task:
        """One item of a list, by its place or by its neighbour."""
        words = self.words(3, 4)
        style, text = self.rng.randrange(4), ", ".join(words)
        if style == 0:
            i = self.rng.randrange(len(words))
            return Task(f"What is the {ORDINALS[i]} word of the list?", text, words[i])
        if style == 1:
            return Task("What is the last word of the list?", text, words[-1])
        if style == 2:
            i = self.rng.randrange(len(words) - 1)
            return Task(f"Which word follows {words[i]}?", text, words[i + 1])
        i = self.rng.randrange(1, len(words))
        return Task(f"Which word stands before {words[i]}?", text, words[i - 1])

    def change(self) -> Task:
        """A list without a word, with one more, as it is, or how long it is."""
        words, style = self.words(2, 4), self.rng.randrange(4)
        text = ", ".join(words)
        if style == 3:
            return Task(self.choice(("Write the list again.", "Copy the list.")), text, text)
        if style == 0:
            out = self.choice(words)
            rest = ", ".join(word for word in words if word != out)
            return Task(f"Leave out {out}.", text, rest)
        if style == 1:
            more = self.word()
            return Task(f"Add {more} at the end.", text, f"{text}, {more}")
        return Task("How many words are in the list?", text, SMALL_NUMBERS[len(words) - 1])

    def replace(self) -> Task:
        """One word of a sentence for another."""
        sentence = self.choice(sentences())
        inner = re.findall(r"(?<= )[a-z]{4,}(?=[ ,.!?])", sentence)
        if not inner:
            return self.copy()
        old, new = self.choice(inner), self.word()
        changed = re.sub(rf"\b{old}\b", new, sentence)
        return Task(f"Put {new} in the place of {old}.", sentence, changed)

    # --- who, what and where

    def owner(self) -> Task:
        """Several people with a thing each, or a thing in each place."""
        n = self.choice((2, 2, 3))
        names, things = self.names(n), self.words(n, n)
        verb, base = self.choice(
            (("has", "have"), ("found", "find"), ("drew", "draw"), ("bought", "buy"),
             ("likes", "like"), ("brought", "bring"), ("lost", "lose"), ("wants", "want"))
        )  # fmt: skip
        does = "does" if verb in ("has", "likes", "wants") else "did"
        text = " ".join(f"{name} {verb} the {thing}." for name, thing in zip(names, things))
        i = self.rng.randrange(n)
        if self.rng.random() < 0.5:
            return Task(f"Who {verb} the {things[i]}?", text, names[i])
        return Task(f"What {does} {names[i]} {base}?", text, f"the {things[i]}")

    def form(self) -> Task:
        """A form that has been filled in, and one of its lines."""
        rng, (name, street) = self.rng, self.names(2)
        rows = {
            "name": name,
            "street": f"{street} {self.choice(('Road', 'Lane', 'Street', 'Close'))}",
            "number": str(rng.randint(1, 199)),
            "phone": f"0{rng.randint(100, 999)} 555 {rng.randint(100, 999)}",
            "age": str(rng.randint(5, 90)),
            "word": self.word(),
            "code": str(rng.randint(1000, 99999)),
        }
        kinds = rng.sample(sorted(rows), rng.choice((3, 4)))
        text = "; ".join(f"{kind}: {rows[kind]}" for kind in kinds)
        kind = self.choice(kinds)
        return Task(f"What is the {kind}?", text, rows[kind])

    # --- numbers

    def number(self) -> Task:
        """The next number, the one before, or the larger of two."""
        n, style = self.rng.randint(1, 98), self.rng.randrange(4)
        if style == 0:
            return Task(f"Which number comes after {n}?", "", str(n + 1))
        if style == 1:
            return Task(f"Which number comes before {n}?", "", str(n - 1))
        a, b = self.rng.sample(range(1, 100), 2)
        if style == 2:
            return Task(f"Which is larger, {a} or {b}?", "", str(max(a, b)))
        return Task(f"Which is smaller, {a} or {b}?", "", str(min(a, b)))

    def unknown(self) -> Task:
        """A question about something that does not exist; the answer says so."""
        word = invent_unreal(self.rng)
        name = word.capitalize()
        question, what = self.choice(
            (
                (f"What is the capital of {name}?", name),
                (f"Which river flows through {name}?", name),
                (f"Who wrote {name}?", name),
                (f"What kind of thing is a {word}?", word),
                (f"Where does a {word} live?", word),
                (f"What sound does a {word} make?", word),
                (f"In which continent is {name}?", name),
                (f"What is the opposite of {word}?", word),
                (f"Which language do people speak in {name}?", name),
            )
        )
        return Task(question, "", f"I do not know {what}.")


PEOPLE_NAMES = tuple(PEOPLE)
# How often a kind is dealt: what a small model is slow to learn comes more often.
TASK_WEIGHTS = {
    "copy": 3, "spell": 5, "letter": 2, "backwards": 3, "pick": 6, "change": 3, "replace": 1,
    "owner": 2, "form": 2, "number": 2, "unknown": 1,
}  # fmt: skip
TASK_KINDS = tuple(TASK_WEIGHTS)
