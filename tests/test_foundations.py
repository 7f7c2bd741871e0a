"""The three questions before a long training: a sound model answers, and a broken one is caught."""

import json
import math

import pytest
import torch
from torch import nn

from ch02.dataloader import read_text
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch05 import foundations
from ch05.foundations import (
    PARTS,
    TOLERANCE,
    as_batch,
    bits_of_windows,
    entropy_of,
    gradient_errors,
    judge_overfit,
    main,
    mean_and_half,
    overfit,
    train_without,
)
from ch05.gpt_weights import save_pretrained

CONFIG = GPTConfig(
    vocab_size=300, context_length=16, emb_dim=24, n_heads=2, n_layers=2, drop_rate=0.1
)


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.train(read_text()[:8000], CONFIG.vocab_size)


@pytest.fixture
def batch(tokenizer):
    return as_batch(tokenizer, read_text(), 4, 16)


@pytest.fixture
def model() -> GPTModel:
    torch.manual_seed(1)
    return GPTModel(CONFIG)


@pytest.fixture
def folder(model, tokenizer, tmp_path):
    save_pretrained(model, tmp_path / "mine", tokenizer)
    return str(tmp_path / "mine")


def test_a_batch_is_the_texts_beginning(tokenizer, batch):
    inputs, targets = batch
    assert inputs.shape == targets.shape == (4, 16)
    assert torch.equal(inputs[0, 1:], targets[0, :-1])
    assert read_text().startswith(tokenizer.decode(inputs[0].tolist())[:20])
    with pytest.raises(ValueError, match="has 2 tokens, and 65 are needed"):
        as_batch(tokenizer, "ab", 4, 16)


def test_counts_cost_their_entropy():
    assert entropy_of(torch.tensor([[1, 1], [2, 3]])) == pytest.approx(1.5 * math.log(2))


def test_a_sound_model_learns_a_batch_by_heart(model, batch):
    losses = overfit(model, *batch, n_steps=150, lr=3e-3)
    assert len(losses) == 151
    assert judge_overfit(losses, CONFIG.vocab_size, entropy_of(batch[1])) == []


def test_a_run_that_learned_nothing_is_named():
    [wrong] = judge_overfit([5.7, 5.6], 300, 3.0)
    assert "the last loss is 5.60" in wrong and "under 0.30" in wrong
    first, _ = judge_overfit([9.0, 9.0], 300, 3.0)
    assert "first loss is 9.00, not near ln V = 5.70" in first
    assert judge_overfit([5.7, math.nan], 300, 3.0)


def test_gradients_of_a_sound_model_are_slopes(model, batch):
    before = {name: p.clone() for name, p in model.named_parameters()}
    errors = gradient_errors(model, *batch)
    assert errors.keys() == before.keys() and max(errors.values()) < TOLERANCE
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


class Forgetful(torch.autograd.Function):
    """x squared, whose backward pass forgets the 2."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.saved_tensors[0]


def test_a_wrong_backward_pass_is_caught(model, batch):
    class Wrong(nn.Module):
        def forward(self, x):
            return Forgetful.apply(x)

    model.blocks[1].feed_forward.layers[1] = Wrong()
    errors = gradient_errors(model, *batch)
    assert errors["blocks.1.feed_forward.layers.0.weight"] > 0.05
    assert errors["blocks.1.feed_forward.layers.2.weight"] < 1e-6


class CutOff(nn.Identity):
    """A norm that passes no gradient on."""

    def forward(self, x):
        return x.detach()


def test_a_gradient_that_is_cut_off_is_caught(model, batch):
    model.blocks[0].norm1 = CutOff()
    errors = gradient_errors(model, *batch)
    assert errors["pos_emb.weight"] > 10 * TOLERANCE > 10 * errors["final_norm.scale"]


@pytest.mark.parametrize("part", PARTS)
def test_each_part_goes_and_the_rest_trains(part, tokenizer):
    ids = torch.tensor(tokenizer.encode(read_text()))
    trained = train_without(CONFIG, PARTS[part], ids, n_steps=3, seed=0)
    names = " ".join(name for name, p in trained.named_parameters() if p.requires_grad)
    assert ("pos_emb" in names) is (part != "no positions")
    assert ("norm1" in names) is (part != "no norms")
    logits = trained(ids[None, :8])
    if part == "no attention":  # nothing but the last token and its place counts
        others = torch.cat([ids[20:27], ids[7:8]])
        assert torch.allclose(logits[0, 7], trained(others[None])[0, 7], atol=1e-6)
    assert logits.isfinite().all()


def test_without_positions_the_order_of_what_came_before_is_lost(tokenizer):
    ids = torch.tensor(tokenizer.encode(read_text()))
    one_block = GPTConfig(**{**vars(CONFIG), "n_layers": 1})
    for part, same in (("no positions", True), ("whole", False)):
        trained = train_without(one_block, PARTS[part], ids, n_steps=3, seed=0)
        idx = torch.tensor([[5, 9, 40, 7]])
        swapped = torch.tensor([[9, 40, 5, 7]])
        equal = torch.allclose(trained(idx)[0, -1], trained(swapped)[0, -1], atol=1e-6)
        assert equal is same


def test_bits_per_byte_of_a_model_that_knows_nothing():
    model = GPTModel(CONFIG)
    nn.init.zeros_(model.tok_emb.weight)
    nn.init.zeros_(model.out_head.weight)
    ids = torch.arange(65)
    found = bits_of_windows(model.eval(), ids, n_bytes=128, T=16)
    assert found == pytest.approx(math.log2(300) / 2)  # 2 bytes for a token


def test_an_interval_is_students():
    mean, half = mean_and_half([1.0, 2.0, 3.0])
    assert mean == 2 and half == pytest.approx(4.303 / math.sqrt(3), abs=1e-3)
    assert math.isnan(mean_and_half([1.0])[1])


# ---- The command


def test_the_command_on_a_model_of_ones_own(folder, tmp_path, capsys):
    main(["gradients", folder])
    assert "are slopes of the loss" in capsys.readouterr().out
    out = tmp_path / "out"
    main(["ablate", folder, "--steps", "2", "--seeds", "1", "--out", str(out)])
    said = capsys.readouterr().out
    assert all(f"{part:16}" in said for part in PARTS)
    found = json.loads((out / "ablation.json").read_text())
    assert found.keys() == PARTS.keys() and all(0 < v[0] < 9 for v in found.values())
    assert (out / "ablation.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_fails_where_a_model_fails(folder, monkeypatch):
    with pytest.raises(SystemExit, match="foundations: the last loss is"):
        main(["overfit", folder, "--steps", "1"])
    monkeypatch.setattr(foundations, "gradient_errors", lambda *_: {"w": 0.3})
    with pytest.raises(SystemExit, match="the gradient of w is not the slope"):
        main(["gradients", folder])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["overfit", "nowhere"], "nowhere"),
        (["overfit", "MINE", "--text", "nowhere.txt"], "nowhere.txt"),
        (["overfit", "MINE", "--text", "short.txt"], "has 4 tokens|has . tokens"),
        (["ablate", "MINE", "--text", "short.txt"], "too short"),
        (["ablate", "MINE", "--out", "short.txt/x"], "could not be written"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.txt").write_text("It rains.")
    with pytest.raises(SystemExit, match=message) as stopped:
        main([folder if a == "MINE" else a for a in arguments])
    assert str(stopped.value).startswith("foundations: ") and "\n" not in str(stopped.value)
