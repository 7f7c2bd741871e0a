"""Decks and handouts: what a slide shows and leaves out, that all of it fits, and what it needs."""

import base64
import hashlib
import html
import json
import re
import subprocess
import time
import urllib.request
import xml.etree.ElementTree as ET
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image
from pypdf import PdfReader

import slides.lab
import slides.vendor
from course.browser import Browser, program
from course.lessons import ROOT, chapters
from exercises.quiz import place_of_right
from playbook.tools import Missing
from slides.__main__ import main
from slides.chapter import RESUME, Chapter, read_chapter
from slides.deck import BUILD, deck_path, write_deck, write_index
from slides.frames import Code, Frame, Picture, code_block, cut, frames_of, pieces, table_block
from slides.handout import exercises, figure, shapes, takeaways, to_remember, write_handout
from slides.measure import CONTRAST, measured, save_sheet
from slides.quiz import draw, questions_of
from slides.quiz_deck import frames_of_quiz, write_quiz_deck
from slides.room import ROOM_WIDTH, SMALL, broken
from slides.shorten import Lines, Part, sentences, shorten

NAMES = list(chapters())
every_chapter = pytest.mark.parametrize("name", NAMES)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 760 {height}">'
    '<text x="5" y="20" font-size="{size}" fill="#9aa5b1">drawn</text></svg>'
)


def markdown(source: str, slide: str = "subslide", tag: str = ""):
    metadata = {"slideshow": {"slide_type": slide}, "tags": [tag] if tag else []}
    return new_markdown_cell(source, metadata=metadata)


def code(source: str, printed: str = "", folded: bool = False, slide: str = "fragment"):
    metadata = {"slideshow": {"slide_type": slide}, "jupyter": {"outputs_hidden": folded}}
    outputs = [new_output("stream", name="stdout", text=printed)] if printed else []
    return new_code_cell(source, metadata=metadata, outputs=outputs, execution_count=1)


@pytest.fixture
def course(tmp_path):
    """Makes a chapter of one section, with figures of these heights."""

    def make(*cells, minutes: int = 7, figures: dict[str, str] | None = None) -> Chapter:
        folder = tmp_path / "ch01"
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for name, drawn in (figures or {}).items():
            (folder / "figures" / name).write_text(drawn)
        plan = {"sections": [{"title": "1.1 A section", "minutes": minutes}]}
        title = markdown("# Chapter 1. A title", "slide")
        notebook = new_notebook(cells=[title, *cells], metadata={"course": plan})
        nbformat.write(notebook, folder / "ch01.ipynb")
        return read_chapter("ch01", tmp_path)

    return make


# ---- Prose.


def the(source: str) -> Lines:
    (lines,) = shorten(source)
    return lines


def test_a_question_is_the_headline_and_a_paragraph_its_first_sentence():
    lines = the("It has six tokens. How many scores will it give? Each has a set.\n\nMore. Later.")
    assert lines.headline == "How many scores will it give?"
    assert [part.shown for part in lines.parts] == ["It has six tokens.", "More."]
    assert lines.left == ["Each has a set.", "Later."]


def test_without_a_question_the_first_sentence_leads_and_the_next_one_follows():
    lines = the("Two layers are one layer. Something stands between. The rest is for notes.")
    assert lines.headline == "Two layers are one layer."
    assert [part.shown for part in lines.parts] == ["Something stands between."]
    assert lines.left == ["The rest is for notes."]


def test_a_heading_leads_and_begins_a_slide():
    first, second = shorten("## 4.2 Norm\n\nWhat becomes of it? No.\n\n### Later\n\nText.")
    assert (first.headline, second.headline) == ("4.2 Norm", "Later")
    assert first.parts == (Part("text", "What becomes of it?", "No."),)


