"""A chapter's questions as slides, for the last ten minutes of a talk.

    python -m slides quiz --slides --seed 3 ch04        # slides/_build/ch04-quiz.html

A question and its choices stand on one slide, the right one with its reason on the next below it,
and the reasons against the others in that slide's speaker notes.
"""

from collections.abc import Sequence
from pathlib import Path

from course.files import written_whole
from course.lessons import ROOT
from exercises.quiz import LETTERS, place_of_right
from slides.chapter import Cell, Chapter, Section
from slides.deck import build_folder, deck
from slides.frames import Column, Frame, Item, Prose
from slides.shorten import Part
from slides.words import say

MINUTES = 10
NOWHERE = Cell("", "markdown", "slide", "")  # a question stands in no cell of the notebook


def frames_of_quiz(chapter: Chapter, questions: Sequence[dict]) -> list[Frame]:
    """Two frames, or more for long texts, for each question; harder ones are marked."""
    column = Column(chapter)
    section = Section(0, say("questions"), MINUTES, chapter.minutes, ())

    def put(kind: str, *texts: str) -> None:
        column.put([Item(Prose(Part(kind, text)), NOWHERE) for text in texts])

    for number, question in enumerate(questions, start=1):
        choices, right = question["choices"], place_of_right(question)
        title = say("question", number=number, n=len(questions), section=question["section"])
        title += f" {say('harder')}" if question.get("hard") else ""
        column.start(section, title, opens=True)
        put("text", str(question["question"]))
        lettered = [f"**{letter}.** {c['text']}" for letter, c in zip(LETTERS, choices)]
        put("text", *lettered)
        column.go_on()
        put("takeaway", lettered[right])
        put("text", str(choices[right]["why"]))
        others = (i for i in range(len(choices)) if i != right)
        column.frame.notes += [f"**{LETTERS[i]}.** {choices[i]['why']}" for i in others]
    return column.frames


def write_quiz_deck(chapter: Chapter, questions: Sequence[dict], root: Path = ROOT) -> Path:
    """Write the questions as a deck into slides/_build."""
    path = build_folder(root) / f"{chapter.name}-quiz.html"
    text = deck(chapter, frames_of_quiz(chapter, questions))
    with written_whole(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return path
