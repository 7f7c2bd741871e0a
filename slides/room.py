"""How much room text takes on a slide, from the widths of its letters, before a browser shows it.

A deck brings its typefaces with it, so this holds on every machine: Source Sans for prose and
DejaVu Sans Mono for code. Letters that neither has, Hangul for example, count as square.
"""

import re
import textwrap
import unicodedata
from functools import cache
from pathlib import Path
from typing import NamedTuple

from slides.vendor import SANS, reveal

WIDTH, HEIGHT = 1280, 720  # pixels: of the frame
ROOM_WIDTH, ROOM_HEIGHT = 1200, 640  # of what stands in it, above the line at the foot
FULL_WIDTH, FULL_HEIGHT = 1000, 704  # of a picture that needs the foot's place as well
GAP = 16  # between two blocks
HEADLINE = 34  # sizes of type; of the following, the largest with which all fits is taken
PROSE = (32, 29, 26)  # the smallest beside code
CODE = (28, 26, 24, 22, 20, 18)
LARGEST_SOURCE = 24  # code itself never shouts
SMALLEST = {"prose": 24, "code": 18}
MONO = 0.6021  # of the size: how wide a letter of code is


class Sizes(NamedTuple):
    """The sizes of type on one slide in pixels: of code and what it printed, and of prose."""

    code: int
    prose: int


SMALL = Sizes(CODE[-1], PROSE[-1])


def mono_font() -> Path:
    """DejaVu Sans Mono, which matplotlib brings."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSansMono.ttf"


@cache
def advances(weight: str) -> dict[int, float]:
    """The width of each letter of Source Sans, as a part of the size."""
    from fontTools.ttLib import TTFont

    with TTFont(reveal() / f"{SANS}-{weight}.ttf", lazy=True) as font:
        widths, em = font["hmtx"], font["head"].unitsPerEm
        return {code: widths[name][0] / em for code, name in font.getBestCmap().items()}


def columns(text: str) -> int:
    """How many letters wide a line of code is; wide letters, as those of Hangul, count twice."""
    return sum(
        2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1
        for c in text
    )


def broken(line: str, letters: int) -> int:
    """In how many lines so many letters wide a line of code or output is broken, at its blanks."""
    wide = "".join("xx" if columns(c) == 2 else c for c in line)
    ways = (textwrap.wrap(wide, letters, break_on_hyphens=way) for way in (False, True))
    return max(1, *map(len, ways)) if len(wide) > letters else 1


def text_width(markdown: str, size: float, weight: str = "regular") -> float:
    """The width of a run of Markdown in pixels: code in its own face, formulas roughly."""
    total = 0.0
    for part in re.split(r"(`[^`]*`|\$[^$]*\$)", markdown):
        if part.startswith("`"):
            total += columns(part.strip("`")) * MONO * size * 0.92 + 0.3 * size
        elif part.startswith("$"):
            shown = re.sub(r"\\(?:frac|tfrac|mathrm|text|left|right)|[{}$^_!]", "", part)
            shown = re.sub(r"\\[A-Za-z]+", "xx", shown)
            total += len(shown) * 0.62 * size
        else:
            own = advances("semibold" if "**" in part else weight)
            total += sum(own.get(ord(c), 1.0) for c in part if c not in "*") * size
    return total


def lines(markdown: str, size: float, width: float, weight: str = "regular") -> int:
    """How many lines a paragraph takes."""
    n, used = 1, 0.0
    space = text_width(" ", size, weight)
    for word in re.split(r"\s+(?![^`]*`(?:[^`]*`[^`]*`)*[^`]*$)", markdown.strip()):
        own = text_width(word, size, weight)
        if used and used + space + own > width:
            n, used = n + 1, own
        else:
            used += (space if used else 0) + own
        while used > width:  # one word, longer than a line
            n, used = n + 1, used - width
    return n


def text_height(
    markdown: str, size: float, width: float, leading: float = 1.35, weight: str = "regular"
) -> float:
    """The height of a paragraph in pixels; a fraction or a root needs more than its line."""
    n = lines(markdown, size, width, weight)
    tall = sum("frac" in m or "^" in m or "sum" in m for m in re.findall(r"\$[^$]+\$", markdown))
    return n * size * leading + min(tall, n) * size * 0.35
