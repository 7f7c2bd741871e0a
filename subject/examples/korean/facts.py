"""The facts of the market that can be asked for: how they are told, and how one asks.

The first of a kind's clauses is the answer to its questions. Every fourth fact of a kind is for the
test: texts tell it, and no text and no training entry asks for it.
"""

from random import Random
from typing import NamedTuple

from subject.examples.korean.numerals import hour, month
from subject.examples.korean.particles import Noun
from subject.examples.korean.world import GOOD, PAIRS_OF_OPPOSITES, PERSON, SHOP

# {x} is what the fact is about, {y} what is asked for, {c} the counter of a good.
CLAUSES = {
    "workplace": (
        "{x:은} {y}에서 일해요.",
        "{x}의 일터는 {y:이에요}.",
        "{y}에서는 {x:이} 일해요.",
        "{x:은} 아침마다 {y:으로} 일하러 가요.",
        "{y}에 가면 {x:이} 반갑게 인사해요.",
    ),
    "home": (
        "{x:은} {y}에 살아요.",
        "{x}의 집은 {y}에 있어요.",
        "{y}에는 {x}의 집이 있어요.",
        "{x:은} {y}에 있는 작은 집에서 살아요.",
    ),
    "pet": (
        "{x:은} {y:을} 길러요.",
        "{x}의 집에는 {y:이} 한 마리 있어요.",
        "{x:이} 기르는 동물은 {y:이에요}.",
        "{x:은} 날마다 {y}에게 먹이를 줘요.",
    ),
    "hobby": (
        "{x}의 취미는 {y:이에요}.",
        "{x:은} 쉬는 날에 {y:을} 즐겨요.",
        "{x:이} 가장 좋아하는 것은 {y:이에요}.",
        "{y:은} {x}의 취미예요.",
    ),
    "birthday": (
        "{x:은} {y}에 태어났어요.",
        "{x}의 생일은 {y}에 있어요.",
        "{y}에는 {x}의 생일이 있어요.",
        "{y}이 되면 {x}의 생일 잔치가 열려요.",
    ),
    "opening": (
        "{x:은} {y}에 문을 열어요.",
        "{x}의 문은 {y}에 열려요.",
        "{y}부터 {x}에 손님이 들어와요.",
    ),
    "closing": (
        "{x:은} {y}에 문을 닫아요.",
        "{x}의 문은 {y}에 닫혀요.",
        "{y}까지 {x}에 손님이 있어요.",
    ),
    "day off": (
        "{x:은} {y}에 쉬어요.",
        "{x}의 쉬는 날은 {y:이에요}.",
        "{y}에는 {x:이} 문을 열지 않아요.",
    ),
    "price": (
        "{x} 한 {c:은} {y}이에요.",
        "{x:은} 한 {c}에 {y}이에요.",
        "{y}이면 {x} 한 {c:을} 살 수 있어요.",
        "{x} 값은 한 {c}에 {y}이에요.",
    ),
    "shop": (
        "{x:은} {y}에서 팔아요.",
        "{y}에서는 {x:을} 팔아요.",
        "{x:을} 사려면 {y:으로} 가요.",
        "{x:은} {y}에 가면 살 수 있어요.",
    ),
    "opposite": (
        "'{x}'의 반대말은 '{y}'예요.",
        "'{x}'와 '{y}'는 뜻이 반대예요.",
        "'{y}'의 반대말은 '{x}'예요.",
    ),
}
QUESTIONS = {
    "workplace": (
        "{x:은} 어디에서 일해요?",
        "{x}의 일터는 어디예요?",
        "{x:이} 일하는 곳은 어디예요?",
        "{x:은} 어느 가게에서 일해요?",
    ),
    "home": (
        "{x:은} 어디에 살아요?",
        "{x}의 집은 어디에 있어요?",
        "{x:이} 사는 곳은 어디예요?",
        "{x}의 집이 어디인지 알려 주세요.",
    ),
    "pet": (
        "{x:은} 어떤 동물을 길러요?",
        "{x:이} 기르는 동물은 뭐예요?",
        "{x}의 집에는 어떤 동물이 있어요?",
    ),
    "hobby": (
        "{x}의 취미는 뭐예요?",
        "{x:은} 쉬는 날에 무엇을 즐겨요?",
        "{x:이} 가장 좋아하는 것은 뭐예요?",
    ),
    "birthday": (
        "{x:은} 몇 월에 태어났어요?",
        "{x}의 생일은 몇 월에 있어요?",
        "{x}의 생일은 언제예요?",
    ),
    "opening": (
        "{x:은} 몇 시에 문을 열어요?",
        "{x:은} 언제 열어요?",
        "{x}의 문은 몇 시에 열려요?",
    ),
    "closing": (
        "{x:은} 몇 시에 문을 닫아요?",
        "{x:은} 언제 닫아요?",
        "{x}의 문은 몇 시에 닫혀요?",
    ),
    "day off": (
        "{x:은} 무슨 요일에 쉬어요?",
        "{x}의 쉬는 날은 언제예요?",
        "{x:이} 문을 열지 않는 날은 언제예요?",
    ),
    "price": (
        "{x} 한 {c:은} 얼마예요?",
        "{x:은} 한 {c}에 얼마예요?",
        "{x} 값은 얼마예요?",
        "{x} 한 {c:을} 사려면 얼마가 필요해요?",
    ),
    "shop": (
        "{x:은} 어디에서 팔아요?",
        "{x:을} 사려면 어디로 가요?",
        "{x:은} 어느 가게에서 살 수 있어요?",
    ),
    "opposite": (
        "'{x}'의 반대말은 뭐예요?",
        "'{x}'와 뜻이 반대인 말은 뭐예요?",
        "'{x}'의 반대말을 알려 주세요.",
    ),
}
SPLITS = ("train", "development", "test")


