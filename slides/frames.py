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

from slides.chapter import LATE, RESUME, Cell, Chapter, Section
from slides.room import (
    CODE,
    FULL_HEIGHT,
    FULL_WIDTH,
    GAP,
    HEADLINE,
    LARGEST_SOURCE,
    MONO,
    PROSE,
    ROOM_HEIGHT,
    ROOM_WIDTH,
    SMALL,
    SMALLEST,
    Sizes,
    broken,
    columns,
    lines,
    text_height,
    text_width,
)
from slides.shorten import Part, shorten
from slides.words import say

PRE_PADDING, PRE_SIDE = 10, 14  # pixels above and below code, and at its sides
LEADING = 1.3  # of code
ROW = 1.62  # a table's row, in sizes of its type
TYPE_IN_PLOTS = 100 / 72  # pixels for a point: matplotlib draws 100 dots an inch
SHARED = 20  # the smallest code where two cells share a frame
# The colours of lines are too pale for letters on a video call.
LETTERS = re.compile(r'(<(?:text|tspan)\b[^>]*?\bfill=")(#[0-9a-f]{6})')
DARKER = {
    "#d9822b": "#94500a",
    "#3a8f5c": "#226740",
    "#2f6fb0": "#215a94",
    "#9aa5b1": "#4a5763",
    "#7b8794": "#4a5763",
}


@dataclass(frozen=True)
class Code:
    """Lines of highlighted code, or of printed text."""

    lines: tuple[str, ...]  # HTML
    plain: tuple[str, ...]
    is_output: bool = False
    part: str = ""  # "1/2" of a longer cell

    def height(self, sizes: Sizes, width: float) -> float:
        letters = int((width - 2 * PRE_SIDE) / (MONO * sizes.code))
        n = sum(broken(line, letters) for line in self.plain)
        if n > len(self.plain) and not self.is_output and sizes.code > CODE[-1]:
            return math.inf  # rather smaller than with broken lines
        return n * sizes.code * LEADING + 2 * PRE_PADDING

    def width(self, sizes: Sizes) -> float:
        return max(map(columns, self.plain), default=0) * MONO * sizes.code + 2 * PRE_SIDE


