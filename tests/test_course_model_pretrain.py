"""The recipe of the course's own model, and the measure of whether a model keeps its names."""

import hashlib
import json
import sys
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file

from ch02.tokenizer import BPETokenizer
from ch05.checkpoints import find_checkpoints, read_facts
from ch05.course_model import card, names, pretrain
from ch05.course_model.corpus import write_documents
from ch05.course_model.names import (
    Tale,
    count_names,
    kept_names,
    measure,
    read_tales,
    report,
    same_length_batches,
)
from ch05.course_model.pretrain import MuonWithAdamW, warmup_cosine
from ch05.course_model.world.earth import MAKERS
from ch05.gpt_weights import load_pretrained

pytestmark = pytest.mark.slow

TINY = ["--tokens", "0.03", "--emb-dim", "16", "--n-heads", "2"]
TINY += ["--n-layers", "1", "--context-length", "128", "--batch-size", "4"]
TINY += ["--save-every", "32", "--device", "cpu"]


def run(monkeypatch, module, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    module.main()


@pytest.fixture
def small_parts(monkeypatch):
    """Less text for vocabulary and validation, and fewer questions, than the recipe takes."""
    monkeypatch.setattr(pretrain, "VOCABULARY_BYTES", 30_000)
    monkeypatch.setattr(pretrain, "VALIDATION_BYTES", 5_000)
    monkeypatch.setattr(card, "N_COPIED", 5)
    monkeypatch.setattr(card, "N_FACTS", 1)


def run_recipe(monkeypatch, folder, *more: str) -> None:
    places = ["--vocab-size", "400", "--work", folder, "--out", folder / "model"]
    run(monkeypatch, pretrain, *TINY, *places, *more)


def test_an_interrupted_pretraining_goes_on_exactly(small_parts, monkeypatch, tmp_path):
    run_recipe(monkeypatch, tmp_path / "whole")

    saved = pretrain.save_checkpoint

    def save_and_stop(*arguments):
        saved(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(pretrain, "save_checkpoint", save_and_stop)
    for _ in range(3):  # the last time after the last step, before the folder is written
        with pytest.raises(SystemExit, match="the same command goes on"):
            run_recipe(monkeypatch, tmp_path / "stopped")
        assert find_checkpoints(tmp_path / "stopped" / "checkpoints")
    assert not (tmp_path / "stopped" / "model").exists()
    monkeypatch.setattr(pretrain, "save_checkpoint", saved)
    run_recipe(monkeypatch, tmp_path / "stopped")

    whole, stopped = (
        load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "stopped")
    )
    assert whole.keys() == stopped.keys()
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)
    assert {weight.dtype for weight in whole.values()} == {torch.float16}


