"""Make the chapter's corpus: short messages, spam and not ("ham"), from templates in messages.txt.

Test and validation messages come from templates, names, shops, things and sums that no training
message uses: a model that has only learned the training messages by heart finds nothing to copy.
"""

import argparse
import csv
import random
import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from course.files import written_whole
from course.terminal import replace_unprintable

TEXTS = Path(__file__).with_name("messages.txt")
# About one message in seven is spam, as in the SMS Spam Collection.
N_MESSAGES = {
    ("train", "ham"): 3010,
    ("train", "spam"): 490,
    ("validation", "ham"): 516,
    ("validation", "spam"): 84,
    ("test", "ham"): 860,
    ("test", "spam"): 140,
}
MIN_WORDS, MAX_WORDS = 4, 60
INNERMOST = re.compile(r"\[([^][<>]*)\]|<([^][<>]*)>")  # an optional part, or a choice
SLOT = re.compile(r"\{(([a-z]+)\d?)\}")
SHORT_FORMS = {
    "you": "u",
    "your": "ur",
    "are": "r",
    "and": "&",
    "please": "pls",
    "thanks": "thx",
    "because": "cos",
    "tomorrow": "tmrw",
    "tonight": "2nite",
    "before": "b4",
    "message": "msg",
    "minutes": "mins",
}


class Message(NamedTuple):
    """One message, its class, the split it belongs to, and the name of its template."""

    label: str
    text: str
    split: str
    template: str


class Template(NamedTuple):
    """A message with choices, optional parts and slots; thumbs type it with less care."""

    name: str
    text: str
    by_thumb: bool


def read_templates(
    path: Path = TEXTS,
) -> tuple[dict[str, dict[str, tuple[str, ...]]], dict[tuple[str, str], list[Template]]]:
    """Read the words of each split (slot -> words) and the templates of each (split, label).

    The words that all splits share, days and hours, are in each split's own.
    """
    words, templates = {}, {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            _, split, kind = line.split()
            if kind == "words":
                words[split] = dict(words.get("common", {}))
            else:
                templates[split, kind] = []
        elif line and not line.startswith("#"):
            name, mark, text = line.split(" ", 2)
            if mark == "=":
                words[split][name] = tuple(text.split("|"))
            else:
                templates[split, kind].append(Template(name, text, by_thumb=mark == "~"))
    return words, templates


def fill(text: str, words: dict[str, tuple[str, ...]], draw: random.Random) -> str:
    """Make every choice in a template's text, from the inside out, then fill its slots.

    A slot that stands twice gets the same word, and name2 another word than name.
    """
    while part := INNERMOST.search(text):
        optional, choice = part.groups()
        chosen = draw.choice(["", optional] if choice is None else choice.split("|"))
        text = text[: part.start()] + chosen + text[part.end() :]
    filled = {}
    for slot, kind in SLOT.findall(text):
        if slot not in filled:
            filled[slot] = draw.choice([w for w in words[kind] if w not in filled.values()])
    text = SLOT.sub(lambda found: filled[found[1]], text)
    text = re.sub("#", lambda _: draw.choice("123456789"), text)
    return re.sub(r"(^|[.!?] )[a-z]", lambda found: found[0].upper(), " ".join(text.split()))


def shorten(text: str, draw: random.Random) -> str:
    """Write u for you, and so on, for most of the words that have a short form."""
    return re.sub(
        r"[A-Za-z]+",
        lambda w: SHORT_FORMS.get(w[0].lower(), w[0]) if draw.random() < 0.7 else w[0],
        text,
    )


def slip(text: str, draw: random.Random) -> str:
    """Swap two neighbouring letters inside one of the longer words."""
    places = [m.span() for m in re.finditer(r"(?<![\w./-])[A-Za-z]{5,}(?![\w/-])", text)]
    if not places:
        return text
    start, end = draw.choice(places)
    i = draw.randrange(start + 1, end - 1)  # never the first letter
    return text[:i] + text[i + 1] + text[i] + text[i + 2 :]


def shout(text: str, draw: random.Random) -> str:
    """Put one of the sentences in capitals."""
    sentences = re.split(r"(?<=[.!?]) ", text)
    i = draw.randrange(len(sentences))
    return " ".join([*sentences[:i], sentences[i].upper(), *sentences[i + 1 :]])


def drop_end(text: str, draw: random.Random) -> str:
    """Leave out the full stop at the end."""
    return text.removesuffix(".")


def lower(text: str, draw: random.Random) -> str:
    """Never touch the shift key."""
    return text.lower()


# How often each happens to a well behaved message, and to one typed with a thumb.
HABITS = (
    (shout, 0.05, 0.05),
    (slip, 0.06, 0.2),
    (drop_end, 0.1, 0.5),
    (shorten, 0.04, 0.25),
    (lower, 0.05, 0.3),
)


def write(template: Template, words: dict[str, tuple[str, ...]], draw: random.Random) -> str:
    """Write one message from a template, with or without the habits of a hasty typist."""
    text = fill(template.text, words, draw)
    for habit, when_careful, when_by_thumb in HABITS:
        if draw.random() < (when_by_thumb if template.by_thumb else when_careful):
            text = habit(text, draw)
    return text


def make_messages(seed: int = 123) -> list[Message]:
    """Make all messages of the three splits, no two the same, in random order.

    Every template of a split and label is used equally often, give or take one message.
    """
    draw = random.Random(seed)
    words, templates = read_templates()
    messages, seen = [], set()
    for (split, label), n_messages in N_MESSAGES.items():
        for i in range(n_messages):
            template = templates[split, label][i % len(templates[split, label])]
            while True:
                text = write(template, words[split], draw)
                if text.lower() not in seen and MIN_WORDS <= len(text.split()) <= MAX_WORDS:
                    break
            seen.add(text.lower())
            messages.append(Message(label, text, split, template.name))
    draw.shuffle(messages)
    return messages


def write_csv(messages: list[Message], path: str | Path) -> None:
    """Write the columns label, text and split, the file whole or not at all."""
    with written_whole(path) as draft, draft.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("label", "text", "split"))
        table.writerows((m.label, m.text, m.split) for m in messages)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch06.messages",
        description="Make the corpus of short messages, spam and ham, and write it as CSV.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", default="messages.csv", help="the CSV file to write")
    parser.add_argument("--seed", type=int, default=123, help="another seed, other messages")
    return parser.parse_args()


def main() -> None:
    replace_unprintable()
    args = parse_arguments()
    messages = make_messages(args.seed)
    try:
        write_csv(messages, args.out)
    except OSError as error:
        raise SystemExit(f"messages: {error}") from None
    counts = Counter((m.split, m.label) for m in messages)
    for split in ("train", "validation", "test"):
        ham, spam = counts[split, "ham"], counts[split, "spam"]
        print(f"{split:<10} {ham:5,} ham  {spam:4,} spam ({spam / (ham + spam):.0%})")
    print(f"{len(messages):,} messages in {args.out}")


if __name__ == "__main__":
    main()
