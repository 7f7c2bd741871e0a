"""One GPT in Python, NumPy, PyTorch and C: equal losses and gradients, and a record of speed."""

import json
import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from course_files import ROOT

from appendix_f import four_ways, native, numpy_gpt, python_gpt
from appendix_f.four_ways import TINY, draw_batches, start_weights
from appendix_f.native import NoCompiler, find_compiler
from ch04.gpt import GPTConfig, GPTModel

UNTIED = GPTConfig(11, 7, 6, 3, 1, 0.0, qkv_bias=False, tie_weights=False)
both_configs = pytest.mark.parametrize("config", [TINY, UNTIED], ids=["tied", "untied"])


def nested(weights: dict) -> dict:
    return {name: weight.tolist() for name, weight in weights.items()}


def torch_model(config: GPTConfig, weights: dict) -> GPTModel:
    """PyTorch's in float64, so that it can be held against 1e-10."""
    model = GPTModel(config).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
    return model


def torch_loss(model: GPTModel, idx: np.ndarray, targets: np.ndarray) -> torch.Tensor:
    logits = model(torch.from_numpy(idx)).flatten(0, 1)
    return F.cross_entropy(logits, torch.from_numpy(targets).flatten())


def test_twenty_losses_are_equal_in_all_ways():
    losses = four_ways.compare_losses(20)
    assert len(losses) == 20 and losses.NumPy.nunique() == 20
    apart = losses.sub(losses.NumPy, axis=0).abs().max()
    assert apart.pop("Python") <= 1e-10  # [9e-16]
    assert apart.pop("NumPy") == 0
    assert not apart.empty and (apart <= 1e-5).all(), apart  # in float32 [5e-7]


@both_configs
def test_every_gradient_is_equal_in_python_numpy_and_pytorch(config: GPTConfig):
    weights = start_weights(config)
    ((idx, targets),) = draw_batches(config, 1, B=2, T=5)
    model = torch_model(config, weights)
    wanted_loss = torch_loss(model, idx, targets)
    wanted_loss.backward()
    wanted = {name: p.grad.numpy() for name, p in model.named_parameters()}

    arrays = numpy_gpt.NumpyGPT(config, weights)
    loss, gradients = arrays.loss_and_gradients(idx, targets)
    assert loss == pytest.approx(wanted_loss.item(), abs=1e-12)
    assert gradients.keys() == wanted.keys() == weights.keys()
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, wanted[name], atol=1e-12, err_msg=name)

    numbers = python_gpt.PythonGPT(config, nested(weights))
    value = numbers.loss(idx.tolist(), targets.tolist())
    value.backward()
    assert value.data == pytest.approx(loss, abs=1e-12)
    grads = [parameter.grad for parameter in numbers.parameters()]
    np.testing.assert_allclose(
        grads, np.concatenate([g.ravel() for g in gradients.values()]), atol=1e-12
    )


def test_a_dot_product_as_one_value_has_the_slopes_of_its_steps():
    rows = [[python_gpt.Value(x) for x in (0.5, -2.0, 3.0)] for _ in range(4)]
    for dot, (a, b) in ((python_gpt.dot, rows[:2]), (python_gpt.dot_by_steps, rows[2:])):
        (dot(a, b) ** 2).backward()
    slopes = [[value.grad for value in row] for row in rows]
    assert slopes[0] == slopes[2] and slopes[1] == slopes[3] and any(slopes[0])
    weights, batches = start_weights(UNTIED), draw_batches(UNTIED, 2, B=1, T=3)
    by_steps, at_once = (
        four_ways.losses_of(start, UNTIED, weights, batches)
        for start in (four_ways.start_python_by_steps, four_ways.start_python)
    )
    assert by_steps == pytest.approx(at_once, abs=1e-12)


@both_configs
def test_one_measured_slope_agrees_with_all_gradients(config: GPTConfig):
    model = numpy_gpt.NumpyGPT(config, start_weights(config))
    ((idx, targets),) = draw_batches(config, 1, T=config.context_length)
    assert numpy_gpt.directional_error(model, idx, targets, 1e-5) <= 1e-8
    # too long a step measures the curve as well
    assert numpy_gpt.directional_error(model, idx, targets, 0.3) >= 1e-4


def no_variance(dy, kept, scale):
    g = dy * scale
    rows = tuple(range(dy.ndim - 1))
    dx = kept[1] * (g - g.mean(axis=-1, keepdims=True))
    return dx, (dy * kept[0]).sum(axis=rows), dy.sum(axis=rows)


def no_dot_product(dy, qkv, weights, n_heads):
    q, k, v = numpy_gpt.split_heads(qkv, n_heads)
    dO = numpy_gpt.split_heads(np.tile(dy, 3), n_heads)[0]
    dS = weights * (dO @ v.swapaxes(-1, -2)) * q.shape[-1] ** -0.5
    parts = [dS @ k, dS.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ dO]
    return np.concatenate([numpy_gpt.merge_heads(part) for part in parts], axis=-1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_slope_of_gelu_is_0_or_1_far_from_0_and_never_overflows(dtype):
    x = np.array([-1000, -40, 40, 1000], dtype=dtype)
    with np.errstate(all="raise"):
        slope = numpy_gpt.gelu_backward(np.ones_like(x), x)
    assert np.abs(slope - [0, 0, 1, 1]).max() < 1e-6


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("layer_norm_backward", no_variance),
        ("attention_backward", no_dot_product),
        ("gelu_backward", lambda dy, x: dy * (x > 0)),
        ("linear_backward", lambda dy, x, w: (dy @ w, 0 * w, dy.sum(axis=(0, 1)))),
    ],
)
def test_the_measured_slope_finds_a_wrong_backward(monkeypatch, name: str, wrong):
    model = numpy_gpt.NumpyGPT(TINY, start_weights(TINY))
    ((idx, targets),) = draw_batches(TINY, 1)
    monkeypatch.setattr(numpy_gpt, name, wrong)
    assert numpy_gpt.directional_error(model, idx, targets, 1e-5) >= 1e-3


