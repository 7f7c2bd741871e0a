"""Train the example's kept model: python -m subject.examples.korean.long_training --out FOLDER

    texts of another seed, far more of them, about the same market -> a tokenizer of 2,000 tokens ->
    pretraining -> three finetunings that differ in their seed, and one from random weights

One thread, about a quarter of an hour. What is there is not made again, and a pretraining goes on
at its last checkpoint. The record is recorded/answers.json and recorded/pretraining.json, and the
first finetuned model, in 16 bits, is the folder model/.
"""

import argparse
import hashlib
import json
import math
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
from subject.examples.korean.corpus import write_entries, write_folder
from subject.examples.korean.measure import TRAIN_SEED, TRAIN_WORDS, keep
from subject.train import cpu_seconds, run_command

FOLDER = Path(__file__).parent
MODEL = FOLDER / "model"
VOCAB_SIZE = 2000
TOKENS = 3_000_000
SETTINGS = {
    "emb_dim": 192, "n_layers": 4, "n_heads": 4, "optimizer": "muon", "lr": 0.006, "warmup": 100,
    "batch_size": 8, "windows": "documents", "eval_every": 200, "save_every": 100,
    "eval_tokens": 20_000, "prompt": "지우는",
}  # fmt: skip
SEEDS = 3
EPOCHS, RATE = 3, 1e-3


def digest(entries: list[dict]) -> str:
    """A short name of these entries: a record is of them and of no others."""
    return hashlib.sha256(json.dumps(entries, ensure_ascii=False).encode()).hexdigest()[:16]


def pretrain(out: Path, tokens: float) -> Path:
    """Write the texts, and pretrain on them; where the model is."""
    texts, data, run = out / "texts", out / "data", out / "pretrained"
    if not (texts / "texts.jsonl").exists():
        write_folder(texts, TRAIN_SEED, TRAIN_WORDS)
    if not (data / "index.json").exists():
        prepare([texts / "texts.jsonl"], data, "own", vocab_size=VOCAB_SIZE)
    if not (run / "model.safetensors").exists():
        options = [f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items()]
        options += ["--data", data, "--out", run, "--tokens", tokens]
        again = ["--resume"] if (run / "settings.json").exists() else []
        begun = cpu_seconds()
        run_command("ch05.pretrain", "train", *options, *again)
        (run / "cpu_seconds").write_text(f"{cpu_seconds() - begun:.0f}\n")
    return run


def describe_pretraining(run: Path, data: Path) -> dict:
    """What the run's log says, a row for each validation. Units: bits per byte."""
    log = [json.loads(line) for line in (run / "log.jsonl").read_text("utf-8").splitlines()]
    settings = json.loads((run / "settings.json").read_text(encoding="utf-8"))
    shards, seconds = read_shards(data), run / "cpu_seconds"
    rows = [
        {
            "tokens": row["tokens"],
            "training": round(row["bits_per_byte"], 4),
            "held out": round(row["val_loss"] / math.log(2) / shards.bytes_per_token, 4),
        }
        for row in log
        if row["val_loss"] is not None
    ]
    return {
        "parameters": count_parameters(load_pretrained(run)[0]),
        "tokens of the texts": len(shards.train),
        "bytes per token": round(shards.bytes_per_token, 3),
        "settings": {name: settings[name] for name in ("data", "precision", *SETTINGS)},
        "steps": log[-1]["step"],
        "tokens": log[-1]["tokens"],
        "cpu_seconds": float(seconds.read_text()) if seconds.exists() else None,
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
    add("--tokens", type=float, default=TOKENS, help="to read in the pretraining [%(default)s]")
    add("--record", type=Path, default=FOLDER / "recorded", help="the folder of the records")
    add("--keep", action="store_true", help="put the model into the example's own folder")
    args = parser.parse_args()
    with one_sentence("long_training"):
        check_least(args, tokens=1)
        check_writable(args.out)
        run = pretrain(args.out, args.tokens)
        keep("pretraining", describe_pretraining(run, args.out / "data"), args.record)
        answers = measure_answers(run, args.out)
        keep("answers", answers, args.record)
        if args.keep:
            keep_model(args.out / "finetuned" / "0")
    for row in answers["finetuned"]:
        print(f"seed {row['seed']}: {row['right']['all']}")


if __name__ == "__main__":
    main()
