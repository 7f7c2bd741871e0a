"""Turn texts larger than memory into token ids on disk.

    python -m ch05.pretrain prepare FILES --tokenizer own --out FOLDER

A shard is a safetensors file with one array, "ids", in 16 or 32 bits, and with
its SHA-256 and its number of documents in the header; <|endoftext|> ends each
document. index.json says what is in all of them, and vocabulary.tiktoken is
the tokenizer. ch05.token_windows reads such a folder.
"""

import argparse
import hashlib
import json
import os
import shutil
import sqlite3
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tiktoken
from tqdm.auto import tqdm

from ch02.tokenizer import END_OF_TEXT, GPT2_PATTERN, BPETokenizer, gpt2_ranks
from ch05.duplicates import DUPLICATES, SeenDocuments, signature
from ch05.text_stream import BLOCK, find_files, read_documents

FORMAT = 1  # of the shards and their index
HEADER_BYTES = 1024  # of a shard, before its ids
SHARD_TOKENS = 100_000_000
VOCABULARY_BYTES = (
    5_000_000  # of text, from all files, for a tokenizer of one's own
)
# Every hundredth document is for validation; of fewer than a thousand documents
# it is the last tenth of all tokens.
HELD_OUT, FEW = 100, 1000


def choose_tokenizer(
    name: str, files: Sequence[Path], vocab_size: int, field: str
) -> BPETokenizer:
    """GPT-2's tokenizer, that of a folder, or one trained on the files' beginnings.

    Raises: ValueError or FileNotFoundError if the folder has none.
    """
    if name == "gpt2":
        return BPETokenizer(gpt2_ranks())
    if name != "own":
        path = Path(name) / "vocabulary.tiktoken"
        if not path.exists():
            raise FileNotFoundError(
                f"{path} is not there: --tokenizer is own, gpt2, or a folder with "
                "this file"
            )
        return BPETokenizer.load(path)
    if vocab_size < 257:
        raise ValueError(
            f"--vocab-size {vocab_size} must be at least 257: the single bytes "
            f"and {END_OF_TEXT}"
        )
    sample = []
    with tqdm(disable=True) as silent:
        for path in files:
            left = VOCABULARY_BYTES // len(files)
            for text, _ in read_documents([path], field, silent):
                sample.append(text[:left])
                if (left := left - len(text)) <= 0:
                    break
    return BPETokenizer.train("\n".join(sample) or "\n", vocab_size)


@dataclass
class Piece:
    """A part of a document: its text, its ids, whether the document ends here."""

    text: str
    ends: bool
    ids: np.ndarray
    signature: np.ndarray | None


def encode_pieces(
    pieces: Iterable[tuple[str, bool]],
    tokenizer: BPETokenizer,
    near: bool,
    threads: int,
) -> Iterator[Piece]:
    """Encode pieces in several threads, and give them back in their order.

    tiktoken does it, which agrees with our tokenizer and lets go of Python's
    lock while it works.
    """
    encoding = tiktoken.Encoding(
        "shards",
        pat_str=GPT2_PATTERN,
        mergeable_ranks=tokenizer.ranks,
        special_tokens={},
    )

    def encode(block: list[tuple[str, bool]]) -> list[Piece]:
        done = []
        for text, ends in block:
            try:
                ids = encoding.encode_to_numpy(text, disallowed_special=())
            except ValueError:  # too many blanks in a row for its search
                ids = np.array(tokenizer.encode_ordinary(text), np.uint32)
            done.append(
                Piece(text, ends, ids, signature(ids) if near else None)
            )
        return done

    def blocks() -> Iterator[list[tuple[str, bool]]]:
        block, n = [], 0
        for piece in pieces:
            block.append(piece)
            n += len(piece[0])
            if n >= BLOCK // 4:
                yield block
                block, n = [], 0
        yield block

    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()  # never many: memory stays flat
        for block in blocks():
            waiting.append(pool.submit(encode, block))
            if len(waiting) > 2 * threads:
                yield from waiting.popleft().result()
        for encoded in waiting:
            yield from encoded.result()


