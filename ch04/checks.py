"""The checks of chapter 4's exercises: what is right is said by PyTorch, or by ch04.gpt."""

from collections.abc import Callable
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ch03.multihead_attention import MultiHeadAttention
from ch04.gpt import (
    GPT2_SIZES,
    FeedForward,
    GPTConfig,
    GPTModel,
    TransformerBlock,
    count_parameters,
    generate_greedy,
)
from exercises.checking import (
    Operations,
    Watch,
    ask,
    ask_by_hand,
    ask_kindly,
    demand,
    exercise,
    same,
)


def told(where: str, mistakes: list) -> list:
    """The mistakes, each with the example in front that shows it."""
    return [
        (value, f"{where}: {said[0].lower()}{said[1:]}")
        for value, said in mistakes
    ]


def refusal(answer: Callable, *arguments: Any, **options: Any) -> str | None:
    """The message of the ValueError that the answer raises, or None if it raises none."""
    try:
        answer(*arguments, **options)
    except Exception as error:
        return str(error) if isinstance(error, ValueError) else None
    return None


def ask_plainly(
    kernels: list[str], names: list[str], answer: Callable, *arguments: Any
) -> Any:
    """Ask by hand, and refuse an answer that runs a kernel with one of these words in its name."""
    with Operations() as watched:
        result = ask_by_hand(names, answer, *arguments)
    used = [
        name
        for name in sorted(watched.done)
        if any(word in name for word in kernels)
    ]
    demand(
        not used,
        f"This runs PyTorch's own {', '.join(used)}: write it in plain operations.",
    )
    return result


READY_NORMS = ["layer_norm", "batch_norm", "group_norm", "rms_norm"]

# ---- 4.1


@exercise("4.1")
def check_4_1(block_parameters) -> None:
    """Both counts at several widths, without and with qkv_bias, as the modules have them."""
    for C in (2, 7, 96, 768):
        for bias in (False, True):
            with torch.device("meta"):
                wanted = count_parameters(
                    MultiHeadAttention(C, 1, 8, qkv_bias=bias)
                )
                wanted_ff = count_parameters(FeedForward(C))
            with Operations() as watched:
                got = ask(block_parameters, C, bias)
            call = f"block_parameters({C}, {bias})"
            demand(
                not watched.done,
                f"{call} builds tensors and counts them: find a formula in emb_dim.",
            )
            whole = isinstance(got, tuple | list) and len(got) == 2
            whole = whole and all(isinstance(n, Integral) for n in got)
            demand(
                whole,
                f"{call} must be two whole numbers: (attention, feed-forward).",
            )
            got = tuple(int(n) for n in got)
            swapped = "The two counts are swapped: attention comes first, then feed-forward."
            demand(got != (wanted_ff, wanted), swapped)
            mistakes = [
                (
                    wanted - C,
                    f"{call}: the projection after the heads has a bias too.",
                ),
                (
                    wanted + C,
                    f"{call} has {C} too many: is there a bias that nobody asked for?",
                ),
                (
                    wanted - 2 * C * C - 2 * C * bias,
                    f"{call}: queries, keys and values each have a matrix of their own.",
                ),
                (
                    wanted - 3 * C if bias else wanted + 3 * C,
                    f"{call}: queries, keys and values have biases exactly when qkv_bias says so.",
                ),
                (
                    wanted - C * C - C,
                    f"{call}: the projection after the heads is missing from the attention.",
                ),
            ]
            same(got[0], wanted, f"The attention in {call}", mistakes)
            mistakes = [
                (
                    8 * C * C,
                    f"{call}: both layers of the feed-forward block have biases.",
                ),
                (
                    wanted_ff - C,
                    f"{call}: the second layer of the feed-forward block has a bias too.",
                ),
                (
                    wanted_ff - 4 * C,
                    f"{call}: the first layer of the feed-forward block has a bias too.",
                ),
                (
                    4 * C * C + 4 * C,
                    f"{call}: the layer that leads back from 4C to C is missing.",
                ),
            ]
            same(
                got[1], wanted_ff, f"The feed-forward block in {call}", mistakes
            )


