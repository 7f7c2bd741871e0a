"""Texts larger than memory: streams of documents, shards of ids, windows in their own order."""

import gzip
import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from random import Random

import numpy as np
import pytest
from course_files import ROOT
from safetensors.numpy import load_file

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch05 import text_stream, token_shards
from ch05.duplicates import signature
from ch05.text_stream import cut_documents
from ch05.token_shards import encode_pieces, prepare, report
from ch05.token_windows import IGNORE, Batches, TokenStream, Windows, read_shards, shuffled

WORDS = "the clock in the hall struck nine and nobody at the table looked up from the bread".split()


def documents(n: int, seed: int = 0, length: int = 30) -> list[str]:
    draw = Random(seed)
    return [f"{i} " + " ".join(draw.choices(WORDS, k=length)) + "." for i in range(n)]


def write(path: Path, data: bytes | str) -> Path:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def ids_of(folder: Path) -> list[int]:
    """All ids of a prepared folder, in the order of their documents."""
    shards = read_shards(folder, verify=True)
    return [*shards.train[:].tolist(), *shards.validation[:].tolist()]


# ---- From files to shards.


def test_shards_hold_the_ids_of_all_documents_each_with_its_end(tmp_path):
    texts = documents(50)
    plain = f"\n{END_OF_TEXT}\n".join(texts[:20])
    lines = "\n".join(json.dumps({"id": 1, "text": t}) for t in texts[20:30]) + "\n\n"
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.txt", b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").encode())
    write(tmp_path / "in" / "b.jsonl", lines)
    packed = gzip.compress("\n".join(json.dumps({"text": t}) for t in texts[30:40]).encode())
    write(tmp_path / "in" / "c.jsonl.gz", packed)
    write(tmp_path / "in" / "notes.pdf", b"%PDF \xff")  # no text: folders are searched for texts
    last = write(tmp_path / "d.txt.gz", gzip.compress(END_OF_TEXT.join(texts[40:]).encode()))
    index = prepare([tmp_path / "in", last], tmp_path / "out", vocab_size=300)
    shards = read_shards(tmp_path / "out")
    wanted = []
    for text in texts:
        wanted += [*shards.tokenizer.encode_ordinary(text), shards.end_id]
    assert ids_of(tmp_path / "out") == wanted
    assert index["train"]["documents"] == 50 and index["train"]["tokens"] == len(wanted)
    assert shards.bytes_per_token == sum(map(len, texts)) / len(wanted)
    assert len(shards.validation) == len(wanted) // 10  # few documents: the last tenth


def test_a_shard_is_a_safetensors_file_with_hash_type_and_counts(tmp_path):
    text = write(tmp_path / "a.txt", END_OF_TEXT.join(documents(5)))
    index = prepare([text], tmp_path / "out", vocab_size=300)
    (shard,) = index["train"]["shards"]
    ids = load_file(tmp_path / "out" / shard["file"])["ids"]
    assert ids.dtype == np.uint16 and len(ids) == shard["tokens"]
    header = (tmp_path / "out" / shard["file"]).read_bytes()[:1024]
    assert shard["sha256"].encode() in header and b'"documents": "5"' in header
    assert (tmp_path / "out" / shard["file"]).stat().st_size == 1024 + ids.nbytes


def test_a_large_vocabulary_takes_32_bits(tmp_path):
    ranks = {bytes([b]): b for b in range(256)}
    ranks |= {b"%06d" % i: 256 + i for i in range(2**16)}
    BPETokenizer(ranks).save(tmp_path / "vocabulary.tiktoken")
    text = write(tmp_path / "a.txt", " ".join(documents(3)))
    index = prepare([text], tmp_path / "out", tokenizer=str(tmp_path))
    assert index["dtype"] == "uint32" and max(ids_of(tmp_path / "out")) == 2**16 + 256


