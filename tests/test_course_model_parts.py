"""Trainings without a part of the corpus: each lacks what it is said to lack, and is measured."""

import json
import math
import sys
from itertools import islice

import pytest
import torch

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch05.course_model import parts
from ch05.course_model.card import ALL, PARTS_RECORD, read_parts, tabulate_parts
from ch05.course_model.corpus import PARTS, REGISTERS, Writer, write_documents
from ch05.course_model.recall import Gap

N = 400


@pytest.mark.parametrize("part", PARTS)
def test_a_corpus_without_a_part_has_all_other_registers(part):
    written = {register for register, _ in islice(write_documents(0, without=part), N)}
    assert written == set(REGISTERS) - set(PARTS[part][0])


@pytest.mark.parametrize("part", [None, *PARTS])
def test_tasks_and_questions_are_asked_where_they_are_not_left_out(part, monkeypatch):
    asked = {"tasks": 0, "facts": 0}

    def counted(name, ask):
        def count(*arguments):
            asked[name] += 1
            return ask(*arguments)

        return count

    monkeypatch.setattr(Writer, "ask_task", counted("tasks", Writer.ask_task))
    monkeypatch.setattr(Writer, "ask", counted("facts", Writer.ask))
    writer = Writer(0, without=part)
    for _ in range(50):
        writer.page()
    assert (asked["tasks"] == 0) == (part == "small tasks")
    assert (asked["facts"] == 0) == (part == "questions for facts")


def test_without_nothing_the_corpus_is_the_models_own():
    own = [text for _, text in islice(write_documents(7), 30)]
    assert [text for _, text in islice(write_documents(7, without=None), 30)] == own


def test_a_model_that_knows_nothing_pays_log2_of_the_vocabulary_for_each_token():
    tokenizer = BPETokenizer.train("ab ab abc 123", 260)
    model = GPTModel(GPTConfig(tokenizer.vocab_size, 16, emb_dim=8, n_heads=2, n_layers=1))
    for weights in model.parameters():
        torch.nn.init.zeros_(weights)
    gaps = [Gap("abc ", "123"), Gap("a much longer prompt than the context has room for", "1")]
    n_tokens = [len(tokenizer.encode_ordinary(answer)) for _, answer in gaps]
    expected = math.log2(tokenizer.vocab_size) * sum(n_tokens) / 2
    assert parts.answer_bits(model.eval(), tokenizer, gaps) == pytest.approx(expected, rel=1e-5)


def test_the_table_shows_differences_to_everything():
    rows = [
        {"what": what, "seed": seed, "bits": {"fact": bits, "sum": 2.0}}
        for what, seed, bits in ((ALL, 0, 10.0), (ALL, 1, 9.5), ("no prose", 0, 12.25))
    ]
    lines = tabulate_parts({"million_tokens": 1, "rows": rows}).splitlines()
    assert lines[2:] == [
        "| everything | 10.00 | 2.00 |",
        "| another seed | -0.50 | +0.00 |",
        "| no prose | +2.25 | +0.00 |",
    ]


def test_the_record_has_every_run():
    assert [(row["what"], row["seed"]) for row in read_parts()["rows"]] == parts.RUNS
    assert all(row["bits"].keys() == read_parts()["rows"][0]["bits"].keys() for row in
               read_parts()["rows"])  # fmt: skip


def test_the_card_reads_the_table_rightly():
    """What it says of each part, and that the rest is not far from what another seed changes."""
    bits = {(row["what"], row["seed"]): row["bits"] for row in read_parts()["rows"]}
    everything = bits[ALL, 0]
    change = {
        what: {name: value - everything[name] for name, value in row.items()}
        for (what, seed), row in bits.items()
        if (what, seed) != (ALL, 0)
    }
    words = [name for name in everything if name.startswith("word out of")]
    assert all(5 <= change["no small tasks"][name] < 8.5 for name in words)
    assert 18.5 < change["no questions for facts"]["fact"] < 19.5
    assert 12.5 < change["no questions for facts"]["sum"] < 13.5
    assert 0.2 < change["no messages"]["byte of a message"] < 0.3
    for what in ("no prose", parts.JOINED):
        assert all(abs(change[what][name]) < 2 for name in everything)


def test_the_command_makes_only_the_runs_that_are_missing(monkeypatch, tmp_path, capsys):
    path = tmp_path / "parts.json"
    record = read_parts()
    path.write_text(json.dumps(record | {"rows": record["rows"][:-2]}), encoding="utf-8")
    made = []

    def run(what, seed, millions, device):
        made.append((what, seed, millions))
        return record["rows"][0]["bits"]

    monkeypatch.setattr(parts, "run", run)
    tokens = record["million_tokens"]
    monkeypatch.setattr(sys, "argv", ["x", "--record", str(path), "--tokens", str(tokens)])
    parts.main()
    assert made == [(*run, tokens) for run in parts.RUNS[-2:]]
    assert f"| {parts.JOINED} | +0.00" in capsys.readouterr().out


def test_a_record_of_shorter_runs_is_not_mixed_with_longer_ones(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["x", "--tokens", "1", "--record", str(PARTS_RECORD)])
    with pytest.raises(SystemExit, match="holds runs of 0.5 million tokens: give --tokens so"):
        parts.main()
