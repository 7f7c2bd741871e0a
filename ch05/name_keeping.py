"""Measure whether a model stays with its people: python -m ch05.name_keeping --model course

The model continues the first sentences of tales that it has never read. Of the names that it then
writes, how many had been introduced before? A name that it brings in itself counts as introduced
from its second mention on.
"""

import argparse
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from tqdm.auto import tqdm

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.course_corpus import write_documents
from ch05.gpt_generate import generate
from ch05.gpt_weights import load_pretrained
from ch05.world import PEOPLE

NAME = re.compile(rf"\b({'|'.join(PEOPLE)})\b")
SEED = 1_000_000  # of the tales: the corpus is written from seed 0, its validation part from 1
BATCH = 10  # stories that are continued at once
FIRST_SENTENCE = re.compile(r".+?[.!?](?=\s)", re.DOTALL)


def kept_names(beginning: str, continuation: str, names: re.Pattern = NAME) -> tuple[int, int]:
    """How many of the continuation's names were met before, and how many names there are."""
    met = set(names.findall(beginning))
    kept = total = 0
    for name in names.findall(continuation):
        kept += name in met
        total += 1
        met.add(name)
    return kept, total


def tale_beginnings(seed: int) -> Iterator[str]:
    """The first sentences of tales that name somebody."""
    for document in write_documents(seed):
        first = FIRST_SENTENCE.match(document.text)
        if document.register == "tale" and first and NAME.search(first[0]):
            yield first[0]


def same_length_batches(
    tokenizer: BPETokenizer, beginnings: Iterable[str], size: int
) -> Iterator[torch.Tensor]:
    """Batches of beginnings that have equally many tokens, as soon as each is full."""
    buckets = defaultdict(list)
    for beginning in beginnings:
        ids = tokenizer.encode_ordinary(beginning)
        buckets[len(ids)].append(ids)
        if len(buckets[len(ids)]) == size:
            yield torch.tensor(buckets.pop(len(ids)))  # (B, T)


def measure(
    model: GPTModel,
    tokenizer: BPETokenizer,
    n_stories: int = 50,
    n_tokens: int = 100,
    seed: int = SEED,
) -> dict:
    """Let the model continue so many beginnings; return the counts and the first text as a sample.

    Raises: ValueError if n_stories is not a multiple of 10.
    """
    if n_stories < 1 or n_stories % BATCH:
        raise ValueError(f"n_stories={n_stories} must be a multiple of {BATCH}, the batch")
    device = next(model.parameters()).device
    draw = torch.Generator().manual_seed(seed)
    kept = total = 0
    texts = []
    batches = same_length_batches(tokenizer, tale_beginnings(seed), BATCH)
    for batch in tqdm(islice(batches, n_stories // BATCH), total=n_stories // BATCH, desc="tales"):
        written = generate(
            model, batch.to(device), n_tokens, temperature=0.7, top_p=0.95, generator=draw
        )
        for ids in written:
            beginning = tokenizer.decode(ids[: batch.shape[1]])
            # A model that ends its tale goes on with another one, whose names are its own.
            continuation = tokenizer.decode(ids[batch.shape[1] :]).partition(END_OF_TEXT)[0]
            texts.append(f"[{beginning}]{continuation}")
            more_kept, more = kept_names(beginning, continuation)
            kept, total = kept + more_kept, total + more
    return {"stories": len(texts), "names": total, "kept": kept, "sample": texts[0]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ch05.name_keeping", description=__doc__)
    parser.add_argument("--model", default="course", help="a folder, or course [%(default)s]")
    parser.add_argument("--stories", type=int, default=50, help="how many to sample [%(default)s]")
    parser.add_argument("--tokens", type=int, default=100, help="of each story [%(default)s]")
    parser.add_argument("--seed", type=int, default=SEED, help="not the corpus's own [%(default)s]")
    parser.add_argument("--device", help="cpu, cuda or mps [the best one here]")
    args = parser.parse_args()
    try:
        model, tokenizer = load_pretrained(args.model)
        model = model.to(choose_device(args.device))
        result = measure(model, tokenizer, args.stories, args.tokens, args.seed)
    except (ValueError, OSError) as error:
        raise SystemExit(f"name_keeping: {error}") from None
    print(result["sample"])
    kept, total = result["kept"], result["names"]
    print(
        f"\n{result['stories']} stories: {kept} of {total} names kept, {kept / max(1, total):.0%}"
    )


if __name__ == "__main__":
    main()
