"""Write the corpus of the course's own model: documents of a small world, from a seed.

Most documents have their people, introduced at the beginning, and state facts of the world in
passing. Facts are dealt like cards, so that each one of a kind is told equally often. Others are
pages of questions, most of them small tasks that make the model copy, and messages and prose that
were written one by one (the folder texts).
"""

import argparse
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from tqdm.auto import tqdm

from ch02.tokenizer import END_OF_TEXT
from ch05.course_model.tasks import TASK_WEIGHTS, Tasks, read_texts
from ch05.course_model.world import ANIMALS, FACTS, PEOPLE, PLURALS, TOWNS, VERBS, Fact
from ch05.course_model.world import mail as post
from ch05.course_model.world import registers as say
from ch05.course_model.world.earth import DEED_OF
from ch05.course_model.world.nouns import CATEGORIES
from ch05.course_model.world.people import Person
from ch05.course_model.world.phrasings import (
    BACKWARDS,
    FRAMES,
    PHRASINGS,
    RECITAL_FRAMES,
    RECITALS,
    WITH_INPUT,
)
from ch05.course_model.world.plots import (
    ASIDES,
    CLOSING_LINES,
    INTRODUCTIONS,
    OPENING_LINES,
    STORIES,
    read_beats,
)
from ch05.course_model.world.words import EXAMPLES, MONTHS, WEEKDAYS
from course.files import written_whole
from course.terminal import replace_unprintable

BYTES_PER_TOKEN = 2.92  # in the corpus's own vocabulary of 2,048 tokens, as measured

SEPARATOR = f"\n{END_OF_TEXT}\n"  # behind each document of a file

PERSON_KINDS = ("trade", "village", "pet", "habit", "favourite")
TOWN_KINDS = ("region", "founder", "speciality", "distance")
ANIMAL_KINDS = ("animal_colour", "sound", "home", "young", "category", "plural")
FORM_KINDS = ("passive", "question", "reverse", "pattern")  # to be done, not to be known

