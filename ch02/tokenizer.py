"""Byte-pair encoding: train a vocabulary, turn text into token ids and back.

A token is a byte string and its id is its rank: the 256 single bytes come
first, then one token for each merge in the order in which training found it,
then the special tokens.
Source: Sennrich et al. 2016 (arXiv:1508.07909); bytes and the splitting
pattern as in GPT-2 (Radford et al. 2019, section 2.2).
"""

import base64
import hashlib
import heapq
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import lru_cache
from itertools import chain
from pathlib import Path

import regex
import tiktoken

from course.files import written_whole

# GPT-2 first cuts text into pieces, and no token crosses a cut.
GPT2_PATTERN = (
    r"'(?:[sdmt]|ll|ve|re)"  # an English ending: 's, 'll
    r"| ?\p{L}+"  # letters, with the space before them
    r"| ?\p{N}+"  # digits, with the space before them
    r"| ?[^\s\p{L}\p{N}]+"  # other signs, with the space before them
    r"|\s+(?!\S)"  # white space, but for the last one before a word
    r"|\s+"  # what is left of it
)
# Where signs of these kinds meet, a piece ends whatever stands around them. (A
# half of a surrogate pair, \p{Cs}, may become a sign of any kind.)
SURE_END = regex.compile(
    r"(?s:.*)(?:\p{L}(?=[^\p{L}\p{Cs}])|\p{N}(?=[^\p{N}\p{Cs}])"
    r"|[^\s\p{L}\p{N}\p{Cs}](?=[\s\p{N}]))"
)
GPT2_SHA256 = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
END_OF_TEXT = "<|endoftext|>"


