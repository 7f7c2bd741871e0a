"""Write the card of the course's model beside its weights: what it is, how it came to be, what it
can do and what not. Every figure in it is taken from the run or measured on the finished model."""

import hashlib
import json
import platform
from importlib.resources import files
from pathlib import Path

import matplotlib.pyplot as plt
import torch

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTModel, count_parameters
from ch05.course_model.measure import (
    asked_in_the_prompt,
    copying,
    perplexity,
    right_by_asking,
    share,
)
from ch05.course_model.names import measure as measure_names
from ch05.course_model.recall import KINDS, recalled, statements
from ch05.course_model.recall import measure as measure_recall
from ch05.course_model.tasks import read_texts
from ch05.training_loop import Progress
from course.files import written_whole

BLUE, ORANGE, GREEN, GREY = "#2f6fb0", "#d9822b", "#3a8f5c", "#9aa5b1"
# Kinds of facts that are drawn as one line of the plot.
GROUPS = {
    "words": (BLUE, ("plural", "past", "participle", "opposite", "spelling")),
    "animals": (GREEN, ("animal_colour", "sound", "home", "young")),
    "countries": (ORANGE, ("capital", "language", "continent", "river")),
    "sums": (GREY, ("sum", "difference")),
}
N_STORIES, N_TOKENS = 50, 100  # of which names are counted
N_COPIED = 200  # invented words of each sort
N_FACTS = None  # of each kind, asked in the form of chapter 7's prompt: all

CARD = files("ch05") / "course_model" / "card.md"  # the text, with a place for each figure
PARTS_RECORD = files("ch05") / "course_model" / "model" / "parts.json"
ALL = "everything"  # the corpus, with no part left out


