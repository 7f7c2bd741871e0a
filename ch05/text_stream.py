"""Read any number of texts as one stream of documents, in flat memory.

Plain text (.txt, .md, whatever is named), .jsonl with the text in a field, and
both packed by gzip. A document comes in pieces, so that it may be larger than
memory; the last piece says that it ends.
"""

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

import regex
from tqdm.auto import tqdm

from ch02.tokenizer import END_OF_TEXT, SURE_END

BLOCK = 2**20  # bytes read, and characters of a piece
SUFFIXES = (".txt", ".md", ".jsonl")  # in folders, also with .gz behind
SEPARATOR = regex.compile(r"\n?" + regex.escape(END_OF_TEXT))


def find_files(paths: Iterable[str | Path]) -> list[Path]:
    """The files of the paths, with those of the folders among them.

    Raises: ValueError if a file is empty, a folder holds no text, or nothing is
    named; FileNotFoundError if a path is not there.
    """
    found = []
    for path in map(Path, paths):
        inside = [path]
        if path.is_dir():
            inside = sorted(
                p
                for p in path.rglob("*")
                if p.name.removesuffix(".gz").endswith(SUFFIXES) and p.is_file()
            )
            if not inside:
                raise ValueError(
                    f"{path} holds no text: files end in {', '.join(SUFFIXES)}, "
                    "and .gz may follow"
                )
        found += inside
    if not found:
        raise ValueError("no file is named: there is nothing to prepare")
    for path in found:
        if path.stat().st_size == 0:
            raise ValueError(f"{path} is empty: there is nothing to learn from")
    return found


class Watched(io.FileIO):
    """A file that tells a progress bar how much of it has been read."""

    def __init__(self, path: Path, bar: tqdm):
        super().__init__(path)
        self.bar = bar

    def readinto(self, buffer) -> int:
        n = super().readinto(buffer)
        self.bar.update(n)
        return n


@contextmanager
def opened(path: Path, bar: tqdm) -> Iterator[io.BufferedIOBase]:
    """Open a file, unpacked if its name ends in .gz.

    Raises: ValueError if what is packed is damaged.
    """
    with io.BufferedReader(Watched(path, bar), BLOCK) as file:
        try:
            yield gzip.open(file) if path.suffix == ".gz" else file
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise ValueError(
                f"{path} cannot be unpacked ({error}): fetch it once more"
            ) from None


def decode(data: bytes, path: Path, place: int, decoder=None) -> str:
    """The text of bytes that begin at a place of a file.

    Raises: ValueError that names the file and the byte.
    """
    waiting = len(decoder.getstate()[0]) if decoder else 0
    remedy = "save it as UTF-8"
    try:
        text = decoder.decode(data, not data) if decoder else data.decode()
    except UnicodeDecodeError as error:
        at = place - waiting + error.start
        raise ValueError(
            f"{path} is not UTF-8 text ({error.reason} at byte {at}): {remedy}"
        ) from None
    if (zero := text.find("\0")) >= 0:  # UTF-16 writes an "a" as a and zero
        at = place - waiting + len(text[:zero].encode())
        raise ValueError(
            f"{path} is not UTF-8 text (byte {at} is a zero, as in UTF-16): "
            f"{remedy}"
        )
    return text


def read_plain(file: io.BufferedIOBase, path: Path) -> Iterator[str]:
    """The text of a file, block by block; its line ends become newlines."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    newlines = io.IncrementalNewlineDecoder(None, translate=True)
    place, begun = 0, False
    for data in chain(iter(partial(file.read, BLOCK), b""), [b""]):
        text = decode(data, path, place, decoder)
        if not begun and text:
            text, begun = text.removeprefix("\ufeff"), True
        yield newlines.decode(text, not data)
        place += len(data)


def cut_documents(texts: Iterable[str]) -> Iterator[tuple[str, bool]]:
    """Cut a stream of text at each <|endoftext|>, and long documents in between.

    A long one is cut where no token crosses, so that its ids stay the same.
    """
    rest, look_at, after_mark = "", BLOCK, False
    for text in texts:
        *whole, rest = SEPARATOR.split(rest + text)
        for document in whole:
            yield document.removeprefix("\n" if after_mark else ""), True
            after_mark, look_at = True, BLOCK
        if len(rest) >= look_at:
            # The end may be the beginning of a mark.
            if found := SURE_END.match(
                rest, 0, len(rest) - len(END_OF_TEXT) - 2
            ):
                piece, rest = rest[: found.end()], rest[found.end() :]
                yield piece.removeprefix("\n" if after_mark else ""), False
                after_mark = False
            look_at = BLOCK + 2 * len(
                rest
            )  # a long word is not looked at too often
    yield rest.removeprefix("\n" if after_mark else ""), True


def read_lines(
    file: io.BufferedIOBase, path: Path, field: str
) -> Iterator[tuple[str, bool]]:
    """The documents of a .jsonl file: in each line an object with a text.

    Raises: ValueError that names the line.
    """
    place = 0
    for number, line in enumerate(file, 1):
        text = decode(line, path, place).removeprefix("\ufeff").strip()
        place += len(line)
        if not text:
            continue
        try:
            document = json.loads(text)[field]
            if not isinstance(document, str):
                raise TypeError
        except ValueError:
            raise ValueError(
                f"{path}, line {number}: this is no JSON"
            ) from None
        except (KeyError, TypeError, IndexError):
            raise ValueError(
                f"{path}, line {number}: there is no text in a field {field!r}; "
                "--text-field names another one"
            ) from None
        # Half of a surrogate pair has no bytes: it becomes U+FFFD.
        data = document.encode("utf-16", "surrogatepass")
        yield data.decode("utf-16", "replace"), True


def read_documents(
    files: Iterable[Path], field: str, bar: tqdm
) -> Iterator[tuple[str, bool]]:
    """The documents of files in pieces, and with each whether it ends there."""
    for path in files:
        with opened(path, bar) as file:
            if path.name.removesuffix(".gz").endswith(".jsonl"):
                yield from read_lines(file, path, field)
            else:
                yield from cut_documents(read_plain(file, path))
