"""Train fast: some rows of the loss at a time, one step on several processes.

ch05.pretrain makes long runs of it, and torchrun starts those on many machines.

Dimension key: B batch, T tokens, C embedding, V vocabulary, N = B T.
"""

from collections.abc import Iterable
from contextlib import nullcontext
from itertools import islice

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer

from ch04.gpt import GPTModel
from ch04.kv_cache import evaluating
from ch05.gpt_train import IGNORE
from ch05.precision import autocast


class HeadLoss(torch.autograd.Function):
    """The output layer and its cross-entropy in one, some rows at a time.

    All logits of a batch at once are the largest tensor of a training step.
    Their gradient is known as soon as they are (softmax minus one-hot), so
    each part is used up before the next. Under autocast the products are made
    in 16 bits; the loss and its logarithms stay as they are.
    Shapes: x (N, C), weight (V, C), targets (N,) -> a number, the mean loss.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
        kind, narrow = x.device.type, x.dtype
        if torch.is_autocast_enabled(kind):
            narrow = torch.get_autocast_dtype(kind)
        n_rows = max(1, 2**25 // len(weight))  # 128 MiB of logits at a time
        n_targets = (targets != IGNORE).sum().clamp(min=1)
        loss, head = x.new_zeros(()), weight.to(narrow)
        learn = any(ctx.needs_input_grad)
        if learn:
            grad_x, grad_weight = torch.empty_like(x), torch.zeros_like(weight)
        for start in range(0, len(x), n_rows):
            rows = slice(start, start + n_rows)
            part = x[rows].to(narrow)
            logits = (part @ head.T).to(x.dtype)  # (n_rows, V)
            log_probs = logits.log_softmax(dim=-1)
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
                grad = grad.to(narrow)
                grad_x[rows] = grad @ head
                grad_weight += grad.T @ part
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

    Shapes: inputs and targets (B, T) -> a number.
    """
    x = model.features(inputs).flatten(0, 1)  # (N, C)
    return HeadLoss.apply(x, model.out_head.weight, targets.flatten())


def processes() -> tuple[int, int]:
    """This process's number and how many there are: (0, 1) without torchrun."""
    return (
        (dist.get_rank(), dist.get_world_size())
        if dist.is_initialized()
        else (0, 1)
    )


def sum_over_processes(number: Tensor) -> Tensor:
    """The sum of all processes' numbers; each of them has to ask for it."""
    if not dist.is_initialized():
        return number
    device = "cuda" if dist.get_backend() == "nccl" else number.device
    total = number.to(device, copy=True)
    dist.all_reduce(total)
    return total.to(number.device)


class ModelWithLoss(nn.Module):
    """A model that returns its loss: what DDP and FSDP2 are wrapped around.

    Shapes: inputs and targets (B, T) -> a number.
    """

    def __init__(self, model: GPTModel):
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor, targets: Tensor) -> Tensor:
        return fast_loss(self.model, inputs, targets)


@torch.no_grad()
def fast_evaluate(
    model: nn.Module,
    loader: Iterable[tuple[Tensor, Tensor]],
    n_batches: int | None = None,
    precision: str = "float32",
) -> float:
    """The mean loss of a token in a loader's first n_batches (None: in all).

    Under torchrun each process takes a share of the rows.
    Raises: ValueError if no target counts.
    """
    device = next(model.parameters()).device
    rank, world = processes()
    loss_of = ModelWithLoss(model) if hasattr(model, "features") else model
    found = torch.zeros(2, dtype=torch.float64)  # losses, targets that count
    with evaluating(model):
        for inputs, targets in islice(loader, n_batches):
            inputs, targets = inputs[rank::world], targets[rank::world]
            counted = (targets != IGNORE).sum()
            with autocast(device, precision):
                loss = loss_of(inputs.to(device), targets.to(device))
            found += torch.stack([loss.double().cpu() * counted, counted])
    total, n_targets = sum_over_processes(found).tolist()
    if n_targets == 0:
        raise ValueError(
            "these batches hold no target that counts: nothing to evaluate"
        )
    return total / n_targets


def find_gradients(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    precision: str = "float32",
    at_once: int | None = None,
) -> Tensor:
    """Leave the gradients of a batch's mean loss in the parameters; the loss.

    Under torchrun each process takes a share of the rows, and the model is one
    with its loss, in DDP or FSDP2. at_once rows are worked on at a time.
    Raises: ValueError if the batch cannot be shared out equally.
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
    # Of all processes, so that a target counts the same wherever it is.
    n_targets = sum_over_processes((targets != IGNORE).sum()).clamp(min=1)
    n = at_once or len(inputs)
    parts = list(zip(inputs.split(n), targets.split(n)))
    loss_of = ModelWithLoss(model) if hasattr(model, "features") else model
    model.zero_grad()
    total = torch.zeros((), device=device)
    for part in parts:
        is_last = part is parts[-1]
        if hasattr(model, "set_requires_gradient_sync"):  # FSDP2
            model.set_requires_gradient_sync(is_last)
        waits = isinstance(model, DistributedDataParallel) and not is_last
        with model.no_sync() if waits else nullcontext():
            # Only the matrix products: weights and steps are in float32.
            with autocast(device, precision):
                loss = loss_of(*part)
            loss = loss * ((part[1] != IGNORE).sum() / n_targets)
            (loss * world).backward()  # then the processes take their mean
        total += loss.detach()
    return sum_over_processes(total)


def train_step(
    model: nn.Module,
    optimizer: Optimizer,
    inputs: Tensor,
    targets: Tensor,
    precision: str = "float32",
    at_once: int | None = None,
) -> float:
    """Make one step on a batch and return its loss.

    Raises: ValueError as find_gradients, or if the loss is not finite; the
    model is unchanged then.
    """
    loss = find_gradients(model, inputs, targets, precision, at_once)
    if not loss.isfinite():
        raise ValueError(f"the loss is {loss.item()}: lower the learning rate")
    optimizer.step()
    return loss.item()
