"""Clean, rewrite, generate and filter entries, and measure what each step is worth.

    python -m ch07.bonus.data    # makes ch07/recorded/data.json

The record: a model that was told few answers answers new questions itself, and
is trained again on what a filter keeps of them. Given again, the command goes
on where it was stopped.

    python -m ch07.bonus.data --generate ch07/recorded/generated.json

Dimension key: N entries, R different runs of tokens.
Source: near duplicates by Broder 1997; own answers that are filtered and
learned, Zelikman et al. 2022, "STaR" (arXiv:2203.14465); entries that a model
writes and improves, Wang et al. 2023 (arXiv:2212.10560) and Li et al. 2023,
"Reflection-Tuning" (arXiv:2310.11716).
"""

import argparse
import json
import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import torch
from scipy.sparse import csr_matrix
from tqdm.auto import tqdm

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.bonus.gpt_to_llama import paired_difference
from ch05.bonus.real_llm import answer, kappa
from ch05.course_model.corpus import COLOUR_NAMES, capital
from ch05.course_model.world import (
    CATEGORY_OF,
    OPPOSITES,
    PEOPLE,
    PLURALS,
    VERBS,
    WORKPLACES,
)
from ch05.course_model.world.places import CAPITALS
from ch05.course_model.world.verbs import Verb
from ch05.duplicates import SHINGLE
from ch05.gpt_train import IGNORE
from ch05.gpt_weights import load_pretrained
from ch05.llama_gguf import load_smollm2
from ch05.precision import choose_precision
from ch07.gpt_instruction_finetuning import (
    N_NEW,
    InstructionDataset,
    collate,
    create_instruction_dataloader,
    finetune,
    respond,
    which_right,
)
from ch07.instructions import FORM_WORDINGS, Author, key, make_sides
from ch07.ollama_evaluate import ask_server
from course.commands import check_least, check_rate, one_sentence
from course.files import written_whole
from course.records import read_rows, write_rows
from course.terminal import replace_unprintable


def words_of(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())


# --- near duplicates

BANDS = {"14 x 8": (14, 8), "28 x 4": (28, 4)}  # bands, hashes of a band


def make_runs(texts: Sequence[Sequence[int]]) -> csr_matrix:
    """Which runs of five tokens each text has.

    Shapes: N texts -> (N, R) of zeros and ones.
    """
    numbers, rows, columns = {}, [], []
    for row, ids in enumerate(texts):
        starts = range(len(ids) - SHINGLE + 1)
        for run in {tuple(ids[i : i + SHINGLE]) for i in starts}:
            rows.append(row)
            columns.append(numbers.setdefault(run, len(numbers)))
    ones = np.ones(len(rows), dtype=np.int32)
    return csr_matrix((ones, (rows, columns)), (len(texts), len(numbers)))


