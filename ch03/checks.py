"""Checks of the exercises of chapter 3, and the drafts of the chapter that they are about.

Dimension key: B batch, T tokens, C embedding, H heads, D head size.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from ch03.multihead_attention import MultiHeadAttention
from exercises.checking import (
    NotDone,
    Wrong,
    ask,
    ask_by_hand,
    ask_formula,
    ask_kindly,
    demand,
    describe,
    exercise,
    name_error,
    same,
)

# ---- The drafts of sections 3.4 to 3.6, as they stand in the chapter's notebook.


class SelfAttentionV1(nn.Module):
    """Self-attention, trainable. Shapes: x (T, d_in) -> (T, d_out)."""

    def __init__(self, d_in: int, d_out: int):
        super().__init__()
        self.W_query = nn.Parameter(torch.randn(d_in, d_out))
        self.W_key = nn.Parameter(torch.randn(d_in, d_out))
        self.W_value = nn.Parameter(torch.randn(d_in, d_out))

    def forward(self, x: Tensor) -> Tensor:
        q = x @ self.W_query  # (T, d_out)
        k = x @ self.W_key
        v = x @ self.W_value
        scores = q @ k.T / k.shape[-1] ** 0.5  # (T, T)
        return scores.softmax(dim=-1) @ v


class SelfAttentionV2(nn.Module):
    """Self-attention, linear layers. Shapes: x (T, d_in) -> (T, d_out)."""

    def __init__(self, d_in: int, d_out: int, qkv_bias: bool = False):
        super().__init__()
        self.W_query = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_key = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_value = nn.Linear(d_in, d_out, bias=qkv_bias)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.W_query(x), self.W_key(x), self.W_value(x)
        scores = q @ k.T / k.shape[-1] ** 0.5  # (T, T)
        return scores.softmax(dim=-1) @ v


class CausalAttention(nn.Module):
    """One causal head. Shapes: x (B, T, d_in) -> (B, T, d_out)."""

    def __init__(
        self,
        d_in: int,
        d_out: int,
        context_length: int,
        dropout: float = 0.0,
        qkv_bias: bool = False,
    ):
        super().__init__()
        self.W_query = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_key = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.W_value = nn.Linear(d_in, d_out, bias=qkv_bias)
        self.dropout = nn.Dropout(dropout)
        ones = torch.ones(context_length, context_length, dtype=torch.bool)
        self.register_buffer("future", ones.triu(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        T = x.shape[-2]
        q, k, v = self.W_query(x), self.W_key(x), self.W_value(x)
        scores = q @ k.transpose(-2, -1) / k.shape[-1] ** 0.5  # (B, T, T)
        scores = scores.masked_fill(self.future[:T, :T], -torch.inf)
        weights = self.dropout(scores.softmax(dim=-1))
        return weights @ v


class MultiHeadAttentionWrapper(nn.Module):
    """Heads side by side. Shapes: x (B, T, d_in) -> (B, T, n_heads * d_out)."""

    def __init__(
        self,
        d_in: int,
        d_out: int,
        context_length: int,
        n_heads: int,
        dropout: float = 0.0,
        qkv_bias: bool = False,
    ):
        super().__init__()
        self.heads = nn.ModuleList(
            CausalAttention(d_in, d_out, context_length, dropout, qkv_bias)
            for _ in range(n_heads)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([head(x) for head in self.heads], dim=-1)


# ---- What several checks share.


def ask_several(answer: Callable, n: int, names: str, *arguments: Any) -> tuple:
    """Ask for n results at once."""
    results = ask_kindly(answer, *arguments)
    fits = isinstance(results, tuple | list) and len(results) == n
    demand(
        fits,
        f"The function should return {names}, but it returns {describe(results)}.",
    )
    if any(result is None or result is ... for result in results):
        raise NotDone
    return tuple(results)


def kernel_weights(
    q: Tensor, k: Tensor, causal: bool, scale: float | None = None
) -> Tensor:
    """The weights that PyTorch's kernel uses: with the identity as values, it returns them."""
    lead = (1,) * (4 - q.ndim)
    q4, k4 = q.view(*lead, *q.shape), k.view(*lead, *k.shape)
    values = torch.eye(k.shape[-2]).expand(*k4.shape[:-1], -1)
    weights = scaled_dot_product_attention(
        q4, k4, values, is_causal=causal, scale=scale
    )
    return weights.view(*q.shape[:-1], k.shape[-2])


