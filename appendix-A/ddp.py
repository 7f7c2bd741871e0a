"""Train the digits network on one process or on several that share the work.

    python -m appendix_a.ddp                                               # one process
    torchrun --nproc-per-node 2 -m appendix_a.ddp --explain                # two on this machine
    torchrun --nnodes 2 --nproc-per-node 4 --rdzv-backend c10d \\
        --rdzv-endpoint FIRST-MACHINE:29500 -m appendix_a.ddp              # eight on two machines

torchrun starts this program once for each process and tells each copy by environment variables
who it is. RANK is its number among all, WORLD_SIZE how many there are, LOCAL_RANK its number on
its machine, which is also the number of its GPU. Every copy runs all of the code below:

- it reads all images, but its sampler shows it every WORLD_SIZE-th of a common random order, so
  that the shares of all ranks together are the batch that one process would have taken;
- DistributedDataParallel gives it the weights of rank 0 at the start, and averages the gradients
  of all ranks during backward(). All weights are therefore equal after each step, and up to
  rounding equal to those of one process, as long as nothing is random, such as dropout;
- it knows only the loss of its own share, until the ranks average it. Rank 0 alone prints and
  writes files, otherwise each line would appear WORLD_SIZE times.

Without torchrun there is one process, which takes whole batches and talks to nobody.

Dimension key: B images in a batch, P pixels of an image, K classes.
"""

import argparse
import os
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset
from torch.utils.data.distributed import DistributedSampler

from appendix_a.numpy_mlp import digits_split
from course.files import written_whole
from course.terminal import replace_unprintable


class TorchMLP(nn.Module):
    """The digits network. Shapes: x (B, P) -> scores (B, K)."""

    def __init__(
        self, n_inputs: int = 64, n_hidden: int = 32, n_classes: int = 10
    ):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(n_inputs, n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, n_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class DigitsDataset(Dataset):
    """The training or the test images as float32 tensors, with their labels.

    Shapes: dataset[i] is (P,) and a number.
    """

    def __init__(self, train: bool):
        train_images, test_images, train_labels, test_labels = digits_split()
        images, labels = (
            (train_images, train_labels)
            if train
            else (test_images, test_labels)
        )
        self.images = torch.tensor(images, dtype=torch.float32)
        self.labels = torch.tensor(labels)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.images[i], self.labels[i]


def train_epoch(
    model: nn.Module, loader: DataLoader, optimizer: Optimizer
) -> float:
    """Make one step for each batch; the mean loss of the batches.

    Raises: ValueError if the loss is not finite.
    """
    device = next(model.parameters()).device
    model.train()
    losses = []
    for images, labels in loader:
        scores = model(images.to(device))
        loss = F.cross_entropy(scores, labels.to(device))
        if not loss.isfinite():
            raise ValueError(f"loss {loss.item()}: lower the learning rate")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return sum(losses) / len(losses)


@torch.no_grad()
def count_correct(model: nn.Module, images: Tensor, labels: Tensor) -> int:
    """How many images get their own label the highest score."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    guesses = model(images.to(device)).argmax(dim=-1)
    model.train(was_training)
    return (guesses.cpu() == labels).sum().item()


def processes() -> tuple[int, int]:
    """This process's rank and the world size: (0, 1) without torchrun."""
    if not dist.is_initialized():
        return 0, 1
    return dist.get_rank(), dist.get_world_size()


def join_processes(backend: str | None) -> torch.device:
    """Join the others, if torchrun has started this process; its device."""
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    n_here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))  # on this machine
    n_gpus = torch.cuda.device_count()
    if backend is None:
        backend = "nccl" if n_gpus >= n_here else "gloo"
    if backend == "nccl" and n_gpus < n_here:
        raise ValueError(f"nccl needs a GPU for each process: {n_gpus} here")
    device = torch.device(f"cuda:{local_rank}" if backend == "nccl" else "cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if "RANK" in os.environ:
        # The environment also says where rank 0 is and which rank this is.
        dist.init_process_group(backend)
    return device


def sum_over_processes(number: float) -> float:
    """The sum of all processes' numbers; each of them has to ask for it."""
    if not dist.is_initialized():
        return number
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    total = torch.tensor(number, dtype=torch.float64, device=device)
    dist.all_reduce(total)
    return total.item()


def shared_loader(
    dataset: Dataset, batch_size: int, rank: int, world: int
) -> DataLoader:
    """Batches of which this process sees an equal share of batch_size.

    Call loader.sampler.set_epoch(epoch) before each epoch, or all epochs have
    the same order.
    Raises: ValueError if a batch cannot be shared equally, or is never full.
    """
    if not 1 <= batch_size <= len(dataset):
        raise ValueError(
            f"batch_size={batch_size} must be from 1 to {len(dataset)}"
        )
    if batch_size % world:
        nearest = max(1, round(batch_size / world)) * world
        raise ValueError(
            f"a batch of {batch_size} cannot be shared by {world} processes: "
            f"take {nearest}, or another multiple of {world}"
        )
    sampler = DistributedSampler(
        dataset, world, rank, shuffle=True, seed=0, drop_last=True
    )
    return DataLoader(
        dataset, batch_size // world, sampler=sampler, drop_last=True
    )


def train(
    model: nn.Module,
    dataset: Dataset,
    epochs: int,
    batch_size: int,
    learning_rate: float,
) -> list[float]:
    """Train on all processes; the mean loss of each epoch, the same on each.

    The model is a DistributedDataParallel where there are several processes.
    Raises: ValueError as shared_loader and train_epoch.
    """
    rank, world = processes()
    loader = shared_loader(dataset, batch_size, rank, world)
    optimizer = torch.optim.SGD(model.parameters(), lr=learning_rate)
    history = []
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        loss = train_epoch(model, loader, optimizer)
        # Equal shares: the mean of the processes' means is the mean of all.
        history.append(sum_over_processes(loss) / world)
    return history


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m appendix_a.ddp",
        description="Train a network on handwritten digits, under torchrun on several processes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--epochs", type=int, default=30)
    add(
        "--batch-size",
        type=int,
        default=48,
        help="images for each step, of all processes together; a multiple of their number",
    )
    add(
        "--lr",
        type=float,
        default=0.2,
        help="learning rate of plain gradient descent",
    )
    add("--seed", type=int, default=123, help="of the weights at the start")
    add(
        "--backend",
        choices=("gloo", "nccl"),
        help="gloo on CPUs, nccl on GPUs; nccl if not given and each process can have a GPU",
    )
    add("--explain", action="store_true", help="say first what each rank sees")
    add("--out", help="a file for the weights and the losses")
    return parser.parse_args()


