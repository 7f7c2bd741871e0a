"""Read a language model from a GGUF file, with nothing but NumPy.

A file holds, one after the other: a header, the metadata (sizes, tokenizer),
a table of tensors, and their numbers, most of them packed in blocks. The
course's example is SmolLM2-135M-Instruct, which setup/get_smollm2.py fetches.

Dimension key: V vocabulary, H heads, D head size, C embedding.
Source: the format is ggml's (docs/gguf.md there); SmolLM2 is Allal et al. 2025
(arXiv:2502.02737).
"""

import hashlib
import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ch02.tokenizer import cache_folder
from ch05.llama import LlamaConfig, LlamaModel
from ch05.llama_tokenizer import MergeTokenizer
from ch05.llama_weights import check_parts, load_parts, part_names

SMOLLM2 = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = (
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
)

# The number of a type in the metadata -> its letter in Python's struct.
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?"}
NUMBERS |= {10: "Q", 11: "q", 12: "d"}
TEXT, LIST = 8, 9
NORMAL, CONTROL, USER = 1, 3, 4  # kinds of tokens; users defined the last


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
    """How a tensor's numbers lie in the file: so many in each block of bytes."""

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


# Our layer -> llama.cpp's; where they have several, ours has all their rows.
GGUF_NAMES = {
    "tok_emb": ["token_embd"],
    "norm1": ["attn_norm"],
    "attention.qkv": ["attn_q", "attn_k", "attn_v"],
    "attention.q_norm": ["attn_q_norm"],
    "attention.k_norm": ["attn_k_norm"],
    "attention.proj": ["attn_output"],
    "norm2": ["ffn_norm"],
    "feed_forward.layers.0": ["ffn_gate", "ffn_up"],
    "feed_forward.layers.2": ["ffn_down"],
    "final_norm": ["output_norm"],
    "out_head": ["output"],
}
GGUF_SIZES = {  # our size -> its key, after the name of the architecture
    "context_length": "context_length",
    "emb_dim": "embedding_length",
    "n_heads": "attention.head_count",
    "n_layers": "block_count",
    "n_kv_heads": "attention.head_count_kv",
    "hidden_dim": "feed_forward_length",
    "norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_base": "rope.freq_base",
}


def gguf_names(name: str) -> list[str]:
    """llama.cpp's names of the parts of one of our weights."""
    return part_names(name, GGUF_NAMES, "blk.{}.")


def gguf_config(file: GGUF) -> LlamaConfig:
    """The sizes and switches that the metadata describe.

    Raises: ValueError if they describe something else than a plain Llama.
    """
    kind = file.metadata.get("general.architecture")
    if kind != "llama":
        raise ValueError(f"general.architecture is {kind!r}, not 'llama'")
    about = {
        key.removeprefix("llama."): value
        for key, value in file.metadata.items()
        if key.startswith("llama.")
    }
    about.setdefault(
        "attention.head_count_kv", about.get("attention.head_count")
    )
    about.setdefault("rope.freq_base", 10_000.0)
    for key in GGUF_SIZES.values():
        if key not in about:
            raise ValueError(f"llama.{key} is missing")
    sizes = {ours: about[key] for ours, key in GGUF_SIZES.items()}
    config = LlamaConfig(
        vocab_size=len(token_list(file.metadata)),
        head_dim=about.get(
            "attention.key_length", sizes["emb_dim"] // sizes["n_heads"]
        ),
        tie_weights="output.weight" not in file.tensors,
        **sizes,
    )
    if config.n_layers > len(file.tensors):
        raise ValueError(f"{config.n_layers} layers are not in the file")
    if about.get("rope.dimension_count", config.head_dim) != config.head_dim:
        raise ValueError("only a part of each head is turned")
    if about.get("rope.scaling.type", "none") != "none":
        raise ValueError(f"rope.scaling.type is {about['rope.scaling.type']!r}")
    return config


def in_halves(rows: np.ndarray, n_heads: int) -> np.ndarray:
    """Undo llama.cpp's order of the rows of q and k.

    It turns neighbours, 2i and 2i + 1, as a pair; we turn i and i + D / 2.
    Shapes: (H D, C) -> (H D, C).
    """
    pairs = rows.reshape(n_heads, -1, 2, rows.shape[-1])
    return pairs.swapaxes(1, 2).reshape(rows.shape)


def load_gguf(path: str | Path) -> tuple[LlamaModel, MergeTokenizer]:
    """Read a model and its tokenizer from a GGUF file, into float32.

    Raises: FileNotFoundError if there is no file, ValueError if it is damaged
    or holds another architecture.
    """
    file = read_gguf(path)
    heads = {".attn_q.": "n_heads", ".attn_k.": "n_kv_heads"}

    def numbers(name: str) -> Tensor:
        values = file.tensors[name].unpack()
        for part, n_heads in heads.items():
            if part in name:
                values = in_halves(values, getattr(config, n_heads))
        return torch.tensor(values)

    try:
        config = gguf_config(file)
        tokenizer = gguf_tokenizer(file.metadata)
        shapes = {name: t.shape for name, t in file.tensors.items()}
        # Sizes that nobody has are refused before memory is asked for.
        with torch.device("meta"):
            check_parts(LlamaModel(config), gguf_names, shapes)
        model = LlamaModel(config)
        load_parts(model, gguf_names, shapes, numbers)
    # Of sizes that no number holds: RuntimeError, or ArithmeticError.
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path} holds no Llama of ours: {reason}") from None
    return model.eval(), tokenizer


def token_list(metadata: Mapping[str, object], name: str = "tokens") -> list:
    """One of the tokenizer's lists.

    Raises: ValueError if it is not there.
    """
    values = metadata.get(f"tokenizer.ggml.{name}")
    if not isinstance(values, list):
        raise ValueError(f"tokenizer.ggml.{name} is not a list")
    return values


def gguf_tokenizer(metadata: Mapping[str, object]) -> MergeTokenizer:
    """The tokenizer that the metadata describe.

    Raises: ValueError if it is of another kind, or damaged.
    """
    kind, pre = (metadata.get(f"tokenizer.ggml.{n}") for n in ("model", "pre"))
    digits_alone = {"smollm": True, "gpt-2": False}
    if kind != "gpt2" or pre not in digits_alone:
        raise ValueError(f"the tokenizer {kind!r}, {pre!r} is not read here")
    tokens, kinds, merges = (
        token_list(metadata, name)
        for name in ("tokens", "token_type", "merges")
    )
    if len(kinds) != len(tokens) or not set(kinds) <= {NORMAL, CONTROL, USER}:
        raise ValueError(f"tokens are of the kinds {sorted(set(kinds))}")
    special_ids = [i for i, kind in enumerate(kinds) if kind != NORMAL]
    return MergeTokenizer(tokens, special_ids, merges, digits_alone[pre])


def load_smollm2() -> tuple[LlamaModel, MergeTokenizer]:
    """Read SmolLM2-135M-Instruct, which set-up fetched, from the cache folder.

    Raises: FileNotFoundError if set-up has not fetched it, ValueError if the
    file was damaged.
    """
    path = cache_folder() / SMOLLM2
    remedy = "run `python setup/get_smollm2.py`"
    if not path.exists():
        raise FileNotFoundError(f"SmolLM2 is not at {path}: {remedy}")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SMOLLM2_SHA256:
        raise ValueError(
            f"{path} is not SmolLM2 (its SHA-256 differs): {remedy}"
        )
    return load_gguf(path)
