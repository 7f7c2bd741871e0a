"""From GPT-2 to Llama and Qwen3: what is each switch worth?

    python -m ch05.bonus.gpt_to_llama    # makes ch05/recorded/gpt_to_llama.json

A row of the table is GPT-2 with one switch, or with several. Each row is
trained once for each seed. The rows of a seed read the same tokens in the same
batches and have equally many weights. Given again, the command goes on.
"""

import argparse
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from importlib.resources import files
from pathlib import Path

import pandas as pd
import torch
from scipy import stats
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm

from ch02.dataloader import create_dataloader
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, choose_device, count_parameters
from ch05.bonus.faster_training import train_step
from ch05.course_model.corpus import BYTES_PER_TOKEN, generate_documents
from ch05.course_model.measure import perplexity
from ch05.course_model.pretrain import (
    MuonWithAdamW,
    encode_documents,
    warmup_cosine,
)
from ch05.gpt_weights import load_pretrained
from ch05.llama import GPT2_SWITCHES, LlamaConfig, LlamaModel
from course.commands import check_least, check_rate, one_sentence
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

CHANGES = {  # what each switch changes in GPT-2
    "RMSNorm": {"rms_norm": True},
    "rotary positions": {"rotary": True},
    "SwiGLU": {"swiglu": True},
    "grouped heads": {"n_kv_heads": 2},
    "no biases": dict.fromkeys(["qkv_bias", "proj_bias", "mlp_bias"], False),
    "QK-norm": {"qk_norm": True},
}
EVERY_CHANGE = {name: v for c in CHANGES.values() for name, v in c.items()}
ROWS = {
    "GPT-2": {},
    **CHANGES,
    "Llama": EVERY_CHANGE | {"qk_norm": False},
    "Qwen3": EVERY_CHANGE,
}
COUNTS = "counts of tokens"  # the row that learns no context at all
RECORD = files("ch05") / "recorded" / "gpt_to_llama.json"
HELD_OUT_SEED, HELD_OUT_BYTES = 1000, 100_000  # of documents for the bits


def count_weights(config: LlamaConfig) -> int:
    """How many weights such a model has, without making them."""
    with torch.device("meta"):
        return count_parameters(LlamaModel(config))


def row_config(row: str, sizes: GPTConfig) -> LlamaConfig:
    """A GPT of these sizes with a row's switches and as many weights.

    What a switch saves or adds, the feed-forward gets or gives: its width is
    the multiple of 8 that comes nearest.
    """
    C, H = sizes.emb_dim, sizes.n_heads
    gpt2 = LlamaConfig(
        vocab_size=sizes.vocab_size,
        context_length=sizes.context_length,
        emb_dim=C,
        n_heads=H,
        n_layers=sizes.n_layers,
        n_kv_heads=H,
        head_dim=C // H,
        hidden_dim=4 * C,
        rope_base=10_000.0,
        **GPT2_SWITCHES,
    )
    config = replace(gpt2, **ROWS[row])
    saved = count_weights(gpt2) - count_weights(config)
    matrices = 3 if config.swiglu else 2
    one_wider = sizes.n_layers * matrices * C  # weights
    wider = 8 * round(saved / one_wider / 8)
    return replace(config, hidden_dim=config.hidden_dim + wider)


