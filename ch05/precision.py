"""Choose the precision of a long training's matrix products: float32, or bfloat16.

bfloat16 has the range of float32 and a third of its digits. GPUs since NVIDIA's Ampere multiply it
several times as fast, and so do processors with AVX512-BF16 or AMX. Others only imitate it, and
become slower. So on a CPU a measurement decides.
"""

import os
import time
from functools import cache

import torch

PRECISIONS = ("float32", "bfloat16")
PAYS = 1.5  # a product that is at least so many times as fast also pays for the conversions


@cache
def bfloat16_gain() -> float:
    """How many times as fast as in float32 this CPU multiplies in bfloat16; measured only once.

    The two take turns, so that both meet the same disturbances, and the best time of each counts.
    """
    a, b = torch.randn(256, 512), torch.randn(512, 512)
    pairs = {"float32": (a, b), "bfloat16": (a.bfloat16(), b.bfloat16())}
    times = {name: [] for name in pairs}
    for _ in range(6):
        for name, (left, right) in pairs.items():
            started = time.perf_counter()
            left @ right
            times[name].append(time.perf_counter() - started)
    # The first is a warm-up.
    best = {name: min(of_one[1:]) for name, of_one in times.items()}
    return best["float32"] / best["bfloat16"]


def choose_precision(device: torch.device, default: str = "auto") -> str:
    """The precision that COURSE_PRECISION names, or the one that pays on this device.

    default takes the place of a variable that is not set: a run that goes on keeps its precision.
    Raises: ValueError if COURSE_PRECISION is none of float32, bfloat16 and auto.
    """
    asked = os.environ.get("COURSE_PRECISION") or default
    if asked not in (*PRECISIONS, "auto"):
        choices = ", ".join((*PRECISIONS, "auto"))
        raise ValueError(
            f"COURSE_PRECISION={asked!r} is no precision: choose from {choices}"
        )
    if asked != "auto":
        return asked
    if device.type == "cuda":
        pays = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        pays = device.type == "cpu" and bfloat16_gain() >= PAYS
    return "bfloat16" if pays else "float32"


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The context for one forward pass with its matrix products in precision.

    One pass, not a whole training: PyTorch keeps the weights' 16-bit copies until the context ends.
    """
    return torch.autocast(
        device.type, torch.bfloat16, enabled=precision == "bfloat16"
    )
