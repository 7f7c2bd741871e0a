"""Faults that people really meet: interrupted runs, other texts, damaged files, full disks."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import psutil
import pytest
import torch
from course_files import ROOT, read_notebook
from safetensors.torch import load_file

from ch02.dataloader import STORY
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPT2_SIZES
from ch05.bonus import faster_training

WORDS = "the clock in the hall struck nine and nobody at the table looked up from the bread"


def write_text(path: Path, turn: int = 7) -> Path:
    """A text of a few hundred words, another one for each turn."""
    words = WORDS.split()
    path.write_text(" ".join(words[i * i * turn % len(words)] for i in range(700)) + ".\n")
    return path


@pytest.fixture
def text(tmp_path) -> Path:
    return write_text(tmp_path / "a.txt")


@pytest.fixture
def train(refusal, monkeypatch, tmp_path, text) -> Callable[..., str]:
    """Give the training command some options, and get what it says if it refuses."""

    def command(*options: str | Path, resume: bool = False) -> str:
        small = ["--out", tmp_path / "run", "--device", "cpu"]
        if not resume:
            small += ["--text", text, "--vocab-size", "300", "--context-length", "16"]
            small += ["--model-size", "small", "--epochs", "2"]
        return refusal(faster_training, *small, *(["--resume"] if resume else []), *options)

    monkeypatch.setitem(
        faster_training.MODEL_SIZES, "small", {"emb_dim": 16, "n_layers": 1, "n_heads": 2}
    )
    monkeypatch.setenv("COURSE_PRECISION", "float32")
    return command


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def epochs(folder: Path) -> list[int]:
    rows = torch.load(folder / "checkpoint.pt", weights_only=True)["progress"]["history"]
    return [row["epoch"] for row in rows]


@pytest.fixture
def stop_in(monkeypatch) -> Callable[[int], None]:
    """Let the next training be interrupted in an epoch, as by Ctrl-C."""
    step = faster_training.train_step

    def interrupt(epoch: int) -> None:
        evaluated = 0

        def count(*arguments):
            nonlocal evaluated
            evaluated += 1
            return true_evaluate(*arguments)

        def interrupted(*arguments):
            if evaluated == epoch - 1:
                monkeypatch.setattr(faster_training, "train_step", step)
                monkeypatch.setattr(faster_training, "fast_evaluate", true_evaluate)
                raise KeyboardInterrupt
            return step(*arguments)

        true_evaluate = faster_training.fast_evaluate
        monkeypatch.setattr(faster_training, "fast_evaluate", count)
        monkeypatch.setattr(faster_training, "train_step", interrupted)

    return interrupt


# ---- Runs that go on, and runs that must not.


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--lr", "1e-5", "--lr 0.001, not 1e-05"),
        ("--weight-decay", "0", "--weight-decay 0.1, not 0.0"),
        ("--seed", "7", "--seed 123, not 7"),
        ("--batch-size", "4", "--batch-size 8, not 4"),
        ("--drop-rate", "0.2", "--drop-rate 0.0, not 0.2"),
        ("--vocab-size", "290", "--vocab-size 300, not 290"),
        ("--tokenizer", "gpt2", "--tokenizer own, not gpt2"),
        ("--model-size", "gpt2", "--model-size small, not gpt2"),
        ("--context-length", "12", "--context-length 16, not 12"),
    ],
)
def test_a_run_goes_on_with_its_own_settings_or_not_at_all(option, value, message, train, tmp_path):
    assert train() == ""
    before = contents(tmp_path / "run")
    said = train("--epochs", "3", option, value, resume=True)
    assert message in said and "another --out folder" in said
    said = train(option, value)  # nor does another run take its place
    assert f"{tmp_path / 'run'} holds another run" in said and message in said
    assert contents(tmp_path / "run") == before


def test_every_setting_is_kept_or_may_change(train, tmp_path):
    """A new option of the command belongs into one of the two."""
    train()
    saved = json.loads((tmp_path / "run" / "settings.json").read_text(encoding="utf-8"))
    assert saved.keys() == {
        *("text", "epochs", "prompt"),  # may change
        *("lr", "weight_decay", "seed", "batch_size", "drop_rate", "vocab_size", "tokenizer"),
        *("model_size", "context_length", "precision", "text_sha256", "vocabulary_sha256"),
    }


def test_another_precision_is_refused_and_the_runs_own_is_kept(train, tmp_path, monkeypatch):
    train()
    monkeypatch.setenv("COURSE_PRECISION", "bfloat16")
    said = train("--epochs", "3", resume=True)
    assert "COURSE_PRECISION=float32, not bfloat16" in said
    monkeypatch.delenv("COURSE_PRECISION")
    monkeypatch.setattr("ch05.precision.bfloat16_gain", lambda: 4.0)
    assert train("--epochs", "3", resume=True) == ""
    saved = json.loads((tmp_path / "run" / "settings.json").read_text(encoding="utf-8"))
    assert saved["precision"] == "float32" and epochs(tmp_path / "run") == [1, 2, 3]


def test_an_edited_text_is_not_gone_on_with(train, tmp_path, text):
    train()
    before = contents(tmp_path / "run")
    text.write_text(text.read_text().replace("table", "chair"))
    said = train("--epochs", "3", resume=True)
    assert f"another text than {text} holds now" in said
    assert contents(tmp_path / "run") == before


def test_a_text_that_was_moved_is_gone_on_with(train, tmp_path, text):
    train()
    moved = shutil.move(text, tmp_path / "moved.txt")
    assert train("--epochs", "3", "--text", moved, resume=True) == ""
    assert epochs(tmp_path / "run") == [1, 2, 3]


def test_a_run_keeps_its_vocabulary(train, tmp_path, monkeypatch):
    train()
    monkeypatch.setattr(faster_training.BPETokenizer, "train", None)  # nothing is learned again
    assert train("--epochs", "3", resume=True) == ""
    other = BPETokenizer({bytes([255 - b]): b for b in range(256)})
    other.save(tmp_path / "run" / "vocabulary.tiktoken")
    assert "has another vocabulary" in train("--epochs", "4", resume=True)
    (tmp_path / "run" / "vocabulary.tiktoken").write_text("not base64 0\n")
    assert "vocabulary.tiktoken: this is not" in train("--epochs", "4", resume=True)


def test_stopped_in_the_first_epoch_a_run_starts_over_and_says_so(train, stop_in, tmp_path, capsys):
    stop_in(1)
    assert "no epoch was complete, so it has to start anew" in train()
    assert train(resume=True) == ""
    assert "no epoch of this run was complete: it starts from its" in capsys.readouterr().out
    resumed = load_file(tmp_path / "run" / "model.safetensors")
    shutil.rmtree(tmp_path / "run")
    train()
    whole = load_file(tmp_path / "run" / "model.safetensors")
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_a_run_never_goes_on_from_anothers_weights(train, stop_in, tmp_path, text):
    """Run A ends; run B starts in its folder, is stopped in its first epoch, and goes on."""
    train()
    before = contents(tmp_path / "run")
    other = write_text(tmp_path / "b.txt", turn=5)
    stop_in(1)
    said = train("--text", other)
    assert "run holds another run, with another text than" in said and "b.txt" in said
    assert contents(tmp_path / "run") == before
    # The same run once more starts anew: what its predecessor left is gone before the first step.
    stop_in(1)
    assert "no epoch was complete" in train()
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_stopped_run_is_not_overwritten_by_itself(train, stop_in, tmp_path):
    stop_in(2)
    assert "with --resume it goes on after the last complete epoch" in train()
    before = contents(tmp_path / "run")
    said = train()
    assert "holds this run, stopped before its end: go on with --resume" in said
    assert contents(tmp_path / "run") == before
    assert train(resume=True) == ""
    stop_in(2)
    train("--epochs", "5", resume=True)  # a whole model of two epochs, and a checkpoint of three
    assert epochs(tmp_path / "run") == [1, 2, 3]
    assert "holds this run, stopped before its end" in train("--epochs", "5")


@pytest.mark.parametrize("name", ["checkpoint.pt", "model.safetensors"])
def test_a_folder_of_something_else_is_left_alone(name, train, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).write_bytes(b"somebody's")
    assert f"holds {name} of something else" in train()
    assert contents(tmp_path / "run") == {name: b"somebody's"}


def test_fewer_epochs_than_are_complete_are_refused(train, tmp_path, capsys):
    train()
    assert "has 2 complete epochs already, more than --epochs 1" in train(
        "--epochs", "1", resume=True
    )
    capsys.readouterr()
    assert train(resume=True) == ""  # all done: the model is written, and nothing trained
    assert "2 of 2 epochs are complete" in capsys.readouterr().out
    assert epochs(tmp_path / "run") == [1, 2]


@pytest.mark.parametrize("damaged", ["", "{", "[1]", "\x00"])
def test_damaged_settings_are_named(damaged, train, tmp_path):
    train()
    (tmp_path / "run" / "settings.json").write_text(damaged)
    for resume in (False, True):
        assert "settings.json is damaged" in train(resume=resume)


@pytest.mark.parametrize("left", [5, 0.5, 0.99])
def test_a_damaged_checkpoint_ends_the_resumption_in_a_sentence(left, train, tmp_path):
    train()
    path = tmp_path / "run" / "checkpoint.pt"
    data = path.read_bytes()
    path.write_bytes(data[: left if left > 1 else int(left * len(data))])
    said = train("--epochs", "3", resume=True)
    assert "checkpoint.pt is not a whole checkpoint: it was cut off" in said


@pytest.mark.parametrize("value", ["gpt3", "Course", "llama"])
def test_a_switch_of_chapter_5_that_is_none_is_named(value, monkeypatch):
    (cell,) = (
        c for c in read_notebook(ROOT / "ch05" / "ch05.ipynb").cells if c.id == "ch05-switch"
    )
    monkeypatch.setenv("COURSE_MODEL", value)
    names = {"os": os, "STORY": STORY, "GPT2_SIZES": GPT2_SIZES}
    with pytest.raises(ValueError, match=f"COURSE_MODEL={value} is none of course, smollm2, gpt2"):
        exec(cell.source, names)


# ---- Disks that are full, and processes that are lost.


@pytest.mark.skipif(os.name != "posix", reason="a limit on the size of files is POSIX")
@pytest.mark.parametrize("what", ["checkpoint", "model", "classifier", "adapter"])
def test_a_full_disk_is_named_and_what_was_there_stays(what, tmp_path):
    """The limit on a file's size plays the full disk; each size ends the writing elsewhere."""
    program = f"""
import resource, sys, torch
from pathlib import Path
from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch05.bonus.faster_training import Progress, save_progress
from ch05.gpt_weights import save_pretrained
from ch06.gpt_class_finetune import GPTClassifier, save_classifier
sys.path.insert(0, "appendix-E")
from lora import add_lora, save_lora
model = GPTModel(GPTConfig(257, 8, 32, 2, 1))
classifier = GPTClassifier(model)
adapted = GPTModel(GPTConfig(257, 8, 32, 2, 1))
add_lora(adapted, rank=32, alpha=32)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
folder = Path({str(tmp_path)!r})
BPETokenizer.train("a b", 257).save(folder / "v")
def save():
    if {what!r} == "model":
        save_pretrained(model, folder)
    elif {what!r} == "classifier":
        save_classifier(classifier, BPETokenizer.load(folder / "v"), folder)
    elif {what!r} == "adapter":
        save_lora(adapted, folder / "adapter.safetensors")
    else:
        save_progress(folder / "checkpoint.pt", model, optimizer, Progress())
save()
before = {{path.name: path.read_bytes() for path in folder.iterdir()}}
for limit in (20_000, 3000, 100):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        save()
    except OSError as error:
        said = str(error)
        assert "could not be written" in said and "is the disk full" in said, said
        assert "\\n" not in said, said
    else:
        sys.exit(f"nothing was refused at {{limit}}")
    assert before == {{path.name: path.read_bytes() for path in folder.iterdir()}}
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_a_lost_process_ends_the_others_with_a_word_of_the_way_on(text, tmp_path):
    command = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    options = ("--vocab-size", "300", "--context-length", "16", "--epochs", "2000")
    options += ("--text", str(text), "--out", str(tmp_path / "run"), "--device", "cpu")
    environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    started = subprocess.Popen(
        [sys.executable, *command, "-m", "ch05.bonus.faster_training", *options],
        **{"cwd": ROOT, "env": environment, "text": True},
        **{"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE},
    )
    try:
        while not (tmp_path / "run" / "checkpoint.pt").exists():
            assert started.poll() is None, started.stderr.read()
            time.sleep(0.2)
        workers = psutil.Process(started.pid).children(recursive=True)
        worker = next(p for p in workers if p.environ().get("RANK") == "1")
        worker.kill()
        _, said = started.communicate(timeout=100)
    finally:
        started.kill()
    assert started.returncode != 0
    assert "with --resume it goes on after the last complete epoch" in said


def test_a_large_text_is_encoded_as_a_whole_would_be():
    draw = Random(5)
    signs = [
        "a",
        "bc",
        " ",
        "\n",
        "'s",
        "7",
        "é",
        "漢字",
        "。",
        "\t",
        "\u2003",
        "\x1c",
        "\r\n",
        "!",
    ]
    tokenizer = BPETokenizer.train("abc abc bc a's 77 漢字漢字 é é! \n\n bc" * 9, 290)
    for _ in range(60):
        text = "".join(draw.choices(signs, k=draw.randrange(400)))
        ids = faster_training.encode_parts(
            tokenizer, text, n_characters=draw.choice([1, 5, 40, 999])
        )
        assert ids.tolist() == tokenizer.encode_ordinary(text)


def test_a_large_text_is_announced(tmp_path, capsys):
    (tmp_path / "large.txt").write_text("ab " * 400_000)
    options = {"tokenizer": "gpt2", "resume": False, "out": tmp_path, "seed": 1}
    options |= {"text": tmp_path / "large.txt", "context_length": 16, "batch_size": 8}
    faster_training.load_data(argparse.Namespace(**options))
    said = capsys.readouterr()
    assert "reading 1,200,000 characters of" in said.out and "encoding" in said.err
