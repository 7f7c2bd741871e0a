"""Teach the course's model to call tools, and measure what that gives and costs.

    python -m ch07.bonus.tools    # makes ch07/recorded/tools.json

A call is an answer such as "calculate: 37 + 48". The loop runs it, puts the
result behind it, and asks again. Each way of teaching is trained once for each
seed, on chapter 7's entries and these. Given again, the command goes on.

Source: a model that is taught its calls by examples is that of Schick et al.
2023 (arXiv:2302.04761); a call, its result and the next one in turn, Yao et al.
2022 (arXiv:2210.03629).
"""

import argparse
import ast
import math
import operator
import re
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from random import Random

import pandas as pd
import torch

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.course_model.tasks import invent_unreal
from ch05.course_model.world import is_held_out_sum
from ch05.gpt_weights import load_pretrained
from ch05.precision import choose_precision
from ch07.gpt_instruction_finetuning import (
    InstructionDataset,
    create_instruction_dataloader,
    finetune,
    format_prompt,
    respond,
    which_right,
)
from ch07.instructions import WORDINGS, make_instructions
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable

LARGEST = 10**9  # no number may be larger
MAX_CALLS = 6  # for one question
STOPPED = "(stopped: too many calls)"
BUSY, NOTHING = "busy, try again", "nothing found"
DONE, WRITTEN = "done", "I have written it down."
CALL = re.compile(r"(calculate|look up|write down): (.+)")
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
}
# What a call is given, and what comes back.
Tools = dict[str, Callable[[str], str]]


class ToolError(Exception):
    """A tool has no result; the message is for the model."""


def value_of(node: ast.AST) -> int:
    """The value of a parsed sum of whole numbers.

    Raises: ToolError if it is anything else, or too large.
    """
    if isinstance(node, ast.Constant) and type(node.value) is int:
        value = node.value
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left, right = value_of(node.left), value_of(node.right)
        if right == 0 or left % right:
            raise ToolError("no whole number")
        value = left // right
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = value_of(node.left), value_of(node.right)
        value = OPERATORS[type(node.op)](left, right)
    else:
        raise ToolError("not a sum")
    if abs(value) > LARGEST:
        raise ToolError("too large")
    return value


def calculate(text: str) -> str:
    """Read a sum and give its value; nothing in it is ever run.

    Raises: ToolError if it is not a short sum of whole numbers.
    """
    if len(text) > 60:  # depth and digits are bounded before it is read
        raise ToolError("too long")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        raise ToolError("not a sum") from None
    return str(value_of(tree.body))


class Table:
    """Facts by name, such as "capital of Blorvia", to look up and write down."""

    def __init__(self, facts: dict[str, str] | None = None):
        self.facts = dict(facts or {})

    def look_up(self, name: str) -> str:
        if name not in self.facts:
            raise ToolError(NOTHING)
        return self.facts[name]

    def write_down(self, text: str) -> str:
        name, is_there, value = text.rpartition(" is ")
        if not is_there:
            raise ToolError("no fact")
        self.facts[name] = value
        return DONE

    def tools(self) -> Tools:
        """The three tools of this course, two of them with this table."""
        return {
            "calculate": calculate,
            "look up": self.look_up,
            "write down": self.write_down,
        }


def run_call(
    text: str, tools: Tools, max_chars: int = 40, one_line: bool = True
) -> str | None:
    """The result of a call, or what is wrong with it; None if it is no call.

    A result is made one short line: what comes back is data from outside.
    """
    call = CALL.fullmatch(text)
    if not call:
        return None
    name, argument = call.groups()
    if name not in tools:
        return "not allowed"
    try:
        result = tools[name](argument)
    except ToolError as error:
        result = str(error)
    if one_line:
        result = " ".join(result.split())
    return result[:max_chars]


def prompt_with_steps(entry: dict) -> str:
    """Chapter 7's prompt, and behind it each call so far with its result."""
    return format_prompt(entry) + "".join(
        f"{call}\nResult:\n{result}\nAnswer:\n"
        for call, result in entry.get("steps", [])
    )


def work(
    model: GPTModel,
    tokenizer: BPETokenizer,
    entries: Sequence[dict],
    tools_of: Callable[[dict], Tools],
    max_calls: int = MAX_CALLS,
    run: Callable[[str, Tools], str | None] = run_call,
) -> list[dict]:
    """Answer entries; whoever calls a tool gets its result and goes on.

    The entries come back with their steps, pairs of a call and its result, and
    the response. Whoever calls more than max_calls times is stopped.
    """
    worked = [entry | {"steps": [], "response": STOPPED} for entry in entries]
    going = worked
    for n_calls in range(max_calls + 1):
        texts = respond(model, tokenizer, going, prompt_of=prompt_with_steps)
        asked, going = going, []
        for entry, text in zip(asked, texts):
            if not CALL.fullmatch(text):
                entry["response"] = text
            elif n_calls < max_calls:
                entry["steps"].append((text, run(text, tools_of(entry))))
                going.append(entry)
        if not going:
            break
    return worked