class Fact(NamedTuple):
    """Something that is so in the market: of a kind, about x, with the answer y."""

    kind: str
    x: str
    y: str
    c: str = ""

    def slots(self) -> dict[str, Noun]:
        return {name: Noun(getattr(self, name)) for name in "xyc"}

    def told(self, i: int = 0) -> str:
        """The fact as a sentence, in one of its phrasings; the first is the answer."""
        return CLAUSES[self.kind][i].format_map(self.slots())

    def asked(self, i: int = 0) -> str:
        return QUESTIONS[self.kind][i].format_map(self.slots())


def all_facts() -> dict[str, list[Fact]]:
    """The facts of each kind. Two words that are opposites of each other are two facts."""
    people, shops = PERSON.values(), SHOP.values()
    facts = {
        "workplace": [Fact("workplace", p.name, p.shop) for p in people],
        "home": [Fact("home", p.name, p.home) for p in people],
        "pet": [Fact("pet", p.name, p.pet) for p in people],
        "hobby": [Fact("hobby", p.name, p.hobby) for p in people],
        "birthday": [Fact("birthday", p.name, month(p.month)) for p in people],
        "opening": [Fact("opening", s.name, hour(s.opens)) for s in shops],
        "closing": [Fact("closing", s.name, hour(s.closes)) for s in shops],
        "day off": [Fact("day off", s.name, s.day_off) for s in shops],
        "price": [Fact("price", g.name, f"{g.price}원", g.counter) for g in GOOD.values()],
        "shop": [Fact("shop", g.name, g.shop) for g in GOOD.values()],
    }
    facts["opposite"] = [
        Fact("opposite", *pair) for a, b in PAIRS_OF_OPPOSITES for pair in ((a, b), (b, a))
    ]
    return facts


FACTS = all_facts()


def divide(kind: str) -> dict[str, list[Fact]]:
    """The facts of a kind for each split. Two opposites, which tell each other, stay together."""
    groups: dict[str, list[Fact]] = {}
    for fact in FACTS[kind]:
        name = min(fact.x, fact.y) if kind == "opposite" else fact.x
        groups.setdefault(name, []).append(fact)
    names = Random(f"split {kind}").sample(sorted(groups), len(groups))
    n_test, n_development = len(names) // 4, max(2, len(names) // 12)
    parts = {
        "test": names[:n_test],
        "development": names[n_test : n_test + n_development],
        "train": names[n_test + n_development :],
    }
    return {split: [f for name in parts[split] for f in groups[name]] for split in SPLITS}


DIVIDED = {kind: divide(kind) for kind in FACTS}
# What texts may ask for: everything but the test's facts.
ASKED = [f for parts in DIVIDED.values() for s in ("train", "development") for f in parts[s]]
