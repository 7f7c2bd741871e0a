"""The checks of chapter 1's exercises: counting, drawing, perplexity, sizes and costs."""

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random
from statistics import fmean, geometric_mean
from typing import Any

import torch
from torch import nn

from ch01.bigram import Bigram, perplexity
from exercises.checking import (
    NotDone,
    Wrong,
    ask,
    ask_formula,
    ask_kindly,
    call,
    demand,
    describe,
    exercise,
    is_number,
    same,
)

WORDS = ["the", "goose", "weighed", "nothing", "."]


def close(a: Any, b: Any) -> bool:
    """Whether two numbers, or two dicts of dicts of numbers, are equal up to rounding."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(close(a[key], b[key]) for key in a)
    return (
        is_number(a)
        and is_number(b)
        and math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-7)
    )


def counted(words: Sequence[str]) -> dict[str, dict[str, float]]:
    """The chapter's bigram model as a table, with next to nothing imagined."""
    ids = {word: i for i, word in enumerate(dict.fromkeys(words))}
    table = {word: {} for word in words[:-1]}
    for a, b in zip(words, words[1:]):
        bigram = Bigram([ids[word] for word in words], len(ids), imagined=1e-9)
        table[a][b] = bigram.probability(ids[a], ids[b])
    return table


def times(table: dict[str, dict[str, float]], factor: dict[str, float]) -> dict:
    """A table whose rows are multiplied, each by its own factor."""
    return {
        a: {b: p * factor[a] for b, p in row.items()}
        for a, row in table.items()
    }


@exercise("1.1")
def check_1_1(next_word_table: Callable) -> None:
    """The table is that of the chapter's bigram model, for texts of every length."""
    rng = Random(0)
    texts = ["on and on and off", "so so so", "and on and off and on", "hm"]
    texts += [" ".join(rng.choices(WORDS, k=n)) for n in (2, 5, 8, 40)]
    for text in texts:
        words = text.split()
        got = ask_kindly(next_word_table, words)
        shown = (
            repr(text) if len(words) <= 8 else f"a text of {len(words)} words"
        )
        what = f"The table of {shown}"
        is_table = isinstance(got, dict) and all(
            isinstance(row, dict) for row in got.values()
        )
        demand(
            is_table,
            f"{what} must be a dict of dicts, but it is {describe(got)}.",
        )
        got = {
            a: {b: p for b, p in row.items() if p != 0}
            for a, row in got.items()
        }
        got = {a: row for a, row in got.items() if row}
        wanted, n_after = counted(words), Counter(words[:-1])
        n_pairs = n_after.total()
        mistakes = [
            (times(wanted, n_after), "these are counts, divide them"),
            (
                times(
                    wanted, {a: n / words.count(a) for a, n in n_after.items()}
                ),
                f"nothing comes after the last word, {words[-1]!r}, so divide not by how often "
                "a word occurs but by how often a word follows it",
            ),
            (
                times(wanted, {a: n / n_pairs for a, n in n_after.items()}),
                "divide by the pairs that begin with the same word, not by all pairs",
            ),
            (
                times(wanted, {a: n / len(words) for a, n in n_after.items()}),
                "divide by the words after the same word, not by the length of the text",
            ),
            (
                {
                    a: dict.fromkeys(row, 1 / len(row))
                    for a, row in wanted.items()
                },
                "a pair that occurs twice counts twice",
            ),
            (
                counted(words[::-1]),
                "the first key is the word before, the second the word after it",
            ),
        ]
        reason = next(
            (f": {why}" for value, why in mistakes if close(got, value)), ""
        )
        for a in wanted | got:
            has, asked = got.get(a, {}), wanted.get(a, {})
            for b in asked | has:
                p, q = has.get(b, 0), asked.get(b, 0)
                off = f"{what} gives {b!r} after {a!r} {describe(p)}, but {describe(q)}"
                demand(close(p, q), f"{off} is asked for{reason}.")


def drawn(probabilities: dict[str, float], u: float) -> str:
    """What Python's own choices draws if its random number is u."""
    rng = Random()
    rng.random = lambda: u
    return rng.choices(list(probabilities), list(probabilities.values()))[0]


def random_row(rng: Random, n: int) -> dict[str, float]:
    """n of the words with different probabilities: numbers of 64ths, so that sums are exact."""
    while True:
        cuts = sorted(rng.sample(range(1, 64), n - 1))
        parts = [b - a for a, b in zip([0, *cuts], [*cuts, 64])]
        if len(set(parts)) == n:
            return {
                word: part / 64
                for word, part in zip(rng.sample(WORDS, n), parts)
            }


