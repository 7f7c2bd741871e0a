"""Hold predictions against what short trainings then take: python -m ch05.scaling check

Each size is trained in a process of its own, because the peak of a process's memory never falls.
"""

import json
import math
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import AdamW

from ch04.gpt import GPTConfig, GPTModel, choose_device
from ch05.optimizers import MuonWithAdamW
from ch05.precision import choose_precision
from ch05.scaling import config_for_depth, predict
from ch05.training_loop import Progress, change_blocks, train

SIZES = (2, 4, 6)  # depths
STEPS = (1, 5, 20)  # not timed, timed, and predicted from those


class RandomBatches:
    """Batches of random ids: they take as long as those of a text."""

    def __init__(self, config: GPTConfig, batch_size: int):
        draw = torch.Generator().manual_seed(0)
        size = (batch_size, config.context_length + 1)
        self.ids = torch.randint(config.vocab_size, size, generator=draw)

    def __len__(self) -> int:
        return sum(STEPS)

    def __getitem__(self, step: int) -> tuple[Tensor, Tensor]:
        return self.ids[:, :-1], self.ids[:, 1:]


def memory_now(name: str) -> int:
    """A figure of this process in bytes, as Linux keeps it: VmRSS, or its peak, VmHWM."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"/proc/self/status has no {name}")


def measure(
    config: GPTConfig,
    batch_size: int,
    at_once: int,
    optimizer: str = "adamw",
    recompute: bool = False,
) -> dict:
    """What a training was said to take, and what it took, in this process.

    Units: bytes; seconds, for the last of STEPS; cpu_seconds of all cores together.
    """
    device = choose_device()
    precision = choose_precision(device)

    def begin(config: GPTConfig) -> tuple[GPTModel, torch.optim.Optimizer]:
        model = GPTModel(config).to(device)
        change_blocks(model, recompute=recompute)
        if optimizer == "muon":
            return model, MuonWithAdamW(model, 1e-4)
        return model, AdamW(model.parameters(), 1e-4, fused=True)

    def advance(n: int, progress: Progress, began: tuple) -> float:
        model, optimizer = began
        started = time.process_time()
        train(
            model,
            RandomBatches(model.config, batch_size),
            optimizer,
            progress.step + n,
            progress=progress,
            precision=precision,
            at_once=at_once,
            clip=1.0,
            quiet=True,
        )
        return time.process_time() - started

    # What every training needs once: kernels, and room for threads.
    advance(2, Progress(), begin(GPTConfig(300, 16, 32, 2, 1, 0.0)))
    n_tokens = STEPS[2] * batch_size * config.context_length
    known = {
        "batch_size": batch_size,
        "at_once": at_once,
        "n_tokens": n_tokens,
        "precision": precision,
        "optimizer": optimizer,
        "recompute": recompute,
        "device": device,
    }
    said = sum(predict(config, **known).memory.values())
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak
        before = memory_now("VmRSS")
    began, progress = begin(config), Progress()
    advance(STEPS[0], progress, began)
    warm = progress.seconds
    cpu_timed = advance(STEPS[1], progress, began)
    timed = progress.seconds - warm
    speed = STEPS[1] * batch_size * config.context_length / timed
    seconds = predict(config, **known, speed=speed).seconds
    cpu_took = advance(STEPS[2], progress, began)
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = memory_now("VmHWM") - before
    return {
        "memory": [said, peak],
        "seconds": [seconds, progress.seconds - warm - timed],
        "cpu_seconds": [cpu_timed * STEPS[2] / STEPS[1], cpu_took],
    }


def measure_apart(depth: int, **settings) -> dict:
    """The same in a new process.

    Raises: ValueError if that process fails.
    """
    settings = json.dumps({"depth": depth} | settings)
    command = "from ch05.scaling_check import answer; answer()"
    done = subprocess.run(
        [sys.executable, "-c", command, settings],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason was given"]
        raise ValueError(f"depth {depth} could not be measured: {lines[-1]}")
    return json.loads(done.stdout)


def answer() -> None:
    """Measure one size, in a process of its own, and print what was found as JSON."""
    asked = json.loads(sys.argv[1])
    config = config_for_depth(asked.pop("depth")).config
    print(json.dumps(measure(config, **asked)))


def check() -> bool:
    """Print a table of three sizes; whether all is within a fifth of what was predicted."""
    print(
        f"{'depth':>5}  {'what':<18}{'predicted':>11}{'measured':>11}{'apart':>8}"
    )
    units = {"memory": 1e6, "seconds": 1, "cpu_seconds": 1}
    names = {"memory": "peak memory, MB", "seconds": "time, s"}
    names["cpu_seconds"] = "processor time, s"
    within = True
    for depth in SIZES:
        found = measure_apart(depth, batch_size=8, at_once=8)
        for what, (said, took) in found.items():
            said, took = said / units[what], took / units[what]
            apart = said / took - 1
            within &= what == "seconds" or math.fabs(apart) <= 0.2
            print(
                f"{depth:>5}  {names[what]:<18}{said:>11,.1f}{took:>11,.1f}{apart:>+8.0%}",
                flush=True,
            )
    print(
        "Memory is by how much a process grows, at its peak; times are of "
        f"{STEPS[2]} steps, predicted from the {STEPS[1]} before them. Other programs that run "
        "here change the time, and the processor time less."
    )
    return within
