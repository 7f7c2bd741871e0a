"""A recipe for a pretraining: its books, its settings, and how much of "best" is luck.

    python -m ch05.bonus.recipe books FOLDER --out TEXTS   # cut off what is not the book
    python -m ch05.pretrain prepare TEXTS --duplicates near --out DATA
    python -m ch05.bonus.recipe record                     # makes ch05/recorded/recipe.json

A row of the record is one training: its recipe, its tokens and its seed. A run
that several experiments ask for is made once, and given again, the command goes
on. With --data it trains on a folder that was prepared, else on stand-ins.

Dimension key: B batch, T tokens, V vocabulary.
"""

import argparse
import json
import math
import random
import re
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from scipy.integrate import quad
from torch import Tensor
from torch.optim import AdamW, Optimizer

from ch04.gpt import GPTConfig, GPTModel
from ch05.bonus.faster_training import fast_evaluate
from ch05.course_model.corpus import generate_documents
from ch05.optimizers import MuonWithAdamW
from ch05.token_shards import prepare
from ch05.token_windows import (
    Batches,
    Shards,
    TokenStream,
    Windows,
    read_shards,
)
from ch05.training_loop import train as train_steps
from course.commands import check_least, one_sentence
from course.files import written_whole
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

RECORD = files("ch05") / "recorded" / "recipe.json"
VOCAB_SIZE, T = 512, 64
FULL = 65_536  # tokens of a run: 128 steps of 8 windows; a search takes half
SEEDS = (1, 2, 3)  # for what is measured again
RATES = {  # as many for each, around what a first look found
    "adamw": (0.002, 0.004, 0.008, 0.016),
    "muon": (0.008, 0.016, 0.032, 0.064),
}
# By width: the smallest model was best at the edge, and has one rate more.
WIDTH_RATES = {
    32: (*RATES["adamw"], 0.032),
    64: RATES["adamw"],
    128: RATES["adamw"],
}
SCHEDULES = ("constant", "cosine", "wsd")
PARTS = (2, 4)  # eighths of a whole run that Muon gets, too
NOISE_SEEDS = range(300, 308)  # one recipe, to see what the seed alone does

# ---- Books.

BEGINS = re.compile(
    r"^\*\*\* ?START OF (?:THE|THIS) PROJECT GUTENBERG EBOOK.{0,400}?\*\*\*"
    r"|^\*END[* ]THE SMALL PRINT!.{0,100}?\*END\*",  # before about 2005
    re.M | re.S | re.I,
)
ENDS = re.compile(
    r"^\*\*\* ?END OF (?:THE|THIS) PROJECT GUTENBERG EBOOK"
    r"|^End of (?:the |this )?Project Gutenberg",
    re.M | re.I,
)
CREDITS = re.compile(
    r"\A(?:Produced|E-?text prepared|Transcribed|Credits:).*?\n\n", re.S
)


def cut_book(text: str) -> str:
    """What stands between the markers, without the line of who made the file.

    Raises: ValueError that says which marker is missing.
    """
    begin = BEGINS.search(text)
    if not begin:
        raise ValueError("no marker says where the book begins")
    end = ENDS.search(text, begin.end())
    if not end:
        raise ValueError("no marker says where the book ends")
    return CREDITS.sub("", text[begin.end() : end.start()].strip()).strip()


def unwrap(text: str) -> str:
    """Each paragraph in one line; one with indented lines, as verse, stays."""
    parts = re.split(r"\n(?:[ \t]*\n)+", text)
    return "\n\n".join(
        part if re.search(r"^[ \t]", part, re.M) else " ".join(part.split())
        for part in parts
    )


