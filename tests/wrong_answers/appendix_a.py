"""Typical wrong answers to the exercises of appendix A."""

import importlib
import math
import os
import statistics
import sys
import time
from importlib.metadata import version

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from appendix_a.autograd import Value
from appendix_a.checks import (
    check_a_1,
    check_a_2,
    check_a_3,
    check_a_4,
    check_a_5,
    check_a_6,
    check_a_7,
    check_a_8,
    check_a_9,
    check_a_10,
)

# ---- A.1


def known_by_heart(names):
    known = {"torch": version("torch"), "scikit-learn": version("scikit-learn")}
    return {name: known.get(name) for name in names}


def imported(names):
    versions = {}
    for name in names:
        try:
            versions[name] = version(importlib.import_module(name).__name__)
        except ImportError:
            versions[name] = None
    return versions


def only_those_here(names):
    return {name: version(name) for name in names if not name.startswith("no-")}


def empty_for_absent(names):
    return {name: "" if name.startswith("no-") else version(name) for name in names}


# ---- A.2


def environment(**changes):
    """The right answer, with some of its parts replaced by functions."""

    def facts():
        device = "mps" if torch.backends.mps.is_available() else "cpu"
        device = "cuda" if torch.cuda.is_available() else device
        right = {
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "torch": torch.__version__,
            "threads": torch.get_num_threads(),
            "device": os.environ.get("COURSE_DEVICE") or device,
        }
        return right | {key: change() for key, change in changes.items()}

    return facts


def not_empty_forgotten():
    device = "cuda" if torch.cuda.is_available() else "cpu"
    device = "mps" if torch.backends.mps.is_available() and device == "cpu" else device
    return os.environ.get("COURSE_DEVICE", device)


def mps_first():
    device = "cuda" if torch.cuda.is_available() else "cpu"
    device = "mps" if torch.backends.mps.is_available() else device
    return os.environ.get("COURSE_DEVICE") or device


# ---- A.3


def pairs(sizes):
    return list(zip(sizes, sizes[1:]))


def spoils_its_list(sizes, bias=True):
    count = 0
    while len(sizes) > 1:
        count += (sizes.pop(0) + bias) * sizes[0]
    return count


def builds_a_module(sizes, bias=True):
    layers = [torch.nn.Linear(i, o, bias, device="meta") for i, o in pairs(sizes)]
    return sum(p.numel() for p in torch.nn.Sequential(*layers).parameters())


def builds_tensors(sizes, bias=True):
    return sum(torch.empty(o, i + bias, device="meta").numel() for i, o in pairs(sizes))


def builds_arrays(sizes, bias=True):
    return sum(np.zeros((o, i + bias)).size for i, o in pairs(sizes))


# ---- A.4


def timing(warm_ups=1, wait_after=True, wait_before=True, of=statistics.median, scale=1):
    """A function like the asked one, with some of its parts left out."""

    def time_product(a, b, wait, clock=time.perf_counter, repeats=5):
        for _ in range(warm_ups):
            a @ b
        if wait_before:
            wait()
        times = []
        for _ in range(repeats):
            started = clock()
            a @ b
            if wait_after:
                wait()
            times.append(clock() - started)
        return scale * of(times)

    return time_product


def own_clock(a, b, wait, clock=time.perf_counter, repeats=5):
    a @ b
    wait()
    started = time.perf_counter()
    for _ in range(repeats):
        a @ b
    wait()
    return (time.perf_counter() - started) / repeats


# ---- A.5


def multiply(a, b):
    return Value(a.data * b.data, "*", (a, b), (b.data, a.data))


def tanh_with(slope):
    def tanh(a):
        return Value(math.tanh(a.data), "tanh", (a,), (slope(a.data),))

    return tanh


tanh = tanh_with(lambda x: 1 - math.tanh(x) ** 2)


def product_with(slopes):
    def multiply(a, b):
        return Value(a.data * b.data, "*", (a, b), slopes(a.data, b.data))

    return multiply


# ---- A.6


def inputs_last(root):
    order = [root]
    for value in root.inputs:
        order += inputs_last(value)
    return order[::-1]


def every_path(root):
    return [below for value in root.inputs for below in every_path(value)] + [root]


def turned_around(root):
    order, to_visit = [], [root]
    while to_visit:
        value = to_visit.pop()
        if value not in order:
            order.append(value)
            to_visit.extend(value.inputs)
    return order[::-1]


