"""The Korean edition follows from the English one, and every text of a translated unit is there."""

import json
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import yaml
from course_files import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from course.browser import Browser, program
from korean.__main__ import entries_of, main, merge, to_do
from korean.build import built, stale, with_links, write
from korean.catalogue import Entry, read_catalogue, updated, write_catalogue
from korean.check import faults, glossary
from korean.texts import Text, catalogue_path, texts_of, translated, units

TERMS = [("finetuning", "미세 튜닝", "미세 조정")]
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" aria-label="Two boxes"><title>Boxes</title>'
    '<text x="1">tokens</text><text x="2">B</text><text x="3">12</text></svg>'
)
QUIZ = [
    {
        "section": "9.1",
        "question": "How many?",
        "choices": [
            {"text": "`3`", "why": "It counts.", "right": True},
            {"text": "`4`", "why": "It does not."},
        ],
    }
]


@pytest.fixture
def root(tmp_path) -> Path:
    """A course of one small chapter."""
    folder = tmp_path / "ch09"
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "boxes.svg").write_text(SVG, encoding="utf-8")
    (folder / "quiz.yaml").write_text(yaml.safe_dump(QUIZ), encoding="utf-8")
    cells = [
        new_markdown_cell("# Chapter 9. Small\n\nIt counts `x`.", id="title"),
        new_markdown_cell("## 9.1 One\n\n![Boxes](figures/boxes.svg) [it](count.py)", id="one"),
        new_code_cell("print(3)", id="code", execution_count=1),
    ]
    cells[-1].outputs = [new_output("stream", text="3\n")]
    notebook = new_notebook(cells=cells)
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3"},
        "course": {
            "title": "Chapter 9. Small",
            "sections": [{"title": "9.1 One", "minutes": 5}],
            "asked": [{"question": "Why?", "answer": "Because."}],
        },
    }
    nbformat.write(notebook, folder / "ch09.ipynb")
    (folder / "count.py").write_text("")
    for name, page in (
        ("README.md", "# Course\n\nRead [9](ch09/ch09.ipynb).\n\n```\nmake\n```\n"),
    ):
        (tmp_path / name).write_text(page)
    return tmp_path


KOREAN = {
    "title": "# 9장. 작은 장\n\n`x`를 셉니다.",
    "one": "## 9.1 하나\n\n![상자](figures/boxes.svg) [모듈](count.py)",
    "asked 1 question": "왜 그런가요?",
    "asked 1 answer": "그렇기 때문입니다.",
    "boxes.svg name": "상자 두 개",
    "boxes.svg 1": "상자",
    "boxes.svg 2": "토큰",
    "quiz 1": "몇 개인가요?",
    "quiz 1 choice 1": "`3`",
    "quiz 1 why 1": "셉니다.",
    "quiz 1 choice 2": "`4`",
    "quiz 1 why 2": "세지 않습니다.",
}


def translate(root: Path) -> None:
    path = root / "korean.yaml"
    path.write_text(yaml.safe_dump(KOREAN, allow_unicode=True), encoding="utf-8")
    assert merge("ch09", path, root) == len(KOREAN)


# ---- The course.


@pytest.mark.parametrize("unit", units())
def test_every_text_of_a_unit_has_a_name_of_its_own(unit: str):
    assert len(texts_of(unit)) > 10


@pytest.mark.parametrize("unit", translated())
def test_every_text_has_its_korean_and_no_program_finds_fault(unit: str):
    found = [f"{entry.text.context}: {why}" for entry, why in to_do(entries_of(unit))]
    assert found == [], f"{len(found)} texts: python -m korean list {unit}"


@pytest.mark.parametrize("unit", translated())
def test_a_catalogue_and_what_is_built_follow_from_their_sources(unit: str, tmp_path: Path):
    """What `make ko` would write is there already, to the last byte."""
    path = tmp_path / "ko.po"
    write_catalogue(entries_of(unit), path)
    assert path.read_bytes() == catalogue_path(unit).read_bytes(), "run make ko"
    assert stale(unit) == [], "run make ko"


def test_the_glossary_has_its_terms_and_none_twice():
    terms = {english: korean for english, korean, _ in glossary()}
    assert len(terms) >= 150 and terms["attention"] == "어텐션"
    lines = (ROOT / "ko" / "glossary.md").read_text(encoding="utf-8").splitlines()
    names = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    assert len(names) == len(set(names))


