"""Hold the C beside PyTorch: what both compute, and how fast.

    python -m appendix_f.compare                # all tables but the slow one
    python -m appendix_f.compare operations --anyway
    python -m appendix_f.compare step --large --llmc ../llm.c

Times are CPU time on one thread, the least of several runs. Nothing is timed
while other programs use the processor, unless --anyway says so.

Dimension key: B batch, T tokens, N = B T, C embedding, H heads, V vocabulary.
"""

import argparse
import copy
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from appendix_f.c_gpt import CGPT, use_threads
from appendix_f.mapping import MAPPING
from appendix_f.native import find_compiler, load
from ch02.dataloader import STORY, read_text
from ch04.gpt import GPTConfig, GPTModel, generate_greedy
from ch04.kv_cache import make_cache, read
from ch05.bonus.faster_training import fast_loss
from ch05.gpt_train import IGNORE, next_token_loss
from ch05.gpt_weights import load_pretrained
from ch05.machine import cpu_info
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

RECORD = Path(__file__).parent / "recorded" / "compare.json"
BATCH, TOKENS = 8, 256
LARGE = GPTConfig(drop_rate=0.0, qkv_bias=True, tie_weights=True)  # 124M
ADAMW = {"lr": 1e-3, "weight_decay": 0.1}
BUSY = 0.1  # processors that others may use while something is timed


# ---- What both compute


def course_batches(n_steps: int) -> list[tuple[Tensor, Tensor]]:
    """Batches (B, T) of windows of chapter 2's story, which the model never read."""
    _, tokenizer = load_pretrained("course")
    ids = torch.tensor(tokenizer.encode_ordinary(read_text(STORY)))
    starts = torch.arange(n_steps * BATCH) * 97 % (len(ids) - TOKENS)
    windows = ids[starts[:, None] + torch.arange(TOKENS + 1)]
    return [
        (part[:, :-1].contiguous(), part[:, 1:].contiguous())
        for part in windows.split(BATCH)
    ]


def relative(a: Tensor, b: Tensor) -> float:
    """How far a is from b, as a share of b's length."""
    return ((a - b).norm() / b.norm().clamp(min=1e-12)).item()


def flat_gradients(model: nn.Module) -> Tensor:
    """All gradients of a model in the order of its parameters."""
    return torch.cat(
        [
            torch.zeros(p.numel(), dtype=p.dtype)
            if p.grad is None
            else p.grad.flatten()
            for p in model.parameters()
        ]
    )


