"""Operations counted twice, a share above 1 refused, and a ladder whose rungs have one loss."""

import json
import platform
from random import Random
from unittest.mock import patch

import pytest
import torch

from ch04.bonus import speed
from ch04.bonus.speed import (
    ALLOWED,
    BY_HAND,
    GPU_RUNGS,
    RECORD,
    RUNGS,
    Way,
    best_seconds,
    count_flops,
    exact_losses,
    far_apart,
    forward_flops,
    kept_bytes,
    made_as,
    mfu,
    plain_loss,
    read_record,
    tabulate,
    text_batches,
    train_as,
    training_flops,
    why_not,
)
from ch04.gpt import GELU, GPTConfig, GPTModel, LayerNorm
from ch05.bonus.faster_training import fast_loss

SMALL = GPTConfig(256, 16, 32, 4, 2, drop_rate=0.0, tie_weights=True)
TINY = ("--steps", 2, "--tokens", 8, "--emb-dim", 16, "--layers", 1, "--vocab-size", 256)


@pytest.mark.parametrize("number", range(20))
def test_the_formula_counts_what_the_counter_counts(number: int):
    draw = Random(number)
    heads, T = draw.randint(1, 4), draw.randint(1, 9)
    config = GPTConfig(
        *(draw.randint(2, 90), T + draw.randint(0, 3), heads * draw.randint(1, 8)),
        *(heads, draw.randint(1, 3)),
        drop_rate=0.0,
        qkv_bias=draw.random() < 0.5,
        tie_weights=draw.random() < 0.5,
    )
    B = draw.randint(1, 3)
    with torch.device("meta"):
        model = GPTModel(config)
    forward = count_flops(model, B, T, backward=False).get_total_flops()
    assert forward == sum(forward_flops(config, B, T).values())
    assert count_flops(model, B, T).get_total_flops() == training_flops(config, B, T)


def test_scores_and_mixing_are_counted():
    parts = forward_flops(SMALL, 1, 16)
    assert parts["scores"] == parts["mixing of values"] == 2 * 2 * 16 * 16 * 32
    counts = count_flops(GPTModel(SMALL), 1, 16, backward=False).get_flop_counts()["Global"]
    products = {str(op): n for op, n in counts.items()}
    assert products["aten.bmm"] == parts["scores"] + parts["mixing of values"]


def test_a_share_above_what_is_possible_is_refused_in_a_sentence():
    assert mfu(3e9, 2.0, 3e9) == 0.5 and mfu(1.0, 1.0, 1.0) == 1
    with pytest.raises(ValueError, match=r"are 1\.50 times the peak of 1e\+09: the peak is ano"):
        mfu(3e9, 2.0, 1e9)
    with pytest.raises(ValueError, match="-1.00 times"):
        mfu(1.0, -1.0, 1.0)


def test_the_best_of_several_times_is_the_one_that_was_disturbed_least():
    ticks = iter([0, 9, 9, 10, 10, 13])
    assert best_seconds(lambda: None, 3, lambda: next(ticks)) == 1


@pytest.mark.parametrize("name", [n for n, way in RUNGS.items() if not way.compiled])
def test_a_rung_has_the_losses_of_64_bits(name: str):
    way = RUNGS[name]
    batches = text_batches(3, 2 * way.batch, 16)
    losses = train_as(SMALL, way, batches)["losses"]
    assert far_apart(losses, exact_losses(SMALL, batches)) < ALLOWED[way.precision]
    assert losses[-1] < losses[0]


def test_a_mistake_is_farther_away_than_rounding():
    def sees_the_next(q, k, v, dropout_p, is_causal):
        future = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(2)
        scores = q @ k.transpose(2, 3) / q.shape[3] ** 0.5
        return scores.masked_fill(future, -torch.inf).softmax(dim=-1) @ v

    batches = text_batches(3, 2, 16)
    exact = exact_losses(SMALL, batches)
    with patch.dict(BY_HAND, {"together": sees_the_next}):
        losses = train_as(SMALL, RUNGS["heads together"], batches)["losses"]
    assert far_apart(losses, exact) > ALLOWED["float32"]


def test_after_an_error_all_is_as_it_was():
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    forwards = LayerNorm.forward, GELU.forward
    with pytest.raises(ZeroDivisionError), made_as(Way(precision="TF32")):
        assert torch.get_num_threads() == 1
        assert torch.get_float32_matmul_precision() == "high"
        assert LayerNorm.forward is speed.norm_in_passes
        raise ZeroDivisionError
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before
    assert (LayerNorm.forward, GELU.forward) == forwards


def test_the_loss_in_parts_keeps_no_logits():
    config = GPTConfig(4096, 64, 16, 1, 1, drop_rate=0.0)
    model, batch = GPTModel(config), torch.zeros(8, 64, dtype=torch.long)
    plain, parts = (
        kept_bytes(model, lambda f=f: f(model, batch, batch)) for f in (plain_loss, fast_loss)
    )
    logits = 8 * 64 * 4096 * 4
    assert parts < logits <= plain


