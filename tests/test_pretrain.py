"""The command for long trainings: runs that go on exactly, and runs that must not.

Most tests call the command in this process; what needs torchrun or signals starts Python anew.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pandas as pd
import psutil
import pytest
import torch
from course_files import ROOT
from kill_pretrain import kill_runs
from safetensors.torch import load_file

from ch05 import pretrain, run_folder, training_loop
from ch05.gpt_weights import load_pretrained
from ch05.token_shards import prepare

WORDS = "the clock in the hall struck nine and nobody at the table looked up from the bread".split()
SMALL = "--emb-dim 16 --n-layers 1 --n-heads 2 --context-length 16 --batch-size 8 --warmup 5"
SMALL += " --eval-every 10 --save-every 10 --eval-tokens 200 --drop-rate 0.1 --device cpu"
# 22 steps an epoch


def write_text(path: Path, seed: int = 7) -> Path:
    draw = Random(seed)
    texts = (" ".join(draw.choices(WORDS, k=25)) + "." for _ in range(82))
    path.write_text("<|endoftext|>".join(texts), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pretrain")
    prepare([write_text(folder / "a.txt")], folder / "data", vocab_size=300)
    return folder / "data"


@pytest.fixture
def command(refusal, monkeypatch, tmp_path, data) -> Callable[..., str]:
    """Give the training some options; the one line with which it refuses, or none."""
    monkeypatch.setenv("COURSE_PRECISION", "float32")

    def run(*options: object, resume: bool = False) -> str:
        given = ["--resume"] if resume else ["--data", data, *SMALL.split()]
        return refusal(pretrain, "train", "--out", tmp_path / "run", *given, *options)

    return run


def run_here(*arguments: object) -> None:
    """A run in this process, which saves the start of Python."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_PRECISION", "float32")
        patch.setattr("sys.argv", ["pretrain", "train", *map(str, arguments)])
        pretrain.main()


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory) -> Path:
    """A run that was never stopped."""
    out = tmp_path_factory.mktemp("whole") / "run"
    run_here("--data", data, "--out", out, *SMALL.split())
    return out


CALM = SMALL.replace("--drop-rate 0.1", "--drop-rate 0") + " --schedule constant"


@pytest.fixture(scope="module")
def calm(data, tmp_path_factory) -> Path:
    """A run of one process in which nothing is random that others would draw otherwise."""
    out = tmp_path_factory.mktemp("calm") / "run"
    run_here("--data", data, "--out", out, *CALM.split())
    return out


def environment() -> dict[str, str]:
    one = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "COURSE_PRECISION": "float32"}
    return os.environ | one | {"PYTHONUTF8": "1"}


def torchrun(n: int, *more: str) -> list[str]:
    return ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(n), *more]


def start(*arguments: object, launcher: list[str] = ()) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *launcher, "-m", "ch05.pretrain", *map(str, arguments)],
        **{"cwd": ROOT, "env": environment(), "capture_output": True},
        **{"text": True, "encoding": "utf-8", "timeout": 200},
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def log(out: Path) -> pd.DataFrame:
    return pd.read_json(out / "log.jsonl", lines=True)


def same_end(out: Path, wanted: Path) -> bool:
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (out, wanted))
    columns = ["step", "tokens", "loss", "learning_rate", "gradient_norm", "val_loss"]
    assert ours.keys() == theirs.keys()
    pd.testing.assert_frame_equal(log(out)[columns], log(wanted)[columns], check_exact=True)
    return all(torch.equal(ours[name], theirs[name]) for name in theirs)


# ---- A whole run.


def test_a_run_leaves_a_model_a_log_and_two_checkpoints(whole):
    assert {path.name for path in whole.iterdir()} == {
        *("checkpoints", "config.json", "log.jsonl", "model.safetensors"),
        *("settings.json", "vocabulary.tiktoken"),
    }
    names = sorted(path.name for path in (whole / "checkpoints").iterdir())
    assert names == ["step-00000020", "step-00000022"]
    model, tokenizer = load_pretrained(whole)
    assert model.config.vocab_size == tokenizer.vocab_size <= 300
    rows = log(whole)
    assert rows.step.tolist() == list(range(1, 23)) and not rows.left_out.any()
    assert rows.loss.iloc[-1] < rows.loss.iloc[0] - 0.2
    validated = rows[rows.val_loss.notna()]
    assert validated.step.tolist() == [10, 20, 22]
    assert validated.val_loss.iloc[-1] < validated.val_loss.iloc[0]


