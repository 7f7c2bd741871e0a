"""Write the course's instructions: entries in Alpaca's form, made from the small world of ch05.

    python -m ch07.instructions --out FILE.json

An entry has an instruction, an input (often empty), an output, its kind of task, and the split it
belongs to; a follow-up also has a history of earlier entries, and a question for a fact says
whether the lessons and talks of the pretraining corpus ask for it, too, or it is only stated. No
fact that the test asks for is told in the training entries: what the model knows of it comes from
its pretraining. And no verb, thing or row of a test's text stands in a training text of the same
kind.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path
from random import Random
from typing import NamedTuple

from ch05.course_model.corpus import (
    COLOUR_NAMES,
    HOURS,
    PLACES,
    SLOTS,
    THINGS,
    TOWN_NAMES,
    VEHICLES,
    article,
    as_sentence,
    capital,
    phrasing_name,
    pronouns,
)
from ch05.course_model.tasks import QUOTING, TASK_KINDS, Tasks
from ch05.course_model.world import HELD_OUT_SUMS, PEOPLE, PLURALS, VERBS, Fact, split
from ch05.course_model.world.people import Person
from ch05.course_model.world.phrasings import PHRASINGS
from ch05.course_model.world.registers import READINGS
from ch05.course_model.world.verbs import Verb
from ch05.course_model.world.words import EXAMPLES, MONTHS, WEEKDAYS
from course.files import written_whole
from course.terminal import replace_unprintable

SPLITS = ("train", "development", "test")
SIZES = {"train": 55, "development": 6, "test": 30}  # entries of a kind, where there are so many

# The kinds that ask for a fact: the fact's kind, and the wordings. What stands after " | " is the
# input. {x} is what the fact is about, {ax} the same with a or an, {z} the second number of a sum.
WORDINGS = {
    "plural": (
        "What is the plural of {x}?",
        "Give the plural of this noun. | {x}",
        "How do you say more than one {x}?",
        "Put the noun into the plural. | {x}",
        "Write down the plural of {x}.",
    ),
    "past": (
        "What is the past tense of {x}?",
        "Give the past tense of this verb. | {x}",
        "Put the verb into the past tense. | {x}",
        "Which form has {x} in the past?",
        "Write down the past tense of {x}.",
    ),
    "opposite": (
        "What is the opposite of {x}?",
        "Give the opposite of this word. | {x}",
        "Name a word that means the opposite of {x}.",
        "Which word is the contrary of {x}?",
        "Write the opposite. | {x}",
    ),
    "category": (
        "What kind of thing is {ax}?",
        "Name the category of this word. | {x}",
        "To which category does the word {x} belong?",
        "What is {ax}?",
        "Say what kind of thing this is. | {x}",
    ),
    "spelling": (
        "Correct the spelling: {x}",
        "Correct the spelling of this word. | {x}",
        "How do you spell {x} correctly?",
        "This word is spelled wrong. Write it correctly. | {x}",
        "What is the right spelling of {x}?",
    ),
    "sum": (
        "What is {x} plus {z}?",
        "Add the two numbers. | {x} and {z}",
        "How much is {x} and {z}?",
        "What is the sum of {x} and {z}?",
        "Add {x} and {z}.",
    ),
    "capital": (
        "What is the capital of {x}?",
        "Name the capital of this country. | {x}",
        "Which city is the capital of {x}?",
        "Tell me the capital of {x}.",
    ),
    "continent": (
        "In which continent is {x}?",
        "Name the continent of this country. | {x}",
        "Which continent does {x} belong to?",
        "Tell me the continent of {x}.",
    ),
    "language": (
        "Which language do people speak in {x}?",
        "Name the language of this country. | {x}",
        "What is the language of {x}?",
        "Tell me what they speak in {x}.",
    ),
    "river": (
        "Which river flows through {x}?",
        "Name the river of this city. | {x}",
        "On which river does {x} stand?",
        "Tell me the river of {x}.",
    ),
    "maker": (
        "Who {v} {x}?",
        "Say who {v} it. | {x}",
        "By whom was {x} {w}?",
        "Tell me who {v} {x}.",
    ),
    "workplace": (
        "Where does {ax} work?",
        "Name the place where this person works. | {x}",
        "What is the workplace of {ax}?",
        "Tell me where {ax} works.",
    ),
    "material": (
        "What do people make {x} from?",
        "Say what people make this from. | {x}",
        "What do you need to make {x}?",
        "Tell me what {x} can be made from.",
    ),
    "count": (
        "How many {z} does {x} have?",
        "What is the number of {z} that {x} has?",
        "Tell me how many {z} {x} has.",
    ),
    "colour": (
        "What colour is the {x}?",
        "Name the colour of this animal. | {x}",
        "Which colour does {ax} have?",
        "Tell me the colour of the {x}.",
    ),
    "sound": (
        "What sound does {ax} make?",
        "Say what sound this animal makes. | {x}",
        "How does {ax} sound?",
        "Name the sound of the {x}.",
    ),
    "home": (
        "Where does {ax} live?",
        "Name the home of this animal. | {x}",
        "What is the home of {ax}?",
        "Tell me where {ax} lives.",
    ),
    "young": (
        "What do you call the young of the {x}?",
        "Name the young of this animal. | {x}",
        "What is a young {x} called?",
        "Tell me the word for a young {x}.",
    ),
}
FACT_KIND = {name: name for name in WORDINGS} | {"colour": "animal_colour"}

# The kinds that have something done to a text.
FORM_WORDINGS = {
    "passive": (
        "Put this into the passive voice. | {input}",
        "Say it in the passive: {input}",
        "Rewrite the sentence in the passive voice. | {input}",
        "Use the passive voice. | {input}",
    ),
    "question": (
        "Turn this into a question. | {input}",
        "Make a question of this: {input}",
        "Rewrite the sentence as a question. | {input}",
        "Write it as a question: {input}",
    ),
    "reverse": (
        "Reverse the list. | {input}",
        "Say this backwards: {input}",
        "Write the list in the reverse order. | {input}",
        "Reverse the order: {input}",
    ),
    "pattern": (
        "What comes next: {input}?",
        "Complete the pattern. | {input}",
        "How does it go on: {input}?",
        "Name what comes next. | {input}",
    ),
    "task": ("{question} | {input}",),
    "reading": (
        "{question} | {input}",
        "Read the text and answer: {question} | {input}",
    ),
}

# A question, and how one goes on to ask the same of something else.
FOLLOW_UPS = {
    "plural": ("What is the plural of {x}?", ("And of {x}?", "What about {x}?")),
    "past": ("What is the past tense of {x}?", ("And of {x}?", "What about {x}?")),
    "opposite": ("What is the opposite of {x}?", ("And of {x}?", "What about {x}?")),
    "category": ("What kind of thing is {ax}?", ("And {ax}?", "What about {ax}?")),
    "capital": ("What is the capital of {x}?", ("And of {x}?", "What about {x}?")),
    "language": ("Which language do people speak in {x}?", ("And in {x}?", "What about {x}?")),
    "river": ("Which river flows through {x}?", ("And through {x}?", "What about {x}?")),
    "maker": ("Who {v} {x}?", ("And who {v} {x}?",)),
    "colour": ("What colour is the {x}?", ("And the {x}?", "What about the {x}?")),
    "sound": ("What sound does {ax} make?", ("And {ax}?", "What about {ax}?")),
    "home": ("Where does {ax} live?", ("And {ax}?", "What about {ax}?")),
}

# A sentence, a question and its answer; what somebody did would ask for all of the sentences.
TEXTS = [reading for reading in READINGS if reading[1] != "What did {A} do?"]

# What is said in a talk without a question for a fact, and what to answer. Of the wordings for an
# answer, the last two are for the test, and the one before them is for development.
MANNERS = (
    (
        ("Hello!", "Hello there.", "Hi there!", "Hey!", "Hi, hello!", "Hello again.",
         "Hello, hello!", "Hey there!", "Hi!"),
        "Hello! What would you like to know?",
    ),
    (
        ("Good morning.", "Good morning to you.", "Morning!", "A very good morning!",
         "Good morning again.", "Good morning, my friend.", "Good morning!"),
        "Good morning! What would you like to know?",
    ),
    (
        ("Good evening.", "Good evening to you.", "Evening!", "A very good evening!",
         "Good evening again.", "Good evening, my friend.", "Good evening!"),
        "Good evening! What would you like to know?",
    ),
    (
        ("Hello, how are you?", "How are you?", "How are you doing?", "And how are you?",
         "How are you this morning?", "Hi, how are you?", "How are you doing today?",
         "How are you today?"),
        "I am well, thank you. And you?",
    ),
    (
        ("Thank you.", "Thank you!", "Thanks a lot.", "Thank you very much.", "Many thanks.",
         "Thank you for your help.", "Thanks for that.", "Thanks!"),
        "You are welcome.",
    ),
    (
        ("Goodbye.", "Bye!", "Goodbye for now.", "Bye for today.", "See you soon.",
         "See you tomorrow.", "Bye for now.", "Bye bye!", "See you later."),
        "Goodbye, and come again.",
    ),
    (
        ("Who are you?", "Who am I talking to?", "Are you a person?", "Who is there?",
         "And who are you?", "Who are you really?", "What are you?"),
        "I am a small language model.",
    ),
    (
        ("What is your name?", "Tell me your name.", "What are you called?",
         "Have you got a name?", "And what is your name?", "May I know your name?",
         "Do you have a name?"),
        "I have no name. I am a small language model.",
    ),
    (
        ("What can you do?", "What do you know?", "How can you help me?", "What should I ask you?",
         "Tell me what you can do.", "What can you do for me?", "What can I ask you?"),
        "You can ask me for words, facts and small sums.",
    ),
    (
        ("Well done!", "That was good.", "Good answer!", "That is right.", "That is good.",
         "That was very good.", "Very good!"),
        "Thank you!",
    ),
    (
        ("That is wrong.", "That was wrong.", "You are wrong.", "That is not true.",
         "No, that is wrong.", "I think that is wrong.", "That was not right.",
         "No, that is not right."),
        "I am sorry. I know only a little.",
    ),
    (
        ("Sorry.", "Sorry about that.", "I am very sorry.", "Oh, sorry!", "Sorry, my mistake.",
         "I am so sorry.", "I am sorry."),
        "It does not matter.",
    ),
)  # fmt: skip

KINDS = (*WORDINGS, "new sum", *FORM_WORDINGS, "unknown", "manners", "follow-up")


class Side(NamedTuple):
    """What one split may speak of: no fact, verb, thing or row of it is in another split."""

    split: str
    facts: dict[str, list[Fact]]
    verbs: list[Verb]
    things: list[str]
    people: list[Person]
    rows: list[list[list[str]]]  # rows to go on with, of each of the four styles


def divide(kind: str) -> dict[str, list[Fact]]:
    """A kind's facts for each split: the test is what `split` holds out.

    Pairs that give each other away (hot/cold and cold/hot, 3 + 4 and 4 + 3) stay together.
    """
    rest, test = split(kind)
    told = set()
    if kind == "past":  # a text to read says "bought", and its question "Where did she buy"
        told = set(" ".join(question for _, question, _ in TEXTS).split())
        told.add("call")  # "What do you call a young donkey?" and "is called" are wordings
        told.update(QUOTING)  # "What did Clara write?" is a task, and its text says "wrote"
    rest += [fact for fact in test if fact.key[0] in told]
    test = [fact for fact in test if fact.key[0] not in told]
    groups = {tuple(sorted((*fact.key, fact.answer))) for fact in rest if fact.key[0] not in told}
    n_kept = max(2, round(len(groups) / 10))
    kept = set(Random(f"development {kind}").sample(sorted(groups), n_kept))
    sides = {"train": [], "development": [], "test": test}
    for fact in rest:
        is_kept = tuple(sorted((*fact.key, fact.answer))) in kept
        sides["development" if is_kept else "train"].append(fact)
    return sides


def make_rows() -> list[list[list[str]]]:
    """Rows of five: counting up, counting down by one, days and months, two colours in turn."""
    return [
        [
            [str(start + step * i) for i in range(5)]
            for start in range(1, 16)
            for step in (1, 2, 5, 10)
        ],
        [[str(start - i) for i in range(5)] for start in range(5, 20)],
        [
            [names[(start + i) % len(names)] for i in range(5)]
            for names in (WEEKDAYS, MONTHS)
            for start in range(len(names))
        ],
        [[a, b, a, b, a] for a, b in permutations(COLOUR_NAMES, 2)],
    ]


def divide_rows(rows: list[list[str]]) -> dict[str, list[list[str]]]:
    """A style's rows for each split; two rows never begin with the same two items."""
    rows = Random("rows").sample(rows, len(rows))
    a, b = len(rows) * 6 // 10, len(rows) * 7 // 10
    return {"train": rows[:a], "development": rows[a:b], "test": rows[b:]}


