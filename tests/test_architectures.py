"""ch05/bonus/architectures.py: each family against Hugging Face's class, and its files."""

import inspect
import json
import os
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import torch
import transformers
from course_files import ROOT
from safetensors.torch import load_file
from test_ch05 import hub
from test_llama import compare_scores
from torch import Tensor, nn, ones
from transformers.integrations.mxfp4 import convert_moe_packed_tensors

from ch04.gpt import generate_greedy
from ch04.kv_cache import make_cache, read, weigh
from ch05.bonus.architectures import (
    FAMILIES,
    Family,
    FamilyConfig,
    FamilyModel,
    family_config,
    load_family,
    parts,
    save_family,
)
from ch05.gpt_generate import generate
from ch05.llama_weights import HF_NAMES, save_shards

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
        # Of a width of 1, a norm behind it makes 1 or -1, and of rounding near 0 as well.
        "intermediate_size": draw.randint(8, 50),
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
        "moe_intermediate_size": draw.randint(2, 30),  # they save a width of 1 without it
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
    compare_scores(*random_pair(kind, number, folder), TOLERANCE)


@pytest.mark.parametrize("number", range(DRAWS))
@each_family
@torch.no_grad()
def test_scores_are_those_of_hugging_face_cached_and_not(kind: str, number: int, tmp_path):
    try:
        compare(kind, number, tmp_path)
    except Exception:
        described = draw_description(kind, Random(f"{kind} {number}"))
        print(f"compare({kind!r}, {number}, folder) draws {described}")
        raise


@each_family
def test_the_random_configurations_reach_what_they_are_for(kind: str):
    drawn = [draw_description(kind, Random(f"{kind} {number}")) for number in range(200)]
    described = [{"model_type": kind, **d} for d in drawn]
    configs = list(map(family_config, described))
    assert len(set(configs)) == 200
    slowed = [c for c in configs if c.rope_kind != "default"]
    assert len(slowed) > 50
    assert all(c.original_context < c.context_length for c in slowed if c.rope_kind == "yarn")
    assert sum(c.n_kv_heads < c.n_heads for c in configs) > 50
    assert 50 < sum(c.tie_weights for c in configs) < 150
    past = sum(any(0 < w < c.context_length for w in c.windows) for c in configs)
    assert past == 0 if kind in ("llama", "solar_open", "glm4") else past > 50
    if kind in ("cohere2", "exaone4", "smollm3"):
        assert sum(len(set(c.rope_layers)) > 1 for c in configs) > 30
    if configs[0].n_experts:
        assert sum(c.n_active < c.n_experts for c in configs) > 50


@torch.no_grad()
def test_transformers_still_slows_all_layers_of_olmo3(tmp_path):
    """When this fails, mend_olmo3 has become needless."""
    for number in range(100):
        described = draw_description("olmo3", Random(f"olmo3 {number}"))
        config = family_config({"model_type": "olmo3", **described})
        if config.rope_kind == "yarn" and 0 < min(config.windows) and config.rope_height > 1.05:
            break
    theirs, ours, _ = random_pair("olmo3", number, tmp_path)
    for layer in theirs.model.layers:
        layer._forward_pre_hooks.clear()
    idx = torch.arange(ours.config.context_length)[None] % ours.config.vocab_size
    assert (ours(idx) - theirs(idx).logits).abs().max() > 1e-3
    slowed = FamilyModel(replace(ours.config, window_rope_slowed=True)).eval()
    slowed.load_state_dict(ours.state_dict())
    torch.testing.assert_close(slowed(idx), theirs(idx).logits, **TOLERANCE)


@pytest.mark.parametrize("number", range(5))
@each_family
@torch.no_grad()
def test_rows_of_different_lengths_have_the_scores_of_each_alone(kind, number, tmp_path):
    """Waiting rows too, and on beyond the end of the context.

    In float64: one drawn model makes of the rounding of float32 1.8e-5 here, of this one 1e-14.
    Routers compute in float32, hence 1e-6.
    """
    _, model, draw = random_pair(kind, number, tmp_path)
    model.double()
    B, length, V = 3, model.config.context_length + 4, model.config.vocab_size
    cache, rows = make_cache(model, B, length), [torch.zeros(0, dtype=torch.long)] * B
    while (room := length - max(cache.lengths)) > 0:
        T = draw.choice([1, draw.randint(1, room)])
        n_new = [draw.randint(0, T) for _ in range(B)]
        if not any(n_new):
            continue
        idx = torch.randint(V, (B, T))
        rows = [torch.cat([row, new[:n]]) for row, new, n in zip(rows, idx, n_new)]
        logits, cache = read(model, cache, idx, n_new)
        for row, n, scores in zip(rows, n_new, logits):
            if n:
                expected = model(row[None, -model.config.context_length :])[0, -1]
                torch.testing.assert_close(scores, expected, atol=1e-6, rtol=1e-6)


@each_family
def test_it_writes_text_with_the_cache_as_without(kind: str, tmp_path):
    _, model, _ = random_pair(kind, 0, tmp_path)
    idx, n_new = torch.zeros(2, 3, dtype=torch.long), model.config.context_length
    written = generate(model, idx, n_new, temperature=0)
    assert torch.equal(written, generate_greedy(model, idx, n_new))


