"""The two commands of chapter 5, as a person starts them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from course_files import ROOT
from safetensors.torch import load_file

from ch05 import gpt_generate
from ch05.bonus import faster_training
from ch05.course_model import names

pytestmark = pytest.mark.slow  # each test starts Python and PyTorch anew

# Small enough for a few seconds: 256 bytes and 43 merges, 11 steps an epoch.
SMALL = {
    "--vocab-size": "300",
    "--context-length": "16",
    "--batch-size": "8",
    "--epochs": "2",
    "--device": "cpu",
    "--prompt": "The clock",
}
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
SENTENCES = [
    "The clock in the hall struck nine.",
    "Nobody at the table looked up from the bread.",
    "The cat, who knew the hour, asked to be let out!",
    "“Not yet,” said the old man; the rain had begun.",
]


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("text") / "rain.txt"
    lines = (SENTENCES[i * i % 4] + (" " if i % 3 else "\n\n") for i in range(120))
    path.write_text("".join(lines), encoding="utf-8")
    return path


def run(*arguments: str | Path) -> subprocess.CompletedProcess:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    environment["CUDA_VISIBLE_DEVICES"] = ""  # the losses of one process and of two are compared
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
    )


def run_module(
    *arguments: str | Path, launcher: tuple[str, ...] = ()
) -> subprocess.CompletedProcess:
    return run(*launcher, "-m", *arguments)


def train_arguments(text: Path, out: Path, **changes: str) -> list[str]:
    options = SMALL | {"--text": str(text), "--out": str(out)}
    options |= {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    return ["ch05.bonus.faster_training", *(part for option in options.items() for part in option)]


def history(out: Path) -> list[dict]:
    return torch.load(out / "checkpoint.pt", weights_only=True)["progress"]["history"]


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory) -> tuple[Path, str]:
    """A folder in which three epochs were trained without a stop, and what was printed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    done = run_module(*train_arguments(text, out, epochs="3"))
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_training_lowers_both_losses_and_leaves_a_model_folder(trained):
    out, _ = trained
    assert [row["epoch"] for row in history(out)] == [1, 2, 3]
    for name in ("train_loss", "val_loss"):
        losses = [row[name] for row in history(out)]
        assert losses == sorted(losses, reverse=True)
    assert {path.name for path in out.iterdir()} == {
        "checkpoint.pt",
        "config.json",
        "model.safetensors",
        "settings.json",
        "vocabulary.tiktoken",
    }


def test_training_reports_loss_speed_and_a_sample(trained):
    for part in ("train loss", "validation loss", "tokens per second", "\nThe clock"):
        assert part in trained[1]


def test_a_resumed_run_equals_an_uninterrupted_one(text, trained, tmp_path):
    done = run_module(*train_arguments(text, tmp_path / "out", epochs="2"))
    assert done.returncode == 0, done.stderr
    # Everything that is not said again is as in the saved run.
    more = ("--out", tmp_path / "out", "--resume", "--epochs", "3", "--device", "cpu")
    done = run_module("ch05.bonus.faster_training", *more)
    assert done.returncode == 0, done.stderr
    assert history(tmp_path / "out") == history(trained[0])
    ours, theirs = (load_file(out / "model.safetensors") for out in (tmp_path / "out", trained[0]))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_two_processes_have_the_losses_of_one(text, trained, tmp_path):
    done = run_module(*train_arguments(text, tmp_path / "out", epochs="3"), launcher=TORCHRUN)
    assert done.returncode == 0, done.stderr
    for ours, theirs in zip(history(tmp_path / "out"), history(trained[0]), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are listed in /proc")
@pytest.mark.parametrize("module", ["ch05.bonus.faster_training", "appendix_a.ddp"])
def test_no_thread_of_the_group_outlives_the_training(text, tmp_path, module):
    """One that does asks for Python's lock while Python ends, and now and then that aborts it."""
    program = tmp_path / "program.py"
    program.write_text(
        "import time\n"
        "from pathlib import Path\n"
        f"from {module} import main\n"
        "def threads_of_gloo():\n"
        "    try:\n"
        "        names = [path.read_text() for path in Path('/proc/self/task').glob('*/comm')]\n"
        "    except OSError:  # one ended while they were read\n"
        "        return threads_of_gloo()\n"
        "    return [name for name in names if 'gloo' in name]\n"
        "main()\n"
        # Linux lists a thread for a moment after it was joined.
        "deadline = time.monotonic() + 2\n"
        "while threads_of_gloo() and time.monotonic() < deadline:\n"
        "    time.sleep(0.01)\n"
        "assert not threads_of_gloo()\n"
    )
    if module == "ch05.bonus.faster_training":
        options = train_arguments(text, tmp_path / "out", epochs="1")[1:]
    else:
        options = ("--epochs", "1", "--backend", "gloo")
    done = run(*TORCHRUN, program, *options)
    assert done.returncode == 0, done.stderr


def test_a_trained_model_writes_and_a_seed_repeats_it(trained):
    def written(seed: str, *more: str) -> str:
        done = run_module(
            *("ch05.gpt_generate", "--model", trained[0], "--prompt", "The cat", "--tokens", "30"),
            *("--seed", seed, "--device", "cpu", *more),
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    first = written("1", "--temperature", "1.5", "--top-p", "0.99")
    assert first.startswith("The cat") and len(first) > 30
    assert written("1", "--temperature", "1.5", "--top-p", "0.99") == first
    assert written("2", "--temperature", "1.5", "--top-p", "0.99") != first


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (
            "ch05.bonus.faster_training",
            "--text --model-size --epochs --batch-size --lr --seed --device --out --resume "
            "--tokenizer --context-length",
        ),
        (
            "ch05.gpt_generate",
            "--model --prompt --tokens --temperature --top-k --top-p --seed --device",
        ),
    ],
)
def test_help_names_every_option(module, options):
    done = run_module(module, "--help")
    assert done.returncode == 0 and done.stderr == ""
    assert f"python -m {module}" in done.stdout
    assert [option for option in options.split() if option not in done.stdout] == []