def test_losses_are_told_in_bits_of_a_byte_with_speed_and_a_sample(command, capsys, whole, data):
    assert command("--prompt", "the clock") == ""
    said = capsys.readouterr().out
    for part in ("parameters on cpu in float32, 1 process; 0 of 22 steps", "step 10/22  bits per"):
        assert part in said
    assert "tokens/s" in said and " left  | the clock" in said and "\nthe clock" in said
    index, rows = json.loads((data / "index.json").read_text()), log(whole)
    n_bytes, n_tokens = index["train"]["bytes"], index["train"]["tokens"]
    bits = rows.loss / torch.log(torch.tensor(2.0)).item() * n_tokens / n_bytes
    assert rows.bits_per_byte.tolist() == pytest.approx(bits.tolist(), rel=1e-6)


@pytest.mark.parametrize(
    "more", ["--optimizer muon --windows documents", "--at-once 3 --recompute"]
)
def test_other_ways_learn_too(more, command, tmp_path):
    assert command(*more.split()) == ""
    losses = log(tmp_path / "run").loss
    assert losses.iloc[-3:].mean() < losses.iloc[:3].mean() - 0.1


def test_a_constant_rate_lets_a_run_grow(command, tmp_path, monkeypatch):
    assert command("--schedule", "constant") == ""
    assert command("--epochs", 2, resume=True) == ""
    grown = log(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    assert command("--schedule", "constant", "--epochs", 2) == ""
    pd.testing.assert_series_equal(grown.loss, log(tmp_path / "run").loss, check_exact=True)
    assert len(grown) == 43
    assert "43 steps are done already, more than 22" in command("--epochs", 1, resume=True)


# ---- Stopped, killed, and gone on with.


def test_ten_runs_that_were_killed_end_as_one_that_was_not(tmp_path, monkeypatch):
    """tests/kill_pretrain.py --kills 200 does the same twenty times as often."""
    if os.name != "posix":
        pytest.skip("a child is forked")
    monkeypatch.setenv("COURSE_PRECISION", "float32")
    threads = torch.get_num_threads()
    counts = kill_runs(10, seed=1, folder=tmp_path)
    torch.set_num_threads(threads)  # other tests compare bits with a run that was made before
    assert counts["inside of the writing"] + counts["elsewhere"] == 10 and counts["runs"] >= 1
    assert counts["inside of the writing"] >= 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", [0, 13])
def test_a_signal_saves_and_says_how_to_go_on(number, step, command, tmp_path, whole, monkeypatch):
    seen, find = [], training_loop.find_gradients

    def interrupted(*arguments):
        seen.append(1)
        if len(seen) == 7 + step:  # six steps are timed first
            signal.raise_signal(number)
        return find(*arguments)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(training_loop, "find_gradients", interrupted)
        said = command()
    way = f"`python -m ch05.pretrain train --out {tmp_path / 'run'} --resume`"
    assert f"stopped; {way} goes on after step {step + 1}" in said
    assert signal.getsignal(number) is before
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert command(resume=True) == "" and same_end(tmp_path / "run", whole)


def test_a_second_ctrl_c_ends_at_once(command, monkeypatch, tmp_path):
    find = training_loop.find_gradients

    def impatient(*arguments):
        if (tmp_path / "run" / "log.jsonl").exists():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
        return find(*arguments)

    monkeypatch.setattr(training_loop, "find_gradients", impatient)
    assert "stopped; no checkpoint was written, so it has to start anew" in command()


def test_a_run_without_a_checkpoint_starts_over(command, monkeypatch, tmp_path, whole, capsys):
    test_a_second_ctrl_c_ends_at_once(command, monkeypatch, tmp_path)
    monkeypatch.undo()
    monkeypatch.setenv("COURSE_PRECISION", "float32")
    assert command(resume=True) == "" and "0 of 22 steps are made" in capsys.readouterr().out
    assert same_end(tmp_path / "run", whole)


@pytest.fixture
def stopped(whole, tmp_path) -> Path:
    """A run that was stopped after step 20, and has a row of the log too many."""
    shutil.copytree(whole, tmp_path / "run")
    for path in ("checkpoints/step-00000022", "model.safetensors"):
        path = tmp_path / "run" / path
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    settings = json.loads((tmp_path / "run" / "settings.json").read_text())
    settings["out"] = str(tmp_path / "run")
    (tmp_path / "run" / "settings.json").write_text(json.dumps(settings))
    with open(tmp_path / "run" / "log.jsonl", "a") as file:
        file.write('{"step": 23, "lo')  # in the middle of a line
    return tmp_path / "run"


def test_a_run_goes_on_and_its_log_has_each_step_once(stopped, command, whole):
    assert command(resume=True) == "" and same_end(stopped, whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--lr 1e-5", "--lr 0.001, not 1e-05"),
        ("--weight-decay 0", "--weight-decay 0.1, not 0.0"),
        ("--seed 7", "--seed 0, not 7"),
        ("--batch-size 4", "--batch-size 8, not 4"),
        ("--drop-rate 0.2", "--drop-rate 0.1, not 0.2"),
        ("--context-length 12", "--context-length 16, not 12"),
        ("--emb-dim 32", "--emb-dim 16, not 32"),
        ("--optimizer muon", "--optimizer adamw, not muon"),
        ("--windows documents", "--windows stream, not documents"),
        ("--epochs 2", "--epochs 1.0, not 2.0"),
        ("--clip 2", "--clip 1.0, not 2.0"),
        ("--warmup 7", "--warmup 5, not 7"),
        ("--schedule constant", "--schedule cosine, not constant"),
    ],
)
def test_a_run_goes_on_with_its_own_settings_or_not_at_all(options, message, stopped, command):
    before = contents(stopped)
    said = command(*options.split(), resume=True)
    assert message in said and "start this one without --resume in another --out folder" in said
    said = command(*options.split())  # nor does another run take its place
    assert f"{stopped} holds another run, with {message}" in said
    assert contents(stopped) == before


