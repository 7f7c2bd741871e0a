"""The loop of long trainings: exact to go on with, the same on any number of processes.

ch05.pretrain is its command; the course's model and chapter 7 train with it too.

Dimension key: B batch, T tokens.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ch04.gpt import GPTModel
from ch05.bonus.faster_training import (
    ModelWithLoss,
    fast_evaluate,
    find_gradients,
    processes,
)
from ch05.token_windows import Batches

N_BEFORE_SPIKES = 50  # steps from which on a loss can be called unusual
MOST_SPIKES = 5  # in a row, before a training gives up


@dataclass
class Progress:
    """How far a training has come: what it needs, beside the rest, to go on."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    usual_loss: float = 0.0  # a mean that forgets
    spikes: int = 0  # in a row
    # One for each step since the last row of history.
    losses: list[float] = field(default_factory=list)
    # A row for each evaluation.
    history: list[dict] = field(default_factory=list)


# ---- The model: its blocks, and how it is spread over processes.


def change_blocks(
    model: GPTModel, compiled: bool = False, recompute: bool = False
) -> None:
    """Compile the blocks, or let them forget what lies inside until backward().

    recompute is also called activation checkpointing: what a block computes
    inside is computed once more for the gradients, which saves its memory.
    """
    for block in model.blocks:
        forward = torch.compile(block.forward) if compiled else block.forward
        if recompute:
            forward = partial(checkpoint, forward, use_reentrant=False)
        block.forward = forward


def shard(model: GPTModel) -> nn.Module:
    """Share out the weights themselves over the processes, block by block (FSDP2).

    Each process keeps its part and gets the rest of a block only while it is at
    work there. Optimizers have to be made after this.
    """
    for block in model.blocks:
        fully_shard(block)
    # After a forward pass, too: an evaluation has no backward one.
    return fully_shard(ModelWithLoss(model), reshard_after_forward=True)


def spread(model: nn.Module) -> nn.Module:
    """A model whose gradients are those of all processes: DDP where there are several.

    What has been sharded stays as it is.
    """
    if processes()[1] == 1 or not hasattr(model, "features"):
        return model
    device = next(model.parameters()).device
    ids = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(ModelWithLoss(model), ids)


@torch.no_grad()
def whole_model(model: GPTModel) -> GPTModel:
    """The model with all of its weights in one place, on the CPU if it was sharded.

    Every process has to ask for it.
    """
    if not any(isinstance(p, DTensor) for p in model.parameters()):
        return model
    whole = GPTModel(model.config)
    for mine, part in zip(whole.parameters(), model.parameters(), strict=True):
        mine.copy_(part.full_tensor())
    return whole


# ---- The loop.


