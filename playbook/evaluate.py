"""Put models side by side: python -m playbook evaluate course runs/instructions smollm2

Every model gets the same passages, questions and choices, whatever its tokenizer:

- bits per byte: what a passage costs, whole, over its bytes. Tokens differ between models, bytes
  do not, so this can be compared where a perplexity cannot. A passage that is longer than the
  context is read in windows that overlap by half, and each token counts once.
- exact and normalised match of greedy answers, and what the right answers cost in bits per byte.
- multiple choice by likelihood (ch05.multiple_choice): only choices of one model are compared.
- win rates against one of them (ch07.win_rate), a tie counting as a half.

With --out what is measured is kept, and the command, given again, measures only what is missing.
The baseline knows nothing: pairs of bytes counted in the other passages, the answer that
other questions of the kind have most often, a choice by chance.
"""

import argparse
import hashlib
import json
import math
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from random import Random

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from tqdm.auto import tqdm

from ch02.tokenizer import END_OF_TEXT, BPETokenizer, cache_folder
from ch04.gpt import GPT2_SIZES, GPTModel, choose_device, count_parameters
from ch05.bonus.real_llm import interval
from ch05.bonus.training_at_scale import count_bits, held_out
from ch05.chat_forms import form_of
from ch05.course_model.measure import share_bounds
from ch05.files import check_writable
from ch05.gpt_generate import generate
from ch05.gpt_weights import COURSE_FOLDER, find_file, load_pretrained
from ch05.llama_gguf import SMOLLM2, load_smollm2
from ch05.llama_tokenizer import chat_ids
from ch05.multiple_choice import Item, course_facts, read_task, right_choices, scores
from ch05.text_stream import find_files, read_documents
from ch07.chat import END_OF_MESSAGE
from ch07.gpt_instruction_finetuning import (
    N_NEW,
    crop_history,
    format_prompt,
    read_entries,
    respond,
    which_right,
)
from ch07.instructions import make_instructions
from ch07.win_rate import (
    Judge,
    judge_answers,
    letter_judge,
    normalised,
    ollama_judge,
    points,
    win_rate,
)
from course.commands import check_least
from course.records import read_rows, write_rows

PASSAGE = 2000  # characters
BASELINE = "baseline"
WINS = ("exact", "normalised", "likelihood", "judge")
# What a row of the table is called in the record, and how its values are printed.
MEASURES = {
    "bits per byte": "bits",
    "bits per byte, difference": "difference",
    "exact match": "share",
    "normalised match": "share",
    "bits per byte of right answers": "bits",
    "multiple choice": "share",
    "multiple choice, by letter": "share",
    **{f"win rate, {way}": "wins" for way in WINS},
    "parameters": "count",
    "weights in the file": "megabytes",
    "tokens per second": "count",
}
Figures = dict[str, list[float]]  # a value, its 95% interval if it has one, for wins the ties