def alike_pairs(runs: csr_matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pair that shares a run: first text, second text, exact Jaccard."""
    shared = (runs @ runs.T).tocoo()  # (N, N), only where it is not zero
    upper = shared.row < shared.col
    i, j, both = shared.row[upper], shared.col[upper], shared.data[upper]
    n = np.asarray(runs.sum(axis=1)).ravel()
    return i, j, both / (n[i] + n[j] - both)


def share_a_band(
    a: np.ndarray, b: np.ndarray, n_bands: int, band: int
) -> np.ndarray:
    """Whether two signatures have a band in common, pair by pair.

    Shapes: (P, 112) and (P, 112) -> (P,).
    """
    same = (a == b).reshape(-1, n_bands, band)
    return same.all(axis=2).any(axis=1)


def recall_by_jaccard(
    jaccard: np.ndarray, found: np.ndarray, n_bins: int = 10
) -> pd.DataFrame:
    """For pairs as alike as this, how many there are and what part is found."""
    rows = []
    edges = np.linspace(0, 1, n_bins + 1)
    for low, high in zip(edges[:-1], edges[1:]):
        inside = (jaccard > low) & (jaccard <= high)
        if inside.any():
            mean, part = jaccard[inside].mean(), found[inside].mean()
            rows.append((mean, inside.sum(), part))
    return pd.DataFrame(rows, columns=["Jaccard", "pairs", "found"])


def one_token_changed(ids: Sequence[int], rng: Random) -> list[int]:
    """A near duplicate: one token, anywhere, is another one now."""
    changed = list(ids)
    changed[rng.randrange(len(ids))] = -1  # no token has this number
    return changed


# --- passive voice by rule

BY = {"I": "me", "He": "him", "She": "her", "We": "us", "They": "them"}
FROM = {"me": "I", "him": "he", "us": "we", "them": "they", "it": "it"}
MODALS = {"will", "can", "must", "may", "could", "would", "should", "might"}
ARTICLES = {"the", "a", "an", "this", "that"}
COUNTED = {"two", "three", "four", "five", "six", "these", "those"}
OWNERS = {"my", "your", "his", "her", "its", "our", "their"}
# These have an object, and yet no passive: "the house is had by her".
NO_PASSIVE = {"have", "cost", "weigh", "fit", "suit", "lack", "become"}
# "the trousers" may be one or several: a noun of the world that ends in s is
# only known if its plural is.
SINGULAR = set(PLURALS) | {
    noun for noun in (*CATEGORY_OF, *WORKPLACES) if noun[-1] != "s"
}
PLURAL = set(PLURALS.values()) - SINGULAR
EITHER = {noun for noun, plural in PLURALS.items() if noun == plural}
ADJECTIVES = set(OPPOSITES) | set(OPPOSITES.values()) | set(COLOUR_NAMES)


class Refused(Exception):
    """A rule cannot do this rightly; the message is the reason."""


def is_plural(words: Sequence[str]) -> bool:
    """Whether a noun phrase means several.

    Raises: Refused if not each of its words is known.
    """
    first, *middle, noun = words if len(words) > 1 else ("", *words)
    if not first:
        if noun in PEOPLE:
            return False
        raise Refused("a phrase that is not known")
    if first.lower() in OWNERS:
        raise Refused("whose it is may change")
    if any(word not in ADJECTIVES for word in middle):
        raise Refused("a phrase that is not known")
    if first.lower() in COUNTED and noun in PLURAL | EITHER:
        return True
    if first.lower() not in ARTICLES:
        raise Refused("a phrase that is not known")
    if noun in EITHER and first.lower() == "the":
        raise Refused("one or several")
    if noun in PLURAL and first.lower() == "the":
        return True
    if noun in SINGULAR:
        return False
    raise Refused("a phrase that is not known")


def read_verb(words: Sequence[str], is_several: bool) -> tuple[Verb, str]:
    """The verb that words begin with, and its tense.

    Raises: Refused if there is no verb, or its tense or the verb is not sure.
    """
    if words[0] in MODALS:
        if len(words) < 2 or words[1] not in VERBS:
            raise Refused("no verb that is known")
        return VERBS[words[1]], words[0]
    readings = []
    for verb in VERBS.values():
        if words[0] == verb.past:
            readings.append((verb, "past"))
        if words[0] == (verb.base if is_several else verb.third):
            readings.append((verb, "present"))
    if not readings:
        raise Refused("no verb that is known")
    if len(readings) > 1:
        raise Refused("two verbs or tenses are possible")
    return readings[0]


def to_passive(sentence: str) -> str:
    """Put "Clara washed the cup." into the passive voice.

    Raises: Refused, with the reason, where the rule cannot be sure.
    """
    if not re.fullmatch(r"[A-Z][A-Za-z' -]*\.", sentence):
        raise Refused("not one plain statement")
    words = sentence[:-1].split()
    if words[0] in BY or words[0] == "It":
        k, agent = 1, BY.get(words[0], "it")
        several = words[0] in ("I", "We", "They")
    else:
        ends = [1] if words[0] in PEOPLE else [2, 3]
        for k in ends:
            try:
                several = is_plural(words[:k])
                break
            except Refused:
                if k == ends[-1]:
                    raise
        first = words[0] if words[0] in PEOPLE else words[0].lower()
        agent = " ".join([first, *words[1:k]])
    if len(words) <= k:
        raise Refused("no verb that is known")
    verb, tense = read_verb(words[k:], several)
    thing = words[k + 1 + (tense in MODALS) :]
    if not thing:
        raise Refused("no object")
    if not verb.transitive or verb.base in NO_PASSIVE:
        raise Refused("a verb without a passive")
    text = " ".join(thing)
    if text.endswith(("self", "selves")):
        raise Refused("it is done to oneself")
    if text in FROM:
        text, many = FROM[text], text in ("us", "them")
    else:
        # The verb's own objects are known to be one thing.
        many = text not in verb.rests and is_plural(thing)
    be = {"past": "was", "present": "am" if text == "I" else "is"}
    be = {"past": "were", "present": "are"} if many else be
    helper = be.get(tense, f"{tense} be")
    return f"{capital(text)} {helper} {verb.participle} by {agent}."


# --- entries that a model writes, judges and improves

Ask = Callable[[str], str]  # what is said to a model -> what it replies
ENOUGH = 70  # points of 100 with which an entry is kept
GENERATED = files("ch07") / "recorded" / "generated.json"
N_TOPICS = 12


def ask_smollm2(max_new_tokens: int = 48) -> Ask:
    """SmolLM2 as one who is asked.

    Raises: FileNotFoundError if set-up has not fetched it.
    """
    model, tokenizer = load_smollm2()
    return lambda text: answer(model, tokenizer, text, max_new_tokens)


def ask_ollama(url: str, model: str, timeout: float = 60) -> Ask:
    """A model on an Ollama server as one who is asked.

    Raises, when asked: OSError or ValueError if no answer comes, or no text.
    """

    def ask(text: str) -> str:
        question = {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "stream": False,
            "options": {"seed": 123, "temperature": 0},
        }
        reply = ask_server(url, "/api/chat", question, timeout)
        try:
            return reply["message"]["content"]
        except (KeyError, TypeError):
            raise ValueError("the server's answer has another form") from None

    return ask


def find_question(text: str) -> str:
    """The first question in a reply, which may begin with politeness.

    Raises: Refused if there is none.
    """
    for line in text.splitlines():
        for sentence in re.split(r"(?<=[.!?])\s+", line.strip(' *"')):
            if sentence.endswith("?"):
                return sentence
    raise Refused("There is no question in it.")


def check_entry(entry: dict, topic: str, known: Sequence[dict]) -> None:
    """Let an entry pass that has the form of one.

    Raises: Refused with the first fault, in words that its author can use.
    """
    asked, answered = (
        words_of(entry[name]) for name in ("instruction", "output")
    )
    if topic.lower().split()[-1] not in asked:
        raise Refused(f"The question is not about {topic}.")
    if not set(answered) - set(asked):
        raise Refused("The answer only repeats the question.")
    if any(set(asked) == set(words_of(e["instruction"])) for e in known):
        raise Refused("This question was asked before.")


def judge_entry(ask: Ask, entry: dict) -> int | None:
    """The points that a model gives to an entry; None if it says no number."""
    said = ask(
        f"Question: {entry['instruction']}\nAnswer: {entry['output']}\n\n"
        "How good is this answer, from 0 (wrong) to 100 (right)? "
        "Reply with one whole number and nothing else."
    )
    numbers = [int(number) for number in re.findall(r"\d+", said)]
    is_score = len(numbers) == 1 and numbers[0] <= 100
    return numbers[0] if is_score else None


def write_entry(
    ask: Ask, topic: str, known: Sequence[dict], rounds: int = 2
) -> list[dict]:
    """Generate an entry; as long as it has a fault, say which, and ask again.

    Each try has its text, the entry if there is one, and its fault, or none.
    """
    tries, hint = [], ""
    for _ in range(rounds):
        text = ask(f"Write one short question about {topic}.{hint}")
        attempt = {"topic": topic, "text": text, "fault": ""}
        tries.append(attempt)
        try:
            question = find_question(text)
            output = ask(f"{question} Answer in one sentence.{hint}").strip()
            entry = {"instruction": question, "input": "", "output": output}
            attempt["entry"] = entry
            check_entry(entry, topic, known)
            attempt["score"] = judge_entry(ask, entry)
            if attempt["score"] is None:
                raise Refused("The judge gave no number.")
            if attempt["score"] < ENOUGH:
                raise Refused("The judge gave it too few points.")
        except Refused as fault:
            attempt["fault"] = str(fault)
            said = attempt.get("entry", {"output": ""})["output"]
            hint = f"\nThis was a try: {text} {said}\nIts fault: {fault}"
        else:
            break
    return tries


def judge_pairs(ask: Ask, facts: Sequence[tuple[str, str]]) -> list[dict]:
    """What a judge gives to the true capital, and to the next country's."""
    pairs = []
    for (country, true), (_, false) in zip(facts, facts[1:] + facts[:1]):
        points = {
            name: judge_entry(
                ask,
                {
                    "instruction": f"What is the capital of {country}?",
                    "output": f"The capital of {country} is {city}.",
                },
            )
            for name, city in (("true", true), ("false", false))
        }
        pairs.append({"country": country} | points)
    return pairs


def generate_entries(
    ask: Ask, topics: Sequence[str], rounds: int = 2
) -> tuple[list[dict], list[dict]]:
    """Entries without a fault, and all tries."""
    kept, tries = [], []
    for topic in topics:
        tries += write_entry(ask, topic, kept, rounds)
        if not tries[-1]["fault"]:
            kept.append(tries[-1]["entry"])
    return kept, tries


def is_true(attempt: dict) -> bool:
    """Whether the answer about the capital of a country names it."""
    country = attempt["topic"].removeprefix("the capital of ")
    return CAPITALS[country] in attempt.get("entry", {}).get("output", "")


# --- the record: own answers, filtered and learned

KINDS = tuple(FORM_WORDINGS)  # the answer can be found in the question
WAYS = ("few", "own", "chance", "rule", "judge", "right", "true")
N_TOLD, N_UNTOLD, N_ASKED = 48, 300, 300  # entries of all kinds together
RECORD = files("ch07") / "recorded" / "data.json"


def draw_entries(
    split: str, n: int, seed: str, known: Iterable[dict] = ()
) -> list[dict]:
    """So many entries of our kinds, as many of each, none of them known.

    Raises: ValueError if a kind has not so many.
    """
    author, seen = Author(make_sides()[split], seed), set(map(key, known))
    n_each, drawn = n // len(KINDS), []
    for kind in KINDS:
        of_kind, n_tries = [], 0
        for entry in author.entries(kind):
            if len(of_kind) == n_each:
                break
            n_tries += 1
            if n_tries > 100 * n_each:
                raise ValueError(f"{split} has no {n_each} entries of {kind}")
            if key(entry) not in seen:
                seen.add(key(entry))
                of_kind.append(entry)
        drawn += of_kind
    return drawn


def passes_rule(entry: dict, response: str) -> bool:
    """Whether a response has the form of an answer; the rule never sees one.

    Raises: KeyError if no rule is known for the kind.
    """
    said = entry["input"] or entry["instruction"].rpartition(": ")[2]
    items = [item.strip(" ?") for item in said.split(",")]
    answered = words_of(response)
    asked = words_of(f"{entry['instruction']} {entry['input']}")
    n_new = sum(word not in asked for word in answered)
    n_lost = sum(word not in answered for word in words_of(said))
    if entry["kind"] == "passive":  # new: was, by, perhaps a participle
        is_passive = {"was", "by"} <= set(answered) and response[-1] == "."
        return is_passive and n_new <= 3 and n_lost <= 1
    if entry["kind"] == "question":  # new: did, and the verb without its past
        return response.endswith("?") and n_new <= 2 and n_lost <= 1
    if entry["kind"] == "reverse":
        return response.split(", ") == items[::-1]
    if entry["kind"] == "pattern":
        repeats = len(set(items)) < len(items)
        is_number = response.isdigit() == items[0].isdigit()
        is_new = response not in items
        return is_number and len(answered) == 1 and repeats != is_new
    # What is read or copied is made of the question's words, or letters.
    letters = set("".join(asked))
    is_copy = all(c in letters for c in response.lower() if c.isalpha())
    is_form = {"reading": n_new == 0, "task": is_copy}[entry["kind"]]
    return is_form and bool(answered)


@torch.no_grad()
def confidence(
    model: GPTModel,
    tokenizer: BPETokenizer,
    entries: Sequence[dict],
    responses: Sequence[str],
) -> list[float]:
    """How sure a model is of each response: mean log-probability a token."""
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    answered = [
        entry | {"output": text} for entry, text in zip(entries, responses)
    ]
    length = model.config.context_length
    items = InstructionDataset(answered, tokenizer, length).items
    device = next(model.parameters()).device
    means = []
    for start in range(0, len(items), 32):
        batch = collate(items[start : start + 32], end_id)
        inputs, targets = (part.to(device) for part in batch)  # (B, T)
        log_probs = model(inputs).float().log_softmax(dim=-1)  # (B, T, V)
        counted = targets != IGNORE
        picked = log_probs.gather(-1, (targets * counted).unsqueeze(-1))
        sums = (picked.squeeze(-1) * counted).sum(dim=1)
        means += (sums / counted.sum(dim=1)).tolist()
    return means


def best_threshold(scores: Sequence[float], right: Sequence[bool]) -> float:
    """The score from which on keeping agrees best with right answers."""

    def agreement(low: float) -> float:
        kept = [score >= low for score in scores]
        return kappa(np.array([kept, right], dtype=float).T)

    return max(sorted(set(scores)), key=agreement)


def measure_judge(kept: Sequence[bool], right: Sequence[bool]) -> dict:
    """What a filter is worth against exact match.

    Units: agreement and kappa as parts of 1; of the kept, the right ones.
    """
    kept, right = np.asarray(kept, bool), np.asarray(right, bool)
    return {
        "agreement": round(float((kept == right).mean()), 4),
        "kappa": round(float(kappa(np.stack([kept, right], axis=1))), 4),
        "kept": int(kept.sum()),
        "right of kept": int((kept & right).sum()),
        "right of all": int(right.sum()),
        "all": len(right),
    }


def learn(
    entries: Sequence[dict],
    development: Sequence[dict],
    seed: int,
    n_steps: int,
    lr: float,
    device: torch.device,
    precision: str,
) -> tuple[GPTModel, BPETokenizer]:
    """Finetune the course's model for so many steps, whatever the entries' number.

    Entries are repeated in whole rounds, so that each way has the same steps.
    """
    torch.manual_seed(seed)
    model, tokenizer = load_pretrained("course")
    model.to(device)
    end_id = tokenizer.special_tokens[END_OF_TEXT]
    rng, repeated = Random(seed), []
    while len(repeated) < 16 * n_steps:
        repeated += rng.sample(entries, len(entries))
    loaders = [
        create_instruction_dataloader(
            InstructionDataset(some, tokenizer, model.config.context_length),
            end_id,
            shuffle=shuffle,
            seed=seed,
        )
        for some, shuffle in (
            (repeated[: 16 * n_steps], True),
            (development, False),
        )
    ]
    finetune(model, *loaders, 1, lr, eval_every=10_000, precision=precision)
    return model, tokenizer


def counts_of(
    entries: Sequence[dict], responses: Sequence[str]
) -> dict[str, list[int]]:
    """How many responses of each kind are right, and how many there are."""
    right = which_right(entries, responses)
    return {kind: [sum(hits), len(hits)] for kind, hits in right.items()}


def chosen_by_chance(n: int, n_all: int, seed: int) -> list[bool]:
    """As many as another way keeps, but any: what the number alone is worth."""
    chosen = set(Random(f"chance {seed}").sample(range(n_all), n))
    return [i in chosen for i in range(n_all)]


def measure_seed(
    seed: int,
    done: Sequence[str],
    n_steps: int,
    lr: float,
    device: torch.device,
    precision: str,
) -> Iterable[dict]:
    """One row after the other: train each way that is not done, and ask it.

    The first way is the model that answers the new questions for the others.
    """
    told = draw_entries("train", N_TOLD, f"told {seed}")
    untold = draw_entries("train", N_UNTOLD, f"untold {seed}", told)
    development = draw_entries("development", 60, "development")
    asked = draw_entries("test", N_ASKED, "asked")
    model, tokenizer = learn(
        told, development, seed, n_steps, lr, device, precision
    )
    responses = respond(model, tokenizer, untold, N_NEW)
    right = which_right(untold, responses)["all"]
    own = respond(model, tokenizer, development, N_NEW)
    low = best_threshold(
        confidence(model, tokenizer, development, own),
        which_right(development, own)["all"],
    )
    scores = confidence(model, tokenizer, untold, responses)
    kept = {
        "few": [False] * len(untold),
        "chance": chosen_by_chance(sum(right), len(right), seed),
        "own": [True] * len(untold),
        "rule": [*map(passes_rule, untold, responses)],
        "judge": [score >= low for score in scores],
        "right": right,
        "true": [True] * len(untold),
    }
    for way in WAYS:
        if way in done:
            continue
        started = time.perf_counter()
        answers = [e["output"] for e in untold] if way == "true" else responses
        new = [
            entry | {"output": text}
            for entry, text, keep in zip(untold, answers, kept[way])
            if keep and text
        ]
        if way != "few":
            model, tokenizer = learn(
                told + new, development, seed, n_steps, lr, device, precision
            )
        yield {
            "row": way,
            "seed": seed,
            "new entries": len(new),
            "seconds": round(time.perf_counter() - started),
            "judged": measure_judge(kept[way], right),
            "right": counts_of(asked, respond(model, tokenizer, asked, N_NEW)),
        }


def read_record(path: Path, settings: dict | None = None) -> list[dict]:
    """The rows of a record, none if there is no file.

    Raises: ValueError if it is damaged, or of other settings than these.
    """

    def is_row(row: dict) -> bool:
        return row["row"] in WAYS and row["seed"] >= 0 and "all" in row["right"]

    return read_rows(path, is_row, settings)


def percent(rows: Sequence[dict], way: str, kind: str = "all") -> list[float]:
    """The share of right answers of a way, in per cent, for each seed."""
    counts = [row["right"][kind] for row in rows if row["row"] == way]
    return [100 * n_right / n_asked for n_right, n_asked in counts]


def mean_and_half(values: Sequence[float], less: Sequence[float] = ()) -> str:
    """A mean, or that of differences seed by seed, with half its 95% interval."""
    mean, half = paired_difference(values, less or [0.0] * len(values))
    return f"{mean:.1f}" if math.isnan(half) else f"{mean:.1f} ± {half:.1f}"


def tabulate(rows: Sequence[dict]) -> pd.DataFrame:
    """A line for each way: exact match, against "few", and what was learned."""
    few, table = percent(rows, "few"), {}
    for way in WAYS:
        runs = [row for row in rows if row["row"] == way]
        if not runs:
            continue
        shares = percent(rows, way)
        judged = [run["judged"] for run in runs]
        n_kept = sum(one["kept"] for one in judged)
        n_right = sum(one["right of kept"] for one in judged)
        true = way in ("few", "true")
        table[way] = {
            "exact match, %": mean_and_half(shares),
            "more than few": mean_and_half(shares, few[: len(shares)]),
            "new entries": round(
                sum(r["new entries"] for r in runs) / len(runs)
            ),
            "right of them, %": "" if true else f"{100 * n_right / n_kept:.0f}",
            "seeds": len(runs),
        }
    return pd.DataFrame(table).T


def record_generated(path: Path) -> None:
    """Let SmolLM2 write entries about capitals, and keep every try.

    Raises: FileNotFoundError if set-up has not fetched it.
    """
    countries = [*CAPITALS][:: len(CAPITALS) // N_TOPICS][:N_TOPICS]
    topics = [f"the capital of {country}" for country in countries]
    ask = ask_smollm2()
    _, tries = generate_entries(ask, tqdm(topics, desc="topics"))
    record = {
        "asked": "SmolLM2-135M-Instruct, 4 bits (Q4_1)",
        "tries": tries,
        "pairs": judge_pairs(ask, [(c, CAPITALS[c]) for c in countries]),
    }
    with written_whole(path) as draft:
        draft.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"{len(tries)} tries about {len(topics)} topics are in {path}")


def run(args: argparse.Namespace) -> None:
    """Train the ways that the record lacks, seed by seed; print its table."""
    if args.generate:
        return record_generated(Path(args.generate))
    device = choose_device(args.device)
    precision = choose_precision(device)
    path = Path(args.record)
    settings = {"steps": args.steps, "lr": args.lr}
    rows = read_record(path, settings)
    for seed in range(args.seeds):
        done = [row["row"] for row in rows if row["seed"] == seed]
        if len(done) == len(WAYS):
            continue
        for row in measure_seed(
            seed, done, args.steps, args.lr, device, precision
        ):
            rows.append(row)
            write_rows(path, settings, rows)
            n_right, n_asked = row["right"]["all"]
            print(
                f"{row['row']}, seed {seed}: {n_right} of {n_asked} right, "
                f"{row['seconds']} s",
                flush=True,
            )
    print(tabulate(rows).to_string())


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m ch07.bonus.data",
        description="Learn from own answers, filtered in several ways.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=int, default=5, help="runs of each way")
    add("--steps", type=int, default=50, help="of each training")
    add("--lr", type=float, default=3e-4, help="the peak of the learning rate")
    add("--record", default=str(RECORD), help="the file of rows")
    add(
        "--generate",
        metavar="FILE",
        help="train nothing: let SmolLM2 write entries into this file",
    )
    add("--device", help="cpu, cuda or mps; the best one here if not given")
    args = parser.parse_args()
    check_least(args, seeds=1, steps=1)
    check_rate(args.lr)
    return args


def main() -> None:
    replace_unprintable()
    with one_sentence("data"):
        run(parse_arguments())


if __name__ == "__main__":
    main()
