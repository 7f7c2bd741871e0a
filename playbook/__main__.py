"""Build the playbook, or compare two runs of the course.

python -m playbook build                 # read the notebooks as they are
python -m playbook build --run ch02      # run chapter 2 first, and build its page only
python -m playbook compare               # this folder against the run that came with the course
python -m playbook new my-experiment     # an empty notebook for a chapter of your own
python -m playbook golf SETTINGS --seed 7 # a round of laptop golf, and the group's board
python -m playbook evaluate course       # models side by side: bits per byte, answers, win rates
python -m playbook new-model my-subject --texts FOLDER   # a project: a model of your own texts
python -m playbook journey               # the whole road: from a corpus to a model that answers
python -m playbook reference             # before a release: this run is the one that comes with it
"""

import argparse
import os
import sys
from pathlib import Path

from course.commands import one_sentence
from course.terminal import replace_unprintable
from playbook.build import build, default_out, write_reference
from playbook.compare import compare
from playbook.journey_options import add_options
from playbook.new import new_notebook
from playbook.read import REFERENCE, ROOT, BadInput


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(
        prog="python -m playbook",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = main.add_subparsers(dest="command", required=True)
    make = commands.add_parser("build", help="make playbook.md, the site and the PDF")
    make.add_argument("chapters", nargs="*", help="only these, for example ch02 appendix-A")
    make.add_argument("--run", action="store_true", help="run their notebooks first")
    make.add_argument("--out", type=Path, help="where to (default: playbook/_build)")
    side = "a notebook, a course folder, a build folder, a playbook.json, or a git revision"
    diff = commands.add_parser("compare", help="put two runs side by side, and say why they differ")
    diff.add_argument("a", nargs="?", default="", help=f"{side} (default: {REFERENCE})")
    diff.add_argument("b", nargs="?", default="", help=f"{side} (default: this folder)")
    diff.add_argument("--tolerance", type=float, default=0.05, help="relative (default: 0.05)")
    empty = commands.add_parser("new", help="an empty notebook for a chapter of your own")
    empty.add_argument("name", help="its file's name, for example my-experiment")
    golf = commands.add_parser("golf", help="bits per byte for a fixed amount of computing")
    golf.add_argument("settings", help="a JSON file: name, vocab_size, n_layers, …")
    golf.add_argument("--seed", type=int, help="the number that the group agreed on")
    golf.add_argument("--practice", action="store_true", help="a short round, no row")
    board = Path("runs/golf/board.jsonl")
    golf.add_argument("--board", type=Path, default=board, help="the group's rows (%(default)s)")
    add_evaluate(commands.add_parser("evaluate", help="put models side by side in a table"))
    model = commands.add_parser("new-model", help="a project: a model of your own texts")
    model.add_argument("name", help="its folder's name, for example my-subject")
    model.add_argument(
        "--texts", required=True, metavar="FOLDER", help=".txt, .md and .jsonl files"
    )
    model.add_argument("--language", choices=("en", "ko"), help="of the texts (default: found out)")
    model.add_argument("--out", type=Path, metavar="FOLDER", help="where to (default: my/NAME)")
    add_options(
        commands.add_parser("journey", help="the whole road: from a corpus to a model that answers")
    )
    commands.add_parser("reference", help=f"write {REFERENCE} from the notebooks as they are")
    return main


def add_evaluate(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help="course, smollm2, gpt2, …, or a model's folder")
    add("--against", metavar="MODEL", help="whom the others meet in win rates [the first]")
    add("--texts", metavar="FOLDER", help="texts for bits per byte [the course's, held out]")
    add("--bytes", type=int, default=100_000, help="of these texts at most [%(default)s]")
    add("--entries", metavar="FILE", help="questions in Alpaca's form [chapter 7's test]")
    add("--task", metavar="FILE", help="multiple choice, as ch05.multiple_choice reads it")
    add("--questions", type=int, default=300, help="and items, at most [%(default)s]")
    judge = "smollm2, or a model on the Ollama server, which compares answers in both orders"
    add("--judge", metavar="MODEL", help=judge)
    add("--judged", type=int, default=100, help="questions for the judge, at most [%(default)s]")
    host = os.environ.get("OLLAMA_HOST", "").strip() or "localhost:11434"
    add("--url", default=host, help="of the judge's server [OLLAMA_HOST, here %(default)s]")
    add("--out", metavar="FILE", help="keep figures and answers in this JSON file")
    add("--markdown", action="store_true", help="print the tables in Markdown")
    add("--device", help="cpu, cuda or mps [the best one here]")


def new_project(arguments: argparse.Namespace) -> int:
    """Write a project of the learner's own. Raises: BadInput in one sentence."""
    # The packages that this needs take seconds to load, and no other command needs them.
    from subject.new import new_model

    try:
        folder = new_model(arguments.name, arguments.texts, arguments.language, arguments.out)
    except (ValueError, OSError) as error:
        raise BadInput(str(error)) from None
    shown = folder.relative_to(ROOT) if ROOT in folder.parents else folder
    print(f"{shown} is written: look at settings.json, and open 1-data.ipynb (make lab).")
    print(f"python -m subject.train {shown} trains what takes long.")
    return 0


def main(argv: list[str] | None = None, root: Path = ROOT) -> int:
    replace_unprintable()
    arguments = parser().parse_args(argv)
    try:
        if arguments.command == "build":
            out = (arguments.out or default_out(root)).resolve()
            return build(out, arguments.chapters, arguments.run, root)
        if arguments.command == "compare":
            a, b = arguments.a or str(root / REFERENCE), arguments.b or str(root)
            return compare(a, b, arguments.tolerance, root)
        if arguments.command == "golf":
            from playbook.golf import golf  # it brings PyTorch

            return golf(arguments.settings, arguments.seed, arguments.board, arguments.practice)
        if arguments.command == "evaluate":
            from playbook.evaluate import evaluate  # the others need no PyTorch

            with one_sentence("evaluate"):
                evaluate(arguments)
            return 0
        if arguments.command == "journey":
            from playbook.journey import journey  # with PyTorch, which the others can do without

            return journey(arguments)
        if arguments.command == "new-model":
            return new_project(arguments)
        if arguments.command == "reference":
            return write_reference(root)
        return new_notebook(arguments.name, root)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
