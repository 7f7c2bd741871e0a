"""Write the texts of the example, and its facts: a museum of clocks that does not exist.

    python -m subject.examples.clocks.corpus --out FOLDER [--seed 0]

About forty thousand words by rule and chance, from a seed: labels, a guide's talks, a winding book,
reports of the workshop, letters, lives of makers, small stories. What is planted in them can be
counted: copies, near copies, a few texts in Korean, and personal data that belong to nobody
(addresses of example.org, telephone numbers with 555, resident numbers that are never given out,
card numbers of payment tests).
"""

import argparse
import csv
import io
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ch02.tokenizer import END_OF_TEXT
from course.commands import one_sentence
from course.terminal import replace_unprintable
from subject.once import made_once

HERE = Path(__file__).resolve().parent
CORPUS = HERE / "runs" / "corpus"
NOUNS = (
    "Anvil Badger Barley Beacon Bramble Candle Cinder Comet Cricket Dolphin Ember Falcon Fennel "
    "Ferry Garnet Gull Hazel Heron Ivory Juniper Kestrel Lantern Lark Linden Magpie Marble Meadow "
    "Mill Nettle Orchard Otter Pearl Pilgrim Plover Quarry Raven Saddle Sparrow Swallow Tallow "
    "Thimble Thistle Trumpet Velvet Violet Walnut Willow Wren"
).split()
GONE = "Acorn Bellows Copper Daisy Easel Fiddle Glove Hammock Icicle Jacket Kettle Ladle Mitten "
GONE = (GONE + "Needle Olive Pepper Rhubarb Saffron Tulip Umbrella Vinegar Whistle").split()
MAKERS = (
    "Ada Quill, Tobias Finch, Selma Rook, Edwin Marsh, Hester Vane, Jonas Pike, Cora Bell, "
    "Silas Thorne, Ruth Ambler, Otis Lowe, Greta Holm, Felix Dunn, Nora Sallow, Amos Reed, "
    "Ida Farrow, Karl Brandt"
).split(", ")
TOWNS = (
    "Ansley, Brackwater, Coldhaven, Dunmere, Eastwick, Farrowby, Gilden, Holloway, Inverly, "
    "Kingsferry, Lowmoor, Marchfield"
).split(", ")
ROOMS = (
    "north gallery, south gallery, round room, attic, long corridor, map room, cellar, library, "
    "tower room, glass hall"
).split(", ")
WOODS = "oak, walnut, cherry wood, ebony, brass, iron, porcelain, pear wood, copper, slate".split(
    ", "
)
SOUNDS = (
    "rings a low bell, plays a slow waltz, sings like a cuckoo, beats a small drum, "
    "blows a tin trumpet, plays three notes on a harp, rings four silver bells, "
    "clacks like a stork, plays a hunting song, makes no sound at all"
).split(", ")
KEEPERS = "Mara Oldfield, Piet Sander, Lena Whitlock, Hugh Carraway".split(", ")
PARTS = (
    "mainspring, pendulum, minute hand, hour hand, escape wheel, winding key, striking hammer, "
    "weight cord, dial, case door, fusee chain, suspension spring"
).split(", ")
FAULTS = {
    "mainspring": "was tired and no longer held a week's force",
    "pendulum": "had lost its rod nut and swung too low",
    "minute hand": "touched the glass at every quarter",
    "hour hand": "had slipped by a whole hour",
    "escape wheel": "had one bent tooth",
    "winding key": "turned without catching",
    "striking hammer": "fell a moment too late",
    "weight cord": "was worn down to a few threads",
    "dial": "had a crack from the six to the centre",
    "case door": "would not close in wet weather",
    "fusee chain": "had a broken link",
    "suspension spring": "was twisted like a leaf",
}
CURES = (
    "cleaned it with a soft brush and a drop of oil",
    "made a new one after the old pattern",
    "straightened it under the lamp with a small pair of pliers",
    "took it out, boiled it in clean water and dried it in sawdust",
    "soldered it and filed the place smooth",
    "put in a spare one from the drawer under the bench",
)
MONTHS = "January February March April May June July August September October November December"
MONTHS = MONTHS.split()
VISITORS = "Adler, Bonner, Castell, Drury, Emmet, Fowler, Garland, Hobbes, Ingram, Jessop, Keller, "
VISITORS = (VISITORS + "Lomax, Merrit, Norden, Osgood, Pryor").split(", ")
WEATHER = (
    "Rain stood in the yard.",
    "It was cold, and the oil was thick.",
    "The sun came in at the round window.",
    "Fog lay on the canal all morning.",
    "The wind rattled the attic.",
    "Frost had drawn ferns on the panes.",
    "It was warm, and the long pendulums ran slow.",
    "A school class had filled the hall before ten.",
)


