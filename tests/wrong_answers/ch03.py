"""Typical wrong answers to the exercises of chapter 3."""

import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from ch03.checks import (
    MultiHeadAttentionWrapper,
    check_3_1,
    check_3_2,
    check_3_3,
    check_3_4,
    check_3_5,
    check_3_6,
    check_3_7,
    check_3_8,
    check_3_9,
    check_3_10,
    check_3_11,
)
from ch03.multihead_attention import MultiHeadAttention

NAMES = ("W_query", "W_key", "W_value")


# ---- 3.1


def copy_with(turn, names=NAMES):
    """A copy that does `turn` with each weight, under the names of V1's matrices."""

    def copy_weights(source, target):
        for name, own in zip(NAMES, names):
            setattr(target, own, turn(getattr(source, name).weight))
        return target

    return copy_weights


def turn_the_source(source, target):
    for name in NAMES:
        layer = getattr(source, name)
        layer.weight = nn.Parameter(layer.weight.T.clone())
        getattr(target, name).data.copy_(layer.weight)
    return target


swapped = copy_with(lambda w: nn.Parameter(w.T.clone()), ("W_key", "W_query", "W_value"))


# ---- 3.2


def refusing(width, n_heads):
    if width % n_heads:
        raise ValueError(f"{width} is not a multiple of {n_heads}")


def whole_width(d_in, width, n_heads, T):
    refusing(width, n_heads)
    return MultiHeadAttentionWrapper(d_in, width, T, n_heads)


def one_head(d_in, width, n_heads, T):
    refusing(width, n_heads)
    return MultiHeadAttentionWrapper(d_in, width, T, 1)