def test_bold_words_takeaways_and_what_a_question_needs_stay():
    lines = the(
        "## A\n\nOne. Two. A **shortcut** adds. Three.\n\n"
        "First. Second. Suppose it is 3. It depends on x. Which one?\n\n"
        "**Takeaway.** It keeps its size. Always."
    )
    assert [part.shown for part in lines.parts] == [
        "One. A **shortcut** adds.",
        "First. Suppose it is 3. It depends on x. Which one?",
        "**Takeaway.** It keeps its size. Always.",
    ]
    assert lines.left == ["Two. Three.", "Second."]


def test_a_full_stop_inside_code_or_a_formula_ends_nothing():
    text = "Take `x. Then` and $0.5. X$, e.g. Paris. **Letters.** `B` texts. Done."
    assert sentences(text) == [
        "Take `x. Then` and $0.5. X$, e.g. Paris.",
        "**Letters.** `B` texts.",
        "Done.",
    ]


def test_pictures_tables_formulas_and_links():
    lines = the(
        "## A\n\nSee [the table](bonus/x.ipynb) here.\n\n![What it shows.](figures/a.svg)\n\n"
        "$$x^2$$\n\n| a |\n|---|\n| 1 |\n\n`bonus/x.ipynb` has more."
    )
    kinds = [(part.kind, part.shown) for part in lines.parts]
    assert kinds == [
        ("text", "See the table here."),
        ("picture", "figures/a.svg"),
        ("formula", "$$x^2$$"),
        ("table", "| a |\n|---|\n| 1 |"),
        ("text", ""),
    ]
    assert lines.left == ["What it shows.", "`bonus/x.ipynb` has more."]


@every_chapter
def test_no_sentence_is_lost_between_slides_and_notes(name):
    """Every sentence of every cell is shown or left to the notes, once, and none is invented."""
    for cell in read_chapter(name).cells:
        if cell.is_code:
            continue
        kept = [text for s in shorten(cell.source) for text in (s.headline, *of(s))]
        bare = re.compile(r"[\W_]+")
        found = sorted(w for text in kept for w in bare.split(re.sub(r"\(figures/.*?\)", "", text)))
        text = re.sub(r"\n\*\*Time\.\*\*.*|\*Your answer:\*", "", cell.source, flags=re.S)
        text = re.sub(r"\]\((?!http)[^)]*\)", "]", text)
        if "*Your answer:*" not in cell.source:  # there several texts are cut away
            wanted = sorted(w for w in bare.split(text))
            assert [w for w in found if w] == [w for w in wanted if w], cell.id


def of(lines: Lines) -> list[str]:
    shown = [part.shown for part in lines.parts if part.kind != "picture"]
    return [*shown, *lines.left]


# ---- Frames.


def plain(frames: list[Frame]) -> list[str]:
    """The lines of code on the frames, in order."""
    blocks = [item.block for frame in frames for item in frame.items]
    sources = [b for b in blocks if isinstance(b, Code) and not b.is_output]
    return [line for block in sources for line in block.plain if line.strip()]


@every_chapter
def test_every_line_of_code_is_on_a_slide(name):
    chapter = read_chapter(name)
    cells = [c for c in chapter.code if c.slide != "skip" and not {RESUME, "result"} & c.tags]
    wanted = [line for c in cells for line in c.source.splitlines() if line.strip()]
    assert plain(frames_of(chapter)) == wanted


def test_slide_types_make_columns_frames_and_steps(course):
    chapter = course(
        markdown("## 1.1 A section\n\nText.", "slide"),
        code("x = 1\nprint(x)", "1"),
        markdown("What is it made of? It is this.", "subslide"),
        code("print(2)", "2", folded=True),
        markdown("**Takeaway.** So it is.", "fragment"),
        markdown("Not shown.", "skip"),
        markdown("Said, not shown.", "notes"),
    )
    title, first, second = frames_of(chapter)
    assert title.is_title and first.opens and not second.opens
    assert [item.step for item in first.items] == [0, 1, 1]
    assert second.headline == "What is it made of?" and second.notes == ["Said, not shown."]
    assert [item.step for item in second.items] == [0, 1, 2, 1]  # the output after a guess


