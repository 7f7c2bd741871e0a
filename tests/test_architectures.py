"""ch05/bonus/architectures.py: each family against Hugging Face's class, and its files."""

import os
from copy import deepcopy
from pathlib import Path
from random import Random

import pytest
import torch
import transformers
from torch import nn

from ch04.kv_cache import make_cache, read
from ch05.bonus.architectures import (
    FamilyModel,
    load_family,
)

# COURSE_DRAWS=200 draws as many configurations of each family.
DRAWS = int(os.environ.get("COURSE_DRAWS", "50"))
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}
CLASSES = {
    "llama": "Llama",
    "qwen3": "Qwen3",
    "qwen3_moe": "Qwen3Moe",
    "gemma3_text": "Gemma3",
    "olmo3": "Olmo3",
    "cohere2": "Cohere2",
    "smollm3": "SmolLM3",
    "gpt_oss": "GptOss",
    "exaone4": "Exaone4",
    "solar_open": "SolarOpen",
    "glm4": "Glm4",
}
each_family = pytest.mark.parametrize("kind", CLASSES)


# ---- Random configurations.


def draw_rope(draw: Random, context: int, *kinds: str) -> dict:
    """The turns of a config.json; half of them as they always were."""
    rope = {"rope_type": "default", "rope_theta": 10 ** draw.uniform(1, 6)}
    if not kinds or draw.random() < 0.5:
        return rope
    rope |= {"rope_type": draw.choice(kinds), "factor": draw.uniform(1.5, 32)}
    if rope["rope_type"] in ("llama3", "yarn"):
        rope["original_max_position_embeddings"] = draw.randint(7, context - 1)
    if rope["rope_type"] == "llama3":
        rope |= {"low_freq_factor": draw.uniform(0.5, 1.5), "high_freq_factor": draw.uniform(2, 6)}
    if rope["rope_type"] == "yarn":
        rope |= {"beta_slow": draw.uniform(0.2, 1), "beta_fast": draw.uniform(2, 32)}
        rope["truncate"] = draw.random() < 0.5
        if draw.random() < 0.5:
            rope["attention_factor"] = draw.uniform(1, 1.4)
    return rope