def rounded_down(d_in, width, n_heads, T):
    return MultiHeadAttentionWrapper(d_in, width // n_heads, T, n_heads)


def always_two(d_in, width, n_heads, T):
    return MultiHeadAttentionWrapper(d_in, 2, T, 2)


def short_context(d_in, width, n_heads, T):
    refusing(width, n_heads)
    return MultiHeadAttentionWrapper(d_in, width // n_heads, 1, n_heads)


def asserts(d_in, width, n_heads, T):
    assert width % n_heads == 0, (width, n_heads)
    return MultiHeadAttentionWrapper(d_in, width // n_heads, T, n_heads)


# ---- 3.3


def gpt2(C, **options):
    settings = {"n_heads": C // 64, "context_length": 1024, "dropout": 0.1, "qkv_bias": True}
    return MultiHeadAttention(C, **(settings | options))


def count(C):
    return 4 * C**2 + 4 * C


def count_on_meta(C):
    with torch.device("meta"):
        return sum(p.numel() for p in gpt2(C).parameters())


# ---- 3.4 and 3.5


def attention_by(normalise, mix=lambda weights, x: weights @ x):
    def self_attention(x):
        weights = normalise(x @ x.T)
        return weights, mix(weights, x)

    return self_attention


def context_only(x):
    return (x @ x.T).softmax(-1) @ x


def context_first(x):
    weights = (x @ x.T).softmax(-1)
    return weights @ x, weights


def in_place_softmax(scores):
    scores -= scores.amax(-1, keepdim=True)
    return scores.exp() / scores.exp().sum(-1, keepdim=True)


def softmax_from(scores, largest):
    powers = (scores - largest).exp()
    return powers / powers.sum(-1, keepdim=True)


# ---- 3.7


def future(T, first_hidden=1):
    return torch.ones(T, T, dtype=torch.bool).triu(first_hidden)


def weights_with(divisor=lambda D, T: D**0.5, first_hidden=1, hide=-torch.inf, dim=-1):
    def causal_weights(q, k):
        T, D = q.shape[-2:]
        scores = q @ k.transpose(-2, -1) / divisor(D, T)
        return scores.masked_fill(future(T, first_hidden), hide).softmax(dim)

    return causal_weights


def erase_after(q, k):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1).tril()


def erase_and_divide(q, k):
    kept = erase_after(q, k)
    return kept / kept.sum(-1, keepdim=True)


def zeros_for_scores(q, k):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).tril().softmax(-1)


def no_batch(q, k):
    scores = q @ k.transpose(0, 1) / q.shape[-1] ** 0.5
    return scores.masked_fill(future(len(q)), -torch.inf).softmax(-1)


def scales_in_place(q, k):
    q /= q.shape[-1] ** 0.5
    scores = q @ k.transpose(-2, -1)
    return scores.masked_fill(future(q.shape[-2]), -torch.inf).softmax(-1)


# ---- 3.8 and 3.9


def split(x, H):
    return x.unflatten(-1, (H, -1)).transpose(1, 2)


def join(heads):
    return heads.transpose(1, 2).flatten(2)


def split_at_once(x, H):
    B, T, C = x.shape
    return x.reshape(B, H, T, C // H)


def split_interleaved(x, H):
    return x.unflatten(-1, (-1, H)).permute(0, 3, 1, 2)


def join_at_once(heads):
    B, H, T, D = heads.shape
    return heads.reshape(B, T, H * D)


def join_by_view(heads):
    B, H, T, D = heads.shape
    return heads.transpose(1, 2).view(B, T, H * D)


def attention_with(
    weights_of=None, split=split, join=join, last=True, cut=lambda qkv: qkv.chunk(3, dim=-1)
):
    weights_of = weights_of or weights_with()

    def multi_head(layer, x):
        q, k, v = (split(part, layer.n_heads) for part in cut(layer.qkv(x)))
        context = join(weights_of(q, k) @ v)
        return layer.proj(context) if last else context

    return multi_head


def by_the_kernel(layer, x):
    q, k, v = (split(part, layer.n_heads) for part in layer.qkv(x).chunk(3, dim=-1))
    return layer.proj(join(scaled_dot_product_attention(q, k, v, is_causal=True)))


def unmasked(q, k):
    return (q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5).softmax(-1)


def by_width(layer, x):
    return attention_with(weights_with(lambda D, T: x.shape[-1] ** 0.5))(layer, x)


# ---- 3.10


def moved(attention, x, t, upto):
    changed = x.clone()
    changed[t] += 1.0
    return (attention(changed) - attention(x))[:upto].abs().max()


def changes_the_last(attention, x):
    return bool(moved(attention, x, -1, -1) > 1e-5)


def looks_at_its_own(attention, x):
    return any(moved(attention, x, t, t + 1) > 1e-5 for t in range(len(x)))


def without_tolerance(attention, x):
    return any(moved(attention, x, t, t) > 0 for t in range(1, len(x)))


def without_a_copy(attention, x):
    before = attention(x)
    x[-1] += 1.0
    return bool((attention(x) - before)[:-1].abs().max() > 1e-5)


def looks_at_the_neighbour(attention, x):
    return any((moved(attention, x, t, t) > 1e-5) for t in (1, 2))


# ---- 3.11


def add_up(first, second):
    return torch.maximum(first[0], second[0]), first[1] + second[1], first[2] + second[2]


def shrunk(first, second, swap=False, c_too=True):
    m = torch.maximum(first[0], second[0])
    shrinks = [(part[0] - m).exp() for part in (first, second)]
    (z1, c1), (z2, c2), (s1, s2) = first[1:], second[1:], shrinks[::-1] if swap else shrinks
    return m, z1 * s1 + z2 * s2, c1 * s1 + c2 * s2 if c_too else c1 + c2


def only_z(first, second):
    return shrunk(first, second, c_too=False)


def swapped_factors(first, second):
    return shrunk(first, second, swap=True)


def undoes_the_maximum(first, second):
    m = torch.maximum(first[0], second[0])
    z, c = (sum(part[i] * part[0].exp() for part in (first, second)) / m.exp() for i in (1, 2))
    return m, z, c


def divides(first, second):
    m, z, c = shrunk(first, second)
    return m, z, c / z


WRONG = [
    (check_3_1, (copy_with(lambda w: nn.Parameter(w.clone())),), "a transpose is missing"),
    (check_3_1, (copy_with(lambda w: nn.Parameter(w.T)),), "share memory"),
    (check_3_1, (copy_with(lambda w: w.T),), "cannot assign"),
    (check_3_1, (turn_the_source,), "of `source` was changed"),
    (check_3_1, (swapped,), "With d_in=2 and d_out=2, W_query of `target` is"),
    (check_3_1, (lambda source, target: target,), "W_query of `target` is"),
    (check_3_1, (lambda source, target: source,), "should return `target`"),
    (check_3_2, (whole_width,), "side by side, so d_out=4 is 2 times too much"),
    (check_3_2, (one_head,), "The number of heads of make_heads(3, 4, 2, 4) is 1, but 2"),
    (check_3_2, (rounded_down,), "is accepted, but 2 equal heads"),
    (check_3_2, (always_two,), "The number of heads of make_heads(5, 6, 3, 2) is 2, but 3"),
    (check_3_2, (short_context,), "context_length of make_heads(3, 4, 2, 4) is 1, but 4"),
    (check_3_2, (asserts,), "not a ValueError"),
    (check_3_2, (lambda *sizes: 2,), "MultiHeadAttentionWrapper is asked for, not 2"),
    (check_3_3, (lambda C: gpt2(C, n_heads=12), count), "is not a multiple of n_heads=12"),
    (check_3_3, (lambda C: gpt2(C, n_heads=16), count), "16 heads of 48 numbers"),
    (check_3_3, (lambda C: gpt2(C, qkv_bias=False), count), "no bias in its queries"),
    (check_3_3, (lambda C: gpt2(C, context_length=256), count), "context_length of"),
    (check_3_3, (gpt2, lambda C: 4 * C**2), "but no bias"),
    (check_3_3, (gpt2, lambda C: 4 * C**2 + C), "lacks the bias of queries"),
    (check_3_3, (gpt2, lambda C: 3 * C**2 + 3 * C), "lacks the last layer"),
    (check_3_3, (gpt2, lambda C: (4 * C**2 + 4 * C) * (C // 64)), "each head as a whole"),
    (check_3_3, (gpt2, lambda C: 2_362_368), "count_parameters(64) is 2362368, but 16640"),
    (check_3_3, (gpt2, lambda C: count(C) / 1), "a decimal number"),
    (check_3_3, (gpt2, count_on_meta), "a formula is asked for"),
    (
        check_3_3,
        (gpt2, lambda C: sum(p.numel() for p in gpt2(C).parameters())),
        "builds tensors to count them",
    ),
    (check_3_4, (attention_by(lambda s: s.softmax(0)),), "columns of the weights sum to 1"),
    (check_3_4, (attention_by(lambda s: s),), "softmax is missing"),
    (check_3_4, (attention_by(lambda s: (s / 2**0.5).softmax(-1)),), "not yet here"),
    (check_3_4, (attention_by(lambda s: s.softmax(-1), lambda w, x: w.T @ x),), "columns of weig"),
    (check_3_4, (context_only,), "should return (weights, context)"),
    (check_3_4, (context_first,), "weights come first"),
    (
        check_3_4,
        (lambda x: (torch.tensor([[0.98201, 0.01799], [0.5, 0.5]]), x),),
        "context",
    ),
    (check_3_5, (lambda s: s.exp() / s.exp().sum(),), "together sum to 1"),
    (check_3_5, (lambda s: s.exp() / s.exp().sum(-1, keepdim=True),), "holds nan"),
    (check_3_5, (lambda s: s.exp() / s.exp().sum(0),), "along the first dimension"),
    (check_3_5, (lambda s: softmax_from(s, s.max()),), "each row needs its own"),
    (check_3_5, (torch.exp,), "not divided by their sum"),
    (check_3_5, (in_place_softmax,), "changes what it is given"),
    (check_3_5, (lambda s: s.softmax(-1),), "PyTorch's own softmax: write it"),
    (check_3_5, (lambda s: nn.functional.log_softmax(s, -1).exp(),), "PyTorch's own log_softmax"),
    (check_3_5, (lambda s: nn.Softmax(-1)(s),), "PyTorch's own softmax"),
    (check_3_5, (lambda s: torch.special.softmax(s, -1),), "PyTorch's own softmax"),
    (check_3_5, (lambda s: torch.ops.aten._softmax(s, -1, False),), "PyTorch's own softmax"),
    (check_3_5, (lambda s: torch.ops.aten.softmax(s, -1),), "PyTorch's own softmax"),
    (check_3_5, (lambda s: torch.special.log_softmax(s, -1).exp(),), "PyTorch's own log_softmax"),
    (check_3_6, (lambda n: future(n, 0),), "hides a token from itself"),
    (check_3_6, (lambda n: future(n, 2),), "see the next one"),
    (check_3_6, (lambda n: ~future(n),), "True should mean hidden"),
    (check_3_6, (lambda n: future(n).T,), "hides the past"),
    (check_3_6, (lambda n: torch.ones(n, n).triu(1),), "holds decimal numbers"),
    (check_3_6, (lambda n: future(3),), "has shape (3, 3), but (1, 1)"),
    (check_3_7, (weights_with(lambda D, T: 1),), "not divided by √2"),
    (check_3_7, (weights_with(lambda D, T: D),), "not by its square root"),
    (check_3_7, (weights_with(lambda D, T: T**0.5),), "divided by √T"),
    (check_3_7, (weights_with(first_hidden=0),), "nothing left to read"),
    (check_3_7, (weights_with(first_hidden=2),), "off by one"),
    (check_3_7, (weights_with(hide=0.0),), "exp(0) is 1"),
    (check_3_7, (weights_with(hide=-20.0),), "too high"),
    (check_3_7, (weights_with(hide=-1e4),), "For q and k of shape (2, 6, 4), the result is"),
    (check_3_7, (weights_with(dim=-2),), "the columns sum to 1"),
    (check_3_7, (zeros_for_scores,), "exp(0) is 1"),
    (check_3_7, (unmasked,), "no mask"),
    (check_3_7, (erase_after,), "the mask comes after the softmax"),
    (check_3_7, (erase_and_divide,), "a row is 0 / 0"),
    (check_3_7, (no_batch,), "raises RuntimeError"),
    (check_3_7, (scales_in_place,), "changes what it is given"),
    (check_3_8, (split_at_once, join), "view alone cuts"),
    (check_3_8, (lambda x, H: x.unflatten(-1, (H, -1)), join), "heads should come before"),
    (check_3_8, (split_interleaved, join), "takes numbers 2 places apart"),
    (check_3_8, (split, join_at_once), "join_heads mixes tokens"),
    (check_3_8, (split, join_by_view), "raises RuntimeError: view size"),
    (check_3_8, (split, lambda heads: heads.transpose(1, 2)), "join_heads has shape (1, 3, 2, 2)"),
    (check_3_8, (lambda x, H: split(x, 2), join), "has shape (2, 2, 3, 3), but (2, 3, 3, 2)"),
    (check_3_9, (attention_with(unmasked),), "the future leaks in"),
    (check_3_9, (attention_with(weights_with(lambda D, T: 1)),), "not scaled"),
    (check_3_9, (attention_with(weights_with(first_hidden=2)),), "the mask is off by one"),
    (check_3_9, (by_width,), "divided by √C"),
    (check_3_9, (attention_with(split=split_at_once),), "the split mixes tokens"),
    (check_3_9, (attention_with(join=join_at_once),), "without moving them"),
    (check_3_9, (attention_with(last=False),), "proj is missing"),
    (check_3_9, (attention_with(split=lambda x, H: x[:, None]),), "only one head"),
    (check_3_9, (lambda layer, x: layer(x),), "not to be called"),
    (check_3_9, (by_the_kernel,), "PyTorch's own scaled_dot_product_attention"),
    (check_3_9, (MultiHeadAttention.forward,), "PyTorch's own scaled_dot_product_attention"),
    (check_3_10, (lambda attention, x: True,), "with the right mask, your function says True"),
    (check_3_10, (lambda attention, x: False,), "with no mask, your function says False"),
    (check_3_10, (changes_the_last,), "one hole in its mask, at [0, 1], your function says False"),
    (check_3_10, (looks_at_the_neighbour,), "one hole in its mask, at [1, 3]"),
    (check_3_10, (looks_at_its_own,), "with the right mask, your function says True"),
    (check_3_10, (without_tolerance,), "equal up to rounding, your function says True"),
    (check_3_10, (without_a_copy,), "changes what it is given"),
    (check_3_10, (lambda attention, x: attention(x),), "True or False is asked for"),
    (check_3_11, (add_up,), "z is added without shrinking"),
    (check_3_11, (only_z,), "c is added without shrinking"),
    (check_3_11, (swapped_factors,), "shrinks the wrong part"),
    (check_3_11, (undoes_the_maximum,), "z is nan"),
    (check_3_11, (divides,), "divided by z already"),
    (check_3_11, (lambda a, b: (a[0] + b[0], a[1], a[2]),), "are added"),
    (check_3_11, (lambda a, b: (torch.minimum(a[0], b[0]), a[1], a[2]),), "the smaller one"),
    (check_3_11, (lambda a, b: a[2] + b[2],), "should return (m, z, c)"),
]
