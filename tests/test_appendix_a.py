"""Appendix A: slopes as PyTorch finds them, three networks that are one, and shared training."""

import math
import os
import random
import statistics
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from course_files import ROOT

from appendix_a import ddp
from appendix_a.autograd import (
    MLP,
    Layer,
    Neuron,
    Value,
    as_value,
    cross_entropy,
    draw_graph,
    graph_layout,
    graph_order,
)
from appendix_a.checks import check_a_4
from appendix_a.ddp import DigitsDataset, TorchMLP, count_correct, shared_loader, train, train_epoch
from appendix_a.numpy_mlp import (
    NumpyMLP,
    digits_split,
    shuffled_batches,
    softmax_cross_entropy,
    sum_to_shape,
    train_numpy,
)

# ---- Value: slopes of single numbers.

# Each works on Values and on tensors alike, for any a and b.
OPERATIONS = {
    "a + b": lambda a, b: a + b,
    "a - b": lambda a, b: a - b,
    "a * b": lambda a, b: a * b,
    "a / b": lambda a, b: a / (b * b + 0.5),
    "-a": lambda a, b: -a,
    "a ** 3": lambda a, b: a**3,
    "a ** -2": lambda a, b: (a * a + 0.5) ** -2,
    "a ** 0.5": lambda a, b: (a * a + 0.5) ** 0.5,
    "a ** 0": lambda a, b: a**0,
    "2 + a": lambda a, b: 2 + a,
    "2 - a": lambda a, b: 2 - a,
    "2 * a": lambda a, b: 2 * a,
    "2 / a": lambda a, b: 2 / (a * a + 0.5),
    "a + 2": lambda a, b: a + 2,
    "a - 2": lambda a, b: a - 2,
    "a * 2": lambda a, b: a * 2,
    "a / 2": lambda a, b: a / 2,
    "exp": lambda a, b: a.exp(),
    "log": lambda a, b: (a * a + 0.5).log(),
    "tanh": lambda a, b: a.tanh(),
    "relu": lambda a, b: a.relu(),
}


def follow(recipe, numbers):
    """Apply operations to numbers that exist, and bend what they give so that it stays small."""
    numbers = list(numbers)
    for name, i, j in recipe:
        numbers.append(OPERATIONS[name](numbers[i], numbers[j]).tanh() * 2)
    return sum(numbers[-8:])


def assert_same_slopes(function, start):
    values = [Value(number) for number in start]
    tensors = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in start]
    ours, theirs = function(values), function(tensors)
    ours.backward()
    theirs.backward()
    assert ours.data == pytest.approx(theirs.item(), rel=1e-9, abs=1e-12)
    for value, tensor in zip(values, tensors):
        grad = 0.0 if tensor.grad is None else tensor.grad.item()
        assert value.grad == pytest.approx(grad, rel=1e-7, abs=1e-10)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("start", [(0.7, -1.3), (-1.1, 0.4), (0.0, 0.9), (2.5, 2.5)])
def test_each_operation_has_the_value_and_slopes_of_pytorch(name, start):
    assert_same_slopes(lambda numbers: OPERATIONS[name](*numbers), start)


def test_random_expressions_have_the_slopes_of_pytorch():
    draw = random.Random(1)
    for _ in range(150):
        recipe = [
            (draw.choice(list(OPERATIONS)), draw.randrange(n), draw.randrange(n))
            for n in range(4, 40)
        ]
        start = [draw.uniform(-2, 2) for _ in range(4)]
        assert_same_slopes(lambda numbers, recipe=recipe: follow(recipe, numbers), start)


def test_a_number_used_twice_gets_both_slopes():
    x = Value(3.0)
    (x * x + x).backward()
    assert x.grad == 7


def test_backward_twice_adds_up_in_leaves_as_in_pytorch():
    x, tensor = Value(0.3), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    ours, theirs = (x * x).tanh() * x, (tensor * tensor).tanh() * tensor
    for _ in range(3):
        ours.backward()
        theirs.backward(retain_graph=True)
    assert x.grad == pytest.approx(tensor.grad.item())
    x.backward()  # a leaf itself
    assert x.grad == pytest.approx(tensor.grad.item() + 1)


