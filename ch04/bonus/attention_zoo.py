"""Five ways to keep less of what was read, on the trained course model.

    python -m ch04.bonus.attention_zoo  # makes ch04/recorded/attention_zoo.json

A row of the table is the course's model with one of them, or with several.
Each row is converted, measured, trained on for a while with each seed, and
measured again. The rows of a seed read the same tokens in the same batches.
Given again, the command goes on.

Dimension key: B batch, T new tokens, S kept tokens, N kept numbers of a token,
C embedding, H query heads, K key-value heads, D head size, V vocabulary.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from tqdm.auto import tqdm

from ch02.dataloader import create_dataloader
from ch04.gpt import GPTConfig, GPTModel, choose_device
from ch04.kv_cache import causal_mask, read_from_the_start
from ch05.bonus.gpt_to_llama import paired_difference
from ch05.course_model.corpus import BYTES_PER_TOKEN, generate_documents
from ch05.course_model.measure import perplexity
from ch05.course_model.pretrain import encode_documents, warmup_cosine
from ch05.gpt_weights import load_pretrained
from course.commands import check_least, check_rate, one_sentence
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

INDEX_HEADS, INDEX_DIM = 4, 16  # of an indexer in one layer


@dataclass(frozen=True)
class Variant:
    """What a GPT keeps of the tokens that it has read; as it stands, all."""

    n_kv_heads: int = 0  # 0: as many as query heads
    rank: int = 0  # numbers of a latent that replaces keys and values; 0: none
    windows: tuple[int, ...] = ()  # of each layer, 0: it reads all; (): all do
    sources: tuple[int, ...] = ()  # whose keys and values each layer reads
    top_k: int = 0  # tokens that a query reads, as an indexer chose; 0: all
    bits: int = 32  # of a kept number

    def window(self, layer: int) -> int:
        """How many tokens a query of this layer reads; 0: all."""
        return self.windows[layer] if self.windows else 0

    def source(self, layer: int) -> int:
        """The layer whose keys and values this one reads, often its own."""
        return self.sources[layer] if self.sources else layer


def check_variant(variant: Variant, config: GPTConfig) -> None:
    """Raise a ValueError if no model of these sizes can be like this."""
    n, H, K = config.n_layers, config.n_heads, variant.n_kv_heads
    for name in ("windows", "sources"):
        value = getattr(variant, name)
        if len(value) not in (0, n) or any(v < 0 for v in value):
            what = f"hold a number from 0 for each of {n} layers"
            raise ValueError(f"{name}={value} must {what}, or nothing")
    for name in ("n_kv_heads", "rank", "top_k"):
        if getattr(variant, name) < 0:
            raise ValueError(f"{name}={getattr(variant, name)} is below 0")
    if K and H % K:
        raise ValueError(f"n_heads={H} is not a multiple of n_kv_heads={K}")
    if not 2 <= variant.bits <= 32:
        raise ValueError(f"bits={variant.bits} must be from 2 to 32")
    for layer in range(n):
        source = variant.source(layer)
        if source > layer or variant.source(source) != source:
            raise ValueError(f"layer {layer} cannot read from layer {source}")
        if variant.window(source) != variant.window(layer):
            raise ValueError(
                f"layers {source} and {layer} share: they need one window"
            )
    others = (variant.n_kv_heads, variant.sources, variant.top_k)
    if variant.rank and (any(others) or variant.bits < 32):
        raise ValueError("a latent goes only with windows here")


def bytes_per_token(
    variant: Variant, config: GPTConfig, n_tokens: int
) -> dict[str, float]:
    """Of a text this long, the bytes for each token: kept, and read by a step.

    A step reads from each layer; layers that share keep once and read twice.
    """
    D = config.emb_dim // config.n_heads
    N = variant.rank or 2 * D * (variant.n_kv_heads or config.n_heads)
    entry = N * variant.bits / 8
    if variant.bits < 32:
        entry += 4 * N / D  # a scale for each D numbers
    index = 4 * INDEX_DIM if variant.top_k else 0
    kept = read = 0
    for layer in range(config.n_layers):
        n = min(variant.window(layer) or n_tokens, n_tokens)
        if variant.source(layer) == layer:
            kept += n * (entry + index)
        chosen = min(variant.top_k or n, n)
        read += n * index + chosen * entry
    return {"kept": kept / n_tokens, "read": read / n_tokens}


def rounded(x: Tensor, bits: int, size: int) -> Tensor:
    """Round each run of so many numbers to whole steps, 2^(bits - 1) - 1 of
    which make the largest; the gradient is as if nothing had happened.

    Shapes: x (..., N) -> (..., N).
    """
    groups = x.unflatten(-1, (-1, size))
    largest = groups.abs().amax(-1, keepdim=True).clamp(min=1e-9)
    step = largest / (2 ** (bits - 1) - 1)
    near = ((groups / step).round() * step).flatten(-2)
    return x + (near - x).detach()


class Indexer(nn.Module):
    """Score cheaply which kept tokens are worth reading.

    Shapes: keep: x (B, T, C) -> (B, T, I); forward: x (B, T, C), index keys
    (B, S, I) -> scores (B, T, S).
    Source: DeepSeek-AI 2025, DeepSeek-V3.2 (arXiv:2512.02556), section 2.1.
    """

    def __init__(self, emb_dim: int):
        super().__init__()
        self.query = nn.Linear(emb_dim, INDEX_HEADS * INDEX_DIM, bias=False)
        self.keep = nn.Linear(emb_dim, INDEX_DIM, bias=False)
        self.weights = nn.Linear(emb_dim, INDEX_HEADS, bias=False)

    def forward(self, x: Tensor, keys: Tensor) -> Tensor:
        q = self.query(x).unflatten(-1, (INDEX_HEADS, INDEX_DIM))
        return index_scores(q, keys, self.weights(x))


def index_scores(q: Tensor, k: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of several small heads' scores, none of them below 0.

    Shapes: q (B, T, J, I), k (B, S, I), weights (B, T, J) -> (B, T, S).
    """
    scores = torch.einsum("btji,bsi->btjs", q, k) / q.shape[-1] ** 0.5
    return torch.einsum("btjs,btj->bts", scores.relu(), weights)