def test_every_setting_is_kept_or_may_change(whole):
    """A new option of the command belongs into one of the two."""
    saved = json.loads((whole / "settings.json").read_text())
    assert saved.keys() - set(run_folder.MAY_CHANGE) == {
        *("depth", "model_size", "emb_dim", "n_layers", "n_heads", "context_length"),
        *("drop_rate", "epochs", "tokens", "batch_size", "windows", "optimizer", "lr"),
        *("weight_decay", "schedule", "warmup", "clip", "seed", "start"),
        *("precision", "data_sha256", "pytorch"),
    }


def test_what_may_change_may_change(stopped, command, data, tmp_path):
    shutil.copytree(data, tmp_path / "moved")
    more = ("--data", tmp_path / "moved", "--prompt", "nine", "--at-once", 4, "--save-every", 1)
    assert command(*more, resume=True) == ""


def test_another_text_is_named(stopped, command, tmp_path):
    prepare([write_text(tmp_path / "b.txt", seed=8)], tmp_path / "b", vocab_size=300)
    said = command("--data", tmp_path / "b", resume=True)
    assert f"has another text or vocabulary than {tmp_path / 'b'} holds" in said


def test_another_version_is_named_and_goes_on_only_by_order(stopped, command, monkeypatch):
    monkeypatch.setattr(run_folder.torch, "__version__", "9.9.9+cu999")
    ours = json.loads((stopped / "settings.json").read_text())["pytorch"]
    said = command(resume=True)
    assert f"PyTorch {ours}, not 9.9.9 (--other-version goes on all the same)" in said
    assert command("--other-version", resume=True) == ""


def test_another_precision_is_named_and_the_runs_own_is_kept(stopped, command, monkeypatch):
    monkeypatch.setenv("COURSE_PRECISION", "bfloat16")
    assert "COURSE_PRECISION=float32, not bfloat16" in command(resume=True)
    monkeypatch.delenv("COURSE_PRECISION")
    monkeypatch.setattr("ch05.precision.bfloat16_gain", lambda: 4.0)
    assert command(resume=True) == ""


def test_a_checkpoint_of_another_run_is_not_taken(stopped, command):
    path = stopped / "checkpoints" / "step-00000020" / "state.json"
    facts = json.loads(path.read_text())
    facts["settings"]["lr"] = 0.5
    path.write_text(json.dumps(facts))
    assert "step-00000020 is of a run with --lr 0.5, not 0.001" in command(resume=True)