def test_every_hundredth_of_many_documents_is_held_out(tmp_path):
    text = write(tmp_path / "a.txt", END_OF_TEXT.join(documents(1200, length=3)))
    index = prepare([text], tmp_path / "out", vocab_size=300)
    assert index["validation"]["documents"] == 12 and index["train"]["documents"] == 1188
    shards = read_shards(tmp_path / "out")
    held_out = shards.tokenizer.decode(shards.validation[:].tolist()).split(END_OF_TEXT)
    assert [text.split()[0] for text in held_out[:3]] == ["99", "199", "299"]


def test_many_shards_are_read_as_one(tmp_path, monkeypatch):
    text = write(tmp_path / "a.txt", END_OF_TEXT.join(documents(40)))
    prepare([text], tmp_path / "one", vocab_size=300)
    monkeypatch.setattr(token_shards, "SHARD_TOKENS", 100)
    index = prepare([text], tmp_path / "many", vocab_size=300, threads=3)
    assert len(index["train"]["shards"]) > 5
    assert ids_of(tmp_path / "many") == ids_of(tmp_path / "one")
    one, many = (read_shards(tmp_path / name).train for name in ("one", "many"))
    for start in range(0, len(one), 37):
        assert np.array_equal(one[start : start + 90], many[start : start + 90])


def test_a_long_document_is_cut_where_no_token_crosses(monkeypatch):
    draw, signs = Random(5), "a bc \n 's 7 é 漢字 。 \t \u2003 \r ! <|endoftext|> <|end".split(" ")
    tokenizer = BPETokenizer.train("abc abc bc a's 77 漢字漢字 é é! \n\n bc" * 9, 290)
    for i in range(60):
        text = " ".join(draw.choices([*signs, " ", "\n"], k=draw.randrange(400)))
        monkeypatch.setattr(text_stream, "BLOCK", draw.choice([1, 5, 40, 999]))
        size, found, ids = draw.choice([1, 7, 100]), [[]], [[]]
        stream = cut_documents(text[i : i + size] for i in range(0, len(text), size))
        for piece in encode_pieces(stream, tokenizer, False, 1 + i % 2):
            found[-1].append(piece.text)
            ids[-1] += piece.ids.tolist()
            if piece.ends:
                found.append([])
                ids.append([])
        wanted = text_stream.SEPARATOR.split(text)
        wanted = [t.removeprefix("\n" if i else "") for i, t in enumerate(wanted)]
        assert ["".join(parts) for parts in found[:-1]] == wanted
        assert ids[:-1] == [tokenizer.encode_ordinary(text) for text in wanted]


@pytest.mark.parametrize("text", [" " * 1_200_000, "a" * 1_200_000], ids=["blanks", "one word"])
def test_text_that_is_one_piece_is_encoded(text):
    """tiktoken's search gives up on the first; our own tokenizer does it then."""
    tokenizer = BPETokenizer.train("a b " * 9, 257)
    (piece,) = encode_pieces([(text, True)], tokenizer, False, 1)
    assert piece.ids.tolist() == [ord(text[0])] * len(text)


