"""What the tool itself says, by language: LANGUAGE=ko takes the Korean words where there are some.

A word that a language lacks is said in English. Texts of the notebooks do not stand here.
"""

import os

ENGLISH = {
    # ---- Starting at a section in a new kernel.
    "no saved state": "No run of this notebook is saved: the cells above “{section}” run now.",
    "cells above": "cells above",
    "resumed": "Ready for “{section}”: {n} names are back after {seconds:.1f} s.",
    # ---- The run-sheet.
    # ---- The rehearsal.
    # ---- The quiz.
    # ---- reveal.js.
    "asking": "reveal.js: asking {name}",
    "not there": "not there: {error}",
    "something else": "something else is there: {file} has not the known SHA-256",
    "reveal.js is at": "reveal.js is at {folder}",
    "no reveal.js": "reveal.js, which decks are made with, could not be fetched into {folder}: "
    "set PIP_INDEX_URL to your network's package mirror, which has {wheel}, or install npm, which "
    "has reveal.js {version}, and run `python -m slides.vendor` again.",
    # ---- Slides measured.
    "no chromium": "Slides are measured in Chromium, which is not installed: sudo apt install "
    "chromium",
    "no deck": "There is no deck of {chapter} yet: run `make slides CH={chapter}` first.",
    "fault": "{chapter}, slide {slide}: {what}",
    "all fit": "{names}: every slide fits its frame.",
    # ---- The deck.
    "plan": "The plan",
    "more lines": "… {n} more lines in the notebook",
    "more rows": "… {n} more rows in the notebook",
    "ask first": "The output appears one key later: ask first.",
    "skip when late": "Skip when late.",
    "decks": "Decks of the course",
    "keys": "In a deck: space goes on, the arrow keys go to any slide, S opens the speaker notes, "
    "F fills the screen, Esc shows all slides. The notebooks open while make lab runs.",
    "chapter": "Chapter",
    "minutes": "{n} min",
    "n slides": "{n} slides",
    "sheet": "run-sheet",
    "handout": "handout",
    "notebook": "notebook",
    "exercises": "exercises",
    # ---- The handout.
}

KOREAN: dict[str, str] = {}

WORDS = {"en": ENGLISH, "ko": KOREAN}


def language() -> str:
    """The first language of LANGUAGE that there are words for: ko for ko_KR:en, else en."""
    wanted = os.environ.get("LANGUAGE", "").replace(":", " ").split()
    return next((w[:2] for w in wanted if w[:2] in WORDS), "en")


def say(key: str, **values: object) -> str:
    """A text of the tool, with these values in its braces."""
    text = WORDS[language()].get(key, ENGLISH[key])
    return text.format(**values) if values else text