def test_a_batch_is_learned_by_heart_at_the_same_pace():
    weights = start_weights(TINY)
    batches = draw_batches(TINY, 1) * 100
    ours = four_ways.losses_of(four_ways.start_numpy, TINY, weights, batches)
    model = torch_model(TINY, weights)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    for loss, (idx, targets) in zip(ours, batches):
        theirs = torch_loss(model, idx, targets)
        optimizer.zero_grad()
        theirs.backward()
        optimizer.step()
        assert loss == pytest.approx(theirs.item(), abs=1e-9)
    assert ours[-1] < ours[0] / 2


def test_a_token_cannot_see_its_future():
    weights = start_weights(TINY)
    ids = [3, 1, 4, 1, 5]
    changed = ids[:3] + [9, 2]
    arrays = numpy_gpt.NumpyGPT(TINY, weights)
    one, other = arrays.forward(np.array([ids, changed]))[0]
    np.testing.assert_array_equal(one[:3], other[:3])
    assert (one[3:] != other[3:]).any()
    numbers = python_gpt.PythonGPT(TINY, nested(weights))
    one, other = ([[v.data for v in row] for row in numbers.logits(i)] for i in (ids, changed))
    assert one[:3] == other[:3] and one[3:] != other[3:]


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        ([13], "id 13 is outside vocab_size=13"),
        ([-1], "id -1 is outside vocab_size=13"),
        ([0] * 9, "9 tokens do not fit into context_length=8"),
    ],
)
def test_ids_that_no_model_can_read_are_refused(ids: list[int], problem: str):
    weights = start_weights(TINY)
    with pytest.raises(ValueError, match=problem):
        python_gpt.PythonGPT(TINY, nested(weights)).logits(ids)
    with pytest.raises(ValueError, match=problem):
        numpy_gpt.NumpyGPT(TINY, weights).forward(np.array([ids]))


def test_the_model_of_numbers_is_short_and_needs_no_array():
    source = (ROOT / "appendix-F" / "python_gpt.py").read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 250
    assert not any(f"import {name}" in source for name in ("numpy", "torch"))


def test_the_record_spans_five_orders_of_magnitude():
    table = four_ways.speed_table()
    assert set(table.index) == set(four_ways.TIMED_WAYS)
    assert table["times the slowest"].min() == 1
    assert table["times the slowest"].max() > 1e5


def test_a_damaged_record_is_refused(tmp_path):
    path = tmp_path / "record.json"
    with pytest.raises(ValueError, match="holds no row: run python -m appendix_f.four_ways"):
        four_ways.speed_table(path)
    path.write_text(json.dumps({"settings": {}, "rows": [{"way": "C"}]}))
    with pytest.raises(ValueError, match="is damaged"):
        four_ways.speed_table(path)


def test_too_few_steps_are_refused(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["four_ways", "--steps", "1"])
    with pytest.raises(SystemExit):
        four_ways.main()
    assert "--steps 1 must be at least 2" in capsys.readouterr().err


@pytest.fixture
def compiler():
    try:
        return find_compiler()
    except NoCompiler as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


def test_c_is_one_of_the_four(compiler):
    assert list(four_ways.compare_losses(2)) == ["Python", "NumPy", "PyTorch", "C"]


def test_without_a_compiler_three_ways_are_left_and_nothing_is_recorded(
    monkeypatch, refusal, capsys, tmp_path
):
    def none():
        raise NoCompiler("a C compiler is needed here")

    monkeypatch.setattr(native, "find_compiler", none)
    monkeypatch.setattr(four_ways, "find_compiler", none)
    native.load.cache_clear()
    path = tmp_path / "record.json"
    assert refusal(four_ways, "--record", path) == "four_ways: a C compiler is needed here"
    assert "PyTorch" in capsys.readouterr().out and not path.exists()
    assert list(four_ways.compare_losses(2)) == ["Python", "NumPy", "PyTorch"]
    with four_ways.one_thread():
        assert torch.get_num_threads() == 1


def test_the_command_writes_what_it_measured(compiler, monkeypatch, capsys, tmp_path):
    path = tmp_path / "record.json"
    monkeypatch.setattr("sys.argv", ["four_ways", "--steps", "2", "--record", str(path)])
    monkeypatch.setattr(four_ways, "load_pretrained", lambda name: (GPTModel(TINY), None))
    ways = {way: (start, 1, 4) for way, (start, _, _) in four_ways.TIMED_WAYS.items()}
    monkeypatch.setattr(four_ways, "TIMED_WAYS", ways)
    four_ways.main()
    printed = capsys.readouterr().out
    assert set(four_ways.speed_table(path).index) == set(ways)
    assert all(way in printed for way in ways) and printed.count("tokens per second") == len(ways)