def unfold(entry: dict) -> Iterator[dict]:
    """What a finished example teaches: each call, and then the answer."""
    steps = entry.get("steps", [])
    for i, (call, _) in enumerate(steps):
        yield entry | {"steps": steps[:i], "output": call}
    yield entry


def in_one_go(entry: dict) -> dict:
    """The same example as one text, results and all, which no loop stops."""
    said = prompt_with_steps(entry).removeprefix(format_prompt(entry))
    return entry | {"steps": [], "output": said + entry["output"]}


# --- examples

FIELDS = {  # questions, the name in the table, the answer
    "capital": (WORDINGS["capital"], "The capital of {x} is {y}."),
    "language": (WORDINGS["language"], "The people of {x} speak {y}."),
    "river": (WORDINGS["river"], "The river that flows through {x} is the {y}."),
    "people": (
        ("How many people live in {x}?", "How many people does {x} have?"),
        "{x} has {y} people.",
    ),
}  # fmt: skip
OPERATIONS = {  # wordings, the sign, the answer
    "plus": (WORDINGS["sum"], "+", "{x} plus {z} is {y}."),
    "minus": (
        ("What is {x} minus {z}?", "Take {z} away from {x}.",
         "How much is {x} minus {z}?"),
        "-", "{x} minus {z} is {y}.",
    ),
    "times": (
        ("What is {x} times {z}?", "Multiply {x} by {z}.",
         "How much is {x} times {z}?"),
        "*", "{x} times {z} is {y}.",
    ),
    "divided": (
        ("What is {x} divided by {z}?", "Divide {x} by {z}.",
         "How much is {x} divided by {z}?"),
        "/", "{x} divided by {z} is {y}.",
    ),
}  # fmt: skip
UNKNOWN = {  # chapter 7's questions about what does not exist
    r"What is the capital of (\w+)\?": "capital of",
    r"Which river flows through (\w+)\?": "river of",
    r"Who wrote (\w+)\?": "author of",
    r"What kind of thing is a (\w+)\?": "kind of",
    r"Where does a (\w+) live\?": "home of",
    r"What sound does a (\w+) make\?": "sound of",
    r"In which continent is (\w+)\?": "continent of",
    r"What is the opposite of (\w+)\?": "opposite of",
    r"Which language do people speak in (\w+)\?": "language of",
}
TAUGHT = (
    *OPERATIONS, "no result", "table", "missing", "two hops", "together",
    "remember",
)  # fmt: skip
N_TAUGHT = 60  # examples of each kind
N_ASKED = {  # questions of each kind in the test
    "large sum": 100, "three digits": 100, "minus": 40, "times": 40,
    "divided": 40, "no result": 20, "table": 100, "missing": 60,
    "two hops": 60, "together": 60, "three together": 60, "remember": 60,
}  # fmt: skip


