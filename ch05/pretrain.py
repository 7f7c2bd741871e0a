"""Train a GPT for a night, or on many machines, on texts larger than memory.

    python -m ch05.pretrain prepare FILES --out DATA
    python -m ch05.pretrain train --data DATA --out RUN
    python -m ch05.pretrain train --out RUN --resume
    torchrun --nproc-per-node 2 -m ch05.pretrain train --data DATA --out RUN

A run folder holds settings.json (what the run is), log.jsonl (a row for each
step; pandas.read_json(..., lines=True) reads it), the last two checkpoints, and
at the end the model. A run that is killed goes on exactly: on a CPU to the last
bit. What it does follows from its settings, its data and its seed alone.

torchrun needs libuv, which PyTorch for Windows lacks: there, start the command
once for each process, with RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and
MASTER_PORT set.

Dimension key: B batch, T tokens, V vocabulary.
"""

import argparse
import json
import math
import os
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import AdamW, Optimizer
from tqdm.auto import tqdm

from ch04.gpt import (
    GPT2_SIZES,
    GPTConfig,
    GPTModel,
    choose_device,
    count_parameters,
)
from ch05.bonus.faster_training import processes, sum_over_processes
from ch05.checkpoints import (
    find_checkpoints,
    load_checkpoint,
    remove_drafts,
    save_checkpoint,
)
from ch05.files import check_writable, saved_whole
from ch05.gpt_generate import generate
from ch05.gpt_weights import load_pretrained, save_pretrained
from ch05.optimizers import MuonWithAdamW
from ch05.precision import choose_precision
from ch05.run_folder import (
    Log,
    Stop,
    check_run,
    differences,
    option,
    read_settings,
    settings_of,
    way_on,
)
from ch05.scaling import config_for_depth, predict
from ch05.token_shards import add_options, report
from ch05.token_shards import prepare as prepare_shards
from ch05.token_windows import Batches, Shards, Windows, read_shards
from ch05.training_loop import (
    Progress,
    change_blocks,
    shard,
    train,
    whole_model,
)
from course.terminal import replace_unprintable

MODEL_SIZES = {
    "small": {"emb_dim": 128, "n_layers": 4, "n_heads": 4}
} | GPT2_SIZES
# ---- What a run is.


def make_parsers() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """The command line, and the part of it that trains."""
    show = argparse.ArgumentDefaultsHelpFormatter
    switch = (
        argparse.BooleanOptionalAction
    )  # so that a resumed run can do without
    parser = argparse.ArgumentParser(prog="python -m ch05.pretrain")
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser(
        "prepare",
        help="turn texts into token ids on disk",
        formatter_class=show,
    )
    add_options(prepare)
    training = commands.add_parser(
        "train", help="train on them, or go on", formatter_class=show
    )
    add = training.add_argument
    add("--data", default="runs/data", help="a folder that prepare has made")
    add("--out", default="runs/pretrain", help="the folder of the run")
    add("--resume", action="store_true", help="go on with the run in --out")
    add("--depth", type=int, help="sets sizes, batch, rate and tokens together")
    add(
        "--model-size", choices=MODEL_SIZES, default="small", help="or by hand:"
    )
    for name in ("--emb-dim", "--n-layers", "--n-heads"):
        add(name, type=int, help="in place of the model size's")
    add(
        "--start",
        metavar="MODEL",
        help="go on from the weights of a model folder, or of course",
    )
    add("--context-length", type=int, default=256, help="tokens of a window")
    add("--drop-rate", type=float, default=0.0, help="dropout")
    add("--epochs", type=float, default=1.0, help="times that all is read")
    add("--tokens", type=float, help="to read, in place of --epochs")
    add("--batch-size", type=int, default=32, help="windows of a step, in all")
    add("--at-once", type=int, help="windows that a process works on at a time")
    add(
        "--windows",
        choices=("stream", "documents"),
        default="stream",
        help="one after the other, or from a document's start",
    )
    add("--optimizer", choices=("adamw", "muon"), default="adamw", help="which")
    add("--lr", type=float, default=1e-3, help="the peak of the learning rate")
    add("--weight-decay", type=float, default=0.1, help="of the matrices")
    add(
        "--schedule",
        choices=("cosine", "constant"),
        default="cosine",
        help="after the warm-up; only a constant rate lets a run grow longer",
    )
    add("--warmup", type=int, default=100, help="steps in which the rate rises")
    add("--clip", type=float, default=1.0, help="the longest gradient")
    add("--seed", type=int, default=0, help="of weights, order and dropout")
    add(
        "--compile",
        action=switch,
        default=False,
        help="compile the blocks (torch.compile)",
    )
    add(
        "--recompute",
        action=switch,
        default=False,
        help="activation checkpointing",
    )
    add(
        "--fsdp",
        action=switch,
        default=False,
        help="share out the weights, too (FSDP2)",
    )
    add("--eval-every", type=int, default=250, help="steps between validations")
    add(
        "--eval-tokens",
        type=float,
        default=1e5,
        help="to validate with, at most",
    )
    add("--save-every", type=int, default=250, help="steps between checkpoints")
    add("--prompt", default="The", help="the samples go on from it")
    add("--watts", type=float, help="of the machine: predicts the energy, too")
    add(
        "--verify",
        action="store_true",
        help="read all shards first, and compare",
    )
    add(
        "--other-version",
        action="store_true",
        help="go on with another PyTorch",
    )
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    return parser, training


