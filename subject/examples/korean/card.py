"""Write the card of the kept model, from the records: python -m subject.examples.korean.card"""

import hashlib
from pathlib import Path

from course.commands import one_sentence
from course.files import written_whole
from course.terminal import replace_unprintable
from subject.examples.korean.long_training import MODEL, SETTINGS, TRAIN_WORDS, VOCAB_SIZE
from subject.examples.korean.measure import interval, read_record

CARD = """# A small model of Korean

It writes short Korean sentences about the market of 느티골, a village that does not exist, and answers simple questions about it. Its texts come from a generator that was written for this course (`python -m subject.examples.korean.corpus`); nothing was downloaded and nothing copied.

| | |
|---|---|
| size | {parameters:,} parameters: {n_layers} layers, {emb_dim} wide, {n_heads} heads, context 256; {megabytes:.1f} MB in 16 bits |
| vocabulary | {vocab_size:,} tokens of bytes, trained on its own texts |
| texts | {words:.1f} million words from the generator's seed 1; {tokens:.1f} million tokens of them were read |
| pretraining | Muon and AdamW in {precision}, {minutes:.0f} minutes of one thread; {bits:.3f} bits per byte on documents held out |
| finetuning | {entries:,} entries, {epochs} times, AdamW at {rate} |
| SHA-256 of `model.safetensors` | `{sha256}` |

## What it writes

{texts} texts that it began itself, at a temperature of 0.8, beside texts that follow the counts of pairs of tokens and beside the corpus of a seed that it has not read. Shares in per cent, with 95% intervals (Wilson).

{written}

## Which particle fits

Of two sentences that differ in one particle the likelier one is taken, for five pairs (은/는, 이/가, 을/를, 과/와, 으로/로). No training text has a noun that is held out before any of them.

{chosen}

## What it answers

Exact match of the test entries, by kind: the finetuning of the kept model with its interval, and the two other seeds. Facts of the test are told in the texts of the pretraining and asked for nowhere; nouns, verbs, sums and strangers of the test are in no task of the training.

{answers}

## What it cannot do

It knows this market and nothing of the world. It was taught four forms of politeness and a few hundred words. Its stories put sentences one after another that have little to do with each other, as those of its generator do. It is good for learning how such a model is made and measured, and for nothing else.

## To make it again

```
python -m subject.examples.korean.long_training --keep
python -m subject.examples.korean.measure --model subject/examples/korean/runs/long/pretrained
python -m subject.examples.korean.card
```

On another processor the weights come out a little different, and with them the last digits.
"""


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
    return CARD.format(
        **{name: SETTINGS[name] for name in ("n_layers", "n_heads", "emb_dim")},
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
    with one_sentence("card"):
        text = card()
        path = Path(MODEL) / "README.md"
        with written_whole(path) as draft:
            draft.write_text(text, encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