def test_duplicates_are_dropped_by_option_and_counted(tmp_path):
    texts = documents(30, length=120)
    again = [*texts, *texts[:7]]  # to the letter
    for text in texts[10:15]:
        words = text.split()
        words[40] = "window"  # nearly
        again.append(" ".join(words))
    again.append("  \n")
    text = write(tmp_path / "a.jsonl", "\n".join(json.dumps({"text": t}) for t in again))
    kept = {}
    for way in ("keep", "exact", "near"):
        index = prepare([text], tmp_path / way, vocab_size=300, duplicates=way)
        kept[way] = (index["train"]["documents"], *index["dropped"].values())
        assert not (tmp_path / way / "seen.sqlite").exists()
        assert f"dropped: {kept[way][1]} exact, {kept[way][2]} near" in report(index, "out")
    assert kept == {"keep": (42, 0, 0, 1), "exact": (35, 7, 0, 1), "near": (30, 7, 5, 1)}


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_signatures_agree_as_often_as_texts_share_runs(share):
    draw = np.random.default_rng(1)
    found = []
    for _ in range(60):
        a = draw.integers(0, 2000, 400)
        n = round(400 * 2 * share / (1 + share))
        b = np.concatenate([a[:n], draw.integers(0, 2000, 400 - n)])
        found.append((signature(a) == signature(b)).mean())
    assert np.mean(found) == pytest.approx(share, abs=0.03)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.txt", b"", "a.txt is empty: there is nothing to learn from"),
        ("a.txt", b"x" * 70 + b"caf\xe9 au lait", "a.txt is not UTF-8 text .* at byte 73"),
        ("a.txt", b"\xef\xbb\xbfcaf\xe9 au lait", "a.txt is not UTF-8 text .* at byte 6"),
        ("a.txt", "é".encode()[:1], "a.txt is not UTF-8 text .* at byte 0"),
        ("a.txt", "한a".encode("utf-16-le"), "not UTF-8 text"),
        ("a.txt", "a b".encode("utf-16-le"), "byte 1 is a zero, as in UTF-16"),
        ("a.txt", b" \n ", "no document in these files but empty ones"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "b}\n', "a.jsonl, line 2: this is no JSON"),
        ("a.jsonl", b'{"text": "a"}\n{"txt": "b"}\n', "line 2: there is no text in a field 'text'"),
        ("a.jsonl", b'{"text": "a"}\n["text"]\n', "line 2: there is no text"),
        ("a.jsonl", b'{"text": 3}\n', "line 1: there is no text"),
        ("a.jsonl", b'{"text": "a"}\n{"text": "caf\xe9"}\n', "a.jsonl is not UTF-8 .* byte 27"),
        ("a.txt.gz", b"no gzip", "a.txt.gz cannot be unpacked"),
        ("a.txt.gz", gzip.compress(b"a b c" * 999, mtime=0)[:-20], "a.txt.gz cannot be unpacked"),
        (
            "a.txt.gz",
            gzip.compress(b"caf\xe9 ", mtime=0),
            "a.txt.gz is not UTF-8 text .* at byte 3",
        ),
    ],
)
def test_bad_files_are_named_and_nothing_is_left(name, data, message, tmp_path):
    good = write(tmp_path / "good.txt", "a good text " * 20 if b" \n " != data else " ")
    with pytest.raises(ValueError, match=message) as refused:
        prepare([good, write(tmp_path / name, data)], tmp_path / "out", vocab_size=300)
    assert "\n" not in str(refused.value)
    assert {path.name for path in tmp_path.iterdir()} == {"good.txt", name}


def test_a_byte_is_counted_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(text_stream, "BLOCK", 7)
    text = write(tmp_path / "a.txt", "漢字仮名".encode() * 9 + b"\xe6\xbc!")
    with pytest.raises(ValueError, match="at byte 108"):
        prepare([text], tmp_path / "out", vocab_size=300)


def test_half_a_surrogate_pair_becomes_the_sign_for_it(tmp_path):
    text = write(tmp_path / "a.jsonl", '{"text": "a \\ud83d b and more of it"}')
    prepare([text], tmp_path / "out", vocab_size=300)
    shards = read_shards(tmp_path / "out")
    assert shards.tokenizer.decode(ids_of(tmp_path / "out")).startswith("a \ufffd b and")


