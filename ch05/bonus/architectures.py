"""Many families of models as configurations of one decoder, and the way to their files.

What ch05.llama cannot do yet is a switch here. A family is one function: it says which switches a
config.json of the hub sets. Its weights' names stand beside it, where they are not Llama's.

    model = load_family("folder-or-name/on-the-hub")
    save_family(model, "folder")

Dimension key: B batch, T tokens, C embedding (emb_dim), H query heads, K key-value heads, D head
size, E experts, N tokens of all rows, V vocabulary.
Source: the families' reports, which the notebook names; outside truth: Hugging Face's transformers.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError
from torch import Tensor, nn

from ch04.gpt import GPTModel
from ch04.kv_cache import Attend, Reading, read_from_the_start
from ch05.llama import (
    GatedFeedForward,
    GroupedAttention,
    LlamaConfig,
    RMSNorm,
    Rotation,
    rotate,
)
from ch05.llama_weights import (
    HF_NAMES,
    HF_SIZES,
    check_fit,
    naming,
    only_weights,
    read_shards,
    read_windows,
    save_shards,
)

CHOICES = {
    "norm_place": ("before", "after", "both"),
    "norm_kind": ("rms", "rms + 1", "centred"),
    "rope_kind": ("default", "linear", "llama3", "yarn"),
    "activation": ("silu", "gelu", "clamped"),
    "router": ("softmax", "sigmoid"),
}


@dataclass(frozen=True)
class FamilyConfig(LlamaConfig):
    """The sizes and switches of LlamaConfig, and those of other families.

    Raises: ValueError as LlamaConfig, or for a choice that is not known, a
        tuple that does not fit the layers, or experts that cannot be chosen.
    """

    # Norms.
    norm_place: str = "before"  # attention and feed-forward, or after, or both
    norm_kind: str = "rms"
    qk_norm_wide: bool = False  # over all heads at once
    parallel: bool = False  # attention and feed-forward read the same norm
    # Positions.
    rope_kind: str = "default"  # how the turns are slowed
    rope_layers: tuple[bool, ...] = ()  # which layers turn; (): all
    rope_neighbours: bool = False  # pairs are 2i and 2i + 1
    rope_share: float = 1.0  # of a head's numbers that turn
    rope_truncate: bool = True  # yarn: its ramp starts and ends at whole pairs
    rope_height: float = 1.0  # yarn: factor of cosines and sines
    window_rope_base: float | None = None  # of layers with a window
    window_rope_slowed: bool = True  # they are slowed like the others
    # Attention.
    attention_scale: float | None = None  # of the scores; None: 1 / √D
    sinks: bool = False  # a learned score for reading nothing
    # Feed-forward.
    activation: str = "silu"
    clamp: float = 7.0  # of the activation "clamped"
    n_experts: int | None = None
    n_active: int | None = None  # experts per token
    expert_dim: int | None = None
    expert_layers: tuple[bool, ...] = ()  # which layers have experts; (): all
    shared_dim: int | None = None  # of an expert that every token uses
    router: str = "softmax"
    router_normed: bool = True  # the weights of the chosen sum to 1
    router_scale: float = 1.0
    expert_bias: bool = False  # of the router and of the experts
    # Both ends.
    embedding_scale: float = 1.0
    logit_scale: float = 1.0
    logit_cap: float | None = None  # no logit is larger
    # The config.json that all of this came from, to be written again.
    described: Mapping = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self):
        super().__post_init__()
        if not (self.rms_norm and self.rotary and self.swiglu):
            raise ValueError("no family here has a switch of GPT-2")
        for name, known in CHOICES.items():
            if (value := getattr(self, name)) not in known:
                listed = ", ".join(map(repr, known))
                raise ValueError(f"{name}={value!r} is none of {listed}")
        for name in ("rope_layers", "expert_layers"):
            if len(getattr(self, name)) not in (0, self.n_layers):
                what = f"one value for each of {self.n_layers} layers"
                raise ValueError(f"{name} must hold {what}, or nothing")
        if self.rotary_dim % 2 or not 0 < self.rotary_dim <= self.head_dim:
            raise ValueError(
                f"rope_share={self.rope_share} of head_dim={self.head_dim} "
                f"is {self.rotary_dim}, not an even number of it"
            )
        if self.n_experts is not None:
            if not 0 < (self.n_active or 0) <= self.n_experts:
                raise ValueError(
                    f"n_active={self.n_active} cannot be chosen from "
                    f"n_experts={self.n_experts}"
                )
            if not (self.expert_dim or 0) > 0:
                raise ValueError(
                    f"expert_dim={self.expert_dim} must be above 0"
                )

    @property
    def rotary_dim(self) -> int:
        """How many of a head's numbers turn."""
        return int(self.head_dim * self.rope_share)

    def window(self, layer: int) -> int:
        return self.windows[layer] if self.windows else 0

    def turns(self, layer: int) -> tuple[float, str] | None:
        """The base of a layer's turns and how they are slowed; None: no turns."""
        if self.rope_layers and not self.rope_layers[layer]:
            return None
        if not self.window(layer):
            return self.rope_base, self.rope_kind
        return (
            self.window_rope_base or self.rope_base,
            self.rope_kind if self.window_rope_slowed else "default",
        )

    def has_experts(self, layer: int) -> bool:
        if self.n_experts is None:
            return False
        return not self.expert_layers or self.expert_layers[layer]


