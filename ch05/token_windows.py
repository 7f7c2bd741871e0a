"""Read shards of token ids as windows, in an order that seed and epoch decide.

The shards are mapped into memory: only what a batch needs is read from disk.
No shuffled list is kept, however many windows there are. Which window comes
at which place of an epoch is computed, so a run goes on exactly from the
number of its next step.

Dimension key: B batch, T tokens (context_length), N tokens of a stream.
"""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import numpy as np

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch05.token_shards import FORMAT, HEADER_BYTES, data_hash

IGNORE = -100  # a target that does not count, as in PyTorch's cross_entropy


class TokenStream:
    """The ids of several shards as one array that stays on disk.

    Shapes: stream[a:b] is a copy, (b - a,), of what lies between start and stop.
    """

    def __init__(
        self,
        arrays: Sequence[np.ndarray],
        start: int = 0,
        stop: int | None = None,
    ):
        self.arrays = arrays
        self.ends = list(accumulate(map(len, arrays)))
        self.start = start
        self.stop = self.ends[-1] if stop is None else stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(len(self))
        start, stop, found = start + self.start, stop + self.start, []
        while start < stop:
            i = bisect_right(self.ends, start)
            before = self.ends[i] - len(self.arrays[i])
            found.append(self.arrays[i][start - before : stop - before])
            start += len(found[-1])
        return np.concatenate(found) if found else np.empty(0, np.uint16)


@dataclass
class Shards:
    """A prepared folder: its tokens to train on and to validate with, its tokenizer."""

    index: dict
    train: TokenStream
    validation: TokenStream
    tokenizer: BPETokenizer

    @property
    def bytes_per_token(self) -> float:
        """By which a loss per token becomes one per byte of text."""
        parts = [
            part
            for part in (self.index["train"], self.index["validation"])
            if part
        ]
        return sum(p["bytes"] for p in parts) / sum(p["tokens"] for p in parts)

    @property
    def end_id(self) -> int:
        return self.tokenizer.special_tokens[END_OF_TEXT]


def map_shard(
    path: Path, shard: dict, dtype: np.dtype, verify: bool
) -> np.ndarray:
    """The ids of a shard, mapped into memory.

    Raises: ValueError if it was cut short, or is not what the index says.
    """
    again = "prepare the text again"
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there: {again}")
    n_bytes = HEADER_BYTES + shard["tokens"] * dtype.itemsize
    if (size := path.stat().st_size) != n_bytes:
        what = "is cut short" if size < n_bytes else "is too long"
        raise ValueError(
            f"{path} {what}: {size:,} of {n_bytes:,} bytes; {again}"
        )
    try:
        with open(path, "rb") as file:
            header = json.loads(file.read(HEADER_BYTES)[8:])
        found = header["__metadata__"]["sha256"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path} is no shard of tokens: {again}") from None
    ids = np.memmap(path, dtype, "r", HEADER_BYTES, (shard["tokens"],))
    if found == shard["sha256"] and verify:
        hashed = hashlib.sha256()
        for i in range(0, len(ids), 2**22):
            hashed.update(ids[i : i + 2**22].tobytes())
        found = hashed.hexdigest()
    if found != shard["sha256"]:
        raise ValueError(
            f"{path} holds other tokens than the index says: {again}"
        )
    return ids


def read_shards(folder: str | Path, verify: bool = False) -> Shards:
    """Open a folder that was prepared; with verify, read all of it and compare.

    Raises: FileNotFoundError or ValueError if something is missing, cut short,
    or of another version.
    """
    folder = Path(folder)
    path = folder / "index.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is not there: `python -m ch05.pretrain prepare FILES --out "
            f"{folder}` makes the folder"
        )
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            raise ValueError(f"it has format {index['format']}, not {FORMAT}")
        if index["sha256"] != data_hash(index):
            raise ValueError("its hash does not fit to what it says")
        dtype, held_out = np.dtype(index["dtype"]), index["held_out"]
        shards = [
            (index[n] or {"shards": []})["shards"]
            for n in ("train", "validation")
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is damaged ({error}): prepare the text again"
        ) from None
    train, validation = (
        [
            map_shard(folder / shard["file"], shard, dtype, verify)
            for shard in part
        ]
        for part in shards
    )
    try:
        tokenizer = BPETokenizer.load(folder / "vocabulary.tiktoken")
    except ValueError as error:
        raise ValueError(f"{folder / 'vocabulary.tiktoken'}: {error}") from None
    found = hashlib.sha256(repr(tokenizer.ranks).encode()).hexdigest()
    if found != index["vocabulary_sha256"]:
        raise ValueError(f"{folder} has another vocabulary than its index says")
    if not held_out:
        return Shards(
            index, TokenStream(train), TokenStream(validation), tokenizer
        )
    cut = index["train"]["tokens"] - held_out
    streams = TokenStream(train, 0, cut), TokenStream(train, cut)
    return Shards(index, *streams, tokenizer)


