"""Present a chapter: its deck, run-sheet, rehearsal, questions and handout.

python -m slides deck ch04          # slides/_build/ch04.html, for a browser without a network
python -m slides sheet ch04         # what to say and show, and when
python -m slides rehearse ch04      # run it on this machine, and say whether one can go on stage
python -m slides live ch06          # its training, beside your kernel, with a progress line
python -m slides handout ch04       # one page as PDF, for the chat of the call
python -m slides quiz ch04          # ask its questions in the terminal
python -m slides lab ch04           # its notebook in JupyterLab, with large type
"""

import argparse
import importlib
import sys

from course.terminal import replace_unprintable
from playbook.read import BadInput

# Each is a module with options(parser), which adds what it takes, and run(arguments) -> exit
# status. It is imported when it is asked for, so that the quiz needs nothing that a deck needs.
COMMANDS = {
    "deck": "build decks and their index",
    "sheet": "print the run-sheet and the invitation",
    "rehearse": "run the chapters here, and compare with plan and committed outputs",
    "live": "train a chapter's long cell beside the presenter's kernel, with a progress line",
    "handout": "make one page as PDF",
    "quiz": "ask the chapter's questions",
    "lab": "open the notebook in JupyterLab as a call shows it well",
}


def parser(command: str | None) -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m slides",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = main.add_subparsers(dest="command", required=True)
    for name, what in COMMANDS.items():
        one = commands.add_parser(name, help=what)
        one.add_argument("chapters", nargs="*", metavar="CHAPTER", help="ch03, appendix-E, ...")
        if name == command:
            importlib.import_module(f"slides.{name}").options(one)
    return main


def main(argv: list[str] | None = None) -> int:
    replace_unprintable()
    argv = sys.argv[1:] if argv is None else argv
    arguments = parser(argv[0] if argv and argv[0] in COMMANDS else None).parse_args(argv)
    try:
        return importlib.import_module(f"slides.{arguments.command}").run(arguments)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