# ---- 4.2


def built(gpt2_on_meta: Callable, name: str, settings: dict) -> GPTModel:
    """The reader's model; its memory and its default device are watched."""
    default = torch.get_default_device()
    try:
        with Watch() as watch:
            model = ask(gpt2_on_meta, name, **settings)
        after = torch.get_default_device()
    finally:
        torch.set_default_device(default if default.type != "cpu" else None)
    demand(
        isinstance(model, GPTModel),
        f"gpt2_on_meta({name!r}) must return a GPTModel.",
    )
    devices = {p.device.type for p in model.parameters()}
    demand(
        devices == {"meta"},
        f"gpt2_on_meta({name!r}) has weights on {', '.join(sorted(devices))}, but all of them "
        "should be on the meta device.",
    )
    demand(
        watch.largest < 10_000,
        f"gpt2_on_meta({name!r}) fills real memory first (a tensor of {watch.largest:,} numbers): "
        "build the model on the meta device from the start.",
    )
    demand(
        after == default,
        "After the call all new tensors are on the meta device: let the choice of the device end "
        "with the model.",
    )
    return model


def judge_mebibytes(mebibytes: Callable) -> None:
    layer = nn.Linear(256, 1024, bias=False)
    mistakes = [
        (0.25, "A float32 number takes 4 bytes, and this counts one for each."),
        (
            4 * 1.024**2 / 4,
            "A MiB has 1024 * 1024 bytes; this divides by a million.",
        ),
        (1024.0, "This is in KiB: 1024 KiB make a MiB."),
        (1024.0**2, "This is in bytes: divide by 1024 * 1024."),
    ]
    same(
        ask(mebibytes, layer),
        1.0,
        "mebibytes(nn.Linear(256, 1024, bias=False))",
        mistakes,
    )
    half = nn.Linear(256, 1024, bias=False, dtype=torch.float16)
    four = "A float16 number takes 2 bytes: ask the tensor, instead of taking 4 for each."
    same(
        ask(mebibytes, half),
        0.5,
        "mebibytes of 256 * 1024 float16 numbers",
        [(1.0, four)],
    )
    mixed = nn.Sequential(
        nn.Linear(256, 1024, bias=False),
        nn.Linear(1024, 256, bias=False, dtype=torch.float16),
    )
    mixed[0].requires_grad_(False)
    mistakes = [
        (0.5, "Frozen weights take memory too, and this leaves them out."),
        (
            1.0,
            "This leaves out a part: count frozen weights, and each tensor by its own type.",
        ),
        (
            2.0,
            "The tensors of a model may be of several types: ask each one for its own.",
        ),
    ]
    what = "mebibytes of frozen float32 weights and as many float16 ones"
    same(ask(mebibytes, mixed), 1.5, what, mistakes)
    with torch.device("meta"):
        tied = GPTModel(GPTConfig(100, 16, 24, 4, 3, tie_weights=True))
    wanted = sum(p.nbytes for p in tied.parameters()) / 1024**2
    twice = wanted + tied.tok_emb.weight.nbytes / 1024**2
    mistakes = [
        (
            twice,
            "The matrix of a tied model is one tensor, and this counts it twice.",
        )
    ]
    same(ask(mebibytes, tied), wanted, "mebibytes of a tied model", mistakes)


