"""What the checks of all chapters share: ask an answer, judge it, say in one sentence what is off.

A check takes the reader's answers, returns if they are right and raises Wrong if they are not. Its
decorator turns whatever happens into one printed line:

    @exercise("3.4")
    def check_3_4(causal_mask):
        same(ask(causal_mask, 3), torch.ones(3, 3).triu(1).bool(), "causal_mask(3)")

    Exercise 3.4: right.
    Exercise 3.4: not done yet.
    Exercise 3.8: not done yet. join_heads is still open.
    Exercise 3.4: not right yet. causal_mask(3) has shape (3,), but (3, 3) is asked for.
"""

import copy
import dis
import functools
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from course.language import say
from exercises.language import spoken

RIGHT, NOT_DONE, WRONG = "right", "not done yet", "not right yet"


class NotDone(Exception):
    """The stub still stands."""


class Wrong(Exception):
    """The answer is not right; the message is the sentence for the reader."""


class Verdict(NamedTuple):
    """What a check has found, with a sentence about what is off, or still open."""

    number: str
    status: str
    sentence: str = ""

    def __str__(self) -> str:
        line = say("Exercise {number}: {status}.", number=self.number, status=say(self.status))
        return f"{line} {self.sentence}".rstrip()


def exercise(number: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a check print one line, whatever the answer does; its .judge returns the Verdict.

    The Verdict is English, the line is in the machine's language.
    A check starts from random seed 0 and leaves the reader's random numbers as they were.
    """

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        def judge(*answers: Any) -> Verdict:
            try:
                if any(untouched(answer) for answer in answers):
                    raise NotDone
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(0)
                    check(*answers)
            except NotDone:
                return Verdict(number, NOT_DONE, still_open(check, answers))
            except Wrong as wrong:
                return Verdict(number, WRONG, str(wrong))
            except Exception as error:  # an answer of a kind that the check did not expect
                return Verdict(number, WRONG, f"The check could not go on: {name_error(error)}.")
            return Verdict(number, RIGHT)

        @functools.wraps(check)
        def show(*answers: Any) -> None:
            verdict = judge(*answers)
            line = str(verdict._replace(sentence=spoken(verdict.sentence, check.__module__)))
            known = getattr(sys.stdout, "encoding", None) or "utf-8"  # Korean Windows has cp949
            print(line.encode(known, errors="replace").decode(known))

        show.number, show.judge = number, judge
        return show

    return decorate


def untouched(answer: Any) -> bool:
    """Whether an answer is what a stub leaves: nothing, or the three dots."""
    return answer is None or answer is ...


def is_stub(answer: Any) -> bool:
    """Whether an answer is a function that does nothing at all."""
    code = getattr(inspect.unwrap(answer), "__code__", None) if callable(answer) else None
    idle = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    return code is not None and {step.opname for step in dis.get_instructions(code)} <= idle


def is_open(answer: Any) -> bool:
    """Whether an answer is still the stub, or a part of it is."""
    if isinstance(answer, dict):
        return any(map(untouched, answer.values()))
    if isinstance(answer, type):
        return any(is_stub(part) for part in vars(answer).values())
    return untouched(answer) or is_stub(answer)


def still_open(check: Callable, answers: Sequence[Any]) -> str:
    """Which of several answers are open, in a sentence; nothing if it is the only one, or all."""
    names = [n for n, a in zip(inspect.signature(check).parameters, answers) if is_open(a)]
    if not 0 < len(names) < len(answers):
        return ""
    return f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} still open."


def ask(answer: Callable, *arguments: Any, **options: Any) -> Any:
    """Call the reader's function or model.

    Raises: NotDone if it is a stub, Wrong if it raises an error or has no return.
    """
    try:
        result = answer(*arguments, **options)
    except Exception as error:
        raise Wrong(f"{call(answer, *arguments, **options)} raises {name_error(error)}.") from None
    if result is None and inspect.isfunction(answer) and not is_stub(answer):
        shown = call(answer, *arguments, **options)
        raise Wrong(f"{shown} returns nothing: what it finds is to be given back with return.")
    if untouched(result):
        raise NotDone
    return result


def ask_kindly(answer: Callable, *arguments: Any) -> Any:
    """Ask as always, and refuse an answer that changes the tensors, lists or dicts it was given.

    Raises: as ask does, and Wrong if one of them is not what it was before.
    """
    data = Tensor | np.ndarray | list | tuple | dict
    before = [copy.deepcopy(a) if isinstance(a, data) else a for a in arguments]
    result = ask(answer, *arguments)
    watched = [pair for pair in zip(arguments, before) if isinstance(pair[0], data)]
    kept = all(agree(a, b, tolerance=0) for a, b in watched)
    demand(kept, f"{call(answer, *before)} changes what it is given: build a new result instead.")
    return result


class Watch(TorchFunctionMode):
    """Note which functions of PyTorch are called, and the largest tensor made in real memory.

    .called are the functions by the names under which they were called, .operations.done what
    they came to: torch.softmax, nn.Softmax and torch.special.softmax all come to _softmax.
    """

    def __init__(self):
        super().__init__()
        self.called, self.largest, self.operations = set(), 0, Operations()

    def __enter__(self):
        self.operations.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.operations.__exit__(*error)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.called.add(getattr(func, "__name__", ""))
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.device.type != "meta":
            self.largest = max(self.largest, result.numel())
        return result


class Operations(TorchDispatchMode):
    """Note which operations PyTorch carries out, by whatever name they are called."""

    def __init__(self):
        super().__init__()
        self.done = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.done.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def ask_by_hand(ready_made: Sequence[str], answer: Callable, *arguments: Any) -> Any:
    """Ask kindly, and refuse an answer that calls what PyTorch has ready-made.

    Raises: as ask_kindly does, and Wrong if it calls a function of one of these names, or one
    that comes to such an operation.
    """
    with Watch() as watch:
        result = ask_kindly(answer, *arguments)
    used = watch.called.intersection(ready_made)
    done = [re.sub(r"^_?(native_|safe_|sparse_|fused_)?", "", n) for n in watch.operations.done]
    used |= {name for name in ready_made if any(n.startswith(name) for n in done)}
    shown = ", ".join(sorted(used))
    demand(not used, f"This calls PyTorch's own {shown}: write it in plain operations.")
    return result


def ask_formula(answer: Callable, *arguments: Any) -> Any:
    """Ask for a number that is to be computed from numbers, not counted on what PyTorch builds.

    Raises: as ask does, and Wrong if it needs a function of PyTorch.
    """
    with Watch() as watch:
        result = ask(answer, *arguments)
    counted = f"{call(answer, *arguments)} builds tensors to count them: a formula is asked for."
    demand(not watch.called and not watch.operations.done, counted)
    return result


def demand(holds: bool, sentence: str) -> None:
    """Raise Wrong with the sentence unless something holds."""
    if not holds:
        raise Wrong(sentence)


def same(
    got: Any,
    wanted: Any,
    what: str,
    mistakes: Sequence[tuple[Any, str]] = (),
    tolerance: float = 1e-4,
) -> None:
    """Compare what was got with what was wanted: its kind, its shape, then its values.

    mistakes are (value, sentence): who gets this value has made the mistake that the sentence
    names. The tolerance is relative to the largest wanted value.
    Raises: Wrong.
    """
    if agree(got, wanted, tolerance):
        return
    for value, sentence in mistakes:
        if agree(got, value, tolerance):
            raise Wrong(sentence)
    if digits := rounded_to(got, wanted):
        raise Wrong(f"{what} is rounded to {digits} decimals: give it as it was computed.")
    arrays = any(isinstance(got, T) and isinstance(wanted, T) for T in (Tensor, np.ndarray))
    if arrays and got.shape != wanted.shape:
        has, asked = tuple(got.shape), tuple(wanted.shape)
        raise Wrong(f"{what} has shape {has}, but {asked} is asked for.")
    if arrays and isinstance(got, Tensor) and kind(got) != kind(wanted):
        raise Wrong(f"{what} holds {kind(got)}, but {kind(wanted)} are asked for.")
    if arrays:
        raise Wrong(f"{what} is {first_difference(got, wanted, tolerance)} is asked for.")
    both_numbers = is_number(got) and is_number(wanted) and got != wanted
    if type(got) is not type(wanted) and not both_numbers:
        raise Wrong(f"{what} is {article(got)}, but {article(wanted)} is asked for.")
    too_long = article(got) in (describe(got), describe(wanted))  # to be shown
    if isinstance(got, list | tuple) and too_long:
        has, asked = len(got), len(wanted)
        demand(has == asked, f"{what} has length {has}, but length {asked} is asked for.")
        i = next(i for i, pair in enumerate(zip(got, wanted)) if not agree(*pair, tolerance))
        same(got[i], wanted[i], f"Item {i} of {what}", tolerance=tolerance)
    has, asked = describe(got), describe(wanted)
    if has == asked and both_numbers:
        has, asked = tell_apart(got, wanted)
    raise Wrong(f"{what} is {has}, but {asked} is asked for.")


def rounded_to(got: Any, wanted: Any) -> int:
    """The number of decimals, two or more, to which the right numbers were rounded; else 0."""
    try:
        a, b = (as_array(v) if isinstance(v, Tensor) else np.asarray(v) for v in (got, wanted))
    except ValueError:
        return 0  # rows of several lengths
    if {a.dtype.kind, b.dtype.kind} != {"f"}:
        return 0
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return 0
    fits = (d for d in range(2, 7) if np.allclose(a, b.round(d), rtol=1e-6, atol=1e-9))
    return next(fits, 0) if (a != a.round()).any() else 0


def is_number(value: Any) -> bool:
    """Whether a value is one real number, of Python or of NumPy."""
    return isinstance(value, Real) and not isinstance(value, bool)


def agree(got: Any, wanted: Any, tolerance: float = 1e-4) -> bool:
    """Whether two values are of one kind, one shape and equal up to rounding."""
    if isinstance(wanted, Tensor) and isinstance(got, Tensor):
        if got.shape != wanted.shape or kind(got) != kind(wanted):
            return False
        return first_difference(got, wanted, tolerance) == ""
    if isinstance(wanted, np.ndarray) and isinstance(got, np.ndarray):
        return got.shape == wanted.shape and first_difference(got, wanted, tolerance) == ""
    if isinstance(got, Tensor | np.ndarray) or isinstance(wanted, Tensor | np.ndarray):
        return False
    if isinstance(wanted, bool) or isinstance(got, bool):
        return got is wanted
    if isinstance(wanted, int) and isinstance(got, Integral):
        return int(got) == wanted  # np.int64, too
    if isinstance(wanted, float) and is_number(got):
        return abs(float(got) - wanted) <= tolerance * max(abs(wanted), 1e-8)
    if isinstance(wanted, list | tuple) and type(got) is type(wanted):
        return len(got) == len(wanted) and all(agree(a, b, tolerance) for a, b in zip(got, wanted))
    return type(got) is type(wanted) and got == wanted


def kind(tensor: Tensor) -> str:
    """What a tensor holds, in a word."""
    if tensor.dtype == torch.bool:
        return "truth values"
    return "decimal numbers" if tensor.is_floating_point() else "whole numbers"


def first_difference(got: Any, wanted: Any, tolerance: float) -> str:
    """The first place at which two arrays of one shape differ: 1 at [0], but 2; or nothing."""
    a, b = as_array(got).astype(np.float64), as_array(wanted).astype(np.float64)
    finite = b[np.isfinite(b)]
    slack = tolerance * max(np.abs(finite).max(initial=0.0), 1e-8)
    equal = np.isclose(a, b, rtol=0, atol=slack, equal_nan=True)
    if equal.all():
        return ""
    place = tuple(int(i) for i in np.argwhere(~equal)[0])
    has, asked = tell_apart(a[place], b[place])
    return f"{has} at {list(place)}, but {asked}" if place else f"{has}, but {asked}"


def tell_apart(a: float, b: float) -> tuple[str, str]:
    """Two numbers with as many digits as it takes to see that they differ, as many for both."""
    for digits in (4, 6, 9, 17):
        texts = f"{a:.{digits}g}", f"{b:.{digits}g}"
        if texts[0] != texts[1]:
            break
    decimals = [len(text.partition(".")[2]) for text in texts]
    plain = all(text.lstrip("-").replace(".", "").isdigit() for text in texts)
    if plain and all(decimals):
        texts = f"{a:.{max(decimals)}f}", f"{b:.{max(decimals)}f}"
    return texts


def as_array(values: Tensor | np.ndarray) -> np.ndarray:
    """The numbers as an array; NumPy knows no bfloat16."""
    if not isinstance(values, Tensor):
        return values
    values = values.detach().cpu()
    return (values.double() if values.is_floating_point() else values).numpy()


def describe(value: Any) -> str:
    """A value in a few words: small ones as they are, others by kind and shape."""
    if isinstance(value, Tensor | np.ndarray):
        array = as_array(value)
        if array.size <= 8 and array.ndim <= 2:
            is_float = array.dtype.kind == "f"
            return str(array.astype(float).round(3).tolist() if is_float else array.tolist())
        return article(value)
    text = f"{value:.6g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 and " at 0x" not in text else article(value)


def article(value: Any) -> str:
    """The kind of a value: a list, an int, a Tensor of shape (2, 3)."""
    if isinstance(value, Tensor | np.ndarray):
        what = "a tensor" if isinstance(value, Tensor) else "an array"
        return f"{what} of shape {tuple(value.shape)}"
    name = type(value).__name__
    return f"an {name}" if name[0].lower() in "aeiou" else f"a {name}"


def call(answer: Callable, *arguments: Any, **options: Any) -> str:
    """A call as the reader would write it: merge([1, 2, 1], (1, 2), 256)."""
    name = getattr(answer, "__name__", type(answer).__name__)
    shown = [describe(a) for a in arguments] + [f"{k}={describe(v)}" for k, v in options.items()]
    return f"{name}({', '.join(shown)})"


def name_error(error: BaseException) -> str:
    """An error in one line: ValueError: its message."""
    message = textwrap.shorten(str(error), 160, placeholder=" …").rstrip(". ")
    return f"{type(error).__name__}: {message}".rstrip(": ")
