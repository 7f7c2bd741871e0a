"""The lesson's loop: PyTorch's loss, a run that goes on exactly, and its small command line."""

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.optim.lr_scheduler import LambdaLR

from ch02.dataloader import create_dataloader
from ch04.gpt import GPTConfig, GPTModel
from ch05 import gpt_train
from ch05.bonus.faster_training import fast_evaluate, fast_loss
from ch05.gpt_train import (
    IGNORE,
    evaluate,
    load_checkpoint,
    next_token_loss,
    save_checkpoint,
    train,
)
from ch05.gpt_weights import load_pretrained
from ch05.training_loop import train as long_train


def tiny_model(**changes) -> GPTModel:
    sizes = {"vocab_size": 300, "context_length": 8, "emb_dim": 12, "n_heads": 3, "n_layers": 2}
    return GPTModel(GPTConfig(**sizes | {"drop_rate": 0.0} | changes))


def loaders():
    """Ids in which something can be learned: 6 steps an epoch, and a validation of 2 batches."""
    ids = torch.arange(200).square() % 300
    return (
        create_dataloader(ids, 8, 4),
        create_dataloader(ids[:57].flip(0), 8, 4, shuffle=False, drop_last=False),
    )


def new_run(seed: int = 1):
    """A training with everything that a resumed one could get wrong."""
    torch.manual_seed(seed)
    model = tiny_model(drop_rate=0.1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    return model, optimizer, LambdaLR(optimizer, lambda step: 0.9**step)


def same_weights(a, b) -> bool:
    b_state = b.state_dict()
    return all(torch.equal(weight, b_state[name]) for name, weight in a.state_dict().items())


def test_the_loop_is_short_enough_to_be_read():
    assert len(inspect.getsource(train).splitlines()) <= 40


def test_the_loss_is_that_of_the_fast_one():
    model, ids = tiny_model(), torch.randint(300, (4, 9))
    inputs, targets = ids[:, :-1], ids[:, 1:].contiguous()
    targets[0, :3] = IGNORE
    ours, fast = (f(model, inputs, targets) for f in (next_token_loss, fast_loss))
    torch.testing.assert_close(ours, fast)
    losses = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), reduction="none")
    torch.testing.assert_close(ours, losses.sum() / 29)


@pytest.mark.parametrize("training", [True, False])
def test_evaluate_is_the_mean_over_tokens_and_changes_nothing(training):
    model, (_, val_loader) = tiny_model(drop_rate=0.5).train(training), loaders()
    random = torch.get_rng_state()
    loss = evaluate(model, val_loader)
    assert loss == evaluate(model, val_loader)  # so dropout is off
    assert loss == pytest.approx(fast_evaluate(model, val_loader), rel=1e-5)
    assert model.training is training and torch.equal(random, torch.get_rng_state())


def test_the_history_says_what_happened():
    model, optimizer, scheduler = new_run()
    seen = []

    def note(history: list[dict]) -> None:
        seen.append(len(history))

    history = train(model, *loaders(), optimizer, 3, scheduler, after_epoch=note)
    assert [(row["epoch"], row["step"]) for row in history] == [(1, 6), (2, 12), (3, 18)]
    assert history[-1]["train_loss"] < history[0]["train_loss"] < 6
    assert history[-1]["val_loss"] == evaluate(model, loaders()[1])
    assert seen == [1, 2, 3] and scheduler.get_last_lr() == [pytest.approx(1e-2 * 0.9**18)]


def test_an_epoch_learns_what_the_long_loop_learns():
    results = []
    for is_long in (False, True):
        torch.manual_seed(4)
        model, (train_loader, val_loader) = tiny_model(), loaders()
        train_loader.generator.manual_seed(0)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        if is_long:
            long_train(model, train_loader, optimizer, len(train_loader), val_loader)
        else:
            train(model, train_loader, val_loader, optimizer, 1)
        results.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("stop", [0, 1, 2, 3])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(stop, tmp_path):
    model, optimizer, scheduler = new_run()
    whole = train(model, *loaders(), optimizer, 3, scheduler)

    first, optimizer, scheduler = new_run()
    history = train(first, *loaders(), optimizer, stop, scheduler)
    save_checkpoint(tmp_path / "c.pt", first, optimizer, history, scheduler)

    second, optimizer, scheduler = new_run(seed=99)  # as after a fresh start of Python
    history = load_checkpoint(tmp_path / "c.pt", second, optimizer, scheduler)
    assert len(history) == stop
    assert train(second, *loaders(), optimizer, 3, scheduler, history) == whole
    assert same_weights(second, model)


