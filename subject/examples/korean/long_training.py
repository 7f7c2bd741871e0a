"""Train the example's kept model: python -m subject.examples.korean.long_training --out FOLDER

    texts of another seed, far more of them, about the same market -> a tokenizer of 2,000 tokens ->
    pretraining -> three finetunings that differ in their seed, and one from random weights

One thread, about half an hour. What is there is not made again, and a pretraining goes on
at its last checkpoint. The record is recorded/answers.json and recorded/pretraining.json, and the
first finetuned model, in 16 bits, is the folder model/.
"""

import argparse
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

from ch04.gpt import count_parameters
from ch05.files import check_writable
from ch05.gpt_weights import load_pretrained, save_pretrained
from ch05.token_shards import prepare
from ch05.token_windows import read_shards
from ch07.gpt_instruction_finetuning import N_NEW, respond
from course.commands import check_least, one_sentence
from course.terminal import replace_unprintable
from subject.evaluate import counts, guess
from subject.examples.korean.corpus import write_documents, write_entries, write_folder
from subject.examples.korean.measure import TRAIN_SEED, TRAIN_WORDS, keep
from subject.train import cpu_seconds, run_command

FOLDER = Path(__file__).parent
MODEL = FOLDER / "model"
VOCAB_SIZE = 2000
# First at a constant rate, so that a training can be made longer, then the rate falls.
TOKENS, FALLING_TOKENS = 6_000_000, 600_000
SIZES = {"emb_dim": 192, "n_layers": 4, "n_heads": 4}
SETTINGS = {
    "optimizer": "muon", "lr": 0.005,
    "batch_size": 8, "windows": "documents", "eval_every": 50, "save_every": 50,
    "eval_tokens": 10_000, "prompt": "지우는",
}  # fmt: skip
SEEDS = 3
EPOCHS, RATE = 2, 3e-4  # at 1e-3 it forgets what it has read: chosen on the development entries


def digest(items: list) -> str:
    """A short name of these entries or texts: a record is of them and of no others."""
    return hashlib.sha256(json.dumps(items, ensure_ascii=False).encode()).hexdigest()[:16]


def pretrain(out: Path, tokens: float, falling: float) -> list[Path]:
    """Write the texts, and pretrain on them in two parts; where the runs are."""
    texts, data = out / "texts", out / "data"
    if not (texts / "texts.jsonl").exists():
        write_folder(texts, TRAIN_SEED, TRAIN_WORDS)
    if not (data / "index.json").exists():
        prepare([texts / "texts.jsonl"], data, "own", vocab_size=VOCAB_SIZE)
    constant, run = out / "constant", out / "pretrained"
    options = ["--tokens", int(tokens), "--schedule", "constant", "--warmup", 50, "--seed", 0]
    pretrain_part(constant, data, *options)
    options = ["--tokens", int(falling), "--schedule", "cosine", "--warmup", 1, "--seed", 1]
    pretrain_part(run, data, *options, "--start", constant)
    return [constant, run]


def pretrain_part(run: Path, data: Path, *more: object) -> None:
    """One run of ch05.pretrain, gone on with where it was stopped; it notes its CPU-seconds."""
    if (run / "model.safetensors").exists():
        return
    told = SETTINGS | ({} if "--start" in more else SIZES)  # a model to start from has its sizes
    options = [f"--{name.replace('_', '-')}={value}" for name, value in told.items()]
    again = ["--resume"] if (run / "settings.json").exists() else []
    begun = cpu_seconds()
    try:
        run_command("ch05.pretrain", "train", *options, "--data", data, "--out", run, *more, *again)
    finally:
        if run.exists():
            with (run / "cpu_seconds").open("a") as file:
                print(round(cpu_seconds() - begun), file=file)


def first_documents() -> str:
    """A short name of how the texts begin: another generator would write others."""
    return digest([text for _, text in write_documents(TRAIN_SEED, 5000)])


