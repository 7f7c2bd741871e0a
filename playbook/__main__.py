"""Build the playbook, or compare two runs of the course.

python -m playbook build                 # read the notebooks as they are
python -m playbook build --run ch02      # run chapter 2 first, and build its page only
python -m playbook compare               # this folder against the run that came with the course
python -m playbook new my-experiment     # an empty notebook for a chapter of your own
python -m playbook new-model my-subject --texts FOLDER   # a project: a model of your own texts
python -m playbook reference             # before a release: this run is the one that comes with it
"""

import argparse
import sys
from pathlib import Path

from course.terminal import replace_unprintable
from playbook.build import build, default_out, write_reference
from playbook.compare import compare
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
    model = commands.add_parser("new-model", help="a project: a model of your own texts")
    model.add_argument("name", help="its folder's name, for example my-subject")
    model.add_argument(
        "--texts", required=True, metavar="FOLDER", help=".txt, .md and .jsonl files"
    )
    model.add_argument("--language", choices=("en", "ko"), help="of the texts (default: found out)")
    model.add_argument("--out", type=Path, metavar="FOLDER", help="where to (default: my/NAME)")
    commands.add_parser("reference", help=f"write {REFERENCE} from the notebooks as they are")
    return main


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
        if arguments.command == "reference":
            return write_reference(root)
        if arguments.command == "new-model":
            return new_project(arguments)
        return new_notebook(arguments.name, root)
    except BadInput as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
