"""A scaling law from five small runs, and a prediction written down before it is tested.

    python -m ch05.bonus.training_at_scale    # goes on with its record

Its record, ch05/recorded/training_at_scale.json, has a row for every training,
and one for the prediction, which is made from the small runs alone. The large
run starts behind it, and the prediction is never written again.
"""

import argparse
import hashlib
import json
import math
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import least_squares

from ch02.dataloader import create_dataloader
from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, count_parameters
from ch05.course_model.corpus import BYTES_PER_TOKEN, generate_documents
from ch05.course_model.pretrain import encode_documents, warmup_cosine
from ch05.files import check_writable
from ch05.foundations import bits_of_windows
from ch05.gpt_weights import COURSE_FOLDER
from ch05.optimizers import MuonWithAdamW
from ch05.precision import choose_precision
from ch05.scaling import Dial, config_for_depth, multiplying
from ch05.scaling_check import SIZES, measure_apart
from ch05.training_loop import train
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

RECORD = files("ch05") / "recorded" / "training_at_scale.json"
LADDER = {"width_per_layer": 28, "tokens_per_weight": 1}  # see the notebook
SMALL, LARGE = (2, 3, 4, 5, 6), 7  # depths: 7 is of the course model's size
SEEDS = {2: (0, 1, 2), 3: (0, 1, 2)}  # of the smallest; the others have one
# Rates that were tried before any other run, in multiples of the one of the
# course model's recipe, 0.003 at a width of 256, less for the wider by a root.
RATES = {2: (0.5, 2, 4, 8), 3: (0.5, 2, 4, 8)}
HELD_OUT_BYTES = 400_000
CPU = torch.device("cpu")


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def course_tokenizer() -> BPETokenizer:
    """The vocabulary of the course's model."""
    return BPETokenizer.load(COURSE_FOLDER / "vocabulary.tiktoken")


def training_ids(tokenizer: BPETokenizer, n: int, seed: int) -> torch.Tensor:
    """So many tokens of the corpus and one more, each seed other documents."""
    n_bytes = round(1.1 * BYTES_PER_TOKEN * n) + 50_000
    ids = encode_documents(tokenizer, 100 + seed, n_bytes)[: n + 1]
    assert len(ids) == n + 1
    return torch.from_numpy(ids.astype(np.int64))


def held_out() -> list[str]:
    """Documents that no run reads: of another seed, with texts of their own."""
    return list(generate_documents(1000, None, HELD_OUT_BYTES, held_out=True))


def bits_per_byte(
    model: GPTModel, tokenizer: BPETokenizer, documents: list[str]
) -> float:
    """The bits that a model needs for a byte of documents laid end to end.

    It reads them in windows of its context; the end of a document costs bits
    as well, though it has no bytes.
    """
    end, T = (
        tokenizer.special_tokens[END_OF_TEXT],
        model.config.context_length,
    )
    ids = [end]
    for document in documents:
        ids += [*tokenizer.encode_ordinary(document), end]
    n = (len(ids) - 1) // T * T
    pieces = [i for i in ids[1 : n + 1] if i != end]
    n_bytes = len(tokenizer.decode(pieces).encode())
    return bits_of_windows(model.eval(), torch.tensor(ids[: n + 1]), n_bytes, T)


