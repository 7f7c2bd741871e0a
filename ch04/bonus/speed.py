"""Count a step's operations, find a machine's own peak, climb to a fast step.

    python -m ch04.bonus.speed      # makes ch04/recorded/speed.json

The ladder begins with a step of training as one writes it first. Each rung
changes one thing and keeps what the rungs below it changed. Its losses are
held against those of 64-bit numbers on the same batches. Rungs of a GPU run
where there is one. Given again, the command measures what the record lacks.

Dimension key: B batch, T tokens, C embedding, L layers, H heads, D head size,
V vocabulary, N rows of a product.
"""

import argparse
import gc
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from unittest.mock import patch

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ch02.dataloader import read_text
from ch04.gpt import GELU, GPTConfig, GPTModel, LayerNorm, count_parameters
from ch04.kv_cache import make_cache, read
from ch05.bonus.faster_training import fast_loss
from ch05.precision import autocast
from course.commands import check_least, one_sentence
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

# ---- Operations: a product and a sum are two of them.


def forward_flops(config: GPTConfig, B: int, T: int) -> dict[str, int]:
    """The operations of one forward pass, by part."""
    C, L, V = config.emb_dim, config.n_layers, config.vocab_size
    of_a_token = {
        "queries, keys, values": L * 2 * C * 3 * C,
        "scores": L * 2 * C * T,  # with every token, the future too
        "mixing of values": L * 2 * T * C,
        "projection": L * 2 * C * C,
        "feed-forward": L * 2 * (C * 4 * C + 4 * C * C),
        "output layer": 2 * C * V,
    }
    return {part: B * T * n for part, n in of_a_token.items()}


def training_flops(config: GPTConfig, B: int, T: int) -> int:
    """The operations of a step: backward, every product becomes two."""
    return 3 * sum(forward_flops(config, B, T).values())


def count_flops(
    model: GPTModel, B: int, T: int, backward: bool = True
) -> FlopCounterMode:
    """PyTorch's counter after it watched a pass of B x T tokens, or both."""
    device = model.tok_emb.weight.device
    idx = torch.zeros(B, T, dtype=torch.long, device=device)  # any will do
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:  # a kernel that it looks into
        logits = model(idx)
        if backward:
            logits.sum().backward()
    model.zero_grad()
    return counter


def mfu(flops: float, seconds: float, peak: float) -> float:
    """Model FLOPs utilization: the share of the peak, in operations a second.

    Raises: ValueError if it would be above 1, which no machine can do.
    """
    share = flops / seconds / peak
    if not 0 < share <= 1:
        raise ValueError(
            f"{flops / seconds:.3g} operations a second are {share:.2f} times "
            f"the peak of {peak:.3g}: the peak is another one, operations are "
            "counted that were not done, or the clock stopped too early"
        )
    return share


# ---- Time, and the two limits of a machine.


def best_seconds(
    run: Callable[[], object],
    n: int = 5,
    clock: Callable[[], float] = time.perf_counter,
    enough: float = 0.02,
) -> float:
    """The least seconds of a run, of n trials: what disturbs only adds.

    A trial is as many runs as take `enough` seconds: clocks tick.
    """
    run()  # a warm-up
    means = []
    for _ in range(n):
        n_runs, started, spent = 0, clock(), 0.0
        while spent < enough:
            run()
            n_runs, spent = n_runs + 1, clock() - started
        means.append(spent / n_runs)
    return min(means)


def product_speeds(
    dtype: torch.dtype,
    sizes: Sequence[int] = (256, 512, 1024),
    device: str = "cpu",
    clock: Callable[[], float] = time.perf_counter,
    n: int = 5,
) -> dict[int, float]:
    """Operations a second of square products, by their size."""
    speeds = {}
    for size in sizes:
        a, b = (
            torch.randn(size, size, device=device).to(dtype) for _ in range(2)
        )

        def product(a=a, b=b):
            a @ b
            if device == "cuda":
                torch.cuda.synchronize()

        speeds[size] = 2 * size**3 / best_seconds(product, n, clock)
    return speeds


