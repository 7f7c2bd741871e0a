"""A training loop with a schedule, clipping, accumulation and mixed precision, from appendix D.

Dimension key: B batch, T tokens, V vocabulary, N = B T.
"""

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ch04.gpt import GPTModel
from ch05.gpt_train import (
    IGNORE,
    Progress,
    average_over_processes,
    evaluate,
    next_token_loss,
    processes,
)


def warmup_cosine(n_steps: int, n_warmup: int = 0, floor: float = 0.0) -> Callable[[int], float]:
    """The share of the peak learning rate at each step: up in a line, down in half a cosine.

    Steps count from 0. The cosine ends at floor; a floor of 1 leaves the warmup alone.
    Raises: ValueError if the warmup is negative or longer than the run, or floor outside [0, 1].
    """
    if not 0 <= n_warmup <= n_steps:
        raise ValueError(f"a warmup of {n_warmup} steps does not fit into a run of {n_steps}")
    if not 0 <= floor <= 1:
        raise ValueError(f"floor={floor} is a share of the learning rate: it lies in [0, 1]")

    def share(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / n_warmup
        done = min(1.0, (step - n_warmup) / max(1, n_steps - n_warmup))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))

    return share


def set_learning_rate(optimizer: Optimizer, share: float) -> None:
    """Give every group of the optimizer this share of the learning rate that it was made with."""
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])  # the name that PyTorch's schedulers use
        group["lr"] = group["initial_lr"] * share


def largest_gradient(parameters: Iterable[Tensor]) -> Tensor:
    """The largest gradient of a single weight, whatever its sign; 0 if there is none."""
    largest = [p.grad.abs().max() for p in parameters if p.grad is not None]
    return torch.stack(largest).max() if largest else torch.tensor(0.0)


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Shorten all gradients by one factor until their joint length is max_norm at most.

    Returns the length that they had before. With max_norm=inf they are only measured.
    Raises: ValueError if max_norm is not above 0.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm={max_norm} must be above 0: no gradient would be left")
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return torch.tensor(0.0)
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    if max_norm < math.inf:
        factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)  # decided on the device, no waiting
        for gradient in gradients:
            gradient *= factor
    return norm


PRECISIONS = ("float32", "bfloat16", "float16")


def mixed_precision_loss(
    model: GPTModel, inputs: Tensor, targets: Tensor, precision: str = "float32"
) -> Tensor:
    """The mean cross-entropy of a batch: matrix products in precision, the loss in float32.

    Shapes: inputs and targets (B, T) -> a number.
    """
    if precision == "float32":
        return next_token_loss(model, inputs, targets)
    with torch.autocast(inputs.device.type, dtype=getattr(torch, precision)):
        logits = model(inputs).flatten(0, 1)  # (N, V)
    targets = targets.flatten()
    total = F.cross_entropy(logits.float(), targets, ignore_index=IGNORE, reduction="sum")
    return total / (targets != IGNORE).sum().clamp(min=1)


@dataclass(frozen=True)
class Extras:
    """What the loop does beyond that of chapter 5; as it stands, nothing.

    Raises: ValueError for max_norm, n_batches or precision without a meaning; n_warmup and floor
    are judged when the length of the run is known.
    """

    n_warmup: int = 0  # steps until the learning rate is at its peak
    floor: float = 1.0  # the share of the peak that is left at the end; 1: no decay
    max_norm: float = math.inf  # of all gradients together; inf: no clipping
    n_batches: int = 1  # for each step
    precision: str = "float32"  # of the matrix products

    def __post_init__(self):
        if not self.max_norm > 0:
            raise ValueError(f"max_norm={self.max_norm} must be above 0")
        if not isinstance(self.n_batches, int) or self.n_batches < 1:
            raise ValueError(f"n_batches={self.n_batches} must be a whole number, at least 1")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision={self.precision!r} is not one of {', '.join(PRECISIONS)}")


def accumulate_gradients(
    model: GPTModel,
    batches: list[tuple[Tensor, Tensor]],
    precision: str = "float32",
    scaler: GradScaler | None = None,
) -> Tensor:
    """Add up the gradients of some batches as if they were one; return the mean loss.

    A batch weighs as much as it has targets that count. Under torchrun each process takes a share.
    Raises: ValueError if a batch cannot be shared out equally.
    """
    device = next(model.parameters()).device
    rank, world = processes()
    n_targets = max(1, sum(int((targets != IGNORE).sum()) for _, targets in batches))
    mean = torch.zeros((), device=device)
    for inputs, targets in batches:
        if len(inputs) % world:
            raise ValueError(f"a batch of {len(inputs)} cannot be shared by {world} processes")
        inputs, targets = inputs[rank::world], targets[rank::world]
        weight = int((targets != IGNORE).sum()) * world / n_targets
        loss = mixed_precision_loss(model, inputs.to(device), targets.to(device), precision)
        loss = loss * weight
        (scaler.scale(loss) if scaler else loss).backward()  # adds to what is there
        mean = mean + loss.detach()
    if world > 1:
        average_over_processes([mean, *(p.grad for p in model.parameters())])
    return mean