@exercise("1.2")
def check_1_2(likeliest: Callable, draw: Callable, write: Callable) -> None:
    """The likeliest word; the word that Python's choices draws; a text that follows its table."""
    rng = Random(0)
    rows = [{"bridge": 0.25, "lorry": 0.125, "goose": 0.5625, "kettle": 0.0625}]
    rows += [random_row(rng, n) for n in (1, 2, 3, 4, 5)]
    for row in rows:
        wanted = sorted(row, key=row.get)[-1]
        what = f"likeliest({row})"
        mistakes = [
            (
                row[wanted],
                f"{what} is a probability, but the word is asked for.",
            ),
            (
                sorted(row, key=row.get)[0],
                f"{what} is the word of the smallest probability.",
            ),
            (
                max(row),
                f"{what} is the last word of the alphabet: compare the probabilities.",
            ),
        ]
        same(ask_kindly(likeliest, row), wanted, what, mistakes)

    thirds = {"goose": 0.5, "kettle": 0.25, "lorry": 0.25}
    trials = [(thirds, u) for u in (0.0, 0.3, 0.6, 0.9, 0.5, 0.75)]
    trials += [
        ({"never": 0.0, "goose": 1.0}, 0.0),
        ({"goose": 0.25, "kettle": 0.75}, 0.1),
    ]
    trials += [(row, k / 64) for row in rows for k in range(64)]
    for row, u in trials:
        wanted, got = drawn(row, u), ask_kindly(draw, row, u)
        end = dict(zip(row, accumulate(row.values())))[wanted]
        start = end - row[wanted]
        where = (
            f"u lies in the piece of {wanted!r}, from {start:g} up to {end:g}"
        )
        if u == start:
            where = f"{where}, and a piece holds its beginning and not its end"
        demand(
            got == wanted,
            f"draw({row}, {u:g}) is {describe(got)}, but {where}.",
        )
    tenths = {word: 0.1 for word in "abcdefghij"}
    almost_1 = math.nextafter(1, 0)
    try:
        got = ask(draw, tenths, almost_1)
    except (NotDone, Wrong):
        got = None
    off = f"With ten words of 0.1 each and u = {almost_1}, draw must return the last word"
    demand(got == "j", f"{off}: rounded sums may end a little below 1.")

    loop = {"on": {"and": 1.0}, "and": {"on": 0.75, "off": 0.25}}
    tables = [(loop, "on", n, 0) for n in (4, 0, 1)]
    tables += [(loop, "on", 4, 1), (loop, "off", 2, 0)]
    for n in (2, 3, 5):
        table = {word: random_row(rng, n) for word in WORDS[: n + 1]}
        tables += [(table, word, 12, i) for i, word in enumerate(WORDS)]
    for table, word, n_words, which in tables:
        given, returned = [], []

        def choose(
            row: dict,
            given: list = given,
            returned: list = returned,
            i: int = which,
        ):
            given.append(dict(row))
            returned.append(list(row)[i % len(row)])
            return returned[-1]

        got = ask_kindly(write, table, word, n_words, choose)
        what = f"write(table, {word!r}, {n_words}, choose)"
        if table is loop:
            what += f" with {table}, where choose takes the {['first', 'second'][which]} word,"
        demand(
            not isinstance(got, str),
            f"{what} is a string, but a list is asked for.",
        )
        is_text = isinstance(got, list) and all(isinstance(x, str) for x in got)
        demand(
            is_text,
            f"{what} must be a list of words, but it is {describe(got)}.",
        )
        demand(
            got[:1] == [word],
            f"{what} must begin with {word!r}, but it is {describe(got)}.",
        )
        demand(
            given
            == [
                table.get(before, {})
                for before in [word, *returned][: len(given)]
            ],
            f"In {what} choose must get the row of the last word of the text.",
        )
        told = (
            f"{what} is {describe(got)}, but choose gave {describe(returned)}"
        )
        demand(
            got[1:] == returned,
            f"{told}: take the words that it gives, in their order.",
        )
        off = f"{what} has length {len(got)}, but length {n_words + 1} is asked for"
        ends = len(returned) == n_words or (
            len(returned) < n_words and got[-1] not in table
        )
        demand(ends, f"{off}: the first word and {n_words} new ones.")


