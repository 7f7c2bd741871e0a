"""Llama and Qwen3: our decoder against Hugging Face's classes, and the way to their files."""

import json
import math
from dataclasses import asdict, replace
from random import Random

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import LlamaConfig as TheirLlamaConfig
from transformers import LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from appendix_e.lora import add_lora, merge_lora
from ch04.gpt import GPTConfig, GPTModel, count_parameters, generate_greedy
from ch04.kv_cache import can_keep, make_cache, read
from ch05.gpt_generate import generate
from ch05.gpt_weights import load_pretrained
from ch05.llama import GPT2_SWITCHES, LlamaConfig, LlamaModel, RMSNorm, rope_angles, rotate
from ch05.llama_weights import (
    hf_config,
    hf_state,
    llama_config,
    load_hf_state,
    load_llama,
    save_llama,
)
from ch06 import gpt_class_finetune
from ch06.gpt_class_finetune import GPTClassifier, save_classifier, train_only

CLASSES = {
    "llama": (TheirLlamaConfig, LlamaForCausalLM),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM),
}
SMALL = LlamaConfig(
    vocab_size=61, context_length=24, emb_dim=24, n_heads=6, n_layers=2,
    n_kv_heads=2, head_dim=8, hidden_dim=40, rope_base=100.0, original_context=8,
)  # fmt: skip
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}