def read_book(path: Path) -> str:
    """The text of a file in UTF-8 or, if it is older, in a Western code page."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    return text.replace("\r\n", "\n")


def clean_books(folder: str | Path, out: str | Path) -> dict[str, str]:
    """Write the books of a folder to another; give what was left out, and why.

    Raises: ValueError if the folder has no book, or the other one holds something.
    """
    folder, out, left_out = Path(folder), Path(out), {}
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} holds something already: take another folder")
    texts = {}
    for path in sorted(folder.rglob("*.txt")):
        name = str(path.relative_to(folder))
        try:
            texts[name] = unwrap(cut_book(read_book(path)))
        except ValueError as error:
            left_out[name] = str(error)
    if not texts:
        raise ValueError(
            f"{folder} holds no book in Project Gutenberg's form (.txt with the "
            f"markers *** START OF and *** END OF): {len(left_out)} other files"
        )
    for name, text in texts.items():
        with written_whole(out / name) as draft:
            draft.write_text(text + "\n", encoding="utf-8", newline="\n")
    return left_out


LICENCE = """\
Section 1.{i}. This file stands in for a book of Project Gutenberg, and these
lines stand in for its licence. You may copy them, give them away or use them
again under the terms of the course. A licence of this kind stands in every
file, in the same words, and is longer than many a poem that it follows.
"""


def write_stand_in(
    path: Path, number: int, body: str, kind: str = "new"
) -> None:
    """Write a file in Project Gutenberg's form around a text."""
    title = f"The Stand-in, Volume {number}"
    mark = f"PROJECT GUTENBERG EBOOK {title.upper()}"
    begin, end = f"*** START OF THE {mark} ***", f"*** END OF THE {mark} ***"
    if kind == "old":
        begin = (
            "*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*"
        )
        end = f"End of the Project Gutenberg Etext of {title}"
    lines = [
        f"The Project Gutenberg eBook of {title}\n",
        f"Release date: January {number} [eBook #{number}, {path.stem}]",
        f"Language: English\n\n{begin}\n",
        f"Produced by a program of the course ({kind})\n\n{title.upper()}\n",
        "by Zoë Kim\n",
        body,
    ]
    if kind != "broken off":
        lines += [f"\n{end}\n", *(LICENCE.format(i=i) for i in range(12))]
    text = "\n".join(lines).replace("\n", "\r\n")
    path.write_bytes(text.encode("cp1252" if kind == "old" else "utf-8"))