@exercise("1.3")
def check_1_3(perplexity: Callable) -> None:
    """The perplexity is 1 over Python's own geometric mean of the probabilities."""
    rng = Random(0)
    examples = [
        [1 / 2, 1 / 2, 1 / 16],
        [1 / 2, 1 / 8],
        [0.1] * 3,
        [1.0],
        [0.2],
        [0.9, 0.1, 0.1],
    ]
    examples += [[1 - rng.random() for _ in range(n)] for n in (2, 5, 30)]
    for probabilities in examples:
        bits, nats = (
            [-log(p) for p in probabilities] for log in (math.log2, math.log)
        )
        wanted = 1 / geometric_mean(probabilities)
        what = call(perplexity, probabilities)
        off = f"{what} should be {wanted:.4g}:"
        mistakes = [
            (
                fmean(bits),
                f"{off} you give the mean surprise in bits, but the faces are asked for.",
            ),
            (
                fmean(nats),
                f"{off} you give the mean surprise, but the faces are asked for.",
            ),
            (
                math.exp(fmean(bits)),
                f"{off} bits belong to the base 2, not to e.",
            ),
            (
                2 ** fmean(nats),
                f"{off} math.log has the base e, and 2 ** does not undo it.",
            ),
            (
                2 ** sum(bits),
                f"{off} take the mean of the bits, not their sum.",
            ),
            (
                2 ** (sum(bits) / max(len(bits) - 1, 0.5)),
                f"{off} divide the bits by the number of all words.",
            ),
            (
                2 ** -fmean(bits),
                f"{off} the sign is wrong, a surprise is -log2(p).",
            ),
            (
                1 / fmean(probabilities),
                f"{off} average the surprises, not the probabilities.",
            ),
            (
                fmean(1 / p for p in probabilities),
                f"{off} average the surprises, not the 1 / p.",
            ),
        ]
        same(ask_kindly(perplexity, probabilities), wanted, what, mistakes)

    told = "perplexity([1 / 1024] * 2000) should be 1024:"
    try:
        got = ask(perplexity, [1 / 1024] * 2000)
    except Wrong:
        got = math.inf
    demand(
        close(got, 1024),
        f"{told} a product of so many is rounded to 0, so add logarithms.",
    )
    told = "perplexity([0.5, 0.0]) must be math.inf"
    try:
        got = ask(perplexity, [0.5, 0.0])
    except Wrong as wrong:
        if raised := str(wrong).partition(") raises ")[2]:
            raise Wrong(f"{told}, but it raises {raised}") from None
        raise Wrong(
            f"{told}, but it returns nothing: what it finds is to be given back with return."
        ) from None
    demand(
        got == math.inf,
        f"{told}, but it is {describe(got)}: the impossible has happened.",
    )


@exercise("1.4")
def check_1_4(smooth: Callable) -> None:
    """The probabilities are those of the chapter's Bigram, for random texts and strengths."""
    shares = {"bridge": 0.25, "lorry": 0.25, "goose": 0.5}
    wanted = {"bridge": 0.5, "lorry": 0.25, "goose": 0.25}
    examples = [
        ({"bridge": 3, "lorry": 1}, shares, 4.0, wanted),
        ({}, shares, 2.0, shares),
    ]
    rng = Random(0)
    for V, n, imagined in [(4, 9, 1.0), (5, 30, 0.5), (3, 200, 50.0)]:
        ids = rng.choices(range(V), k=n)
        bigram, names = Bigram(ids, V, imagined), WORDS[:V]
        shares = {names[i]: (ids.count(i) + 1) / (n + V) for i in range(V)}
        for a in range(V):
            counts = {
                names[b]: bigram.pairs[a, b]
                for b in range(V)
                if bigram.pairs[a, b]
            }
            wanted = {names[b]: bigram.probability(a, b) for b in range(V)}
            examples.append((counts, shares, imagined, wanted))
    for counts, shares, imagined, wanted in examples:
        got = ask_kindly(smooth, counts, shares, imagined)
        is_first = examples[0][0] is counts
        if is_first or not counts:
            what = f"smooth({counts}, shares, {imagined:g})"
        else:
            what = f"smooth with {sum(counts.values())} counts and {imagined:g} imagined"
        demand(
            isinstance(got, dict),
            f"{what} must be a dict, but it is {describe(got)}.",
        )
        for word in shares:
            demand(
                word in got,
                f"{what} lacks {word!r}: each word of shares gets a probability.",
            )
        n, k, V = sum(counts.values()), imagined, len(shares)
        seen = {word: counts.get(word, 0) for word in shares}
        mistakes = [
            (
                {w: (c + k) / (n + k * V) for w, c in seen.items()},
                "by their shares, not k for each",
            ),
            (
                {w: (c + k / V) / (n + k) for w, c in seen.items()},
                "by their shares, not equally",
            ),
            (
                {w: (c or k * shares[w]) / (n + k) for w, c in seen.items()},
                "over all words, those that were counted too",
            ),
        ]
        for value, how in mistakes:
            told = f"In {what} the {k:g} imagined words are to be shared out"
            demand(
                close(got, wanted) or not close(got, value), f"{told} {how}."
            )
        demand(
            all(map(is_number, got.values())),
            f"The values of {what} must be numbers.",
        )
        total = sum(got.values())
        told = f"The probabilities of {what} sum to {total:.3g}"
        demand(
            abs(total - 1) < 1e-4,
            f"{told} and not to 1: the imagined words count below too.",
        )
        for word, p in wanted.items():
            same(got[word], p, f"{what} gives {word!r} a probability that")
        demand(
            got.keys() == shares.keys(),
            f"{what} holds words that are not in shares.",
        )