def train_row(
    config: LlamaConfig, ids: Tensor, seed: int, batch_size: int, lr: float
) -> tuple[LlamaModel, list[float], list[float]]:
    """Read ids once; give the model, its loss and its seconds at each step.

    The seed draws the first weights and the order of the batches.
    """
    torch.manual_seed(seed)
    model = LlamaModel(config).to(ids.device)
    loader = create_dataloader(
        ids.cpu(), config.context_length, batch_size, seed=seed
    )
    optimizer, n_steps = MuonWithAdamW(model, lr), len(loader)
    share = warmup_cosine(n_steps, n_warmup=max(1, n_steps // 10))
    scheduler = LambdaLR(optimizer, share)
    losses, seconds = [], []
    for inputs, targets in tqdm(loader, desc=f"seed {seed}", leave=False):
        started = time.perf_counter()
        losses.append(train_step(model, optimizer, inputs, targets))
        seconds.append(time.perf_counter() - started)
        scheduler.step()
    return model.eval(), losses, seconds


class TokenCounts(nn.Module):
    """Predict every token by how often it stood in the text, whatever it is.

    Shapes: idx (B, T) -> logits (B, T, V).
    """

    def __init__(self, ids: Tensor, config: GPTConfig):
        super().__init__()
        self.config = config
        counts = torch.bincount(ids, minlength=config.vocab_size)
        self.logits = nn.Parameter((counts + 1.0).log())  # none is impossible

    def forward(self, idx: Tensor) -> Tensor:
        return self.logits.expand(*idx.shape, -1)


def paired_difference(
    bits: Iterable[float], of_gpt2: Iterable[float]
) -> tuple[float, float]:
    """The mean difference seed by seed, and half its 95% interval."""
    differences = [b - g for b, g in zip(bits, of_gpt2, strict=True)]
    n, mean = len(differences), sum(differences) / len(differences)
    if n < 2:
        return mean, math.nan
    error = stats.sem(differences)
    return mean, float(stats.t.ppf(0.975, n - 1) * error)


def tabulate(rows: Sequence[dict]) -> pd.DataFrame:
    """The rows of a record, one for each switch, with means over seeds.

    Units: weights; bits per byte of held-out documents, and their difference
    to GPT-2 of the same seeds with its 95% interval; seconds of a median step,
    of the fastest seed.
    """
    by_row = {}
    for row in rows:
        by_row.setdefault(row["row"], {})[row["seed"]] = row
    gpt2, table = by_row.get("GPT-2", {}), {}
    for name in (n for n in (COUNTS, *ROWS) if n in by_row):
        runs = by_row[name]
        bits = [run["bits_per_byte"] for run in runs.values()]
        seeds = [seed for seed in runs if seed in gpt2 and name != "GPT-2"]
        shown = ""
        if seeds:
            mean, half = paired_difference(
                (runs[seed]["bits_per_byte"] for seed in seeds),
                (gpt2[seed]["bits_per_byte"] for seed in seeds),
            )
            shown = f"{mean:+.3f} ± {half:.3f}"
        fastest = min(run["seconds_per_step"] for run in runs.values())
        table[name] = {
            "weights": f"{runs[min(runs)]['weights']:,}",
            "bits per byte": f"{sum(bits) / len(bits):.3f}",
            "against GPT-2": shown,
            "s per step": f"{fastest:.2f}" if fastest else "",
            "seeds": len(runs),
        }
    return pd.DataFrame(table).T


def measure_row(
    row: str,
    sizes: GPTConfig,
    ids: Tensor,
    seed: int,
    tokenizer: BPETokenizer,
    documents: Sequence[str],
    batch_size: int,
    lr: float,
) -> dict:
    """Train one row with one seed, and say how well it predicts documents."""
    if row == COUNTS:
        model, losses, seconds = TokenCounts(ids, sizes), [], [0.0]
    else:
        config = row_config(row, sizes)
        model, losses, seconds = train_row(config, ids, seed, batch_size, lr)
    bits = perplexity(model, tokenizer, documents)["bits per byte"]
    return {
        "row": row,
        "seed": seed,
        "bits_per_byte": round(bits, 5),
        "losses": [round(loss, 3) for loss in losses[9::10]],
        "weights": count_parameters(model),
        "seconds_per_step": round(sorted(seconds)[len(seconds) // 2], 4),
    }


def read_record(path: Path, settings: dict | None = None) -> list[dict]:
    """The rows of a record, none if there is no file.

    Raises: ValueError if it is damaged, or of other settings than these.
    """

    def is_row(row: dict) -> bool:
        return row["row"] in (COUNTS, *ROWS) and row["seed"] >= 0

    return read_rows(path, is_row, settings)


def run(args: argparse.Namespace) -> None:
    """Train the rows that the record lacks, seed by seed; print its table."""
    device = choose_device(args.device)
    course, tokenizer = load_pretrained("course")
    sizes = replace(
        course.config,
        emb_dim=args.emb_dim,
        n_layers=args.n_layers,
        context_length=args.context_length,
    )
    for row in ROWS:
        row_config(row, sizes)  # refuses sizes that make no sense
    path = Path(args.record)
    settings = {
        "steps": args.steps,
        "batch_size": args.batch_size,
        "lr": args.lr,
        "sizes": asdict(sizes),
    }
    rows = read_record(path, settings)
    known = {(row["row"], row["seed"]) for row in rows}
    documents = list(
        generate_documents(HELD_OUT_SEED, n_bytes=HELD_OUT_BYTES, held_out=True)
    )
    n_ids = args.steps * args.batch_size * args.context_length + 1
    for seed in range(args.seeds):
        missing = [r for r in (COUNTS, *ROWS) if (r, seed) not in known]
        if not missing:
            continue
        n_bytes = round(1.1 * n_ids * BYTES_PER_TOKEN) + 10_000  # enough
        ids = encode_documents(tokenizer, seed, n_bytes)[:n_ids]
        ids = torch.from_numpy(ids.astype("int64")).to(device)
        for row in missing:
            rows.append(
                measure_row(
                    row,
                    sizes,
                    ids,
                    seed,
                    tokenizer,
                    documents,
                    args.batch_size,
                    args.lr,
                )
            )
            write_rows(path, settings, rows)
            bits = rows[-1]["bits_per_byte"]
            print(f"{row}, seed {seed}: {bits:.3f} bits per byte", flush=True)
    print(tabulate(rows).to_string())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch05.bonus.gpt_to_llama",
        description="Train GPT-2 with each switch, and keep what it is worth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, default=3, help="runs of each row")
    add("--steps", type=int, default=200, help="of each run")
    add("--batch-size", type=int, default=8, help="windows for each step")
    add("--lr", type=float, default=3e-3, help="the peak of the learning rate")
    add("--emb-dim", type=int, default=256)
    add("--n-layers", type=int, default=4)
    add("--context-length", type=int, default=256)
    add("--record", default=str(RECORD), help="the file of rows")
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    args = parser.parse_args()
    check_least(args, seeds=1, steps=1, batch_size=1)
    check_rate(args.lr)
    return args


def main() -> None:
    replace_unprintable()
    with one_sentence("gpt_to_llama"):
        run(parse_arguments())


if __name__ == "__main__":
    main()