def trained_losses(
    model: GPTModel, batches: list[tuple[Tensor, Tensor]]
) -> list[float]:
    """The losses of AdamW steps on a copy of a model, in PyTorch."""
    model = copy.deepcopy(model).train()
    fused = next(model.parameters()).dtype == torch.float32
    optimizer = torch.optim.AdamW(model.parameters(), fused=fused, **ADAMW)
    losses = []
    for inputs, targets in batches:
        loss = next_token_loss(model, inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def furthest(a: list[float], b: list[float]) -> float:
    return max(abs(x - y) for x, y in zip(a, b))


def values(n_steps: int = 20) -> list[dict]:
    """The course's model in C and in PyTorch, both held against float64."""
    model, tokenizer = load_pretrained("course")
    gpt = CGPT.from_folder("course", BATCH * TOKENS)
    exact = copy.deepcopy(model).double()
    batches = course_batches(n_steps)
    inputs, targets = batches[0]
    rows = []

    def row(what: str, c: float, of_torch: float, bound: float) -> None:
        rows.append({"what": what, "C": c, "PyTorch": of_torch, "bound": bound})

    flat = nn.utils.parameters_to_vector(model.parameters())
    row("weights read, unequal", int((gpt.weights != flat).sum()), 0, 0)
    with torch.no_grad():
        right, theirs = exact(inputs), model(inputs)
    of_torch = (theirs - right).abs().max().item()
    ours = (gpt.logits(inputs) - right).abs().max().item()
    row("logits, largest error", ours, of_torch, min(1e-4, 2 * of_torch))
    losses = [next_token_loss(m, inputs, targets) for m in (model, exact)]
    for loss in losses:
        loss.backward()
    theirs, right = (loss.item() for loss in losses)
    ours = gpt.learn(inputs, targets)
    errors = [abs(loss / right - 1) for loss in (ours, theirs)]
    row("loss, relative error", *errors, 2e-7)
    by_name = gpt.named(gpt.gradients)
    of_torch = dict(model.named_parameters())
    errors = [
        (relative(by_name[name], p.grad), relative(of_torch[name].grad, p.grad))
        for name, p in exact.named_parameters()
    ]
    worst = (max(column) for column in zip(*errors))
    row("gradients, the worst tensor's", *worst, 5e-6)
    theirs = trained_losses(model, batches)
    ours = [gpt.train_step(*batch, **ADAMW) for batch in batches]
    row(
        f"{n_steps} losses of AdamW, C - PyTorch",
        furthest(ours, theirs),
        0,
        1e-5,
    )
    prompt = tokenizer.encode_ordinary("Once there was a baker.")
    gpt.copy_weights(model)
    text = generate_greedy(model, torch.tensor([prompt]), 100)[0].tolist()
    differ = sum(a != b for a, b in zip(gpt.generate(prompt, 100), text))
    row("100 greedy tokens, unequal", differ, 0, 0)
    return rows


def draw_configuration(draw: Random) -> tuple[GPTConfig, int, int]:
    """A small GPT of any form, and a batch for it: its config, B, T."""
    n_heads = draw.choice([1, 2, 3, 4])
    config = GPTConfig(
        vocab_size=draw.choice([2, 11, 33, 257, 1000]),
        context_length=draw.choice([8, 64, 65, 130, 200]),
        emb_dim=n_heads * draw.choice([1, 3, 8, 16, 24, 32, 64]),
        n_heads=n_heads,
        n_layers=draw.choice([1, 2, 3]),
        drop_rate=0.0,
        qkv_bias=draw.random() < 0.5,
        tie_weights=draw.random() < 0.5,
    )
    length = draw.randint(1, config.context_length)
    return config, draw.choice([1, 2, 3, 5]), length


def configurations(
    n_draws: int = 150, library=None, seed: int = 0
) -> list[dict]:
    """Gradients and cached logits of random GPTs, as errors against float64.

    A width of 1 is left out: there LayerNorm gives 0, and gradients are noise.
    """
    draw, rows = Random(seed), []
    while len(rows) < n_draws:
        config, B, T = draw_configuration(draw)
        if config.emb_dim == 1:
            continue
        torch.manual_seed(len(rows))
        model = GPTModel(config)
        for p in model.parameters():
            nn.init.normal_(
                p, std=draw.choice([0.05, 0.2]), mean=draw.choice([0, 0.01])
            )
        inputs, targets = torch.randint(config.vocab_size, (2, B, T))
        if draw.random() < 0.3:
            targets[torch.rand(B, T) < 0.5] = IGNORE
            targets[0, 0] = 0  # one counts
        exact = copy.deepcopy(model).double()
        for m in (model, exact):
            next_token_loss(m, inputs, targets).backward()
        gpt = CGPT.from_model(model, B * T, library)
        gpt.learn(inputs, targets)
        right = flat_gradients(exact)
        with torch.no_grad():
            logits = exact(inputs[:1])[0]
        split = draw.randint(0, T - 1)  # so many at once, then one by one
        ids = inputs[0].tolist()
        if split:
            gpt.next_logits(ids[:split])
        cached = [gpt.next_logits([ids[t]], t) for t in range(split, T)]
        error = (torch.stack(cached) - logits[split:]).abs().max()
        rows.append(
            {
                "gradients": relative(gpt.gradients, right),
                "PyTorch's": relative(flat_gradients(model), right),
                "cached logits": (error / logits.abs().max()).item(),
                "model": f"{config}, batch ({B}, {T})",
            }
        )
    return rows


def small_model(seed: int = 123) -> tuple[GPTModel, Tensor, Tensor]:
    """The model of make train, untrained, and a batch of random ids."""
    torch.manual_seed(seed)
    sizes = {"emb_dim": 128, "n_heads": 4, "n_layers": 4, "drop_rate": 0.0}
    model = GPTModel(GPTConfig(1024, 128, **sizes, tie_weights=True))
    inputs, targets = torch.randint(1024, (2, BATCH, 128))
    return model, inputs, targets


def gradient(epsilons: tuple[float, ...] = (1e-1, 1e-2, 1e-3)) -> list[dict]:
    """All weights at once, moved along the gradient: does the loss follow?

    (L(w + e d) - L(w - e d)) / 2e with d = gradient / length should be the
    gradient's length. This test of a backward needs no other program.
    """
    model, inputs, targets = small_model()
    gpt = CGPT.from_model(model, inputs.numel())
    gpt.learn(inputs, targets)
    weights, length = gpt.weights.clone(), gpt.gradients.norm().item()
    direction = gpt.gradients / length
    rows = []
    for epsilon in epsilons:
        losses = []
        for step in (epsilon, -epsilon):
            gpt.weights.copy_(weights + step * direction)
            losses.append(gpt.loss(inputs, targets))
        slope = (losses[0] - losses[1]) / (2 * epsilon)
        rows.append(
            {
                "epsilon": epsilon,
                "by differences": slope,
                "by backward": length,
                "relative error": abs(slope / length - 1),
            }
        )
    return rows


def overfit(n_steps: int = 100) -> list[dict]:
    """The losses of training on one batch again and again, side by side."""
    model, *batch = small_model()
    batches = [batch] * n_steps
    gpt = CGPT.from_model(model, batch[0].numel())
    columns = {
        "C": [gpt.train_step(*b, **ADAMW) for b in batches],
        "PyTorch": trained_losses(model, batches),
        "float64": trained_losses(copy.deepcopy(model).double(), batches),
    }
    return [
        {"step": step + 1} | {name: c[step] for name, c in columns.items()}
        for step in range(n_steps)
    ]


# ---- How fast


class Others:
    """The processors that other programs used, on average, in a with block."""

    def __enter__(self) -> "Others":
        self.before = self._used()
        return self

    def __exit__(self, *error: object) -> None:
        wall, used = (b - a for a, b in zip(self.before, self._used()))
        self.share = max(0.0, used / wall) if wall else 0.0

    @staticmethod
    def _used() -> tuple[float, float]:
        everyone, mine = psutil.cpu_times(), os.times()
        idle = everyone.idle + getattr(everyone, "iowait", 0)
        extra = getattr(everyone, "guest", 0)  # counted in user as well
        busy = sum(everyone) - idle - extra
        ours = mine.user + mine.system
        return time.perf_counter(), busy - ours


def check_quiet(seconds: float = 2.0) -> None:
    """Look whether there is a processor to time on.

    Raises: ValueError if other programs use it.
    """
    with Others() as others:
        time.sleep(seconds)
    if others.share > BUSY:
        raise ValueError(
            f"other programs use {others.share:.1f} processors, which slows what is timed: wait, "
            "or say --anyway"
        )


def least_seconds(*ways: Callable[[], object], n: int = 20) -> list[float]:
    """The least CPU time of each way; they take turns, so all meet the same."""
    times = [[] for _ in ways]
    for _ in range(n + 1):
        for way, of_one in zip(ways, times):
            started = time.process_time()
            way()
            of_one.append(time.process_time() - started)
    return [min(of_one[1:]) for of_one in times]


def peak() -> float:
    """The multiply-adds that one thread can do, in GFLOP/s."""
    ladder, n = load("ladder.c"), 2_000_000
    out = np.zeros(1, np.float32)
    n_operations = ladder.peak(n, out)
    return n_operations / least_seconds(lambda: ladder.peak(n, out))[0] / 1e9


def bandwidth() -> float:
    """How fast one thread reads two arrays and writes a third, in GB/s."""
    n = 2**25  # 128 MiB each: no cache holds them
    a, b, out = torch.ones(3, n)
    add = load("ops.c").shortcut_forward
    return 12 * n / least_seconds(lambda: add(out, a, b, n), n=5)[0] / 1e9


def cases(config: GPTConfig, B: int, T: int) -> Iterator[tuple]:
    """Every operation of a step, ready to be run by PyTorch and by C.

    Gives name, calls in a step, FLOP, bytes, PyTorch's way, C's, its error.
    """
    ops = load("ops.c")
    C, V, H = config.emb_dim, config.vocab_size, config.n_heads
    N, L, D = B * T, config.n_layers, C // H
    ids, positions = torch.randint(V, (B, T)), torch.arange(T)
    tok, pos, grad = torch.randn(V, C), torch.randn(T, C), torch.randn(B, T, C)
    x, d_tok, d_pos = torch.empty(B, T, C), torch.zeros(V, C), torch.zeros(T, C)

    def add() -> Tensor:
        return F.embedding(ids, tok) + F.embedding(positions, pos)

    def spread() -> tuple[Tensor, Tensor]:
        by_token = torch.ops.aten.embedding_dense_backward(
            grad, ids, V, -1, False
        )
        return by_token, grad.sum(0)

    def c_spread() -> float:
        d_tok.zero_()
        d_pos.zero_()
        ops.embedding_backward(d_tok, d_pos, grad, ids, B, T, C)

    yield (
        *("embeddings, forward", 1, N * C, 12 * N * C, add),
        lambda: ops.embedding_forward(x, ids, tok, pos, B, T, C),
        lambda: relative(x, add()),
    )
    yield (
        *("embeddings, backward", 1, 2 * N * C, 12 * N * C + 4 * V * C),
        *(spread, c_spread),
        lambda: max(map(relative, (d_tok, d_pos), spread())),
    )

    x, dout = torch.randn(2, N, C)
    scale, shift = torch.randn(2, C)
    out, mean, rstd = torch.empty(N, C), torch.empty(N), torch.empty(N)
    dx, d_scale, d_shift = torch.zeros(N, C), torch.zeros(C), torch.zeros(C)
    _, their_mean, their_rstd = torch.native_layer_norm(
        x, (C,), scale, shift, 1e-5
    )

    def normalise() -> Tensor:
        return F.layer_norm(x, (C,), scale, shift, 1e-5)

    def normalise_back() -> tuple[Tensor, ...]:
        return torch.ops.aten.native_layer_norm_backward(
            *(dout, x, (C,), their_mean, their_rstd, scale, shift, [True] * 3)
        )

    def c_normalise_back() -> None:
        for array in (dx, d_scale, d_shift):
            array.zero_()
        ops.layernorm_backward(
            *(dx, d_scale, d_shift, dout, x, mean, rstd, scale, N, C)
        )

    yield (
        *("layer norm, forward", 2 * L + 1, 8 * N * C, 8 * N * C, normalise),
        lambda: ops.layernorm_forward(out, mean, rstd, x, scale, shift, N, C),
        lambda: relative(out, normalise()),
    )
    yield (
        *("layer norm, backward", 2 * L + 1, 16 * N * C, 16 * N * C),
        *(normalise_back, c_normalise_back),
        lambda: max(map(relative, (dx, d_scale, d_shift), normalise_back())),
    )

    def linear(name: str, inputs: int, outputs: int, calls: int, has_bias=True):
        x, w, dout = (
            torch.randn(shape)
            for shape in ((N, inputs), (outputs, inputs), (N, outputs))
        )
        bias = torch.randn(outputs) if has_bias else None
        out, dx, dw = torch.empty(N, outputs), torch.empty(N, inputs), w * 0
        d_bias = torch.zeros(outputs) if has_bias else None
        n, sizes = 2 * N * inputs * outputs, (N, inputs, outputs)
        n_bytes = 4 * (N * inputs + inputs * outputs + N * outputs)

        def back() -> tuple[Tensor, ...]:
            sums = (dout.sum(0),) if has_bias else ()
            return (dout @ w, dout.T @ x, *sums)

        def c_back() -> None:
            dw.zero_()
            if has_bias:
                d_bias.zero_()
            ops.linear_backward(dx, dw, d_bias, dout, x, w, *sizes)

        yield (
            *(f"{name}, forward", calls, n, n_bytes),
            lambda: F.linear(x, w, bias),
            lambda: ops.linear_forward(out, x, w, bias, *sizes),
            lambda: relative(out, F.linear(x, w, bias)),
        )
        yield (
            *(f"{name}, backward", calls, 2 * n, 2 * n_bytes, back, c_back),
            lambda: max(map(relative, (dx, dw, d_bias), back())),
        )

    yield from linear("qkv", C, 3 * C, L)
    qkv, d_qkv = torch.randn(B, T, 3 * C), torch.empty(B, T, 3 * C)
    heads, lse = torch.empty(B, T, C), torch.empty(B, H, T)
    leaf = qkv.clone().requires_grad_()

    def attend(qkv: Tensor) -> Tensor:
        q, k, v = (
            part.view(B, T, H, -1).transpose(1, 2)
            for part in qkv.split(C, dim=-1)
        )
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return out.transpose(1, 2).reshape(B, T, C)

    graph = attend(leaf)

    def attend_back() -> Tensor:
        return torch.autograd.grad(graph, leaf, grad, retain_graph=True)[0]

    n = 2 * B * H * D * T * (T + 1)  # two products, half of them masked
    yield (
        *("attention, forward", L, n, 16 * N * C, lambda: attend(qkv)),
        lambda: ops.attention_forward(heads, lse, qkv, 0, B, T, C, H),
        lambda: relative(heads, attend(qkv)),
    )
    yield (
        *("attention, backward", L, 5 * n // 2, 32 * N * C, attend_back),
        lambda: ops.attention_backward(
            d_qkv, grad, heads, lse, qkv, B, T, C, H
        ),
        lambda: relative(d_qkv, attend_back()),
    )
    yield from linear("proj", C, C, L)
    x, y, out = torch.randn(3, N, C)
    yield (
        *("shortcut, forward", 2 * L, N * C, 12 * N * C, lambda: x + y),
        lambda: ops.shortcut_forward(out, x, y, N * C),
        lambda: relative(out, x + y),
    )
    yield from linear("up", C, 4 * C, L)
    wide, d_wide, wide_out = torch.randn(3, N, 4 * C)

    def bend() -> Tensor:
        return F.gelu(wide, approximate="tanh")

    def bend_back() -> Tensor:
        return torch.ops.aten.gelu_backward(d_wide, wide, approximate="tanh")

    n = 4 * N * C
    yield (
        *("GELU, forward", L, 14 * n, 8 * n, bend),
        lambda: ops.gelu_forward(wide_out, wide, n),
        lambda: relative(wide_out, bend()),
    )
    yield (
        *("GELU, backward", L, 24 * n, 12 * n, bend_back),
        lambda: ops.gelu_backward(wide_out, d_wide, wide, n),
        lambda: relative(wide_out, bend_back()),
    )
    yield from linear("down", 4 * C, C, L)
    yield from linear("output layer", C, V, 1, has_bias=False)
    logits, targets = torch.randn(N, V), torch.randint(V, (N,))
    ones, losses, own = torch.ones(N, 1), torch.empty(N), logits.clone()

    def loss_both_ways() -> Tensor:
        log_probs = logits.log_softmax(-1)
        F.nll_loss(log_probs, targets, reduction="sum")
        grad = log_probs.exp_()
        return grad.scatter_add_(1, targets[:, None], -ones).div_(N)

    def c_loss_both_ways() -> None:
        own.copy_(logits)  # it is written over
        ops.cross_entropy(losses, own, targets, N, V, N)

    yield (
        *("softmax and loss, both ways", 1, 8 * N * V, 8 * N * V),
        *(loss_both_ways, c_loss_both_ways),
        lambda: relative(own, loss_both_ways()),
    )
    n = sum(p.numel() for p in GPTModel(config).parameters())
    weight = nn.Parameter(torch.randn(n))
    weight.grad = torch.randn(n) / 100
    optimizer = torch.optim.AdamW([weight], fused=True, **ADAMW)
    ours, m, v = weight.detach().clone(), torch.zeros(n), torch.zeros(n)
    step = (1, 1e-3, 0.9, 0.999, 1e-8, 0.1)
    optimizer.step()
    ops.adamw(ours, weight.grad, m, v, n, *step)
    error = relative(ours, weight.detach())
    yield (
        *("AdamW", 1, 14 * n, 28 * n, optimizer.step),
        lambda: ops.adamw(ours, weight.grad, m, v, n, *step),
        lambda: error,
    )


def operations(n: int = 20) -> list[dict]:
    """Each operation of a step of the course's model, and their sum."""
    torch.manual_seed(0)
    config = load_pretrained("course")[0].config
    limit, rows = peak(), []
    for name, calls, flop, n_bytes, theirs, ours, error in cases(
        config, BATCH, TOKENS
    ):
        ours()
        far = error()  # AdamW's was taken before its first step
        torch_seconds, c_seconds = least_seconds(theirs, ours, n=n)
        rows.append(
            {
                "operation": name,
                "calls": calls,
                "MFLOP": flop / 1e6,
                "MB": n_bytes / 1e6,
                "PyTorch ms": torch_seconds * 1e3,
                "C ms": c_seconds * 1e3,
                "error": far,
                "peak share": flop / c_seconds / 1e9 / limit,
            }
        )
    total = {
        name: sum(row["calls"] * row[name] for row in rows)
        for name in ("MFLOP", "MB", "PyTorch ms", "C ms")
    }
    worst = max(row["error"] for row in rows)
    share = total["MFLOP"] / total["C ms"] / limit
    last = {"operation": "all of a step", "calls": 1, **total}
    return [*rows, last | {"error": worst, "peak share": share}]


# Wider vectors, one after the other. The first two are flags of x86-64.
WIDTHS = {"SSE2": "-march=x86-64", "AVX2": "-march=haswell"}


def libraries(narrower: bool = True) -> dict[str, object]:
    """gpt.c for this processor, and on x86-64 for narrower vectors too."""
    compiler, found = find_compiler(), {}
    if narrower and platform.machine() in ("x86_64", "AMD64"):
        for name, flag in WIDTHS.items():
            if name == "SSE2" or "avx2" in cpu_info().get("flags", "").split():
                found[f"C, {name}"] = load("gpt.c", (flag,), compiler)
    return found | {"C, native": load("gpt.c")}


def processor_name() -> str:
    """Its name; the family tells the generations of one name apart."""
    info = cpu_info()
    if "cpu family" not in info:
        return platform.processor() or platform.machine()
    family = f"family {info['cpu family']} model {info['model']}"
    return f"{info['model name']}, {family}"


def ladder(N: int = BATCH * TOKENS, n_in: int = 256, n_out: int = 768):
    """One product, (N, n_in) by (n_in, n_out), on rungs; each in GFLOP/s."""
    x, w = torch.randn(N, n_in), torch.randn(n_out, n_in)
    out, right = torch.empty(N, n_out), x @ w.T
    # zig cc adds checks of its own to -O0
    slow = load("ladder.c", ("-O0", "-fno-sanitize=undefined"))
    fast = load("ladder.c")
    sizes, limit, rows = (N, n_in, n_out), peak(), []
    rungs = {
        "1 the definition, -O0": lambda: slow.product_1(out, x, w, *sizes),
        "1 the definition": lambda: fast.product_1(out, x, w, *sizes),
        "2 many sums at a time": lambda: fast.product_2(out, x, w, *sizes),
        "3 a tile of sums": lambda: fast.product_3(out, x, w, *sizes),
        "4 packed blocks": lambda: fast.linear_forward(out, x, w, None, *sizes),
        "PyTorch": lambda: torch.mm(x, w.T, out=out),
        "NumPy": lambda: np.matmul(x.numpy(), w.numpy().T, out.numpy()),
    }
    for name, run in rungs.items():
        seconds = least_seconds(run, n=2 if name.startswith("1") else 20)[0]
        speed = 2 * N * n_in * n_out / seconds / 1e9
        rows.append(
            {
                "rung": name,
                "GFLOP/s": speed,
                "peak share": speed / limit,
                "error": relative(out, right),
            }
        )
    rows.append({"rung": "the peak", "GFLOP/s": limit, "peak share": 1.0})
    return rows


def step_flop(config: GPTConfig, B: int, T: int) -> float:
    """The multiply-adds of a step's products, times two; nothing else counts."""
    C, L, N = config.emb_dim, config.n_layers, B * T
    weights = 12 * L * C * C + C * config.vocab_size
    return 6 * N * weights + 7 * L * C * N * (T + 1)


def step(
    config: GPTConfig | None = None,
    B: int = BATCH,
    T: int = TOKENS,
    llmc: Path | None = None,
    n: int = 8,
) -> list[dict]:
    """One training step of PyTorch, of C with wider and wider vectors, of llm.c.

    Memory is what a process of its own needs above an interpreter with PyTorch.
    The 124M model has room for one C beside PyTorch, so only the native one.
    """
    config = config or load_pretrained("course")[0].config
    torch.manual_seed(0)
    model = GPTModel(config).train()
    inputs, targets = torch.randint(config.vocab_size, (2, B, T))
    gpts = {
        name: CGPT.from_model(model, B * T, library)
        for name, library in libraries(narrower=config != LARGE).items()
    }
    theirs = llmc_step(llmc, model, inputs, targets, n) if llmc else None
    optimizer = torch.optim.AdamW(model.parameters(), fused=True, **ADAMW)

    def torch_step() -> None:
        loss = fast_loss(model, inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    ways = {"PyTorch": torch_step} | {
        name: lambda gpt=gpt: gpt.train_step(inputs, targets, **ADAMW)
        for name, gpt in gpts.items()
    }
    seconds = dict(zip(ways, least_seconds(*ways.values(), n=n)))
    memory = {
        "PyTorch": step_memory("torch", config, B, T),
        "C, native": step_memory("c", config, B, T),
    }
    if theirs:
        seconds["llm.c"] = theirs
    limit, flop, rows = peak(), step_flop(config, B, T), []
    for name, of_one in seconds.items():
        rows.append(
            {
                "way": name,
                "ms": of_one * 1e3,
                "tokens/s": B * T / of_one,
                "of PyTorch": seconds["PyTorch"] / of_one,
                "peak share": flop / of_one / 1e9 / limit,
                "MB": memory.get(name),
            }
        )
    return rows


MEMORY = """
import json, sys, psutil, torch
from appendix_f.c_gpt import CGPT, use_threads
from appendix_f.compare import ADAMW
from ch02.dataloader import STORY, read_text
from ch04.gpt import GPTConfig, GPTModel
from ch05.bonus.faster_training import train_step
way, config, B, T = json.loads(sys.argv[1])
config = GPTConfig(**config)
torch.set_num_threads(1)
use_threads(1)
inputs, targets = torch.randint(config.vocab_size, (2, B, T))
before = psutil.Process().memory_info().rss
if way == "torch":
    model = GPTModel(config)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True, **ADAMW)
    step = lambda: train_step(model, optimizer, inputs, targets)
else:
    gpt = CGPT(config, B * T)
    gpt.weights.normal_(std=0.02)
    step = lambda: gpt.train_step(inputs, targets, **ADAMW)
for _ in range(3):
    step()
try:  # the child's own, while ru_maxrss begins at its parent's
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    peak = int(line.split()[1]) * 1024
except OSError:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print((peak - before) / 1e6)
"""


def step_memory(way: str, config: GPTConfig, B: int, T: int) -> float | None:
    """The most memory, in MB, of a few steps in a process of its own."""
    if os.name == "nt":
        return None  # Windows keeps no such record that Python reads
    what = json.dumps([way, vars(config), B, T])
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, what], capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return float(done.stdout)


def generation(n_tokens: int = 200) -> list[dict]:
    """Writing greedily with the course's sizes: the same tokens, how fast."""
    torch.manual_seed(0)
    config = load_pretrained("course")[0].config
    model = GPTModel(config).eval()
    gpt, prompt = CGPT.from_model(model), torch.randint(1000, (1, 10))

    def cached() -> list[int]:
        cache = make_cache(model, 1, prompt.shape[1] + n_tokens)
        ids, new = prompt[0].tolist(), prompt
        for _ in range(n_tokens):
            logits, cache = read(model, cache, new)
            new = logits.argmax(-1, keepdim=True)
            ids.append(int(new))
        return ids

    ways = {
        "PyTorch": lambda: generate_greedy(model, prompt, n_tokens)[0].tolist(),
        "PyTorch, cache": cached,
        "C, cache": lambda: gpt.generate(prompt[0].tolist(), n_tokens),
    }
    right = ways["PyTorch"]()
    seconds = least_seconds(*ways.values(), n=3)
    return [
        {
            "way": name,
            "tokens/s": n_tokens / of_one,
            "unequal tokens": sum(a != b for a, b in zip(way(), right)),
        }
        for (name, way), of_one in zip(ways.items(), seconds)
    ]


# ---- llm.c, out of a checkout of the reader's

LLMC_FLAGS = ("-Ofast",)  # of its Makefile
LLMC_MAIN = """
#define TESTING
#include "train_gpt2.c"
#include <time.h>
int main(int argc, char **argv) {
    GPT2 model;
    int B = atoi(argv[3]), T = atoi(argv[4]), n = atoi(argv[5]);
    int *ids = malloc(2 * sizeof(int) * B * T);
    FILE *file = fopen(argv[2], "rb");
    if (argc != 6 || !file) return 1;
    if (fread(ids, sizeof(int), 2 * B * T, file) != 2 * B * T) return 1;
    gpt2_build_from_checkpoint(&model, argv[1]);
    for (int step = 1; step <= n; step++) {
        clock_t start = clock();
        gpt2_forward(&model, ids, ids + B * T, B, T);
        gpt2_zero_grad(&model);
        gpt2_backward(&model);
        gpt2_update(&model, 1e-3f, 0.9f, 0.999f, 1e-8f, 0.1f, step);
        double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        printf("step %.7f %.6f\\n", model.mean_loss, seconds);
    }
    return 0;
}
"""


def write_llmc(model: GPTModel, path: Path) -> None:
    """Write a model as llm.c's checkpoint: a header, then its 16 arrays."""
    config = model.config
    if not config.tie_weights:
        raise ValueError("llm.c's model has one matrix at both ends: tie them")
    header = np.zeros(256, np.int32)
    sizes = (
        *(config.context_length, config.vocab_size, config.n_layers),
        *(config.n_heads, config.emb_dim, config.vocab_size),
    )
    header[:8] = (20240326, 3, *sizes)
    blocks = [dict(block.named_parameters()) for block in model.blocks]
    arrays = [model.tok_emb.weight, model.pos_emb.weight]
    for name in blocks[0]:  # of all layers, one after the other
        arrays += [block[name] for block in blocks]
    arrays += [model.final_norm.scale, model.final_norm.shift]
    with open(path, "wb") as file:
        file.write(header.tobytes())
        for array in arrays:
            file.write(array.detach().numpy().tobytes())


def llmc_run(
    folder: Path, model: GPTModel, inputs: Tensor, targets: Tensor, n: int
) -> list[tuple[float, float]]:
    """Losses and CPU-seconds of n steps of llm.c's train_gpt2.c.

    Raises: ValueError if it is not there, or does not build or run.
    """
    if not (folder / "train_gpt2.c").is_file():
        raise ValueError(
            f"{folder} holds no train_gpt2.c: --llmc names a checkout of llm.c"
        )
    if not model.config.qkv_bias:
        raise ValueError("llm.c's model has a bias for q, k and v")
    compiler = find_compiler()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "main.c").write_text(LLMC_MAIN, encoding="utf-8")
        flags = (
            *LLMC_FLAGS,
            *compiler.flags[3:],
            "-w",
            f"-I{folder.resolve()}",
        )
        if problem := compiler.compile(work / "main.c", work / "main", flags):
            raise ValueError(f"llm.c does not build: {problem.strip()[:500]}")
        write_llmc(model, work / "model.bin")
        ids = torch.stack([inputs, targets]).to(torch.int32)
        (work / "ids.bin").write_bytes(ids.numpy().tobytes())
        sizes = map(str, (*inputs.shape, n))
        done = subprocess.run(
            [work / "main", work / "model.bin", work / "ids.bin", *sizes],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
    lines = [line.split() for line in done.stdout.splitlines()]
    steps = [(float(a), float(b)) for w, a, b in filter(is_step, lines)]
    if len(steps) != n:
        raise ValueError(f"llm.c stopped: {(done.stdout + done.stderr)[-300:]}")
    return steps


def is_step(words: list[str]) -> bool:
    return len(words) == 3 and words[0] == "step"


def llmc_step(
    folder: Path, model: GPTModel, inputs: Tensor, targets: Tensor, n: int
) -> float:
    """The least seconds of a step; its first loss must be PyTorch's.

    Raises: ValueError if it is not, for then llm.c computes something else.
    """
    steps = llmc_run(folder, model, inputs, targets, n)
    with torch.no_grad():
        right = next_token_loss(model, inputs, targets).item()
    if abs(steps[0][0] - right) > 1e-4:
        raise ValueError(
            f"llm.c's first loss is {steps[0][0]:.6f}, PyTorch's {right:.6f}"
        )
    return min(seconds for _, seconds in steps[1:])


# What the C should reach where a register of 16 floats is computed in one go,
# which an AMD Zen 5 does and a Zen 4, with half the peak, does not.
AIMS = {
    "step, C, native": {"of PyTorch": 1.6, "peak share": 0.55},
    "step, C, AVX2": {"of PyTorch": 1.0},
    "generation, C, cache": {"of PyTorch, cache": 2.0},
}


def notes(tables: dict[str, list[dict]]) -> list[str]:
    """The aims beside what was measured: a note, for machines differ."""
    found = []
    for what, aims in AIMS.items():
        table, way = what.split(", ", 1)
        rows = {row["way"]: row for row in tables.get(table, [])}
        if way not in rows:
            continue
        row = dict(rows[way])
        if table == "generation":
            base = rows["PyTorch, cache"]["tokens/s"]
            row["of PyTorch, cache"] = row["tokens/s"] / base
        found += [
            f"{what}: {row[name]:.2f} {name}, the aim is {aim}"
            for name, aim in aims.items()
        ]
    ways = {row["way"]: row for row in tables.get("step", [])}
    if ways and ways["C, native"]["MB"]:
        share = ways["C, native"]["MB"] / ways["PyTorch"]["MB"]
        found.append(f"step, memory: {share:.2f} of PyTorch's, the aim is 0.7")
    if "llm.c" in ways:
        faster = ways["llm.c"]["ms"] / ways["C, native"]["ms"]
        found.append(f"step: {faster:.1f} times llm.c's speed, the aim is 4")
    return found


# ---- The command


def mapping() -> list[dict]:
    """Where each operation stands."""
    return [vars(operation) for operation in MAPPING]


TABLES: dict[str, Callable[..., list[dict]]] = {
    "mapping": mapping,
    "values": values,
    "gradient": gradient,
    "overfit": overfit,
    "configurations": configurations,
    "operations": operations,
    "ladder": ladder,
    "step": step,
    "generation": generation,
}
TIMED = ("operations", "ladder", "step", "generation")


def read_record(path: Path = RECORD) -> dict[str, list[dict]]:
    """The tables of a record: name -> rows.

    Raises: ValueError if the file is damaged.
    """
    tables = {}
    for row in read_rows(path, lambda row: "table" in row):
        tables.setdefault(row.pop("table"), []).append(row)
    return tables


def cell(value: object) -> str:
    """A value as a table shows it."""
    if isinstance(value, float) and value:
        small = abs(value) < 1e-3
        return f"{value:.1e}" if small else f"{value:,.4g}"
    return "" if value is None else str(value)


def show(name: str, rows: list[dict]) -> None:
    """Print a table; of a long one the ends."""
    columns = list(rows[0])
    if name == "configurations":  # the four worst
        rows = sorted(rows, key=lambda row: -row["gradients"])[:4]
    elif name == "overfit":
        rows = [row for row in rows if row["step"] in (1, 10, 20, 50, 100)]
    lines = [columns] + [[cell(row.get(c)) for c in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    print(f"\n{name}")
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip())


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m appendix_f.compare",
        description="Hold the GPT in C beside PyTorch.",
    )
    add = parser.add_argument
    add(
        "tables",
        nargs="*",
        metavar="TABLE",
        help=f"of {', '.join(TABLES)}; all but configurations if not given",
    )
    add("--large", action="store_true", help="step: the 124M model, 2 x 256")
    add("--llmc", type=Path, metavar="PATH", help="step: a checkout of llm.c")
    add("--draws", type=int, default=150, help="configurations: so many")
    add("--anyway", action="store_true", help="time though others compute")
    add("--record", type=Path, help="write the tables to this file")
    args = parser.parse_args()
    for name in args.tables:
        if name not in TABLES:
            parser.error(f"{name} is no table: {', '.join(TABLES)}")
    if args.draws < 1:
        parser.error(f"--draws {args.draws} must be at least 1")
    return args


def run(args: argparse.Namespace) -> None:
    """Make the tables, print them, and keep them if --record says so."""
    names = args.tables or [n for n in TABLES if n != "configurations"]
    if set(names) & set(TIMED) and not args.anyway:
        check_quiet()
    compiler = find_compiler()
    torch.set_num_threads(1)
    use_threads(1)
    settings = {
        "processor": processor_name(),
        "compiler": compiler.version,
        "flags": " ".join(compiler.flags),
    }
    if set(names) & set(TIMED):
        settings |= {
            "GFLOP/s of a thread": round(peak(), 1),
            "GB/s of a thread": round(bandwidth(), 1),
        }
    for name, value in settings.items():
        print(f"{name}: {value}")
    tables = {}
    with Others() as others:
        for name in names:
            options = {}
            if name == "configurations":
                options = {"n_draws": args.draws}
            elif name == "step":
                options = {"llmc": args.llmc}
                if args.large:
                    options |= {"config": LARGE, "B": 2, "n": 3}
            rows = TABLES[name](**options)
            show(name, rows)
            tables[name] = rows
    print()
    for note in notes(tables):
        print(note)
    settings["processors used by others"] = round(others.share, 2)
    print(f"\nother programs used {others.share:.2f} processors meanwhile")
    if args.record:
        kept = [
            {"table": name} | row
            for name, rows in tables.items()
            for row in rows
        ]
        write_rows(args.record, settings, kept)


def main() -> None:
    replace_unprintable()
    try:
        run(parse_arguments())
    except (ValueError, OSError, MemoryError) as error:
        raise SystemExit(f"compare: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("\ncompare: stopped") from None


if __name__ == "__main__":
    main()
