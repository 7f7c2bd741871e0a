"""The web site: one HTML file for each page, its pictures, one style sheet, and no script.

pandoc turns formulas into MathML, which browsers draw themselves, so nothing is ever fetched.
"""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import jinja2
from bs4 import BeautifulSoup

from playbook.pages import Book, Page
from playbook.tools import LAYOUT, pandoc


def write_site(book: Book, folder: Path) -> list[str]:
    """Write the site into an empty folder, and give a sentence for all that pandoc could not read.

    Raises: Missing without pandoc, Failed if it refuses.
    """
    with ThreadPoolExecutor() as pool:
        bodies, warnings = zip(*pool.map(body_of, book.pages))
    titles = {
        page.slug: BeautifulSoup(body, "html.parser").h1.get_text()
        for page, body in zip(book.pages, bodies)
    }
    jinja = jinja2.Environment(loader=jinja2.FileSystemLoader(LAYOUT), autoescape=True)
    template = jinja.get_template("page.html")
    folder.mkdir(parents=True)
    around = [None, *book.pages, None]
    for i, (page, body) in enumerate(zip(book.pages, bodies)):
        text = template.render(
            **{"page": page, "body": body, "pages": book.pages, "titles": titles},
            **{"before": around[i], "after": around[i + 2]},
        )
        (folder / f"{page.slug}.html").write_text(text, encoding="utf-8")
    write_pictures(book, folder / "figures")
    (folder / "style.css").write_bytes((LAYOUT / "style.css").read_bytes())
    return [f"{page.name}: {w}." for page, said in zip(book.pages, warnings) for w in said]


def write_pictures(book: Book, folder: Path) -> None:
    """Write the pictures that the pages show."""
    folder.mkdir(parents=True)
    for name, content in book.pictures.items():
        (folder / name).write_bytes(content)


def body_of(page: Page) -> tuple[str, list[str]]:
    """A page as HTML, and what pandoc could not read of it."""
    text, warnings = pandoc(page.text, "-t", "html5", "--mathml", "--wrap=none")
    # Wide tables scroll by themselves, so that the page need not.
    text = text.replace("<table>", '<div class="scroll"><table>')
    text = text.replace("</table>", "</table></div>")
    # Cells marked as a task can be read, not ticked: the page is built, not edited.
    text = re.sub(r'<input type="checkbox"', '<input type="checkbox" disabled', text)
    return text, warnings