def test_two_results_of_one_graph_add_up_as_in_pytorch():
    x, tensor = Value(0.3), torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    for number in (x, tensor):
        middle = number * 5
        a, b = middle.tanh(), middle * middle
        a.backward(**({} if number is x else {"retain_graph": True}))
        b.backward()
    assert x.grad == pytest.approx(tensor.grad.item())


def test_a_long_chain_does_not_reach_the_recursion_limit():
    x = Value(1.0)
    total = x
    for _ in range(50_000):
        total = total + x
    total.backward()
    assert x.grad == 50_001


def test_each_value_is_visited_once_however_many_paths_there_are():
    x = y = Value(1.0)
    for _ in range(200):
        y = y + y
    assert len(graph_order(y)) == 201
    y.backward()
    assert x.grad == 2.0**200


def test_inputs_come_first_in_the_order():
    a, b = Value(1), Value(2)
    root = (a * b + a).exp() / b
    order = graph_order(root)
    at = {value: i for i, value in enumerate(order)}
    assert order[-1] is root and len(at) == len(order) == 7  # with 1 / b
    assert all(at[i] < at[value] for value in order for i in value.inputs)


def test_numpy_numbers_work_on_both_sides():
    x = Value(np.float64(3))
    y = np.float64(2) * x + np.float32(1) - np.int64(4) / x
    assert isinstance(y, Value) and y.data == pytest.approx(7 - 4 / 3)


@pytest.mark.parametrize(
    ("attempt", "kind", "message"),
    [
        (lambda: Value(0).log(), ValueError, ""),  # Python's own words
        (lambda: Value(-2).log(), ValueError, ""),
        (lambda: Value(-8) ** (1 / 3), TypeError, "not complex"),
        (lambda: Value(0) ** -1, ZeroDivisionError, ""),
        (lambda: Value(0) ** 0.5, ZeroDivisionError, ""),
        (lambda: Value(2) ** Value(2), TypeError, "unsupported"),
        (lambda: 2 ** Value(2), TypeError, "unsupported"),
        (lambda: Value(1000).exp(), OverflowError, ""),
        (lambda: 1 / Value(0), ZeroDivisionError, ""),
        (lambda: Value(1) / 0, ZeroDivisionError, ""),
        (lambda: 1 / Value(1e-200), OverflowError, ""),
        (lambda: Value(10) ** 400, OverflowError, ""),
        (lambda: Value(1e308) * 10, ValueError, "* gives inf"),
        (lambda: Value(5e-324).log(), ValueError, "log gives inf"),
        (lambda: Value(math.nan), ValueError, "Value gives nan"),
        (lambda: Value("3"), TypeError, "not str"),
        (lambda: Value(3) + "4", TypeError, "not str"),
        (lambda: Value([1.0]), TypeError, "not list"),
        (lambda: Value(1, "+", (Value(1),), (Value(1),)), TypeError, "not Value"),
        (lambda: Neuron(2, "sigmoid", random.Random(0)), KeyError, "sigmoid"),
        (lambda: Neuron(0, "tanh", random.Random(0)), ZeroDivisionError, ""),
        (lambda: MLP([3]), ValueError, "sizes=[3]"),
        (lambda: MLP([3, 0, 2]), ValueError, "sizes=[3, 0, 2]"),
        (lambda: MLP([3, 2])([1.0, 2.0]), ValueError, "shorter"),
        (lambda: cross_entropy([Value(0)] * 3, 3), ValueError, "target=3 is none of 3"),
        (lambda: cross_entropy([Value(0)] * 3, -1), ValueError, "target=-1"),
    ],
)
def test_what_has_no_value_or_no_slope_is_refused(attempt, kind, message):
    with pytest.raises(kind) as refused:
        attempt()
    assert message in str(refused.value)


# ---- The drawing.


def test_arrows_point_to_the_right_and_boxes_do_not_overlap():
    places = graph_layout(MLP([2, 3, 1])([0.5, -1.0])[0])
    assert len(set(places.values())) == len(places)
    for value, (column, _) in places.items():
        assert all(places[its_input][0] < column for its_input in value.inputs)


