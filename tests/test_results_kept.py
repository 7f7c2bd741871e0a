"""No result is lost: a folder is tried before a training, and results are saved before the rest."""

import json
import sys
from pathlib import Path

import pytest

from ch05.training_loop import Progress
from ch06 import gpt_class_finetune
from ch07 import gpt_instruction_finetuning

ROW = {"train_loss": 1.0, "val_loss": 1.0}
ENTRIES = [
    {"instruction": f"Say {i}.", "output": f"{i} \ud83d", "kind": "\udc00", "split": split}
    for split in ("train", "development", "test")
    for i in range(16)
]


class Trained(Exception):
    """A training has begun."""


def start(module, monkeypatch, *options: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", [module.__name__, "--device", "cpu", *map(str, options)])
    module.main()


@pytest.fixture
def data(tmp_path) -> Path:
    """Entries with halves of characters, as a JSON file can hold them."""
    path = tmp_path / "data.json"
    path.write_text(json.dumps(ENTRIES), encoding="utf-8")
    return path


@pytest.mark.parametrize("place", ["a file", "a file/below", "\0"])
def test_where_nothing_can_be_written_nothing_is_trained(place, data, tmp_path, monkeypatch):
    def train(*arguments, **settings):
        raise Trained

    (tmp_path / "a file").touch()
    out = tmp_path / place
    monkeypatch.setattr(gpt_class_finetune, "train_classifier", train)
    monkeypatch.setattr(gpt_instruction_finetuning, "finetune", train)
    with pytest.raises(SystemExit, match="^gpt_class_finetune: .*a file|null"):
        start(gpt_class_finetune, monkeypatch, "--out", out)
    with pytest.raises(SystemExit, match="^gpt_instruction_finetuning: .*a file|null"):
        start(gpt_instruction_finetuning, monkeypatch, "--out", out, "--data", data)
    with pytest.raises(Trained):
        start(gpt_class_finetune, monkeypatch, "--out", tmp_path / "fine")
    with pytest.raises(Trained):
        start(gpt_instruction_finetuning, monkeypatch, "--out", tmp_path / "good", "--data", data)
    assert not (tmp_path / "fine").exists() and not (tmp_path / "good").exists()


def test_a_classifier_is_saved_before_it_is_tested(tmp_path, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(
        gpt_class_finetune, "train_classifier", lambda *arguments, **settings: [ROW]
    )
    monkeypatch.setattr(gpt_class_finetune, "predict", interrupt)
    with pytest.raises(SystemExit, match="stopped"):
        start(gpt_class_finetune, monkeypatch, "--out", tmp_path)
    gpt_class_finetune.load_classifier(tmp_path)


def test_responses_with_half_a_character_are_saved_and_before_they_are_counted(
    data, tmp_path, monkeypatch
):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    module = gpt_instruction_finetuning
    monkeypatch.setattr(module, "finetune", lambda *arguments, **settings: Progress(history=[ROW]))
    monkeypatch.setattr(module, "respond", lambda m, t, entries, n: ["a"] * len(entries))
    monkeypatch.setattr(module, "which_right", interrupt)
    with pytest.raises(SystemExit, match="stopped"):
        start(module, monkeypatch, "--out", tmp_path / "out", "--data", data)
    saved = json.loads((tmp_path / "out" / "responses.json").read_text(encoding="utf-8"))
    assert saved == [entry | {"response": "a"} for entry in ENTRIES[-16:]]
    assert (tmp_path / "out" / "model.safetensors").exists()
