"""From a chapter's cells to frames, each of which one look takes in.

A cell of type slide begins a column, a subslide the next frame below, and a fragment stays on the
frame as long as there is room. What has none goes on below: first code and output apart, then
long code at its blank lines and definitions, and of a long output what fits. Nothing is made
smaller than room.SMALLEST.
"""

import base64
import html
import io
import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from slides.chapter import RESUME, Cell, Chapter, Section
from slides.room import (
    CODE,
    GAP,
    HEADLINE,
    MONO,
    PROSE,
    ROOM_HEIGHT,
    ROOM_WIDTH,
    SMALLEST,
    columns,
    lines,
    text_height,
    text_width,
)
from slides.shorten import Part, shorten
from slides.words import say

PRE_PADDING = 10  # pixels above and below code, and 14 at its sides
PRE_SIDE = 14
LEADING = 1.3  # of code
ROW = 1.62  # a table's row, in sizes of its type
TYPE_IN_PLOTS = 10 / 72 * 100  # pixels: matplotlib's 10 points at 100 dots an inch
MARKDOWN_SIDE = 22  # what a box around a takeaway takes at its sides


@dataclass(frozen=True)
class Code:
    """Lines of highlighted code, or of printed text."""

    lines: tuple[str, ...]  # HTML
    plain: tuple[str, ...]
    is_output: bool = False
    part: str = ""  # "1/2" of a longer cell

    def height(self, size: int, width: float) -> float:
        letters = int((width - 2 * PRE_SIDE) / (MONO * size))
        n = sum(max(1, math.ceil(columns(line) / letters)) for line in self.plain)
        return n * size * LEADING + 2 * PRE_PADDING

    def width(self, size: int) -> float:
        return max(map(columns, self.plain), default=0) * MONO * size + 2 * PRE_SIDE


