"""Measure which facts of its world a model can recall: python -m ch05.course_model.recall

Each fact is measured twice: does the model finish a sentence with it (the capital of Norway is
...), and does it answer a question for it, after two answered ones of the same kind? Only facts
are taken that the corpus tells and never asks for in any of the ways that are asked here: the
model has read them in stories, letters and notes, and must know them from there. So neither people
nor categories are among them, of which also the others are asked ("What is a goose?" asks a child
in a story). What the model writes greedily has to be right to the last letter.
"""

import argparse
from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.course_model.corpus import PERSON_KINDS, capital, phrasing_name, static_slots
from ch05.course_model.world import FACTS, HELD_OUT_SUMS, Fact
from ch05.course_model.world.phrasings import PHRASINGS
from ch05.gpt_weights import load_pretrained
from course.terminal import replace_unprintable

OPENING = "Ida had to answer whatever Oscar asked."
STATING = "Everyone agreed on this:"
ALSO_ASKED = (*PERSON_KINDS, "category")  # here the corpus asks for facts not marked as asked, too
KINDS = (*(kind for kind in FACTS if kind not in ALSO_ASKED), "sum never told")


class Gap(NamedTuple):
    """A text that ends where something known is due, and what is due."""

    prompt: str
    answer: str


def facts_to_ask(kind: str) -> tuple[list[Fact], list[Fact]]:
    """The facts of a kind that the corpus asks for, and those that it only tells."""
    if kind == "sum never told":
        told, _ = facts_to_ask("sum")
        return told, [Fact("sum", (str(a), str(b)), str(a + b), False) for a, b in HELD_OUT_SUMS]
    return [f for f in FACTS[kind] if f.asked], [f for f in FACTS[kind] if not f.asked]


def drawn(kind: str, n: int | None, rng: Random) -> list[Fact]:
    """So many of the facts that the corpus only tells, or all of them.

    Raises: ValueError if n is less than 1.
    """
    if n is not None and n < 1:
        raise ValueError(f"{n} facts of each kind cannot be asked for: take at least 1")
    told = sorted(facts_to_ask(kind)[1])
    return told if n is None else rng.sample(told, min(n, len(told)))


def statements(kind: str, n: int | None = None, seed: int = 0) -> Iterator[Gap]:
    """Sentences that end with n facts of a kind (with all of them if n is None)."""
    for fact in drawn(kind, n, Random(seed)):
        phrasing, slots = PHRASINGS[phrasing_name(fact)], static_slots(fact)
        for clause in phrasing.clauses:
            if clause.endswith(f" {phrasing.short}"):
                answer = phrasing.short.format_map(slots)
                sentence = f"{STATING} {clause.format_map(slots)}"
                yield Gap(sentence.removesuffix(f" {answer}"), f" {answer}")
                break


def questions(kind: str, n: int | None = None, seed: int = 0) -> Iterator[Gap]:
    """Questions for n facts of a kind (for all of them if n is None), after two answered ones."""
    rng = Random(seed)

    def ask(fact: Fact) -> tuple[str, str]:
        phrasing, slots = PHRASINGS[phrasing_name(fact)], static_slots(fact)
        return capital(phrasing.questions[0].format_map(slots)), phrasing.short.format_map(slots)

    asked = sorted(facts_to_ask(kind)[0])
    for fact in drawn(kind, n, rng):
        lines = [line for example in rng.sample(asked, 2) for line in ask(example)]
        question, answer = ask(fact)
        yield Gap("\n".join([OPENING, *lines, question, ""]), f"{answer}\n")


@torch.no_grad()
def recalled(model: GPTModel, tokenizer: BPETokenizer, gaps: list[Gap]) -> list[bool]:
    """Whether greedy decoding would fill each gap rightly.

    It would, exactly if each token of the answer is the likeliest one after the right ones before
    it. So one pass over prompt and answer decides, and nothing is generated.
    """
    device = next(model.parameters()).device
    pairs = [
        (tokenizer.encode_ordinary(gap.prompt), tokenizer.encode_ordinary(gap.answer))
        for gap in gaps
    ]
    idx = pad_sequence([torch.tensor(p + a) for p, a in pairs], batch_first=True)  # (B, T)
    likeliest = model(idx.to(device)).argmax(dim=-1).tolist()
    return [
        row[len(prompt) - 1 : len(prompt) + len(answer) - 1] == answer
        for row, (prompt, answer) in zip(likeliest, pairs)
    ]


def measure(
    model: GPTModel,
    tokenizer: BPETokenizer,
    n: int | None = None,
    seed: int = 0,
    form: Callable[..., Iterator[Gap]] = questions,
) -> dict[str, float]:
    """The share of recalled facts of each kind, of n facts or of all, by questions or statements.

    A kind without a sentence that ends with the fact is left out.
    """
    was_training = model.training
    model.eval()
    shares = {}
    for kind in KINDS:
        gaps = list(form(kind, n, seed))
        if gaps:
            shares[kind] = sum(recalled(model, tokenizer, gaps)) / len(gaps)
    model.train(was_training)
    return shares


def main() -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(prog="python -m ch05.course_model.recall", description=__doc__)
    parser.add_argument("--model", default="course", help="a folder, or course [%(default)s]")
    parser.add_argument("--facts", type=int, help="how many of each kind to ask for [all]")
    parser.add_argument("--device", help="cpu, cuda or mps [the best one here]")
    args = parser.parse_args()
    try:
        model, tokenizer = load_pretrained(args.model)
        model = model.to(choose_device(args.device))
        stated = measure(model, tokenizer, args.facts, form=statements)
        asked = measure(model, tokenizer, args.facts)
    except (ValueError, OSError) as error:
        raise SystemExit(f"recall: {error}") from None
    print(f"{'':16}{'stated':>8}{'asked':>8}")
    for kind, share in asked.items():
        print(f"{kind:16}{f'{stated[kind]:.0%}' if kind in stated else '-':>8}{share:>8.0%}")
    means = [sum(shares.values()) / len(shares) for shares in (stated, asked)]
    print(f"{'mean of kinds':16}{means[0]:>8.0%}{means[1]:>8.0%}")


if __name__ == "__main__":
    main()
