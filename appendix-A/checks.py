"""What the exercises of appendix A ask for, and the sentence for an answer that is off."""

import itertools
import math
import os
import random
import re
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import distributions
from numbers import Integral
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.data import DataLoader, Dataset, TensorDataset

from appendix_a.autograd import Value
from appendix_a.ddp import train_epoch
from exercises.checking import (
    Wrong,
    article,
    ask,
    demand,
    exercise,
    same,
    untouched,
)

# ---- A.1 and A.2: what is here.


def packages_here() -> dict[str, str]:
    """The version of every installed package; where one is here twice, Python takes the first."""
    here: dict[str, str] = {}
    for package in distributions():
        name = package.metadata["Name"]
        if name and package.version:
            here.setdefault(
                re.sub(r"[-_.]+", "-", name).lower(), package.version
            )
    return here


@exercise("A.1")
def check_a_1(installed: Callable) -> None:
    """Versions of packages that are here, also of some drawn at random; None for what is not."""
    here, absent = packages_here(), "no-such-package"
    drawn = random.Random(1).sample(sorted(here), min(8, len(here)))
    for names in (
        ["torch"],
        ["scikit-learn"],
        ["torch", absent],
        [absent, *drawn, f"{absent}-2"],
    ):
        told = ask(installed, list(names))
        asked = f"installed({names})" if len(names) < 3 else "installed"
        demand(
            isinstance(told, dict),
            f"{asked} gives {article(told)}, but a dict is asked for.",
        )
        for name in names:
            version, wanted = told.get(name, "nothing"), here.get(name)
            demand(
                name in told,
                f"{asked} leaves out {name!r}: each name asked for is a key.",
            )
            if wanted is None:
                sentence = f"{asked} gives {version!r} for {name!r}, which is not here: give None."
                demand(version is None, sentence)
            elif version is None and name == "scikit-learn":
                raise Wrong(
                    f"{asked} gives None, but {wanted} is here. The package scikit-learn is "
                    "imported as sklearn: look among installed packages, not among imports."
                )
            else:
                demand(
                    isinstance(version, str) and version == wanted,
                    f"{asked} gives {version!r} for {name!r}, but '{wanted}' is installed.",
                )
        demand(
            len(told) == len(names),
            f"{asked} gives {len(told)} keys for {len(names)} names.",
        )


@contextmanager
def machine(
    threads: int, cuda: bool, mps: bool, wish: str | None
) -> Iterator[None]:
    """Let PyTorch use so many threads, seem to have such devices, and COURSE_DEVICE be the wish."""
    before = torch.get_num_threads()
    with (
        patch.object(torch.cuda, "is_available", lambda: cuda),
        patch.object(torch.backends.mps, "is_available", lambda: mps),
        patch.dict(os.environ),
    ):
        os.environ.pop("COURSE_DEVICE", None)
        if wish is not None:
            os.environ["COURSE_DEVICE"] = wish
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@exercise("A.2")
def check_a_2(environment: Callable) -> None:
    """The four facts, while the threads, the devices and COURSE_DEVICE change."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    for threads, cuda, mps, wish, device in [
        (1, False, False, None, "cpu"),
        (3, True, False, None, "cuda"),
        (2, False, True, None, "mps"),
        (1, True, True, None, "cuda"),
        (2, True, False, "cpu", "cpu"),
        (1, True, False, "", "cuda"),
    ]:
        with machine(threads, cuda, mps, wish):
            told = ask(environment)
        demand(
            isinstance(told, dict),
            f"environment() gives {article(told)}: give a dict.",
        )
        keys, wanted = set(told), {"python", "torch", "threads", "device"}
        demand(
            keys == wanted,
            f"The keys are {sorted(map(str, keys))}, not {sorted(wanted)}.",
        )
        demand(
            told["python"] == python,
            f"'python' is {told['python']!r}, but '{python}' runs: take the first two numbers of "
            "sys.version_info.",
        )
        demand(
            told["torch"] == str(torch.__version__),
            f"'torch' is {told['torch']!r}, but PyTorch says '{torch.__version__}'.",
        )
        demand(
            type(told["threads"]) is int and told["threads"] == threads,
            f"'threads' is {told['threads']!r} while PyTorch is set to {threads}: ask PyTorch, "
            "not the machine, and ask at each call.",
        )
        have = [
            name for name, is_here in (("CUDA", cuda), ("MPS", mps)) if is_here
        ]
        case = f"PyTorch has {' and '.join(have) or 'no GPU'}"
        if wish is not None:
            case = f"{case} and COURSE_DEVICE is {wish or 'empty'}"
        demand(
            isinstance(told["device"], str),
            f"'device' is {article(told['device'])}, but a str such as 'cpu' is asked for.",
        )
        demand(
            told["device"] == device,
            f"'device' is {told['device']!r} where {case}: '{device}' is asked for.",
        )


class WithoutTorch(TorchFunctionMode):
    """Refuse every function of PyTorch, under whatever name it is called."""

    def __init__(self, instead: str):
        super().__init__()
        self.instead = instead

    def __torch_function__(self, func, types, args=(), kwargs=None):
        raise TypeError(f"PyTorch is switched off here: {self.instead}")


# ---- A.3 and A.4: counting and timing.


def mlp(sizes: list[int], bias: bool) -> nn.Sequential:
    """PyTorch's MLP of these sizes; on the device meta it takes no memory."""
    pairs = zip(sizes, sizes[1:])
    return nn.Sequential(
        *(nn.Linear(i, o, bias=bias, device="meta") for i, o in pairs)
    )