# How often a kind is told: by its number of facts, but a small kind is not left to be confused
# with another. Sums are the hardest; people are told of everywhere else.
WEIGHTS = {kind: 4 + len(facts) // 20 for kind, facts in FACTS.items()}
WEIGHTS |= {kind: 1 for kind in PERSON_KINDS} | {"habit": 3, "favourite": 2}
WEIGHTS |= {"sum": 36, "difference": 16, "opposite": 24, "spelling": 16, "thing_colour": 4}
WEIGHTS |= {"plural": 34, "category": 34, "past": 20, "participle": 12, "distance": 2}
WEIGHTS |= {kind: 2 for kind in ("region", "founder", "speciality")}
WEIGHTS |= {kind: 11 for kind in ("animal_colour", "sound", "home", "young", "capital", "river")}
WEIGHTS |= {kind: 11 for kind in ("maker", "language", "material", "workplace", "continent")}
WEIGHTS |= {"count": 8, "passive": 13, "question": 8, "reverse": 6, "pattern": 12}

# How many documents of a register there are among a hundred or so.
REGISTERS = {
    "tale": 20, "letter": 4, "dialogue": 5, "how-to": 2, "entry": 12, "message": 2, "diary": 3,
    "lesson": 26, "page": 80, "news": 3, "inventory": 2, "notes": 20, "reading": 8, "day": 3,
    "mail": 4, "phone": 40, "prose": 9,
}  # fmt: skip
TASK_SHARE = 0.6  # of the questions of a page that are a task to be done, not a fact to be known
# What a corpus can do without, to see what it is good for: registers, and the TASK_SHARE then.
PARTS = {
    "small tasks": ((), 0.0),
    "questions for facts": (("lesson",), 1.0),
    "messages": (("message", "mail", "phone"), TASK_SHARE),
    "prose": (("prose",), TASK_SHARE),
}
# How often a thumb writes one of the natural messages, instead of two.
THUMB_SHARE = 0.12
SHORT_FORMS = {
    "you": "u", "your": "ur", "are": "r", "please": "pls", "thanks": "thx", "because": "cos",
    "tomorrow": "tmrw", "message": "msg", "minutes": "mins", "and": "&",
}  # fmt: skip

_PORTABLE = ("tool", "piece of clothing", "toy", "musical instrument", "container")
THINGS = [
    noun.partition(":")[0]
    for category in (*_PORTABLE, "piece of kitchenware", "fruit", "vegetable", "baked thing")
    for noun in CATEGORIES[category].split()
]
NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine")
COLOUR_NAMES = ("red", "blue", "green", "yellow", "white", "black", "grey", "brown", "pink")
WEATHER = ("rainy", "sunny", "windy", "foggy", "cold", "warm", "dry", "wet", "stormy", "mild")
PLACES = ("table", "shelf", "bench", "roof", "bed", "wall", "chair", "counter", "doorstep", "stove")
HOURS = (*(f"{n} o'clock" for n in NUMBERS), "noon", "half past four", "half past six", "5 pm")
SHOPS = ("baker's", "grocer's", "butcher's", "tailor's", "barber's", "cobbler's", "chemist's")
SHOP_NAMES = (
    "Hazel & Thorn", "Nobbs Brothers", "the Paper Lantern", "Three Anvils", "Wickes and Daughter",
    "Tallow Street Stores", "the Brass Kettle", "Goodfellow's", "Moonpenny", "Castle Cycles",
)  # fmt: skip
SITES = ("brasskettle", "moonpenny", "three-anvils", "my-parcel", "secure-check", "claim-it-now")
FOODS = (
    "onion soup",
    "pancakes",
    "a stew",
    "cheese toast",
    "apple pie",
    "noodles",
    "rice and peas",
)
VEHICLES = ("bus", "train", "bicycle", "cart", "boat", "tram")
TRANSITIVE = [verb for verb in VERBS.values() if verb.transitive]


def article(word: str) -> str:
    """The word with a or an before it."""
    an = word[0] in "aeiouAEIOU" and not word.startswith(("uni", "use", "one", "eu"))
    return f"{'an' if an or word.startswith(('hour', 'honest')) else 'a'} {word}"


def capital(text: str) -> str:
    """The text with a capital first letter, also behind a quotation mark."""
    i = 1 if text.startswith('"') else 0
    return text[:i] + text[i : i + 1].upper() + text[i + 1 :]


def as_sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    return capital(text) + ("" if text[-1] in ".?!" else ".")


def third_person(verb: str) -> str:
    """The form of a verb that follows "it": barks, hisses, screeches."""
    return verb + ("es" if verb.endswith(("s", "x", "z", "ch", "sh")) else "s")


def level(template: str) -> int:
    """How many people a template needs: none, {A}, or {A} and {B}."""
    return 2 if "{B" in template else 1 if re.search(r"\{(A|[Hh](e|is|im))\}", template) else 0


def by_level(templates: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The templates that do with no, one and two people."""
    return tuple(tuple(t for t in templates if level(t) <= n) for n in range(3))


FRAMES_FOR, RECITAL_FRAMES_FOR = by_level(FRAMES), by_level(RECITAL_FRAMES)
SENTENCES_FOR = {kind: by_level(p.sentences) for kind, p in PHRASINGS.items()}
CLAUSES_FOR = {kind: p.clauses for kind, p in PHRASINGS.items()}
QUESTIONS_FOR = {kind: by_level(p.questions) for kind, p in PHRASINGS.items()}
TALKS = [read_beats(block) for block in say.TALKS.split("\n\n")]
NEWS = [read_beats(block) for block in say.NEWS.split("\n\n")]
HOW_TOS = [read_beats(block) for block in say.HOW_TOS.split("\n\n")]
PASSIVES, REVERSALS, PATTERNS = map(by_level, (say.PASSIVES, say.REVERSALS, say.PATTERNS))


class Deck:
    """Cards that are dealt in a random order, all of them before any comes again."""

    def __init__(self, rng: Random, cards: Sequence):
        self.rng, self.cards, self.left = rng, list(cards), []

    def deal(self):
        """The next card."""
        if not self.left:
            self.left = self.cards.copy()
            self.rng.shuffle(self.left)
        return self.left.pop()


class Asked(NamedTuple):
    """A question, what stands on a line below it, the answer, and the answer as a clause."""

    question: str
    text: str
    short: str
    full: str

    def in_a_line(self) -> str:
        """The question with its text on the same line."""
        if not self.text:
            return self.question
        if self.question.endswith("?"):
            return f"{self.text}{'' if self.text[-1] in '.?!' else '.'} {self.question}"
        return f"{self.question.removesuffix('.')}: {self.text}"


class Document(NamedTuple):
    """One text and the kind of text it is."""

    register: str
    text: str


def static_slots(fact: Fact) -> dict[str, str]:
    """What the templates of a fact can say about it, as far as no chance is in it."""
    x, y = fact.key[0], fact.answer
    slots = {"x": x, "y": y, "ax": article(x), "ay": article(y), "z": fact.key[-1]}
    if fact.kind == "sound":
        slots["ty"] = third_person(y)
    elif fact.kind in ("past", "participle"):
        slots["t"] = VERBS[x].third
    elif fact.kind == "maker":
        slots["v"], slots["w"] = DEED_OF[x]
    elif fact.kind == "opposite":
        slots["z"] = EXAMPLES.get(x) or EXAMPLES.get(y) or "thing"
        slots["az"] = article(slots["z"])
    elif fact.kind in PERSON_KINDS:
        slots |= pronouns(PEOPLE[x])
    slots |= {"X": capital(x), "Y": capital(y), "Ax": capital(slots["ax"])}
    return slots | {"Ay": capital(slots["ay"])}


def phrasing_name(fact: Fact) -> str:
    """The entry of PHRASINGS that suits a fact."""
    known = {*fact.key, fact.answer} & EXAMPLES.keys()
    return "opposite_word" if fact.kind == "opposite" and not known else fact.kind


def pronouns(person: Person) -> dict[str, str]:
    """The pronouns of a person as slots."""
    he, him, his = ("he", "him", "his") if person.pronoun == "he" else ("she", "her", "her")
    return {"he": he, "him": him, "his": his, "He": capital(he), "His": capital(his)}


SLOTS = {fact: static_slots(fact) for facts in FACTS.values() for fact in facts}
PHRASING_NAME = {fact: phrasing_name(fact) for fact in SLOTS}
FACT_OF = {(fact.kind, fact.key): fact for fact in SLOTS}


class Writer:
    """Writes one document after the other; all chance comes from one seed.

    It can do without one of PARTS.
    """

    def __init__(self, seed: int, held_out: bool = False, without: str | None = None):
        left_out, self.task_share = PARTS[without] if without else ((), TASK_SHARE)
        self.rng = rng = Random(seed)
        self.choice = rng.choice
        self.facts = {kind: Deck(rng, facts) for kind, facts in FACTS.items()}
        self.asked = {
            kind: Deck(rng, [f for f in facts if f.asked]) for kind, facts in FACTS.items()
        }
        self.people = Deck(rng, list(PEOPLE.values()))
        self.towns, self.animals = (
            Deck(rng, list(TOWNS.values())),
            Deck(rng, list(ANIMALS.values())),
        )
        self.kinds = Deck(rng, [kind for kind, weight in WEIGHTS.items() for _ in range(weight)])
        self.tasks = Tasks(rng)
        self.task_kinds = Deck(rng, [kind for kind, n in TASK_WEIGHTS.items() for _ in range(n)])
        registers = [r for r, n in REGISTERS.items() for _ in range(n) if r not in left_out]
        self.registers = Deck(rng, registers)
        self.pieces, self.stories_by_phone = (
            Deck(rng, read_texts("prose", held_out)),
            Deck(rng, read_texts("messages", held_out)),
        )
        self.stories, self.how_tos = Deck(rng, STORIES), Deck(rng, HOW_TOS)
        self.news, self.talks = Deck(rng, NEWS), Deck(rng, TALKS)
        self.scene: dict[str, str] = {}
        self.cast: list[Person] = []
        self.n_named = 0  # how many of the cast a sentence in passing may name, at most two
        self.write: dict[str, Callable[[], str]] = {
            "tale": self.tale,
            "letter": self.letter,
            "dialogue": self.dialogue,
            "how-to": self.how_to,
            "entry": self.entry,
            "message": self.message,
            "diary": self.diary,
            "lesson": self.lesson,
            "news": self.news_report,
            "inventory": self.inventory,
            "notes": self.notes,
            "reading": self.reading,
            "day": self.day,
            "mail": self.mail,
            "page": self.page,
            "phone": self.phone,
            "prose": self.prose,
        }

    def document(self) -> Document:
        """The next document, about new people."""
        register = self.registers.deal()
        return Document(register, self.write[register]())

    # --- the people and things of a document

    def set_scene(self, n_people: int) -> None:
        """Choose people, places and things for one document."""
        choice = self.choice
        self.n_named = min(2, n_people)
        self.cast = [self.people.deal()] if n_people else []
        while len(self.cast) < n_people:
            # Neighbours most of the time: a name says which names are near.
            home = [p for p in PEOPLE.values() if p.village == self.cast[0].village]
            person = choice(home if n_people > 2 or self.rng.random() < 0.8 else [*PEOPLE.values()])
            if person not in self.cast:
                self.cast.append(person)
        thing, thing2 = choice(THINGS), choice(THINGS)
        town, verb = choice(TOWN_NAMES), choice(TRANSITIVE)
        colour, day = choice(COLOUR_NAMES), choice(WEEKDAYS)
        rest = choice(verb.rests)
        self.scene = {
            "thing": thing, "athing": article(thing), "Thing": capital(thing),
            "things": PLURALS[thing], "thing2": thing2, "athing2": article(thing2),
            "things2": PLURALS[thing2], "T": town, "n": choice(NUMBERS), "n2": choice(NUMBERS),
            "N": str(self.rng.randint(3, 60)), "price": f"{self.rng.randint(2, 90)} pounds",
            "day": day, "aday": article(day), "month": choice(MONTHS),
            "day2": WEEKDAYS[(WEEKDAYS.index(day) + self.rng.randint(1, 6)) % 7],
            "colour": colour, "weather": choice(WEATHER), "hour": choice(HOURS),
            "colour2": choice([c for c in COLOUR_NAMES if c != colour]),
            "place": choice(PLACES), "shop": choice(SHOPS), "vehicle": choice(VEHICLES),
            "job": f"{verb.base} {rest}", "did": f"{verb.past} {rest}",
            "done": f"{verb.participle} {rest}",
        }  # fmt: skip
        for letter, person in zip("ABC", self.cast):
            b = "" if letter == "A" else letter.lower()
            words = {"trade": person.trade, "pet": person.animal, "fav": person.favourite}
            words["habit"] = person.habit
            self.scene |= {letter: person.name, "V" if not b else f"{letter}V": person.village}
            self.scene |= {b + name: word for name, word in words.items()}
            self.scene |= {f"a{b}trade": article(person.trade), f"a{b}pet": article(person.animal)}
            self.scene |= {b + name: word for name, word in pronouns(person).items()}

    def fill(self, template: str) -> str:
        """A template with this document's people and things, as a sentence."""
        return capital(template.format_map(self.scene))

    def vary(self) -> None:
        """Take other numbers, days and things, the people staying."""
        choice, scene = self.choice, self.scene
        thing, verb = choice(THINGS), choice(TRANSITIVE)
        rest = choice(verb.rests)
        scene |= {"thing": thing, "athing": article(thing), "things": PLURALS[thing]}
        scene |= {"n": choice(NUMBERS), "day": choice(WEEKDAYS), "month": choice(MONTHS)}
        scene |= {"job": f"{verb.base} {rest}", "did": f"{verb.past} {rest}"}
        scene["done"] = f"{verb.participle} {rest}"
        scene |= {"T": choice(TOWN_NAMES), "colour": choice(COLOUR_NAMES), "hour": choice(HOURS)}

    # --- facts

    def deal(self, kind: str, asked: bool = False) -> Fact:
        """The next fact of a kind; of people, only those in the document."""
        if kind in PERSON_KINDS:
            facts = [FACT_OF[kind, (person.name,)] for person in self.cast]
            return self.choice([f for f in facts if f.asked or not asked] or facts)
        return (self.asked if asked else self.facts)[kind].deal()

    def slots(self, fact: Fact) -> dict[str, str]:
        """The document's and the fact's slots, with what chance adds to the latter."""
        slots = self.scene | SLOTS[fact]
        if fact.kind in ("past", "participle"):
            slots["z"] = self.choice(VERBS[fact.key[0]].rests)
        elif fact.kind in ("sum", "difference"):
            thing = self.choice(THINGS)
            slots["things"] = PLURALS[thing]
            slots["xthings"] = f"{slots['x']} {thing if slots['x'] == '1' else PLURALS[thing]}"
        if "n" in slots:
            slots["n"], slots["day"] = self.choice(NUMBERS), self.choice(WEEKDAYS)
        return slots

    def clause(self, fact: Fact) -> str:
        """A fact as a clause that can follow "that"."""
        return self.choice(CLAUSES_FOR[PHRASING_NAME[fact]]).format_map(self.slots(fact))

    def state(self, fact: Fact, frames: Sequence[str] | None = None) -> str:
        """A fact as a sentence: a clause in one of the frames, or something that happens."""
        sentences = SENTENCES_FOR[PHRASING_NAME[fact]][self.n_named]
        if sentences and self.rng.random() < (0.2 if frames else 0.6):
            return capital(self.choice(sentences).format_map(self.slots(fact)))
        if not frames:  # nobody says of himself that he keeps a goat
            frames = FRAMES_FOR[0 if fact.kind in PERSON_KINDS else self.n_named]
        c = self.clause(fact)
        return capital(self.choice(frames).format_map(self.scene | {"c": c, "C": capital(c)}))

    def tell(self, frames: Sequence[str] | None = None, without: Sequence[str] = ()) -> str:
        """A sentence with the next kind of fact, or with two forms of the same sentence."""
        kind = self.kinds.deal()
        while kind in without or (kind in PERSON_KINDS and not self.cast):
            kind = self.kinds.deal()
        if kind in FORM_KINDS:
            return getattr(self, kind)()[0]
        if kind in RECITALS and self.rng.random() < 0.4:
            return self.recite(kind)
        return self.state(self.deal(kind), frames)

    def recite(self, kind: str) -> str:
        """Several facts of a kind in one sentence."""
        facts = [self.deal(kind) for _ in range(self.choice((2, 3, 3, 4)))]
        items = [RECITALS[PHRASING_NAME[fact]].format_map(SLOTS[fact]) for fact in facts]
        r = self.choice(("; ", ", ")).join(dict.fromkeys(items))
        slots = self.scene | {"r": r, "R": capital(r)}
        return capital(self.choice(RECITAL_FRAMES_FOR[self.n_named]).format_map(slots))

    def ask(self, kind: str) -> Asked:
        """A question about an asked fact or a form of words, and its answer."""
        if kind in FORM_KINDS:
            _, question, short, full = getattr(self, kind)()
            return Asked(question, "", short, full)
        fact = self.deal(kind, asked=True)
        name = PHRASING_NAME[fact]
        slots, said = self.slots(fact), PHRASINGS[name]
        full = said.clauses[0].format_map(slots) if self.rng.random() < 0.8 else self.clause(fact)
        if name in BACKWARDS and self.rng.random() < 0.15:
            question = self.choice(BACKWARDS[name]).format_map(slots)
            return Asked(capital(question), "", slots["x"], said.clauses[0].format_map(slots))
        if name in WITH_INPUT and self.rng.random() < 0.25:
            question, _, text = self.choice(WITH_INPUT[name]).partition(" | ")
            question, text = question.format_map(slots), text.format_map(slots)
        else:
            question = self.choice(QUESTIONS_FOR[name][self.n_named]).format_map(slots)
            text = ""
        return Asked(capital(question), text, said.short.format_map(slots), full)

    def ask_task(self) -> Asked:
        """A task whose answer stands in the question."""
        task = getattr(self.tasks, self.task_kinds.deal())()
        return Asked(task.instruction, task.input, task.output, task.output)

    # --- forms: each gives a sentence in passing, and a question with its answers

    def agent(self) -> str:
        """Somebody of this document."""
        return self.choice(self.cast).name if self.cast else f"the {self.people.deal().trade}"

    def passive(self) -> tuple[str, str, str, str]:
        """The same thing done in the active and in the passive voice."""
        verb, agent = self.choice(TRANSITIVE), self.agent()
        rest = self.choice(verb.rests)
        active, passive = f"{agent} {verb.past} {rest}", f"{rest} was {verb.participle} by {agent}"
        slots = {"active": active, "Active": capital(active), "passive": passive}
        slots = self.scene | slots | {"Passive": capital(passive)}
        told = capital(self.choice(PASSIVES[self.n_named]).format_map(slots))
        question = self.choice(say.PASSIVE_QUESTIONS).format_map(slots)
        return told, question, capital(passive) + ".", passive

    def question(self) -> tuple[str, str, str, str]:
        """A statement and the question made of it."""
        who, verb = self.agent(), self.choice([*VERBS.values()])
        rest, (adjective, thing) = self.choice(verb.rests), self.choice([*EXAMPLES.items()])
        doing = f"{verb.base} {rest}"
        statement, question = self.choice(
            (
                (f"{who} {verb.past} {rest}", f"did {who} {doing}"),
                (f"{who} {verb.past} {rest}", f"did {who} {doing}"),
                (f"{who} will {doing}", f"will {who} {doing}"),
                (f"{who} can {doing}", f"can {who} {doing}"),
                (f"{who} has {verb.participle} {rest}", f"has {who} {verb.participle} {rest}"),
                (f"the {thing} is {adjective}", f"is the {thing} {adjective}"),
                (f"{who} is {adjective}", f"is {who} {adjective}")
                if adjective in ("old", "tall", "rich", "happy", "brave", "clever", "kind", "awake")
                else (f"the {thing} was {adjective}", f"was the {thing} {adjective}"),
                (f"{who} wants to {doing}", f"does {who} want to {doing}"),
            )
        )
        statement, question = capital(statement) + ".", capital(question) + "?"
        slots = {"statement": statement, "question": question, "Statement": statement}
        told = self.choice(say.QUESTIONS_IN_TALK).format_map(slots)
        return told, self.choice(say.QUESTION_QUESTIONS).format_map(slots), question, question

    def reverse(self) -> tuple[str, str, str, str]:
        """A short list and the same list from its end."""
        words = self.rng.sample(
            self.choice((THINGS, THINGS, COLOUR_NAMES)), self.choice((2, 3, 3, 4))
        )
        forwards, backwards = ", ".join(words), ", ".join(words[::-1])
        slots = self.scene | {"list": forwards, "reversed": backwards}
        told = self.choice(REVERSALS[self.n_named]).format_map(slots)
        question = self.choice(say.REVERSE_QUESTIONS).format_map(slots)
        return capital(told), question, backwards, backwards

    def pattern(self) -> tuple[str, str, str, str]:
        """The beginning of a series and what comes next."""
        rng, n = self.rng, self.choice((3, 4, 4, 5))
        style = rng.randrange(6)
        if style < 3:
            step = self.choice((1, 2, 2, 3, 4, 5, 10))
            start = rng.randint(1, 12)
            series = [str(start + step * i) for i in range(n + 1)]
            if style == 2:
                series.reverse()
        elif style == 3:
            names = self.choice((WEEKDAYS, MONTHS))
            start = rng.randrange(len(names))
            series = [names[(start + i) % len(names)] for i in range(n + 1)]
        else:
            words = rng.sample(self.choice((THINGS, COLOUR_NAMES)), 2 if style == 4 else 3)
            n = max(n, len(words) + 1)
            series = [words[i % len(words)] for i in range(n + 1)]
        slots = self.scene | {"list": ", ".join(series[:-1]), "y": series[-1]}
        told = self.choice(PATTERNS[self.n_named]).format_map(slots)
        question = self.choice(say.PATTERN_QUESTIONS).format_map(slots)
        return capital(told), capital(question), series[-1], series[-1]

    # --- registers

    def opening(self) -> list[str]:
        """One or two sentences that introduce the people, perhaps after one that does not."""
        before = [self.fill(self.choice(OPENING_LINES))] if self.rng.random() < 0.4 else []
        return [*before, self.fill(self.choice(INTRODUCTIONS[len(self.cast)]))]

    def paragraphs(self, sentences: list[str]) -> str:
        """The sentences as prose, now and then with a new paragraph."""
        text = sentences[0]
        for i, sentence in enumerate(sentences[1:], 1):
            text += ("\n\n" if i > 3 and self.rng.random() < 0.1 else " ") + sentence
        return text

    def tale(self) -> str:
        """A story with facts and small adventures between its beats."""
        n_people, beats = self.stories.deal()
        self.set_scene(n_people)
        sentences, rng = self.opening(), self.rng
        sentences += [self.tell(without=("founder",)) for _ in range(self.choice((0, 1, 1, 2)))]
        for optional, phrasings in beats:
            if optional and rng.random() < 0.4:
                continue
            sentences.append(self.fill(self.choice(phrasings)))
            if rng.random() < 0.3:
                sentences.append(self.tell(without=("founder",)))
            if rng.random() < 0.08:
                sentences += [self.fill(self.choice(p)) for _, p in self.choice(ASIDES)]
        if rng.random() < 0.5:
            sentences.append(self.fill(self.choice(CLOSING_LINES)))
        sentences += [self.tell(without=("founder",)) for _ in range(self.choice((0, 1, 2)))]
        return self.paragraphs(sentences)

    def day(self) -> str:
        """A day of one or two people on which little happens but facts."""
        self.set_scene(self.choice((1, 1, 2)))
        sentences = self.opening()
        for _ in range(self.rng.randint(3, 6)):
            if self.rng.random() < 0.4:
                self.vary()
                sentences.append(self.fill(self.choice(say.ERRANDS)))
            sentences.append(self.tell(without=("founder",)))
        return self.paragraphs(sentences)

    def mixture(
        self, first: list[str], own: Sequence[str], frames: Sequence[str], n: int
    ) -> list[str]:
        """Sentences of a register, each perhaps followed by a fact."""
        sentences = first
        for template in self.rng.sample(own, n):
            self.vary()
            sentences.append(self.fill(template))
            for _ in range(self.choice((0, 1, 1, 2))):
                sentences.append(self.tell(frames))
        return sentences

    def letter(self) -> str:
        """A letter from A to B."""
        self.set_scene(2)
        self.n_named = 0  # A writes, and does not speak of A by name
        start = self.fill(self.choice(say.LETTER_STARTS))
        n = self.rng.randint(2, 5)
        body = self.mixture([], say.LETTER_LINES, say.LETTER_FRAMES, n)
        return f"{start}\n{self.paragraphs(body)}\n{self.fill(self.choice(say.LETTER_ENDS))}"

    def diary(self) -> str:
        """A page of a diary."""
        self.set_scene(2)
        self.n_named = 0
        start = self.fill(self.choice(say.DIARY_STARTS))
        with_b = self.fill(self.choice(say.DIARY_VISITS))
        n = self.rng.randint(3, 5)
        body = self.mixture([with_b], say.DIARY_LINES, say.DIARY_FRAMES, n)
        return f"{start}\n{self.paragraphs(body)}"

    def dialogue(self) -> str:
        """A talk between A and B, with questions and facts in it."""
        rng = self.rng
        self.set_scene(2)
        out = [self.fill(self.choice(INTRODUCTIONS[2]))]
        self.n_named = 0  # they speak, and not of themselves
        if self.rng.random() < 0.6:
            out += [self.fill(self.choice(phrasings)) for _, phrasings in self.talks.deal()]
        for _ in range(self.rng.randint(2, 5)):
            if self.rng.random() < 0.4:
                asked = self.ask_task() if rng.random() < 0.3 else self.ask(self.kinds.deal())
                answer = self.choice((asked.short, as_sentence(asked.full)))
                question = asked.in_a_line()
                out.append(self.fill("{A}: ") + f"{question}\n" + self.fill("{B}: ") + answer)
            else:
                kind = self.kinds.deal()
                if kind in FORM_KINDS:
                    out.append(self.fill("{A}: ") + getattr(self, kind)()[0])
                else:
                    c = self.clause(self.deal(kind))
                    frame = self.choice(say.TALK_FRAMES)
                    out.append(frame.format_map(self.scene | {"c": c, "C": capital(c)}))
        return "\n".join(out)

    def message(self) -> str:
        """One short message."""
        self.set_scene(2)
        return self.fill(self.choice(say.MESSAGES))

    def mail(self) -> str:
        """Messages as they lie in a letter box or stand on a screen."""
        rng, choice = self.rng, self.choice
        self.set_scene(2)
        sorts = (post.FRIENDS, post.SERVICES, post.ADVERTS, post.TRICKS)
        if rng.random() < 0.4:
            return self.mailed(choice(sorts))
        out = [self.fill(choice(post.HEADINGS))] if rng.random() < 0.3 else []
        return "\n\n".join(out + [self.mailed(choice(sorts)) for _ in range(rng.randint(3, 7))])

    def phone(self) -> str:
        """One of the messages that were written one by one, or a few of their stories."""
        story = self.stories_by_phone.deal()
        if self.rng.random() < 0.5:
            return self.typed(self.choice(story.split("\n")))
        stories = [story, *(self.stories_by_phone.deal() for _ in range(self.rng.randint(1, 4)))]
        return "\n\n".join("\n".join(map(self.typed, story.split("\n"))) for story in stories)

    def typed(self, message: str) -> str:
        """The message with other digits, and now and then as a thumb writes it."""
        rng = self.rng
        message = re.sub(
            r"\d{3,}",
            lambda run: str(rng.randint(10 ** (len(run[0]) - 1), 10 ** len(run[0]) - 1)),
            message,
        )
        if rng.random() < THUMB_SHARE:
            message = re.sub(
                r"[A-Za-z]+", lambda word: SHORT_FORMS.get(word[0].lower(), word[0]), message
            )
        if rng.random() < THUMB_SHARE:
            message = message.lower()
        return message.removesuffix(".") if rng.random() < THUMB_SHARE else message

    def prose(self) -> str:
        """A piece of prose that was written for the corpus."""
        return self.pieces.deal()

    def mailed(self, sort: Sequence[str]) -> str:
        """One message of a sort, with numbers, prices and addresses of its own."""
        rng, choice = self.rng, self.choice
        self.vary()
        slots = self.scene | {
            "price": f"£{rng.randint(1, 60)}" + choice(("", "", ".50", ".99")),
            "big": f"£{rng.choice((400, 750, 900, 1200, 3000, 8000, 20000)):,}",
            "code": str(rng.randint(10_000, 99_999)),
            "phone": f"0{rng.randint(700, 999)} {rng.randint(100, 999)} {rng.randint(100, 999)}",
            "site": f"{choice(SITES)}.example" + choice(("", f"/{rng.randint(2, 99)}")),
            "shop": choice(SHOP_NAMES),
            "food": choice(FOODS),
            "N": str(rng.randint(2, 60)),
        }
        text = re.sub(r"<([^<>]*)>", lambda found: choice(found[1].split("|")), choice(sort))
        return capital(text.format_map(slots))

    def news_report(self) -> str:
        """A headline and a few sentences."""
        self.set_scene(2)
        (_, headline), *beats = self.news.deal()
        body = []
        for _, phrasings in beats:
            body.append(self.fill(self.choice(phrasings)))
        return f"{self.fill(self.choice(headline))}\n\n{' '.join(body)}"

    def how_to(self) -> str:
        """Instructions, given by A."""
        self.set_scene(1)
        (_, (title,)), *steps = self.how_tos.deal()
        intro = self.choice(
            (
                "How to {title}, by {A}, {atrade}",
                "{A} the {trade} explains how to {title}.",
                "How does one {title}? {A}, the {trade} of {V}, knows it.",
                "{A}'s advice for those who want to {title}",
                "If you want to {title}, ask {A} in {V}.",
            )
        )
        style = self.choice(("numbers", "lines", "prose"))
        filled = [self.fill(self.choice(phrasings)) for _, phrasings in steps]
        if style != "numbers" and self.rng.random() < 0.6:
            filled.append(self.tell())
        if style == "numbers":
            filled = [f"{i}. {step}" for i, step in enumerate(filled, 1)]
        return f"{intro.format_map(self.scene | {'title': title})}\n" + (
            " " if style == "prose" else "\n"
        ).join(filled)

    def inventory(self) -> str:
        """A list of things, as lines or in a sentence, and facts to go with it."""
        self.set_scene(1)
        out = [self.fill(self.choice(say.INVENTORY_STARTS))]
        facts = [self.facts["plural"].deal() for _ in range(self.rng.randint(3, 6))]
        counted = []
        for fact in facts:
            n = self.choice(("one", *NUMBERS[:4]))
            counted.append(f"{n} {fact.key[0] if n == 'one' else fact.answer}")
        if self.rng.random() < 0.5:
            out.append(
                f"There were {', '.join(counted[:-1])} and {counted[-1]}.".replace(
                    "There were one", "There was one"
                )
            )
        else:
            out += counted
        out += [self.tell() for _ in range(self.choice((1, 2)))]
        return "\n".join(out)

    def notes(self) -> str:
        """Cards of a notebook, each beginning with what is to be known."""
        self.set_scene(1)
        title = self.fill(self.choice(say.NOTE_STARTS))
        dealt = (self.kinds.deal() for _ in range(30))
        kinds = [k for k in dealt if k not in FORM_KINDS and k not in PERSON_KINDS]
        kinds = kinds[: self.choice((1, 1, 2, 3))]
        out, compact = [title], self.rng.random() < 0.3
        for _ in range(self.rng.randint(8, 16)):
            fact = self.deal(self.choice(kinds))
            name = PHRASING_NAME[fact]
            card = self.choice(PHRASINGS[name].cards)
            out.append(card.format_map(self.slots(fact)))
        return (
            f"{title}\n{'; '.join(dict.fromkeys(out[1:]))}"
            if compact
            else "\n".join(dict.fromkeys(out))
        )

    def entry(self) -> str:
        """An entry of an encyclopaedia: a town, an animal, a person, or small facts."""
        style = self.choice(
            ("town", "town", "animal", "animal", "person", "person", "small", "small")
        )
        self.set_scene(0)
        if style == "town":
            town = self.towns.deal()
            facts = [FACT_OF[k, (town.name,)] for k in TOWN_KINDS[:3]]
            facts.append(FACT_OF["distance", (town.name, town.neighbour)])
            title = self.choice(say.TOWN_TITLES)
        elif style == "animal":
            animal = self.animals.deal()
            keys = [(k, (animal.name,)) for k in ANIMAL_KINDS]
            facts = [FACT_OF[key] for key in keys if key in FACT_OF]
            title = self.choice(say.ANIMAL_TITLES)
        elif style == "person":
            self.set_scene(1)
            facts = [FACT_OF[k, (self.cast[0].name,)] for k in PERSON_KINDS]
            title = self.choice(say.PERSON_TITLES)
        else:
            title = self.choice(say.PLAIN_TITLES)
            return f"{title}\n\n" + " ".join(self.tell() for _ in range(self.rng.randint(4, 7)))
        self.rng.shuffle(facts)
        title = title.format_map(self.slots(facts[0]))
        return f"{title}\n\n" + " ".join(map(self.state, facts))

    def answers(self, asked: Sequence[Asked]) -> list[str]:
        """Questions and answers in one of the ways in which people write them down."""
        style = self.choice(("lines", "lines", "labels", "people", "prose", "page", "page"))
        form = self.choice(("short", "short", "capital", "full"))
        if style == "page":
            form = self.choice(("full", "full", "full", "short"))
        out = []
        for each in asked:
            question, answer = each.in_a_line(), each.short
            if form == "capital":
                answer = as_sentence(answer)
            elif form == "full" and each.full != each.short:
                answer = as_sentence(each.full)
            if style == "lines":
                out.append(f"{question}\n{answer}" + ("\n" if self.rng.random() < 0.5 else ""))
            elif style == "labels":
                out.append(f"Question: {question}\nAnswer: {answer}")
            elif style == "page":
                question = f"{each.question}\n{each.text}".strip()
                out.append(f"Question:\n{question}\nAnswer:\n{answer}")
            elif style == "people":
                out.append(self.fill("{A}: ") + f"{question}\n" + self.fill("{B}: ") + answer)
            else:
                said = f'"{question}" asked'
                if question[-1] != "?":
                    said = f'"{question.removesuffix(".")}," said'
                reply = capital(answer)
                if reply[-1] != "?":
                    reply = reply.removesuffix(".") + ","
                out.append(f'{said} {self.scene["A"]}. "{reply}" said {self.scene["B"]}.')
        return out

    def lesson(self) -> str:
        """Questions and answers about facts of one kind or several."""
        self.set_scene(2)
        kinds = [self.kinds.deal() for _ in range(self.choice((1, 2, 5)))]
        asked = [self.ask(self.choice(kinds)) for _ in range(self.rng.randint(5, 9))]
        out = [self.fill(self.choice(say.LESSON_STARTS)), *self.answers(list(dict.fromkeys(asked)))]
        if self.rng.random() < 0.3:
            out.append(self.fill(self.choice(say.LESSON_ENDS)))
        return "\n".join(out).rstrip()

    def page(self) -> str:
        """Questions without a scene: facts of every kind, and tasks."""
        self.set_scene(2)
        asked = [
            self.ask_task() if self.rng.random() < self.task_share else self.ask(self.kinds.deal())
            for _ in range(self.rng.randint(4, 9))
        ]
        return "\n".join(self.answers(asked)).rstrip()

    def reading(self) -> str:
        """A short text and questions that it answers."""
        self.set_scene(2)
        first = self.fill(self.choice(say.READING_STARTS))
        text, pairs = [], []
        for sentence, question, answer in self.rng.sample(say.READINGS, self.choice((2, 3, 4))):
            self.vary()
            slots = self.scene
            if self.rng.random() < 0.4:  # the other of the two does it
                slots = slots | {"A": slots["B"], "B": slots["A"], "he": slots["bhe"]}
                slots |= {"fav": slots["bfav"]}
            text.append(sentence.format_map(slots))
            reply = answer.format_map(slots)
            pairs.append(Asked(question.format_map(slots), "", reply, text[-1][:-1]))
        pairs = self.rng.sample(pairs, self.rng.randint(1, len(pairs)))
        return "\n".join([first, " ".join(text), *self.answers(pairs)]).rstrip()


TOWN_NAMES = tuple(TOWNS)


def write_documents(
    seed: int, held_out: bool = False, without: str | None = None
) -> Iterator[Document]:
    """Write documents without end; the same seed writes the same ones.

    With held_out, prose and messages are those that are kept for validation; with without, one of
    PARTS is left out.
    """
    writer = Writer(seed, held_out, without)
    while True:
        yield writer.document()


def generate_documents(
    seed: int,
    n_documents: int | None = None,
    n_bytes: int | None = None,
    held_out: bool = False,
    without: str | None = None,
) -> Iterator[str]:
    """Yield texts: so many, or until they have so many bytes, or without end.

    Raises: ValueError if a number is negative.
    """
    if min(n_documents or 0, n_bytes or 0) < 0:
        raise ValueError(f"n_documents={n_documents}, n_bytes={n_bytes}: neither can be negative")
    size = 0
    for document in islice(write_documents(seed, held_out, without), n_documents):
        if n_bytes is not None and size >= n_bytes:
            return
        size += len(document.text)
        yield document.text


def write_corpus(path: str | Path, seed: int, n_bytes: int) -> Counter:
    """Write documents with SEPARATOR behind each until the file has n_bytes or a little more.

    The file is written whole or not at all; the counter says how many documents of each register
    it holds.
    """
    registers = Counter()
    with (
        written_whole(path) as draft,
        open(draft, "w", encoding="utf-8", newline="\n") as out,
        tqdm(total=n_bytes, unit="B", unit_scale=True, desc="writing") as progress,
    ):
        for register, text in write_documents(seed):
            if progress.n >= n_bytes:
                break
            registers[register] += 1
            progress.update(out.write(text + SEPARATOR))
    return registers


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m ch05.course_model.corpus", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--tokens",
        type=float,
        default=15,
        help=f"millions of tokens of {BYTES_PER_TOKEN} bytes (%(default)s)",
    )
    size.add_argument("--megabytes", type=float, help="millions of bytes, instead of --tokens")
    parser.add_argument("--out", default="course-corpus.txt", help="file to write (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all chance (%(default)s)")
    options = parser.parse_args(arguments)
    megabytes = options.megabytes
    if megabytes is None:
        megabytes = options.tokens * BYTES_PER_TOKEN
    if not 1 <= megabytes * 1e6 < math.inf:
        parser.error("the size must be one byte at least, and finite")
    if Path(options.out).is_dir():
        parser.error(f"{options.out} is a folder: name a file in it")
    options.n_bytes = round(megabytes * 1e6)
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the corpus and say what is in it."""
    replace_unprintable()
    options = parse_arguments(arguments)
    try:
        registers = write_corpus(options.out, options.seed, options.n_bytes)
    except OSError as error:
        raise SystemExit(f"corpus: {error}") from None
    words = set()
    with open(options.out, encoding="utf-8") as file:
        for line in file:
            words.update(re.findall(r"[a-z]+", line.lower()))
    megabytes = Path(options.out).stat().st_size / 1e6
    tokens = megabytes / BYTES_PER_TOKEN
    print(f"{options.out}: {megabytes:.1f} MB, about {tokens:.1f}M tokens")
    print(f"{registers.total()} documents, {len(words)} different words")
    for register, n in registers.most_common():
        print(f"{n:8} {register}")


if __name__ == "__main__":
    main()