def draw_types(draw: Random, n_layers: int, context: int) -> dict:
    """Layers with and without a window. At a width of 1 their own cache fails."""
    types = ["full_attention", "sliding_attention"]
    return {
        "layer_types": [draw.choice(types) for _ in range(n_layers)],
        "sliding_window": draw.randint(2, context // 2),
    }


def draw_description(kind: str, draw: Random) -> dict:
    """A config.json as the hub has them, with every switch drawn."""
    n_kv_heads, n_layers = draw.choice([1, 2, 3]), draw.randint(1, 3)
    context, head_dim = draw.randint(16, 48), draw.choice([4, 8, 12])
    n_heads = n_kv_heads * draw.choice([1, 2, 4])
    described = {
        "vocab_size": draw.randint(2, 90),
        "max_position_embeddings": context,
        "hidden_size": draw.choice([8, 12, 30]),
        "intermediate_size": draw.randint(1, 50),
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "num_key_value_heads": n_kv_heads,
        "head_dim": head_dim,
        "rms_norm_eps": 10 ** draw.uniform(-6, -2),
        "attention_bias": draw.random() < 0.5,
        "tie_word_embeddings": draw.random() < 0.5,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    rope = draw_rope(draw, context, "linear", "llama3", "yarn")
    types = draw_types(draw, n_layers, context)
    experts = draw.randint(2, 6)
    mixture = {
        "moe_intermediate_size": draw.randint(1, 30),
        "num_experts_per_tok": draw.randint(1, experts),
        "norm_topk_prob": draw.random() < 0.5,
    }
    if kind == "gemma3_text":
        rope = draw_rope(draw, context, "linear")
        turns = {"full_attention": rope, "sliding_attention": draw_rope(draw, context)}
        described |= types | {"rope_parameters": turns}
        described["query_pre_attn_scalar"] = draw.choice([head_dim, draw.randint(2, 40)])
        described["final_logit_softcapping"] = draw.choice([None, draw.uniform(1, 30)])
        return described
    described["rope_parameters"] = rope
    if kind == "llama":
        described["mlp_bias"] = draw.random() < 0.5
    elif kind == "qwen3":
        described |= types | {"use_sliding_window": True}
    elif kind == "qwen3_moe":
        described |= mixture | {"num_experts": experts}
        described["use_sliding_window"] = draw.random() < 0.5
        described["sliding_window"] = types["sliding_window"]
        described["decoder_sparse_step"] = draw.randint(1, 2)
        described["mlp_only_layers"] = draw.choice([[], [0]])
    elif kind in ("olmo3", "cohere2"):
        # Theirs takes the head's size from the width.
        described |= types | {"hidden_size": n_heads * head_dim}
        del described["head_dim"]
        if kind == "cohere2":
            described["layer_norm_eps"] = described.pop("rms_norm_eps")
            described["logit_scale"] = draw.uniform(0.05, 2)
    elif kind == "smollm3":
        described["mlp_bias"] = draw.random() < 0.5
        if draw.random() < 0.7:
            described["no_rope_layers"] = [draw.randint(0, 1) for _ in range(n_layers)]
        if draw.random() < 0.6:
            described |= types | {"use_sliding_window": True}
        if draw.random() < 0.5:
            described.pop("layer_types", None)
    elif kind == "gpt_oss":
        described |= types | {"num_local_experts": experts, "attention_bias": True}
        described["num_experts_per_tok"] = mixture["num_experts_per_tok"]
    elif kind == "exaone4":
        del described["attention_bias"]
        full = {"layer_types": ["full_attention"] * n_layers, "sliding_window": None}
        described |= draw.choice([types, full])
    elif kind == "solar_open":
        described |= mixture | {"n_routed_experts": experts}
        described["n_shared_experts"] = draw.randint(1, 2)
        described["routed_scaling_factor"] = draw.uniform(0.5, 3)
    elif kind == "glm4":
        described["rope_parameters"]["partial_rotary_factor"] = draw.choice([0.5, 1.0])
    return described


def their_model(kind: str, described: dict) -> nn.Module:
    config = getattr(transformers, f"{CLASSES[kind]}{'Text' * (kind == 'gemma3_text')}Config")
    model = getattr(transformers, f"{CLASSES[kind]}ForCausalLM")
    theirs = model(config(**described)).eval()
    theirs.set_experts_implementation("eager")  # the fast ones want widths of 4 and more
    if kind == "olmo3":
        mend_olmo3(theirs)
    return theirs


def mend_olmo3(theirs: nn.Module) -> None:
    """Turn layers with a window as Olmo 3 was trained: not slowed.

    transformers 5.3 turns them like the others, against its own documentation and the paper
    (arXiv:2512.13961, where only full attention is slowed): huggingface/transformers#45945.
    """
    config = deepcopy(theirs.config)
    base = config.rope_parameters["rope_theta"]
    config.rope_parameters = {"rope_type": "default", "rope_theta": base}
    plain = type(theirs.model.rotary_emb)(config)

    def turn_plainly(layer: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
        waves = plain(args[0], kwargs["position_ids"])
        return args, kwargs | {"position_embeddings": waves}

    for layer in theirs.model.layers:
        if layer.self_attn.attention_type == "sliding_attention":
            layer.register_forward_pre_hook(turn_plainly, with_kwargs=True)


@torch.no_grad()
def enliven(model: nn.Module) -> None:
    """Fresh weights are too small to tell one token from another; these keep vectors' lengths."""
    for name, p in [*model.named_parameters(), *model.named_buffers()]:
        if "inv_freq" in name or "embed_scale" in name:
            continue  # no weights
        size = p.shape[-1] ** -0.5 if p.dim() > 1 else 0.2
        one = "norm" in name and "Gemma3" not in type(model).__name__
        p.copy_(size * torch.randn_like(p) + one)


def random_pair(kind: str, number: int, folder: Path) -> tuple[nn.Module, FamilyModel, Random]:
    """Their model and ours, read from the files that theirs wrote."""
    draw = Random(f"{kind} {number}")
    torch.manual_seed(number)
    theirs = their_model(kind, draw_description(kind, draw))
    enliven(theirs)
    theirs.save_pretrained(folder, max_shard_size=draw.choice(["5GB", "2KB"]))
    return theirs, load_family(folder), draw


def compare(kind: str, number: int, folder: Path) -> None:
    """Two rows as long as the context: read at once, and on from a cache in random pieces."""
    theirs, ours, draw = random_pair(kind, number, folder)
    T = ours.config.context_length
    idx = torch.randint(ours.config.vocab_size, (2, T))
    expected = theirs(idx, use_cache=False).logits
    torch.testing.assert_close(ours(idx), expected, **TOLERANCE)
    cache, their_cache, start = make_cache(ours, 2, T), None, 0
    assert cache.kept is not None
    while start < T:
        end = start + draw.choice([1, draw.randint(1, T - start)])
        logits, cache = read(ours, cache, idx[:, start:end])
        answer = theirs(idx[:, start:end], past_key_values=their_cache, use_cache=True)
        their_cache = answer.past_key_values
        torch.testing.assert_close(logits, expected[:, end - 1], **TOLERANCE)
        torch.testing.assert_close(logits, answer.logits[:, -1], **TOLERANCE)
        start = end


@pytest.mark.parametrize("number", range(DRAWS))
@each_family
@torch.no_grad()
def test_scores_are_those_of_hugging_face_cached_and_not(kind: str, number: int, tmp_path):
    compare(kind, number, tmp_path)
