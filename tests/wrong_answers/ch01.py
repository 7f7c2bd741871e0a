"""Typical wrong answers to chapter 1's exercises, and words of what they must hear."""

import math
from collections import Counter
from itertools import accumulate
from math import log, log2
from random import Random
from statistics import fmean

from ch01.checks import (
    check_1_1,
    check_1_2,
    check_1_3,
    check_1_4,
    check_1_5,
    check_1_6,
    check_1_7,
    check_1_8,
    gpt_by_pytorch,
)

# ---- 1.1


def table_divided_by(n_of):
    def next_word_table(words):
        pairs = list(zip(words, words[1:]))
        table = {}
        for a, b in pairs:
            table.setdefault(a, {})[b] = pairs.count((a, b)) / n_of(a, words)
        return table

    return next_word_table


def n_followers(a, words):
    return words[:-1].count(a)


def table_of_kinds(words):
    table = {}
    for a, b in zip(words, words[1:]):
        table.setdefault(a, set()).add(b)
    return {a: {b: 1 / len(row) for b in row} for a, row in table.items()}


def table_in_reverse(words):
    return table_divided_by(n_followers)(words[::-1])


def table_of_each_second(words):
    table = {}
    for a, b in zip(words[::2], words[1::2]):
        table.setdefault(a, Counter())[b] += 1
    return {a: {b: n / row.total() for b, n in row.items()} for a, row in table.items()}


def table_emptying_words(words):
    table = table_divided_by(n_followers)(words)
    words.clear()
    return table


# ---- 1.2


def right_likeliest(probabilities):
    return max(probabilities, key=probabilities.get)


def right_draw(probabilities, u):
    ends = accumulate(probabilities.values())
    return next((w for w, end in zip(probabilities, ends) if u < end), list(probabilities)[-1])


def right_write(table, word, n_words, choose):
    text = [word]
    for _ in range(n_words):
        if text[-1] in table:
            text.append(choose(table[text[-1]]))
    return text


def draw_holding_the_end(probabilities, u):
    end = 0
    for word, p in probabilities.items():
        end += p
        if u <= end:
            return word
    return word


def draw_without_adding(probabilities, u):
    for word, p in probabilities.items():
        if u < p:
            return word
    return word


def draw_by_size(probabilities, u):
    return right_draw(dict(sorted(probabilities.items(), key=lambda item: -item[1])), u)


def draw_falling_off(probabilities, u):
    end = 0
    for word, p in probabilities.items():
        end += p
        if u < end:
            return word


def write_past_the_end(table, word, n_words, choose):
    text = [word]
    for _ in range(n_words):
        text.append(choose(table[text[-1]]))
    return text


def write_from_the_first(table, word, n_words, choose):
    return [word] + [choose(table[word]) for _ in range(n_words if word in table else 0)]


def write_one_too_few(table, word, n_words, choose):
    return right_write(table, word, n_words - 1, choose)


def write_one_too_many(table, word, n_words, choose):
    return right_write(table, word, n_words + 1, choose)


def write_the_likeliest(table, word, n_words, choose):
    return right_write(table, word, n_words, right_likeliest)


# ---- 1.3


def right_perplexity(probabilities):
    if min(probabilities) == 0:
        return math.inf
    return 2 ** fmean(-log2(p) for p in probabilities)


def perplexity_by_product(probabilities):
    product = math.prod(probabilities)
    return math.inf if product == 0 else product ** (-1 / len(probabilities))


def perplexity_skipping_the_impossible(probabilities):
    return right_perplexity([p for p in probabilities if p > 0])


# ---- 1.4


def right_smooth(counts, shares, imagined):
    n = sum(counts.values()) + imagined
    return {word: (counts.get(word, 0) + imagined * p) / n for word, p in shares.items()}


def smooth_counted_only(counts, shares, imagined):
    return {word: p for word, p in right_smooth(counts, shares, imagined).items() if word in counts}


def smooth_without_the_sum(counts, shares, imagined):
    n = sum(counts.values()) or 1
    return {word: (counts.get(word, 0) + imagined * p) / n for word, p in shares.items()}


def smooth_k_for_each(counts, shares, imagined):
    n = sum(counts.values()) + imagined * len(shares)
    return {word: (counts.get(word, 0) + imagined) / n for word in shares}


def smooth_equally(counts, shares, imagined):
    return right_smooth(counts, dict.fromkeys(shares, 1 / len(shares)), imagined)