def test_the_model_learns_and_its_folder_is_read(small_parts, monkeypatch, tmp_path):
    run_recipe(monkeypatch, tmp_path)
    facts = read_facts(find_checkpoints(tmp_path / "checkpoints")[0])
    losses = [row["val_loss"] for row in facts["progress"]["history"]]
    assert losses[-1] < losses[0]
    model, tokenizer = load_pretrained(tmp_path / "model")
    assert model.config.vocab_size == tokenizer.vocab_size == 400
    with pytest.raises(SystemExit, match="emb_dim=16, not 32"):
        run_recipe(monkeypatch, tmp_path, "--emb-dim", "32")


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--n-heads", "3", "emb_dim=16 is not a multiple of n_heads=3"),
        ("--n-layers", "0", "n_layers=0 must be at least 1"),
        ("--device", "tpu", "device 'tpu' is not here"),
        ("--vocab-size", "256", "vocab_size=256 must be from 257 to 65536"),
        ("--vocab-size", "65537", "vocab_size=65537"),
        ("--context-length", "0", "context_length=0 must be at least 1"),
        ("--batch-size", "0", "batch_size=0 must be at least 1"),
        ("--save-every", "0", "save_every=0 must be at least 1"),
        ("--save-every", "-1", "save_every=-1"),
        ("--lr", "nan", "lr=nan must be above 0, and finite"),
        ("--lr", "-1", "lr=-1.0"),
        ("--lr", "inf", "lr=inf"),
        ("--tokens", "0", "tokens=0.0 must be more than a batch, and finite"),
        ("--tokens", "-1", "tokens=-1.0"),
        ("--tokens", "nan", "tokens=nan"),
        ("--tokens", "inf", "tokens=inf"),
        ("--seed", "-1", "seed=-1"),
        ("--seed", "99999999999999999999", "seed=99999999999999999999"),
    ],
)
def test_a_refused_command_leaves_no_trace(option, value, message, monkeypatch, tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        run_recipe(monkeypatch, tmp_path / "work", option, value)
    assert message in str(stopped.value.code) + capsys.readouterr().err
    assert not (tmp_path / "work").exists()


def test_the_learning_rate_rises_in_a_line_and_falls_to_its_floor():
    share = warmup_cosine(1000, n_warmup=100, floor=0.05)
    assert share(0) == pytest.approx(0.01) and share(99) == 1.0 and share(100) == 1.0
    assert share(550) == pytest.approx(0.05 + 0.95 / 2)
    assert share(1000) == pytest.approx(0.05)


def test_a_name_is_kept_if_it_was_met_before():
    beginning = "Ada is a mechanic, and Jane is a photographer."
    assert kept_names(beginning, " Ada met Jane, and Jane met Ada.") == (4, 4)
    assert kept_names(beginning, " Leo met Ada. Leo sang.") == (2, 3)  # the first Leo is new
    assert kept_names(beginning, " Nobody sang. Adam and Janet did.") == (0, 0)


def test_who_made_a_work_and_the_work_itself_are_no_people_of_a_tale():
    assert names.names_in("Jane Austen wrote Emma, said Jane.") == ["Jane"]
    assert names.names_in("Victor Hugo and Peter Pan met Hugo, Victor and Peter.") == [
        *("Hugo", "Victor", "Peter")
    ]
    for famous in (*MAKERS, *MAKERS.values()):
        assert names.names_in(f"On the wall hung a portrait, and below it stood: {famous}.") == []


def test_a_text_that_names_one_person_keeps_its_names_and_loses_the_other():
    beginning = "Ada is a mechanic, and Jane is a photographer."
    one = Tale(beginning, ' Ada met Ada. "I am Ada!" It rained. Ada, said Ada.')
    two = Tale(beginning, " Ada met Jane. Jane sang.")
    alone = Tale("Leo is a baker.", " Leo sang.")
    assert count_names([one]) == {
        "names": 5,
        "kept": 5,
        "pairs": 1,
        "both": 0,
        "sentences": 3,
        "doubled": 2,
    }
    assert count_names([two, alone]) == {
        "names": 4,
        "kept": 4,
        "pairs": 1,
        "both": 1,
        "sentences": 3,
        "doubled": 0,
    }


def test_tales_begin_with_somebody_and_are_whole():
    documents = (d.text for d in write_documents(5) if d.register == "tale")
    for tale in islice(read_tales(seed=5), 20):
        assert names.names_in(tale.beginning)
        assert any(text == tale.beginning + tale.rest for text in documents)


def test_beginnings_of_a_batch_have_equally_many_tokens():
    tokenizer = BPETokenizer.train("zz", 257)  # bytes, and zz
    tales = [Tale(beginning, "") for beginning in ("ab", "abc", "cd", "x", "def", "ef")]
    batches = same_length_batches(tokenizer, tales, size=2)
    assert [[t.beginning for t in batch] for batch in batches] == [["ab", "cd"], ["abc", "def"]]


def test_every_beginning_is_continued_and_counted(small_parts, monkeypatch, tmp_path):
    run_recipe(monkeypatch, tmp_path)
    model, tokenizer = load_pretrained(tmp_path / "model")
    result = measure(model, tokenizer, n_stories=20, n_tokens=8)
    assert result["stories"] == 20 and 0 <= result["kept"] <= result["names"]
    assert result["corpus"]["pairs"] == result["pairs"]  # the same beginnings
    assert f"{result['corpus']['kept']} of {result['corpus']['names']}, " in report(result)
    with pytest.raises(SystemExit, match="n_stories=7 must be a multiple of 10"):
        run(monkeypatch, names, "--model", tmp_path / "model", "--stories", "7")
    for n in ("0", "-3"):
        with pytest.raises(SystemExit, match=f"n_tokens={n} must be at least 1"):
            run(monkeypatch, names, "--model", tmp_path / "model", "--tokens", n)
    with pytest.raises(SystemExit, match="is not there"):
        run(monkeypatch, names, "--model", tmp_path / "nothing")


def test_the_card_says_what_the_run_did(small_parts, monkeypatch, tmp_path):
    run_recipe(monkeypatch, tmp_path, "--seed", "3")
    folder = tmp_path / "model"
    text = (folder / "README.md").read_text(encoding="utf-8")
    weights = (folder / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() in text
    assert "--seed 3" in text and "--emb-dim 16" in text and "--work" not in text
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    assert history["steps"] * 4 * 128 == history["tokens"][-1]
    assert len(history["tokens"]) == len(history["val_loss"]) == len(history["recall"]["plural"])
    assert f"{history['tokens'][-1]:,} tokens" in text
    measures = history["measures"]
    assert [n for _, n in measures["right"].values()][:3] == [5, 5, 5]
    assert all(0 <= right <= n for right, n in measures["right"].values())
    for name, (right, n) in measures["right"].items():
        assert f"| {name} | {right / n:.1%} (" in text
    assert f"perplexity {measures['messages']['perplexity']:.1f}, " in text
    assert (folder / "training.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_a_run_goes_on_from_another_ones_model(small_parts, monkeypatch, tmp_path):
    first, second = tmp_path / "first" / "model", tmp_path / "second" / "model"
    run_recipe(monkeypatch, tmp_path / "first")
    started = load_file(first / "model.safetensors")
    seen = []
    monkeypatch.setattr(
        pretrain,
        "MuonWithAdamW",
        lambda model, lr: (
            seen.append({name: p.detach().half() for name, p in model.named_parameters()})
            or MuonWithAdamW(model, lr)
        ),
    )
    run_recipe(monkeypatch, tmp_path / "second", "--seed", "7", "--start-from", first)
    (table,) = (t for name, t in started.items() if name.endswith("wte.weight"))
    assert torch.equal(seen[0]["tok_emb.weight"], table)
    assert (second / "vocabulary.tiktoken").read_bytes() == (
        first / "vocabulary.tiktoken"
    ).read_bytes()
    before, history = (
        json.loads((folder / "history.json").read_text(encoding="utf-8"))
        for folder in (first, second)
    )
    n = len(before["tokens"])
    assert history["val_loss"][:n] == before["val_loss"] and len(history["val_loss"]) > n
    assert history["tokens"][-1] == sum(run["tokens"] for run in history["runs"])
    card = (second / "README.md").read_text(encoding="utf-8")
    assert "--work runs/course-model-1 --out runs/course-model-1/model\n" in card
    assert "--seed 7 --start-from runs/course-model-1/model\n" in card
    with pytest.raises(SystemExit, match="a model with n_layers=1, not 2: give its settings"):
        run_recipe(monkeypatch, tmp_path / "deep", "--n-layers", "2", "--start-from", first)
    (first / "history.json").unlink()
    with pytest.raises(SystemExit, match="history.json is not there: start from a model folder"):
        run_recipe(monkeypatch, tmp_path / "third", "--start-from", first)


def test_a_pretraining_keeps_its_precision(small_parts, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_PRECISION", "bfloat16")
    run_recipe(monkeypatch, tmp_path)
    settings = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    assert settings["precision"] == "bfloat16"
    monkeypatch.setenv("COURSE_PRECISION", "float32")
    with pytest.raises(SystemExit, match="precision=bfloat16, not float32"):
        run_recipe(monkeypatch, tmp_path)
    monkeypatch.delenv("COURSE_PRECISION")
    run_recipe(monkeypatch, tmp_path)  # on a machine where another one would pay
    # A run that began before precisions were kept goes on in float32.
    del settings["precision"]
    (tmp_path / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    assert pretrain.settled_precision(tmp_path / "settings.json") == "float32"
