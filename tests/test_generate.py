"""Writing token by token: the stream, its text, and the command that prints it as it comes."""

import io
import math
import os
import subprocess
import sys

import pytest
import torch
from course_files import ROOT

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTConfig, GPTModel
from ch05 import gpt_generate
from ch05.gpt_generate import generate, next_token_probabilities, stream_text, stream_tokens
from ch05.gpt_weights import save_pretrained

TEXT = "가나다. 라마바! naïve 👩‍👩‍👧 £5 – “so”. " * 6


@pytest.fixture(scope="module")
def tokenizer() -> BPETokenizer:
    return BPETokenizer.train(TEXT, 280)


@pytest.fixture(scope="module")
def model(tokenizer) -> GPTModel:
    torch.manual_seed(0)
    return GPTModel(GPTConfig(tokenizer.vocab_size, 16, 24, 3, 2, 0.1, True, tie_weights=True))


@pytest.fixture
def folder(model, tokenizer, tmp_path):
    save_pretrained(model, tmp_path / "model", tokenizer)
    return tmp_path / "model"


# ---- The stream of tokens.


@pytest.mark.parametrize(
    "settings", [{}, {"temperature": 0}, {"top_k": 5}, {"top_p": 0.9}, {"stop_id": 7}]
)
def test_the_streamed_tokens_are_those_of_generate(model, settings):
    idx = torch.randint(model.config.vocab_size, (3, 5))

    def draw() -> torch.Generator:
        return torch.Generator().manual_seed(3)

    steps = list(stream_tokens(model, idx, 20, generator=draw(), **settings))
    assert all(step.shape == (3, 1) for step in steps)
    expected = generate(model, idx, 20, generator=draw(), **settings)
    assert torch.equal(torch.cat([idx, *steps], dim=1), expected)


def test_a_stream_that_is_left_alone_leaves_the_model_in_training(model):
    model.train()
    steps = stream_tokens(model, torch.tensor([[1, 2]]), 5)
    next(steps)
    assert model.training and torch.is_grad_enabled()
    with pytest.raises(ValueError, match="top_k=0"):
        next(stream_tokens(model, torch.tensor([[1, 2]]), 5, top_k=0))
    assert model.training


def test_an_error_while_reading_leaves_the_model_in_training(model, monkeypatch):
    def interrupted(*arguments):
        assert not model.training
        raise KeyboardInterrupt

    monkeypatch.setattr(gpt_generate, "read", interrupted)
    model.train()
    with pytest.raises(KeyboardInterrupt):
        generate(model, torch.tensor([[1, 2]]), 5)
    assert model.training


@pytest.mark.parametrize("temperature", [1e-46, 1e-300, 5e-324])
@pytest.mark.parametrize("dtype", [torch.float32, torch.double, torch.bfloat16])
def test_a_temperature_too_small_for_the_scores_is_greedy(temperature, dtype):
    logits = torch.tensor([[0.1, 0.4, -30.0, 0.3]], dtype=dtype)
    for cut in ({}, {"top_k": 3}, {"top_p": 0.9}):
        probabilities = next_token_probabilities(logits, temperature, **cut)
        assert probabilities.tolist() == [[0, 1, 0, 0]]


def test_an_endless_temperature_makes_all_tokens_alike():
    probabilities = next_token_probabilities(torch.randn(2, 5), math.inf)
    torch.testing.assert_close(probabilities, torch.full((2, 5), 0.2))


# ---- The stream of text.


def test_streamed_text_joins_to_the_whole_and_holds_no_half_character(tokenizer):
    ids = tokenizer.encode(TEXT)
    pieces = list(stream_text(tokenizer.decode, ids))
    assert "".join(pieces) == TEXT and len(pieces) > 50
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    by_bytes = list(stream_text(tokenizer.decode, "가£a".encode()))  # ids below 256 are bytes
    assert by_bytes == ["가", "£", "a"]


def test_streamed_text_of_any_tokens_is_the_decoded_text(tokenizer):
    for seed in range(50):
        torch.manual_seed(seed)
        ids = torch.randint(tokenizer.vocab_size, (40,)).tolist()
        assert "".join(stream_text(tokenizer.decode, ids)) == tokenizer.decode(ids)
    ids = [*"a가".encode()][:-1]  # it ends inside of a character
    assert list(stream_text(tokenizer.decode, ids)) == ["a", "\N{REPLACEMENT CHARACTER}"]
    assert list(stream_text(tokenizer.decode, [])) == []


