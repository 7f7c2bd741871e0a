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

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import parameters_to_vector

from appendix_f.kernels import ORDERS, Kernels, NoGPU, emulate, on_gpu
from appendix_f.native import NoCompiler
from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_train import IGNORE
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
    given = (unset(B, T, 3 * C), unset(B, H, T), dx, y.float(), lse.float(), qkv)
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
