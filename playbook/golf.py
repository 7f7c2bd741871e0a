"""Laptop golf: who gets the fewest bits per byte out of a fixed amount of computing?

Each player hands in a file of settings. Then the group agrees on a number, the
seed, from which corpus, order and first weights follow, and every file is
trained alike:

- BUDGET floating-point operations of training, by formula
  (ch04/bonus/speed.py): about ten CPU-minutes, and the same on every machine.
  They are divided among DRAWS trainings whose mean counts, with its noise;
- at most 8 MB for the weights in 16 bits and the vocabulary;
- measured on documents that nobody has read, in bits per byte.
"""

import hashlib
import json
import math
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import torch

from ch02.dataloader import create_dataloader
from ch02.tokenizer import BPETokenizer
from ch04.bonus.speed import training_flops
from ch04.gpt import GPTConfig, GPTModel, count_parameters
from ch05.bonus.training_at_scale import bits_per_byte
from ch05.course_model.corpus import generate_documents
from ch05.course_model.pretrain import encode_documents, warmup_cosine
from ch05.optimizers import MuonWithAdamW
from ch05.training_loop import train
from playbook.read import BadInput
from playbook.run import write_whole

BUDGET = 2 * 10**13  # floating-point operations
MOST_BYTES = 8 * 10**6
DRAWS = 4  # trainings of a round
PRACTICE = 8  # a practice round has so much less to compute
VOCABULARY_BYTES, TEST_BYTES = 1_000_000, 200_000
FEWEST_STEPS = 10


@dataclass(frozen=True)
class Settings:
    """What a player decides. The optimizer is muon or adamw."""

    name: str
    vocab_size: int = 1024
    n_layers: int = 3
    emb_dim: int = 128
    n_heads: int = 4
    context_length: int = 128
    batch_size: int = 16
    lr: float = 0.01
    optimizer: str = "muon"
    warmup: float = 0.1  # this share of the steps
    weight_decay: float = 0.1


def read_settings(path: str | Path) -> Settings:
    """The settings of a JSON file. Raises: BadInput that names what is wrong."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise BadInput(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read as JSON: {error}.") from None
    if not isinstance(found, dict):
        raise BadInput(f"{path} must hold one JSON object, with a name.")
    kinds = {field.name: field.type for field in fields(Settings)}
    if unknown := sorted(found.keys() - kinds.keys()):
        raise BadInput(f"{path}: {unknown[0]} is no setting; there are {', '.join(kinds)}.")
    if not isinstance(found.get("name"), str) or not found["name"].strip():
        raise BadInput(f"{path}: give the settings a name.")
    for name, value in found.items():
        if kinds[name] is int and (type(value) is not int or value < 1):
            raise BadInput(f"{path}: {name} is {value!r}, not a whole number above 0.")
        if kinds[name] is float and (type(value) not in (int, float) or not 0 <= value < math.inf):
            raise BadInput(f"{path}: {name} is {value!r}, not a number from 0.")
    settings = Settings(**found)
    if settings.optimizer not in ("muon", "adamw"):
        raise BadInput(f"{path}: optimizer is {settings.optimizer!r}, not muon or adamw.")
    if not 257 <= settings.vocab_size <= 65_535:
        raise BadInput(f"{path}: vocab_size is {settings.vocab_size}, not from 257 to 65535.")
    if settings.warmup >= 1:
        raise BadInput(f"{path}: warmup is {settings.warmup}, not a share below 1.")
    return settings


def make_model(settings: Settings, vocab_size: int) -> GPTModel:
    """A new model. Raises: BadInput if the sizes do not go together."""
    try:
        config = GPTConfig(
            vocab_size=vocab_size,
            context_length=settings.context_length,
            emb_dim=settings.emb_dim,
            n_heads=settings.n_heads,
            n_layers=settings.n_layers,
            drop_rate=0.0,
            qkv_bias=False,
            tie_weights=True,
        )
    except ValueError as error:
        raise BadInput(f"{settings.name}: {error}.") from None
    return GPTModel(config)


def make_optimizer(settings: Settings, model: GPTModel) -> torch.optim.Optimizer:
    if settings.optimizer == "muon":
        return MuonWithAdamW(model, settings.lr, settings.weight_decay)
    return torch.optim.AdamW(
        model.parameters(), settings.lr, betas=(0.9, 0.95), weight_decay=settings.weight_decay
    )


def n_bytes_of(model: GPTModel, tokenizer: BPETokenizer) -> int:
    """The size of a player's model: weights in 16 bits, and the tokens' bytes."""
    return 2 * count_parameters(model) + sum(map(len, tokenizer.ranks))


@torch.no_grad()
def round_to_16_bits(model: GPTModel) -> None:
    for weight in model.parameters():
        weight.copy_(weight.half())


def play(settings: Settings, seed: int, budget: int) -> dict:
    """Train as the rules say, and measure: a row of the board.

    The budget is divided among DRAWS trainings, each with other first weights and another order
    of the same corpus, and their mean counts: a single training owes too much to luck.
    Raises: BadInput if a rule is broken, or a training fails.
    """
    started, cpu = time.perf_counter(), time.process_time()
    texts = generate_documents(seed, None, VOCABULARY_BYTES)
    tokenizer = BPETokenizer.train("\n".join(texts), settings.vocab_size)
    model = make_model(settings, tokenizer.vocab_size)
    if (size := n_bytes_of(model, tokenizer)) > MOST_BYTES:
        raise BadInput(f"{settings.name}: {size / 1e6:.2f} MB are more than {MOST_BYTES / 1e6:g}.")
    step = training_flops(model.config, settings.batch_size, settings.context_length)
    if (n_steps := budget // DRAWS // step) < FEWEST_STEPS:
        raise BadInput(
            f"{settings.name}: the budget is enough for {n_steps} steps of each training, and "
            f"{FEWEST_STEPS} are needed: take a smaller model or batch."
        )
    n_tokens = n_steps * settings.batch_size * settings.context_length + 1
    held_out = list(generate_documents(seed + 1, None, TEST_BYTES, held_out=True))
    bytes_per_token = len("".join(held_out).encode()) / sum(
        len(tokenizer.encode_ordinary(text)) for text in held_out
    )
    n_bytes = round(1.15 * bytes_per_token * n_tokens) + 50_000
    ids = encode_documents(tokenizer, seed, n_bytes)[:n_tokens]
    bits = [
        bits_per_byte(train_once(settings, tokenizer.vocab_size, ids, luck), tokenizer, held_out)
        for luck in range(seed, seed + DRAWS)
    ]
    return {
        "name": settings.name,
        "bits_per_byte": round(mean(bits), 4),
        "noise": round(stdev(bits) / math.sqrt(DRAWS), 4),  # standard error of the mean
        "megabytes": round(size / 1e6, 2),
        "parameters": count_parameters(model),
        "tokens": n_tokens - 1,
        "steps": n_steps,
        "flops": budget,
        "seed": seed,
        "seconds": round(time.perf_counter() - started),
        "cpu_seconds": round(time.process_time() - cpu),
        "settings": asdict(settings),
        "digest": digest(settings, seed, budget),
    }


def train_once(settings: Settings, vocab_size: int, ids: np.ndarray, luck: int) -> GPTModel:
    """Train a model that reads each token once, and round it to 16 bits.

    Raises: BadInput if the training fails.
    """
    torch.manual_seed(luck)
    model = make_model(settings, vocab_size)
    idx = torch.from_numpy(ids.astype("int64"))
    loader = create_dataloader(idx, settings.context_length, settings.batch_size, seed=luck)
    optimizer, n_steps = make_optimizer(settings, model), len(loader)
    schedule = warmup_cosine(n_steps, n_warmup=max(1, round(settings.warmup * n_steps)))
    try:
        train(model, loader, optimizer, n_steps, schedule=schedule, clip=1.0)
    except ValueError as error:
        raise BadInput(f"{settings.name}: {error}.") from None
    round_to_16_bits(model)
    return model


def digest(settings: Settings, seed: int, budget: int) -> str:
    """What tells two rounds apart: settings, seed and budget, but not the player's name."""
    what = asdict(settings) | {"name": "", "seed": seed, "budget": budget}
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:12]