@exercise("4.2")
def check_4_2(gpt2_on_meta, mebibytes) -> None:
    """The models have their sizes and settings and take no memory; MiB follow from the types."""
    small = {"vocab_size": 84, "context_length": 8, "qkv_bias": True}
    tied = {"tie_weights": True, "drop_rate": 0.0}
    cases = [
        ("gpt2", small),
        ("gpt2", {}),
        ("gpt2-medium", tied),
        ("gpt2-large", {}),
    ]
    for name, settings in [*cases, ("gpt2-xl", small)]:
        model = built(gpt2_on_meta, name, settings)
        with torch.device("meta"):
            wanted = GPTModel(GPTConfig(**GPT2_SIZES[name], **settings))
        call = ", ".join(
            [repr(name), *(f"{k}={v}" for k, v in settings.items())]
        )
        for field in fields(GPTConfig):
            has, asked = (
                getattr(m.config, field.name) for m in (model, wanted)
            )
            same(has, asked, f"{field.name} of gpt2_on_meta({call})")
        n, n_wanted = count_parameters(model), count_parameters(wanted)
        same(n, n_wanted, f"The number of parameters of gpt2_on_meta({call})")
    judge_mebibytes(mebibytes)


# ---- 4.3


def dropped_shares(model: GPTModel) -> dict[str, float]:
    """Which part of the numbers is 0 in each place where a GPT drops some."""
    seen, shares = {}, {}
    idx = torch.randint(
        model.config.vocab_size, (8, model.config.context_length)
    )
    hooks = []
    for block in model.blocks:
        # So that no contribution is 0 by itself.
        nn.init.normal_(block.attention.proj.bias)
        hooks.append(
            block.register_forward_hook(
                lambda b, x, y: seen.update({b: (x[0], y)})
            )
        )
        hooks.append(
            block.norm2.register_forward_hook(
                lambda n, x, y: seen.update({n: x[0]})
            )
        )
    with torch.no_grad():
        model(idx)
        for hook in hooks:
            hook.remove()
        for i, block in enumerate(model.blocks):
            (before, after), middle = seen[block], seen[block.norm2]
            if i == 0:
                shares["the embedding"] = (before == 0).float().mean().item()
            shares[f"the attention branch of block {i}"] = (
                (middle == before).float().mean().item()
            )
            shares[f"the feed-forward branch of block {i}"] = (
                (after == middle).float().mean().item()
            )
            shares[f"the attention weights of block {i}"] = dropped_weights(
                block.attention
            )
    return shares


def dropped_weights(attention: MultiHeadAttention) -> float:
    """The share of 0 among the attention weights: feature s of token t becomes its weight on s."""
    C = attention.proj.in_features
    for part, matrix in zip(
        attention.qkv.weight.split(C), (torch.zeros(C, C),) * 2
    ):
        # Queries and keys of 0: each token weighs all it may read alike.
        part.copy_(matrix)
    attention.qkv.weight[2 * C :] = torch.eye(C)
    attention.proj.weight.copy_(torch.eye(C))
    attention.proj.bias.zero_()
    weights = attention(torch.eye(C).expand(16, C, C))  # (16, T, T) with T = C
    past = torch.ones(C, C, dtype=torch.bool).tril()
    return (weights[:, past] == 0).float().mean().item()


def judge_rates(
    gpt_with_drop_rates: Callable, config: GPTConfig, rates: dict
) -> None:
    model = ask(gpt_with_drop_rates, config, **rates)
    demand(
        isinstance(model, GPTModel),
        "gpt_with_drop_rates must return a GPTModel.",
    )
    for i, block in enumerate(model.blocks):
        demand(
            isinstance(block.attention.dropout, Real),
            f"blocks[{i}].attention.dropout must be a number, the rate itself: "
            "PyTorch's attention does the dropping.",
        )
    plain = GPTModel(config).eval()
    demand(
        model.state_dict().keys() == plain.state_dict().keys()
        and model.config == config,
        "The model must keep its configuration and the names of its parts.",
    )
    with_rates = f"With {', '.join(f'{k}={v}' for k, v in rates.items())}"
    plain.load_state_dict(model.eval().state_dict())
    idx = torch.randint(config.vocab_size, (2, 5))
    demand(
        torch.allclose(model(idx), plain(idx), atol=1e-6),
        "In evaluation mode the model must compute what a GPTModel with its weights computes.",
    )
    for place, share in dropped_shares(model.train()).items():
        kind = (
            "attention"
            if "weights" in place
            else "shortcut"
            if "branch" in place
            else place[4:]
        )
        others = [
            k
            for k, rate in rates.items()
            if k != kind and abs(rate - share) < 0.03
        ]
        hint = (
            f", and {others[0]}={rates[others[0]]} has come there"
            if others
            else ""
        )
        if abs(share - config.drop_rate) < 0.03:
            hint = ", and config.drop_rate still decides there"
        demand(
            abs(share - rates[kind]) < 0.03,
            f"{with_rates}, dropout takes {share:.0%} of {place}; "
            f"{rates[kind]:.0%} is asked for{hint}.",
        )