@exercise("A.3")
def check_a_3(n_parameters: Callable) -> None:
    """The counts of PyTorch's own networks, from one layer to five, with and without biases."""
    draw = random.Random(3)
    cases = [([3, 2], True), ([3, 2], False), ([3, 2], None), ([5, 3, 2], True)]
    cases += [
        ([draw.randint(1, 900) for _ in range(n)], n % 3 > 0)
        for n in (2, 3, 4, 5, 6)
    ]
    cases.append(([4_000_000, 3_000_000, 7], True))  # no memory holds these
    for sizes, bias in cases:
        given, options = list(sizes), {} if bias is None else {"bias": bias}
        with WithoutTorch("compute the number from the sizes"):
            count = ask(n_parameters, given, **options)
        what = f"n_parameters({sizes}{f', bias={bias}' if options else ''})"
        # There are biases unless it says otherwise.
        bias = options.get("bias", True)
        demand(
            isinstance(count, Integral) and not isinstance(count, bool),
            f"{what} gives {article(count)}: a count is an int.",
        )
        demand(given == sizes, f"{what} changes the list that it was given.")
        wanted = sum(
            parameter.numel() for parameter in mlp(sizes, bias).parameters()
        )
        products = [i * o for i, o in zip(sizes, sizes[1:])]
        right = f"{what} is {count}, but PyTorch counts {wanted}"
        mistakes = [
            (sum(products), f"{right}: each neuron has a bias as well."),
            (
                sum(products) + sum(sizes[1:]),
                f"{right}: with bias=False there are no biases.",
            ),
            (
                sum(products) + sum(sizes),
                f"{right}: the inputs are no neurons and have no bias.",
            ),
            (
                sum(products) + len(products),
                f"{right}: each neuron has a bias, not each layer.",
            ),
            (
                sum(products) + sum(sizes[1:-1]),
                f"{right}: the last layer has biases too.",
            ),
            (
                products[0] + bias * sizes[1],
                f"{right}: the layers after the first count too.",
            ),
            (
                math.prod(sizes),
                f"{right}: weights lie between neighbours only, and are added up.",
            ),
        ]
        same(count, wanted, what, mistakes)


class PretendDevice:
    """A device with a clock of its own, on which a product is only put into a queue.

    The clock goes on by LAUNCH when a product is put in, and to the end of the queue on wait().
    The first product also sets things up, which takes SETUP.
    """

    LAUNCH, SETUP = 0.001, 50.0

    def __init__(self, costs: list[float]):
        self.now = self.queue_ends = 100.0
        self.costs, self.done, self.clock_asked = costs, [], False

    def product(self) -> None:
        cost = self.costs[len(self.done) % len(self.costs)] + self.SETUP * (
            not self.done
        )
        self.queue_ends = max(self.now, self.queue_ends) + cost
        self.done.append(cost)
        self.now += self.LAUNCH

    def wait(self) -> None:
        self.now = max(self.now, self.queue_ends)

    def clock(self) -> float:
        self.clock_asked = True
        return self.now


class PretendMatrix:
    """A matrix on a PretendDevice; torch.matmul takes it too."""

    def __init__(self, device: PretendDevice):
        self.device = device

    def __matmul__(self, other: "PretendMatrix") -> "PretendMatrix":
        self.device.product()
        return self

    matmul = mm = __matmul__

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), options=None):
        return arguments[0] @ arguments[1]