def batches_from(
    data: DataLoader | Batches, step: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches from a step on, without end.

    A loader is shuffled anew in each epoch, by its generator's seed plus the epoch.
    """
    if not isinstance(data, DataLoader):
        for i in count(step):
            inputs, targets = data[i]
            yield torch.as_tensor(inputs), torch.as_tensor(targets)
    seed = data.generator.initial_seed()
    for epoch in count(step // len(data)):
        data.generator.manual_seed(seed + epoch)
        done = step % len(data) if epoch == step // len(data) else 0
        yield from islice(data, done, None)


def clip_gradients(model: nn.Module, max_norm: float | None) -> float | None:
    """Shorten the gradient to a length of max_norm at most; how long it was."""
    if max_norm is None:
        return None
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    return (norm.full_tensor() if isinstance(norm, DTensor) else norm).item()


def check_finite(value: float, what: str) -> None:
    if not math.isfinite(value):
        raise ValueError(f"the {what} is {value}: lower the learning rate")


def seed_of(seed: int, step: int, rank: int) -> int:
    """A seed for what is random in one step of one process, such as dropout."""
    mixed = np.random.SeedSequence((seed, step, rank))
    return int(mixed.generate_state(1, np.uint64)[0] >> np.uint64(1))


def add_to_history(progress: Progress, row: dict, n_batches: int) -> None:
    """Add what an evaluation found to the history of a training."""
    progress.history.append(
        {
            "step": progress.step,
            "epoch": (progress.step - 1) // n_batches + 1,
            "tokens": progress.tokens,
            "train_loss": sum(progress.losses) / len(progress.losses),
            "val_loss": row["val_loss"],
            "learning_rate": row["learning_rate"],
        }
    )
    progress.losses.clear()


def is_spike(progress: Progress, loss: float) -> bool:
    """Whether a loss is twice the usual one, and by 1 larger; if not, it is usual."""
    usual = progress.usual_loss
    if progress.step >= N_BEFORE_SPIKES and loss > max(2 * usual, usual + 1):
        return True
    weight = max(0.02, 1 / (progress.step + 1))
    progress.usual_loss += weight * (loss - usual)
    return False


def train(
    model: nn.Module,
    batches: DataLoader | Batches,
    optimizer: Optimizer,
    n_steps: int,
    val_batches: DataLoader | Sequence | None = None,
    *,
    eval_every: int = 50,
    schedule: Callable[[int], float] | None = None,
    progress: Progress | None = None,
    precision: str = "float32",
    at_once: int | None = None,
    clip: float | None = None,
    seed: int | None = None,
    leave_out_spikes: bool = False,
    quiet: bool = False,
    after_step: Callable[[Progress, dict], bool | None] = lambda *_: None,
) -> Progress:
    """Train until n_steps are made, or go on from progress.

    The rate of a step is the optimizer's times schedule(step). Every eval_every
    steps, at the end of each epoch and of the training, history gets a row.
    after_step is told what a step did; if it says True, the training ends there.
    With a seed, what is random in a step depends on that and the step alone, so
    no random state has to be kept. A spike (a loss twice the usual) is left out
    if that is asked for: no step is made of its batch.
    Raises: ValueError if a loss is not finite, or too many spikes follow one
    another; the weights are those of the step before.
    """
    progress = progress or Progress()
    if eval_every < 1:
        raise ValueError(f"eval_every={eval_every} must be at least 1")
    if progress.step > n_steps:
        raise ValueError(
            f"{progress.step} steps are done already, more than {n_steps}"
        )
    rank, _ = processes()
    loss_of = spread(model)
    for group in optimizer.param_groups:
        group.setdefault("initial_lr", group["lr"])
    loss_of.train()
    bar = tqdm(
        total=n_steps,
        initial=progress.step,
        desc="training",
        disable=quiet or rank > 0,
    )
    with bar:  # what is said about an error comes after it
        todo = islice(
            batches_from(batches, progress.step), n_steps - progress.step
        )
        for inputs, targets in todo:
            started = time.perf_counter()
            for group in optimizer.param_groups if schedule else []:
                group["lr"] = group["initial_lr"] * schedule(progress.step)
            if seed is not None:
                torch.manual_seed(seed_of(seed, progress.step, rank))
            loss = find_gradients(loss_of, inputs, targets, precision, at_once)
            loss, norm = loss.item(), clip_gradients(loss_of, clip)
            for what, value in (("loss", loss), ("gradient", norm or 0.0)):
                check_finite(value, f"{what} of step {progress.step + 1}")
            unusual = leave_out_spikes and is_spike(progress, loss)
            progress.spikes = progress.spikes + 1 if unusual else 0
            if progress.spikes > MOST_SPIKES:
                raise ValueError(
                    f"{MOST_SPIKES} losses before step {progress.step + 1} were twice as high as "
                    f"usual, the last one {loss:.2f} and not {progress.usual_loss:.2f}: the "
                    "weights are spoiled; start anew with a lower learning rate"
                )
            if not unusual:
                optimizer.step()
            seconds = time.perf_counter() - started
            progress.losses.append(loss)
            progress.seconds += seconds
            progress.tokens += targets.numel()
            progress.step += 1
            row = {
                "step": progress.step,
                "tokens": progress.tokens,
                "loss": loss,
                "learning_rate": optimizer.param_groups[0]["lr"],
                "gradient_norm": norm,
                "left_out": unusual,
                "seconds": seconds,
                "val_loss": None,
            }
            bar.update()
            ends = progress.step % len(batches) == 0 or progress.step == n_steps
            if val_batches is not None and (
                ends or progress.step % eval_every == 0
            ):
                row["val_loss"] = fast_evaluate(
                    loss_of, val_batches, precision=precision
                )
                check_finite(row["val_loss"], "validation loss")
                add_to_history(progress, row, len(batches))
                losses = list(progress.history[-1].items())[3:5]
                bar.set_postfix(
                    {name: f"{value:.3f}" for name, value in losses}
                )
            if after_step(progress, row):
                break
    return progress
