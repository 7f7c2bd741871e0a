"""A loop with schedule, clipping, accumulation and mixed precision.

From appendix D: the lesson has the schedule, clipping and the loop,
bonus/precision_and_accumulation.ipynb the rest.
Dimension key: B batch, T tokens, V vocabulary, N = B T.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from ch04.gpt import GPTModel
from ch05.gpt_train import IGNORE, evaluate


def warmup_cosine(
    n_steps: int, n_warmup: int = 0, floor: float = 0.0
) -> Callable[[int], float]:
    """The share of the peak learning rate at each step, counted from 0.

    It rises in equal stairs, then falls in half a cosine, which would be
    at floor one step after the last. With floor=1 it does not fall.
    Raises: ValueError if the warmup is negative or longer than the run,
        or floor outside [0, 1].
    """
    if not 0 <= n_warmup <= n_steps:
        run = f"a run of {n_steps}"
        raise ValueError(
            f"a warmup of {n_warmup} steps does not fit into {run}"
        )
    if not 0 <= floor <= 1:
        raise ValueError(f"floor={floor} is a share: it lies in [0, 1]")

    def share(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / n_warmup
        done = min(1.0, (step - n_warmup) / max(1, n_steps - n_warmup))
        return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))

    return share


def set_learning_rate(optimizer: Optimizer, share: float) -> None:
    """Give each group this share of the rate that it was made with."""
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])  # PyTorch's own name
        group["lr"] = group["initial_lr"] * share


def largest_gradient(parameters: Iterable[Tensor]) -> Tensor:
    """The largest gradient of one weight, whatever its sign; 0 if none."""
    sizes = [p.grad.abs().max() for p in parameters if p.grad is not None]
    return torch.stack(sizes).max() if sizes else torch.tensor(0.0)


def clip_gradients(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Shorten all gradients by one factor to a joint length of max_norm.

    Shorter ones stay as they are. Returns the length before. With
    max_norm=inf it is only measured.
    Raises: ValueError if max_norm is not above 0.
    """
    if not max_norm > 0:
        raise ValueError(f"max_norm={max_norm} must be above 0")
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        return torch.tensor(0.0)
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    if max_norm < math.inf:
        factor = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient *= factor
    return norm


PRECISIONS = ("float32", "bfloat16", "float16")


def mixed_precision_loss(
    model: GPTModel,
    inputs: Tensor,
    targets: Tensor,
    precision: str = "float32",
) -> Tensor:
    """The mean cross-entropy: products in precision, the loss in float32.

    Shapes: inputs and targets (B, T) -> a number; 0 if no target counts.
    """
    dtype = None if precision == "float32" else getattr(torch, precision)
    is_mixed = dtype is not None
    with torch.autocast(inputs.device.type, dtype, enabled=is_mixed):
        logits = model(inputs)  # (B, T, V)
    logits, targets = logits.float().flatten(0, 1), targets.flatten()  # (N, V)
    total = F.cross_entropy(
        logits, targets, ignore_index=IGNORE, reduction="sum"
    )
    return total / (targets != IGNORE).sum().clamp(min=1)


def accumulate_gradients(
    model: GPTModel,
    batches: list[tuple[Tensor, Tensor]],
    precision: str = "float32",
    scaler: GradScaler | None = None,
) -> Tensor:
    """Add up gradients as if the batches were one; return the mean loss.

    A batch weighs as much as it has targets that count.
    """
    device = next(model.parameters()).device
    counts = [int((targets != IGNORE).sum()) for _, targets in batches]
    n_targets = max(1, sum(counts))
    mean = torch.zeros((), device=device)
    for (inputs, targets), n in zip(batches, counts):
        inputs, targets = inputs.to(device), targets.to(device)
        loss = mixed_precision_loss(model, inputs, targets, precision)
        loss = loss * (n / n_targets)
        (scaler.scale(loss) if scaler else loss).backward()  # adds up
        mean += loss.detach()
    return mean


@dataclass(frozen=True)
class Extras:
    """What the loop does beyond the plain one; as it stands, nothing.

    Raises: ValueError for max_norm, n_batches or precision without a
        meaning; n_warmup and floor are judged when a run starts.
    """

    n_warmup: int = 0  # steps until the learning rate is at its peak
    floor: float = 1.0  # share of the peak that is left at the end
    max_norm: float = math.inf  # of all gradients together
    n_batches: int = 1  # for each step
    precision: str = "float32"  # of the matrix products

    def __post_init__(self):
        if not self.max_norm > 0:
            raise ValueError(f"max_norm={self.max_norm} must be above 0")
        n, name = self.n_batches, self.precision
        if not isinstance(n, int) or n < 1:
            raise ValueError(f"n_batches={n} must be a whole number above 0")
        if name not in PRECISIONS:
            known = ", ".join(PRECISIONS)
            raise ValueError(f"precision={name!r} is not one of {known}")


def step_with_extras(
    model: GPTModel,
    optimizer: Optimizer,
    batches: list[tuple[Tensor, Tensor]],
    extras: Extras,
    scaler: GradScaler,
) -> tuple[float, float]:
    """Make a step; return the loss and the gradient's norm before clipping.

    Raises: ValueError if the loss is not finite, or the norm outside of
        float16, where the scaler leaves such a step out. The model is
        unchanged then.
    """
    optimizer.zero_grad()
    loss = accumulate_gradients(model, batches, extras.precision, scaler)
    scaler.unscale_(optimizer)
    norm = clip_gradients(model.parameters(), extras.max_norm)
    loss, norm = loss.item(), norm.item()
    if not math.isfinite(loss):
        raise ValueError(f"the loss is {loss}: lower the learning rate")
    if not (math.isfinite(norm) or scaler.is_enabled()):
        raise ValueError(f"the loss is {loss:.3f}, but its gradient is {norm}")
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
) -> list[dict]:
    """Train with the extras; return a row for each step.

    The learning rate in a row is the one that the optimizer used, the norm
    is that before clipping. The validation loss, always in float32, is
    taken every eval_every steps and after the last; else it is None.
    Raises: ValueError as warmup_cosine and step_with_extras.
    """
    if eval_every < 1:
        raise ValueError(f"eval_every={eval_every} must be at least 1")
    n_steps = epochs * math.ceil(len(train_loader) / extras.n_batches)
    share = warmup_cosine(n_steps, extras.n_warmup, extras.floor)
    kind = next(model.parameters()).device.type
    scaler = GradScaler(kind, enabled=extras.precision == "float16")
    rows = []
    model.train()
    for epoch in range(epochs):
        batches = iter(train_loader)
        while group := list(islice(batches, extras.n_batches)):
            set_learning_rate(optimizer, share(len(rows)))
            loss, norm = step_with_extras(
                model, optimizer, group, extras, scaler
            )
            row = {"step": len(rows) + 1, "epoch": epoch + 1, "loss": loss}
            row["learning_rate"] = optimizer.param_groups[0]["lr"]
            row["norm"] = norm
            look = row["step"] % eval_every == 0 or row["step"] == n_steps
            row["val_loss"] = evaluate(model, val_loader) if look else None
            rows.append(row)
    return rows
