"""What a model keeps of its past: every way against its class of transformers, and step by step."""

import json
import math

import pytest
import torch
from scipy import stats
from torch import nn

from ch04.bonus import attention_zoo
from ch04.bonus.attention_zoo import (
    CONTROL,
    INDEX_DIM,
    ROWS,
    LatentAttention,
    Variant,
    ZooAttention,
    ZooCache,
    ZooModel,
    best_of,
    bytes_per_token,
    check_variant,
    convert,
    index_loss,
    index_scores,
    input_moments,
    low_rank,
    paired_difference,
    pooled,
    read_record,
    read_tokens,
    rounded,
    tabulate,
    train_indexers,
)
from ch04.gpt import GPTConfig, GPTModel
from ch04.kv_cache import causal_mask

SMALL = GPTConfig(61, 40, 32, 4, 4, drop_rate=0.0, qkv_bias=True, tie_weights=True)
TINY = ("--steps", 1, "--batch-size", 1, "--seeds", 1, "--held-out-bytes", 300, "--device", "cpu")
VARIANTS = [
    Variant(),
    Variant(n_kv_heads=2),
    Variant(n_kv_heads=1, sources=(0, 0, 2, 2), windows=(5, 5, 0, 0)),
    Variant(rank=7),
    Variant(rank=7, windows=(3, 0, 5, 1)),
    Variant(sources=(0, 0, 0, 0)),
    Variant(top_k=6),
    Variant(bits=8),
]


def lively(module: nn.Module) -> nn.Module:
    """With weights large enough that every part of the result counts."""
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(0.3 * torch.randn_like(p))
    return module.eval()