@torch.no_grad()
def test_a_token_cannot_see_its_future_and_a_sink_sees_no_value(tmp_path):
    _, model, _ = random_pair("gpt_oss", 0, tmp_path)
    idx = torch.randint(model.config.vocab_size, (1, 12))
    changed = idx.clone()
    changed[:, 7:] = (idx[:, 7:] + 1) % model.config.vocab_size
    before, after = model.features(idx), model.features(changed)
    torch.testing.assert_close(before[:, :7], after[:, :7])
    assert not torch.allclose(before[:, 7:], after[:, 7:])
    q, k, v = torch.randn(3, 1, 2, 5, 4)
    plain, low, high = (weigh(q, k, v, None, s) for s in (None, -99 * ones(2), 99 * ones(2)))
    torch.testing.assert_close(low, plain)
    assert high.abs().max() < 1e-6


# ---- Files.


def merged(folder: Path) -> dict[str, Tensor]:
    return {n: w for f in folder.glob("*.safetensors") for n, w in load_file(f).items()}


def assert_same_bits(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        assert ours[name].dtype == weight.dtype, name
        assert torch.equal(ours[name], weight), name


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@each_family
def test_a_folder_of_theirs_and_back_is_the_same_to_the_last_bit(kind, dtype, number, tmp_path):
    """In shards, and in 16 bits, which float32 holds exactly."""
    theirs, _, _ = random_pair(kind, number, tmp_path / "first")
    theirs = type(theirs).from_pretrained(tmp_path / "first", dtype=dtype)
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size=2000)
    for read_as in {torch.float32, dtype}:
        model = load_family(tmp_path / "theirs", read_as)
        save_family(model, tmp_path / str(read_as), dtype, shard_bytes=1500)
        assert_same_bits(merged(tmp_path / str(read_as)), merged(tmp_path / "theirs"))
    again = type(theirs).from_pretrained(tmp_path / str(dtype), dtype=dtype)
    assert_same_bits(again.state_dict(), theirs.state_dict())
    assert load_family(tmp_path / str(dtype)).config == model.config


def test_every_family_comes_from_a_hub_by_its_name(tmp_path):
    """One Python of its own reads them all: the hub's address is read when it starts."""
    for kind in CLASSES:
        random_pair(kind, 1, tmp_path / "hub" / "someone" / kind)
    program = f"""
import torch
from ch05.bonus.architectures import load_family
for kind in {list(CLASSES)}:
    torch.save(load_family("someone/" + kind).state_dict(), {str(tmp_path)!r} + f"/{{kind}}.pt")
try:
    load_family("someone/nobody")
except FileNotFoundError as error:
    print(error)
"""
    with hub(tmp_path / "hub") as endpoint:
        environment = os.environ | {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
        }
        command = [sys.executable, "-c", program]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500
        )
    assert done.returncode == 0, done.stderr
    said = "someone/nobody is no folder, and the Hugging Face hub does not give it: "
    assert done.stdout.startswith(said) and done.stdout.count("\n") == 1
    for kind in CLASSES:
        here = load_family(tmp_path / "hub" / "someone" / kind).state_dict()
        assert_same_bits(torch.load(tmp_path / f"{kind}.pt"), here)


