"""What the tool itself says, by language: LANGUAGE=ko takes the Korean words where there are some.

A word that a language lacks is said in English. Texts of the notebooks do not stand here.
"""

import os

ENGLISH = {
    # ---- The run-sheet.
    # ---- The rehearsal.
    # ---- The quiz.
    # ---- The deck.
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