@exercise("1.5")
def check_1_5(bits_per_character: Callable, tie: float) -> None:
    """All bits of a text, divided by its characters; the tie gives two models equal bits."""
    rng = Random(0)
    texts = [([2.0] * 6, 24), ([3.0] * 10, 10), ([0.0] * 5, 9)]
    texts += [
        ([10 * rng.random() for _ in range(n)], n * 3 + 1) for n in (1, 7, 50)
    ]
    for bits, n_characters in texts:
        n, p = len(bits), perplexity(bits)
        what = f"bits_per_character({p:.6g}, {n}, {n_characters})"
        wanted = sum(bits) / n_characters
        off = f"{what} should be {wanted:.4g}:"
        mistakes = [
            (
                math.log(p) * n / n_characters,
                f"{off} bits are logarithms to the base 2.",
            ),
            (
                math.log2(p) / n_characters,
                f"{off} log2 gives the bits of one token, not of all.",
            ),
            (
                math.log2(p) * n_characters / n,
                f"{off} tokens and characters are swapped.",
            ),
            (math.log2(p), f"{off} you give the bits of a token."),
            (sum(bits), f"{off} you give the bits of the whole text."),
            (
                p * n / n_characters,
                f"{off} a perplexity is no number of bits, take its log2.",
            ),
        ]
        same(
            ask(bits_per_character, p, n, n_characters), wanted, what, mistakes
        )
    demand(is_number(tie), f"tie must be a number, but it is {describe(tie)}.")
    demand(tie > 0, f"tie is {tie:.4g}, but a token has more than 0 letters.")
    off = f"tie = {tie:.4g} is not right:"
    mistakes = [
        (
            24 / 3,
            f"{off} it is the ratio of the perplexities, but bits are to be compared.",
        ),
        (
            math.log2(3) / math.log2(24),
            f"{off} these are the tokens for a letter.",
        ),
        (
            math.log2(24) - math.log2(3),
            f"{off} it is the difference of the bits, but a ratio is needed.",
        ),
        (
            math.log2(24),
            f"{off} these are the bits of your token, and a letter costs log2(3).",
        ),
    ]
    for value, sentence in mistakes:
        demand(abs(tie - value) > 0.003 * value, sentence)
    ours, hers = math.log2(24) / tie, math.log2(3)
    told = f"With {tie:.4g} letters for a token, yours pays {ours:.3f} bits for a letter"
    demand(abs(ours - hers) < 0.003 * hers, f"{told} and hers {hers:.3f}.")


