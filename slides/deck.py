"""Decks: one HTML file for each chapter, with all that it needs inside, and an index of them.

    python -m slides deck ch04      # slides/_build/ch04.html and slides/_build/index.html

What stands on a slide is decided by shorten.py (prose) and frames.py (everything else), from the
main notebook and its committed outputs. reveal.js shows it; `S` opens the speaker notes.
"""

import argparse
import base64
import html
import io
import re
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import jinja2

from course.files import written_whole
from course.lessons import ROOT, chapters
from playbook.tools import Failed, Missing, pandoc
from slides.chapter import Chapter, read_chapter, read_chapters
from slides.frames import Code, Frame, Item, Prose, Table, frames_of
from slides.room import ROOM_WIDTH, Sizes, mono_font
from slides.vendor import SANS, reveal
from slides.words import language, say

LAYOUT = Path(__file__).resolve().parent / "layout"
BUILD = "slides/_build"
LAB = "http://localhost:8888"  # where `make lab` shows the notebooks
MARK = "QQSLIDE{}QQ"  # a paragraph of its own between two texts, which no notebook holds


@dataclass(frozen=True)
class Page:
    """A frame as HTML."""

    frame: Frame
    id: str
    number: str
    cell: str
    link: str
    seconds: int  # by the plan
    headline: str
    body: str
    notes: str


class Typist:
    """Markdown into HTML: all texts of a chapter at once, for pandoc takes its time to start."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def key(self, markdown: str) -> int:
        self.texts.append(markdown)
        return len(self.texts) - 1

    def typed(self) -> list[str]:
        """The HTML of every text. Raises: Missing without pandoc, Failed if it refuses."""
        marked = "\n\n".join(f"{MARK.format(i)}\n\n{text}" for i, text in enumerate(self.texts))
        page, _ = pandoc(marked, "-t", "html5", "--mathml", "--wrap=none", "--no-highlight")
        found = re.split(rf"<p>{MARK.format('[0-9]+')}</p>", page)[1:]
        assert len(found) == len(self.texts), "a text has swallowed the mark behind it"
        return [part.strip() for part in found]


# ---- Blocks as HTML.


def shown(item: Item, frame: Frame, texts: dict[int, str]) -> str:
    block = item.block
    if isinstance(block, Prose):
        return f'<div class="{"takeaway" if block.part.kind == "takeaway" else "prose"}">' + (
            f"{texts[id(block)]}</div>"
        )
    if isinstance(block, Code):
        kind = "output" if block.is_output else "code"
        part = f' data-part="{block.part}"' if block.part else ""
        return f'<pre class="{kind}"{part}>' + "\n".join(block.lines) + "</pre>"
    if isinstance(block, Table):
        return table(block, frame.sizes)
    scale = frame.scale(block)
    width, height = (int(side * scale) for side in block.natural)
    return (
        f'<div class="picture"><img src="{block.address}" alt="{html.escape(block.alt)}" '
        f'width="{width}" height="{height}" data-type="{block.type * scale:.1f}"></div>'
    )


def table(block: Table, sizes: Sizes) -> str:
    words = [any(re.search(r"[^\W\d_]{2}", text) for text in column) for column in zip(*block.rows)]

    def cells(row: Iterable[str], tag: str) -> str:
        out = []
        for k, text in enumerate(row):
            kind = ' class="words"' if words[k] else ""
            out.append(f"<{tag if k else 'th'}{kind}>{html.escape(text)}</{tag if k else 'th'}>")
        return f"<tr>{''.join(out)}</tr>"

    head = f"<thead>{cells(block.head, 'th')}</thead>" if any(block.head) else ""
    body = "".join(cells(row, "td") for row in block.rows)
    if block.more:
        n = len(block.rows[0])
        body += f'<tr><td class="words" colspan="{n}">{say("more rows", n=block.more)}</td></tr>'
    style = columns = ""
    if block.width(sizes) > ROOM_WIDTH:
        style = ' style="table-layout: fixed; width: 100%"'
        widths = block.widths(sizes, ROOM_WIDTH)
        columns = "".join(f'<col style="width: {width:.0f}px">' for width in widths)
    return f'<div><table class="output"{style}>{columns}{head}<tbody>{body}</tbody></table></div>'


def body(frame: Frame, texts: dict[int, str]) -> str:
    """The items in rows; what appears at the same key has the same number."""
    steps: list[tuple[str, int]] = []
    rows = []
    for row in frame.rows():
        parts = []
        for item in row:
            part = shown(item, frame, texts)
            if item.step:
                step = (item.cell.id, item.step)
                if step not in steps:
                    steps.append(step)
                part = re.sub(r"\A<(\w+)( class=\"([^\"]*)\")?", with_step(steps.index(step)), part)
            parts.append(part)
        rows.append(
            "".join(parts) if len(parts) == 1 else f'<div class="row">{"".join(parts)}</div>'
        )
    return "\n".join(rows)


def with_step(number: int):
    def change(m: re.Match) -> str:
        return f'<{m[1]} class="{(m[3] or "").strip()} fragment" data-fragment-index="{number}"'

    return change


# ---- A deck.


def pages_of(
    chapter: Chapter, frames: list[Frame], lab: str = LAB, root: Path = ROOT
) -> list[list[Page]]:
    """A chapter's frames as pages, by columns."""
    typist = Typist()
    headlines = [typist.key(frame.headline or "x") for frame in frames]
    prose = {
        id(item.block): typist.key(item.block.part.shown)
        for frame in frames
        for item in frame.items
        if isinstance(item.block, Prose)
    }
    notes = [typist.key("\n\n".join(notes_of(frame)) or "x") for frame in frames]
    typed = typist.typed()
    texts = {block: typed[key] for block, key in prose.items()}
    shares = Counter(frame.section.number for frame in frames)
    pages: list[list[Page]] = []
    for frame, headline, note in zip(frames, headlines, notes):
        if frame.opens or not pages:
            pages.append([])
        tag = "h1" if frame.is_title else "h2"
        inner = re.sub(r"\A<p>|</p>\Z", "", typed[headline])
        number = f"{len(pages)}.{len(pages[-1]) + 1}"
        pages[-1].append(
            Page(
                frame=frame,
                id=f"s{number.replace('.', '-')}",
                number=number,
                cell=frame.cell,
                link=link_to(chapter, frame.cell, lab, root) if frame.cell else "",
                seconds=round(60 * frame.section.minutes / shares[frame.section.number]),
                headline=f"<{tag}>{inner}</{tag}>" if frame.headline else "",
                body=body(frame, texts),
                notes=typed[note] if notes_of(frame) else "",
            )
        )
    return pages


