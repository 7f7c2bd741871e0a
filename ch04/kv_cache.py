"""A key-value cache: a GPT reads every token once, and writes the next from what it kept.

    cache = make_cache(model, batch_size=1, n_tokens=108)  # once, for the whole length
    logits, cache = read(model, cache, prompt)  # (1, 8) -> (1, V), as model(prompt)[:, -1]
    logits, cache = read(model, cache, next_id)  # (1, 1) -> (1, V): one step

Rows may differ in length: each grows at its own end, from position 0, and read takes the number of
new tokens of each. So a row in a batch has the logits that it has alone.

Past the end of the context a GPT reads its last context_length tokens. With every step each of them
then stands one position further to the front, and since positions are learned vectors, no kept key
or value is right any longer. The rule is therefore: a row that is longer than the context is read
anew, its last context_length tokens, at every step. That gives the logits of
model(idx[:, -context_length:]), and it costs what it costs without a cache.

What is not faster: reading the prompt (every token has to be read once), steps past the end of the
context, training, and models that are not a GPTModel through and through (a subclass or a wrapper
may do something else, so it is read without a cache). With many rows at once the products of the
prompt's size come back, and the gain shrinks. The price is memory: 2 * n_layers * C numbers for
every token, 74 kB for the smallest GPT-2 in float32.

A model of other parts is read through the cache if its class says so: with kv_shape, the heads and
the size of a token's key in one block, and with features(idx, reading), which reads idx at
reading.positions and lets each block attend by its function of reading.attends.

bonus/serving.ipynb grows the idea for one row, and measures what it saves and costs.

Dimension key: B batch, T new tokens, S kept tokens, L the cache's length, C embedding, H heads,
K heads of keys and values (H in a GPTModel), D head size (C // H), V vocabulary.
Source: Shazeer 2019, section 2.4 (arXiv:1911.02150), where a step keeps the keys and values.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache as remembered
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, scaled_dot_product_attention

from ch03.multihead_attention import MultiHeadAttention
from ch04.gpt import FeedForward, GPTConfig, GPTModel, TransformerBlock

# How queries read keys and values: q (B, H, T, D), k and v (B, K, T, D), and how many tokens a
# query reads (0: all) -> heads (B, H, T, D). A fifth argument may give each head a sink: see weigh.
Attend = Callable[..., Tensor]


@dataclass(frozen=True)
class KVCache:
    """What was read so far: the ids of every row, and in every block their keys and values.

    Only the first lengths[b] places of row b count. A cache that was read from is still good for
    going on in another way, but its memory is that of the caches that came out of it.
    Shapes: ids (B, L); kept (n_layers, B, min(L, context_length), 2, K, D), the key and the value
    of each token side by side, or None for a model that is read without them.
    """

    ids: Tensor
    lengths: tuple[int, ...]
    kept: Tensor | None


@dataclass(frozen=True)
class Reading:
    """How a model reads tokens: where they stand, and how each block attends to them.

    Shapes: positions (T,), or (B, T) if they differ from row to row.
    """

    positions: Tensor
    attends: Sequence[Attend]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Let dropout rest for a while; afterwards, and after an error, the model is as it was."""
    was_training = model.training
    try:
        if was_training:
            model.eval()
        yield
    finally:
        if was_training:
            model.train()


def reads_on(model: nn.Module) -> bool:
    """Whether the model's own class, not one above it, says that it can be read on."""
    return "kv_shape" in vars(type(model))


def can_keep(model: nn.Module) -> bool:
    """Whether the model reads on, or is built of the course's blocks, as read_gpt repeats them."""
    return reads_on(model) or (
        type(model) is GPTModel
        and all(
            (type(block), type(block.attention), type(block.feed_forward))
            == (TransformerBlock, MultiHeadAttention, FeedForward)
            for block in model.blocks
        )
    )


