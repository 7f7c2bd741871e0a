"""LoRA against the peft library; nothing changes at the start, nothing is lost by merging."""

import copy
import os
import sys

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from appendix_e.bonus import ranks_and_rates
from appendix_e.bonus.ranks_and_rates import RANKS, RATES, best_rates, run_way, with_rates
from appendix_e.lora import (
    BLOCK_LINEARS,
    LinearWithLoRA,
    LoRALayer,
    add_lora,
    load_lora,
    lora_layers,
    lora_parameters,
    lora_state,
    merge_lora,
    save_lora,
)
from ch04.gpt import GPTConfig, GPTModel, count_parameters
from ch05.gpt_weights import load_pretrained
from ch06.gpt_class_finetune import GPTClassifier, load_messages, read_runs


def tiny_gpt(**changes) -> GPTModel:
    sizes = {"vocab_size": 50, "context_length": 8, "emb_dim": 12, "n_heads": 3, "n_layers": 2}
    return GPTModel(GPTConfig(**sizes | {"drop_rate": 0.0, "tie_weights": True} | changes))


def tiny_classifier() -> GPTClassifier:
    return GPTClassifier(tiny_gpt()).eval()


def batch() -> tuple[Tensor, Tensor]:
    return torch.randint(50, (3, 6)), torch.tensor([5, 2, 4])


def fill_b(model: nn.Module) -> None:
    """Make the change of every layer something, as training would."""
    for layer in lora_layers(model).values():
        nn.init.normal_(layer.lora.B)


def train_a_little(model: nn.Module, n_steps: int = 3) -> None:
    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)
    for _ in range(n_steps):
        optimizer.zero_grad()
        model(*batch()).square().sum().backward()
        optimizer.step()


def state(model: nn.Module) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in model.state_dict().items()}


# ---- Against peft.


@pytest.mark.parametrize(("rank", "alpha"), [(1, 1), (4, 16), (8, 4)])
def test_outputs_and_gradients_are_those_of_peft(rank, alpha, monkeypatch):
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "error")
    from peft import LoraConfig, get_peft_model

    ours = tiny_classifier()
    settings = LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=list(BLOCK_LINEARS), modules_to_save=["head"]
    )
    theirs = get_peft_model(copy.deepcopy(ours), settings).eval()
    added = add_lora(ours, rank, alpha, trainable=["head"])
    fill_b(ours)
    adapted = {n: m for n, m in theirs.named_modules() if hasattr(m, "lora_A")}
    assert sorted(n.removeprefix("base_model.model.") for n in adapted) == sorted(added)
    pairs = []
    for name, layer in lora_layers(ours).items():
        peft_layer = adapted[f"base_model.model.{name}"]
        for weight, there in (
            (layer.lora.A, peft_layer.lora_A.default.weight),
            (layer.lora.B, peft_layer.lora_B.default.weight),
        ):
            there.data.copy_(weight.data)
            pairs.append((weight, there))
    assert count_parameters(ours) == count_parameters(theirs)

    idx, end = batch()
    expected = theirs(idx, end)
    torch.testing.assert_close(ours(idx, end), expected, atol=1e-6, rtol=1e-5)
    for logits in (ours(idx, end), expected):
        nn.functional.cross_entropy(logits, torch.tensor([0, 1, 1])).backward()
    for weight, there in pairs:
        assert weight.grad.abs().max() > 0
        torch.testing.assert_close(weight.grad, there.grad, atol=1e-6, rtol=1e-5)
    merge_lora(ours)
    merged = theirs.merge_and_unload()(idx, end)
    torch.testing.assert_close(ours(idx, end), merged, atol=1e-6, rtol=1e-5)


def test_a_new_layer_is_drawn_as_pefts_and_linears_are():
    layer = LoRALayer(400, 300, rank=100, alpha=1)
    linear = nn.Linear(400, 100)
    assert layer.A.abs().max() <= 400**-0.5
    assert layer.A.std().item() == pytest.approx(linear.weight.std().item(), rel=0.03)
    assert not layer.B.any()


# ---- The start, the training, the merge.


@pytest.mark.parametrize("rank", [1, 3, 12])
def test_at_the_start_nothing_has_changed(rank):
    model, (idx, end) = tiny_classifier(), batch()
    before = model(idx, end)
    added = add_lora(model, rank, alpha=16, trainable=["head"])
    assert torch.equal(model(idx, end), before)
    assert len(added) == 8 and list(lora_layers(model)) == added