def test_the_history_that_is_given_stays_as_it_was():
    model, optimizer, _ = new_run()
    history = train(model, *loaders(), optimizer, 1)
    train(model, *loaders(), optimizer, 2, history=history)
    assert len(history) == 1


# ---- The command line.

WORDS = "the clock in the hall struck nine and nobody at the table looked up from the bread"


@pytest.fixture
def command(refusal, tmp_path) -> Callable[..., str]:
    """Give the command some options, and get the sentence with which it refuses, or nothing."""
    words = WORDS.split()
    text = " ".join(words[i * i * 7 % len(words)] for i in range(400)) + ".\n"
    (tmp_path / "a.txt").write_text(text)

    def run(*options: str | Path) -> str:
        small = ["--text", tmp_path / "a.txt", "--vocab-size", "300", "--context-length", "16"]
        small += ["--out", tmp_path / "run", "--device", "cpu", "--epochs", "1", *options]
        return refusal(gpt_train, *small)

    return run


def test_a_model_folder_is_left_and_the_report_has_losses_and_a_sample(command, tmp_path, capsys):
    assert command("--prompt", "the clock") == ""
    said = capsys.readouterr().out
    for part in (
        "train loss",
        "validation loss",
        "tokens per second",
        "\nthe clock",
        "after epoch",
        "is the loss of a choice among ",
    ):
        assert part in said
    model, tokenizer = load_pretrained(tmp_path / "run")
    assert tokenizer.vocab_size == model.config.vocab_size <= 300


def test_a_stopped_command_goes_on_to_where_a_whole_one_ends(command, tmp_path):
    assert command("--epochs", "2") == ""
    whole, _ = load_pretrained(tmp_path / "run")
    assert command("--out", tmp_path / "other") == ""
    assert command("--out", tmp_path / "other", "--epochs", "2", "--resume") == ""
    assert same_weights(load_pretrained(tmp_path / "other")[0], whole)


def test_no_run_replaces_another_and_none_goes_on_otherwise(command, tmp_path):
    assert "there is no run to resume" in command("--resume")
    command()
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert "holds checkpoint.pt of another run" in command()
    for option, value, name in (
        ("--lr", "0.1", "lr=0.001, not 0.1"),
        ("--batch-size", "4", "batch_size=8, not 4"),
        ("--context-length", "8", "context_length=16, not 8"),
    ):
        assert name in command("--resume", "--epochs", "2", option, value)
    (tmp_path / "a.txt").write_text((tmp_path / "a.txt").read_text() + "more ")
    assert "has text=" in command("--resume", "--epochs", "2")
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_damaged_checkpoint_is_named(command, tmp_path):
    command()
    path = tmp_path / "run" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-2000])
    assert "cannot be gone on with: it was cut off" in command("--resume", "--epochs", "2")


def test_an_interruption_says_how_to_go_on(command, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(gpt_train, "train", interrupt)
    assert "with --resume it goes on" in command()


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (None, ["--text", "none.txt"], "No such file"),
        (b"caf\xe9 " * 500, [], "is not UTF-8 text"),
        (b"", [], "is empty"),
        (b"The rain. " * 20, [], "too short for these settings"),
        (None, ["--context-length", "0"], "--context-length 0 must be at least 1"),
        (None, ["--vocab-size", "256"], "--vocab-size 256 must be at least 257"),
        (None, ["--lr", "nan"], "--lr nan must be above 0, and finite"),
        (None, ["--prompt", ""], "--prompt is empty"),
        (None, ["--device", "tpu"], "device 'tpu' is not here"),
        (None, ["--lr", "1e30"], "lower the learning rate"),
    ],
)
def test_bad_input_gives_one_sentence_and_leaves_no_model(
    content, options, message, command, tmp_path
):
    if content is not None:
        (tmp_path / "a.txt").write_bytes(content)
    said = command(*options)
    assert said.startswith("gpt_train: ") and message in said
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_seed_that_is_none_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpt_train", "--seed", "-1"])
    with pytest.raises(SystemExit) as stopped:
        gpt_train.main()
    assert stopped.value.code == 2 and "--seed -1 must be" in capsys.readouterr().err


def test_the_settings_of_a_run_are_kept(command, tmp_path):
    command()
    saved = json.loads((tmp_path / "run" / "settings.json").read_text(encoding="utf-8"))
    assert saved["lr"] == 1e-3 and len(saved["text"]) == 64
