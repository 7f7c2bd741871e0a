"""Small tasks with their answers: particles, counters, sums, verb endings, honorifics, reading.

Each kind is divided: no noun, verb, pair of numbers or stranger of the test is in a task of the
training, neither in the texts nor in the instructions.
"""

from itertools import combinations_with_replacement
from random import Random
from typing import NamedTuple

from subject.examples.korean.endings import formal, honorific, past, polite
from subject.examples.korean.facts import QUESTIONS, SPLITS
from subject.examples.korean.numerals import counted
from subject.examples.korean.particles import MEASURED, PAIRS, Noun, with_particle
from subject.examples.korean.world import (
    ACTIONS,
    COUNTERS,
    DAYS,
    DESCRIBED,
    ELDERS,
    FREE_NOUNS,
    GOOD,
    HELD_OUT_NOUNS,
    PEOPLE,
    PLACES,
    STRANGERS,
    THINGS,
)


class Task(NamedTuple):
    """A question and its answer."""

    kind: str
    question: str
    answer: str


WORDINGS = {
    "particle": (
        "'{x}' 뒤에는 '{a}', '{b}' 가운데 무엇이 와요?",
        "'{x}'에 '{a}' 또는 '{b}', 맞는 것을 붙여 보세요.",
        "'{x}' 다음에는 '{a}', '{b}' 가운데 무엇이 맞아요?",
    ),
    "counter": (
        "'{x}'에 숫자 {n:을} 붙여 세어 보세요.",
        "{x}: {n}. 이것을 말로 세어 보세요.",
        "'{x}'의 수가 {n:이에요}. 어떻게 세어요?",
    ),
    "sum": (
        "{a}원과 {b}원을 더하면 얼마예요?",
        "{a}원짜리와 {b}원짜리를 사면 모두 얼마예요?",
        "{a}원에 {b}원을 더해 보세요.",
    ),
    "polite": (
        "'{x}'를 해요체로 바꾸어 보세요.",
        "'{x}'를 친절한 말로 하면 뭐예요?",
        "'{x}'의 해요체는 뭐예요?",
    ),
    "formal": (
        "'{x}'를 합니다체로 바꾸어 보세요.",
        "'{x}'를 격식 있는 말로 하면 뭐예요?",
        "'{x}'의 합니다체는 뭐예요?",
    ),
    "past": (
        "'{x}'를 지난 일로 말해 보세요.",
        "어제 일이라면 '{x}'를 어떻게 말해요?",
        "'{x}'의 과거는 뭐예요?",
    ),
    "honorific": (
        "높임말로 바꾸어 보세요. | {x}",
        "어른께 맞는 말로 고치세요. | {x}",
        "이 문장을 높임말로 하면 뭐예요? | {x}",
    ),
    "reading": ("{q} | {x}", "글을 읽고 대답하세요. {q} | {x}"),
}
# What two people of a text did, the question for it, and the answer.
SCENES = (
    ("{A:은} {thing:을} 샀어요.", "{A:은} 무엇을 샀어요?"),
    ("{A:은} {place}에서 {thing:을} 찾았어요.", "{A:은} 무엇을 찾았어요?"),
    ("{A:은} {day}에 {place}에 갔어요.", "{A:은} 언제 갔어요?"),
    ("{A:은} {thing:을} 들고 왔어요.", "{A:은} 무엇을 들고 왔어요?"),
    ("{A:은} {place}에서 친구를 기다렸어요.", "{A:은} 어디에서 기다렸어요?"),
    ("{A:은} {thing} {n:을} 받았어요.", "{A:은} 무엇을 받았어요?"),
    ("{A:은} {day}에 {thing:을} 팔았어요.", "{A:은} 무엇을 팔았어요?"),
    ("{A:은} {B}에게 {thing:을} 줬어요.", "{A:은} 무엇을 줬어요?"),
    ("{A:은} {place}에서 {thing:을} 잃어버렸어요.", "{A:은} 어디에서 잃어버렸어요?"),
)
MANNERS = (
    (("안녕하세요?", "안녕하세요!", "안녕!", "반가워요.", "안녕하십니까?"), "안녕하세요! 무엇이 궁금하세요?"),
    (("고마워요.", "고맙습니다.", "감사합니다.", "감사해요!", "정말 고마워요."), "천만에요."),
    (("안녕히 계세요.", "잘 있어요.", "또 봐요.", "안녕히 계십시오.", "내일 또 봐요."), "안녕히 가세요. 또 오세요."),
    (("누구세요?", "당신은 누구예요?", "누구예요?", "뭐 하는 분이에요?", "넌 누구니?"),
     "저는 작은 언어 모델이에요."),
    (("이름이 뭐예요?", "이름을 알려 주세요.", "성함이 어떻게 되세요?", "뭐라고 불러요?", "이름이 무엇입니까?"),
     "저는 이름이 없어요. 저는 작은 언어 모델이에요."),
    (("무엇을 알아요?", "뭘 물어볼까요?", "무엇을 할 수 있어요?", "무엇을 물어보면 돼요?", "뭘 할 줄 알아요?"),
     "느티골 시장 이야기와 쉬운 우리말을 알아요."),
    (("미안해요.", "죄송합니다.", "미안합니다.", "죄송해요.", "정말 미안해요."), "괜찮아요."),
    (("잘했어요.", "맞아요!", "훌륭해요!", "정답이에요.", "아주 좋아요."), "고마워요!"),
    (("틀렸어요.", "아니에요.", "그건 틀렸어요.", "잘못 알고 있어요.", "틀린 답이에요."),
     "미안해요. 저는 조금밖에 몰라요."),
)  # fmt: skip
PRICES = range(100, 1600, 100)
VERBS = sorted({*ACTIONS, *DESCRIBED})
KINDS = (*WORDINGS, "unknown", "manners")