def test_the_layer_is_the_sum_of_its_rank_one_parts():
    layer, x = LoRALayer(5, 4, rank=3, alpha=6), torch.randn(2, 7, 5)
    nn.init.normal_(layer.B)
    change = sum(2 * torch.outer(layer.B[:, k], layer.A[k]) for k in range(3))
    torch.testing.assert_close(layer.weight_change(), change)
    torch.testing.assert_close(layer(x), x @ change.T)
    assert torch.linalg.matrix_rank(layer.weight_change()) == 3


def test_only_lora_and_the_head_move():
    model = tiny_classifier()
    add_lora(model, 2, alpha=4, trainable=["head"])
    before = state(model)
    train_a_little(model)
    moved = {name for name, w in model.state_dict().items() if not torch.equal(w, before[name])}
    assert moved == {n for n in before if ".lora." in n or n.startswith("head.")}


def test_without_a_trainable_module_only_lora_is_trained():
    model = tiny_gpt()
    add_lora(model, 2, alpha=4)
    names = {name for name, p in model.named_parameters() if p.requires_grad}
    assert names and all(".lora." in name for name in names)


def test_merging_keeps_the_outputs_and_restores_the_layers():
    model, (idx, end) = tiny_classifier(), batch()
    kinds = [(name, type(m)) for name, m in model.named_modules()]
    before = state(model)
    added = add_lora(model, 4, alpha=16, trainable=["head"])
    train_a_little(model)
    expected = model(idx, end)
    assert merge_lora(model) == added
    torch.testing.assert_close(model(idx, end), expected, atol=1e-5, rtol=1e-5)
    assert [(name, type(m)) for name, m in model.named_modules()] == kinds
    assert model.state_dict().keys() == before.keys()
    moved = {name for name, w in model.state_dict().items() if not torch.equal(w, before[name])}
    assert moved == {f"{name}.weight" for name in added} | {"head.weight", "head.bias"}
    add_lora(model, 4, alpha=16)  # and LoRA may be added again


def test_lora_takes_the_layers_type():
    linear = nn.Linear(4, 4).double()
    layer = LinearWithLoRA(linear, 2, 4)
    assert layer.lora.A.dtype == layer.lora.B.dtype == torch.float64
    assert layer(torch.randn(3, 4, dtype=torch.float64)).dtype == torch.float64


# ---- Counting.


@pytest.mark.parametrize("rank", [1, 5, 12])
@pytest.mark.parametrize("qkv_bias", [False, True])
def test_the_formula_counts_what_is_trained(rank, qkv_bias):
    model = tiny_gpt(qkv_bias=qkv_bias)
    add_lora(model, rank, alpha=1)
    assert count_parameters(model) == lora_parameters(model.config, rank)


def test_gpt2_small_at_rank_16_trains_two_percent():
    with torch.device("meta"):
        model = GPTModel(GPTConfig(qkv_bias=True, tie_weights=True))
        whole = count_parameters(model)
        add_lora(model, 16, alpha=16)
    assert whole == 124_439_808
    assert count_parameters(model) == lora_parameters(model.config, 16) == 2_359_296


# ---- The adapter's file.


def test_an_adapter_brings_back_what_was_learned(tmp_path):
    base, (idx, end) = tiny_classifier(), batch()
    trained, other = copy.deepcopy(base), copy.deepcopy(base)
    nn.init.normal_(other.head.weight)
    for model in (trained, other):
        add_lora(model, 3, alpha=6, trainable=["head"])
    train_a_little(trained)
    assert not torch.allclose(other(idx, end), trained(idx, end))
    save_lora(trained, tmp_path / "new" / "adapter.safetensors")
    load_lora(other, tmp_path / "new" / "adapter.safetensors")
    assert torch.equal(other(idx, end), trained(idx, end))
    assert os.listdir(tmp_path / "new") == ["adapter.safetensors"]
    n_bytes = (tmp_path / "new" / "adapter.safetensors").stat().st_size
    assert 4 * count_parameters(trained) < n_bytes < 4 * count_parameters(trained) + 5000