def make_cache(model: nn.Module, batch_size: int, n_tokens: int) -> KVCache:
    """An empty cache for so many rows of at most n_tokens each, prompt included.

    Raises: ValueError if batch_size or n_tokens is below 1.
    """
    for name, value in {"batch_size": batch_size, "n_tokens": n_tokens}.items():
        if value < 1:
            raise ValueError(f"{name}={value} must be at least 1")
    device = next((p.device for p in model.parameters()), None)
    ids = torch.zeros(batch_size, n_tokens, dtype=torch.long, device=device)
    kept = None
    if can_keep(model):
        config = model.config
        kv_shape = (
            model.kv_shape
            if reads_on(model)
            else (config.n_heads, config.emb_dim // config.n_heads)
        )
        n_kept = min(n_tokens, config.context_length)
        shape = (config.n_layers, batch_size, n_kept, 2, *kv_shape)
        # Zeros: what a mask hides is still multiplied, by 0, and 0 times NaN would be NaN.
        kept = torch.zeros(
            shape, dtype=model.tok_emb.weight.dtype, device=device
        )
    return KVCache(ids, (0,) * batch_size, kept)


def take_rows(cache: KVCache, rows: Sequence[int]) -> KVCache:
    """A cache of its own with only these rows, for instance those that have not ended yet."""
    index = torch.tensor(rows, dtype=torch.long, device=cache.ids.device)
    kept = None if cache.kept is None else cache.kept[:, index]
    return KVCache(
        cache.ids[index], tuple(cache.lengths[row] for row in rows), kept
    )


@torch.no_grad()
def read(
    model: nn.Module,
    cache: KVCache,
    idx: Tensor,
    n_new: Sequence[int] | None = None,
) -> tuple[Tensor, KVCache]:
    """Read the next tokens of every row; return the scores after them, and the cache with them.

    Of row b only the first n_new[b] tokens are read (all, unless it is given). A row that reads
    none gets zeros for scores.
    Shapes: idx (B, T) -> logits (B, V), those of each row's last new token.
    Raises: ValueError if the model is in training mode, idx or n_new does not fit the cache, or
    an id is outside the vocabulary.
    """
    n_new = (
        (idx.shape[1],) * len(idx) if n_new is None else tuple(map(int, n_new))
    )
    check_piece(model, cache, idx, n_new)
    store(
        cache.ids, idx, places(cache.lengths, n_new, idx.shape[1], idx.device)
    )
    after = replace(cache, lengths=tuple(map(sum, zip(cache.lengths, n_new))))
    fits = [
        cache.kept is not None and n <= model.config.context_length
        for n in after.lengths
    ]
    n_on = [n if fit else 0 for n, fit in zip(n_new, fits)]
    anew = [row for row, fit in enumerate(fits) if n_new[row] and not fit]
    logits = read_on(model, cache, idx, n_on) if any(n_on) else None
    if anew:
        scores = read_anew(model, after, anew)
        logits = (
            scores.new_zeros(len(idx), scores.shape[-1])
            if logits is None
            else logits
        )
        logits[anew] = scores
    if not all(n_new):
        logits[[row for row, n in enumerate(n_new) if n == 0]] = 0.0
    return logits, after


def check_piece(
    model: nn.Module, cache: KVCache, idx: Tensor, n_new: Sequence[int]
) -> None:
    """Raise the ValueError that read promises."""
    if model.training:
        raise ValueError(
            "the model is in training mode, where dropout blurs: call model.eval()"
        )
    B, T = idx.shape
    if not B == len(n_new) == len(cache.lengths):
        raise ValueError(
            f"the cache has {len(cache.lengths)} rows, idx {B} and n_new {len(n_new)}"
        )
    if min(n_new) < 0 or max(n_new) > T or not any(n_new):
        raise ValueError(
            f"n_new={list(n_new)} must be from 0 to the {T} tokens of idx, not all 0"
        )
    for row, (old, new) in enumerate(zip(cache.lengths, n_new)):
        if old + new > cache.ids.shape[1]:
            raise ValueError(
                f"row {row} would have {old + new} tokens, and the cache was made for "
                f"n_tokens={cache.ids.shape[1]}"
            )
    check_ids(idx, model.config)


def check_ids(idx: Tensor, config: GPTConfig) -> None:
    """Raise a ValueError if an id is outside the vocabulary."""
    # On a GPU this look would stop the queue.
    if idx.device.type == "cpu" and idx.numel():
        low, high = int(idx.min()), int(idx.max())
        if low < 0 or high >= config.vocab_size:
            raise ValueError(
                f"id {low if low < 0 else high} is outside vocab_size={config.vocab_size}"
            )


def places(
    lengths: Sequence[int], n_new: Sequence[int], T: int, device: torch.device
) -> slice | tuple[Tensor, Tensor, Tensor]:
    """Where new tokens go: a slice if it is the same for all rows; else their rows, and for each
    its column in idx and its slot in the cache.
    """
    if len(set(lengths)) == 1 and set(n_new) == {T}:
        return slice(lengths[0], lengths[0] + T)
    rows, columns = (torch.arange(T) < torch.tensor(n_new)[:, None]).nonzero(
        as_tuple=True
    )
    slots = torch.tensor(lengths)[rows] + columns
    return rows.to(device), columns.to(device), slots.to(device)


def store(
    kept: Tensor, new: Tensor, where: slice | tuple[Tensor, Tensor, Tensor]
) -> None:
    """Write new (B, T, ...) into kept (B, L, ...)."""
    if isinstance(where, slice):
        kept[:, where] = new
    else:
        rows, columns, slots = where
        kept[rows, slots] = new[rows, columns].to(kept.dtype)


def causal_mask(positions: Tensor, n_kept: int, window: int = 0) -> Tensor:
    """Which kept tokens each new one reads: itself and those before it, or the last of them.

    Shapes: positions (T,) or (B, T) -> (1, T, S) or (B, 1, T, S).
    """
    columns = torch.arange(n_kept, device=positions.device)
    mask = columns <= positions[..., None]
    if window:
        mask &= columns > positions[..., None] - window
    return mask.unsqueeze(-3)  # for all heads


def weigh(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    sinks: Tensor | None = None,
) -> Tensor:
    """The mean of the values, weighted by how queries fit keys; without a mask, causally.

    A head's sink is the score of one more key, which every query reads and whose value is nothing:
    a head that finds nothing to read can leave its weight there.
    Shapes: q (B, H, T, D), k and v (B, K, S, D), mask (1, T, S) or (B, 1, T, S), sinks (H,)
    -> (B, H, T, D).
    """
    T, S = q.shape[2], k.shape[2]
    if sinks is not None:
        if mask is None:
            mask = causal_mask(torch.arange(S - T, S, device=q.device), S)
        rows = mask.shape[:-3]  # of a batch, if they differ
        scores = q.new_zeros(mask.shape).masked_fill(~mask, -torch.inf)
        scores = scores.expand(*rows, len(sinks), -1, -1)
        column = sinks.to(q.dtype)[:, None, None].expand(*rows, -1, T, 1)
        mask = torch.cat([scores, column], dim=-1)  # (…, H, T, S + 1)
        k, v = pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1))
    return scaled_dot_product_attention(
        q,
        k,
        v,
        attn_mask=mask,
        is_causal=mask is None and T > 1,
        enable_gqa=True,
    )