def shuffled(places: np.ndarray, n: int, seed: int, epoch: int) -> np.ndarray:
    """The windows at some places of an epoch's order, a permutation of range(n).

    A number's two halves take turns: each is changed by a hash of the other one,
    which can be undone and therefore never brings two numbers together. What
    falls outside of range(n) is sent on until it is inside.
    Source: Luby and Rackoff 1988; "cycle walking" of Black and Rogaway 2002.
    """
    half = np.uint64(max(1, ((n - 1).bit_length() + 1) // 2))
    mask = (np.uint64(1) << half) - np.uint64(1)
    keys = np.random.SeedSequence((seed, epoch)).generate_state(8, np.uint64)
    x = np.array(places, np.uint64)
    outside = np.full(x.shape, True)
    while outside.any():
        left, right = x[outside] >> half, x[outside] & mask
        for key in keys:
            mixed = (right + key) * np.uint64(0x9E3779B97F4A7C15)
            mixed = (mixed ^ mixed >> np.uint64(32)) * np.uint64(
                0xD6E8FEB86659FD93
            )
            left, right = right, left ^ (mixed >> np.uint64(40) & mask)
        x[outside] = left << half | right
        outside = x >= n
    return x.astype(np.int64)


class Windows:
    """Cut a stream into windows of T tokens; each token is a target exactly once.

    They touch, or, at_documents, each begins where a document begins and takes
    as many whole ones as fit; a document longer than T goes on in the next. A
    window that is not full ends in targets that do not count.
    Shapes: rows(numbers) is inputs and targets, (B, T) each.
    Raises: ValueError if there is no token to predict.
    """

    def __init__(
        self,
        stream: TokenStream,
        context_length: int,
        end_id: int,
        at_documents: bool = False,
    ):
        if len(stream) < 2:
            raise ValueError(f"{len(stream)} tokens hold nothing to predict")
        self.stream, self.context_length, self.end_id = (
            stream,
            context_length,
            end_id,
        )
        self.starts = self._find_starts() if at_documents else None
        n = -(-(len(stream) - 1) // context_length)
        self.n = n if self.starts is None else len(self.starts)

    def _find_starts(self) -> np.ndarray:
        last, documents = len(self.stream) - 1, [np.zeros(1, np.int64)]
        for i in range(0, last, 2**22):
            ends = np.flatnonzero(
                self.stream[i : min(i + 2**22, last)] == self.end_id
            )
            documents.append(ends + i + 1)
        documents = np.concatenate(documents)
        starts, start = [], 0
        while start < last:
            starts.append(start)
            i = (
                np.searchsorted(documents, start + self.context_length, "right")
                - 1
            )
            start = max(int(documents[i]), start)
            if start == starts[-1]:  # one document fills the window
                start += self.context_length
        return np.array(starts)

    def __len__(self) -> int:
        return self.n

    def rows(self, numbers: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The windows of these numbers; beyond the last one nothing counts."""
        shape = (len(numbers), self.context_length)
        inputs = np.full(shape, self.end_id, np.int64)
        targets = np.full(shape, IGNORE, np.int64)
        for row, number in enumerate(map(int, numbers)):
            if number >= self.n:
                continue
            if self.starts is None:
                start, stop = (
                    i * self.context_length for i in (number, number + 1)
                )
            else:
                start = int(self.starts[number])
                more = number + 1 < self.n
                stop = (
                    int(self.starts[number + 1]) if more else len(self.stream)
                )
            stop = min(stop, start + self.context_length)
            ids = self.stream[start : stop + 1]
            inputs[row, : len(ids) - 1] = ids[:-1]
            targets[row, : len(ids) - 1] = ids[1:]
        return inputs, targets


class Batches:
    """The batches of a training by the number of the step, over all epochs.

    Epochs follow one another without a gap, so a batch may hold the end of one
    and the beginning of the next. Without a seed the windows come once, in
    their own order, and what is missing in the last batch does not count.
    """

    def __init__(
        self, windows: Windows, batch_size: int, seed: int | None = None
    ):
        self.windows, self.batch_size, self.seed = windows, batch_size, seed

    def __len__(self) -> int:
        """How many batches it takes to see every window."""
        return -(-len(self.windows) // self.batch_size)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        numbers = np.arange(
            step * self.batch_size, (step + 1) * self.batch_size
        )
        if self.seed is not None:
            epochs, places = np.divmod(numbers, len(self.windows))
            for epoch in np.unique(epochs):
                own, n = epochs == epoch, len(self.windows)
                numbers[own] = shuffled(places[own], n, self.seed, int(epoch))
        return self.windows.rows(numbers)
