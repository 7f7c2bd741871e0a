"""Write the card of the kept model, from the records: python -m subject.examples.korean.card"""

import argparse
import hashlib
from pathlib import Path

from course.commands import one_sentence
from course.files import written_whole
from course.terminal import replace_unprintable
from subject.examples.korean.long_training import MODEL, SIZES, TRAIN_WORDS, VOCAB_SIZE
from subject.examples.korean.measure import interval, read_record

TEMPLATE = Path(__file__).with_name("model_card.md")


def table(rows: list[list[str]]) -> str:
    """A table in Markdown; the first row is its head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def written_table(writing: dict) -> str:
    names = [*writing["written"]]
    rows = [["", *names]]
    for what in next(iter(writing["written"].values())):
        if what == "half characters":
            continue
        rows.append([what, *(interval(*writing["written"][name][what]) for name in names)])
    return table(rows)


def chosen_table(writing: dict) -> str:
    rows = [["", *(name for name in writing["chosen"])]]
    for who in next(iter(writing["chosen"].values())):
        rows.append([who, *(interval(*of[who]["all"]) for of in writing["chosen"].values())])
    return table(rows)


def answers_table(answers: dict) -> str:
    runs = [run["right"] for run in answers["finetuned"]]
    control = answers["finetuned from random weights"][0]["right"]
    rows = [["kind", "n", "finetuned", "other seeds", "from random weights", "pretrained only",
             "most frequent answer"]]  # fmt: skip
    for kind in runs[0]:
        others = ", ".join(f"{run[kind][0] / run[kind][1]:.0%}" for run in runs[1:])
        beside = (control, answers["pretrained only"], answers["most frequent answer"])
        rows.append(
            [kind, str(runs[0][kind][1]), interval(*runs[0][kind]), others]
            + [f"{found[kind][0] / found[kind][1]:.0%}" for found in beside]
        )
    return table(rows)


def card() -> str:
    """The card's text. Raises: FileNotFoundError if a record or the model is not there."""
    pretraining, writing, answers = map(read_record, ("pretraining", "writing", "answers"))
    data = (MODEL / "model.safetensors").read_bytes()
    seconds = pretraining["cpu_seconds"]
    return TEMPLATE.read_text(encoding="utf-8").format(
        **SIZES,
        parameters=pretraining["parameters"],
        megabytes=len(data) / 1e6,
        vocab_size=VOCAB_SIZE,
        words=TRAIN_WORDS / 1e6,
        tokens=pretraining["tokens"] / 1e6,
        precision=pretraining["settings"]["precision"],
        minutes=seconds / 60,
        bits=pretraining["rows"][-1]["held out"],
        entries=answers["entries"]["train"],
        epochs=answers["epochs"],
        rate=answers["lr"],
        sha256=hashlib.sha256(data).hexdigest(),
        texts=writing["texts"],
        written=written_table(writing),
        chosen=chosen_table(writing),
        answers=answers_table(answers),
    )


def main() -> None:
    replace_unprintable()
    argparse.ArgumentParser(
        prog="python -m subject.examples.korean.card",
        description="Write the card of the Korean example's kept model, from its records.",
    ).parse_args()
    with one_sentence("card"):
        text = card()
        path = Path(MODEL) / "README.md"
        with written_whole(path) as draft:
            draft.write_text(text, encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