def hardware(device: torch.device) -> str:
    """What the training ran on."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, {versions}"
    cpu = platform.processor() or platform.machine()
    return f"{torch.get_num_threads()} threads of {cpu} ({device.type}), {versions}"


def draw_training(path: Path, history: dict) -> None:
    """Draw the losses and the recall of facts against the tokens read."""
    millions = [tokens / 1e6 for tokens in history["tokens"]]
    with plt.rc_context({"svg.hashsalt": "course", "svg.fonttype": "none"}):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
        left.plot(millions, history["train_loss"], color=BLUE, label="training")
        left.plot(millions, history["val_loss"], color=ORANGE, label="validation")
        left.set(xlabel="million tokens read", ylabel="loss of a token", title="Loss")
        for name, (color, kinds) in GROUPS.items():
            columns = zip(*(history["recall"][kind] for kind in kinds))
            right.plot(millions, [sum(c) / len(kinds) for c in columns], color=color, label=name)
        right.set(xlabel="million tokens read", ylabel="share recalled", title="Facts", ylim=(0, 1))
        left.legend(frameon=False)
        right.legend(frameon=False)
        with written_whole(path) as draft:
            figure.savefig(draft, format="svg", metadata={"Date": None})
        plt.close(figure)


def describe_measures(model: GPTModel, tokenizer: BPETokenizer) -> dict:
    """What ch05.course_model.measure measures: how many of how many items are right, and how the
    model predicts the messages that were held back from it."""
    right = {
        f"an invented word, copied out of a {sort}": recalled(model, tokenizer, gaps)
        for sort, gaps in copying(N_COPIED).items()
    }
    prompts = list(asked_in_the_prompt(N_FACTS))
    answered = recalled(model, tokenizer, [gap for _, gap in prompts])
    asked, told = right_by_asking(prompts, answered).values()
    right["a fact that the corpus asks for, asked in chapter 7's form"] = asked
    right["a fact that it only tells, asked in chapter 7's form"] = told
    return {
        "right": {name: [sum(items), len(items)] for name, items in right.items()},
        "messages": perplexity(model, tokenizer, read_texts("messages", held_out=True)),
    }


def tabulate_measures(measures: dict) -> str:
    """The table of what describe_measures found, with 95% intervals."""
    table = ["| what | right (95% interval, number of items) |", "|---|---|"]
    for name, (right, n) in measures["right"].items():
        table.append(f"| {name} | {share([True] * right + [False] * (n - right)).strip()} |")
    messages = measures["messages"]
    table.append(
        f"| messages that were held back | perplexity {messages['perplexity']:.1f}, "
        f"{messages['bits per byte']:.2f} bits per byte |"
    )
    return "\n".join(table)


def read_parts(path: Path = PARTS_RECORD) -> dict:
    """The rows that are recorded, and how many million tokens each run has read."""
    return json.loads(path.read_text(encoding="utf-8"))


def tabulate_parts(record: dict) -> str:
    """The record as a table of Markdown: what everything reaches, and what changes without."""
    rows = {(row["what"], row["seed"]): row["bits"] for row in record["rows"]}
    first, second = rows[ALL, 0], rows[ALL, 1]
    table = [
        f"| bits for a … | {' | '.join(first)} |",
        "|---|" + "--:|" * len(first),
        f"| {ALL} | {' | '.join(f'{bits:.2f}' for bits in first.values())} |",
        f"| another seed | {' | '.join(f'{second[m] - first[m]:+.2f}' for m in first)} |",
    ]
    for (what, _), bits in rows.items():
        if what != ALL:
            table.append(f"| {what} | {' | '.join(f'{bits[m] - first[m]:+.2f}' for m in first)} |")
    return "\n".join(table)


def read_history(folder: str | Path) -> dict:
    """What a run left beside its model, for one that goes on from there.

    Raises: ValueError where there is no such file.
    """
    path = Path(folder) / "history.json"
    if not path.exists():
        raise ValueError(f"{path} is not there: start from a model folder of this command")
    return json.loads(path.read_text(encoding="utf-8"))


def after(before: dict, history: dict) -> dict:
    """The history of both runs, where the second went on from the first: tokens, steps and seconds
    add up, the curves follow one another, and the measures are those of the end."""
    tokens = [before["tokens"][-1] + n for n in history["tokens"]]
    joined = {name: before[name] + history[name] for name in ("steps", "seconds", "runs")}
    joined |= {"tokens": before["tokens"] + tokens}
    joined |= {name: before[name] + history[name] for name in ("train_loss", "val_loss")}
    joined["recall"] = {kind: before["recall"][kind] + history["recall"][kind] for kind in KINDS}
    return history | joined


def describe_run(
    model: GPTModel, tokenizer: BPETokenizer, progress: Progress, settings: dict, command: str
) -> dict:
    """What is worth keeping of a run: its settings, its curves, and measures of the result."""
    device = next(model.parameters()).device
    rows = [row for row in progress.history if "recall" in row]
    names = measure_names(model, tokenizer, N_STORIES, N_TOKENS)
    names.pop("sample")
    return {
        "parameters": count_parameters(model),
        "settings": settings,
        "hardware": hardware(device),
        "steps": progress.step,
        "seconds": round(progress.seconds),
        "runs": [
            {
                "command": command,
                "hardware": hardware(device),
                "seed": settings["seed"],
                "lr": settings["lr"],
                "steps": progress.step,
                "tokens": progress.tokens,
            }
        ],
        "names": names | {"tokens": N_TOKENS},
        "stated_at_the_end": measure_recall(model, tokenizer, form=statements),
        "recall_at_the_end": measure_recall(model, tokenizer),
        "measures": describe_measures(model, tokenizer),
        "tokens": [row["tokens"] for row in rows],
        "train_loss": [round(row["train_loss"], 4) for row in rows],
        "val_loss": [round(row["val_loss"], 4) for row in rows],
        "recall": {kind: [round(row["recall"][kind], 3) for row in rows] for kind in KINDS},
    }


def commands(runs: list[dict]) -> str:
    """The commands that make a model again, each run from what the one before it left."""
    lines = [run["command"] for run in runs]
    for i in range(1, len(runs)):
        work = f"runs/course-model-{i}"
        lines[i - 1] += f" --work {work} --out {work}/model"
        lines[i] += f" --start-from {work}/model"
    return "\n".join(lines)


def write_card(folder: str | Path, history: dict) -> None:
    """Write README.md, training.svg and history.json beside the weights of a model folder."""
    folder = Path(folder)
    weights = (folder / "model.safetensors").read_bytes()
    stated = {kind: f"{known:.0%}" for kind, known in history["stated_at_the_end"].items()}
    table = ["| kind | finishes the sentence | answers the question |", "|---|---|---|"]
    for kind, known in history["recall_at_the_end"].items():
        table.append(f"| {kind.replace('_', ' ')} | {stated.get(kind, '')} | {known:.0%} |")
    names = history["names"]
    shares = {
        f"{whose}{part}": f"{counts[part] / max(1, counts[whole]):.0%}"
        for whose, counts in (("", names), ("corpus_", names["corpus"]))
        for part, whole in (("kept", "names"), ("both", "pairs"), ("doubled", "sentences"))
    }
    values = history["settings"] | shares
    values |= {
        "parameters": history["parameters"],
        "million": history["tokens"][-1] / 1e6,
        "tokens": history["tokens"][-1],
        "megabytes": len(weights) / 1e6,
        "steps": history["steps"],
        "minutes": history["seconds"] / 60,
        "tokens_per_second": history["tokens"][-1] / max(1, history["seconds"]),
        "hardware": history["hardware"],
        "first_loss": history["val_loss"][0],
        "first_tokens": history["tokens"][0] / 1e6,
        "last_loss": history["val_loss"][-1],
        "stories": names["stories"],
        "story_tokens": names["tokens"],
        "sha256": hashlib.sha256(weights).hexdigest(),
        "recall": "\n".join([*table, "", tabulate_measures(history["measures"])]),
        "command": commands(history["runs"]),
        "parts": tabulate_parts(parts := read_parts()),
        "parts_million": parts["million_tokens"],
        "training": "; then ".join(
            f"{run['steps']:,} steps from seed {run['seed']}, peak learning rate {run['lr']:g}"
            for run in history["runs"]
        ),
    }
    draw_training(folder / "training.svg", history)
    with written_whole(folder / "history.json") as draft:
        draft.write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    with written_whole(folder / "README.md") as draft:
        draft.write_text(CARD.read_text(encoding="utf-8").format(**values), encoding="utf-8")