class Applied(nn.Module):
    """A function where a layer is expected."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


# ---- The model and its rings.


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_step_by_step_it_predicts_as_at_once(variant):
    # In float64 no rounding to 8 bits, and no choice of the best, hangs on the last digit.
    model, idx = lively(ZooModel(SMALL, variant)).double(), torch.randint(61, (2, 30))
    whole = model(idx)
    for n_prompt in (1, 2, 5, 6, 17):
        cache = ZooCache(model, 2, 30)
        logits = [read_tokens(model, cache, idx[:, :n_prompt])]
        logits += [read_tokens(model, cache, idx[:, i : i + 1]) for i in range(n_prompt, 30)]
        torch.testing.assert_close(
            torch.stack(logits, dim=1), whole[:, n_prompt - 1 :], atol=1e-8, rtol=1e-8
        )


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_token_cannot_see_its_future(variant):
    model, idx = lively(ZooModel(SMALL, variant)), torch.randint(61, (1, 20))
    other = idx.clone()
    other[:, 12:] = (other[:, 12:] + 1) % 61
    torch.testing.assert_close(model(idx)[:, :12], model(other)[:, :12])


@torch.no_grad()
def test_a_window_of_one_layer_reads_so_many_tokens_and_no_more():
    config = GPTConfig(61, 40, 32, 4, 1, drop_rate=0.0)
    model, idx = lively(ZooModel(config, Variant(windows=(5,)))), torch.randint(61, (1, 20))
    for back, changes in ((4, True), (5, False)):
        other = idx.clone()
        other[0, 19 - back] = (other[0, 19 - back] + 1) % 61
        assert torch.equal(model(idx)[0, -1], model(other)[0, -1]) is not changes


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v.bits == 32], ids=str)
def test_the_rings_are_as_large_as_the_formula_says(variant):
    cache = ZooCache(ZooModel(SMALL, variant), 3, 40)
    assert cache.nbytes == 3 * 40 * bytes_per_token(variant, SMALL, 40)["kept"]


def test_what_the_rows_keep_of_the_courses_model():
    config = GPTConfig(2048, 256, 256, 4, 4, drop_rate=0.0, qkv_bias=True, tie_weights=True)
    kept = {name: bytes_per_token(v, config, 256)["kept"] for name, v in ROWS.items()}
    assert kept[CONTROL] == 8192 and kept["latent of 32"] == kept["window of 32"] / 2 == 512
    assert kept["2 key-value heads"] == kept["layers share in pairs"] == 4096
    assert kept["window of 32, 4 bits"] == 1152 / 8
    assert kept["4 bits"] == 8192 / 8 * 9 / 8 and kept["best 32"] == 8192 + 4 * 4 * INDEX_DIM
    reads = {name: bytes_per_token(v, config, 256)["read"] for name, v in ROWS.items()}
    assert reads["layers share in pairs"] == reads[CONTROL] == 8192
    assert reads["best 32"] == 8192 / 8 + 4 * 4 * INDEX_DIM


@torch.no_grad()
def test_a_prompt_comes_first_and_fits():
    model, idx = ZooModel(SMALL, Variant()).eval(), torch.randint(61, (1, 9))
    cache = ZooCache(model, 1, 10)
    read_tokens(model, cache, idx)
    with pytest.raises(ValueError, match="2 tokens at once go only into an empty cache"):
        read_tokens(model, cache, idx[:, :2])
    read_tokens(model, cache, idx[:, :1])
    with pytest.raises(ValueError, match="11 tokens do not fit into the cache"):
        read_tokens(model, cache, idx[:, :1])


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (Variant(n_kv_heads=3), "n_heads=4 is not a multiple of n_kv_heads=3"),
        (Variant(windows=(3, 3)), "must hold a number from 0 for each of 4 layers"),
        (Variant(sources=(0, 2, 2, 2)), "layer 1 cannot read from layer 2"),
        (Variant(sources=(0, 0, 1, 1)), "layer 2 cannot read from layer 1"),
        (
            Variant(sources=(0, 0, 2, 2), windows=(3, 4, 0, 0)),
            "layers 0 and 1 share: they need one window",
        ),
        (Variant(rank=4, bits=8), "a latent goes only with windows here"),
        (Variant(top_k=-1), "top_k=-1 is below 0"),
        (Variant(bits=1), "bits=1 must be from 2 to 32"),
    ],
)
def test_a_variant_that_no_model_can_be_is_refused(variant, message):
    with pytest.raises(ValueError, match=message):
        ZooModel(SMALL, variant)


# ---- The trained model, converted.


@torch.no_grad()
@pytest.mark.parametrize(
    "variant",
    [
        Variant(),
        Variant(n_kv_heads=4),
        Variant(rank=32),
        Variant(windows=(40,) * 4),
        Variant(top_k=40),
        Variant(sources=(0, 1, 2, 3)),
    ],
    ids=str,
)
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_a_conversion_that_loses_nothing_predicts_the_same(variant, qkv_bias):
    config = GPTConfig(61, 40, 32, 4, 4, drop_rate=0.0, qkv_bias=qkv_bias, tie_weights=True)
    model, idx = lively(GPTModel(config)), torch.randint(61, (2, 40))
    before = model(idx)
    torch.testing.assert_close(convert(model, variant)(idx), before, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(model(idx), before)


def test_pooling_takes_the_mean_of_neighbouring_heads():
    x = torch.arange(8.0)  # four heads of two numbers
    assert pooled(x, 4, 2).tolist() == [1, 2, 5, 6] and pooled(x, 4, 1).tolist() == [3, 4]
    assert torch.equal(pooled(x, 4, 4), x)


def test_the_latent_is_the_best_one_of_its_rank():
    weight, x = torch.randn(20, 12), torch.randn(500, 12) @ torch.randn(12, 12)
    moments = x.mT @ x / 500
    down, up = low_rank(weight, 5, moments)
    lost = ((x @ (up @ down - weight).mT) ** 2).sum()
    rest = torch.linalg.svdvals((x @ weight.mT).double())[5:].square().sum()
    torch.testing.assert_close(lost.double(), rest, rtol=1e-4, atol=1e-4)
    plain_down, plain_up = low_rank(weight, 5, torch.eye(12))
    u, s, v = torch.linalg.svd(weight)
    torch.testing.assert_close(
        plain_up @ plain_down, u[:, :5] * s[:5] @ v[:5], rtol=1e-4, atol=1e-5
    )
    assert lost < ((x @ (plain_up @ plain_down - weight).mT) ** 2).sum()


def test_moments_are_those_of_the_inputs_of_each_attention():
    model, idx = lively(GPTModel(SMALL)), torch.randint(61, (2, 9))
    seen = []
    for block in model.blocks:
        block.norm1.register_forward_hook(lambda _, __, x: seen.append(x.flatten(0, 1)))
    model(idx)
    for moments, x in zip(input_moments(model, idx), seen[:4], strict=True):
        torch.testing.assert_close(moments, x.mT @ x / 18, atol=1e-4, rtol=1e-4)


def test_rounding_keeps_zero_and_the_largest_and_passes_the_gradient_on():
    x = torch.tensor([[0.0, 0.4, -1.0, 4.0, 0.0, 0.1]], requires_grad=True)
    near = rounded(x, 3, 3)  # steps of a third of the largest
    torch.testing.assert_close(near, torch.tensor([[0.0, 1 / 3, -1.0, 4.0, 0.0, 0.0]]))
    near.sum().backward()
    assert x.grad.tolist() == [[1.0] * 6]


# ---- Against transformers.


@torch.no_grad()
@pytest.mark.parametrize("seed", range(5))
def test_latent_attention_is_that_of_deepseek_v3_plain_and_absorbed(seed):
    pytest.importorskip("transformers")
    from transformers import DeepseekV3Config
    from transformers.models.deepseek_v3.modeling_deepseek_v3 import (
        DeepseekV3Attention,
        DeepseekV3RotaryEmbedding,
    )

    torch.manual_seed(seed)
    H, rank, q_rank, head, rope, value = (
        int(torch.randint(low, high, ())) * step
        for low, high, step in ((1, 6, 1), (3, 20, 1), (3, 20, 1), (1, 9, 1), (1, 5, 2), (1, 9, 1))
    )
    config = DeepseekV3Config(
        hidden_size=24,
        num_attention_heads=H,
        num_key_value_heads=H,
        kv_lora_rank=rank,
        q_lora_rank=q_rank,
        qk_nope_head_dim=head,
        qk_rope_head_dim=rope,
        v_head_dim=value,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        attn_implementation="eager",
    )
    theirs = lively(DeepseekV3Attention(config, 0))
    ours = LatentAttention(24, H, rank, q_rank, head, rope, value, rope_base=100.0).eval()
    pairs = {
        "q_down": "q_a_proj",
        "q_norm": "q_a_layernorm",
        "q_up": "q_b_proj",
        "kv_down": "kv_a_proj_with_mqa",
        "kv_norm": "kv_a_layernorm",
        "kv_up": "kv_b_proj",
        "proj": "o_proj",
    }
    for our, their in pairs.items():
        getattr(ours, our).weight.copy_(getattr(theirs, their).weight)
    x, positions = torch.randn(2, 11, 24), torch.arange(11)
    mask = causal_mask(positions, 11)[0]
    turns = DeepseekV3RotaryEmbedding(config)(x, positions[None])
    added = torch.zeros(11, 11).masked_fill(~mask, -torch.inf)[None, None]
    expected, _ = theirs(x, turns, added)
    kept = ours.keep(x, positions)
    assert kept.shape == (2, 11, rank + rope)
    for way in (ours, ours.absorbed):
        torch.testing.assert_close(way(x, kept, positions, mask), expected, atol=1e-5, rtol=1e-4)
        # A step: the last token alone reads what was kept.
        last = way(x[:, -1:], kept, positions[-1:], mask[-1:])
        torch.testing.assert_close(last, expected[:, -1:], atol=1e-5, rtol=1e-4)


def zoo_attention(theirs, n_heads: int, n_kv_heads: int, window: int) -> ZooAttention:
    """Ours with another class's weights and norms, at positions that turn nothing."""
    C, D = theirs.q_proj.in_features, theirs.head_dim
    config = GPTConfig(61, 40, C, n_heads, 1)
    assert n_heads * D == C
    ours = ZooAttention(config, Variant(n_kv_heads=n_kv_heads, windows=(window,)), 0)

    def normed(norm, x):
        one_head = norm.weight.shape[0] == D  # gemma's; olmo's stands over all heads
        return norm(x.unflatten(-1, (-1, D))).flatten(-2) if one_head else norm(x)

    scale = theirs.scaling * D**0.5  # ours divides by the root of D
    value_norm = getattr(theirs, "v_norm", None)
    ours.query = Applied(lambda x: scale * normed(theirs.q_norm, theirs.q_proj(x)))

    def keys_and_values(x):
        k, v = normed(theirs.k_norm, theirs.k_proj(x)), theirs.v_proj(x)
        if value_norm is not None:
            v = value_norm(v.unflatten(-1, (-1, D))).flatten(-2)
        return torch.cat([k, v], dim=-1)

    ours.kv, ours.proj = Applied(keys_and_values), theirs.o_proj
    return ours


