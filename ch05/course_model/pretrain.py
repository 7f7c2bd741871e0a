"""Pretrain the course's own model: python -m ch05.course_model.pretrain

Writes the corpus of ch05.course_model.corpus, trains a vocabulary and a GPT on it, and leaves a
model folder that gpt_generate and Hugging Face transformers read. The same command, given again
after an interruption, goes on from the last checkpoint.
"""

import argparse
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from ch02.dataloader import create_dataloader
from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTConfig, GPTModel, choose_device, count_parameters
from ch05.checkpoints import (
    find_checkpoints,
    load_checkpoint,
    remove_drafts,
    save_checkpoint,
)
from ch05.course_model.card import after, describe_run, read_history, write_card
from ch05.course_model.corpus import BYTES_PER_TOKEN, generate_documents
from ch05.course_model.recall import measure as measure_recall
from ch05.gpt_weights import load_pretrained, save_pretrained
from ch05.optimizers import MuonWithAdamW
from ch05.precision import choose_precision
from ch05.training_loop import Progress, train
from course.files import written_whole
from course.terminal import replace_unprintable

VOCABULARY_BYTES = 3_000_000  # of the corpus: enough for a vocabulary of 2,048 tokens
VALIDATION_BYTES = 200_000  # of documents from another seed
PLACES = (
    "device",
    "work",
    "out",
    "start_from",
    "save_every",
)  # these may change while a run goes on
N_ASKED = 30  # facts of each kind that are asked for after each evaluation


def encode_documents(
    tokenizer: BPETokenizer,
    seed: int,
    n_bytes: int,
    held_out: bool = False,
    without: str | None = None,
) -> np.ndarray:
    """The ids of documents laid end to end, <|endoftext|> behind each, as 16-bit numbers."""
    end = tokenizer.special_tokens[END_OF_TEXT]
    ids = []
    with tqdm(total=n_bytes, unit="B", unit_scale=True, desc="writing and encoding") as bar:
        for document in generate_documents(seed, None, n_bytes, held_out, without):
            ids.append(np.array([*tokenizer.encode_ordinary(document), end], dtype=np.uint16))
            bar.update(len(document))
    return np.concatenate(ids)


def train_tokenizer(seed: int, vocab_size: int, join_digits: bool = False) -> BPETokenizer:
    """Train the vocabulary on the beginning of the corpus.

    Digits are taken out before, so that no merge joins them: each digit stays a token of its own,
    and a number is written digit by digit. With join_digits they stay in.
    """
    sample = "\n".join(generate_documents(seed, n_bytes=VOCABULARY_BYTES))
    return BPETokenizer.train(
        sample if join_digits else re.sub(r" ?[0-9]+", "\n", sample), vocab_size
    )


def prepare_tokenizer(folder: Path, seed: int, vocab_size: int) -> BPETokenizer:
    """Train the vocabulary, or read it if it is there."""
    path = folder / "vocabulary.tiktoken"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        train_tokenizer(seed, vocab_size).save(path)
    return BPETokenizer.load(path)


def prepare_ids(path: Path, tokenizer: BPETokenizer, seed: int, millions: float) -> torch.Tensor:
    """Write and encode the corpus, or read its ids if they are there."""
    if not path.exists():
        ids = encode_documents(tokenizer, seed, round(millions * 1e6 * BYTES_PER_TOKEN))
        with written_whole(path) as draft, open(draft, "wb") as out:
            np.save(out, ids)
    return torch.from_numpy(np.load(path).astype(np.int64))


def check_settings(path: Path, args: argparse.Namespace) -> None:
    """Keep the settings of a run beside it, and refuse to go on with others.

    Raises: ValueError that names the settings that differ.
    """
    settings = {name: value for name, value in vars(args).items() if name not in PLACES}
    if path.exists():
        saved = {"precision": "float32"} | json.loads(path.read_text(encoding="utf-8"))
        differ = [f"{k}={saved.get(k)}, not {v}" for k, v in settings.items() if saved.get(k) != v]
        if differ:
            raise ValueError(
                f"{path.parent} holds a run with {'; '.join(differ)}: give the same settings, or "
                "another --work folder"
            )
    else:
        with written_whole(path) as draft:
            draft.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def check_start(start: GPTConfig, config: GPTConfig, folder: str) -> None:
    """Refuse to go on from a model of another shape.

    Raises: ValueError that names what differs.
    """
    start, config = asdict(start), asdict(config) | {"vocab_size": start.vocab_size}
    differ = [f"{k}={start[k]}, not {v}" for k, v in config.items() if start[k] != v]
    if differ:
        raise ValueError(f"{folder} holds a model with {'; '.join(differ)}: give its settings")


def settled_precision(path: Path) -> str:
    """The precision of a run that goes on, wherever it does so; auto for one that begins."""
    if not path.exists():
        return "auto"
    return json.loads(path.read_text(encoding="utf-8")).get("precision", "float32")


def warmup_cosine(n_steps: int, n_warmup: int = 100, floor: float = 0.05):
    """The share of the peak learning rate at each step: up in a line, down in half a cosine."""

    def share(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / n_warmup
        done = (step - n_warmup) / max(1, n_steps - n_warmup)
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))

    return share