@exercise("1.6")
def check_1_6(make_examples: Callable) -> None:
    """The contexts are those of a queue that holds the last words and no more."""
    rng = Random(0)
    texts = [("the goose was heavy".split(), n) for n in (2, 1, 3, 9)]
    texts += [(["hm"], 2), (["so"] * 4, 2)]
    texts += [
        (rng.choices(WORDS, k=n), m) for n in (2, 6, 30) for m in (1, 4, 5)
    ]
    for words, m in texts:
        wanted, recent = [], deque(maxlen=m)
        for word in words:
            if recent:
                wanted.append((list(recent), word))
            recent.append(word)
        got = ask_kindly(make_examples, words, m)
        shown = (
            repr(" ".join(words)) if len(words) <= 6 else f"{len(words)} words"
        )
        what = f"make_examples of {shown}, with a context of {m},"
        is_list = isinstance(got, list)
        is_list = is_list and all(
            isinstance(p, tuple | list) and len(p) == 2 for p in got
        )
        demand(is_list, f"{what} must be a list of pairs (context, target).")
        listed = all(isinstance(context, tuple | list) for context, _ in got)
        demand(listed, f"In {what} a context is not a list of words.")
        got = [(list(context), target) for context, target in got]
        places = range(1, len(words))
        mistakes = [
            (
                [(words[i - m : i], words[i]) for i in places],
                "a slice whose start is below 0 counts from the end of the list, so that the first "
                "contexts come out empty",
            ),
            (
                [(words[max(0, i + 1 - m) : i + 1], words[i]) for i in places],
                "the target stands in its own context, where the model would read it",
            ),
            (
                [(words[:i], words[i]) for i in places],
                f"a context is longer than {m}",
            ),
            (
                wanted[m - 1 :],
                "the first targets have a shorter context, and they count too",
            ),
            (
                [([], words[0]), *wanted],
                "the first word has no context and is no target",
            ),
            (wanted[:-1], "the last word is a target too"),
            (
                [(context[::-1], target) for context, target in wanted],
                "contexts are in reverse order",
            ),
            (
                [(words[max(0, i - m) : i], words[i - 1]) for i in places],
                "targets are not shifted",
            ),
        ]
        for value, why in mistakes:
            demand(
                got == wanted or got != value, f"{what} is not right: {why}."
            )
        has, asked = len(got), len(wanted)
        told = f"{what} has {has} examples, but {asked} are asked for"
        demand(has == asked, f"{told}: one for each word but the first.")
        for i, (a, b) in enumerate(zip(got, wanted)):
            same(a, b, f"{what} has an item {i} that")


@exercise("1.7")
def check_1_7(training_days: Callable, largest_model: Callable) -> None:
    """GPT-3 takes what its paper says, three times as much follows; the largest model fits."""
    speed = 1e15
    what = "training_days(1.44e9, 40e9, 8, 1e15, 0.5)"
    off = f"{what} should be 1 day:"
    mistakes = [
        (24.0, f"{off} these are hours."),
        (86400.0, f"{off} these are seconds."),
        (
            1 / 3,
            f"{off} 2 operations are the forward direction only, training takes 6.",
        ),
        (1 / 6, f"{off} a token takes 6 operations for each weight, not one."),
        (8.0, f"{off} eight GPUs work at the same time."),
        (64.0, f"{off} more GPUs make it shorter, not longer."),
        (0.5, f"{off} the GPUs reach only the share `used` of their speed."),
        (
            0.25,
            f"{off} dividing the speed by `used` makes it faster, it has to become slower.",
        ),
        (3.456e20, f"{off} these are the operations."),
    ]
    same(ask(training_days, 1.44e9, 40e9, 8, speed, 0.5), 1.0, what, mistakes)
    # Brown et al. 2020, table D.1: 3,640 petaflop/s-days for 174.6 billion weights.
    got = ask(training_days, 174.6e9, 300e9, 1, speed, 1.0)
    same(
        got,
        3640.0,
        "training_days(174.6e9, 300e9, 1, 1e15, 1.0), which is GPT-3,",
        [],
        0.01,
    )
    rng = Random(0)
    for _ in range(5):
        base = [
            1e9 * rng.random(),
            1e10 * rng.random(),
            rng.randint(1, 9),
            1e14,
            rng.random(),
        ]
        one = ask(training_days, *base)
        for place, name in enumerate(
            ["parameters", "tokens", "n_gpus", "speed", "used"]
        ):
            more = [3 * x if i == place else x for i, x in enumerate(base)]
            wanted = 3 * one if place < 2 else one / 3
            same(
                ask(training_days, *more),
                wanted,
                f"training_days with 3 times the {name}",
            )

    what = "largest_model(1, 4, 1e15, 0.5)"
    off = f"{what} should be 1.2e9:"
    mistakes = [
        (
            1.44e18,
            f"{off} the tokens grow with the weights, so there is a square and its root.",
        ),
        ((1.728e20 / 6) ** 0.5, f"{off} each weight has 20 tokens, not one."),
        (
            1.728e20**0.5 / 120,
            f"{off} divide by 6 and 20 before you take the root.",
        ),
        (24e9, f"{off} these are the tokens."),
        (1.2e9 / 86400**0.5, f"{off} a day has 86,400 seconds."),
        (
            1.2e9 * 2**0.5,
            f"{off} the GPUs reach only the share `used` of their speed.",
        ),
    ]
    same(ask(largest_model, 1, 4, speed, 0.5), 1.2e9, what, mistakes)
    for _ in range(5):
        days, n, used = (
            100 * rng.random(),
            rng.randint(1, 99),
            0.1 + rng.random() / 2,
        )
        what = f"largest_model({days:.1f}, {n}, 1e15, {used:.2f})"
        got = ask(largest_model, days, n, speed, used)
        demand(
            is_number(got), f"{what} must be a number, but is {describe(got)}."
        )
        takes = ask(training_days, got, 20 * got, n, speed, used)
        same(
            takes,
            days,
            f"{what} is a model whose training takes a number of days that",
        )


