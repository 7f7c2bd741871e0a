"""The web site: one HTML file for each page, its pictures, one style sheet, and no script.

pandoc turns formulas into MathML, which browsers draw themselves, so nothing is ever fetched.
"""

import html
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jinja2

from playbook.pages import Book, Page
from playbook.tools import LAYOUT, pandoc


def write_site(book: Book, folder: Path) -> None:
    """Write the site into an empty folder. Raises: Missing without pandoc."""
    with ThreadPoolExecutor() as pool:
        bodies = list(pool.map(body_of, book.pages))
    jinja = jinja2.Environment(loader=jinja2.FileSystemLoader(LAYOUT), autoescape=True)
    template = jinja.get_template("page.html")
    folder.mkdir(parents=True)
    around = [None, *book.pages, None]
    for i, (page, body) in enumerate(zip(book.pages, bodies)):
        text = template.render(
            page=page, body=body, pages=book.pages, before=around[i], after=around[i + 2]
        )
        (folder / f"{page.name}.html").write_text(text, encoding="utf-8")
    write_pictures(book, folder / "figures")
    (folder / "style.css").write_bytes((LAYOUT / "style.css").read_bytes())


def write_pictures(book: Book, folder: Path) -> None:
    """Write the pictures that the pages show."""
    folder.mkdir(parents=True)
    for name, content in book.pictures.items():
        (folder / name).write_bytes(content)


def body_of(page: Page) -> str:
    text = pandoc(page.text, "-t", "html5", "--mathml", "--wrap=none")
    # Wide tables scroll by themselves, so that the page need not.
    text = text.replace("<table>", '<div class="scroll"><table>')
    text = text.replace("</table>", "</table></div>")
    # Cells marked as a task can be read, not ticked: the page is built, not edited.
    text = re.sub(r'<input type="checkbox"', '<input type="checkbox" disabled', text)
    return text


def plain(text: str) -> str:
    """A title without Markdown's marks."""
    return html.unescape(re.sub(r"[*_`\\]", "", text))