@dataclass(frozen=True)
class Table:
    """A table of an output: rows of cells, the first of which may be a header."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0  # rows that only the notebook has

    def height(self, size: int, width: float) -> float:
        n = len(self.rows) + (1 if any(self.head) else 0) + (1 if self.more else 0)
        overfull = max(0, math.ceil(self.width(size) / width) - 1) * len(self.rows)
        return (n + overfull) * size * ROW + 4

    def width(self, size: int) -> float:
        rows = [row for row in (self.head, *self.rows) if row]
        wide = [max(text_width(cell, size) for cell in column) for column in zip(*rows)]
        return sum(wide) + len(wide) * 28


@dataclass(frozen=True)
class Prose:
    """A paragraph, item, takeaway, formula or table as Markdown."""

    part: Part

    def height(self, size: int, width: float) -> float:
        shown = self.part.shown
        if self.part.kind == "formula":
            return PROSE * 3.2
        if self.part.kind == "table":
            return (shown.count("\n") + 1) * PROSE * ROW
        if self.part.kind == "quoted":
            return (shown.count("\n") - 1) * CODE[-1] * LEADING + 2 * PRE_PADDING
        if self.part.kind == "takeaway":
            return text_height(shown, PROSE, width - 2 * MARKDOWN_SIDE) + 24
        return text_height(shown, PROSE, width - (36 if self.part.kind == "item" else 0))

    def width(self, size: int) -> float:
        return ROOM_WIDTH


@dataclass(frozen=True)
class Picture:
    """A figure or plot: as large as there is room, and at least until its type can be read."""

    address: str  # of the data
    alt: str
    natural: tuple[float, float]  # pixels
    type: float  # pixels: its smallest letters at that size

    @property
    def least(self) -> float:
        """By how much it must be scaled so that its smallest letters can be read."""
        return SMALLEST["code"] / self.type

    @property
    def most(self) -> float:
        return ROOM_WIDTH / self.natural[0]

    def height(self, size: int, width: float) -> float:
        return min(self.least, self.most) * self.natural[1]

    def width(self, size: int) -> float:
        return self.natural[0] * min(self.least, self.most)


Block = Code | Table | Prose | Picture


@dataclass
class Item:
    """A block on a frame, with what the frame must know of it."""

    block: Block
    cell: Cell
    step: int = 0  # by how many keys it appears; 0 is there from the start
    beside: bool = False  # stands to the right of the block before


@dataclass
class Frame:
    """One slide: a headline, what stands below, what the notes say, and whose it is."""

    section: Section
    headline: str = ""
    kind: str = "plain"  # "title" or "plan" for the first two
    items: list[Item] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    size: int = CODE[0]  # of code
    opens: bool = False  # a column
    first: Cell | None = None  # the cell that a link leads to
    late: bool = False  # its cells can be left out when late

    @property
    def room(self) -> float:
        """What the headline leaves."""
        if not self.headline:
            return ROOM_HEIGHT
        n = lines(self.headline, HEADLINE, ROOM_WIDTH, "semibold")
        return ROOM_HEIGHT - n * HEADLINE * 1.22 - GAP

    def rows(self) -> Iterator[list[Item]]:
        """The items by rows: one, or two beside each other."""
        row: list[Item] = []
        for item in self.items:
            if row and not item.beside:
                yield row
                row = []
            row.append(item)
        if row:
            yield row

    def needs(self, size: int) -> float:
        """The height of all items with this size of code; infinite if one is too wide."""
        total = 0.0
        for row in self.rows():
            if len(row) == 1:
                total += row[0].block.height(size, ROOM_WIDTH) + GAP
                continue
            wide = [item.block.width(size) for item in row]
            if sum(wide) + GAP > ROOM_WIDTH:
                return math.inf
            total += max(i.block.height(size, w + 1) for i, w in zip(row, wide)) + GAP
        return total - GAP

    def fitting(self) -> int | None:
        """The largest size of code with which all fits."""
        return next((size for size in CODE if self.needs(size) <= self.room), None)

    def takes(self, new: list[Item]) -> bool:
        """Add these if they fit, stacked or, code and printed text, beside each other."""
        before = self.items
        for beside in (False, True):
            added = [Item(i.block, i.cell, i.step, beside and k > 0) for k, i in enumerate(new)]
            if beside and not (len(new) == 2 and not isinstance(new[1].block, Picture | Prose)):
                break
            self.items = [*before, *added]
            if size := self.fitting():
                self.size = size
                self.first = self.first or new[0].cell
                return True
        self.items = before
        return False

    def scale(self, picture: Picture) -> float:
        """How large a picture on this frame is: it takes the room that the others leave."""
        pictures = [i.block for i in self.items if isinstance(i.block, Picture)]
        free = self.room - self.needs(self.size)
        own = picture.height(0, 0) + free / len(pictures)
        return min(own / picture.natural[1], picture.most)


# ---- Blocks of a cell.


@cache
def formatter() -> HtmlFormatter:
    return HtmlFormatter(nowrap=True)


def code_block(source: str) -> Code:
    """Python code, highlighted line by line."""
    source = source.strip("\n")
    shown = highlight(source, PythonLexer(stripnl=False), formatter()).rstrip("\n").split("\n")
    return Code(tuple(shown), tuple(source.split("\n")))


def printed(text: str) -> Code | None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).strip("\n").rstrip()
    text = re.sub(r"\n{2,}", "\n", text)
    own = tuple(line.rstrip() for line in text.split("\n"))
    return Code(tuple(map(html.escape, own)), own, is_output=True) if text else None


def table_block(markup: str) -> Table | None:
    """A data frame as a table."""
    table = BeautifulSoup(markup, "html.parser").table
    if table is None:
        return None
    read = [
        tuple(" ".join(c.get_text().split()) for c in row.find_all(["th", "td"]))
        for row in table.find_all("tr")
    ]
    in_head = len(table.select("thead tr"))
    if not read:
        return None
    head = read[0] if in_head else ()
    body = [row for row in read[in_head:] if any(row)]
    return Table(head, tuple(row for row in body if len(row) == len(body[0])))


def plot_block(content: bytes, source: str) -> Picture:
    """What a cell drew; its smallest type is the smallest that the cell asks for."""
    with Image.open(io.BytesIO(content)) as picture:
        natural = picture.size
    asked = [float(n) for n in re.findall(r"(?:font|label)size=([\d.]+)", source)]
    smallest = min([10.0, *asked]) * TYPE_IN_PLOTS / 10
    address = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return Picture(address, "", natural, smallest)


def drawing_block(path: Path, alt: str) -> Picture:
    """One of the course's figures."""
    content = path.read_bytes()
    root = ET.fromstring(content)
    *_, width, height = map(float, root.get("viewBox").split())
    sizes = [float(n) for n in re.findall(rb'font-size="([\d.]+)', content)]
    address = f"data:image/svg+xml;base64,{base64.b64encode(content).decode()}"
    return Picture(address, alt, (width, height), min(sizes, default=SMALLEST["code"]))


