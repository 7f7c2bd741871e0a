"""What people answer to the exercises of chapter 2 when they are not right yet."""

from collections import Counter
from functools import cache

import torch
from torch import nn

from ch02.checks import check_2_1, check_2_2, check_2_3, check_2_4, check_2_5, check_2_6, check_2_7
from ch02.dataloader import GPTDataset
from ch02.tokenizer import BPETokenizer, gpt2_ranks


@cache
def gpt2() -> BPETokenizer:
    return BPETokenizer(gpt2_ranks())


def token_of(i: int) -> bytes:
    return next(token for token, rank in gpt2().ranks.items() if rank == i)


# ---- 2.1


def right_pieces(text):
    return [(i, token_of(i)) for i in gpt2().encode_ordinary(text)]


def pieces_as_text(text):
    return [(i, gpt2().decode([i])) for i in gpt2().encode_ordinary(text)]


def pieces_through_text(text):
    return [(i, gpt2().decode([i]).encode()) for i in gpt2().encode_ordinary(text)]


def pieces_so_far(text):
    ids = gpt2().encode_ordinary(text)
    return [(i, gpt2().decode(ids[: n + 1]).encode()) for n, i in enumerate(ids)]


def pieces_stripped(text):
    return [(i, token_of(i).strip()) for i in gpt2().encode_ordinary(text)]


def pieces_with_special(text):
    return [(i, token_of(i)) for i in gpt2().encode(text)]


def pieces_by_heart(text):
    return [(10164, b" weigh"), (9458, b"bridge")]


# ---- 2.2