def evenly(things: Sequence, n: int) -> list:
    """So many of them, from the first to the last."""
    n = min(n, len(things))
    return [things[i * len(things) // n] for i in range(n)]


@dataclass(frozen=True)
class Material:
    """What all models are asked: the same for each."""

    passages: list[str]
    entries: list[dict]  # what is asked
    known: list[dict]  # all of their file
    items: list[Item]

    @property
    def digest(self) -> str:
        """What tells whether it is still the same."""
        asked = [self.passages, self.entries, [asdict(item) for item in self.items]]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]

    @property
    def one_line(self) -> bool:
        """Whether an answer may end at its first line break: no right answer has one."""
        return not any("\n" in entry["output"].strip() for entry in self.entries)


def read_passages(folder: str | None, n_bytes: int) -> list[str]:
    """About so many bytes of documents, drawn at random, the same each time.

    Raises: OSError or ValueError if there is no text.
    """
    if folder is None:
        documents = held_out()
    else:
        with tqdm(disable=True) as bar:
            documents = [text for text, _ in read_documents(find_files([folder]), "text", bar)]
    starts = ((text, i) for text in documents for i in range(0, len(text), PASSAGE))
    passages = [part for text, i in starts if (part := text[i : i + PASSAGE]).strip()]
    if not passages:
        raise ValueError(f"{folder} holds no text, only white space")
    Random(0).shuffle(passages)
    sizes = np.cumsum([0, *sizes_of(passages)])
    return [text for text, before in zip(passages, sizes) if before < n_bytes]


def read_material(args: argparse.Namespace) -> Material:
    """The passages, questions and choices that the arguments name.

    Raises: OSError or ValueError that says which file is wrong, and where.
    """
    entries = read_entries(args.entries) if args.entries else make_instructions()
    test = [entry for entry in entries if entry.get("split") == "test"]
    items = read_task(args.task) if args.task else course_facts()
    return Material(
        read_passages(args.texts, args.bytes),
        evenly(test or entries, args.questions),
        entries,
        evenly(items, args.questions),
    )


# ---- one model


def as_messages(entry: dict) -> str:
    """A question with its earlier turns, as messages of a user and an assistant, in JSON."""

    def user(turn: dict) -> dict:
        text = f"{turn['instruction']}\n{turn.get('input', '')}".strip()
        return {"role": "user", "content": text}

    messages = []
    for turn in entry.get("history", []):
        messages += [user(turn), {"role": "assistant", "content": turn["output"]}]
    return json.dumps([*messages, user(entry)])


class InRoles:
    """The tokenizer of a model that was taught roles: its prompts are the JSON of as_messages."""

    def __init__(self, tokenizer: BPETokenizer):
        self.tokenizer, self.vocab_size = tokenizer, tokenizer.vocab_size
        self.decode = tokenizer.decode
        self.special_tokens = {END_OF_TEXT: tokenizer.special_tokens[END_OF_MESSAGE]}

    def encode_ordinary(self, prompt: str) -> list[int]:
        return chat_ids(self.tokenizer, json.loads(prompt))


@dataclass(frozen=True)
class Contestant:
    """A model with its name; one that was taught roles is asked in them, not as chapter 7 asks."""

    name: str
    model: GPTModel
    tokenizer: BPETokenizer
    in_roles: bool

    @property
    def form(self) -> tuple[BPETokenizer | InRoles, Callable[[dict], str]]:
        """What makes ids of its prompts, and the prompts out of entries."""
        if self.in_roles:
            return InRoles(self.tokenizer), as_messages
        return self.tokenizer, format_prompt


def load(name: str, device: torch.device) -> Contestant:
    """The model of that name. Raises: OSError or ValueError as load_pretrained."""
    model, tokenizer = load_pretrained(name)
    # Chapter 7's finetuning leaves its answers beside a model, and teaches its own form.
    in_roles = form_of(name, tokenizer) == "roles" and not Path(name, "responses.json").exists()
    return Contestant(name, model.to(device).eval(), tokenizer, in_roles)


def weight_files(name: str) -> list[Path]:
    """The files that hold a model's weights."""
    if name == "smollm2":
        return [cache_folder() / SMOLLM2]
    if name in GPT2_SIZES:
        return [find_file(name, "model.safetensors")]
    folder = COURSE_FOLDER if name == "course" else Path(name)
    return sorted(folder.glob("*.safetensors"))


def weights_digest(name: str) -> str:
    """What tells whether a model still has the same weights."""
    found = hashlib.sha256()
    for path in weight_files(name):
        found.update(path.read_bytes())
    return found.hexdigest()[:16]


@torch.no_grad()
def text_bits(model: GPTModel, tokenizer: BPETokenizer, text: str) -> float:
    """What a text costs behind <|endoftext|>; of a long one each token sees half a context or more.

    Raises: ValueError if the tokenizer loses something of the text, which would cost nothing.
    """
    ids = [tokenizer.special_tokens[END_OF_TEXT], *tokenizer.encode_ordinary(text)]
    if tokenizer.decode(ids[1:]) != text:
        raise ValueError(f"its tokenizer loses characters of the text that begins {text[:40]!r}")
    T, nats, done = model.config.context_length, 0.0, 1
    device = next(model.parameters()).device
    while done < len(ids):
        start = max(0, done - T // 2 - T % 2) if done > 1 else 0
        window = torch.tensor(ids[start : start + T + 1], device=device)
        logits = model(window[None, :-1])[0, done - start - 1 :].float()
        nats += cross_entropy(logits, window[done - start :], reduction="sum").item()
        done = start + len(window)
    return nats / math.log(2)


@torch.no_grad()
def answer_bits(one: Contestant, entry: dict) -> float:
    """What the right answer costs behind its question, asked as this model is asked.

    Raises: ValueError if both do not fit the context.
    """
    ids = one.tokenizer.encode_ordinary(entry["output"].strip())
    room = one.model.config.context_length + 1 - len(ids)  # the last one is only a target
    tokenizer, prompt_of = one.form
    prompt = crop_history(entry, tokenizer, room, prompt_of)
    row = torch.tensor([*prompt, *ids], device=next(one.model.parameters()).device)
    logits = one.model(row[None, :-1])[0, -len(ids) :].float()
    return cross_entropy(logits, row[-len(ids) :], reduction="sum").item() / math.log(2)


def answers_of(one: Contestant, entries: Sequence[dict], one_line: bool) -> list[str]:
    """The greedy answers of a model. Raises: ValueError if a question does not fit its context."""
    tokenizer, prompt_of = one.form
    return respond(one.model, tokenizer, entries, N_NEW, one_line=one_line, prompt_of=prompt_of)


def tokens_per_second(one: Contestant, n: int = 32, tries: int = 3) -> float:
    """How fast it writes one text, at its best of some tries.

    Units: on a CPU seconds of a core, which other programs do not make longer.
    """
    device = next(one.model.parameters()).device
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    idx = torch.tensor([[one.tokenizer.special_tokens[END_OF_TEXT]]], device=device)
    n, seconds = min(n, one.model.config.context_length - 1), []
    for _ in range(tries):
        started = clock()
        generate(one.model, idx, n, temperature=0)[0, -1].item()  # a GPU has done it then
        seconds.append(clock() - started)
    return n / min(seconds)


def sizes_of(texts: Sequence[str]) -> list[int]:
    """Units: bytes."""
    return [len(text.encode()) for text in texts]


def bits_figure(bits: Sequence[float], texts: Sequence[str]) -> list[float]:
    """Bits per byte of texts, with an interval over them if there are two."""
    rows = np.column_stack([bits, sizes_of(texts)])

    def ratio(rows: np.ndarray) -> float:
        return float(rows[:, 0].sum() / rows[:, 1].sum())

    return [ratio(rows), *(interval(rows, ratio) if len(rows) > 1 else [])]


def matches(entries: Sequence[dict], answers: Sequence[str]) -> dict[str, dict[str, list[bool]]]:
    """Which answers are right, by kind and all: to the letter, and in a normal form."""
    plain = [entry | {"output": normalised(entry["output"])} for entry in entries]
    return {
        "exact": which_right(entries, answers),
        "normalised": which_right(plain, [normalised(text) for text in answers]),
    }


def match_figures(right: dict[str, dict[str, list[bool]]]) -> Figures:
    return {f"{way} match": list(share_bounds(hits["all"])) for way, hits in right.items()}


def measure(one: Contestant, material: Material) -> dict:
    """All that a model shows alone: figures, answers, and what its comparison needs.

    Raises: ValueError that names the model, if something does not fit it.
    """
    entries, outputs = material.entries, [e["output"].strip() for e in material.entries]
    try:
        bits = [text_bits(one.model, one.tokenizer, text) for text in material.passages]
        of_right = [answer_bits(one, entry) for entry in entries]
        answers = answers_of(one, entries, material.one_line)
        chosen = right_choices(material.items, scores(one.model, one.tokenizer, material.items))
    except ValueError as error:
        raise ValueError(f"{one.name}: {error}") from None
    right = matches(entries, answers)
    figures = {
        "bits per byte": bits_figure(bits, material.passages),
        **match_figures(right),
        "bits per byte of right answers": bits_figure(of_right, outputs),
        "multiple choice": list(share_bounds(chosen["acc"])),
        "multiple choice, by letter": list(share_bounds(chosen["acc_norm"])),
        "parameters": [count_parameters(one.model)],
        "weights in the file": [sum(path.stat().st_size for path in weight_files(one.name))],
        "tokens per second": [tokens_per_second(one)],
    }
    row = as_row(one.name, figures, right["exact"], answers)
    return row | {
        "passage bits": [round(b, 2) for b in bits],
        "answer bits": [round(b, 4) for b in of_right],
        "weights": weights_digest(one.name),
    }


def as_row(name: str, figures: Figures, right: dict[str, list[bool]], answers: list[str]) -> dict:
    figures = {measure: [round(value, 4) for value in found] for measure, found in figures.items()}
    kinds = {kind: [sum(hits), len(hits)] for kind, hits in right.items()}
    return {"model": name, "figures": figures, "kinds": kinds, "answers": answers}


def is_row(row: dict) -> bool:
    """Whether something in a record is a row of this command."""
    return {"model", "figures", "kinds", "answers"} <= row.keys()


def is_still(row: dict, names: Sequence[str]) -> bool:
    """Whether a row of a record is of one of these models, with the weights that it has now."""
    return row["model"] in names and row.get("weights") == weights_digest(row["model"])


# ---- the baseline


def pair_bits(passages: Sequence[str], n_parts: int = 20) -> list[float]:
    """What parts of the passages cost by the pairs of bytes of all other parts."""
    parts = [passages[i::n_parts] for i in range(min(n_parts, len(passages)))]
    found = []
    for i, part in enumerate(parts):
        others = [text for j, texts in enumerate(parts) if j != i for text in texts]
        per_byte = count_bits(["".join(part)], others or [""])["counts of pairs"]
        found.append(per_byte * len("".join(part).encode()))
    return found


def most_frequent(entries: Sequence[dict], known: Sequence[dict]) -> list[str]:
    """For each entry the output that others of its kind have most often, among those known."""
    counts, answers = {}, []
    for entry in known:
        kind = counts.setdefault(entry.get("kind", "task"), Counter())
        kind[entry["output"].strip()] += 1
    for entry in entries:
        others = counts[entry.get("kind", "task")].copy()
        others[entry["output"].strip()] -= 1
        ((answer, n),) = others.most_common(1)
        answers.append(answer if n else "")
    return answers


def measure_baseline(material: Material) -> dict:
    """The row of who knows nothing."""
    bits = pair_bits(material.passages)
    parts = ["".join(material.passages[i :: len(bits)]) for i in range(len(bits))]
    answers = most_frequent(material.entries, material.known)
    right = matches(material.entries, answers)
    chance = [sum(1 / len(item.choices) for item in material.items) / len(material.items)]
    figures = {
        "bits per byte": bits_figure(bits, parts),
        **match_figures(right),
        "multiple choice": chance,
        "multiple choice, by letter": chance,
    }
    return as_row(BASELINE, figures, right["exact"], answers)


# ---- one against the other


def values_of(row: dict, entries: Sequence[dict]) -> dict[str, list[float]]:
    """For each way to win: what a question is worth, and more is better."""
    right = matches(entries, row["answers"])
    values = {way: hits["all"] for way, hits in right.items()}
    if "answer bits" in row:
        values["likelihood"] = [-bits for bits in row["answer bits"]]
    return values


def as_figure(won: Sequence[float]) -> list[float]:
    found = win_rate(won)
    return [round(value, 4) for value in (found.rate, found.low, found.high, found.ties)]


def compare(rows: Sequence[dict], against: str, material: Material) -> None:
    """Put what is against one of them into all rows, in place of what another time left there.

    Bits are compared passage by passage: whether a passage is easy is the same for both.
    """
    for row in rows:
        row.pop("judged", None)
        for name in ("bits per byte, difference", *(f"win rate, {way}" for way in WINS)):
            row["figures"].pop(name, None)
    (other,) = (row for row in rows if row["model"] == against)
    of_other = values_of(other, material.entries)
    for row in rows:
        if "passage bits" in row:
            more = np.subtract(row["passage bits"], other["passage bits"])
            found = bits_figure(more, material.passages)
            row["figures"]["bits per byte, difference"] = [round(value, 4) for value in found]
        for way, values in values_of(row, material.entries).items():
            if row is other:
                row["figures"][f"win rate, {way}"] = [0.5]
            elif way in of_other:
                row["figures"][f"win rate, {way}"] = as_figure(points(values, of_other[way]))


def judge_rows(
    rows: Sequence[dict], against: str, judge: Judge, entries: Sequence[dict], n: int
) -> None:
    """Let a judge compare the answers to so many questions with those of one of the models.

    Beside the win rate it is kept how the judge did: places, and whether it prefers the right
    answer where only one of the two is right.
    """
    (other,) = (row for row in rows if row["model"] == against)
    chosen = evenly(range(len(entries)), n)
    some = [entries[i] for i in chosen]
    for row in rows:
        if row is other:
            row["figures"]["win rate, judge"] = [0.5]
            continue
        a, b = ([one["answers"][i] for i in chosen] for one in (row, other))
        said = judge_answers(judge, some, a, b)
        row["figures"]["win rate, judge"] = as_figure(said.points)
        hits = [matches(some, texts)["normalised"]["all"] for texts in (a, b)]
        clear = [(won, p) for won, p in zip(points(*hits), said.points) if won != 0.5]
        agrees = sum(won == p for won, p in clear)
        row["judged"] = f"{said.describe()}; of {len(clear)} pairs in which one answer is right, "
        row["judged"] += f"it prefers that one in {agrees}"


# ---- the table


def cell(kind: str, figure: Sequence[float] | None) -> str:
    """A figure as the table shows it."""
    if figure is None:
        return "–"
    value, *bounds = figure
    if kind == "count":
        return f"{value:,.0f}"
    if kind == "megabytes":
        return f"{value / 1e6:.1f} MB"
    if kind == "difference":
        between = " ({:+.3f} to {:+.3f})".format(*bounds) if bounds else ""
        return f"{value:+.3f}{between}" if value else "0"
    if kind == "bits":
        between = " ({:.3f} to {:.3f})".format(*bounds) if bounds else ""
        return f"{value:.3f}{between}"
    between = " ({:.1f} to {:.1f})".format(*(100 * b for b in bounds[:2])) if bounds else ""
    ties = f", {bounds[2]:.0%} ties" if kind == "wins" and bounds else ""
    return f"{value:.1%}{between}{ties}"


def tabulate(rows: Sequence[dict]) -> list[list[str]]:
    """The table of all measures that a row has, its head first."""
    table = [["", *(row["model"] for row in rows)]]
    for name, kind in MEASURES.items():
        if any(name in row["figures"] for row in rows):
            table.append([name, *(cell(kind, row["figures"].get(name)) for row in rows)])
    return table


def tabulate_kinds(rows: Sequence[dict]) -> list[list[str]]:
    """How many answers of each kind are right to the letter."""
    table = [["right to the letter", *(row["model"] for row in rows)]]
    for kind in rows[0]["kinds"]:
        table.append([kind, *("{} of {}".format(*row["kinds"][kind]) for row in rows)])
    return table


def as_text(table: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*table)]
    lines = ("  ".join(text.ljust(n) for text, n in zip(line, widths)).rstrip() for line in table)
    return "\n".join(lines)


def as_markdown(table: Sequence[Sequence[str]]) -> str:
    head, *body = (f"| {' | '.join(line)} |" for line in table)
    rule = f"|{'---|' * len(table[0])}"
    return "\n".join([head, rule, *body]).replace("|  |", "| |")


def notes(settings: dict, rows: Sequence[dict]) -> Iterable[str]:
    """What the table's figures mean."""
    yield (
        "{bytes} bytes in {passages} passages, {questions} questions, {items} items; "
        "in brackets 95% intervals".format(**settings)
    )
    yield (
        f"difference and win rates are against {settings['against']}, passage by passage and "
        "question by question; a tie counts as a half"
    )
    yield (
        f"{BASELINE}: pairs of bytes, the answer that others of a kind have most often, "
        "a choice by chance; speed: one text, on a CPU for a second of a core "
        f"({settings['machine']})"
    )
    for row in rows:
        if "judged" in row:
            yield f"{settings['judge']} on {row['model']}: {row['judged']}"


# ---- the command


def find_judge(args: argparse.Namespace, device: torch.device) -> Judge | None:
    """The judge that is named: the real model, or one on an Ollama server.

    Raises: OSError or ValueError if it is not there.
    """
    if args.judge is None:
        return None
    if args.judge == "smollm2":
        model, tokenizer = load_smollm2()
        return letter_judge(model.to(device), tokenizer)
    return ollama_judge(args.url, args.judge)


def measure_all(
    names: Sequence[str],
    material: Material,
    settings: dict,
    out: Path | None,
    device: torch.device,
    say: Callable[[str], None],
) -> list[dict]:
    """A row for each model; those that a record has already are not measured again.

    Raises: OSError or ValueError, before anything is measured, if a model cannot be read.
    """
    kept = read_rows(out, is_row, settings, option="--out") if out else []
    rows = {row["model"]: row for row in kept if is_still(row, names)}
    models = {name: load(name, device) for name in names if name not in rows}
    for name in names:
        if name not in models:
            say(f"{name}: the record has it")
            continue
        started = time.perf_counter()
        rows[name] = measure(models[name], material)
        say(f"{name}: measured in {time.perf_counter() - started:.0f} s")
        if out:
            write_rows(out, settings, list(rows.values()))
    return [rows[name] for name in names]


def evaluate(args: argparse.Namespace) -> None:
    """Measure the models that are named, and print their table.

    Raises: OSError or ValueError for what cannot be read or written, before anything is measured.
    """
    check_least(args, bytes=1, questions=1, judged=1)
    names = list(dict.fromkeys([*args.models, *filter(None, [args.against])]))
    if BASELINE in names:
        raise ValueError(f"{BASELINE} is always in the table: name models only")
    against = args.against or names[0]
    if args.out:
        if Path(args.out).is_dir():
            raise ValueError(f"{args.out} is a folder, and --out names a file")
        check_writable(Path(args.out).parent)
    material, device = read_material(args), choose_device(args.device)
    judge = find_judge(args, device)
    settings = {
        "material": material.digest,
        "bytes": sum(sizes_of(material.passages)),
        "passages": len(material.passages),
        "questions": len(material.entries),
        "items": len(material.items),
        "threads": torch.get_num_threads(),
        "machine": f"{device.type}, {platform.machine()}",
    }
    out = Path(args.out) if args.out else None
    say = (lambda text: None) if args.markdown else partial(print, flush=True)
    rows = measure_all(names, material, settings, out, device, say)
    rows.append(measure_baseline(material))
    compare(rows, against, material)
    if judge:
        judge_rows(rows, against, judge, material.entries, args.judged)
    settings |= {"against": against, "judge": args.judge}
    shown = as_markdown if args.markdown else as_text
    print("", shown(tabulate(rows)), "", *notes(settings, rows), "", sep="\n")
    print(shown(tabulate_kinds(rows)))
    if out:
        write_rows(out, settings, rows)
        say(f"\nthe record is {out}")