def parse_arguments() -> argparse.Namespace:
    """Read the command line; what a resumed run is not told is as it was.

    Raises: ValueError for a setting that no training can have.
    """
    parser, training = make_parsers()
    args = parser.parse_args()
    if args.command == "prepare":
        return args
    restarted = join_processes(args)
    saved = read_settings(Path(args.out))
    if args.resume and not saved:
        raise ValueError(f"there is no run to resume in {args.out}")
    if resume := args.resume or (restarted and bool(saved)):
        known = {name: saved[name] for name in vars(args) if name in saved}
        training.set_defaults(**known)
    elif args.depth:
        training.set_defaults(**turn_the_dial(args))
    args = parser.parse_args()
    args.resume = resume
    check_arguments(args)
    return args


def turn_the_dial(args: argparse.Namespace) -> dict:
    """The settings that follow from a depth, but for those that are given."""
    vocab_size = read_shards(args.data).tokenizer.vocab_size
    dial = config_for_depth(args.depth, vocab_size, args.context_length)
    names = ("emb_dim", "n_layers", "n_heads")
    sizes = {name: getattr(dial.config, name) for name in names}
    rest = {"lr": dial.lr, "batch_size": dial.batch_size, "tokens": dial.tokens}
    return sizes | rest | {"optimizer": "muon"}


def check_arguments(args: argparse.Namespace) -> None:
    """Refuse what no training can have. Raises: ValueError that names it."""
    least = {"batch_size": 1, "context_length": 1, "save_every": 1}
    least |= {"eval_every": 1, "at_once": 1, "seed": 0, "warmup": 0}
    for name, low in least.items():
        value = getattr(args, name)
        if value is not None and value < low:
            raise ValueError(f"{option(name)} {value} must be at least {low}")
    if args.seed >= 2**63:
        raise ValueError(f"--seed {args.seed} must be below 2**63")
    for name in ("lr", "epochs", "tokens", "clip", "watts", "eval_tokens"):
        value = getattr(args, name)
        if value is not None and not 0 < value < math.inf:
            raise ValueError(
                f"{option(name)} {value} must be above 0, and finite"
            )
    if not 0 <= args.weight_decay < math.inf:
        raise ValueError(
            f"--weight-decay {args.weight_decay} must be at least 0, and finite"
        )
    sizes = ("depth", "emb_dim", "n_layers", "n_heads")
    if args.start and any(getattr(args, name) for name in sizes):
        raise ValueError("--start has the sizes of its model: give no others")
    if not args.prompt:
        raise ValueError("the --prompt is empty: nothing can follow it")


