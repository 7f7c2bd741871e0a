"""Train a GPT on any UTF-8 text: the loop of the lesson, and a small command.

    python -m ch05.gpt_train --text FILE --out FOLDER

Long runs, several processes and 16-bit products are the business of
ch05.pretrain.

Dimension key: B batch, T tokens, V vocabulary.
"""

import argparse
import hashlib
import json
import math
import pickle
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ch02.dataloader import STORY, create_dataloader, read_text
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel, choose_device, count_parameters
from ch05.files import saved_whole
from ch05.gpt_generate import generate
from ch05.gpt_weights import load_pretrained, save_pretrained
from course.language import say, translate_help
from course.terminal import replace_unprintable

IGNORE = -100  # a target that does not count, as in PyTorch's cross_entropy


def next_token_loss(model: GPTModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy of a batch; targets of -100 do not count.

    Shapes: inputs and targets (B, T) -> a number.
    """
    logits = model(inputs)  # (B, T, V)
    return F.cross_entropy(
        logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE
    )


@torch.no_grad()
def evaluate(model: GPTModel, loader: DataLoader) -> float:
    """The mean loss of a token, over all batches of a loader."""
    device, was_training = next(model.parameters()).device, model.training
    model.eval()  # no dropout
    total, n_tokens = 0.0, 0
    for inputs, targets in loader:
        loss = next_token_loss(model, inputs.to(device), targets.to(device))
        counted = int((targets != IGNORE).sum())
        total += loss.item() * counted
        n_tokens += counted
    model.train(was_training)
    return total / n_tokens


def train(
    model: GPTModel,
    train_loader: DataLoader,
    val_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    scheduler: LRScheduler | None = None,
    history: list[dict] | None = None,
    after_epoch: Callable[[list[dict]], None] | None = None,
) -> list[dict]:
    """Train until so many epochs are complete; history has a row for each.

    Given the history of a run that was stopped, it goes on from there.
    """
    history, device = list(history or []), next(model.parameters()).device
    for epoch in range(len(history), epochs):
        train_loader.generator.manual_seed(epoch)  # the order of the batches
        model.train()
        losses = []
        for inputs, targets in train_loader:
            inputs, targets = inputs.to(device), targets.to(device)
            loss = next_token_loss(model, inputs, targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            losses.append(loss.item())
        row = {
            "epoch": epoch + 1,
            "step": (epoch + 1) * len(losses),
            "train_loss": sum(losses) / len(losses),
            "val_loss": evaluate(model, val_loader),
        }
        history.append(row)
        if after_epoch is not None:
            after_epoch(history)
    return history


def save_checkpoint(
    path: str | Path,
    model: GPTModel,
    optimizer: Optimizer,
    history: list[dict],
    scheduler: LRScheduler | None = None,
) -> None:
    """Write, whole or not at all, what a training needs to go on."""
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict() if scheduler else None,
        "random": [torch.get_rng_state(), *torch.cuda.get_rng_state_all()],
        "history": history,
    }
    with saved_whole(path) as draft:
        torch.save(checkpoint, draft)


def load_checkpoint(
    path: str | Path,
    model: GPTModel,
    optimizer: Optimizer,
    scheduler: LRScheduler | None = None,
) -> list[dict]:
    """Put everything back as it was when it was saved; return the history."""
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(checkpoint["scheduler"])
    cpu, *gpus = checkpoint["random"]
    torch.set_rng_state(cpu)
    torch.cuda.set_rng_state_all(gpus)
    return checkpoint["history"]


def parse_arguments() -> argparse.Namespace:
    """Read the command line.

    Raises: ValueError for a setting that no training can have.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ch05.gpt_train",
        description="Train a GPT on a text; gpt_generate writes with it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--text", default=str(STORY), help="a UTF-8 text file")
    add("--vocab-size", type=int, default=1024, help="tokens to learn")
    add("--context-length", type=int, default=128, help="tokens of a window")
    add("--epochs", type=int, default=20, help="times the text is read")
    add("--batch-size", type=int, default=8, help="windows for each step")
    add("--lr", type=float, default=1e-3, help="AdamW's learning rate")
    add("--seed", type=int, default=123, help="of the first weights")
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    add("--prompt", default="On Thursday", help="the samples go on from it")
    add("--out", default="runs/story", help="the folder for the model")
    add("--resume", action="store_true", help="go on with the run in --out")
    args = translate_help(parser).parse_args()
    if not 0 <= args.seed < 2**63:
        parser.error(f"--seed {args.seed} must be at least 0, below 2**63")
    least = {"epochs": 1, "batch_size": 1, "context_length": 1}
    for name, low in (least | {"vocab_size": 257}).items():
        if (value := getattr(args, name)) < low:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} {value} must be at least {low}")
    if not 0 < args.lr < math.inf:
        raise ValueError(f"--lr {args.lr} must be above 0, and finite")
    if not args.prompt:
        raise ValueError("the --prompt is empty: nothing can follow it")
    return args


