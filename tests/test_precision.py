"""Long trainings compute in the precision that pays; what a notebook calls stays in float32."""

import inspect
import sys

import pytest
import torch
from test_setup import check_environment

from ch02.dataloader import STORY
from ch05 import precision, pretrain
from ch05.bonus.faster_training import fast_evaluate, find_gradients, train_step
from ch05.token_shards import prepare
from ch05.training_loop import train
from ch06 import gpt_class_finetune
from ch06.gpt_class_finetune import classification_loss, train_classifier
from ch07 import gpt_instruction_finetuning
from ch07.gpt_instruction_finetuning import finetune


class Reached(Exception):
    """A training has begun, in a precision."""


@pytest.mark.parametrize("name", precision.PRECISIONS)
@pytest.mark.parametrize(
    ("module", "training", "options"),
    [
        (pretrain, "train", ["--emb-dim", "16", "--n-heads", "2"]),
        (gpt_class_finetune, "train_classifier", ["--per-class", "4"]),
        (gpt_instruction_finetuning, "finetune", []),
    ],
)
def test_a_command_trains_in_the_precision_that_is_chosen(
    module, training, options, name, monkeypatch, tmp_path, capsys
):
    def note(*arguments, precision, **more):
        raise Reached(precision)

    monkeypatch.setenv("COURSE_PRECISION", name)
    monkeypatch.setattr(module, training, note)
    arguments = ["--out", tmp_path / "out", "--device", "cpu", *options]
    if module is pretrain:
        prepare([STORY], tmp_path / "data", vocab_size=300)
        arguments = ["train", "--data", tmp_path / "data", *arguments]
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    with pytest.raises(Reached, match=name):
        module.main()
    if module is not pretrain:  # it times some steps before it says what it does
        assert f" on cpu in {name}" in capsys.readouterr().out


@pytest.mark.parametrize("module", [pretrain, gpt_class_finetune, gpt_instruction_finetuning])
def test_a_command_refuses_a_precision_that_is_none(module, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_PRECISION", "float23")
    arguments = ["--out", str(tmp_path / "out"), "--device", "cpu"]
    if module is pretrain:
        prepare([STORY], tmp_path / "data", vocab_size=300)
        arguments = ["train", "--data", str(tmp_path / "data"), *arguments]
    monkeypatch.setattr(sys, "argv", [module.__name__, *arguments])
    with pytest.raises(SystemExit, match="COURSE_PRECISION='float23' is no precision: choose from"):
        module.main()


@pytest.mark.parametrize(
    "function",
    [
        train,
        find_gradients,
        train_step,
        fast_evaluate,
        train_classifier,
        classification_loss,
        finetune,
    ],
)
def test_a_notebook_computes_in_float32_unless_it_says_otherwise(function):
    assert inspect.signature(function).parameters["precision"].default == "float32"


def test_a_classifiers_loss_is_computed_in_float32():
    model = torch.nn.Linear(8, 2)
    batch = (torch.randn(16, 8), torch.randint(2, (16,)))
    exact, _ = classification_loss(model, batch)
    coarse, logits = classification_loss(model, batch, "bfloat16")
    assert coarse.dtype == logits.dtype == torch.float32
    assert 0 < abs(exact - coarse) < 0.01
    assert torch.equal(logits, logits.bfloat16().float())  # the product had 16 bits


def test_the_environment_check_shows_it(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    monkeypatch.setenv("COURSE_PRECISION", "bfloat16")
    row = check_environment.check_precision()
    assert row.found.startswith("bfloat16 on cpu: bfloat16 is ") and not row.advice
    monkeypatch.setenv("COURSE_PRECISION", "half")
    assert check_environment.check_precision().fatal
