"""Write the texts of the example, and its instructions: python -m subject.examples.korean.corpus

    python -m subject.examples.korean.corpus --out FOLDER
    python -m subject.examples.korean.corpus --out FOLDER --seed 1 --words 1000000

The folder gets texts.jsonl, a document a line, and instructions.json, entries in Alpaca's form. All
of it follows from the seed. The texts tell every fact of the market; they ask for three in four,
and the entries of the test ask for the others. The nouns that are held out stand in the texts, and
never before a particle that depends on their last sound.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

from course.commands import check_least, one_sentence
from course.files import written_whole
from course.terminal import replace_unprintable
from subject.examples.korean.endings import (
    before_vowel,
    describing,
    formal,
    honorific,
    open_stem,
    past,
    plain,
    polite,
    stem_of,
)
from subject.examples.korean.facts import ASKED, CLAUSES, DIVIDED, FACTS, QUESTIONS, SPLITS, Fact
from subject.examples.korean.numerals import counted, hour
from subject.examples.korean.particles import MEASURED, Noun, with_particle
from subject.examples.korean.tasks import KINDS, PARTS, Task, Tasks
from subject.examples.korean.world import (
    ACTIONS,
    BIG_THINGS,
    COUNTERS,
    DAYS,
    DESCRIBED,
    ELDERS,
    FOODS,
    GOOD,
    HELD_OUT_NOUNS,
    PERSON,
    PLACES,
    SHOP,
    THINGS,
)

N_WORDS = 40_000
SIZES = {"train": 130, "development": 8, "test": 40}  # entries of a kind of task
FEELINGS = (
    "즐거운",
    "조용한",
    "바쁜",
    "따뜻한",
    "신나는",
    "긴",
    "짧은",
    "고마운",
    "재미있는",
    "평화로운",
)
WEATHERS = ("맑", "흐렸", "추웠", "더웠", "따뜻했", "시원했")
FORM = "Question:\n{question}\nAnswer:\n{answer}\n"  # as ch07.gpt_instruction_finetuning asks
STORY_OPENINGS = (
    "어느 {day}이었어요.", "{day} 아침이었어요.", "{day} 저녁이었어요.", "비가 그친 {day}이었어요.",
    "바람이 부는 {day}이었어요.", "느티골 시장에 {feeling} 하루가 시작되었어요.",
    "{h}쯤 되었을 때의 일이에요.", "이것은 {A}의 이야기예요.", "지난 {day}에 있었던 일이에요.",
)  # fmt: skip
STORY_BEATS = (
    "{A:은} {shop:으로} 갔어요. {owner:이} 웃으며 인사했어요.",
    "{A:은} {good} {n:을} 샀어요. 값은 모두 {total}원이었어요.",
    "{A:은} {good:을} 사고 싶었어요. 그래서 {shop:으로} 갔어요.",
    "{A:은} {place}에서 {B:을} 만났어요. 둘은 함께 걸었어요.",
    "{A:은} {B}에게 {thing:을} 줬어요. {B:은} 아주 기뻐했어요.",
    "{A:이} 길에서 {thing:을} 주웠어요. 그것은 {B}의 {thing:이었어요}.",
    "{B:이} {thing:을} 잃어버렸어요. {A:은} {B:과} 함께 {place:을} 찾아보았어요.",
    "{thing:은} {place}에 있었어요. {B:은} {A}에게 고맙다고 말했어요.",
    "{A:은} {thing:과} {thing2:을} 바구니에 담았어요.",
    "{A:은} {thing:이랑} {thing2:을} 들고 집으로 돌아왔어요.",
    "{A}의 {pet} {petname:이} 문 앞에서 기다리고 있었어요.",
    "{A}의 {pet:은} {place:으로} 달려갔어요. {A:은} 깜짝 놀랐어요.",
    "하늘에서 비가 내렸어요. {A:은} {B:과} 함께 {place}에서 비를 피했어요.",
    "{A:은} {owner}에게 길을 물었어요. {owner:은} {thing:을} 보고 오른쪽으로 가라고 말했어요.",
    "{A:은} {thing:을} {place:으로} 옮겼어요. 일은 {h}에 끝났어요.",
    "{A:은} {place}에서 {big:을} 보았어요. {big:은} 조용했어요.",
    "{big:이} 보이자 {A:은} {B:을} 불렀어요.",
    "{A:은} {B:과} {food:을} 나누어 먹었어요. {food:은} 참 맛있었어요.",
    "{A:은} 할머니께 {good:을} 드렸어요. 할머니께서는 환하게 웃으셨어요.",
    "할아버지께서 {thing:을} 고쳐 주셨어요. {A:은} 고맙습니다 하고 인사했어요.",
    "{held}도 하나 있었어요. {A:은} 그냥 구경만 했어요.",
    "상자 안에는 {held}하고 {thing:이} 있었어요.",
    "{B:은} {held}부터 먼저 보자고 말했어요. {A:은} {thing:이} 더 좋았어요.",
    "{held}에 {thing:이} 닿았어요. 작은 소리가 났어요.",
)  # fmt: skip
STORY_ENDINGS = (
    "참 {feeling} 하루였어요.", "{A:은} 그날을 오래 기억했어요.", "그날 밤 {A:은} 푹 잤어요.",
    "{A:과} {B:은} 더 친한 친구가 되었어요.", "다음 {day}에 다시 만나기로 했어요.",
    "{A:은} 집에 와서 {thing:을} 창가에 두었어요.", "{A:은} 또 {shop}에 가고 싶었어요.",
)  # fmt: skip
DIARY_BEATS = (
    "오늘은 {B:과} {place}에 갔다.", "{shop}에서 {good} {n:을} 샀다.", "{h}에 {B:을} 만났다.",
    "{place}에서 {big:을} 보았다.", "{B:과} {food:을} 나누어 먹었다.",
    "{B:이} 나에게 {thing:을} 주었다.", "나는 {thing:을} 찾느라 바빴다.",
    "{owner:이} {good:을} 하나 더 주었다.", "저녁에는 {thing:과} {thing2:을} 정리했다.",
    "우리 집 {pet:이} {thing:을} 물고 달아났다.", "{place}에 {thing:이} 하나 놓여 있었다.",
    "{thing:으로} 재미있는 놀이를 했다.", "{held}만 보면 웃음이 난다.", "{held}처럼 생긴 구름을 보았다.",
)  # fmt: skip
DIARY_ENDINGS = (
    "참 {feeling} 하루였다.", "내일도 {B:과} 놀고 싶다.", "내일은 {shop}에 가 보아야겠다.",
    "{thing:은} 내일 찾아야겠다.", "이제 자야겠다.",
)  # fmt: skip
LETTER_BEATS = (
    "지난 {day}에 {shop}에서 {good:을} 샀어요.", "{B:이} 준 {thing:을} 잘 쓰고 있어요.",
    "{place}에 {thing:이} 새로 생겼어요.", "다음 {day}에 {place:으로} 놀러 오세요.",
    "{thing:과} {thing2:을} 함께 보내요.", "{food:이} 먹고 싶어요.", "요즘은 {thing:을} 만드는 법을 배워요.",
    "우리 {pet:이} {B:을} 보고 싶어 해요.", "{h}에 {place}에서 기다릴게요.",
    "{held}도 같이 넣었어요.", "{owner:이} 안부를 전해 달래요.",
)  # fmt: skip
NOTICE_BEATS = (
    "이번 {day}에는 {h}에 문을 엽니다.", "이번 {day}에는 쉽니다.",
    "{good:을} 사시면 {thing:을} 드립니다.", "{good:이} 새로 들어왔습니다.",
    "{good:은} 다 팔렸습니다.", "{place}에서 {thing:을} 주웠습니다. 주인을 찾습니다.",
    "{thing:을} 잃어버리신 분은 {shop:으로} 오십시오.", "{day} {h}에 {place}에서 잔치가 열립니다.",
    "{thing:과} {thing2:을} 가지고 오시기 바랍니다.", "{held}도 준비되어 있습니다.",
    "{place}에서는 {big:을} 조심하십시오.", "{food:은} 다음 {day}에 들어옵니다.",
)  # fmt: skip


class Author:
    """Writes documents; all chance comes from the seed."""

    def __init__(self, seed: int):
        self.rng = Random(f"korean {seed}")
        self.choice = self.rng.choice
        self.tasks = Tasks(self.rng)
        self.people, self.shops, self.goods = [*PERSON.values()], [*SHOP.values()], [*GOOD.values()]
        self.ways = {
            self.story: 5, self.diary: 3, self.letter: 2, self.notice: 2, self.talk: 3,
            self.sale: 3, self.portrait: 4, self.prices: 2, self.lesson: 4, self.sentences: 4,
            self.questions: 5, self.exercise: 8,
        }  # fmt: skip

    def documents(self) -> Iterator[tuple[str, str]]:
        """Documents without end, each with its kind."""
        ways, weights = [*self.ways], [*self.ways.values()]
        while True:
            (way,) = self.rng.choices(ways, weights)
            yield way.__name__, way()

    # --- what sentences speak of

    def scene(self) -> dict[str, Noun]:
        """The people, places and things of a document."""
        a, b = self.rng.sample(self.people, 2)
        owner = self.choice([p for p in self.people if p not in (a, b)])
        shop = SHOP[owner.shop]
        good, n = GOOD[self.choice(shop.goods)], self.rng.randint(2, 5)
        thing, thing2 = self.rng.sample(THINGS, 2)
        slots = {
            "A": a.name, "B": b.name, "pet": a.pet, "petname": a.pet_name, "shop": shop.name,
            "owner": owner.name, "good": good.name, "n": counted(n, good.counter),
            "total": str(n * good.price), "thing": thing, "thing2": thing2,
            "held": self.choice(HELD_OUT_NOUNS), "big": self.choice(BIG_THINGS),
            "food": self.choice(FOODS), "place": self.choice(PLACES),
            "day": self.choice(DAYS), "h": hour(self.rng.randint(6, 21)),
            "feeling": self.choice(FEELINGS),
        }  # fmt: skip
        return {name: Noun(text) for name, text in slots.items()}

    def change(self, slots: dict[str, Noun]) -> dict[str, Noun]:
        """The same people and shop, other things."""
        new = self.scene()
        return new | {name: slots[name] for name in ("A", "B", "pet", "petname", "feeling")}

    def act(self, verb: str | None = None) -> tuple[str, str]:
        """What somebody does: the object with its particle and a space, or nothing; and the verb."""
        verb = verb or self.choice([*ACTIONS])
        objects = ACTIONS[verb].split()
        return (f"{Noun(self.choice(objects)):을} " if objects else ""), verb

    def tell(self, about: str | None = None) -> str:
        """A fact, of somebody or of anything, in one of its phrasings."""
        kind = self.choice([kind for kind in FACTS if kind != "opposite"])
        facts = [f for f in FACTS[kind] if about in (None, f.x)] or FACTS[kind]
        return self.phrased(self.choice(facts))

    def phrased(self, fact: Fact) -> str:
        return fact.told(self.rng.randrange(len(CLAUSES[fact.kind])))

    def facts_about(self, name: str) -> list[Fact]:
        return [f for facts in FACTS.values() for f in facts if f.x == name]

    # --- documents

    def story(self) -> str:
        """Something happens to somebody of the village."""
        slots = self.scene()
        parts = [self.choice(STORY_OPENINGS).format_map(slots)]
        known = self.facts_about(slots["A"])
        parts.append(self.phrased(self.choice(known)))
        for beat in self.rng.sample(STORY_BEATS, self.rng.randint(3, 5)):
            parts.append(beat.format_map(slots))
            if self.rng.random() < 0.3:
                parts.append(self.small_sentence(slots))
            slots = self.change(slots)
        parts.append(self.choice(STORY_ENDINGS).format_map(slots))
        return " ".join(parts)

    def small_sentence(self, slots: dict[str, Noun]) -> str:
        """One sentence of an action, or of how something is."""
        a, b, place = slots["A"], slots["B"], slots["place"]
        what, verb = self.act()
        what2, verb2 = self.act()
        how = self.choice([*DESCRIBED])
        noun = Noun(self.choice(DESCRIBED[how].split(", ")))
        elder = Noun(self.choice(ELDERS))
        return self.choice(
            (
                f"{a:은} {place}에서 {what}{past(verb)}.",
                f"{a:은} {what}{stem_of(verb)}고 {b:은} {what2}{past(verb2)}.",
                f"{a:과} {b:은} {what}{stem_of(verb)}고 있어요.",
                f"{b:은} {what}{stem_of(verb)}고 싶어 했어요.",
                f"{a:은} {what}{before_vowel(verb, '으려고')} {place}에 갔어요.",
                f"{a:은} {what2}{open_stem(verb2)} 보았어요.",
                f"{noun:이} 아주 {past(how)}.",
                f"{place}에는 {describing(how, True)} {noun:이} 있었어요.",
                f"{a:은} {describing(how, True)} {noun:을} 좋아해요.",
                f"{noun:이} {how.removesuffix('다')}지만 {a:은} {what}{past(verb)}.",
                f"{elder}께서 {what}{honorific(verb)}.",
                f"{elder}께서 {a}에게 말씀하셨어요.",
            )
        )  # fmt: skip

    def diary(self) -> str:
        """A day in the plain style."""
        slots = self.scene()
        how = self.choice(WEATHERS)
        parts = [f"{slots['day']}. 날씨가 {how if how[-1] != '맑' else '맑았'}다."]
        for beat in self.rng.sample(DIARY_BEATS, self.rng.randint(3, 5)):
            parts.append(beat.format_map(slots))
            if self.rng.random() < 0.4:
                what, verb = self.act()
                how = self.choice([*DESCRIBED])
                noun = Noun(self.choice(DESCRIBED[how].split(", ")))
                parts.append(
                    self.choice(
                        (
                            f"나는 {what}{past(verb, '다')}.",
                            f"{slots['B']:은} 날마다 {what}{plain(verb, False)}.",
                            f"{noun:이} {plain(how, True)}.",
                            f"{noun:이} {past(how, '다')}.",
                            f"나는 {what}{stem_of(verb)}고 싶다.",
                        )
                    )
                )
            slots = self.change(slots)
        parts.append(self.choice(DIARY_ENDINGS).format_map(slots))
        return " ".join(parts)

    def letter(self) -> str:
        """A letter from one to another."""
        slots = self.scene()
        lines = [
            f"{slots['B']} 씨에게",
            "",
            self.choice(("안녕하세요?", "잘 지내세요?", "오랜만이에요.")),
        ]
        body = [b.format_map(self.change(slots)) for b in self.rng.sample(LETTER_BEATS, 3)]
        if self.rng.random() < 0.5:
            body.append(self.tell())
        lines.append(" ".join(body))
        lines += [
            self.choice(("건강하세요.", "답장을 기다릴게요.", "또 쓸게요.")),
            "",
            f"{slots['A']:이} 씀",
        ]
        return "\n".join(lines)

    def notice(self) -> str:
        """What hangs at a shop's door, in the formal style."""
        slots = self.scene()
        body = []
        for beat in self.rng.sample(NOTICE_BEATS, self.rng.randint(3, 5)):
            body.append(beat.format_map(slots))
            if self.rng.random() < 0.3:
                what, verb = self.act()
                body.append(f"{slots['day']}에는 {slots['place']}에서 {what}{formal(verb)}.")
        thanks = self.choice(("감사합니다.", "많이 찾아 주십시오.", f"{slots['owner']} 드림"))
        return "\n".join([f"{slots['shop']}에서 알려 드립니다.", *body, thanks])

    def talk(self) -> str:
        """Two people talk; one asks what may be asked."""
        slots = self.scene()
        a, b = slots["A"], slots["B"]
        lines = [
            f"{a}: 안녕하세요, {b} 씨.",
            f"{b}: {self.choice(('안녕하세요?', '반가워요.', '네, 안녕하세요?'))}",
        ]
        for _ in range(self.rng.randint(1, 3)):
            fact = self.choice(ASKED)
            question = fact.asked(self.rng.randrange(len(QUESTIONS[fact.kind])))
            lines += [f"{a}: {question}", f"{b}: {self.phrased(fact)}"]
        what, verb = self.act()
        lines += [
            f"{a}: {self.choice(('저는', '오늘은', '내일은'))} {what}{before_vowel(verb, '으려고')} 해요.",
            f"{b}: {self.choice(('좋은 생각이에요.', '저도 그래요.', '그럼 또 봐요.', '재미있겠네요.'))}",
        ]
        return "\n".join(lines)

    def sale(self) -> str:
        """Somebody buys something; the price is asked only where it may be."""
        slots = self.scene()
        fact = self.choice([f for f in ASKED if f.kind == "price"])
        good, n = GOOD[fact.x], self.rng.randint(2, 5)
        owner = self.choice([p for p in self.people if p.shop == good.shop]).name
        total = n * good.price
        return "\n".join(
            (
                f"{owner}: 어서 오세요. {good.shop:이에요}.",
                f"{slots['A']}: {good.name} 있어요?",
                f"{owner}: 네, 있어요. {self.choice(('싱싱해요.', '오늘 들어왔어요.', '아주 좋아요.'))}",
                f"{slots['A']}: {fact.asked(self.rng.randrange(2))}",
                f"{owner}: {fact.told()}",
                f"{slots['A']}: 그럼 {Noun(counted(n, good.counter))} 주세요.",
                f"{owner}: 모두 {total}원입니다. 고맙습니다.",
            )
        )

    def portrait(self) -> str:
        """All about a person, or a shop with what it sells."""
        if self.rng.random() < 0.55:
            facts = self.facts_about(self.choice(self.people).name)
        elif self.rng.random() < 0.5:
            shop = self.choice(self.shops)
            facts = self.facts_about(shop.name)
            facts += [f for g in self.rng.sample(shop.goods, 2) for f in self.facts_about(g)]
        else:
            goods = self.rng.sample(self.goods, 3)
            facts = [f for good in goods for f in self.facts_about(good.name)]
        return " ".join(map(self.phrased, self.rng.sample(facts, len(facts))))

    def prices(self) -> str:
        """A list of prices."""
        goods = self.rng.sample(self.goods, self.rng.randint(3, 6))
        lines = [f"{g.name} 한 {g.counter} {g.price}원" for g in goods]
        return "값\n" + "\n".join(lines)

    def lesson(self) -> str:
        """About words: opposites, last letters and what follows them, counters, forms of verbs."""
        way = self.choice(
            ("opposite", "opposite", "ending", "last", "last", "particles", "counter")
        )
        if way == "opposite":
            facts = self.rng.sample(FACTS["opposite"], 4)
            return " ".join(map(self.phrased, facts))
        if way == "ending":
            verbs = self.rng.sample(PARTS["verb"]["train"], 3)
            return " ".join(
                f"'{v}'는 '{polite(v)}', '{formal(v)}', '{past(v)}'로 바꾸어요." for v in verbs
            )
        if way == "counter":
            nouns = self.rng.sample(PARTS["counter"]["train"], 4)
            return " ".join(f"{n} {counted(self.rng.randint(1, 12), COUNTERS[n])}." for n in nouns)
        if way == "last":
            nouns = self.rng.sample([*COUNTERS], 4)
            return " ".join(
                f"'{n}'의 끝 글자는 '{n[-1]}'. 받침이 "
                f"{'없어요' if (ord(n[-1]) - 0xAC00) % 28 == 0 else '있어요'}."
                for n in nouns
            )
        nouns = self.rng.sample(PARTS["particle"]["train"], 3)
        return " ".join(
            f"'{n}'에는 {', '.join(repr(with_particle(n, p)) for p in self.rng.sample(MEASURED, 3))}."
            for n in nouns
        )

    def sentences(self) -> str:
        """Single sentences, as one copies them into an exercise book."""
        return "\n".join(self.small_sentence(self.scene()) for _ in range(self.rng.randint(3, 6)))

    def questions(self) -> str:
        """Facts that may be asked for, in the form of chapter 7's prompt."""
        said = []
        for _ in range(self.rng.randint(2, 4)):
            fact = self.choice(ASKED)
            question = fact.asked(self.rng.randrange(len(QUESTIONS[fact.kind])))
            said.append(FORM.format(question=question, answer=fact.told()))
        return "".join(said)

    def exercise(self) -> str:
        """Small tasks with their answers, in the same form."""
        said = []
        for _ in range(self.rng.randint(2, 4)):
            task = self.tasks.make(self.choice(KINDS))
            question = task.question.replace(" | ", "\n")
            said.append(FORM.format(question=question, answer=task.answer))
        return "".join(said)


