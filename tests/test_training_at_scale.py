"""The scaling law, and the order in which its prediction and its run must stand."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from ch05.bonus import training_at_scale as scale
from ch05.bonus.training_at_scale import (
    LADDER,
    LARGE,
    LAW_FORMS,
    RECORD,
    SMALL,
    check_order,
    count_bits,
    digest,
    fit,
    law,
    left_out,
    missing,
    predict,
    small_runs,
)
from ch05.scaling import config_for_depth, multiplying

SIZES = np.array([2e5, 4e5, 8e5, 1.5e6, 2.4e6])


@pytest.fixture(scope="module")
def record() -> list[dict]:
    return json.loads(RECORD.read_text(encoding="utf-8"))["rows"]


POWER = {"a": 2.0, "alpha": 0.3}
FLOOR = {"a": 1.5, "alpha": 0.4, "floor": 0.8}
START = {"a": 1.9, "alpha": 0.4, "start": 0.5}
LAWS = list(zip(LAW_FORMS, (POWER, FLOOR, START)))


def flat(values) -> list[float]:
    if isinstance(values, dict):
        values = list(values.values())
    return sum(map(flat, values), []) if isinstance(values, list) else [values]


def made_up(known: dict[str, float]) -> list[dict]:
    """Small runs that follow a law."""
    rows = []
    for depth in SMALL:
        n = multiplying(config_for_depth(depth, **LADDER).config)
        bits = float(law(n, **known))
        row = {"what": "run", "depth": depth, "seed": 0, "weights": n, "bits": bits}
        rows.append(row | {"started": "2026-01-01T00:00:00+00:00"})
    return [rows[0] | {"seed": 1}, *rows]


@pytest.mark.parametrize(("form", "known"), LAWS)
def test_a_law_is_found_again(form, known):
    assert fit(SIZES, law(SIZES, **known), form) == pytest.approx(known, rel=0.01)


def test_a_run_left_out_of_a_true_law_is_hardly_missed():
    for form, known in LAWS:
        assert max(map(abs, left_out(SIZES, law(SIZES, **known), form))) < 1e-3
    # A power alone misses what has a floor, and most at the ends.
    errors = list(map(abs, left_out(SIZES, law(SIZES, **FLOOR), "power")))
    assert max(errors) == max(errors[0], errors[-1]) > 0.005


@pytest.mark.parametrize(("form", "known"), LAWS)
def test_the_form_is_taken_that_predicts_better(form, known):
    rows = made_up(known)
    if form == "power":  # noise that more free numbers would follow
        for row, noise in zip(rows[1:], (0.004, -0.004, 0.004, -0.004, 0.004)):
            row["bits"] *= 1 + noise
    said = predict(rows)
    assert said["form"] == form
    assert said["bits"] == pytest.approx(float(law(said["weights"], **known)), rel=0.02)
    assert said["low"] <= said["bits"] <= said["high"]


def test_seeds_are_averaged_and_their_spread_is_known():
    rows = made_up(POWER)
    rows[0]["bits"] += 0.2
    n, bits, spread = small_runs(rows)
    assert len(n) == len(SMALL) and bits[0] == pytest.approx(rows[1]["bits"] + 0.1)
    assert spread[0] == pytest.approx(0.2 / 2**0.5) and np.isnan(spread[1:]).all()


def spoiled(rows: list[dict], how: str) -> list[dict]:
    said = predict(rows) | {"written": "2026-01-01T01:00:00+00:00"}
    large = {"what": "run", "depth": LARGE, "started": "2026-01-01T02:00:00+00:00"}
    if how == "run first":
        large["started"] = "2026-01-01T00:30:00+00:00"
    if how == "no prediction":
        return [*rows, large]
    if how == "said twice":
        return [*rows, said, said, large]
    if how == "other small runs":
        rows[0]["bits"] += 0.1
    return [*rows, said, large]


def test_a_prediction_before_its_run_is_in_order():
    check_order(spoiled(made_up(POWER), "nothing"))


@pytest.mark.parametrize("how", ["run first", "no prediction", "said twice", "other small runs"])
def test_a_prediction_that_could_know_its_run_is_refused(how):
    with pytest.raises(ValueError, match="predict"):
        check_order(spoiled(made_up(POWER), how))


def test_the_large_run_is_the_last_and_behind_the_prediction():
    todo = [task[:2] for task in missing([])]
    assert todo[-1] == ("run", LARGE) and todo.index(("prediction",)) == len(todo) - 2


def test_the_record_is_whole_and_in_order(record):
    assert missing(record) == []
    check_order(record)


def test_the_recorded_prediction_follows_from_the_small_runs_alone(record):
    (said,) = (row for row in record if row["what"] == "prediction")
    again = predict(record)
    assert again["form"] == said["form"]
    for name in ("bits", "low", "high", "law", "left out", "spread of seeds"):
        assert flat(again[name]) == pytest.approx(flat(said[name]), rel=0.01, abs=0.001), name
    assert said["made from"] == digest(record)


def test_a_run_is_made_and_measured(monkeypatch):
    few = LADDER | {"tokens_per_weight": 0.05, "context_length": 32}
    monkeypatch.setattr(scale, "LADDER", few)
    monkeypatch.setattr(scale, "HELD_OUT_BYTES", 5000)
    row = scale.run(1, seed=0, precision="float32")
    assert row["what"] == "run" and 2 < row["bits"] < 8
    assert row["losses"][-1] < row["losses"][0]
    again = scale.run(1, seed=0, precision="float32", lr=row["lr"])
    assert again["what"] == "rate" and again["losses"] == row["losses"]


def test_counts_of_pairs_know_more_than_counts_of_bytes():
    found = count_bits(["abababab" * 9], ["abab" * 1000])
    assert found["counts of pairs"] < 0.2 < 1 < found["counts of bytes"] < 1.2


def test_bits_per_byte_of_a_model_that_knows_nothing():
    tokenizer = scale.course_tokenizer()
    config = config_for_depth(1, context_length=32).config
    documents = scale.held_out()[:3]
    torch.manual_seed(0)
    found = scale.bits_per_byte(scale.GPTModel(config), tokenizer, documents)
    # 11 bits for a token of 2,048 that are alike, over the bytes of a token.
    n_tokens = sum(len(tokenizer.encode_ordinary(d)) for d in documents)
    assert found == pytest.approx(11 * n_tokens / len("".join(documents).encode()), rel=0.05)


@pytest.mark.parametrize(
    ("text", "said"), [("{}", "damaged"), ('{"settings": {}, "rows": []}', "width_per_layer None")]
)
def test_a_record_of_something_else_is_refused(tmp_path, text, said):
    path = tmp_path / "record.json"
    path.write_text(text)
    command = [sys.executable, "-m", "ch05.bonus.training_at_scale", "--record", path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr
    assert path.read_text() == text