# Says which words of the drawing that is shown leave it or their box, or lie on others.
DRAWN = """
(() => {
  const svg = document.documentElement, view = svg.viewBox.baseVal, wrong = [];
  const back = svg.getScreenCTM().inverse();
  const box = element => {
    const own = element.getBBox(), matrix = back.multiply(element.getScreenCTM());
    const xs = [], ys = [];
    for (const x of [own.x, own.x + own.width]) for (const y of [own.y, own.y + own.height]) {
      const point = new DOMPoint(x, y).matrixTransform(matrix);
      xs.push(point.x);
      ys.push(point.y);
    }
    const left = Math.min(...xs), top = Math.min(...ys);
    return {left, top, right: Math.max(...xs), bottom: Math.max(...ys)};
  };
  const labels = [...svg.querySelectorAll("text")].filter(t => t.textContent.trim()).map(t => {
    const found = box(t), spare = (found.bottom - found.top) / 5;  // above and below the letters
    return {...found, top: found.top + spare, bottom: found.bottom - spare, words: t.textContent};
  });
  const size = b => (b.right - b.left) * (b.bottom - b.top);
  const frames = [...svg.querySelectorAll("rect")].map(box).sort((a, b) => size(a) - size(b));
  const drawing = {left: view.x, top: view.y, right: view.x + view.width,
                   bottom: view.y + view.height};
  labels.forEach((label, i) => {
    const x = (label.left + label.right) / 2, y = (label.top + label.bottom) / 2;
    const around = frames.find(f => f.left <= x && x <= f.right && f.top <= label.top
                                    && label.bottom <= f.bottom) || drawing;
    if (label.left < around.left - 0.5 || label.right > around.right + 0.5
        || label.top < drawing.top || label.bottom > drawing.bottom)
      wrong.push(`${label.words} has no room`);
    for (const other of labels.slice(0, i))
      if (Math.min(label.right, other.right) - Math.max(label.left, other.left) > 1
          && Math.min(label.bottom, other.bottom) - Math.max(label.top, other.top) > 1)
        wrong.push(`${label.words} lies on ${other.words}`);
  });
  return wrong;
})()
"""
WORDS = '<text x="10" y="25" font-size="20">{}</text>'
BOX = '<rect width="100" height="40" fill="none"/>'


@pytest.fixture(scope="module")
def window(tmp_path_factory) -> Iterator[Browser]:
    if (chromium := program()) is None:
        pytest.skip("needs chromium: sudo apt install chromium")
    window = Browser(chromium, tmp_path_factory.mktemp("profile"))
    yield window
    window.close()


def crowded(window: Browser, path: Path) -> list[str]:
    window.open(path.resolve().as_uri(), 1200)
    return window.ask(DRAWN)


def test_the_words_of_every_korean_drawing_have_their_room(window):
    """In the font that this machine has for Hangul."""
    drawings = sorted((ROOT / "ko").glob("**/*.svg"))
    found = {path.name: wrong for path in drawings if (wrong := crowded(window, path))}
    assert found == {} and len(drawings) > 50


@pytest.mark.parametrize(
    ("drawn", "wrong"),
    [
        (BOX + WORDS.format("한 줄"), []),
        (BOX + WORDS.format("한 줄짜리 긴 글"), ["한 줄짜리 긴 글 has no room"]),
        (WORDS.format("한 줄짜리 긴 글 " * 4), [f"{'한 줄짜리 긴 글 ' * 4} has no room"]),
        (WORDS.format("한") + WORDS.format("줄"), ["줄 lies on 한"]),
    ],
)
def test_words_without_room_are_found(window, tmp_path, drawn, wrong):
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 50">'
    path = tmp_path / "drawing.svg"
    path.write_text(f"{head}{drawn}</svg>", encoding="utf-8")
    assert crowded(window, path) == wrong


LAYOUTS = [
    "slides/layout/deck.css",
    "slides/layout/sheet.html",
    "slides/layout/index.html",
    "playbook/layout/style.css",
    "course/chat.html",
    "ch06/spam.html",
]
# Says which words of the page stand on more than one line.
BROKEN = """
[...document.querySelector("p").firstChild.textContent.matchAll(/\\S+/g)].filter(word => {
  const range = document.createRange(), node = document.querySelector("p").firstChild;
  range.setStart(node, word.index);
  range.setEnd(node, word.index + word[0].length);
  return new Set([...range.getClientRects()].map(box => box.top)).size > 1;
}).map(word => word[0])
"""
PARAGRAPH = '<p style="width: 7em">사전 훈련된 모델은 텍스트를 이어 씁니다.</p>'


def shown(window: Browser, path: Path, head: str) -> list[str]:
    """The words that a page with a narrow Korean paragraph breaks."""
    body = f'<body class="reveal jp-RenderedHTMLCommon">{PARAGRAPH}</body>'
    path.write_text(f'<!doctype html><meta charset="utf-8">{head}{body}', encoding="utf-8")
    window.open(path.as_uri(), 800)
    return window.ask(BROKEN)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_page_breaks_korean_at_its_blanks(window, tmp_path, name):
    style = (ROOT / name).read_text(encoding="utf-8")
    if name.endswith(".html"):
        style = style.partition("<style>")[2].partition("</style>")[0]
    assert shown(window, tmp_path / "plain.html", "") != []
    assert shown(window, tmp_path / "page.html", f"<style>{style}</style>") == []