@exercise("A.4")
def check_a_4(time_product: Callable) -> None:
    """The time on a pretended device, whose every product has a known cost; then on real ones."""
    for repeats in (1, 3, 5, 9):
        draw = random.Random(repeats)
        device = PretendDevice([draw.uniform(1, 9) for _ in range(repeats + 4)])
        a, b = PretendMatrix(device), PretendMatrix(device)
        seconds = ask(time_product, a, b, device.wait, device.clock, repeats)
        demand(
            isinstance(seconds, float),
            f"The time is {article(seconds)}: give a float.",
        )
        done, case = device.done, f"With repeats={repeats}"
        demand(bool(done), "The product a @ b was never computed.")
        demand(
            device.clock_asked,
            "The clock that was passed was never asked: call clock().",
        )
        demand(
            len(done) > repeats,
            f"{case} only {len(done)} products were computed in all: one more is needed "
            "first, which is not measured, because it also sets things up.",
        )
        measured = done[-repeats:]
        wanted, mean = statistics.median(measured), statistics.mean(measured)
        same(
            seconds,
            wanted,
            f"{case} the time",
            [
                (
                    device.LAUNCH,
                    "This is the time to hand a product over: wait() before reading.",
                ),
                (
                    done[-1] + done[-2] - device.LAUNCH,
                    f"{case} the warm-up is measured too: wait() for it before you start to time.",
                ),
                (
                    wanted * 1000,
                    "The time is in milliseconds, but seconds are asked for.",
                ),
                (
                    sum(measured),
                    f"{case} the time is that of all products together.",
                ),
                (
                    mean,
                    f"{case} the time is the mean; one hiccup spoils it: take the median.",
                ),
                (
                    min(measured),
                    f"{case} the time is the shortest, but the median is asked for.",
                ),
                (
                    statistics.median(done),
                    f"{case} the first product is among the times: it also sets things up.",
                ),
            ],
        )
    for name, wait in real_waits().items():
        a, b = torch.randn(2, 64, 64, device=name)
        started = time.perf_counter()
        seconds = ask(time_product, a, b, wait)
        elapsed = time.perf_counter() - started
        sentence = f"On {name} one product took {seconds} s, and the whole call {elapsed:.4f} s."
        demand(isinstance(seconds, float) and 0 < seconds <= elapsed, sentence)


def real_waits() -> dict[str, Callable[[], None]]:
    """How to wait for each device that is here; a CPU is done when it answers."""
    waits = {"cpu": lambda: None}
    if torch.cuda.is_available():
        waits["cuda"] = torch.cuda.synchronize
    if torch.backends.mps.is_available():
        waits["mps"] = torch.mps.synchronize
    return waits


# ---- A.5 and A.6: automatic differentiation.


class Bare(Value):
    """A Value that leaves multiplication and tanh to the reader."""

    def __mul__(self, other):
        raise TypeError(
            "make the Value yourself, with its slopes, instead of using this operation"
        )

    __rmul__ = __truediv__ = __pow__ = __mul__

    def tanh(self):
        return self * self

    exp = tanh


def slopes_of(function: Callable, *numbers: float) -> tuple[Value, list[float]]:
    """What a function of Values gives, and the slopes that backward() then finds."""
    inputs = [Bare(number) for number in numbers]
    result = ask(function, *inputs)
    name = getattr(function, "__name__", "The function")
    demand(
        isinstance(result, Value),
        f"{name} gives {article(result)}, but a Value is asked for.",
    )
    demand(
        len(result.inputs) == len(result.slopes) == len(inputs),
        f"The Value of {name} has {len(result.inputs)} inputs and {len(result.slopes)} slopes, "
        f"but {len(inputs)} of each are asked for.",
    )
    result.backward()
    return result, [value.grad for value in inputs]


