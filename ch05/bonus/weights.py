"""From a file into memory: a safetensors file by hand, and ways to load one under a hard limit.

    python -m ch05.bonus.weights

writes a model of some 100 MB into a temporary folder and loads it in seven ways, each in a process
of its own that may have only so much memory. It prints what each needed, and within which limits
it still loaded. The limits are those of Linux.
"""

import argparse
import json
import os
import struct
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from ch04.gpt import GPTConfig, GPTModel
from ch05.files import saved_whole
from course.files import written_whole
from course.terminal import replace_unprintable

RECORD = Path(__file__).parents[1] / "recorded" / "weights.json"
CONFIG = GPTConfig(3072, 256, 512, 8, 7, drop_rate=0.0)  # 25 million numbers
WITHIN = {
    f"within {limit}": limit for limit in (0.5, 1.5, 2.5)
}  # times the file's size

# The names of safetensors' header, and PyTorch's.
DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_header(path: str | Path) -> tuple[dict, int]:
    """The header of a safetensors file, and where its numbers begin.

    Raises: ValueError if the file is too short to hold what it announces.
    """
    size = Path(path).stat().st_size
    with open(path, "rb") as file:
        start = file.read(8)
        n = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if 8 + n > size:
            raise ValueError(
                f"{path}: a header of {n} bytes in a file of {size}"
            )
        header = json.loads(file.read(n))
    end = max(
        (e["data_offsets"][1] for e in tensor_entries(header).values()),
        default=0,
    )
    if 8 + n + end != size:
        raise ValueError(f"{path}: {8 + n + end} bytes announced, {size} there")
    return header, 8 + n


def tensor_entries(header: Mapping) -> dict[str, dict]:
    """The entries of a header that are tensors; __metadata__ is none."""
    return {name: e for name, e in header.items() if name != "__metadata__"}


def write_safetensors(state: Mapping[str, Tensor], path: str | Path) -> None:
    """Write tensors as a safetensors file, whole or not at all."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    header, place = {}, 0
    for name, tensor in state.items():
        offsets = [place, place + tensor.nbytes]
        header[name] = {
            "dtype": names[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": offsets,
        }
        place = offsets[1]
    text = json.dumps(header).encode()
    text += b" " * (
        -len(text) % 8
    )  # so that every number begins at a multiple of 8
    with saved_whole(path) as draft, open(draft, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in state.values():
            numbers = tensor.contiguous().reshape(-1).view(torch.uint8)
            file.write(numbers.numpy().tobytes())


def map_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, read-only: nothing is copied."""
    header, start = read_header(path)
    data = np.memmap(path, np.uint8, mode="r")
    mapped = {}
    for name, entry in tensor_entries(header).items():
        first, last = entry["data_offsets"]
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # that it cannot be written is the point
            part = torch.from_numpy(data[start + first : start + last])
        mapped[name] = part.view(DTYPES[entry["dtype"]]).reshape(entry["shape"])
    return mapped


# ---- Seven ways. Each gives a model that can compute.


def copied_from_pickle(folder: Path) -> GPTModel:
    model = GPTModel(CONFIG)
    model.load_state_dict(torch.load(folder / "model.pt", weights_only=True))
    return model


def copied_from_safetensors(folder: Path) -> GPTModel:
    model = GPTModel(CONFIG)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model


def one_by_one(folder: Path) -> GPTModel:
    model = GPTModel(CONFIG)
    with safe_open(folder / "model.safetensors", "pt") as file, torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(file.get_tensor(name))
    return model


def empty_model() -> GPTModel:
    """A model of shapes and no numbers."""
    with torch.device("meta"):
        return GPTModel(CONFIG)


def assigned_from_pickle(folder: Path) -> GPTModel:
    model, path = empty_model(), folder / "model.pt"
    model.load_state_dict(torch.load(path, weights_only=True), assign=True)
    return model


def assigned_from_mapped_pickle(folder: Path) -> GPTModel:
    model = empty_model()
    state = torch.load(folder / "model.pt", weights_only=True, mmap=True)
    model.load_state_dict(state, assign=True)
    return model


def assigned_from_safetensors(folder: Path) -> GPTModel:
    model = empty_model()
    model.load_state_dict(load_file(folder / "model.safetensors"), assign=True)
    return model