def test_experts_in_4_bits_are_read_as_transformers_unpacks_them(tmp_path):
    theirs, _, _ = random_pair("gpt_oss", 3, tmp_path / "plain")
    described = json.loads((tmp_path / "plain" / "config.json").read_text()) | {
        "hidden_size": 32, "intermediate_size": 64, "num_local_experts": 3,
        "num_experts_per_tok": 2, "quantization_config": {"quant_method": "mxfp4"},
    }  # fmt: skip
    config = family_config(described)
    state = dict(parts(FamilyModel(config)))
    state = {name: torch.randn(weight.shape) for name, weight in state.items()}
    unpacked, packed = dict(state), {}
    for name, weight in state.items():
        if name.endswith(("experts.gate_up_proj", "experts.down_proj")):
            E, columns, rows = weight.shape
            blocks = torch.randint(256, (E, rows, columns // 32, 16), dtype=torch.uint8)
            scales = torch.randint(110, 135, (E, rows, columns // 32), dtype=torch.uint8)
            unpacked[name] = convert_moe_packed_tensors(blocks, scales, dtype=torch.float32)
            packed |= {f"{name}_blocks": blocks, f"{name}_scales": scales}
        else:
            packed[name] = weight.contiguous()
    save_shards(packed, described, tmp_path / "packed", 10**9)
    ours = dict(parts(load_family(tmp_path / "packed")))
    assert_same_bits(ours, unpacked)


# ---- What stands in a config.json.


def small_description(kind: str) -> dict:
    """A description without anything drawn at random that its model_type needs."""
    return {"model_type": kind, **draw_description(kind, Random(f"{kind} 7"))}


@pytest.mark.parametrize("number", range(30))
@each_family
def test_the_form_of_config_json_before_version_5_is_read_as_well(kind: str, number: int):
    new = {"model_type": kind, **draw_description(kind, Random(f"{kind} {number}"))}
    old = deepcopy(new)
    rope = old.pop("rope_parameters")
    if kind == "gemma3_text":
        old["rope_local_base_freq"] = rope["sliding_attention"]["rope_theta"]
        rope = rope["full_attention"]
    old["rope_theta"] = rope.pop("rope_theta")
    if "partial_rotary_factor" in rope:
        old["partial_rotary_factor"] = rope.pop("partial_rotary_factor")
    old["rope_scaling"] = None if rope["rope_type"] == "default" else rope
    assert family_config(old) == family_config(new)


def test_a_pattern_says_what_layer_types_would():
    for kind, pattern, every in (
        ("gemma3_text", {"sliding_window_pattern": 6}, 6),
        ("cohere2", {"sliding_window_pattern": 4}, 4),
        ("exaone4", {"sliding_window_pattern": "LLLG"}, 4),
        ("olmo3", {}, 4),
        ("gpt_oss", {}, 2),
    ):
        described = small_description(kind) | pattern | {"num_hidden_layers": 12}
        described["sliding_window"] = 5
        described.pop("layer_types", None)
        windows = family_config(described).windows
        assert [i + 1 for i, w in enumerate(windows) if w == 0] == list(range(every, 13, every))


LONGROPE = {"rope_type": "longrope", "factor": 2.0}
HALF = {"partial_rotary_factor": 0.5}
MSCALE = {"rope_type": "yarn", "factor": 2.0, "mscale": 1.0}


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("llama", {"model_type": "gpt5"}, "^model_type is 'gpt5', none of cohere2, exaone4, "),
        (
            "llama",
            {"hidden_act": "gelu"},
            "no Llama 3 .* of ours: hidden_act is 'gelu', not 'silu'",
        ),
        ("llama", {"residual_multiplier": 0.2}, "nothing here reads residual_multiplier=0.2"),
        ("llama", {"hidden_size": None}, "emb_dim=None must be a whole number above 0"),
        ("llama", {"rope_parameters": LONGROPE}, "'longrope' is none of 'default', 'linear', "),
        ("llama", {"rope_parameters": MSCALE}, "mscale of yarn"),
        ("qwen3_moe", {"num_experts_per_tok": 99}, "n_active=99 cannot be chosen from n_experts="),
        ("gemma3_text", {"attn_logit_softcapping": 5.0}, "softcapping is 5.0, not None"),
        ("solar_open", {"n_group": 8}, "n_group is 8, not 1"),
        ("glm4", {"head_dim": 6, "rope_parameters": HALF}, "of head_dim=6 is 3, not an even"),
        ("smollm3", {"no_rope_layers": [1] * 9}, "rope_layers must hold one value for each of"),
    ],
)
def test_another_architecture_is_refused(kind: str, change: dict, message: str):
    with pytest.raises(ValueError, match=message):
        family_config(small_description(kind) | change)


def test_a_size_that_is_missing_is_named():
    described = small_description("solar_open")
    del described["n_routed_experts"]
    with pytest.raises(ValueError, match="no Solar Open of ours: 'n_routed_experts' is missing"):
        family_config(described)


def test_a_switch_that_is_not_known_is_named(monkeypatch):
    monkeypatch.setitem(FAMILIES, "own", Family("Own", lambda described: {"colour": 1}))
    with pytest.raises(ValueError, match="this is no Own of ours: no switch is called colour"):
        family_config(small_description("llama") | {"model_type": "own"})


def test_a_weight_without_a_name_or_a_place_is_named(monkeypatch, tmp_path):
    random_pair("olmo3", 0, tmp_path)
    monkeypatch.setitem(FAMILIES, "olmo3", replace(FAMILIES["olmo3"], names=HF_NAMES))
    with pytest.raises(ValueError, match="Olmo 3 has no name for blocks.0.after1.scale"):
        load_family(tmp_path)
    monkeypatch.undo()
    described = json.loads((tmp_path / "config.json").read_text())
    state = merged(tmp_path)
    for file in tmp_path.iterdir():
        file.unlink()
    del state["model.norm.weight"]
    save_shards(state | {"extra": torch.ones(1)}, described, tmp_path, 10**9)
    with pytest.raises(
        ValueError, match="extra is not a weight of this model; model.norm.weight is missing"
    ):
        load_family(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="model.safetensors is not there"):
        load_family(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="config.json is not there"):
        load_family(tmp_path)


def test_a_model_that_came_from_no_config_json_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="this model was not made from a config.json"):
        save_family(FamilyModel(FamilyConfig(9, 8, 8, 2, 1, 1, 4, 5)), tmp_path)


@pytest.mark.parametrize("switch", ["rms_norm", "rotary", "swiglu"])
def test_a_switch_of_gpt2_is_refused(switch: str):
    with pytest.raises(ValueError, match="no family here has a switch of GPT-2"):
        FamilyConfig(**{switch: False})


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_family_takes_fewer_than_150_lines(kind: str):
    assert len(inspect.getsource(FAMILIES[kind].switches).splitlines()) < 150
    assert kind in CLASSES and len(CLASSES) >= 10
