"""Measure whether a model stays with its people: python -m ch05.course_model.names --model course

The model continues the first sentences of tales that it has never read. Of the names that it then
writes, how many had been introduced before? A name that it brings in itself counts as introduced
from its second mention on. A text that names one person again and again would keep every name, so
two more things are counted: in how many tales that begin with two people both come back, and how
many of the sentences that name somebody hold one name twice. The tales as the corpus goes on with
them, cut to the same length, say what to expect of all three.
"""

import argparse
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import torch
from tqdm.auto import tqdm

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.course_model.corpus import write_documents
from ch05.course_model.world import PEOPLE
from ch05.course_model.world.earth import MAKERS
from ch05.gpt_generate import generate
from ch05.gpt_weights import load_pretrained
from course.terminal import replace_unprintable

NAME = re.compile(rf"\b({'|'.join(PEOPLE)})\b")
# Works and their makers: who speaks of Jane Austen or Peter Pan does not speak of Jane or Peter.
FAMOUS = re.compile(rf"\b({'|'.join(name for row in MAKERS.items() for name in row)})\b")
SEED = 1_000_000  # of the tales: the corpus is written from seed 0, its validation part from 1
BATCH = 10  # stories that are continued at once
FIRST_SENTENCE = re.compile(r".+?[.!?](?=\s)", re.DOTALL)
SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[.!?]\")\s+")


class Tale(NamedTuple):
    """The first sentence of a tale, and how it goes on."""

    beginning: str
    rest: str


def names_in(text: str) -> list[str]:
    """The people of the world that a text names, in order, once for each mention."""
    return NAME.findall(FAMOUS.sub("", text))


def kept_names(beginning: str, continuation: str) -> tuple[int, int]:
    """How many of the continuation's names were met before, and how many names there are."""
    met = set(names_in(beginning))
    kept = total = 0
    for name in names_in(continuation):
        kept += name in met
        total += 1
        met.add(name)
    return kept, total


def count_names(tales: list[Tale]) -> dict[str, int]:
    """Over all tales, what became of the names.

    names, kept: how many the rests hold, and how many of these had been met before.
    pairs, both: how many tales begin with two people, and in how many of these both come back.
    sentences, doubled: how many name somebody, and how many of these hold one name twice.
    """
    counts = dict.fromkeys(("names", "kept", "pairs", "both", "sentences", "doubled"), 0)
    for beginning, rest in tales:
        kept, names = kept_names(beginning, rest)
        counts["names"] += names
        counts["kept"] += kept
        people = set(names_in(beginning))
        if len(people) == 2:
            counts["pairs"] += 1
            counts["both"] += people <= set(names_in(rest))
        for found in map(names_in, SENTENCE_END.split(rest)):
            counts["sentences"] += len(found) > 0
            counts["doubled"] += len(found) > len(set(found))
    return counts


def read_tales(seed: int) -> Iterator[Tale]:
    """Tales of the corpus whose first sentence names somebody."""
    for document in write_documents(seed):
        first = FIRST_SENTENCE.match(document.text)
        if document.register == "tale" and first and names_in(first[0]):
            yield Tale(first[0], document.text[first.end() :])


def same_length_batches(
    tokenizer: BPETokenizer, tales: Iterable[Tale], size: int
) -> Iterator[list[Tale]]:
    """Batches of tales whose beginnings have equally many tokens, as soon as each is full."""
    buckets = defaultdict(list)
    for tale in tales:
        n_tokens = len(tokenizer.encode_ordinary(tale.beginning))
        buckets[n_tokens].append(tale)
        if len(buckets[n_tokens]) == size:
            yield buckets.pop(n_tokens)


def measure(
    model: GPTModel,
    tokenizer: BPETokenizer,
    n_stories: int = 50,
    n_tokens: int = 100,
    seed: int = SEED,
) -> dict:
    """Let the model continue so many beginnings; return the counts and the first text as a sample.

    The counts of the tales as the corpus continues them stand under "corpus".
    Raises: ValueError if n_stories is not a multiple of 10, or n_tokens < 1.
    """
    if n_stories < 1 or n_stories % BATCH:
        raise ValueError(f"n_stories={n_stories} must be a multiple of {BATCH}, the batch")
    if n_tokens < 1:
        raise ValueError(f"n_tokens={n_tokens} must be at least 1")
    device = next(model.parameters()).device
    draw = torch.Generator().manual_seed(seed)
    written, in_corpus = [], []
    batches = same_length_batches(tokenizer, read_tales(seed), BATCH)
    for batch in tqdm(islice(batches, n_stories // BATCH), total=n_stories // BATCH, desc="tales"):
        idx = torch.tensor([tokenizer.encode_ordinary(tale.beginning) for tale in batch])  # (B, T)
        rows = generate(
            model, idx.to(device), n_tokens, temperature=0.7, top_p=0.95, generator=draw
        )
        for tale, ids in zip(batch, rows[:, idx.shape[1] :]):
            # A model that ends its tale goes on with another one, whose names are its own.
            rest = tokenizer.decode(ids).partition(END_OF_TEXT)[0]
            written.append(Tale(tale.beginning, rest))
            rest = tokenizer.decode(tokenizer.encode_ordinary(tale.rest)[:n_tokens])
            in_corpus.append(Tale(tale.beginning, rest))
    return {
        "stories": len(written),
        **count_names(written),
        "corpus": count_names(in_corpus),
        "sample": f"[{written[0].beginning}]{written[0].rest}",
    }


def report(result: dict) -> str:
    """The three figures of a measurement, with the corpus's own beside them."""
    lines = [f"{result['stories']} tales{'':22}{'model':>18}{'corpus':>18}"]
    for what, part, whole in (
        ("names that were met before", "kept", "names"),
        ("two people who both return", "both", "pairs"),
        ("sentences with a name twice", "doubled", "sentences"),
    ):
        cells = (
            f"{counts[part]} of {counts[whole]}, {counts[part] / max(1, counts[whole]):.0%}"
            for counts in (result, result["corpus"])
        )
        lines.append(f"{what:30}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(prog="python -m ch05.course_model.names", description=__doc__)
    parser.add_argument("--model", default="course", help="a folder, or course [%(default)s]")
    parser.add_argument("--stories", type=int, default=50, help="how many to sample [%(default)s]")
    parser.add_argument("--tokens", type=int, default=100, help="of each story [%(default)s]")
    parser.add_argument("--seed", type=int, default=SEED, help="not the corpus's own [%(default)s]")
    parser.add_argument("--device", help="cpu, cuda or mps [the best one here]")
    args = parser.parse_args()
    if not 0 <= args.seed < 2**63:
        parser.error(f"--seed {args.seed} must be at least 0 and below 2**63")
    try:
        model, tokenizer = load_pretrained(args.model)
        model = model.to(choose_device(args.device))
        result = measure(model, tokenizer, args.stories, args.tokens, args.seed)
    except (ValueError, OSError) as error:
        raise SystemExit(f"names: {error}") from None
    print(f"{result['sample']}\n\n{report(result)}")


if __name__ == "__main__":
    main()