def test_lora_state_has_the_matrices_of_a_frozen_model_too():
    model = tiny_classifier()
    add_lora(model, 2, alpha=2, trainable=["head"])
    assert len(lora_state(model)) == 2 * 8 + 2
    model.requires_grad_(False)
    assert len(lora_state(model)) == 2 * 8


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    model, path = tiny_classifier(), tmp_path / "adapter.safetensors"
    add_lora(model, 2, alpha=2)
    save_lora(model, path)
    before = path.read_bytes()

    def fail(state, draft, metadata):
        draft.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("appendix_e.lora.save_file", fail)
    with pytest.raises(OSError, match="no space left"):
        save_lora(model, path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 3}, "has rank 2, alpha 8 in .*, the model rank 3, alpha 8"),
        ({"alpha": 4}, "has rank 2, alpha 8 in .*, the model rank 2, alpha 4"),
        ({"names": ["attention.qkv"]}, "the model no LoRA"),
        ({"trainable": []}, r"head.bias is \(2,\) in the adapter, None in the model"),
    ],
)
def test_another_adapter_is_refused_and_changes_nothing(settings, message, tmp_path):
    saved = tiny_classifier()
    add_lora(saved, 2, 8, trainable=["head"])
    fill_b(saved)
    save_lora(saved, tmp_path / "a.safetensors")
    model = tiny_classifier()
    add_lora(model, **{"rank": 2, "alpha": 8, "trainable": ["head"]} | settings)
    before = state(model)
    with pytest.raises(ValueError, match=message):
        load_lora(model, tmp_path / "a.safetensors")
    assert all(torch.equal(w, before[name]) for name, w in model.state_dict().items())


def test_an_adapter_of_another_width_is_refused(tmp_path):
    small, wide = tiny_gpt(), tiny_gpt(emb_dim=24)
    for model in (small, wide):
        add_lora(model, 2, alpha=8)
    save_lora(small, tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"is \(2, 12\) in the adapter, \(2, 24\) in the model"):
        load_lora(wide, tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    "spoil", [lambda w: w.to(torch.int8), lambda w: w.fill_(torch.nan), lambda w: w * torch.inf]
)
def test_an_adapter_without_finite_decimal_numbers_is_refused(spoil, tmp_path, monkeypatch):
    model, path = tiny_classifier(), tmp_path / "a.safetensors"
    add_lora(model, 2, 8, trainable=["head"])

    def save_spoiled(state, draft, metadata):
        save_file(state | {"head.weight": spoil(state["head.weight"].clone())}, draft, metadata)

    monkeypatch.setattr("appendix_e.lora.save_file", save_spoiled)
    save_lora(model, path)
    fill_b(model)
    before = state(model)
    with pytest.raises(ValueError, match="head.weight in the adapter does not hold finite decimal"):
        load_lora(model, path)
    assert all(torch.equal(w, before[name]) for name, w in model.state_dict().items())


def test_a_missing_or_damaged_adapter_is_refused(tmp_path):
    model = tiny_gpt()
    add_lora(model, 2, alpha=8)
    with pytest.raises(FileNotFoundError, match="there is no adapter"):
        load_lora(model, tmp_path / "a.safetensors")
    save_lora(model, tmp_path / "a.safetensors")
    whole = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is damaged"):
        load_lora(model, tmp_path / "a.safetensors")


# ---- Refusals.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rank": 0}, "rank=0 must be a whole number from 1 to 12"),
        ({"rank": 13}, "rank=13 must be a whole number from 1 to 12"),
        # The head is the last layer and the smallest: it takes rank 2, and the others 12.
        (
            {"rank": 3, "names": [*BLOCK_LINEARS, "head"], "trainable": []},
            "rank=3 must be a whole number from 1 to 2",
        ),
        ({"rank": 2.5}, "rank=2.5 must be a whole number"),
        ({"alpha": 0}, "alpha=0 must be above 0 and finite"),
        ({"alpha": float("nan")}, "alpha=nan must be above 0"),
        ({"alpha": float("inf")}, "alpha=inf must be above 0"),
        ({"names": ["attention.key"]}, "no linear layer has a name that ends in 'attention.key'"),
        ({"names": [*BLOCK_LINEARS, "norm1"]}, "ends in 'norm1'"),
        ({"names": []}, "no names are given"),
        ({"trainable": ["tail"]}, "'tail' cannot stay trainable"),
        ({"trainable": [""]}, "'' cannot stay trainable: it is not there"),
        ({"trainable": ["gpt.blocks.0.attention.qkv"]}, "trainable: gpt.*attention.qkv gets LoRA"),
        ({"trainable": ["head", "gpt.blocks.0"]}, "'gpt.blocks.0' .*0.attention.qkv gets LoRA"),
    ],
)
def test_bad_settings_are_refused_before_anything_changes(settings, message):
    model = tiny_classifier()
    before = [(name, type(m)) for name, m in model.named_modules()]
    with pytest.raises(ValueError, match=message):
        add_lora(model, **{"rank": 2, "alpha": 4, "trainable": ["head"]} | settings)
    assert [(name, type(m)) for name, m in model.named_modules()] == before
    assert all(p.requires_grad for p in model.parameters())