@exercise("4.3")
def check_4_3(gpt_with_drop_rates) -> None:
    """Each rate holds in its places in every block, measured; impossible rates are refused."""
    config = GPTConfig(50, 48, 48, n_heads=4, n_layers=3, drop_rate=0.8)
    for rates in ((0.1, 0.3, 0.6), (0.5, 0.2, 0.0), (0.0, 0.6, 0.4)):
        named = dict(zip(("embedding", "shortcut", "attention"), rates))
        judge_rates(gpt_with_drop_rates, config, named)
    for name in named:
        for wrong in (-0.1, 1.0, 1.5):
            message = refusal(
                gpt_with_drop_rates, config, **(named | {name: wrong})
            )
            demand(
                message is not None,
                f"{name}={wrong} must be refused with a ValueError: rates are at least 0, below 1.",
            )
            demand(
                name in message or f"{wrong:g}" in message,
                f"{name}={wrong} is refused, but the ValueError's message does not name the rate.",
            )


# ---- 4.4 and 4.5


def mistaken_norms(x: Tensor, scale: Tensor, shift: Tensor, eps: float) -> list:
    """What the usual mistakes make of x, and their names."""
    n = x.shape[-1]
    centred = x - x.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    deviation = (variance + eps).sqrt()
    whole = F.layer_norm(x, x.shape, eps=eps)
    across = F.layer_norm(x.transpose(0, -1), x.shape[:1], eps=eps).transpose(
        0, -1
    )
    mistakes = [
        (
            centred / (variance * n / (n - 1) + eps).sqrt() * scale + shift,
            f"The variance is divided by n - 1 = {n - 1}; divide by n = {n} (correction=0).",
        ),
        (
            centred / (variance.sqrt() + eps) * scale + shift,
            "eps stands outside the root: it is added to the variance.",
        ),
        (
            centred / variance.sqrt() * scale + shift,
            "eps is missing, or is not the one given.",
        ),
        (
            centred / (variance + 1e-5).sqrt() * scale + shift,
            f"The eps that is given, {eps}, is not used.",
        ),
        (
            centred / (variance + eps) * scale + shift,
            "The deviations are divided by the variance: its root is missing.",
        ),
        (x / deviation * scale + shift, "The mean is not subtracted."),
        (
            centred * scale + shift,
            "The mean is subtracted, but nothing is divided.",
        ),
        (
            whole * scale + shift,
            "Mean and variance are taken over the whole tensor: take them over the last "
            "dimension, for each token alone.",
        ),
        (
            across * scale + shift,
            "Mean and variance are taken over the first dimension: take them over the last one, "
            "for each token alone.",
        ),
        (centred / deviation, "Scale and shift are not used."),
        (centred / deviation * scale, "The shift is not added."),
        (
            (centred / deviation + shift) * scale,
            "The shift is added before scaling.",
        ),
    ]
    if x.shape[0] == n:
        row = (x - x.mean(-1)) / (x.var(-1, correction=0) + eps).sqrt()
        message = "The means have become a row instead of a column: keepdim=True is missing."
        mistakes.insert(0, (row * scale + shift, message))
    return mistakes