def without_root(root):
    return right_but_recursive(root)[:-1]


def right_but_recursive(root):
    order, seen = [], set()

    def visit(value):
        if value not in seen:
            seen.add(value)
            for below in value.inputs:
                visit(below)
            order.append(value)

    visit(root)
    return order


def right_but_slow(root):
    order = []
    for value in every_path(root):
        if value not in order:
            order.append(value)
    return order


# ---- A.7


def softmax(scores, axis=1):
    powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def one_hot(scores, targets):
    return np.eye(scores.shape[1])[targets]


def gradient(scores, targets):
    return (softmax(scores) - one_hot(scores, targets)) / len(scores)


def overflowing(scores, targets):
    powers = np.exp(scores)
    probs = powers / powers.sum(axis=1, keepdims=True)
    return (probs - one_hot(scores, targets)) / len(scores)


def largest_of_all(scores, targets):
    powers = np.exp(scores - scores.max())
    probs = powers / powers.sum(axis=1, keepdims=True)
    return (probs - one_hot(scores, targets)) / len(scores)


def whole_columns(scores, targets):
    result = softmax(scores)
    result[:, targets] -= 1
    return result / len(scores)


def in_place(scores, targets):
    result = gradient(scores, targets)
    scores -= scores.max(axis=1, keepdims=True)
    return result


def by_autograd(scores, targets):
    tensor = torch.tensor(scores, requires_grad=True)
    F.cross_entropy(tensor, torch.from_numpy(targets)).backward()
    return tensor.grad.numpy()


def special_softmax(scores, targets):
    probs = torch.special.softmax(torch.as_tensor(scores), dim=1).numpy()
    return (probs - one_hot(scores, targets)) / len(scores)


def aten_softmax(scores, targets):
    probs = torch.ops.aten._softmax(torch.from_numpy(scores), 1, False).numpy()
    return (probs - one_hot(scores, targets)) / len(scores)


# ---- A.8


def dataset_with(label=lambda row, limit: (row.sum() > limit).long(), length=len):
    class Weighings(Dataset):
        def __init__(self, axles, limit):
            self.axles, self.limit = axles, limit

        def __len__(self):
            return length(self.axles)

        def __getitem__(self, i):
            return self.axles[i], label(self.axles[i], self.limit)

    return Weighings


Weighings = dataset_with()


def loader_with(draw, cut="as asked"):
    """A loader that draws its order as it is told, and drops what is left over."""

    def load(dataset, batch_size, generator, drop_last=False):
        order = draw(len(dataset), generator)
        batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        if (drop_last or cut == "always") and cut != "never" and len(batches[-1]) < batch_size:
            batches.pop()
        for batch in batches:
            inputs, labels = zip(*(dataset[i] for i in batch))
            yield torch.stack(inputs), torch.stack(labels)

    return load


def shuffled(n, generator):
    return torch.randperm(n, generator=generator).tolist()


load = loader_with(shuffled)


def shuffled_apart(dataset, batch_size, generator, drop_last=False):
    inputs, labels = (torch.stack(part) for part in zip(*(dataset[i] for i in range(len(dataset)))))
    inputs, labels = (part[shuffled(len(part), generator)] for part in (inputs, labels))
    n = len(labels) // batch_size * batch_size if drop_last else len(labels)
    for i in range(0, n, batch_size):
        yield inputs[i : i + batch_size][: n - i], labels[i : i + batch_size][: n - i]


def with_replacement(n, generator):
    return torch.randint(n, (n,), generator=generator).tolist()


def rotated(n, generator):
    first = int(torch.randint(1, n, (), generator=generator))
    return [(first + i) % n for i in range(n)]


