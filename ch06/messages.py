"""The chapter's corpus: short messages, spam and not ("ham"), written one by one for this course.

The folder corpus holds them. A line is a label and its message, and an empty line ends a story:
messages about the same people and the same matter stand together, and no story is divided between
the splits. So what a model learns about one affair does not help it with another.
"""

import argparse
import csv
import random
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from course.files import written_whole
from course.terminal import replace_unprintable

CORPUS = files("ch06") / "corpus"
LABELS = ("ham", "spam")
# Of the messages; the rest is for training.
SHARES = {
    "test": 0.2,
    "validation": 0.1,
}


class Message(NamedTuple):
    """One message, its class, the split it belongs to, and the number of its story."""

    label: str
    text: str
    split: str
    story: int


def read_stories(folder=CORPUS) -> list[list[tuple[str, str]]]:
    """The stories of a folder of text files: lists of (label, text).

    Raises: ValueError that names the file and the line that does not begin with a label.
    """
    stories = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name):
        story = []
        for number, line in enumerate(
            path.read_text(encoding="utf-8").splitlines(), 1
        ):
            label, _, text = line.partition(" ")
            if label in LABELS and text.strip():
                story.append((label, text.strip()))
            elif line.strip():
                raise ValueError(
                    f"{path.name}, line {number}: begin it with ham or spam: {line!r}"
                )
            elif story:
                stories.append(story)
                story = []
        if story:
            stories.append(story)
    return stories


def make_messages(seed: int = 123) -> list[Message]:
    """All messages in random order, divided story by story into training, validation and test.

    Stories with spam and stories without are divided each for themselves, so that every split has
    its share of both.
    """
    draw = random.Random(seed)
    stories = list(enumerate(read_stories()))
    messages = []
    for has_spam in (False, True):
        of_kind = [
            s
            for s in stories
            if any(label == "spam" for label, _ in s[1]) == has_spam
        ]
        draw.shuffle(of_kind)
        n_messages = sum(len(story) for _, story in of_kind)
        splits = iter((*SHARES.items(), ("train", 1.0)))
        split, share = next(splits)
        n_in_split = 0
        for number, story in of_kind:
            if split != "train" and n_in_split >= share * n_messages:
                (split, share), n_in_split = next(splits), 0
            messages += [
                Message(label, text, split, number) for label, text in story
            ]
            n_in_split += len(story)
    draw.shuffle(messages)
    return messages


def write_csv(messages: list[Message], path: str | Path) -> None:
    """Write the columns label, text and split, the file whole or not at all."""
    with (
        written_whole(path) as draft,
        draft.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file)
        table.writerow(("label", "text", "split"))
        table.writerows((m.label, m.text, m.split) for m in messages)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch06.messages",
        description="Write the corpus of short messages, spam and ham, as CSV.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--out", default="messages.csv", help="the CSV file to write"
    )
    parser.add_argument(
        "--seed", type=int, default=123, help="another seed, another division"
    )
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
        print(
            f"{split:<10} {ham:5,} ham  {spam:4,} spam ({spam / (ham + spam):.0%})"
        )
    print(f"{len(messages):,} messages in {args.out}")


if __name__ == "__main__":
    main()