def random_description(kind: str, draw: Random) -> dict:
    """A config.json as the hub has them, with every switch drawn."""
    n_kv_heads, n_layers = draw.choice([1, 2, 3]), draw.randint(1, 3)
    context = draw.randint(8, 48)
    rope = {"rope_type": "default", "rope_theta": 10 ** draw.uniform(1, 6)}
    if draw.random() < 0.5:
        rope |= {
            "rope_type": "llama3",
            "factor": draw.uniform(1.5, 32),
            "low_freq_factor": draw.uniform(0.5, 1.5),
            "high_freq_factor": draw.uniform(2, 6),
            "original_max_position_embeddings": draw.randint(2, context - 1),
        }
    described = {
        "model_type": kind,
        "vocab_size": draw.randint(2, 90),
        "max_position_embeddings": context,
        "hidden_size": draw.choice([4, 12, 30]),
        "intermediate_size": draw.randint(1, 50),
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_kv_heads * draw.choice([1, 2, 4]),
        "num_key_value_heads": n_kv_heads,
        "head_dim": draw.choice([2, 4, 8, 10]),
        "rms_norm_eps": 10 ** draw.uniform(-6, -2),
        "rope_parameters": rope,
        "attention_bias": draw.random() < 0.5,
        "tie_word_embeddings": draw.random() < 0.5,
    }
    if kind == "llama":
        return described | {"mlp_bias": draw.random() < 0.5}
    if draw.random() < 0.3:
        return described
    # From 2 on: their cache keeps everything at width 1, and then no mask fits it.
    window = {"use_sliding_window": True, "sliding_window": draw.randint(2, context // 2)}
    if draw.random() < 0.5:
        return described | window | {"max_window_layers": draw.randint(0, n_layers)}
    types = ["full_attention", "sliding_attention"]
    return described | window | {"layer_types": [draw.choice(types) for _ in range(n_layers)]}


def random_pair(kind: str, number: int) -> tuple[nn.Module, LlamaModel, Random]:
    """Their model and ours, of one description and with the same lively weights."""
    draw = Random(f"{kind} {number}")
    torch.manual_seed(number)
    described = random_description(kind, draw)
    their_config, their_model = CLASSES[kind]
    special = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    theirs = their_model(their_config(**described, **special)).eval()
    with torch.no_grad():  # fresh weights are too small to tell one token from another
        for name, p in theirs.named_parameters():  # these keep vectors at their length
            size = p.shape[-1] ** -0.5 if p.dim() > 1 else 0.2
            p.copy_(size * torch.randn_like(p) + ("norm" in name))
    ours = LlamaModel(llama_config(described)).eval()
    load_hf_state(ours, theirs.state_dict())
    return theirs, ours, draw


def lively(config: LlamaConfig) -> LlamaModel:
    model = LlamaModel(config).eval()
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.copy_(0.3 * torch.randn_like(p) + ("scale" in name))
    return model


# ---- The same scores as Hugging Face's classes.


@torch.no_grad()
def compare_scores(theirs: nn.Module, ours: nn.Module, draw: Random, tolerance: dict) -> None:
    """Two rows as long as the context: read at once, and on from a cache in random pieces.

    In float64: what is left of a difference in float32 is rounding, which differs by processor.
    """
    theirs, ours = theirs.double(), ours.double()
    T = ours.config.context_length
    idx = torch.randint(ours.config.vocab_size, (2, T))
    expected = theirs(idx, use_cache=False).logits
    torch.testing.assert_close(ours(idx), expected, **tolerance)
    cache, their_cache, start = make_cache(ours, 2, T), None, 0
    assert cache.kept is not None
    while start < T:
        end = start + draw.choice([1, draw.randint(1, T - start)])
        logits, cache = read(ours, cache, idx[:, start:end])
        answer = theirs(idx[:, start:end], past_key_values=their_cache, use_cache=True)
        their_cache = answer.past_key_values
        torch.testing.assert_close(logits, expected[:, end - 1], **tolerance)
        torch.testing.assert_close(logits, answer.logits[:, -1], **tolerance)
        start = end


@pytest.mark.parametrize("number", range(200))
@pytest.mark.parametrize("kind", CLASSES)
def test_scores_are_those_of_hugging_face_cached_and_not(kind: str, number: int):
    compare_scores(*random_pair(kind, number), TOLERANCE)


def test_the_random_configurations_reach_what_they_are_for():
    """Long texts with slower turns, windows that are passed, shared heads, both outputs."""
    configs = {
        kind: [
            llama_config(random_description(kind, Random(f"{kind} {number}")))
            for number in range(200)
        ]
        for kind in CLASSES
    }
    for kind, drawn in configs.items():
        assert len(set(drawn)) == 200
        assert sum(c.rope_factor > 1 for c in drawn) > 50
        assert all(c.original_context < c.context_length for c in drawn if c.rope_factor > 1)
        assert sum(c.n_kv_heads < c.n_heads for c in drawn) > 50
        assert sum(c.n_heads * c.head_dim != c.emb_dim for c in drawn) > 50
        assert 50 < sum(c.tie_weights for c in drawn) < 150
        assert 50 < sum(c.qkv_bias for c in drawn) < 150
        past = sum(any(0 < w < c.context_length for w in c.windows) for c in drawn)
        assert past > 50 if kind == "qwen3" else past == 0
    assert sum(len(set(c.windows)) > 1 for c in configs["qwen3"]) > 20  # full and sliding layers


@pytest.mark.parametrize("number", range(30))
@torch.no_grad()
def test_rows_of_different_lengths_have_the_scores_of_each_alone(number: int):
    """With and without windows, waiting rows, and on beyond the end of the context."""
    draw = Random(number)
    config = replace(SMALL, rope_factor=draw.choice([1.0, 4.0]), windows=draw.choice([(), (0, 5)]))
    model, B, length = lively(config), 3, 30
    cache, rows = make_cache(model, B, length), [torch.zeros(0, dtype=torch.long)] * B
    while (room := length - max(cache.lengths)) > 0:
        T = draw.choice([1, draw.randint(1, room)])
        n_new = [draw.randint(0, T) for _ in range(B)]
        if not any(n_new):
            continue
        idx = torch.randint(config.vocab_size, (B, T))
        rows = [torch.cat([row, new[:n]]) for row, new, n in zip(rows, idx, n_new)]
        logits, cache = read(model, cache, idx, n_new)
        for row, n, scores in zip(rows, n_new, logits):
            if n:
                expected = model(row[None, -config.context_length :])[0, -1]
                torch.testing.assert_close(scores, expected, **TOLERANCE)


# ---- The switches.


@pytest.mark.parametrize("tie_weights", [False, True])
@torch.no_grad()
def test_with_the_switches_of_gpt2_it_is_a_gpt_model(tie_weights: bool):
    gpt = GPTModel(
        GPTConfig(61, 16, 24, 3, 2, drop_rate=0.0, qkv_bias=True, tie_weights=tie_weights)
    ).eval()
    sizes = {"vocab_size": 61, "context_length": 16, "emb_dim": 24, "n_heads": 3, "n_layers": 2}
    rest = {"n_kv_heads": 3, "head_dim": 8, "hidden_dim": 96, "tie_weights": tie_weights}
    model = LlamaModel(LlamaConfig(**sizes, **rest, **GPT2_SWITCHES)).eval()
    model.load_state_dict(gpt.state_dict())  # every name and shape is the same
    idx = torch.randint(61, (2, 16))
    torch.testing.assert_close(model(idx), gpt(idx), atol=1e-6, rtol=1e-6)
    assert torch.equal(
        generate(model, idx[:, :3], 9, temperature=0), generate_greedy(gpt, idx[:, :3], 9)
    )


@pytest.mark.parametrize(
    "switch",
    [
        {"rms_norm": False}, {"rotary": False}, {"swiglu": False}, {"n_kv_heads": 6},
        {"qkv_bias": True}, {"proj_bias": True}, {"mlp_bias": True}, {"qk_norm": True},
        {"tie_weights": False}, {"windows": (3, 0)}, {"rope_factor": 8.0},
    ],
    ids=str,
)  # fmt: skip
@torch.no_grad()
def test_each_switch_alone_changes_the_model_and_still_reads_on(switch: dict):
    model, idx = lively(replace(SMALL, **switch)), torch.randint(61, (1, 24))
    plain = lively(SMALL)
    same_names = {
        n: w for n, w in model.state_dict().items()
        if n in plain.state_dict() and w.shape == plain.state_dict()[n].shape
    }  # fmt: skip
    plain.load_state_dict(same_names, strict=False)
    assert (model(idx) - plain(idx)).abs().max() > 1e-3
    assert torch.equal(
        generate(model, idx[:, :4], 24, temperature=0), generate_greedy(model, idx[:, :4], 24)
    )


@torch.no_grad()
def test_only_the_distance_of_two_tokens_counts_for_rotary_scores():
    q, k = torch.randn(1, 1, 2, 8).split(1, dim=2)

    def score(i: int, j: int) -> Tensor:
        angles = [rope_angles(SMALL, torch.tensor([n])) for n in (i, j)]
        turned = [rotate(x, a.cos(), a.sin()) for x, a in zip((q, k), angles)]
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(score(3, 1), score(17, 15), atol=1e-5, rtol=1e-5)
    assert (score(3, 1) - score(3, 2)).abs() > 1e-3


def test_neighbours_far_from_the_start_are_told_apart():
    """With 8 bits for the digits, as in bfloat16, 4,000 and 4,001 would be one number."""
    places = torch.arange(4000, 4100)
    angles = rope_angles(replace(SMALL, context_length=4100), places)[0]
    torch.testing.assert_close(angles[:, 0], places.float())  # the fastest pair: a radian each
    assert (angles.diff(dim=0) > 0).all()


def test_slower_turns_leave_the_fast_pairs_and_slow_the_slow_ones():
    """Of Llama 3.1's own numbers: the first pair turns as before, the last 8 times as slowly."""
    llama31 = replace(
        SMALL, head_dim=128, rope_base=500_000.0, rope_factor=8.0, original_context=8192
    )
    one = torch.tensor([1])
    ratio = rope_angles(replace(llama31, rope_factor=1.0), one) / rope_angles(llama31, one)
    assert ratio[0, 0, 0] == 1 and ratio[0, 0, -1] == 8
    assert (ratio.diff() >= 0).all() and ((ratio > 1) & (ratio < 8)).any()


def test_rms_norm_is_its_formula():
    x, norm = torch.randn(3, 5), RMSNorm(5, eps=0.1)
    nn.init.normal_(norm.scale)
    expected = x / (x.square().mean(dim=-1, keepdim=True) + 0.1).sqrt() * norm.scale
    torch.testing.assert_close(norm(x), expected)


@torch.no_grad()
def test_a_token_cannot_see_its_future():
    model, idx = lively(replace(SMALL, windows=(4, 0))), torch.randint(61, (1, 12))
    changed = idx.clone()
    changed[:, 7:] = (idx[:, 7:] + 1) % 61
    before, after = model(idx), model(changed)
    assert torch.equal(before[:, :7], after[:, :7]) and not torch.equal(before, after)


def test_the_defaults_are_the_sizes_of_smollm2():
    with torch.device("meta"):
        model = LlamaModel(LlamaConfig())
    assert count_parameters(model) == 134_515_008


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_layers": 0}, "n_layers=0 must be a whole number above 0"),
        ({"emb_dim": 2.5}, "emb_dim=2.5 must be a whole number above 0"),
        ({"norm_eps": 0.0}, "norm_eps=0.0 must be a number above 0"),
        ({"rope_base": math.inf}, "rope_base=inf must be a number above 0"),
        ({"rope_factor": math.nan}, "rope_factor=nan must be a number above 0"),
        ({"head_dim": None}, "head_dim=None must be a whole number above 0"),
        ({"n_kv_heads": 4}, "n_heads=6 is not a multiple of n_kv_heads=4"),
        ({"head_dim": 7}, "head_dim=7 must be even: it turns in pairs"),
        ({"rope_low": 4.0}, "rope_low=4.0 must be below rope_high=4.0"),
        ({"windows": (1,)}, r"windows=\(1,\) must hold a width for each of 2 layers, or nothing"),
        ({"windows": (1, -1)}, r"windows=\(1, -1\) must hold"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(wrong: dict, message: str):
    with pytest.raises(ValueError, match=f"^{message}"):
        replace(SMALL, **wrong)


@pytest.mark.parametrize(
    ("idx", "message"),
    [
        (torch.zeros(1, 25, dtype=torch.long), "25 tokens do not fit into context_length=24"),
        (torch.tensor([[61]]), "id 61 is outside vocab_size=61"),
        (torch.tensor([[3, -1]]), "id -1 is outside vocab_size=61"),
    ],
)
def test_ids_that_cannot_be_read_are_refused(idx: Tensor, message: str):
    with pytest.raises(ValueError, match=message):
        LlamaModel(SMALL)(idx)


# ---- What the course does with a GPT, it does with a Llama.


def test_a_class_below_is_read_without_a_cache():
    """It may do something else: it says for itself whether it can be read on."""

    class Louder(LlamaModel):
        def forward(self, idx: Tensor) -> Tensor:
            return 2 * super().forward(idx)

    model, idx = Louder(SMALL).eval(), torch.randint(61, (1, 5))
    assert can_keep(LlamaModel(SMALL)) and not can_keep(model)
    logits, _ = read(model, make_cache(model, 1, 5), idx)
    torch.testing.assert_close(logits, model(idx)[:, -1].detach())


def test_the_cache_keeps_the_shared_heads_only():
    cache = make_cache(LlamaModel(SMALL), 3, 10)
    assert cache.kept.shape == (2, 3, 10, 2, 2, 8)


@pytest.mark.parametrize("layers", ["head", "last-block", "all"])
def test_it_is_finetuned_as_a_classifier(layers: str):
    model = GPTClassifier(lively(SMALL))
    train_only(model, layers)
    idx, end, labels = torch.randint(61, (8, 9)), torch.full((8,), 8), torch.tensor([0, 1] * 4)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer, losses = torch.optim.AdamW(trained, lr=0.05), []
    for _ in range(10):
        loss = nn.functional.cross_entropy(model(idx, end), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_a_classifier_made_of_it_is_not_saved_and_the_command_says_so_at_once(tmp_path, refusal):
    _, tokenizer = load_pretrained("course")
    model = lively(replace(SMALL, vocab_size=tokenizer.vocab_size))
    with pytest.raises(ValueError, match="is not saved: it is made of a LlamaModel, not of a GPT"):
        save_classifier(GPTClassifier(model), tokenizer, tmp_path / "classifier")
    save_llama(model, tmp_path / "llama", tokenizer)
    said = refusal(gpt_class_finetune, "--model", tmp_path / "llama", "--out", tmp_path / "out")
    assert "llama is for --table only: a classifier made of a LlamaModel is not saved" in said
    assert {path.name for path in tmp_path.iterdir()} == {"llama"}


def test_it_takes_lora_and_gives_it_back():
    model, idx = lively(SMALL), torch.randint(61, (1, 8))
    before = model(idx)
    names = add_lora(model, rank=2, alpha=4)
    assert len(names) == 4 * SMALL.n_layers
    torch.testing.assert_close(model(idx), before)
    for name, p in model.named_parameters():
        if name.endswith("lora.B"):
            nn.init.normal_(p, std=0.5)
    changed = model(idx).detach()
    assert (changed - before).abs().max() > 0.01
    logits, _ = read(model, make_cache(model, 1, 8), idx)
    torch.testing.assert_close(logits, changed[:, -1], **TOLERANCE)
    merge_lora(model)
    torch.testing.assert_close(model(idx), changed, atol=1e-4, rtol=1e-4)


# ---- Files.


def assert_same_bits(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        assert ours[name].dtype == weight.dtype
        assert torch.equal(ours[name], weight), name


@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", CLASSES)
def test_a_folder_of_theirs_and_back_is_the_same_to_the_last_bit(kind, dtype, number, tmp_path):
    """In shards, and in 16 bits, which float32 holds exactly."""
    theirs, _, _ = random_pair(kind, number)
    theirs.to(dtype).save_pretrained(tmp_path / "theirs", max_shard_size=2000)
    model = load_llama(tmp_path / "theirs")
    assert all(p.dtype == torch.float32 for p in model.parameters())
    save_llama(model.to(dtype), tmp_path / "ours", shard_bytes=1500)
    files = sorted((tmp_path / "theirs").glob("*.safetensors"))
    shards = sorted((tmp_path / "ours").glob("*.safetensors"))
    merged = [{n: w for f in fs for n, w in load_file(f).items()} for fs in (shards, files)]
    assert_same_bits(*merged)
    again = CLASSES[kind][1].from_pretrained(tmp_path / "ours", dtype=dtype)
    assert_same_bits(again.state_dict(), theirs.state_dict())
    assert asdict(load_llama(tmp_path / "ours").config) == asdict(model.config)


def test_shards_are_as_small_as_asked_and_one_file_needs_no_index(tmp_path):
    model = lively(SMALL)
    save_llama(model, tmp_path / "one")
    assert {p.name for p in (tmp_path / "one").iterdir()} == {"config.json", "model.safetensors"}
    save_llama(model, tmp_path / "many", shard_bytes=6000)
    shards = list((tmp_path / "many").glob("*.safetensors"))
    sizes = [[w.nbytes for w in load_file(shard).values()] for shard in shards]
    assert len(shards) > 3 and all(sum(s) <= 6000 or len(s) == 1 for s in sizes)
    index = json.loads((tmp_path / "many" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(map(sum, sizes))
    assert_same_bits(load_llama(tmp_path / "many").state_dict(), model.state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.pop("model.norm.weight"), "model.norm.weight is missing"),
        (lambda s: s.update(extra=torch.ones(1)), "extra is not a weight of this model"),
        (
            lambda s: s.update({"model.norm.weight": torch.ones(5)}),
            r"model.norm.weight is \(5,\), not \(24,\)",
        ),
        (
            lambda s: s.update({"model.norm.weight": torch.ones(24, dtype=torch.int8)}),
            "model.norm.weight is torch.int8, not floating-point",
        ),
        (
            lambda s: s.update({"lm_head.weight": torch.ones(61, 24)}),
            "lm_head.weight differs from model.embed_tokens.weight: use tie_weights=False",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_and_the_model_is_as_it_was(change, message):
    model = LlamaModel(SMALL)
    before, state = {n: w.clone() for n, w in model.state_dict().items()}, hf_state(lively(SMALL))
    change(state)
    with pytest.raises(ValueError, match=message):
        load_hf_state(model, state)
    assert_same_bits(model.state_dict(), before)


def test_what_old_files_hold_beside_the_weights_is_passed_over():
    state = hf_state(lively(SMALL))
    state["lm_head.weight"] = state["model.embed_tokens.weight"].clone()
    state["model.layers.0.self_attn.rotary_emb.inv_freq"] = torch.ones(4)
    model = LlamaModel(SMALL)
    load_hf_state(model, state)
    assert torch.equal(model.final_norm.scale, state["model.norm.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt2"}, "model_type is 'gpt2', not 'llama' or 'qwen3'"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu', not 'silu'"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope_type is 'yarn'"),
        ({"hidden_size": None, "head_dim": 8}, "emb_dim=None must be a whole number above 0"),
        ({"num_key_value_heads": 5}, "n_heads=6 is not a multiple of n_kv_heads=5"),
        ({"hidden_size": "24", "head_dim": 8}, "emb_dim='24' must be a whole number above 0"),
    ],
)
def test_another_architecture_is_refused(change: dict, message: str):
    with pytest.raises(ValueError, match=f"^this is no Llama or Qwen3 of ours: {message}"):
        llama_config(hf_config(SMALL) | {"head_dim": None} | change)


def test_a_size_that_is_missing_is_named_and_some_may_be_missing():
    described = hf_config(SMALL)
    for name in ("num_key_value_heads", "head_dim", "rms_norm_eps"):
        del described[name]
    config = llama_config(described)
    assert (config.n_kv_heads, config.head_dim, config.norm_eps) == (6, 4, 1e-6)
    del described["intermediate_size"]
    with pytest.raises(ValueError, match="'intermediate_size' is missing"):
        llama_config(described)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_form_of_config_json_before_version_5_is_read_as_well(kind):
    for number in range(50):
        new = random_description(kind, Random(number))
        old = dict(new)
        rope = dict(old.pop("rope_parameters"))
        old["rope_theta"] = rope.pop("rope_theta")
        old["rope_scaling"] = None if rope["rope_type"] == "default" else rope
        assert llama_config(old) == llama_config(new)


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"swiglu": False}, "no Llama and no Qwen3 has a switch of GPT-2"),
        ({"qkv_bias": True}, "has qkv_bias without proj_bias, or the reverse"),
        ({"qk_norm": True, "windows": (2, 3)}, "has windows of several widths"),
        ({"windows": (2, 2)}, "has windows without qk_norm"),
        ({"qk_norm": True, "mlp_bias": True}, "has mlp_bias with qk_norm"),
    ],
)
def test_what_no_class_of_theirs_computes_is_not_written(switches, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        save_llama(LlamaModel(replace(SMALL, **switches)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_damaged_folder_is_refused_in_one_sentence(tmp_path):
    save_llama(lively(SMALL), tmp_path, shard_bytes=6000)
    shard = sorted(tmp_path.glob("*.safetensors"))[1]
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"^{shard}: "):
        load_llama(tmp_path)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match=f"{shard} is not there"):
        load_llama(tmp_path)
    save_file({"model.norm.weight": torch.ones(24)}, shard)
    with pytest.raises(ValueError, match="these weights do not fit the model: .* is missing"):
        load_llama(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="config.json: "):
        load_llama(tmp_path)