def test_long_code_is_cut_at_definitions_and_numbered():
    source = "\n\n".join(f"def f{i}():\n" + "    x = 1\n" * 8 for i in range(6))
    found = pieces(code_block(source), 25)
    assert [piece.part for piece in found] == ["1/3", "2/3", "3/3"]
    assert all(piece.plain[0].startswith("def f") for piece in found)
    assert [line for piece in found for line in piece.plain if line] == [
        line for line in source.split("\n") if line
    ]


def test_a_long_output_says_how_much_is_left_out(course):
    chapter = course(markdown("## 1.1 A section", "slide"), code("go()", "line\n" * 99))
    (block,) = (
        i.block
        for frame in frames_of(chapter)
        for i in frame.items
        if isinstance(i.block, Code) and i.block.is_output
    )
    n = len(block.plain) - 1
    assert n > 20 and block.plain[-1] == f"… {99 - n} more lines in the notebook"


def test_a_long_table_says_how_much_is_left_out(course):
    rows = "".join(f"<tr><th>{i}</th><td>a</td></tr>" for i in range(60))
    table = table_block(f"<table><thead><tr><th></th><th>x</th></tr></thead>{rows}</table>")
    shorter = cut(table, Frame(course().sections[0]))
    assert len(shorter.rows) + shorter.more == 60 and len(shorter.rows) > 15


def test_a_table_too_wide_is_turned_or_its_cells_are_broken():
    cells = "".join(f"<td>token {i}</td>" for i in range(30))
    head = "".join(f"<th>{i}</th>" for i in range(30))
    wide = table_block(f"<table><thead><tr>{head}</tr></thead><tr>{cells}</tr></table>")
    assert len(wide.rows) == 29 and wide.head == ("0", "token 0")
    text = "word " * 60
    long = table_block(f"<table><tr><td>a</td><td>{text}</td><td>{text}</td></tr></table>")
    assert sum(long.widths(SMALL, ROOM_WIDTH)) <= ROOM_WIDTH + 0.01
    assert long.height(SMALL, ROOM_WIDTH) > 3 * SMALL.code


def test_a_picture_takes_the_room_until_its_letters_can_be_read(course):
    drawn = {"a.svg": SVG.format(height=250, size=14), "b.svg": SVG.format(height=530, size=14)}
    chapter = course(
        markdown("## 1.1 A section\n\nText.\n\n![A](figures/a.svg)", "slide"),
        markdown("What do we see now?\n\nText.\n\n![B](figures/b.svg)"),
        figures=drawn,
    )
    _, small, before, full = frames_of(chapter)
    assert small.headline and isinstance(small.items[1].block, Picture) and not small.is_full
    assert before.headline == "What do we see now?" and full.is_full and not full.headline
    for frame in (small, full):
        (picture,) = (i.block for i in frame.items if isinstance(i.block, Picture))
        assert picture.type * frame.scale(picture) >= 17.5
        letters = base64.b64decode(picture.address.partition(",")[2]).decode()
        assert "#9aa5b1" not in letters  # too pale for a call


def test_lines_break_at_blanks():
    assert broken("a" * 10, 10) == 1
    assert broken("aaaa bbbb cccc", 6) == 3
    assert broken("a" * 25, 10) == 3
    assert broken("한국어", 5) == 2  # each is as wide as two letters


# ---- What is fetched.


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_only_known_files_are_taken_from_the_first_source_that_has_them(cache, monkeypatch, capsys):
    files = {"dist/reveal.js": b"//", "LICENSE": b"MIT"}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(slides.vendor, "FILES", digests)

    def silent():
        raise OSError("no network")

    changed = files | {"LICENSE": b"mine"}
    slides.vendor.fetch([("a", silent), ("b", lambda: changed), ("c", lambda: files)])
    said = capsys.readouterr().out
    assert "not there: no network" in said and "LICENSE has not the known SHA-256" in said
    assert slides.vendor.is_there()
    (slides.vendor.folder() / "LICENSE").write_bytes(b"mine")
    assert not slides.vendor.is_there()


