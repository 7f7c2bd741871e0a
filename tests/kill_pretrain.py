"""Kill trainings at random moments, go on, and compare with one that was left alone.

    python tests/kill_pretrain.py --kills 200

Each run is killed with SIGKILL and gone on with until it reaches its end; then its weights must be
those of a run that nobody killed, bit for bit. Every other kill waits until a checkpoint is being
written. The children are forked, so that none has to import PyTorch anew.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import torch

from ch05 import pretrain
from ch05.token_shards import prepare

WORDS = "the clock in the hall struck nine and nobody at the table looked up from the bread"
# Everything that could go wrong: dropout, a rate that moves, Muon's averages, two epochs.
OPTIONS = "--emb-dim 16 --n-layers 1 --n-heads 2 --context-length 16 --batch-size 4 --epochs 2"
OPTIONS += " --optimizer muon --drop-rate 0.1 --save-every 2 --eval-every 7 --warmup 5"
OPTIONS += " --eval-tokens 64 --device cpu"


def write_data(folder: Path) -> Path:
    """Shards of a text of two hundred short documents."""
    words, draw = WORDS.split(), Random(3)
    documents = (" ".join(draw.choices(words, k=12)) for _ in range(40))
    (folder / "text.txt").write_text("<|endoftext|>".join(documents), encoding="utf-8")
    prepare([folder / "text.txt"], folder / "data", vocab_size=300)
    return folder / "data"


def start(data: Path, out: Path) -> int:
    """Begin a run or go on with it, in a child; its process id."""
    arguments = ["pretrain", "train", "--data", str(data), "--out", str(out), *OPTIONS.split()]
    if (out / "settings.json").exists():
        arguments.append("--resume")
    if child := os.fork():
        return child
    said = os.open(out.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    code = 1
    try:
        sys.argv = arguments
        pretrain.main()
        code = 0
    except SystemExit as stopped:
        print(stopped.code, flush=True)
    finally:
        os._exit(code)


def drafts(out: Path) -> set[tuple]:
    """What is being written, or was when a run was killed."""
    paths = (out / "checkpoints").glob("*.part")
    try:
        return {(path.name, path.stat().st_ino) for path in paths}
    except FileNotFoundError:  # one was ready just now
        return drafts(out)


def finished(child: int) -> bool:
    """Whether a child has ended, and well.

    Raises: RuntimeError if it ended with an error.
    """
    done, status = os.waitpid(child, os.WNOHANG)
    if done and status:
        raise RuntimeError(f"a run ended with status {status}")
    return bool(done)


def attack(child: int, out: Path, wait: float, in_writing: bool, draw: Random) -> str | None:
    """Kill a child at a random moment: where that was, or None if it came to its end."""
    deadline, old = time.monotonic() + wait, drafts(out)
    while time.monotonic() < deadline or (in_writing and not drafts(out) - old):
        if finished(child):
            return None
        time.sleep(0.0005)
    if in_writing:
        time.sleep(draw.uniform(0, 0.01))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "inside of the writing" if drafts(out) - old else "elsewhere"


def contents(out: Path) -> tuple[bytes, list[tuple]]:
    """What a run leaves that does not depend on the clock: weights, and what each step found."""
    lines = (out / "log.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    names = ("step", "tokens", "loss", "learning_rate", "gradient_norm", "val_loss")
    return (out / "model.safetensors").read_bytes(), [tuple(r[n] for n in names) for r in rows]


def kill_runs(n_kills: int, seed: int, folder: Path) -> dict[str, int]:
    """Kill so many times; count where, and how many runs came to the right end.

    Raises: AssertionError if a run ends otherwise than the one that was left alone.
    """
    torch.set_num_threads(1)
    data, draw = write_data(folder), Random(seed)
    started = time.monotonic()
    os.waitpid(start(data, folder / "whole"), 0)
    wanted, usual = contents(folder / "whole"), time.monotonic() - started
    counts = {"inside of the writing": 0, "elsewhere": 0, "runs": 0}
    out = folder / "run"
    while True:
        done = counts["inside of the writing"] + counts["elsewhere"]
        child = start(data, out)
        wait = 3600 if done == n_kills else draw.uniform(0, 0.6 * usual)
        where = attack(child, out, wait, done % 2 == 1 and done < n_kills, draw)
        if where:
            counts[where] += 1
            continue
        assert contents(out) == wanted, f"run {counts['runs']} ended otherwise"
        assert not drafts(out) and len(list((out / "checkpoints").iterdir())) == 2
        counts["runs"] += 1
        shutil.rmtree(out)
        if done == n_kills:
            return counts


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill trainings, and compare how they end.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        counts = kill_runs(args.kills, args.seed, Path(folder))
    places = ", ".join(f"{n} {where}" for where, n in counts.items() if where != "runs")
    print(f"{args.kills} kills ({places}); {counts['runs']} runs ended as the one left alone")


if __name__ == "__main__":
    main()