@dataclass(frozen=True)
class Table:
    """A table of an output."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    more: int = 0  # rows that only the notebook has

    def natural(self, sizes: Sizes) -> list[float]:
        """The widths of its columns without a broken line."""
        rows = [row for row in (self.head, *self.rows) if row]
        return [
            max(text_width(f"**{cell}**", sizes.code) for cell in column) + 30
            for column in zip(*rows)
        ]

    def widths(self, sizes: Sizes, width: float) -> list[float]:
        """The widths of its columns: narrow ones as they are, and wide ones share the rest."""
        found = self.natural(sizes)
        if sum(found) <= width:
            return found
        wide, rest = set(range(len(found))), width
        while narrow := {i for i in wide if found[i] <= rest / len(wide)}:
            wide -= narrow
            rest -= sum(found[i] for i in narrow)
        return [rest / len(wide) if i in wide else found[i] for i in range(len(found))]

    def row_height(self, row: tuple[str, ...], sizes: Sizes, width: float) -> float:
        own = zip(row, self.widths(sizes, width))
        n = max(lines(f"**{cell}**", sizes.code, w - 30) for cell, w in own)
        return sizes.code * (ROW + (n - 1) * 1.2) + 1

    def height(self, sizes: Sizes, width: float) -> float:
        rows = [*([self.head] if any(self.head) else []), *self.rows]
        total = sum(self.row_height(row, sizes, width) for row in rows)
        return total + (sizes.code * ROW if self.more else 0) + 4

    def width(self, sizes: Sizes) -> float:
        return sum(self.natural(sizes))


@dataclass(frozen=True)
class Prose:
    """A paragraph, item, takeaway, formula, table or quotation as Markdown."""

    part: Part

    def height(self, sizes: Sizes, width: float) -> float:
        shown, size = self.part.shown, sizes.prose
        if self.part.kind == "formula":
            return size * 3.2
        if self.part.kind == "table":
            return (shown.count("\n") + 1) * size * ROW
        if self.part.kind == "quoted":
            return (shown.count("\n") - 1) * sizes.code * LEADING + 2 * PRE_PADDING
        if self.part.kind == "takeaway":
            return text_height(shown, size, width - 44) + 24
        return text_height(shown, size, width - (40 if self.part.kind == "item" else 0))

    def width(self, sizes: Sizes) -> float:
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
        """By how much it must be scaled: its smallest letters can be read, or it fills the width.

        A plot that is too wide for both cannot be mended here.
        """
        return min(SMALLEST["code"] / self.type, ROOM_WIDTH / self.natural[0])

    def height(self, sizes: Sizes, width: float) -> float:
        return self.least * self.natural[1]

    def width(self, sizes: Sizes) -> float:
        return self.least * self.natural[0]


Block = Code | Table | Prose | Picture


@dataclass
class Item:
    """A block on a frame, with what the frame must know of it."""

    block: Block
    cell: Cell
    step: int = 0  # after how many keys it appears
    beside: bool = False  # stands to the right of the block before


@dataclass
class Frame:
    """One slide: a headline, what stands below it, and what the notes say."""

    section: Section
    headline: str = ""
    items: list[Item] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sizes: Sizes = Sizes(CODE[0], PROSE[0])
    opens: bool = False  # a column
    is_title: bool = False
    is_full: bool = False  # a picture needs even the foot's place
    cell: str = ""  # to which a link leads
    late: bool = False  # can be left out when late

    @property
    def room(self) -> float:
        """What the headline leaves."""
        if self.is_full:
            return FULL_HEIGHT
        if self.is_title:
            return ROOM_HEIGHT - 300
        if not self.headline:
            return ROOM_HEIGHT
        taken = text_height(self.headline, HEADLINE, ROOM_WIDTH, 1.22, "semibold")
        return ROOM_HEIGHT - taken - GAP

    @property
    def kind(self) -> str:
        """How it is laid out."""
        if self.is_title:
            return "title"
        return "full" if self.is_full else "plain" if self.items else "statement"

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

    def needs(self, sizes: Sizes) -> float:
        """The height of all items in these sizes; infinite if two are too wide."""
        total = 0.0
        for row in self.rows():
            if len(row) == 1:
                total += row[0].block.height(sizes, ROOM_WIDTH) + GAP
                continue
            wide = [item.block.width(sizes) for item in row]
            if sum(wide) + GAP > ROOM_WIDTH:
                return math.inf
            total += max(i.block.height(sizes, w + 1) for i, w in zip(row, wide)) + GAP
        return total - GAP

    def possible(self) -> list[Sizes]:
        """The sizes that come into question: large ones where there is little to read."""
        blocks = [item.block for item in self.items]
        if all(isinstance(block, Prose) for block in blocks):
            return [Sizes(CODE[-1], prose) for prose in PROSE]
        has_source = any(isinstance(b, Code) and not b.is_output for b in blocks)
        largest = LARGEST_SOURCE if has_source else CODE[0]
        owners = {item.cell.id for item in self.items if isinstance(item.block, Code | Table)}
        smallest = SHARED if len(owners) > 1 else CODE[-1]
        return [Sizes(code, PROSE[-1]) for code in CODE if smallest <= code <= largest]

    def is_unbroken(self, sizes: Sizes) -> bool:
        """Whether every line of code and output stays in one piece."""
        code = [item.block for item in self.items if isinstance(item.block, Code)]
        return all(block.width(sizes) <= ROOM_WIDTH for block in code)

    def takes(self, new: list[Item]) -> bool:
        """Add these if they fit, stacked or, code and printed text, beside each other."""
        before = self.items
        can_be_beside = len(new) == 2 and isinstance(new[1].block, Code | Table)
        for beside in (False, True) if can_be_beside else (False,):
            added = [Item(i.block, i.cell, i.step, beside and k > 0) for k, i in enumerate(new)]
            self.items = [*before, *added]
            if fitting := [sizes for sizes in self.possible() if self.needs(sizes) <= self.room]:
                self.sizes = next(filter(self.is_unbroken, fitting), fitting[0])
                if new:
                    self.cell = self.cell or new[0].cell.id
                return True
        self.items = before
        return False

    def scale(self, picture: Picture) -> float:
        """How large a picture on this frame is: it takes the room that the others leave."""
        n = sum(isinstance(item.block, Picture) for item in self.items)
        free = self.room - self.needs(self.sizes) - 4  # for what is rounded
        tall = (picture.height(self.sizes, 0) + free / n) / picture.natural[1]
        return min(tall, (FULL_WIDTH if self.is_full else ROOM_WIDTH) / picture.natural[0])


# ---- Blocks of a cell.


@cache
def formatter() -> HtmlFormatter:
    return HtmlFormatter(nowrap=True)


def code_block(source: str) -> Code:
    """Python code, highlighted line by line."""
    source = re.sub(r"\n{3,}", "\n\n", source.strip("\n"))  # one empty line says as much as two
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
    head = read[0] if in_head else ()
    body = tuple(row for row in read[in_head:] if any(row))
    if not body or len({len(row) for row in (*body, *([head] if head else []))}) > 1:
        return None
    found = Table(head, body)
    if found.width(SMALL) > ROOM_WIDTH and len(head) > 2 * len(body):  # turned, it may fit
        head, *body = zip(*(head, *body))
        found = Table(head, tuple(body))
    return found


def plot_block(content: bytes, source: str) -> Picture:
    """What a cell drew; its smallest type is the smallest that the cell asks for."""
    with Image.open(io.BytesIO(content)) as picture:
        natural = picture.size
    asked = [float(n) for n in re.findall(r"(?:font|label)size=([\d.]+)", source)]
    smallest = min([10.0, *asked]) * TYPE_IN_PLOTS
    address = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return Picture(address, "", natural, smallest)


def drawing_block(path: Path, alt: str) -> Picture:
    """One of the course's figures."""
    drawn = path.read_text(encoding="utf-8")
    *_, width, height = map(float, ET.fromstring(drawn).get("viewBox").split())
    sizes = [float(n) for n in re.findall(r'font-size="([\d.]+)', drawn)]
    drawn = LETTERS.sub(lambda m: m[1] + DARKER.get(m[2], m[2]), drawn)
    address = f"data:image/svg+xml;base64,{base64.b64encode(drawn.encode()).decode()}"
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
    if i - start < fits * 0.55:
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
    if isinstance(block, Table):
        for more in range(len(block.rows)):
            shorter = Table(block.head, block.rows[: len(block.rows) - more], more)
            if shorter.height(SMALL, ROOM_WIDTH) <= frame.room:
                return shorter
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
        if shorter.height(SMALL, ROOM_WIDTH) <= frame.room:
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

    def start(self, section: Section, headline: str = "", opens: bool = False) -> None:
        self.frames.append(Frame(section, headline, opens=opens))

    def go_on(self) -> None:
        """The next frame, with the same headline."""
        self.start(self.frame.section, self.frame.headline)

    def put(self, items: list[Item]) -> None:
        """Put items on the frame, or one by one on the next ones."""
        if not items or self.frame.takes(items):
            return
        for item in items:
            if self.frame.takes([item]):
                continue
            if self.frame.items:
                self.go_on()
                item.step = 0
            if not self.frame.takes([item]):
                self.put_alone(item)

    def put_alone(self, item: Item) -> None:
        """Put an item on a frame of its own, without what takes room from it, and cut if need be.

        A picture takes the place of the headline, and then that of the foot.
        """
        frame = self.frame
        if isinstance(item.block, Picture):
            frame.headline = ""
            if frame.takes([item]):
                return
            frame.is_full = True
        shorter = Item(cut(item.block, frame), item.cell, item.step)
        if not frame.takes([shorter]):
            frame.items, frame.sizes = [*frame.items, shorter], SMALL
            frame.cell = frame.cell or item.cell.id

    def prose(self, cell: Cell, section: Section) -> None:
        is_new = cell.slide in ("slide", "subslide") or not self.frames
        for k, text in enumerate(shorten(cell.source, headed=is_new)):
            items = items_of(cell, text.parts, self.chapter)
            if is_new or k or text.headline:
                self.start(section, text.headline, opens=cell.slide == "slide" and not k)
                self.frame.is_title = cell.source.startswith("# ")
            elif not self.has_room(items):
                text = shorten(cell.source)[0]
                self.start(section, text.headline)
                items = items_of(cell, text.parts, self.chapter)
            first = self.frame
            first.cell = first.cell or cell.id
            first.notes += text.left
            self.put(stepped(items, cell, bool(self.frame.items)))

    def has_room(self, items: list[Item]) -> bool:
        """Whether the frame could take them; they are not put there yet."""
        before, sizes = self.frame.items, self.frame.sizes
        fits = self.frame.takes(items)
        self.frame.items, self.frame.sizes = before, sizes
        return fits

    def code(self, cell: Cell, section: Section) -> None:
        if cell.slide in ("slide", "subslide") or not self.frames:
            self.start(section, opens=cell.slide == "slide")
        if "result" in cell.tags:  # its table is what counts
            self.put([Item(block, cell) for block in output_blocks(cell)])
            return
        if any(isinstance(item.block, Picture) for item in self.frame.items):
            self.go_on()  # a picture keeps its room
        source = Item(code_block(cell.source), cell, 1 if self.frame.items else 0)
        shown = [Item(b, cell, source.step + cell.folded) for b in output_blocks(cell)]
        if not self.frame.takes([source, *shown]):
            if not self.frame.takes([source]):
                if self.frame.items:
                    self.go_on()
                source.step = 0
                for item in shown:
                    item.step = int(cell.folded)
                if not self.frame.takes([source, *shown]):
                    self.source_alone(source)
                    self.put(shown)
            else:
                self.put(shown)
        if LATE in cell.tags:
            self.frame.late = True
        if cell.id in self.chapter.waits:
            self.frame.notes.insert(0, f"**{say('do not wait')}**")

    def source_alone(self, item: Item) -> None:
        """Code on a frame of its own, without the headline if that helps, or else divided."""
        if self.frame.takes([item]):
            return
        headline, self.frame.headline = self.frame.headline, ""
        if self.frame.takes([item]):
            return
        without = pieces(item.block, self.lines_of_code())
        self.frame.headline = headline
        found = pieces(item.block, self.lines_of_code())
        if len(without) < len(found):
            self.frame.headline, found = "", without
        for k, piece in enumerate(found):
            if k:
                self.go_on()
            if not self.frame.takes([Item(piece, item.cell)]):
                self.put_alone(Item(piece, item.cell))

    def lines_of_code(self) -> int:
        """How many lines of code an empty frame holds."""
        return int((self.frame.room - 2 * PRE_PADDING) / (SMALL.code * LEADING))


def stepped(items: list[Item], cell: Cell, is_later: bool) -> list[Item]:
    """The same; what a fragment adds to a frame appears at a key."""
    step = 1 if is_later and cell.slide == "fragment" else 0
    return [Item(i.block, i.cell, step) for i in items]


def plan_of(chapter: Chapter) -> Prose:
    """The sections with their place in the talk."""
    rows = [f"| {s.title} | {s.clock} |" for s in chapter.sections]
    return Prose(Part("table", "\n".join(["| | |", "|:--|--:|", *rows])))


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
                    column.put([Item(plan_of(chapter), cell)])
    return column.frames