# ---- The parts of a training.


def join_processes(args: argparse.Namespace) -> bool:
    """Join the other processes, if torchrun has started this one.

    Returns: whether torchrun has started them again after one was lost.
    Raises: ValueError if several machines could not be started again.
    """
    if "RANK" not in os.environ:
        return False
    # DDP imports this. When the import comes after the processes have joined, their group
    # outlives destroy_process_group(), and a thread of gloo can abort the process.
    from torch import _dynamo  # noqa: F401

    known = os.environ.get
    restarts = int(known("TORCHELASTIC_RESTART_COUNT", 0))
    on_one_machine = known("GROUP_WORLD_SIZE", "1") == "1"
    keeps_store = known("TORCHELASTIC_USE_AGENT_STORE") == "True"
    if (
        not on_one_machine
        and keeps_store
        and known("TORCHELASTIC_MAX_RESTARTS", "0") != "0"
    ):
        raise ValueError(
            "--max-restarts over several machines needs --rdzv-backend c10d, and "
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in torchrun's environment"
        )
    store, rank, world = next(dist.rendezvous("env://"))
    # torchrun's store outlives a start, with the addresses of the processes that are gone.
    if on_one_machine:
        store = dist.PrefixStore(f"start-{restarts}", store)
    on_cuda = torch.cuda.is_available() and args.device != "cpu"
    backend = "nccl" if on_cuda else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=world)
    if on_cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    # Several machines may count differently.
    return sum_over_processes(torch.tensor(restarts)).item() > 0


def device_of(args: argparse.Namespace) -> torch.device:
    """Where this process computes. Raises: ValueError if a batch cannot be shared."""
    if not dist.is_initialized():
        return choose_device(args.device)
    if args.batch_size % (world := dist.get_world_size()):
        raise ValueError(
            f"--batch-size {args.batch_size} cannot be shared by {world} processes"
        )
    on_cuda = dist.get_backend() == "nccl"
    return (
        torch.device("cuda", torch.cuda.current_device())
        if on_cuda
        else torch.device("cpu")
    )


def agree_on_precision(args: argparse.Namespace, device: torch.device) -> str:
    """The precision of a run: as it was if it goes on, and the same for all processes."""
    before = read_settings(Path(args.out)).get("precision", "auto")
    agreed = [choose_precision(device, before if args.resume else "auto")]
    if dist.is_initialized():
        dist.broadcast_object_list(agreed, device=device)
    return agreed[0]


def make_config(args: argparse.Namespace, data: Shards) -> GPTConfig:
    """The sizes of the model. Raises: ValueError if they do not go together."""
    names = ("emb_dim", "n_layers", "n_heads")
    given = {n: getattr(args, n) for n in names if getattr(args, n) is not None}
    return GPTConfig(
        **MODEL_SIZES[args.model_size] | given,
        vocab_size=data.tokenizer.vocab_size,
        context_length=args.context_length,
        drop_rate=args.drop_rate,
        qkv_bias=True,
        tie_weights=True,
    )


def load_start(args: argparse.Namespace, data: Shards) -> GPTModel:
    """The model that a training goes on from, which reads the same tokens.

    Raises: ValueError if its vocabulary, its kind or its context does not fit;
    FileNotFoundError if there is no such model.
    """
    model, tokenizer = load_pretrained(args.start)
    if type(model) is not GPTModel:
        raise ValueError(f"--start {args.start} is no GPT of chapter 4")
    if tokenizer.ranks != data.tokenizer.ranks:
        raise ValueError(
            f"--start {args.start} has another vocabulary than {args.data}: prepare the text "
            "again, with --tokenizer and the folder of this model"
        )
    if args.context_length > (most := model.config.context_length):
        raise ValueError(
            f"--context-length {args.context_length} is more than the {most} that --start "
            f"{args.start} can read"
        )
    return model