def test_each_character_is_shown_when_its_last_byte_is_there(tokenizer):
    taken = []
    ids = (taken.append(i) or i for i in "가a".encode())
    shown = [(piece, len(taken)) for piece in stream_text(tokenizer.decode, ids)]
    assert shown == [("가", 3), ("a", 4)]


# ---- The command.


def command(folder, monkeypatch, *arguments: str) -> None:
    given = ["--model", str(folder), "--device", "cpu", *arguments]
    monkeypatch.setattr(sys, "argv", ["gpt_generate", *given])
    gpt_generate.main()


def test_the_command_prints_each_piece_before_the_next_is_drawn(folder, monkeypatch, capsys):
    seen = []

    def spy(*arguments, **settings):
        for step in stream_tokens(*arguments, **settings):
            seen.append(capsys.readouterr().out)
            yield step

    monkeypatch.setattr(gpt_generate, "stream_tokens", spy)
    command(folder, monkeypatch, "--prompt", "so. ", "--tokens", "30")
    assert seen[0] == "" and len(seen) == 30  # a wrong setting would have been refused by now
    assert "".join(seen).startswith("so. ") and sum(piece != "" for piece in seen) > 3


def test_the_command_writes_what_generate_does(folder, model, tokenizer, monkeypatch, capsys):
    command(folder, monkeypatch, "--prompt", "so. 가", "--tokens", "25", "--seed", "4")
    idx = torch.tensor([tokenizer.encode("so. 가")])
    draw = torch.Generator().manual_seed(4)
    expected = tokenizer.decode(generate(model, idx, 25, 0.8, generator=draw)[0])
    assert capsys.readouterr().out == expected + "\n"


@pytest.mark.parametrize("encoding", ["cp949", "cp1252", "ascii"])
def test_a_terminal_that_cannot_hold_a_character_ends_nothing(folder, monkeypatch, encoding):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    command(folder, monkeypatch, "--prompt", "so £5 가", "--tokens", "3")
    terminal.seek(0)
    written = terminal.buffer.getvalue().decode(encoding)
    assert written.startswith("so ") and "?" in written and written.endswith(os.linesep)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--temperature", "nan"], "temperature=nan must be"),
        (["--device", "cpu:x"], "device 'cpu:x' is not here"),
        (["--tokens", "-1"], "n_tokens=-1"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_printed(
    folder, monkeypatch, capsys, arguments, message
):
    with pytest.raises(SystemExit, match=f"gpt_generate: {message}"):
        command(folder, monkeypatch, *arguments)
    assert capsys.readouterr().out == ""


def test_a_very_small_temperature_writes_the_greedy_text(folder, monkeypatch, capsys):
    texts = []
    for temperature in ("0", "1e-46"):
        command(folder, monkeypatch, "--temperature", temperature, "--tokens", "12")
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]


def test_ctrl_c_ends_the_command_in_one_line(folder, monkeypatch, capsys):
    def interrupted(*arguments, **settings):
        yield torch.tensor([[65]])
        raise KeyboardInterrupt

    monkeypatch.setattr(gpt_generate, "stream_tokens", interrupted)
    with pytest.raises(SystemExit) as stopped:
        command(folder, monkeypatch, "--prompt", "so")
    assert stopped.value.code == "\ngpt_generate: stopped"
    assert capsys.readouterr().out == "soA"


@pytest.mark.slow  # it starts Python and PyTorch anew
def test_a_reader_that_goes_away_is_no_fault(folder):
    program = [sys.executable, "-m", "ch05.gpt_generate", "--model", str(folder), "--device", "cpu"]
    writer = subprocess.Popen(
        [*program, "--tokens", "3000"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    writer.stdout.read(4)
    writer.stdout.close()
    said = writer.stderr.read().decode()
    writer.stderr.close()
    assert writer.wait(60) == 1 and len(said.splitlines()) <= 1 and "Traceback" not in said