def test_a_shared_weight_is_refused():
    with pytest.raises(ValueError, match="out_head shares its weight"):
        add_lora(tiny_gpt(), 2, 4, names=["out_head"])
    assert add_lora(tiny_gpt(tie_weights=False), 2, 4, names=["out_head"]) == ["out_head"]


def test_adding_twice_is_refused():
    model = tiny_classifier()
    add_lora(model, 2, alpha=4)
    with pytest.raises(ValueError, match="the model has LoRA already"):
        add_lora(model, 2, alpha=4)


def test_without_lora_there_is_nothing_to_merge_or_save(tmp_path):
    model = tiny_classifier()
    for refused in (lambda: merge_lora(model), lambda: save_lora(model, tmp_path / "a")):
        with pytest.raises(ValueError, match="there is no LoRA in the model"):
            refused()
    assert os.listdir(tmp_path) == []


# ---- The record of ways and rates.


def test_the_best_rate_has_the_highest_mean():
    rows = [(f"{way} at {rate:g}", 0.6) for way in RATES for rate in RATES[way]]
    rows += [(f"{way} at {RATES[way][1]:g}", 0.7) for way in RATES]
    rows += [(f"all layers at {RATES['all layers'][1]:g}", 0.4), ("all layers at 0.001", 0.65)]
    best = best_rates(pd.DataFrame(rows, columns=["setting", "balanced"]))
    assert best == {way: rates[1] for way, rates in RATES.items()} | {"all layers": 1e-3}


def test_a_setting_is_read_as_way_and_rate():
    runs = pd.DataFrame({"setting": ["LoRA, rank 4 at 0.002", "head only at 1e-05"]})
    read = with_rates(runs)
    assert read.way.tolist() == ["LoRA, rank 4", "head only"]
    assert read.rate.tolist() == [0.002, 1e-5]


@pytest.mark.parametrize("way", ["head only", "LoRA, rank 4", "all layers"])
def test_a_run_is_the_same_again_and_answers_every_message(way, monkeypatch):
    monkeypatch.setattr(ranks_and_rates, "FEW", 8)
    tokenizer = load_pretrained("course")[1]
    torch.manual_seed(1)
    gpt = tiny_gpt(vocab_size=2048, context_length=128)
    messages = load_messages("course").groupby(["split", "label"]).head(20)
    rows = [run_way(gpt, tokenizer, messages, way, 1e-3, 3, ["validation"]) for _ in "12"]
    assert rows[0] == rows[1] and set(rows[0]["validation"]) <= {"h", "s"}
    assert len(rows[0]["validation"]) == 40 and "test" not in rows[0]
    assert rows[0]["setting"] == f"{way} at 0.001" and rows[0]["labels"] == 8


def test_alpha_over_rank_is_the_same_for_every_rank(monkeypatch):
    seen = {}
    monkeypatch.setattr(ranks_and_rates, "train_classifier", lambda *a, **k: [])
    for way, rank in RANKS.items():
        model = GPTClassifier(tiny_gpt(emb_dim=16, n_heads=2))
        ranks_and_rates.train_way(way, 1e-3, model, None, 1)
        layers = lora_layers(model).values()
        assert {layer.lora.rank for layer in layers} == {rank}
        seen[rank] = {layer.lora.scaling for layer in layers}
    assert set(map(tuple, seen.values())) == {(2.0,)}


def test_the_record_has_every_way_and_is_of_these_messages():
    messages, folder = load_messages("course"), "appendix-E/recorded"
    for name, split in (("rates.json", "validation"), ("seeds.json", "test")):
        runs = with_rates(read_runs(f"{folder}/{name}", messages, split))
        assert set(runs.way) == set(RATES)
    best = best_rates(read_runs(f"{folder}/rates.json", messages, "validation"))
    assert runs.groupby("way").rate.unique().map(list).to_dict() == {
        way: [rate] for way, rate in best.items()
    }


def test_no_seeds_are_refused(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["ranks_and_rates", "--rate-seeds", "0"])
    with pytest.raises(SystemExit, match="rate-seeds=0 must be at least 1"):
        ranks_and_rates.main()