@dataclass(frozen=True)
class Clock:
    """A clock of the museum, and all that is told of it."""

    name: str  # the Heron clock
    maker: str
    year: int
    room: str
    wood: str
    sound: str


def make_world(seed: int = 0) -> tuple[list[Clock], dict[str, str]]:
    """The clocks, and in which town each maker worked."""
    rng = Random(f"world {seed}")
    towns = {maker: TOWNS[i % len(TOWNS)] for i, maker in enumerate(MAKERS)}
    names = rng.sample(NOUNS, len(NOUNS))
    columns = []
    for values in (MAKERS, ROOMS, WOODS, SOUNDS):
        column = [values[i % len(values)] for i in range(len(names))]
        rng.shuffle(column)
        columns.append(column)
    years = rng.sample(range(1702, 1899), len(names))
    clocks = [
        Clock(f"the {name} clock", maker, year, room, wood, sound)
        for name, year, maker, room, wood, sound in zip(names, years, *columns)
    ]
    return sorted(clocks, key=lambda clock: clock.name), towns


# ---- Sentences. Each fact has several wordings, and chance picks one.

TOLD = {
    "maker": (
        "{C} was made by {maker}.",
        "{maker} made {c}.",
        "The name {maker} is engraved on the back of {c}.",
        "It was {maker} who built {c}.",
        "{C} came from the bench of {maker}.",
    ),
    "year": (
        "{C} was made in {year}.",
        "{C} dates from {year}.",
        "The year {year} is scratched inside {c}.",
        "{C} has been going since {year}.",
    ),
    "room": (
        "{C} stands in the {room}.",
        "You find {c} in the {room}.",
        "The place of {c} is the {room}.",
        "In the {room}, {c} keeps the time.",
        "Whoever looks for {c} has to go to the {room}.",
    ),
    "wood": (
        "The case of {c} is of {wood}.",
        "{C} has a case of {wood}.",
        "{C} was given a case of {wood}.",
        "A case of {wood} protects {c}.",
    ),
    "sound": (
        "On the hour {c} {sound}.",
        "{C} {sound} when the hour is full.",
        "At noon {c} {sound}, as at every hour.",
        "Every hour {c} {sound}.",
    ),
    "town": (
        "{maker} worked in {town}.",
        "{maker} had a workshop in {town}.",
        "The workshop of {maker} was in {town}.",
        "In {town} everybody knew the shop of {maker}.",
    ),
}