def make_optimizer(args: argparse.Namespace, model: GPTModel) -> Optimizer:
    """AdamW, fused into one pass, or Muon for the matrices of the blocks."""
    if args.optimizer == "muon":
        return MuonWithAdamW(model, args.lr, args.weight_decay)
    matrices = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    groups = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    decay = args.weight_decay
    return AdamW(groups, args.lr, (0.9, 0.95), weight_decay=decay, fused=True)


def rate_share(step: int, args: argparse.Namespace, n_steps: int) -> float:
    """The share of the peak rate at a step: up in a line, then constant or half a cosine."""
    if step < args.warmup:
        return (step + 1) / args.warmup
    if args.schedule == "constant":
        return 1.0
    done = (step - args.warmup) / max(1, n_steps - args.warmup)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def count_steps(args: argparse.Namespace, windows: Windows) -> int:
    """How many steps a training has."""
    n_windows = args.epochs * len(windows)
    if args.tokens is not None:
        n_windows = args.tokens * len(windows) / (len(windows.stream) - 1)
    return max(1, math.ceil(n_windows / args.batch_size))


class FirstBatches:
    """The first n batches of a data set, as often as they are asked for."""

    def __init__(self, batches: Batches, n_tokens: float):
        size = batches.batch_size * batches.windows.context_length
        self.batches = batches
        self.n = min(len(batches), math.ceil(n_tokens / size))

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for i in range(self.n):
            inputs, targets = self.batches[i]
            yield torch.from_numpy(inputs), torch.from_numpy(targets)


# ---- A training from its beginning, or from where it was, to its end.