# ---- Norms.


class PlusOneNorm(RMSNorm):
    """RMSNorm whose scale is 1 + w, so that weights near 0 change nothing.

    Source: Gemma Team 2024 (arXiv:2403.08295), in its code.
    """

    def __init__(self, size: int, eps: float):
        super().__init__(size, eps)
        nn.init.zeros_(self.scale)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.scale.shape, 1 + self.scale, self.eps)


class CentredNorm(RMSNorm):
    """Chapter 4's LayerNorm without its shift."""

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.scale.shape, self.scale, None, self.eps)


def make_norm(config: FamilyConfig, size: int) -> nn.Module:
    """The norm that the switch asks for."""
    kinds = {"rms": RMSNorm, "rms + 1": PlusOneNorm, "centred": CentredNorm}
    return kinds[config.norm_kind](size, config.norm_eps)


# ---- Positions.


def turn_speeds(config: FamilyConfig, base: float, kind: str) -> Tensor:
    """By how much each pair of a head's numbers turns from token to token.

    All kinds but the default make slow pairs slower, for texts that are longer
    than those of the pretraining. They differ in which pairs count as slow:
    all (linear), or those with few turns in original_context. Between few and
    many, llama3 goes over by the number of turns, yarn by that of the pair.
    Shapes: -> (rotary_dim / 2,). Units: radians per token.
    Source: Su et al. 2021 (arXiv:2104.09864); Chen et al. 2023 (2306.15595);
    Grattafiori et al. 2024 (2407.21783); Peng et al. 2023 (2309.00071).
    """
    R, low, high = config.rotary_dim, config.rope_low, config.rope_high
    speeds = 1.0 / base ** (torch.arange(0, R, 2).float() / R)
    slower = speeds / config.rope_factor
    if kind == "default":
        return speeds
    if kind == "linear":
        return slower
    if kind == "llama3":
        turns = config.original_context * speeds / (2 * math.pi)
        keep = ((turns - low) / (high - low)).clamp(0, 1)
    else:
        # The pair that makes so many turns in original_context.
        first, last = (
            R * math.log(config.original_context / (n * 2 * math.pi))
            / (2 * math.log(base))
            for n in (high, low)
        )  # fmt: skip
        if config.rope_truncate:
            first, last = math.floor(first), math.ceil(last)
        first, last = max(first, 0), min(last, R - 1)
        width = last - first or 0.001
        keep = 1 - ((torch.arange(R // 2) - first) / width).clamp(0, 1)
    return (1 - keep) * slower + keep * speeds


def turn(x: Tensor, rotation: Rotation, neighbours: bool) -> Tensor:
    """Turn the first numbers of each head, in halves or as neighbours.

    Shapes: x (B, H, T, D), cos and sin (…, T, R / 2) -> (B, H, T, D).
    """
    R = 2 * rotation[0].shape[-1]
    turning, rest = x[..., :R], x[..., R:]
    if neighbours:  # 0 1 2 3 -> 0 2 1 3, and back
        turning = turning.unflatten(-1, (-1, 2)).transpose(-1, -2).flatten(-2)
    turning = rotate(turning, *rotation)
    if neighbours:
        turning = turning.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)
    return torch.cat([turning, rest], dim=-1)


# ---- Attention.


class FamilyAttention(GroupedAttention):
    """Grouped attention with further norms, scales, turns, and sinks.

    Shapes: x (B, T, C), rotation (cos, sin) or None -> (B, T, C).
    """

    def __init__(self, config: FamilyConfig, layer: int):
        super().__init__(config, config.window(layer))
        D, scale = config.head_dim, config.attention_scale
        self.wide, self.neighbours = config.qk_norm_wide, config.rope_neighbours
        self.q_scale = 1.0 if scale is None else scale * D**0.5
        if config.qk_norm:
            widths = self.sizes if self.wide else (D, D)
            self.q_norm = make_norm(config, widths[0])
            self.k_norm = make_norm(config, widths[1])
        self.sinks = None
        if config.sinks:
            self.sinks = nn.Parameter(torch.zeros(config.n_heads))

    def forward(self, x: Tensor, rotation: Rotation, attend: Attend) -> Tensor:
        B, T, _ = x.shape
        q, k, v = self.qkv(x).split(self.sizes, dim=-1)
        if self.wide:
            q, k = self.q_norm(q), self.k_norm(k)
        q, k, v = (
            part.view(B, T, -1, self.head_dim).transpose(1, 2)  # (B, H, T, D)
            for part in (q, k, v)
        )
        if not self.wide:
            q, k = self.q_norm(q), self.k_norm(k)
        if rotation is not None:
            q = turn(q, rotation, self.neighbours)
            k = turn(k, rotation, self.neighbours)
        # Attend divides by √D, whatever the family does.
        heads = attend(self.q_scale * q, k, v, self.window, self.sinks)
        return self.proj(heads.transpose(1, 2).reshape(B, T, -1))


# ---- Feed-forward.


class Gate(nn.Module):
    """One half of the numbers opens or closes the gates of the other half.

    Shapes: x (..., 2 hidden_dim) -> (..., hidden_dim).
    Source: Shazeer 2020 (arXiv:2002.05202); the clamped form: OpenAI 2025
    (gpt-oss model card, arXiv:2508.10925), whose halves are neighbours.
    """

    def __init__(self, config: FamilyConfig):
        super().__init__()
        self.kind, self.clamp = config.activation, config.clamp

    def forward(self, x: Tensor) -> Tensor:
        if self.kind == "clamped":
            gate = x[..., ::2].clamp(max=self.clamp)
            up = x[..., 1::2].clamp(-self.clamp, self.clamp)
            return (up + 1) * (gate * torch.sigmoid(1.702 * gate))
        gate, up = x.chunk(2, dim=-1)
        if self.kind == "gelu":
            return F.gelu(gate, approximate="tanh") * up
        return F.silu(gate) * up


def feed_forward(config: FamilyConfig, hidden_dim: int) -> GatedFeedForward:
    """Chapter 5's, with a width and an activation of choice."""
    made = GatedFeedForward(replace(config, hidden_dim=hidden_dim))
    made.layers[1] = Gate(config)
    return made


class Experts(nn.Module):
    """Many feed-forwards, of which each token uses the few that suit it best.

    Shapes: x (B, T, C) -> (B, T, C).
    Source: Shazeer et al. 2017 (arXiv:1701.06538); the sigmoid with its
    correction: DeepSeek-AI 2024 (arXiv:2412.19437).
    """

    def __init__(self, config: FamilyConfig):
        super().__init__()
        C, E, hidden = config.emb_dim, config.n_experts, config.expert_dim
        self.config, self.gate = config, Gate(config)
        self.router = nn.Linear(C, E, bias=config.expert_bias)
        self.up = nn.Parameter(torch.empty(E, 2 * hidden, C))
        self.down = nn.Parameter(torch.empty(E, C, hidden))
        self.up_bias = self.down_bias = self.correction = self.shared = None
        if config.expert_bias:
            self.up_bias = nn.Parameter(torch.zeros(E, 2 * hidden))
            self.down_bias = nn.Parameter(torch.zeros(E, C))
        if config.router == "sigmoid":  # set by hand in training, no gradient
            self.correction = nn.Parameter(torch.zeros(E), requires_grad=False)
        if config.shared_dim:
            self.shared = feed_forward(config, config.shared_dim)

    def choose(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Which experts each token uses, and how much of each.

        Shapes: x (N, C) -> chosen and weights (N, n_active).
        """
        scores, k = self.router(x).float(), self.config.n_active
        if self.config.router == "softmax":
            weights, chosen = scores.softmax(dim=-1).topk(k)
            tiny = 0.0
        else:  # the correction decides who is chosen, not how much he counts
            scores = scores.sigmoid()
            chosen = (scores + self.correction).topk(k).indices
            weights, tiny = scores.gather(1, chosen), 1e-20
        if self.config.router_normed:
            weights = weights / (weights.sum(dim=-1, keepdim=True) + tiny)
        return chosen, (self.config.router_scale * weights).to(x.dtype)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, 1)  # (N, C)
        chosen, weights = self.choose(flat)
        out = torch.zeros_like(flat)
        for e in chosen.unique().tolist():
            rows, places = (chosen == e).nonzero(as_tuple=True)
            up_bias = None if self.up_bias is None else self.up_bias[e]
            down_bias = None if self.down_bias is None else self.down_bias[e]
            hidden = self.gate(F.linear(flat[rows], self.up[e], up_bias))
            said = F.linear(hidden, self.down[e], down_bias)
            out.index_add_(0, rows, said * weights[rows, places, None])
        out = out.view_as(x)
        return out if self.shared is None else out + self.shared(x)


# ---- The model.


class FamilyBlock(nn.Module):
    """Attention and feed-forward, with norms where the family has them.

    Shapes: x (B, T, C) -> (B, T, C).
    """

    def __init__(self, config: FamilyConfig, layer: int):
        super().__init__()

        def norm_if(there: bool) -> nn.Module:
            return make_norm(config, config.emb_dim) if there else nn.Identity()

        before, after = (
            config.norm_place != "after",
            config.norm_place != "before",
        )
        self.parallel = config.parallel
        self.norm1 = norm_if(before)
        self.attention = FamilyAttention(config, layer)
        self.after1 = norm_if(after)
        self.norm2 = norm_if(before and not config.parallel)
        if config.has_experts(layer):
            self.feed_forward = Experts(config)
        else:
            self.feed_forward = feed_forward(config, config.hidden_dim)
        self.after2 = norm_if(after)

    def forward(self, x: Tensor, rotation: Rotation, attend: Attend) -> Tensor:
        if self.parallel:
            h = self.norm1(x)
            return (
                x + self.attention(h, rotation, attend) + self.feed_forward(h)
            )
        x = x + self.after1(self.attention(self.norm1(x), rotation, attend))
        return x + self.after2(self.feed_forward(self.norm2(x)))


class OutHead(nn.Linear):
    """The output layer, whose logits are scaled, or bent below a limit."""

    def __init__(self, config: FamilyConfig):
        super().__init__(config.emb_dim, config.vocab_size, bias=False)
        self.scale, self.cap = config.logit_scale, config.logit_cap

    def forward(self, x: Tensor) -> Tensor:
        logits = self.scale * super().forward(x)
        if self.cap is None:
            return logits
        return self.cap * torch.tanh(logits / self.cap)


class FamilyModel(GPTModel):
    """A GPTModel of the family that the config describes.

    ch04's key-value cache reads it, so that generate works.
    """

    def __init__(self, config: FamilyConfig):
        nn.Module.__init__(self)  # not GPTModel's, which builds its own parts
        self.config = config
        C, V = config.emb_dim, config.vocab_size
        self.tok_emb = nn.Embedding(V, C)
        self.blocks = nn.ModuleList(
            FamilyBlock(config, layer) for layer in range(config.n_layers)
        )
        self.final_norm = make_norm(config, C)
        self.out_head = OutHead(config)
        self.tie()
        self.init_weights()

    def tie(self) -> None:
        """Let embedding and output layer be one tensor, if the config says so."""
        if self.config.tie_weights:
            self.out_head.weight = self.tok_emb.weight

    def init_weights(self) -> None:
        """Draw small initial values; norms, biases and sinks keep theirs."""
        for weight in self.parameters():
            if weight.dim() > 1:
                nn.init.normal_(weight, std=0.02)

    @property
    def kv_shape(self) -> tuple[int, int]:
        """The shape of a token's key in one block, and of its value: K, D."""
        return self.config.n_kv_heads, self.config.head_dim

    def rotations(
        self, positions: Tensor, dtype: torch.dtype
    ) -> list[Rotation]:
        """The cosines and sines of each layer, computed once for each kind.

        Shapes: positions (T,) or (B, T) -> (1 or B, 1, T, rotary_dim / 2).
        """
        made = {None: None}
        layers = [self.config.turns(i) for i in range(self.config.n_layers)]
        for turns in layers:
            if turns not in made:
                speeds = turn_speeds(self.config, *turns).to(positions.device)
                # In float32: 16 bits cannot tell 4,000 from 4,001.
                angles = (positions[..., None].float() * speeds).unsqueeze(-3)
                high = self.config.rope_height if turns[1] == "yarn" else 1.0
                made[turns] = tuple(
                    (high * wave).to(dtype)
                    for wave in (angles.cos(), angles.sin())
                )
        return [made[turns] for turns in layers]

    def features(self, idx: Tensor, reading: Reading | None = None) -> Tensor:
        """Everything but the output layer: idx (B, T) -> (B, T, C).

        A key-value cache says how to read on; else idx is all there is.
        """
        reading = reading or read_from_the_start(idx, self.config)
        x = self.config.embedding_scale * self.tok_emb(idx)
        rotations = self.rotations(reading.positions, x.dtype)
        for block, rotation, attend in zip(
            self.blocks, rotations, reading.attends
        ):
            x = block(x, rotation, attend)  # (B, T, C)
        return self.final_norm(x)


# ---- A config.json as a list of switches.

# What says nothing about the function that a trained model computes.
HARMLESS = re.compile(
    r"model_type|architectures|(torch_)?dtype|transformers_version|_name_or_path"
    r"|auto_map|\w+_token_id|\w*dropout|use_cache|cache_implementation"
    r"|initializer_range|pretraining_tp|output_router_logits|router_aux_loss_coef"
    r"|max_window_layers|no_rope_layer_interval|_?sliding_window_pattern"
    r"|experts_per_token|initial_context_length|quantization_config"
    r"|chunk_size_feed_forward|id2label|label2id|is_encoder_decoder|problem_type"
    r"|return_dict|output_\w+"
)
OFF = (None, False, [], {})


class Description(dict):
    """A config.json that knows which of its keys were read.

    A key that nobody reads may be a switch that nobody threw.
    """

    def __init__(self, described: Mapping):
        super().__init__(described)
        self.keys_read = set()

    def __getitem__(self, key: str):
        self.keys_read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: object = None) -> object:
        """As of a dict; where null stands, the default counts."""
        self.keys_read.add(key)
        value = super().get(key)
        return default if value is None else value

    def demand(self, key: str, value: object) -> None:
        """Raise a ValueError if there is another value than the one we compute."""
        if self.get(key, value) != value:
            raise ValueError(f"{key} is {self[key]!r}, not {value!r}")

    def pass_over(self, *keys: str) -> None:
        """Take these as read: they say nothing here."""
        self.keys_read.update(keys)

    def unread(self) -> dict:
        """The keys that nobody read, but for those that change nothing."""
        return {
            key: value
            for key, value in self.items()
            if key not in self.keys_read
            and value not in OFF
            and not HARMLESS.fullmatch(key)
        }


Switches = dict[str, object]
# Our layer -> Hugging Face's, beside those of ch05.llama_weights. {e} is an
# expert's number; ^T: theirs is transposed.
NAMES = HF_NAMES | {
    "feed_forward.router": ["mlp.gate"],
    "feed_forward.up": [
        "mlp.experts.{e}.gate_proj.weight",
        "mlp.experts.{e}.up_proj.weight",
    ],
    "feed_forward.down": ["mlp.experts.{e}.down_proj.weight"],
}
AFTER_NAMES = {
    "after1": ["post_attention_layernorm"],
    "after2": ["post_feedforward_layernorm"],
}


@dataclass(frozen=True)
class Family:
    """How a config.json becomes switches, and which weight has which name."""

    title: str
    switches: Callable[[Description], Switches]
    names: dict[str, list[str]] = field(default_factory=dict)
    tied: bool = False  # where config.json does not say
    rope_base: float = 10_000.0  # likewise


FAMILIES: dict[str, Family] = {}  # by model_type


def family(model_type: str, title: str, **rest: object) -> Callable:
    """Make a family of the function below: config.json -> switches."""

    def register(switches: Callable[[Description], Switches]) -> Callable:
        names = NAMES | rest.pop("names", {})
        FAMILIES[model_type] = Family(title, switches, names, **rest)
        return switches

    return register


def rope_switches(described: Description, base: float) -> Switches:
    """The turns that a config.json asks for, in the form of 2025 or before.

    Raises: ValueError for a way of slowing that is not known.
    """
    rope = described.get("rope_parameters") or {
        "rope_theta": described.get("rope_theta", base),
        **described.get("rope_scaling", {}),
    }
    rope = rope.get("full_attention", rope)  # Gemma 3 has one for each kind
    kind = rope.get("rope_type", rope.get("type", "default"))
    share = described.get("partial_rotary_factor", 1.0)
    switches = {
        "rope_base": rope.get("rope_theta", base),
        "rope_kind": kind,
        "rope_share": rope.get("partial_rotary_factor", share),
    }
    if kind == "default":
        return switches
    switches["rope_factor"] = rope["factor"]
    if kind in ("llama3", "yarn"):
        switches["original_context"] = (
            rope.get("original_max_position_embeddings")
            or described["max_position_embeddings"]
        )
    if kind == "llama3":
        switches["rope_low"] = rope["low_freq_factor"]
        switches["rope_high"] = rope["high_freq_factor"]
    if kind == "yarn":
        if rope.get("mscale") or rope.get("mscale_all_dim"):
            raise ValueError("mscale of yarn is not known here")
        usual = 0.1 * math.log(max(rope["factor"], 1)) + 1
        switches |= {
            "rope_low": rope.get("beta_slow") or 1,
            "rope_high": rope.get("beta_fast") or 32,
            "rope_height": rope.get("attention_factor") or usual,
            "rope_truncate": rope.get("truncate", True),
        }
    return switches


def common_switches(described: Description, kind: Family) -> Switches:
    """What nearly all families say in the same words: sizes, turns, biases."""
    optional = ("n_kv_heads", "head_dim", "norm_eps", "hidden_dim")
    switches = {
        ours: described[theirs]
        for ours, theirs in HF_SIZES.items()
        if ours not in optional or described.get(theirs) is not None
    }
    H, bias = switches["n_heads"], described.get("attention_bias", False)
    switches.setdefault("n_kv_heads", H)
    switches.setdefault("norm_eps", 1e-6)
    if "head_dim" not in switches:
        C = switches["emb_dim"]  # if no whole number, FamilyConfig says so
        switches["head_dim"] = C // H if type(C) is type(H) is int and H else C
    described.demand("hidden_act", "silu")
    return switches | {
        **rope_switches(described, kind.rope_base),
        "qkv_bias": bias,
        "proj_bias": bias,
        "mlp_bias": described.get("mlp_bias", False),
        "tie_weights": described.get("tie_word_embeddings", kind.tied),
    }


def layer_windows(
    described: Description, default: int | Sequence[str]
) -> tuple[int, ...]:
    """The window of each layer, 0 where it reads all.

    Where layer_types is missing, the default says it, or that one layer of so
    many reads all.
    """
    if isinstance(default, int):
        n_layers = range(1, described["num_hidden_layers"] + 1)
        default = ["sliding" if i % default else "full" for i in n_layers]
    types = described.get("layer_types") or default
    width = described.get("sliding_window", 0)
    return tuple(width if "sliding" in t else 0 for t in types)


def family_config(described: Mapping) -> FamilyConfig:
    """The sizes and switches that a config.json of the hub describes.

    Raises: ValueError if the family is not known, a size is missing or makes
        no sense, or a key says something that nothing here reads.
    """
    described = Description(described)
    model_type = described.get("model_type")
    if model_type not in FAMILIES:
        known = ", ".join(sorted(FAMILIES))
        raise ValueError(f"model_type is {model_type!r}, none of {known}")
    kind = FAMILIES[model_type]
    try:
        switches = common_switches(described, kind) | kind.switches(described)
        known = {f.name for f in fields(FamilyConfig)}
        if strange := sorted(switches.keys() - known):
            raise ValueError(f"no switch is called {strange[0]}")
        config = FamilyConfig(**switches, described=dict(described))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ValueError(f"this is no {kind.title} of ours: {what}") from None
    if unread := described.unread():
        key, value = next(iter(unread.items()))
        raise ValueError(
            f"this is no {kind.title} of ours: nothing here reads "
            f"{key}={value!r}"
        )
    return config


# ---- The families.


@family("llama", "Llama 3 (and SmolLM2)")
def llama(described: Description) -> Switches:
    return {}


@family("qwen3", "Qwen3")
def qwen3(described: Description) -> Switches:
    described.pass_over("sliding_window", "layer_types")  # if unused
    return {"qk_norm": True, "windows": read_windows(described)}


@family("qwen3_moe", "Qwen3, a mixture")
def qwen3_moe(described: Description) -> Switches:
    n_layers = described["num_hidden_layers"]
    width = described.get("sliding_window", 0)
    if not described.get("use_sliding_window"):
        width = 0
    step = described.get("decoder_sparse_step", 1)
    dense = described.get("mlp_only_layers", [])
    described.pass_over("num_experts")  # where its newer name stands
    experts = described.get("num_local_experts") or described["num_experts"]
    return {
        "qk_norm": True,
        "windows": (width,) * n_layers,
        "n_experts": experts,
        "n_active": described["num_experts_per_tok"],
        "expert_dim": described["moe_intermediate_size"],
        "expert_layers": tuple(
            i not in dense and (i + 1) % step == 0 for i in range(n_layers)
        ),
        "router_normed": described.get("norm_topk_prob", False),
    }


@family(
    "gemma3_text",
    "Gemma 3",
    tied=True,
    rope_base=1e6,
    names=AFTER_NAMES | {"norm2": ["pre_feedforward_layernorm"]},
)
def gemma3(described: Description) -> Switches:
    described.demand("hidden_activation", "gelu_pytorch_tanh")
    described.demand("attn_logit_softcapping", None)
    described.demand("use_bidirectional_attention", False)
    local = described.get("rope_parameters", {}).get("sliding_attention", {})
    if local.get("rope_type", "default") != "default":
        raise ValueError("the turns of layers with a window are slowed")
    base = described.get("rope_local_base_freq", 10_000.0)
    every = described.get("sliding_window_pattern", 6)
    return {
        "norm_place": "both",
        "norm_kind": "rms + 1",
        "qk_norm": True,
        "activation": "gelu",
        "windows": layer_windows(described, every),
        "window_rope_base": local.get("rope_theta", base),
        "window_rope_slowed": False,
        "attention_scale": described.get("query_pre_attn_scalar", 256) ** -0.5,
        "embedding_scale": described["hidden_size"] ** 0.5,
        "logit_cap": described.get("final_logit_softcapping"),
    }


@family("olmo3", "Olmo 3", names=AFTER_NAMES)
def olmo3(described: Description) -> Switches:
    return {
        "norm_place": "after",
        "qk_norm": True,
        "qk_norm_wide": True,
        "windows": layer_windows(described, 4),
        # As it was trained; transformers 5.3 slows all layers by mistake.
        "window_rope_slowed": False,
    }


@family("cohere2", "Cohere2 (Command R7B)", tied=True)
def cohere2(described: Description) -> Switches:
    windows = layer_windows(
        described, described.get("sliding_window_pattern", 4)
    )
    return {
        "norm_kind": "centred",
        "norm_eps": described.get("layer_norm_eps", 1e-5),
        "parallel": True,
        "windows": windows,
        "rope_layers": tuple(map(bool, windows)),
        "rope_neighbours": True,
        "logit_scale": described.get("logit_scale", 0.0625),
    }


@family("smollm3", "SmolLM3", tied=True, rope_base=2e6)
def smollm3(described: Description) -> Switches:
    n_layers = described["num_hidden_layers"]
    every = described.get("no_rope_layer_interval", 4)
    turning = described.get("no_rope_layers") or [
        (i + 1) % every for i in range(n_layers)
    ]  # 0: no turns, in spite of its name
    slides = described.get("use_sliding_window", False)
    types = ["sliding" if slides and not turns else "full" for turns in turning]
    return {
        "rope_layers": tuple(map(bool, turning)),
        "windows": layer_windows(described, types),
    }


@family(
    "gpt_oss",
    "gpt-oss",
    rope_base=150_000.0,
    names={
        "attention.sinks": ["self_attn.sinks"],
        "feed_forward.router": ["mlp.router"],
        "feed_forward.up": ["mlp.experts.gate_up_proj^T"],
        "feed_forward.up_bias": ["mlp.experts.gate_up_proj_bias"],
        "feed_forward.down": ["mlp.experts.down_proj^T"],
        "feed_forward.down_bias": ["mlp.experts.down_proj_bias"],
    },
)
def gpt_oss(described: Description) -> Switches:
    described.demand("attention_bias", True)
    return {
        "qkv_bias": True,
        "proj_bias": True,
        "windows": layer_windows(described, 2),
        "sinks": True,
        "activation": "clamped",
        "clamp": described.get("swiglu_limit", 7.0),
        "n_experts": described["num_local_experts"],
        "n_active": described["num_experts_per_tok"],
        "expert_dim": described["intermediate_size"],
        "expert_bias": True,
    }


@family("exaone4", "EXAONE 4", names=AFTER_NAMES)
def exaone4(described: Description) -> Switches:
    every = described.get("sliding_window_pattern", 4)
    every = len(every) if isinstance(every, str) else every  # 4 or LLLG
    windows = layer_windows(described, every)
    mixed = described.get("sliding_window") is not None
    return {
        "norm_place": "after",
        "qk_norm": True,
        "windows": windows,
        # Where there are windows, only layers with one turn.
        "rope_layers": tuple(map(bool, windows)) if mixed else (),
    }


@family(
    "solar_open",
    "Solar Open",
    rope_base=1e6,
    names={
        "feed_forward.correction": ["mlp.gate.e_score_correction_bias"],
        "feed_forward.shared.layers.0": [
            "mlp.shared_experts.gate_proj",
            "mlp.shared_experts.up_proj",
        ],
        "feed_forward.shared.layers.2": ["mlp.shared_experts.down_proj"],
    },
)
def solar_open(described: Description) -> Switches:
    for key in ("n_group", "topk_group"):
        described.demand(key, 1)
    described.demand("first_k_dense_replace", 0)
    width = described["moe_intermediate_size"]
    return {
        "proj_bias": False,
        "hidden_dim": width,  # no layer is without experts
        "n_experts": described["n_routed_experts"],
        "n_active": described["num_experts_per_tok"],
        "expert_dim": width,
        "shared_dim": described.get("n_shared_experts", 1) * width,
        "router": "sigmoid",
        "router_normed": described.get("norm_topk_prob", True),
        "router_scale": described.get("routed_scaling_factor", 1.0),
    }


@family(
    "glm4",
    "GLM-4",
    names={
        "after1": ["post_self_attn_layernorm"],
        "feed_forward.layers.0": ["mlp.gate_up_proj"],
        "after2": ["post_mlp_layernorm"],
    },
)
def glm4(described: Description) -> Switches:
    share = described.get("partial_rotary_factor", 0.5)
    rope = described.get("rope_parameters", {})
    return {
        "norm_place": "both",
        "qkv_bias": described.get("attention_bias", True),
        "proj_bias": False,
        "rope_share": rope.get("partial_rotary_factor", share),
        "rope_neighbours": True,
    }


# ---- Files.


def parts(model: FamilyModel) -> Iterator[tuple[str, Tensor]]:
    """The parts of all weights, each with its name on the hub, as views of ours.

    Raises: ValueError if the family has no name for a weight.
    """
    kind = FAMILIES[model.config.described["model_type"]]
    for ours, weight in model.state_dict().items():
        if ours == "out_head.weight" and model.config.tie_weights:
            continue  # it is that of tok_emb
        before, layer, ending = "", ours, ""
        if ours.startswith("blocks."):
            _, i, layer = ours.split(".", 2)
            before = f"model.layers.{i}."
        if layer not in kind.names:
            layer, _, ending = layer.rpartition(".")
            ending = "." + {"scale": "weight"}.get(ending, ending)  # a norm's
        if layer not in kind.names:
            raise ValueError(f"{kind.title} has no name for {ours}")
        names = [f"{before}{name}{ending}" for name in kind.names[layer]]
        if "{e}" in names[0]:
            for e, one in enumerate(weight):
                theirs = [name.format(e=e) for name in names]
                yield from zip(theirs, one.chunk(len(names)))
        elif names[0].endswith("^T"):
            yield names[0][:-2], weight.transpose(1, 2)
        elif layer == "attention.qkv":
            yield from zip(names, weight.split(model.blocks[0].attention.sizes))
        else:
            yield from zip(names, weight.chunk(len(names)))


def unpack_fp4(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of 4 bits, in blocks of 32 that share a power of two, as numbers.

    A byte holds two numbers, the first in its lower half. OpenAI publishes the
    experts of gpt-oss like this; all else is left as it is.
    Shapes: blocks (E, R, G, 16) and scales (E, R, G) -> (E, 32 G, R).
    Source: Open Compute Project 2023, Microscaling Formats v1.0, MXFP4.
    """
    sizes = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    table, unpacked = torch.tensor(sizes + [-size for size in sizes]), {}
    for name, weight in state.items():
        if name.endswith("_blocks"):
            name = name.removesuffix("_blocks")
            halves = torch.stack([weight & 15, weight >> 4], dim=-1).flatten(-2)
            power = state[f"{name}_scales"].int() - 127
            numbers = torch.ldexp(table[halves.int()], power[..., None])
            weight = numbers.flatten(-2).transpose(1, 2)
        if not name.endswith("_scales"):
            unpacked[name] = weight
    return unpacked


def fetch(name: str) -> Path:
    """The folder of a model that the hub knows by this name, fetched if need be.

    Raises: FileNotFoundError if it cannot be had.
    """
    try:
        path = Path(hf_hub_download(name, "config.json"))
        files = ["model.safetensors"]
        try:
            index = hf_hub_download(name, "model.safetensors.index.json")
            places = json.loads(Path(index).read_text("utf-8"))["weight_map"]
            files = sorted(set(places.values()))
        except EntryNotFoundError:
            pass  # all of it is in one file
        for file in files:
            hf_hub_download(name, file)
    except Exception as error:  # its libraries have errors of their own
        reason = " ".join(str(error).split())[:200]
        raise FileNotFoundError(
            f"{name} is no folder, and the Hugging Face hub does not give it: "
            f"{reason}"
        ) from None
    return path.parent


@torch.no_grad()
def load_family(
    source: str | Path, dtype: torch.dtype = torch.float32
) -> FamilyModel:
    """Read a model of any family from a folder, or by its name on the hub.

    Raises: FileNotFoundError if it cannot be had or a file is missing,
        ValueError if it is of no family here, or its weights do not fit.
    """
    folder = Path(source)
    folder = folder if folder.is_dir() else fetch(str(source))
    path = folder / "config.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there")
    with naming(path):
        config = family_config(json.loads(path.read_text("utf-8")))
    with torch.device("meta"):  # shapes without numbers
        model = FamilyModel(config)
    model = model.to(dtype).to_empty(device="cpu")
    model.tie()
    for module in model.modules():  # 16 bits would move who is chosen
        if getattr(module, "correction", None) is not None:
            module.correction.data = module.correction.float()
    state = read_shards(folder)
    with naming(folder):
        state = only_weights(unpack_fp4(state), config.tie_weights)
        targets = dict(parts(model))
        check_fit(targets, {n: tuple(w.shape) for n, w in state.items()})
    for name, target in targets.items():
        target.copy_(state[name])  # a part is a view of our tensor
    return model.eval()


def save_family(
    model: FamilyModel,
    folder: str | Path,
    dtype: torch.dtype | None = None,
    shard_bytes: int = 5 * 10**9,
) -> None:
    """Write a model as the hub keeps it; what is large goes into several files.

    Raises: ValueError if the model was not made from a config.json.
    """
    described, dtype = (
        model.config.described,
        dtype or model.tok_emb.weight.dtype,
    )
    if not described:
        raise ValueError("this model was not made from a config.json")
    state = {
        # The correction stays as it is: 16 bits would move who is chosen.
        name: part.to(
            part.dtype if "correction" in name else dtype
        ).contiguous()
        for name, part in parts(model)
    }
    short = {"dtype": str(dtype).removeprefix("torch.")}
    save_shards(state, described | short, Path(folder), shard_bytes)