@exercise("4.4")
def check_4_4(layer_norm) -> None:
    """F.layer_norm for tokens of several shapes, for its eps, and for a token of equal features."""
    for x in (
        [[2.0, 4.0, 4.0, 6.0]],
        [[2.0, 4.0, 4.0, 6.0], [0.0, 0.0, 0.0, 8.0]],
    ):
        x, scale, shift = torch.tensor(x), torch.ones(4), torch.zeros(4)
        got = ask_plainly(
            READY_NORMS, ["layer_norm"], layer_norm, x, scale, shift, 1e-5
        )
        wanted = F.layer_norm(x, (4,), scale, shift)
        what = f"layer_norm({x.long().tolist()}) with scale 1 and shift 0"
        same(
            got, wanted, what, told(what, mistaken_norms(x, scale, shift, 1e-5))
        )
    same(
        ask(
            layer_norm,
            torch.full((1, 3), 5.0),
            torch.ones(3),
            torch.zeros(3),
            1e-5,
        ),
        torch.zeros(1, 3),
        "layer_norm([[5, 5, 5]])",
        [
            (
                torch.full((1, 3), torch.nan),
                "A token of equal features becomes 0 / 0: add eps.",
            )
        ],
    )
    for shape, size, eps in [
        ((5, 5), 1, 1e-5),
        ((2, 3, 7), 1, 1e-5),
        ((2, 1, 3, 6), 0.1, 0.3),
    ]:
        x, scale, shift = (
            size * torch.randn(shape),
            torch.randn(shape[-1]),
            torch.randn(shape[-1]),
        )
        got = ask_plainly(
            READY_NORMS, ["layer_norm"], layer_norm, x, scale, shift, eps
        )
        wanted = F.layer_norm(x, shape[-1:], scale, shift, eps)
        what = f"layer_norm of random tokens of shape {shape} with eps={eps}"
        same(
            got, wanted, what, told(what, mistaken_norms(x, scale, shift, eps))
        )


def mistaken_gradients(
    g: Tensor, x: Tensor, scale: Tensor, eps: float
) -> tuple[list, list, list]:
    """What the usual mistakes give for x, scale and shift."""
    deviation = (x.var(-1, correction=0, keepdim=True) + eps).sqrt()
    normed = (x - x.mean(-1, keepdim=True)) / deviation
    by_mean = g * scale - (g * scale).mean(-1, keepdim=True)
    by_variance = normed * (g * scale * normed).mean(-1, keepdim=True)
    unscaled = (
        g
        - g.mean(-1, keepdim=True)
        - normed * (g * normed).mean(-1, keepdim=True)
    )
    dims = tuple(range(x.dim() - 1))
    for_x = [
        (
            g * scale / deviation,
            "This takes mean and variance for constants, but each feature of x moves both.",
        ),
        (
            by_mean / deviation,
            "This takes the variance for a constant, but x moves it too.",
        ),
        (
            (g * scale - by_variance) / deviation,
            "This takes the mean for a constant, but x moves it too.",
        ),
        (
            unscaled / deviation,
            "The gradient must pass the scale before it reaches the rest.",
        ),
        (
            by_mean - by_variance,
            "The division by the deviation is missing on the way back.",
        ),
        (
            (by_mean + by_variance) / deviation,
            "The part through the variance has the wrong sign.",
        ),
    ]
    for_scale = [
        ((g * x).sum(dims), "scale multiplies the normalised x, not x itself."),
        (
            (g * normed).mean(dims),
            "This is a mean over the tokens, and their sum is asked for.",
        ),
        (
            g.sum(dims),
            "This is the gradient of shift: that of scale knows the normalised x.",
        ),
    ]
    for_shift = [
        (
            g.mean(dims),
            "This is a mean over the tokens, and their sum is asked for.",
        )
    ]
    return for_x, for_scale, for_shift