def test_the_drawing_is_the_same_each_time_and_shows_every_value():
    def drawing():
        w, x = Value(2, name="w < 3"), Value(3, name="x")
        loss = (w * x - 4) ** 2
        loss.backward()
        return draw_graph(loss), loss

    (first, loss), (second, _) = drawing(), drawing()
    assert first == second
    root = ET.fromstring(first)  # well-formed, the name escaped
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert len(graph_order(loss)) == 6 == sum(text.startswith("value ") for text in texts)
    assert "w < 3" in texts and "grad 12" in texts and "x" in texts


def test_a_number_that_a_step_uses_twice_has_one_arrow_with_both_slopes():
    error = Value(3.0, name="error")
    loss = error * error
    loss.backward()
    elements = list(ET.fromstring(draw_graph(loss)).iter())
    assert sum(element.tag.endswith("path") for element in elements) == 1
    texts = [element.text for element in elements if element.tag.endswith("text")]
    assert texts.count("6") == 1 and "3" not in texts and error.grad == 6


# ---- Networks of Values.


def test_a_neuron_is_a_weighted_sum_bent():
    neuron = Neuron(3, "tanh", random.Random(0))
    x = [0.5, -1.0, 2.0]
    neuron.bias.data = 0.25
    total = 0.25 + sum(w.data * number for w, number in zip(neuron.weights, x))
    assert neuron(x).data == pytest.approx(math.tanh(total))
    assert len(neuron.parameters()) == 4
    assert len(Layer(3, 5, "relu", random.Random(0)).parameters()) == 20


def test_the_last_layer_is_not_bent():
    model = MLP([1, 1], "tanh")
    assert model([Value(100.0)])[0].data == pytest.approx(100 * model.parameters()[0].data)


def test_an_mlp_learns_xor_and_a_neuron_does_not():
    examples = [((-1, -1), -1), ((-1, 1), 1), ((1, -1), 1), ((1, 1), -1)]

    def final_loss(model, parameters):
        for _ in range(150):
            loss = sum((model(x) - y) ** 2 for x, y in examples) / 4
            for parameter in parameters:
                parameter.grad = 0.0
            loss.backward()
            for parameter in parameters:
                parameter.data -= 0.2 * parameter.grad
        return loss.data

    for seed in range(3):
        mlp = MLP([2, 4, 1], "tanh", seed)
        assert final_loss(lambda x, mlp=mlp: mlp(x)[0], mlp.parameters()) < 0.02
        neuron = Neuron(2, "tanh", random.Random(seed))
        assert final_loss(neuron, neuron.parameters()) > 0.9


def test_a_seed_repeats_the_weights():
    weights = [[p.data for p in MLP([3, 4, 2], seed=seed).parameters()] for seed in (1, 1, 2)]
    assert weights[0] == weights[1] != weights[2]


@pytest.mark.parametrize("scores", [[0.3, -1.0, 2.0], [1000.0, 0.0, 999.0]])
def test_cross_entropy_of_values_is_pytorchs(scores):
    values = [Value(score) for score in scores]
    tensor = torch.tensor([scores], dtype=torch.float64, requires_grad=True)
    ours, theirs = cross_entropy(values, 2), F.cross_entropy(tensor, torch.tensor([2]))
    ours.backward()
    theirs.backward()
    assert ours.data == pytest.approx(theirs.item(), abs=1e-12)
    np.testing.assert_allclose([v.grad for v in values], tensor.grad[0].numpy(), atol=1e-12)


# ---- NumPy: the same in batches.


@pytest.mark.parametrize(
    "shape", [(), (2,), (1,), (3, 2), (3, 1), (1, 2), (1, 1, 1), (4, 1, 1), (4, 3, 2)]
)
def test_the_gradient_of_what_was_broadcast_is_pytorchs(shape):
    gradient = np.random.default_rng(0).normal(size=(4, 3, 2))
    small = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    (small + torch.zeros(4, 3, 2)).backward(torch.from_numpy(gradient))
    ours = sum_to_shape(gradient, shape)
    assert ours.shape == shape
    np.testing.assert_allclose(ours, small.grad.numpy())


@pytest.mark.parametrize("shape", [(3,), (5, 1, 1), (1, 4, 3, 2)])
def test_a_shape_that_does_not_broadcast_is_refused(shape):
    with pytest.raises(ValueError, match="broadcast|shape"):
        sum_to_shape(np.zeros((4, 3, 2)), shape)