def run(
    model: GPTModel,
    tokenizer: BPETokenizer,
    ids: torch.Tensor,
    val_ids: np.ndarray,
    checkpoints: Path,
    args: argparse.Namespace,
) -> Progress:
    """Read ids once, with a learning rate that rises and falls; or go on from a checkpoint."""
    train_loader = create_dataloader(ids, args.context_length, args.batch_size, seed=args.seed)
    val_loader = create_dataloader(
        val_ids, args.context_length, args.batch_size, shuffle=False, drop_last=False
    )
    optimizer, progress = MuonWithAdamW(model, args.lr), Progress()
    n_steps = len(train_loader)
    remove_drafts(checkpoints)
    if found := find_checkpoints(checkpoints):
        progress = Progress(**load_checkpoint(found[0], model, optimizer)["progress"])
    print(f"{len(ids):,} tokens, {n_steps} steps")

    def after_step(progress: Progress, row: dict) -> None:
        if row["val_loss"] is None:
            return
        last = progress.history[-1]
        last["recall"] = measure_recall(model, tokenizer, N_ASKED)
        facts = {"step": progress.step, "progress": asdict(progress)}
        save_checkpoint(checkpoints, model, optimizer, facts)
        left = progress.seconds / progress.step * (n_steps - progress.step)
        recall = sum(last["recall"].values()) / len(last["recall"])
        tqdm.write(
            f"step {progress.step}/{n_steps}  train {last['train_loss']:.3f}  validation "
            f"{last['val_loss']:.3f}  facts {recall:.0%}  "
            f"{progress.tokens / progress.seconds:,.0f} tokens per second  {left / 60:.0f} minutes "
            "left"
        )

    return train(
        model,
        train_loader,
        optimizer,
        n_steps,
        val_loader,
        eval_every=args.save_every,
        schedule=warmup_cosine(n_steps),
        progress=progress,
        precision=args.precision,
        after_step=after_step,
    )


def pretrain(args: argparse.Namespace) -> None:
    """Train, or go on training, as the arguments say, and write the model folder at the end."""
    work = Path(args.work)
    config = GPTConfig(
        vocab_size=args.vocab_size,
        context_length=args.context_length,
        emb_dim=args.emb_dim,
        n_heads=args.n_heads,
        n_layers=args.n_layers,
        drop_rate=0.0,
        qkv_bias=True,
        tie_weights=True,
    )
    device = choose_device(args.device)
    args.precision = choose_precision(device, settled_precision(work / "settings.json"))
    check_settings(work / "settings.json", args)
    if args.start_from is None:
        start, tokenizer = None, prepare_tokenizer(work, args.seed, args.vocab_size)
    else:
        start, tokenizer = load_pretrained(args.start_from)
        check_start(start.config, config, args.start_from)
        read_history(args.start_from)
    val_ids = encode_documents(tokenizer, args.seed + 1, VALIDATION_BYTES, held_out=True)
    val_ids = val_ids.astype(np.int64)
    torch.manual_seed(args.seed)
    model = start or GPTModel(replace(config, vocab_size=tokenizer.vocab_size))
    model = model.float().to(device)
    print(f"{count_parameters(model):,} parameters on {device} in {args.precision}")
    ids = prepare_ids(work / "ids.npy", tokenizer, args.seed, args.tokens)
    progress = run(model, tokenizer, ids, val_ids, work / "checkpoints", args)
    save_pretrained(model.half(), args.out, tokenizer)
    # What is measured and described is what is in the file: the weights rounded to 16 bits.
    model, tokenizer = load_pretrained(args.out)
    settings = json.loads((work / "settings.json").read_text(encoding="utf-8"))
    history = describe_run(model.to(device), tokenizer, progress, settings, recipe_command(args))
    if args.start_from is not None:
        history = after(read_history(args.start_from), history)
    write_card(args.out, history)


def recipe_command(args: argparse.Namespace) -> str:
    """The command that repeats a run: whatever differs from the defaults, places aside."""
    differ = [
        f"--{name.replace('_', '-')} {value}"
        for name, value in vars(args).items()
        if name not in (*PLACES, "precision") and value != make_parser().get_default(name)
    ]
    return " ".join(["python -m ch05.course_model.pretrain", *differ])


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m ch05.course_model.pretrain",
        description="Pretrain the course's own model from its own corpus.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--tokens", type=float, default=16, help="millions of tokens to read, each once")
    add("--vocab-size", type=int, default=2048)
    add("--context-length", type=int, default=256)
    add("--emb-dim", type=int, default=256)
    add("--n-heads", type=int, default=4)
    add("--n-layers", type=int, default=4)
    add("--batch-size", type=int, default=16, help="windows for each step")
    add("--lr", type=float, default=3e-3, help="the peak of the learning rate")
    add("--seed", type=int, default=0)
    add("--start-from", help="a model folder to go on from, with its vocabulary; else from nothing")
    add("--save-every", type=int, default=250, help="steps between checkpoints and rows")
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    add("--work", default="runs/course-model", help="the folder for corpus and checkpoint")
    add("--out", default="runs/course-model/model", help="the folder for the model")
    return parser


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, and refuse what would only fail after hours."""
    parser = make_parser()
    args = parser.parse_args(arguments)
    for name in ("context_length", "batch_size", "save_every"):
        if getattr(args, name) < 1:
            parser.error(f"{name}={getattr(args, name)} must be at least 1")
    if not 257 <= args.vocab_size <= 2**16:
        parser.error(f"vocab_size={args.vocab_size} must be from 257 to 65536")
    if not 0 <= args.seed < 2**63:
        parser.error(f"seed={args.seed} must be at least 0 and below 2**63")
    if not 0 < args.lr < math.inf:
        parser.error(f"lr={args.lr} must be above 0, and finite")
    if not args.batch_size * args.context_length < args.tokens * 1e6 < math.inf:
        parser.error(f"tokens={args.tokens} must be more than a batch, and finite")
    return args


def main() -> None:
    replace_unprintable()
    args = parse_arguments()
    try:
        pretrain(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"pretrain: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("\npretrain: stopped; the same command goes on") from None


if __name__ == "__main__":
    main()