def check_folder(args: argparse.Namespace) -> None:
    """Let a run go on only as it began, and let none replace another.

    Raises: ValueError that says what is in the folder, or what differs.
    """
    out = Path(args.out)
    kept = [
        n for n in ("checkpoint.pt", "model.safetensors") if (out / n).exists()
    ]
    if not args.resume and kept:
        raise ValueError(
            f"{out} holds {kept[0]} of another run: go on with --resume and more --epochs, take "
            "another --out folder, or delete that one"
        )
    if not args.resume:
        return
    if not (out / "checkpoint.pt").exists():
        raise ValueError(f"there is no run to resume in {out}")
    saved = json.loads((out / "settings.json").read_text(encoding="utf-8"))
    for name, value in settings_of(args).items():
        if saved.get(name) != value:
            raise ValueError(
                f"the run in {out} has {name}={saved.get(name)}, not {value}: a run goes on as "
                "it began"
            )


def settings_of(args: argparse.Namespace) -> dict:
    """What must not change when a run goes on."""
    text = Path(args.text).read_bytes()
    names = ("vocab_size", "context_length", "batch_size", "lr", "seed")
    return {name: getattr(args, name) for name in names} | {
        "text": hashlib.sha256(text).hexdigest()
    }


def make_loaders(
    args: argparse.Namespace, tokenizer: BPETokenizer, parts: list[str]
) -> list[DataLoader]:
    """Windows of the part to train on, and of the part that is held back.

    Raises: ValueError if the text is too short for the settings.
    """
    train_ids, val_ids = map(tokenizer.encode_ordinary, parts)
    length, size = args.context_length, args.batch_size
    if (len(train_ids) - 1) // length < size or len(val_ids) <= length:
        raise ValueError(
            f"{args.text} is too short for these settings: its {len(train_ids)} tokens for "
            f"training must make {size} windows of --context-length {length} (--batch-size "
            f"{size}), and its {len(val_ids)} tokens for validation one window"
        )
    return [
        create_dataloader(train_ids, length, size),
        create_dataloader(
            val_ids, length, size, shuffle=False, drop_last=False
        ),
    ]