@exercise("A.5")
def check_a_5(multiply: Callable, tanh: Callable) -> None:
    """Values and slopes of both, alone and together, are those of PyTorch."""
    result, (a, b) = slopes_of(multiply, 2.0, 5.0)
    same(result.data, 10.0, "The value of multiply(2, 5)")
    demand(
        (a, b) != (2.0, 5.0),
        "At 2 * 5 the first slope is 2: each slope is the other factor.",
    )
    demand(
        (a, b) != (1.0, 1.0),
        "At 2 * 5 both slopes are 1: that is a sum, not a product.",
    )
    demand(
        (a, b) != (10.0, 10.0),
        "At 2 * 5 both slopes are 10: that is the product itself.",
    )
    demand(
        (a, b) == (5.0, 2.0),
        f"At 2 * 5 the slopes are {a:.4g} and {b:.4g}, not 5 and 2.",
    )

    result, (slope,) = slopes_of(tanh, 0.5)
    bent = math.tanh(0.5)
    same(result.data, bent, "The value of tanh(0.5)")
    for mistake, why in [
        (1 - 0.5**2, "the result is squared, not the input"),
        (1 - bent, "the result has to be squared"),
        (bent**2, "the square is taken away from 1"),
        (bent, "the slope is not the result itself"),
    ]:
        off = abs(slope - mistake) < 1e-6
        demand(
            not off,
            f"The slope of tanh at 0.5 is {slope:.4f}, but 0.7864 is right: {why}.",
        )
    same(slope, 1 - bent**2, "The slope of tanh at 0.5")

    draw = random.Random(5)
    for _ in range(20):
        start = [draw.uniform(-2, 2) for _ in range(3)]
        values = [Bare(number) for number in start]
        tensors = [
            torch.tensor(number, dtype=torch.float64, requires_grad=True)
            for number in start
        ]
        ours, theirs = list(values), list(tensors)
        for _ in range(4):
            i = draw.randrange(len(ours))
            j = draw.randrange(len(ours))  # may be i
            ours += [ask(multiply, ours[i], ours[j]), ask(tanh, ours[j])]
            theirs += [theirs[i] * theirs[j], theirs[j].tanh()]
        sum(ours[3:], Value(0.0)).backward()
        torch.stack(theirs[3:]).sum().backward()
        for value, tensor in zip(values, tensors):
            wanted = 0.0 if tensor.grad is None else tensor.grad.item()
            demand(
                math.isclose(value.grad, wanted, rel_tol=1e-6, abs_tol=1e-9),
                f"In a longer expression a slope is {value.grad:.4f}, but PyTorch finds "
                f"{wanted:.4f}: compute each slope from the numbers of that call.",
            )


class Watched(Value):
    """A Value that counts how often its inputs are looked at."""

    looks = 0

    @property
    def inputs(self) -> tuple[Value, ...]:
        Watched.looks += 1
        return self.kept

    @inputs.setter
    def inputs(self, inputs: tuple[Value, ...]) -> None:
        self.kept = inputs


def number(name: str, *inputs: Value) -> Watched:
    """A number of a graph: what was computed plays no part here, only from what."""
    return Watched(1.0, "+", inputs, (1.0,) * len(inputs), name)


def everything_below(root: Watched) -> set[Watched]:
    """The root and all that it was computed from."""
    found, new = set(), {root}
    while new:
        found |= new
        new = {below for value in new for below in value.kept} - found
    return found


def judge_order(graph_order: Callable, root: Watched, graph: str) -> None:
    """Everything once, each after its inputs, with few looks."""
    wanted = everything_below(root)
    Watched.looks = 0
    order = ask(graph_order, root)
    looks = Watched.looks
    demand(
        isinstance(order, list),
        f"graph_order gives {article(order)}: give a list.",
    )
    demand(
        all(isinstance(value, Watched) for value in order),
        "The list holds something else than the Values of the graph themselves.",
    )
    shown = (
        f" The order is {[value.name for value in order]}."
        if len(order) < 8
        else ""
    )
    for value in sorted(wanted - set(order), key=lambda value: value.name):
        raise Wrong(f"In {graph}, the order leaves out {value.name}.{shown}")
    places: dict[Value, int] = {}
    for place, value in enumerate(order):
        demand(
            value in wanted,
            f"In {graph}, the order holds {value.name}, which is not part of it.",
        )
        demand(
            value not in places,
            f"In {graph}, {value.name} stands in the order twice.{shown}",
        )
        places[value] = place
    for value in order:
        for below in value.kept:
            sentence = f"In {graph}, {value.name} stands before its input {below.name}.{shown}"
            demand(places[below] < places[value], sentence)
    demand(
        looks <= 20 * len(wanted),
        f"In {graph}, which has {len(wanted)} numbers, you looked at inputs {looks} times: "
        "remember what you have seen, and do not walk each path again.",
    )


@exercise("A.6")
def check_a_6(graph_order: Callable) -> None:
    """On graphs from one number to a chain of ten thousand: each once, after its inputs."""
    judge_order(graph_order, number("a"), "the graph of a alone")
    a, b = number("a"), number("b")
    c = number("c", a, b)
    judge_order(graph_order, c, "c = a + b")
    judge_order(graph_order, number("d", c, a), "d = (c = a + b) + a")
    judge_order(graph_order, number("d", a, c), "d = a + (c = a + b)")
    judge_order(graph_order, number("d", c, c), "d = (c = a + b) + c")
    draw = random.Random(6)
    for n in range(3, 40):
        numbers = [number("n0")]
        for i in range(1, n):
            inputs = draw.choices(
                numbers, k=draw.randint(0, 3) if i < n - 1 else 3
            )
            numbers.append(number(f"n{i}", *inputs))
        judge_order(graph_order, numbers[-1], "a random graph")
    doubled = a
    for i in range(12):
        doubled = number(f"doubled{i}", doubled, doubled)
    judge_order(graph_order, doubled, "a graph of twelve doublings")
    total = a
    for i in range(10_000):
        total = number(f"sum{i}", total, b)
    try:
        judge_order(graph_order, total, "a sum of 10,000 numbers")
    except Wrong as wrong:
        if "RecursionError" not in str(wrong):
            raise
        raise Wrong(
            "A sum of 10,000 numbers ends in a RecursionError: keep a list of what is still to be "
            "visited, in place of a function that calls itself."
        ) from None


