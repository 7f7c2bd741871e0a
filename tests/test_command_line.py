"""The commands that train and write, as a person starts them; tests/test_pretrain.py has more."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from course_files import ROOT

from ch05 import gpt_generate
from ch05.course_model import names

pytestmark = pytest.mark.slow  # each test starts Python and PyTorch anew

SMALL = "--emb-dim 16 --n-layers 1 --n-heads 2 --context-length 16 --batch-size 8 --device cpu"
PREPARED = ("--vocab-size", "300", "--out")
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
SENTENCES = [
    "The clock in the hall struck nine.",
    "Nobody at the table looked up from the bread.",
    "The cat, who knew the hour, asked to be let out!",
    "“Not yet,” said the old man; the rain had begun.",
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("text")
    lines = (SENTENCES[i * i % 4] + (" " if i % 3 else "\n\n") for i in range(120))
    (folder / "rain.txt").write_text("".join(lines), encoding="utf-8")
    done = run_module("ch05.pretrain", "prepare", folder / "rain.txt", *PREPARED, folder / "data")
    assert done.returncode == 0, done.stderr
    return folder / "data"


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


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory) -> tuple[Path, str]:
    """A folder with a small model, and what was printed while it was trained."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    done = run_module(
        *("ch05.pretrain", "train", "--data", data, "--out", out, *SMALL.split(), "--epochs", "3")
    )
    assert done.returncode == 0, done.stderr
    return out, done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are listed in /proc")
@pytest.mark.parametrize("module", ["ch05.pretrain", "appendix_a.ddp"])
def test_no_thread_of_the_group_outlives_the_training(data, tmp_path, module):
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
    if module == "ch05.pretrain":
        options = ("train", "--data", data, "--out", tmp_path / "out", *SMALL.split())
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
        ("ch05.pretrain prepare", "--tokenizer --vocab-size --duplicates --text-field --out"),
        (
            "ch05.pretrain train",
            "--data --out --resume --depth --model-size --context-length --epochs --tokens "
            "--batch-size --at-once --windows --optimizer --lr --schedule --seed --compile "
            "--recompute --fsdp --device",
        ),
        (
            "ch05.gpt_generate",
            "--model --prompt --tokens --temperature --top-k --top-p --seed --device",
        ),
    ],
)
def test_help_names_every_option(module, options):
    done = run_module(*module.split(), "--help")
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


@pytest.mark.parametrize("module", [gpt_generate, names])
@pytest.mark.parametrize("seed", ["99999999999999999999", "-1"])
def test_a_seed_that_is_none_is_refused(module, seed, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [module.__name__, "--seed", seed])
    with pytest.raises(SystemExit) as stopped:
        module.main()
    assert stopped.value.code == 2 and f"--seed {seed} must be" in capsys.readouterr().err