def split_pieces(text: str) -> list[str]:
    """Cut text into the pieces that tokens may not cross.

    Half of a surrogate pair is no character and has no bytes: it becomes
    U+FFFD, as in tiktoken.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode(
            "utf-16", "replace"
        )
    return regex.findall(GPT2_PATTERN, text)


def merge_pair(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """Replace every occurrence of a pair by one id, from left to right."""
    merged, i = [], 0
    while i < len(ids):
        if i + 1 < len(ids) and (ids[i], ids[i + 1]) == pair:
            merged.append(new_id)
            i += 2
        else:
            merged.append(ids[i])
            i += 1
    return merged


def train_bpe(text: str, n_tokens: int) -> dict[bytes, int]:
    """Find a vocabulary by merging, again and again, the most frequent pair.

    Of two pairs that occur equally often, the one with the smaller ids is
    merged first. Training ends early when no pair occurs twice. Pair counts
    are kept up to date and never recounted.
    Raises: ValueError if the text is empty or n_tokens does not hold the 256
    bytes.
    """
    if not text:
        raise ValueError(
            "the text is empty: there is nothing to learn a vocabulary from"
        )
    if n_tokens < 256:
        raise ValueError(
            f"n_tokens={n_tokens} is too few: the single bytes alone are 256"
        )
    tokens = [bytes([b]) for b in range(256)]
    pieces = Counter(split_pieces(text))
    # Each piece once, as ids.
    words = [list(piece.encode()) for piece in pieces]
    frequencies = list(pieces.values())

    counts = Counter()  # (left id, right id) -> occurrences
    where = defaultdict(set)  # (left id, right id) -> words that hold it
    for w, ids in enumerate(words):
        for pair in zip(ids, ids[1:]):
            counts[pair] += frequencies[w]
            where[pair].add(w)

    heap = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    while heap and len(tokens) < n_tokens:
        count, pair = heapq.heappop(heap)
        if -count != counts[pair]:  # other merges took some away
            heapq.heappush(heap, (-counts[pair], pair))
            continue
        if -count < 2:
            break
        new_id = len(tokens)
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
        change = Counter()
        for w in where.pop(pair):
            old, new = words[w], merge_pair(words[w], pair, new_id)
            for old_pair in zip(old, old[1:]):
                change[old_pair] -= frequencies[w]
            for new_pair in zip(new, new[1:]):
                change[new_pair] += frequencies[w]
                where[new_pair].add(w)
            words[w] = new
        for changed, difference in change.items():
            counts[changed] += difference
            if difference > 0:  # a smaller count is corrected when it is popped
                heapq.heappush(heap, (-counts[changed], changed))
    return {token: rank for rank, token in enumerate(tokens)}


def merge_bytes(piece: bytes, ranks: dict[bytes, int]) -> list[int]:
    """Encode one piece: merge the neighbours whose union has the lowest rank.

    It ends when no union has one. A heap holds the possible merges, so that a
    piece of n bytes takes n log n steps.
    """
    if piece in ranks:
        return [ranks[piece]]
    parts = [piece[i : i + 1] for i in range(len(piece))]
    left = list(range(-1, len(parts) - 1))  # the place of the left neighbour
    right = list(range(1, len(parts) + 1))
    unions = [a + b for a, b in zip(parts, parts[1:])]
    heap = [(ranks[u], i) for i, u in enumerate(unions) if u in ranks]
    heapq.heapify(heap)
    while heap:
        rank, i = heapq.heappop(heap)
        j = right[i]
        if not parts[i] or j == len(parts):
            continue  # it was swallowed, or nothing is left to its right
        if ranks.get(parts[i] + parts[j]) != rank:
            continue  # a part has been merged with something else since
        parts[i], parts[j] = parts[i] + parts[j], b""
        right[i] = right[j]
        if right[i] < len(parts):
            left[right[i]] = i
        for a, b in ((left[i], i), (i, right[i])):
            if a >= 0 and b < len(parts):
                union = parts[a] + parts[b]
                if union in ranks:
                    heapq.heappush(heap, (ranks[union], a))
    return [ranks[part] for part in parts if part]


def parse_ranks(data: bytes) -> dict[bytes, int]:
    """Read lines of a token in base64 and its rank.

    Raises: ValueError if a line is something else, or a single byte or a rank
    is missing.
    """
    ranks = {}
    try:
        for line in filter(None, data.splitlines()):
            token, rank = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(rank)
    except ValueError as error:
        raise ValueError(
            f"this is not a vocabulary file (a token and its rank): {error}"
        ) from None
    bytes_known = all(bytes([b]) in ranks for b in range(256))
    if not bytes_known or sorted(ranks.values()) != list(range(len(ranks))):
        raise ValueError(
            "this vocabulary file is damaged: a single byte or a rank is "
            "missing"
        )
    return ranks


class BPETokenizer:
    """Turn text into token ids and back with a vocabulary of byte strings.

    The special tokens take the ids after the last rank. They stand for
    themselves only where the caller allows it, so that a text cannot smuggle
    one in; where two overlap, the longest counts.
    Raises: ValueError for a special token that is not allowed, or an id outside
    the vocabulary.
    """

    def __init__(
        self,
        ranks: dict[bytes, int],
        special_tokens: Collection[str] = (END_OF_TEXT,),
    ):
        if isinstance(special_tokens, str) or "" in special_tokens:
            raise ValueError(
                f"special_tokens={special_tokens!r}: give a list of texts, "
                "none of them empty"
            )
        self.ranks = ranks
        unique = dict.fromkeys(special_tokens)
        self.special_tokens = {t: len(ranks) + i for i, t in enumerate(unique)}
        longest_first = sorted(self.special_tokens, key=len, reverse=True)
        either = "|".join(map(regex.escape, longest_first)) or "(?!)"
        self._special = regex.compile(f"({either})")
        self._bytes = {rank: token for token, rank in ranks.items()}
        self._bytes |= {i: t.encode() for t, i in self.special_tokens.items()}
        # The same few thousand words make up most of a text: merge each once.
        self._piece_ids = lru_cache(2**17)(
            lambda piece: merge_bytes(piece.encode(), ranks)
        )

    def __reduce__(self) -> tuple:
        """How pickle and copy make another; the memory of pieces stays here."""
        return BPETokenizer, (self.ranks, tuple(self.special_tokens))

    @classmethod
    def train(
        cls,
        text: str,
        vocab_size: int,
        special_tokens: Collection[str] = (END_OF_TEXT,),
    ) -> "BPETokenizer":
        """Train at most vocab_size tokens, special ones included."""
        ranks = train_bpe(text, vocab_size - len(special_tokens))
        return cls(ranks, special_tokens)

    @classmethod
    def load(
        cls, path: str | Path, special_tokens: Collection[str] = (END_OF_TEXT,)
    ) -> "BPETokenizer":
        """Read a file with a token in base64 and its rank on each line."""
        return cls(parse_ranks(Path(path).read_bytes()), special_tokens)

    def save(self, path: str | Path) -> None:
        """Write the vocabulary file that load reads, whole or not at all."""
        with written_whole(path) as draft, draft.open("wb") as file:
            for token, rank in self.ranks.items():
                file.write(base64.b64encode(token) + f" {rank}\n".encode())

    @property
    def vocab_size(self) -> int:
        return len(self._bytes)

    def encode(
        self, text: str, allowed_special: Collection[str] = ()
    ) -> list[int]:
        """Encode text; a special token in allowed_special becomes one id."""
        return list(
            chain.from_iterable(self._encode(text, allowed_special, place=0))
        )

    def encode_iterable(
        self, texts: Iterable[str], allowed_special: Collection[str] = ()
    ) -> Iterator[int]:
        """Encode texts as the one text that they make: an open file, or parts.

        Memory stays small: what waits is a few thousand characters, or one
        piece.
        """
        waiting, n_waiting, look_at, place = [], 0, 4096, 0
        for text in texts:
            waiting.append(text)
            n_waiting += len(text)
            if n_waiting >= look_at:
                whole = "".join(waiting)
                end = self._settled(whole)
                settled = self._encode(whole[:end], allowed_special, place)
                yield from chain.from_iterable(settled)
                waiting, n_waiting = [whole[end:]], n_waiting - end
                place += end
                # A long piece is not looked at too often.
                look_at = 4096 + 2 * n_waiting
        rest = self._encode("".join(waiting), allowed_special, place)
        yield from chain.from_iterable(rest)

    def _settled(self, text: str) -> int:
        """How much of a text's start has tokens that nothing later changes."""
        start, end = 0, len(text)
        longest = max(map(len, self.special_tokens), default=0)
        for i in range(max(0, end - longest), end):
            if any(token.startswith(text[i:]) for token in self.special_tokens):
                end = i  # here a special token may have begun
                break
        for special in self._special.finditer(text):
            if special.start() < end:
                start = special.end()
        found = SURE_END.match(text, start, end) if start < end else None
        return found.end() if found else start

    def _encode(
        self, text: str, allowed_special: Collection[str], place: int
    ) -> Iterator[list[int]]:
        """The ids of a text that begins at a place of the whole, by parts."""
        for part in self._special.split(text):
            if part not in self.special_tokens:
                yield self.encode_ordinary(part)
            elif part in allowed_special:
                yield [self.special_tokens[part]]
            else:
                raise ValueError(
                    f"the text contains the special token {part!r} at "
                    f"character {place}: pass allowed_special={{{part!r}}} to "
                    "encode it as one token, or call encode_ordinary to encode "
                    "its characters"
                )
            place += len(part)

    def encode_ordinary(self, text: str) -> list[int]:
        """Encode text in which nothing is special."""
        return list(
            chain.from_iterable(map(self._piece_ids, split_pieces(text)))
        )

    def decode(self, ids: Iterable[int]) -> str:
        """Join the bytes of the tokens; half a character becomes U+FFFD."""
        try:
            tokens = b"".join(self._bytes[i] for i in map(int, ids))
        except KeyError as error:
            raise ValueError(
                f"id {error.args[0]} is not in this vocabulary of "
                f"{self.vocab_size} tokens: were the ids made by another "
                "tokenizer?"
            ) from None
        return tokens.decode(errors="replace")