# ---- A.7: softmax and cross-entropy.


@exercise("A.7")
def check_a_7(score_gradient: Callable) -> None:
    """The gradient that PyTorch finds, for batches of several sizes and for very large scores."""
    draw = np.random.default_rng(7)
    smallest = (np.array([[0.0, 0.0]]), np.array([1]))
    cases = [smallest, (np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([0, 1]))]
    shapes = [(1, 4), (5, 3), (3, 5), (4, 4)]
    cases += [
        (draw.normal(size=(b, k)), draw.integers(0, k, b)) for b, k in shapes
    ]
    cases.append((np.array([[1000.0, 0.0, -1000.0]]), np.array([2])))
    cases.append((np.array([[1000.0, 999.0]]), np.array([0])))
    cases.append((np.array([[1000.0, 0.0], [0.0, 1.0]]), np.array([1, 0])))
    for scores, targets in cases:
        (B, K), given, given_targets = (
            scores.shape,
            scores.copy(),
            targets.copy(),
        )
        by_hand = WithoutTorch("write it in NumPy, by hand")
        with np.errstate(all="ignore"), by_hand:
            gradient = ask(score_gradient, given, given_targets)
        tensor = torch.tensor(scores, requires_grad=True)
        F.cross_entropy(tensor, torch.from_numpy(targets)).backward()
        wanted = tensor.grad.numpy()
        softmax, one_hot = (
            tensor.detach().softmax(dim=1).numpy(),
            np.eye(K)[targets],
        )
        along_batch = tensor.detach().softmax(dim=0).numpy()
        cut_off = tensor.detach().clamp(-700, 700).softmax(dim=1).numpy()
        over_all = tensor.detach().flatten().softmax(dim=0).view(B, K).numpy()
        # Whole columns, not one place in each row.
        columns = np.isin(np.arange(K), targets)
        what = f"The gradient for scores of shape {(B, K)}"
        if B == 1 and K < 4:
            what = f"The gradient for the scores {scores.tolist()} and target {targets[0]}"
        not_a_row = f"{what} has a softmax over the batch: each row is a distribution, axis=1."
        demand(
            isinstance(gradient, np.ndarray),
            f"{what} is {article(gradient)}: give one array.",
        )
        demand(
            bool(np.isfinite(gradient).all()),
            f"{what} is not finite: exp(1000) is too large for a float, and exp(-1000) is 0. "
            "Subtract from each row its own largest score first.",
        )
        same(
            gradient,
            wanted,
            what,
            [
                (
                    -wanted,
                    f"{what} has the wrong sign: the right class's score should rise.",
                ),
                (
                    softmax - one_hot,
                    f"{what} is that of the sum: the loss is a mean over {B} rows.",
                ),
                (
                    wanted / K,
                    f"{what} is divided by the classes too: only by the number of rows.",
                ),
                (
                    softmax,
                    f"{what} is softmax alone: at the target 1 is subtracted.",
                ),
                (
                    softmax / B,
                    f"{what} is softmax alone: at the target 1 is subtracted.",
                ),
                ((along_batch - one_hot) / B, not_a_row),
                ((over_all - one_hot) / B, not_a_row),
                (
                    (cut_off - one_hot) / B,
                    f"{what} takes 1000 and 999 for equal: do not cut scores off, subtract the "
                    "row's largest.",
                ),
                (
                    (softmax - columns) / B,
                    f"{what} has 1 subtracted in whole columns: it is one place in each row.",
                ),
            ],
        )
        unchanged = np.array_equal(given, scores) and np.array_equal(
            given_targets, targets
        )
        demand(
            unchanged,
            "The array of scores, or of targets, is changed: work on a copy.",
        )


# ---- A.8: a dataset and a loader.


def taken(load: Callable) -> Callable:
    """load, with what it gives taken out of it; a loader without end is cut."""

    def load_all(*arguments, **options):
        batches = load(*arguments, **options)
        return (
            batches
            if untouched(batches)
            else list(itertools.islice(batches, 100))
        )

    load_all.__name__ = getattr(load, "__name__", "load")
    return load_all


