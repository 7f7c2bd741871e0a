"""Checkpoints: written whole or not at all, and read without running anything.

A checkpoint is a folder. Its tensors are in safetensors files, one for each
process that wrote them with torch.distributed.checkpoint, so any other number
of processes can read them. state.json says the rest. As long as it is being
written the folder's name ends in .part.
"""

import json
import os
import shutil
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.optim import Optimizer

FORMAT = 1
KEPT = 2


def named_states(
    model: nn.Module, optimizer: Optimizer
) -> dict[str, dict[str, Tensor]]:
    """For each parameter by its name, what the optimizer remembers of it."""
    states = {}
    for part in getattr(optimizer, "parts", [optimizer]):
        inside = {p for group in part.param_groups for p in group["params"]}
        for name, parameter in model.named_parameters():
            if parameter in inside:
                states[name] = part.state[parameter]
    return states


def all_tensors(model: nn.Module, optimizer: Optimizer) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name; loading writes into them."""
    tensors = {f"model.{n}": p.detach() for n, p in model.named_parameters()}
    for name, state in named_states(model, optimizer).items():
        for what, value in state.items():
            tensors[f"optimizer.{name}.{what}"] = value
    return tensors


def first_line(error: BaseException) -> str:
    """The reason of an error, and if it is one of several processes, of the first."""
    if isinstance(error, CheckpointException):
        error = next(iter(error.failures.values()))[0]
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
    return reason or type(error).__name__


def save_checkpoint(
    folder: str | Path, model: nn.Module, optimizer: Optimizer, facts: dict
) -> Path:
    """Write a checkpoint of facts["step"], and keep the one before it; its path.

    Every process has to call it; each writes its part, and the first one the rest.
    Raises: OSError if it cannot be written; those before it stay.
    """
    rank = dist.get_rank() if dist.is_initialized() else 0
    path = Path(folder) / f"step-{facts['step']:08d}"
    draft = path.with_suffix(".part")
    if path.exists():
        return path
    try:
        if rank == 0:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
        if dist.is_initialized():
            dist.barrier()
        with warnings.catch_warnings():  # that there is one process only
            warnings.simplefilter("ignore")
            dcp.save(
                all_tensors(model, optimizer),
                storage_writer=dcp.HuggingFaceStorageWriter(
                    str(draft), save_distributed=True
                ),
            )
        if rank == 0:
            finish(path, draft, facts)
    except (
        CheckpointException,
        OSError,
        RuntimeError,
        SafetensorError,
    ) as error:
        if dist.is_initialized() and isinstance(error, RuntimeError):
            raise  # a process was lost
        if rank == 0:
            shutil.rmtree(draft, ignore_errors=True)
        raise OSError(
            f"{path} could not be written ({first_line(error)}): is the disk full, or the "
            "folder not yours? The checkpoints before it are as they were"
        ) from None
    if dist.is_initialized():
        dist.barrier()
    return path


def finish(path: Path, draft: Path, facts: dict) -> None:
    """Say what is in a draft, give it its name, and let older checkpoints go."""
    files = {file.name: file.stat().st_size for file in draft.iterdir()}
    with open(draft / "state.json", "w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, **facts, "files": files}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    for old in find_checkpoints(path.parent)[KEPT:]:
        # Half of a folder must not look like a checkpoint.
        shutil.rmtree(old.rename(old.with_suffix(".part")))


def find_checkpoints(folder: str | Path) -> list[Path]:
    """The checkpoints of a folder, the newest one first."""
    paths = Path(folder).glob("step-????????")
    return sorted((path for path in paths if path.is_dir()), reverse=True)


def remove_drafts(folder: str | Path) -> None:
    """Remove what a training that was killed had begun to write."""
    for draft in Path(folder).glob("step-*.part"):
        shutil.rmtree(draft)


def read_facts(path: Path) -> dict:
    """What state.json says, when all files that it names are there and whole.

    Raises: ValueError if they are not, or if it is of another format.
    """
    try:
        facts = json.loads((path / "state.json").read_text(encoding="utf-8"))
        files, found = facts["files"], facts["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} is not a whole checkpoint: state.json cannot be read ({error})"
        ) from None
    if found != FORMAT:
        raise ValueError(
            f"{path} has format {found} of checkpoints, not {FORMAT}"
        )
    for name, size in files.items():
        file = path / name
        there = file.stat().st_size if file.exists() else 0
        if there != size:
            raise ValueError(
                f"{path} is not a whole checkpoint: {name} has {there:,} of {size:,} bytes"
            )
    return facts


def load_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer) -> dict:
    """Put model and optimizer back as they were; what state.json says.

    Every process has to call it. Nothing but numbers is read, and no program.
    Raises: ValueError if the checkpoint is damaged or does not fit the model.
    """
    facts = read_facts(path)
    reader = dcp.HuggingFaceStorageReader(str(path))
    try:
        saved = reader.read_metadata().state_dict_metadata
        check_shapes(path, model, {n: tuple(s.size) for n, s in saved.items()})
        sizes = {name: found.size for name, found in saved.items()}
        make_states(path, model, optimizer, sizes, facts["step"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dcp.load(all_tensors(model, optimizer), storage_reader=reader)
    except (
        CheckpointException,
        OSError,
        RuntimeError,
        SafetensorError,
    ) as error:
        raise ValueError(
            f"{path} is not a whole checkpoint: {first_line(error)}"
        ) from None
    return facts


def make_states(
    path: Path,
    model: nn.Module,
    optimizer: Optimizer,
    sizes: dict[str, torch.Size],
    step: int,
) -> None:
    """Give the optimizer zeros of the sizes that a checkpoint has, to be read into.

    Raises: ValueError if they are not those of the weights.
    """
    parameters = dict(model.named_parameters())
    for name, state in named_states(model, optimizer).items():
        start, own = f"optimizer.{name}.", parameters[name].detach()
        found = {n: size for n, size in sizes.items() if n.startswith(start)}
        if step and not found:
            raise ValueError(f"{path} lacks what the optimizer knew of {name}")
        for key, size in found.items():
            if size and size != own.shape:
                raise ValueError(
                    f"{path} is of another model: {key} is {tuple(size)}, and "
                    f"{tuple(own.shape)} in this one"
                )
            like = (
                torch.zeros_like(own)
                if size
                else torch.zeros((), device=own.device)
            )
            state[key.removeprefix(start)] = like


def check_shapes(
    path: Path, model: nn.Module, saved: dict[str, tuple[int, ...]]
) -> None:
    """Refuse a checkpoint of another model, by the name of a weight that differs.

    Raises: ValueError.
    """
    own = {f"model.{n}": tuple(p.shape) for n, p in model.named_parameters()}
    saved = {n: shape for n, shape in saved.items() if n.startswith("model.")}
    for name in sorted(own.keys() | saved.keys()):
        if own.get(name) != saved.get(name):
            raise ValueError(
                f"{path} is of another model: {name} is {saved.get(name, 'missing')}, "
                f"and {own.get(name, 'missing')} in this one"
            )
