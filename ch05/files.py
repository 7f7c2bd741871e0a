"""Files of models and checkpoints: written whole or not at all, and what to do if one is gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from course.files import written_whole


@contextmanager
def saved_whole(path: str | Path) -> Iterator[Path]:
    """Give a draft file that takes the place of path only if nothing went wrong, as written_whole.

    A full disk is an error of its own in each library; here it is always an OSError. And
    safetensors makes files that nobody else may read; here they get the mode of any new file.
    Raises: OSError that names path and the reason.
    """
    try:
        with written_whole(path) as draft:
            draft.touch()
            mode = draft.stat().st_mode
            yield draft
            draft.chmod(mode)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = (
            getattr(error, "strerror", None) or str(error).partition("\n")[0]
        )
        raise OSError(
            f"{path} could not be written ({reason}): is the disk full, or the folder not yours? "
            "What was there before is as it was"
        ) from None


def check_writable(folder: str | Path) -> None:
    """Try whether a folder can be written: found out before a training, not after it.

    Folders that are not there yet are made for the trial, and go again.
    Raises: OSError if nothing can be written into it.
    """
    folder = Path(folder)
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    with saved_whole(folder / "writable"):
        pass
    (folder / "writable").unlink()
    for path in missing:
        path.rmdir()


def what_is_there(path: Path, names: str) -> str:
    """In place of a model's file that is missing: what its folder holds, and what to do with it."""
    folder = path.parent
    if (folder / "checkpoints").exists():
        command = f"python -m ch05.pretrain train --out {folder} --resume"
        return f"a training was stopped before its end, and `{command}` goes on with it"
    kinds = (".safetensors", ".bin", ".pt", ".pth", ".h5", ".gguf", ".msgpack")
    others = sorted(p.name for p in folder.glob("*") if p.suffix in kinds)
    if path.suffix == ".safetensors" and others:
        shown = ", ".join(others[:3]) + ", …" * (len(others) > 3)
        read, write = (
            f"from_pretrained({str(folder)!r})",
            f"save_pretrained({str(folder)!r}",
        )
        return (
            f"its weights are in {shown}; Hugging Face's transformers write them into one file, "
            f'`GPT2LMHeadModel.{read}.{write}, max_shard_size="99GB")`'
        )
    return (
        f"{folder} is neither a model folder nor one of {names} "
        "(`python -m ch05.gpt_train` makes a model folder)"
    )