def train_once(dial: Dial, seed: int, precision: str) -> tuple[GPTModel, dict]:
    """Read a run's tokens once, with a rate that rises and falls.

    Units: seconds of one processor core.
    """
    tokenizer = course_tokenizer()
    ids = training_ids(tokenizer, dial.tokens, seed)
    T = dial.config.context_length
    loader = create_dataloader(ids, T, dial.batch_size, seed=seed)
    torch.manual_seed(seed)
    model = GPTModel(dial.config)
    optimizer = MuonWithAdamW(model, dial.lr)
    n = len(loader)
    row, begun = {"started": now()}, time.process_time()
    progress = train(
        model,
        loader,
        optimizer,
        n,
        schedule=warmup_cosine(n, n_warmup=n // 10),
        precision=precision,
    )
    row["cpu_seconds"] = round(time.process_time() - begun, 1)
    tenths = np.array_split(progress.losses, 10)
    row["losses"] = [round(float(part.mean()), 3) for part in tenths]
    row["steps"] = n
    return model, row


def tried_rate(depth: int, factor: float) -> float:
    """So many times the rate of the course model's recipe, for this width."""
    width = config_for_depth(depth, **LADDER).config.emb_dim
    return round(0.003 * factor * math.sqrt(256 / width), 6)


def run(depth: int, seed: int, precision: str, lr: float | None = None) -> dict:
    """Train one rung of the ladder and measure it on documents held out."""
    dial = config_for_depth(depth, **LADDER)
    dial = replace(dial, lr=lr or dial.lr)
    model, row = train_once(dial, seed, precision)
    bits = bits_per_byte(model, course_tokenizer(), held_out())
    return {
        "what": "rate" if lr else "run",
        "depth": depth,
        "seed": seed,
        "lr": round(dial.lr, 6),
        "weights": multiplying(dial.config),
        "parameters": count_parameters(model),
        "tokens": dial.tokens,
        "bits": round(bits, 4),
        **row,
        "ended": now(),
    }


LAW_FORMS = ("power", "floor", "start")


def law(
    n: np.ndarray | float,
    a: float,
    alpha: float,
    floor: float = 0.0,
    start: float = 0.0,
) -> np.ndarray:
    """Bits per byte for n weights: floor + a (n + start)^-alpha.

    Units: n in weights, start in millions of them.
    """
    return floor + a * (np.asarray(n) / 1e6 + start) ** -alpha


def fit(n: np.ndarray, bits: np.ndarray, form: str) -> dict[str, float]:
    """The law that is nearest, in logarithms, to the runs.

    form: a power alone, or with a floor, or with a start.
    """
    begin = {"a": float(bits[-1]), "alpha": 0.3, "floor": 0.1, "start": 0.1}
    names = ["a", "alpha", *(form,) * (form != "power")]
    first = [begin[name] for name in names]

    def apart(values: np.ndarray) -> np.ndarray:
        return np.log(law(n, **dict(zip(names, values)))) - np.log(bits)

    best = least_squares(apart, first, bounds=(0, np.inf), x_scale=first)
    return dict(zip(names, map(float, best.x)))


def left_out(n: np.ndarray, bits: np.ndarray, form: str) -> list[float]:
    """By what share the law of the other runs misses each run."""
    errors = []
    for i in range(len(n)):
        others = np.arange(len(n)) != i
        found = fit(n[others], bits[others], form)
        errors.append(float(law(n[i], **found) / bits[i] - 1))
    return errors


def small_runs(rows: list[dict]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, bits (the mean over seeds), and how far the seeds spread."""
    found = {}
    for row in rows:
        if row["what"] == "run" and row["depth"] in SMALL:
            found.setdefault(row["weights"], []).append(row["bits"])
    n = np.array(sorted(found))
    spread = [
        np.std(found[i], ddof=1) if len(found[i]) > 1 else np.nan for i in n
    ]
    return n, np.array([np.mean(found[i]) for i in n]), np.array(spread)


def digest(rows: list[dict]) -> str:
    """What tells whether the runs that a prediction was made from still stand."""
    small = [r for r in rows if r["what"] == "run" and r["depth"] in SMALL]
    return hashlib.sha256(json.dumps(small).encode()).hexdigest()[:16]


def predict(rows: list[dict]) -> dict:
    """The large run's bits per byte, from the small ones alone.

    Of the forms, the one is taken that misses runs left out by least. The
    interval is as wide as the largest of its misses.
    """
    n, bits, spread = small_runs(rows)
    large = multiplying(config_for_depth(LARGE, **LADDER).config)
    missed = {form: left_out(n, bits, form) for form in LAW_FORMS}
    form = min(missed, key=lambda form: np.mean(np.square(missed[form])))
    found = fit(n, bits, form)
    guess, worst = float(law(large, **found)), max(map(abs, missed[form]))
    return {
        "what": "prediction",
        "depth": LARGE,
        "weights": large,
        "form": form,
        "law": {name: round(value, 5) for name, value in found.items()},
        "bits": round(guess, 4),
        "low": round(guess * (1 - worst), 4),
        "high": round(guess * (1 + worst), 4),
        "left out": {
            form: [round(error, 4) for error in errors]
            for form, errors in missed.items()
        },
        "spread of seeds": round(float(np.nanmax(spread / bits)), 4),
        "as the largest small run": round(float(bits[-1]), 4),
        "made from": digest(rows),
        "written": now(),
    }


def count_bits(documents: list[str], read: list[str]) -> dict[str, float]:
    """What a byte costs by counts of bytes, and of pairs of bytes, in read."""
    text, test = ("".join(texts).encode() for texts in (read, documents))
    one = Counter(text)
    pairs, first = Counter(zip(text, text[1:])), Counter(text[:-1])
    single = -sum(math.log2((one[b] + 1) / (len(text) + 256)) for b in test)
    double = -sum(
        math.log2((pairs[a, b] + 1) / (first[a] + 256))
        for a, b in zip(test, test[1:])
    )
    return {
        "counts of bytes": round(single / len(test), 4),
        "counts of pairs": round(double / (len(test) - 1), 4),
    }


def check_order(rows: list[dict]) -> None:
    """Refuse a record in which a prediction could have known its run.

    Raises: ValueError that says what is wrong with it.
    """
    said = [row for row in rows if row["what"] == "prediction"]
    large = [r for r in rows if r["what"] == "run" and r["depth"] == LARGE]
    if len(said) > 1 or len(large) > 1:
        raise ValueError("the record has two predictions, or two large runs")
    if large and (not said or said[0]["written"] > large[0]["started"]):
        raise ValueError("the large run stands before its prediction")
    if said and said[0]["made from"] != digest(rows):
        raise ValueError(
            "the small runs are others than those of the prediction"
        )


def is_row(row: dict) -> bool:
    """Whether something in a record is a row of this command."""
    needed = {
        "run": ("depth", "seed", "bits", "weights", "started"),
        "rate": ("depth", "seed", "bits", "lr"),
        "prediction": ("bits", "law", "written", "made from"),
        "baselines": ("counts of bytes",),
        "check": ("depth", "memory", "seconds"),
    }
    return all(name in row for name in needed[row["what"]])


def missing(rows: list[dict]) -> list[tuple]:
    """What is still to be done, in the order in which it must be done."""
    done = {
        (r["what"], r.get("depth"), r.get("seed"), r.get("lr")) for r in rows
    }
    todo = []
    for depth, factors in RATES.items():
        for lr in (tried_rate(depth, factor) for factor in factors):
            if ("rate", depth, 0, lr) not in done:
                todo.append(("rate", depth, 0, lr))
    trained = {key[:3] for key in done}
    for depth in SMALL:
        for seed in SEEDS.get(depth, (0,)):
            if ("run", depth, seed) not in trained:
                todo.append(("run", depth, seed))
    for depth in SIZES:
        if ("check", depth) not in {key[:2] for key in done}:
            todo.append(("check", depth))
    kinds = {row["what"] for row in rows}
    if "baselines" not in kinds:
        todo.append(("baselines",))
    if "prediction" not in kinds:
        todo.append(("prediction",))
    if ("run", LARGE, 0) not in trained:
        todo.append(("run", LARGE, 0))
    return todo


def do(task: tuple, rows: list[dict], precision: str) -> dict:
    """One row of the record."""
    if task[0] == "prediction":
        return predict(rows)
    if task[0] == "check":
        found = measure_apart(task[1], batch_size=8, at_once=8)
        return {"what": "check", "depth": task[1], **found}
    if task[0] == "baselines":
        read = config_for_depth(LARGE, **LADDER).tokens * BYTES_PER_TOKEN
        texts = list(generate_documents(100, None, round(read)))
        return {"what": "baselines"} | count_bits(held_out(), texts)
    return run(*task[1:3], precision, *task[3:])


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch05.bonus.training_at_scale",
        description="Fit a scaling law to small runs, predict a large one, then train it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--record", default=str(RECORD), help="the file of rows")
    add("--threads", type=int, default=1, help="processor cores of a training")
    add(
        "--until",
        choices=("rates", "runs", "prediction"),
        help="stop behind it",
    )
    return parser.parse_args()


def work(args: argparse.Namespace) -> None:
    """Do what the record lacks, and keep each row as soon as it is there."""
    path = Path(args.record)
    check_writable(path.parent)
    torch.set_num_threads(args.threads)
    settings = LADDER | {"held out bytes": HELD_OUT_BYTES}
    rows = read_rows(path, is_row, settings)
    check_order(rows)
    precision = choose_precision(CPU)
    kept = {"rates": ("rate",), "runs": ("rate", "run", "check", "baselines")}
    while todo := missing(rows):
        task = todo[0]
        large = task[0] == "run" and task[1] == LARGE
        if (
            large
            and args.until
            or args.until in kept
            and task[0] not in kept[args.until]
        ):
            break
        row = do(task, rows, precision)
        if task[0] in ("run", "rate"):
            row |= {"precision": precision, "threads": args.threads}
        rows.append(row)
        write_rows(path, settings, rows)
        shown = {
            k: v for k, v in row.items() if k not in ("losses", "made from")
        }
        print(json.dumps(shown), flush=True)


def main() -> None:
    replace_unprintable()
    args = parse_arguments()
    try:
        work(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"training_at_scale: {error}") from None
    except KeyboardInterrupt:
        message = "stopped; the rows that are done are kept"
        raise SystemExit(f"\ntraining_at_scale: {message}") from None


if __name__ == "__main__":
    main()