@exercise("4.5")
def check_4_5(layer_norm_backward) -> None:
    """The three gradients are autograd's, which is switched off for the answer."""
    tiny = (
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        torch.tensor([[1.0, 3.0, 5.0, 7.0]]),
    )
    cases = [(*tiny, torch.ones(4), 1e-5)]
    for shape, eps in [((5, 3), 1e-5), ((2, 3, 7), 1e-5), ((2, 2, 1, 6), 0.5)]:
        cases.append(
            (
                torch.randn(shape),
                2 * torch.randn(shape) + 1,
                torch.randn(shape[-1]),
                eps,
            )
        )
    for g, x, scale, eps in cases:
        leaves = [
            t.clone().requires_grad_()
            for t in (x, scale, torch.zeros_like(scale))
        ]
        result = F.layer_norm(leaves[0], scale.shape, *leaves[1:], eps)
        wanted = torch.autograd.grad(result, leaves, g)
        with torch.no_grad():
            ready_made = ["layer_norm", "grad", "backward"]
            got = ask_plainly(
                READY_NORMS, ready_made, layer_norm_backward, g, x, scale, eps
            )
        three = isinstance(got, tuple | list) and len(got) == 3
        demand(
            three,
            "layer_norm_backward must return three gradients: of x, scale and shift.",
        )
        at = (
            f"for x = {x[0].long().tolist()}"
            if x.numel() == 4
            else f"for x of {tuple(x.shape)}"
        )
        mistakes = mistaken_gradients(g, x, scale, eps)
        for name, mine, right, known in zip(
            ("x", "scale", "shift"), got, wanted, mistakes
        ):
            what = f"The gradient of {name} {at}"
            same(mine, right, what, told(what, known))


# ---- 4.6


def mistaken_gelus(x: Tensor) -> list:
    root, cubic = (2 / torch.pi) ** 0.5, x + 0.044715 * x**3
    curve = torch.tanh(root * cubic)
    return [
        (
            F.gelu(x),
            "This is the exact form with erf; the one with tanh is asked for.",
        ),
        (
            x * torch.sigmoid(1.702 * x),
            "This is the form with a sigmoid; tanh is asked for.",
        ),
        (x * (1 + curve), "The factor 1/2 is missing."),
        (0.5 * (1 + curve), "The factor x in front is missing."),
        (0.5 * x * curve, "1 must be added to the tanh."),
        (0.5 * x + curve, "The bracket around 1 + tanh is missing."),
        (0.5 * x * 1 + curve, "The bracket around 1 + tanh is missing."),
        (
            0.5 * x * (1 + torch.tanh(root * x)),
            "The term with the cube of x is missing.",
        ),
        (
            0.5 * x * (1 + torch.tanh(root * (x + 0.044715 * x**2))),
            "Inside the tanh stands the square of x; its cube is asked for.",
        ),
        (
            0.5 * x * (1 + torch.tanh(root * x + 0.044715 * x**3)),
            "The root of 2/pi multiplies the whole bracket, the cube too.",
        ),
        (
            0.5 * x * (1 + torch.tanh(2 / torch.pi * cubic)),
            "The root of 2/pi is asked for, not 2/pi itself.",
        ),
        (
            0.5 * x * (1 + torch.tanh((2 * torch.pi) ** 0.5 * cubic)),
            "The root of 2/pi is asked for, not of 2 pi.",
        ),
        (x.relu(), "This is ReLU."),
    ]


@exercise("4.6")
def check_4_6(gelu_tanh) -> None:
    """F.gelu(approximate="tanh") near 0, on tensors of several shapes, and far from 0."""
    inputs = [torch.tensor([1.0]), torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0])]
    inputs += [torch.linspace(-3, 3, 60).view(3, 4, 5), torch.randn(2, 1, 7)]
    for x in inputs:
        what = (
            f"gelu_tanh({x.tolist()})"
            if x.dim() == 1
            else f"gelu_tanh of {tuple(x.shape)}"
        )
        got = ask_plainly(["gelu"], ["gelu"], gelu_tanh, x)
        wanted = F.gelu(x, approximate="tanh")
        same(got, wanted, what, told(what, mistaken_gelus(x)), tolerance=1e-5)
    for x in (100.0, -100.0):
        wanted = torch.tensor([max(x, 0.0)])
        lost = [
            (
                torch.tensor([torch.nan]),
                f"gelu_tanh([{x}]) is not a number: use torch.tanh.",
            )
        ]
        same(
            ask(gelu_tanh, torch.tensor([x])), wanted, f"gelu_tanh([{x}])", lost
        )