# ---- The book's three.


@exercise("3.1")
def check_3_1(copy_weights) -> None:
    """V1 holds copies of V2's matrices, so both give the same output; V2 stays as it was."""
    for T, d_in, d_out in [(2, 2, 2), (3, 3, 2), (5, 4, 7), (6, 5, 5)]:
        v2, v1, x = (
            SelfAttentionV2(d_in, d_out),
            SelfAttentionV1(d_in, d_out),
            torch.randn(T, d_in),
        )
        wanted = v2(x).detach()
        kept = {
            name: weight.clone() for name, weight in v2.state_dict().items()
        }
        demand(
            ask(copy_weights, v2, v1) is v1,
            "The function should return `target` itself.",
        )
        sizes = f"d_in={d_in} and d_out={d_out}"
        for name, stored in kept.items():
            name = name.removesuffix(".weight")
            demand(
                torch.equal(getattr(v2, name).weight, stored),
                f"{name} of `source` was changed: only `target` is to be written to.",
            )
            transpose = (
                f"With {sizes}, {name} holds the linear layer's matrix as it is stored: "
                "nn.Linear computes x @ weight.T, so a transpose is missing."
            )
            matrix = getattr(v1, name)
            learned = isinstance(matrix, nn.Parameter) and matrix.requires_grad
            demand(
                learned,
                f"{name} of `target` is no parameter that can be trained any more.",
            )
            same(
                matrix.detach(),
                stored.T,
                f"With {sizes}, {name} of `target`",
                [(stored, transpose)],
            )
        same(ask(v1, x), wanted, f"With {sizes}, the output of `target`")
        for weight in v2.parameters():
            weight.data.zero_()
        demand(
            torch.allclose(v1(x), wanted, atol=1e-6),
            "When `source` is changed later, `target` changes too: they share memory, so the "
            "weights are not copied.",
        )


@exercise("3.2")
def check_3_2(make_heads) -> None:
    """A wrapper with n_heads heads whose output has `width` numbers; other widths are refused."""
    for d_in, width, n_heads, T in [
        (3, 4, 2, 4),
        (5, 6, 3, 2),
        (4, 7, 1, 3),
        (2, 5, 5, 6),
    ]:
        wrapper = ask(make_heads, d_in, width, n_heads, T)
        is_one = isinstance(wrapper, MultiHeadAttentionWrapper)
        demand(
            is_one,
            f"A MultiHeadAttentionWrapper is asked for, not {describe(wrapper)}.",
        )
        shown = f"make_heads({d_in}, {width}, {n_heads}, {T})"
        same(len(wrapper.heads), n_heads, f"The number of heads of {shown}")
        for head in wrapper.heads:
            same(len(head.future), T, f"The context_length of {shown}")
        too_wide = (
            f"The output of {shown} has {width * n_heads} numbers per token: the wrapper puts its "
            f"{n_heads} heads side by side, so d_out={width} is {n_heads} times too much."
        )
        got = tuple(ask(wrapper, torch.randn(2, T, d_in)).shape)
        mistakes = [((2, T, width * n_heads), too_wide)]
        same(
            got, (2, T, width), f"The shape of the output of {shown}", mistakes
        )
    for width, n_heads in [(5, 2), (2, 3)]:
        shown = f"make_heads(3, {width}, {n_heads}, 4)"
        try:
            make_heads(3, width, n_heads, 4)
        except ValueError as error:
            named = str(width) in str(error) and str(n_heads) in str(error)
            demand(
                named,
                f"The message of the ValueError should name {width} and {n_heads}.",
            )
        except Exception as error:
            raise Wrong(
                f"{shown} raises {name_error(error)}, not a ValueError."
            ) from None
        else:
            raise Wrong(
                f"{shown} is accepted, but {n_heads} equal heads cannot have {width} numbers."
            )