def still(T: int, D: int):
    """The turn that changes nothing: cosines 1 and sines 0."""
    return torch.ones(1, T, D), torch.zeros(1, T, D)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["gemma3", "olmo3"])
@pytest.mark.parametrize("window", [1, 2, 5, 11, 30])
def test_windows_are_those_of_gemma3_and_olmo3_at_once_and_step_by_step(kind, window):
    pytest.importorskip("transformers")
    from transformers import DynamicCache, Gemma3TextConfig, Olmo3Config
    from transformers.masking_utils import create_sliding_window_causal_mask
    from transformers.models.gemma3.modeling_gemma3 import Gemma3Attention
    from transformers.models.olmo3.modeling_olmo3 import Olmo3Attention

    make, attention = {
        "gemma3": (Gemma3TextConfig, Gemma3Attention),
        "olmo3": (Olmo3Config, Olmo3Attention),
    }[kind]
    H, K, D, T = 4, 2, 6, 16
    config = make(
        hidden_size=H * D,
        num_attention_heads=H,
        num_key_value_heads=K,
        head_dim=D,
        num_hidden_layers=1,
        layer_types=["sliding_attention"],
        sliding_window=window,
        query_pre_attn_scalar=D,
        attn_implementation="eager",
    )
    theirs = lively(attention(config, 0))
    ours, x = zoo_attention(theirs, H, K, window), torch.randn(2, T, H * D)

    def mask_of(part, positions, cache=None):
        return create_sliding_window_causal_mask(
            config,
            part,
            attention_mask=None,
            cache_position=positions,
            past_key_values=cache,
            position_ids=positions[None],
        )

    positions = torch.arange(T)
    expected, _ = theirs(x, still(T, D), mask_of(x, positions))
    kept = ours.keep(x)
    found = ours(x, kept, causal_mask(positions, T, window))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    if window == 1:
        return  # their cache keeps window - 1 tokens, and of -0 it keeps all
    # Their cache after a prompt, a token at a time, and our ring.
    cache, size, n_prompt = DynamicCache(config=config), min(window, T), 7
    theirs(
        x[:, :n_prompt],
        still(n_prompt, D),
        mask_of(x[:, :n_prompt], positions[:n_prompt], cache),
        past_key_values=cache,
        cache_position=positions[:n_prompt],
    )
    ring = torch.zeros(2, size, kept.shape[-1])
    ring[:, positions[:n_prompt][-size:] % size] = kept[:, :n_prompt][:, -size:]
    for t in range(n_prompt, T):
        one, at = x[:, t : t + 1], positions[t : t + 1]
        step, _ = theirs(
            one, still(1, D), mask_of(one, at, cache), past_key_values=cache, cache_position=at
        )
        ring[:, t % size] = kept[:, t]
        torch.testing.assert_close(step, expected[:, t : t + 1], atol=1e-5, rtol=1e-4)
        found = ours(one, ring[:, : t + 1], None)
        torch.testing.assert_close(found, step, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_shared_keys_and_values_are_those_of_gemma3n():
    pytest.importorskip("transformers")
    from transformers import DynamicCache, Gemma3nTextConfig
    from transformers.models.gemma3n.modeling_gemma3n import Gemma3nTextAttention

    H, K, D, T, n_layers = 4, 2, 6, 9, 6
    config = Gemma3nTextConfig(
        hidden_size=H * D,
        num_attention_heads=H,
        num_key_value_heads=K,
        head_dim=D,
        num_hidden_layers=n_layers,
        intermediate_size=8,
        layer_types=["sliding_attention", "full_attention"] * 3,
        num_kv_shared_layers=3,
        sliding_window=30,
        attn_implementation="eager",
    )
    layers = [lively(Gemma3nTextAttention(config, i)) for i in range(n_layers)]
    sources = [
        layer.kv_shared_layer_index if layer.is_kv_shared_layer else i
        for i, layer in enumerate(layers)
    ]
    assert sources == [0, 1, 2, 1, 2, 1]  # the last of its kind that keeps its own
    windows = tuple(30 * (kind == "sliding_attention") for kind in config.layer_types)
    shared = Variant(sources=tuple(sources), windows=windows)
    check_variant(shared, GPTConfig(n_layers=n_layers))
    causal = causal_mask(torch.arange(T), T)
    added = torch.zeros(T, T).masked_fill(~causal[0], -torch.inf)[None, None]
    cache, kept = DynamicCache(config=config), {}
    for i, layer in enumerate(layers):
        x = torch.randn(2, T, H * D)
        expected, _ = layer(
            x, still(T, D), added, past_key_values=cache, cache_position=torch.arange(T)
        )
        ours = zoo_attention(layer, H, K, 0)
        if sources[i] == i:
            kept[i] = ours.keep(x)
        torch.testing.assert_close(
            ours(x, kept[sources[i]], causal), expected, atol=1e-5, rtol=1e-4
        )


@torch.no_grad()
def test_sparse_attention_is_that_of_glm_moe_dsa_which_leaves_the_relu_out(monkeypatch):
    pytest.importorskip("transformers")
    from transformers import GlmMoeDsaConfig
    from transformers.models.glm_moe_dsa.modeling_glm_moe_dsa import (
        GlmMoeDsaAttention,
        GlmMoeDsaRotaryEmbedding,
    )

    H, rank, q_rank, head, rope, value, J, n, T, k = 4, 10, 12, 6, 4, 8, 3, 8, 20, 5
    config = GlmMoeDsaConfig(
        hidden_size=24,
        num_attention_heads=H,
        num_key_value_heads=H,
        kv_lora_rank=rank,
        q_lora_rank=q_rank,
        qk_nope_head_dim=head,
        qk_rope_head_dim=rope,
        v_head_dim=value,
        index_n_heads=J,
        index_head_dim=n,
        index_topk=k,
        num_hidden_layers=1,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        attn_implementation="eager",
    )
    theirs = lively(GlmMoeDsaAttention(config, 0))
    x, positions = torch.randn(2, T, 24), torch.arange(T)
    mask = causal_mask(positions, T)
    cos, sin = GlmMoeDsaRotaryEmbedding(config)(x, positions[None])
    added = torch.zeros(T, T).masked_fill(~mask[0], -torch.inf)[None, None]
    expected, _ = theirs(x, (cos, sin), added)

    # They turn i with i + rope / 2, we turn neighbours: the rows in our order.
    order = torch.arange(rope).view(2, -1).mT.flatten()
    ours = LatentAttention(24, H, rank, q_rank, head, rope, value)
    ours.q_norm.eps = ours.kv_norm.eps = theirs.q_a_layernorm.variance_epsilon
    ours.q_down.weight.copy_(theirs.q_a_proj.weight)
    ours.q_norm.weight.copy_(theirs.q_a_layernorm.weight)
    per_head = theirs.q_b_proj.weight.unflatten(0, (H, -1))
    per_head = torch.cat([per_head[:, :head], per_head[:, head:][:, order]], dim=1)
    ours.q_up.weight.copy_(per_head.flatten(0, 1))
    down = theirs.kv_a_proj_with_mqa.weight
    ours.kv_down.weight.copy_(torch.cat([down[:rank], down[rank:][order]]))
    ours.kv_norm.weight.copy_(theirs.kv_a_layernorm.weight)
    ours.kv_up.weight.copy_(theirs.kv_b_proj.weight)
    ours.proj.weight.copy_(theirs.o_proj.weight)

    indexer = theirs.indexer
    latent_q = ours.q_norm(ours.q_down(x))

    def turned(part):  # (B, T, ..., rope)
        shape = (1, T) + (1,) * (part.ndim - 3) + (-1,)
        a, b = part.chunk(2, dim=-1)
        return part * cos.view(shape) + torch.cat([-b, a], dim=-1) * sin.view(shape)

    q = indexer.wq_b(latent_q).unflatten(-1, (J, n))
    keys = indexer.k_norm(indexer.wk(x))
    q, keys = (torch.cat([turned(p[..., :rope]), p[..., rope:]], dim=-1) for p in (q, keys))
    weights = indexer.weights_proj(x)
    kept = ours.keep(x, positions)
    with_relu = best_of(index_scores(q, keys, weights), mask, k)
    monkeypatch.setattr(torch.Tensor, "relu", lambda scores: scores)
    chosen = best_of(index_scores(q, keys, weights), mask, k)
    monkeypatch.undo()
    assert (chosen != with_relu).any()  # the paper's ReLU makes a difference
    for way in (ours, ours.absorbed):
        found = way(x, kept, positions, chosen[:, None])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


# ---- The indexer.


def test_the_best_are_the_highest_of_those_that_may_be_read():
    scores = torch.tensor([[[1.0, 9, 9, 9], [2, 1, 9, 9], [3, 1, 2, 9], [0, 4, 3, 1]]])
    mask = causal_mask(torch.arange(4), 4)
    chosen = best_of(scores, mask, 2)[0]
    assert chosen.int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0]]


