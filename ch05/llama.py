"""A decoder whose switches lead from GPT-2 to Llama and Qwen3.

Its parts are called as in ch04.gpt. With GPT2_SWITCHES it is a GPTModel,
weight by weight; as LlamaConfig stands, it is a Llama.

Dimension key: B batch, T tokens, C embedding (emb_dim), H query heads
(n_heads), K key-value heads (n_kv_heads), D head size (head_dim), V vocabulary.
Source: Touvron et al. 2023 (arXiv:2302.13971); Yang et al. 2025 (2505.09388).
"""

import math
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ch04.gpt import GELU, FeedForward, GPTModel, LayerNorm
from ch04.kv_cache import Attend, Reading, read_from_the_start

Rotation = tuple[Tensor, Tensor] | None  # cosines and sines
GPT2_SWITCHES = {
    **dict.fromkeys(["rms_norm", "rotary", "swiglu"], False),
    **dict.fromkeys(["qkv_bias", "proj_bias", "mlp_bias"], True),
}


@dataclass(frozen=True)
class LlamaConfig:
    """Sizes and switches; as they stand, those of SmolLM2 with 135M weights.

    Raises: ValueError for a size not above 0, heads that cannot be shared out
        or turned in pairs, or windows that do not fit the layers.
    """

    vocab_size: int = 49152
    context_length: int = 8192
    emb_dim: int = 576
    n_heads: int = 9
    n_layers: int = 30
    n_kv_heads: int = 3  # as many as n_heads: nothing is shared
    head_dim: int = 64
    hidden_dim: int = 1536  # of the feed-forward
    norm_eps: float = 1e-5
    rope_base: float = 1e5
    rope_factor: float = 1.0  # above 1: slower, for texts longer than
    original_context: int = 8192  # those of the pretraining, as in Llama 3.1
    rope_low: float = 1.0
    rope_high: float = 4.0
    windows: tuple[int, ...] = ()  # of each layer, 0: it reads all; (): all do
    rms_norm: bool = True
    rotary: bool = True
    swiglu: bool = True
    qk_norm: bool = False
    qkv_bias: bool = False
    proj_bias: bool = False  # of the attention's last layer
    mlp_bias: bool = False
    tie_weights: bool = True

    def __post_init__(self):
        kinds = {int: (int, "whole number"), float: ((int, float), "number")}
        for field in (f for f in fields(self) if f.type in kinds):
            value, (kind, what) = getattr(self, field.name), kinds[field.type]
            if not isinstance(value, kind) or not 0 < value < math.inf:
                raise ValueError(
                    f"{field.name}={value!r} must be a {what} above 0"
                )
        low, high = self.rope_low, self.rope_high
        if low >= high:
            raise ValueError(f"rope_low={low} must be below rope_high={high}")
        H, K, D = self.n_heads, self.n_kv_heads, self.head_dim
        if H % K:
            raise ValueError(f"n_heads={H} is not a multiple of n_kv_heads={K}")
        if self.rotary and D % 2:
            raise ValueError(f"head_dim={D} must be even: it turns in pairs")
        right = all(type(w) is int and w >= 0 for w in self.windows)
        if not right or len(self.windows) not in (0, self.n_layers):
            what = f"a width for each of {self.n_layers} layers, or nothing"
            raise ValueError(f"windows={self.windows} must hold {what}")


def make_norm(config: LlamaConfig) -> nn.Module:
    """The norm that the switch asks for."""
    kind = RMSNorm if config.rms_norm else LayerNorm
    return kind(config.emb_dim, config.norm_eps)


class RMSNorm(nn.Module):
    """Give every vector a mean square of 1, then a learned scale; no shift.

    Shapes: x (..., C) -> (..., C).
    Source: Zhang and Sennrich 2019 (arXiv:1910.07467).
    """

    def __init__(self, size: int, eps: float = 1e-5):
        super().__init__()
        self.eps = eps
        self.scale = nn.Parameter(torch.ones(size))

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.scale.shape, self.scale, self.eps)


class SwiGLU(nn.Module):
    """One half of the numbers opens or closes the gates of the other half.

    Shapes: x (..., 2 hidden_dim) -> (..., hidden_dim).
    Source: Shazeer 2020 (arXiv:2002.05202).
    """

    def forward(self, x: Tensor) -> Tensor:
        gate, up = x.chunk(2, dim=-1)
        return F.silu(gate) * up


class GatedFeedForward(FeedForward):
    """Chapter 4's, with a width and an activation of choice."""

    def __init__(self, config: LlamaConfig):
        nn.Module.__init__(self)  # not FeedForward's, which builds its layers
        C, hidden, bias = config.emb_dim, config.hidden_dim, config.mlp_bias
        self.layers = nn.Sequential(
            nn.Linear(C, (1 + config.swiglu) * hidden, bias=bias),
            SwiGLU() if config.swiglu else GELU(),
            nn.Linear(hidden, C, bias=bias),
        )