def cache_folder() -> Path:
    """Where set-up keeps what it fetches: COURSE_CACHE, or a folder at home."""
    folder = os.environ.get("COURSE_CACHE") or "~/.cache/llm-course"
    return Path(folder).expanduser()


def gpt2_ranks() -> dict[bytes, int]:
    """Read GPT-2's 50,256 ranks, which set-up fetched, from the cache folder.

    Raises: FileNotFoundError if set-up has not fetched them, ValueError if the
    file was damaged.
    """
    path = cache_folder() / "gpt2.tiktoken"
    remedy = "run `python setup/get_vocabulary.py`"
    if not path.exists():
        raise FileNotFoundError(
            f"GPT-2's vocabulary is not at {path}: {remedy}"
        )
    data = path.read_bytes()
    if hashlib.sha256(data).hexdigest() != GPT2_SHA256:
        raise ValueError(
            f"{path} is not GPT-2's vocabulary (its SHA-256 differs): {remedy}"
        )
    return parse_ranks(data)


def gpt2_encoding() -> tiktoken.Encoding:
    """GPT-2's tokenizer in tiktoken: its `get_encoding("gpt2")`, offline."""
    ranks = gpt2_ranks()
    return tiktoken.Encoding(
        "gpt2",
        pat_str=GPT2_PATTERN,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: len(ranks)},
    )
