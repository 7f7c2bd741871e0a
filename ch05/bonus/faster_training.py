"""Train fast and long: some rows of the loss at a time, processes, precision.

    python -m ch05.bonus.faster_training --text FILE --out FOLDER
    torchrun --nproc-per-node 2 -m ch05.bonus.faster_training --text FILE

The second command is the same on two processes. torchrun needs libuv, which
PyTorch for Windows lacks: there, start the command once for each process, with
RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT set.

Dimension key: B batch, T tokens, C embedding, V vocabulary, N = B T.
"""

import argparse
import hashlib
import json
import math
import os
import pickle
import re
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ch02.dataloader import STORY, create_dataloader, read_text
from ch02.tokenizer import BPETokenizer, gpt2_ranks
from ch04.gpt import (
    GPT2_SIZES,
    GPTConfig,
    GPTModel,
    choose_device,
    count_parameters,
)
from ch04.kv_cache import evaluating
from ch05.files import saved_whole
from ch05.gpt_generate import generate
from ch05.gpt_train import IGNORE
from ch05.gpt_weights import save_pretrained
from ch05.precision import autocast, choose_precision
from course.terminal import replace_unprintable


class HeadLoss(torch.autograd.Function):
    """The output layer and its cross-entropy in one, some rows at a time.

    All logits of a batch at once are the largest tensor of a training step.
    Their gradient is known as soon as they are (softmax minus one-hot), so
    each part is used up before the next.
    Shapes: x (N, C), weight (V, C), targets (N,) -> a number, the mean loss.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        n_rows = max(1, 2**25 // len(weight))  # 128 MiB of logits at a time
        n_targets = (targets != IGNORE).sum().clamp(min=1)
        loss = x.new_zeros(())
        learn = any(ctx.needs_input_grad)
        if learn:
            grad_x, grad_weight = torch.empty_like(x), torch.empty_like(weight)
        for start in range(0, len(x), n_rows):
            rows = slice(start, start + n_rows)
            log_probs = (x[rows] @ weight.T).log_softmax(dim=-1)  # (n_rows, V)
            loss += F.nll_loss(
                log_probs, targets[rows], ignore_index=IGNORE, reduction="sum"
            )
            if learn:
                counted = (targets[rows] != IGNORE).unsqueeze(1).to(x.dtype)
                grad = log_probs.exp_()  # softmax ...
                grad.scatter_add_(
                    1, targets[rows].clamp(min=0).unsqueeze(1), -counted
                )
                # ... minus one-hot, and nothing where ignored.
                grad *= counted / n_targets
                torch.mm(grad, weight, out=grad_x[rows])
                # 0: nothing there yet.
                grad_weight.addmm_(grad.T, x[rows], beta=int(start > 0))
        if learn:
            ctx.save_for_backward(grad_x, grad_weight)
        return loss / n_targets

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output: Tensor) -> tuple:
        grad_x, grad_weight = ctx.saved_tensors
        # It is 1 where the loss itself is what backward() started from.
        if grad_output != 1:
            grad_x, grad_weight = (
                grad_x * grad_output,
                grad_weight * grad_output,
            )
        return grad_x, grad_weight, None


def fast_loss(model: GPTModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy of a batch; targets of -100 do not count.

    Under autocast it is PyTorch's own, in float32: HeadLoss is not made for
    16 bits.
    Shapes: inputs and targets (B, T) -> a number.
    """
    x = model.features(inputs).flatten(0, 1)  # (N, C)
    targets = targets.flatten()  # (N,)
    if torch.is_autocast_enabled(x.device.type):
        logits = model.out_head(x).float()  # (N, V)
        total = F.cross_entropy(
            logits, targets, ignore_index=IGNORE, reduction="sum"
        )
        return total / (targets != IGNORE).sum().clamp(min=1)
    return HeadLoss.apply(x, model.out_head.weight, targets)


@torch.no_grad()
def fast_evaluate(
    model: GPTModel,
    loader: DataLoader,
    n_batches: int | None = None,
    precision: str = "float32",
) -> float:
    """The mean loss of a token in a loader's first n_batches (None: in all).

    Raises: ValueError if no target counts.
    """
    device = next(model.parameters()).device
    total, n_targets = 0.0, 0
    with evaluating(model):
        for inputs, targets in islice(loader, n_batches):
            counted = int((targets != IGNORE).sum())
            with autocast(device, precision):
                loss = fast_loss(model, inputs.to(device), targets.to(device))
            total += loss.item() * counted
            n_targets += counted
    if n_targets == 0:
        raise ValueError(
            "these batches hold no target that counts: nothing to evaluate"
        )
    return total / n_targets