def memory_speed(
    n_mib: int = 256, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Bytes a second to and from memory, when each is used only once."""
    a, b = torch.zeros(2, n_mib * 2**18)  # more than a processor's cache holds
    moved = 3 * a.nbytes  # a sum reads both and writes one
    return moved / best_seconds(lambda: a.add_(b), 5, clock)


# ---- The ladder.


def attend_together(
    q: Tensor, k: Tensor, v: Tensor, dropout_p: float, is_causal: bool
) -> Tensor:
    """Attention written out: q, k and v (B, H, T, D) -> (B, H, T, D)."""
    T = q.shape[2]
    future = torch.ones(T, T, dtype=torch.bool, device=q.device).triu(1)
    scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5  # (B, H, T, T)
    weights = scores.masked_fill(future, -torch.inf).softmax(dim=-1)
    return weights @ v


def attend_by_head(
    q: Tensor, k: Tensor, v: Tensor, dropout_p: float, is_causal: bool
) -> Tensor:
    """The same in a loop over the heads."""
    heads = zip(*(x.split(1, dim=1) for x in (q, k, v)))  # (B, 1, T, D) each
    return torch.cat(
        [attend_together(*head, dropout_p, is_causal) for head in heads], dim=1
    )


def norm_in_passes(self: LayerNorm, x: Tensor) -> Tensor:
    """LayerNorm written out: each line is a pass over x."""
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    return centred / (variance + self.eps).sqrt() * self.scale + self.shift


def gelu_in_passes(self: GELU, x: Tensor) -> Tensor:
    """GELU written out: each operation is a pass over x."""
    inner = (2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + inner.tanh())


@dataclass(frozen=True)
class Way:
    """How steps of training are made; as it stands, as first written."""

    all_threads: bool = False
    attention: str = "by head"  # "together", "kernel", "flash"
    one_pass_layers: bool = False
    optimizer: str = "by tensor"  # "all tensors", "one pass"
    loss_in_parts: bool = False
    precision: str = "float32"  # "TF32", "bfloat16": of the products
    batch: int = 1  # times as many rows
    compiled: bool = False
    device: str = "cpu"


OPTIMIZERS = {
    "by tensor": {"foreach": False},
    "all tensors": {"foreach": True},
    "one pass": {"fused": True},
}
BY_HAND = {"by head": attend_by_head, "together": attend_together}


@contextmanager
def made_as(way: Way) -> Iterator[None]:
    """Let models compute as the way says; afterwards all is as it was."""
    threads, products = (
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
    )
    with ExitStack() as stack:
        if way.attention in BY_HAND:
            name = "ch03.multihead_attention.scaled_dot_product_attention"
            stack.enter_context(patch(name, BY_HAND[way.attention]))
        elif way.attention == "flash":
            stack.enter_context(sdpa_kernel(SDPBackend.FLASH_ATTENTION))
        if not way.one_pass_layers:
            for layer, forward in (
                (LayerNorm, norm_in_passes),
                (GELU, gelu_in_passes),
            ):
                stack.enter_context(patch.object(layer, "forward", forward))
        stack.callback(torch.set_float32_matmul_precision, products)
        torch.set_float32_matmul_precision(
            "high" if way.precision == "TF32" else "highest"
        )
        stack.callback(torch.set_num_threads, threads)
        torch.set_num_threads(threads if way.all_threads else 1)
        yield


def plain_loss(model: GPTModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy, from all logits at once."""
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


def kept_bytes(model: GPTModel, loss_of: Callable[[], Tensor]) -> int:
    """Bytes that wait for the backward pass, the weights left out."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    put_away = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            put_away[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = loss_of()
    assert loss.isfinite()
    return sum(put_away.values())


def train_as(
    config: GPTConfig, way: Way, batches: Sequence[Tensor], lr: float = 1e-3
) -> dict:
    """Steps on batches (B, T + 1): losses before each, times, kept bytes."""
    torch.manual_seed(0)
    device = torch.device(way.device)
    model = GPTModel(config).to(device)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr, **OPTIMIZERS[way.optimizer]
    )
    loss_of = fast_loss if way.loss_in_parts else plain_loss
    losses, seconds, of_cpu = [], [], []

    def loss_on(batch: Tensor) -> Tensor:
        with autocast(device, way.precision):
            return loss_of(model, batch[:, :-1], batch[:, 1:])

    with made_as(way):
        for block in model.blocks if way.compiled else []:
            block.forward = torch.compile(block.forward)
        for batch in batches:
            batch = batch.to(device)
            started, at = time.perf_counter(), time.process_time()
            loss = loss_on(batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())  # a GPU is waited for here
            seconds.append(time.perf_counter() - started)
            of_cpu.append(time.process_time() - at)
        kept = kept_bytes(model, lambda: loss_on(batch))
    return {
        "losses": losses,
        "seconds": seconds,
        "CPU seconds": of_cpu,
        "kept": kept,
    }


def exact_losses(
    config: GPTConfig, batches: Sequence[Tensor], lr: float = 1e-3
) -> list[float]:
    """The losses of the same steps in numbers of 64 bits, by nothing clever."""
    torch.manual_seed(0)
    model, losses = GPTModel(config).double(), []
    optimizer = torch.optim.AdamW(model.parameters(), lr)
    for batch in batches:
        loss = plain_loss(model, batch[:, :-1], batch[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def far_apart(losses: Sequence[float], exact: Sequence[float]) -> float:
    """The largest difference of two courses of losses."""
    return max(abs(a - b) for a, b in zip(losses, exact))


def cumulate(start: Way, changes: dict[str, dict]) -> dict[str, Way]:
    """Ways by name, each with the changes of those before it."""
    ways, way = {}, start
    for name, change in changes.items():
        ways[name] = way = replace(way, **change)
    return ways


RUNGS = cumulate(
    Way(),
    {
        "as first written": {},
        "all threads": {"all_threads": True},
        "heads together": {"attention": "together"},
        "one attention kernel": {"attention": "kernel"},
        "norm, GELU in one pass": {"one_pass_layers": True},
        "AdamW, all tensors": {"optimizer": "all tensors"},
        "AdamW, one pass": {"optimizer": "one pass"},
        "loss in parts": {"loss_in_parts": True},
        "products in bfloat16": {"precision": "bfloat16"},
        "four times the batch": {"batch": 4},
        "compiled": {"compiled": True},
    },
)
GPU_RUNGS = cumulate(
    replace(RUNGS["AdamW, one pass"], attention="together", device="cuda"),
    {
        "GPU, float32": {},
        "GPU, TF32": {"precision": "TF32"},
        "GPU, bfloat16": {"precision": "bfloat16"},
        "GPU, flash attention": {"attention": "flash"},
        "GPU, compiled": {"compiled": True},
        "GPU, 16 times the batch": {"batch": 16},
    },
)
# How far the losses of a few steps may be from those of 64 bits.
ALLOWED = {"float32": 1e-4, "TF32": 2e-2, "bfloat16": 2e-2}


# ---- What can run here, and the record.

RECORD = files("ch04") / "recorded" / "speed.json"
CONFIG = GPTConfig(context_length=256, drop_rate=0.0, tie_weights=True)  # 124M
COMPILERS = {"Darwin": "clang++", "Windows": "cl"}  # elsewhere g++
INSTALL = {
    "Linux": "sudo apt install g++",
    "Darwin": "xcode-select --install",
    "Windows": "install the C++ build tools of Visual Studio",
}


def why_not(way: Way) -> str:
    """Why a way cannot run here, in a sentence; nothing if it can."""
    if way.device == "cuda" and not torch.cuda.is_available():
        return "there is no CUDA device here"
    if way.compiled and way.device == "cpu":
        system = platform.system()
        name = os.environ.get("CXX") or COMPILERS.get(system, "g++")
        if shutil.which(name) is None:
            how = INSTALL.get(system, "install g++")
            return (
                "torch.compile needs a C++ compiler, and "
                f"{name} is not here: {how}"
            )
    return ""


def text_batches(n: int, B: int, T: int, seed: int = 0) -> list[Tensor]:
    """Random windows of the course's story (B, T + 1), a byte for a token."""
    ids = torch.tensor(list(read_text().encode()))
    draw = torch.Generator().manual_seed(seed)
    return [
        ids.unfold(0, T + 1, 1)[
            torch.randint(len(ids) - T, (B,), generator=draw)
        ]
        for _ in range(n)
    ]


def is_row(row: dict) -> bool:
    value = row["losses"] if row["kind"] == "exact" else row["seconds"] > 0
    return bool(value) and isinstance(row["name"], str)


def read_record(path: Path, settings: dict | None = None) -> list[dict]:
    """The rows of a record, none if there is no file.

    Raises: ValueError if it is damaged, or of other settings than these.
    """
    return read_rows(path, is_row, settings)


def threads_of(way: Way) -> int:
    return torch.get_num_threads() if way.all_threads else 1


def peak_name(way: Way, n_threads: int) -> str:
    where = (
        "GPU"
        if way.device == "cuda"
        else f"{n_threads} thread{'s' * (n_threads > 1)}"
    )
    return f"{way.precision}, {where}"


def measure_peak(way: Way) -> dict:
    """The fastest square product in a way's precision, on its device."""
    dtype = torch.bfloat16 if way.precision == "bfloat16" else torch.float32
    sizes = (2048, 4096, 8192) if way.device == "cuda" else (512, 1024, 2048)
    with made_as(way):
        speeds = product_speeds(dtype, sizes, way.device)
    size = max(speeds, key=speeds.get)
    flops = 2 * size**3
    return {
        "kind": "peak",
        "name": peak_name(way, threads_of(way)),
        "size": size,
        "flops": flops,
        "seconds": flops / speeds[size],
    }


def measure_points(
    config: GPTConfig,
    n_read: int = 256,
    clock: Callable[[], float] = time.perf_counter,
    n: int = 5,
) -> list[dict]:
    """Four kinds of work of one model: operations, bytes at least, seconds."""
    torch.manual_seed(0)
    model = GPTModel(config)
    batch = text_batches(1, 1, n_read)[0]
    inputs, targets = batch[:, :-1], batch[:, 1:]
    weights = sum(p.nbytes for p in model.parameters())
    of_part = forward_flops(config, 1, n_read)
    head = of_part.pop("output layer") // n_read
    row = 2 * 4 * config.n_layers * config.emb_dim  # bytes kept of a token
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, fused=True)

    def passes():
        fast_loss(model, inputs, targets).backward()

    kept = kept_bytes(model, lambda: fast_loss(model, inputs, targets))
    points = [
        # Weights are read twice, gradients written; what waits, both.
        (
            "training: passes",
            training_flops(config, 1, n_read),
            3 * weights + 2 * kept,
            passes,
        ),
        # Four numbers are read and three written, with 14 operations.
        ("training: AdamW", 14 * weights // 4, 7 * weights, optimizer.step),
    ]
    passes()
    found = [(*point[:3], best_seconds(point[3], n, clock)) for point in points]
    model.eval().requires_grad_(False)
    empty = make_cache(model, 1, n_read)
    _, full = read(model, empty, inputs[:, :-1])
    whole = sum(of_part.values()) + head
    one = sum(of_part.values()) // n_read + head  # sees all n_read tokens
    for name, flops, cache, idx in (
        ("prefill", whole, empty, inputs),
        ("decoding", one, full, inputs[:, -1:]),
    ):
        seconds = best_seconds(partial(read, model, cache, idx), n, clock)
        found.append((name, flops, weights + row * n_read, seconds))
    names = ("name", "flops", "bytes", "seconds")
    return [{"kind": "point", **dict(zip(names, point))} for point in found]


def measure_rung(
    config: GPTConfig,
    name: str,
    way: Way,
    batches: Sequence[Tensor],
    exact: Sequence[float],
) -> dict:
    """Train on a rung of the ladder: a row of the record."""
    run = train_as(config, way, batches)
    first, *others = run["seconds"]
    B, columns = batches[0].shape
    return {
        "kind": "rung",
        "name": name,
        "B": B,
        "T": columns - 1,
        "flops": training_flops(config, B, columns - 1),
        "seconds": min(others),
        "first": round(first, 3),
        "CPU seconds": min(run["CPU seconds"][1:]),
        "kept": run["kept"],
        "off": far_apart(run["losses"], exact),
        "peak": peak_name(way, threads_of(way)),
        "losses": [round(loss, 5) for loss in run["losses"]],
    }


def tabulate(rows: Sequence[dict]) -> pd.DataFrame:
    """The ladder, a line for each rung; those that did not run are empty.

    Units: tokens a second and how many times those of the floor, processor
    time of a token over all threads, MFU against the peak of the same threads
    and precision, MiB that wait for the backward pass, seconds of the first
    step, how far the losses are from those of 64 bits.
    """
    peaks = {
        row["name"]: row["flops"] / row["seconds"]
        for row in rows
        if row["kind"] == "peak"
    }
    done = {row["name"]: row for row in rows if row["kind"] == "rung"}
    floor, table = None, {}
    for name, way in (RUNGS | GPU_RUNGS).items():
        if name not in done:
            table[name] = {"same loss?": "not run"}
            continue
        row = done[name]
        B, T, seconds = row["B"], row["T"], row["seconds"]
        speed = B * T / seconds
        floor = floor or speed
        table[name] = {
            "tokens/s": speed,
            "times": speed / floor,
            "CPU ms/token": 1000 * row["CPU seconds"] / (B * T),
            "MFU": mfu(row["flops"], seconds, peaks[row["peak"]]),
            "MiB kept": row["kept"] / 2**20,
            "first step, s": row["first"],
            "loss off": row["off"],
            "allowed": ALLOWED[way.precision],
            "same loss?": "yes"
            if row["off"] <= ALLOWED[way.precision]
            else "no",
        }
    return pd.DataFrame(table).T


def run(args: argparse.Namespace) -> None:
    """Measure what the record lacks, and print it."""
    path, T = Path(args.record), args.tokens
    config = replace(
        CONFIG,
        context_length=T,
        emb_dim=args.emb_dim,
        n_layers=args.layers,
        n_heads=max(1, args.emb_dim // 64),
        vocab_size=args.vocab_size,
    )
    n_threads = torch.get_num_threads()
    settings = {
        "vocab_size": config.vocab_size,
        "emb_dim": config.emb_dim,
        "n_layers": config.n_layers,
        "parameters": count_parameters(GPTModel(config)),
        "tokens": T,
        "rows": args.rows,
        "steps": args.steps,
        "machine": f"{n_threads} threads of {platform.machine()}",
    }
    rows = read_record(path, settings)

    def keep(found: Sequence[dict], said: str) -> None:
        rows.extend(found)
        write_rows(path, settings, rows)
        gc.collect()  # models of finished rungs stand in cycles, and 124M each fill a laptop
        print(said, flush=True)

    def known(kind: str) -> dict[str, dict]:
        return {row["name"]: row for row in rows if row["kind"] == kind}

    ways = {}
    for name, way in (RUNGS | GPU_RUNGS).items():
        if reason := why_not(way):
            print(f"{name}: not run, {reason}")
        else:
            ways[name] = way
    for way in (*ways.values(), replace(Way(), precision="bfloat16")):
        if peak_name(way, threads_of(way)) not in known("peak"):
            row = measure_peak(way)
            speed = row["flops"] / row["seconds"]
            keep([row], f"{row['name']}: {speed / 1e9:.0f} GFLOP/s")
    if not known("memory"):
        speed = memory_speed()
        row = {"kind": "memory", "name": "memory", "bytes": 3 * 2**28}
        row["seconds"] = row["bytes"] / speed
        keep([row], f"memory: {speed / 1e9:.1f} GB/s")
    if not known("point"):
        keep(measure_points(config, T), "four kinds of work")
    for factor in sorted({way.batch for way in ways.values()}):
        batches = text_batches(args.steps, factor * args.rows, T)
        name = f"{factor} times the batch"
        if name not in known("exact"):
            losses = exact_losses(config, batches)
            row = {"kind": "exact", "name": name, "losses": losses}
            keep([row], f"{name}, 64 bits: last loss {losses[-1]:.3f}")
        exact = known("exact")[name]["losses"]
        for rung, way in ways.items():
            if way.batch == factor and rung not in known("rung"):
                try:
                    row = measure_rung(config, rung, way, batches, exact)
                except RuntimeError as error:
                    if not way.compiled:
                        raise
                    why = str(error).strip().partition("\n")[0]
                    print(f"{rung}: not run, torch.compile failed: {why}")
                    continue
                speed = row["B"] * T / row["seconds"]
                keep([row], f"{rung}: {speed:.0f} tokens/s")
    print(tabulate(rows).to_string())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch04.bonus.speed",
        description="Measure a machine's limits, and a ladder of faster steps.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--steps",
        type=int,
        default=4,
        help="of each rung, the first to warm up",
    )
    add("--tokens", type=int, default=CONFIG.context_length, help="of a row")
    add("--rows", type=int, default=1, help="of a batch on the lower rungs")
    add("--emb-dim", type=int, default=CONFIG.emb_dim, help="the model's width")
    add("--layers", type=int, default=CONFIG.n_layers, help="its blocks")
    add("--vocab-size", type=int, default=CONFIG.vocab_size, help="its tokens")
    add("--record", default=str(RECORD), help="the file of rows")
    args = parser.parse_args()
    check_least(args, steps=2, tokens=2, rows=1, vocab_size=256)
    return args


def main() -> None:
    replace_unprintable()
    with one_sentence("speed"):
        run(parse_arguments())


if __name__ == "__main__":
    main()
