"""Pretrain a GPT on any UTF-8 text, from Python or from the command line.

    python -m ch05.gpt_train --text FILE --out FOLDER
    torchrun --nproc-per-node 2 -m ch05.gpt_train --text FILE      # the same, on two processes

Dimension key: B batch, T tokens, C embedding, V vocabulary, N = B T.
"""

import argparse
import json
import math
import os
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path

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
        n_rows = max(1, 2**25 // len(weight))  # 128 MiB of logits at a time
        n_targets = (targets != IGNORE).sum().clamp(min=1)
        loss = x.new_zeros(())
        learn = any(ctx.needs_input_grad)
        if learn:
            grad_x, grad_weight = torch.empty_like(x), torch.empty_like(weight)
        for start in range(0, len(x), n_rows):
            rows = slice(start, start + n_rows)
            log_probs = (x[rows] @ weight.T).log_softmax(dim=-1)  # (n_rows, V)
            loss += F.nll_loss(log_probs, targets[rows], ignore_index=IGNORE, reduction="sum")
            if learn:
                counted = (targets[rows] != IGNORE).unsqueeze(1).to(x.dtype)
                grad = log_probs.exp_()  # softmax ...
                grad.scatter_add_(1, targets[rows].clamp(min=0).unsqueeze(1), -counted)
                grad *= counted / n_targets  # ... minus one-hot, and nothing where ignored
                torch.mm(grad, weight, out=grad_x[rows])
                grad_weight.addmm_(grad.T, x[rows], beta=int(start > 0))  # 0: nothing there yet
        if learn:
            ctx.save_for_backward(grad_x, grad_weight)
        return loss / n_targets

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output: Tensor) -> tuple:
        grad_x, grad_weight = ctx.saved_tensors
        if grad_output != 1:  # it is 1 where the loss itself is what backward() started from
            grad_x, grad_weight = grad_x * grad_output, grad_weight * grad_output
        return grad_x, grad_weight, None