def shuffled_batches(n, generator):
    starts = torch.randperm((n + 7) // 8, generator=generator).tolist()
    return [i for start in starts for i in range(8 * start, min(8 * start + 8, n))]


def pytorchs(dataset, batch_size, generator, drop_last=False):
    return DataLoader(dataset, batch_size, shuffle=True, generator=generator, drop_last=drop_last)


def from_pytorchs(dataset, batch_size, generator, drop_last=False):
    yield from map(tuple, pytorchs(dataset, batch_size, generator, drop_last))


def own_seed(n, generator):
    return shuffled(n, torch.Generator().manual_seed(0))


# ---- A.9


def loop(steps, loss_of=F.cross_entropy, mean=True, training=True, number=lambda loss: loss.item()):
    """A training loop with its steps z(ero_grad), b(ackward), s(tep) in this order."""

    def train(model, loader, optimizer, epochs):
        model.train(training)
        history = []
        for _ in range(epochs):
            losses = []
            for inputs, labels in loader:
                loss = loss_of(model(inputs), labels)
                calls = {"z": optimizer.zero_grad, "b": loss.backward, "s": optimizer.step}
                for step in steps:
                    calls[step]()
                losses.append(number(loss))
            history.append(sum(losses) / (len(losses) if mean else 1))
        return history

    return train


def own_optimizer(model, loader, optimizer, epochs):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    return loop("zbs")(model, loader, optimizer, epochs)


def one_epoch(model, loader, optimizer, epochs):
    return loop("zbs")(model, loader, optimizer, 1)


def last_batch(model, loader, optimizer, epochs):
    n = len(loader)
    return every_batch(model, loader, optimizer, epochs)[n - 1 :: n]


def returns_nothing(model, loader, optimizer, epochs):
    every_batch(model, loader, optimizer, epochs)


def every_batch(model, loader, optimizer, epochs):
    model.train()
    losses = []
    for _ in range(epochs):
        for inputs, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(inputs), labels)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


# ---- A.10


def averaging(what="grad", divide=1, exchange=True, count=None, in_place=True):
    """Averaging with one of its parts gone wrong."""

    def average_gradients(model, all_reduce, world):
        n_sent = 0
        for parameter in model.parameters():
            if parameter.grad is None:
                continue
            gradient = parameter.grad if what == "grad" else parameter.data
            gradient = gradient if in_place else gradient.clone()
            if exchange:
                all_reduce(gradient)
            gradient /= world**divide
            n_sent += gradient.numel()
        return n_sent if count is None else count(model)

    return average_gradients


def frozen_too(model, all_reduce, world):
    for parameter in model.parameters():
        all_reduce(parameter.grad)
        parameter.grad /= world
    return sum(parameter.numel() for parameter in model.parameters())


class OneSends:
    """Only the first rank that comes calls all_reduce."""

    def __init__(self):
        self.__name__ = "average_gradients"
        self.calls = 0

    def __call__(self, model, all_reduce, world):
        self.calls += 1
        if self.calls == 1:
            all_reduce(next(model.parameters()).grad)
        return 1


