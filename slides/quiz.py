"""Ask a chapter's questions in the terminal, in an order by seed.

    python -m slides quiz ch04              # ten of its questions
    python -m slides quiz --seed 3 ch04     # ten others, in another order
    python -m slides quiz --all ch04        # all of them
    python -m slides quiz --slides ch04     # as slides: slides/_build/ch04-quiz.html

The questions are those of the chapter's quiz.yaml. Enter alone shows the answer without a guess.
"""

import argparse
import random
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence

from course.lessons import ROOT
from exercises.quiz import LETTERS, QUIZ, place_of_right, read_quiz
from playbook.read import BadInput
from slides.chapter import Chapter, read_chapters
from slides.words import say

N = 10
WIDTH = 78
SIGNS = {"cdot": "·", "times": "×", "ln": "ln", "dots": "…", "infty": "∞", "sqrt": "√"}  # of TeX


def questions_of(chapter: Chapter) -> list[dict]:
    """A chapter's questions. Raises: BadInput if it has none that can be read."""
    path = chapter.folder / QUIZ
    try:
        return read_quiz(path)
    except FileNotFoundError:
        raise BadInput(say("no quiz", chapter=chapter.name)) from None
    except ValueError as error:
        raise BadInput(f"{error}.") from None


def draw(questions: Sequence[dict], seed: int, n: int = N) -> list[dict]:
    """Up to n questions and the order of their choices, by seed, spread over the sections.

    Of each section one comes before any section has a second one.
    """
    chance = random.Random(seed)
    mixed = chance.sample(list(questions), len(questions))
    rank: dict[str, int] = {}
    ranks = []
    for question in mixed:
        rank[str(question["section"])] = rank.get(str(question["section"]), 0) + 1
        ranks.append(rank[str(question["section"])])
    chosen = [q for _, q in sorted(zip(ranks, mixed), key=lambda pair: pair[0])][:n]
    chosen = [q for q in mixed if q in chosen]
    return [{**q, "choices": chance.sample(q["choices"], len(q["choices"]))} for q in chosen]


def is_hard(question: dict) -> bool:
    """Whether the quiz marks a question as one that takes more than a look into the notebook."""
    return question.get("hard", False)


def plain(markdown: object) -> str:
    """A text for the terminal: without the marks of Markdown and TeX."""
    text = re.sub(r"\\text\{([^}]*)\}", r"\1", str(markdown))
    text = re.sub(r"\\[dt]?frac\{([^}]*)\}\{([^}]*)\}", r"\1/\2", text)
    text = re.sub(r"\^\{([^}]*)\}", r"^\1", text)
    for sign, character in SIGNS.items():
        text = text.replace(f"\\{sign}", character)
    return re.sub(r"\*\*|(?<!\w)\*(?!\s)|(?<!\s)\*(?!\w)|`|\$", "", text)


def wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, WIDTH, initial_indent=indent, subsequent_indent=" " * len(indent))


def ask(questions: Sequence[dict]) -> Iterator[str]:
    """What is printed, step by step; a guess is read from the terminal between the steps."""
    n_right = n_asked = 0
    for number, question in enumerate(questions, start=1):
        choices = question["choices"]
        title = say("question", number=number, n=len(questions), section=question["section"])
        title += f" {say('harder')}" if is_hard(question) else ""
        yield "\n" + wrapped(f"{title} {plain(question['question'])}") + "\n"
        for letter, choice in zip(LETTERS, choices):
            yield wrapped(plain(choice["text"]), f"  {letter}. ")
        guess = read_guess(LETTERS[: len(choices)])
        if guess is None:
            break
        right = LETTERS[place_of_right(question)]
        n_asked += guess != ""
        n_right += guess == right
        key = "open" if not guess else "right" if guess == right else "wrong"
        yield "\n" + say(key, letter=right)
        for letter, choice in zip(LETTERS, choices):
            yield wrapped(plain(choice["why"]), f"  {letter}. ")
    yield "\n" + say("quiz score", right=n_right, asked=n_asked)


def read_guess(letters: str) -> str | None:
    """One of the letters, "" for none; None when the input has ended."""
    while True:
        try:
            guess = input(f"\n{say('your guess', letters=', '.join(letters))} ").strip().upper()
        except (EOFError, KeyboardInterrupt):
            return None
        if not guess or guess in letters:
            return guess


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=1, help="which questions, in which order")
    parser.add_argument("--all", action="store_true", help="all questions, not ten")
    parser.add_argument("--slides", action="store_true", help="as slides, not in the terminal")


def run(arguments: argparse.Namespace) -> int:
    for chapter in read_chapters(arguments.chapters):
        questions = questions_of(chapter)
        n = len(questions) if arguments.all else N
        if arguments.slides:
            from slides.deck import write_index
            from slides.quiz_deck import write_quiz_deck

            path = write_quiz_deck(chapter, draw(questions, arguments.seed, n))
            print(path.relative_to(ROOT).as_posix())
            write_index()
            continue
        print(say("quiz of", title=chapter.title, n=min(n, len(questions)), all=len(questions)))
        for text in ask(draw(questions, arguments.seed, n)):
            print(text)
            sys.stdout.flush()
    return 0
