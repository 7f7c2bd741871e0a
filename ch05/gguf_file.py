"""Read a GGUF file by hand: its metadata, and its tensors out of their blocks.

A file holds, one after the other: a header, the metadata (sizes, tokenizer),
a table of tensors, and their numbers, most of them packed in blocks. It is
grown in ch05/bonus/real_llm.ipynb.

Source: the format is ggml's (docs/gguf.md there).
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# The number of a type in the metadata -> its letter in Python's struct.
NUMBERS = dict(zip([0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12], "BbHhIif?Qqd"))
TEXT, LIST = 8, 9


def unpack_f32(blocks: np.ndarray) -> np.ndarray:
    return blocks.view("<f4")


def unpack_f16(blocks: np.ndarray) -> np.ndarray:
    return blocks.view("<f2").astype(np.float32)


def unpack_bf16(blocks: np.ndarray) -> np.ndarray:
    """The upper half of a float32, whose lower half is 0."""
    return (blocks.view("<u2").astype(np.uint32) << 16).view(np.float32)


def unpack_q4_1(blocks: np.ndarray) -> np.ndarray:
    """32 numbers of 4 bits, each so many steps above the block's lowest.

    Shapes: blocks (n, 20): step and lowest in 16 bits each, then 16 bytes,
    whose lower halves are the first 16 numbers -> (n, 32).
    """
    step, lowest = blocks[:, :4].view("<f2").astype(np.float32).T[..., None]
    packed = blocks[:, 4:]
    return np.concatenate([packed & 15, packed >> 4], axis=1) * step + lowest


def unpack_q8_0(blocks: np.ndarray) -> np.ndarray:
    """32 numbers of 8 bits, in steps from 0.

    Shapes: blocks (n, 34): the step in 16 bits, then 32 bytes -> (n, 32).
    """
    step = blocks[:, :2].view("<f2").astype(np.float32)
    return blocks[:, 2:].view(np.int8) * step


@dataclass(frozen=True)
class Packing:
    """How a tensor's numbers lie in the file: so many in a block of bytes."""

    name: str
    n_numbers: int
    n_bytes: int
    unpack: Callable[[np.ndarray], np.ndarray]


PACKINGS = {  # by the number of the type in the table of tensors
    0: Packing("F32", 1, 4, unpack_f32),
    1: Packing("F16", 1, 2, unpack_f16),
    3: Packing("Q4_1", 32, 20, unpack_q4_1),
    8: Packing("Q8_0", 32, 34, unpack_q8_0),
    30: Packing("BF16", 1, 2, unpack_bf16),
}


@dataclass(frozen=True)
class PackedTensor:
    """A tensor as it lies in the file, and how to unpack it."""

    shape: tuple[int, ...]
    packing: Packing
    data: np.ndarray  # bytes

    def unpack(self) -> np.ndarray:
        """Its numbers in float32."""
        blocks = self.data.reshape(-1, self.packing.n_bytes)
        return self.packing.unpack(blocks).reshape(self.shape)


class Cursor:
    """A place in the bytes of a file, which moves on with what is read.

    Raises: ValueError if the file ends before what has to be read.
    """

    def __init__(self, data: memoryview):
        self.data, self.place = data, 0

    def take(self, n_bytes: int) -> memoryview:
        if n_bytes > len(self.data) - self.place:
            raise ValueError(
                f"it ends after {len(self.data):,} bytes, too early"
            )
        self.place += n_bytes
        return self.data[self.place - n_bytes : self.place]

    def numbers(self, letter: str, n: int) -> tuple:
        size = struct.calcsize(f"<{letter}")
        return struct.unpack(f"<{n}{letter}", self.take(n * size))

    def number(self, letter: str) -> int | float | bool:
        return self.numbers(letter, 1)[0]

    def text(self) -> str:
        return str(self.take(self.number("Q")), "utf-8")

    def value(self) -> object:
        """A value of the metadata, after the number of its type."""
        kind = self.number("I")
        if kind == TEXT:
            return self.text()
        if kind == LIST:
            kind, n = self.number("I"), self.number("Q")
            if kind == TEXT:
                return [self.text() for _ in range(n)]
            return list(self.numbers(self.letter(kind), n))
        return self.number(self.letter(kind))

    def letter(self, kind: int) -> str:
        if kind not in NUMBERS:
            raise ValueError(f"there is no type of metadata with number {kind}")
        return NUMBERS[kind]


@dataclass(frozen=True)
class GGUF:
    """What a file says of the model, and its tensors, still packed."""

    metadata: dict[str, object]
    tensors: dict[str, PackedTensor]


def read_gguf(path: str | Path) -> GGUF:
    """Read metadata and table; the numbers stay in the file until unpacked.

    Raises: FileNotFoundError if there is no file, ValueError if it is damaged
    or holds what is not read here.
    """
    try:
        data = np.memmap(path, mode="r")
        return parse_gguf(data)
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except (UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as GGUF: {error}") from None


def parse_gguf(data: np.ndarray) -> GGUF:
    """The parts of a file's bytes, all of them checked.

    Raises: ValueError as read_gguf.
    """
    cursor = Cursor(memoryview(data))
    if (magic := bytes(cursor.take(4))) != b"GGUF":
        raise ValueError(f"it begins with {magic!r}, not with b'GGUF'")
    if (version := cursor.number("I")) not in (2, 3):
        raise ValueError(f"its version is {version}, not 2 or 3")
    n_tensors, n_values = cursor.numbers("Q", 2)
    metadata, table = {}, {}
    for _ in range(n_values):
        name = cursor.text()
        if name in metadata:
            raise ValueError(f"{name!r} is there twice")
        metadata[name] = cursor.value()
    for _ in range(n_tensors):
        name = cursor.text()
        if name in table:
            raise ValueError(f"the tensor {name!r} is there twice")
        sizes = cursor.numbers("Q", cursor.number("I"))
        table[name] = (sizes, cursor.number("I"), cursor.number("Q"))
    step = metadata.get("general.alignment", 32)
    if type(step) is not int or step < 1:
        raise ValueError(
            f"general.alignment is {step!r}, not a number of bytes"
        )
    numbers = data[-(-cursor.place // step) * step :]  # rounded up
    tensors = {
        name: find_tensor(name, *entry, numbers, step)
        for name, entry in table.items()
    }
    return GGUF(metadata, tensors)


def find_tensor(
    name: str,
    sizes: tuple[int, ...],
    kind: int,
    offset: int,
    numbers: np.ndarray,
    step: int,
) -> PackedTensor:
    """A tensor of the table: its shape, and where its bytes lie.

    Raises: ValueError if it is of another type or not wholly in the file.
    """
    if kind not in PACKINGS:
        known = ", ".join(packing.name for packing in PACKINGS.values())
        raise ValueError(f"{name} has type {kind}, which is none of {known}")
    packing = PACKINGS[kind]
    if not sizes or min(sizes) < 1 or sizes[0] % packing.n_numbers:
        raise ValueError(f"{name} cannot have the sizes {sizes}")
    n_bytes = math.prod(sizes) // packing.n_numbers * packing.n_bytes
    if offset % step or offset + n_bytes > len(numbers):
        raise ValueError(f"{name} does not lie where its table says")
    shape = sizes[::-1]  # ggml counts from the innermost dimension
    return PackedTensor(shape, packing, numbers[offset : offset + n_bytes])