def write_documents(seed: int, n_words: int) -> Iterator[tuple[str, str]]:
    """Documents of a seed, each with its kind, no two alike, until they have so many words."""
    seen, words = set(), 0
    for kind, text in Author(seed).documents():
        if text not in seen:
            seen.add(text)
            words += len(text.split())
            yield kind, text
        if words >= n_words:
            return


# --- instructions


def as_entry(task: Task, split: str) -> dict:
    """A task in Alpaca's form."""
    instruction, _, text = task.question.partition(" | ")
    return {
        "instruction": instruction,
        "input": text,
        "output": task.answer,
        "kind": task.kind,
        "split": split,
    }


def write_entries(seed: int = 0) -> list[dict]:
    """The instructions: every fact of each split, and tasks of each kind."""
    entries = []
    for split in SPLITS:
        rng = Random(f"entries {split} {seed}")
        found = []
        for kind, parts in DIVIDED.items():
            n_wordings = len(QUESTIONS[kind])
            for fact in parts[split]:
                ways = range(n_wordings) if split == "train" else [rng.randrange(n_wordings)]
                found += [Task(kind, fact.asked(i), fact.told()) for i in ways]
        tasks = Tasks(rng, split)
        for kind in KINDS:
            found += some_tasks(tasks, kind, SIZES[split])
        found = [*dict.fromkeys(found)]  # no entry twice
        rng.shuffle(found)
        entries += [as_entry(task, split) for task in found]
    return entries


