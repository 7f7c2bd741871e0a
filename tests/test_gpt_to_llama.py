"""The switches from GPT-2 to Llama, one at a time: what a row is, and how its record grows."""

import json
import math
from dataclasses import replace

import pytest
import torch
from scipy import stats

from ch04.gpt import GPTConfig
from ch05.bonus import gpt_to_llama
from ch05.bonus.gpt_to_llama import (
    CHANGES,
    COUNTS,
    ROWS,
    TokenCounts,
    count_weights,
    paired_difference,
    read_record,
    row_config,
    tabulate,
    train_row,
)

COURSE = GPTConfig(2048, 256, 256, 4, 4, drop_rate=0.0, qkv_bias=True, tie_weights=True)
SMALL = GPTConfig(61, 16, 32, 4, 1, drop_rate=0.0, qkv_bias=True, tie_weights=True)
TINY = ("--steps", 2, "--batch-size", 2, "--emb-dim", 16, "--n-layers", 1, "--device", "cpu")
TINY = (*TINY, "--context-length", 16, "--seeds", 1)
IDS = torch.arange(16 * 2 * 3 + 1) * 7 % 61  # three batches of two windows


@pytest.mark.parametrize("row", ROWS)
def test_every_row_has_as_many_weights_as_gpt2_within_one_percent(row):
    gpt2 = count_weights(row_config("GPT-2", COURSE))
    assert gpt2 == 3_749_376  # those of the course's model
    assert abs(count_weights(row_config(row, COURSE)) / gpt2 - 1) < 0.01


@pytest.mark.parametrize("row", ROWS)
def test_a_row_differs_from_gpt2_by_its_switches_and_the_width_only(row):
    config, gpt2 = row_config(row, COURSE), row_config("GPT-2", COURSE)
    assert replace(gpt2, **ROWS[row], hidden_dim=config.hidden_dim) == config
    assert config.hidden_dim % 8 == 0


def test_llama_has_every_switch_but_one_and_qwen3_all():
    every = {name for change in CHANGES.values() for name in change}
    assert ROWS["Qwen3"].keys() == ROWS["Llama"].keys() == every
    assert {k for k in every if ROWS["Qwen3"][k] != ROWS["Llama"][k]} == {"qk_norm"}


def test_the_same_seed_trains_the_same_model_and_another_one_another():
    config = row_config("Llama", SMALL)
    once, again, other = (train_row(config, IDS, seed, 2, 1e-2)[1] for seed in (1, 1, 2))
    assert len(once) == 3 and once == again != other


def test_all_rows_of_a_seed_read_the_same_batches(monkeypatch):
    read = {}

    def note(model, optimizer, inputs, targets):
        optimizer.step()  # without gradients it moves nothing
        read.setdefault(model.config, []).append(inputs.tolist())
        return 0.0

    monkeypatch.setattr(gpt_to_llama, "train_step", note)
    for row in ROWS:
        train_row(row_config(row, SMALL), IDS, 3, 2, 1e-2)
    assert len(read) == len(ROWS) and len({str(batches) for batches in read.values()}) == 1


def test_the_baseline_predicts_by_counting():
    model = TokenCounts(torch.tensor([0, 0, 0, 1]), replace(SMALL, vocab_size=3))
    probabilities = model(torch.zeros(2, 5, dtype=torch.long)).softmax(dim=-1)
    expected = torch.tensor([4, 2, 1]) / 7
    torch.testing.assert_close(probabilities, expected.expand(2, 5, 3))


def test_the_interval_is_that_of_a_paired_t_test():
    bits, gpt2 = [1.0, 1.3, 1.1], [1.2, 1.4, 1.4]
    mean, half = paired_difference(bits, gpt2)
    low, high = stats.ttest_rel(bits, gpt2).confidence_interval(0.95)
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert math.isnan(paired_difference([1.0], [1.2])[1])


def row(name: str, seed: int, bits: float, seconds: float = 1.0) -> dict:
    numbers = {"bits_per_byte": bits, "weights": 1000, "seconds_per_step": seconds}
    return {"row": name, "seed": seed, "losses": [], **numbers}