def test_an_indexer_learns_where_the_model_looks_and_changes_nothing_else():
    model = convert(lively(GPTModel(SMALL)), Variant(top_k=5))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    ids = torch.arange(40 * 4 * 15 + 1) * 7 % 61
    first = index_loss(model, ids[:160].view(4, 40)).item()
    losses = train_indexers(model, ids, 0, 4, lr=3e-2)
    assert min(losses) >= 0 and losses[0] == pytest.approx(first, rel=0.5)
    assert losses[-1] < 0.9 * losses[0]
    changed = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(".indexer." in name for name in changed)
    assert all(block.attention.top_k == 5 for block in model.blocks)


# ---- The record and the command.


def test_the_interval_is_that_of_a_paired_t_test():
    bits, control = [1.0, 1.3, 1.1], [1.2, 1.4, 1.4]
    mean, half = paired_difference(bits, control)
    low, high = stats.ttest_rel(bits, control).confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert math.isnan(paired_difference([1.0], [1.2])[1])


def test_the_table_compares_seed_by_seed():
    config = GPTConfig(2048, 256, 256, 4, 4)
    rows = [
        {"row": name, "seed": s, "before": 2.0, "after": after + s / 10}
        for name, after, n in ((CONTROL, 1.0, 2), ("best 32", 1.2, 3))
        for s in range(n)
    ]
    table = tabulate(rows, config)
    assert list(table.index) == [CONTROL, "best 32"]
    assert table.loc["best 32", "against unchanged"] == pytest.approx(0.2)
    assert table.loc["best 32", "±"] == pytest.approx(0, abs=1e-9)
    assert table.loc["best 32", "after"] == pytest.approx(1.3)
    assert math.isnan(table.loc[CONTROL, "±"]) and tabulate([], config).empty


