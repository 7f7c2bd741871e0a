"""What the machine says of itself: its processor, the memory that is free, the power it takes."""

import subprocess
import time
from pathlib import Path

import psutil
import torch

CGROUP = Path("/sys/fs/cgroup")  # what holds a container's limits on Linux
RAPL = Path("/sys/class/powercap/intel-rapl:0/energy_uj")


def cpu_info() -> dict[str, str]:
    """What Linux says about the first processor; nothing elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def free_memory(device: torch.device) -> int:
    """The bytes that a training may still take on a device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    free = psutil.virtual_memory().available
    try:
        limit = int((CGROUP / "memory.max").read_text())
        used = int((CGROUP / "memory.current").read_text())
        stat = (CGROUP / "memory.stat").read_text().split()
        given_back = int(stat[stat.index("inactive_file") + 1])  # if asked for
    except (OSError, ValueError):  # there is no limit
        return free
    return min(free, limit - used + given_back)


def read_watts(device: torch.device) -> float | None:
    """The power that a GPU or an Intel processor says it takes now; None if it says nothing."""
    try:
        if device.type == "cuda":
            command = "nvidia-smi --query-gpu=power.draw --format=csv,noheader,nounits -i"
            asked = [*command.split(), str(device.index or 0)]
            return float(subprocess.check_output(asked, text=True, timeout=10))
        before, started = int(RAPL.read_text()), time.perf_counter()
        time.sleep(0.5)
        joules = (int(RAPL.read_text()) - before) / 1e6
        return max(0.0, joules) / (time.perf_counter() - started) or None
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
