"""Text to batches: the tokenizer against tiktoken, its training against a slow one, the windows."""

import base64
import copy
import pickle
import random
import time
import tracemalloc
from collections import Counter
from itertools import accumulate

import numpy as np
import pytest
import regex
import tiktoken
import tokenizers  # comes with transformers
import torch
from course_files import ROOT
from tiktoken.load import load_tiktoken_bpe
from tiktoken_ext.openai_public import r50k_pat_str
from torch.utils.data import default_collate

from ch02.dataloader import STORY, GPTDataset, create_dataloader, read_text
from ch02.tokenizer import (
    END_OF_TEXT,
    GPT2_PATTERN,
    BPETokenizer,
    gpt2_encoding,
    gpt2_ranks,
    merge_bytes,
    merge_pair,
    parse_ranks,
    split_pieces,
    train_bpe,
)
from course.files import written_whole

KOREAN = "나는 오늘 아침에 커피를 마셨다. 그리고 책을 읽었다!"


@pytest.fixture(scope="module")
def gpt2() -> BPETokenizer:
    return BPETokenizer(gpt2_ranks())


@pytest.fixture(scope="module")
def truth() -> tiktoken.Encoding:
    """tiktoken with its own pattern, not with ours."""
    return tiktoken.Encoding(
        "gpt2",
        pat_str=r50k_pat_str,
        mergeable_ranks=gpt2_ranks(),
        special_tokens={END_OF_TEXT: 50256},
    )


def letters(n: int, seed: int, alphabet: str = "ab ") -> str:
    return "".join(random.Random(seed).choices(alphabet, k=n))


# ---- Encoding and decoding with GPT-2's vocabulary, against tiktoken.

