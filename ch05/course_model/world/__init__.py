"""The small world that the course's own model learns from: its facts as records, its words.

`FACTS` holds every fact by its kind. All of them stand in the corpus of ch05.course_model.corpus,
and the `asked` ones are besides put there as questions with an answer. The others are only told,
with three exceptions: a person who is in the document may be asked about whatever the fact, and
sentences of the stories ask "What is a goose?" for nearly every category and "Who wrote Emma?" for
makers. Another one asks for homes in words of its own, "Where would I sleep if I were a fox?".
`split` divides a kind's facts into those that an instruction corpus may show and those it must
keep for the test.
"""

import random
import re
from typing import NamedTuple

from ch05.course_model.world.animals import ANIMALS
from ch05.course_model.world.earth import (
    CONTINENTS,
    COUNTS,
    LANGUAGES,
    MAKERS,
    MATERIALS,
    RIVERS,
    WORKPLACES,
)
from ch05.course_model.world.nouns import CATEGORIES, CATEGORY_OF, COLOURS, PLURALS
from ch05.course_model.world.people import PEOPLE
from ch05.course_model.world.places import CAPITALS, REGIONS, TOWNS
from ch05.course_model.world.verbs import VERBS
from ch05.course_model.world.words import MONTHS, OPPOSITES, SPELLINGS, WEEKDAYS

LARGEST_SUM = 24
ASKED = 0.8  # the share of a kind's facts that the corpus also puts as questions


class Fact(NamedTuple):
    """One thing to know: the answer to a question of this kind about the key."""

    kind: str
    key: tuple[str, ...]  # ("goose",), or two towns, or two numbers
    answer: str
    asked: bool  # whether the corpus is to hold it as question and answer, besides stating it


def _held_out_sums(n: int = 30) -> frozenset[tuple[int, int]]:
    """Choose pairs of numbers that no text ever adds, nor takes away again from their sum.

    Doubles and pairs such as 3 and 6 stay in: counting (3, 6, 9) would give their sum away.
    """
    pairs = [
        (a, b)
        for a in range(2, LARGEST_SUM)
        for b in range(a + 1, LARGEST_SUM - a + 1)
        if b != 2 * a
    ]
    return frozenset(random.Random("sums").sample(pairs, n))


HELD_OUT_SUMS = _held_out_sums()  # (a, b) with a < b


def is_held_out_sum(a: int, b: int) -> bool:
    """Whether a + b, b + a and what is left when one of them is taken away are kept out."""
    return (min(a, b), max(a, b)) in HELD_OUT_SUMS


def _answers() -> dict[str, dict[tuple[str, ...], str]]:
    """Every kind's keys and answers."""
    sums, differences = {}, {}
    for a in range(1, LARGEST_SUM):
        for b in range(1, LARGEST_SUM - a + 1):
            if not is_held_out_sum(a, b):
                sums[str(a), str(b)] = str(a + b)
                differences[str(a + b), str(b)] = str(a)
    table = {
        "plural": PLURALS,
        "past": {verb.base: verb.past for verb in VERBS.values()},
        "participle": {verb.base: verb.participle for verb in VERBS.values()},
        "opposite": OPPOSITES | {answer: key for key, answer in OPPOSITES.items()},
        "category": CATEGORY_OF,
        "thing_colour": COLOURS,
        "capital": CAPITALS,
        "river": RIVERS,
        "continent": CONTINENTS,
        "language": LANGUAGES,
        "maker": MAKERS,
        "workplace": WORKPLACES,
        "material": MATERIALS,
        "spelling": SPELLINGS,
        "next": {
            name: names[(i + 1) % len(names)]
            for names in (WEEKDAYS, MONTHS)
            for i, name in enumerate(names)
        },
    }
    for kind in ("animal_colour", "sound", "home", "young"):
        field = kind.removeprefix("animal_")
        table[kind] = {n: getattr(a, field) for n, a in ANIMALS.items() if getattr(a, field)}
    for kind in ("region", "founder", "speciality"):
        table[kind] = {name: getattr(town, kind) for name, town in TOWNS.items()}
    for kind in ("trade", "village", "pet", "habit", "favourite"):
        field = "animal" if kind == "pet" else kind
        table[kind] = {name: getattr(person, field) for name, person in PEOPLE.items()}
    answers = {kind: {(key,): rows[key] for key in rows} for kind, rows in table.items()}
    answers["distance"] = {(t.name, t.neighbour): str(t.miles) for t in TOWNS.values()}
    return answers | {"count": COUNTS, "sum": sums, "difference": differences}


def _group(fact: Fact) -> tuple:
    """What must stay on one side of a split: hot/cold and cold/hot, 3 + 4 and 4 + 3."""
    if fact.kind == "opposite":
        return tuple(sorted((*fact.key, fact.answer)))
    return tuple(sorted(fact.key)) if fact.kind == "sum" else fact.key


def _some_groups(facts: list[Fact], share: float, seed: str) -> set[tuple]:
    groups = sorted({_group(fact) for fact in facts})
    return set(random.Random(seed).sample(groups, round(share * len(groups))))


def _read_facts() -> dict[str, tuple[Fact, ...]]:
    facts = {}
    for kind, rows in _answers().items():
        unmarked = [Fact(kind, key, answer, False) for key, answer in rows.items()]
        asked = _some_groups(unmarked, ASKED, f"asked {kind}")
        facts[kind] = tuple(fact._replace(asked=_group(fact) in asked) for fact in unmarked)
    return facts


FACTS = _read_facts()  # kind -> its facts


def split(kind: str, held_out: float = 0.3, seed: int = 0) -> tuple[list[Fact], list[Fact]]:
    """Divide a kind's facts into those to train instructions on and those to hold out.

    Pairs that give each other away (hot/cold and cold/hot, 3 + 4 and 4 + 3) stay together.
    Raises: ValueError for an unknown kind or a share outside 0 to 1.
    """
    if kind not in FACTS:
        raise ValueError(f"kind={kind!r} is not one of {', '.join(sorted(FACTS))}")
    if not 0 <= held_out <= 1:
        raise ValueError(f"held_out={held_out} is a share and lies between 0 and 1")
    out = _some_groups(list(FACTS[kind]), held_out, f"{seed} {kind}")
    return (
        [fact for fact in FACTS[kind] if _group(fact) not in out],
        [fact for fact in FACTS[kind] if _group(fact) in out],
    )


def lexicon() -> set[str]:
    """Every word that stands in the world's tables, in lower case."""
    texts = [text for facts in FACTS.values() for f in facts for text in (*f.key, f.answer)]
    texts += [rest for verb in VERBS.values() for rest in verb.rests] + [*REGIONS, *CATEGORIES]
    texts += [verb.third for verb in VERBS.values()]
    return {word.lower() for text in texts for word in re.findall(r"[A-Za-z]+", text)}