def output_blocks(cell: Cell) -> list[Block]:
    """What a cell's committed outputs show; what only moves, such as a bar, is left out."""
    found: list[Block | None] = []
    for output in cell.outputs:
        if output["output_type"] == "stream":
            found.append(printed(output["text"]) if output["name"] == "stdout" else None)
        elif output["output_type"] == "error":
            found.append(printed(f"{output['ename']}: {output['evalue']}"))
        else:
            found.append(data_block(output["data"], cell))
    return [block for block in found if block]


def data_block(data: Mapping, cell: Cell) -> Block | None:
    if "application/vnd.jupyter.widget-view+json" in data:
        return None
    if "image/png" in data:
        return plot_block(base64.b64decode(data["image/png"]), cell.source)
    if "text/html" in data and (table := table_block("".join(data["text/html"]))):
        return table
    text = "".join(data.get("text/plain", ""))
    return None if is_bar(text) else printed(text)


def is_bar(text: str) -> bool:
    """Whether this is a progress bar's last state."""
    return re.search(r"\d+%\|.*\|", text) is not None


# ---- Dividing what is too long.


def pieces(code: Code, fits: int) -> list[Code]:
    """Code in pieces of at most so many lines, cut at blank lines and definitions if possible."""
    cuts, start = [], 0
    while len(code.plain) - start > fits:
        best = max(range(start + 1, start + fits + 1), key=lambda i: worth(code, i, start, fits))
        cuts.append(best)
        start = best
    bounds = list(zip([0, *cuts], [*cuts, len(code.plain)]))
    found = []
    for number, (a, b) in enumerate(bounds, start=1):
        while a < b - 1 and not code.plain[a].strip():
            a += 1
        while b > a + 1 and not code.plain[b - 1].strip():
            b -= 1
        part = f"{number}/{len(bounds)}" if len(bounds) > 1 else ""
        found.append(Code(code.lines[a:b], code.plain[a:b], code.is_output, part))
    return found


def worth(code: Code, i: int, start: int, fits: int) -> tuple[int, int]:
    """How good a cut before line i is: at a blank line or a definition, far out, and late."""
    line, before = code.plain[i], code.plain[i - 1]
    if i - start < fits // 3:
        return (-1, i)
    depth = len(line) - len(line.lstrip())
    if not before.strip():
        return (40 - depth, i)
    if re.match(r"\s*(?:def|class|@)\b", line) and not before.lstrip().startswith("@"):
        return (38 - depth, i)
    opens = re.match(r"\s*[)\]}]", line) or before.rstrip().endswith(("(", "[", "{", ",", ":"))
    return (0 if opens else 20 - depth, i)


def cut(block: Block, frame: Frame) -> Block:
    """As much of an output as a frame of its own can show."""
    size = CODE[-1]
    if isinstance(block, Table):
        rows = int((frame.room - 4) / (size * ROW)) - (1 if any(block.head) else 0)
        if len(block.rows) <= rows:
            return block
        return Table(block.head, block.rows[: rows - 1], len(block.rows) - rows + 1)
    if not isinstance(block, Code):
        return block
    kept = list(range(len(block.plain)))
    while kept:
        n = len(block.plain) - len(kept)
        more = [say("more lines", n=n)] if n else []
        plain = (*(block.plain[i] for i in kept), *more)
        shorter = Code(
            (*(block.lines[i] for i in kept), *(f"<em>{m}</em>" for m in more)), plain, True
        )
        if shorter.height(size, ROOM_WIDTH) <= frame.room:
            return shorter
        kept.pop()
    return block


# ---- The frames of a chapter.


def items_of(cell: Cell, parts: Iterable[Part], chapter: Chapter) -> list[Item]:
    found: list[Item] = []
    for part in parts:
        if part.kind == "picture":
            path = chapter.folder / part.shown
            found.append(Item(drawing_block(path, part.left), cell))
        elif part.shown:
            found.append(Item(Prose(part), cell))
    return found


