"""Say in one table whether the course can run here: python setup/check_environment.py

Each row tells what was found and OK, or what to do. A row marked ! keeps the course from running,
and then the exit status is 1. Needs no package to start with, so it also explains a failed set-up.
"""

import importlib.util
import os
import platform
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    *("torch", "tiktoken", "regex", "numpy", "pandas", "matplotlib", "scikit_learn"),
    *("scipy", "safetensors", "huggingface_hub", "tqdm", "jupyterlab", "ipywidgets"),
    *("nbclient", "psutil", "pyyaml", "starlette", "uvicorn"),
)
IMPORTED_AS = {"scikit_learn": "sklearn", "pyyaml": "yaml"}  # the others: by their own name
GIB = 2**30
# By its path, for after a failed set-up the course's own package is not there.
LANGUAGE = runpy.run_path(str(ROOT / "course" / "language.py"))
say, padded = LANGUAGE["say"], LANGUAGE["padded"]
SET_UP_AGAIN = say("set up again: make clean, make lab")

# Ten steps of the tiny training below. A CPU gives them with any number of threads and with any
# vector instructions; other devices round differently, but not by more than the tolerance.
TEN_LOSSES = (5.5561, 5.2239, 5.0341, 4.9093, 4.7947, 4.6779, 4.5778, 4.4749, 4.3689, 4.2702)
TOLERANCE = 2e-3  # relative


@dataclass(frozen=True)
class Row:
    """One line of the table: without advice all is well; fatal means that the course cannot run."""

    name: str
    found: str
    advice: str = ""
    fatal: bool = False

    def __str__(self) -> str:
        verdict = ("! " * self.fatal + self.advice) or "OK"
        return f"{padded(self.name, 16)}  {padded(self.found, 50)}  {verdict}"


def check_python(running: tuple[int, int] = sys.version_info[:2], root: Path = ROOT) -> Row:
    found = say(
        "{python} on {system} {machine}",
        python=platform.python_version(),
        system=platform.system(),
        machine=platform.machine(),
    )
    if not (3, 10) <= running <= (3, 13):
        advice = say("take Python 3.10 to 3.13, for example make PYTHON=python3.12 lab")
        return Row("Python", found, advice, fatal=True)
    if (root / ".venv").exists() and Path(sys.prefix).resolve() != (root / ".venv").resolve():
        return Row("Python", found, say("not the course's own: run make check"))
    return Row("Python", found)


def read_pins(path: Path = ROOT / "setup" / "constraints.txt") -> dict:
    """The constraints that hold for this Python and system: package name -> versions allowed."""
    from packaging.requirements import Requirement

    lines = (line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines())
    pins = (Requirement(line) for line in lines if line)
    return {
        pin.name.replace("-", "_").lower(): pin.specifier
        for pin in pins
        if pin.marker is None or pin.marker.evaluate()
    }


def check_package(name: str, pins: dict) -> Row:
    try:
        found = version(name)
    except PackageNotFoundError:
        return Row(name, say("not installed"), SET_UP_AGAIN, fatal=True)
    try:
        import_module(IMPORTED_AS.get(name, name))
    except Exception as error:
        return Row(name, f"{found}, {one_line(error)}", SET_UP_AGAIN, fatal=True)
    pin = pins.get(name)
    if pin is not None and not pin.contains(found, prereleases=True):
        advice = say("may do; the course is tested with {pin}", pin=str(pin).lstrip("="))
        return Row(name, found, advice)
    return Row(name, found)


def check_threads() -> Row:
    import torch

    found = say("{n}, PyTorch uses {used}", n=os.cpu_count(), used=torch.get_num_threads())
    return Row(say("CPU threads"), found)


def check_memory(needed: float = 3 * GIB) -> Row:
    import psutil

    memory = psutil.virtual_memory()
    found = say(
        "{free:.1f} GiB free of {total:.1f}",
        free=memory.available / GIB,
        total=memory.total / GIB,
    )
    if memory.available < needed:
        return Row(say("Memory"), found, say("little: close other programs before ch05"))
    return Row(say("Memory"), found)


def check_disk(needed: float = 2 * GIB) -> Row:
    free = shutil.disk_usage(ROOT).free
    found = say("{free:.1f} GiB free", free=free / GIB)
    if free < needed:
        return Row(say("Disk"), found, say("little: checkpoints and packages need about 2 GiB"))
    return Row(say("Disk"), found)