def attend_causally(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: int,
    sinks: Tensor | None = None,
) -> Tensor:
    """Attend without a cache: the new tokens are all there is.

    Shapes: q (B, H, T, D), k and v (B, K, T, D), sinks (H,) -> (B, H, T, D).
    """
    T, mask = q.shape[2], None
    if 0 < window < T:
        mask = causal_mask(torch.arange(T, device=q.device), T, window)
    return weigh(q, k, v, mask, sinks)


def read_from_the_start(idx: Tensor, config: GPTConfig) -> Reading:
    """How idx (B, T) is read where nothing was kept.

    Raises: ValueError if it is longer than the context, or holds an id outside the vocabulary.
    """
    T = idx.shape[1]
    if T > config.context_length:
        limit = f"context_length={config.context_length}"
        raise ValueError(f"{T} tokens do not fit into {limit}")
    check_ids(idx, config)
    positions = torch.arange(T, device=idx.device)
    return Reading(positions, [attend_causally] * config.n_layers)


def read_on(
    model: GPTModel, cache: KVCache, idx: Tensor, n_new: Sequence[int]
) -> Tensor:
    """Send only the new tokens through the model, and keep their keys and values.

    Shapes: idx (B, T) -> logits (B, V).
    """
    T, device = idx.shape[1], idx.device
    where = places(cache.lengths, n_new, T, device)
    n_kept = max(old + new for old, new in zip(cache.lengths, n_new))
    same = isinstance(where, slice)
    if same:
        positions = torch.arange(where.start, where.stop, device=device)
        ends = T - 1
    else:
        # A row beyond the context may be here, idle.
        n_kept = min(n_kept, cache.kept.shape[2])
        positions = torch.arange(T) + torch.tensor(cache.lengths)[:, None]
        positions = positions.to(device)  # (B, T)
        ends = torch.tensor([max(n - 1, 0) for n in n_new], device=device)

    @remembered  # one for all blocks with this window
    def mask_of(window: int) -> Tensor | None:
        if same and (T == 1 or where.start == 0) and not 0 < window < n_kept:
            return None  # one token that reads all, or the plain triangle
        return causal_mask(positions, n_kept, window)

    attends = [
        partial(
            attend_to_kept,
            kept=kept,
            where=where,
            n_kept=n_kept,
            mask_of=mask_of,
        )
        for kept in cache.kept
    ]
    # Padding may stand beyond the context, where a GPT's position has no vector.
    reading = Reading(
        positions.clamp(max=model.config.context_length - 1), attends
    )
    features = model.features if reads_on(model) else partial(read_gpt, model)
    with torch.inference_mode():
        x = features(idx, reading)[torch.arange(len(idx), device=device), ends]
    return model.out_head(x)  # out here it becomes an ordinary tensor