@exercise("3.3")
def check_3_3(gpt2_attention, count_parameters) -> None:
    """The attention of GPT-2's four sizes, and its number of parameters without building it."""
    for C in (768, 1024, 1280, 1600):
        layer, shown = ask(gpt2_attention, C), f"gpt2_attention({C})"
        is_one = isinstance(layer, MultiHeadAttention)
        demand(
            is_one,
            f"{shown} should be a MultiHeadAttention, but it is {describe(layer)}.",
        )
        same(layer.proj.out_features, C, f"The emb_dim of {shown}")
        same(layer.context_length, 1024, f"The context_length of {shown}")
        D = C // layer.n_heads
        heads = f"{shown} has {layer.n_heads} heads of {D} numbers, but GPT-2's heads have 64."
        demand(D == 64, heads)
        same(float(layer.dropout), 0.1, f"The dropout of {shown}")
        bias = f"{shown} has no bias in its queries, keys and values, but GPT-2 has."
        demand(layer.qkv.bias is not None, bias)
    for C in (64, 192, 768, 1600):
        with torch.device("meta"):  # shapes without numbers
            built = MultiHeadAttention(C, C // 64, 1024, qkv_bias=True)
        wanted, counted = (
            sum(p.numel() for p in built.parameters()),
            f"count_parameters({C})",
        )
        rows = [
            (0.0, f"{counted} is a decimal number: a count is a whole one."),
            (3 * C, f"{counted} lacks the bias of queries, keys and values."),
            (C, f"{counted} lacks the bias of the last layer, proj."),
            (4 * C, f"{counted} has the four matrices, but no bias."),
            (C * C + C, f"{counted} lacks the last layer, proj."),
            (C * C, f"{counted} lacks the matrix of the last layer, proj."),
        ]
        mistakes = [(wanted - lacking, sentence) for lacking, sentence in rows]
        times = (
            f"{counted} counts each head as a whole attention: heads share out the "
            "same columns."
        )
        if C > 64:
            mistakes.append((wanted * (C // 64), times))
        same(ask_formula(count_parameters, C), wanted, counted, mistakes)


# ---- Ours.


@exercise("3.4")
def check_3_4(self_attention) -> None:
    """Weights and context vectors of plain self-attention, as PyTorch's kernel gives them."""
    pair = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    for x in (pair, torch.randn(3, 2), torch.randn(5, 5), torch.randn(7, 4)):
        T, C = x.shape
        weights, context = ask_several(
            self_attention, 2, "(weights, context)", x
        )
        wanted, scores = kernel_weights(x, x, causal=False, scale=1.0), x @ x.T
        where = f"For x of shape {(T, C)}, "
        mistakes = [
            (
                wanted.T,
                f"{where}the columns of the weights sum to 1, but the rows should.",
            ),
            (
                scores,
                f"{where}the weights are still the scores: softmax is missing.",
            ),
            (
                scores / scores.sum(-1, keepdim=True),
                f"{where}the scores are divided without exp.",
            ),
            (
                scores.softmax(0),
                f"{where}the softmax runs down the columns, not along the rows.",
            ),
            (
                (scores / C**0.5).softmax(-1),
                f"{where}the scores are divided by √C: not yet here.",
            ),
            (
                wanted @ x,
                f"{where}the first result is the context: weights come first.",
            ),
            (
                scores.flatten().softmax(0).view(T, T),
                f"{where}all weights together sum to 1.",
            ),
        ]
        same(weights, wanted, f"{where}weights", mistakes)
        columns = f"{where}the context mixes with columns of weights: row i belongs to query i."
        same(context, wanted @ x, f"{where}context", [(wanted.T @ x, columns)])


@exercise("3.5")
def check_3_5(softmax) -> None:
    """Softmax along the last dimension, also for scores whose exponential overflows."""
    inf = torch.inf
    for scores in (
        torch.tensor([1.0, 2.0, 3.0]),
        torch.tensor([[1.0, 2.0], [4.0, 3.0]]),
        torch.randn(4, 3),
        torch.randn(2, 3, 5),
        torch.tensor([1000.0, 999.0, 998.0]),
        torch.tensor([[-1000.0, -1001.0], [-3.0, -2.0]]),
        torch.tensor([[0.0, 1.0], [1000.0, 999.0]]),
        torch.tensor([[5.0, -inf], [-2.0, -1.0]]),
    ):
        powers, shown = scores.exp(), f"softmax({describe(scores)})"
        centred = (scores - scores.max()).exp()
        overflow = f"{shown} holds nan: the exponentials overflow, or all of them become 0."
        one_max = f"{shown} takes the largest score of the whole tensor: each row needs its own."
        mistakes = [
            (centred / centred.sum(-1, keepdim=True), one_max),
            (powers / powers.sum(-1, keepdim=True), overflow),
            (
                powers / powers.sum(),
                f"All shares of {shown} together sum to 1, but each row should.",
            ),
            (
                scores.softmax(0),
                f"{shown} runs along the first dimension: take the last one.",
            ),
            (powers, f"The numbers of {shown} are not divided by their sum."),
            (
                centred / centred.sum(),
                f"All shares of {shown} together sum to 1.",
            ),
        ]
        got = ask_by_hand(
            ["softmax", "log_softmax", "softmin"], softmax, scores
        )
        same(got, torch.softmax(scores, dim=-1), shown, mistakes)


@exercise("3.6")
def check_3_6(causal_mask) -> None:
    """True where the key comes after the query, for any number of tokens."""
    for T in (3, 1, 2, 5, 8):
        ones = torch.ones(T, T, dtype=torch.bool)
        wanted = torch.tensor(
            [[key > query for key in range(T)] for query in range(T)]
        )
        mask = f"causal_mask({T})"
        mistakes = [
            (
                ones.triu(0),
                f"{mask} hides a token from itself: the mask begins one place too early.",
            ),
            (
                ones.triu(2),
                f"{mask} lets a token see the next one: it begins one place too late.",
            ),
            (
                ones.tril(0),
                f"{mask} is True where a token may look, but True should mean hidden.",
            ),
            (
                ones.tril(-1),
                f"{mask} hides the past: rows are queries, columns are keys.",
            ),
        ]
        same(ask(causal_mask, T), wanted, mask, mistakes)


@exercise("3.7")
def check_3_7(causal_weights) -> None:
    """Scaled and masked weights, as PyTorch's kernel uses them, with and without a batch."""
    shapes = [(3, 2), (6, 5), (2, 4, 3), (2, 3, 5, 8), (1, 7)]
    pairs = [(torch.randn(shape), torch.randn(shape)) for shape in shapes]
    far = 150 * torch.randn(2, 6, 4)
    pairs.append((far, -far))  # scores far below 0, on the diagonal above all
    for q, k in pairs:
        T, D = q.shape[-2:]
        scores, future = (
            q @ k.transpose(-2, -1),
            torch.ones(T, T, dtype=torch.bool).triu(1),
        )
        all_weights = (scores / D**0.5).softmax(-1)
        erased = all_weights.masked_fill(future, 0)
        where = f"For q and k of shape {tuple(q.shape)}, "

        def hidden(scores: Tensor, mask: Tensor = future) -> Tensor:
            return scores.masked_fill(mask, -torch.inf).softmax(-1)

        early, late = (
            torch.ones_like(future).triu(0),
            torch.ones_like(future).triu(2),
        )
        mistakes = [
            (hidden(scores), f"{where}the scores are not divided by √{D}."),
            (
                hidden(scores / D),
                f"{where}the scores are divided by {D}, not by its square root.",
            ),
            (
                hidden(scores / T**0.5),
                f"{where}the scores are divided by √T: d is the length of k.",
            ),
            (
                all_weights,
                f"{where}the first token has weights on the future: no mask.",
            ),
            (
                erased,
                f"{where}rows do not sum to 1: the mask comes after the softmax.",
            ),
            (
                erased / erased.sum(-1, keepdim=True),
                f"{where}a row is 0 / 0: weights erased after the softmax leave nothing to divide.",
            ),
            (
                (scores / D**0.5).masked_fill(future, 0).softmax(-1),
                f"{where}the masked scores are too high: exp(0) is 1, and exp(-inf) is 0.",
            ),
            (
                hidden(scores / D**0.5, early),
                f"{where}the first token has nothing left to read.",
            ),
            (
                hidden(scores / D**0.5, late),
                f"{where}each token sees the next: off by one.",
            ),
            (
                hidden(scores / D**0.5, early.mT & future.mT),
                f"{where}the past is hidden instead.",
            ),
            (
                (scores / D**0.5).masked_fill(future, -torch.inf).softmax(-2),
                f"{where}the columns sum to 1, but the rows should.",
            ),
            (
                hidden(scores.mT / D**0.5),
                f"{where}rows are keys: row i should belong to query i.",
            ),
        ]
        got = ask_kindly(causal_weights, q, k)
        same(
            got,
            kernel_weights(q, k, causal=True),
            f"{where}the result",
            mistakes,
        )


@exercise("3.8")
def check_3_8(split_heads, join_heads) -> None:
    """Head h holds the h-th slice of every token's numbers, and joining undoes splitting."""
    tiny = torch.arange(12.0).view(1, 3, 4)
    # As q, k, v come out of one projection.
    slices = torch.randn(2, 5, 36).split(12, dim=-1)
    cases = [
        (tiny, 2),
        (torch.randn(2, 3, 6), 3),
        (slices[1], 4),
        (slices[2], 1),
        (slices[0], 12),
    ]
    for x, H in cases:
        B, T, C = x.shape
        D = C // H
        heads = torch.stack(
            [x[..., h * D : (h + 1) * D] for h in range(H)], dim=1
        )
        where = f"For x of shape {(B, T, C)} and {H} heads, "
        shown = f"{where}head 2 of the first sequence " if H > 1 else where
        mistakes = [
            (
                x.reshape(B, H, T, D),
                f"{shown}mixes tokens: view alone cuts the numbers in memory order.",
            ),
            (
                x.reshape(B, T, H, D),
                f"{where}the shape is (B, T, H, D): the heads should come before the tokens.",
            ),
            (
                x.reshape(B, T, D, H).permute(0, 3, 1, 2),
                f"{shown}takes numbers {H} places apart, not {D} that stand together.",
            ),
            (heads.flip(1), f"{where}the heads are in the wrong order."),
        ]
        same(
            ask_kindly(split_heads, x, H),
            heads,
            f"{where}split_heads",
            mistakes,
        )
    for x, H in cases:
        B, T, C = x.shape
        heads = torch.stack(x.split(C // H, dim=-1), dim=1)
        where = f"For heads of shape {tuple(heads.shape)}, "
        mistakes = [
            (
                heads.reshape(B, T, C),
                f"{where}join_heads mixes tokens: move the heads after the tokens first.",
            ),
            (
                heads.permute(0, 2, 3, 1).reshape(B, T, C),
                f"{where}join_heads interleaves the heads: their numbers should stay together.",
            ),
        ]
        same(ask_kindly(join_heads, heads), x, f"{where}join_heads", mistakes)


class GivenLayer(MultiHeadAttention):
    """The chapter's attention, whose forward pass the reader writes."""

    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError(
            "the layer itself is not to be called, only its parts qkv and proj"
        )


def context_of(
    layer: MultiHeadAttention, x: Tensor, n_heads: int, **options: Any
) -> Tensor:
    """The heads' context vectors (B, H, T, D) from a layer's qkv, under the kernel's options."""
    q, k, v = (
        part.unflatten(-1, (n_heads, -1)).transpose(1, 2)
        for part in layer.qkv(x).split(x.shape[-1], dim=-1)
    )
    return scaled_dot_product_attention(q, k, v, **options)


@exercise("3.9")
def check_3_9(multi_head) -> None:
    """The output of MultiHeadAttention from its parts, for several sizes."""
    for B, T, C, H, bias in [
        (1, 3, 4, 2, False),
        (2, 5, 12, 3, True),
        (3, 4, 6, 1, True),
    ]:
        layer, x = (
            GivenLayer(C, H, context_length=8, qkv_bias=bias).eval(),
            torch.randn(B, T, C),
        )
        layer.requires_grad_(False)
        wanted = MultiHeadAttention.forward(layer, x)
        heads = context_of(layer, x, H, is_causal=True)
        joined = heads.transpose(1, 2).flatten(2)
        mixed = [
            part.reshape(B, H, T, C // H)
            for part in layer.qkv(x).split(C, dim=-1)
        ]
        mixed = scaled_dot_product_attention(*mixed, is_causal=True)
        variants = [  # context vectors (B, H, T, D), and the mistake that gives them
            (
                context_of(layer, x, H),
                "the future leaks in: the mask is missing.",
            ),
            (
                context_of(layer, x, H, is_causal=True, scale=1.0),
                "the scores are not scaled.",
            ),
            (
                context_of(
                    layer,
                    x,
                    H,
                    attn_mask=torch.ones(T, T, dtype=torch.bool).tril(1),
                ),
                "each token sees the next one: the mask is off by one.",
            ),
            (
                mixed,
                "the split mixes tokens: (B, T, C) has to become (B, T, H, D) first.",
            ),
        ]
        if H > 1:
            options = {"is_causal": True, "scale": C**-0.5}
            root = "the scores are divided by √C, but a head's keys have only C / H numbers."
            variants.append((context_of(layer, x, H, **options), root))
            whole = context_of(layer, x, 1, is_causal=True)
            variants.append(
                (whole, "there is only one head: the split is missing.")
            )
        where = f"For x of shape {(B, T, C)} and {H} heads, "
        mistakes = [
            (layer.proj(wrong.transpose(1, 2).flatten(2)), where + sentence)
            for wrong, sentence in variants
        ]
        unmoved = f"{where}the heads are joined without moving them after the tokens first."
        mistakes.append((layer.proj(heads.reshape(B, T, C)), unmoved))
        mistakes.append(
            (joined, f"{where}proj is missing: the heads are never combined.")
        )
        got = ask_by_hand(
            ["scaled_dot_product_attention"], multi_head, layer, x
        )
        same(got, wanted, f"{where}the output", mistakes)


def attend_with(
    weights_of: Callable[[Tensor], Tensor],
) -> Callable[[Tensor], Tensor]:
    """An attention on plain vectors, made from a rule that turns scores into weights."""
    return lambda x: weights_of(x @ x.T / x.shape[-1] ** 0.5) @ x


def masked_from(
    first_hidden: int, also_seen: tuple[int, int] | None = None
) -> Callable:
    """Weights that hide keys from `first_hidden` places ahead, but for one pair."""

    def weights(scores: Tensor) -> Tensor:
        future = torch.ones_like(scores, dtype=torch.bool).triu(first_hidden)
        if also_seen and max(also_seen) < len(scores):
            future[also_seen] = False
        return scores.masked_fill(future, -torch.inf).softmax(-1)

    return weights


def erased_and_divided(scores: Tensor) -> Tensor:
    kept = scores.softmax(-1).tril()
    return kept / kept.sum(-1, keepdim=True)


ATTENTIONS = [  # (what it does, the attention, whether it reads ahead), for at least five tokens
    ("no mask", attend_with(lambda scores: scores.softmax(-1)), True),
    ("the right mask", attend_with(masked_from(1)), False),
    (
        "a mask that begins one place too late",
        attend_with(masked_from(2)),
        True,
    ),
    (
        "one hole in its mask, at [0, 1]",
        attend_with(masked_from(1, (0, 1))),
        True,
    ),
    (
        "one hole in its mask, at [1, 3]",
        attend_with(masked_from(1, (1, 3))),
        True,
    ),
    (
        "one hole in its mask, at [0, -1]",
        attend_with(masked_from(1, (0, -1))),
        True,
    ),
    (
        "weights erased after the softmax",
        attend_with(lambda s: s.softmax(-1).tril()),
        True,
    ),
    ("nothing but a copy of its input", lambda x: x.clone(), False),
    ("a sum over the tokens so far", lambda x: x.cumsum(dim=0), False),
    (
        "weights erased and divided again, equal up to rounding",
        attend_with(erased_and_divided),
        False,
    ),
]


@exercise("3.10")
def check_3_10(reads_ahead) -> None:
    """True for every attention of a list that lets the future in, False for the others."""
    for T, C in [(5, 3), (9, 6)]:
        for name, attention, wanted in ATTENTIONS:
            got = ask_kindly(reads_ahead, attention, torch.randn(T, C))
            got = (
                got.item()
                if isinstance(got, Tensor) and got.numel() == 1
                else got
            )
            answer = f"For {T} tokens and an attention with {name}, your function says {got}."
            demand(
                isinstance(got, bool),
                f"True or False is asked for, not {describe(got)}.",
            )
            demand(got == wanted, answer)


def summary(scores: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a kernel keeps of some keys: largest score, sum of exponentials, sum of values."""
    if not len(scores):
        return (
            torch.tensor(-torch.inf),
            torch.tensor(0.0),
            torch.zeros(values.shape[-1]),
        )
    powers = (scores - scores.max()).exp()
    return scores.max(), powers.sum(), powers @ values


@exercise("3.11")
def check_3_11(join) -> None:
    """Two summaries of some keys become the summary of all of them."""
    cases = [(torch.tensor([1.0, 3.0]), 1), (torch.tensor([3.0, 1.0]), 1)]
    cases += [(4 * torch.randn(n), cut) for n, cut in [(3, 1), (6, 4), (9, 2)]]
    cases += [
        (1000 + 30 * torch.randn(6), 3),
        (torch.randn(4), 0),
        (torch.randn(4), 4),
    ]
    for scores, cut in cases:
        values = torch.randn(len(scores), 3)
        first = summary(scores[:cut], values[:cut])
        second = summary(scores[cut:], values[cut:])
        m, z, c = ask_several(join, 3, "(m, z, c)", first, second)
        largest, total, mixed = summary(scores, values)
        where = f"For scores {describe(scores)} cut after {cut}, "
        smaller = torch.minimum(first[0], second[0])
        added = f"{where}the two largest scores are added: the larger one is asked for."
        mistakes = [
            (smaller, f"{where}m is the smaller one."),
            (first[0] + second[0], added),
        ]
        same(m, largest, f"{where}m", mistakes)
        plain = f"is added without shrinking the part whose largest score is below {largest:.4g}."
        wrong = [first[i] + second[i] for i in (1, 2)]
        grow = [(first[0] - m).exp(), (second[0] - m).exp()]
        swapped = [first[i] * grow[1] + second[i] * grow[0] for i in (1, 2)]
        swap = "shrinks the wrong part: it is the one with the smaller maximum that shrinks."
        mistakes = [
            (wrong[0], f"{where}z {plain}"),
            (swapped[0], f"{where}z {swap}"),
        ]
        same(z, total, f"{where}z", mistakes)
        mistakes = [
            (wrong[1], f"{where}c {plain}"),
            (swapped[1], f"{where}c {swap}"),
        ]
        mistakes.append(
            (
                mixed / total,
                f"{where}c is divided by z already: that comes last.",
            )
        )
        same(c, mixed, f"{where}c", mistakes)
