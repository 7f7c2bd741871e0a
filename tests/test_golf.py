"""Laptop golf: settings are checked, rounds are equal for equal settings, the board keeps them."""

import json
from dataclasses import asdict

import pytest
import torch
from course_files import ROOT

from ch04.bonus.speed import training_flops
from ch04.gpt import count_parameters
from playbook import golf
from playbook.__main__ import main
from playbook.golf import (
    Settings,
    digest,
    make_model,
    play,
    read_settings,
    show_board,
)
from playbook.read import BadInput

SMALL = {"n_layers": 1, "emb_dim": 32, "n_heads": 2, "context_length": 16, "batch_size": 4}
SMALL |= {"vocab_size": 300}
BUDGET = 2 * 10**9


@pytest.fixture(autouse=True)
def short_texts(monkeypatch):
    monkeypatch.setattr(golf, "VOCABULARY_BYTES", 60_000)
    monkeypatch.setattr(golf, "TEST_BYTES", 20_000)
    monkeypatch.setattr(golf, "BUDGET", BUDGET)


@pytest.fixture
def settings_file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"name": "mine", **SMALL}))
    return path


def test_equal_settings_and_seed_give_an_equal_row():
    rows = [play(Settings("a", **SMALL), 5, BUDGET) for _ in range(2)]
    for row in rows:
        del row["seconds"], row["cpu_seconds"]
    assert rows[0] == rows[1]
    row = rows[0]
    assert row["tokens"] == row["steps"] * 64 and 1 < row["bits_per_byte"] < 5
    assert 0 < row["noise"] < 0.1 * row["bits_per_byte"]
    assert row["megabytes"] == pytest.approx(2 * row["parameters"] / 1e6, abs=0.01)
    assert play(Settings("a", **SMALL), 6, BUDGET)["bits_per_byte"] != row["bits_per_byte"]


def test_more_to_compute_is_better_and_all_beat_eight_bits():
    short, long = (play(Settings("a", **SMALL), 5, n * BUDGET)["bits_per_byte"] for n in (1, 4))
    assert long < short < 8


def test_both_optimizers_learn():
    for optimizer in ("muon", "adamw"):
        assert play(Settings("a", **SMALL, optimizer=optimizer), 5, BUDGET)["bits_per_byte"] < 4.5


def test_the_model_is_measured_in_16_bits():
    model = make_model(Settings("a", **SMALL), 300)
    golf.round_to_16_bits(model)
    assert all(torch.equal(p, p.half().float()) for p in model.parameters())
    assert golf.n_bytes_of(model, type("T", (), {"ranks": {b"ab": 0}})) == (
        2 * count_parameters(model) + 2
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocab_size": 40_000, "emb_dim": 128}, "MB are more than 8"),
        ({"emb_dim": 640, "n_layers": 3}, "MB are more than 8"),
        ({"batch_size": 4000}, "steps of each training, and 10 are needed"),
        ({"n_heads": 3}, "emb_dim"),
        ({"lr": 3000.0, "optimizer": "adamw"}, "lower the learning rate"),
    ],
)
def test_a_broken_rule_is_named(change, message, monkeypatch):
    if "vocab_size" in change:
        monkeypatch.setattr(
            golf.BPETokenizer,
            "train",
            lambda text, n: type("T", (), {"vocab_size": n, "ranks": {}}),
        )
    with pytest.raises(BadInput, match=message):
        play(Settings("a", **{**SMALL, **change}), 5, BUDGET)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "must hold one JSON object"),
        ("{}", "give the settings a name"),
        ('{"name": "a", "layers": 3}', "layers is no setting; there are name"),
        ('{"name": "a", "n_layers": 2.5}', "n_layers is 2.5, not a whole number"),
        ('{"name": "a", "n_layers": true}', "n_layers is True, not a whole number"),
        ('{"name": "a", "lr": "fast"}', "lr is 'fast', not a number"),
        ('{"name": "a", "lr": NaN}', "lr is nan, not a number"),
        ('{"name": "a", "optimizer": "sgd"}', "not muon or adamw"),
        ('{"name": "a", "vocab_size": 100}', "not from 257"),
        ('{"name": "a", "warmup": 1}', "not a share below 1"),
    ],
)
def test_bad_settings_are_one_sentence(text, message, tmp_path, capsys):
    (tmp_path / "a.json").write_text(text)
    assert main(["golf", str(tmp_path / "a.json"), "--seed", "1"]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_a_round_is_written_once_and_the_best_stands_first(settings_file, tmp_path, capsys):
    board = tmp_path / "board" / "board.jsonl"
    common = [str(settings_file), "--board", str(board)]
    assert main(["golf", *common, "--seed", "5"]) == 0
    settings_file.write_text(json.dumps({"name": "wider", **SMALL, "batch_size": 2}))
    assert main(["golf", *common, "--seed", "5"]) == 0
    said = capsys.readouterr().out
    assert "seed 5" in said and "mine" in said and "wider" in said
    rows = [json.loads(line) for line in board.read_text().splitlines()]
    assert [row["name"] for row in rows] == ["mine", "wider"]
    best = min(rows, key=lambda row: row["bits_per_byte"])["name"]
    assert show_board(rows).splitlines()[1].endswith(best)
    assert main(["golf", *common, "--seed", "5"]) == 2
    assert "already" in capsys.readouterr().err
    assert len(board.read_text().splitlines()) == 2


def test_practice_needs_no_seed_and_writes_nothing(settings_file, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(golf, "PRACTICE", 2)
    board = tmp_path / "board.jsonl"
    assert main(["golf", str(settings_file), "--practice", "--board", str(board)]) == 0
    assert "no row is written" in capsys.readouterr().out and not board.exists()
    assert main(["golf", str(settings_file), "--board", str(board)]) == 2
    assert "Agree on a number" in capsys.readouterr().err
    board.write_text("{}\n")
    assert main(["golf", str(settings_file), "--seed", "1", "--board", str(board)]) == 2
    assert "line 1 is no row" in capsys.readouterr().err


def test_a_file_that_is_not_there_is_named(tmp_path, capsys):
    assert main(["golf", str(tmp_path / "no.json"), "--seed", "1"]) == 2
    assert "There is no file" in capsys.readouterr().err


def test_a_digest_does_not_know_the_name():
    a, b = Settings("a"), Settings("b")
    assert digest(a, 1, 2) == digest(b, 1, 2) != digest(a, 2, 2)
    assert read_settings.__doc__


def test_the_readme_tells_of_the_recorded_round():
    row = json.loads((ROOT / "playbook" / "recorded" / "golf.json").read_text(encoding="utf-8"))
    settings = Settings("the default")
    assert row["settings"] == asdict(settings) and row["noise"] < 0.005 * row["bits_per_byte"]
    config = make_model(settings, settings.vocab_size).config
    step = training_flops(config, settings.batch_size, settings.context_length)
    assert row["flops"] == 2 * 10**13 and row["steps"] == row["flops"] // golf.DRAWS // step
    told = f"{row['noise']:.4f} of {row['bits_per_byte']:.4f} bits"
    told += f", or {row['noise'] / row['bits_per_byte']:.2%}"
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert told in readme and f"took {row['cpu_seconds'] / 60:.0f} CPU-minutes" in readme
