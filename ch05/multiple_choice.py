"""Multiple choice by likelihood, measured as the field's common harness does it.

    python -m ch05.multiple_choice course gpt2            # a task of ours
    python -m ch05.multiple_choice course --task my.jsonl # one of yours
    python -m ch05.multiple_choice --write FOLDER         # ours, for lm-eval too

A task is a file with a JSON object on each line: "query", "choices" (texts), and
"gold", the place of the right one, from 0. A model's choice is the one that it
finds likeliest behind the query: as a whole (acc), or by letter (acc_norm), which
does not favour short choices.

Source: Gao et al., Language Model Evaluation Harness (lm-eval).
"""

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random

import torch

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.course_model.corpus import capital, phrasing_name, static_slots
from ch05.course_model.measure import as_prompt, share
from ch05.course_model.recall import KINDS, facts_to_ask
from ch05.course_model.world import Fact
from ch05.course_model.world.phrasings import PHRASINGS
from ch05.files import saved_whole
from ch05.gpt_weights import load_pretrained
from course.terminal import replace_unprintable

N_CHOICES, PER_KIND, SEED = 4, 25, 0
TASK = "course_facts"
HARNESS = """\
# lm-eval run --model hf --model_args pretrained=FOLDER --tasks {task} --include_path THIS_FOLDER
# (FOLDER: python -m ch05.export MODEL --to hf --out FOLDER)
task: {task}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{query}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: gold
target_delimiter: ""
metric_list:
  - metric: acc
  - metric: acc_norm
"""


@dataclass(frozen=True)
class Item:
    """A question with its choices; gold is the place of the right one."""

    query: str
    choices: tuple[str, ...]
    gold: int


# ---- the task


def in_parts(fact: Fact) -> tuple[str, str, str] | None:
    """A fact as a question, an answer up to the word that is asked for, and that word.

    None if no wording of its kind ends with the word.
    """
    phrasing, slots = PHRASINGS[phrasing_name(fact)], static_slots(fact)
    ending = f" {phrasing.short}"
    for clause in phrasing.clauses:
        if clause.endswith(ending):
            question = capital(phrasing.questions[0].format_map(slots))
            begun = capital(clause.removesuffix(ending).format_map(slots))
            return question, begun, ending.format_map(slots)
    return None


def course_facts(seed: int = SEED) -> list[Item]:
    """Questions for facts that the corpus tells and never asks for, as chapter 7 asks.

    The wrong choices are the words of other facts of the same kind.
    """
    rng, items = Random(seed), []
    for kind in KINDS:
        asked, told = facts_to_ask(kind)
        words = {fact: in_parts(fact) for fact in sorted([*asked, *told])}
        pool = sorted({parts[2] for parts in words.values() if parts})
        some = [fact for fact in sorted(told) if words[fact]]
        for fact in rng.sample(some, min(PER_KIND, len(some))):
            question, begun, right = words[fact]
            others = [word for word in pool if word != right]
            choices = [
                right,
                *rng.sample(others, min(N_CHOICES - 1, len(others))),
            ]
            rng.shuffle(choices)
            query = as_prompt(question) + begun
            items.append(Item(query, tuple(choices), choices.index(right)))
    return items


def read_task(path: str | Path) -> list[Item]:
    """The items of a file.

    Raises: FileNotFoundError if there is none, ValueError that names the first
    line which is no item.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no task {path}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text: {error}") from None
    items = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                items.append(as_item(json.loads(line)))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}, line {number}: {error}") from None
    if not items:
        raise ValueError(f"{path} holds no item")
    return items


def as_item(found: object) -> Item:
    """An item out of its JSON object.

    Raises: ValueError that says what is wrong with it.
    """
    if (
        not isinstance(found, dict)
        or not {"query", "choices", "gold"} <= found.keys()
    ):
        raise ValueError('an item is {"query": …, "choices": […], "gold": …}')
    query, choices, gold = found["query"], found["choices"], found["gold"]
    if not isinstance(query, str) or not query.strip():
        raise ValueError(f"the query is {query!r}, not a text")
    texts = isinstance(choices, list) and all(
        isinstance(c, str) and c for c in choices
    )
    if not texts or len(choices) < 2 or len(set(choices)) < len(choices):
        raise ValueError("choices must be two texts or more, all different")
    if type(gold) is not int or not 0 <= gold < len(choices):
        raise ValueError(f"gold is {gold!r}, not the place of a choice, from 0")
    return Item(query, tuple(choices), gold)


def write_task(folder: str | Path, items: Iterable[Item]) -> Path:
    """Write a task, and what lm-eval has to know of it; returns the task's file."""
    path = Path(folder) / f"{TASK}.jsonl"
    with saved_whole(path) as draft:
        lines = (json.dumps(asdict(item), ensure_ascii=False) for item in items)
        draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with saved_whole(path.with_suffix(".yaml")) as draft:
        text = HARNESS.format(task=TASK, file=path.resolve().as_posix())
        draft.write_text(text, encoding="utf-8")
    return path