class ShardWriter:
    """Write documents to shards of a folder; the last document can be taken back."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype):
        self.folder, self.name, self.dtype = folder, name, np.dtype(dtype)
        self.shards, self.file, self.documents, self.bytes = [], None, 0, 0

    def begin(self) -> None:
        """Begin a document, in a new shard if there is none or it is full."""
        if self.file and self.tokens >= SHARD_TOKENS:
            self.close()
        if not self.file:
            path = (
                self.folder / f"{self.name}-{len(self.shards):05d}.safetensors"
            )
            self.file = open(path, "wb")
            self.file.write(bytes(HEADER_BYTES))
            self.hash, self.tokens, self.inside = hashlib.sha256(), 0, 0
        self.mark = (self.file.tell(), self.tokens, self.hash.copy())

    def write(self, ids: np.ndarray) -> None:
        data = ids.astype(self.dtype).tobytes()
        self.file.write(data)
        self.hash.update(data)
        self.tokens += len(ids)

    def take_back(self) -> None:
        """Let the document that was begun not have been."""
        place, self.tokens, self.hash = self.mark
        self.file.seek(place)
        self.file.truncate()

    def end(self, n_bytes: int) -> None:
        self.inside += 1
        self.documents += 1
        self.bytes += n_bytes

    def close(self) -> None:
        """Write the header of the shard: safetensors', padded with blanks."""
        if not self.file:
            return
        described = {"sha256": self.hash.hexdigest(), "documents": self.inside}
        ids = {
            "dtype": "U16" if self.dtype.itemsize == 2 else "U32",
            "shape": [self.tokens],
            "data_offsets": [0, self.tokens * self.dtype.itemsize],
        }
        texts = {name: str(value) for name, value in described.items()}
        header = json.dumps({"__metadata__": texts, "ids": ids}).encode()
        self.file.seek(0)
        self.file.write((HEADER_BYTES - 8).to_bytes(8, "little"))
        self.file.write(header.ljust(HEADER_BYTES - 8))
        self.file.close()
        name = Path(self.file.name).name
        self.shards.append({"file": name, "tokens": self.tokens, **described})
        self.file = None

    def described(self) -> dict:
        tokens = sum(shard["tokens"] for shard in self.shards)
        counts = {"documents": self.documents, "bytes": self.bytes}
        return {"tokens": tokens, **counts, "shards": self.shards}


def write_shards(
    files: Sequence[Path],
    folder: Path,
    tokenizer: BPETokenizer,
    duplicates: str,
    field: str,
    threads: int,
) -> dict:
    """Encode all documents of the files into shards of a folder; their index.

    Raises: ValueError as the readers, or if no document is left.
    """
    dtype = np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32
    end = np.array([tokenizer.special_tokens[END_OF_TEXT]])
    writers = [ShardWriter(folder, n, dtype) for n in ("train", "validation")]
    dropped, begun = {"exact": 0, "near": 0, "empty": 0}, False
    seen = SeenDocuments(folder / "seen.sqlite", duplicates == "near")
    with tqdm(
        total=sum(path.stat().st_size for path in files),
        desc="encoding",
        unit="B",
        unit_scale=True,
    ) as bar:
        pieces = read_documents(files, field, bar)
        for piece in encode_pieces(
            pieces, tokenizer, duplicates == "near", threads
        ):
            if not begun:
                n = sum(writer.documents for writer in writers)
                writer = writers[n % HELD_OUT == HELD_OUT - 1]
                writer.begin()
                digest, n_bytes, blank, found = hashlib.sha256(), 0, True, None
                begun = True
            data = piece.text.encode()
            digest.update(data)
            n_bytes += len(data)
            blank = blank and not piece.text.strip()
            writer.write(piece.ids)
            if piece.signature is not None:
                found = piece.signature if found is None else found
                found = np.minimum(found, piece.signature)
            if not piece.ends:
                continue
            begun, why = False, "empty" if blank else None
            if duplicates != "keep" and not blank:
                why = seen.judge(digest.digest(), found)
            if why:
                dropped[why] += 1
                writer.take_back()
            else:
                writer.write(end)
                writer.end(n_bytes)
    seen.close()
    for writer in writers:
        writer.close()
    train, held_out = (writer.described() for writer in writers)
    if not train["documents"]:
        raise ValueError("there is no document in these files but empty ones")
    index = {"train": train, "validation": held_out, "held_out": 0}
    if train["documents"] + held_out["documents"] < FEW:
        for name in ("tokens", "documents", "bytes", "shards"):
            train[name] += held_out[name]
        index["validation"] = None
        index["held_out"] = train["tokens"] // 10
    return index | {"dropped": dropped, "dtype": np.dtype(dtype).name}