def test_softmax_cross_entropy_is_pytorchs_also_for_huge_scores():
    draw = np.random.default_rng(0)
    scores, targets = draw.normal(size=(6, 4)) * 300, draw.integers(0, 4, 6)
    tensor = torch.tensor(scores, requires_grad=True)
    theirs = F.cross_entropy(tensor, torch.from_numpy(targets))
    theirs.backward()
    loss, gradient = softmax_cross_entropy(scores, targets)
    assert loss == pytest.approx(theirs.item())
    np.testing.assert_allclose(gradient, tensor.grad.numpy(), atol=1e-12)
    np.testing.assert_allclose(gradient.sum(axis=1), 0, atol=1e-12)  # belief only moves around


@pytest.mark.parametrize("targets", [[0, 1, 4], [0, 1, -1], [0, 1], [[0], [1], [2]]])
def test_targets_that_are_no_classes_are_refused(targets):
    with pytest.raises(ValueError, match="targets must be 3 numbers from 0 to 3"):
        softmax_cross_entropy(np.zeros((3, 4)), np.array(targets))


def as_torch(model: NumpyMLP) -> torch.nn.Sequential:
    layers = []
    for matrix, bias in zip(model.parameters[::2], model.parameters[1::2]):
        layer = torch.nn.Linear(*matrix.shape, dtype=torch.float64)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(matrix.T))
            layer.bias.copy_(torch.from_numpy(bias))
        layers += [layer, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("sizes", [[5, 3], [5, 4, 3], [5, 8, 6, 3]])
def test_numpy_gradients_are_those_of_pytorch_and_of_values(sizes):
    draw = np.random.default_rng(0)
    x, targets = draw.normal(size=(7, 5)), draw.integers(0, 3, 7)
    model = NumpyMLP(sizes, seed=1)
    for bias in model.parameters[1::2]:
        bias += draw.normal(size=bias.shape)
    loss, gradients = model.loss_and_gradients(x, targets)

    theirs = as_torch(model)
    torch_loss = F.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(targets))
    torch_loss.backward()
    assert loss == pytest.approx(torch_loss.item())
    for gradient, parameter in zip(gradients, theirs.parameters(), strict=True):
        np.testing.assert_allclose(gradient, parameter.grad.numpy().T, atol=1e-12)

    ours = MLP(sizes, "relu")
    flat = np.concatenate(
        [
            np.vstack([matrix, bias]).T.ravel()  # a neuron's weights, then its bias
            for matrix, bias in zip(model.parameters[::2], model.parameters[1::2])
        ]
    )
    for parameter, number in zip(ours.parameters(), flat, strict=True):
        parameter.data = float(number)
    value_loss = sum(cross_entropy(ours(row), int(t)) for row, t in zip(x, targets)) / len(x)
    value_loss.backward()
    assert value_loss.data == pytest.approx(loss)
    expected = np.concatenate(
        [np.vstack([m, b]).T.ravel() for m, b in zip(gradients[::2], gradients[1::2])]
    )
    np.testing.assert_allclose([p.grad for p in ours.parameters()], expected, atol=1e-12)


def test_the_digits_are_all_there_and_fairly_split():
    train_images, test_images, train_labels, test_labels = digits_split()
    assert train_images.shape == (1347, 64) and test_images.shape == (450, 64)
    assert 0 <= train_images.min() and train_images.max() == 1
    counts = np.bincount(test_labels)
    assert len(counts) == 10 and counts.min() >= 43
    everything = np.vstack([train_images, test_images])
    assert len(np.unique(everything, axis=0)) == 1797  # no image twice, on both sides
    assert np.bincount(train_labels).sum() == 1347


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_numpy_reads_digits_in_seconds(seed):
    train_images, test_images, train_labels, test_labels = digits_split()
    started = time.process_time()
    model = NumpyMLP([64, 32, 10], seed)
    history = train_numpy(model, train_images, train_labels, epochs=30, seed=seed)
    assert time.process_time() - started < 20
    assert history[-1] < 0.2 < history[0]
    assert (model(test_images).argmax(axis=1) == test_labels).mean() >= 0.95