TEXTS = {
    "nothing": "",
    "course": "Hello, I am",
    "accents": "café naïve Ångström, cafe\u0301",
    "apostrophes": "don't DON'T I’ll we've 's 'll'd ’s it's'",
    "korean": KOREAN,
    "emoji": "👩‍👩‍👧‍👦 👍🏽 🇰🇷 ☕️ 😀😀😀",
    "other scripts": "Привет мир 你好，世界 שלום مرحبا नमस्ते สวัสดี",
    "white space": "a  b   c\td\t\te \n\nf\n \n\r\n\x0b\x0c\x85\xa0g\u3000\u2028 ",
    "separators": "a\x1cb\x1db\x1e c\x1f d\u200be\ufeff",
    "trailing space": "the end   ",
    "a long word": "a" * 3000,
    "long spaces": "x" + " " * 3000 + "y",
    "long newlines": "\n" * 3000,
    "mixed runs": "ab" * 1500 + "1" * 999 + "!" * 999 + " \n" * 500,
    "numbers": "3.14159 1,000,000 ½ ² Ⅷ 2026-11-21",
    "null": "a\x00b\x7f",
    "lone surrogates": "a\ud800b \udc00\udc00 \udfff",
    "surrogate pair": "\ud83d\ude00 and \ude00\ud83d",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_ids_are_tiktokens(gpt2, truth, text):
    assert gpt2.encode(text) == gpt2_encoding().encode(text) == truth.encode(text)


def test_ids_are_tiktokens_for_source_code_and_the_story(gpt2, truth):
    for path in [*ROOT.glob("ch0*/*.py"), *ROOT.glob("tests/*.py"), STORY]:
        text = path.read_text(encoding="utf-8")
        assert gpt2.encode_ordinary(text) == truth.encode_ordinary(text), path


def test_ids_are_tiktokens_for_random_unicode(gpt2, truth):
    draw = random.Random(2)
    for top in (0x80, 0x100, 0x3000, 0x10000, 0x110000):  # lone surrogates are among the last two
        for length in (1, 2, 3, 10, 100, 1000):
            for _ in range(20 if length < 1000 else 3):
                text = "".join(chr(draw.randrange(top)) for _ in range(length))
                assert gpt2.encode_ordinary(text) == truth.encode_ordinary(text), ascii(text)


def test_ids_are_tiktokens_for_random_signs_from_every_class(gpt2, truth):
    draw = random.Random(3)
    signs = list("aZé나1½!-'’ \n\t\r\xa0\u3000\x1f\u0301\u200d😀") + ["'ll", "'re", "  ", "the"]
    for _ in range(2000):
        text = "".join(draw.choices(signs, k=draw.randint(1, 30)))
        assert gpt2.encode_ordinary(text) == truth.encode_ordinary(text), ascii(text)


def test_every_assigned_code_point_is_cut_as_tiktoken_cuts_it():
    # A vocabulary that makes tiktoken's cuts visible: a sign's last byte and the a, 1 or ! after
    # it become one token where they are in one piece (a letter and a, a number and 1 ...).
    unions = [bytes([last, after]) for last in range(0x80, 0xC0) for after in b"a1!"]
    ranks = {token: i for i, token in enumerate([*(bytes([b]) for b in range(256)), *unions])}
    truth = tiktoken.Encoding("c", pat_str=r50k_pat_str, mergeable_ranks=ranks, special_tokens={})

    def disagree(points: list[int]) -> bool:
        text = "".join(f"{chr(p)}a{chr(p)}1{chr(p)}!\n" for p in points)
        ours = regex.findall(r"[^\x00-\x7f]\K[a1!]", "\0".join(split_pieces(text)))
        return ours != ["a1!"[(i - 256) % 3] for i in truth.encode_ordinary(text) if i >= 256]

    wrong = []
    # 128 at once, because one by one takes longer; planes 4 to 13 and 15 on hold no sign.
    for start in [*range(0x80, 0x40000, 128), *range(0xE0000, 0xE1000, 128)]:
        points = [p for p in range(start, start + 128) if not 0xD800 <= p < 0xE000]
        if disagree(points):
            wrong += [f"U+{p:04X}" for p in points if disagree([p])]
    assert not wrong, f"regex and tiktoken follow different versions of Unicode: {wrong}"


def test_decoding_gives_tiktokens_text(gpt2, truth):
    draw = random.Random(4)
    for _ in range(200):  # random ids: their bytes end inside of characters
        ids = draw.choices(range(50257), k=20)
        assert gpt2.decode(ids) == truth.decode(ids)


def test_decode_undoes_encode(gpt2):
    small = BPETokenizer.train(read_text()[:5000], 400)
    for text in TEXTS.values():
        if any("\ud800" <= sign <= "\udfff" for sign in text):
            continue  # no text of whole characters
        for tokenizer in (gpt2, small):
            assert tokenizer.decode(tokenizer.encode(text)) == text


def test_pieces_put_together_are_the_text():
    for text in TEXTS.values():
        if not any("\ud800" <= sign <= "\udfff" for sign in text):
            assert "".join(split_pieces(text)) == text


def test_half_a_character_becomes_the_replacement_character(gpt2):
    (first, *_) = gpt2.encode("나")
    assert gpt2.decode([first]) == "\ufffd"
    assert gpt2.decode(gpt2.encode("a\ud800b")) == "a\ufffdb"


def test_known_ids_of_gpt2(gpt2):
    assert gpt2.encode("Hello, I am") == [15496, 11, 314, 716]
    assert gpt2.vocab_size == 50257
    assert gpt2.encode(END_OF_TEXT, {END_OF_TEXT}) == [50256]
    assert len(gpt2.encode(KOREAN)) / len(KOREAN) > 3 * len(gpt2.encode(read_text())) / len(
        read_text()
    )


def test_ids_may_come_as_a_tensor_or_an_array(gpt2):
    ids = gpt2.encode("Hello, I am")
    assert gpt2.decode(torch.tensor(ids)) == gpt2.decode(np.array(ids)) == "Hello, I am"


# ---- Special tokens and refusals.


def test_a_special_token_needs_permission(gpt2, truth):
    text = f"one{END_OF_TEXT}two{END_OF_TEXT}"
    assert gpt2.encode(text, {END_OF_TEXT}) == truth.encode(text, allowed_special={END_OF_TEXT})
    assert gpt2.encode_ordinary(text) == truth.encode_ordinary(text)
    assert 50256 not in gpt2.encode_ordinary(text)
    with pytest.raises(ValueError, match=r"<\|endoftext\|>.*at character 3.*allowed_special"):
        gpt2.encode(text)


SPECIAL = ("<|endoftext|>", "<|user|>", "<|assistant|>", "한")


def test_several_special_tokens_have_tiktokens_ids(gpt2):
    ours = BPETokenizer(gpt2.ranks, SPECIAL)
    theirs = tiktoken.Encoding(
        "several",
        pat_str=r50k_pat_str,
        mergeable_ranks=gpt2.ranks,
        special_tokens={token: 50256 + i for i, token in enumerate(SPECIAL)},
    )
    assert ours.vocab_size == 50260
    draw = random.Random(11)
    parts = [*SPECIAL, "<|", "|>", "<", "user", "I'", "ll", " ", "\n", "나", "1", "!"]
    for _ in range(500):
        text = "".join(draw.choices(parts, k=draw.randint(1, 20)))
        ids = ours.encode(text, SPECIAL)
        assert ids == theirs.encode(text, allowed_special="all"), text
        assert ours.encode_ordinary(text) == theirs.encode_ordinary(text), text
        assert ours.decode(ids) == text
    with pytest.raises(ValueError, match=r"token '<\|user\|>' at character 13"):
        ours.encode("<|endoftext|><|user|>", {"<|endoftext|>"})


OVERLAPPING = ("<|a|>", "<|a|><|a|>", "<|a|><|b|>", "b|><", "ab", "abc", "bcd", "c")


def test_of_overlapping_special_tokens_the_longest_wins_as_in_hugging_face(gpt2):
    """tiktoken leaves open which of them it takes."""
    theirs = tokenizers.Tokenizer(tokenizers.models.WordLevel({"[UNK]": 0}, "[UNK]"))
    theirs.add_special_tokens(
        [tokenizers.AddedToken(token, special=True, normalized=False) for token in OVERLAPPING]
    )
    ours = BPETokenizer(gpt2.ranks, OVERLAPPING)
    draw = random.Random(12)
    for _ in range(500):
        text = "".join(draw.choices(["<|a|>", "<|b|>", "a", "b", "c", "d", "|><"], k=12))
        found = [token for token in theirs.encode(text).tokens if token != "[UNK]"]
        ids = ours.encode(text, OVERLAPPING)
        assert [ours.decode([i]) for i in ids if i >= 50256] == found, text
        assert ours.decode(ids) == text


@pytest.mark.parametrize("wrong", ["<|user|>", ["<|user|>", ""]])
def test_special_tokens_are_texts_and_not_empty(gpt2, wrong):
    with pytest.raises(ValueError, match="give a list of texts, none of them empty"):
        BPETokenizer(gpt2.ranks, wrong)


def test_a_tokenizer_may_have_no_special_token(gpt2):
    ours = BPETokenizer(gpt2.ranks, ())
    assert ours.vocab_size == 50256
    text = f"{KOREAN}{END_OF_TEXT}"
    assert ours.encode(text) == gpt2.encode_ordinary(text) == list(ours.encode_iterable(text))


def test_special_tokens_count_in_the_size_of_a_trained_vocabulary(tmp_path):
    trained = BPETokenizer.train(read_text(), 400, SPECIAL)
    assert trained.vocab_size == 400 and trained.special_tokens["한"] == 399
    trained.save(tmp_path / "v")
    assert BPETokenizer.load(tmp_path / "v", SPECIAL).special_tokens == trained.special_tokens


@pytest.mark.parametrize("make_another", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_tokenizer_can_be_pickled_and_copied(make_another):
    first = BPETokenizer.train(KOREAN * 3, 300, SPECIAL)
    second = make_another(first)
    assert (second.ranks, second.special_tokens) == (first.ranks, first.special_tokens)
    assert second.encode(KOREAN) == first.encode(KOREAN)


# ---- A text in parts.


def cut(text: str, longest: int, draw: random.Random) -> list[str]:
    """A text in parts of random lengths, empty ones too."""
    parts, start = [], 0
    while start < len(text):
        end = start + draw.randint(0, longest)
        parts.append(text[start:end])
        start = end
    return parts


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_text_in_parts_has_the_ids_of_the_whole(gpt2, text):
    ids = gpt2.encode(text)
    draw = random.Random(13)
    for longest in (1, 2, 7, 5000):
        assert list(gpt2.encode_iterable(cut(text, longest, draw))) == ids


def settled(tokenizer: BPETokenizer, parts: list[str], allowed: tuple[str, ...]) -> list[int]:
    """The ids that come if what is settled is encoded after each part, the hardest case."""
    ids, waiting = [], ""
    for part in parts:
        waiting += part
        end = tokenizer._settled(waiting)
        ids += tokenizer.encode(waiting[:end], allowed)
        waiting = waiting[end:]
    return ids + tokenizer.encode(waiting, allowed)


@pytest.mark.parametrize("special", [(END_OF_TEXT,), SPECIAL, OVERLAPPING, ()])
def test_what_is_settled_does_not_change_with_what_follows(gpt2, special):
    tokenizer = BPETokenizer(gpt2.ranks, special)
    draw = random.Random(14)
    signs = list("aZé나한1½!-'’< |>\n\t\xa0\u3000\u0301😀𝐀\ud835\udc00") + [
        "'ll",
        "'re",
        "the",
        "  ",
    ]
    for _ in range(250):
        text = "".join(draw.choices([*signs, *special, *special], k=draw.randint(1, 40)))
        ids = tokenizer.encode(text, special)
        assert settled(tokenizer, cut(text, draw.choice([1, 2, 5]), draw), special) == ids, text


def test_korean_prose_and_source_code_in_parts_have_the_ids_of_the_whole(gpt2):
    draw = random.Random(15)
    for text in (KOREAN * 200, (ROOT / "ch02" / "tokenizer.py").read_text(encoding="utf-8")):
        for longest in (3, 50, 3000):
            parts = cut(text, longest, draw)
            assert list(gpt2.encode_iterable(parts, SPECIAL)) == gpt2.encode(text, SPECIAL)
            assert settled(gpt2, parts, SPECIAL) == gpt2.encode(text, SPECIAL)


def test_an_open_file_is_encoded_as_its_text(gpt2):
    with open(STORY, encoding="utf-8") as file:
        assert list(gpt2.encode_iterable(file)) == gpt2.encode(read_text())


def test_the_place_of_a_special_token_counts_from_the_first_part(gpt2):
    parts = ["one two "] * 5000 + [END_OF_TEXT]
    with pytest.raises(ValueError, match="at character 40000"):
        list(gpt2.encode_iterable(parts))
    assert list(gpt2.encode_iterable(parts, {END_OF_TEXT}))[-1] == 50256


def test_ids_come_before_the_last_part_is_read(gpt2):
    def endless():
        while True:
            yield "one two three\n"

    ids = gpt2.encode_iterable(endless())
    assert gpt2.decode([next(ids) for _ in range(9)]) == "one two three\n" * 2 + "one"


def test_a_text_in_parts_takes_no_more_memory_when_it_is_longer(gpt2):
    def peak(n_parts: int) -> int:
        tracemalloc.start()
        for _ in gpt2.encode_iterable(text for _ in range(n_parts)):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    text = "그리고 one, two-three 4 ... " * 20
    peak(10)  # the pieces are remembered
    small, large = peak(50), peak(1000)  # 25 and 500 thousand characters
    assert large < small + 50_000 < 500_000


@pytest.mark.parametrize("wrong", [50257, -1, 10**9])
def test_decode_refuses_an_unknown_id(gpt2, wrong):
    with pytest.raises(ValueError, match=rf"id {wrong} is not in this vocabulary of 50257"):
        gpt2.decode([15496, wrong])


# ---- Training, against a trainer that counts every pair anew for each merge.


def train_slowly(text: str, n_tokens: int) -> list[bytes]:
    tokens = [bytes([b]) for b in range(256)]
    words = [(list(piece.encode()), n) for piece, n in Counter(split_pieces(text)).items()]
    while len(tokens) < n_tokens:
        counts = Counter()
        for ids, n in words:
            for pair in zip(ids, ids[1:]):
                counts[pair] += n
        if not counts:
            break
        pair, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
        if count < 2:
            break
        words = [(merge_pair(ids, pair, len(tokens)), n) for ids, n in words]
        tokens.append(tokens[pair[0]] + tokens[pair[1]])
    return tokens


TRAINING_TEXTS = {
    "all counts tie": "abcdefgh" * 2,
    "every pair tie": " ".join(f"{a}{b}" for a in "abcdef" for b in "abcdef") * 2,
    "one letter": "a" * 500,
    "runs": " ".join("a" * n for n in range(1, 60)) + " " + " ".join("ab" * n for n in range(20)),
    "two letters": letters(2000, 5),
    "three letters": letters(2000, 6, "abc "),
    "korean": KOREAN * 3,
    "spaces": " \n\t" * 200 + "  \n" * 50,
    "nothing twice": "abcdefg",
    "one sign": "a",
    "prose": "STORY",
}


@pytest.mark.parametrize("text", TRAINING_TEXTS.values(), ids=TRAINING_TEXTS)
def test_training_equals_recounting_every_pair(text):
    if text == "STORY":
        text = read_text()[:6000]
    assert list(train_bpe(text, 380)) == train_slowly(text, 380)


def test_training_equals_recounting_on_random_texts():
    for seed in range(60):
        text = letters(150, seed, "ab " if seed % 2 else "abcd ")
        assert list(train_bpe(text, 320)) == train_slowly(text, 320), text


def test_training_finds_the_merges_of_hugging_face():
    # Words with very different frequencies: no two pairs tie, so that no rule for ties matters.
    draw = random.Random(7)
    alphabet = "etaoinshr"
    words = ["".join(draw.choices(alphabet, k=draw.randint(3, 9))) for _ in range(60)]
    spread = [word for i, word in enumerate(words) for _ in range(1 + i * i + draw.randrange(40))]
    draw.shuffle(spread)
    text, n_tokens = " ".join(spread), 300

    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=n_tokens,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    theirs.train_from_iterator([text], trainer)
    merged = sorted(theirs.get_vocab().items(), key=lambda item: item[1])[256:]
    assert [token.replace("Ġ", " ") for token, _ in merged] == [
        token.decode() for token in list(train_bpe(text, n_tokens))[256:]
    ]


def test_ranks_are_the_ids_without_a_gap():
    for seed in range(50):
        ranks = train_bpe(letters(400, seed, "aab "), 330)
        assert list(ranks.values()) == list(range(len(ranks)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("", 300), "text is empty"), (("abc", 255), "n_tokens=255 is too few")],
)
def test_training_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        train_bpe(*arguments)


def test_the_vocabulary_has_at_most_the_size_asked_for():
    assert BPETokenizer.train(read_text(), 1024).vocab_size == 1024
    assert BPETokenizer.train("abcdefg", 1024).vocab_size == 257  # nothing occurs twice


def merge_slowly(piece: bytes, ranks: dict[bytes, int]) -> list[int]:
    parts = [bytes([b]) for b in piece]
    while True:
        unions = [(ranks[a + b], i) for i, (a, b) in enumerate(zip(parts, parts[1:]))
                  if a + b in ranks]  # fmt: skip
        if not unions:
            return [ranks[part] for part in parts]
        _, i = min(unions)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


def test_merging_with_a_heap_equals_the_search_for_the_lowest_rank(gpt2):
    draw = random.Random(8)
    for ranks in (train_bpe(letters(3000, 9), 400), train_bpe(read_text(), 600), gpt2.ranks):
        for alphabet in (b"a", b"ab", b"the ", bytes(range(256))):
            for length in (1, 2, 3, 7, 30, 200):
                piece = bytes(draw.choices(alphabet, k=length))
                if piece not in ranks:
                    assert merge_bytes(piece, ranks) == merge_slowly(piece, ranks), piece


# ---- Vocabulary files.


def test_a_saved_vocabulary_is_read_back(tmp_path):
    tokenizer = BPETokenizer.train(read_text(), 500)
    tokenizer.save(tmp_path / "deep" / "vocabulary.tiktoken")
    read = BPETokenizer.load(tmp_path / "deep" / "vocabulary.tiktoken")
    assert read.ranks == tokenizer.ranks
    assert read.special_tokens == tokenizer.special_tokens
    assert read.encode(read_text()) == tokenizer.encode(read_text())


def test_tiktoken_reads_a_saved_vocabulary(tmp_path):
    tokenizer = BPETokenizer.train(read_text(), 500)
    tokenizer.save(tmp_path / "v.tiktoken")
    theirs = tiktoken.Encoding(
        "own",
        pat_str=GPT2_PATTERN,
        mergeable_ranks=load_tiktoken_bpe(str(tmp_path / "v.tiktoken")),
        special_tokens={END_OF_TEXT: 499},
    )
    text = read_text() + KOREAN
    assert tokenizer.encode(text) == theirs.encode(text)


@pytest.mark.parametrize(
    "data", [b"<html>no</html>", b"IQ==\n", b"IQ== zero\n", b"I 0\n", b"\xff 0"]
)
def test_a_damaged_vocabulary_is_refused(data, tmp_path):
    path = tmp_path / "v.tiktoken"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="vocabulary file"):
        BPETokenizer.load(path)