def processes() -> tuple[int, int]:
    """This process's number and how many there are: (0, 1) without torchrun."""
    return (
        (dist.get_rank(), dist.get_world_size())
        if dist.is_initialized()
        else (0, 1)
    )


def average_over_processes(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in one exchange."""
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for tensor, mean in zip(
        tensors, flat.split([tensor.numel() for tensor in tensors])
    ):
        tensor.copy_(mean.view_as(tensor))


@dataclass
class Progress:
    """How far a training has come: what it needs, beside the rest, to go on."""

    epoch: int = 0  # complete epochs
    batch: int = 0  # batches taken from the epoch that has begun
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    # The loader's; epoch number e is shuffled with seed + e.
    seed: int | None = None
    # One for each step since the last row of history.
    losses: list[float] = field(default_factory=list)
    # A row for each evaluation.
    history: list[dict] = field(default_factory=list)


def train_step(
    model: GPTModel,
    optimizer: Optimizer,
    inputs: Tensor,
    targets: Tensor,
    precision: str = "float32",
) -> float:
    """Make one step on a batch and return its loss.

    Under torchrun each process takes a share of the batch.
    Raises: ValueError if the batch cannot be shared out equally, or the loss
    is not finite; the model is unchanged then.
    """
    device = next(model.parameters()).device
    rank, world = processes()
    if len(inputs) % world:
        raise ValueError(
            f"a batch of {len(inputs)} cannot be shared by {world} processes"
        )
    inputs, targets = (
        inputs[rank::world].to(device),
        targets[rank::world].to(device),
    )
    # Only the matrix products: weights and steps are in float32.
    with autocast(device, precision):
        loss = fast_loss(model, inputs, targets)
    optimizer.zero_grad()
    loss.backward()
    loss = loss.detach()
    if world > 1:
        average_over_processes([loss, *(p.grad for p in model.parameters())])
    if not loss.isfinite():
        raise ValueError(f"the loss is {loss.item()}: lower the learning rate")
    optimizer.step()
    return loss.item()


def fast_train(
    model: GPTModel,
    train_loader: DataLoader,
    val_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    eval_every: int = 50,
    eval_batches: int | None = None,
    scheduler: LRScheduler | None = None,
    progress: Progress | None = None,
    max_steps: int | None = None,
    after_epoch: Callable[[Progress], None] | None = None,
    precision: str = "float32",
) -> Progress:
    """Train until epochs (or max_steps) are complete, or go on from progress.

    Every eval_every steps, and at the end of each epoch, history gets a row:
    step, epoch, tokens seen, mean training loss since the last row, validation
    loss, learning rate.
    Raises: ValueError as train_step, or if eval_every is below 1, progress is
    of another loader, or the validation loss is not finite.
    """
    progress = progress or Progress(seed=train_loader.generator.initial_seed())
    if eval_every < 1:
        raise ValueError(f"eval_every={eval_every} must be at least 1")
    if progress.batch > (n := len(train_loader)):
        raise ValueError(
            f"{progress.batch} batches of an epoch are done, but the loader "
            f"has {n}"
        )
    if progress.step != progress.epoch * n + progress.batch:
        raise ValueError(
            f"{progress.step} steps were made in {progress.epoch} epochs and "
            f"{progress.batch} batches, but the loader has {n} batches an "
            "epoch: it is another one"
        )
    last_step = epochs * len(train_loader)
    if max_steps is not None:
        last_step = min(last_step, max_steps)
    bar = tqdm(
        total=last_step,
        initial=progress.step,
        desc="training",
        disable=processes()[0] > 0,
    )
    model.train()
    while progress.step < last_step:
        train_loader.generator.manual_seed(progress.seed + progress.epoch)
        # What a stopped run has already taken from its epoch is passed over.
        for inputs, targets in islice(train_loader, progress.batch, None):
            started = time.perf_counter()
            progress.losses.append(
                train_step(model, optimizer, inputs, targets, precision)
            )
            progress.seconds += time.perf_counter() - started
            progress.tokens += targets.numel()
            progress.step += 1
            progress.batch += 1
            bar.update()
            if progress.step % eval_every == 0 or progress.batch == len(
                train_loader
            ):
                row = {
                    "step": progress.step,
                    "epoch": progress.epoch + 1,
                    "tokens": progress.tokens,
                    "train_loss": sum(progress.losses) / len(progress.losses),
                    "val_loss": fast_evaluate(
                        model, val_loader, eval_batches, precision
                    ),
                    "learning_rate": optimizer.param_groups[0]["lr"],
                }
                # The last step has spoiled the weights.
                if not math.isfinite(row["val_loss"]):
                    raise ValueError(
                        f"the validation loss is {row['val_loss']}: lower "
                        "the learning rate"
                    )
                progress.history.append(row)
                progress.losses.clear()
                bar.set_postfix(
                    {
                        name: f"{row[name]:.3f}"
                        for name in ("train_loss", "val_loss")
                    }
                )
            if scheduler is not None:
                scheduler.step()
            if progress.step == last_step:
                break
        if progress.batch == len(train_loader):
            progress.epoch, progress.batch = progress.epoch + 1, 0
            if after_epoch is not None:
                after_epoch(progress)
    bar.close()
    return progress


def save_progress(
    path: str | Path,
    model: GPTModel,
    optimizer: Optimizer,
    progress: Progress,
    scheduler: LRScheduler | None = None,
) -> None:
    """Write, whole or not at all, everything that a training needs to go on."""
    checkpoint = {
        "config": asdict(model.config),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict() if scheduler else None,
        "progress": vars(progress),
        "random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all()
        if torch.cuda.is_available()
        else [],
    }
    with saved_whole(path) as draft:
        torch.save(checkpoint, draft)


def load_progress(
    path: str | Path,
    model: GPTModel,
    optimizer: Optimizer,
    scheduler: LRScheduler | None = None,
) -> Progress:
    """Put everything back as it was when it was saved; return the progress.

    Raises: FileNotFoundError, or ValueError if the file is damaged or is of
    another training.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError):
        reason = "it was cut off, or holds a program, which is never run"
        raise ValueError(
            f"{path} is not a whole checkpoint: {reason}"
        ) from None
    if not isinstance(checkpoint, dict):
        raise ValueError(
            f"{path} is not a whole checkpoint: no training is in it"
        )
    try:
        for name, value in asdict(model.config).items():
            if (saved := checkpoint["config"][name]) != value:
                raise ValueError(
                    f"it is of a model with {name}={saved}, not {value}"
                )
        weights, own = checkpoint["model"], model.state_dict()
        wrong = [
            n
            for n in weights.keys() | own.keys()
            if n not in weights or n not in own
        ]
        wrong += [
            n
            for n in own.keys() - set(wrong)
            if weights[n].shape != own[n].shape
        ]
        if wrong:
            raise ValueError(f"its weight {min(wrong)} does not fit the model")
        progress = Progress(**checkpoint["progress"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        for parameter, state in optimizer.state.items():
            if any(
                value.ndim and value.shape != parameter.shape
                for value in state.values()
            ):
                raise ValueError(
                    "the optimizer's averages are of other shapes than "
                    "the weights"
                )
        if scheduler is not None:
            scheduler.load_state_dict(checkpoint["scheduler"])
        torch.set_rng_state(checkpoint["random"])
        if torch.cuda.is_available():
            cuda_random = checkpoint["cuda_random"][: torch.cuda.device_count()]
            torch.cuda.set_rng_state_all(cuda_random)
        model.load_state_dict(weights)
    except KeyError as error:
        raise ValueError(
            f"{path} is not a whole checkpoint: {error} is missing"
        ) from None
    except (
        AttributeError,
        IndexError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{path} is not a checkpoint of this training: {reason}"
        ) from None
    return progress


MODEL_SIZES = {
    "small": {"emb_dim": 128, "n_layers": 4, "n_heads": 4}
} | GPT2_SIZES


def option(name: str) -> str:
    """A setting as the command line has it: vocab_size is --vocab-size."""
    return f"--{name.replace('_', '-')}"


def parse_arguments() -> argparse.Namespace:
    """Read the command line; with --resume, what it does not say is as in the saved run.

    Raises: ValueError for a setting that no training can have.
    """
    parser = argparse.ArgumentParser(
        prog="python -m ch05.bonus.faster_training",
        description="Pretrain a GPT on a text; the model lands in a folder for gpt_generate.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--text", default=str(STORY), help="a UTF-8 text file")
    add(
        "--tokenizer",
        choices=("own", "gpt2"),
        default="own",
        help="trained on the text, or GPT-2",
    )
    add(
        "--vocab-size",
        type=int,
        default=1024,
        help="tokens of the own tokenizer",
    )
    add(
        "--model-size",
        choices=MODEL_SIZES,
        default="small",
        help="width, layers and heads",
    )
    add(
        "--context-length",
        type=int,
        default=128,
        help="tokens that the model reads at once",
    )
    add(
        "--drop-rate",
        type=float,
        default=0.0,
        help="dropout; on a CPU it costs much time",
    )
    add("--epochs", type=int, default=60)
    add("--batch-size", type=int, default=8, help="windows for each step")
    add("--lr", type=float, default=1e-3, help="AdamW's learning rate")
    add("--weight-decay", type=float, default=0.1)
    add("--seed", type=int, default=123)
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    add("--prompt", default="On Thursday", help="the sample goes on from it")
    add(
        "--out",
        default="runs/story",
        help="the folder for model and checkpoint",
    )
    add(
        "--resume",
        action="store_true",
        help="go on with the run in the --out folder",
    )
    args = parser.parse_args()
    if args.resume:
        saved = read_settings(Path(args.out))
        if not saved:
            parser.error(f"there is no run to resume in {args.out}")
        parser.set_defaults(
            **{name: saved[name] for name in vars(args) if name in saved}
        )
        args = parser.parse_args()
    if not 0 <= args.seed < 2**63:
        parser.error(f"--seed {args.seed} must be at least 0 and below 2**63")
    least = {"epochs": 1, "batch_size": 1, "context_length": 1}
    least |= {"vocab_size": 257}  # the single bytes and <|endoftext|>
    for name, low in least.items():
        if (value := getattr(args, name)) < low:
            raise ValueError(f"{option(name)} {value} must be at least {low}")
    if not 0 < args.lr < math.inf:
        raise ValueError(f"--lr {args.lr} must be above 0, and finite")
    if not 0 <= args.weight_decay < math.inf:
        raise ValueError(
            f"--weight-decay {args.weight_decay} must be at least 0, and finite"
        )
    if not 0 <= args.drop_rate < 1:
        raise ValueError(
            f"--drop-rate {args.drop_rate} must be at least 0 and below 1"
        )
    if not args.prompt:
        raise ValueError(
            "the --prompt is empty: the sample has to start from something"
        )
    return args


def read_settings(out: Path) -> dict:
    """The settings of the run in a folder, empty if there is none.

    Raises: ValueError if they cannot be read.
    """
    path = out / "settings.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}): take another --out folder"
        ) from None
    if not isinstance(settings, dict):
        raise ValueError(
            f"{path} is damaged (no settings are in it): take another --out folder"
        )
    return settings


def complete_epochs(checkpoint: Path) -> int:
    """How many epochs of a run its checkpoint says are complete; 0 if there is no whole one."""
    try:
        return torch.load(checkpoint, mmap=True, weights_only=True)["progress"][
            "epoch"
        ]
    # Whatever is wrong with the file, nobody may take it for a finished run.
    except Exception:
        return 0


def check_run(args: argparse.Namespace, settings: dict) -> None:
    """Let a run go on only as it began, and let none take the place of another.

    Raises: ValueError that says what differs, or what the folder holds.
    """
    out, saved = Path(args.out), read_settings(Path(args.out))
    may_change = ("text", "prompt", "epochs" if args.resume else "precision")
    named = {
        "text_sha256": f"another text than {args.text} holds now",
        "vocabulary_sha256": "another vocabulary",
        "precision": f"COURSE_PRECISION={saved.get('precision')}, not {settings['precision']}",
    }
    differ = ", ".join(
        named.get(name, f"{option(name)} {saved.get(name)}, not {value}")
        for name, value in settings.items()
        if name not in may_change and saved.get(name) != value
    )
    if args.resume:
        if differ:
            raise ValueError(
                f"the run in {out} has {differ}: a run goes on as it began, so start this one "
                "without --resume in another --out folder"
            )
        return
    kept = [
        name
        for name in ("checkpoint.pt", "model.safetensors")
        if (out / name).exists()
    ]
    if kept and differ:
        what = (
            f"another run, with {differ}"
            if saved
            else f"{kept[0]} of something else"
        )
        raise ValueError(
            f"{out} holds {what}: take another --out folder, or delete that one"
        )
    if (
        "checkpoint.pt" in kept
        and complete_epochs(out / "checkpoint.pt") < args.epochs
    ):
        raise ValueError(
            f"{out} holds this run, stopped before its end: go on with --resume, or delete the "
            "folder to start anew"
        )


def encode_parts(
    tokenizer: BPETokenizer, text: str, n_characters: int = 2**20
) -> np.ndarray:
    """The ids of a text, encoded part by part, which takes a fraction of the memory.

    A part ends before a space or a line break that follows another character: a token never
    crosses that place. Nothing in the text is special: whatever stands there is the user's own.
    """
    places, parts, start = re.compile(r"(?<=\S)[ \n]"), [], 0
    with tqdm(
        total=len(text),
        desc="encoding",
        unit_scale=True,
        disable=len(text) < 10**6,
    ) as bar:
        while start < len(text):
            place = places.search(text, start + n_characters)
            end = place.start() if place else len(text)
            parts.append(
                np.array(
                    tokenizer.encode_ordinary(text[start:end]), dtype=np.int32
                )
            )
            bar.update(end - start)
            start = end
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int32)


