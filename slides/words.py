"""What the tool itself says, by language: LANGUAGE=ko takes the Korean words where there are some.

A word that a language lacks is said in English. Texts of the notebooks do not stand here.
"""

import os

ENGLISH = {
    # ---- Starting at a section in a new kernel.
    "no saved state": "No run of this notebook is saved: the cells above “{section}” run now.",
    "does not fit": "The saved values do not fit ({error}).",
    "cells above": "cells above",
    "cells after": "the cells after {cell}",
    "resumed": "Ready for “{section}”: {n} names are back after {seconds:.1f} s.",
    # ---- The run-sheet.
    "talk of": "A talk of {minutes} minutes, then questions.",
    "not rehearsed": "Not rehearsed here: run `make rehearse CH={chapter}`.",
    "rehearsed": "Rehearsed here on {date}: fit for the stage.",
    "rehearsed with problems": "Rehearsed here on {date}, and not yet fit for the stage: "
    "run `make rehearse CH={chapter}`, which found {n} to mend.",
    "late in all": "Late? Leaving out what is marked saves {minutes:.0f} minutes.",
    "legend": "Before a cell: ? ask first, - leave out when late. After it: the seconds in the "
    "course's run and here.",
    "cell": "Cell",
    "course, s": "course, s",
    "here, s": "here, s",
    "prints": "prints first",
    "ask": "ask",
    "skip": "when late: skip",
    "a picture": "(a picture)",
    "defines": "(defines {names})",
    "stop and ask": "Stop and ask, before {cell}:",
    "expect": "What to expect",
    "when late": "When late, leave out {cells}: {minutes:.1f} minutes. The rest still runs.",
    "no waiting": "Do not run {cell}, which takes a while: show the output that is there, and run "
    "the cell below it. To show it live, run `make live CH={name}` in a terminal.",
    "viewers ask": "What viewers usually ask",
    "ten questions": "{n} questions for the end (for others, or another order: make quiz CH={name} "
    "SEED=2)",
    "answer": "Answer",
    "answers": "Answers to the questions",
    "invitation": "An invitation",
    "invitation subject": "Subject: {title}",
    "invitation hello": "Dear all,",
    "invitation when": "On DATE at TIME, PRESENTER presents this chapter at LINK: {minutes} "
    "minutes, followed by questions.",
    "invitation before": "To read before: {read}",
    "invitation lab": "To follow along: make lab, then open {notebook}.",
    "invitation exercises": "Afterwards: the exercises in my/{name}/exercises.ipynb, and make quiz "
    "CH={name}.",
    "invitation quiz": "Afterwards: make quiz CH={name}.",
    "invitation attached": "Attached: {files}",
    "invitation end": "See you there.",
    "read chapter": "chapter {number} of the book, or the beginning of the lesson and its figures.",
    "read appendix": "appendix {number} of the book, or the beginning of the lesson and its "
    "figures.",
    "as a page": "As a page: {path}",
    "no browser": "No browser could be opened: open {path} yourself.",
    # ---- The rehearsal.
    "rehearsal head": f"  {'Section':<46}{'planned':>7}{'minutes':>9}{'runs, s':>9}",
    "together": "together",
    "from": "from {section}",
    "cell fails": "Cell {cell} fails: {reason}",
    "cell slow": "Cell {cell} runs {seconds:.0f} s, more than {limit}. It needs a cell below it "
    "that goes on without it: see slides/resume.py.",
    "cell waits": "Cell {cell} runs {seconds:.0f} s. Show its output instead, and run the cell "
    "below it.",
    "busy": "Other programs kept {cores:.1f} cores busy, so CPU seconds count here where they are "
    "fewer than the clock's. Rehearse again when the machine is quiet.",
    "too long": "It takes {minutes:.0f} minutes, more than {limit}.",
    "differs": "Cell {cell} does not print what it printed in the committed run.",
    "may differ": "These cells print something different, as they may: {cells}.",
    "no resume cell": "“{section}” has no cell that brings back what it needs.",
    "rescue fails": "In a new kernel, “{section}” fails at cell {cell}: {reason}",
    "rescue lacks": "Started in a new kernel, “{section}” does not make all that “{next}” needs.",
    "rescue slow": "In a new kernel, “{section}” is ready after {imports:.1f} s for the libraries "
    "and {seconds:.1f} s for what it needs; {limit:.0f} are allowed for that.",
    "going on slow": "The cell below {cell} takes {seconds:.1f} s to bring back its result; "
    "{limit:.0f} are allowed.",
    "going on works": "The cell below {cell} brings back its result in {seconds:.1f} s.",
    "rescue works": "In a new kernel, “{section}” is ready after {imports:.1f} s for the libraries "
    "and {seconds:.1f} s for what it needs.",
    "first section": "“{section}” starts at the top of the notebook, with the imports.",
    "fit": "{chapter} is fit for the stage.",
    "not fit": "{chapter} is not fit for the stage: see the lines marked with !.",
    "all fit for the stage": "All are fit for the stage.",
    "some unfit": "Not fit for the stage: {chapters}.",
    # ---- A long cell, live.
    "one long chapter": "Name the one chapter whose training you want to show: make live CH=ch06.",
    "nothing long": "{chapter} has no cell that takes longer than {limit} seconds.",
    "until": "{chapter}, up to {cell}",
    "trains": "{cell} runs now.",
    "trained": "{cell} took {minutes:.1f} minutes. In the notebook, run the cell below it.",
    "live fails": "{chapter}: cell {cell} fails. {reason}",
    # ---- The quiz.
    "no quiz": "{chapter} has no quiz.",
    "quiz of": "{title}: {n} of {all} questions. Enter alone shows the answer, Ctrl+D ends it.",
    "question": "{number} of {n} (section {section}).",
    "harder": "(harder)",
    "your guess": "Your guess ({letters}):",
    "right": "{letter} is right, as you said.",
    "wrong": "No: {letter} is right.",
    "open": "{letter} is right.",
    "quiz score": "{right} of {asked} right.",
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
    "more lines": "… {n} more lines in the notebook",
    "more rows": "… {n} more rows in the notebook",
    "ask first": "Ask first: the output appears at the next key.",
    "skip when late": "Skip when late.",
    "do not wait": "This cell takes a while: show its output, and run the cell below it instead.",
    "decks": "Decks of the course",
    "keys": "In a deck, the space bar goes on, the arrow keys go to any slide, S opens the speaker "
    "notes, F fills the screen, Esc shows all slides. Links to notebooks work while make lab runs.",
    "chapter": "Chapter",
    "minutes": "{n} min",
    "slides": "slides: {n}",
    "sheet": "run-sheet",
    "handout": "handout",
    "questions": "questions",
    "notebook": "notebook",
    "exercises": "exercises",
    # ---- The notebook on a shared screen.
    "one chapter": "Name the one chapter that you present: make lab PRESENT=ch04.",
    # ---- The handout.
    "to remember": "Five sentences to remember",
    "shapes": "Shapes",
    "exercises of": "Exercises: {n}, {minutes} minutes",
    "at home": "At home: `make lab`, then `my/{name}/{name}.ipynb` ({minutes} minutes at the "
    "desk).",
    "at home, exercises": "At home: `make lab`, then `my/{name}/{name}.ipynb` ({minutes} minutes "
    "at the desk) and `my/{name}/exercises.ipynb`. Dots say how hard an exercise is.",
    "longer than a page": "{chapter}: the handout is longer than a page, however small its "
    "figure: shorten the takeaways or the exercises' titles.",
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
