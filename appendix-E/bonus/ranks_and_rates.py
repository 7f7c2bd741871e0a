"""LoRA against full finetuning: each way at its own rate, with many seeds.

python -m appendix_e.bonus.ranks_and_rates    # makes appendix-E/recorded anew

Two files are written. In rates.json every way is tried at several learning
rates, on the validation messages only. In seeds.json every way has its best
rate, other seeds, and the test messages as well. A row is one training.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import torch
from tqdm.auto import tqdm

from appendix_e.lora import add_lora
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.files import check_writable
from ch05.gpt_weights import load_pretrained
from ch06.gpt_class_finetune import (
    FEW,
    GPTClassifier,
    MessageDataset,
    Setting,
    balance,
    create_message_dataloader,
    describe_table,
    label_messages,
    load_messages,
    read_record,
    read_runs,
    train_classifier,
    train_setting,
)
from course.files import written_whole
from course.terminal import replace_unprintable

SCALE = 2  # alpha / rank, the same for every rank
RANKS = {"LoRA, rank 1": 1, "LoRA, rank 4": 4, "LoRA, rank 16": 16}
RATES = {  # of which each way gets its best
    "head only": (2.5e-3, 1e-2, 4e-2),
    **dict.fromkeys(RANKS, (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)),
    "all layers": (3.125e-5, 6.25e-5, 1.25e-4, 2.5e-4, 5e-4, 1e-3),
}
CUT_AT = 128  # tokens of a message, as in chapter 6


def train_way(
    way: str, rate: float, model: GPTClassifier, loader, seed: int
) -> list[dict]:
    """Train a classifier through LoRA, or its head only, or all layers."""
    if way in RANKS:
        rank = RANKS[way]
        add_lora(model, rank, SCALE * rank, trainable=["head"])
        return train_classifier(model, loader, None, 10, rate, progress=False)
    layers, epochs = {"head only": ("head", 30)}.get(way, ("all", 10))
    return train_setting(Setting(rate, epochs, layers), model, loader, seed)


def run_way(
    gpt: GPTModel,
    tokenizer: BPETokenizer,
    messages: pd.DataFrame,
    way: str,
    rate: float,
    seed: int,
    splits: Sequence[str],
) -> dict:
    """Train in one way at one rate; keep what it says of each message.

    The seed draws training messages, head, A, and the order of the batches.
    """
    train = balance(messages[messages.split == "train"], FEW, seed)
    torch.manual_seed(seed)
    model = GPTClassifier(gpt).to(next(gpt.parameters()).device)
    dataset = MessageDataset(train, tokenizer, CUT_AT)
    loader = create_message_dataloader(dataset, 16, seed)
    history = train_way(way, rate, model, loader, seed)
    row = {"labels": FEW, "setting": f"{way} at {rate:g}", "seed": seed}
    row["training"] = round(history[-1]["train_accuracy"], 4)
    for split in splits:
        part = messages[messages.split == split]
        said = label_messages(model, tokenizer, part, CUT_AT)
        row[split] = "".join(label[0] for label in said)
    return row


def with_rates(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs of "LoRA, rank 4 at 0.002" and so on, with columns way and rate."""
    parts = runs.setting.str.rsplit(" at ", n=1)
    return runs.assign(way=parts.str[0], rate=parts.str[1].astype(float))


def best_rates(runs: pd.DataFrame) -> dict[str, float]:
    """For each way the rate with the highest mean of balanced accuracy."""
    means = (
        with_rates(runs).groupby(["way", "rate"], sort=False).balanced.mean()
    )
    return {way: means[way].idxmax() for way in RATES}


def write_record(path: Path, described: dict, rows: list[dict]) -> None:
    """Write a record whole or not at all, a line for each row."""
    command = "python -m appendix_e.bonus.ranks_and_rates"
    command = " ".join([command, *sys.argv[1:]])
    head = json.dumps({"command": command, **described}, indent=1)
    lines = ",\n".join(json.dumps(row) for row in rows)
    with written_whole(path) as draft:
        text = f'{head[:-2]},\n "rows": [\n{lines}\n]}}\n'
        draft.write_text(text, encoding="utf-8")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m appendix_e.bonus.ranks_and_rates",
        description="Train in every way, and keep the answers.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    model = os.environ.get("COURSE_MODEL") or "course"
    add("--model", default=model, help="a model folder, or course, gpt2, …")
    add("--seeds", type=int, default=10, help="runs of each way")
    add("--rate-seeds", type=int, default=3, help="runs of each rate")
    add("--folder", default="appendix-E/recorded", help="where the files are")
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    """Make both files; go on where they were stopped."""
    for name in ("seeds", "rate_seeds"):
        if getattr(args, name) < 1:
            option = name.replace("_", "-")
            raise ValueError(
                f"{option}={getattr(args, name)} must be at least 1"
            )
    gpt, tokenizer = load_pretrained(args.model)
    gpt.to(choose_device(args.device))
    messages = load_messages("course")
    args.data, args.max_length = "course", CUT_AT
    described = describe_table(args, gpt)
    described["python"] = platform.python_version()
    folder = Path(args.folder)
    folder.mkdir(parents=True, exist_ok=True)
    check_writable(folder)

    def keep(name: str, plan: list[tuple], splits: Sequence[str]) -> Path:
        path = folder / name
        rows = read_record(path, described)
        known = {(row["setting"], row["seed"]) for row in rows}
        plan = [p for p in plan if (f"{p[0]} at {p[1]:g}", p[2]) not in known]
        for way, rate, seed in tqdm(plan, desc=name):
            started = time.perf_counter()
            row = run_way(gpt, tokenizer, messages, way, rate, seed, splits)
            row["seconds"] = round(time.perf_counter() - started)
            rows.append(row)
            write_record(path, described, rows)
        return path

    seeds = range(101, 101 + args.rate_seeds)  # none of those that compare
    plan = [(w, rate, s) for s in seeds for w in RATES for rate in RATES[w]]
    path = keep("rates.json", plan, ["validation"])
    best = best_rates(read_runs(path, messages, "validation"))
    print("best rates:", best)
    seeds = range(1, 1 + args.seeds)
    plan = [(way, best[way], s) for s in seeds for way in RATES]
    path = keep("seeds.json", plan, ["validation", "test"])
    runs = with_rates(read_runs(path, messages, "test"))
    print(runs.groupby("way", sort=False).balanced.agg(["size", "mean", "std"]))


def main() -> None:
    replace_unprintable()
    try:
        run(parse_arguments())
    except (ValueError, OSError) as error:
        raise SystemExit(f"ranks_and_rates: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(
            "\nranks_and_rates: stopped; what is done is kept"
        ) from None


if __name__ == "__main__":
    main()