def test_a_vocabulary_that_was_cut_off_is_refused(tmp_path):
    BPETokenizer.train(read_text(), 500).save(tmp_path / "whole")
    data = (tmp_path / "whole").read_bytes()
    (tmp_path / "cut").write_bytes(data[:-3])  # the last rank, 498, lost its last digits
    with pytest.raises(ValueError, match="vocabulary file is damaged"):
        BPETokenizer.load(tmp_path / "cut")


def test_a_missing_vocabulary_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"gpt2\.tiktoken.*setup/get_vocabulary\.py"):
        gpt2_ranks()


def test_another_vocabulary_is_not_taken_for_gpt2s(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    lines = [f"{base64.b64encode(bytes([b])).decode()} {b}\n" for b in range(256)]
    (tmp_path / "gpt2.tiktoken").write_text("".join(lines))
    with pytest.raises(ValueError, match=r"SHA-256 differs.*setup/get_vocabulary\.py"):
        gpt2_encoding()


def test_gpt2s_vocabulary_survives_a_round_trip(gpt2):
    lines = (f"{base64.b64encode(t).decode()} {r}\n" for t, r in gpt2.ranks.items())
    assert parse_ranks("".join(lines).encode()) == gpt2.ranks


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"
    with pytest.raises(KeyError), written_whole(path) as draft:
        draft.write_text("half")
        raise KeyError
    assert list(path.parent.iterdir()) == []
    with written_whole(path) as draft:
        draft.write_text("old")
    with pytest.raises(KeyError), written_whole(path) as draft:
        draft.write_text("half")
        raise KeyError
    assert [p.read_text() for p in path.parent.iterdir()] == ["old"]


# ---- Reading a text.


def test_the_story_has_its_length():
    assert 20_000 <= len(read_text()) <= 25_000


def test_line_ends_and_the_byte_order_mark_are_read_away(tmp_path):
    (tmp_path / "t.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\nthree\r")
    assert read_text(tmp_path / "t.txt") == "one\ntwo\nthree\n"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"caf\xe9", "not UTF-8.*at byte 3.*save it as UTF-8"),
        ("the".encode("utf-16"), "not UTF-8.*at byte 0.*save it as UTF-8"),
        ("the".encode("utf-16-le"), "not UTF-8.*character 1 is a zero, as in UTF-16"),
        ("the".encode("utf-16-be"), "not UTF-8.*character 0 is a zero, as in UTF-16"),
        (KOREAN.encode("utf-16-le"), "not UTF-8.*save it as UTF-8"),
    ],
)
def test_a_text_is_refused(data, message, tmp_path):
    (tmp_path / "t.txt").write_bytes(data)
    with pytest.raises(ValueError, match=f"t.txt.*{message}"):
        read_text(tmp_path / "t.txt")