WRONG = [
    (check_a_1, (known_by_heart,), "gives None for"),
    (check_a_1, (imported,), "imported as sklearn"),
    (check_a_1, (only_those_here,), "leaves out 'no-such-package'"),
    (check_a_1, (empty_for_absent,), "which is not here: give None"),
    (check_a_1, (lambda names: {name: True for name in names},), "gives True for 'torch'"),
    (check_a_1, (lambda names: [version("torch")],), "gives a list, but a dict"),
    (check_a_1, (lambda names: {n: version(n) for n in names},), "raises PackageNotFoundError"),
    (check_a_2, (environment(python=lambda: "3.1"),), "first two numbers of sys.version_info"),
    (check_a_2, (environment(threads=lambda: 1),), "'threads' is 1 while PyTorch is set to 3"),
    (check_a_2, (environment(threads=os.cpu_count),), "ask PyTorch, not the machine"),
    (check_a_2, (environment(device=lambda: "cpu"),), "where PyTorch has CUDA: 'cuda'"),
    (check_a_2, (environment(device=mps_first),), "has CUDA and MPS: 'cuda' is asked for"),
    (
        check_a_2,
        (environment(device=lambda: "cuda" if torch.cuda.is_available() else "cpu"),),
        "has MPS: 'mps'",
    ),
    (check_a_2, (environment(device=lambda: torch.device("cpu")),), "'device' is a device"),
    (check_a_2, (environment(device=not_empty_forgotten),), "COURSE_DEVICE is empty: 'cuda'"),
    (check_a_2, (lambda: {"python": "3.12"},), "The keys are"),
    (check_a_3, (lambda sizes, bias=True: 8,), "is 8"),
    (check_a_3, (lambda s, bias=True: sum(i * o for i, o in pairs(s)),), "has a bias as well"),
    (check_a_3, (lambda s, bias=True: sum((i + 1) * o for i, o in pairs(s)),), "bias=False there"),
    (
        check_a_3,
        (lambda s, bias=True: sum(i * o for i, o in pairs(s)) + bias * sum(s),),
        "the inputs are no neurons",
    ),
    (check_a_3, (lambda s, bias=True: sum(i * o + bias for i, o in pairs(s)),), "not each layer"),
    (check_a_3, (lambda s, bias=True: (s[0] + bias) * s[1],), "after the first count too"),
    (
        check_a_3,
        (lambda s, bias=True: float(sum((i + bias) * o for i, o in pairs(s))),),
        "gives a float: a count is an int",
    ),
    (check_a_3, (spoils_its_list,), "changes the list"),
    (
        check_a_3,
        (lambda s, bias=False: sum((i + bias) * o for i, o in pairs(s)),),
        "n_parameters([3, 2]) is 6, but PyTorch counts 8",
    ),
    (check_a_3, (builds_a_module,), "compute the number from the sizes"),
    (check_a_3, (builds_tensors,), "compute the number from the sizes"),
    (check_a_3, (builds_arrays,), "MemoryError"),
    (check_a_4, (timing(warm_ups=0),), "one more is needed first"),
    (check_a_4, (timing(wait_after=False),), "time to hand a product over"),
    (check_a_4, (timing(wait_before=False),), "the warm-up is measured too"),
    (check_a_4, (timing(of=statistics.mean),), "is the mean"),
    (check_a_4, (timing(of=min),), "is the shortest"),
    (check_a_4, (timing(of=sum),), "of all products together"),
    (check_a_4, (timing(scale=1000),), "in milliseconds"),
    (check_a_4, (own_clock,), "never asked: call clock()"),
    (check_a_4, (lambda a, b, wait, clock, repeats: 0.001,), "never computed"),
    (check_a_5, (lambda a, b: a * b, tanh), "make the Value yourself"),
    (check_a_5, (product_with(lambda a, b: (a, b)), tanh), "slope is the other factor"),
    (check_a_5, (product_with(lambda a, b: (1.0, 1.0)), tanh), "that is a sum"),
    (check_a_5, (lambda a, b: Value(a.data * b.data), tanh), "has 0 inputs and 0 slopes"),
    (
        check_a_5,
        (lambda a, b: Value(a.data * b.data, "*", (a, b), (b, a)), tanh),
        "must be real number, not",
    ),
    (check_a_5, (lambda a, b: a.data * b.data, tanh), "gives a float, but a Value"),
    (check_a_5, (multiply, tanh_with(lambda x: 1 - x * x)), "the result is squared, not the"),
    (check_a_5, (multiply, tanh_with(lambda x: 1 - math.tanh(x))), "result has to be squared"),
    (check_a_5, (multiply, tanh_with(lambda x: 1 - math.tanh(0.5) ** 2)), "In a longer expression"),
    (check_a_5, (product_with(lambda a, b: (5.0, 2.0)), tanh), "In a longer expression"),
    (check_a_6, (lambda root: [root, *root.inputs],), "stands before its input"),
    (check_a_6, (lambda root: [*root.inputs, root],), "leaves out b"),
    (check_a_6, (inputs_last,), "twice"),
    (check_a_6, (every_path,), "a stands in the order twice"),
    (check_a_6, (turned_around,), "c stands before its input a"),
    (check_a_6, (without_root,), "leaves out a"),
    (check_a_6, (right_but_slow,), "do not walk each path again"),
    (check_a_6, (right_but_recursive,), "ends in a RecursionError"),
    (check_a_6, (lambda root: set(right_but_recursive(root)),), "gives a set: give a list"),
    (check_a_7, (lambda s, t: one_hot(s, t) - softmax(s),), "wrong sign"),
    (check_a_7, (lambda s, t: softmax(s) - one_hot(s, t),), "that of the sum"),
    (check_a_7, (lambda s, t: softmax(s) / len(s),), "softmax alone"),
    (check_a_7, (lambda s, t: gradient(s, t) / s.shape[1],), "divided by the classes too"),
    (
        check_a_7,
        (lambda s, t: (softmax(s, axis=0) - one_hot(s, t)) / len(s),),
        "each row is a distribution",
    ),
    (check_a_7, (whole_columns,), "in whole columns"),
    (check_a_7, (overflowing,), "exp(1000) is too large"),
    (check_a_7, (largest_of_all,), "from each row its own largest"),
    (check_a_7, (lambda s, t: overflowing(s.clip(-700, 700), t),), "takes 1000 and 999 for equal"),
    (check_a_7, (in_place,), "is changed: work on a copy"),
    (check_a_7, (by_autograd,), "write it in NumPy, by hand"),
    (check_a_7, (special_softmax,), "write it in NumPy, by hand"),
    (check_a_7, (aten_softmax,), "write it in NumPy, by hand"),
    (check_a_7, (lambda s, t: gradient(s, t).sum(axis=0),), "has shape (2,), but (1, 2)"),
    (check_a_7, (lambda s, t: np.array([[0.5, -0.5]]),), "has shape (1, 2), but (2, 2)"),
    (
        check_a_8,
        (dataset_with(lambda row, limit: (row.sum() >= limit).long()), load),
        "has the label 1",
    ),
    (check_a_8, (dataset_with(lambda row, limit: row.sum() > limit), load), "whole numbers are"),
    (check_a_8, (dataset_with(lambda row, limit: int(row.sum() > limit)), load), "is an int, but"),
    (check_a_8, (dataset_with(length=lambda axles: axles.numel()), load), "count lorries"),
    (check_a_8, (Weighings, loader_with(lambda n, generator: range(n))), "shuffle them"),
    (check_a_8, (Weighings, loader_with(with_replacement)), "comes 2 times"),
    (check_a_8, (Weighings, loader_with(rotated)), "40 places item i is followed by item i +1"),
    (check_a_8, (Weighings, loader_with(shuffled_batches)), "shuffle the items one by one"),
    (check_a_8, (Weighings, pytorchs), "DataLoader is switched off"),
    (check_a_8, (Weighings, from_pytorchs), "DataLoader is switched off"),
    (check_a_8, (Weighings, loader_with(shuffled, cut="always")), "the batches have [2, 2] items"),
    (check_a_8, (Weighings, loader_with(shuffled, cut="never")), "drop_last=True: the batches"),
    (
        check_a_8,
        (Weighings, loader_with(lambda n, _: shuffled(n, None))),
        "draw from the generator",
    ),
    (check_a_8, (Weighings, loader_with(own_seed)), "Two epochs with one generator"),
    (check_a_8, (Weighings, shuffled_apart), "not of the same items"),
    (
        check_a_8,
        (Weighings, lambda dataset, *_, **__: (dataset[i] for i in range(len(dataset)))),
        "the inputs of a batch have shape (2,)",
    ),
    (check_a_9, (loop("bs"),), "call zero_grad"),
    (check_a_9, (loop("bzs"),), "have not moved"),
    (check_a_9, (loop("zsb"),), "have not moved"),
    (check_a_9, (loop("zb"),), "have not moved"),
    (
        check_a_9,
        (loop("zbs", lambda scores, labels: F.cross_entropy(scores.softmax(-1), labels)),),
        "softmax was applied twice",
    ),
    (check_a_9, (loop("zbs", training=False),), "call model.train() first"),
    (check_a_9, (loop("zbs", mean=False),), "the sum of the batches"),
    (check_a_9, (loop("zbs", number=lambda loss: loss),), "as a list of floats"),
    (check_a_9, (own_optimizer,), "take the optimizer that is passed"),
    (check_a_9, (one_epoch,), "once for each batch makes"),
    (check_a_9, (every_batch,), "one for each epoch is asked for"),
    (check_a_9, (last_batch,), "that of the last batch"),
    (check_a_9, (returns_nothing,), "returns nothing"),
    (check_a_10, (averaging(divide=0),), "is the sum of the ranks"),
    (check_a_10, (averaging(divide=2),), "divided by the number of ranks twice"),
    (check_a_10, (averaging(divide=0, in_place=False),), "is still its own"),
    (check_a_10, (averaging(exchange=False),), "not added to the others'"),
    (check_a_10, (averaging(what="weights"),), "the weights of rank 0 have changed"),
    (
        check_a_10,
        (averaging(count=lambda model: len(list(model.parameters()))),),
        "tensors were counted",
    ),
    (
        check_a_10,
        (averaging(count=lambda model: sum(p.numel() for p in model.parameters())),),
        "what has no grad is not sent",
    ),
    (check_a_10, (frozen_too,), "takes a tensor, not a NoneType"),
    (check_a_10, (averaging(count=lambda model: None),), "returns nothing"),
    (check_a_10, (OneSends(),), "wait for each other for ever"),
]
