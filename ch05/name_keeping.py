"""Measure whether a model stays with its people: python -m ch05.name_keeping --model FOLDER

The model continues the first sentences of tales that it has never read. Of the names that it then
writes, how many had been introduced before? A name that it brings in itself counts as introduced
from its second mention on.
"""

import argparse
import re
from collections.abc import Iterable, Iterator
from itertools import islice

import torch

from ch04.gpt import choose_device
from ch05.course_corpus import write_documents
from ch05.gpt_generate import generate
from ch05.gpt_weights import load_pretrained
from ch05.world import PEOPLE

NAME = re.compile(rf"\b({'|'.join(PEOPLE)})\b")
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


def measure(model, tokenizer, beginnings: Iterable[str], n_tokens: int, seed: int) -> dict:
    """Let the model continue each beginning; return the counts and the first text as a sample."""
    device = next(model.parameters()).device
    draw = torch.Generator().manual_seed(seed)
    kept = total = 0
    texts = []
    for beginning in beginnings:
        ids = torch.tensor([tokenizer.encode_ordinary(beginning)], device=device)
        # A model that ends its tale goes on with another one, whose names are its own.
        written = generate(model, ids, n_tokens, temperature=0.7, top_p=0.95, generator=draw)
        continuation = tokenizer.decode(written[0, ids.shape[1] :]).partition("<|endoftext|>")[0]
        texts.append(f"[{beginning}]{continuation}")
        more_kept, more = kept_names(beginning, continuation)
        kept, total = kept + more_kept, total + more
    return {"stories": len(texts), "names": total, "kept": kept, "sample": texts[0]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ch05.name_keeping", description=__doc__)
    parser.add_argument("--model", default="runs/course-model/model", help="folder [%(default)s]")
    parser.add_argument("--stories", type=int, default=50, help="how many to sample [%(default)s]")
    parser.add_argument("--tokens", type=int, default=100, help="of each story [%(default)s]")
    parser.add_argument("--seed", type=int, default=1_000_000, help="not the corpus's own")
    parser.add_argument("--device", help="cpu, cuda or mps [the best one here]")
    args = parser.parse_args()
    try:
        model, tokenizer = load_pretrained(args.model)
        model = model.to(choose_device(args.device))
    except (ValueError, OSError) as error:
        raise SystemExit(f"name_keeping: {error}") from None
    beginnings = islice(tale_beginnings(args.seed), args.stories)
    result = measure(model, tokenizer, beginnings, args.tokens, args.seed)
    print(result["sample"])
    kept, total = result["kept"], result["names"]
    print(
        f"\n{result['stories']} stories: {kept} of {total} names kept, {kept / max(1, total):.0%}"
    )


if __name__ == "__main__":
    main()