# ---- Windows and batches.


@pytest.mark.parametrize("stride", [1, 3, 4, 7])
@pytest.mark.parametrize("n_ids", [5, 6, 8, 9, 23])
def test_windows_are_the_slices_and_targets_come_one_later(stride, n_ids):
    ids = list(range(100, 100 + n_ids))
    starts = [s for s in range(0, n_ids, stride) if s + 4 < n_ids]
    dataset = GPTDataset(ids, context_length=4, stride=stride)
    assert [(x.tolist(), y.tolist()) for x, y in (dataset[i] for i in range(len(dataset)))] == [
        (ids[s : s + 4], ids[s + 1 : s + 5]) for s in starts
    ]


@pytest.mark.parametrize("stride", [1, 16, 128])
def test_windows_are_a_view_that_a_small_stride_does_not_enlarge(stride):
    ids = torch.arange(10_000)
    windows = GPTDataset(ids, 128, stride).windows
    assert windows.data_ptr() == ids.data_ptr()
    assert windows.untyped_storage().nbytes() == ids.untyped_storage().nbytes()


@pytest.mark.parametrize("kind", [list, np.array, lambda i: np.array(i, np.uint16), torch.tensor])
def test_ids_may_be_a_list_an_array_or_a_tensor(kind):
    x, y = GPTDataset(kind(list(range(10))), 4, 4)[1]
    assert x.dtype == y.dtype == torch.long
    assert (x.tolist(), y.tolist()) == ([4, 5, 6, 7], [5, 6, 7, 8])