# ---- 4.7


def mistaken_blocks(
    x: Tensor, norm1, attention, norm2, feed_forward, dropout
) -> list:
    def through(x, norm, work):
        return x + dropout(work(norm(x)))

    middle = through(x, norm1, attention)
    no_dropout = x + attention(norm1(x))
    on_stream = dropout(x + attention(norm1(x)))
    after = norm1(x + dropout(attention(x)))
    copy = norm1(x) + dropout(attention(norm1(x)))
    bare = x + dropout(attention(x))
    pairs = [
        (
            norm2(after + dropout(feed_forward(after))),
            "The LayerNorms stand after the additions.",
        ),
        (no_dropout + feed_forward(norm2(no_dropout)), "Dropout is not used."),
        (
            middle + feed_forward(norm2(middle)),
            "Dropout is missing after the feed-forward.",
        ),
        (
            through(no_dropout, norm2, feed_forward),
            "Dropout is missing after the attention.",
        ),
        (
            dropout(on_stream + feed_forward(norm2(on_stream))),
            "Dropout acts on the stream: it belongs to the branch, before the addition.",
        ),
        (
            norm2(copy) + dropout(feed_forward(norm2(copy))),
            "The shortcut starts after the LayerNorm: what is added is x as it came.",
        ),
        (
            middle + dropout(feed_forward(norm2(x))),
            "The second branch reads x: it should read what the first addition gave.",
        ),
        (
            x + dropout(feed_forward(norm2(middle))),
            "The second addition starts from x again: what attention added is lost.",
        ),
        (
            dropout(feed_forward(norm2(dropout(attention(norm1(x)))))),
            "There is no shortcut: each branch adds to the stream.",
        ),
        (
            dropout(feed_forward(norm2(middle))),
            "The second shortcut is missing.",
        ),
        (
            through(middle, norm1, feed_forward),
            "norm1 is used twice, and norm2 never.",
        ),
        (bare + dropout(feed_forward(bare)), "The LayerNorms are not used."),
        (
            through(through(x, norm2, attention), norm1, feed_forward),
            "norm1 and norm2 are swapped.",
        ),
        (
            through(through(x, norm1, feed_forward), norm2, attention),
            "The feed-forward comes first: attention should.",
        ),
        (middle, "The feed-forward branch is missing."),
    ]
    return pairs


@exercise("4.7")
def check_4_7(pre_norm_block) -> None:
    """Toy parts on one number, then the parts of a TransformerBlock, which says what is right."""
    toys = [
        lambda y: y + 1,
        lambda y: 10 * y,
        lambda y: y + 3,
        lambda y: 100 * y,
        lambda y: y / 2,
    ]
    for x in (torch.ones(1, 1, 1), torch.randn(2, 3, 4)):
        middle = x + (x + 1) * 10 / 2
        wanted = middle + (middle + 3) * 100 / 2
        known = mistaken_blocks(x, *toys)
        known = [
            (
                value,
                f"{said} In the example this gives {value.flatten()[0]:g}, not 711.",
            )
            if x.numel() == 1
            else (value, said)
            for value, said in known
        ]
        got = ask_kindly(pre_norm_block, x, *toys)
        same(got, wanted, "pre_norm_block with the parts of the example", known)
    block = TransformerBlock(
        GPTConfig(10, 6, 12, n_heads=3, drop_rate=0.0)
    ).eval()
    for norm in (block.norm1, block.norm2):
        nn.init.normal_(norm.scale)
        nn.init.normal_(norm.shift)
    parts = (
        block.norm1,
        block.attention,
        block.norm2,
        block.feed_forward,
        block.dropout,
    )
    x = torch.randn(3, 5, 12)
    with torch.no_grad():
        got = ask_kindly(pre_norm_block, x, *parts)
        same(
            got,
            block(x),
            "The result with real parts",
            mistaken_blocks(x, *parts),
        )