def notes_of(frame: Frame) -> list[str]:
    """What the presenter sees beside the slide."""
    found = list(frame.notes)
    if any(item.cell.folded for item in frame.items):
        found.insert(0, f"**{say('ask first')}**")
    if frame.late:
        found.insert(0, f"**{say('skip when late')}**")
    return found


def link_to(chapter: Chapter, cell: str, lab: str, root: Path) -> str:
    """The cell in JupyterLab as `make lab` shows it: in the copy that one works in.

    /doc/ shows a notebook alone, as `make lab PRESENT=ch04` does, and keeps its address. At /lab/
    the address becomes that of the folder, so a cell cannot be asked for.
    """
    notebook = chapter.path.relative_to(root).as_posix()
    return f"{lab}/doc/tree/my/{notebook}#cell-id={cell}"


def fonts(text: str) -> str:
    """The typefaces as style rules, with no more letters than the text has."""
    known = {c for c in text if c.isprintable()}
    faces = [
        ("Deck Sans", "400", "normal", reveal() / f"{SANS}-regular.ttf"),
        ("Deck Sans", "600", "normal", reveal() / f"{SANS}-semibold.ttf"),
        ("Deck Sans", "400", "italic", reveal() / f"{SANS}-italic.ttf"),
        ("Deck Mono", "400", "normal", mono_font()),
        ("Deck Mono", "700", "normal", mono_font().with_name("DejaVuSansMono-Bold.ttf")),
        ("Deck Signs", "400", "normal", mono_font().with_name("DejaVuSans.ttf")),
    ]
    rules = []
    for family, weight, style, path in faces:
        data = base64.b64encode(subset(path, known)).decode()
        rules.append(
            f'@font-face {{ font-family: "{family}"; font-weight: {weight}; font-style: {style}; '
            f"src: url(data:font/woff;base64,{data}); }}"
        )
    return "\n".join(rules)