def make_sides() -> dict[str, Side]:
    """Divide facts, verbs, things, people and rows among the splits."""
    facts = {name: divide(kind) for name, kind in FACT_KIND.items()}
    pairs = sorted(HELD_OUT_SUMS)
    Random("new sums").shuffle(pairs)
    new = [Fact("sum", (str(a), str(b)), str(a + b), False) for a, b in pairs]
    facts["new sum"] = {"train": [], "development": new[:8], "test": new[8:]}
    people = divide("trade")
    rows = {name: [divided[name] for divided in map(divide_rows, make_rows())] for name in SPLITS}
    return {
        name: Side(
            name,
            {kind: of_kind[name] for kind, of_kind in facts.items()},
            [VERBS[fact.key[0]] for fact in facts["past"][name]],
            [fact.key[0] for fact in facts["plural"][name] if fact.key[0] in THINGS],
            [PEOPLE[fact.key[0]] for fact in people[name]],
            rows[name],
        )
        for name in SPLITS
    }


class Author:
    """Writes the entries of one split; all chance comes from the seed."""

    def __init__(self, side: Side, seed: str):
        self.side = side
        self.rng = Random(seed)
        self.choice = self.rng.choice
        self.tasks = Tasks(self.rng)

    def entry(self, kind: str, wording: str, output: str, slots: dict[str, str]) -> dict:
        """An entry from a wording, whose " | " divides instruction and input."""
        instruction, _, text = wording.partition(" | ")
        return {
            "instruction": capital(instruction.format_map(slots)),
            "input": text.format_map(slots),
            "output": output,
            "kind": kind,
        }

    def answer(self, kind: str, fact: Fact) -> str:
        """A fact as a sentence: The plural of goose is geese.

        It is the first of the clauses in which the pretraining corpus states facts of this kind. So
        the model first says what it is asked about, and then what it knows of it.
        """
        said = PHRASINGS[phrasing_name(fact)].clauses[0]
        return as_sentence(said.format_map(self.slots(fact)))

    def slots(self, fact: Fact) -> dict[str, str]:
        """What a wording can say about a fact; a new sum stands in no table."""
        return SLOTS.get(fact) or {"x": fact.key[0], "z": fact.key[-1], "y": fact.answer}

    def ask(self, kind: str, fact: Fact) -> dict:
        """One fact asked for in one of the wordings."""
        wording = self.choice(WORDINGS["sum" if kind == "new sum" else kind])
        entry = self.entry(kind, wording, self.answer(kind, fact), self.slots(fact))
        return entry | {"asked": fact.asked}

    def entries(self, kind: str) -> Iterator[dict]:
        """Entries of a kind without end, or, for the facts of a test, each fact once."""
        if kind in self.side.facts:
            facts = self.side.facts[kind].copy()
            while facts:
                self.rng.shuffle(facts)
                if kind == "plural":  # wolves before cats: an s after the word is no knowledge
                    facts.sort(key=lambda fact: fact.answer.startswith(fact.key[0]))
                yield from [self.ask(kind, fact) for fact in facts]
        elif kind == "manners":
            yield from self.manners()
        else:
            while True:
                yield getattr(self, kind.replace("-", "_"))()

    def manners(self) -> Iterator[dict]:
        """Greetings, thanks, questions to the model; a wording is in one split only."""
        wordings = {"train": slice(-3), "development": slice(-3, -2), "test": slice(-2, None)}
        for said, output in MANNERS:
            for text in said[wordings[self.side.split]]:
                yield self.entry("manners", text, output, {})

    # --- forms

    def form(self, kind: str, text: str, output: str, **slots: str) -> dict:
        return self.entry(kind, self.choice(FORM_WORDINGS[kind]), output, {"input": text, **slots})

    def passive(self) -> dict:
        """Who did it moves to the end."""
        verb = self.choice([verb for verb in self.side.verbs if verb.transitive])
        who, what = self.choice(self.side.people).name, self.choice(verb.rests)
        text = f"{who} {verb.past} {what}."
        return self.form("passive", text, capital(f"{what} was {verb.participle} by {who}."))

    def question(self) -> dict:
        """A statement becomes a question."""
        verb, who = self.choice(self.side.verbs), self.choice(self.side.people).name
        rest = self.choice(verb.rests)
        adjectives = [f.key[0] for f in self.side.facts["opposite"] if f.key[0] in EXAMPLES]
        adjective = self.choice(adjectives)
        thing, be = EXAMPLES[adjective], self.choice(("is", "was"))
        helper = self.choice(("will", "can"))
        text, question = self.choice(
            (
                (f"{who} {verb.past} {rest}.", f"did {who} {verb.base} {rest}?"),
                (f"{who} {helper} {verb.base} {rest}.", f"{helper} {who} {verb.base} {rest}?"),
                (f"the {thing} {be} {adjective}.", f"{be} the {thing} {adjective}?"),
            )
        )
        return self.form("question", capital(text), capital(question))

    def reverse(self) -> dict:
        """A list of two or three from its end."""
        words = self.rng.sample(self.side.things, self.choice((2, 2, 3)))
        return self.form("reverse", ", ".join(words), ", ".join(words[::-1]))

    def pattern(self) -> dict:
        """The beginning of a row, and what comes next."""
        row, n = self.choice(self.choice(self.side.rows)), self.choice((3, 4, 4))
        return self.form("pattern", ", ".join(row[:n]), row[n])

    def task(self) -> dict:
        """Something to copy, to spell, to pick or to change: the answer stands in the question."""
        task = getattr(self.tasks, self.choice([k for k in TASK_KINDS if k != "unknown"]))()
        return self.form("task", task.input, task.output, question=task.instruction)

    def unknown(self) -> dict:
        """A question about something that does not exist."""
        task = self.tasks.unknown()
        return self.entry("unknown", task.instruction, task.output, {})

    def scene(self) -> dict[str, str]:
        """The people and things of one sentence of a text to read."""
        choice, thing, verb = (
            self.choice,
            self.choice(self.side.things),
            self.choice(self.side.verbs),
        )
        return {
            "thing": thing, "athing": article(thing), "things": PLURALS[thing],
            "n": choice(("two", "three", "four", "five", "six")), "T": choice(TOWN_NAMES),
            "price": f"{self.rng.randint(2, 90)} pounds", "place": choice(PLACES),
            "day": choice(WEEKDAYS), "vehicle": choice(VEHICLES), "hour": choice(HOURS),
            "colour": choice(COLOUR_NAMES), "did": f"{verb.past} {choice(verb.rests)}",
        }  # fmt: skip

    def reading(self) -> dict:
        """Two or three sentences about two people, and a question that one of them answers."""
        pair = self.rng.sample(self.side.people, 2)
        text = {}
        for sentence, question, answer in self.rng.sample(TEXTS, 3)[: self.choice((2, 2, 3))]:
            a, b = self.rng.sample(pair, 2)
            slots = self.scene() | {"A": a.name, "B": b.name, "fav": a.favourite, **pronouns(a)}
            # The same thing is not told twice, so that the question has one answer.
            if sentence not in text:
                text[sentence] = sentence.format_map(slots)
                asked, output = question.format_map(slots), answer.format_map(slots)
        sentences = self.rng.sample([*text.values()], len(text))
        return self.form("reading", " ".join(sentences), output, question=asked)

    # --- turns

    def turns(self, kind: str) -> Iterator[dict]:
        """Questions of a kind about facts that all differ, with the way to ask on."""
        question, tails = FOLLOW_UPS[kind]
        for fact in self.rng.sample(self.side.facts[kind], 2):
            slots, output = self.slots(fact), self.answer(kind, fact)
            yield self.entry(kind, question, output, slots), self.choice(tails).format_map(slots)

    def follow_up(self) -> dict:
        """A question that only the turn before it explains; an older turn may be about others."""
        kind, other = self.rng.sample(sorted(FOLLOW_UPS), 2)
        (first, _), (second, tail) = self.turns(kind)
        history = [first]
        if self.rng.random() < 0.4:
            history.insert(0, next(self.turns(other))[0])
        entry = second | {"instruction": tail, "kind": "follow-up"}
        return entry | {"history": [{k: v for k, v in e.items() if k != "kind"} for e in history]}

    def earlier_turn(self) -> list[dict]:
        """A turn about something else, which a complete question does not need."""
        entry = next(self.turns(self.choice(sorted(FOLLOW_UPS))))[0]
        return [{name: text for name, text in entry.items() if name != "kind"}]


