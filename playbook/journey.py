"""The whole road in one command: from the course's corpora to a small model that one talks with.

    make everything                        # or: python -m playbook journey
    make everything ARGS=--quick           # a small road: it shows the way and learns little

Tokenizer, pretraining, instructions, preferences (DPO, then GRPO), eight bits, a talk: each stage
is a chapter's, gets a row with what it was worth, and is kept in the folder --out as soon as it is
done. The same command goes on where it was stopped. A road's journey.json has the form of the
records in playbook/recorded; `cp runs/journey/journey.json playbook/recorded/journey-full.json`
makes it the one that comes with the course.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict
from pathlib import Path

import torch
from tqdm import tqdm

from ch04.gpt import choose_device
from ch05.files import check_writable
from ch05.machine import cpu_info
from ch05.precision import choose_precision
from course.commands import check_least
from course.files import written_whole
from course.language import say
from course.records import write_rows
from playbook.journey_line import Line
from playbook.journey_stages import FULL, QUICK, STAGES, Road, Size, Stage
from playbook.journey_table import (
    MEASURE_OF,
    band_of,
    make_row,
    reference,
    table,
)

GUESS = 60.0  # seconds of a part of which no record tells


# ---- What is kept in the road's folder.


def processor() -> str:
    """The name of this machine's processor, as far as it tells."""
    return cpu_info().get("model name") or platform.processor() or platform.machine()


def settle(out: Path, args: argparse.Namespace, size: Size, device: torch.device) -> dict:
    """The settings of the road in a folder, kept there from its beginning on.

    Raises: ValueError if the folder holds something else, or a road with other settings.
    """
    path, settings = out / "settings.json", {"seed": args.seed, **asdict(size)}
    if path.exists():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            precision, road = kept["precision"], kept["road"]
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                say("{path} is damaged: take another --out folder, or delete that one", path=path)
            ) from None
        differ = [f"{k} {road.get(k)}, not {v}" for k, v in settings.items() if road.get(k) != v]
        if differ:
            raise ValueError(
                say(
                    "{out} holds a road with {differ}: give the same options, or another --out "
                    "folder",
                    out=out,
                    differ="; ".join(differ),
                )
            )
        return {"road": settings, "precision": precision}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(
            say("{out} holds something else: take another --out folder, or empty that one", out=out)
        )
    kept = {"road": settings, "precision": choose_precision(device)}
    with written_whole(path) as draft:
        draft.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return kept


def part_path(out: Path, stage: Stage, part: int) -> Path:
    return out / "parts" / f"{stage.name}-{part}.json"


def read_part(path: Path) -> dict | None:
    """What a part of the road left when it was done, or None.

    Raises: ValueError if that is damaged.
    """
    if not path.exists():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found["rows"], found["seconds"], found["cpu"]
        return found
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            say("{path} is damaged: delete it, and the same command makes it anew", path=path)
        ) from None


def write_json(path: Path, content: dict) -> None:
    with written_whole(path) as draft:
        draft.write_text(json.dumps(content) + "\n", encoding="utf-8")


# ---- On the way.


@contextmanager
def into_log(path: Path) -> Iterator[None]:
    """What the stages print goes to a file, so that one line stays on the screen."""
    with open(path, "a", encoding="utf-8") as log, redirect_stdout(log), redirect_stderr(log):
        yield


def do_part(road: Road, stage: Stage, part: int, line: Line) -> dict:
    """One part of a stage, done here or found where an earlier session has left it.

    Its seconds count all sessions that could end it in order: of one that was killed, nobody
    knows them.
    """
    path, spent_path = part_path(road.out, stage, part), road.out / "parts" / "spent.json"
    if found := read_part(path):
        line.end((stage.name, part), found["seconds"])
        return found
    name, road.tick = f"{stage.name}-{part}", line.tick
    spent = json.loads(spent_path.read_text()) if spent_path.exists() else {}
    seconds, cpu = spent.get(name, (0.0, 0.0))
    began, cpu_began = time.perf_counter(), time.process_time()
    try:
        with line.part((stage.name, part)), into_log(road.out / "log.txt"):
            rows = stage.work(road, part)
    finally:
        seconds += time.perf_counter() - began
        cpu += time.process_time() - cpu_began
        write_json(spent_path, spent | {name: (seconds, cpu)})
    found = {"rows": rows, "seconds": round(seconds, 1), "cpu": round(cpu, 1)}
    write_json(path, found)
    line.end((stage.name, part), seconds)
    return found