def next_token_loss(model: GPTModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy of a batch; targets of -100 do not count.

    Shapes: inputs and targets (B, T) -> a number.
    """
    x = model.features(inputs).flatten(0, 1)  # (N, C)
    return HeadLoss.apply(x, model.out_head.weight, targets.flatten())


@torch.no_grad()
def evaluate(model: GPTModel, loader: DataLoader, n_batches: int | None = None) -> float:
    """The mean loss of a token in a loader's first batches (in all unless n_batches is given).

    Raises: ValueError if no target counts.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, n_targets = 0.0, 0
    for inputs, targets in islice(loader, n_batches):
        counted = int((targets != IGNORE).sum())
        total += next_token_loss(model, inputs.to(device), targets.to(device)).item() * counted
        n_targets += counted
    model.train(was_training)
    if n_targets == 0:
        raise ValueError("these batches hold no target that counts: there is nothing to evaluate")
    return total / n_targets


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
    seed: int | None = None  # the loader's; epoch number e is shuffled with seed + e
    losses: list[float] = field(default_factory=list)  # of the steps since the last row
    history: list[dict] = field(default_factory=list)  # a row for each evaluation


def train_step(model: GPTModel, optimizer: Optimizer, inputs: Tensor, targets: Tensor) -> float:
    """Make one step on a batch and return its loss; under torchrun each process takes a share.

    Raises: ValueError if the batch cannot be shared out equally, or the loss is not finite; the
    model is unchanged then.
    """
    device = next(model.parameters()).device
    rank, world = processes()
    if len(inputs) % world:
        raise ValueError(f"a batch of {len(inputs)} cannot be shared by {world} processes")
    loss = next_token_loss(model, inputs[rank::world].to(device), targets[rank::world].to(device))
    optimizer.zero_grad()
    loss.backward()
    loss = loss.detach()
    if world > 1:
        average_over_processes([loss, *(p.grad for p in model.parameters())])
    if not loss.isfinite():
        raise ValueError(f"the loss is {loss.item()}: lower the learning rate")
    optimizer.step()
    return loss.item()


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
    seen, mean training loss since the last row, validation loss, learning rate.
    Raises: ValueError as train_step, or if eval_every is below 1, or progress is of another loader.
    """
    progress = progress or Progress(seed=train_loader.generator.initial_seed())
    if eval_every < 1:
        raise ValueError(f"eval_every={eval_every} must be at least 1")
    if progress.batch > (n := len(train_loader)):
        raise ValueError(f"{progress.batch} batches of an epoch are done, but the loader has {n}")
    last_step = epochs * len(train_loader)
    if max_steps is not None:
        last_step = min(last_step, max_steps)
    bar = tqdm(total=last_step, initial=progress.step, desc="training", disable=processes()[0] > 0)
    model.train()
    while progress.step < last_step:
        train_loader.generator.manual_seed(progress.seed + progress.epoch)
        # What an interrupted run has already taken from its epoch is passed over.
        for inputs, targets in islice(train_loader, progress.batch, None):
            started = time.perf_counter()
            progress.losses.append(train_step(model, optimizer, inputs, targets))
            progress.seconds += time.perf_counter() - started
            progress.tokens += targets.numel()
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
                    "learning_rate": optimizer.param_groups[0]["lr"],
                }
                progress.history.append(row)
                progress.losses.clear()
                bar.set_postfix({name: f"{row[name]:.3f}" for name in ("train_loss", "val_loss")})
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


def save_checkpoint(
    path: str | Path,
    model: GPTModel,
    optimizer: Optimizer,
    progress: Progress,
    scheduler: LRScheduler | None = None,
) -> None:
    """Write, whole or not at all, everything that a training needs to go on as if never stopped."""
    checkpoint = {
        "config": asdict(model.config),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": scheduler.state_dict() if scheduler else None,
        "progress": vars(progress),
        "random": torch.get_rng_state(),
        "cuda_random": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }
    with written_whole(path) as draft:
        torch.save(checkpoint, draft)


def load_checkpoint(
    path: str | Path,
    model: GPTModel,
    optimizer: Optimizer,
    scheduler: LRScheduler | None = None,
) -> Progress:
    """Put model, optimizer, schedule and random state back as they were; return the progress.

    Raises: FileNotFoundError, or ValueError if the file is damaged or is of another model.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise
    except (RuntimeError, OSError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path} is not a whole checkpoint: {reason}") from None
    if not isinstance(checkpoint, dict) or "progress" not in checkpoint:
        raise ValueError(f"{path} is not a whole checkpoint: no training is in it")
    for name, value in asdict(model.config).items():
        if checkpoint["config"][name] != value:
            raise ValueError(
                f"{path} is of a model with {name}={checkpoint['config'][name]}, not {value}"
            )
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])
    if scheduler is not None:
        scheduler.load_state_dict(checkpoint["scheduler"])
    torch.set_rng_state(checkpoint["random"])
    if torch.cuda.is_available() and checkpoint["cuda_random"]:
        torch.cuda.set_rng_state_all(checkpoint["cuda_random"])
    return Progress(**checkpoint["progress"])


MODEL_SIZES = {"small": {"emb_dim": 128, "n_layers": 4, "n_heads": 4}} | GPT2_SIZES


def parse_arguments() -> argparse.Namespace:
    """Read the command line; with --resume, what it does not say is as in the saved run."""
    parser = argparse.ArgumentParser(
        prog="python -m ch05.gpt_train",
        description="Pretrain a GPT on a text; the model lands in a folder for gpt_generate.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--text", default=str(STORY), help="a UTF-8 text file")
    add("--tokenizer", choices=("own", "gpt2"), default="own", help="trained on the text, or GPT-2")
    add("--vocab-size", type=int, default=1024, help="tokens of the own tokenizer")
    add("--model-size", choices=MODEL_SIZES, default="small", help="width, layers and heads")
    add("--context-length", type=int, default=128, help="tokens that the model reads at once")
    add("--drop-rate", type=float, default=0.0, help="dropout; on a CPU it costs much time")
    add("--epochs", type=int, default=60)
    add("--batch-size", type=int, default=8, help="windows for each step")
    add("--lr", type=float, default=1e-3, help="AdamW's learning rate")
    add("--weight-decay", type=float, default=0.1)
    add("--seed", type=int, default=123)
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    add("--prompt", default="On Thursday", help="the sample goes on from it")
    add("--out", default="runs/story", help="the folder for model and checkpoint")
    add("--resume", action="store_true", help="go on with the run in the --out folder")
    args = parser.parse_args()
    if args.resume:
        settings = Path(args.out) / "settings.json"
        if not settings.exists():
            parser.error(f"there is no run to resume in {args.out}")
        parser.set_defaults(**json.loads(settings.read_text(encoding="utf-8")))
        args = parser.parse_args()
    if not 0 <= args.seed < 2**63:
        parser.error(f"--seed {args.seed} must be at least 0 and below 2**63")
    return args