def best_of(scores: Tensor, mask: Tensor, k: int) -> Tensor:
    """Which k tokens score highest, of those that a query may read.

    Of equals it takes the first; with a ReLU in the scores there are many.

    Shapes: scores (B, T, S), mask (1, T, S) -> (B, T, S), of truth values.
    """
    seen = scores.masked_fill(~mask, -torch.inf)
    order = seen.sort(dim=-1, descending=True, stable=True).indices
    best = torch.zeros_like(seen, dtype=torch.bool)
    return best.scatter(-1, order[..., :k], True) & mask


class ZooAttention(nn.Module):
    """Attention in two halves: what a token leaves behind, and how it is read.

    Shapes: keep: x (B, T, C) -> (B, T, N); forward: x (B, T, C), kept
    (B, S, N), mask (1, T, S) or None: all before -> (B, T, C).
    """

    def __init__(self, config: GPTConfig, variant: Variant, layer: int):
        super().__init__()
        C, H = config.emb_dim, config.n_heads
        self.n_heads, self.n_kv_heads = H, variant.n_kv_heads or H
        self.bits, self.head_dim = variant.bits, C // H
        self.top_k = variant.top_k
        n_kv = 2 * self.n_kv_heads * self.head_dim
        self.query, self.proj = nn.Linear(C, C), nn.Linear(C, C)
        self.up = nn.Linear(variant.rank, n_kv) if variant.rank else None
        if variant.source(layer) == layer:
            rank = variant.rank
            self.kv = nn.Linear(C, rank or n_kv, bias=not rank)
        self.indexer = Indexer(C) if variant.top_k else None

    def keep(self, x: Tensor) -> Tensor:
        kept = self.kv(x)
        if self.bits < 32:
            kept = rounded(kept, self.bits, self.head_dim)
        if self.indexer:
            kept = torch.cat([kept, self.indexer.keep(x)], dim=-1)
        return kept

    def heads(self, x: Tensor, kept: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, H, T, D), keys and values (B, K, S, D)."""
        if self.indexer:
            kept = kept[..., :-INDEX_DIM]
        kv = kept if self.up is None else self.up(kept)
        return tuple(
            part.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
            for part in (self.query(x), *kv.chunk(2, dim=-1))
        )

    def forward(self, x: Tensor, kept: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = self.heads(x, kept)
        if self.indexer and self.top_k < kept.shape[1]:
            scores = self.indexer(x, kept[..., -INDEX_DIM:])
            if mask is None:  # a step
                mask = torch.ones_like(scores[:1], dtype=torch.bool)
            mask = best_of(scores, mask, self.top_k)[:, None]
        heads = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            is_causal=mask is None and x.shape[1] > 1,
            enable_gqa=True,
        )
        return self.proj(heads.transpose(1, 2).flatten(2))


# A layer's number and the vectors (B, T, C) before its attention -> what it
# reads, (B, S, N), and the mask.
Look = Callable[[int, Tensor], tuple[Tensor, Tensor | None]]


class ZooModel(GPTModel):
    """A GPTModel that keeps what its variant says; else it is the same."""

    def __init__(self, config: GPTConfig, variant: Variant):
        check_variant(variant, config)
        super().__init__(config)
        self.variant = variant
        for layer, block in enumerate(self.blocks):
            block.attention = ZooAttention(config, variant, layer)

    def mask(self, layer: int, positions: Tensor) -> Tensor | None:
        """Which of these tokens each of them reads; None: all before it."""
        window, n = self.variant.window(layer), len(positions)
        if not 0 < window < n and not self.variant.top_k:
            return None
        return causal_mask(positions, n, window)

    def features(
        self, idx: Tensor, look: Look | None = None, start: int = 0
    ) -> Tensor:
        """Everything but the output layer: idx (B, T) -> (B, T, C)."""
        kept = []  # what each layer reads

        def look_at_all(layer: int, h: Tensor) -> tuple[Tensor, Tensor | None]:
            source = self.variant.source(layer)
            own = source == layer
            keep = self.blocks[layer].attention.keep
            kept.append(keep(h) if own else kept[source])
            return kept[-1], self.mask(layer, positions)

        look = look or look_at_all
        positions = read_from_the_start(idx, self.config).positions + start
        x = self.tok_emb(idx) + self.pos_emb(positions)
        for layer, block in enumerate(self.blocks):
            h = block.norm1(x)
            x = x + block.attention(h, *look(layer, h))  # (B, T, C)
            x = x + block.feed_forward(block.norm2(x))
        return self.final_norm(x)


class ZooCache:
    """A ring for each layer that keeps: the newest token overwrites the oldest.

    Shapes: rings (B, min(window, n_tokens), N) each.
    """

    def __init__(self, model: ZooModel, batch_size: int, n_tokens: int):
        self.n_read, self.n_tokens, self.rings = 0, n_tokens, {}
        variant, weight = model.variant, model.tok_emb.weight
        for layer, block in enumerate(model.blocks):
            if variant.source(layer) == layer:
                size = min(variant.window(layer) or n_tokens, n_tokens)
                N = block.attention.keep(weight[:1]).shape[-1]
                self.rings[layer] = weight.new_zeros(batch_size, size, N)

    @property
    def nbytes(self) -> int:
        return sum(ring.nbytes for ring in self.rings.values())


@torch.no_grad()
def read_tokens(model: ZooModel, cache: ZooCache, idx: Tensor) -> Tensor:
    """Read a prompt into an empty cache, or one more token of each row.

    Shapes: idx (B, T) -> logits (B, V), those of the last token.
    Raises: ValueError if a prompt comes second, or the cache is too short.
    """
    start, T = cache.n_read, idx.shape[1]
    if start and T > 1:
        raise ValueError(f"{T} tokens at once go only into an empty cache")
    if start + T > min(cache.n_tokens, model.config.context_length):
        raise ValueError(f"{start + T} tokens do not fit into the cache")
    positions = torch.arange(start, start + T, device=idx.device)
    fresh = []  # what each layer reads of a prompt: a ring may hold less

    def look(layer: int, h: Tensor) -> tuple[Tensor, Tensor | None]:
        source = model.variant.source(layer)
        ring = cache.rings[source]
        size = ring.shape[1]
        if source == layer:
            new = model.blocks[layer].attention.keep(h)
            ring[:, positions[-size:] % size] = new[:, -size:]
        fresh.append(new if source == layer else fresh[source])
        if T > 1:
            return fresh[-1], model.mask(layer, positions)
        return ring[:, : start + 1], None  # all of it: what is left is seen

    x = model.features(idx, look, start)[:, -1]
    cache.n_read += T
    return model.out_head(x)


class LatentAttention(nn.Module):
    """DeepSeek's: a latent for all heads, and one turned key for the position.

    Shapes: keep: x (B, T, C), positions (T,) -> (B, T, rank + rope_dim);
    forward and absorbed: x (B, T, C), kept (B, S, N), mask (T, S) -> (B, T, C).
    Source: DeepSeek-AI 2024, DeepSeek-V2 (arXiv:2405.04434), section 2.1.
    """

    def __init__(
        self,
        emb_dim: int,
        n_heads: int,
        rank: int,
        q_rank: int,
        head_dim: int,
        rope_dim: int,
        value_dim: int,
        rope_base: float = 10_000.0,
    ):
        super().__init__()
        self.n_heads, self.rank, self.rope_base = n_heads, rank, rope_base
        self.key_dims, self.value_dim = (head_dim, rope_dim), value_dim
        H, key_dim = n_heads, head_dim + rope_dim
        self.q_down = nn.Linear(emb_dim, q_rank, bias=False)
        self.q_norm = nn.RMSNorm(q_rank, eps=1e-6)
        self.q_up = nn.Linear(q_rank, H * key_dim, bias=False)
        self.kv_down = nn.Linear(emb_dim, rank + rope_dim, bias=False)
        self.kv_norm = nn.RMSNorm(rank, eps=1e-6)
        self.kv_up = nn.Linear(rank, H * (head_dim + value_dim), bias=False)
        self.proj = nn.Linear(H * value_dim, emb_dim, bias=False)

    def turned(self, x: Tensor, positions: Tensor) -> Tensor:
        """Turn pairs of neighbours by an angle that grows with the position.

        Shapes: x (..., T, rope_dim), positions (T,) -> (..., T, rope_dim).
        """
        n = x.shape[-1]
        pairs = torch.arange(0, n, 2, device=x.device)
        angles = positions[:, None] / self.rope_base ** (pairs / n)
        turns = torch.polar(torch.ones_like(angles), angles)
        points = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(points * turns).flatten(-2)

    def keep(self, x: Tensor, positions: Tensor) -> Tensor:
        latent, key = self.kv_down(x).split(
            [self.rank, self.key_dims[1]], dim=-1
        )
        key = self.turned(key, positions)  # turned alike for all heads
        return torch.cat([self.kv_norm(latent), key], dim=-1)

    def queries(self, x: Tensor, positions: Tensor) -> list[Tensor]:
        """Without and with a position: (B, H, T, head_dim), (…, rope_dim)."""
        q = self.q_up(self.q_norm(self.q_down(x)))
        q = q.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)
        plain, turning = q.split(self.key_dims, dim=-1)
        return plain, self.turned(turning, positions)

    def forward(
        self, x: Tensor, kept: Tensor, positions: Tensor, mask: Tensor
    ) -> Tensor:
        latent, key = kept.split([self.rank, self.key_dims[1]], dim=-1)
        kv = self.kv_up(latent).unflatten(-1, (self.n_heads, -1))
        k, v = kv.transpose(1, 2).split([self.key_dims[0], self.value_dim], -1)
        key = key[:, None].expand(-1, self.n_heads, -1, -1)
        q = torch.cat(self.queries(x, positions), dim=-1)
        heads = F.scaled_dot_product_attention(
            q, torch.cat([k, key], dim=-1), v, attn_mask=mask
        )
        return self.proj(heads.transpose(1, 2).flatten(2))

    def absorbed(
        self, x: Tensor, kept: Tensor, positions: Tensor, mask: Tensor
    ) -> Tensor:
        """The same without a key or value of any old token being made."""
        up = self.kv_up.weight.unflatten(0, (self.n_heads, -1))
        key_up, value_up = up.split([self.key_dims[0], self.value_dim], dim=1)
        plain, turning = self.queries(x, positions)
        q = torch.cat([plain @ key_up, turning], dim=-1)  # (B, H, T, N)
        heads = F.scaled_dot_product_attention(
            q,
            kept[:, None],
            kept[:, None, :, : self.rank],
            attn_mask=mask,
            scale=sum(self.key_dims) ** -0.5,
            enable_gqa=True,
        )  # (B, H, T, rank)
        heads = heads @ value_up.mT
        return self.proj(heads.transpose(1, 2).flatten(2))


def pooled(x: Tensor, n_heads: int, n_kv_heads: int) -> Tensor:
    """The mean of each group of heads: x (H * D, ...) -> (K * D, ...)."""
    groups = x.unflatten(0, (n_kv_heads, n_heads // n_kv_heads, -1))
    return groups.mean(dim=1).flatten(0, 1)


def low_rank(
    weight: Tensor, rank: int, moments: Tensor
) -> tuple[Tensor, Tensor]:
    """The best two matrices in place of one, for inputs with such moments.

    Shapes: weight (out, C), moments (C, C), the mean of x xᵀ -> down (rank, C)
    and up (out, rank), with up @ down near to weight.
    """
    weight, moments = weight.double(), moments.double()
    # The directions in which the outputs vary most, the last the strongest.
    directions = torch.linalg.eigh(weight @ moments @ weight.mT).eigenvectors
    up = directions[:, -rank:]
    return (up.mT @ weight).float(), up.float()


@torch.no_grad()
def convert(
    model: GPTModel, variant: Variant, moments: Sequence[Tensor] = ()
) -> ZooModel:
    """Make the trained model keep what the variant says, as well as it goes.

    Heads are pooled by their mean, a latent is fitted to inputs with these
    moments (to all directions alike, unless they are given), and a layer that
    shares forgets its own keys and values. The model itself is not changed.
    """
    config = model.config
    C, H = config.emb_dim, config.n_heads
    zoo = ZooModel(config, variant).to(model.tok_emb.weight.device).eval()
    old = model.state_dict()
    zoo.load_state_dict(
        {k: v for k, v in old.items() if ".attention.qkv." not in k},
        strict=False,
    )
    moments = moments or [torch.eye(C).to(zoo.tok_emb.weight)] * len(zoo.blocks)
    for layer, block in enumerate(zoo.blocks):
        attention, qkv = block.attention, model.blocks[layer].attention.qkv
        bias = (
            torch.zeros_like(qkv.weight[:, 0]) if qkv.bias is None else qkv.bias
        )
        weights, biases = qkv.weight.split(C), bias.split(C)
        attention.query.weight.copy_(weights[0])
        attention.query.bias.copy_(biases[0])
        if variant.source(layer) != layer:
            continue
        K = attention.n_kv_heads
        weight, bias = (
            torch.cat([pooled(x, H, K) for x in parts[1:]])
            for parts in (weights, biases)
        )
        if variant.rank:
            down, up = low_rank(weight, variant.rank, moments[layer])
            attention.kv.weight.copy_(down)
            attention.up.weight.copy_(up)
            attention.up.bias.copy_(bias)
        else:
            attention.kv.weight.copy_(weight)
            attention.kv.bias.copy_(bias)
    return zoo


@torch.no_grad()
def input_moments(model: GPTModel, idx: Tensor) -> list[Tensor]:
    """The mean of x xᵀ over the inputs x of each attention: (C, C) each."""
    zoo, moments = convert(model, Variant()), []

    def look(layer: int, h: Tensor) -> tuple[Tensor, None]:
        x = h.flatten(0, 1)
        moments.append(x.mT @ x / len(x))
        return zoo.blocks[layer].attention.keep(h), None

    zoo.features(idx, look)
    return moments


def mean_attention(attention: ZooAttention, h: Tensor, mask: Tensor) -> Tensor:
    """Where a layer's heads look on average: h (B, T, C) -> (B, T, T)."""
    q, k, _ = attention.heads(h, attention.keep(h))
    k = k.repeat_interleave(q.shape[1] // k.shape[1], dim=1)
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return scores.masked_fill(~mask, -torch.inf).softmax(dim=-1).mean(dim=1)


def index_loss(model: ZooModel, idx: Tensor) -> Tensor:
    """How far the indexers' choices are from where the heads look, in nats.

    Each query's attention, the mean over the heads, is what its scores should
    tell; the heads themselves learn nothing from it.
    """
    losses, T = [], idx.shape[1]
    mask = causal_mask(torch.arange(T, device=idx.device), T)

    def look(layer: int, h: Tensor) -> tuple[Tensor, Tensor]:
        attention = model.blocks[layer].attention
        kept, target = attention.keep(h), mean_attention(attention, h, mask)
        with torch.enable_grad():
            scores = attention.indexer(h, attention.indexer.keep(h))
            guess = scores.masked_fill(~mask, -1e9).log_softmax(dim=-1)
            losses.append(F.kl_div(guess, target, reduction="sum"))
        return kept, mask

    with torch.no_grad():
        model.features(idx, look)
    return sum(losses) / (len(losses) * idx.numel())


def train_on(
    model: ZooModel,
    ids: Tensor,
    seed: int,
    batch_size: int,
    lr: float,
    loss_of: Callable[[ZooModel, Tensor, Tensor], Tensor],
    parameters: Iterable[nn.Parameter],
) -> list[float]:
    """Read ids once and change these parameters; give the loss of each step.

    The seed draws the order of the batches. loss_of takes the model, its
    inputs and its targets.
    """
    loader = create_dataloader(
        ids.cpu(), model.config.context_length, batch_size, seed=seed
    )
    parameters, n_steps = list(parameters), len(loader)
    optimizer = torch.optim.AdamW(
        parameters, lr=lr, betas=(0.9, 0.95), weight_decay=0.1
    )
    share = warmup_cosine(n_steps, n_warmup=max(1, n_steps // 10))
    scheduler = LambdaLR(optimizer, share)
    losses = []
    for inputs, targets in tqdm(loader, desc=f"seed {seed}", leave=False):
        loss = loss_of(model, inputs.to(ids.device), targets.to(ids.device))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
    return losses


def next_token_loss(model: GPTModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each next token, in nats."""
    return F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())


def train_indexers(
    model: ZooModel, ids: Tensor, seed: int, batch_size: int, lr: float = 3e-3
) -> list[float]:
    """Let the indexers learn where the model looks while it reads all."""
    attentions = [block.attention for block in model.blocks]
    top_k = [attention.top_k for attention in attentions]
    for attention in attentions:
        attention.top_k = model.config.context_length
    losses = train_on(
        model,
        ids,
        seed,
        batch_size,
        lr,
        lambda model, inputs, _: index_loss(model, inputs),
        [p for a in attentions for p in a.indexer.parameters()],
    )
    for attention, k in zip(attentions, top_k):
        attention.top_k = k
    return losses


ROWS = {  # for a model of four layers
    "unchanged": Variant(),
    "4 bits": Variant(bits=4),
    "2 key-value heads": Variant(n_kv_heads=2),
    "1 key-value head": Variant(n_kv_heads=1),
    "latent of 128": Variant(rank=128),
    "latent of 64": Variant(rank=64),
    "latent of 32": Variant(rank=32),
    "window of 32": Variant(windows=(32, 32, 32, 32)),
    "window of 32, the last whole": Variant(windows=(32, 32, 32, 0)),
    "layers share in pairs": Variant(sources=(0, 0, 2, 2)),
    "all layers share": Variant(sources=(0, 0, 0, 0)),
    "best 32": Variant(top_k=32),
    "window of 32, 4 bits": Variant(windows=(32, 32, 32, 32), bits=4),
}
CONTROL = "unchanged"
RECORD = files("ch04") / "recorded" / "attention_zoo.json"
HELD_OUT_SEED, HELD_OUT_BYTES = 1000, 100_000  # of documents for the bits
TEXT_SEED = 500  # of what is trained on: text that the model has not read


def tabulate(rows: Sequence[dict], config: GPTConfig) -> pd.DataFrame:
    """The rows of a record, one for each variant, with means over seeds.

    Units: bytes for each token of a full context, kept and read by a step;
    bits per byte of held-out documents before and after the training, and the
    difference to the unchanged model, trained with the same seeds, with half
    its 95% interval.
    """
    by_row = {name: {} for name in ROWS}
    for row in rows:
        by_row[row["row"]][row["seed"]] = row
    control, table = by_row[CONTROL], {}
    for name, runs in by_row.items():
        if not runs:
            continue
        costs = bytes_per_token(ROWS[name], config, config.context_length)
        seeds = [seed for seed in runs if seed in control]
        after, of_control = (
            [of[seed]["after"] for seed in seeds] for of in (runs, control)
        )
        gap, half = math.nan, math.nan
        if seeds and name != CONTROL:
            gap, half = paired_difference(after, of_control)
        table[name] = {
            **costs,
            **{
                when: sum(run[when] for run in runs.values()) / len(runs)
                for when in ("before", "after")
            },
            "against unchanged": gap,
            "±": half,
            "seeds": len(runs),
        }
    return pd.DataFrame(table).T


def measure_row(
    name: str,
    model: GPTModel,
    tokenizer,
    ids: Tensor,
    seed: int,
    documents: Sequence[str],
    batch_size: int,
    lr: float,
) -> dict:
    """Convert the model, measure, train with one seed, and measure again."""
    started = time.perf_counter()
    torch.manual_seed(seed)  # for the indexers' first weights
    T = model.config.context_length
    sample = ids[: len(ids) // T * T].view(-1, T)[:64]
    zoo = convert(model, ROWS[name], input_moments(model, sample))
    if ROWS[name].top_k:
        train_indexers(zoo, ids, seed, batch_size)
        for block in zoo.blocks:
            block.attention.indexer.requires_grad_(False)
    before = perplexity(zoo, tokenizer, documents)["bits per byte"]
    losses = train_on(
        zoo,
        ids,
        seed,
        batch_size,
        lr,
        next_token_loss,
        [p for p in zoo.parameters() if p.requires_grad],
    )
    after = perplexity(zoo, tokenizer, documents)["bits per byte"]
    return {
        "row": name,
        "seed": seed,
        "before": round(before, 5),
        "after": round(after, 5),
        "losses": [round(loss, 3) for loss in losses[9::10]],
        "seconds": round(time.perf_counter() - started, 1),
    }


def read_record(path: Path, settings: dict | None = None) -> list[dict]:
    """The rows of a record, none if there is no file.

    Raises: ValueError if it is damaged, or of other settings than these.
    """

    def is_row(row: dict) -> bool:
        return row["row"] in ROWS and row["seed"] >= 0 and row["after"] > 0

    return read_rows(path, is_row, settings)


def run(args: argparse.Namespace) -> None:
    """Train the rows that the record lacks, seed by seed; print its table."""
    device = choose_device(args.device)
    model, tokenizer = load_pretrained("course")
    model, config = model.to(device).eval(), model.config
    path = Path(args.record)
    names = ("steps", "batch_size", "lr", "held_out_bytes")
    settings = {name: getattr(args, name) for name in names}
    rows = read_record(path, settings)
    known = {(row["row"], row["seed"]) for row in rows}
    documents = list(
        generate_documents(
            HELD_OUT_SEED, n_bytes=args.held_out_bytes, held_out=True
        )
    )
    n_ids = args.steps * args.batch_size * config.context_length + 1
    for seed in range(args.seeds):
        missing = [name for name in ROWS if (name, seed) not in known]
        if not missing:
            continue
        n_bytes = round(1.1 * n_ids * BYTES_PER_TOKEN) + 10_000  # enough
        ids = encode_documents(tokenizer, TEXT_SEED + seed, n_bytes)[:n_ids]
        ids = torch.from_numpy(ids.astype("int64")).to(device)
        for name in missing:
            rows.append(
                measure_row(
                    name,
                    model,
                    tokenizer,
                    ids,
                    seed,
                    documents,
                    args.batch_size,
                    args.lr,
                )
            )
            write_rows(path, settings, rows)
            before, after = rows[-1]["before"], rows[-1]["after"]
            print(
                f"{name}, seed {seed}: {before:.3f}, then {after:.3f} bits per "
                f"byte, {rows[-1]['seconds']:.0f} s",
                flush=True,
            )
    print(tabulate(rows, config).round(3).to_string())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch04.bonus.attention_zoo",
        description="Make the course's model keep less, and keep what it costs.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, default=3, help="runs of each row")
    add("--steps", type=int, default=100, help="of each run")
    add("--batch-size", type=int, default=8, help="windows for each step")
    add("--lr", type=float, default=1e-3, help="the peak of the learning rate")
    add("--held-out-bytes", type=int, default=HELD_OUT_BYTES, help="of text")
    add("--record", default=str(RECORD), help="the file of rows")
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    args = parser.parse_args()
    check_least(args, seeds=1, steps=1, batch_size=1, held_out_bytes=1)
    check_rate(args.lr)
    return args


def main() -> None:
    replace_unprintable()
    with one_sentence("attention_zoo"):
        run(parse_arguments())


if __name__ == "__main__":
    main()