def write_stand_ins(
    folder: str | Path, n_books: int = 24, n_bytes: int = 40_000
) -> None:
    """Write books whose chapters are documents of the course's corpus.

    Beside them: one of them once more, with an old header; one with a few words
    changed; one that broke off; and a note that is no book.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, n_books + 1):
        chapters = generate_documents(5000 + number, None, n_bytes)
        body = "\n\n".join(
            textwrap.fill(paragraph, 72)
            for chapter in chapters
            for paragraph in chapter.split("\n")
        )
        write_stand_in(folder / f"{number:02d}-0.txt", number, body)
        if number == 2:
            write_stand_in(folder / "02-8.txt", number, body, "old")
        if number == 3:
            changed = re.sub(r"(?<=\. )The", "And the", body, count=5)
            write_stand_in(folder / "03-8.txt", number, changed, "old")
        if number == 4:
            half = body[: len(body) // 2]
            write_stand_in(folder / "04-part.txt", number, half, "broken off")
    (folder / "note.txt").write_text("These books were written by a program.\n")


# ---- One run.


@dataclass
class Data:
    """What every run reads: tokens to train on, and two sets of held-out batches.

    By the bits on choose a recipe is chosen; those on report are only reported.
    """

    shards: Shards
    choose: list[tuple[Tensor, Tensor]]
    report: list[tuple[Tensor, Tensor]]

    def bits(self, loss: float) -> float:
        """A loss of a token, in nats, as bits for each byte."""
        return loss / math.log(2) / self.shards.bytes_per_token


def open_data(folder: str | Path, n_held_out: int = 32_768) -> Data:
    """Open a folder of `ch05.pretrain prepare`, and cut its validation in two.

    Raises: ValueError or FileNotFoundError as read_shards.
    """
    shards = read_shards(folder)
    stream = shards.validation
    n = min(len(stream), n_held_out)
    middle = stream.start + n // 2
    halves = (
        TokenStream(stream.arrays, stream.start, middle),
        TokenStream(stream.arrays, middle, stream.start + n),
    )
    held_out = []
    for half in halves:
        batches = Batches(Windows(half, T, shards.end_id), 64)
        rows = (batches[i] for i in range(len(batches)))
        held_out.append([tuple(map(torch.from_numpy, row)) for row in rows])
    return Data(shards, *held_out)


@dataclass(frozen=True)
class Recipe:
    """What a run is made with. Units: warmup as a share of all steps."""

    lr: float = 0.008
    weight_decay: float = 0.1
    batch_size: int = 8
    warmup: float = 0.1
    optimizer: str = "adamw"
    schedule: str = "cosine"
    width: int = 64


def rate_share(recipe: Recipe, n_steps: int) -> Callable[[int], float]:
    """The share of the peak rate at each step, after a rise in a line.

    "wsd" (warm-up, stable, decay) stays up and falls in the last fifth.
    """
    n_warmup = max(1, round(recipe.warmup * n_steps))

    def share(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / n_warmup
        if recipe.schedule == "cosine":
            done = (step - n_warmup) / (n_steps - n_warmup)
            return 0.5 * (1 + math.cos(math.pi * done))
        if recipe.schedule == "wsd":
            return min(1.0, (n_steps - step) / (0.2 * n_steps))
        return 1.0

    return share


def make_optimizer(recipe: Recipe, model: GPTModel) -> Optimizer:
    """AdamW for everything, or Muon for the matrices of the blocks."""
    if recipe.optimizer == "muon":
        return MuonWithAdamW(model, recipe.lr, recipe.weight_decay)
    return AdamW(
        model.parameters(),
        recipe.lr,
        (0.9, 0.95),
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def make_model(width: int, vocab_size: int, seed: int) -> GPTModel:
    """A GPT of two blocks, with heads of 16 numbers.

    GPT-2's first weights suit its width of 768. Those of a narrower model have
    to be larger, or it learns nothing but single tokens for many steps.
    """
    torch.manual_seed(seed)
    config = GPTConfig(
        vocab_size,
        T,
        emb_dim=width,
        n_heads=width // 16,
        n_layers=2,
        drop_rate=0.0,
        qkv_bias=True,
        tie_weights=True,
    )
    model = GPTModel(config)
    with torch.no_grad():
        for matrix in (p for p in model.parameters() if p.ndim == 2):
            matrix.mul_(math.sqrt(768 / width))
    return model


def train_once(recipe: Recipe, data: Data, n_tokens: int, seed: int) -> dict:
    """Train a model by a recipe; its bits per byte, and what it cost.

    The seed draws the first weights and which windows are read. A run whose
    loss is no number any more counts as one that knows nothing.
    Units: bits per byte, seconds of one processor core.
    """
    vocab_size = data.shards.tokenizer.vocab_size
    model = make_model(recipe.width, vocab_size, seed)
    n_steps = max(2, round(n_tokens / T / recipe.batch_size))
    windows = Windows(data.shards.train, T, data.shards.end_id)
    row, begun = {}, time.process_time()
    try:
        progress = train_steps(
            model,
            Batches(windows, recipe.batch_size, seed),
            make_optimizer(recipe, model),
            n_steps,
            schedule=rate_share(recipe, n_steps),
            clip=1.0,
            quiet=True,
        )
        row["cpu_seconds"] = time.process_time() - begun
        parts = np.array_split(progress.losses, 12)
        row["curve"] = [data.bits(part.mean()) for part in parts if len(part)]
        row["bits"] = data.bits(fast_evaluate(model, data.choose))
        row["report"] = data.bits(fast_evaluate(model, data.report))
    except ValueError:  # the loss is not finite
        row["cpu_seconds"], row["curve"] = time.process_time() - begun, []
        row["bits"] = row["report"] = data.bits(math.log(vocab_size))
    rounded = [round(float(bits), 3) for bits in row["curve"]]
    return {
        "bits": round(row["bits"], 4),
        "report": round(row["report"], 4),
        "cpu_seconds": round(row["cpu_seconds"], 2),
        "curve": rounded,
    }


class Runs:
    """Trainings that are made once: who asks again gets the same row."""

    def __init__(
        self,
        data: Data | None,
        rows: Iterable[dict] = (),
        keep: Callable[[list[dict]], None] = lambda rows: None,
    ):
        self.data, self.rows, self.keep = data, [*rows], keep
        self.known = {self.key(**row): row for row in self.rows}

    @staticmethod
    def key(recipe: dict, tokens: int, seed: int, **_) -> str:
        return json.dumps([recipe, tokens, seed], sort_keys=True)

    def __call__(self, recipe: Recipe, tokens: int, seed: int) -> dict:
        """The row of a run, trained now if it is not known.

        Raises: LookupError if it is not known and there is nothing to train on.
        """
        asked = {"recipe": asdict(recipe), "tokens": tokens, "seed": seed}
        key = self.key(**asked)
        if key not in self.known:
            if self.data is None:
                raise LookupError(f"the record has no run {key}")
            found = train_once(recipe, self.data, tokens, seed)
            self.known[key] = asked | found
            self.rows.append(self.known[key])
            self.keep(self.rows)
        return self.known[key]

    def mean(self, recipe: Recipe, tokens: int, seeds=SEEDS) -> float:
        """The mean bits of a recipe over seeds."""
        return float(np.mean([self(recipe, tokens, s)["bits"] for s in seeds]))


# ---- Two searches.


def draw_recipe(draw: random.Random) -> Recipe:
    """A recipe at random: rate and decay evenly over their powers of ten."""
    return Recipe(
        lr=round(10 ** draw.uniform(-4, -1), 6),
        weight_decay=round(10 ** draw.uniform(-3, 0), 5),
        batch_size=draw.choice((4, 8, 16)),
        warmup=round(draw.uniform(0, 0.5), 3),
    )


def draw_recipes(n: int, seed: int = 0) -> list[Recipe]:
    """So many recipes at random."""
    draw = random.Random(seed)
    return [draw_recipe(draw) for _ in range(n)]


def random_search(
    runs: Runs, recipes: Sequence[Recipe], tokens: int
) -> list[dict]:
    """Try every recipe once, each with its own seed; the best row first."""
    rows = [runs(r, tokens, 100 + i) for i, r in enumerate(recipes)]
    return sorted(rows, key=lambda row: row["bits"])


def successive_halving(
    runs: Runs, recipes: Sequence[Recipe], tokens: int, rounds: int = 4
) -> list[list[dict]]:
    """Try all on few tokens, the better half on twice as many, and so on.

    Each round trains from the beginning, so that its schedule comes to its end.
    Source: Jamieson and Talwalkar 2016 (arXiv:1502.07943).
    """
    found, left = [], [*enumerate(recipes)]
    for i in range(rounds):
        tried = [
            (runs(r, tokens * 2**i, 200 + number), number, r)
            for number, r in left
        ]
        tried.sort(key=lambda row: row[0]["bits"])
        found.append([row for row, _, _ in tried])
        left = [(number, r) for _, number, r in tried[: len(tried) // 2]]
    return found


def expected_best(n: int) -> float:
    """How far the lowest of n equal rivals lies below their mean, by luck.

    Units: standard deviations of the noise, which is normal.
    """
    normal = stats.norm
    return quad(
        lambda x: x * n * normal.pdf(x) * normal.sf(x) ** (n - 1), -9, 9
    )[0]


# ---- The record.


def best_rate(
    runs: Runs,
    recipe: Recipe,
    tokens: int,
    seeds: Sequence[int] = SEEDS,
    rates: Sequence[float] | None = None,
) -> Recipe:
    """The recipe with the rate of a grid that has the lowest mean bits.

    The grid is that of its optimizer, if none is given.
    """
    rates = rates or RATES[recipe.optimizer]
    tried = [replace(recipe, lr=rate) for rate in rates]
    return min(tried, key=lambda r: runs.mean(r, tokens, seeds))


def tokens_to(bits: float, tokens: Sequence[int], curve: np.ndarray) -> float:
    """Where a falling curve over the logarithm of tokens reaches so many bits.

    Raises: ValueError if it lies outside of what was measured.
    """
    if not min(curve) <= bits <= max(curve):
        raise ValueError(f"{bits:.3f} bits lie outside of the curve")
    return float(np.exp(np.interp(-bits, -np.array(curve), np.log(tokens))))


def count_bits(data: Data) -> float:
    """The bits of a model that knows only how often each token occurs."""
    ids = np.asarray(data.shards.train[: len(data.shards.train)], np.int64)
    vocab_size = data.shards.tokenizer.vocab_size
    counts = np.bincount(ids, minlength=vocab_size) + 1.0
    costs = -np.log(counts / counts.sum())
    targets = torch.cat([y[y >= 0] for _, y in data.choose]).numpy()
    return data.bits(costs[targets].mean())


def repeat_again(search: list[dict]) -> list[Recipe]:
    """What is run again: the first three of a search, and the median."""
    chosen = [*search[:3], search[len(search) // 2]]
    return [Recipe(**row["recipe"]) for row in chosen]


def all_experiments(runs: Runs, n: int, full: int, seeds=SEEDS) -> None:
    """Ask for every run of the record."""
    best = {
        name: best_rate(runs, Recipe(optimizer=name), full, seeds)
        for name in RATES
    }
    for part in PARTS:
        runs.mean(best["muon"], full * part // 8, seeds)
    half, recipes = full // 2, draw_recipes(n)
    search = random_search(runs, recipes, half)
    for recipe in repeat_again(search):
        runs.mean(recipe, half, seeds)
    for seed in NOISE_SEEDS:
        runs(Recipe(), half, seed)
    halving = successive_halving(runs, recipes, half // 4)
    runs.mean(Recipe(**halving[-1][0]["recipe"]), half, seeds)
    for schedule in SCHEDULES:
        best_rate(runs, Recipe(schedule=schedule), full, seeds)
    best_rate(runs, Recipe(optimizer="muon", schedule="wsd"), full, seeds)
    for width, rates in WIDTH_RATES.items():
        best_rate(runs, Recipe(width=width), full, seeds, rates)


def prepare_stand_ins(folder: Path, books: Path | None = None) -> Path:
    """Write stand-ins, or take books, cut them and prepare them; the folder of tokens."""
    if books is None:
        books = folder / "books"
        write_stand_ins(books)
    clean_books(books, folder / "texts")
    prepare(
        [folder / "texts"],
        folder / "data",
        vocab_size=VOCAB_SIZE,
        duplicates="near",
    )
    return folder / "data"


def is_row(row: dict) -> bool:
    Recipe(**row["recipe"])
    return {"tokens", "seed", "bits", "report", "cpu_seconds"} <= row.keys()


def record(args: argparse.Namespace) -> None:
    """Make the runs that the record lacks, and keep each as soon as it is there."""
    path = Path(args.record)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = open_data(args.data or prepare_stand_ins(Path(folder)))
        settings = {
            "data": data.shards.index["sha256"][:12],
            "tokens": args.tokens,
            "configurations": args.configurations,
            "counts": round(count_bits(data), 4),
        }
        rows = read_rows(path, is_row, settings)

        def keep(rows: list[dict]) -> None:
            write_rows(path, settings, rows)
            row = {k: v for k, v in rows[-1].items() if k != "curve"}
            print(json.dumps(row), flush=True)

        runs = Runs(data, rows, keep)
        seeds = SEEDS[: args.seeds]
        all_experiments(runs, args.configurations, args.tokens, seeds)
    seconds = sum(row["cpu_seconds"] for row in runs.rows)
    print(f"{len(runs.rows)} runs, {seconds / 60:.1f} CPU-minutes; {path}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch05.bonus.recipe",
        description="Clean a folder of books; find a recipe, and how sure it is.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True)
    books = commands.add_parser("books", help="cut off header and licence")
    books.add_argument("folder", help="of Project Gutenberg's .txt files")
    books.add_argument("--out", default="runs/books", help="for the texts")
    add = commands.add_parser(
        "record",
        help="train all runs",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    ).add_argument
    add("--data", help="a folder that ch05.pretrain prepare has made")
    add("--record", default=str(RECORD), help="the file of rows")
    add("--tokens", type=int, default=FULL, help="of a whole run")
    add("--configurations", type=int, default=40, help="of each search")
    add("--seeds", type=int, default=3, help="of what is run again, 1 to 3")
    args = parser.parse_args()
    if args.command == "record":
        check_least(args, tokens=8 * T, configurations=8, seeds=1)
    return args


def main() -> None:
    replace_unprintable()
    with one_sentence("recipe"):
        args = parse_arguments()
        if args.command == "record":
            return record(args)
        for name, why in clean_books(args.folder, args.out).items():
            print(f"left out: {name}: {why}")
        print(f"texts in {args.out}")


if __name__ == "__main__":
    main()