def load_data(args: argparse.Namespace) -> tuple[BPETokenizer, DataLoader, DataLoader]:
    """Read and tokenize the text; its last tenth is for validation, the rest for training."""
    text = read_text(args.text)
    cut = len(text) * 9 // 10
    if args.tokenizer == "gpt2":
        tokenizer = BPETokenizer(gpt2_ranks())
    else:
        tokenizer = BPETokenizer.train(text[:cut], args.vocab_size)
    # The text is the user's own: whatever stands in it is text, never a special token.
    train_ids, val_ids = map(tokenizer.encode_ordinary, (text[:cut], text[cut:]))
    try:
        return (
            tokenizer,
            create_dataloader(train_ids, args.context_length, args.batch_size, seed=args.seed),
            create_dataloader(
                val_ids, args.context_length, args.batch_size, shuffle=False, drop_last=False
            ),
        )
    except ValueError as error:
        raise ValueError(f"{args.text} is too short for these settings: {error}") from None


def run(args: argparse.Namespace) -> None:
    """Train as the arguments say, report on the terminal, leave the model in the --out folder."""
    if "RANK" in os.environ:  # started by torchrun, once for each process
        # The optimizer imports this. When the import comes after the processes have joined, their
        # group outlives destroy_process_group(), and a thread of gloo can abort the process.
        from torch import _dynamo  # noqa: F401

        on_cuda = torch.cuda.is_available() and args.device != "cpu"
        dist.init_process_group("nccl" if on_cuda else "gloo")
        args.device = f"cuda:{os.environ['LOCAL_RANK']}" if on_cuda else "cpu"
    if args.epochs < 1:
        raise ValueError(f"epochs={args.epochs} must be at least 1")
    if not args.prompt:
        raise ValueError("the prompt is empty: the sample has to start from something")
    is_first = processes()[0] == 0
    device = choose_device(args.device)
    tokenizer, train_loader, val_loader = load_data(args)
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
        model.parameters(), lr=args.lr, weight_decay=args.weight_decay, fused=True
    )
    out = Path(args.out)
    progress = load_checkpoint(out / "checkpoint.pt", model, optimizer) if args.resume else None
    prompt = torch.tensor([tokenizer.encode_ordinary(args.prompt)], device=device)

    def sample(n_tokens: int) -> str:
        draw = torch.Generator().manual_seed(args.seed)
        return tokenizer.decode(generate(model, prompt, n_tokens, 0.7, top_k=40, generator=draw)[0])

    def after_epoch(progress: Progress) -> None:
        row = progress.history[-1]
        if is_first:
            text = " ".join(sample(16).split())
            tqdm.write(
                f"epoch {row['epoch']:3d}  step {row['step']:5d}  train loss "
                f"{row['train_loss']:.3f}  validation loss {row['val_loss']:.3f}  | {text}"
            )
            save_checkpoint(out / "checkpoint.pt", model, optimizer, progress)

    if is_first:
        print(
            f"{args.text}: {len(train_loader.dataset)} training windows of {args.context_length} "
            f"tokens, vocabulary {tokenizer.vocab_size}\n"
            f"{args.model_size} model: {count_parameters(model):,} parameters on {device}; "
            f"an untrained loss is about "
            f"ln({config.vocab_size}) = {math.log(config.vocab_size):.2f}"
        )
        settings = {k: v for k, v in vars(args).items() if k not in ("resume", "device", "out")}
        with written_whole(out / "settings.json") as draft:
            draft.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    progress = train(
        model,
        train_loader,
        val_loader,
        optimizer,
        args.epochs,
        eval_every=len(train_loader),
        progress=progress,
        after_epoch=after_epoch,
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


def main() -> None:
    try:
        run(parse_arguments())
    except (ValueError, OSError) as error:
        raise SystemExit(f"gpt_train: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(
            "\ngpt_train: stopped; with --resume it goes on after the last complete epoch"
        ) from None


if __name__ == "__main__":
    main()