def subset(path: Path, letters: set[str]) -> bytes:
    """A typeface with these letters only."""
    from fontTools import subset as tool

    options = tool.Options(
        flavor="woff", layout_features=["kern", "tnum", "mark"], notdef_outline=True
    )
    options.drop_tables += ["FFTM", "webf"]
    with tool.load_font(str(path), options) as font:
        cutter = tool.Subsetter(options)
        cutter.populate(unicodes=[ord(letter) for letter in letters])
        cutter.subset(font)
        file = io.BytesIO()
        font.flavor = "woff"
        font.save(file)
    return file.getvalue()


def deck(chapter: Chapter, frames: list[Frame], lab: str = LAB, root: Path = ROOT) -> str:
    """Frames as HTML. Raises: Missing without reveal.js or pandoc, Failed if pandoc refuses."""
    columns = pages_of(chapter, frames, lab, root)
    base = reveal()
    text = "".join(p.headline + p.body + p.notes for c in columns for p in c) + chapter.title
    text += "".join(frame.section.title + frame.section.clock for frame in frames) + "0123456789.…"
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(LAYOUT, encoding="utf-8"), trim_blocks=True
    )
    return jinja.get_template("deck.html").render(
        chapter=chapter,
        columns=columns,
        language=language(),
        fonts=fonts(re.sub(r"base64,[^\"]*", "", text)),
        css=(LAYOUT / "deck.css").read_text(encoding="utf-8"),
        reveal_css=(base / "dist/reveal.css").read_text(encoding="utf-8"),
        reveal_js=(base / "dist/reveal.js").read_text(encoding="utf-8"),
        notes_js=(base / "plugin/notes/notes.js").read_text(encoding="utf-8"),
    )


def build_folder(root: Path = ROOT) -> Path:
    """Where decks and what belongs to them lie; a language has its own."""
    own = language()
    return root / BUILD / ("" if own == "en" else own)


def deck_path(name: str, root: Path = ROOT) -> Path:
    return build_folder(root) / f"{name}.html"


def write_deck(
    chapter: Chapter, lab: str = LAB, root: Path = ROOT, out: Path | None = None
) -> Path:
    """Write a chapter's deck into slides/_build, or another folder."""
    path = (out or build_folder(root)) / f"{chapter.name}.html"
    text = deck(chapter, frames_of(chapter), lab, root)
    with written_whole(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return path


# ---- The index.


def write_index(root: Path = ROOT) -> Path:
    """A page with all chapters, and what has been built of each."""
    folder = build_folder(root)
    rows = []
    for name in chapters(root):
        chapter = read_chapter(name, root)
        built = folder / f"{name}.html"
        n = built.read_text(encoding="utf-8").count('<section id="s') if built.exists() else ""
        own = [
            (say("sheet"), f"{name}-sheet.html"),
            (say("handout"), f"{name}-handout.pdf"),
            (say("questions"), f"{name}-quiz.html"),
        ]
        links = [(word, file if (folder / file).exists() else "") for word, file in own]
        notebook = chapter.path.relative_to(root).as_posix()
        links += [
            (say("notebook"), f"{LAB}/lab/tree/my/{notebook}"),
            (say("exercises"), f"{LAB}/lab/tree/my/{name}/exercises.ipynb"),
        ]
        if not (root / name / "exercises.ipynb").exists():
            links[-1] = (say("exercises"), "")
        rows.append(
            {
                "title": chapter.title,
                "minutes": say("minutes", n=chapter.minutes),
                "slides": say("slides", n=n) if n else "",
                "deck": built.name if built.exists() else "",
                "links": links,
            }
        )
    heads = [say("chapter"), "", "", "", "", "", "", ""]
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader(LAYOUT, encoding="utf-8"), autoescape=True
    )
    text = jinja.get_template("index.html").render(
        rows=rows, heads=heads, language=language(), say=say
    )
    path = folder / "index.html"
    with written_whole(path) as draft:
        draft.write_text(text, encoding="utf-8")
    return path


# ---- The command.


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--lab", default=LAB, help="where JupyterLab runs; %(default)s")


def run(arguments: argparse.Namespace) -> int:
    try:
        for chapter in read_chapters(arguments.chapters):
            path = write_deck(chapter, arguments.lab)
            print(f"{path.relative_to(ROOT).as_posix()}")
        print(f"{write_index().relative_to(ROOT).as_posix()}")
    except (Missing, Failed) as error:
        print(error, file=sys.stderr)
        return 1
    return 0