def some_tasks(tasks: Tasks, kind: str, n: int) -> list[Task]:
    """At most n tasks of a kind that all differ; of a test's nouns, each as often as the others."""
    found: dict[Task, None] = {}
    if tasks.split != "train" and kind in ("particle", "counter", "sum", "unknown"):
        items = PARTS[kind][tasks.split]
        items = tasks.rng.sample(items, len(items)) * 2
        for item in items[: 2 * n if kind == "particle" else n]:
            found[getattr(tasks, kind)(item)] = None
        return [*found]
    for _ in range(20 * n):
        if len(found) == n:
            break
        found[tasks.make(kind)] = None
    return [*found]


def write_folder(out: Path, seed: int, n_words: int) -> tuple[int, int, int]:
    """Write texts and instructions; how many documents, words and entries they have."""
    documents = [*write_documents(seed, n_words)]
    with written_whole(out / "texts.jsonl") as draft:
        lines = [json.dumps({"text": t, "kind": k}, ensure_ascii=False) for k, t in documents]
        draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    entries = write_entries()
    with written_whole(out / "instructions.json") as draft:
        draft.write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return len(documents), sum(len(text.split()) for _, text in documents), len(entries)


def main() -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m subject.examples.korean.corpus",
        description="Write the Korean example's texts and instructions.",
    )
    parser.add_argument("--out", required=True, help="the folder to write")
    parser.add_argument("--seed", type=int, default=0, help="of the texts [%(default)s]")
    parser.add_argument("--words", type=int, default=N_WORDS, help="at least [%(default)s]")
    args = parser.parse_args()
    with one_sentence("corpus"):
        check_least(args, words=1)
        n, words, n_entries = write_folder(Path(args.out), args.seed, args.words)
    print(f"{n:,} documents with {words:,} words, {n_entries:,} entries in {args.out}")


if __name__ == "__main__":
    main()
