"""The values of a section's names in one file, and back: data, weights, random states; no pickle.

A value is kept if it is made of numbers, texts, tensors, arrays, tables, counts and plain
containers of these, or is an object of the course's classes or a fitted logistic regression. Of a
module or an optimizer its state is kept, to be put into one that is built anew.
"""

import importlib
import random
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from course.files import written_whole

LARGEST = 100e6  # bytes of one value; what is larger has to be built anew
TAG = "made by slides.state"
FORM = 2  # of the file; what is kept in another one is not read
COURSE = re.compile(r"(ch\d\d|appendix_[a-z])\.")  # modules that define what may be a value
JUDGE = "sklearn.linear_model._logistic"  # and the one of another package, whose fit takes long


class NotKept(Exception):
    """A value of a kind, or a size, that is not kept."""


def encode(value: Any) -> Any:
    """A value as numbers, texts, tensors and containers. Raises: NotKept."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind in (list, tuple, set):
        return (TAG, kind.__name__, [encode(item) for item in value])
    if kind is dict:
        return (TAG, "dict", [(encode(k), encode(v)) for k, v in value.items()])
    if kind is Counter:
        return (TAG, "counts", *encode_counts(value))
    if kind is torch.Tensor and value.nbytes <= LARGEST and value.layout == torch.strided:
        return (TAG, "tensor", value.detach().clone(), value.requires_grad and value.is_leaf)
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return (TAG, "array", torch.from_numpy(value.copy()))
    if isinstance(value, np.ndarray) and all(type(item) is str for item in value.flat):
        return (TAG, "texts", value.dtype.str, value.tolist())
    if isinstance(value, np.generic) and value.dtype.kind in "biufU":
        return (TAG, "scalar", value.dtype.str, value.item())
    if kind is pd.Series:
        return (TAG, "series", encode(value.name), encode(value.index), encode_column(value))
    if kind is pd.DataFrame:
        columns = [encode_column(value.iloc[:, i]) for i in range(value.shape[1])]
        return (TAG, "frame", encode(value.columns), encode(value.index), columns)
    if kind in (pd.Index, pd.RangeIndex):
        return (TAG, "index", encode(value.name), encode_column(value))
    if is_record(value):
        names = [f.name for f in fields(value)] if is_dataclass(value) else vars(value)
        own = [(name, encode(getattr(value, name))) for name in names]
        return (TAG, "record", kind.__module__, kind.__name__, own)
    raise NotKept(kind.__name__)


def is_record(value: Any) -> bool:
    """Whether its attributes are all that it is: a judge, or an object of the course's classes.

    Of these it is a dataclass, or one that holds numbers and counts.
    """
    if type(value).__module__ == JUDGE:
        return True
    if not COURSE.match(type(value).__module__):
        return False
    own = vars(value).values() if hasattr(value, "__dict__") else [None]
    return is_dataclass(value) or all(type(v) in (bool, int, float, str, Counter) for v in own)


def encode_counts(counts: Counter) -> tuple[bool, torch.Tensor]:
    """How often whole numbers, or pairs of them, were met: a row of each with its count.

    A row for each is a hundred times faster to read than a container for each.
    """
    are_tuples = all(type(key) is tuple for key in counts)
    rows = [[*(key if are_tuples else (key,)), n] for key, n in counts.items()]
    if {type(number) for row in rows for number in row} - {int} or len({*map(len, rows)}) > 1:
        raise NotKept("Counter of something else than numbers")
    return are_tuples, torch.tensor(rows, dtype=torch.int64)


def encode_column(column: pd.Series | pd.Index) -> tuple:
    """The dtype's name and the values of a column."""
    if not (column.dtype == object or str(column.dtype) in DTYPES):
        raise NotKept(f"column of {column.dtype}")
    return str(column.dtype), [encode(item) for item in column.tolist()]


DTYPES = {"bool", "str", "string", "int64", "int32", "float64", "float32"}