def test_the_table_compares_seed_by_seed():
    rows = [row("GPT-2", s, 2.0 + s / 10, 1.5 - s / 2) for s in range(2)]
    rows += [row("Llama", s, 1.9 + s / 10) for s in range(3)]  # GPT-2 lacks the last
    table = tabulate([*rows, row(COUNTS, 0, 3.0, 0.0)])
    assert list(table.index) == [COUNTS, "GPT-2", "Llama"]
    assert table.loc["Llama", "against GPT-2"] == "-0.100 ± 0.000"
    assert table.loc["GPT-2", "against GPT-2"] == "" and table.loc["GPT-2", "s per step"] == "1.00"
    assert table.loc["Llama", "bits per byte"] == "2.000" and table.loc["Llama", "seeds"] == 3
    assert table.loc[COUNTS, "s per step"] == ""


def test_the_table_of_a_record_that_has_just_begun_stands(tmp_path):
    assert len(tabulate([row("RMSNorm", 0, 2.0)])) == 1
    assert tabulate([]).empty


def test_the_command_trains_the_rows_that_are_missing_and_no_others(refusal, tmp_path, capsys):
    path = tmp_path / "record.json"
    assert refusal(gpt_to_llama, *TINY, "--record", path) == ""
    whole = json.loads(path.read_text())
    assert [row["row"] for row in whole["rows"]] == [COUNTS, *ROWS]
    assert all(0 < row["bits_per_byte"] < 8 for row in whole["rows"])
    kept = [row for row in whole["rows"] if row["row"] not in ("GPT-2", "Qwen3")]
    path.write_text(json.dumps(whole | {"rows": kept}))
    capsys.readouterr()
    assert refusal(gpt_to_llama, *TINY, "--record", path) == ""
    printed = capsys.readouterr().out
    assert "GPT-2, seed 0: " in printed and "Llama, seed 0" not in printed
    again = {row["row"]: row["bits_per_byte"] for row in read_record(path)}
    assert again == {row["row"]: row["bits_per_byte"] for row in whole["rows"]}


def test_what_is_done_is_kept_when_it_is_stopped(refusal, tmp_path, monkeypatch):
    path, measure = tmp_path / "record.json", gpt_to_llama.measure_row

    def stop_at_rotary(name, *arguments):
        if name == "rotary positions":
            raise KeyboardInterrupt
        return measure(name, *arguments)

    monkeypatch.setattr(gpt_to_llama, "measure_row", stop_at_rotary)
    assert "gpt_to_llama: stopped" in refusal(gpt_to_llama, *TINY, "--record", path)
    assert [row["row"] for row in read_record(path)] == [COUNTS, "GPT-2", "RMSNorm"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seeds", 0), "--seeds 0 must be at least 1"),
        (("--steps", -1), "--steps -1 must be at least 1"),
        (("--batch-size", 0), "--batch-size 0 must be at least 1"),
        (("--lr", "nan"), "--lr nan must be above 0, and finite"),
        (("--emb-dim", 18), "emb_dim=18 is not a multiple of n_heads=4"),
        (("--emb-dim", 4), "head_dim=1 must be even: it turns in pairs"),
        (("--context-length", 0), "context_length=0 must be at least 1"),
        (("--device", "abacus"), "device 'abacus' is not here"),
    ],
)
def test_a_bad_option_is_refused_in_one_sentence(options, message, refusal, tmp_path):
    path = tmp_path / "record.json"
    said = refusal(gpt_to_llama, *TINY, "--record", path, *options)
    assert said.startswith(f"gpt_to_llama: {message}") and not path.exists()


def test_a_record_of_other_settings_or_a_damaged_one_is_refused(refusal, tmp_path):
    path = tmp_path / "record.json"
    settings = {"steps": 9, "batch_size": 2, "lr": 3e-3}
    path.write_text(json.dumps({"settings": settings, "rows": []}))
    said = refusal(gpt_to_llama, *TINY, "--record", path)
    assert "holds runs with steps 9, not 2" in said and "give the same settings" in said
    for text in ("{", "[]", '{"settings": {}, "rows": [{"row": "GPT-3", "seed": 0}]}'):
        path.write_text(text)
        said = refusal(gpt_to_llama, *TINY, "--record", path)
        assert said == f"gpt_to_llama: {path} is damaged: take another --record, or delete it"
        assert path.read_text() == text
