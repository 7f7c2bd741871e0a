"""The PDF: all pages through pandoc into typst, which needs no network and no TeX.

typst brings fonts for Latin text, code and formulas, and matplotlib one for figures. For Hangul it
takes a font of the machine. A letter that no font has would be an empty box, so the letters are
looked up in the fonts before, and a missing one is named with the command that brings it.
"""

import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from playbook.pages import Book
from playbook.tools import LAYOUT, Failed, Missing, need, pandoc

# Taken in this order where they are installed. Latin letters, code and the backslash never come
# from them (some draw a backslash as the won sign): they stand behind typst's own fonts.
HANGUL = (
    *(
        "Noto Serif CJK KR",
        "Noto Serif KR",
        "Noto Sans CJK KR",
        "Noto Sans KR",
        "Source Han Sans KR",
    ),
    *("Apple SD Gothic Neo", "AppleMyungjo", "Malgun Gothic", "Batang"),
    *("NanumMyeongjo", "NanumGothic", "UnBatang", "Baekmuk Batang"),
)
BRINGS = (
    ("HANGUL", "a font with Hangul", "sudo apt install fonts-noto-cjk"),
    ("CJK", "a font with Chinese characters", "sudo apt install fonts-noto-cjk"),
    ("", "a font that has it", "sudo apt install fonts-noto-core fonts-noto-color-emoji"),
)


def write_pdf(book: Book, path: Path, head: str = "") -> None:
    """Write the PDF, laid out by the playbook's own head or another one.

    Raises: Missing without pandoc, typst or a font, Failed if one refuses.
    """
    typst = need("typst", "typst")
    text = book.joined()
    body, _ = pandoc(text, "-t", "typst", "--wrap=none")
    head = head or (LAYOUT / "playbook.typ").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        fonts = typst.Fonts(font_paths=[str(own_fonts(scratch / "fonts"))])
        check_letters(text + "".join(svg_texts(book)), fonts)
        families = set(fonts.families())
        hangul = next((name for name in HANGUL if name in families), "Libertinus Serif")
        (scratch / "figures").mkdir()
        for file, content in book.pictures.items():
            content = with_fonts(content) if file.endswith(".svg") else content
            (scratch / "figures" / file).write_bytes(content)
        source = scratch / "playbook.typ"
        source.write_text(head.replace("HANGUL", hangul) + body, encoding="utf-8")
        try:
            typst.compile(str(source), output=str(path), font_paths=[str(scratch / "fonts")])
        except typst.TypstError as error:
            raise Failed(f"typst: {error}") from None


def with_fonts(svg: bytes) -> bytes:
    """A drawing that names fonts which are there: typst knows no Helvetica and no sans-serif."""
    if b"Arial" in svg:
        return re.sub(rb"\bArial\b", b"Arial, Liberation Sans, DejaVu Sans", svg)
    return re.sub(rb"(?<![\w-])sans-serif", b"DejaVu Sans, sans-serif", svg)


def own_fonts(folder: Path) -> Path:
    """Put matplotlib's DejaVu into a folder, so that every figure finds its letters.

    Its other fonts stay away: one of them, Last Resort, has a placeholder for every letter.
    """
    import matplotlib

    folder.mkdir()
    for path in (Path(matplotlib.get_data_path()) / "fonts" / "ttf").glob("DejaVuSans*.ttf"):
        shutil.copy(path, folder)
    return folder


def svg_texts(book: Book) -> Iterator[str]:
    for name, content in book.pictures.items():
        if name.endswith(".svg"):
            yield content.decode("utf-8", errors="replace")


def check_letters(text: str, fonts: object) -> None:
    """Raise Missing if the text has a letter that no font of this machine has."""
    letters = {c for c in text if ord(c) > 126 and unicodedata.category(c)[0] in "LNPS"}
    for path, index in font_files(fonts):
        if not letters:
            return
        letters -= letters_of(path, index)
    if letters:
        example = min(letters)
        name = unicodedata.name(example, f"U+{ord(example):04X}")
        what, command = next((w, c) for kind, w, c in BRINGS if kind in name)
        raise Missing(f"the text has {example} ({name}), and {what} is not installed: {command}")


def font_files(fonts: object) -> Iterable[tuple[str, int]]:
    """The font files of this machine, those first that have most of what pages hold."""
    files: dict[str, tuple[int, int]] = {}
    for font in fonts.fonts():
        if font.path:
            rank = HANGUL.index(font.family) if font.family in HANGUL else len(HANGUL)
            rank = -1 if font.family.startswith("DejaVu Sans") else rank
            files[font.path] = min(files.get(font.path, (rank, font.index)), (rank, font.index))
    ordered = sorted(files.items(), key=lambda item: (item[1], item[0]))
    return [(path, index) for path, (_, index) in ordered]


def letters_of(path: str, index: int) -> set[str]:
    """The characters that a font has a drawing for."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(path, fontNumber=index, lazy=True) as font:
            return {chr(code) for code in font.getBestCmap() or {}}
    except (OSError, TTLibError):
        return set()