def decode(data: Any) -> Any:
    """A value from what encode made of it."""
    if not (isinstance(data, tuple) and data[:1] == (TAG,)):
        return data
    _, kind, *parts = data
    if kind == "dict":
        return {decode(k): decode(v) for k, v in parts[0]}
    if kind in ("list", "tuple", "set"):
        return {"list": list, "tuple": tuple, "set": set}[kind](map(decode, parts[0]))
    if kind == "tensor":
        return parts[0].requires_grad_(parts[1])
    if kind == "counts":
        rows = parts[1].tolist()
        return Counter({tuple(row[:-1]) if parts[0] else row[0]: row[-1] for row in rows})
    if kind == "array":
        return parts[0].numpy()
    if kind == "texts":
        return np.array(parts[1], dtype=parts[0])
    if kind == "record":
        if not (COURSE.match(parts[0]) or parts[0] == JUDGE):
            raise NotKept(f"{parts[0]}.{parts[1]}")
        made = getattr(importlib.import_module(parts[0]), parts[1])
        value = object.__new__(made)
        for name, item in parts[2]:
            object.__setattr__(value, name, decode(item))
        return value
    if kind == "scalar":
        return np.dtype(parts[0]).type(parts[1])
    if kind == "index":
        return pd.Index(list(map(decode, parts[1][1])), dtype=parts[1][0], name=decode(parts[0]))
    if kind == "series":
        dtype, values = parts[2]
        index = decode(parts[1])
        return pd.Series(list(map(decode, values)), index, dtype=dtype, name=decode(parts[0]))
    columns, index = decode(parts[0]), decode(parts[1])
    own = [pd.Series(list(map(decode, values)), index, dtype=d) for d, values in parts[2]]
    frame = pd.concat(own, axis=1) if own else pd.DataFrame(index=index)
    frame.columns = columns
    return frame


# ---- Objects whose state is put into one that was built anew.


def state_of(value: Any) -> dict | None:
    """The state of a module, an optimizer or a generator; None of anything else, and if large."""
    if isinstance(value, nn.Module):
        tensors = [*value.parameters(), *value.buffers()]
        if sum(t.nbytes for t in tensors) > LARGEST:
            return None
        return {
            "layers": repr(value),
            "weights": dict(value.state_dict()),
            "learn": [p.requires_grad for p in value.parameters()],
            "training": [module.training for module in value.modules()],
        }
    if isinstance(value, torch.optim.Optimizer):
        return {"optimizer": value.state_dict()}
    if isinstance(value, torch.Generator):
        return {"generator": value.get_state()}
    return None


def put_state(value: Any, state: Mapping) -> None:
    """Give an object the state of another one like it.

    Raises: ValueError if its layers are others, RuntimeError if its weights are.
    """
    if "generator" in state:
        value.set_state(state["generator"])
    elif "optimizer" in state:
        value.load_state_dict(state["optimizer"])
    else:
        if repr(value) != state["layers"]:
            raise ValueError("a model of other layers")
        value.load_state_dict(state["weights"])
        for parameter, learns in zip(value.parameters(), state["learn"]):
            parameter.requires_grad_(learns)
        for module, training in zip(value.modules(), state["training"]):
            module.training = training


def random_state() -> dict:
    return {"torch": torch.get_rng_state(), "python": encode(random.getstate())}


def set_random_state(state: Mapping) -> None:
    torch.set_rng_state(state["torch"])
    random.setstate(decode(state["python"]))


# ---- The file.


def save(path: Path, names: Mapping[str, Any], mark: str) -> None:
    """Keep what can be kept of these values; mark says of which cells they are the values."""
    values, states = {}, {}
    for name, value in names.items():
        try:
            values[name] = encode(value)
        except NotKept:
            if state := state_of(value):
                states[name] = state
    data = {"values": values, "states": states, "random": random_state()}
    data |= {"form": FORM, "mark": mark}
    with written_whole(path) as draft:
        torch.save(data, draft)


def load(path: Path, mark: str) -> dict | None:
    """What was kept of the same cells, or None. Nothing in the file can be run."""
    try:
        data = torch.load(path, weights_only=True)
        return data if (data["form"], data["mark"]) == (FORM, mark) else None
    except Exception:  # a file that is missing, broken or of an older form is none
        return None
