"""The tools that make site and PDF, and what to do where one is missing."""

import importlib
import re
import subprocess
from pathlib import Path
from types import ModuleType

LAYOUT = Path(__file__).resolve().parent / "layout"
# GitHub's Markdown, as in notebooks, with maths between dollars.
READER = "gfm+tex_math_dollars-yaml_metadata_block"
PIP = "python -m pip install -c setup/constraints.txt"


class Missing(Exception):
    """A tool or font is not here; the message names it and the command that installs it."""


class Failed(Exception):
    """A tool could not make its part; the message is the tool's own."""


def need(module: str, package: str) -> ModuleType:
    """Import a tool. Raises: Missing, with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise Missing(f"{package} is not installed: {PIP} {package}") from None


def pandoc(text: str, *options: str) -> tuple[str, list[str]]:
    """What pandoc makes of Markdown, and its warnings, a formula that it cannot read for example.

    Raises: Missing without pandoc, Failed if it refuses.
    """
    pypandoc = need("pypandoc", "pypandoc_binary")
    try:
        program = pypandoc.get_pandoc_path()
    except OSError:
        raise Missing(f"pypandoc has no pandoc: {PIP} pypandoc_binary") from None
    command = [program, "-f", READER, f"--lua-filter={LAYOUT / 'filter.lua'}", *options]
    done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise Failed(f"pandoc: {done.stderr.strip()}")
    return done.stdout, re.findall(r"^\[WARNING\] (.+?):?$", done.stderr, flags=re.M)