def load_data(
    args: argparse.Namespace,
) -> tuple[BPETokenizer, DataLoader, DataLoader, dict]:
    """Read and tokenize the text; its last tenth is for validation, the rest for training.

    A run that goes on keeps its vocabulary. The digests of text and vocabulary come with the data.
    Raises: ValueError if the text is too short for the settings.
    """
    text = read_text(args.text)
    if len(text) > 10**6 and processes()[0] == 0:
        learned = (
            ""
            if args.tokenizer == "gpt2" or args.resume
            else ", and learning a vocabulary"
        )
        print(
            f"reading {len(text):,} characters of {args.text}{learned}",
            flush=True,
        )
    cut = len(text) * 9 // 10
    vocabulary = Path(args.out) / "vocabulary.tiktoken"
    if args.resume and vocabulary.exists():
        try:
            tokenizer = BPETokenizer.load(vocabulary)
        except ValueError as error:
            raise ValueError(f"{vocabulary}: {error}") from None
    elif args.tokenizer == "gpt2":
        tokenizer = BPETokenizer(gpt2_ranks())
    else:
        tokenizer = BPETokenizer.train(text[: max(1, cut)], args.vocab_size)
    train_ids, val_ids = (
        encode_parts(tokenizer, part) for part in (text[:cut], text[cut:])
    )
    window = f"--context-length {args.context_length}"
    n_windows = max(0, len(train_ids) - 1) // args.context_length
    if n_windows < args.batch_size:
        raise ValueError(
            f"{args.text} is too short for these settings: its {len(train_ids)} tokens for "
            f"training make {n_windows} windows of {window}, and --batch-size {args.batch_size} "
            "needs as many"
        )
    if len(val_ids) <= args.context_length:
        raise ValueError(
            f"{args.text} is too short for these settings: its last tenth is for validation, and "
            f"has {len(val_ids)} tokens, not even one more than {window}"
        )
    return (
        tokenizer,
        create_dataloader(
            train_ids, args.context_length, args.batch_size, seed=args.seed
        ),
        create_dataloader(
            val_ids,
            args.context_length,
            args.batch_size,
            shuffle=False,
            drop_last=False,
        ),
        {
            "text_sha256": hashlib.sha256(text.encode()).hexdigest(),
            "vocabulary_sha256": hashlib.sha256(
                repr(tokenizer.ranks).encode()
            ).hexdigest(),
        },
    )