def read_board(path: Path) -> list[dict]:
    """The rows of a board. Raises: BadInput that names a line which is no row."""
    rows = []
    for number, line in enumerate(path.read_text("utf-8").splitlines() if path.exists() else [], 1):
        try:
            row = json.loads(line)
            float(row["bits_per_byte"]), float(row["noise"]), int(row["seed"]), str(row["digest"])
            rows.append(row)
        except (KeyError, TypeError, ValueError):
            raise BadInput(f"{path}, line {number} is no row of a board.") from None
    return rows


def show_board(rows: list[dict]) -> str:
    """The rows of each seed, the best first."""
    lines = []
    for seed in dict.fromkeys(row["seed"] for row in rows):
        lines.append(f"seed {seed}, {rows[0]['flops']:.0e} operations")
        of_seed = sorted((r for r in rows if r["seed"] == seed), key=lambda r: r["bits_per_byte"])
        for place, row in enumerate(of_seed, 1):
            lines.append(
                f"{place:3}  {row['bits_per_byte']:.4f} ± {row['noise']:.4f} bits per byte  "
                f"{row['megabytes']:5.2f} MB  {row['tokens']:>10,} tokens  {row['name']}"
            )
    return "\n".join(lines)


def golf(path: str, seed: int | None, board: Path, practice: bool) -> int:
    """Play a file of settings, write its row, show the board."""
    settings = read_settings(path)
    if practice:
        row = play(settings, seed or 0, BUDGET // PRACTICE)
        print(
            f"practice, 1/{PRACTICE} of the budget: {row['bits_per_byte']:.4f} "
            f"± {row['noise']:.4f} bits per byte, {row['megabytes']} MB, {row['seconds']} s; "
            "no row is written"
        )
        return 0
    if seed is None:
        raise BadInput("Agree on a number and give it as --seed, or play with --practice.")
    rows = read_board(board)
    mark = digest(settings, seed, BUDGET)
    if any(row.get("digest") == mark for row in rows):
        raise BadInput(f"{board} has these settings with seed {seed} already.")
    rows.append(play(settings, seed, BUDGET))
    write_whole(board, "".join(json.dumps(row) + "\n" for row in rows))
    print(show_board(rows))
    return 0