class Column:
    """The frames of a chapter as they are filled, one cell after the other."""

    def __init__(self, chapter: Chapter):
        self.chapter = chapter
        self.frames: list[Frame] = []

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def start(self, section: Section, headline: str = "", opens: bool = False) -> Frame:
        self.frames.append(Frame(section, headline, opens=opens))
        return self.frame

    def go_on(self) -> Frame:
        """The next frame with the same headline."""
        return self.start(self.frame.section, self.frame.headline)

    def put(self, items: list[Item]) -> None:
        """Put items on the frame, or one by one on the next ones."""
        if not items or self.frame.takes(items):
            return
        for item in items:
            if self.frame.takes([item]):
                continue
            if self.frame.items:
                self.go_on()
            if not self.frame.takes([item]):
                self.frame.headline = self.short_headline(item)
                self.force(item)

    def short_headline(self, item: Item) -> str:
        """A picture that needs all the room has the headline's, too."""
        return "" if isinstance(item.block, Picture) else self.frame.headline

    def force(self, item: Item) -> None:
        item = Item(cut(item.block, self.frame), item.cell, item.step)
        if not self.frame.takes([item]):
            self.frame.items = [*self.frame.items, item]
            self.frame.first = self.frame.first or item.cell

    def prose(self, cell: Cell, section: Section) -> None:
        is_new = cell.slide in ("slide", "subslide") or not self.frames
        for k, text in enumerate(shorten(cell.source, headed=is_new)):
            items = items_of(cell, text.parts, self.chapter)
            if is_new or k or text.headline:
                self.start(section, text.headline, opens=cell.slide == "slide" and not k)
            elif not self.frame_has_room(items):
                again = shorten(cell.source)[0]
                self.start(section, again.headline)
                items = items_of(cell, again.parts, self.chapter)
            first = self.frame
            self.put(stepped(items, cell, bool(self.frame.items)))
            first.notes += text.left
            first.first = first.first or cell

    def frame_has_room(self, items: list[Item]) -> bool:
        """Whether the frame could take them, which it does not yet."""
        before, size = self.frame.items, self.frame.size
        fits = self.frame.takes(items)
        self.frame.items, self.frame.size = before, size
        return fits

    def code(self, cell: Cell, section: Section) -> None:
        if cell.slide in ("slide", "subslide") or not self.frames:
            self.start(section, opens=cell.slide == "slide")
        self.frame.late = self.frame.late or "late-skip" in cell.tags
        source = Item(code_block(cell.source), cell, 1 if self.frame.items else 0)
        shown = [Item(b, cell, source.step + cell.folded) for b in output_blocks(cell)]
        if self.frame.takes([source, *shown]):
            return
        if not self.frame.takes([source]):
            if self.frame.items:
                self.go_on()
            source = Item(source.block, cell)
            shown = [Item(b.block, cell, int(cell.folded)) for b in shown]
            if self.frame.takes([source, *shown]):
                return
            if not self.frame.takes([source]):
                self.divided(source)
        if shown and isinstance(shown[0].block, Picture) or not self.frame.takes(shown[:1]):
            self.go_on()
            self.put([Item(b.block, cell, 0) for b in shown])
        else:
            self.put(shown[1:])

    def divided(self, item: Item) -> None:
        fits = int((self.frame.room - 2 * PRE_PADDING) / (CODE[-1] * LEADING))
        for k, piece in enumerate(pieces(item.block, fits)):
            if k:
                self.go_on()
            if not self.frame.takes([Item(piece, item.cell)]):
                self.force(Item(piece, item.cell))


def stepped(items: list[Item], cell: Cell, is_later: bool) -> list[Item]:
    """The same; what a fragment adds to a frame appears at a key."""
    step = 1 if is_later and cell.slide == "fragment" else 0
    return [Item(i.block, i.cell, step) for i in items]


def frames_of(chapter: Chapter) -> list[Frame]:
    """All frames of a chapter, in order."""
    column = Column(chapter)
    for section in chapter.sections:
        for cell in section.cells:
            if cell.slide == "skip" or RESUME in cell.tags:
                continue
            if cell.slide == "notes":
                column.frame.notes.append(cell.source)
            elif cell.is_code:
                column.code(cell, section)
            else:
                column.prose(cell, section)
                if "event" in cell.tags:
                    column.start(section, say("plan")).kind = "plan"
    column.frames[0].kind = "title"
    return column.frames