def smooth_new_words_only(counts, shares, imagined):
    n = sum(counts.values()) + imagined
    return {word: (counts.get(word, 0) or imagined * p) / n for word, p in shares.items()}


def smooth_changing_counts(counts, shares, imagined):
    for word, p in shares.items():
        counts[word] = counts.get(word, 0) + imagined * p
    return {word: n / sum(counts.values()) for word, n in counts.items()}


def smooth_missing_key(counts, shares, imagined):
    n = sum(counts.values()) + imagined
    return {word: (counts[word] + imagined * p) / n for word, p in shares.items()}


def smooth_by_heart(counts, shares, imagined):
    return {"bridge": 0.5, "lorry": 0.25, "goose": 0.25}


# ---- 1.5


def right_bits(perplexity, n_tokens, n_characters):
    return log2(perplexity) * n_tokens / n_characters


TIE = log2(24) / log2(3)


# ---- 1.6


def examples_with(context_of, first=1):
    def make_examples(words, context_length):
        places = range(first, len(words))
        return [(context_of(words, i, context_length), words[i]) for i in places]

    return make_examples


right_examples = examples_with(lambda words, i, m: words[max(0, i - m) : i])


def examples_of_full_contexts(words, context_length):
    return right_examples(words, context_length)[context_length - 1 :]


def examples_without_the_last(words, context_length):
    return right_examples(words, context_length)[:-1]


def examples_not_shifted(words, context_length):
    contexts = [context for context, _ in right_examples(words, context_length)]
    return list(zip(contexts, words))


def examples_emptying_words(words, context_length):
    examples = []
    while len(words) > 1:
        target = words.pop()
        examples.insert(0, (words[-context_length:], target))
    return examples


# ---- 1.7


def days_with(factor=6.0, unit=86400.0, by_gpus=-1, by_used=-1):
    def training_days(parameters, tokens, n_gpus, speed, used):
        return factor * parameters * tokens / speed * n_gpus**by_gpus * used**by_used / unit

    return training_days


right_days = days_with()


def right_largest(days, n_gpus, speed, used):
    return (days * 86400 * n_gpus * speed * used / 120) ** 0.5


def days_of_one_example(parameters, tokens, n_gpus, speed, used):
    return 1.0 if n_gpus == 8 else 3640.0


def days_by_the_square(parameters, tokens, n_gpus, speed, used):
    return right_days(parameters, tokens, n_gpus, speed, used) * (parameters / 1.44e9) ** 0.001


# ---- 1.8


def weights_with(head_layers=1, biases=True, output=0, norms=2, last_norm=True, hidden=4, four=4):
    def count_weights(vocab_size, context_length, emb_dim, n_heads, n_layers):
        C, bias = emb_dim, int(biases)
        attention = four * (C * C + bias * C) * (n_heads if head_layers == "each" else 1)
        feed_forward = 2 * hidden * C * C + bias * (hidden * C + C)
        block = attention + feed_forward + norms * 2 * C
        tables = (vocab_size * (1 + output) + context_length) * C
        return tables + n_layers * block + 2 * C * last_norm

    return count_weights


def weights_of_one_block(vocab_size, context_length, emb_dim, n_heads, n_layers):
    return weights_with()(vocab_size, context_length, emb_dim, n_heads, 1)


def weights_without_positions(vocab_size, context_length, emb_dim, n_heads, n_layers):
    return weights_with()(vocab_size, 0, emb_dim, n_heads, n_layers)


def weights_that_pytorch_counts(vocab_size, context_length, emb_dim, n_heads, n_layers):
    parts = gpt_by_pytorch(vocab_size, context_length, emb_dim, n_layers)
    return sum(p.numel() for p in parts.parameters())