class ToolAuthor:
    """Writes examples with their calls; all chance comes from the seed."""

    def __init__(self, seed: str):
        self.rng = Random(seed)
        self.table = Table()  # with all that the examples look up

    def name(self) -> str:
        return invent_unreal(self.rng).capitalize()

    def fact(self, field: str, place: str) -> str:
        """Invent a fact about a place, and put it into the table."""
        number = str(self.rng.randint(11, 99))
        value = number if field == "people" else self.name()
        return self.table.facts.setdefault(f"{field} of {place}", value)

    def entry(
        self, kind: str, wording: str, output: str, calls: Sequence, **slots
    ) -> dict:
        instruction, _, text = wording.partition(" | ")
        return {
            "instruction": instruction.format_map(slots),
            "input": text.format_map(slots),
            "output": output.format_map(slots),
            "kind": kind,
            "steps": [(call.format_map(slots), str(r)) for call, r in calls],
        }

    def numbers(self, sign: str, low: int, high: int) -> tuple[int, int, int]:
        """Two numbers and what comes out, no sum that the course holds out."""
        x, z = self.rng.randint(low, high), self.rng.randint(low, high)
        if sign == "-":
            return max(x, z), min(x, z), abs(x - z)
        if sign in "*/":
            x, z = x % 10 + 2, z % 10 + 2
            return (x, z, x * z) if sign == "*" else (x * z, z, x)
        if is_held_out_sum(x, z):
            return self.numbers(sign, low, high)
        return x, z, x + z

    def operation(self, name: str, kind: str, low: int, high: int) -> dict:
        wordings, sign, output = OPERATIONS[name]
        x, z, y = self.numbers(sign, low, high)
        call = f"calculate: {{x}} {sign} {{z}}"
        wording = self.rng.choice(wordings)
        return self.entry(kind, wording, output, [(call, y)], x=x, y=y, z=z)

    def look_up(self, field: str, place: str, kind: str) -> dict:
        wordings, output = FIELDS[field]
        y = self.fact(field, place)
        call = f"look up: {field} of {{x}}"
        wording = self.rng.choice(wordings)
        return self.entry(kind, wording, output, [(call, y)], x=place, y=y)

    def example(self, kind: str) -> dict:
        """An example of one kind."""
        rng = self.rng
        if kind in OPERATIONS:
            return self.operation(kind, kind, 1, 99)
        if kind == "large sum":
            return self.operation("plus", kind, 25, 99)
        if kind == "three digits":
            return self.operation("plus", kind, 100, 999)
        if kind == "no result":
            wording = rng.choice(OPERATIONS["divided"][0])
            call = ("calculate: {x} / 0", "no whole number")
            output = "{x} divided by 0 has no result."
            x = rng.randint(1, 99)
            return self.entry(kind, wording, output, [call], x=x, z=0)
        if kind == "table":
            return self.look_up(rng.choice([*FIELDS]), self.name(), kind)
        if kind == "missing":
            field, x = rng.choice([*FIELDS]), self.name()
            call = (f"look up: {field} of {{x}}", NOTHING)
            wording = rng.choice(FIELDS[field][0])
            return self.entry(kind, wording, "I do not know {x}.", [call], x=x)
        if kind == "two hops":
            place = self.name()
            capital = self.fact("capital", place)
            field = rng.choice(("river", "people"))
            second = self.look_up(field, capital, kind)
            wording = FIELDS[field][0][0].format(x="the capital of {x}")
            hops = [("look up: capital of {x}", capital), *second["steps"]]
            return self.entry(kind, wording, second["output"], hops, x=place)
        if kind in ("together", "three together"):
            return self.together(kind, 2 if kind == "together" else 3)
        x, field = self.name(), rng.choice(("capital", "language", "river"))
        y = self.fact(field, x)
        return self.entry(
            kind,
            rng.choice(("Remember that the {f} of {x} is {y}.",
                        "Write down that the {f} of {x} is {y}.",
                        "The {f} of {x} is {y}. Remember that.")),
            WRITTEN, [("write down: {f} of {x} is {y}", DONE)],
            x=x, y=y, f=field,
        )  # fmt: skip

    def together(self, kind: str, n: int) -> dict:
        """How many people live in several places: look up each, then add."""
        places = [self.name() for _ in range(n)]
        counts = [self.fact("people", place) for place in places]
        calls = [
            (f"look up: people of {place}", count)
            for place, count in zip(places, counts)
        ]
        total = sum(map(int, counts))
        calls.append((f"calculate: {' + '.join(counts)}", total))
        names = f"{', '.join(places[:-1])} and {places[-1]}"
        wording = "How many people live in {x} together?"
        output = "{x} together have {y} people."
        return self.entry(kind, wording, output, calls, x=names, y=total)


def with_busy(entry: dict, rng: Random, part: float = 0.15) -> dict:
    """Now and then a tool is busy, and the call is made again."""
    steps = []
    for call, result in entry["steps"]:
        while rng.random() < part:
            steps.append((call, BUSY))
        steps.append((call, result))
    return entry | {"steps": steps}


def taught_again(entry: dict) -> dict:
    """An entry of chapter 7, with the call that it needs now, if any."""
    if entry["kind"] == "sum":
        x, z = re.findall(r"\d+", f"{entry['instruction']} {entry['input']}")
        y = int(x) + int(z)
        return entry | {"steps": [(f"calculate: {x} + {z}", str(y))]}
    if entry["kind"] == "unknown":
        for question, name in UNKNOWN.items():
            if found := re.fullmatch(question, entry["instruction"]):
                return entry | {
                    "steps": [(f"look up: {name} {found[1]}", NOTHING)]
                }
    return entry


def make_examples(n: int = N_TAUGHT, seed: int = 0) -> list[dict]:
    """So many examples of each kind that is taught."""
    author = ToolAuthor(f"{seed} train")
    return [
        with_busy(author.example(kind), author.rng)
        for kind in TAUGHT
        for _ in range(n)
    ]


def make_test(
    counts: dict[str, int], seed: str = "test"
) -> tuple[list[dict], Table]:
    """Questions whose calls no example makes, and the table for them.

    What is to be remembered is not in the table yet.
    """
    author, asked = ToolAuthor(seed), []
    shown = {call for e in make_examples() for call, _ in e["steps"]}
    for kind, n in counts.items():
        of_kind = []
        while len(of_kind) < n:
            entry = author.example(kind)
            if shown.isdisjoint(call for call, _ in entry["steps"]):
                of_kind.append(entry)
        asked += of_kind
    for entry in asked:
        if entry["kind"] == "remember":
            fact = entry["steps"][0][0].removeprefix("write down: ")
            del author.table.facts[fact.rpartition(" is ")[0]]
    return asked, author.table
