"""Make a chapter's quiz.ipynb, with folded answers, from its quiz.yaml.

    python -m exercises.quiz ch03            # one chapter
    python -m exercises.quiz                 # all of them
    python -m exercises.quiz --check         # only say which do not belong together

A quiz is a list of questions:

    - section: "3.5"
      hard: true                 # only of a harder question
      question: What would happen if the mask were left out?
      choices:
        - text: The loss could not be computed.
          why: It could; the targets are still there.
        - text: Each token would see the tokens that it should predict.
          right: true
          why: Without the mask, attention reads the future, and the loss falls for a wrong reason.

The choices are shuffled by a seed: the first with which the letters of the right ones follow no
rule that a reader could guess by.
"""

import random
import sys
from collections.abc import Callable, Sequence, Set
from itertools import count
from pathlib import Path
from typing import Any

import nbformat
import yaml
from nbformat import NotebookNode

from course.files import written_whole
from course.terminal import replace_unprintable
from exercises.generate import command, read_notebook, sources

QUIZ = "quiz.yaml"
WORDS = {
    "en": {
        "title": "# Quiz. {title}",
        "intro": "{n} questions, in the order of the sections. Choose before you unfold the "
        "answer: it says for each choice what is right or wrong with it.",
        "question": "**Question {number}** (section {section}). {question}",
        "answer": "Answer",
        "right": "**{letter} is right.**",
    },
    "ko": {
        "title": "# 퀴즈. {title}",
        "intro": "문제는 {n}개이고 절의 순서를 따릅니다. 먼저 고른 다음 답을 펼치세요. "
        "보기마다 무엇이 맞고 무엇이 틀렸는지 나옵니다.",
        "question": "**문제 {number}** ({section}절). {question}",
        "answer": "답",
        "right": "**답은 {letter}입니다.**",
    },
}
FIELDS = {"section", "question", "choices"}
LETTERS = "ABCDEF"
LIMIT = 2.0  # standard deviations by which a rule may be better or worse than chance