def test_what_is_not_there_and_what_is_there_already_are_named(tmp_path):
    text = write(tmp_path / "a.txt", " ".join(documents(3)))
    with pytest.raises(FileNotFoundError, match="none.txt"):
        prepare([tmp_path / "none.txt"], tmp_path / "out")
    with pytest.raises(FileNotFoundError, match="--tokenizer is own, gpt2, or a folder"):
        prepare([text], tmp_path / "out", tokenizer=str(tmp_path / "none"))
    with pytest.raises(ValueError, match="--vocab-size 256 must be at least 257"):
        prepare([text], tmp_path / "out", vocab_size=256)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no text: files end in .txt"):
        prepare([tmp_path / "empty"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    prepare([text], tmp_path / "out", vocab_size=300)
    before = (tmp_path / "out" / "index.json").read_bytes()
    with pytest.raises(ValueError, match="out holds something already"):
        prepare([text], tmp_path / "out", vocab_size=300)
    assert (tmp_path / "out" / "index.json").read_bytes() == before


@pytest.mark.skipif(os.name != "posix", reason="a limit on the size of files is POSIX")
def test_a_full_disk_ends_in_a_sentence_and_leaves_nothing(tmp_path):
    write(tmp_path / "a.txt", " ".join(documents(500)))
    program = f"""
import resource
from ch05.token_shards import prepare
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
try:
    prepare([{str(tmp_path / "a.txt")!r}], {str(tmp_path / "out")!r}, vocab_size=300)
except OSError as error:
    assert "out could not be written" in str(error) and "is the disk full" in str(error)
else:
    raise SystemExit("nothing was refused")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.slow
def test_memory_is_flat_when_texts_grow(tmp_path):
    """The peak for four times the text; the command below measures sixteen times."""
    psutil = pytest.importorskip("psutil")
    assert psutil
    draw, peaks = Random(1), []
    for i, n in enumerate((4_000, 16_000)):
        text = END_OF_TEXT.join(documents(n, length=200))
        write(tmp_path / f"{i}.txt", text)
        program = (
            "import resource; from ch05.token_shards import prepare;"
            f"prepare([{str(tmp_path / f'{i}.txt')!r}], {str(tmp_path / f'out{i}')!r},"
            "vocab_size=300, duplicates='near', threads=2);"
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        peaks.append(int(done.stdout))
    assert draw and peaks[1] < 1.1 * peaks[0], peaks


# ---- Shards that were damaged.


@pytest.fixture
def data(tmp_path) -> Path:
    text = write(tmp_path / "a.txt", END_OF_TEXT.join(documents(60)))
    prepare([text], tmp_path / "data", vocab_size=300)
    return tmp_path / "data"


def test_a_shard_that_was_cut_changed_or_lost_is_named(data):
    path = data / "train-00000.safetensors"
    whole = path.read_bytes()
    for damaged, message in (
        (whole[:-1], "00000.safetensors is cut short: .* bytes; prepare the text again"),
        (whole[:500], "is cut short"),
        (b"", "is cut short: 0 of"),
        (whole + b"\0", "is too long"),
        (bytes(len(whole)), "is no shard of tokens"),
        (whole[:200].replace(b"sha256", b"sha999") + whole[200:], "is no shard of tokens"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=message):
            read_shards(data)
    path.write_bytes(whole[:-2] + b"\7\0")
    read_shards(data)
    with pytest.raises(ValueError, match="holds other tokens than the index says"):
        read_shards(data, verify=True)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="is not there: prepare the text again"):
        read_shards(data)


def test_a_damaged_index_or_vocabulary_is_named(data):
    index = json.loads((data / "index.json").read_text())
    for changed, message in (
        ("{", "index.json is damaged"),
        ("[]", "index.json is damaged"),
        (json.dumps(index | {"format": 2}), "it has format 2, not 1"),
        (json.dumps(index | {"held_out": 3}), "its hash does not fit"),
    ):
        (data / "index.json").write_text(changed)
        with pytest.raises(ValueError, match=message):
            read_shards(data)
    (data / "index.json").write_text(json.dumps(index))
    BPETokenizer({bytes([255 - b]): b for b in range(256)}).save(data / "vocabulary.tiktoken")
    with pytest.raises(ValueError, match="another vocabulary than its index"):
        read_shards(data)
    (data / "index.json").unlink()
    with pytest.raises(FileNotFoundError, match="ch05.pretrain prepare FILES --out .* makes"):
        read_shards(data)


# ---- Windows, and the order in which they come.


@pytest.mark.parametrize("at_documents", [False, True])
@pytest.mark.parametrize("length", [1, 7, 16, 500, 100_000])
def test_every_token_is_a_target_exactly_once(data, at_documents, length):
    shards = read_shards(data)
    ids = shards.train[:]
    windows = Windows(shards.train, length, shards.end_id, at_documents)
    inputs, targets = windows.rows(range(len(windows)))
    assert np.array_equal(targets[targets != IGNORE], ids[1:])
    assert np.array_equal(inputs[targets != IGNORE], ids[:-1])
    beyond = windows.rows([len(windows)])
    assert (beyond[1] == IGNORE).all() and (beyond[0] == shards.end_id).all()
    if at_documents:
        begins = np.concatenate([[0], np.flatnonzero(ids[:-1] == shards.end_id) + 1])
        inside = set(windows.starts.tolist()) - set(begins.tolist())
        longest = np.diff([*begins, len(ids)]).max()
        assert inside if length < longest - 1 else not inside  # only long documents go on
        for start in inside:
            assert start - length in windows.starts


@pytest.mark.parametrize("n", [*range(1, 40), 255, 256, 257, 5000])
def test_an_order_is_a_permutation(n):
    order = shuffled(np.arange(n), n, seed=3, epoch=1)
    assert sorted(order) == list(range(n))
    assert np.array_equal(shuffled(np.arange(n)[::-1], n, 3, 1), order[::-1])  # each by itself


def test_orders_look_random_and_differ_by_seed_and_epoch():
    n = 4000
    orders = [shuffled(np.arange(n), n, *which) for which in ((0, 0), (0, 1), (1, 0), (2**40, 7))]
    for i, order in enumerate(orders):
        neighbours = np.corrcoef(order[:-1], order[1:])[0, 1]
        assert abs(np.corrcoef(order, np.arange(n))[0, 1]) < 0.06 and abs(neighbours) < 0.06
        assert all((order == other).sum() < 10 for other in orders[:i])
        counts = np.bincount(order[: n // 2] * 16 // n, minlength=16)  # the first half, by place
        assert ((counts - 125) ** 2 / 125).sum() < 40


def test_epochs_follow_one_another_and_a_batch_is_known_by_its_number(data):
    shards = read_shards(data)
    windows = Windows(shards.train, 16, shards.end_id)
    batches = Batches(windows, 5, seed=2)
    n = len(windows)
    assert n % 5 and len(batches) == -(-n // 5)
    rows = np.concatenate([batches[i][0] for i in range(2 * len(batches))])[: 2 * n]
    whole = windows.rows(range(n))[0]
    for epoch in (rows[:n], rows[n:]):
        assert sorted(map(bytes, epoch)) == sorted(map(bytes, whole))
    assert not np.array_equal(rows[:n], rows[n:])
    assert np.array_equal(batches[3][1], Batches(windows, 5, seed=2)[3][1])
    assert not np.array_equal(batches[3][1], Batches(windows, 5, seed=3)[3][1])
    in_order = Batches(windows, 5)
    found = np.concatenate([in_order[i][0] for i in range(len(in_order))])
    assert np.array_equal(found[:n], whole) and (in_order[len(in_order) - 1][1][-1] == IGNORE).all()


def test_a_stream_that_has_nothing_to_predict_is_refused():
    with pytest.raises(ValueError, match="1 tokens hold nothing to predict"):
        Windows(TokenStream([np.zeros(1, np.uint16)]), 8, 0)


def test_a_generator_of_pieces_is_read_only_a_few_blocks_ahead():
    read = 0

    def pieces():
        nonlocal read
        for _ in range(10_000):
            read += 1
            yield "a b " * 1000, True

    encoded = encode_pieces(pieces(), BPETokenizer.train("a b " * 9, 257), False, 2)
    assert len(list(islice(encoded, 5))) == 5 and read < 1000
    encoded.close()