def test_each_image_is_in_one_batch_of_an_epoch():
    batches = list(shuffled_batches(10, 3, np.random.default_rng(0)))
    assert [len(batch) for batch in batches] == [3, 3, 3]
    assert len(set(np.concatenate(batches).tolist())) == 9


def test_batches_and_losses_that_make_no_sense_are_refused():
    x, y = np.ones((4, 2)), np.array([0, 1, 0, 1])
    for size in (0, 5):
        with pytest.raises(ValueError, match=f"batch_size={size} must be from 1 to 4"):
            train_numpy(NumpyMLP([2, 2]), x, y, epochs=1, batch_size=size)
    with pytest.raises(ValueError, match="lower the learning rate"):
        train_numpy(NumpyMLP([2, 2]), x * np.nan, y, epochs=1, batch_size=2)
    with pytest.raises(ValueError, match="sizes"):
        NumpyMLP([2])


# ---- PyTorch, and several processes.


def test_the_torch_network_is_the_same_size():
    assert sum(p.numel() for p in TorchMLP().parameters()) == 64 * 32 + 32 + 32 * 10 + 10
    assert len(MLP([64, 32, 10]).parameters()) == 2410


def test_all_correct_images_are_counted_once_over_the_shares():
    test_set = DigitsDataset(train=False)
    model = TorchMLP().train()
    whole = count_correct(model, test_set.images, test_set.labels)
    with torch.no_grad():
        best = model(test_set.images).argmax(dim=-1)
    assert whole == (best == test_set.labels).sum()
    for world in (2, 3, 7):
        shares = [test_set[rank::world] for rank in range(world)]
        assert sum(count_correct(model, *share) for share in shares) == whole
    assert model.training


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("n_images", [48, 50, 61])
def test_the_shares_of_all_ranks_are_the_batches_of_one(world, n_images):
    dataset = torch.utils.data.TensorDataset(torch.arange(n_images))

    def batches(rank, world, epoch=1):
        loader = shared_loader(dataset, 12, rank, world)
        loader.sampler.set_epoch(epoch)
        return [set(numbers.tolist()) for (numbers,) in loader]

    alone = batches(0, 1)
    shares = [batches(rank, world) for rank in range(world)]
    assert len(alone) == n_images // 12
    for i, batch in enumerate(alone):
        assert sorted(x for share in shares for x in share[i]) == sorted(batch)
    assert all(len(share) == len(alone) for share in shares)
    assert batches(0, 1, epoch=2) != alone


@pytest.mark.parametrize(
    ("batch_size", "world", "message"),
    [
        (10, 3, "cannot be shared by 3 processes: take 9, or another multiple of 3"),
        (2, 7, "take 7, or another multiple of 7"),
        (0, 1, "batch_size=0"),
        (99, 1, "batch_size=99 must be"),
    ],
)
def test_batches_that_cannot_be_shared_are_refused(batch_size, world, message):
    with pytest.raises(ValueError, match=message):
        shared_loader(torch.utils.data.TensorDataset(torch.arange(20)), batch_size, 0, world)


def test_a_loss_that_is_not_finite_is_named():
    optimizer = torch.optim.SGD((model := TorchMLP()).parameters(), lr=0.1)
    bad = [(torch.full((2, 64), torch.nan), torch.tensor([0, 1]))]
    before = [p.clone() for p in model.parameters()]
    with pytest.raises(ValueError, match="lower the learning rate"):
        train_epoch(model, bad, optimizer)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters()))


def arguments(monkeypatch, *options: str):
    monkeypatch.setattr(sys, "argv", ["ddp", *options])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--epochs", "0"], "epochs=0 must be at least 1"),
        (["--lr", "-1"], "lr=-1.0 must be above 0"),
        (["--lr", "nan"], "lr=nan must be above 0"),
        (["--batch-size", "0"], "batch_size=0"),
        (["--batch-size", "5000"], "batch_size=5000 must be from 1 to 1347"),
    ],
)
def test_the_command_refuses_in_one_sentence(options, message, monkeypatch, tmp_path):
    arguments(monkeypatch, *options, "--backend", "gloo", "--out", str(tmp_path / "out.pt"))
    with pytest.raises(SystemExit) as stopped:
        ddp.main()
    assert str(stopped.value.code).startswith("ddp: ") and message in stopped.value.code
    assert "\n" not in stopped.value.code and not list(tmp_path.iterdir())


