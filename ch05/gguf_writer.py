"""Write a GGUF file: the metadata, the table of tensors, and their numbers in blocks.

ch05/gguf_file.py reads it back. Source: the format is ggml's (docs/gguf.md there).
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ch05.files import saved_whole
from ch05.gguf_file import LIST, NUMBERS, PACKINGS, TEXT

ALIGNMENT = 32  # bytes: every tensor begins at a multiple of it
KINDS = {packing.name: number for number, packing in PACKINGS.items()}
NUMBER_OF = {letter: number for number, letter in NUMBERS.items()}
LETTERS = {bool: "?", int: "I", float: "f"}  # 32 bits, as ggml's keys ask


def pack_q8_0(values: np.ndarray) -> np.ndarray:
    """The blocks of Q8_0, which unpack_q8_0 reads; halves go away from 0.

    Shapes: values of whole blocks of 32 -> (n, 34).
    """
    blocks = values.reshape(-1, 32)
    step = np.abs(blocks).max(axis=1, keepdims=True) / 127
    inverse = np.divide(1, step, out=np.zeros_like(step), where=step > 0)
    whole = np.abs(blocks * inverse)
    whole = np.sign(blocks) * (np.floor(whole) + (whole % 1 >= 0.5))
    head = step.astype("<f2").view(np.uint8)
    return np.concatenate([head, whole.astype(np.int8).view(np.uint8)], axis=1)


PACK = {
    "F32": lambda values: values.astype("<f4"),
    "F16": lambda values: values.astype("<f2"),
    "Q8_0": pack_q8_0,
}


@dataclass(frozen=True)
class Entry:
    """A tensor that is to be written, and how its numbers are packed."""

    values: np.ndarray  # float32
    packing: str  # F32, F16 or Q8_0

    def data(self) -> bytes:
        """Its numbers as they lie in the file.

        Raises: ValueError if a number is not finite, or too large for 16 bits.
        """
        values = self.values
        if not np.isfinite(values).all():
            raise ValueError("it holds a number that is not finite")
        largest = float(np.finfo(np.float16).max)
        if self.packing == "Q8_0":  # whose step has 16 bits
            largest *= 127
        if self.packing != "F32" and np.abs(values).max(initial=0) > largest:
            raise ValueError(f"it holds a number too large for {self.packing}")
        return PACK[self.packing](values).tobytes()


def text_bytes(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value_bytes(value: object) -> bytes:
    """A value of the metadata, after the number of its type; a list holds one type."""
    if isinstance(value, str):
        return struct.pack("<I", TEXT) + text_bytes(value)
    if isinstance(value, (list, tuple)):
        if isinstance(value[0], str):
            items, kind = b"".join(map(text_bytes, value)), TEXT
        else:  # kinds of tokens, which ggml keeps with a sign
            items, kind = struct.pack(f"<{len(value)}i", *value), NUMBER_OF["i"]
        return struct.pack("<IIQ", LIST, kind, len(value)) + items
    letter = LETTERS[type(value)]
    return struct.pack(f"<I{letter}", NUMBER_OF[letter], value)


def write_gguf(
    path: str | Path,
    metadata: Mapping[str, object],
    tensors: Mapping[str, Entry],
) -> None:
    """Write a file, whole or not at all; one tensor at a time is in memory twice.

    Raises: ValueError that names a tensor which does not fit its packing,
    OSError if the file cannot be written.
    """
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    head += b"".join(
        text_bytes(key) + value_bytes(value) for key, value in metadata.items()
    )
    offset = 0
    for name, entry in tensors.items():
        packing, shape = PACKINGS[KINDS[entry.packing]], entry.values.shape
        if shape[-1] % packing.n_numbers:
            raise ValueError(
                f"{name}: rows of {shape[-1]} are no whole blocks of {entry.packing}"
            )
        # ggml counts from the innermost dimension.
        sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape[::-1])
        head += (
            text_bytes(name)
            + sizes
            + struct.pack("<IQ", KINDS[entry.packing], offset)
        )
        n_bytes = entry.values.size // packing.n_numbers * packing.n_bytes
        offset += n_bytes + -n_bytes % ALIGNMENT
    with saved_whole(path) as draft, draft.open("wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        for name, entry in tensors.items():
            try:
                data = entry.data()
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from None
            file.write(data + bytes(-len(data) % ALIGNMENT))
