"""Measure what the course's model can do before any finetuning: python -m ch05.course_model.measure

Three things, the first two on items of their own seed and with a 95% interval (Wilson): does it
copy an invented word out of a sentence, a list, a spelling; does it answer a question for a fact in
the form of chapter 7's prompt, after two answered ones of the same kind; and how well does it
predict messages (`--messages FILE`, the CSV file of ch06.messages)?
"""

import argparse
import csv
import math
from collections.abc import Iterator, Sequence
from random import Random

import torch
from scipy.stats import binomtest
from torch.nn.functional import cross_entropy

from ch02.tokenizer import END_OF_TEXT, BPETokenizer
from ch04.gpt import GPTModel, choose_device
from ch05.course_model.corpus import PERSON_KINDS, as_sentence, capital, phrasing_name, static_slots
from ch05.course_model.recall import ALSO_ASKED, Gap, recalled
from ch05.course_model.tasks import invent_unreal, spelled
from ch05.course_model.world import FACTS, Fact
from ch05.course_model.world.phrasings import PHRASINGS
from ch05.gpt_weights import load_pretrained
from course.terminal import replace_unprintable

SEED = 1_000_000  # of the items: the corpus is written from seed 0
INVENTED_KINDS = (*PERSON_KINDS, "region", "founder", "speciality", "distance")


def as_prompt(question: str, answer: str = "") -> str:
    """A question in the form of chapter 7's prompt, with its answer or without."""
    return f"Question:\n{question}\nAnswer:\n" + (f"{answer}\n" if answer else "")


def copying(n: int, seed: int = SEED) -> dict[str, list[Gap]]:
    """n questions of each sort whose answer is an invented word that stands in the question.

    The corpus invents words in the same way, from another seed, so it may hold some by chance.
    """
    rng = Random(seed)
    gaps = {"sentence": [], "list": [], "spelling": []}
    for _ in range(n):
        words = [invent_unreal(rng) for _ in range(4)]
        word = words[-1]
        name = rng.choice(("Clara", "Otto", "Freya", "Hugo", "Martha", "Walter"))
        questions = {
            "sentence": f'What did {name} write?\n{name} wrote "{word}".',
            "list": f"What is the last word of the list?\n{', '.join(words)}",
            "spelling": f"Which word is this?\n{spelled(word)}",
        }
        for sort, question in questions.items():
            gaps[sort].append(Gap(as_prompt(question), f"{word}\n"))
    return gaps


def asked_in_the_prompt(n: int | None = None, seed: int = SEED) -> Iterator[tuple[Fact, Gap]]:
    """Facts of the real world as questions, after two answered ones; n of a kind, or all."""
    rng = Random(seed)

    def ask(fact: Fact) -> tuple[str, str]:
        phrasing, slots = PHRASINGS[phrasing_name(fact)], static_slots(fact)
        question = capital(phrasing.questions[0].format_map(slots))
        return question, as_sentence(phrasing.clauses[0].format_map(slots))

    for kind in (kind for kind in FACTS if kind not in INVENTED_KINDS):
        facts = sorted(FACTS[kind])
        for fact in facts if n is None else rng.sample(facts, min(n, len(facts))):
            examples = rng.sample([f for f in facts if f != fact], 2)
            question, answer = ask(fact)
            prompt = "".join(as_prompt(*ask(example)) for example in examples)
            yield fact, Gap(prompt + as_prompt(question), f"{answer}\n")


@torch.no_grad()
def perplexity(model: GPTModel, tokenizer: BPETokenizer, texts: Sequence[str]) -> dict[str, float]:
    """How the model predicts texts, each for itself behind <|endoftext|>, up to their end.

    Units: "perplexity" of a token, and "bits per byte", which no choice of a vocabulary changes.
    """
    end = tokenizer.special_tokens[END_OF_TEXT]
    device = next(model.parameters()).device
    nats = n_tokens = n_bytes = 0
    for text in texts:
        ids = [end, *tokenizer.encode_ordinary(text)][: model.config.context_length + 1]
        idx = torch.tensor([ids], device=device)
        nats += cross_entropy(model(idx[:, :-1])[0], idx[0, 1:], reduction="sum").item()
        n_tokens += len(ids) - 1
        n_bytes += len(tokenizer.decode(ids[1:]).encode())
    return {
        "perplexity": math.exp(nats / n_tokens),
        "bits per byte": nats / math.log(2) / n_bytes,
    }


def right_by_asking(rows: Sequence[tuple[Fact, Gap]], right: Sequence[bool]) -> dict[bool, list]:
    """Which answers are right: of facts that the corpus asks for (True), and only tells (False).

    Kinds of which the corpus also asks for the others are left out.
    """
    found = {True: [], False: []}
    for (fact, _), is_right in zip(rows, right, strict=True):
        if fact.kind not in ALSO_ASKED:
            found[fact.asked].append(is_right)
    return found


def share_bounds(right: Sequence[bool]) -> tuple[float, float, float]:
    """A share, and the bounds of its 95% interval (Wilson)."""
    interval = binomtest(sum(right), len(right)).proportion_ci(method="wilson")
    return sum(right) / len(right), interval.low, interval.high


def share(right: Sequence[bool]) -> str:
    """A share with its interval: 95.5% (91.6 to 97.6, n = 200)."""
    value, low, high = share_bounds(right)
    return f"{value:6.1%} ({100 * low:.1f} to {100 * high:.1f}, n = {len(right)})"


def main() -> None:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m ch05.course_model.measure", description=__doc__
    )
    parser.add_argument("--model", default="course", help="a folder, or course [%(default)s]")
    parser.add_argument(
        "--items", type=int, default=200, help="to copy, of each sort [%(default)s]"
    )
    parser.add_argument("--facts", type=int, help="how many of each kind to ask for [all]")
    parser.add_argument("--messages", help="a CSV file of ch06.messages, to predict")
    parser.add_argument("--device", help="cpu, cuda or mps [the best one here]")
    args = parser.parse_args()
    if args.items < 1 or (args.facts is not None and args.facts < 1):
        parser.error("--items and --facts must be at least 1")
    try:
        model, tokenizer = load_pretrained(args.model)
        model = model.to(choose_device(args.device))
        texts = []
        if args.messages:
            with open(args.messages, encoding="utf-8", newline="") as file:
                texts = [row["text"] for row in csv.DictReader(file)]
    except (ValueError, OSError, KeyError) as error:
        raise SystemExit(f"measure: {error}") from None
    for sort, gaps in copying(args.items).items():
        print(f"{'an invented word out of a ' + sort:40}{share(recalled(model, tokenizer, gaps))}")
    rows = list(asked_in_the_prompt(args.facts))
    right = recalled(model, tokenizer, [gap for _, gap in rows])
    for kind in dict.fromkeys(fact.kind for fact, _ in rows):
        of_kind = [r for r, (fact, _) in zip(right, rows) if fact.kind == kind]
        print(f"{'fact asked in the prompt: ' + kind:40}{share(of_kind)}")
    asked, told = right_by_asking(rows, right).values()
    print(f"{'facts asked in the corpus':40}{share(asked)}")
    print(f"{'facts only told':40}{share(told)}")
    print(f"{'all facts':40}{share(right)}")
    if texts:
        for name, value in perplexity(model, tokenizer, texts).items():
            print(f"{'messages, ' + name:40}{value:8.2f}")


if __name__ == "__main__":
    main()
