"""The record of a command that trains rows with seeds, and goes on where it was stopped.

A record is a JSON file: the settings, what the rows were made with, and a line for each row.
"""

import json
import platform
from collections.abc import Callable
from pathlib import Path

import torch

from course.files import written_whole


def read_rows(
    path: Path,
    is_row: Callable[[dict], bool],
    settings: dict | None = None,
    option: str = "--record",
) -> list[dict]:
    """The rows of a record, none if there is no file; option is what names it on a command line.

    Raises: ValueError if something in it is no row, or it is of other settings than these.
    """
    if not path.exists():
        return []
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        kept, rows = record["settings"], record["rows"]
        is_whole = all(is_row(row) for row in rows)
    except (KeyError, TypeError, ValueError):
        is_whole = False
    if not is_whole:
        raise ValueError(f"{path} is damaged: take another {option}, or delete it")
    differ = [
        f"{name} {kept.get(name)}, not {value}"
        for name, value in (settings or {}).items()
        if kept.get(name) != value
    ]
    if differ:
        raise ValueError(
            f"{path} holds runs with {'; '.join(differ)}: give the same settings, or another "
            f"{option}"
        )
    return rows


def write_rows(path: Path, settings: dict, rows: list[dict]) -> None:
    """Write a record whole or not at all, a line for each row."""
    versions = f"Python {platform.python_version()}, torch {torch.__version__}"
    head = {"settings": settings, "made with": versions}
    lines = ",\n".join(json.dumps(row) for row in rows)
    with written_whole(path) as draft:
        text = f'{json.dumps(head, indent=1)[:-2]},\n "rows": [\n{lines}\n]}}\n'
        draft.write_text(text, encoding="utf-8")
