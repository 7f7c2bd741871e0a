"""JupyterLab for a shared screen: one notebook, large type, nothing beside it.

    python -m slides lab ch04       # what `make lab PRESENT=ch04` starts

Its settings and what it remembers of windows lie in slides/_build/lab, so that your own JupyterLab
stays as it is. Ctrl+B brings the side bar back.
"""

import argparse
import json
import shutil
from pathlib import Path

from course.files import written_whole
from course.lessons import ROOT
from course.my import MY, lab, make_copies
from playbook.read import BadInput
from slides.chapter import read_chapters
from slides.deck import BUILD
from slides.words import say

# JupyterLab takes sizes of type from a user's settings only, not from defaults.
SETTINGS = {
    "@jupyterlab/apputils-extension/themes": {
        "overrides": {
            "code-font-size": "20px",
            "content-font-size1": "20px",
            "ui-font-size1": "15px",
        }
    },
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false"},
}


def prepare(folder: Path) -> dict[str, Path]:
    """Write the settings; give what JupyterLab must find in its environment.

    It remembers no windows from before: then it shows a single notebook without side bars.
    """
    places = {
        "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
        "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
    }
    for name, values in SETTINGS.items():
        path = places["JUPYTERLAB_SETTINGS_DIR"] / f"{name}.jupyterlab-settings"
        with written_whole(path) as draft:
            draft.write_text(json.dumps(values, indent=2), encoding="utf-8")
    shutil.rmtree(places["JUPYTERLAB_WORKSPACES_DIR"], ignore_errors=True)
    return places


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", help="where it serves; 8888 if it is free")
    parser.add_argument("--no-browser", action="store_true", help="only say the address")


def run(arguments: argparse.Namespace) -> int:
    if len(arguments.chapters) != 1:
        raise BadInput(say("one chapter"))
    (chapter,) = read_chapters(arguments.chapters)
    for sentence in make_copies():
        print(sentence, flush=True)
    rest = [f"--port={arguments.port}"] if arguments.port else []
    rest += ["--no-browser"] if arguments.no_browser else []
    first = f"/doc/tree/{MY}/{chapter.name}/{chapter.name}.ipynb"
    return lab(rest, first=first, **prepare(ROOT / BUILD / "lab"))
