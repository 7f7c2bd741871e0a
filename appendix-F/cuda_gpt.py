"""The course's GPT out of the kernels of kernels.cu, each beside PyTorch's own.

    python -m appendix_f.cuda_gpt              on a GPU: error and time of each kernel
    python -m appendix_f.cuda_gpt --emulate    without one: errors, in four orders

Dimension key: B batch, T tokens, N = B T rows, C embedding, H heads, V vocabulary.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from appendix_f.kernels import ORDERS, Kernels, NoGPU, emulate, on_gpu
from appendix_f.native import NoCompiler
from ch04.gpt import GPTModel
from ch05.gpt_train import IGNORE, next_token_loss
from ch05.gpt_weights import load_pretrained
from course.records import write_rows
from course.terminal import replace_unprintable

LARGEST_HEAD = 64  # in attention's version 2 a thread has two columns of a head


# ---- Every kernel beside PyTorch


@dataclass(frozen=True)
class Case:
    """A call of a kernel function, and what PyTorch has for its results.

    `expected` is computed in float64: number of an argument -> what it will hold.
    `torch` is the same work in float32, to be timed. `flop` is 0 where it is the
    memory that limits.
    """

    name: str
    n_versions: int
    arguments: tuple  # but the version
    expected: dict[int, Tensor]
    torch: Callable[[], object]
    flop: float = 0

    def run(self, kernels: Kernels, version: int) -> list[Tensor]:
        """Call the kernel with copies of the arrays; give its results."""
        copies = [
            a.clone() if isinstance(a, Tensor) else a for a in self.arguments
        ]
        getattr(kernels, self.name)(*copies, version)
        return [copies[i] for i in self.expected]

    def error(self, results: list[Tensor]) -> float:
        """The largest distance of a result from PyTorch's, relative to its norm."""
        pairs = zip(results, self.expected.values())
        errors = [float((a - b).norm() / b.norm()) for a, b in pairs]
        return math.inf if any(map(math.isnan, errors)) else max(errors)

    @property
    def bytes(self) -> int:
        """The size of all arrays: each has to be read or written once."""
        return sum(a.nbytes for a in self.arguments if isinstance(a, Tensor))


def differentiate(
    function: Callable[..., Tensor], inputs: list[Tensor], given: Tensor
) -> tuple[Tensor, list[Tensor], Callable, Callable]:
    """A function's result and gradients in float64, and both works in float32."""
    exact = [x.double().requires_grad_() for x in inputs]
    result = function(*exact)
    gradients = torch.autograd.grad(result, exact, given.double())
    leaves = [x.clone().requires_grad_() for x in inputs]
    again = function(*leaves)
    forward = torch.no_grad()(partial(function, *inputs))
    backward = partial(
        torch.autograd.grad, again, leaves, given, retain_graph=True
    )
    return result.detach(), list(gradients), forward, backward