class Run:
    """A training with its folder, its data and its model; every process has one."""

    def __init__(self, args: argparse.Namespace):
        """Find out, before anything is written, whether this can be trained.

        Raises: ValueError or OSError, in one sentence, if it cannot.
        """
        self.args, self.out = args, Path(args.out)
        self.device = device_of(args)
        self.is_first, self.world = processes()[0] == 0, processes()[1]
        self.data = read_shards(args.data, args.verify)
        self.precision = agree_on_precision(args, self.device)
        self.settings = settings_of(args, self.data, self.precision)
        check_run(args, self.settings)
        if args.fsdp and self.world == 1:
            raise ValueError(
                "--fsdp shares out weights: start it with torchrun"
            )
        cut = partial(
            Windows,
            context_length=args.context_length,
            end_id=self.data.end_id,
            at_documents=args.windows == "documents",
        )
        windows = cut(self.data.train)
        if len(windows) < args.batch_size:
            raise ValueError(
                f"{args.data} is too short for these settings: it has {len(windows)} windows "
                f"of --context-length {args.context_length}, and --batch-size "
                f"{args.batch_size} needs as many"
            )
        share = args.batch_size // self.world
        self.at_once = min(args.at_once or share, share)
        self.batches = Batches(windows, args.batch_size, args.seed)
        self.val_batches = FirstBatches(
            Batches(cut(self.data.validation), self.world * self.at_once),
            args.eval_tokens,
        )
        self.n_steps = count_steps(args, windows)
        start = load_start(args, self.data) if args.start else None
        self.config = start.config if start else make_config(args, self.data)
        self.predict(None)
        torch.manual_seed(args.seed)
        self.model = (start or GPTModel(self.config)).to(self.device)
        change_blocks(self.model, args.compile, args.recompute)
        self.loss_of = shard(self.model) if args.fsdp else self.model
        self.optimizer = make_optimizer(args, self.model)

    def predict(self, speed: float | None, done: int = 0) -> None:
        """Say what the training will take, or refuse it if it cannot fit."""
        prediction = predict(
            self.config,
            batch_size=self.args.batch_size,
            at_once=self.at_once,
            n_tokens=(self.n_steps - done)
            * self.args.batch_size
            * self.args.context_length,
            precision=self.precision,
            optimizer=self.args.optimizer,
            recompute=self.args.recompute,
            sharded=self.args.fsdp,
            n_processes=self.world,
            device=self.device,
            speed=speed,
            watts=self.args.watts,
        )
        if not prediction.fits:
            raise ValueError(prediction.advice)
        if speed is not None and self.is_first:
            print("\n".join(prediction.lines), flush=True)

    def advance(self, n_steps: int, progress: Progress, **more) -> Progress:
        """Train until n_steps are made.

        Raises: ValueError as train, with what is left of the training.
        """
        try:
            return train(
                self.loss_of,
                self.batches,
                self.optimizer,
                n_steps,
                schedule=partial(
                    rate_share, args=self.args, n_steps=self.n_steps
                ),
                progress=progress,
                precision=self.precision,
                at_once=self.at_once,
                clip=self.args.clip,
                seed=self.args.seed,
                **more,
            )
        except ValueError as error:
            raise ValueError(f"{error}; {way_on(self.out)}") from None

    def measure_speed(self) -> float:
        """Tokens per second in five steps after a first one; then all is as it was."""
        kept = [
            p.detach().to("cpu", copy=True) for p in self.model.parameters()
        ]
        warm = self.advance(1, Progress(), quiet=True)
        tokens, seconds = warm.tokens, warm.seconds
        timed = self.advance(6, warm, quiet=True)
        with torch.no_grad():
            for parameter, before in zip(self.model.parameters(), kept):
                parameter.copy_(before)
        for part in getattr(self.optimizer, "parts", [self.optimizer]):
            part.state.clear()
        return (timed.tokens - tokens) / (timed.seconds - seconds)

    def begin(self) -> Progress:
        """Where the training stands: at its beginning, or at its newest whole checkpoint.

        Raises: ValueError if there are checkpoints, but none is whole or of this run.
        """
        folder, refusals = self.out / "checkpoints", []
        for path in find_checkpoints(folder):
            try:
                facts = load_checkpoint(path, self.model, self.optimizer)
                progress = Progress(**facts["progress"])
            except (KeyError, TypeError, ValueError) as error:
                damaged = f"{path} is not a whole checkpoint: {error}"
                is_said = isinstance(error, ValueError)
                refusals.append(str(error) if is_said else damaged)
                continue
            if differ := differences(
                facts["settings"], self.settings, self.args
            ):
                raise ValueError(f"{path} is of a run with {differ}")
            for refusal in refusals if self.is_first else []:
                print(f"{refusal}; the one before it is taken")
            return progress
        if refusals:
            raise ValueError(refusals[0])
        return Progress()

    def bits(self, loss: float) -> float:
        """A loss of a token in bits for each byte of the text."""
        return loss / math.log(2) / self.data.bytes_per_token

    def sample(self, n_tokens: int) -> str:
        """What the model writes; every process has to ask for it."""
        model = whole_model(self.model)
        if not self.is_first:
            return ""
        device = next(model.parameters()).device
        ids = self.data.tokenizer.encode_ordinary(self.args.prompt)
        draw = torch.Generator().manual_seed(self.args.seed)
        prompt = torch.tensor([ids], device=device)
        written = generate(model, prompt, n_tokens, 0.7, 40, generator=draw)
        return self.data.tokenizer.decode(written[0])

    def save(self, progress: Progress) -> None:
        facts = {"step": progress.step, "settings": self.settings}
        facts["progress"] = asdict(progress)
        folder = self.out / "checkpoints"
        save_checkpoint(folder, self.model, self.optimizer, facts)

    def report(self, progress: Progress) -> None:
        """A line about the last evaluation, with a sample."""
        row, text = progress.history[-1], " ".join(self.sample(16).split())
        losses = [self.bits(row[name]) for name in ("train_loss", "val_loss")]
        left = progress.seconds / progress.step * (self.n_steps - progress.step)
        if self.is_first:
            tqdm.write(
                f"step {progress.step}/{self.n_steps}  bits per byte {losses[0]:.3f} in "
                f"training, {losses[1]:.3f} in validation  "
                f"{progress.tokens / progress.seconds:,.0f} tokens/s  "
                f"{clock(left)} left  | {text}"
            )

    def train(self) -> bool:
        """Train to the end, unless it is stopped; whether the end was reached."""
        args = self.args
        if self.is_first:
            check_writable(self.out)
        speed = self.measure_speed()
        progress = self.begin()
        self.predict(speed, progress.step)
        if self.is_first:
            self.out.mkdir(parents=True, exist_ok=True)
            remove_drafts(self.out / "checkpoints")
            with saved_whole(self.out / "settings.json") as draft:
                draft.write_text(json.dumps(self.settings, indent=1) + "\n")
            log = Log(self.out / "log.jsonl", progress.step)
            print(
                f"{count_parameters(self.model):,} parameters on {self.device} in "
                f"{self.precision}, {self.world} process{'es' * (self.world > 1)}; "
                f"{progress.step} of {self.n_steps} steps are made",
                flush=True,
            )

        def after_step(progress: Progress, row: dict) -> bool:
            if self.is_first:
                row["bits_per_byte"] = self.bits(row["loss"])
                log.add(row)
                if row["left_out"]:
                    tqdm.write(
                        f"step {progress.step}: a loss of {row['loss']:.2f} where "
                        f"{progress.usual_loss:.2f} is usual; no step was made of it"
                    )
            stopping = stop.agreed()
            ends = stopping or progress.step == self.n_steps
            if ends or progress.step % args.save_every == 0:
                self.save(progress)
            if row["val_loss"] is not None:
                self.report(progress)
            return stopping

        with Stop() as stop:
            progress = self.advance(
                self.n_steps,
                progress,
                val_batches=self.val_batches,
                eval_every=args.eval_every,
                leave_out_spikes=True,
                after_step=after_step,
            )
        if progress.step < self.n_steps:
            return False
        model, text = whole_model(self.model), self.sample(120)
        if self.is_first:
            save_pretrained(model, self.out, self.data.tokenizer)
            print(f"\n{text}\n")
            print(
                f"{progress.tokens:,} tokens in {clock(progress.seconds)}: "
                f"{progress.tokens / max(progress.seconds, 1e-9):,.0f} tokens per second; "
                f"model in {self.out}"
            )
        return True


