"""Checks of the bug museum: does the reader's test catch the fault, and only the fault?

A test is a function of one module. It passes if it comes to its end, and fails if it raises an
error. The module is the course's own, or the same with the exhibit's fault: tests are told neither
which one they get nor by what name.
"""

import inspect
import io
import random
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from types import ModuleType

import numpy as np
import torch

from exercises.checking import NotDone, demand, exercise, is_stub, name_error
from exercises.faults import Fault, Watched, find_fault, pair, place_of

Test = Callable[[ModuleType], None]
SEEDS = (0, 1, 2)


def failure(test: Test, module: ModuleType, seed: int) -> BaseException | None:
    """The error with which a test fails on a module, or None if it passes."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # whatever a reader draws from
    quiet = redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO())
    try:
        with quiet[0], quiet[1], warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            test(module)
    except (Exception, SystemExit) as error:
        return error
    return None


def judge_test(fault: Fault, test: Test) -> None:
    """Return if a test passes on the course's module and fails on the faulty one.

    Raises: NotDone for a stub, Wrong in all other cases.
    """
    if is_stub(test):
        raise NotDone
    demand(inspect.isfunction(test), "A test is a function that gets the module.")
    for seed in SEEDS:
        right, _ = pair(fault.name)
        error = failure(test, right, seed)
        said = "" if error is None else name_error(error)
        demand(
            error is None,
            f"Your test fails on the right code: {said}. It has to pass there.",
        )
    n_caught, reached, place = 0, False, place_of(fault)
    for seed in SEEDS:
        _, faulty = pair(fault.name)
        with Watched(fault, faulty) as watched:
            n_caught += failure(test, faulty, seed) is not None
        reached |= watched.reached
    demand(reached, f"Your test never runs the fault: it is in {place}.")
    demand(
        n_caught > 0,
        f"Your test runs {place} with the fault, and passes: look at what the fault changes there.",
    )
    n = len(SEEDS)
    demand(
        n_caught == n,
        f"Your test catches the fault with {n_caught} of {n} seeds: take an example that always "
        "shows it.",
    )


def check_of(name: str) -> Callable[[Test], None]:
    """The check of an exhibit, as the checks of the chapters are."""
    fault = find_fault(name)

    def check(test: Test) -> None:
        judge_test(fault, test)

    check.__name__ = f"check_{fault.number.lower().replace('.', '_')}"
    check.__doc__ = f"A test that catches the fault {name}."
    return exercise(fault.number)(check)


check_m_1 = check_of("lost-line-breaks")
check_m_2 = check_of("merges-across-borders")
check_m_3 = check_of("same-order-in-every-epoch")
check_m_4 = check_of("inverted-mask")
check_m_5 = check_of("dropout-without-training")
check_m_6 = check_of("positions-in-16-bits")
check_m_7 = check_of("cache-not-used")
check_m_8 = check_of("window-of-one-more")
check_m_9 = check_of("position-of-the-longest")
check_m_10 = check_of("top-p-stops-early")
check_m_11 = check_of("mean-of-means")
check_m_12 = check_of("evaluation-for-ever")
check_m_13 = check_of("every-step-but-the-nth")
check_m_14 = check_of("slope-that-overflows")
check_m_15 = check_of("lora-without-rank")
check_m_16 = check_of("end-that-is-never-learned")
check_m_17 = check_of("head-that-reads-padding")
check_m_18 = check_of("batches-weigh-the-same")
check_m_19 = check_of("answers-left-out")
check_m_20 = check_of("no-means-yes")