def test_a_notebook_breaks_korean_at_its_blanks(window, tmp_path):
    """JupyterLab finds the extension by its package.json, asks it for its style, and calls it."""
    folder = ROOT / "setup" / "jupyter" / "labextensions" / "course-type"
    package = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    build = package["jupyterlab"]["_build"]
    script = (folder / build["load"]).read_text(encoding="utf-8")
    call = f'_JUPYTERLAB["{package["name"]}"].get("{build["style"]}")()'
    head = f"<script>{script}; {call}</script>"
    assert shown(window, tmp_path / "notebook.html", head) == []


# ---- Texts and catalogues.


def test_the_texts_of_a_chapter_are_found(root):
    assert {text.context for text in texts_of("ch09", root)} == KOREAN.keys()
    pages = texts_of("", root)
    assert [text.context for text in pages] == ["README.md: Course", "README.md: Course 1"]


def test_two_texts_of_one_name_are_refused(root):
    (root / "ch09" / "bonus").mkdir()
    notebook = new_notebook(cells=[new_markdown_cell("Once more", id="one")])
    nbformat.write(notebook, root / "ch09" / "bonus" / "more.ipynb")
    with pytest.raises(ValueError, match=r"ch09.ipynb and ch09/bonus/more.ipynb both have .* one"):
        texts_of("ch09", root)


def test_a_block_that_is_new_moves_the_others_with_their_korean():
    known = {"page 1": ("one", "하나", ""), "page 2": ("two", "둘", "")}
    now = [Text(f"page {i}", t, "page.md") for i, t in enumerate(("one", "new", "two"), start=1)]
    found = updated(now, known)
    assert [entry.korean for entry in found] == ["하나", "", "둘"]
    assert not any(entry.is_fuzzy for entry in found)


def test_a_changed_text_is_fuzzy_until_its_korean_is_looked_at(tmp_path):
    path, text = tmp_path / "ko.po", Text("a", "One line\n\nand `more`.", "ch09/ch09.ipynb")
    write_catalogue([Entry(text, "한 줄\n\n그리고 `more`.")], path)
    changed = Text("a", "Two lines", text.place)
    entry = updated([changed], read_catalogue(path))[0]
    assert entry.is_fuzzy and entry.made_from == text.english
    write_catalogue([entry], path)
    assert updated([changed], read_catalogue(path)) == [entry]  # it stays so
    assert [why for _, why in to_do([entry])] == [
        "has changed: look at its Korean, then remove the mark fuzzy"
    ]
    again = updated([text], read_catalogue(path))[0]  # the old English is back
    assert not again.is_fuzzy and again.korean
    path.write_text(path.read_text().replace("#, fuzzy\n", ""))
    assert not updated([changed], read_catalogue(path))[0].is_fuzzy


def test_a_text_that_is_gone_leaves_the_catalogue(tmp_path):
    path = tmp_path / "ko.po"
    write_catalogue([Entry(Text("a", "One", "x"), "하나")], path)
    assert updated([], read_catalogue(path)) == []


def test_a_damaged_catalogue_is_named(tmp_path):
    path = tmp_path / "ko.po"
    path.write_text('msgid "a"\nmsgstr "b\nnonsense')
    with pytest.raises(ValueError, match="ko.po is no catalogue"):
        read_catalogue(path)


# ---- What a program finds.


@pytest.mark.parametrize(
    ("english", "korean", "fault"),
    [
        ("Call `f` with 3.", "`f`를 3으로 부릅니다.", None),
        ("Call `f` with 3.", "함수를 3으로 부릅니다.", "the code f is missing"),
        ("Call it.", "`f`를 부릅니다.", "the code f is not in the English"),
        ("It has 1,024 rows.", "행이 1024개입니다.", "the number 1,024 is missing"),
        ("Here $x^2$ grows.", "여기서 $x^3$이 커집니다.", "the formula $x^2$ is missing"),
        ("See [this](a.py).", "[이것](b.py)을 보세요.", "the link a.py is missing"),
        ("GPT-2 has heads.", "모델에 헤드가 있습니다.", "the name GPT-2 is missing"),
        ("Two GPTs.", "GPT 두 개를 봅시다.", None),
        ("- a\n- b", "- 가", "the form is ['-'], not ['-', '-']"),
        ("## One\n\nTwo", "### 하나\n\n둘", "the form is ['###'], not ['##']"),
        ("| a | b |\n|--|--|", "| 가 |\n|--|", "the form is ['| 2', '| 2'], not ['| 3', '| 3']"),
        ("Finetuning helps.", "미세 조정이 돕습니다.", "“미세 조정” for finetuning"),
        ("It is small.", "작다.", "“다.” is not polite"),
        ("It is made.", "모델에 의해 만들어집니다.", "“에 의해”: rather"),
        ("One two three four five six", "One two three four five six", "there is no Korean in it"),
    ],
)
def test_what_is_wrong_with_a_translation_is_found(english, korean, fault):
    found = faults(english, korean, TERMS)
    assert found == [] if fault is None else any(f.startswith(fault) for f in found), found