def rows_of(stage: Stage, parts: list[dict]) -> list[dict]:
    """The rows of a stage from what its parts have found."""
    rows, seconds = [], sum(found["seconds"] for found in parts)
    cpu = sum(found["cpu"] for found in parts)
    for name in parts[0]["rows"]:
        both = {
            side: [value for found in parts for value in found["rows"][name][side]]
            for side in ("before", "after")
        }
        more = {k: v for k, v in parts[0]["rows"][name].items() if k not in both}
        is_first = name == stage.name
        times = {
            "seconds": round(seconds if is_first else 0, 1),
            "cpu": round(cpu if is_first else 0, 1),
        }
        rows.append(make_row(MEASURE_OF[name], **both, **times, **more))
    return rows


def expected_seconds(size: Size) -> dict[tuple[str, int], float]:
    """What each part takes, by the road that came with the course."""
    rows = reference(size.name)["rows"]
    return {
        (stage.name, part): max(0.1, rows[stage.name]["seconds"] / stage.parts)
        if stage.name in rows
        else GUESS
        for stage in STAGES
        for part in range(stage.parts)
    }


def walk(road: Road, kept: dict) -> list[dict]:
    """Go the road to its end; its rows, which journey.json holds after each stage."""
    bands = {name: band_of(row) for name, row in reference(road.size.name)["rows"].items()}
    here = {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "device": str(road.device),
    }
    settings = kept["road"] | {"tokens": road.size.dial.tokens, "precision": kept["precision"]}
    settings |= here
    line, rows = Line(expected_seconds(road.size), [stage.name for stage in STAGES]), []
    (road.out / "parts").mkdir(exist_ok=True)
    try:
        for stage in STAGES:
            parts = road.found[stage.name] = []
            for part in range(stage.parts):
                parts.append(do_part(road, stage, part, line))
            rows += rows_of(stage, parts)
            write_rows(road.out / "journey.json", settings, rows)
            line.write(table(rows[-len(parts[0]["rows"]) :], bands))
    finally:
        line.close()
    return rows


def say_how_it_went(road: Road, rows: list[dict]) -> None:
    """All rows, the talk, the time, and what can be done with the model."""
    known = reference(road.size.name)["rows"]
    print("\n" + table(rows, {name: band_of(row) for name, row in known.items()}) + "\n")
    for text, answer in next(row["talk"] for row in rows if "talk" in row):
        print(f"> {text}\n{answer}")
    minutes, cpu = (sum(row[name] for row in rows) / 60 for name in ("seconds", "cpu"))
    print()
    print(
        say(
            "{minutes:.0f} minutes by the clock, {cpu:.0f} minutes of the processor",
            minutes=minutes,
            cpu=cpu,
        )
    )
    folder = road.folder("GRPO")
    print(say("talk with it: python -m ch07.chat --model {folder}", folder=folder))


def run(args: argparse.Namespace) -> int:
    """Go the road; 0 if every stage improved its measure by more than its interval, else 1.

    Raises: ValueError or OSError for what cannot be gone.
    """
    check_least(args, seed=0, **({} if args.threads is None else {"threads": 1}))
    if args.seed > 9:
        raise ValueError(f"--seed {args.seed} must be at most 9")
    if args.threads:
        torch.set_num_threads(args.threads)
    size, out = QUICK if args.quick else FULL, Path(args.out)
    device = choose_device(args.device)
    check_writable(out)
    kept = settle(out, args, size, device)
    road = Road(out, size, args.seed, device, kept["precision"])
    rows = walk(road, kept)
    say_how_it_went(road, rows)
    failed = [row["row"] for row in rows if row["improves"] is False]
    if failed:
        print(
            say("not more than chance: {names}", names=", ".join(map(say, failed))),
            file=sys.stderr,
        )
    return 1 if failed else 0


def journey(args: argparse.Namespace) -> int:
    """The command: an error is one sentence, and so is the way on after Ctrl-C."""
    tqdm.get_lock()  # before a thread asks for it
    try:
        return run(args)
    except (ValueError, OSError) as error:
        raise SystemExit(f"journey: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit("\njourney: " + say("stopped; the same command goes on")) from None