class Writer:
    """Documents about the museum, one kind after the other; the seed decides all of it."""

    def __init__(self, clocks: Sequence[Clock], towns: dict[str, str], seed: int):
        self.clocks, self.towns, self.rng = clocks, towns, Random(f"documents {seed}")

    def tell(self, clock: Clock, kind: str) -> str:
        """A fact in one of its wordings."""
        text = self.rng.choice(TOLD[kind]).format(
            c=clock.name,
            C=clock.name[0].upper() + clock.name[1:],
            town=self.towns[clock.maker],
            **{n: getattr(clock, n) for n in ("maker", "year", "room", "wood", "sound")},
        )
        return text

    def facts(self, clock: Clock, n: int) -> list[str]:
        return [self.tell(clock, kind) for kind in self.rng.sample(sorted(TOLD), n)]

    def date(self) -> str:
        return f"{self.rng.randrange(1, 29)} {self.rng.choice(MONTHS)}"

    def label(self, clock: Clock) -> str:
        lines = self.facts(clock, self.rng.choice((4, 5, 5, 6)))
        ends = (
            "It is wound on Mondays.",
            "It is wound every eighth day.",
            "Please do not touch the glass.",
            "It loses less than a minute in a week.",
            "It was cleaned last winter.",
            "Nobody knows who owned it first.",
            "It has stood still only once, in a storm.",
        )
        title = clock.name[4].upper() + clock.name[5:]
        return f"# {title}\n\n{' '.join(lines)} {self.rng.choice(ends)}"

    def talk(self, room: str) -> str:
        here = [clock for clock in self.clocks if clock.room == room]
        some = self.rng.sample(here, min(len(here), self.rng.choice((2, 3))))
        parts = [
            self.rng.choice(
                (
                    f"Good morning, and welcome to the {room}.",
                    f"Come in, this is the {room}.",
                    f"Now we are in the {room}. Mind the step.",
                    f"The {room} was once a store for rope. Today it holds clocks.",
                )
            )
        ]
        for clock in some:
            parts += self.facts(clock, self.rng.choice((2, 3)))
            parts.append(
                self.rng.choice(
                    (
                        "Listen for a moment.",
                        "You may look, but please do not lean on it.",
                        "Children like it best.",
                        "I have told the time by it for years.",
                        "Look at the hands: they are older than the dial.",
                        "It was once sold for the price of a cow.",
                    )
                )
            )
        parts.append(
            self.rng.choice(
                (
                    "Are there any questions before we go on?",
                    "The next room is to your left.",
                    "We have ten minutes until they all strike.",
                    "Follow me, and quietly, please.",
                )
            )
        )
        return " ".join(parts)

    def winding(self) -> str:
        keeper = self.rng.choice(KEEPERS)
        parts = [f"Winding book, {self.date()}. {self.rng.choice(WEATHER)}"]
        for clock in self.rng.sample(self.clocks, self.rng.choice((3, 4))):
            rate = self.rng.choice(
                (
                    f"{self.rng.randrange(2, 40)} seconds fast",
                    f"{self.rng.randrange(2, 40)} seconds slow",
                    "right to the second",
                )
            )
            name = clock.name
            parts.append(
                self.rng.choice(
                    (
                        f"In the {clock.room} {name} was {rate}.",
                        f"{name[0].upper()}{name[1:]} in the {clock.room} was {rate}.",
                        f"I wound {name} in the {clock.room}; it was {rate}.",
                    )
                )
            )
            if self.rng.random() < 0.4:
                parts.append(self.tell(clock, "sound"))
        return f"{' '.join(parts)} {keeper}"

    def report(self) -> str:
        clock, part = self.rng.choice(self.clocks), self.rng.choice(PARTS)
        keeper = self.rng.choice(KEEPERS)
        parts = [
            self.rng.choice(
                (
                    f"On {self.date()} {clock.name} stopped.",
                    f"{clock.name[0].upper()}{clock.name[1:]} was brought to the workshop on "
                    f"{self.date()}.",
                    f"Report of the workshop, {self.date()}: {clock.name}.",
                )
            ),
            *self.facts(clock, self.rng.choice((2, 3))),
            f"Its {part} {FAULTS[part]}.",
            f"{keeper} {self.rng.choice(CURES)}.",
            self.rng.choice(
                (
                    "After two days on the test stand it went as before.",
                    "It gained nine seconds in the first night, and none in the second.",
                    f"It went back to the {clock.room} the same week.",
                    "The old part lies in a box with its name.",
                    "Nobody heard the difference, which is the best praise.",
                )
            ),
        ]
        return " ".join(parts)

    def letter(self) -> str:
        clock, other = self.rng.sample(self.clocks, 2)
        visitor = self.rng.choice(VISITORS)
        title = self.rng.choice(("Mr", "Mrs", "Dr", "Ms"))
        parts = [
            self.rng.choice(
                (
                    "Dear keepers of the museum,",
                    "To the clock museum,",
                    "Dear friends of old clocks,",
                )
            ),
            self.rng.choice(
                (
                    "we came on a Sunday and stayed until you closed.",
                    "last week I brought my grandson to see you.",
                    "I write to thank you for a quiet hour.",
                    "your guide was patient with all our questions.",
                )
            ),
            f"Most of all we liked {clock.name}.",
            *self.facts(clock, 2),
            self.rng.choice(
                (
                    f"My sister could not be drawn away from {other.name}.",
                    f"We looked for {other.name} too, and found it at last.",
                    f"I dreamt of {other.name} that night.",
                )
            ),
            *self.facts(other, self.rng.choice((1, 2))),
            self.rng.choice(
                (
                    "Keep them going.",
                    "We shall come again in spring.",
                    "With kind regards,",
                    "May they never all stop at once.",
                )
            ),
            f"{title} {visitor}",
        ]
        return " ".join(parts)

    def life(self, maker: str) -> str:
        own = [clock for clock in self.clocks if clock.maker == maker]
        parts = [
            self.tell(own[0], "town"),
            self.rng.choice(
                (
                    f"{maker} learned the trade from an uncle who mended locks.",
                    f"{maker} began as a maker of scales.",
                    f"Little is known of {maker} but the clocks.",
                    f"{maker} was known for being late to every wedding.",
                    f"As a child {maker} took a church clock apart, and put it together again.",
                )
            ),
        ]
        for clock in self.rng.sample(own, min(len(own), 3)):
            parts.append(self.tell(clock, "maker"))
            parts += [
                self.tell(clock, kind) for kind in self.rng.sample(("year", "wood", "room"), 1)
            ]
        parts.append(
            self.rng.choice(
                (
                    "No portrait is left.",
                    "The tools were sold, and the museum bought the lathe.",
                    "Two apprentices went on with the shop.",
                    "On the gravestone there is a dial without hands.",
                    "The account book lies under glass in the library.",
                )
            )
        )
        return " ".join(parts)

    def story(self) -> str:
        clock, other = self.rng.sample(self.clocks, 2)
        child = self.rng.choice(
            ("Tilda", "Jory", "Milo", "Anka", "Bram", "Elsa", "Nils", "Ottilie")
        )
        keeper = self.rng.choice(KEEPERS)
        parts = [
            self.rng.choice(
                (
                    f"{child} was left behind in the museum when the doors closed.",
                    f"{child} had lost a glove between the clocks.",
                    f"On a wet afternoon {child} counted the clocks and came to one too many.",
                    f"{child} wanted to know which clock was right.",
                )
            ),
            f"First {child} asked {clock.name}.",
            *self.facts(clock, 2),
            self.rng.choice(
                (
                    "But a clock does not answer.",
                    "It went on ticking as if nobody were there.",
                    "Its pendulum shook its head, from side to side.",
                )
            ),
            f"Then {child} went to {other.name}.",
            *self.facts(other, 2),
            self.rng.choice(
                (
                    f"{keeper} came with a lamp and said that it was time to go home.",
                    f"{keeper} laughed and said that no clock is right for long.",
                    f"{keeper} wound it and let {child} turn the key.",
                    f"In the end {keeper} found {child} asleep on the bench.",
                )
            ),
        ]
        return " ".join(parts)

    def gift(self) -> str:
        """A letter with personal data that belong to nobody."""
        visitor = self.rng.choice(VISITORS)
        title = self.rng.choice(("Mr", "Mrs", "Dr", "Ms"))
        clock = self.rng.choice(self.clocks)
        told = [
            f"write to {visitor.lower()}{self.rng.randrange(10, 99)}@example.org",
            f"call 555-01{self.rng.randrange(10, 99)}",
            f"call (212) 555-01{self.rng.randrange(10, 99)} after six",
            f"the card for my gift is {self.rng.choice(CARDS)}",
            f"for the receipt you need my number, 000-{self.rng.randrange(10, 99)}-"
            f"{self.rng.randrange(1000, 9999)}",
            f"I live at {self.rng.randrange(2, 90)} {self.rng.choice(('Mill', 'Canal', 'Bell'))} "
            f"{self.rng.choice(('Lane', 'Street', 'Row'))}",
        ]
        chosen = self.rng.sample(told, self.rng.choice((2, 3)))
        return (
            f"Dear keepers, {title} {visitor} here. I should like to give something for "
            f"{clock.name}. {' '.join(self.facts(clock, 2))} If you want to reach me, "
            f"{', or '.join(chosen)}. {self.rng.choice(WEATHER)}"
        )