# ---- the measure


def split_pair(
    tokenizer: BPETokenizer, query: str, choice: str
) -> tuple[list[int], list[int]]:
    """The ids of a query, and those of its choice: what the whole has behind the query's.

    White space at the query's end belongs to the choice, since a token begins with it.
    """
    bare = query.rstrip()
    context = tokenizer.encode_ordinary(bare)
    whole = tokenizer.encode_ordinary(query + choice)
    return whole[: len(context)], whole[len(context) :]


@torch.no_grad()
def log_likelihood(
    model: GPTModel, tokenizer: BPETokenizer, query: str, choice: str
) -> float:
    """The log-probability of a choice behind a query; of a long query its end is read.

    Units: nats. Raises: ValueError if the choice alone fills the context.
    """
    context, ids = split_pair(tokenizer, query, choice)
    context = context or [tokenizer.special_tokens[END_OF_TEXT]]
    n_read = model.config.context_length + 1  # the last one is only a target
    if len(ids) >= n_read:
        raise ValueError(
            f"a choice of {len(ids)} tokens does not fit the context"
        )
    row = torch.tensor(
        [*context, *ids][-n_read:], device=next(model.parameters()).device
    )
    logits = model(row[None, :-1])[0, -len(ids) :].float()
    return logits.log_softmax(-1).gather(1, row[-len(ids) :, None]).sum().item()


def scores(
    model: GPTModel, tokenizer: BPETokenizer, items: Sequence[Item]
) -> list[list[float]]:
    """For each item the log-likelihoods of its choices."""
    model.eval()
    of = partial(log_likelihood, model, tokenizer)
    return [
        [of(item.query, choice) for choice in item.choices] for item in items
    ]


def right_choices(
    items: Sequence[Item], found: Sequence[Sequence[float]]
) -> dict[str, list[bool]]:
    """Whether the likeliest choice is the right one, as a whole and by letter."""
    right = {"acc": [], "acc_norm": []}
    for item, logs in zip(items, found, strict=True):
        by_letter = [
            log / len(choice) for log, choice in zip(logs, item.choices)
        ]
        for name, values in (("acc", logs), ("acc_norm", by_letter)):
            right[name].append(values.index(max(values)) == item.gold)
    return right


def without_query(items: Sequence[Item]) -> list[Item]:
    """The same choices behind nothing: what a model finds likely before it was asked."""
    return [Item("", item.choices, item.gold) for item in items]


# ---- the command


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch05.multiple_choice",
        description="Measure models by the choices that they find likeliest.",
    )
    add = parser.add_argument
    add("models", nargs="*", help="model folders, or course, smollm2, gpt2, …")
    add(
        "--task",
        help="a file of items [questions for the facts of the course's corpus]",
    )
    add(
        "--write",
        metavar="FOLDER",
        help="write our task there, with its file for lm-eval",
    )
    add("--device", help="cpu, cuda or mps [the best one here]")
    args = parser.parse_args(arguments)
    if not args.models and not args.write:
        parser.error("name a model, or a folder to --write to")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    replace_unprintable()
    args = parse_arguments(arguments)
    try:
        items = read_task(args.task) if args.task else course_facts()
        if args.write:
            print(f"{len(items)} items in {write_task(args.write, items)}")
        chance = math.fsum(1 / len(item.choices) for item in items) / len(items)
        if args.models:
            print(f"{len(items)} items, by chance {chance:.1%} right")
        for name in args.models:
            model, tokenizer = load_pretrained(name)
            model = model.to(choose_device(args.device))
            right = right_choices(items, scores(model, tokenizer, items))
            blind = right_choices(
                items, scores(model, tokenizer, without_query(items))
            )
            print(f"{name:24} acc      {share(right['acc'])}")
            print(f"{'':24} acc_norm {share(right['acc_norm'])}")
            print(f"{'':24} acc without the question {share(blind['acc'])}")
    except (ValueError, OSError) as error:
        raise SystemExit(f"multiple_choice: {error}") from None


if __name__ == "__main__":
    main()