def gpt_by_pytorch(V: int, T: int, C: int, n_layers: int) -> nn.Module:
    """The parts of a GPT from PyTorch's own layers, without memory for their weights."""
    with torch.device("meta"):
        blocks = [
            nn.TransformerEncoderLayer(C, 1, dim_feedforward=4 * C)
            for _ in range(n_layers)
        ]
        return nn.ModuleList(
            [nn.Embedding(V, C), nn.Embedding(T, C), *blocks, nn.LayerNorm(C)]
        )


@exercise("1.8")
def check_1_8(count_weights: Callable) -> None:
    """The count is that of PyTorch's layers, and for the four GPT-2 what their files hold."""
    sizes = [
        (11, 7, 6, 2, 2),
        (11, 7, 6, 2, 1),
        (7, 9, 6, 3, 4),
        (100, 3, 8, 1, 5),
    ]
    published = {  # what the files that OpenAI released hold
        (50257, 1024, 768, 12, 12): 124_439_808,
        (50257, 1024, 1024, 16, 24): 354_823_168,
        (50257, 1024, 1280, 20, 36): 774_030_080,
        (50257, 1024, 1600, 25, 48): 1_557_611_200,
    }
    for V, T, C, n_heads, L in [*sizes, *published]:
        what = f"count_weights({V}, {T}, {C}, {n_heads}, {L})"
        wanted = sum(p.numel() for p in gpt_by_pytorch(V, T, C, L).parameters())
        assert published.get((V, T, C, n_heads, L), wanted) == wanted
        got = ask_formula(count_weights, V, T, C, n_heads, L)
        shown = f"{got} of type {type(got).__name__}"
        demand(type(got) is int, f"{what} is {shown}: a count is an int.")
        off = f"{what} is {got:,}, but {wanted:,} is asked for:"
        mistakes = [
            (
                wanted + V * C,
                "the output layer shares the token table and has no weights itself",
            ),
            (wanted - L * 9 * C, "the layers of a block have biases"),
            (wanted - T * C, "the table of positions is missing"),
            (wanted - V * C, "the table of tokens is missing"),
            (
                wanted - 2 * C,
                "the normalisation after the last block is missing",
            ),
            (
                wanted - (2 * L + 1) * C,
                "a normalisation has a shift besides its scale",
            ),
            (wanted - (2 * L + 1) * 2 * C, "the normalisations are missing"),
            (wanted - L * 2 * C, "a block has two normalisations"),
            (
                wanted - L * (C * C + C),
                "attention has four layers: the result is mixed once more",
            ),
            (
                wanted + L * 4 * (C * C + C) * (n_heads - 1),
                "the heads share the C numbers",
            ),
            (
                wanted - L * 3 * C,
                "the middle layer has 4 C numbers, and so many biases",
            ),
            (wanted - L * 4 * (C * C + C), "attention is missing"),
            (wanted - L * (8 * C * C + 5 * C), "feed-forward is missing"),
            (
                wanted - L * (4 * C * C + C),
                "feed-forward goes from C to 4 C and back: two layers",
            ),
        ]
        block = 12 * C * C + 13 * C
        if L > 1:
            mistakes.append((wanted - (L - 1) * block, f"there are {L} blocks"))
        same(
            got,
            wanted,
            what,
            [(value, f"{off} {why}.") for value, why in mistakes],
        )