def step_with_extras(
    model: GPTModel,
    optimizer: Optimizer,
    batches: list[tuple[Tensor, Tensor]],
    extras: Extras,
    scaler: GradScaler,
) -> tuple[float, float]:
    """Make one step on some batches; return their loss, and the gradient's norm before clipping.

    Raises: ValueError if the loss is not finite, or the norm outside of float16 (where the scaler
    leaves such a step out); the model is unchanged then.
    """
    optimizer.zero_grad()
    loss = accumulate_gradients(model, batches, extras.precision, scaler)
    scaler.unscale_(optimizer)
    norm = clip_gradients(model.parameters(), extras.max_norm)
    loss, norm = loss.item(), norm.item()
    if not math.isfinite(loss):
        raise ValueError(f"the loss is {loss}: lower the learning rate")
    if not (math.isfinite(norm) or scaler.is_enabled()):
        raise ValueError(f"the loss is {loss:.3f}, but its gradient is {norm}: no step is made")
    scaler.step(optimizer)
    scaler.update()
    return loss, norm


def train_with_extras(
    model: GPTModel,
    train_loader: DataLoader,
    val_loader: DataLoader,
    optimizer: Optimizer,
    epochs: int,
    extras: Extras,
    eval_every: int = 50,
    eval_batches: int | None = None,
    progress: Progress | None = None,
    max_steps: int | None = None,
    after_epoch: Callable[[Progress], None] | None = None,
) -> Progress:
    """Train as chapter 5 does, with the extras, from the start or from progress.

    History gets a row for each step: step, epoch, tokens seen, loss, the learning rate that the
    optimizer used, the gradient's norm before clipping; the validation loss (in float32) every
    eval_every steps and at the end of each epoch, else None. The schedule spans all epochs, also
    where max_steps ends the run before; so a run can go on, but float16's scale starts anew.
    Raises: ValueError as warmup_cosine, step_with_extras and chapter 5's train.
    """
    progress = progress or Progress(seed=train_loader.generator.initial_seed())
    if eval_every < 1:
        raise ValueError(f"eval_every={eval_every} must be at least 1")
    if progress.batch > (n := len(train_loader)):
        raise ValueError(f"{progress.batch} batches of an epoch are done, but the loader has {n}")
    n_steps = epochs * math.ceil(len(train_loader) / extras.n_batches)
    share = warmup_cosine(n_steps, extras.n_warmup, extras.floor)
    last_step = n_steps if max_steps is None else min(n_steps, max_steps)
    device = next(model.parameters()).device
    scaler = GradScaler(device.type, enabled=extras.precision == "float16")
    bar = tqdm(total=last_step, initial=progress.step, desc="training", disable=processes()[0] > 0)
    model.train()
    while progress.step < last_step:
        train_loader.generator.manual_seed(progress.seed + progress.epoch)
        batches = islice(train_loader, progress.batch, None)  # passes over what is done already
        while progress.step < last_step and (group := list(islice(batches, extras.n_batches))):
            started = time.perf_counter()
            set_learning_rate(optimizer, share(progress.step))
            loss, norm = step_with_extras(model, optimizer, group, extras, scaler)
            progress.seconds += time.perf_counter() - started
            progress.tokens += sum(targets.numel() for _, targets in group)
            progress.step += 1
            progress.batch += len(group)
            look = progress.step % eval_every == 0 or progress.batch == len(train_loader)
            row = {
                "step": progress.step,
                "epoch": progress.epoch + 1,
                "tokens": progress.tokens,
                "train_loss": loss,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "grad_norm": norm,
                "val_loss": evaluate(model, val_loader, eval_batches) if look else None,
            }
            progress.history.append(row)
            bar.update()
            bar.set_postfix(train_loss=f"{loss:.3f}")
        if progress.batch == len(train_loader):
            progress.epoch, progress.batch = progress.epoch + 1, 0
            if after_epoch is not None:
                after_epoch(progress)
    bar.close()
    return progress