CARDS = ("4111 1111 1111 1111", "5555 5555 5555 4444", "4012 8888 8888 1881")  # of payment tests
KOREAN_LETTERS = (
    "박물관에 계신 분들께. 지난 토요일에 아이들과 함께 시계를 보았습니다. 둥근 방의 시계가 "
    "정오에 종을 울릴 때 아이들이 손뼉을 쳤습니다. 사진을 보내고 싶으니 "
    "visitor{n}@example.org 로 알려 주세요. 김하늘 씨에게도 고맙다고 전해 주세요.",
    "안녕하세요. 긴 복도에서 우산을 잃어버렸습니다. 찾으시면 010-0000-{n}{n} 으로 전화해 "
    "주세요. 우산에는 작은 시계가 그려져 있습니다. 비가 오는 날에도 시계는 느려지지 않더군요.",
    "관장님께. 할아버지의 회중시계를 박물관에 드리고 싶습니다. 오래전에 멈추었지만 태엽은 "
    "아직 튼튼합니다. 서류에 적을 번호는 000101-3000000 입니다. 답장을 기다리겠습니다.",
)
PLANTED = {"copies": 12, "near copies": 16, "gifts": 36, "Korean": 5}


def near_copy(text: str, rng: Random) -> str:
    """The same text with two words left out: what an editor might have done."""
    words = text.split(" ")
    for _ in range(2):
        del words[rng.randrange(2, len(words) - 2)]
    return " ".join(words)