def test_without_any_source_a_sentence_says_what_to_do(cache):
    with pytest.raises(Missing, match="PIP_INDEX_URL.*npm.*python -m slides.vendor"):
        slides.vendor.fetch([])
    assert not cache.exists()


# ---- Decks.


def need_reveal() -> None:
    if not slides.vendor.is_there():
        pytest.skip("needs reveal.js: python -m slides.vendor")


@pytest.fixture(scope="module")
def decks(tmp_path_factory) -> Path:
    """The decks of all chapters, in a folder of their own; it stands for the course's folder."""
    need_reveal()
    folder = tmp_path_factory.mktemp("decks")
    for name in NAMES:
        write_deck(read_chapter(name), root=ROOT, out=folder)
    return folder


@pytest.mark.slow
def test_a_deck_needs_nothing_but_itself(decks):
    for name in NAMES:
        text = (decks / f"{name}.html").read_text(encoding="utf-8")
        own = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
        fetched = re.findall(r"""(?:src=|url\(|<link[^>]*href=)\s*["']?([^"')\s>]+)""", own)
        assert len(fetched) > 5 and {to[:5] for to in fetched} == {"data:"}


@pytest.mark.slow
def test_each_slide_has_its_clock_its_cell_and_what_it_leaves_out(decks):
    chapter = read_chapter("ch04")
    text = (decks / "ch04.html").read_text(encoding="utf-8")
    found = re.findall(r'<section id="s[^"]*" data-cell="([^"]*)".*?</section>', text, re.S)
    ids = {cell.id for cell in chapter.cells}
    assert len(found) > 40 and set(found) <= ids
    for clock in (section.clock for section in chapter.sections):
        assert f'<span class="clock">{clock}</span>' in text
    assert "/doc/tree/my/ch04/ch04.ipynb#cell-id=ch04-s42" in text
    left = [s for c in chapter.cells if not c.is_code for p in shorten(c.source) for s in p.left]
    words = re.sub(r"<[^>]+>", "", " ".join(re.findall(r"<aside.*?</aside>", text, re.S)))
    sentence = next(s for s in left if s.isascii() and "`" not in s and "$" not in s)
    assert " ".join(sentence.split()) in " ".join(html.unescape(words).split())


@pytest.mark.slow
def test_letters_in_figures_stand_out(decks):
    """All colours of letters against white, as a browser cannot look into a picture."""

    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    seen = set()
    for path in decks.glob("*.html"):
        for data in re.findall(r'src="data:image/svg\+xml;base64,([^"]+)', path.read_text("utf-8")):
            root = ET.fromstring(base64.b64decode(data))
            texts = (e for e in root.iter() if e.tag.rpartition("}")[2] in ("text", "tspan"))
            seen |= {e.get("fill") for e in texts if e.get("fill")}
    assert len(seen) > 2
    assert {c for c in seen if 1.05 / (light(c) + 0.05) < CONTRAST} == set()