def test_a_damaged_checkpoint_gives_way_to_the_one_before(whole, command, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "run")
    newest = tmp_path / "run" / "checkpoints" / "step-00000022"
    path = next(newest.glob("*.safetensors"))
    path.write_bytes(path.read_bytes()[:-9])
    assert command(resume=True) == ""
    said = capsys.readouterr().out
    assert "step-00000022 is not a whole checkpoint" in said and "20 of 22 steps" in said
    for path in (tmp_path / "run" / "checkpoints").glob("*/*.safetensors"):
        path.write_bytes(b"")
    assert "is not a whole checkpoint" in command(resume=True)


@pytest.mark.parametrize("damaged", ["", "{", "[1]", "\x00"])
def test_damaged_settings_are_named(damaged, stopped, command):
    (stopped / "settings.json").write_text(damaged)
    for resume in (False, True):
        assert "settings.json is damaged" in command(resume=resume)


def test_a_run_is_not_replaced(stopped, command):
    before = contents(stopped)
    assert "holds this run: go on with --resume, take another --out folder" in command()
    assert contents(stopped) == before


@pytest.mark.parametrize("name", ["checkpoints", "model.safetensors"])
def test_a_folder_of_something_else_is_left_alone(name, command, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).touch()
    said = command()
    assert f"holds {name} of something else: take another --out" in said
    assert "no run to resume" in command(resume=True)


# ---- Bad input, full disks, losses that explode.


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--batch-size 0", "--batch-size 0 must be at least 1"),
        ("--batch-size 1000", "--batch-size 1000 needs as many"),
        ("--context-length 0", "--context-length 0 must be at least 1"),
        ("--context-length 100000", "1 windows of --context-length 100000"),
        ("--n-heads 3", "emb_dim=16 is not a multiple of n_heads=3"),
        ("--device tpu", "device 'tpu' is not here"),
        ("--device cpu:x", "device 'cpu:x' is not here"),
        ("--drop-rate 1", "drop_rate=1.0"),
        ("--lr -1", "--lr -1.0 must be above 0"),
        ("--lr nan", "--lr nan must be above 0, and finite"),
        ("--weight-decay inf", "--weight-decay inf must be at least 0, and finite"),
        ("--epochs 0", "--epochs 0.0 must be above 0"),
        ("--tokens inf", "--tokens inf must be above 0, and finite"),
        ("--save-every 0", "--save-every 0 must be at least 1"),
        ("--at-once 0", "--at-once 0 must be at least 1"),
        ("--seed -1", "--seed -1 must be at least 0"),
        ("--seed 99999999999999999999", "--seed 99999999999999999999 must be below"),
        ("--fsdp", "--fsdp shares out weights: start it with torchrun"),
        ("--data none", "is not there: `python -m ch05.pretrain prepare FILES --out none`"),
    ],
)
def test_bad_input_gives_one_sentence_and_writes_nothing(options, message, command, tmp_path):
    said = command(*options.split())
    assert said.startswith("pretrain: ") and message in said and len(said) < 300
    assert not (tmp_path / "run").exists()


def test_an_empty_prompt_is_refused(command):
    assert "the --prompt is empty" in command("--prompt", "")


def test_a_cut_shard_is_named_before_anything_is_written(command, data, tmp_path):
    shutil.copytree(data, tmp_path / "cut")
    path = tmp_path / "cut" / "train-00000.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    said = command("--data", tmp_path / "cut")
    assert "train-00000.safetensors is cut short" in said and not (tmp_path / "run").exists()


def test_a_loss_that_explodes_is_named_with_what_is_left(command, tmp_path, monkeypatch):
    assert "lower the learning rate; no checkpoint was" in command("--lr", "1e30", "--clip", "1e30")
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    find, seen = training_loop.find_gradients, []

    def spoiled(*arguments):
        seen.append(1)
        loss = find(*arguments)
        return loss * float("nan") if len(seen) == 6 + 13 else loss

    monkeypatch.setattr(training_loop, "find_gradients", spoiled)
    said = command()
    assert "the loss of step 13 is nan: lower the learning rate; `python -m" in said
    assert "goes on after step 10" in said and not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.skipif(os.name != "posix", reason="a limit on the size of files is POSIX")
def test_a_full_disk_ends_a_run_in_a_sentence_and_keeps_its_checkpoints(data, stopped):
    before = contents(stopped / "checkpoints")
    program = (
        "import resource, sys; from ch05 import pretrain;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY));"
        f"sys.argv = ['pretrain', 'train', '--out', {str(stopped)!r}, '--resume']; pretrain.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        **{"cwd": ROOT, "env": environment(), "capture_output": True, "text": True},
    )
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and last.startswith("pretrain: ") and "is the disk full" in last
    assert contents(stopped / "checkpoints") == before and "Traceback" not in done.stderr