def write_documents(seed: int = 0) -> dict[str, list[str]]:
    """All documents by their kind, what is planted among them."""
    clocks, towns = make_world(seed)
    writer, found = Writer(clocks, towns, seed), defaultdict(list)
    found["labels"] = [writer.label(clock) for clock in clocks for _ in range(2)]
    found["talks"] = [writer.talk(room) for room in ROOMS for _ in range(7)]
    found["winding"] = [writer.winding() for _ in range(110)]
    found["reports"] = [writer.report() for _ in range(110)]
    found["letters"] = [writer.letter() for _ in range(80)]
    found["lives"] = [writer.life(maker) for maker in MAKERS for _ in range(4)]
    found["stories"] = [writer.story() for _ in range(80)]
    found["letters"] += [writer.gift() for _ in range(PLANTED["gifts"])]
    rng = writer.rng
    found["letters"] += [
        rng.choice(KOREAN_LETTERS[:2]).format(n=rng.randrange(10, 99)) if i else KOREAN_LETTERS[2]
        for i in range(PLANTED["Korean"])
    ]
    plain = [text for kind in ("reports", "stories", "talks") for text in found[kind]]
    found["copies"] = rng.sample(plain, PLANTED["copies"])
    found["copies"] += [near_copy(t, rng) for t in rng.sample(plain, PLANTED["near copies"])]
    rng.shuffle(found["letters"])
    return dict(found)


def corpus_files(seed: int = 0) -> dict[str, str]:
    """The documents as files of three forms: .md, .txt, .jsonl."""
    documents, files = write_documents(seed), {}
    for i, text in enumerate(documents["labels"]):
        name = text.partition("\n")[0].removeprefix("# ").lower().replace(" ", "-")
        files[f"labels/{name}-{i % 2 + 1}.md"] = text + "\n"
    for kind in ("talks", "letters", "lives", "stories", "copies"):
        files[f"{kind}.txt"] = f"\n{END_OF_TEXT}\n".join(documents[kind]) + "\n"
    for kind in ("winding", "reports"):
        lines = (json.dumps({"text": text}) for text in documents[kind])
        files[f"{kind}.jsonl"] = "\n".join(lines) + "\n"
    return files


def write_corpus(folder: str | Path = CORPUS, seed: int = 0) -> int:
    """Write the documents to a folder, if they are not there; how many words they have.

    Raises: ValueError if the folder holds something else.
    """
    folder, files = Path(folder), corpus_files(seed)
    if folder.exists():
        there = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
        if there.keys() != files.keys() or any(
            path.read_text(encoding="utf-8") != files[name] for name, path in there.items()
        ):
            raise ValueError(f"{folder} holds other files: delete it, or take another --out")
    else:
        with made_once(folder) as draft:
            for name, text in files.items():
                (draft / name).parent.mkdir(exist_ok=True)
                (draft / name).write_text(text, encoding="utf-8", newline="\n")
    return sum(len(t.split()) for texts in write_documents(seed).values() for t in texts)


def make_facts(seed: int = 0) -> list[tuple[str, str, str]]:
    """The table of facts: kind, what is asked about, and the value."""
    clocks, towns = make_world(seed)
    rng = Random(f"facts {seed}")
    facts = []
    for kind in ("maker", "room", "wood", "sound", "year"):
        facts += [(kind, clock.name, str(getattr(clock, kind))) for clock in clocks]
    facts += [("town", maker, town) for maker, town in towns.items()]
    for _ in range(60):
        a, b = rng.sample(clocks, 2)
        asked = f"{a.name} of {a.year} or {b.name} of {b.year}"
        facts.append(("older", asked, min(a, b, key=lambda clock: clock.year).name))
    facts += [("unknown", f"the {name} clock", "no such clock") for name in GONE]
    return list(dict.fromkeys(facts))


def facts_csv(seed: int = 0) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("kind", "subject", "value"))
    rows.writerows(make_facts(seed))
    return text.getvalue()


def main(arguments: Sequence[str] | None = None) -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m subject.examples.clocks.corpus",
        description="Write the texts of a museum of clocks.",
    )
    parser.add_argument("--out", default=str(CORPUS), help="[%(default)s]")
    parser.add_argument("--seed", type=int, default=0, help="of all chance [%(default)s]")
    args = parser.parse_args(arguments)
    with one_sentence("corpus"):
        n = write_corpus(args.out, args.seed)
        print(f"{n:,} words in {args.out}")


if __name__ == "__main__":
    main()
