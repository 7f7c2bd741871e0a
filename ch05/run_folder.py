"""The folder of a long training: what the run is, a row for each step, how it is stopped.

A run goes on only as it began, and none takes the place of another.
"""

import argparse
import json
import os
import shlex
import signal
from pathlib import Path

import torch

from ch05.bonus.faster_training import processes, sum_over_processes
from ch05.checkpoints import find_checkpoints
from ch05.files import saved_whole
from ch05.token_windows import Shards

# What may be another in each part of a run: it changes no result, or only by
# the last digits. All else is the run.
MAY_CHANGE = (
    *(
        "command",
        "data",
        "out",
        "resume",
        "device",
        "prompt",
        "watts",
        "verify",
    ),
    *("eval_every", "eval_tokens", "save_every", "other_version"),
    *("at_once", "compile", "recompute", "fsdp"),
)


def option(name: str) -> str:
    """A setting as the command line has it: vocab_size is --vocab-size."""
    return f"--{name.replace('_', '-')}"


def read_settings(out: Path) -> dict:
    """The settings of the run in a folder, empty if there is none.

    Raises: ValueError if they cannot be read.
    """
    path = out / "settings.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(settings, dict):
            raise ValueError("no settings are in it")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}): take another --out folder"
        ) from None
    return settings


def settings_of(args: argparse.Namespace, data: Shards, precision: str) -> dict:
    """All that a run was told, and what it stands on."""
    return {
        n: v for n, v in vars(args).items() if n not in ("command", "resume")
    } | {
        "precision": precision,
        "data_sha256": data.index["sha256"],
        "pytorch": torch.__version__.partition("+")[0],
    }


def differences(saved: dict, settings: dict, args: argparse.Namespace) -> str:
    """What makes two runs different, as the command line has it; or nothing."""
    free = list(MAY_CHANGE)
    if args.other_version:
        free.append("pytorch")
    if saved.get("schedule") == "constant":
        free += ["epochs", "tokens"]
    named = {
        "data_sha256": f"another text or vocabulary than {args.data} holds",
        "precision": "COURSE_PRECISION={}, not {}",
        "pytorch": "PyTorch {}, not {} (--other-version goes on all the same)",
    }
    return ", ".join(
        named.get(name, f"{option(name)} {{}}, not {{}}").format(
            saved.get(name), value
        )
        for name, value in settings.items()
        if name not in free and saved.get(name) != value
    )


def check_run(args: argparse.Namespace, settings: dict) -> None:
    """Let a run go on only as it began, and let none take the place of another.

    Raises: ValueError that says what differs, or what the folder holds.
    """
    out, saved = Path(args.out), read_settings(Path(args.out))
    differ = differences(saved, settings, args)
    if args.resume and differ:
        raise ValueError(
            f"the run in {out} has {differ}: a run goes on as it began, so start this one "
            "without --resume in another --out folder"
        )
    there = [
        n for n in ("checkpoints", "model.safetensors") if (out / n).exists()
    ]
    if not args.resume and (saved or there):
        what, remedy = f"{', '.join(there)} of something else", ""
        if saved:
            what = f"another run, with {differ}" if differ else "this run"
            remedy = "" if differ else "go on with --resume, "
        raise ValueError(
            f"{out} holds {what}: {remedy}take another --out folder, or delete that one"
        )


def way_on(out: Path) -> str:
    """What can be done after an interruption."""
    command = f"`python -m ch05.pretrain train --out {shlex.quote(str(out))} --resume`"
    found = find_checkpoints(out / "checkpoints")
    if found:
        return f"{command} goes on after step {int(found[0].name[5:])}"
    return "no checkpoint was written, so it has to start anew"


class Log:
    """A row for each step, as JSON, each in a line of its own."""

    def __init__(self, path: Path, step: int):
        """Open it; rows after a step are of a run that was stopped, and go."""
        rows = []
        if path.exists():
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            whole = (line for line in lines if line.endswith("}\n"))
            rows = [line for line in whole if json.loads(line)["step"] <= step]
        with saved_whole(path) as draft:
            draft.write_text("".join(rows), encoding="utf-8")
        self.file = open(path, "a", encoding="utf-8")

    def add(self, row: dict) -> None:
        self.file.write(json.dumps(row) + "\n")
        self.file.flush()


class Stop:
    """Note Ctrl-C and SIGTERM: a step that has begun is made, and then saved.

    A second Ctrl-C ends at once. (torchrun sends SIGTERM after its own Ctrl-C.)
    """

    def __init__(self):
        self.asked = False

    def __enter__(self) -> "Stop":
        names = (signal.SIGINT, signal.SIGTERM)
        self.before = {name: signal.signal(name, self.note) for name in names}
        return self

    def note(self, number: int, frame) -> None:
        if self.asked and number == signal.SIGINT and "RANK" not in os.environ:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *error) -> None:
        for name, handler in self.before.items():
            signal.signal(name, handler)

    def agreed(self) -> bool:
        """Whether any process was asked to stop: then all do."""
        if processes()[1] == 1:
            return self.asked
        return sum_over_processes(torch.tensor(int(self.asked))).item() > 0