def rope_angles(config: LlamaConfig, positions: Tensor) -> Tensor:
    """By how much each pair of a head's numbers is turned at each position.

    With rope_factor, pairs of fewer than rope_low turns in original_context
    become so many times as slow, those of more than rope_high stay as they
    are, and those between become something between.
    Shapes: positions (T,) or (B, T) -> (1, T, D / 2) or (B, 1, T, D / 2).
    Units: radians, in float32: 16 bits cannot tell 4,000 from 4,001.
    Source: Su et al. 2021 (arXiv:2104.09864); the slower turns are those of
    Llama 3.1 (Grattafiori et al. 2024, arXiv:2407.21783).
    """
    D, low, high = config.head_dim, config.rope_low, config.rope_high
    pairs = torch.arange(0, D, 2, device=positions.device).float()
    speeds = 1.0 / config.rope_base ** (pairs / D)  # radians per token
    if config.rope_factor != 1:
        turns = config.original_context / (2 * math.pi / speeds)
        keep = ((turns - low) / (high - low)).clamp(0, 1)
        speeds = (1 - keep) * speeds / config.rope_factor + keep * speeds
    return (positions[..., None].float() * speeds).unsqueeze(-3)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of numbers, i and i + D / 2, as a point in the plane.

    Shapes: x (B, H, T, D), cos and sin (…, T, D / 2) -> (B, H, T, D).
    """
    a, b = x.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class GroupedAttention(nn.Module):
    """Attention in which several query heads share a key and a value head.

    Shapes: x (B, T, C), rotation (cos, sin) or None -> (B, T, C).
    Source: Ainslie et al. 2023 (arXiv:2305.13245).
    """

    def __init__(self, config: LlamaConfig, window: int):
        super().__init__()
        C, D, H = config.emb_dim, config.head_dim, config.n_heads
        self.head_dim, self.window = D, window
        self.sizes = [H * D, config.n_kv_heads * D, config.n_kv_heads * D]
        self.qkv = nn.Linear(C, sum(self.sizes), bias=config.qkv_bias)
        self.proj = nn.Linear(H * D, C, bias=config.proj_bias)
        self.q_norm, self.k_norm = (
            RMSNorm(D, config.norm_eps) if config.qk_norm else nn.Identity()
            for _ in "qk"
        )

    def forward(self, x: Tensor, rotation: Rotation, attend: Attend) -> Tensor:
        B, T, _ = x.shape
        q, k, v = (
            part.view(B, T, -1, self.head_dim).transpose(1, 2)  # (B, H, T, D)
            for part in self.qkv(x).split(self.sizes, dim=-1)
        )
        q, k = self.q_norm(q), self.k_norm(k)
        if rotation is not None:
            q, k = rotate(q, *rotation), rotate(k, *rotation)
        heads = attend(q, k, v, self.window)
        return self.proj(heads.transpose(1, 2).reshape(B, T, -1))


class LlamaBlock(nn.Module):
    """Chapter 4's block: attention, then feed-forward, each after its norm.

    Shapes: x (B, T, C) -> (B, T, C).
    """

    def __init__(self, config: LlamaConfig, window: int):
        super().__init__()
        self.norm1 = make_norm(config)
        self.attention = GroupedAttention(config, window)
        self.norm2 = make_norm(config)
        self.feed_forward = GatedFeedForward(config)

    def forward(self, x: Tensor, rotation: Rotation, attend: Attend) -> Tensor:
        x = x + self.attention(self.norm1(x), rotation, attend)
        return x + self.feed_forward(self.norm2(x))


class LlamaModel(GPTModel):
    """A GPTModel of other parts, without dropout; shapes and errors are its.

    A class of its own that a key-value cache can read: see ch04.kv_cache.
    """

    def __init__(self, config: LlamaConfig):
        nn.Module.__init__(self)  # not GPTModel's, which builds its own parts
        self.config = config
        C, V = config.emb_dim, config.vocab_size
        self.tok_emb = nn.Embedding(V, C)
        if not config.rotary:
            self.pos_emb = nn.Embedding(config.context_length, C)
        windows = config.windows or (0,) * config.n_layers
        self.blocks = nn.ModuleList(LlamaBlock(config, w) for w in windows)
        self.final_norm = make_norm(config)
        self.out_head = nn.Linear(C, V, bias=False)
        if config.tie_weights:
            self.out_head.weight = self.tok_emb.weight
        self.init_weights()

    @property
    def kv_shape(self) -> tuple[int, int]:
        """The shape of a token's key in one block, and of its value: K, D."""
        return self.config.n_kv_heads, self.config.head_dim

    def features(self, idx: Tensor, reading: Reading | None = None) -> Tensor:
        """Everything but the output layer: idx (B, T) -> (B, T, C).

        A key-value cache says how to read on; else idx is all there is.
        """
        reading = reading or read_from_the_start(idx, self.config)
        x, rotation = self.tok_emb(idx), None
        if self.config.rotary:
            angles = rope_angles(self.config, reading.positions)
            rotation = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        else:
            x = x + self.pos_emb(reading.positions)
        for block, attend in zip(self.blocks, reading.attends):
            x = block(x, rotation, attend)  # (B, T, C)
        return self.final_norm(x)