def assigned_read_only(folder: Path) -> GPTModel:
    model = empty_model().requires_grad_(False)
    state = map_weights(folder / "model.safetensors")
    model.load_state_dict(state, assign=True)
    return model


WAYS = {
    "torch.load, copied": copied_from_pickle,
    "load_file, copied": copied_from_safetensors,
    "tensor by tensor, copied": one_by_one,
    "torch.load, assigned": assigned_from_pickle,
    "torch.load with mmap, assigned": assigned_from_mapped_pickle,
    "load_file, assigned": assigned_from_safetensors,
    "mapped read-only, assigned": assigned_read_only,
}


# ---- Trials: a process for each.


def own_memory() -> dict[str, int]:
    """Bytes in memory now: all of this process (Rss), and what lies in no file (Anonymous)."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    rows = (line.split() for line in lines)
    return {name.rstrip(":"): 1024 * int(number) for name, number, _ in rows}


def data_bytes() -> int:
    """Bytes that this process may write and shares with nobody, as RLIMIT_DATA counts them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(
        next(line.split()[1] for line in lines if line.startswith("VmData"))
    )


def in_child(task: Callable[[], dict]) -> dict:
    """Do a task in a process of its own; give its answer, or what ended it as an error.

    The child is a copy of this process, so nothing has to be imported again.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = task()
        except BaseException as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as file:
        answer = file.read()
    os.waitpid(child, 0)
    return json.loads(answer or '{"error": "the process was ended"}')


def trial(
    way: Callable[[Path], GPTModel], folder: Path, limit: int | None = None
) -> dict:
    """Load a model and let it compute; give what that took, in bytes.

    limit: how much memory of its own the process may have beyond what it has now. What it has
    freed and not yet given back counts as what it has.
    """
    import resource  # which Windows has not

    if limit is not None:
        most = data_bytes() + limit
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    before = own_memory()
    with torch.no_grad():
        logits = way(folder)(torch.arange(16)[None])
    after = own_memory()
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "peak": peak - before["Rss"],
        "own": after["Anonymous"] - before["Anonymous"],
        "logits": [round(number, 4) for number in logits[0, -1, :4].tolist()],
    }


def compare_ways(folder: Path) -> list[dict]:
    """A row for each way, in sizes of the file: its peak, its own memory, and where it loads."""
    torch.manual_seed(0)
    state = GPTModel(CONFIG).state_dict()
    save_file(state, folder / "model.safetensors")
    torch.save(state, folder / "model.pt")
    del state
    size = (folder / "model.safetensors").stat().st_size
    empty_model()(
        torch.arange(2, device="meta")[None]
    )  # PyTorch loads its code for shapes now
    rows = []
    for name, way in WAYS.items():
        free = in_child(partial(trial, way, folder))
        if "error" in free:
            raise RuntimeError(f"{name}: {free['error']}")
        row = {
            "way": name,
            "peak": free["peak"] / size,
            "own": free["own"] / size,
        }
        row["logits"] = free["logits"]
        for column, limit in WITHIN.items():
            answer = in_child(partial(trial, way, folder, int(limit * size)))
            row[column] = answer.get("logits") == free["logits"]
        rows.append(row)
    return rows


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch05.bonus.weights",
        description="Load a model in seven ways, each under several limits of memory.",
    )
    parser.add_argument(
        "--record", type=Path, help=f"where the rows go [{RECORD.name}]"
    )
    return parser.parse_args()


def main() -> None:
    replace_unprintable()
    args = parse_arguments()
    if sys.platform != "linux":
        raise SystemExit(
            "weights: the limits are those of Linux; the record has what they showed"
        )
    torch.set_num_threads(1)  # a copy of a process has no more than one
    with tempfile.TemporaryDirectory() as folder:
        rows = compare_ways(Path(folder))
    if args.record is not None:
        with written_whole(args.record) as draft:
            draft.write_text(
                json.dumps(rows, indent=1) + "\n", encoding="utf-8"
            )
    for row in rows:
        loads = "  ".join(
            f"{name} {'yes' if row[name] else 'no':3}" for name in WITHIN
        )
        print(
            f"{row['way']:32} peak {row['peak']:4.2f}  own {row['own']:4.2f}  {loads}"
        )


if __name__ == "__main__":
    main()