def prepare(
    paths: Iterable[str | Path],
    out: str | Path,
    tokenizer: str = "own",
    vocab_size: int = 4096,
    duplicates: str = "keep",
    text_field: str = "text",
    threads: int | None = None,
) -> dict:
    """Turn the texts of files and folders into a folder of shards; its index.

    The folder is there when all is done, or not at all.
    Raises: ValueError or OSError, in one sentence, for what cannot be read or
    written, or if the folder holds something.
    """
    out = Path(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(
            f"{out} holds something already: take another --out folder, or "
            "delete that one"
        )
    files = find_files(paths)
    chosen = choose_tokenizer(tokenizer, files, vocab_size, text_field)
    draft = out.with_name(out.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)  # of a run that was killed
    try:
        draft.mkdir(parents=True)
        threads = threads or os.cpu_count() or 1
        index = {"format": FORMAT, "tokenizer": tokenizer}
        index |= write_shards(
            files, draft, chosen, duplicates, text_field, threads
        )
        (draft / "seen.sqlite").unlink(missing_ok=True)
        index["vocabulary_sha256"] = hashlib.sha256(
            repr(chosen.ranks).encode()
        ).hexdigest()
        index["vocab_size"] = chosen.vocab_size
        index["sha256"] = data_hash(index)
        chosen.save(draft / "vocabulary.tiktoken")
        text = json.dumps(index, indent=1) + "\n"
        (draft / "index.json").write_text(text, encoding="utf-8")
        if out.exists():
            out.rmdir()
        draft.rename(out)
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "filename", None):  # a text that cannot be opened
            raise
        reason = getattr(error, "strerror", None) or error
        raise OSError(
            f"{out} could not be written ({reason}): is the disk full?"
        ) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return index


def data_hash(index: dict) -> str:
    """One hash of all that a training reads: vocabulary, shards, what is held out."""
    parts = (index["train"], index["validation"] or {"shards": []})
    shards = [shard["sha256"] for part in parts for shard in part["shards"]]
    hashed = [index["vocabulary_sha256"], index["held_out"], *shards]
    return hashlib.sha256(json.dumps(hashed).encode()).hexdigest()


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m ch05.pretrain prepare`."""
    add = parser.add_argument
    add("files", nargs="+", help="UTF-8 texts, .jsonl, both also .gz; folders")
    add("--out", default="runs/data", help="the folder for the shards")
    add("--tokenizer", default="own", help="own, gpt2, or a folder with one")
    add("--vocab-size", type=int, default=4096, help="tokens of an own one")
    add(
        "--duplicates",
        choices=DUPLICATES,
        default="keep",
        help="keep them, or drop documents met before, to the letter or nearly",
    )
    add("--text-field", default="text", help="where a .jsonl line has its text")
    add(
        "--threads",
        type=int,
        help="that encode; one for each core if not given",
    )


def report(index: dict, out: str) -> str:
    """What a prepared folder holds, in a few lines."""
    parts = [index["train"], index["validation"]]
    tokens, documents, n_bytes = (
        sum(part[name] for part in parts if part)
        for name in ("tokens", "documents", "bytes")
    )
    held_out = index["held_out"] or index["validation"]["tokens"]
    n_shards = sum(len(part["shards"]) for part in parts if part)
    dropped = ", ".join(f"{n:,} {why}" for why, n in index["dropped"].items())
    return (
        f"{documents:,} documents, {n_bytes:,} bytes: {tokens:,} tokens of a "
        f"vocabulary of {index['vocab_size']:,} in {index['dtype']}, "
        f"{n_bytes / tokens:.2f} bytes each\n"
        f"dropped: {dropped}; held out for validation: {held_out:,} tokens\n"
        f"{n_shards} shards in {out}, data {index['sha256'][:12]}"
    )