def say(line: str) -> None:
    """Print one line of each process, in the order of the ranks; rank 0 prints them all."""
    rank, world = processes()
    lines = [line]
    if dist.is_initialized():
        lines = [None] * world
        dist.all_gather_object(lines, line)
    if rank == 0:
        for number, its_line in enumerate(lines):
            print(f"rank {number}: {its_line}", flush=True)


def explain(model: nn.Module, dataset: DigitsDataset, batch_size: int) -> None:
    """Say what each rank sees of the first batch, and what the average does to its gradient."""
    rank, world = processes()
    loader = shared_loader(dataset, batch_size, rank, world)
    say(
        f"{batch_size // world} of the {batch_size} images of a batch, in the first one numbers "
        + ", ".join(str(i) for i in list(loader.sampler)[:4])
        + ", ..."
    )
    images, labels = next(iter(loader))
    device = next(model.parameters()).device
    images, labels = images.to(device), labels.to(device)
    bias = list(model.parameters())[-1]

    # Without DDP around it, nothing is averaged.
    alone = model.module if world > 1 else model
    loss = F.cross_entropy(alone(images), labels)
    loss.backward()
    own = bias.grad[0].item()
    model.zero_grad()
    F.cross_entropy(model(images), labels).backward()
    shared = bias.grad[0].item()
    model.zero_grad()
    say(
        f"loss {loss.item():.3f}, a gradient of {own:+.3f}, after the average {shared:+.3f}"
    )


def run(args: argparse.Namespace) -> None:
    if args.epochs < 1:
        raise ValueError(f"epochs={args.epochs} must be at least 1")
    if not 0 < args.lr < float("inf"):
        raise ValueError(f"lr={args.lr} must be above 0")
    if args.out and Path(args.out).is_dir():
        raise ValueError(f"out={args.out} is a folder: name a file in it")
    # DDP imports this. When the import comes after the processes have joined, their group outlives
    # destroy_process_group(), and a thread of gloo that is still at work can abort the process.
    from torch import _dynamo  # noqa: F401

    device = join_processes(args.backend)
    rank, world = processes()
    train_set, test_set = DigitsDataset(train=True), DigitsDataset(train=False)
    # What cannot be shared is refused before anything is printed.
    shared_loader(train_set, args.batch_size, rank, world)
    # Another seed for each rank, on purpose: DDP has to make the weights equal.
    torch.manual_seed(args.seed + rank)
    model = TorchMLP().to(device)
    first_weight = next(model.parameters())[0, 0]
    before = first_weight.item()
    if world > 1:
        model = DistributedDataParallel(
            model, [device] if device.type == "cuda" else None
        )
    if args.explain:
        backend = dist.get_backend() if dist.is_initialized() else "no group"
        say(f"process {rank + 1} of {world} on {device} ({backend})")
        say(
            f"its first weight was {before:+.3f} and is now {first_weight.item():+.3f}"
        )
        explain(model, train_set, args.batch_size)
    losses = train(model, train_set, args.epochs, args.batch_size, args.lr)
    correct = count_correct(model, *test_set[rank::world])
    if args.explain:
        say(
            f"{correct} of its {len(test_set.labels[rank::world])} test images are right"
        )
    n_correct = int(sum_over_processes(correct))
    if rank == 0:
        print(
            f"{world} process{'es' * (world > 1)}, {args.epochs} epochs of {args.batch_size}:"
        )
        print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}")
        print(
            f"test accuracy {n_correct / len(test_set):.3f} on {len(test_set)} images"
        )
        if args.out:
            # Without the wrapper, whose names have a prefix.
            weights = model.module if world > 1 else model
            content = {"model": weights.state_dict(), "losses": losses}
            # An open file, so that whatever goes wrong here is an OSError.
            with written_whole(args.out) as draft, open(draft, "wb") as file:
                torch.save(content, file)


def leave_processes() -> None:
    """Wait for the others and end the group with its threads, when no model holds it any more.

    A DistributedDataParallel that is freed after this ends them too, but as it holds Python's lock,
    for which a thread of gloo may wait: then none of them ever ends.
    """
    if dist.is_initialized():
        dist.barrier()  # nobody leaves while another still writes
        dist.destroy_process_group()


def main() -> None:
    replace_unprintable()
    try:
        run(parse_arguments())
        leave_processes()
    except (ValueError, OSError) as error:
        raise SystemExit(f"ddp: {error}") from None


if __name__ == "__main__":
    main()