def attend_to_kept(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    window: int,
    sinks: Tensor | None = None,
    *,
    kept: Tensor,
    where: slice | tuple[Tensor, Tensor, Tensor],
    n_kept: int,
    mask_of: Callable[[int], Tensor | None],
) -> Tensor:
    """Keep the new keys and values, and attend to all that are kept.

    Shapes: q (B, H, T, D), k and v (B, K, T, D), kept (B, L, 2, K, D), sinks (H,)
    -> (B, H, T, D).
    """
    store(kept, torch.stack([k, v]).permute(1, 3, 0, 2, 4), where)
    keys, values = kept[:, :n_kept].permute(2, 0, 3, 1, 4)  # (B, K, S, D) each
    return weigh(q, keys, values, mask_of(window), sinks)


def read_gpt(model: GPTModel, idx: Tensor, reading: Reading) -> Tensor:
    """What GPTModel's features do, with attention as the reading says: (B, T) -> (B, T, C)."""
    x = model.tok_emb(idx) + model.pos_emb(reading.positions)
    for block, attend in zip(model.blocks, reading.attends):
        B, T, C = x.shape
        qkv = block.attention.qkv(block.norm1(x))
        q, k, v = qkv.view(B, T, 3, block.attention.n_heads, -1).permute(
            2, 0, 3, 1, 4
        )  # (B, H, T, D) each
        heads = attend(q, k, v, 0).transpose(1, 2).reshape(B, T, C)
        x = x + block.attention.proj(heads)
        x = x + block.feed_forward(block.norm2(x))
    return model.final_norm(x)


def read_anew(model: nn.Module, cache: KVCache, rows: Sequence[int]) -> Tensor:
    """The scores after the last token of these rows, from their last context_length tokens.

    Shapes: -> (len(rows), V).
    """
    device = cache.ids.device
    n_read = [
        min(cache.lengths[row], model.config.context_length) for row in rows
    ]
    starts = torch.tensor(
        [cache.lengths[row] - n for row, n in zip(rows, n_read)], device=device
    )
    steps = torch.arange(max(n_read), device=device)
    columns = starts[:, None] + steps  # (rows, T)
    # Padding, which stands after a row, may reach past the end.
    columns = columns.clamp(max=cache.ids.shape[1] - 1)
    rows = torch.tensor(rows, device=device)
    idx = cache.ids[rows[:, None], columns]
    ends = torch.tensor(n_read, device=device) - 1
    rows = torch.arange(len(rows), device=device)
    if type(model) is GPTModel or reads_on(model):
        # No scores of the other positions.
        return model.out_head(model.features(idx)[rows, ends])
    return model(idx)[rows, ends]
