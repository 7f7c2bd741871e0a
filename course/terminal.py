"""The terminal, or the file in its place: what it cannot hold is replaced and ends no command."""

import os
import sys
from typing import NoReturn


def replace_unprintable() -> None:
    """Let input and output replace, by ? or U+FFFD, each character that their encoding lacks.

    Korean Windows has cp949 for a file in the terminal's place, others have cp1252: neither holds
    all that a model writes. The first line of every command. Errors need no such care: Python
    itself spells what stderr cannot hold, as in \\ud55c.
    """
    for stream in (sys.stdin, sys.stdout):
        if hasattr(stream, "reconfigure"):  # not where a notebook or a test stands in for it
            stream.reconfigure(errors="replace")


def end_without_reader() -> NoReturn:
    """End a command whose reader has gone away, as `| head` does.

    Python flushes the output once more at the end, which would fail and be complained about.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(1)
