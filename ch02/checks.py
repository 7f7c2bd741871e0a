"""The checks of chapter 2's exercises: pieces, pairs, merges, windows and input vectors."""

import re
import sys
import tracemalloc
from collections.abc import Callable
from functools import cache
from numbers import Integral
from typing import Any

import tiktoken
import torch
from torch import Tensor
from torch.nn import functional as F

from ch02.dataloader import GPTDataset, create_dataloader
from ch02.tokenizer import gpt2_encoding, gpt2_ranks, merge_bytes, train_bpe
from exercises.checking import (
    Watch,
    ask,
    ask_kindly,
    call,
    demand,
    describe,
    exercise,
    same,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz ,.é한🦡"


@cache
def gpt2() -> tiktoken.Encoding:
    return gpt2_encoding()


@cache
def ranks_of_gpt2() -> dict[bytes, int]:
    return gpt2_ranks()


def random_ids(n: int, below: int) -> list[int]:
    return torch.randint(below, (n,)).tolist()


def random_text(n: int, letters: str) -> str:
    return "".join(letters[i] for i in random_ids(n, len(letters)))


@exercise("2.1")
def check_2_1(pieces_of: Callable, costly: str) -> None:
    """pieces_of gives tiktoken's ids and bytes; the costly word is measured."""
    # A stub is known before any vocabulary is loaded.
    ask(pieces_of, " weighbridge")
    texts = [
        " weighbridge",
        "weighbridgeless",
        "🦡",
        " Doreen’s 84",
        "a<|endoftext|>b",
    ]
    for text in texts + [random_text(n, LETTERS) for n in (5, 9, 14)]:
        ids = gpt2().encode_ordinary(text)
        tokens = [gpt2().decode_single_token_bytes(i) for i in ids]
        signs = [token.decode(errors="replace") for token in tokens]
        so_far = [b"".join(tokens[: i + 1]) for i in range(len(tokens))]
        what = f"pieces_of({text!r})"
        mistakes = [
            (
                ids,
                f"{what} holds only ids: give a pair of id and bytes for each token.",
            ),
            (
                tokens,
                f"{what} holds only bytes: give a pair of id and bytes for each token.",
            ),
            (
                list(zip(tokens, ids)),
                f"In {what} the bytes stand first: the id comes first.",
            ),
            (
                list(zip(ids, signs)),
                f"{what} holds strings: the pieces of a token are bytes.",
            ),
            (
                list(zip(ids, (sign.encode() for sign in signs))),
                f"{what} holds the bytes of the sign �, which decode puts where a token ends "
                "inside a character: take the token's own bytes from the vocabulary.",
            ),
            (
                list(zip(ids, so_far)),
                f"In {what} each item holds all bytes so far: give those of its own token.",
            ),
            (
                list(zip(ids, (token.strip() for token in tokens))),
                f"{what} has lost a space: it belongs to the token.",
            ),
        ]
        same(ask(pieces_of, text), list(zip(ids, tokens)), what, mistakes)
    is_word = (
        isinstance(costly, str)
        and re.fullmatch("[a-z]{10,}", costly) is not None
    )
    demand(
        is_word,
        f"costly is {describe(costly)}, but ten or more letters a to z are asked for.",
    )
    pieces = [gpt2().decode([i]) for i in gpt2().encode_ordinary(costly)]
    demand(
        2 * len(pieces) > len(costly),
        f"The {len(costly)} letters of costly cost only {len(pieces)} tokens "
        f"({' + '.join(pieces)[:120]}): more than one token for two letters is asked for.",
    )


def times_a_target(context_length: int, stride: int) -> Tensor:
    """How often a loader serves each token of the middle of a long text as a target."""
    n = 8 * (context_length + stride)
    loader = create_dataloader(
        range(n), context_length, 4, stride, drop_last=False
    )
    counts = torch.cat([targets.flatten() for _, targets in loader]).bincount(
        minlength=n
    )
    start = 2 * (context_length + stride)
    return counts[start : start + stride]  # one period


def is_int(value: Any) -> bool:
    """Whether a value is a whole number, Python's or NumPy's."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def effort(answer: Callable, *arguments: Any) -> tuple[int, int]:
    """How many lines an answer runs, and the bytes and numbers it holds."""
    n_lines = 0

    def count(*_: Any) -> Callable:
        nonlocal n_lines
        n_lines += 1
        return count

    tracing, was_tracing = sys.gettrace(), tracemalloc.is_tracing()
    if not was_tracing:
        tracemalloc.start()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    try:
        with Watch() as watch:
            sys.settrace(count)
            try:
                ask(answer, *arguments)
            finally:
                sys.settrace(tracing)
        n_bytes = tracemalloc.get_traced_memory()[1] - before
    finally:
        if not was_tracing:
            tracemalloc.stop()
    return n_lines, n_bytes + watch.largest


@exercise("2.2")
def check_2_2(
    count_windows: Callable, settings: dict[str, tuple[int, int]]
) -> None:
    """Windows are counted as GPTDataset makes them; the settings are measured with a loader."""
    sizes = [(9, 3, 1), (10, 4, 2), (10, 4, 4), (4, 4, 1), (2, 4, 1)]
    sizes += [
        (n, T, s)
        for n in (1, 9, 30, 31, 32)
        for T in (1, 3, 8)
        for s in (1, 2, 5, 8, 11)
    ]
    for n, T, stride in sizes:
        got, what = (
            ask(count_windows, n, T, stride),
            f"count_windows({n}, {T}, {stride})",
        )
        wanted = len(GPTDataset(range(n), T, stride)) if n > T else 0
        off = f"{what} is {describe(got)}, but {wanted} is asked for:"
        kind = type(got).__name__
        demand(
            is_int(got),
            f"{what} is {describe(got)} of type {kind}: give an int.",
        )
        mistakes = [
            (
                (n - T) // stride + 1,
                f"{off} a window also needs the token after it.",
            ),
            (
                (n - T - 1) // stride,
                f"{off} the window before the first step counts too.",
            ),
            ((n - 1) // T, f"{off} that would be right for a stride of {T}."),
        ]
        if (n, T, stride) != sizes[0]:  # elsewhere they may be right by chance
            mistakes = [(min(got, -1), f"{off} no window fits.")]
        same(int(got), wanted, what, mistakes)
    effort(count_windows, 9, 3, 1)
    short = effort(count_windows, 200, 10, 1)
    long = effort(count_windows, 20_200, 10, 1)
    demand(
        long[0] <= short[0] + 2 and long[1] <= short[1] + 2000,
        "count_windows takes longer or more memory for a longer text: find a "
        "formula that makes no window and walks through no text.",
    )

    wanted_times = {
        "once": [1.0],
        "four times": [4.0],
        "half left out": [0.0, 1.0],
    }
    keys = ", ".join(map(repr, wanted_times))
    is_dict = (
        isinstance(settings, dict) and settings.keys() == wanted_times.keys()
    )
    demand(is_dict, f"settings must be a dict with the keys {keys}.")
    for name, wanted in wanted_times.items():
        pair, what = settings[name], f"settings[{name!r}]"
        is_pair = isinstance(pair, tuple | list) and len(pair) == 2
        demand(
            is_pair and all(map(is_int, pair)),
            f"{what} must be a tuple of two ints, context_length and stride.",
        )
        T, stride = map(int, pair)
        in_range = 4 <= T <= 1024 and 1 <= stride <= 4096
        demand(
            in_range,
            f"{what} is {pair}: take a context_length of 4 to 1024 and a stride >= 1.",
        )
        times = times_a_target(T, stride).float()
        if name == "half left out":
            share = (times == 0).float().mean().item()
            off = f"With {what} = {pair}, {share:.0%} of the tokens are never a target"
            demand(share == 0.5, f"{off}, but half of them is asked for.")
        found, asked = (
            " or ".join(f"{t:g}" for t in x)
            for x in (times.unique().tolist(), wanted)
        )
        off = f"With {what} = {pair}, a token is a target {found}×"
        demand(found == asked, f"{off}, but {asked}× is asked for.")


def pair_table(
    words: list[list[int]], frequencies: list[int]
) -> dict[tuple[int, int], int]:
    """Count pairs of small ids in a table of all pairs that there could be."""
    table = torch.zeros(128, 128, dtype=torch.long)
    for word, frequency in zip(words, frequencies):
        ids = torch.tensor(word)
        table.index_put_(
            (ids[:-1], ids[1:]), torch.tensor(frequency), accumulate=True
        )
    return {(a, b): int(table[a, b]) for a, b in table.nonzero().tolist()}


@exercise("2.3")
def check_2_3(count_pairs: Callable, best_pair: Callable) -> None:
    """Counts are those of a table of all pairs; the best pair is what training merges first."""
    mistakes = [  # what they make of [1, 2, 1, 2], which occurs 3 times
        ({(1, 2): 2, (2, 1): 1}, "the word occurs 3 times"),
        ({(1, 2): 3, (2, 1): 3}, "a pair may occur twice in a word"),
        (
            {(1, 2): 6},
            "each id but the last opens a pair, so (2, 1) is one too",
        ),
        (
            {(1, 2): 6, (2, 1): 5},
            "no pair goes from the end of a word to the next word",
        ),
    ]
    examples = [
        ([[1, 2, 1, 2]], [3]),
        ([[7, 7, 7]], [1]),
        ([[1, 2], [3, 4]], [1, 1]),
        ([[5]], [4]),
    ]
    for n in (2, 3, 5, 8):
        examples.append(
            ([random_ids(1 + i % 4, 4) for i in range(n)], random_ids(n, 5))
        )
    for words, frequencies in examples:
        what = call(count_pairs, words, frequencies)
        got = ask_kindly(count_pairs, words, frequencies)
        demand(
            isinstance(got, dict),
            f"{what} must be a dict, but it is {describe(got)}.",
        )
        wanted = pair_table(words, frequencies)
        got = {pair: count for pair, count in got.items() if count != 0}
        for mistake, reason in mistakes if words == examples[0][0] else ():
            demand(got != mistake, f"{what} is {got}: {reason}.")
        for pair in wanted | got:
            has, asked = got.get(pair, 0), wanted.get(pair, 0)
            demand(
                has == asked,
                f"{what} counts {pair} {has}×, but {asked}× is asked for.",
            )

    smaller = "of equal counts the pair with the smaller ids goes first"
    for counts, wanted, mistake, reason in [
        ({(1, 5): 3, (5, 1): 2}, (1, 5), (5, 1), "the largest count wins"),
        ({(5, 1): 2, (1, 5): 3}, (1, 5), (5, 1), "the largest count wins"),
        ({(1, 5): 2, (5, 1): 3}, (5, 1), (1, 5), "the largest count wins"),
        ({(9, 2): 4, (3, 8): 4}, (3, 8), (9, 2), smaller),
        ({(3, 8): 4, (9, 2): 4}, (3, 8), (9, 2), smaller),
        ({(3, 8): 4, (3, 2): 4, (1, 1): 1}, (3, 2), (3, 8), smaller),
    ]:
        what = f"best_pair({counts})"
        mistakes = [
            (
                mistake,
                f"{what} is {mistake}, but {wanted} is asked for: {reason}.",
            )
        ]
        same(ask_kindly(best_pair, counts), wanted, what, mistakes)
    for _ in range(10):
        text = random_text(30, "abc")
        first_merge = tuple(list(train_bpe(text, 257))[256])  # its two bytes
        counts = pair_table([list(text.encode())], [1])
        same(
            ask(best_pair, counts),
            first_merge,
            f"best_pair for the text {text!r}",
        )


def replace_pair(
    ids: list[int], pair: tuple[int, int], new_id: int
) -> list[int]:
    """What str.replace makes of a list of ids: each id is the code of a character."""
    text, old = "".join(map(chr, ids)), "".join(map(chr, pair))
    return [ord(sign) for sign in text.replace(old, chr(new_id))]


@exercise("2.4")
def check_2_4(merge_pair: Callable) -> None:
    """The pair is replaced as str.replace would do it, for lists of every length."""
    overlap = (
        "the second 7 has gone into the first merge and cannot merge again"
    )
    row, sevens = ([1, 2, 3, 1, 2], (1, 2), 9), ([7, 7, 7], (7, 7), 9)
    mistakes = [
        (row, [9, 3, 1, 2], "every occurrence is merged, not only the first"),
        (row, [9, 2, 3, 9, 2], "both ids of the pair go"),
        (row, [9, 2, 3, 9], "both ids of the pair go"),
        (
            ([1, 2, 3], (1, 2), 9),
            [9],
            "the last id, which has no partner, must stay",
        ),
        (([2, 1, 3], (1, 2), 9), [9, 3], "2, 1 is another pair than 1, 2"),
        (sevens, [9, 9], overlap),
        (sevens, [7, 9], "of three equal ids, the two on the left merge"),
        (([11, 2], (1, 2), 9), [19], "ids are numbers, not text: 11 is not 1"),
    ]
    examples = [
        row,
        mistakes[3][0],
        mistakes[4][0],
        sevens,
        mistakes[-1][0],
        ([5], (1, 2), 9),
        ([], (1, 2), 9),
    ]
    for n in (2, 3, 5, 8, 13, 40):
        examples += [
            (random_ids(n, 3), (a, b), 3 + n)
            for a in range(3)
            for b in range(3)
        ]
    for n in (3, 8, 40):  # ids of several digits, which are no text
        ids = [(1, 11, 12, 112, 2)[i] for i in random_ids(n, 5)]
        pairs = [(1, 2), (1, 12), (11, 2), (11, 12), (112, 1)]
        examples += [(ids, pair, 50_000 + n) for pair in pairs]
    for example in examples:
        got, what = ask_kindly(merge_pair, *example), call(merge_pair, *example)
        own = [
            (m, f"{what} is {m}: {why}.")
            for given, m, why in mistakes
            if given == example
        ]
        same(got, replace_pair(*example), what, own)


@exercise("2.5")
def check_2_5(encode_piece: Callable) -> None:
    """A piece gets the ids that merge_bytes gives it, with several vocabularies."""
    toy = {bytes([b]): b for b in range(256)} | {
        b"ig": 256,
        b"we": 257,
        b"wei": 258,
        b"mm": 259,
    }
    lower = (
        "i + g has the lowest rank and merges before wei can form: we + ig + h"
    )
    again = "merge until no two neighbours make a token"
    mistakes = [
        (b"weigh", [258, 103, 104], lower),
        (b"weigh", [119, 101, 256, 104], again),
        (b"weigh", [119, 101, 105, 103, 104], again),
        (
            b"mmm",
            [109, 259],
            "of two pairs of equal rank the left one merges first",
        ),
        (b"igig", [256, 105, 103], again),
    ]
    for piece in (b"x", b"weigh", b"mmm", b"igig", b"weighing"):
        what = f"encode_piece({piece!r}, ranks)"
        own = [
            (m, f"{what} is {m}: {why}.")
            for given, m, why in mistakes
            if given == piece
        ]
        same(
            ask_kindly(encode_piece, piece, toy),
            merge_bytes(piece, toy),
            what,
            own,
        )
    for length in (6, 12, 24, 48):
        text = random_text(length, "abc")
        ranks = train_bpe(text, 280)
        for n in (1, 2, 4, 7, 11):
            piece = random_text(n, "abcd").encode()
            what = f"encode_piece({piece!r}, train_bpe({text!r}, 280))"
            same(
                ask(encode_piece, piece, ranks), merge_bytes(piece, ranks), what
            )
    ranks = ranks_of_gpt2()
    for piece in (
        b"!",
        b" weighbridge",
        b"weighbridgeless",
        " 오소리".encode(),
        b"=" * 100,
    ):
        what = f"encode_piece({piece[:20]!r}, gpt2.ranks)"
        mistakes = [
            (
                list(piece),
                f"{what} is {list(piece[:8])}: the id of a byte is its rank.",
            )
        ]
        same(
            ask(encode_piece, piece, ranks),
            merge_bytes(piece, ranks),
            what,
            mistakes,
        )


@exercise("2.6")
def check_2_6(cut_windows: Callable) -> None:
    """Inputs and targets are those of GPTDataset, for random ids and many sizes."""
    sizes = [(7, 3, 2), (7, 3, 3), (6, 2, 4), (5, 4, 1), (9, 1, 1)]
    sizes += [
        (n, T, s) for n in (12, 31) for T in (1, 4, 5) for s in (1, 3, 4, 7)
    ]
    for n, T, stride in sizes:
        ids = torch.randperm(100)[:n]
        got, what = (
            ask_kindly(cut_windows, ids, T, stride),
            call(cut_windows, ids, T, stride),
        )
        is_pair = isinstance(got, tuple | list) and len(got) == 2
        demand(is_pair, f"{what} must be two tensors, inputs and targets.")
        dataset = GPTDataset(ids, T, stride)
        N = len(dataset)
        inputs, targets = dataset.__getitems__(list(range(N)))
        for part in got:
            demand(
                isinstance(part, Tensor),
                f"{what} must be two tensors, not {describe(part)}.",
            )
            # Another shape is told below.
            has = len(part) if part.shape[1:] == (T,) else N
            off = f"{what} has {has} windows, but {N} is asked for"
            demand(
                has != N + 1,
                f"{off}: after the last one no token is left as its target.",
            )
            off = f"{what} has {has} of {N} windows: one more still has the token after it."
            demand(has != N - 1, off)
        off = f"The inputs of {what}"
        touching, longer = (
            ids[: n // T * T].view(-1, T),
            ids.unfold(0, T + 1, stride),
        )
        mistakes = [
            (touching, f"{off} touch, but a stride of {stride} is asked for."),
            (longer, f"{off} are T + 1 long: the last id is for the target."),
        ]
        same(got[0], inputs, f"The input tensor of {what}", mistakes)
        off = f"The targets of {what}"
        back, two_on = (ids.roll(by).unfold(0, T, stride)[:N] for by in (1, -2))
        after = f"{off} hold only the token after the window: each position has one."
        mistakes = [
            (inputs, f"{off} equal the inputs: shift them by one token."),
            (back, f"{off} are shifted backwards: the target comes after."),
            (two_on, f"{off} are shifted by two tokens: one is asked for."),
            (targets[:, -1], after),
            (targets[:, -1:], after),
            (
                inputs.roll(-1, 1),
                f"{off} end in the first id of the window: take the one after it.",
            ),
        ]
        same(got[1], targets, f"The target tensor of {what}", mistakes)


@exercise("2.7")
def check_2_7(InputEmbedding: Callable) -> None:
    """The output is a one-hot product with one table plus the rows of the other, and both train."""
    sizes = [
        (9, 6, 4, 2, 3),
        (9, 6, 4, 1, 6),
        (30, 5, 8, 4, 1),
        (7, 3, 1, 5, 3),
    ]
    for i, (V, context_length, C, B, T) in enumerate(sizes):
        model = ask(InputEmbedding, V, context_length, C)
        # First, ids may pass for places.
        idx = torch.randint(V if i else context_length, (B, T))
        x, what = (
            ask_kindly(model, idx),
            f"For ids of shape {(B, T)} the output",
        )
        demand(
            isinstance(x, Tensor),
            f"{what} must be a tensor, but it is {describe(x)}.",
        )
        shape, asked = tuple(x.shape), (B, T, C)
        appended = (
            f"{what} has shape {shape}: add the two vectors, do not append."
        )
        demand(shape != (B, T, 2 * C), appended)
        demand(
            shape == asked,
            f"{what} has shape {shape}, but {asked} is asked for.",
        )
        tables = {tuple(p.shape): p for p in model.parameters()}
        for rows, name in [
            (V, "vocab_size"),
            (context_length, "context_length"),
        ]:
            lacks = f"The module has no trainable table of shape ({name}, emb_dim) = {(rows, C)}."
            demand((rows, C) in tables, lacks)
        demand(
            len(list(model.parameters())) == 2,
            "The module has more weights than the two tables: leave them out.",
        )
        tokens = F.one_hot(idx, V).to(tables[V, C].dtype) @ tables[V, C]
        positions = tables[context_length, C]
        scaled = tokens * C**0.5 + positions[:T]
        by_id = tokens + positions[idx.clamp(max=context_length - 1)]
        mistakes = [
            (
                tokens,
                f"{what} holds only the token vectors: the positions are not added.",
            ),
            (
                tokens * positions[:T],
                f"{what} is a product of the two vectors: add them.",
            ),
            (scaled, f"{what} has scaled token vectors: add them as they are."),
            (by_id, f"{what} has positions chosen by the id: take the place."),
        ]
        if i == 0:  # here B and T + 1 are positions too
            by_text, later = (
                tokens + positions[:B, None],
                tokens + positions[1 : T + 1],
            )
            mistakes += [
                (
                    by_text,
                    f"{what} has a position for each text of the batch: number its tokens.",
                ),
                (
                    later,
                    f"{what} has positions from 1 on: the first token has position 0.",
                ),
            ]
        same(x, tokens + positions[:T], what, mistakes)
        demand(
            x.requires_grad,
            "No gradient flows back from the output, so no table could learn.",
        )
        x.sum().backward()
        trained = all(
            p.grad is not None and p.grad.abs().sum() > 0
            for p in tables.values()
        )
        demand(
            trained,
            "The gradient of one of the tables is missing, so it could not learn.",
        )