def judge_dataset(weighings: type) -> None:
    draw = torch.Generator().manual_seed(8)
    small = torch.tensor([[4.0, 5.0], [6.0, 7.0], [5.0, 5.0]])
    for axles, limit in [
        (small, 10.0),
        (20 * torch.rand(7, 3, generator=draw), 31.5),
    ]:
        given = axles.clone()
        dataset = ask(weighings, given, limit)
        demand(
            isinstance(dataset, Dataset),
            "Weighings is no torch Dataset any more.",
        )
        n = ask(dataset.__len__)
        sentence = f"The length of {len(axles)} lorries is {n}: count lorries, not axles."
        demand(n == len(axles), sentence)
        for i, row in enumerate(axles):
            item = ask(dataset.__getitem__, i)
            demand(
                isinstance(item, tuple) and len(item) == 2,
                f"Item {i} is {article(item)}, but a pair of axles and label is asked for.",
            )
            demand(
                isinstance(item[1], Tensor),
                f"The label of item {i} is {article(item[1])}, but a tensor is asked for.",
            )
            same(item[0], row, f"The axles of item {i}")
            total, label = (
                row.sum().item(),
                torch.tensor(int(row.sum() > limit)),
            )
            case = f"A lorry of {total:g} tonnes at a limit of {limit:g}"
            wrong = f"{case} has the label {1 - label.item()}, but {label.item()} is right."
            same(item[1], label, f"The label of item {i}", [(1 - label, wrong)])
        ask(list, DataLoader(dataset, batch_size=2))
        demand(torch.equal(given, axles), "The tensor of axles is changed.")


def switched_off(loader: DataLoader) -> Iterator:
    raise TypeError(
        "DataLoader is switched off here: draw the order and stack the items yourself"
    )


@patch.object(DataLoader, "__iter__", switched_off)
def judge_loader(load: Callable) -> None:
    seeded = torch.Generator().manual_seed
    for n, size in [(5, 2), (6, 3), (41, 8), (3, 4)]:
        items = TensorDataset(
            10 * torch.arange(n * 2).view(n, 2), 2 * torch.arange(n)
        )
        for drop_last in (False, True):
            batches = ask(
                taken(load), items, size, seeded(1), drop_last=drop_last
            )
            case = f"{n} items, batch_size={size}, drop_last={drop_last}"
            for batch in batches:
                demand(
                    isinstance(batch, tuple | list)
                    and len(batch) == 2
                    and all(isinstance(part, Tensor) for part in batch),
                    f"{case}: a batch is {article(batch)}, but a pair of tensors is asked for.",
                )
                for part, n_dims, of in zip(
                    batch, (2, 1), ("the inputs", "the labels")
                ):
                    sentence = f"{case}: {of} of a batch have shape {tuple(part.shape)}"
                    demand(
                        part.ndim == n_dims,
                        f"{sentence}: stack those of its items.",
                    )
            sizes = [len(labels) for _, labels in batches]
            wanted = [size] * (n // size) + [n % size] * (
                n % size > 0 and not drop_last
            )
            demand(
                sizes == wanted,
                f"{case}: the batches have {sizes} items, not {wanted}.",
            )
            for inputs, labels in batches:
                sentence = (
                    f"{case}: inputs and labels are not of the same items."
                )
                demand(torch.equal(inputs[:, 0], 10 * labels), sentence)
            labels = [
                label for _, some in batches for label in (some // 2).tolist()
            ]
            for i in labels:
                demand(
                    labels.count(i) == 1,
                    f"{case}: item {i} comes {labels.count(i)} times.",
                )
    items = TensorDataset(torch.arange(41.0)[:, None], torch.arange(41))

    def order(generator: torch.Generator) -> list[int]:
        return [
            i
            for _, some in ask(taken(load), items, 8, generator)
            for i in some.tolist()
        ]

    generator = seeded(2)
    first, second = order(generator), order(generator)
    demand(
        first != list(range(41)),
        "The items come in the order of the dataset: shuffle them.",
    )
    [(step, n)] = Counter(
        (b - a) % 41 for a, b in itertools.pairwise(first)
    ).most_common(1)
    demand(
        n < 14,  # by chance about 4 of 40
        f"In {n} of 40 places item i is followed by item i {step if step < 21 else step - 41:+d}: "
        "shuffle the items one by one.",
    )
    demand(
        first == order(seeded(2)),
        "Equal generators give two orders: draw from the generator.",
    )
    demand(
        first != second,
        "Two epochs with one generator have the same order: go on drawing, do not seed it again.",
    )


@exercise("A.8")
def check_a_8(weighings: type, load: Callable) -> None:
    """Items and labels of the dataset; sizes, completeness and randomness of the batches."""
    judge_dataset(weighings)
    judge_loader(load)


# ---- A.9: the training loop.


def new_network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 4))