def right_count(n_ids, context_length, stride):
    return max(0, (n_ids - context_length - 1) // stride + 1)


def count_without_the_token_after(n_ids, context_length, stride):
    return max(0, (n_ids - context_length) // stride + 1)


def count_without_the_first(n_ids, context_length, stride):
    return max(0, (n_ids - context_length - 1) // stride)


def count_below_zero(n_ids, context_length, stride):
    return (n_ids - context_length - 1) // stride + 1


def count_touching(n_ids, context_length, stride):
    return (n_ids - 1) // context_length


def count_in_decimals(n_ids, context_length, stride):
    return (n_ids - context_length - 1) / stride + 1


def count_by_making(n_ids, context_length, stride):
    starts = [s for s in range(0, n_ids, stride) if s + context_length < n_ids]
    return len(starts)


def count_by_walking(n_ids, context_length, stride):
    n, start = 0, 0
    while start + context_length < n_ids:
        n, start = n + 1, start + stride
    return n


def count_by_unfolding(n_ids, context_length, stride):
    if n_ids <= context_length:
        return 0
    return len(torch.arange(n_ids).unfold(0, context_length + 1, stride))


def count_by_dataset(n_ids, context_length, stride):
    if n_ids <= context_length:
        return 0
    return len(GPTDataset(range(n_ids), context_length, stride))


RIGHT_SETTINGS = {"once": (8, 8), "four times": (8, 2), "half left out": (8, 16)}


# ---- 2.3


def right_counts(words, frequencies):
    counts = Counter()
    for ids, frequency in zip(words, frequencies):
        for pair in zip(ids, ids[1:]):
            counts[pair] += frequency
    return counts


def right_best(counts):
    return min(counts, key=lambda pair: (-counts[pair], pair))


def counts_without_frequency(words, frequencies):
    return dict(Counter(pair for ids in words for pair in zip(ids, ids[1:])))


def counts_once_a_word(words, frequencies):
    counts = Counter()
    for ids, frequency in zip(words, frequencies):
        for pair in set(zip(ids, ids[1:])):
            counts[pair] += frequency
    return counts


def counts_side_by_side(words, frequencies):
    counts = Counter()
    for ids, frequency in zip(words, frequencies):
        for pair in zip(ids[::2], ids[1::2]):
            counts[pair] += frequency
    return counts


def counts_across_words(words, frequencies):
    row = [i for ids, frequency in zip(words, frequencies) for i in ids * frequency]
    return right_counts([row], [1])


def counts_emptying_words(words, frequencies):
    counts = Counter()
    for ids, frequency in zip(words, frequencies):
        while len(ids) > 1:
            counts[ids[0], ids[1]] += frequency
            ids.pop(0)
    return counts


def best_of_first_met(counts):
    return max(counts, key=counts.get)


def best_of_larger_ids(counts):
    return max(counts, key=lambda pair: (counts[pair], pair))


def best_of_smallest_ids(counts):
    return min(counts)


def best_with_count(counts):
    return Counter(counts).most_common(1)[0]


# ---- 2.4


def merge_the_first_only(ids, pair, new_id):
    for i, both in enumerate(zip(ids, ids[1:])):
        if both == pair:
            return ids[:i] + [new_id] + ids[i + 2 :]
    return list(ids)


def merge_losing_the_last(ids, pair, new_id):
    merged, i = [], 0
    while i < len(ids) - 1:
        found = (ids[i], ids[i + 1]) == pair
        merged.append(new_id if found else ids[i])
        i += 1 + found
    return merged


def merge_overlapping(ids, pair, new_id):
    merged, skip = [], False
    for i, current in enumerate(ids):
        if tuple(ids[i : i + 2]) == pair:
            merged.append(new_id)
            skip = True
        elif skip:
            skip = False
        else:
            merged.append(current)
    return merged


def merge_keeping_the_second(ids, pair, new_id):
    return [new_id if tuple(ids[i : i + 2]) == pair else ids[i] for i in range(len(ids))]


def merge_in_place(ids, pair, new_id):
    i = 0
    while i < len(ids) - 1:
        if (ids[i], ids[i + 1]) == pair:
            ids[i : i + 2] = [new_id]
        i += 1
    return ids


def merge_past_the_end(ids, pair, new_id):
    merged, i = [], 0
    while i < len(ids):
        found = (ids[i], ids[i + 1]) == pair
        merged.append(new_id if found else ids[i])
        i += 1 + found
    return merged


def merge_from_the_right(ids, pair, new_id):
    return merge_the_left_first(ids[::-1], pair[::-1], new_id)[::-1]


def merge_the_left_first(ids, pair, new_id):
    merged, i = [], 0
    while i < len(ids):
        found = tuple(ids[i : i + 2]) == pair
        merged.append(new_id if found else ids[i])
        i += 1 + found
    return merged


def merge_as_text(ids, pair, new_id):
    text = " ".join(map(str, ids)).replace(f"{pair[0]} {pair[1]}", str(new_id))
    return [int(word) for word in text.split()]


def merge_as_digits(ids, pair, new_id):
    text = ",".join(map(str, ids)) + ","
    merged = text.replace(f"{pair[0]},{pair[1]},", f"{new_id},")
    return [int(word) for word in merged.split(",") if word]


# ---- 2.5


def encode_longest_first(piece, ranks):
    ids = []
    while piece:
        n = next(n for n in range(len(piece), 0, -1) if piece[:n] in ranks)
        ids.append(ranks[piece[:n]])
        piece = piece[n:]
    return ids


def encode_by(choose, again=True):
    def encode_piece(piece, ranks):
        parts = [piece[i : i + 1] for i in range(len(piece))]
        while True:
            unions = [a + b for a, b in zip(parts, parts[1:])]
            known = [(ranks[u], i) for i, u in enumerate(unions) if u in ranks]
            if known:
                i = choose(known)
                parts[i : i + 2] = [unions[i]]
            if not known or not again:
                return [ranks[part] for part in parts]

    return encode_piece


encode_from_the_left = encode_by(lambda known: min(i for _, i in known))
encode_highest_rank = encode_by(lambda known: max(known)[1])
encode_right_of_equals = encode_by(lambda known: min((rank, -i, i) for rank, i in known)[2])
encode_one_merge = encode_by(lambda known: min(known)[1], again=False)


def encode_with_values_of_bytes(piece, ranks):
    ids = encode_by(lambda known: min(known)[1])(piece, ranks)
    token = {rank: token for token, rank in ranks.items()}
    return [token[i][0] if len(token[i]) == 1 else i for i in ids]


def encode_bytes_only(piece, ranks):
    return list(piece)


def encode_adding_to_the_ranks(piece, ranks):
    return [ranks.setdefault(piece, len(ranks))]


# ---- 2.6


def windows_with(n_windows=0, shift=1, by_stride=True, roll=False):
    def cut_windows(ids, context_length, stride):
        step = stride if by_stride else context_length
        starts = list(range(0, len(ids) - context_length, step))
        if n_windows:
            starts = starts[:n_windows] if n_windows < 0 else [*starts, starts[-1] + step]
        padded = torch.cat([ids, ids, ids])  # so that whatever is asked for exists
        inputs = torch.stack([padded[s : s + context_length] for s in starts])
        later = [padded[len(ids) + s + shift :][:context_length] for s in starts]
        return inputs, inputs.roll(-1, 1) if roll else torch.stack(later)

    return cut_windows


def windows_without_the_last(ids, context_length, stride):
    starts = range(0, max(1, len(ids) - context_length - 1), stride)
    inputs = torch.stack([ids[s : s + context_length] for s in starts])
    return inputs, torch.stack([ids[s + 1 :][:context_length] for s in starts])


def windows_plus_one(ids, context_length, stride):
    inputs, _ = windows_with()(ids, context_length, stride)
    return inputs, inputs + 1


def windows_not_split(ids, context_length, stride):
    windows = ids.unfold(0, context_length + 1, stride)
    return windows, windows[:, 1:]


def windows_with_one_target(ids, context_length, stride):
    windows = ids.unfold(0, context_length + 1, stride)
    return windows[:, :-1], windows[:, -1]


def windows_as_lists(ids, context_length, stride):
    return tuple(part.tolist() for part in windows_with()(ids, context_length, stride))


# ---- 2.7


class Embedding(nn.Module):
    """Right; each class below changes one thing."""

    def __init__(self, vocab_size, context_length, emb_dim):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, emb_dim)
        self.positions = nn.Embedding(context_length, emb_dim)
        self.emb_dim = emb_dim

    def forward(self, idx):
        return self.tokens(idx) + self.positions(torch.arange(idx.shape[1]))


class OnlyTokens(Embedding):
    def forward(self, idx):
        return self.tokens(idx)


class Appended(Embedding):
    def forward(self, idx):
        places = self.positions(torch.arange(idx.shape[1])).expand(len(idx), -1, -1)
        return torch.cat([self.tokens(idx), places], dim=-1)


class ByText(Embedding):
    def forward(self, idx):
        return self.tokens(idx) + self.positions(torch.arange(idx.shape[0]))[:, None]


class ById(Embedding):
    def forward(self, idx):
        return self.tokens(idx) + self.positions(idx.clamp(max=len(self.positions.weight) - 1))


class FromOne(Embedding):
    def forward(self, idx):
        return self.tokens(idx) + self.positions(torch.arange(1, idx.shape[1] + 1))


class Scaled(Embedding):
    def forward(self, idx):
        places = self.positions(torch.arange(idx.shape[1]))
        return self.tokens(idx) * self.emb_dim**0.5 + places


class Fixed(Embedding):
    def __init__(self, vocab_size, context_length, emb_dim):
        super().__init__(vocab_size, context_length, emb_dim)
        del self.positions
        self.rows = torch.randn(context_length, emb_dim)

    def forward(self, idx):
        return self.tokens(idx) + self.rows[: idx.shape[1]]


class Detached(Embedding):
    def forward(self, idx):
        return self.tokens(idx) + self.positions(torch.arange(idx.shape[1])).detach()


class FullContext(Embedding):
    def forward(self, idx):
        return self.tokens(idx) + self.positions.weight


WRONG = [
    (check_2_1, (pieces_as_text, "elkcipnoino"), "holds strings"),
    (check_2_1, (pieces_through_text, "elkcipnoino"), "bytes of the sign �"),
    (check_2_1, (pieces_so_far, "elkcipnoino"), "all bytes so far"),
    (check_2_1, (pieces_stripped, "elkcipnoino"), "lost a space"),
    (check_2_1, (pieces_with_special, "elkcipnoino"), "raises ValueError: the text contains the"),
    (check_2_1, (pieces_by_heart, "elkcipnoino"), "pieces_of('weighbridgeless') has length 2"),
    (check_2_1, (lambda text: gpt2().encode_ordinary(text), "elkcipnoino"), "holds only ids"),
    (check_2_1, (right_pieces, "weighbridgeless"), "(we + igh + brid + g + eless)"),
    (check_2_1, (right_pieces, "xqzvk"), "ten or more letters a to z"),
    (check_2_1, (right_pieces, "Xqzvk jwpqxz"), "ten or more letters a to z"),
    (
        check_2_2,
        (count_without_the_token_after, RIGHT_SETTINGS),
        "is 7, but 6 is asked for: a window also needs",
    ),
    (check_2_2, (count_without_the_first, RIGHT_SETTINGS), "the window before the first step"),
    (check_2_2, (count_below_zero, RIGHT_SETTINGS), "no window fits"),
    (check_2_2, (count_touching, RIGHT_SETTINGS), "right for a stride of 3"),
    (check_2_2, (count_in_decimals, RIGHT_SETTINGS), "of type float: give an int"),
    (check_2_2, (count_by_making, RIGHT_SETTINGS), "for a longer text"),
    (check_2_2, (count_by_walking, RIGHT_SETTINGS), "for a longer text"),
    (check_2_2, (count_by_unfolding, RIGHT_SETTINGS), "for a longer text"),
    (check_2_2, (count_by_dataset, RIGHT_SETTINGS), "for a longer text"),
    (check_2_2, (lambda n, T, stride: 3, RIGHT_SETTINGS), "count_windows(9, 3, 1) is 3, but 6"),
    (check_2_2, (right_count, RIGHT_SETTINGS | {"once": (8, 1)}), "a target 8×, but 1×"),
    (check_2_2, (right_count, RIGHT_SETTINGS | {"four times": (8, 4)}), "a target 2×, but 4×"),
    (check_2_2, (right_count, RIGHT_SETTINGS | {"four times": (4, 16)}), "0 or 1×, but 4×"),
    (check_2_2, (right_count, RIGHT_SETTINGS | {"half left out": (16, 8)}), "0% of the tokens"),
    (check_2_2, (right_count, RIGHT_SETTINGS | {"half left out": (8, 24)}), "67% of the tokens"),
    (check_2_2, (right_count, {"once": (8, 8)}), "a dict with the keys 'once', 'four times'"),
    (check_2_2, (right_count, RIGHT_SETTINGS | {"once": 8}), "a tuple of two ints"),
    (check_2_3, (counts_without_frequency, right_best), "the word occurs 3 times"),
    (check_2_3, (counts_once_a_word, right_best), "a pair may occur twice in a word"),
    (check_2_3, (counts_side_by_side, right_best), "each id but the last opens a pair"),
    (
        check_2_3,
        (counts_across_words, right_best),
        "from the end of a word to the next word",
    ),
    (check_2_3, (counts_emptying_words, right_best), "changes what it is given"),
    (check_2_3, (lambda words, frequencies: [1], right_best), "must be a dict"),
    (check_2_3, (right_counts, best_of_first_met), "the pair with the smaller ids goes first"),
    (check_2_3, (right_counts, best_of_larger_ids), "the pair with the smaller ids goes first"),
    (check_2_3, (right_counts, best_of_smallest_ids), "the largest count wins"),
    (check_2_3, (right_counts, best_with_count), "is ((1, 5), 3), but (1, 5) is asked for"),
    (check_2_4, (merge_the_first_only,), "not only the first"),
    (check_2_4, (merge_losing_the_last,), "the last id, which has no partner, must stay"),
    (check_2_4, (merge_overlapping,), "cannot merge again"),
    (check_2_4, (merge_keeping_the_second,), "both ids of the pair go"),
    (check_2_4, (merge_in_place,), "changes what it is given"),
    (check_2_4, (merge_past_the_end,), "raises IndexError"),
    (check_2_4, (merge_from_the_right,), "the two on the left merge"),
    (check_2_4, (merge_as_text,), "numbers, not text"),
    (check_2_4, (merge_as_digits,), "numbers, not text"),
    (
        check_2_4,
        (lambda ids, pair, new_id: [9, 3, 9],),
        "([1, 2, 3], (1, 2), 9) is [9, 3, 9], but [9, 3]",
    ),
    (check_2_5, (encode_longest_first,), "i + g has the lowest rank"),
    (check_2_5, (encode_from_the_left,), "i + g has the lowest rank"),
    (check_2_5, (encode_highest_rank,), "i + g has the lowest rank"),
    (check_2_5, (encode_right_of_equals,), "of two pairs of equal rank the left one"),
    (check_2_5, (encode_one_merge,), "merge until no two neighbours make a token"),
    (check_2_5, (encode_bytes_only,), "merge until no two neighbours make a token"),
    (check_2_5, (encode_with_values_of_bytes,), "the id of a byte is its rank"),
    (check_2_5, (encode_adding_to_the_ranks,), "changes what it is given"),
    (check_2_6, (windows_with(shift=0),), "equal the inputs: shift them by one token"),
    (check_2_6, (windows_with(shift=2),), "shifted by two tokens"),
    (check_2_6, (windows_with(shift=-1),), "shifted backwards"),
    (
        check_2_6,
        (windows_with(n_windows=1),),
        "after the last one no token is left as its target",
    ),
    (check_2_6, (windows_without_the_last,), "has 1 of 2 windows: one more still has the token"),
    (check_2_6, (windows_with(roll=True),), "end in the first id of the window"),
    (check_2_6, (windows_with(by_stride=False),), "a stride of 2 is asked for"),
    (check_2_6, (windows_plus_one,), "The target tensor of"),
    (check_2_6, (windows_not_split,), "are T + 1 long"),
    (check_2_6, (windows_with_one_target,), "hold only the token after the window"),
    (check_2_6, (windows_as_lists,), "must be two tensors, not"),
    (check_2_7, (OnlyTokens,), "the positions are not added"),
    (check_2_7, (Appended,), "add the two vectors, do not append"),
    (check_2_7, (ByText,), "number its tokens"),
    (check_2_7, (ById,), "chosen by the id"),
    (check_2_7, (FromOne,), "the first token has position 0"),
    (check_2_7, (Scaled,), "has scaled token vectors"),
    (check_2_7, (Fixed,), "no trainable table of shape (context_length, emb_dim) = (6, 4)"),
    (check_2_7, (Detached,), "The gradient of one of the tables is missing"),
    (check_2_7, (FullContext,), "raises RuntimeError"),
]