# ---- 4.8


class LastDigit(nn.Module):
    """Score highest, at each position, the last digit of the sum of the ids read so far."""

    def __init__(self, context_length: int):
        super().__init__()
        self.context_length, self.kept_gradients = context_length, False

    def forward(self, idx: Tensor) -> Tensor:
        T = idx.shape[1]
        if T > self.context_length:
            raise ValueError(
                f"{T} tokens do not fit into context_length={self.context_length}"
            )
        self.kept_gradients |= torch.is_grad_enabled()
        return F.one_hot(idx.cumsum(dim=1) % 10, 10).float() - 5  # (B, T, 10)


def ask_step(
    next_greedy: Callable, idx: list[list[int]], context_length: int
) -> Tensor:
    """Ask for one step with the toy model, and judge it on the way."""
    rows, n = torch.tensor(idx), context_length
    with Operations() as watched:
        got = ask_kindly(next_greedy, LastDigit(n), rows, n)
    drawn = watched.done & {"multinomial", "bernoulli", "exponential_", "rand"}
    demand(
        not drawn,
        "The next token is drawn at random: take the one with the highest score.",
    )
    call = f"next_greedy(model, {idx}, {n})"

    def extended(read: Tensor) -> Tensor:
        return torch.cat([rows, read.sum(1, keepdim=True) % 10], dim=1)

    wanted = extended(rows[:, -n:])
    together = rows[:, -n:].cumsum(1)[0, -1:].expand(len(rows), 1) % 10
    mistakes = [
        (
            wanted[:, -1:],
            f"{call} gives only the new ids: they belong after the old ones.",
        ),
        (
            wanted[:, -1],
            f"{call} gives only the new ids: they belong after the old ones.",
        ),
        (
            wanted[:, -n - 1 :],
            f"{call} has lost the tokens outside the window: keep all of idx.",
        ),
        (
            extended(rows[:, :n]),
            f"{call}: the model should read the last {n} tokens, not the first.",
        ),
        (
            extended(rows[:, -n:][:, :1]),
            f"{call} takes the scores at the first position.",
        ),
        (
            extended(rows[:, -n:][:, :-1]),
            f"{call} takes the scores one position too early.",
        ),
        (
            torch.cat([rows, together], 1),
            f"{call} gives every row the token of the first one.",
        ),
    ]
    if n > 1:
        short = extended(rows[:, -n + 1 :])
        mistakes.append((short, f"{call}: the window is one token too short."))
    same(got, wanted, call, mistakes)
    return got


@exercise("4.8")
def check_4_8(next_greedy) -> None:
    """A toy model whose next token is a sum, then a GPTModel and the chapter's own loop."""
    for idx, n in (
        ([[3, 4]], 4),
        ([[9, 3, 4]], 2),
        ([[9, 3, 4], [1, 2, 6]], 3),
        ([[5]], 1),
    ):
        ask_step(next_greedy, idx, n)
    for B, T, n in ((3, 6, 4), (4, 4, 4), (2, 9, 1), (5, 1, 3)):
        ask_step(next_greedy, torch.randint(10, (B, T)).tolist(), n)
    model = LastDigit(3)
    ask(next_greedy, model, torch.tensor([[1, 2]]), 3)
    demand(
        not model.kept_gradients,
        "The model is called with gradients switched on: nobody trains here, so use torch.no_grad.",
    )
    gpt = GPTModel(GPTConfig(40, 6, 16, n_heads=2, n_layers=2)).eval()
    nn.init.normal_(gpt.out_head.weight)
    for T in (3, 6, 11):
        idx = torch.randint(40, (4, T))
        got = ask_kindly(next_greedy, gpt, idx, 6)
        same(
            got,
            generate_greedy(gpt, idx, 1),
            f"One step of a GPTModel after {T} tokens",
        )