def need_chromium() -> str:
    if (found := program()) is None:
        pytest.skip("needs chromium: sudo apt install chromium")
    pytest.importorskip("websocket")
    return found


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    browser = Browser(need_chromium(), tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.mark.slow
@every_chapter
def test_no_slide_overflows(name, decks, window):
    """Every slide as a call shows it; a picture of them all is kept in slides/_build/pictures."""
    found = measured(window, decks / f"{name}.html")
    sheet = ROOT / BUILD / "pictures" / f"{name}.jpg"
    save_sheet(window, sheet)
    with Image.open(sheet) as picture:
        assert picture.width > 2000 and picture.height > 360 * len(found) / 5
    assert len(found) > 30
    faults = {slide: wrong for slide, wrong in found.items() if wrong}
    assert faults == {}


@pytest.mark.slow
def test_what_overflows_is_found(course, window, tmp_path):
    """The measuring sees what it is there for: too much text, small type, pale letters."""
    need_reveal()
    path = write_deck(course(markdown("## 1.1 A section\n\nText.", "slide")), root=tmp_path)
    text = path.read_text(encoding="utf-8")
    assert [wrong for wrong in measured(window, path).values() if wrong] == []
    for change, word in (
        ("<p>" + "Text. " * 900 + "</p>", "leaves the frame"),
        ('<p style="font-size: 20px">Small.</p>', "type of 20 px"),
        ('<p style="color: #999999">Pale.</p>', "contrast of 2.8"),
        ('<div style="height: 40px; overflow: auto">' + "Text.<br>" * 9 + "</div>", "scrolls"),
        ('<p>a</p></div><div style="margin-top: -60px"><p>b</p>', "lie on each other"),
    ):
        path.write_text(text.replace("<p>Text.</p>", change), encoding="utf-8")
        assert word in " ".join(w for wrong in measured(window, path).values() for w in wrong)


@pytest.mark.slow
def test_s_opens_the_speaker_notes_from_a_file(decks, window):
    import websocket

    window.open((decks / "ch04.html").as_uri(), 1280, 720)
    said = window.ask(
        """(() => {
          const slide = Reveal.getSlides().find(s => s.querySelector("aside.notes p"));
          const at = Reveal.getIndices(slide);
          Reveal.slide(at.h, at.v);
          return slide.querySelector("aside.notes p").textContent;
        })()"""
    )
    for kind in ("keyDown", "keyUp"):
        key = {"key": "s", "code": "KeyS", "windowsVirtualKeyCode": 83}
        window.tell("Input.dispatchKeyEvent", type=kind, **key)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    notes, deadline = "", time.monotonic() + 60
    while said[:30] not in notes:
        assert time.monotonic() < deadline, f"{notes!r} does not say {said!r}"
        time.sleep(0.5)
        with opener.open(f"http://127.0.0.1:{window.port}/json/list", timeout=10) as answer:
            targets = [t for t in json.load(answer) if "Speaker View" in t["title"]]
        for target in targets:
            socket = websocket.create_connection(
                target["webSocketDebuggerUrl"], timeout=60, suppress_origin=True
            )
            expression = 'document.querySelector(".speaker-controls-notes").innerText'
            params = {"expression": expression, "returnByValue": True}
            socket.send(json.dumps({"id": 1, "method": "Runtime.evaluate", "params": params}))
            notes = json.loads(socket.recv())["result"]["result"].get("value", "")
            socket.close()
    assert len(said) > 10


def test_a_question_never_stands_beside_its_answer():
    chapter = read_chapter("ch04")
    questions = draw(questions_of(chapter), seed=3)
    frames = frames_of_quiz(chapter, questions)
    texts = [" ".join(item.block.part.shown for item in frame.items) for frame in frames]
    assert [frame.opens for frame in frames] == [True, False] * 10
    assert frames[0].section.clock == f"{chapter.minutes}–{chapter.minutes + 10} min"
    for question, asked, answered in zip(questions, texts[::2], texts[1::2]):
        right = question["choices"][place_of_right(question)]
        assert str(question["question"]) in asked and right["why"] in answered
        assert all(str(c["text"]) in asked and c["why"] not in asked for c in question["choices"])


@pytest.mark.slow
def test_no_question_overflows(tmp_path, window):
    need_reveal()
    for name in ("ch02", "ch07"):
        chapter = read_chapter(name)
        path = write_quiz_deck(chapter, draw(questions_of(chapter), seed=1, n=40), tmp_path)
        assert [wrong for wrong in measured(window, path).values() if wrong] == []


def test_the_index_shows_what_there_is(course, tmp_path):
    chapter = course(markdown("## 1.1 A section", "slide"))
    folder = deck_path("ch01", tmp_path).parent
    folder.mkdir(parents=True)
    text = write_index(tmp_path).read_text(encoding="utf-8")
    assert chapter.title in text and "ch01.html" not in text
    for name in ("ch01.html", "ch01-handout.pdf"):
        (folder / name).write_text('<section id="s1-1">')
    text = write_index(tmp_path).read_text(encoding="utf-8")
    assert 'href="ch01.html"' in text and "slides: 1" in text
    assert 'href="ch01-handout.pdf"' in text and "ch01-sheet.html" not in text


# ---- The notebook on a shared screen.


def test_jupyterlab_for_a_call_has_large_type_and_one_notebook(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(subprocess, "call", lambda *a, **k: calls.append((*a, k)) or 0)
    monkeypatch.setattr(slides.lab, "make_copies", lambda: [])
    monkeypatch.setattr(slides.lab, "BUILD", tmp_path)
    assert main(["lab", "ch04", "--port", "9"]) == 0
    ((command, how),) = calls
    assert "--LabApp.default_url=/doc/tree/my/ch04/ch04.ipynb" in command
    assert command[-1] == "--port=9"
    folder = Path(how["env"]["JUPYTERLAB_SETTINGS_DIR"])
    themes = folder / "@jupyterlab/apputils-extension/themes.jupyterlab-settings"
    sizes = json.loads(themes.read_text())["overrides"]
    assert sizes["code-font-size"] == sizes["content-font-size1"] == "20px"
    assert not Path(how["env"]["JUPYTERLAB_WORKSPACES_DIR"]).exists()
    assert main(["lab"]) == 2


# ---- Handouts.


@every_chapter
def test_five_sentences_to_remember_come_from_the_takeaways(name):
    chapter = read_chapter(name)
    found = to_remember(chapter)
    assert len(found) == len(set(found)) == 5
    assert set(found) <= {s for _, own in takeaways(chapter) for s in own}


@every_chapter
def test_a_handout_has_the_exercises_and_a_figure(name):
    chapter = read_chapter(name)
    path = chapter.folder / "exercises.ipynb"
    n = path.read_text(encoding="utf-8").count("*Difficulty ") if path.exists() else 0
    assert len(exercises(chapter)) == n
    address, depicts = figure(chapter)
    assert (chapter.folder / address).is_file() and depicts


def test_shapes_are_those_of_the_final_definitions():
    assert dict(shapes(read_chapter("ch04")))["TransformerBlock"] == "x (B, T, C) -> (B, T, C)"
    names = [name for name, _ in shapes(read_chapter("ch03"))]
    assert "MultiHeadAttention" in names and "SelfAttentionV1" not in names


def test_the_figure_is_the_first_one_or_the_one_that_is_named(course):
    drawn = {f"{name}.svg": SVG.format(height=90, size=14) for name in "ab"}
    text = "## 1.1 A section\n\n![One.](figures/a.svg)\n\n![Two.](figures/b.svg)"
    chapter = course(markdown(text, "slide"), figures=drawn)
    assert figure(chapter) == ("figures/a.svg", "One.")
    chapter.metadata["figure"] = "figures/b.svg"
    assert figure(chapter) == ("figures/b.svg", "Two.")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ch03", "ch04"])
def test_a_handout_is_one_page(name, tmp_path):
    chapter = read_chapter(name)
    path = write_handout(chapter, tmp_path)
    (page,) = PdfReader(path).pages
    text = re.sub(r"\s+", " ", page.extract_text())
    for exercise in exercises(chapter):
        assert exercise.title.split(" ")[0] in text
    words = re.sub(r"[^a-z ]", "", to_remember(chapter)[0].lower()).split()
    assert words[1] in text.lower() and not list(path.parent.glob("*.part"))