def test_a_folder_is_no_file_to_write_to(monkeypatch, tmp_path):
    arguments(monkeypatch, "--out", str(tmp_path))
    monkeypatch.setattr(ddp, "train", lambda *_: pytest.fail("it has trained before it refused"))
    with pytest.raises(SystemExit, match="ddp: out=.* is a folder: name a file in it"):
        ddp.main()


def test_a_file_that_cannot_be_written_leaves_the_old_one(monkeypatch, tmp_path):
    path = tmp_path / "out.pt"
    torch.save({"losses": [1.0]}, path)

    def fail(content, file):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", fail)
    arguments(monkeypatch, "--epochs", "1", "--backend", "gloo", "--out", str(path))
    with pytest.raises(SystemExit, match="ddp: no space left"):
        ddp.main()
    assert [file.name for file in tmp_path.iterdir()] == ["out.pt"]
    assert torch.load(path, weights_only=True) == {"losses": [1.0]}


def test_nccl_without_enough_gpus_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="a GPU for each process: 1 here"):
        ddp.join_processes("nccl")
    assert ddp.join_processes(None) == torch.device("cpu")  # both on the CPU instead


def run_ddp(*options: str, launcher: tuple[str, ...] = ()) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *launcher, "-m", "appendix_a.ddp", *options],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1", "USE_LIBUV": "0"},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.slow
def test_two_processes_give_the_loss_and_the_weights_of_one(tmp_path):
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    options = ("--epochs", "3", "--explain", "--backend", "gloo", "--out", str(tmp_path / "two.pt"))
    done = run_ddp(*options, launcher=torchrun)
    assert done.returncode == 0, done.stderr
    two = torch.load(tmp_path / "two.pt", weights_only=True)

    torch.manual_seed(123)
    model = TorchMLP()
    losses = train(model, DigitsDataset(train=True), 3, batch_size=48, learning_rate=0.2)
    assert two["losses"] == pytest.approx(losses, abs=1e-4)
    assert losses[-1] < losses[0] / 2
    for name, weight in model.state_dict().items():
        torch.testing.assert_close(two["model"][name], weight, atol=1e-3, rtol=0)
    for part in ("rank 0: process 1 of 2", "rank 1: process 2 of 2", "24 of the 48 images"):
        assert part in done.stdout
    assert done.stdout.count("test accuracy") == 1  # rank 0 alone


@pytest.mark.slow
def test_help_and_one_process_from_the_command_line(monkeypatch, capsys, tmp_path):
    arguments(monkeypatch, "--help")
    with pytest.raises(SystemExit) as stopped:
        ddp.main()
    assert stopped.value.code == 0
    said = capsys.readouterr().out
    for option in ("--epochs", "--batch-size", "--lr", "--seed", "--backend", "--explain", "--out"):
        assert option in said
    done = run_ddp("--backend", "gloo", "--explain", "--out", str(tmp_path / "new" / "one.pt"))
    assert done.returncode == 0, done.stderr
    assert "rank 0: process 1 of 1 on cpu (no group)" in done.stdout
    weights = torch.load(tmp_path / "new" / "one.pt", weights_only=True)["model"]
    model = TorchMLP()
    model.load_state_dict(weights)
    test_set = DigitsDataset(train=False)
    assert count_correct(model, *test_set[:]) / len(test_set) >= 0.95


def test_a_value_stays_itself():
    x = Value(1)
    assert as_value(x) is x and as_value(2).data == 2.0


@pytest.mark.parametrize("product", ["matmul", "mm", "__matmul__"])
def test_the_time_of_a_product_may_be_taken_of_any_of_its_names(product):
    def time_product(a, b, wait, clock=time.perf_counter, repeats=5):
        times = []
        for _ in range(repeats + 1):
            started = clock()
            getattr(a, product)(b)
            wait()
            times.append(clock() - started)
        return statistics.median(times[1:])

    assert str(check_a_4.judge(time_product)) == "Exercise A.4: right."