def nvidia_driver() -> str:
    """The version of the NVIDIA driver, or nothing where there is none."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = answer.stdout.split() if answer.returncode == 0 else []
    return lines[0] if lines else ""


def check_gpu() -> Row:
    import torch

    driver = nvidia_driver()
    if torch.cuda.is_available():
        found = say(
            "{gpu}, CUDA {cuda}, driver {driver}",
            gpu=torch.cuda.get_device_name(0),
            cuda=torch.version.cuda,
            driver=driver or say("unknown"),
        )
        return Row("GPU", found)
    unused = say("NVIDIA driver {driver}, not used", driver=driver)
    if driver and torch.version.cuda is None:
        advice = "this PyTorch is the CPU build: make clean, then make lab without TORCH_INDEX"
        return Row("GPU", unused, say(advice))
    if driver:
        advice = "PyTorch needs a driver for CUDA {cuda}: update it"
        return Row("GPU", unused, say(advice, cuda=torch.version.cuda))
    if torch.backends.mps.is_available():
        return Row("GPU", "Apple MPS")
    return Row("GPU", say("none: the course runs on the CPU"))


def check_compiler() -> Row:
    from appendix_f.native import INSTALL, NoCompiler, find_compiler

    try:
        compiler = find_compiler()
    except NoCompiler:
        way = INSTALL.get(platform.system(), "gcc")
        advice = say("only appendix F wants one: {way}", way=way)
        return Row(say("C compiler"), say("none that works"), advice)
    threads = "{version}" if compiler.threads else "{version}, one thread"
    return Row(say("C compiler"), say(threads, version=compiler.version))


def check_precision() -> Row:
    import torch

    from ch04.gpt import choose_device
    from ch05.precision import bfloat16_gain, choose_precision

    try:
        device = choose_device()
    except ValueError:
        device = torch.device("cpu")  # the row of the training says what is wrong
    try:
        chosen = {"precision": choose_precision(device), "device": device.type}
    except ValueError as error:
        advice = say("set COURSE_PRECISION to one of them")
        return Row(say("Precision"), str(error), advice, fatal=True)
    if device.type != "cpu":
        return Row(say("Precision"), say("{precision} on {device}", **chosen))
    found = "{precision} on {device}: bfloat16 is {gain:.1f} times as fast"
    return Row(say("Precision"), say(found, **chosen, gain=bfloat16_gain()))


def check_vocabulary() -> Row:
    from ch02.tokenizer import gpt2_ranks

    try:
        found = say("{n:,} tokens, SHA-256 right", n=len(gpt2_ranks()))
        return Row(say("GPT-2 vocabulary"), found)
    except (OSError, ValueError):
        advice = say("run python setup/get_vocabulary.py")
        return Row(say("GPT-2 vocabulary"), say("missing or damaged"), advice, fatal=True)


def check_cache() -> Row:
    from ch02.tokenizer import cache_folder

    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Row(say("Cache folder"), say("{folder} can be written", folder=folder))
    except OSError as error:
        advice = say("set COURSE_CACHE to a folder of yours")
        return Row(say("Cache folder"), one_line(error), advice)


def check_chapters(root: Path = ROOT) -> Row:
    names = sorted(path.parent.name for path in root.glob("ch[0-9][0-9]/__init__.py"))
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            found = say("{name} is not installed", name=name)
            return Row(say("Chapters"), found, say("run make lab"), fatal=True)
        folder = Path(spec.origin).resolve().parent
        if folder != root / name:
            advice = say("another copy of the course is installed: make clean, make lab here")
            found = say("{name} is {folder}", name=name, folder=folder)
            return Row(say("Chapters"), found, advice, fatal=True)
    found = say("{first} to {last}, from this folder", first=names[0], last=names[-1])
    return Row(say("Chapters"), found)


def train_ten_steps(device) -> list[float]:
    """Train a tiny GPT, drawn on the CPU, on one sentence, and give the loss of each step."""
    import torch
    import torch.nn.functional as F

    from ch04.gpt import GPTConfig, GPTModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPTModel(GPTConfig(256, 32, emb_dim=64, n_heads=4, n_layers=2, drop_rate=0.0))
    model.to(device)
    sentence = b"Ten steps on one sentence tell whether this device computes what it should. "
    ids = torch.tensor(list(sentence * 4)[: 8 * 32 + 1], device=device)
    inputs, targets = ids[:-1].view(8, 32), ids[1:]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(len(TEN_LOSSES)):
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def check_training(known: Iterable[float] = TEN_LOSSES) -> Row:
    from ch04.gpt import choose_device

    try:
        device = choose_device()
    except ValueError as error:
        advice = say("COURSE_DEVICE names it: take another one, or none")
        return Row(say("Training"), str(error), advice, fatal=True)
    losses = train_ten_steps(device)
    name = say("Training on {device}", device=device.type)
    found = say("ten losses from {first:.3f} to {last:.3f}", first=losses[0], last=losses[-1])
    for step, (loss, right) in enumerate(zip(losses, known), start=1):
        if not abs(loss - right) <= TOLERANCE * right:  # so written, NaN is wrong too
            advice = say(
                "step {step} should be {right:.3f}: this device computes wrongly",
                step=step,
                right=right,
            )
            if device.type != "cpu":
                advice += ", " + say("update its driver or set COURSE_DEVICE=cpu")
            return Row(name, found, advice, fatal=True)
    return Row(name, found)


def one_line(error: Exception) -> str:
    return (f"{type(error).__name__}: {error}").splitlines()[0][:80]


def guarded(name: str, check: Callable[[], Row]) -> Row:
    """The row of a check, also if the check itself breaks down."""
    try:
        return check()
    except Exception as error:
        return Row(name, one_line(error), SET_UP_AGAIN, fatal=True)


CHECKS: dict[str, Callable[[], Row]] = {
    "Python": check_python,
    **{name: lambda name=name: check_package(name, read_pins()) for name in PACKAGES},
    "CPU threads": check_threads,
    "Memory": check_memory,
    "Disk": check_disk,
    "GPU": check_gpu,
    "GPT-2 vocabulary": check_vocabulary,
    "Cache folder": check_cache,
    "Chapters": check_chapters,
    "C compiler": check_compiler,
    "Precision": check_precision,
    "Training": check_training,
}


def main(checks: dict[str, Callable[[], Row]] = CHECKS) -> int:
    if hasattr(sys.stdout, "reconfigure"):  # as course.terminal, which may not be installed yet
        sys.stdout.reconfigure(errors="replace")
    rows = []
    for name, check in checks.items():
        rows.append(guarded(name, check))
        print(rows[-1], flush=True)  # at once: a check may end the whole process
    if any(row.fatal for row in rows):
        print("\n" + say("The course cannot run yet: do what the rows marked ! say."))
        print(say("Without make, setup/README.md has the commands."))
        return 1
    print("\n" + say("The course can run."))
    return 0


if __name__ == "__main__":
    sys.exit(main())
