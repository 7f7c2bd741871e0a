"""The GPT model: the final definitions of ch04.ipynb and bonus/sizes.ipynb.

Dimension key: B batch, T tokens, C embedding (emb_dim), V vocabulary (vocab_size).
Source: Radford et al. 2019 (GPT-2); its layer order and initial values.
"""

import os
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ch03.multihead_attention import MultiHeadAttention


@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a GPT; as they stand, those of the smallest GPT-2, untied.

    Raises: ValueError for a size below 1, heads that do not divide emb_dim,
        or a drop rate outside [0, 1).
    """

    vocab_size: int = 50257
    context_length: int = 1024
    emb_dim: int = 768
    n_heads: int = 12
    n_layers: int = 12
    drop_rate: float = 0.1
    qkv_bias: bool = False
    tie_weights: bool = False  # one matrix for embedding and output, as GPT-2

    def __post_init__(self):
        sizes = "vocab_size context_length emb_dim n_heads n_layers"
        for name in sizes.split():
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)} must be at least 1"
                )
        if self.emb_dim % self.n_heads:
            raise ValueError(
                f"emb_dim={self.emb_dim} is not a multiple of "
                f"n_heads={self.n_heads}"
            )
        if not 0 <= self.drop_rate < 1:
            raise ValueError(
                f"drop_rate={self.drop_rate} must be at least 0 and below 1"
            )


GPT2_SIZES = {
    "gpt2": {"emb_dim": 768, "n_layers": 12, "n_heads": 12},
    "gpt2-medium": {"emb_dim": 1024, "n_layers": 24, "n_heads": 16},
    "gpt2-large": {"emb_dim": 1280, "n_layers": 36, "n_heads": 20},
    "gpt2-xl": {"emb_dim": 1600, "n_layers": 48, "n_heads": 25},
}


class LayerNorm(nn.Module):
    """Give every token mean 0 and variance 1, then a learned scale and shift.

    Shapes: x (..., C) -> (..., C).
    Source: Ba et al. 2016 (arXiv:1607.06450).
    """

    def __init__(self, emb_dim: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(emb_dim))
        self.shift = nn.Parameter(torch.zeros(emb_dim))

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(
            x, self.scale.shape, self.scale, self.shift, self.eps
        )


class GELU(nn.Module):
    """A smooth ReLU: x times the share of normal numbers below x, by tanh.

    Source: Hendrycks and Gimpel 2016 (arXiv:1606.08415).
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(x, approximate="tanh")


class FeedForward(nn.Module):
    """Work on every token by itself, in a space four times as wide.

    Shapes: x (B, T, C) -> (B, T, C).
    """

    def __init__(self, emb_dim: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(emb_dim, 4 * emb_dim),
            GELU(),
            nn.Linear(4 * emb_dim, emb_dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class TransformerBlock(nn.Module):
    """Attention, then feed-forward; each adds to the stream of vectors.

    Shapes: x (B, T, C) -> (B, T, C).
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.norm1 = LayerNorm(config.emb_dim)
        self.attention = MultiHeadAttention(
            config.emb_dim,
            config.n_heads,
            config.context_length,
            config.drop_rate,
            config.qkv_bias,
        )
        self.norm2 = LayerNorm(config.emb_dim)
        self.feed_forward = FeedForward(config.emb_dim)
        self.dropout = nn.Dropout(config.drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x)))
        x = x + self.dropout(self.feed_forward(self.norm2(x)))
        return x


class GPTModel(nn.Module):
    """Predict, at every position, a score for each token that could come next.

    Shapes: idx (B, T) -> logits (B, T, V), with T <= context_length.
    Raises: ValueError if idx is longer than the context or, on a CPU, holds an
        id outside the vocabulary.
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.tok_emb = nn.Embedding(config.vocab_size, config.emb_dim)
        self.pos_emb = nn.Embedding(config.context_length, config.emb_dim)
        self.dropout = nn.Dropout(config.drop_rate)
        self.blocks = nn.ModuleList(
            TransformerBlock(config) for _ in range(config.n_layers)
        )
        self.final_norm = LayerNorm(config.emb_dim)
        self.out_head = nn.Linear(config.emb_dim, config.vocab_size, bias=False)
        if config.tie_weights:
            self.out_head.weight = self.tok_emb.weight  # one tensor, no copy
        self.init_weights()

    def init_weights(self) -> None:
        """Draw small initial values, so that a new model prefers no token."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)
        n_branches = 2 * self.config.n_layers  # whose results are summed
        for block in self.blocks:
            for layer in (block.attention.proj, block.feed_forward.layers[-1]):
                nn.init.normal_(layer.weight, std=0.02 / n_branches**0.5)

    def features(self, idx: Tensor) -> Tensor:
        """Everything but the output layer: idx (B, T) -> (B, T, C)."""
        T = idx.shape[1]
        if T > self.config.context_length:
            limit = f"context_length={self.config.context_length}"
            raise ValueError(f"{T} tokens do not fit into {limit}")
        if idx.device.type == "cpu" and idx.numel():  # a GPU would have to wait
            V, low, high = (
                self.config.vocab_size,
                int(idx.min()),
                int(idx.max()),
            )
            if low < 0 or high >= V:
                wrong = low if low < 0 else high
                raise ValueError(f"id {wrong} is outside vocab_size={V}")
        positions = torch.arange(T, device=idx.device)
        x = self.dropout(self.tok_emb(idx) + self.pos_emb(positions))
        for block in self.blocks:
            x = block(x)  # (B, T, C)
        return self.final_norm(x)

    def forward(self, idx: Tensor) -> Tensor:
        return self.out_head(self.features(idx))


def count_parameters(model: nn.Module) -> int:
    """Count the numbers that training may change, a shared tensor once."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def choose_device(name: str | None = None) -> torch.device:
    """The device of this name, or COURSE_DEVICE, or the best of those here.

    Raises: ValueError if the device that was asked for is not here.
    """
    here = ["cpu"]
    if torch.backends.mps.is_available():
        here.insert(0, "mps")
    if torch.cuda.is_available():
        here.insert(0, "cuda")
    name = name or os.environ.get("COURSE_DEVICE") or here[0]
    kind, colon, number = name.partition(":")
    n_of_kind = torch.cuda.device_count() if kind == "cuda" else 1
    is_counted = not colon or number in map(str, range(n_of_kind))
    if kind not in here or not is_counted:
        raise ValueError(
            f"device {name!r} is not here: choose from {', '.join(here)}"
        )
    return torch.device(name)


@torch.no_grad()
def generate_greedy(model: GPTModel, idx: Tensor, n_tokens: int) -> Tensor:
    """Append the likeliest next token n_tokens times, reading what fits.

    Shapes: idx (B, T) -> (B, T + n_tokens).
    """
    for _ in range(n_tokens):
        logits = model(idx[:, -model.config.context_length :])  # (B, T, V)
        next_id = logits[:, -1].argmax(dim=-1, keepdim=True)  # (B, 1)
        idx = torch.cat([idx, next_id], dim=1)
    return idx
