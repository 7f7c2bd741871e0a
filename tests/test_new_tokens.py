"""New tokens leave everything else as it was; a record of vocabularies."""

import json
import sys

import pytest
import torch
from torch import nn

from ch02.bonus import new_tokens
from ch02.bonus.new_tokens import (
    RECORD,
    SIZES,
    counted_bits,
    read_record,
    tabulate,
    widened,
    with_new_tokens,
    with_new_tokens_in_tiktoken,
)
from ch02.tokenizer import BPETokenizer, gpt2_encoding
from ch04.gpt import GPTConfig, GPTModel

TEXT = "the onions weigh more than the other onions on the bridge " * 3
NEW = ["<|user|>", " bridge", "안녕"]


def small(tied: bool) -> GPTModel:
    torch.manual_seed(0)
    model = GPTModel(GPTConfig(300, 16, 32, 2, 2, drop_rate=0.1, tie_weights=tied))
    for weights in model.parameters():
        nn.init.normal_(weights, std=0.3)
    return model.eval()


@pytest.mark.parametrize("text", ["", "<|user|>안녕 bridges", "on the bridge", "<|user|<|user|>"])
def test_new_tokens_stand_behind_the_old_ids_and_the_text_comes_back(text: str):
    ours = BPETokenizer.train(TEXT, 280)
    for old, extend in (
        (ours, with_new_tokens),
        (gpt2_encoding(), with_new_tokens_in_tiktoken),
    ):
        wide = extend(old, NEW)
        V = old.vocab_size if old is ours else old.n_vocab
        assert [wide.encode(t, allowed_special={t}) for t in NEW] == [[V], [V + 1], [V + 2]]
        ids = wide.encode(text, allowed_special=set(NEW))
        assert wide.decode(ids) == text
        parts = [i for i in ids if i < V]
        assert (len(parts) < len(ids)) == any(t in text for t in NEW)
        assert wide.encode_ordinary(text) == old.encode_ordinary(text)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        (["<|endoftext|>"], "'<|endoftext|>' twice"),
        (["a b", "a b"], "'a b' twice"),
        ("word", "'word' is one text: give a list"),
    ],
)
def test_a_token_that_is_there_already_is_refused(new, message: str):
    ours, theirs = BPETokenizer.train(TEXT, 280), gpt2_encoding()
    for old, extend in ((ours, with_new_tokens), (theirs, with_new_tokens_in_tiktoken)):
        with pytest.raises(ValueError) as caught:
            extend(old, new)
        assert message in str(caught.value)


@pytest.mark.parametrize("start", ["mean", "random"])
@pytest.mark.parametrize("tied", [True, False])
def test_old_scores_stay_and_the_old_model_too(tied: bool, start: str):
    model = small(tied)
    before = {name: w.clone() for name, w in model.state_dict().items()}
    wide = widened(model, [[65, 66, 66], [299]], start)
    idx = torch.randint(300, (3, 16))
    with torch.no_grad():
        old, new = model(idx), wide(idx)
        by_old_rows = nn.functional.linear(wide.features(idx), wide.out_head.weight[:300])
    assert torch.equal(by_old_rows, old) and new.shape == (3, 16, 302)
    torch.testing.assert_close(new[..., :300], old, rtol=1e-5, atol=1e-5)
    assert (wide.out_head.weight is wide.tok_emb.weight) == tied
    assert all(torch.equal(w, before[name]) for name, w in model.state_dict().items())
    for mine, theirs in ((wide.tok_emb, model.tok_emb), (wide.out_head, model.out_head)):
        mean = theirs.weight[[65, 66, 66]].mean(dim=0)
        assert torch.equal(mine.weight[300], mean) == (start == "mean")
        assert torch.equal(mine.weight[301], theirs.weight[299]) == (start == "mean")


