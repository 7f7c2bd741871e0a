"""Measure which facts of its world a model can recall: python -m ch05.fact_recall --model course

A fact counts as recalled if the model, shown two answered questions of the same kind, gives the
whole answer to a third, greedily. Only facts are asked that no question of the corpus asks: the
model has read them in stories, letters and notes, and must know them from there.
"""

import argparse
from collections.abc import Iterator
from random import Random
from typing import NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.course_corpus import PERSON_KINDS, capital, phrasing_name, static_slots
from ch05.gpt_weights import load_pretrained
from ch05.world import FACTS, HELD_OUT_SUMS, Fact
from ch05.world.phrasings import PHRASINGS

OPENING = "Ida had to answer whatever Oscar asked."
KINDS = (*(kind for kind in FACTS if kind not in PERSON_KINDS), "sum never told")


class Question(NamedTuple):
    """A text that ends where an answer is due, and the answer."""

    prompt: str
    answer: str


def facts_to_ask(kind: str) -> tuple[list[Fact], list[Fact]]:
    """The facts of a kind that the corpus asks for, and those that it only tells."""
    if kind == "sum never told":
        told, _ = facts_to_ask("sum")
        return told, [Fact("sum", (str(a), str(b)), str(a + b), False) for a, b in HELD_OUT_SUMS]
    return [f for f in FACTS[kind] if f.asked], [f for f in FACTS[kind] if not f.asked]


def questions(kind: str, n: int | None = None, seed: int = 0) -> Iterator[Question]:
    """Ask for n facts of a kind (for all of them if n is None), each after two answered ones."""
    rng = Random(seed)

    def ask(fact: Fact) -> tuple[str, str]:
        phrasing, slots = PHRASINGS[phrasing_name(fact)], static_slots(fact)
        return capital(phrasing.questions[0].format_map(slots)), phrasing.short.format_map(slots)

    asked, told = map(sorted, facts_to_ask(kind))
    for fact in told if n is None else rng.sample(told, min(n, len(told))):
        lines = [line for example in rng.sample(asked, 2) for line in ask(example)]
        question, answer = ask(fact)
        yield Question("\n".join([OPENING, *lines, question, ""]), answer)


@torch.no_grad()
def recalled(model: GPTModel, tokenizer: BPETokenizer, asked: list[Question]) -> list[bool]:
    """Whether each answer, and then the end of the line, is what greedy decoding would write.

    Greedy decoding writes an answer exactly if each of its tokens is the likeliest one after the
    right ones before it. So one pass over prompt and answer decides, and nothing is generated.
    """
    device = next(model.parameters()).device
    pairs = [
        (tokenizer.encode_ordinary(q.prompt), tokenizer.encode_ordinary(q.answer + "\n"))
        for q in asked
    ]
    idx = pad_sequence([torch.tensor(p + a) for p, a in pairs], batch_first=True)  # (B, T)
    likeliest = model(idx.to(device)).argmax(dim=-1).tolist()
    return [
        row[len(prompt) - 1 : len(prompt) + len(answer) - 1] == answer
        for row, (prompt, answer) in zip(likeliest, pairs)
    ]


def measure(
    model: GPTModel, tokenizer: BPETokenizer, n: int | None = None, seed: int = 0
) -> dict[str, float]:
    """The share of recalled facts of each kind, of n facts or of all."""
    was_training = model.training
    model.eval()
    shares = {}
    for kind in KINDS:
        right = recalled(model, tokenizer, list(questions(kind, n, seed)))
        shares[kind] = sum(right) / len(right)
    model.train(was_training)
    return shares


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ch05.fact_recall", description=__doc__)
    parser.add_argument("--model", default="course", help="a folder, or course [%(default)s]")
    parser.add_argument("--facts", type=int, help="how many of each kind to ask for [all]")
    parser.add_argument("--device", help="cpu, cuda or mps [the best one here]")
    args = parser.parse_args()
    try:
        model, tokenizer = load_pretrained(args.model)
        shares = measure(model.to(choose_device(args.device)), tokenizer, args.facts)
    except (ValueError, OSError) as error:
        raise SystemExit(f"fact_recall: {error}") from None
    for kind, share in shares.items():
        print(f"{kind:16}{share:5.0%}")
    print(f"{'mean of kinds':16}{sum(shares.values()) / len(shares):5.0%}")


if __name__ == "__main__":
    main()
