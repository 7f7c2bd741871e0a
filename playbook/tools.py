"""The tools that make site and PDF, and what to do where one is missing."""

import importlib
import subprocess
from pathlib import Path
from types import ModuleType

LAYOUT = Path(__file__).resolve().parent / "layout"
# GitHub's Markdown, as in notebooks, with maths between dollars.
READER = "gfm+tex_math_dollars-yaml_metadata_block"
PIP = "python -m pip install -c setup/constraints.txt"


class Missing(Exception):
    """A tool or font is not here; the message names it and the command that installs it."""


def need(module: str, package: str) -> ModuleType:
    """Import a tool. Raises: Missing, with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise Missing(f"{package} is not installed: {PIP} {package}") from None


def pandoc(text: str, *options: str) -> str:
    """What pandoc makes of Markdown. Raises: Missing without pandoc."""
    pypandoc = need("pypandoc", "pypandoc_binary")
    try:
        program = pypandoc.get_pandoc_path()
    except OSError:
        raise Missing(f"pypandoc has no pandoc: {PIP} pypandoc_binary") from None
    command = [program, "-f", READER, f"--lua-filter={LAYOUT / 'filter.lua'}", *options]
    done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise RuntimeError(f"pandoc: {done.stderr.strip()}")
    return done.stdout