def clock(seconds: float) -> str:
    """Seconds as hours, minutes and seconds."""
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def main() -> None:
    replace_unprintable()
    out = None
    try:
        args = parse_arguments()
        if args.command == "prepare":
            return prepare(args)
        out = Path(args.out)
        if not Run(args).train():
            raise KeyboardInterrupt
        if dist.is_initialized():
            dist.barrier()  # nobody leaves while another still writes
            dist.destroy_process_group()
    except (ValueError, OSError) as error:
        raise SystemExit(f"pretrain: {error}") from None
    except KeyboardInterrupt:
        what = f"; {way_on(out)}" if out else ""
        raise SystemExit(f"\npretrain: stopped{what}") from None
    except torch.OutOfMemoryError:
        raise SystemExit(
            "pretrain: the device's memory is full: take fewer windows --at-once, or "
            "--recompute"
        ) from None
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        if (
            isinstance(error, dist.DistNetworkError)
            and not dist.is_initialized()
        ):
            raise SystemExit(
                f"pretrain: the processes did not find one another ({reason:.200}); "
                "setup/README.md says which ports have to be open"
            ) from None
        if not dist.is_initialized() and args.compile:
            raise SystemExit(
                f"pretrain: --compile does not work here ({reason:.200}): leave it out"
            ) from None
        if not dist.is_initialized():
            raise
        raise SystemExit(
            f"pretrain: a process was lost ({reason:.200}); {way_on(out)}, and torchrun "
            "--max-restarts 3 does so by itself"
        ) from None


def prepare(args: argparse.Namespace) -> None:
    """Turn texts into shards, and say what is in them."""
    given = {
        n: v for n, v in vars(args).items() if n not in ("command", "files")
    }
    print(report(prepare_shards(args.files, **given), args.out))


if __name__ == "__main__":
    main()
