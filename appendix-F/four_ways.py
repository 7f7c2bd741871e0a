"""One GPT four ways: the same losses, and how fast each of them learns.

    python -m appendix_f.four_ways      # makes appendix-F/recorded anew

Four ways start from the same weights and learn from the same batches: numbers
(python_gpt), arrays (numpy_gpt), PyTorch (ch04) and C (c_gpt). A tiny GPT shows
that their losses are equal. The course's own model shows their speed, on one
thread: a step of B rows of T tokens is a row of the record. Lists of numbers
are so slow that one token has to do, which costs them no more than it should:
all but a twentieth of the work is the same for every token.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from importlib.resources import files
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from appendix_f.c_gpt import CGPT, use_threads
from appendix_f.native import NoCompiler, find_compiler
from appendix_f.numpy_gpt import NumpyAdamW, NumpyGPT
from appendix_f.python_gpt import PythonAdamW, PythonGPT, dot_by_steps
from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_weights import load_pretrained
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

Step = Callable[
    [NDArray, NDArray], float
]  # a batch -> the loss before the step

RECORD = files("appendix_f") / "recorded" / "four_ways.json"
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 0.1
TINY = GPTConfig(
    *(13, 8, 8, 2, 2),  # vocabulary, context, width, heads, layers
    drop_rate=0.0,
    qkv_bias=True,
    tie_weights=True,
)


def start_weights(config: GPTConfig, seed: int = 0) -> dict[str, NDArray]:
    """Weights to start from, under the names of GPTModel's parameters.

    They are ten times as large as a model that is trained begins with: in so
    small a model every operation shall leave its mark on the loss.
    """
    torch.manual_seed(seed)
    with torch.no_grad():
        parameters = dict(GPTModel(config).named_parameters())
        return {
            name: (p + 0.2 * torch.randn_like(p)).numpy()
            for name, p in parameters.items()
        }


def draw_batches(
    config: GPTConfig, n: int, B: int = 2, T: int = 8, seed: int = 0
) -> list[tuple[NDArray, NDArray]]:
    """Random windows of T tokens, with the targets one token further on."""
    ids = np.random.default_rng(seed).integers(
        config.vocab_size, size=(n, B, T + 1)
    )
    return [(batch[:, :-1], batch[:, 1:]) for batch in ids]


# ---- A way makes a function from the weights: a step of training.


def start_python(config: GPTConfig, weights: dict[str, NDArray]) -> Step:
    nested = {name: weight.tolist() for name, weight in weights.items()}
    model = PythonGPT(config, nested)
    optimizer = PythonAdamW(
        model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY
    )

    def step(idx: NDArray, targets: NDArray) -> float:
        return model.train_step(optimizer, idx.tolist(), targets.tolist())

    return step


def start_python_by_steps(
    config: GPTConfig, weights: dict[str, NDArray]
) -> Step:
    """As start_python, with a Value for each product and each sum."""
    one_step = start_python(config, weights)

    def step(idx: NDArray, targets: NDArray) -> float:
        with patch("appendix_f.python_gpt.dot", dot_by_steps):
            return one_step(idx, targets)

    return step


def start_numpy(
    config: GPTConfig, weights: dict[str, NDArray], dtype: type = np.float64
) -> Step:
    model = NumpyGPT(config, weights, dtype)
    optimizer = NumpyAdamW(
        model.weights, LEARNING_RATE, weight_decay=WEIGHT_DECAY
    )
    return partial(model.train_step, optimizer)


def start_numpy_float32(config: GPTConfig, weights: dict[str, NDArray]) -> Step:
    return start_numpy(config, weights, np.float32)


def start_torch(
    config: GPTConfig,
    weights: dict[str, NDArray],
    products: torch.dtype = torch.float32,
) -> Step:
    model = GPTModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name]))
    optimizer = torch.optim.AdamW(
        model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True
    )
    mixed = products != torch.float32

    def step(idx: NDArray, targets: NDArray) -> float:
        with torch.autocast("cpu", products, enabled=mixed):
            logits = model(torch.from_numpy(idx))
        loss = F.cross_entropy(
            logits.float().flatten(0, 1), torch.from_numpy(targets).flatten()
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def start_torch_bfloat16(
    config: GPTConfig, weights: dict[str, NDArray]
) -> Step:
    return start_torch(config, weights, torch.bfloat16)


def start_c(config: GPTConfig, weights: dict[str, NDArray]) -> Step:
    """Raises: NoCompiler where there is no C compiler."""
    model = CGPT(config)
    for name, tensor in model.named(model.weights).items():
        tensor.copy_(torch.from_numpy(weights[name]))

    def step(idx: NDArray, targets: NDArray) -> float:
        arrays = (np.ascontiguousarray(a) for a in (idx, targets))
        return model.train_step(
            *map(torch.from_numpy, arrays),
            lr=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
        )

    return step


EQUAL_WAYS: dict[str, Callable[..., Step]] = {
    "Python": start_python,
    "NumPy": start_numpy,
    "PyTorch": start_torch,
    "C": start_c,
}
TIMED_WAYS: dict[str, tuple[Callable[..., Step], int, int]] = {  # and B, T
    "Python, a Value for each * and +": (start_python_by_steps, 1, 1),
    "Python, a Value for each dot product": (start_python, 1, 1),
    "NumPy, float64": (start_numpy, 8, 256),
    "NumPy, float32": (start_numpy_float32, 8, 256),
    "PyTorch, float32": (start_torch, 8, 256),
    "PyTorch, products in bfloat16": (start_torch_bfloat16, 8, 256),
    "C, float32": (start_c, 8, 256),
}


def losses_of(
    start: Callable[..., Step],
    config: GPTConfig,
    weights: dict[str, NDArray],
    batches: list[tuple[NDArray, NDArray]],
) -> list[float]:
    """The loss before each step of a training."""
    step = start(config, weights)
    return [step(idx, targets) for idx, targets in batches]


def compare_losses(n_steps: int = 20) -> pd.DataFrame:
    """The tiny GPT's losses: a row for each step, a column for each way.

    Where there is no compiler, there is no column for C.
    """
    weights, batches = start_weights(TINY), draw_batches(TINY, n_steps)
    losses = {}
    for way, start in EQUAL_WAYS.items():
        try:
            losses[way] = losses_of(start, TINY, weights, batches)
        except NoCompiler as error:
            print(error)
    return pd.DataFrame(losses)


@contextmanager
def one_thread() -> Iterator[None]:
    """Let the products of NumPy, PyTorch and C use one thread."""
    before, in_c = torch.get_num_threads(), 0
    torch.set_num_threads(1)
    with suppress(NoCompiler):
        in_c = use_threads()
        use_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
        if in_c:
            use_threads(in_c)


def time_step(step: Step, batches: list[tuple[NDArray, NDArray]]) -> float:
    """CPU seconds of a step, the median; the first also sets things up."""
    seconds = []
    for idx, targets in batches:
        started = time.process_time()
        step(idx, targets)
        seconds.append(time.process_time() - started)
    return float(np.median(seconds[1:] or seconds))


def measure(n_steps: int) -> list[dict]:
    """How many tokens a second each way learns from, with the course's model.

    Raises: NoCompiler where there is no C compiler: a record has all ways.
    """
    find_compiler()
    model, _ = load_pretrained("course")
    config = model.config
    weights = {n: p.detach().numpy() for n, p in model.named_parameters()}
    rows = []
    with one_thread():
        for way, (start, B, T) in TIMED_WAYS.items():
            n = 1 if B * T == 1 else n_steps
            batches = draw_batches(config, n, B, T)
            seconds = time_step(start(config, weights), batches)
            rows.append({"way": way, "B": B, "T": T, "seconds": seconds})
            print(f"{way:<40}{B * T / seconds:14,.3f} tokens per second")
    return rows


def is_row(row: dict) -> bool:
    return row.keys() == {"way", "B", "T", "seconds"} and row["seconds"] > 0


def speed_table(path: Path = RECORD) -> pd.DataFrame:
    """The record as a table: tokens per second, and times the slowest way's.

    Raises: ValueError if the record is damaged or empty.
    """
    table = pd.DataFrame(read_rows(path, is_row))
    if table.empty:
        raise ValueError(
            f"{path} holds no row: run python -m appendix_f.four_ways"
        )
    table["tokens per second"] = table.B * table["T"] / table.seconds
    slowest = table["tokens per second"].min()
    table["times the slowest"] = table["tokens per second"] / slowest
    return table.set_index("way").sort_values("tokens per second")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m appendix_f.four_ways",
        description="Compare the losses and the speed of one GPT in four ways.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--steps", type=int, default=6, help="steps to time, from 2")
    add("--record", type=Path, default=RECORD, help="the file to write")
    args = parser.parse_args()
    if args.steps < 2:
        parser.error(f"--steps {args.steps} must be at least 2")
    return args


def main() -> None:
    replace_unprintable()
    args = parse_arguments()
    losses = compare_losses()
    apart = losses.sub(losses["NumPy"], axis=0).abs().max()
    for way, largest in apart.items():
        print(f"{way:<40}losses apart from NumPy's {largest:.1e}")
    try:
        rows = measure(args.steps)
    except NoCompiler as error:
        raise SystemExit(f"four_ways: {error}") from None
    settings = {"model": "course", "threads": 1, "seconds": "CPU, of a step"}
    write_rows(args.record, settings, rows)


if __name__ == "__main__":
    main()