def test_a_batch_is_its_items_stacked():
    dataset = GPTDataset(torch.randperm(200), 8, 3)
    chosen = [5, 0, 17, 5]
    inputs, targets = dataset.__getitems__(chosen)
    expected_inputs, expected_targets = default_collate([dataset[i] for i in chosen])
    assert torch.equal(inputs, expected_inputs) and torch.equal(targets, expected_targets)


def test_a_loader_serves_every_window_once():
    loader = create_dataloader(range(101), 5, 3, drop_last=False)
    batches = list(loader)
    assert [x.shape for x, _ in batches] == [(3, 5)] * 6 + [(2, 5)]
    assert sorted(torch.cat([x for x, _ in batches]).flatten().tolist()) == list(range(100))
    assert all(torch.equal(x + 1, y) for x, y in batches)
    assert len(list(create_dataloader(range(101), 5, 3))) == 6


def test_the_order_depends_on_the_seed_and_the_pass_and_on_no_other_code():
    def order(seed: int) -> list:
        loader = create_dataloader(range(1000), 5, 7, seed=seed)
        return [x.tolist() for _ in range(2) for x, _ in loader]  # two epochs

    first = order(1)
    torch.manual_seed(99)
    torch.rand(5)
    assert order(1) == first
    assert order(2) != first
    n = len(first) // 2
    assert first[:n] != first[n:]  # each epoch has an order of its own
    before = torch.get_rng_state()
    order(3)
    assert torch.equal(before, torch.get_rng_state())