def test_each_rung_changes_one_thing_and_keeps_the_rest():
    for ways in (RUNGS, GPU_RUNGS):
        for below, above in zip([*ways.values()], [*ways.values()][1:]):
            assert sum(v != vars(below)[name] for name, v in vars(above).items()) == 1
    assert len(RUNGS) == 11  # the floor, and ten rungs above it


@pytest.mark.parametrize(
    ("system", "command"), [("Linux", "sudo apt install g++"), ("Darwin", "xcode-select --install")]
)
def test_without_a_compiler_a_sentence_says_what_is_missing(system, command, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.delenv("CXX", raising=False)
    said = why_not(RUNGS["compiled"])
    assert said.startswith("torch.compile needs a C++ compiler, and ") and said.endswith(command)
    assert why_not(RUNGS["loss in parts"]) == ""


def test_a_gpu_that_is_not_here_is_no_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert {why_not(way) for way in GPU_RUNGS.values()} == {"there is no CUDA device here"}


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)  # nothing is compiled
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(speed, "product_speeds", lambda *a, **k: {64: 1e12})
    monkeypatch.setattr(speed, "memory_speed", lambda: 1e10)


def test_the_command_measures_what_is_missing_and_nothing_else(quick, refusal, tmp_path, capsys):
    path = tmp_path / "record.json"
    assert refusal(speed, *TINY, "--record", path) == ""
    printed = capsys.readouterr().out
    assert "compiled: not run, torch.compile needs a C++ compiler" in printed
    assert "GPU, TF32: not run, there is no CUDA device here" in printed
    whole = json.loads(path.read_text())
    rungs = [row["name"] for row in whole["rows"] if row["kind"] == "rung"]
    assert rungs == [name for name, way in RUNGS.items() if not way.compiled]
    table = tabulate(whole["rows"])
    assert list(table.index) == [*RUNGS, *GPU_RUNGS]
    assert set(table.loc[rungs, "same loss?"]) == {"yes"}
    assert set(table["same loss?"].drop(rungs)) == {"not run"}
    whole["rows"] = [row for row in whole["rows"] if row["name"] != "loss in parts"]
    path.write_text(json.dumps(whole))
    assert refusal(speed, *TINY, "--record", path) == ""
    printed = capsys.readouterr().out
    assert "loss in parts: " in printed and "heads together: " not in printed
    other = refusal(speed, *TINY, "--rows", 2, "--record", path)
    assert "holds runs with rows 1, not 2: give the same settings" in other


def test_what_is_done_is_kept_when_it_is_stopped(quick, refusal, tmp_path, monkeypatch):
    def stop(config, name, *others):
        raise KeyboardInterrupt

    monkeypatch.setattr(speed, "measure_rung", stop)
    path = tmp_path / "record.json"
    assert "speed: stopped; what is done is kept" in refusal(speed, *TINY, "--record", path)
    kinds = [row["kind"] for row in read_record(path)]
    assert kinds.count("point") == 4 and kinds[-1] == "exact"


def test_a_compiler_that_fails_costs_its_rung_only(quick, refusal, tmp_path, monkeypatch, capsys):
    def fail(config, name, way, *others):
        if way.compiled:
            raise RuntimeError("CppCompileError: no Python.h\nand a hundred lines")
        return {
            "kind": "rung",
            "name": name,
            "B": 1,
            "T": 8,
            "seconds": 1.0,
            "CPU seconds": 1.0,
        } | {
            **{"flops": 1.0, "first": 1.0, "kept": 1, "off": 0.0, "losses": [1.0]},
            "peak": "float32, 1 thread",
        }

    monkeypatch.setattr(speed, "measure_rung", fail)
    monkeypatch.setattr("shutil.which", lambda name: name)
    path = tmp_path / "record.json"
    assert refusal(speed, *TINY, "--record", path) == ""
    said = "compiled: not run, torch.compile failed: CppCompileError: no Python.h\n"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--steps", 1), "--steps 1 must be at least 2"),
        (("--rows", 0), "--rows 0 must be at least 1"),
        (("--vocab-size", 255), "--vocab-size 255 must be at least 256"),
        (("--layers", 0), "n_layers=0 must be at least 1"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(options, message, refusal, tmp_path):
    path = tmp_path / "record.json"
    assert refusal(speed, *TINY, *options, "--record", path) == f"speed: {message}"
    assert not path.exists()


def test_a_damaged_record_is_refused(refusal, tmp_path):
    path = tmp_path / "record.json"
    for text in ("{", "[]", '{"settings": {}, "rows": [{"kind": "rung", "name": "x"}]}'):
        path.write_text(text)
        said = refusal(speed, *TINY, "--record", path)
        assert said.endswith("is damaged: take another --record, or delete it")


def test_the_record_has_every_rung_of_a_processor_and_no_share_above_1():
    rows = read_record(RECORD)
    table = tabulate(rows)  # which refuses a share above 1
    ran = table[table["same loss?"] != "not run"]
    assert list(RUNGS)[:10] == list(ran.index)[:10] and set(ran["same loss?"]) == {"yes"}
    assert [row["name"] for row in rows if row["kind"] == "point"] == [
        *("training: passes", "training: AdamW", "prefill", "decoding")
    ]