def make_cases(
    B: int, T: int, C: int, H: int, V: int, device: torch.device | str = "cpu"
) -> list[Case]:
    """A case for each function of kernels.cu, with random arrays of these sizes.

    Raises: ValueError if H does not divide C, or a head is larger than 64.
    """
    if C % H or C // H > LARGEST_HEAD:
        raise ValueError(f"C={C} must be H={H} times at most {LARGEST_HEAD}")
    N, O, cases = B * T, 4 * C, []  # noqa: E741

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape).to(device)

    def unset(*shape: int) -> Tensor:
        return torch.full(shape, math.nan, device=device)

    def add(name: str, n_versions: int, expected: list, *rest) -> None:
        arguments, work, *flop = rest
        expected = dict(enumerate(expected))
        cases.append(Case(name, n_versions, arguments, expected, work, *flop))

    ids = torch.randint(V, (B, T)).to(device)  # some of them several times
    tok, pos, dx = normal(V, C), normal(T + 3, C), normal(B, T, C)
    y, d, forward, backward = differentiate(
        lambda tok, pos: F.embedding(ids, tok) + pos[:T], [tok, pos], dx
    )
    out = (unset(B, T, C), ids, tok, pos, B, T, C)
    add("embedding_forward", 1, [y], out, forward)
    had = [normal(V, C), normal(T + 3, C)]  # gradients that are added to
    sums = [a + b for a, b in zip(had, d)]
    add("embedding_backward", 2, sums, (*had, dx, ids, B, T, C), backward)

    x, scale, shift = normal(N, C) * 3 + 2, normal(C), normal(C)
    y, d, forward, backward = differentiate(
        lambda x, *weights: F.layer_norm(x, (C,), *weights),
        [x, scale, shift],
        dx.view(N, C),
    )
    mean = x.double().mean(1)
    rstd = (x.double().var(1, correction=0) + 1e-5).rsqrt()
    out = (unset(N, C), unset(N), unset(N), x, scale, shift, N, C)
    add("layernorm_forward", 2, [y, mean, rstd], out, forward)
    had = [normal(N, C), normal(C), normal(C)]
    sums = [a + b for a, b in zip(had, d)]
    saved = (dx, x, mean.float(), rstd.float(), scale, N, C)
    add("layernorm_backward", 2, sums, (*had, *saved), backward)

    w, bias, dout = normal(O, C), normal(O), normal(N, O)
    y, d, forward, backward = differentiate(F.linear, [x, w, bias], dout)
    out = (unset(N, O), x, w, bias, N, C, O)
    add("linear_forward", 3, [y], out, forward, 2 * N * C * O)
    had = [normal(O, C), normal(O)]
    sums = [d[0], had[0] + d[1], had[1] + d[2]]
    given = (unset(N, C), *had, dout, x, w, N, C, O)
    add("linear_backward", 3, sums, given, backward, 4 * N * C * O)

    qkv = normal(B, T, 3 * C)
    y, d, forward, backward = differentiate(partial(attend, H=H), [qkv], dx)
    q, k, _ = split_heads(qkv.double(), H)
    scores = q @ k.transpose(2, 3) / math.sqrt(C // H)
    future = torch.ones(T, T, dtype=torch.bool, device=device).triu(1)
    lse = scores.masked_fill(future, -math.inf).logsumexp(3)
    delta = (dx.double() * y).view(B, T, H, -1).sum(3).transpose(1, 2)
    flop = 2 * B * T * (T + 1) * C  # q k and p v, for the keys that are seen
    out = (unset(B, T, C), unset(B, H, T), qkv, B, T, C, H)
    add("attention_forward", 2, [y, lse], out, forward, flop)
    given = (
        unset(B, T, 3 * C),
        unset(B, H, T),
        dx,
        y.float(),
        lse.float(),
        qkv,
    )
    given += (B, T, C, H)
    add("attention_backward", 2, [*d, delta], given, backward, 2.5 * flop)

    x, y2, n = normal(N, O) * 3, normal(N, O), N * O
    y, d, forward, backward = differentiate(
        partial(F.gelu, approximate="tanh"), [x], dout
    )
    add("gelu_forward", 1, [y], (unset(N, O), x, n), forward)
    add("gelu_backward", 1, d, (unset(N, O), dout, x, n), backward)
    given = (unset(N, O), x, y2, n)
    add("shortcut_forward", 1, [x.double() + y2], given, lambda: x + y2)

    logits = normal(N, V) * 5
    targets = torch.randint(V, (N,)).to(device)
    targets[:: max(2, N // 3)] = IGNORE
    count = int((targets != IGNORE).sum())
    loss = partial(F.cross_entropy, target=targets, ignore_index=IGNORE)
    losses = loss(logits.double(), reduction="none")
    _, d, forward, backward = differentiate(
        loss, [logits], torch.ones((), device=device)
    )
    given = (unset(N), logits, targets, N, V, count)
    both = lambda: (forward(), backward())  # noqa: E731
    add("cross_entropy", 2, [losses, *d], given, both)

    w, g, m, v = normal(n), normal(n), normal(n), normal(n) ** 2
    settings = {"lr": 1e-2, "betas": (0.8, 0.95), "eps": 1e-8}
    settings["weight_decay"] = 0.3
    stepped = adamw_state(w, g, m, v, 2, torch.float64, settings)
    stepped.step()
    state = stepped.state[stepped.param_groups[0]["params"][0]]
    new = [stepped.param_groups[0]["params"][0].detach(), g.double()]
    new += [state["exp_avg"], state["exp_avg_sq"]]
    optimizer = adamw_state(w, g, m, v, 2, torch.float32, settings)
    given = (w, g, m, v, n, 3, 1e-2, 0.8, 0.95, 1e-8, 0.3)
    add("adamw", 1, new, given, optimizer.step)
    return cases


def split_heads(qkv: Tensor, H: int) -> list[Tensor]:
    """Queries, keys and values: qkv (B, T, 3C) -> three (B, H, T, D)."""
    B, T, _ = qkv.shape
    return [a.view(B, T, H, -1).transpose(1, 2) for a in qkv.chunk(3, dim=2)]


def attend(qkv: Tensor, H: int) -> Tensor:
    """PyTorch's causal attention: qkv (B, T, 3C) -> (B, T, C)."""
    q, k, v = split_heads(qkv, H)
    heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return heads.transpose(1, 2).flatten(2)


def adamw_state(
    w: Tensor,
    g: Tensor,
    m: Tensor,
    v: Tensor,
    step: int,
    dtype: torch.dtype,
    settings: dict,
) -> torch.optim.AdamW:
    """PyTorch's AdamW after so many steps, with these averages m and v."""
    weights = w.detach().to(dtype, copy=True).requires_grad_()
    weights.grad = g.to(dtype, copy=True)
    optimizer = torch.optim.AdamW([weights], fused=True, **settings)
    optimizer.state[weights] = {
        "step": torch.tensor(float(step), device=w.device),
        "exp_avg": m.to(dtype, copy=True),
        "exp_avg_sq": v.to(dtype, copy=True),
    }
    return optimizer


# ---- The model


class CudaGPT:
    """A GPTModel whose every operation is one of kernels.cu's; PyTorch keeps arrays.

    All weights lie in one array, in the order of model.parameters(), and so do
    their gradients and AdamW's two averages.

    Raises: ValueError for dropout, or heads that are larger than 64.
    """

    def __init__(self, model: GPTModel, kernels: Kernels, version: int = 2):
        config = self.config = model.config
        if config.drop_rate:
            raise ValueError(f"drop_rate={config.drop_rate} must be 0 here")
        if config.emb_dim > LARGEST_HEAD * config.n_heads:
            size = config.emb_dim // config.n_heads
            raise ValueError(f"heads of {size} are larger than {LARGEST_HEAD}")
        self.kernels, self.version, self.step = kernels, version, 0
        self.shapes = {
            name: parameter.shape
            for name, parameter in model.named_parameters()
        }
        flat = parameters_to_vector(model.parameters()).detach()
        self.weights = flat.to(kernels.device, copy=True)
        self.gradients, self.m, self.v = self.weights.new_zeros(3, flat.numel())

    def named(self, flat: Tensor) -> dict[str, Tensor]:
        """The parts of an array of all weights, by the names of the model."""
        sizes = [shape.numel() for shape in self.shapes.values()]
        parts = zip(self.shapes, flat.split(sizes), self.shapes.values())
        named = {name: part.view(shape) for name, part, shape in parts}
        return {"out_head.weight": named["tok_emb.weight"]} | named  # if tied

    def learn(self, idx: Tensor, targets: Tensor) -> float:
        """The mean loss of a batch (B, T); .gradients then holds all gradients."""
        k, version, config = self.kernels, self.version, self.config
        (B, T), C, V = idx.shape, config.emb_dim, config.vocab_size
        N, H, device = B * T, config.n_heads, self.weights.device
        w, d = self.named(self.weights), self.named(self.gradients.zero_())
        empty = partial(torch.empty, device=device)

        def linear(name: str, x: Tensor) -> Tensor:
            weight, bias = w[f"{name}.weight"], w.get(f"{name}.bias")
            out = empty(N, len(weight))
            sizes = N, weight.shape[1], len(weight)
            k.linear_forward(out, x, weight, bias, *sizes, version)
            return out

        def linear_back(name: str, dout: Tensor, x: Tensor) -> Tensor:
            weight, dbias = w[f"{name}.weight"], d.get(f"{name}.bias")
            dx, dw = empty(x.shape), d[f"{name}.weight"]
            sizes = N, weight.shape[1], len(weight)
            k.linear_backward(dx, dw, dbias, dout, x, weight, *sizes, version)
            return dx

        def norm(name: str, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            out, mean, rstd = empty(N, C), empty(N), empty(N)
            weights = w[f"{name}.scale"], w[f"{name}.shift"]
            k.layernorm_forward(out, mean, rstd, x, *weights, N, C, version)
            return out, mean, rstd

        def norm_back(name: str, dx: Tensor, dout: Tensor, *saved) -> None:
            dscale, dshift = d[f"{name}.scale"], d[f"{name}.shift"]
            given = dout, *saved, w[f"{name}.scale"], N, C, version
            k.layernorm_backward(dx, dscale, dshift, *given)

        def add(x: Tensor, branch: Tensor) -> Tensor:
            out = empty(N, C)
            k.shortcut_forward(out, x, branch, N * C, version)
            return out

        x, saved = empty(N, C), []
        tables = w["tok_emb.weight"], w["pos_emb.weight"]
        k.embedding_forward(x, idx, *tables, B, T, C, version)
        for i in range(config.n_layers):
            block = f"blocks.{i}"
            norm1, *moments1 = norm(f"{block}.norm1", x)
            qkv = linear(f"{block}.attention.qkv", norm1)
            heads, lse = empty(N, C), empty(B, H, T)
            k.attention_forward(heads, lse, qkv, B, T, C, H, version)
            x2 = add(x, linear(f"{block}.attention.proj", heads))
            norm2, *moments2 = norm(f"{block}.norm2", x2)
            up = linear(f"{block}.feed_forward.layers.0", norm2)
            gelu = torch.empty_like(up)
            k.gelu_forward(gelu, up, up.numel(), version)
            out = add(x2, linear(f"{block}.feed_forward.layers.2", gelu))
            saved.append(
                (block, x, norm1, moments1, qkv, heads, lse)
                + (x2, norm2, moments2, up, gelu)
            )
            x = out
        final, *moments = norm("final_norm", x)
        logits, losses = linear("out_head", final), empty(N)
        count = max(1, int((targets >= 0).sum()))
        k.cross_entropy(losses, logits, targets, N, V, count, version)
        # From here on logits holds the gradient of the loss for the logits.

        dx = torch.zeros_like(x)
        norm_back(
            "final_norm",
            dx,
            linear_back("out_head", logits, final),
            x,
            *moments,
        )
        for block, x, norm1, moments1, qkv, heads, lse, *rest in saved[::-1]:
            x2, norm2, moments2, up, gelu = rest
            # dx goes through the shortcut unchanged; the branch adds its own.
            dup = linear_back(f"{block}.feed_forward.layers.2", dx, gelu)
            k.gelu_backward(dup, dup, up, up.numel(), version)
            dnorm = linear_back(f"{block}.feed_forward.layers.0", dup, norm2)
            norm_back(f"{block}.norm2", dx, dnorm, x2, *moments2)
            dheads = linear_back(f"{block}.attention.proj", dx, heads)
            dqkv, delta = torch.empty_like(qkv), torch.empty_like(lse)
            given = dheads, heads, lse, qkv, B, T, C, H, version
            k.attention_backward(dqkv, delta, *given)
            dnorm = linear_back(f"{block}.attention.qkv", dqkv, norm1)
            norm_back(f"{block}.norm1", dx, dnorm, x, *moments1)
        tables = d["tok_emb.weight"], d["pos_emb.weight"]
        k.embedding_backward(*tables, dx, idx, B, T, C, version)
        return float(losses.double().sum()) / count

    def train_step(
        self,
        idx: Tensor,
        targets: Tensor,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.1,
    ) -> float:
        """Learn from a batch and take a step of AdamW; the loss before it."""
        loss = self.learn(idx, targets)
        self.step += 1
        arrays = self.weights, self.gradients, self.m, self.v
        settings = self.step, lr, *betas, eps, weight_decay, self.version
        self.kernels.adamw(*arrays, self.weights.numel(), *settings)
        return loss


# ---- The command


def check_orders(kernels: Kernels, cases: list[Case]) -> list[dict]:
    """Every version of every kernel in all orders: its largest error, and how many results."""
    rows = []
    for case in cases:
        for version in range(1, case.n_versions + 1):
            results = []
            for order in ORDERS:
                kernels.use_order(order)
                results.append(case.run(kernels, version))
            kinds = {tuple(a.numpy().tobytes() for a in r) for r in results}
            error = max(map(case.error, results))
            row = {"kernel": case.name, "version": version, "error": error}
            rows.append(
                row | {"orders": len(ORDERS), "different results": len(kinds)}
            )
    return rows


def time_calls(
    call: Callable, device: torch.device, repeats: int = 20
) -> float:
    """Milliseconds of a call, of many that follow one another."""

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    call()  # the first one is slower
    times = []
    for _ in range(5):
        started = now()
        for _ in range(repeats):
            call()
        times.append((now() - started) / repeats * 1e3)
    return statistics.median(times)


def time_kernels(
    kernels: Kernels, cases: list[Case], repeats: int = 20
) -> list[dict]:
    """Every version of every kernel beside PyTorch's: error, milliseconds, and rate."""
    rows = []
    for case in cases:
        pytorch = time_calls(case.torch, kernels.device, repeats)
        for version in range(1, case.n_versions + 1):
            error = case.error(case.run(kernels, version))
            call = kernels.prepare(case.name, *case.arguments, version)
            ms = time_calls(call, kernels.device, repeats)
            unit = "GFLOP/s" if case.flop else "GB/s"
            rate = (case.flop or case.bytes) / ms / 1e6
            row = {"kernel": case.name, "version": version, "error": error}
            row |= {"ms": ms, "PyTorch ms": pytorch, "rate": rate, "unit": unit}
            rows.append(row)
    return rows


def time_steps(
    kernels: Kernels, model: GPTModel, B: int, repeats: int = 20
) -> list[dict]:
    """A whole training step out of each version of the kernels, and PyTorch's."""
    V, T = model.config.vocab_size, model.config.context_length
    inputs, targets = torch.randint(V, (2, B, T)).to(kernels.device)
    rows = []
    for version in (1, 2, 3):
        gpt = CudaGPT(model, kernels, version)
        step = partial(gpt.train_step, inputs, targets)
        ms = time_calls(step, kernels.device, repeats)
        rows.append({"step": f"version {version}", "ms": ms})
    model.to(kernels.device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)

    def step() -> float:
        optimizer.zero_grad()
        loss = next_token_loss(model, inputs, targets)
        loss.backward()
        optimizer.step()
        return loss.item()

    ms = time_calls(step, kernels.device, repeats)
    rows.append({"step": "PyTorch", "ms": ms})
    return [row | {"tokens/s": B * T / row["ms"] * 1e3} for row in rows]


SMALL = {"B": 2, "T": 37, "C": 24, "H": 4, "V": 53}  # ragged: no tile is full
LARGE = {"B": 8, "T": 1024, "C": 768, "H": 12, "V": 8192}  # GPT-2's width


def show(rows: list[dict]) -> None:
    """Print rows as a table."""
    formats = {"error": "{:.1e}".format, "rate": "{:,.0f}".format}
    formats |= {"ms": "{:.3f}".format, "PyTorch ms": "{:.3f}".format}
    formats["tokens/s"] = "{:,.0f}".format
    print(pd.DataFrame(rows).to_string(index=False, formatters=formats))


def run(args: argparse.Namespace) -> None:
    torch.manual_seed(0)
    if args.emulate:
        show(check_orders(emulate(), make_cases(**SMALL)))
        return
    kernels = on_gpu()
    name = torch.cuda.get_device_name()
    rows = time_kernels(kernels, make_cases(**LARGE, device="cuda"))
    steps = time_steps(kernels, load_pretrained("course")[0].train(), B=8)
    print(f"{name}, {', '.join(f'{k} {v:,}' for k, v in LARGE.items())}")
    show(rows)
    print("A training step of the course's model, B 8, T 256")
    show(steps)
    if args.record:
        write_rows(args.record, {"GPU": name, **LARGE}, rows + steps)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="cuda_gpt", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--emulate",
        action="store_true",
        help="run the kernels on the CPU, a thread at a time, in four orders",
    )
    parser.add_argument(
        "--record",
        type=Path,
        metavar="FILE",
        help="write the timings of a GPU into this file",
    )
    return parser.parse_args()


def main() -> None:
    replace_unprintable()
    try:
        run(parse_arguments())
    except (NoGPU, NoCompiler, ValueError) as error:
        raise SystemExit(f"cuda_gpt: {error}") from None


if __name__ == "__main__":
    main()