def key(entry: dict) -> str:
    """What makes an entry the same question as another one."""
    return json.dumps([entry["instruction"], entry["input"], entry.get("history", [])])


def make_instructions(seed: int = 0) -> list[dict]:
    """Every entry of the three splits, about equally many of each kind, in a random order.

    In training one entry of twenty comes after a turn about something else, as in a talk.
    """
    seen, made = set(), []
    for name, side in make_sides().items():
        author = Author(side, f"{seed} {name}")
        of_split = []
        for kind in KINDS:
            n = SIZES[name]
            if kind in side.facts and name != "train":
                n = min(n, len(side.facts[kind]))
            if kind == "new sum" and name == "train":
                continue
            of_kind = []
            for entry in author.entries(kind):
                if len(of_kind) == n:
                    break
                if name == "train" and kind != "follow-up" and author.rng.random() < 0.05:
                    entry["history"] = author.earlier_turn()
                if key(entry) not in seen:
                    seen.add(key(entry))
                    of_kind.append(entry | {"split": name})
            of_split += of_kind
        author.rng.shuffle(of_split)
        made += of_split
    return made


def main(arguments: Sequence[str] | None = None) -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m ch07.instructions", description="Write the course's instructions."
    )
    parser.add_argument("--out", default="runs/instructions.json", help="[%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of all chance [%(default)s]")
    args = parser.parse_args(arguments)
    entries = make_instructions(args.seed)
    try:
        with written_whole(Path(args.out)) as draft:
            draft.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise SystemExit(f"instructions: {error}") from None
    counts = {name: sum(entry["split"] == name for entry in entries) for name in SPLITS}
    print(f"{args.out}: {', '.join(f'{n} for {name}' for name, n in counts.items())}")


if __name__ == "__main__":
    main()
