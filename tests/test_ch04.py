"""The model: each part against PyTorch's own, the whole against Hugging Face's GPT-2."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ch04.gpt import (
    GELU,
    GPT2_SIZES,
    FeedForward,
    GPTConfig,
    GPTModel,
    LayerNorm,
    TransformerBlock,
    choose_device,
    count_parameters,
    generate_greedy,
)

TINY = {
    "vocab_size": 61,
    "context_length": 16,
    "emb_dim": 24,
    "n_heads": 3,
    "n_layers": 2,
    "drop_rate": 0.0,
}


def random_model(**changes) -> GPTModel:
    """A model in which every weight matters: none is 0 or 1, as biases and norms start."""
    model = GPTModel(GPTConfig(**TINY | changes)).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    return model


def hugging_face_twin(model: GPTModel) -> nn.Module:
    """GPT2LMHeadModel with the same weights."""
    from transformers import GPT2Config, GPT2LMHeadModel

    from ch05.gpt_weights import gpt2_state

    config = model.config
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.context_length,
            n_embd=config.emb_dim,
            n_head=config.n_heads,
            n_layer=config.n_layers,
            tie_word_embeddings=config.tie_weights,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    state = {f"transformer.{name}": weight for name, weight in gpt2_state(model).items()}
    head = state.pop("transformer.lm_head.weight", state["transformer.wte.weight"])
    theirs.load_state_dict(state | {"lm_head.weight": head})
    return theirs.eval()


# ---- Parts.


def test_layer_norm_equals_pytorchs():
    ours, theirs, x = LayerNorm(24), nn.LayerNorm(24), 5 * torch.randn(2, 7, 24) + 3
    torch.testing.assert_close(ours(x), theirs(x))
    nn.init.normal_(ours.scale)
    nn.init.normal_(ours.shift)
    theirs.load_state_dict({"weight": ours.scale, "bias": ours.shift})
    torch.testing.assert_close(ours(x), theirs(x))


def test_layer_norm_gives_mean_0_and_variance_1():
    x = LayerNorm(24)(5 * torch.randn(2, 7, 24) + 3)
    torch.testing.assert_close(x.mean(dim=-1), torch.zeros(2, 7), atol=1e-6, rtol=0)
    torch.testing.assert_close(x.var(dim=-1, correction=0), torch.ones(2, 7), atol=1e-5, rtol=0)


def test_layer_norm_of_equal_features_is_zero():
    assert torch.equal(LayerNorm(24)(torch.full((1, 24), 3.0)), torch.zeros(1, 24))


def test_gelu_equals_the_written_formula_and_pytorchs():
    x = torch.linspace(-6, 6, 241)
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    torch.testing.assert_close(GELU()(x), 0.5 * x * (1 + torch.tanh(inner)), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(GELU()(x), nn.GELU(approximate="tanh")(x), atol=0, rtol=0)
    assert (GELU()(x) - nn.GELU()(x)).abs().max() < 1e-3  # the exact one is near


def test_feed_forward_works_on_every_token_by_itself():
    layer, x = FeedForward(24), torch.randn(2, 7, 24)
    first, _, second = layer.layers
    assert (first.out_features, second.out_features) == (96, 24)
    torch.testing.assert_close(layer(x)[:, 3], layer(x[:, 3]))


def test_a_block_adds_to_what_came_in():
    block, x = TransformerBlock(GPTConfig(**TINY)), torch.randn(2, 7, 24)
    for layer in (block.attention.proj, block.feed_forward.layers[2]):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    assert torch.equal(block(x), x)


# ---- The whole.


@pytest.mark.parametrize("qkv_bias", [False, True])
@pytest.mark.parametrize("tie_weights", [False, True])
@torch.no_grad()
def test_logits_are_those_of_hugging_face(tie_weights, qkv_bias):
    model = random_model(tie_weights=tie_weights, qkv_bias=qkv_bias)
    theirs = hugging_face_twin(model)
    for length in (1, 7, 16):
        idx = torch.randint(61, (3, length))
        torch.testing.assert_close(model(idx), theirs(idx).logits, atol=1e-5, rtol=0)


def test_gradients_are_those_of_hugging_face():
    model = random_model(tie_weights=True, qkv_bias=True).double()
    theirs, idx = hugging_face_twin(model).double(), torch.randint(61, (3, 16))
    for logits in (model(idx), theirs(idx).logits):
        F.cross_entropy(logits[:, :-1].flatten(0, 1), idx[:, 1:].flatten()).backward()
    block, their_block = model.blocks[0], theirs.transformer.h[0]
    for ours, their in [
        (model.tok_emb.weight, theirs.transformer.wte.weight),
        (model.pos_emb.weight, theirs.transformer.wpe.weight),
        (block.attention.qkv.bias, their_block.attn.c_attn.bias),
        (block.norm1.scale, their_block.ln_1.weight),
    ]:
        torch.testing.assert_close(ours.grad, their.grad)
    torch.testing.assert_close(
        block.attention.qkv.weight.grad, their_block.attn.c_attn.weight.grad.T
    )


@pytest.mark.parametrize(
    ("size", "n_parameters"),
    [
        ("gpt2", 163_009_536),
        ("gpt2-medium", 406_212_608),
        ("gpt2-large", 838_220_800),
        ("gpt2-xl", 1_637_792_000),
    ],
)
def test_parameters_of_the_four_sizes(size, n_parameters):
    with torch.device("meta"):  # shapes without memory
        untied = GPTModel(GPTConfig(**GPT2_SIZES[size]))
        tied = GPTModel(GPTConfig(**GPT2_SIZES[size], tie_weights=True))
    head = 50257 * GPT2_SIZES[size]["emb_dim"]
    assert count_parameters(untied) == n_parameters
    assert count_parameters(tied) == n_parameters - head


def test_the_smallest_gpt2_has_its_published_counts():
    with torch.device("meta"):
        model, tied = GPTModel(GPTConfig()), GPTModel(GPTConfig(tie_weights=True))
        as_published = GPTModel(GPTConfig(tie_weights=True, qkv_bias=True))
    assert count_parameters(tied) == 124_412_160
    assert count_parameters(as_published) == 124_439_808
    assert round(count_parameters(model) * 4 / 2**20, 2) == 621.83


def test_frozen_parameters_do_not_count():
    layer = nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    assert count_parameters(layer) == 6


def test_tied_weights_share_memory_and_stay_one_in_training():
    model = GPTModel(GPTConfig(**TINY, tie_weights=True))
    assert model.out_head.weight.data_ptr() == model.tok_emb.weight.data_ptr()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    before = model.tok_emb.weight.detach().clone()
    model(torch.randint(61, (2, 8))).square().sum().backward()
    optimizer.step()
    assert model.out_head.weight is model.tok_emb.weight
    assert not torch.equal(before, model.tok_emb.weight)
    untied = GPTModel(GPTConfig(**TINY))
    assert untied.out_head.weight.data_ptr() != untied.tok_emb.weight.data_ptr()


@pytest.mark.parametrize("t", [1, 8, 15])
@torch.no_grad()
def test_a_token_cannot_see_its_future_through_the_whole_model(t):
    model, idx = random_model(), torch.randint(61, (2, 16))
    changed = idx.clone()
    changed[:, t:] = (changed[:, t:] + 1) % 61
    torch.testing.assert_close(model(idx)[:, :t], model(changed)[:, :t])
    assert (model(idx)[:, t:] != model(changed)[:, t:]).any()


@torch.no_grad()
def test_the_same_token_differs_from_place_to_place():
    first, second = random_model()(torch.tensor([[5, 5]]))[0]
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("tie_weights", [False, True])
@torch.no_grad()
def test_an_untrained_model_finds_all_tokens_alike(tie_weights):
    config = GPTConfig(1000, 32, 64, 4, 4, drop_rate=0.0, tie_weights=tie_weights)
    idx = torch.randint(1000, (8, 33))
    logits = GPTModel(config)(idx[:, :-1])
    loss = F.cross_entropy(logits.flatten(0, 1), idx[:, 1:].flatten())
    assert abs(loss.item() - math.log(1000)) < 0.1


@torch.no_grad()
def test_dropout_works_in_training_and_is_off_in_eval():
    model, idx = GPTModel(GPTConfig(**TINY | {"drop_rate": 0.5})), torch.randint(61, (2, 8))
    assert not torch.equal(model(idx), model(idx))
    model.eval()
    assert torch.equal(model(idx), model(idx))


@torch.no_grad()
def test_dropout_acts_on_the_embedding_before_the_first_block():
    model = GPTModel(GPTConfig(61, 16, 240, 3, 2, drop_rate=0.5)).train()
    entered = []
    model.blocks[0].register_forward_pre_hook(lambda block, x: entered.append(x[0]))
    model(torch.randint(61, (2, 16)))
    model.eval()(torch.randint(61, (2, 16)))
    in_training, in_use = ((x == 0).float().mean().item() for x in entered)
    assert abs(in_training - 0.5) < 0.03 and in_use == 0


def test_a_block_drops_from_each_branch_and_never_from_the_stream():
    block = TransformerBlock(GPTConfig(61, 16, 240, 3, 2, drop_rate=0.5)).train()
    for layer in (block.attention.proj, block.feed_forward.layers[-1]):
        nn.init.zeros_(layer.weight)
        nn.init.ones_(layer.bias)  # each branch adds 1, which dropout makes 0 or 2
    x = torch.randn(2, 16, 240)
    added = (block(x) - x).round()
    assert added.unique().tolist() == [0, 2, 4]
    assert abs((added == 2).float().mean().item() - 0.5) < 0.03


# ---- Greedy text.


@torch.no_grad()
def greedy_slowly(model: GPTModel, idx: Tensor, n_tokens: int) -> Tensor:
    """One row and one token at a time."""
    rows = []
    for ids in idx.tolist():
        for _ in range(n_tokens):
            scores = model(torch.tensor([ids[-16:]]))[0, -1].tolist()
            ids.append(scores.index(max(scores)))
        rows.append(ids)
    return torch.tensor(rows)


@pytest.mark.parametrize("length", [1, 10, 16, 40])
def test_greedy_text_is_the_likeliest_token_each_time_and_crops_to_the_context(length):
    model, idx = random_model(), torch.randint(61, (2, length))
    written = generate_greedy(model, idx, 12)
    assert torch.equal(written, greedy_slowly(model, idx, 12))
    assert torch.equal(written[:, :length], idx)


def test_no_token_asked_for_is_no_token_written():
    idx = torch.randint(61, (2, 5))
    assert torch.equal(generate_greedy(random_model(), idx, 0), idx)


# ---- Refusals.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab_size": 0}, "vocab_size=0 must be at least 1"),
        ({"context_length": 0}, "context_length=0 must be at least 1"),
        ({"emb_dim": 0}, "emb_dim=0 must be at least 1"),
        ({"n_heads": 0}, "n_heads=0 must be at least 1"),
        ({"n_layers": -1}, "n_layers=-1 must be at least 1"),
        ({"emb_dim": 770}, "emb_dim=770 is not a multiple of n_heads=12"),
        ({"drop_rate": 1.0}, "drop_rate=1.0 must be at least 0 and below 1"),
        ({"drop_rate": -0.1}, "drop_rate=-0.1 must be at least 0"),
        ({"drop_rate": math.nan}, "drop_rate=nan"),
    ],
)
def test_an_impossible_config_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        GPTConfig(**change)


def test_a_config_cannot_be_changed():
    with pytest.raises(AttributeError, match="emb_dim"):
        GPTConfig().emb_dim = 12


def test_a_sequence_longer_than_the_context_is_refused():
    with pytest.raises(ValueError, match="17 tokens do not fit into context_length=16"):
        random_model()(torch.zeros(1, 17, dtype=torch.long))


@pytest.mark.parametrize("wrong", [61, 50257, -1])
def test_an_id_outside_the_vocabulary_is_refused(wrong):
    with pytest.raises(ValueError, match=f"id {wrong} is outside vocab_size=61"):
        random_model()(torch.tensor([[3, wrong, 4]]))


# ---- Devices.


def test_the_device_is_the_one_asked_for(monkeypatch):
    assert choose_device("cpu") == torch.device("cpu")
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    assert choose_device() == torch.device("cpu")


def test_the_device_is_the_best_one_here(monkeypatch):
    monkeypatch.delenv("COURSE_DEVICE", raising=False)
    for cuda, mps, best in [(1, 1, "cuda"), (0, 1, "mps"), (0, 0, "cpu")]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda here=cuda: bool(here))
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda here=mps: bool(here))
        assert choose_device().type == best


@pytest.mark.parametrize(
    "name", ["cuda", "cuda:0", "mps", "tpu", "none", "cpu:x", "cpu:", ":", "cpu:-1"]
)
def test_a_device_that_is_not_here_is_refused(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"device '{name}' is not here: choose from cpu"):
        choose_device(name)
    monkeypatch.setenv("COURSE_DEVICE", name)
    with pytest.raises(ValueError, match=f"device '{name}' is not here"):
        choose_device()


def test_a_graphics_card_is_known_by_its_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    for name in ("cuda:2", "cuda:x", "cuda:01", "cuda:-1", "cuda:0:1"):
        with pytest.raises(ValueError, match=f"device '{name}' is not here"):
            choose_device(name)