def test_an_english_text_has_all_that_it_has_itself():
    for unit in units():
        for text in texts_of(unit):
            found = faults(text.english, text.english, [])
            assert set(found) <= {"there is no Korean in it"}, text.context


# ---- What is built.


def test_a_chapter_is_built_with_the_same_code_and_korean_texts(root):
    translate(root)
    files = {path.as_posix(): content for path, content in built("ch09", root).items()}
    notebook = nbformat.reads(files["ko/ch09/ch09.ipynb"].decode(), 4)
    english = nbformat.read(root / "ch09" / "ch09.ipynb", 4)
    assert notebook.cells[2] == english.cells[2]  # with its output
    assert [cell.id for cell in notebook.cells] == [cell.id for cell in english.cells]
    assert notebook.cells[0].source == KOREAN["title"]
    assert "(figures/boxes.svg)" in notebook.cells[1].source  # its own, beside it
    assert "(../../ch09/count.py)" in notebook.cells[1].source
    about = notebook.metadata["course"]
    assert about["title"] == "9장. 작은 장" and about["sections"][0]["title"] == "9.1 하나"
    assert about["asked"] == [{"question": "왜 그런가요?", "answer": "그렇기 때문입니다."}]
    figure = files["ko/ch09/figures/boxes.svg"].decode()
    assert ">토큰<" in figure and ">B<" in figure and 'aria-label="상자 두 개"' in figure
    quiz = nbformat.reads(files["ko/ch09/quiz.ipynb"].decode(), 4)
    assert "**문제 1** (9.1절). 몇 개인가요?" in quiz.cells[1].source
    assert json.dumps(quiz.cells, ensure_ascii=False).count("세지 않습니다.") == 1


def test_what_is_not_built_is_stale_until_it_is(root):
    translate(root)
    assert len(stale("ch09", root)) == 3
    assert sorted(write("ch09", root)) == sorted(
        f"ko/ch09/{name}" for name in ("ch09.ipynb", "quiz.ipynb", "figures/boxes.svg")
    )
    assert stale("ch09", root) == [] and write("ch09", root) == []
    (root / "ko" / "ch09" / "ch09.ipynb").write_text("{}")
    assert stale("ch09", root) == ["ko/ch09/ch09.ipynb"]


def test_a_cell_that_only_the_korean_edition_has_follows_its_place(root):
    translate(root)
    notes = {"one": "한글 한 글자는 세 바이트입니다."}
    (root / "ch09" / "ko-notes.yaml").write_text(yaml.safe_dump(notes, allow_unicode=True))
    write("ch09", root)
    cells = nbformat.read(root / "ko" / "ch09" / "ch09.ipynb", 4).cells
    assert [cell.id for cell in cells] == ["title", "one", "one-ko", "code"]


def test_a_page_leads_to_the_korean_chapters_and_keeps_its_code(root):
    text = "# Course\n\nRead [9](ch09/ch09.ipynb).\n\n```\nmake\n```\n"
    path = root / "korean.yaml"
    korean = {
        "README.md: Course": "# 강의",
        "README.md: Course 1": "[9](ch09/ch09.ipynb)를 보세요.",
    }
    path.write_text(yaml.safe_dump(korean, allow_unicode=True))
    merge("", path, root)
    write("", root)
    page = (root / "README.ko.md").read_text(encoding="utf-8")
    assert page == "# 강의\n\n[9](ko/ch09/ch09.ipynb)를 보세요.\n\n```\nmake\n```\n" != text


def test_a_link_that_leads_nowhere_or_outside_stays(root):
    from pathlib import PurePosixPath as P

    text = "[a](https://example.org/a.md) [b](missing.py) [c](#part)"
    assert with_links(text, P("ch09/ch09.ipynb"), P("ko/ch09/ch09.ipynb"), root) == text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ch99"], "there is no ch99 among"),
        (["merge", "ch04"], "merge needs a unit and a file"),
        (["merge", "ch04", "missing.yaml"], "missing.yaml"),
    ],
)
def test_what_cannot_be_done_is_said(words, said, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert said in capsys.readouterr().err


def test_a_name_of_no_text_is_refused_and_nothing_is_written(root):
    path = root / "korean.yaml"
    path.write_text("titel: 제목")
    with pytest.raises(ValueError, match="ch09 has no text named titel"):
        merge("ch09", path, root)
    assert not catalogue_path("ch09", root).exists()
