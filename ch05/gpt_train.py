"""Pretrain a GPT on any UTF-8 text, from Python or from the command line.

    python -m ch05.gpt_train --text FILE --out FOLDER
    torchrun --nproc-per-node 2 -m ch05.gpt_train --text FILE      # the same, on two processes

Dimension key: B batch, T tokens, C embedding, V vocabulary, N = B T.
"""

import argparse
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.data import DataLoader
from tqdm.auto import tqdm

from ch02.dataloader import STORY, create_dataloader, read_text
from ch02.tokenizer import BPETokenizer, gpt2_ranks, written_whole
from ch04.gpt import GPT2_SIZES, GPTConfig, GPTModel, choose_device, count_parameters
from ch05.gpt_generate import generate
from ch05.gpt_weights import save_pretrained

IGNORE = -100  # a target that no loss is computed for, as in PyTorch's cross_entropy


class HeadLoss(torch.autograd.Function):
    """The output layer and its cross-entropy in one, some rows at a time.

    All logits of a batch at once are the largest tensor of a training step. Their gradient is
    known as soon as they are (softmax minus one-hot), so each part is used up before the next.
    Shapes: x (N, C), weight (V, C), targets (N,) -> a number, the mean loss.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        n_rows = max(1, 2**24 // len(weight))  # 64 MiB of logits at a time
        n_targets = (targets != IGNORE).sum().clamp(min=1)
        loss = x.new_zeros(())
        learn = any(ctx.needs_input_grad)
        if learn:
            grad_x, grad_weight = torch.empty_like(x), torch.zeros_like(weight)
        for start in range(0, len(x), n_rows):
            rows = slice(start, start + n_rows)
            log_probs = (x[rows] @ weight.T).log_softmax(dim=-1)  # (n_rows, V)
            loss += F.nll_loss(log_probs, targets[rows], ignore_index=IGNORE, reduction="sum")
            if learn:
                counted = (targets[rows] != IGNORE).unsqueeze(1)
                grad = log_probs.exp_()  # softmax ...
                grad.scatter_add_(1, targets[rows].clamp(min=0).unsqueeze(1), -counted.to(x.dtype))
                grad *= counted / n_targets  # ... minus one-hot, and nothing where ignored
                torch.mm(grad, weight, out=grad_x[rows])
                grad_weight.addmm_(grad.T, x[rows])
        if learn:
            ctx.save_for_backward(grad_x, grad_weight)
        return loss / n_targets

    @staticmethod
    def backward(ctx, grad_output: Tensor) -> tuple:
        grad_x, grad_weight = ctx.saved_tensors
        return grad_x.mul_(grad_output), grad_weight.mul_(grad_output), None


def next_token_loss(model: GPTModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy of a batch; targets of -100 do not count.

    Shapes: inputs and targets (B, T) -> a number.
    """
    x = model.features(inputs).flatten(0, 1)  # (N, C)
    return HeadLoss.apply(x, model.out_head.weight, targets.flatten())


@torch.no_grad()
def evaluate(model: GPTModel, loader: DataLoader, n_batches: int | None = None) -> float:
    """The mean loss over a loader's first batches (all unless n_batches is given), no dropout."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    losses = []
    for i, (inputs, targets) in enumerate(loader):
        if i == n_batches:
            break
        losses.append(next_token_loss(model, inputs.to(device), targets.to(device)).item())
    model.train(was_training)
    return sum(losses) / len(losses)


def processes() -> tuple[int, int]:
    """This process's number and how many train together: (0, 1) without torchrun."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def average_over_processes(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in one exchange."""
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors])):
        tensor.copy_(mean.view_as(tensor))


@dataclass
class Progress:
    """How far a training has come: what it needs, beside model and optimizer, to go on."""

    epoch: int = 0  # complete epochs
    batch: int = 0  # batches taken from the epoch that has begun
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    shuffle: Tensor | None = None  # the loader's random state when the epoch began
    losses: list[float] = field(default_factory=list)  # of the steps since the last row
    history: list[dict] = field(default_factory=list)  # a row for each evaluation


def train(
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
) -> Progress:
    """Train until epochs (or max_steps) are complete, from the start or from progress.

    Every eval_every steps, and at the end of each epoch, history gets a row: step, epoch, tokens
    seen, mean training loss since the last row, validation loss, learning rate. Under torchrun
    each process takes its share of every batch, and all make the same step.
    Raises: ValueError if a batch cannot be shared out equally, or a loss is not finite.
    """
    device = next(model.parameters()).device
    rank, world = processes()
    progress = progress or Progress()
    last_step = min(epochs * len(train_loader), max_steps or math.inf)
    bar = tqdm(total=last_step, initial=progress.step, desc="training", disable=rank > 0)
    model.train()
    while progress.step < last_step:
        if progress.shuffle is None:
            progress.shuffle = train_loader.generator.get_state()
        train_loader.generator.set_state(progress.shuffle)
        for i, (inputs, targets) in enumerate(train_loader):
            if i < progress.batch:
                continue  # done before the interruption
            if progress.step >= last_step:
                break
            started = time.perf_counter()
            progress.tokens += targets.numel()
            if len(inputs) % world:
                raise ValueError(f"a batch of {len(inputs)} cannot be shared by {world} processes")
            inputs, targets = inputs[rank::world].to(device), targets[rank::world].to(device)
            loss = next_token_loss(model, inputs, targets)
            optimizer.zero_grad()
            loss.backward()
            if world > 1:
                parts = [p.grad for p in model.parameters()]
                average_over_processes([*parts, loss.detach()])
            optimizer.step()
            learning_rate = optimizer.param_groups[0]["lr"]
            if scheduler is not None:
                scheduler.step()
            progress.losses.append(loss.item())
            if not math.isfinite(progress.losses[-1]):
                raise ValueError(
                    f"the loss is {progress.losses[-1]} at step {progress.step + 1}: "
                    "lower the learning rate"
                )
            progress.seconds += time.perf_counter() - started
            progress.step += 1
            progress.batch += 1
            bar.update()
            if progress.step % eval_every == 0 or progress.batch == len(train_loader):
                row = {
                    "step": progress.step,
                    "epoch": progress.epoch + 1,
                    "tokens": progress.tokens,
                    "train_loss": sum(progress.losses) / len(progress.losses),
                    "val_loss": evaluate(model, val_loader, eval_batches),
                    "learning_rate": learning_rate,
                }
                progress.losses.clear()
                progress.history.append(row)
                bar.set_postfix({name: f"{row[name]:.3f}" for name in ("train_loss", "val_loss")})
        if progress.batch == len(train_loader):
            progress.epoch, progress.batch, progress.shuffle = progress.epoch + 1, 0, None
            if after_epoch is not None:
                after_epoch(progress)
    bar.close()
    return progress