def says_something(value: Any) -> bool:
    """Whether a value is a text that is not empty, or a number; YAML makes a bool of a bare Yes."""
    if isinstance(value, str):
        return value.strip() != ""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_quiz(path: Path) -> list[dict]:
    """The questions of a quiz.

    Raises: ValueError for a question with a part missing or empty, or not exactly one right choice.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        questions = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{name} is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(questions, list) or not questions:
        raise ValueError(f"{name} must be a list of questions")
    for i, question in enumerate(questions, start=1):
        where = f"question {i} of {name}"
        if not isinstance(question, dict) or set(question) - {"hard"} != FIELDS:
            raise ValueError(f"{where} must have exactly {', '.join(sorted(FIELDS))}")
        choices = question["choices"]
        if not isinstance(choices, list) or not 2 <= len(choices) <= len(LETTERS):
            raise ValueError(f"{where} must have a list of 2 to {len(LETTERS)} choices")
        for choice in choices:
            parts = set(choice) if isinstance(choice, dict) else set()
            if not {"text", "why"} <= parts <= {"text", "why", "right"}:
                raise ValueError(f"{where}: a choice has text, why, and right: true if it is")
        if not isinstance(question.get("hard", True), bool):
            raise ValueError(f"{where}: hard is true or left out")
        said = [question["section"], question["question"]]
        said += [choice[part] for choice in choices for part in ("text", "why")]
        if wrong := [value for value in said if not says_something(value)]:
            raise ValueError(f"{where} says {wrong[0]!r}: put a text, in quotes if it is Yes or No")
        n_right = sum(choice.get("right") is True for choice in choices)
        if n_right != 1:
            raise ValueError(f"{where} has {n_right} right choices: exactly one must be right")
    return questions


# ---- Letters that tell nothing.

# A rule names the letters among which it would guess: from the number of choices, and from the
# places of the right choices of the questions before.
RULES: dict[str, Callable[[int, Sequence[int]], Set[int]]] = {
    **{
        f"always {letter}": lambda n, before, place=place: {place} & set(range(n))
        for place, letter in enumerate(LETTERS)
    },
    "the last right letter": lambda n, before: set(before[-1:]) & set(range(n)),
    "the letter after it": lambda n, before: {(place + 1) % n for place in before[-1:]},
    "the letter before it": lambda n, before: {(place - 1) % n for place in before[-1:]},
    "not one of the last two": lambda n, before: set(range(n)) - set(before[-2:]),
    "not one of the last three": lambda n, before: set(range(n)) - set(before[-3:]),
}
LENGTHS = {"the longest": 0, "the second longest": 1, "the shortest": -1}


def place_of_right(question: dict) -> int:
    return next(i for i, c in enumerate(question["choices"]) if c.get("right") is True)


def better_than_chance(
    guesses: Sequence[Set[int]], right: Sequence[int], n: Sequence[int]
) -> float:
    """By how many standard deviations guesses hit more often than chance, or less often.

    Who guesses among m of n choices hits in the mean 1 / n times: in m / n of the cases, by 1 / m.
    """
    rows = [row for row in zip(guesses, right, n) if row[0]]
    hits = sum((place in guess) / len(guess) - 1 / n for guess, place, n in rows)
    variance = sum(1 / (len(guess) * n) - 1 / n**2 for guess, _, n in rows)
    return hits / variance**0.5 if variance > 1e-9 else 0.0


def by_letters(questions: Sequence[dict]) -> dict[str, float]:
    """How much better than chance each rule about letters is."""
    right = [place_of_right(q) for q in questions]
    n = [len(q["choices"]) for q in questions]
    return {
        name: better_than_chance([rule(k, right[:i]) for i, k in enumerate(n)], right, n)
        for name, rule in RULES.items()
    }


def by_lengths(questions: Sequence[dict]) -> dict[str, float]:
    """How much better than chance it is to take the longest choice, and so on."""
    right = [place_of_right(q) for q in questions]
    lengths = [[len(str(c["text"])) for c in q["choices"]] for q in questions]
    n = [len(own) for own in lengths]
    scores = {}
    for name, rank in LENGTHS.items():
        wanted = [sorted(own, reverse=True)[rank] for own in lengths]
        guesses = [{i for i, n in enumerate(own) if n == w} for own, w in zip(lengths, wanted)]
        scores[name] = better_than_chance(guesses, right, n)
    return scores


def shuffled(questions: Sequence[dict]) -> list[dict]:
    """The questions with their choices in an order whose letters follow none of the rules.

    Each question has its own random numbers, so that a change of one moves no other within a seed.
    """
    for seed in count():
        mixed = []
        for question in questions:
            choices = list(question["choices"])
            random.Random(f"{seed} {question['question']}").shuffle(choices)
            mixed.append({**question, "choices": choices})
        if len(questions) < 10 or max(map(abs, by_letters(mixed).values())) <= LIMIT:
            return mixed


# ---- The notebook.


def question_text(number: int, question: dict, language: str = "en") -> str:
    """A question as Markdown; which choice is right, and why, is folded."""
    words = WORDS[language]
    choices = question["choices"]
    offered = [f"**{letter}.** {c['text']}" for letter, c in zip(LETTERS, choices)]
    right = place_of_right(question)
    reasons = [f"**{letter}.** {c['why']}" for letter, c in zip(LETTERS, choices)]
    return "\n\n".join(
        [
            words["question"].format(number=number, **question),
            *offered,
            f"<details>\n<summary>{words['answer']}</summary>\n\n"
            + words["right"].format(letter=LETTERS[right]),
            *reasons,
            "</details>",
        ]
    )


def quiz_notebook(folder: Path) -> NotebookNode:
    """A chapter's quiz as a notebook without code: a title, then a cell for each question."""
    main = read_notebook(folder / f"{folder.name}.ipynb")
    return notebook_of(folder.name.lower(), main, read_quiz(folder / QUIZ))


def notebook_of(
    prefix: str, main: NotebookNode, questions: Sequence[dict], language: str = "en"
) -> NotebookNode:
    """A quiz of questions about a main notebook; its cells' ids begin with the prefix."""
    title = main.cells[0].source.splitlines()[0].removeprefix("# ")
    questions, words = shuffled(questions), WORDS[language]
    intro = f"{words['title'].format(title=title)}\n\n{words['intro'].format(n=len(questions))}"
    cells = [nbformat.v4.new_markdown_cell(intro, id=f"{prefix}-quiz")]
    for number, question in enumerate(questions, start=1):
        text = question_text(number, question, language)
        cells.append(nbformat.v4.new_markdown_cell(text, id=f"{prefix}-quiz-{number}"))
    for cell in cells:
        cell.metadata["slideshow"] = {"slide_type": "slide"}
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata = {
        "kernelspec": main.metadata.kernelspec,
        "language_info": {"name": "python"},
    }
    return notebook


def belongs(folder: Path) -> bool:
    """Whether a chapter's quiz.ipynb is the one that its quiz.yaml gives."""
    path = folder / "quiz.ipynb"
    return path.exists() and sources(read_notebook(path)) == sources(quiz_notebook(folder))


def write_quiz(folder: Path) -> Path:
    """Write a chapter's quiz; return where it is."""
    path = folder / "quiz.ipynb"
    notebook = quiz_notebook(folder)
    with written_whole(path) as draft:
        nbformat.write(notebook, draft)
    return path


def main() -> int:
    replace_unprintable()
    return command("exercises.quiz", __doc__.splitlines()[0], [QUIZ], belongs, write_quiz)


if __name__ == "__main__":
    sys.exit(main())