def describe_pretraining(runs: Sequence[Path], data: Path) -> dict:
    """What the runs' logs say, a row for each validation. Units: bits per byte."""
    shards, rows, before, seconds = read_shards(data), [], 0, 0
    for run in runs:
        log = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
        settings = json.loads((run / "settings.json").read_text(encoding="utf-8"))
        rows += [
            {
                "tokens": before + row["tokens"],
                "training": round(row["bits_per_byte"], 4),
                "held out": round(row["val_loss"] / math.log(2) / shards.bytes_per_token, 4),
            }
            for row in log
            if row["val_loss"] is not None
        ]
        before += log[-1]["tokens"]
        if (run / "cpu_seconds").exists():
            seconds += sum(map(int, (run / "cpu_seconds").read_text().split()))
    return {
        "parameters": count_parameters(load_pretrained(runs[-1])[0]),
        "first documents": first_documents(),
        "tokens of the texts": len(shards.train),
        "bytes per token": round(shards.bytes_per_token, 3),
        "settings": {name: settings[name] for name in ("data", "precision", *SETTINGS)} | SIZES,
        "tokens": before,
        "cpu_seconds": seconds,
        "rows": rows,
    }


def finetune(run: Path, out: Path, entries: list[dict], name: str, seeds: int, *more: str) -> list:
    """Finetune with so many seeds by ch07's command; its rows."""
    folder, path = out / name, out / "entries.json"
    path.write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
    if not (folder / "results.json").exists():
        for seed in range(seeds):  # the first one last, so that its model is the one kept
            options = ["--data", path, "--model", run, "--out", folder / str(seed), *more]
            options += ["--epochs", EPOCHS, "--lr", RATE, "--seed", seed]
            if not (folder / str(seed) / "results.json").exists():
                run_command("ch07.gpt_instruction_finetuning", *options)
    rows = []
    for seed in range(seeds):
        (row,) = json.loads((folder / str(seed) / "results.json").read_text(encoding="utf-8"))
        rows.append({n: row[n] for n in ("seed", "steps", "seconds", "val_loss", "right")})
    return rows


def measure_answers(run: Path, out: Path) -> dict:
    """Finetune, and count what is right beside what is trivial."""
    entries = write_entries()
    train, test = ([e for e in entries if e["split"] == s] for s in ("train", "test"))
    rows = finetune(run, out, entries, "finetuned", SEEDS)
    control = finetune(run, out, entries, "random", 1, "--random-weights")
    before = respond(*load_pretrained(run), test, N_NEW, one_line=True)
    said = json.loads((out / "finetuned" / "0" / "responses.json").read_text(encoding="utf-8"))
    shown = ("kind", "instruction", "input", "output", "response")
    return {
        "entries": {s: sum(e["split"] == s for e in entries) for s in ("train", "test")},
        "digest": digest(entries),
        "epochs": EPOCHS,
        "lr": RATE,
        "finetuned": rows,
        "finetuned from random weights": control,
        "pretrained only": counts(test, before),
        "most frequent answer": counts(test, guess(train, test)),
        "broken syllables": [
            sum("\N{REPLACEMENT CHARACTER}" in e["response"] for e in said),
            len(said),
        ],
        "wrong": [{n: e[n] for n in shown} for e in said if e["response"] != e["output"]],
        "right": [{n: e[n] for n in shown} for e in said if e["response"] == e["output"]][:60],
    }


def keep_model(folder: Path, out: Path = MODEL) -> None:
    """Write a finetuned model in 16 bits."""
    model, tokenizer = load_pretrained(folder)
    save_pretrained(model.half(), out, tokenizer)


def main() -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m subject.examples.korean.long_training",
        description="Train the Korean example's kept model, and record what it can do.",
    )
    add = parser.add_argument
    add("--out", type=Path, default=FOLDER / "runs" / "long", help="for data and runs")
    add("--tokens", type=float, default=TOKENS, help="to read at a constant rate [%(default)s]")
    add("--falling", type=float, default=FALLING_TOKENS, help="and as it falls [%(default)s]")
    add("--record", type=Path, default=FOLDER / "recorded", help="the folder of the records")
    add("--keep", action="store_true", help="put the model into the example's own folder")
    args = parser.parse_args()
    with one_sentence("long_training"):
        check_least(args, tokens=1, falling=1)
        check_writable(args.out)
        runs = pretrain(args.out, args.tokens, args.falling)
        keep("pretraining", describe_pretraining(runs, args.out / "data"), args.record)
        answers = measure_answers(runs[-1], args.out)
        keep("answers", answers, args.record)
        if args.keep:
            keep_model(args.out / "finetuned" / "0")
    for row in answers["finetuned"]:
        print(f"seed {row['seed']}: {row['right']['all']}")


if __name__ == "__main__":
    main()