def test_the_command_trains_the_rows_that_are_missing_and_no_others(refusal, tmp_path, capsys):
    path = tmp_path / "record.json"
    assert refusal(attention_zoo, *TINY, "--record", path) == ""
    whole = json.loads(path.read_text())
    assert [row["row"] for row in whole["rows"]] == list(ROWS)
    assert all(0 < row["after"] < 20 for row in whole["rows"])
    whole["rows"] = [row for row in whole["rows"] if row["row"] != "4 bits"]
    path.write_text(json.dumps(whole))
    capsys.readouterr()
    assert refusal(attention_zoo, *TINY, "--record", path) == ""
    printed = capsys.readouterr().out
    assert "4 bits, seed 0: " in printed and "best 32, seed 0" not in printed
    other = refusal(attention_zoo, *TINY, "--lr", 1, "--record", path)
    assert "holds runs with lr 0.001, not 1.0: give the same settings" in other


def test_what_is_done_is_kept_when_it_is_stopped(refusal, tmp_path, monkeypatch):
    path, measure = tmp_path / "record.json", attention_zoo.measure_row

    def stop(name, *arguments):
        if name == "4 bits":
            raise KeyboardInterrupt
        return measure(name, *arguments)

    monkeypatch.setattr(attention_zoo, "measure_row", stop)
    assert "attention_zoo: stopped" in refusal(attention_zoo, *TINY, "--record", path)
    assert [row["row"] for row in read_record(path)] == [CONTROL]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seeds", 0), "--seeds 0 must be at least 1"),
        (("--steps", -1), "--steps -1 must be at least 1"),
        (("--held-out-bytes", 0), "--held-out-bytes 0 must be at least 1"),
        (("--lr", "nan"), "--lr nan must be above 0, and finite"),
        (("--device", "abacus"), "device 'abacus' is not here"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(refusal, options, message):
    assert message in refusal(attention_zoo, *options)


def test_a_damaged_record_is_refused(refusal, tmp_path):
    path = tmp_path / "record.json"
    for text in ("{", '{"settings": {}, "rows": [{"row": "none", "seed": 0}]}'):
        path.write_text(text)
        assert "is damaged: take another --record" in refusal(
            attention_zoo, *TINY, "--record", path
        )