def weights_of(model: nn.Module) -> Tensor:
    return torch.cat(
        [parameter.detach().flatten() for parameter in model.parameters()]
    )


def trained(
    order: str,
    loader: DataLoader,
    epochs: int,
    loss_of: Callable = F.cross_entropy,
):
    """Weights, and losses of all batches, of a loop with z(ero_grad), b(ackward), s(tep) so."""
    model = new_network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    losses = []
    for inputs, labels in [batch for _ in range(epochs) for batch in loader]:
        loss = loss_of(model(inputs), labels)
        steps = {
            "z": optimizer.zero_grad,
            "b": loss.backward,
            "s": optimizer.step,
        }
        for step in order:
            steps[step]()
        losses.append(loss.item())
    return weights_of(model), torch.tensor(losses)


def softmax_first(scores: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(scores.softmax(dim=-1), labels)


@exercise("A.9")
def check_a_9(train: Callable) -> None:
    """Weights and losses are those of the appendix's own loop; the usual orders gone wrong."""
    draw = torch.Generator().manual_seed(9)
    inputs, labels = (
        torch.randn(24, 3, generator=draw),
        torch.randint(4, (24,), generator=draw),
    )
    for epochs, size, kind in [
        (1, 24, "SGD"),
        (1, 12, "SGD"),
        (3, 6, "SGD"),
        (2, 8, "AdamW"),
    ]:
        loader = DataLoader(TensorDataset(inputs, labels), batch_size=size)
        model, twin = new_network(), new_network()
        optimizer, its = (
            getattr(torch.optim, kind)(m.parameters(), lr=0.5)
            for m in (model, twin)
        )
        modes: list[bool] = []
        watch = model.register_forward_pre_hook(
            lambda module, _, m=modes: m.append(module.training)
        )
        losses = ask(train, model.eval(), loader, optimizer, epochs)
        watch.remove()
        wanted = torch.tensor(
            [train_epoch(twin, loader, its) for _ in range(epochs)]
        )
        n_batches = f"{len(loader)} batch{'es' * (len(loader) > 1)}"
        case = f"After {epochs} epoch{'s' * (epochs > 1)} of {n_batches} with {kind}"
        steps = epochs * len(loader)
        demand(
            len(modes) == steps,
            f"{case} the model was called {len(modes)} times: once for each batch makes {steps}.",
        )
        demand(
            all(modes),
            "The model was in the mode for measuring: call model.train() first.",
        )
        if kind == "SGD":
            mistakes = [
                (
                    weights_of(new_network()),
                    "the weights have not moved: zero_grad, backward, step.",
                ),
                (
                    trained("bs", loader, epochs)[0],
                    "the gradients of earlier batches were still there: call zero_grad.",
                ),
                (
                    trained("zbs", loader, epochs, softmax_first)[0],
                    "softmax was applied twice: cross_entropy wants the scores.",
                ),
            ]
        else:
            mistakes = [
                (
                    trained("zbs", loader, epochs)[0],
                    "take the optimizer that is passed.",
                )
            ]
        mistakes = [
            (value, f"{case} {sentence}") for value, sentence in mistakes
        ]
        same(
            weights_of(model),
            weights_of(twin),
            f"{case} the list of all weights",
            mistakes,
        )
        demand(
            isinstance(losses, list)
            and all(type(loss) is float for loss in losses),
            "The losses are asked for as a list of floats: loss.item() gives one, without a graph.",
        )
        demand(
            len(losses) == epochs,
            f"{case} there are {len(losses)} losses: one for each epoch is asked for.",
        )
        n = len(loader)
        mistakes = [
            (
                wanted * n,
                f"{case} the loss is the sum of the batches, not the mean.",
            )
        ]
        if kind == "SGD":
            last = trained("zbs", loader, epochs)[1][n - 1 :: n]
            mistakes.append(
                (
                    last,
                    f"{case} the loss is that of the last batch, not the mean.",
                )
            )
        same(
            torch.tensor(losses), wanted, f"{case} the list of losses", mistakes
        )


# ---- A.10: averaged gradients.


class Ranks:
    """Threads that play the processes of one training and meet at every all_reduce."""

    def __init__(self, world: int):
        self.world = world
        self.tensors: list[Tensor] = [torch.empty(0)] * world
        self.barrier = threading.Barrier(world, timeout=5)

    def all_reduce(self, rank: int, tensor: Tensor) -> None:
        """Replace the tensor by the sum over all ranks, as torch.distributed.all_reduce does."""
        if not isinstance(tensor, Tensor):
            raise TypeError(f"all_reduce takes a tensor, not {article(tensor)}")
        self.tensors[rank] = tensor
        self.barrier.wait()
        total = torch.stack([other.detach() for other in self.tensors]).sum(
            dim=0
        )
        self.barrier.wait()  # nobody writes before all have read
        with torch.no_grad():
            tensor.copy_(total)
        self.barrier.wait()

    def run(self, function: Callable, models: list[nn.Module]) -> list[int]:
        """What the function gives on each rank."""
        results: list = [None] * self.world
        errors: list[Exception] = []

        def work(rank: int) -> None:
            try:
                results[rank] = ask(
                    function,
                    models[rank],
                    partial(self.all_reduce, rank),
                    self.world,
                )
            except Exception as error:
                errors.append(error)
                self.barrier.abort()  # so that the others do not wait for ever

        threads = [
            threading.Thread(target=work, args=(rank,))
            for rank in range(self.world)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for error in sorted(
            errors, key=lambda error: "BrokenBarrier" in str(error)
        ):
            if "BrokenBarrier" in str(error):
                raise Wrong(
                    "The ranks wait for each other for ever: each must call all_reduce."
                )
            raise error
        return results


def gradients_of(model: nn.Module) -> Tensor:
    gradients = [
        p.grad.flatten() for p in model.parameters() if p.grad is not None
    ]
    return torch.cat([torch.empty(0), *gradients])


def judge_ranks(
    average: Callable, models: list[nn.Module], wanted: Tensor, case: str
) -> None:
    world, owns = len(models), [gradients_of(model).clone() for model in models]
    weights = [weights_of(model) for model in models]
    n_tensors = sum(
        parameter.grad is not None for parameter in models[0].parameters()
    )
    sent = Ranks(world).run(average, models)
    for rank, model in enumerate(models):
        demand(
            torch.equal(weights_of(model), weights[rank]),
            f"{case} the weights of rank {rank} have changed: average the gradients.",
        )
        gone = sum(p.grad is not None for p in model.parameters()) < n_tensors
        demand(
            not gone,
            "A gradient is gone: all_reduce changes its tensor and returns nothing.",
        )
        what = f"{case} the gradient of rank {rank}"
        mistakes = [
            (
                owns[rank],
                f"{what} is still its own: exchange it, and change it in place.",
            ),
            (
                wanted * world,
                f"{what} is the sum of the ranks: divide it by their number.",
            ),
            (
                wanted / world,
                f"{what} is divided by the number of ranks twice.",
            ),
            (
                owns[rank] / world,
                f"{what} is its own, divided, but not added to the others'.",
            ),
        ]
        same(gradients_of(model), wanted, what, mistakes)
        sizes = [parameter.numel() for parameter in model.parameters()]
        no_numbers = f"{case} tensors were counted, but the count of their numbers is asked for."
        mistakes = [
            (
                sum(sizes),
                f"{case} a frozen parameter was counted: what has no grad is not sent.",
            ),
            (n_tensors, no_numbers),
            (len(sizes), no_numbers),
        ]
        same(
            sent[rank],
            len(wanted),
            f"{case} the count of numbers sent",
            mistakes,
        )


@exercise("A.10")
def check_a_10(average_gradients: Callable) -> None:
    """On pretended ranks: two that hold 1 and 5, then shares of a batch against the whole."""
    models: list[nn.Module] = [nn.Linear(1, 1, bias=False) for _ in range(2)]
    for model, gradient in zip(models, (1.0, 5.0)):
        model.weight.grad = torch.tensor([[gradient]])
    case = "With the gradients 1 and 5 on two ranks,"
    judge_ranks(average_gradients, models, torch.tensor([3.0]), case)

    draw = torch.Generator().manual_seed(10)
    inputs, labels = (
        torch.randn(12, 3, generator=draw),
        torch.randint(4, (12,), generator=draw),
    )
    for world in (1, 2, 3):
        models = [new_network() for _ in range(world + 1)]
        shares = [slice(rank, None, world) for rank in range(world)] + [
            slice(None)
        ]
        for model, share in zip(models, shares):
            # A frozen parameter has no gradient.
            model[0].bias.requires_grad_(False)
            F.cross_entropy(model(inputs[share]), labels[share]).backward()
        *models, whole = models
        case = f"With {world} rank{'s' * (world > 1)} and one batch,"
        judge_ranks(average_gradients, models, gradients_of(whole), case)