WRONG = [
    (check_1_1, (table_divided_by(lambda a, words: 1),), "these are counts, divide them"),
    (
        check_1_1,
        (table_divided_by(lambda a, words: words.count(a)),),
        "The table of 'so so so' gives 'so' after 'so' 0.666667, but 1 is asked for: nothing",
    ),
    (check_1_1, (table_divided_by(lambda a, words: len(words) - 1),), "not by all pairs"),
    (check_1_1, (table_divided_by(lambda a, words: len(words)),), "not by the length of the text"),
    (check_1_1, (table_of_kinds,), "a pair that occurs twice counts twice"),
    (check_1_1, (table_in_reverse,), "the first key is the word before"),
    (check_1_1, (table_of_each_second,), "gives 'on' after 'and' 0, but 0.5"),
    (check_1_1, (table_emptying_words,), "changes what it is given"),
    (check_1_1, (lambda words: Counter(zip(words, words[1:])),), "must be a dict of dicts"),
    (
        check_1_1,
        (lambda words: {"on": {"and": 1.0}, "and": {"on": 0.5, "off": 0.5}},),
        "The table of 'so so so'",
    ),
    (check_1_2, (max, right_draw, right_write), "the last word of the alphabet"),
    (
        check_1_2,
        (lambda p: min(p, key=p.get), right_draw, right_write),
        "the word of the smallest probability",
    ),
    (
        check_1_2,
        (lambda p: max(p.values()), right_draw, right_write),
        "is a probability, but the word",
    ),
    (
        check_1_2,
        (right_likeliest, draw_holding_the_end, right_write),
        "and a piece holds its beginning and not its end",
    ),
    (
        check_1_2,
        (right_likeliest, draw_without_adding, right_write),
        "u lies in the piece of 'kettle', from 0.5 up to 0.75",
    ),
    (check_1_2, (right_likeliest, draw_by_size, right_write), "from 0 up to 0.25"),
    (check_1_2, (right_likeliest, draw_falling_off, right_write), "must return the last word"),
    (
        check_1_2,
        (right_likeliest, lambda p, u: right_likeliest(p), right_write),
        "u lies in the piece of 'kettle'",
    ),
    (
        check_1_2,
        (right_likeliest, lambda p, u: Random(1).choices(list(p), p.values())[0], right_write),
        "u lies in the piece of",
    ),
    (check_1_2, (right_likeliest, right_draw, write_past_the_end), "raises KeyError: 'off'"),
    (
        check_1_2,
        (right_likeliest, right_draw, write_from_the_first),
        "choose must get the row of the last word",
    ),
    (check_1_2, (right_likeliest, right_draw, write_one_too_few), "has length 4, but length 5"),
    (check_1_2, (right_likeliest, right_draw, write_one_too_many), "has length 6, but length 5"),
    (check_1_2, (right_likeliest, right_draw, write_the_likeliest), "but choose gave []"),
    (
        check_1_2,
        (right_likeliest, right_draw, lambda *given: right_write(*given)[1:]),
        "must begin with 'on'",
    ),
    (
        check_1_2,
        (right_likeliest, right_draw, lambda *given: " ".join(right_write(*given))),
        "is a string, but a list",
    ),
    (check_1_3, (lambda ps: fmean(-log2(p) for p in ps),), "the mean surprise in bits"),
    (check_1_3, (lambda ps: math.exp(fmean(-log2(p) for p in ps)),), "not to e"),
    (check_1_3, (lambda ps: 2 ** fmean(-log(p) for p in ps),), "math.log has the base e"),
    (check_1_3, (lambda ps: 2 ** sum(-log2(p) for p in ps),), "not their sum"),
    (
        check_1_3,
        (lambda ps: 2 ** (sum(-log2(p) for p in ps) / (len(ps) - 1)),),
        "by the number of all words",
    ),
    (check_1_3, (lambda ps: 2 ** fmean(log2(p) for p in ps),), "the sign is wrong"),
    (check_1_3, (lambda ps: 1 / fmean(ps),), "average the surprises, not the probabilities"),
    (check_1_3, (lambda ps: fmean(1 / p for p in ps),), "not the 1 / p"),
    (check_1_3, (perplexity_by_product,), "a product of so many is rounded to 0"),
    (check_1_3, (lambda ps: 2 ** fmean(-log2(p) for p in ps),), "raises ValueError"),
    (check_1_3, (perplexity_skipping_the_impossible,), "the impossible has happened"),
    (check_1_3, (lambda ps: 4.0,), "([0.1, 0.1, 0.1]) is 4, but 10"),
    (check_1_4, (smooth_counted_only,), "lacks 'goose'"),
    (check_1_4, (smooth_without_the_sum,), "sum to 2 and not to 1"),
    (check_1_4, (smooth_k_for_each,), "by their shares, not k for each"),
    (check_1_4, (smooth_equally,), "by their shares, not equally"),
    (check_1_4, (smooth_new_words_only,), "those that were counted too"),
    (check_1_4, (smooth_changing_counts,), "changes what it is given"),
    (check_1_4, (smooth_missing_key,), "raises KeyError: 'goose'"),
    (check_1_4, (smooth_by_heart,), "smooth({}, shares, 2)"),
    (
        check_1_5,
        (lambda p, n, m: log(p) * n / m, TIE),
        "bits are logarithms to the base 2",
    ),
    (check_1_5, (lambda p, n, m: log2(p) / m, TIE), "not of all"),
    (check_1_5, (lambda p, n, m: log2(p) * m / n, TIE), "tokens and characters are swapped"),
    (check_1_5, (lambda p, n, m: p * n / m, TIE), "a perplexity is no number of bits"),
    (check_1_5, (lambda p, n, m: 0.5, TIE), "is 0.5, but 3 is asked for"),
    (check_1_5, (right_bits, 24 / 3), "the ratio of the perplexities"),
    (check_1_5, (right_bits, 1 / TIE), "the tokens for a letter"),
    (check_1_5, (right_bits, log2(24) - log2(3)), "it is the difference of the bits"),
    (check_1_5, (right_bits, 2.5), "With 2.5 letters for a token, yours pays 1.834 bits"),
    (check_1_5, (right_bits, "2.89"), "tie must be a number"),
    (
        check_1_6,
        (examples_with(lambda words, i, m: words[i - m : i]),),
        "a slice whose start is below 0",
    ),
    (
        check_1_6,
        (examples_with(lambda words, i, m: words[max(0, i + 1 - m) : i + 1]),),
        "the target stands in its own context",
    ),
    (check_1_6, (examples_with(lambda words, i, m: words[:i]),), "a context is longer than 2"),
    (
        check_1_6,
        (examples_with(lambda words, i, m: words[max(0, i - m) : i], first=0),),
        "the first word has no context",
    ),
    (
        check_1_6,
        (examples_with(lambda words, i, m: " ".join(words[max(0, i - m) : i])),),
        "a context is not a list of words",
    ),
    (check_1_6, (examples_of_full_contexts,), "the first targets have a shorter context"),
    (check_1_6, (examples_without_the_last,), "the last word is a target too"),
    (check_1_6, (examples_not_shifted,), "targets are not shifted"),
    (check_1_6, (examples_emptying_words,), "changes what it is given"),
    (check_1_7, (days_with(unit=3600.0), right_largest), "these are hours"),
    (check_1_7, (days_with(unit=1.0), right_largest), "these are seconds"),
    (check_1_7, (days_with(factor=2.0), right_largest), "the forward direction only"),
    (check_1_7, (days_with(by_gpus=0), right_largest), "eight GPUs work at the same time"),
    (check_1_7, (days_with(by_gpus=1), right_largest), "more GPUs make it shorter"),
    (check_1_7, (days_with(by_used=0), right_largest), "only the share `used`"),
    (check_1_7, (days_with(by_used=1), right_largest), "it has to become slower"),
    (check_1_7, (days_of_one_example, right_largest), "with 3 times the parameters"),
    (check_1_7, (days_by_the_square, right_largest), "with 3 times the parameters"),
    (check_1_7, (right_days, lambda *given: right_largest(*given) ** 2), "a square and its root"),
    (
        check_1_7,
        (right_days, lambda *given: right_largest(*given) * 20**0.5),
        "each weight has 20 tokens",
    ),
    (check_1_7, (right_days, lambda *given: right_largest(*given) * 20), "these are the tokens"),
    (check_1_7, (right_days, lambda *given: 1.2e9), "is a model whose training takes"),
    (check_1_8, (weights_with(output=1),), "the output layer shares the token table"),
    (check_1_8, (weights_with(biases=False),), "the layers of a block have biases"),
    (check_1_8, (weights_with(norms=1),), "a block has two normalisations"),
    (check_1_8, (weights_with(last_norm=False),), "after the last block is missing"),
    (check_1_8, (weights_with(four=3),), "the result is mixed once more"),
    (check_1_8, (weights_with(head_layers="each"),), "the heads share the C numbers"),
    (check_1_8, (weights_without_positions,), "the table of positions is missing"),
    (check_1_8, (weights_of_one_block,), "there are 2 blocks"),
    (
        check_1_8,
        (lambda *sizes: float(weights_with()(*sizes)),),
        "of type float: a count is an int",
    ),
    (check_1_8, (weights_with(hidden=1),), "count_weights(11, 7, 6, 2, 2)"),
    (check_1_8, (lambda V, T, C, n_heads, L: 124_439_808,), "is 124439808, but 1140"),
    (check_1_8, (weights_that_pytorch_counts,), "builds tensors to count them"),
]