def run(args: argparse.Namespace) -> None:
    """Train as the arguments say, and leave the model in the --out folder."""
    out, device = Path(args.out), choose_device(args.device)
    text = read_text(args.text)
    check_folder(args)
    cut = len(text) * 9 // 10
    parts = [text[:cut], text[cut:]]
    if args.resume:
        model, tokenizer = load_pretrained(out)
    else:
        tokenizer = BPETokenizer.train(parts[0][: max(1, cut)], args.vocab_size)
        torch.manual_seed(args.seed)
        sizes = {"emb_dim": 128, "n_layers": 4, "n_heads": 4, "qkv_bias": True}
        config = GPTConfig(
            tokenizer.vocab_size,
            args.context_length,
            drop_rate=0.0,
            tie_weights=True,
            **sizes,
        )
        model = GPTModel(config)
    model.to(device)
    loaders = make_loaders(args, tokenizer, parts)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=args.lr, weight_decay=0.1
    )
    prompt = torch.tensor(
        [tokenizer.encode_ordinary(args.prompt)], device=device
    )
    history = []
    if args.resume:
        history = load_checkpoint(out / "checkpoint.pt", model, optimizer)
        print(
            say(
                "{n} of {all} epochs are complete",
                n=len(history),
                all=args.epochs,
            )
        )
    print(
        say(
            "{text}: {n} training windows, vocabulary {size}",
            text=args.text,
            n=len(loaders[0].dataset),
            size=tokenizer.vocab_size,
        )
    )
    print(
        say(
            "{n:,} parameters on {device}; an untrained loss is about {loss:.2f}",
            n=count_parameters(model),
            device=device,
            loss=math.log(tokenizer.vocab_size),
        )
    )

    def sample(n_tokens: int) -> str:
        draw = torch.Generator().manual_seed(args.seed)
        ids = generate(model, prompt, n_tokens, 0.7, top_p=0.9, generator=draw)
        return tokenizer.decode(ids[0])

    def after_epoch(history: list[dict]) -> None:
        row = history[-1]
        losses = row["train_loss"], row["val_loss"]
        if not math.isfinite(sum(losses)):
            raise ValueError(
                f"the loss is {sum(losses)}: lower the learning rate"
            )
        save_pretrained(model, out, tokenizer)
        with saved_whole(out / "settings.json") as draft:
            draft.write_text(
                json.dumps(settings_of(args)) + "\n", encoding="utf-8"
            )
        save_checkpoint(out / "checkpoint.pt", model, optimizer, history)
        said = say(
            "epoch {epoch:3d}  train loss {train:.3f}  validation loss {val:.3f}",
            epoch=row["epoch"],
            train=losses[0],
            val=losses[1],
        )
        tqdm.write(f"{said}  | {' '.join(sample(16).split())}")

    started, before = time.perf_counter(), len(history)
    history = train(
        model, *loaders, optimizer, args.epochs, None, history, after_epoch
    )
    seconds = time.perf_counter() - started
    n_steps = (len(history) - before) * len(loaders[0])
    n_tokens = n_steps * args.batch_size * args.context_length
    best = min(history, key=lambda row: row["val_loss"])
    print(f"\n{sample(120)}\n")
    print(
        say(
            "{n:,} tokens in {seconds:.1f} s: {speed:,.0f} tokens per second",
            n=n_tokens,
            seconds=seconds,
            speed=n_tokens / seconds,
        )
    )
    print(
        say(
            "the validation loss was lowest after epoch {best} of {n}; model in {out}",
            best=best["epoch"],
            n=len(history),
            out=out,
        )
    )
    among = math.exp(best["val_loss"])
    print(
        say(
            "{loss:.2f} is the loss of a choice among {among:,.0f} of the {size:,} tokens, all "
            "alike",
            loss=best["val_loss"],
            among=among,
            size=tokenizer.vocab_size,
        )
    )
    if history[-1]["val_loss"] > best["val_loss"]:
        print(
            say(
                "after that it rose again, as it does when a model learns its text by heart: a "
                "longer text serves it better than more epochs"
            )
        )


def main() -> None:
    replace_unprintable()
    args = None
    try:
        args = parse_arguments()
        run(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"gpt_train: {error}") from None
    except (RuntimeError, KeyError, pickle.UnpicklingError):
        if not (args and args.resume):
            raise
        reason = "it was cut off, or is of another training"
        raise SystemExit(
            f"gpt_train: {args.out} cannot be gone on with: {reason}"
        ) from None
    except KeyboardInterrupt:
        way = "stopped; with --resume it goes on after the last complete epoch"
        raise SystemExit(f"\ngpt_train: {say(way)}") from None


if __name__ == "__main__":
    main()