@pytest.mark.parametrize("tied", [True, False])
def test_a_step_of_training_moves_new_rows_and_leaves_the_source_alone(tied: bool):
    model = small(tied)
    source = model.tok_emb.weight.clone()
    wide = widened(model.train(), [[65, 66]])
    assert wide.training and not widened(model.eval(), [[65]]).training
    start = wide.tok_emb.weight[300].clone()
    optimizer = torch.optim.AdamW(wide.parameters(), lr=1e-2)
    for _ in range(2):
        loss = nn.functional.cross_entropy(
            wide(torch.tensor([[300, 5, 300]]))[0], torch.tensor([5, 300, 5])
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert not torch.equal(wide.tok_emb.weight[300], start)
    assert torch.equal(model.tok_emb.weight, source)


def test_a_model_in_16_bits_keeps_its_type():
    model = small(True).bfloat16()
    wide = widened(model, [[1, 2]])
    assert wide.tok_emb.weight.dtype == torch.bfloat16
    assert torch.equal(wide.tok_emb.weight[:300], model.tok_emb.weight)


@pytest.mark.parametrize(
    ("stand_for", "start", "message"),
    [
        ([[1]], "zero", "start='zero' is neither"),
        ([], "mean", "has to stand for"),
        ([[1], []], "mean", "has to stand for"),
        ([[300]], "mean", "id 300 is outside vocab_size=300"),
        ([[-1]], "random", "id -1 is outside"),
    ],
)
def test_what_no_row_can_be_made_of_is_refused(stand_for: list, start: str, message: str):
    with pytest.raises(ValueError) as caught:
        widened(small(True), stand_for, start)
    assert message in str(caught.value)


def test_the_baseline_counts_as_by_hand():
    tokenizer = BPETokenizer.train("ab", 257)  # 256 bytes and the end of a text
    ids = tokenizer.encode_ordinary("aab")
    # a: (2 + 1) of 3 + 257, b: (1 + 1)
    bits = -torch.log2(torch.tensor([3 / 260, 2 / 260])).mean()
    assert counted_bits(tokenizer, ids, ["a", "b"]) == pytest.approx(bits.item())


def test_the_record_has_every_size_three_times_on_both_texts():
    rows = read_record(RECORD)
    found = sorted((r["n_bytes"], r["vocab_size"], r["seed"]) for r in rows)
    assert found == [(b, s, i) for b in (400_000, 1_200_000) for s in SIZES for i in range(3)]
    for row in rows:
        assert row["bits_per_byte"] < row["counted"]  # the network has learned something


TINY = ("--seeds", "1", "--bytes", "20000")


def call(monkeypatch, *options) -> str:
    monkeypatch.setattr(sys, "argv", ["new_tokens", *map(str, options)])
    try:
        new_tokens.main()
    except SystemExit as error:
        return str(error)
    return ""


def test_the_command_goes_on_where_it_was_stopped(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(new_tokens, "VOCABULARY_BYTES", 20_000)
    monkeypatch.setattr(new_tokens, "N_HELD_OUT", 4)
    monkeypatch.setattr(new_tokens, "SIZES", (300,))
    path = tmp_path / "record.json"
    assert call(monkeypatch, *TINY, "--record", path) == ""
    (first,) = read_record(path)
    assert first["vocab_size"] == 300 and first["weights"] == 697_856
    monkeypatch.setattr(new_tokens, "SIZES", (300, 320))
    assert call(monkeypatch, *TINY, "--record", path) == ""
    rows = read_record(path)
    assert rows[0] == first and [r["vocab_size"] for r in rows] == [300, 320]
    table = tabulate(rows)
    assert table.loc[300, "difference"] == 0 and table.loc[320, "bytes per token"] > 1
    assert "320 tokens, seed 0" in capsys.readouterr().out
    wrong = call(monkeypatch, *TINY, "--lr", "0.1", "--record", path)
    assert "holds runs with lr 0.003, not 0.1" in wrong


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--seeds", 0), "--seeds 0 must be at least 1"),
        (("--bytes", 10), "--bytes 10 must be at least 20000"),
        (("--lr", "nan"), "--lr nan must be above 0"),
    ],
)
def test_an_impossible_option_is_refused(monkeypatch, options: tuple, message: str):
    assert message in call(monkeypatch, *options)


def test_a_damaged_record_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "record.json"
    path.write_text(json.dumps({"settings": {"lr": 0.003}, "rows": [{"vocab_size": 300}]}))
    assert "is damaged" in call(monkeypatch, "--record", path)