def test_without_shuffling_windows_come_in_order_and_touch():
    (batch, _), *_ = create_dataloader(range(100), 4, 3, shuffle=False)
    assert batch.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], 4, 1), "text is empty"),
        (([1, 2, 3, 4], 4, 1), "4 tokens holds no window of context_length=4"),
        ((range(9), 4, 0), "stride=0 must be at least 1"),
        ((range(9), 4, -2), "stride=-2 must be at least 1"),
        ((range(9), 0, 1), "context_length=0 must be at least 1"),
    ],
)
def test_windows_refuse(arguments, message):
    ids, context_length, stride = arguments
    with pytest.raises(ValueError, match=message):
        GPTDataset(list(ids), context_length, stride)
    with pytest.raises(ValueError, match=message):
        create_dataloader(list(ids), context_length, 1, stride)


def test_a_loader_that_would_be_empty_is_refused():
    with pytest.raises(ValueError, match="2 windows do not fill one batch of batch_size=3"):
        create_dataloader(range(9), 4, 3)


# ---- Speed, in seconds of a quiet core.


def varied_text(n_characters: int) -> str:
    """Words of which few are frequent and many are rare, as in a language."""
    draw = random.Random(10)
    syllables = [a + b for a in "bcdfghklmnprst" for b in ("a", "e", "in", "o", "us")]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(60_000)]
    frequent_first = list(accumulate(1 / (rank + 3) for rank in range(len(words))))
    ends = draw.choices([".\n", ", and", "!", " 1984.", "\n\n"], k=n_characters // 100)
    parts = draw.choices(words, cum_weights=frequent_first, k=16 * len(ends))
    lines = [" ".join(parts[16 * i : 16 * i + 16]) + end for i, end in enumerate(ends)]
    text = " ".join(lines)
    assert len(text) > n_characters
    return text[:n_characters]


QUIET_CORE = 0.27  # CPU seconds of plain_work() on the machine whose speeds the bounds are


def plain_work() -> None:
    """Counts and pairs of bytes as in BPE, by nothing of the course."""
    counts, pairs = Counter(), {}
    for number in range(300_000):
        piece = (number * 7919 % 1009).to_bytes(2, "big") + b"ab"
        counts[piece] += 1
        pairs[number % 5000] = (piece[:2], piece[2:])


def quiet_seconds(function, repeats: int = 1) -> float:
    """The least time of some runs, in seconds of a quiet core.

    A second of CPU time holds half as much work when a neighbour shares the core, so each run
    is measured beside a piece of plain work, before and after it.
    """
    seconds = []
    for _ in range(repeats):
        before, own, after = (cpu_seconds(work) for work in (plain_work, function, plain_work))
        slowness = max(1, (before + after) / 2 / QUIET_CORE)
        seconds.append(own / slowness)
    return min(seconds)


def cpu_seconds(function) -> float:
    started = time.process_time()
    function()
    return time.process_time() - started


def test_training_1_mb_to_1000_merges_takes_less_than_3_seconds():
    text = varied_text(1_000_000)
    assert quiet_seconds(lambda: train_bpe(text, 256 + 1000)) < 3


def test_encoding_with_gpt2s_ranks_reaches_2_mb_per_second(gpt2):
    text = varied_text(2_000_000)

    def encode_from_nothing():
        BPETokenizer(gpt2.ranks).encode(text)  # no piece is known yet

    assert len(text.encode()) / 1e6 / quiet_seconds(encode_from_nothing, 3) >= 2


def test_a_very_long_piece_is_encoded_in_less_than_a_second(gpt2):
    assert quiet_seconds(lambda: gpt2.encode("ab" * 50_000)) < 1


@pytest.mark.parametrize("stride", [1, 16])
def test_windows_over_1_3_million_ids_take_less_than_a_fifth_of_a_second(stride):
    ids = torch.randint(50257, (1_300_000,)).tolist()
    assert quiet_seconds(lambda: create_dataloader(ids, 256, 8, stride), 3) < 0.2