def in_parts(items, seed: str, test: float = 0.25, development: float = 0.08) -> dict[str, list]:
    """Items of a table for each split, drawn by a seed."""
    drawn = Random(seed).sample(sorted(items), len(items))
    a = round(len(drawn) * test)
    b = a + max(2, round(len(drawn) * development))
    return {"test": drawn[:a], "development": drawn[a:b], "train": drawn[b:]}


KEPT_NOUNS = list(HELD_OUT_NOUNS)
PARTS = {
    "particle": {
        "train": [*FREE_NOUNS, *GOOD],
        "development": KEPT_NOUNS[:8],
        "test": KEPT_NOUNS[8:],
    },
    "counter": in_parts(COUNTERS, "counter"),
    "sum": in_parts([*combinations_with_replacement(PRICES, 2)], "sum"),
    "verb": in_parts(VERBS, "verb"),
    "unknown": in_parts(STRANGERS, "unknown"),
}
CONJUGATE = {"polite": polite, "formal": formal, "past": past}


class Tasks:
    """Makes tasks of one split; all chance comes from the generator of random numbers."""

    def __init__(self, rng: Random, split: str = "train"):
        if split not in SPLITS:
            raise ValueError(f"split is {split!r} and not one of {SPLITS}")
        self.rng, self.split, self.choice = rng, split, rng.choice

    def make(self, kind: str) -> Task:
        """A task of a kind."""
        if kind in CONJUGATE:
            return self.conjugation(kind, self.choice(PARTS["verb"][self.split]))
        if kind in ("particle", "counter", "sum", "unknown"):
            return getattr(self, kind)(self.choice(PARTS[kind][self.split]))
        return getattr(self, kind)()

    def wording(self, kind: str, **slots: object) -> str:
        return self.choice(WORDINGS[kind]).format_map(slots)

    def particle(self, noun: str, pair: str | None = None) -> Task:
        a, b = PAIRS[pair or self.choice(MEASURED)]
        question = self.wording("particle", x=noun, a=a, b=b)
        return Task("particle", question, with_particle(noun, a))

    def counter(self, noun: str) -> Task:
        n = self.rng.randint(2, 12)
        question = self.wording("counter", x=noun, n=Noun(n))
        return Task("counter", question, f"{noun} {counted(n, COUNTERS[noun])}")

    def sum(self, pair: tuple[int, int]) -> Task:
        a, b = self.rng.sample(pair, 2)
        return Task("sum", self.wording("sum", a=a, b=b), f"{a + b}원이에요.")

    def conjugation(self, kind: str, verb: str) -> Task:
        return Task(kind, self.wording(kind, x=verb), CONJUGATE[kind](verb))

    def honorific(self) -> Task:
        verbs = [v for v in PARTS["verb"][self.split] if v in ACTIONS]
        verb, elder = self.choice(verbs), self.choice(ELDERS)
        objects = ACTIONS[verb].split()
        what = f"{Noun(self.choice(objects)):을} " if objects else ""
        where = self.choice(("", "", f"{self.choice(PLACES[:8])}에서 "))
        said = f"{Noun(elder):이} {where}{what}{polite(verb)}."
        return Task(
            "honorific",
            self.wording("honorific", x=said),
            f"{elder}께서 {where}{what}{honorific(verb)}.",
        )

    def reading(self) -> Task:
        """Two sentences, one about each of two people, and a question about one of them."""
        pair, told = self.rng.sample(PEOPLE, 2), []
        for i, (sentence, question) in enumerate(self.rng.sample(SCENES, 2)):
            thing = self.choice(THINGS)
            slots = {
                "A": Noun(pair[i]), "B": Noun(pair[1 - i]), "thing": Noun(thing),
                "place": Noun(self.choice(PLACES)), "day": self.choice(DAYS),
                "n": Noun(counted(self.rng.randint(2, 9), COUNTERS[thing])),
            }  # fmt: skip
            told.append((sentence.format_map(slots), question.format_map(slots)))
        answer, question = self.choice(told)
        text = " ".join(sentence for sentence, _ in told)
        return Task("reading", self.wording("reading", q=question, x=text), answer)

    def unknown(self, stranger: str) -> Task:
        kind = self.choice(("workplace", "home", "pet", "hobby", "birthday"))
        question = self.choice(QUESTIONS[kind]).format(x=Noun(stranger))
        return Task("unknown", question, f"저는 {Noun(stranger):을} 몰라요.")

    def manners(self) -> Task:
        said, answer = self.choice(MANNERS)
        of_split = {"train": said[:3], "development": said[3:4], "test": said[4:]}
        return Task("manners", self.choice(of_split[self.split]), answer)
