"""A terminal or file that cannot hold a character ends no command: the character is replaced."""

import ast
import importlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from course_files import COMMANDS, ROOT, dotted_name, relative

from course.terminal import replace_unprintable

# Korean Windows, western Windows, and a bare Linux container.
ENCODINGS = ("cp949", "cp1252", "ascii")
# A letter, a pound, a Hangul syllable, U+FFFD, a badger, and half of a surrogate pair.
SIGNS = "a£한\ufffd🦡\ud83e"


def terminal(encoding: str, data: bytes = b"") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding=encoding, newline="\n")


def what_was_written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


@pytest.mark.parametrize("encoding", [*ENCODINGS, "utf-8"])
def test_what_the_terminal_lacks_becomes_a_question_mark(encoding, monkeypatch):
    monkeypatch.setattr(sys, "stdout", terminal(encoding))
    with pytest.raises(UnicodeEncodeError):
        print(SIGNS)
    monkeypatch.setattr(sys, "stdout", terminal(encoding))
    replace_unprintable()
    print(SIGNS)
    known = {"cp949": "한", "cp1252": "£", "ascii": "", "utf-8": "£한\ufffd🦡"}[encoding]
    expected = "".join(sign if sign == "a" or sign in known else "?" for sign in SIGNS)
    assert what_was_written(sys.stdout) == f"{expected}\n"


def test_half_a_character_that_comes_in_becomes_the_replacement_character(monkeypatch):
    half = "한".encode()[:2]
    monkeypatch.setattr(sys, "stdin", terminal("utf-8", b"a" + half + b"\nb\n"))
    replace_unprintable()
    assert sys.stdin.read() == "a\ufffd\nb\n"


def test_streams_that_cannot_be_set_are_left_alone(monkeypatch):
    for stream in (None, io.StringIO()):  # pythonw on Windows has none
        monkeypatch.setattr(sys, "stdout", stream)
        monkeypatch.setattr(sys, "stdin", stream)
        replace_unprintable()


# ---- Every command of the course.


def first_statement(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    (main,) = (node for node in tree.body if getattr(node, "name", "") == "main")
    body = main.body[1:] if ast.get_docstring(main) else main.body
    return ast.unparse(body[0])


@pytest.mark.parametrize("path", COMMANDS, ids=relative)
def test_each_command_first_makes_its_output_forgiving(path):
    if path.name == "check_environment.py":  # runs before anything is installed
        assert "sys.stdout.reconfigure(errors='replace')" in first_statement(path)
    else:
        assert first_statement(path) == "replace_unprintable()"


@pytest.mark.parametrize("path", [p for p in COMMANDS if p.parent.name != "setup"], ids=relative)
def test_each_commands_help_reaches_an_ascii_terminal(path, monkeypatch):
    module = importlib.import_module(dotted_name(path))
    monkeypatch.setattr(sys, "argv", [dotted_name(path), "--help"])
    monkeypatch.setattr(sys, "stdout", terminal("ascii"))
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 0
    assert what_was_written(sys.stdout).startswith("usage: ")


def run(*arguments: str | Path, encoding: str, **more) -> subprocess.CompletedProcess:
    """A command as it is started where output goes to a file in another encoding."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    environment |= {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, **more)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_generating_goes_on_after_a_character_that_the_file_lacks(encoding):
    options = ("--prompt", "The £ and 한 🦡", "--tokens", "5", "--device", "cpu")
    done = run("ch05.gpt_generate", *options, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    written = done.stdout.decode(encoding)
    assert written.startswith("The ") and "?" in written


@pytest.mark.slow
def test_a_training_whose_samples_cannot_be_printed_keeps_its_model(tmp_path):
    (tmp_path / "text.txt").write_text("£ – 한 🦡 ‘so’ · " * 400, encoding="utf-8")
    data, out = ("--out", tmp_path / "data"), ("--out", tmp_path / "out")
    options = (tmp_path / "text.txt", *data, "--vocab-size", "280")
    assert run("ch05.pretrain", "prepare", *options, encoding="ascii").returncode == 0
    options = ("--data", tmp_path / "data", *out, "--prompt", "£", "--context-length", "16")
    done = run("ch05.pretrain", "train", *options, "--device", "cpu", encoding="ascii")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "model.safetensors").exists() and b"\n?" in done.stdout


@pytest.mark.slow
def test_the_talk_goes_on_after_half_a_character():
    said = "What is 한 and £?\n".encode() + "한".encode()[:2] + b"\n/quit\n"
    model = ("--model", str(ROOT / "ch05" / "course_model" / "model"), "--device", "cpu")
    done = run("ch07.chat", *model, encoding="utf-8", input=said)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(b"> ") == 3
