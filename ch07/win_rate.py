"""Which of two models gives the better answers to the same questions?

A question is won, lost or tied, and a tie counts as a half. Who wins is said by
a verifier (right against wrong), by the likelihood of the right answer, or by a
judge: a model that sees both answers, in both orders, because many judges prefer
the first or the second place whatever stands there.

Source: pairs in both orders, Zheng et al. 2023 (arXiv:2306.05685); the normal
form of an answer, Rajpurkar et al. 2016 (arXiv:1606.05250).
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tqdm.auto import tqdm

from ch02.tokenizer import BPETokenizer
from ch04.gpt import GPTModel
from ch05.bonus.real_llm import interval
from ch05.course_model.measure import share_bounds
from ch05.llama_tokenizer import chat_ids
from ch07.bonus.data import ask_ollama
from ch07.ollama_evaluate import FAILURES, Unavailable, check_judge

Judge = Callable[[str], str]  # a question -> "A", "B", or "" for neither
LETTERS = ("A", "B")


def normalised(text: str) -> str:
    """A text without case, punctuation, articles and needless white space."""
    text = unicodedata.normalize("NFKC", text).casefold()
    letters = (
        " " if unicodedata.category(c).startswith("P") else c for c in text
    )
    words = "".join(letters).split()
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def points(of_a: Sequence[float], of_b: Sequence[float]) -> np.ndarray:
    """What the first model wins of each question: 1, 0, or a half for a tie.

    Shapes: (n,) and (n,) -> (n,). Whatever is larger is better: a likelihood, or
    right against wrong.
    """
    a, b = np.asarray(of_a, float), np.asarray(of_b, float)
    if a.shape != b.shape or not a.size:
        raise ValueError(f"{a.size} and {b.size} questions cannot be compared")
    return (a > b) + (a == b) / 2


@dataclass(frozen=True)
class WinRate:
    """A share of questions that were won, its 95% interval, and ties as a share."""

    rate: float
    low: float
    high: float
    ties: float
    n: int


def win_rate(won: Sequence[float]) -> WinRate:
    """The mean of points, with an interval by drawing the questions again.

    Where every question is won, or every one lost, each draw is like the first:
    then the interval is that of a share (Wilson).
    """
    won = np.asarray(won, float)
    if set(won) in ({0.0}, {1.0}):
        _, low, high = share_bounds(list(won == 1))
    else:
        low, high = interval(won[:, None], lambda rows: float(rows.mean()))
    ties = float((won == 0.5).mean())
    return WinRate(float(won.mean()), low, high, ties, len(won))


# ---- a judge of pairs


def pair_question(entry: dict, first: str, second: str) -> str:
    """What a judge is asked about two answers, the right one beside them."""
    task = f"{entry['instruction']}\n{entry.get('input', '')}".strip()
    for turn in reversed(entry.get("history", [])):
        asked = f"{turn['instruction']}\n{turn.get('input', '')}".strip()
        task = f"{asked}\n{turn['output']}\n{task}"
    return (
        f"Two students were given this task:\n{task}\n\n"
        f"The right answer is:\n{entry['output']}\n\n"
        f"A. The first student answered:\n{first}\n\n"
        f"B. The second student answered:\n{second}\n\n"
        "Which answer is better? Reply A or B and nothing else."
    )


def find_letter(text: str) -> str:
    """The verdict in a reply: "A", "**B**", "Answer: A."; "" if in words."""
    text = text.rpartition("</think>")[2]  # what it thought before
    found = re.fullmatch(
        r"[\W_]*(?:answer[\W_]*)?([AB])[\W_]*", text, flags=re.IGNORECASE
    )
    return found[1].upper() if found else ""


def letter_judge(model: GPTModel, tokenizer: BPETokenizer) -> Judge:
    """A model that was taught roles; the likelier letter is its verdict."""
    ids = [tokenizer.encode_ordinary(letter)[0] for letter in LETTERS]

    @torch.no_grad()
    def judge(question: str) -> str:
        asked = chat_ids(tokenizer, [{"role": "user", "content": question}])
        asked = asked[-model.config.context_length :]
        device = next(model.parameters()).device
        logits = model(torch.tensor([asked], device=device))[0, -1, ids]
        return LETTERS[int(logits.argmax())]

    return judge


def ollama_judge(url: str, model: str) -> Judge:
    """A model on an Ollama server.

    Raises: ValueError if there is none, or, when asked, if no answer comes.
    """
    try:
        check_judge(url, model)
    except Unavailable as error:
        raise ValueError(f"there is no judge: {error}") from None
    ask = ask_ollama(url, model)

    def judge(question: str) -> str:
        try:
            return find_letter(ask(question))
        except FAILURES as error:
            raise ValueError(
                f"the judge {model} at {url} has stopped answering: {error}"
            ) from None

    return judge


@dataclass(frozen=True)
class Verdicts:
    """What a judge said about pairs, each asked in both orders.

    points: for the first model; where the orders disagree, or one has no
    verdict, it is a tie. Of the verdicts for a letter, n_first are for the
    answer that stood first: half of them, if the judge does not mind places.
    """

    points: tuple[float, ...]
    n_asked: int  # pairs; the others are the same text twice
    n_turned: int  # pairs with another winner in the other order
    n_first: int
    n_verdicts: int

    def describe(self) -> str:
        """How far the judge can be trusted, in a sentence."""
        if not self.n_asked:
            return "all answers are the same: the judge was not asked"
        silent = 2 * self.n_asked - self.n_verdicts
        by_place = f"{self.n_first / max(1, self.n_verdicts):.0%}"
        return (
            f"{self.n_asked} of {len(self.points)} pairs differ; the first "
            f"place won {by_place} of {self.n_verdicts} verdicts, "
            f"{self.n_turned} pairs changed their winner with the order, "
            f"and {silent} replies were no verdict"
        )


def judge_answers(
    judge: Judge,
    entries: Sequence[dict],
    answers_a: Sequence[str],
    answers_b: Sequence[str],
) -> Verdicts:
    """Ask about every pair of different answers, in both orders."""
    won, n_asked, n_turned, firsts = [], 0, 0, []
    pairs = list(zip(entries, answers_a, answers_b, strict=True))
    for entry, a, b in tqdm(pairs, desc="judging", leave=False):
        if a.strip() == b.strip():
            won.append(0.5)
            continue
        n_asked += 1
        letters = (
            judge(pair_question(entry, a, b)),
            judge(pair_question(entry, b, a)),
        )
        firsts += [letter == "A" for letter in letters if letter]
        n_turned += letters in (("A", "A"), ("B", "B"))
        won.append({("A", "B"): 1.0, ("B", "A"): 0.0}.get(letters, 0.5))
    return Verdicts(tuple(won), n_asked, n_turned, sum(firsts), len(firsts))