@pytest.mark.slow
def test_the_sentences_reach_the_terminal(tmp_path):
    done = start("train", "--data", tmp_path, "--out", tmp_path / "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("pretrain: ") and len(done.stderr.splitlines()) == 1
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    done = start("prepare", tmp_path / "a.txt", "--out", tmp_path / "data")
    assert "at byte 3" in done.stderr and "Traceback" not in done.stderr
    done = start("train", "--help")
    assert done.returncode == 0 and "--resume" in done.stdout


# ---- Several processes.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("n", "more"), [(2, ""), (4, ""), (2, "--at-once 2 --fsdp")], ids=["two", "four", "sharded"]
)
def test_several_processes_have_the_losses_of_one(n, more, data, calm, tmp_path):
    options = ("train", "--data", data, "--out", tmp_path / "n", *CALM.split(), *more.split())
    done = start(*options, launcher=torchrun(n))
    assert done.returncode == 0, done.stderr
    for column in ("loss", "val_loss", "gradient_norm"):
        pd.testing.assert_series_equal(log(tmp_path / "n")[column], log(calm)[column], rtol=1e-4)
    assert done.stdout.count("parameters on cpu") == 1  # one process speaks


@pytest.mark.slow
def test_a_sharded_run_goes_on_with_another_number_of_processes(data, calm, tmp_path):
    out = tmp_path / "run"
    half = ("train", "--data", data, "--out", out, *CALM.split(), "--epochs", 0.6, "--fsdp")
    assert start(*half, launcher=torchrun(2)).returncode == 0
    rest = ("train", "--out", out, "--resume", "--epochs")
    assert start(*rest, 0.8, launcher=torchrun(4)).returncode == 0
    done = start(*rest, 1, "--no-fsdp")  # and at last one, with nothing shared out
    assert done.returncode == 0, done.stderr
    pd.testing.assert_series_equal(log(out).loss, log(calm).loss, rtol=1e-4)


def test_machines_that_torchrun_could_not_start_again_are_refused(command, monkeypatch):
    several = {"RANK": "0", "GROUP_WORLD_SIZE": "2", "TORCHELASTIC_MAX_RESTARTS": "3"}
    for name, value in several.items() | {("TORCHELASTIC_USE_AGENT_STORE", "True")}:
        monkeypatch.setenv(name, value)
    assert "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in torchrun's environment" in command()


def start_and_kill_one(data: Path, out: Path, launcher: list[str]) -> tuple[int, str]:
    """Start two processes, kill the second one when there is a checkpoint; code and stderr."""
    options = (*SMALL.split(), "--data", str(data), "--out", str(out), "--epochs", "10")
    started = subprocess.Popen(
        [sys.executable, *launcher, "-m", "ch05.pretrain", "train", *options],
        **{"cwd": ROOT, "env": environment(), "text": True},
        **{"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE},
    )
    try:
        while not (out / "checkpoints" / "step-00000020").exists():
            assert started.poll() is None, started.stderr.read()
            time.sleep(0.05)
        workers = psutil.Process(started.pid).children(recursive=True)
        next(p for p in workers if p.environ().get("RANK") == "1").kill()
        _, said = started.communicate(timeout=150)
    finally:
        started.kill()
    return started.returncode, said


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_a_process_that_dies_takes_the_job_down_with_a_clear_sentence(data, tmp_path):
    code, said = start_and_kill_one(data, tmp_path / "run", torchrun(2))
    assert code != 0 and "pretrain: a process was lost" in said
    assert "--resume` goes on after step" in said and "torchrun --max-restarts" in said


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
def test_a_job_that_torchrun_starts_again_goes_on_from_the_last_checkpoint(data, tmp_path):
    launcher = torchrun(2, "--max-restarts", "1")
    code, said = start_and_kill_one(data, tmp_path / "run", launcher)
    assert code == 0, said
    done = start(
        *("train", "--data", data, "--out", tmp_path / "whole", *SMALL.split()),
        *("--epochs", 10),
        launcher=torchrun(2),
    )
    assert done.returncode == 0, done.stderr
    assert same_end(tmp_path / "run", tmp_path / "whole")