def join_processes(args: argparse.Namespace) -> None:
    """Join the other processes that torchrun has started, each with a device of its own.

    Raises: ValueError if they cannot share a batch.
    """
    # The optimizer imports this. When the import comes after the processes have joined, their
    # group outlives destroy_process_group(), and a thread of gloo can abort the process.
    from torch import _dynamo  # noqa: F401

    # So torchrun ends all for one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    on_cuda = torch.cuda.is_available() and args.device != "cpu"
    dist.init_process_group("nccl" if on_cuda else "gloo")
    args.device = f"cuda:{os.environ['LOCAL_RANK']}" if on_cuda else "cpu"
    world = dist.get_world_size()
    if args.batch_size % world:
        raise ValueError(
            f"--batch-size {args.batch_size} cannot be shared by {world} processes"
        )


def agree_on_precision(args: argparse.Namespace, device: torch.device) -> str:
    """The precision of a run: as it was if it goes on, and the same for all processes."""
    before = (
        read_settings(Path(args.out)).get("precision", "float32")
        if args.resume
        else "auto"
    )
    agreed = [choose_precision(device, before)]
    if dist.is_initialized():
        dist.broadcast_object_list(agreed, device=device)
    return agreed[0]


def run(args: argparse.Namespace) -> None:
    """Train as the arguments say, report on the terminal, leave the model in the --out folder."""
    if "RANK" in os.environ:  # started by torchrun, once for each process
        join_processes(args)
    is_first = processes()[0] == 0
    device = choose_device(args.device)
    precision = agree_on_precision(args, device)
    tokenizer, train_loader, val_loader, digests = load_data(args)
    places = ("resume", "device", "out")
    settings = {
        name: value for name, value in vars(args).items() if name not in places
    }
    settings |= {"precision": precision, **digests}
    check_run(args, settings)
    torch.manual_seed(args.seed)
    config = GPTConfig(
        **MODEL_SIZES[args.model_size],
        vocab_size=tokenizer.vocab_size,
        context_length=args.context_length,
        drop_rate=args.drop_rate,
        tie_weights=True,
    )
    model = GPTModel(config).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=args.lr,
        weight_decay=args.weight_decay,
        fused=True,
    )
    out, checkpoint = Path(args.out), Path(args.out) / "checkpoint.pt"
    progress = None
    if args.resume and checkpoint.exists():
        progress = load_progress(checkpoint, model, optimizer)
        if progress.epoch > args.epochs:
            raise ValueError(
                f"the run in {out} has {progress.epoch} complete epochs already, more than "
                f"--epochs {args.epochs}"
            )
    prompt = torch.tensor(
        [tokenizer.encode_ordinary(args.prompt)], device=device
    )

    def sample(n_tokens: int) -> str:
        draw = torch.Generator().manual_seed(args.seed)
        return tokenizer.decode(
            generate(model, prompt, n_tokens, 0.7, top_k=40, generator=draw)[0]
        )

    def after_epoch(progress: Progress) -> None:
        row = progress.history[-1]
        if is_first:
            save_progress(checkpoint, model, optimizer, progress)
            text = " ".join(sample(16).split())
            tqdm.write(
                f"epoch {row['epoch']:3d}  step {row['step']:5d}  train loss "
                f"{row['train_loss']:.3f}  validation loss {row['val_loss']:.3f}  | {text}"
            )

    if is_first:
        # What is there has come to its end, and was the same run.
        if not args.resume:
            checkpoint.unlink(missing_ok=True)
        with saved_whole(out / "vocabulary.tiktoken") as draft:
            tokenizer.save(draft)
        with saved_whole(out / "settings.json") as draft:
            draft.write_text(
                json.dumps(settings, indent=2) + "\n", encoding="utf-8"
            )
        print(
            f"{args.text}: {len(train_loader.dataset)} training windows of {args.context_length} "
            f"tokens, vocabulary {tokenizer.vocab_size}\n"
            f"{args.model_size} model: {count_parameters(model):,} parameters on {device} in "
            f"{precision}; an untrained loss is about "
            f"ln({config.vocab_size}) = {math.log(config.vocab_size):.2f}"
        )
        if args.resume and progress is None:
            print(
                "no epoch of this run was complete: it starts from its beginning"
            )
        elif args.resume:
            print(f"{progress.epoch} of {args.epochs} epochs are complete")
    progress = fast_train(
        model,
        train_loader,
        val_loader,
        optimizer,
        args.epochs,
        eval_every=len(train_loader),
        progress=progress,
        after_epoch=after_epoch,
        precision=precision,
    )
    if is_first:
        save_pretrained(model, out, tokenizer)
        print(f"\n{sample(120)}\n")
        print(
            f"{progress.tokens:,} tokens in {progress.seconds:.1f} s of training: "
            f"{progress.tokens / progress.seconds:,.0f} tokens per second; model in {out}"
        )
    if dist.is_initialized():
        dist.destroy_process_group()


def way_on(args: argparse.Namespace) -> str:
    """What can be done after an interruption."""
    if (Path(args.out) / "checkpoint.pt").exists():
        return "with --resume it goes on after the last complete epoch"
    return "no epoch was complete, so it has to start anew"


def main() -> None:
    replace_unprintable()
    try:
        args = parse_arguments()
    except (ValueError, OSError) as error:
        raise SystemExit(f"faster_training: {error}") from None
    try:
        run(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"faster_training: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(
            f"\nfaster_training: stopped; {way_on(args)}"
        ) from None
    except RuntimeError as error:
        if not dist.is_initialized():
            raise
        reason = str(error).partition("\n")[0]
        raise SystemExit(
            f"faster_training: a process was lost ({reason}); {way_on(args)}"
        ) from None


if __name__ == "__main__":
    main()