# ---- Refusals: one sentence, and nothing half written.


def refusal(module, arguments: list[str], monkeypatch) -> str:
    """What a command that fails says: a text as exit code is printed, and the code is 1."""
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert isinstance(stopped.value.code, str)
    assert "\n" not in stopped.value.code and len(stopped.value.code) < 300
    return stopped.value.code


@pytest.mark.parametrize(
    ("content", "changes", "message"),
    [
        (None, {}, "No such file"),
        (b"caf\xe9 " * 500, {}, "is not UTF-8 text"),
        (b"", {}, "is empty"),
        (b"The rain.", {}, "too short for these settings"),
        (b"The rain. " * 20, {}, "too short for these settings"),
        ("text", {"batch_size": "1000"}, "--batch-size 1000 needs as many"),
        ("text", {"context_length": "100000"}, "windows of --context-length 100000"),
        ("text", {"context_length": "0"}, "--context-length 0 must be at least 1"),
        ("text", {"batch_size": "0"}, "--batch-size 0 must be at least 1"),
        ("text", {"vocab_size": "256"}, "--vocab-size 256 must be at least 257"),
        ("text", {"device": "tpu"}, "device 'tpu' is not here"),
        ("text", {"drop_rate": "1"}, "--drop-rate 1.0"),
        ("text", {"lr": "-1"}, "--lr -1.0 must be above 0"),
        ("text", {"lr": "nan"}, "--lr nan must be above 0, and finite"),
        ("text", {"weight_decay": "inf"}, "--weight-decay inf must be at least 0, and finite"),
        ("text", {"epochs": "0"}, "--epochs 0 must be at least 1"),
        ("text", {"prompt": ""}, "--prompt is empty"),
        ("text", {"device": "cpu:x"}, "device 'cpu:x' is not here"),
    ],
)
def test_bad_input_gives_one_sentence_and_writes_nothing(
    content, changes, message, text, tmp_path, monkeypatch
):
    path = text if content == "text" else tmp_path / "input.txt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    out = tmp_path / "out"
    said = refusal(faster_training, train_arguments(path, out, **changes)[1:], monkeypatch)
    assert said.startswith("faster_training: ")
    assert message in said
    assert not out.exists()


def test_a_folder_is_no_text(tmp_path, monkeypatch):
    said = refusal(faster_training, train_arguments(tmp_path, tmp_path / "out")[1:], monkeypatch)
    assert "directory" in said.lower() or "denied" in said.lower()


def test_a_loss_that_explodes_is_named(text, tmp_path, monkeypatch):
    arguments = train_arguments(text, tmp_path / "out", lr="1e30", epochs="50")[1:]
    assert "lower the learning rate" in refusal(faster_training, arguments, monkeypatch)
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_the_sentence_reaches_the_terminal_and_the_exit_code(tmp_path):
    done = run_module(*train_arguments(tmp_path / "none.txt", tmp_path / "out"))
    assert done.returncode == 1
    assert done.stderr.startswith("faster_training: ") and "none.txt" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stdout == ""


def test_nothing_to_resume_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(
        sys, "argv", ["faster_training", "--resume", "--out", str(tmp_path / "none")]
    )
    with pytest.raises(SystemExit) as stopped:
        faster_training.main()
    assert stopped.value.code == 2  # as argparse does for a wrong option
    assert not (tmp_path / "none").exists()


def test_a_run_is_not_resumed_with_another_model(trained, monkeypatch):
    before = {path.name: path.read_bytes() for path in trained[0].iterdir()}
    arguments = ["--out", trained[0], "--resume", "--context-length", "24", "--device", "cpu"]
    assert "--context-length 16, not 24" in refusal(faster_training, arguments, monkeypatch)
    assert {path.name: path.read_bytes() for path in trained[0].iterdir()} == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["--model", "no-such-model"], "no-such-model is neither a model folder nor one of"),
        (["--prompt", ""], "the prompt is empty"),
        (["--temperature", "-1"], "temperature=-1.0"),
        (["--tokens", "-5"], "n_tokens=-5 must be at least 0"),
        (["--top-k", "0"], "top_k=0"),
        (["--top-p", "2"], "top_p=2.0"),
        (["--device", "tpu"], "device 'tpu' is not here"),
        (["--prompt", "a<|endoftext|>b"], "special token"),
    ],
)
def test_generating_refuses_in_one_sentence(changes, message, trained, monkeypatch):
    arguments = ["--model", trained[0], "--device", "cpu", *changes]
    said = refusal(gpt_generate, arguments, monkeypatch)
    assert said.startswith("gpt_generate: ") and message in said


@pytest.mark.parametrize("module", [gpt_generate, faster_training, names])
@pytest.mark.parametrize("seed", ["99999999999999999999", "-1"])
def test_a_seed_that_is_none_is_refused(module, seed, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [module.__name__, "--seed", seed])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 2 and f"--seed {seed} must be" in capsys.readouterr().err
