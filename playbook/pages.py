"""From chapters and templates to the Markdown pages that all three outputs are made of.

A template is Markdown with a few calls in it (Jinja). It never holds a number of a run: it asks for
a result by its name, and a name that the chapter's table does not have is an error.
"""

import hashlib
import io
import re
import unicodedata
import urllib.parse
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import jinja2
from PIL import Image

from course.language import KOREAN, language
from course.my import original_of
from playbook.read import ROOT, BadInput, Chapter, Problem, digest, split_answers

HERE = Path(__file__).resolve().parent
FRONT = "llm-journey"
NOT_PAGES = ("README", "template", FRONT)
NO_RESULT = "*(no result)*"
NOT_WRITTEN = "*Your answer:* not written yet."
# Brackets with text, which may hold brackets, and an address with or without a title.
TEXT = r"\[(?P<text>(?:[^\[\]]|\[[^\]]*\])*)\]"
TO = r"""\(\s*(?P<to><[^>\n]+>|[^)\s>]+)(?:\s+"(?P<title>[^"]*)")?\s*\)"""
IMAGE = re.compile(rf"!{TEXT}{TO}|<img\b(?P<tag>[^>]*)>")
LINK = re.compile(rf"(?<!!){TEXT}{TO}")
# The same with the address elsewhere: ![alt][name] or [name], and a line [name]: address.
BY_NAME = re.compile(rf"(?P<mark>!?){TEXT}(?:\[(?P<name>[^\]]*)\])?(?![(\[:])")
DEFINITION = re.compile(
    r"""^ {0,3}\[(?!\^)([^\]\n]+)\]:[ \t]*((?:<[^>\n]+>|\S+)(?:[ \t]+"[^"\n]*")?)[ \t]*$""", re.M
)
PICTURES = {"PNG": ".png", "JPEG": ".jpg", "GIF": ".gif"}  # and .svg
CODE = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)[ \t]*$|`[^`\n]+`)", re.S | re.M)


@dataclass
class Page:
    """One page: its name and slug, title, Markdown, what is wrong, results that had to be True.

    The slug is what files, anchors and links can carry on any machine.
    """

    name: str
    slug: str
    title: str
    text: str
    problems: list[Problem] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


@dataclass
class Book:
    """All pages in order, and the pictures they show: file name -> content."""

    pages: list[Page]
    pictures: dict[str, bytes] = field(default_factory=dict)

    def joined(self) -> str:
        """All pages as one Markdown text whose links between pages stay inside it."""
        slugs = {page.slug for page in self.pages}

        def inside(part: str) -> str:
            return LINK.sub(lambda m: link_inside(m, slugs), part)

        texts = [
            f'<a id="{page.slug}"></a>\n\n{outside_code(page.text, inside).strip()}'
            for page in self.pages
        ]
        return "\n\n".join(texts) + "\n"


def link_inside(match: re.Match, slugs: set[str]) -> str:
    slug = match["to"].removesuffix(".md")
    return f"[{match['text']}](#{slug})" if slug in slugs else match[0]


def read_page(path: Path) -> str:
    """The Markdown of a page, without the mark that some editors put at its front.

    Raises: BadInput if it is no UTF-8 text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8."
        ) from None
    if "\0" in text:
        raise BadInput(f"{path} is not UTF-8 text (it has zeros, as UTF-16 has): save it as UTF-8.")
    return text


def slug_of(name: str) -> str:
    """The name itself if it is plain; other pages, in Hangul for example, get a number."""
    plain = re.fullmatch(r"[A-Za-z0-9_-]+", name) and name.lower() != "index"
    return name if plain else f"page-{digest(name)[:8]}"


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Markdown with a change made everywhere but in what is quoted as code."""
    parts = CODE.split(text)
    parts[::2] = map(change, parts[::2])
    return "".join(parts)


def kind_of(content: bytes) -> str:
    """The suffix that goes with a picture's content, or nothing if it is not one that is taken."""
    try:
        if ET.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg":
            return ".svg"
    except (ET.ParseError, ValueError):
        pass
    try:
        with Image.open(io.BytesIO(content), formats=list(PICTURES)) as picture:
            picture.load()
            return PICTURES[picture.format]
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return ""


def escape(text: str) -> str:
    """Text of a run as Markdown that shows exactly this text."""
    return re.sub(r"([\\`*_\[\]<>$|#~&^])", r"\\\1", text).replace("\n", " ")


def one_line(text: str) -> str:
    return " ".join(text.split())


def fenced(source: str) -> str:
    return f"```python\n{source.rstrip()}\n```"


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def table_of(chapter: Chapter) -> str:
    """The result table as it came."""
    if not chapter.result:
        return NO_RESULT
    rows = [f"| {escape(name)} | {escape(value)} |" for name, value in chapter.result.items()]
    return "\n".join(["| result | value |", "|:---|---:|", *rows])


class Binder:
    """What templates may ask for: results by name, plots, figures, code; and the pictures used."""

    def __init__(self, chapters: Mapping[str, Chapter], records: list, root: Path):
        self.chapters, self.records, self.root = chapters, records, root
        self.pictures: dict[str, bytes] = {}
        # Of the page that is being made: problems, results that had to be True, file, name.
        self.problems: list[Problem] = []
        self.failed: list[str] = []
        self.page, self.subject = "", ""
        self.slugs: dict[str, str] = {}  # of every page

    def fail(self, what: str) -> BadInput:
        return BadInput(f"{self.page} {what}")

    def note(self, text: str) -> None:
        """A problem of the page that is being made, said once."""
        if (problem := Problem("page", text)) not in self.problems:
            self.problems.append(problem)

    def chapter(self, name: str) -> Chapter:
        if name not in self.chapters:
            raise self.fail(f"asks for {name!r}, but there are only: {', '.join(self.chapters)}.")
        return self.chapters[name]

    def owner_of(self, cell_id: str) -> Chapter:
        first = [self.chapters[self.subject]] if self.subject in self.chapters else []
        for chapter in [*first, *self.chapters.values()]:  # a copied notebook has the same ids
            if cell_id in chapter.sources:
                return chapter
        raise self.fail(f"asks for the cell {cell_id!r}, which no notebook has.")

    def value(self, chapter: str, name: str) -> str | None:
        """A result by name; a * in the name stands for any text. None if nothing came out."""
        result = self.chapter(chapter).result
        if not result:
            if chapter != self.subject:  # whose own problems say it already
                self.note(f"This page quotes results of `{chapter}`, which has none.")
            return None
        found = [key for key in result if key == name] or [
            key for key in result if "*" in name and fnmatchcase(key, name)
        ]
        if len(found) != 1:
            raise self.fail(
                f"quotes the result {name!r} of {chapter}, whose table does not have it; "
                f"it has: {', '.join(map(repr, result))}."
            )
        return result[found[0]]

    def result(self, chapter: str, name: str) -> str:
        value = self.value(chapter, name)
        return NO_RESULT if value is None else escape(value)

    def either(
        self,
        chapter: str,
        name: str,
        yes: str,
        no: str,
        must: bool = False,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> str:
        """One text if a result is True, or a number within bounds; another if it is not.

        With `must`, the other one means that the chapter did not work.
        """
        value = self.value(chapter, name)
        if value is not None and (at_most, at_least) != (None, None):
            try:
                number = float(value.replace(",", "").rstrip("%"))
            except ValueError:
                raise self.fail(
                    f"takes {name!r} of {chapter} for a number, but it is {value!r}."
                ) from None
            is_above = at_most is not None and not number <= at_most
            is_below = at_least is not None and not number >= at_least
            value = str(not (is_above or is_below))
        if value not in (None, "True", "False"):
            raise self.fail(f"takes {name!r} of {chapter} for True or False, but it is {value!r}.")
        if must and value == "False":
            self.failed.append(name)
        return {None: NO_RESULT, "True": yes, "False": no}[value]

    def table(self, chapter: str) -> str:
        return table_of(self.chapter(chapter))

    def plot(self, cell_id: str, caption: str) -> str:
        """The pictures that a cell drew in this run."""
        drawn = self.owner_of(cell_id).pictures.get(cell_id, [])
        if not drawn:
            self.note(f"Cell `{cell_id}` has drawn no picture.")
            return f"*(no picture: {caption})*"
        lines = []
        for suffix, content in drawn:
            name = self.keep(cell_id, content, suffix)
            lines.append(f'![{caption}](figures/{name} "{caption}")')
        return "\n\n".join(lines)

    def figure(self, path: str) -> str:
        """One of the course's own drawings, with the alt text that the notebook gives it."""
        folder, _, file = path.partition("/")
        if not (self.root / path).is_file():
            raise self.fail(f"shows the figure {path}, which is not there.")
        alt = self.chapter(folder).figures.get(file, Path(path).stem)
        drawn = self.root / path
        name = self.keep(f"{folder}-{drawn.stem}", drawn.read_bytes(), drawn.suffix)
        return f"![{alt}](figures/{name})"

    def keep(self, stem: str, content: bytes, suffix: str) -> str:
        """The name under which a picture is kept: two of the same name stay two."""
        name = f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}{suffix}"
        self.pictures[name] = content
        return name

    def code(self, cell_id: str) -> str:
        return fenced(self.owner_of(cell_id).sources[cell_id])

    def journey(self, part: str) -> str:
        """A part of what `make everything` found, in the language of the page."""
        # It brings SciPy, which takes seconds to load: no other page needs it.
        from playbook.journey_page import part_of_page

        korean = self.page.endswith(".ko.md")
        try:
            return part_of_page(
                part, self.root, (lambda text: KOREAN.get(text, text)) if korean else str
            )
        except ValueError as error:
            raise self.fail(f"shows the road: {error}.") from None

    # ---- Markdown that somebody else wrote: pictures and links that still work on the page.

    def adopt(self, text: str, folder: Path, attachments: Mapping | None = None) -> str:
        """Markdown from a file in `folder`, with its pictures copied and its links turned."""
        known = {one_line(name).lower(): to for name, to in DEFINITION.findall(text)}

        def change(part: str) -> str:
            if known:
                part = DEFINITION.sub("", part)
                part = BY_NAME.sub(lambda m: in_place(m, known), part)
            part = IMAGE.sub(lambda m: self.adopt_image(m, folder, attachments or {}), part)
            return LINK.sub(lambda m: self.adopt_link(m, folder), part)

        return outside_code(text, change)

    def adopt_image(self, m: re.Match, folder: Path, attachments: Mapping[str, bytes]) -> str:
        fields = dict(re.findall(r"""(\w+)\s*=\s*["']([^"']*)["']""", m["tag"] or ""))
        src = urllib.parse.unquote((m["to"] or fields.get("src", "")).strip("<>"))
        alt = one_line(m["text"] or escape(fields.get("alt", "")))
        title = f' "{m["title"]}"' if m["title"] else ""
        if src.startswith("figures/") and src.removeprefix("figures/") in self.pictures:
            return m[0]  # put there by plot() or figure()
        pasted = src.removeprefix("attachment:")
        path = (folder / src).resolve()
        if src.startswith("attachment:") and pasted in attachments:
            content = attachments[pasted]
        elif re.match(r"[a-z]+:|//", src):
            text = f"A picture is fetched from elsewhere: {src[:80]}; save it beside the page."
            self.note(text)
            return f"*({alt or 'picture'}: {escape(src[:80])})*"
        elif path.is_file():
            content = path.read_bytes()
        else:
            self.note(f"A picture is missing: {src}.")
            return f"*(missing picture: {escape(src)})*"
        suffix = kind_of(content)
        if not suffix:
            self.note(f"A picture cannot be read: {src}; take an .svg, .png, .jpg or .gif.")
            return f"*(unreadable picture: {escape(src)})*"
        name = self.keep(slug_of(self.subject), content, suffix)
        return f"![{alt}](figures/{name}{title})"

    def adopt_link(self, m: re.Match, folder: Path) -> str:
        """A link to a chapter's notebook leads to its page; to another file, it is only named."""
        to = m["to"].strip("<>").partition("#")[0]
        if re.match(r"[a-z]+:", to) or not to:
            return m[0] if to else m["text"]  # headings have no anchors of their own here
        root = self.root.resolve()
        path = original_of((folder / urllib.parse.unquote(to)).resolve(), root)
        for chapter in self.chapters.values():
            notebook = (chapter.folder / f"{chapter.name}.ipynb").resolve()
            if path == original_of(notebook, root):
                return f"[{m['text']}]({self.slugs[chapter.name]}.md)"
        name = unicodedata.normalize("NFC", path.stem)  # a Mac may take Hangul apart
        name = name.removesuffix(KO) if name not in self.slugs else name
        if path.parent == self.root / "playbook" and path.suffix == ".md" and name in self.slugs:
            return f"[{m['text']}]({self.slugs[name]}.md)"
        if self.root in path.parents and m["text"].strip("`") != path.name:
            return f"{m['text']} (`{path.relative_to(self.root).as_posix()}`)"
        return m["text"]

    # ---- The parts of a chapter's page.

    def parts(self, chapter: Chapter) -> dict:
        """What the layout of a chapter's page shows of one chapter."""
        exercises = [r for r in self.records if chapter_name(r.chapter) == chapter.name]
        reflected = chapter.attachments.get("reflection")
        return {
            "chapter": chapter,
            "verdict": lambda: verdict(chapter, self.failed),
            "goal": first_sentence(chapter.event),
            "how_long": how_long(chapter),
            "run": run_lines(chapter.run),
            "reference": reference_line(chapter.run),
            "event": self.adopt(
                demoted(chapter.event), chapter.folder, chapter.attachments.get("event")
            ),
            "reflection": self.adopt(
                demoted(answers_marked(chapter.reflection)), chapter.folder, reflected
            ),
            "next_experiment": self.adopt(chapter.next, chapter.folder, reflected),
            "exercises": exercises,
            "exercise_counts": counts(exercises),
            "all_plots": lambda: "\n\n".join(
                self.plot(cell_id, f"What cell {cell_id} drew.") for cell_id in chapter.pictures
            ),
        }


def chapter_name(name: str) -> str:
    """The folder's name of a package: appendix_a is appendix-A."""
    found = re.fullmatch(r"appendix[_-](\w)", name)
    return f"appendix-{found[1].upper()}" if found else name


def first_sentence(text: str) -> str:
    found = re.match(r".+?[.!?](?=\s|$)", one_line(text))
    return found[0] if found else one_line(text)


def demoted(text: str) -> str:
    """A cell's Markdown with its headings below those of the page."""
    return outside_code(text, lambda part: re.sub(r"^#{1,3} +", "#### ", part, flags=re.M))


def answers_marked(reflection: str) -> str:
    """The reflection with the places that are still empty named as such."""
    (before, _), *parts = split_answers(reflection)
    texts = [before]
    for part, has_answer in parts:
        if has_answer:
            texts.append(f"*Your answer:* {part}")
        else:
            texts.append(NOT_WRITTEN + re.sub(r"\A[ \t.…_]*", "", part))
    return "".join(texts)


def in_place(m: re.Match, known: Mapping[str, str]) -> str:
    """A picture or link by name, with the address that the name stands for."""
    to = known.get(one_line(m["name"] or m["text"]).lower())
    return f"{m['mark']}[{m['text']}]({to})" if to else m[0]


def verdict(chapter: Chapter, failed: list[str]) -> str:
    if chapter.problems:
        n = len(chapter.problems)
        return f"**Not as it stands:** {n} problem{'s' * (n > 1)}, named above."
    whole = f"all {len(chapter.cells)} code cells in order, and none failed."
    if ran_elsewhere(chapter):
        whole += " The outputs are those of the run that came with the course; "
        whole += "`make playbook RUN=1` records one of yours."
    return f"**No.** It ran, {whole}" if failed else f"**Ran whole:** {whole}"


def ran_elsewhere(chapter: Chapter) -> bool:
    """Whether the outputs are still those that came with the course: its run has no date."""
    return bool(chapter.run) and "date" not in chapter.run


def how_long(chapter: Chapter) -> str:
    if chapter.run and "seconds" in chapter.run:
        device = chapter.run["environment"]["device"]
        whose = ", in the run that came with the course" if ran_elsewhere(chapter) else ""
        return f"{duration(chapter.run['seconds'])} on {device}{whose}."
    return "Not recorded. `make playbook RUN=1` runs the notebook and records it."


def time_taken(chapter: Chapter) -> str:
    seconds = (chapter.run or {}).get("seconds")
    return "–" if seconds is None else duration(seconds)


def run_lines(run: Mapping | None) -> list[tuple[str, str]]:
    """The record of a run as names and values; the run that came with the course has no date."""
    if not run or "date" not in run:
        return []
    lines = environment_lines(run["environment"])
    return [
        ("date", run["date"].replace("T", " ")[:16]),
        ("took", duration(run["seconds"])),
        *lines,
    ]


def reference_line(run: Mapping | None) -> str:
    """Where the outputs that came with the course were made."""
    env = run["environment"] if run else {"device": "", "versions": {}}
    return ", ".join([env["device"], *(f"{n} {v}" for n, v in env["versions"].items())])


def environment_lines(env: Mapping) -> list[tuple[str, str]]:
    versions = ", ".join(f"{name} {number}" for name, number in env["versions"].items())
    switches = ", ".join(f"{name}={value}" for name, value in env["switches"].items())
    return [
        ("device", env["device"]),
        ("system", env["system"]),
        ("versions", versions),
        ("commit", env["commit"] or "not in git"),
        ("switches", switches or "none"),
    ]


def counts(records: list) -> str:
    """How many exercises are done, tried and open."""
    by = {s: sum(r.status == s for r in records) for s in ("done", "tried", "open")}
    return ", ".join(f"{n} {status}" for status, n in by.items())


# ---- The Korean edition, whose pages stand beside the English ones.

KO = ".ko"


def is_edition(path: Path) -> bool:
    """Whether a page is the Korean one of a page beside it."""
    return path.stem.endswith(KO) and path.with_name(f"{path.stem.removesuffix(KO)}.md").exists()


def in_our_language(path: Path) -> Path:
    """A page, or its Korean one for those who read Korean."""
    korean = path.with_suffix(f"{KO}.md")
    return korean if language() == "ko" and korean.exists() else path


# ---- The book.


def make_book(
    chapters: Mapping[str, Chapter],
    records: list,
    environment: Mapping,
    root: Path = ROOT,
    only: list[str] | None = None,
    problems: list[Problem] | None = None,
) -> Book:
    """All pages: the front page, the chapters, the learner's own.

    Raises: BadInput if a template asks for what is not there, or is not a template.
    """
    binder = Binder(chapters, records, root)
    folder = root / "playbook"
    jinja = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, HERE], encoding="utf-8-sig"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = ("result", "either", "table", "plot", "figure", "code", "journey")
    jinja.globals.update({name: getattr(binder, name) for name in names})
    jinja.filters["line"] = one_line

    def make(name: str, template: str, file: str, where: Path | None = None) -> Page:
        binder.page, binder.subject, binder.problems, binder.failed = file, name, [], []
        own = chapters[name].problems if name in chapters else ()
        parts = binder.parts(chapters[name]) if name in chapters else {}
        try:
            text = jinja.from_string(template).render(problems=own, **parts)
        except jinja2.TemplateSyntaxError as error:
            raise BadInput(
                f"{file}, line {error.lineno}: {error.message}; braces that are meant as they are "
                "stand between {% raw %} and {% endraw %}."
            ) from None
        except jinja2.UndefinedError as error:
            raise BadInput(f"{file} uses a name that is not known: {error.message}.") from None
        if where:
            text = binder.adopt(text, where)
        heading = re.search(r"^# +(.+)$", text, flags=re.M)
        if not heading:
            raise BadInput(f"{file} has no title: begin it with a line `# Title`.")
        text = re.sub(r"\n{3,}", "\n\n", text[heading.start() :]).strip() + "\n"
        if binder.problems:
            text = warned(text, binder.problems)
        found = [*own, *binder.problems]
        return Page(name, binder.slugs[name], heading[1].strip(), text, found, binder.failed)

    pages = []
    own_pages = {
        unicodedata.normalize("NFC", path.stem): path
        for path in sorted(folder.glob("[!._]*.md"))
        if path.stem.removesuffix(KO) not in NOT_PAGES and not is_edition(path)
    }
    binder.slugs = {name: slug_of(name) for name in [*chapters, *own_pages]} | {FRONT: "index"}
    for name in chapters:
        if (only and name not in only) or name in own_pages:
            continue
        path = folder / "chapters" / f"{name}.md"
        file = path.relative_to(root).as_posix() if path.exists() else f"The page of {name}"
        template = read_page(path) if path.exists() else GENERIC
        pages.append(make(name, template, file))
    for name, path in own_pages.items():
        if only and name not in only:
            continue
        path = in_our_language(path)
        template = read_page(path)
        pages.append(make(name, template, f"playbook/{path.name}", folder))
    front = in_our_language(folder / f"{FRONT}.md")
    if front.exists():
        text = read_page(front)
    else:
        text = "# The playbook\n\n<!-- overview -->\n"
    page = make(FRONT, text, f"playbook/{front.name}", folder)
    page.text = page.text.replace(
        "<!-- overview -->", overview(pages, chapters, records, environment, problems or [])
    )
    page.problems += problems or []
    book = Book([page, *pages], binder.pictures)
    drop_dead_links(book)
    return book


GENERIC = '{% extends "layout/chapter.md" %}\n'


def warned(text: str, problems: list[Problem]) -> str:
    """A page with a warning of these problems under its title."""
    head, _, body = text.partition("\n")
    lines = [f"> - {problem}" for problem in problems]
    return "\n".join([head, "", "> [!WARNING]", *lines, "", body])


def drop_dead_links(book: Book) -> None:
    """Links to pages that are not part of this build become plain text."""
    slugs = {page.slug for page in book.pages}

    def keep(m: re.Match) -> str:
        to = m["to"]
        local = to.endswith(".md") and not re.match(r"[a-z]+:", to)
        return m["text"] if local and to.removesuffix(".md") not in slugs else m[0]

    for page in book.pages:
        page.text = outside_code(page.text, lambda part: LINK.sub(keep, part))


def overview(
    pages: list[Page],
    chapters: Mapping[str, Chapter],
    records: list,
    environment: Mapping,
    problems: list[Problem],
) -> str:
    """How far the journey has come: a row for each page, then the machine of this build."""
    lines = ["| Page | Did it work? | Time | Exercises | Answers |", "|:---|:---|---:|---:|---:|"]
    for page in pages:
        chapter = chapters.get(page.name)
        n, name = len(page.problems), re.sub(r"(?<!\\)\|", r"\\|", page.title)
        title = f"[{name}]({page.slug}.md)"
        works = f"**no**, {n} problem{'s' * (n > 1)}" if n else "ran whole"
        if chapter and not n and ran_elsewhere(chapter):
            works += ", as it came with the course"
        if page.failed and not n:
            works = "**no**: " + ", ".join(f"“{escape(result)}” is False" for result in page.failed)
        if chapter is None:  # a page without a notebook has nothing that could work
            lines.append(f"| {title} | {works if n else ''} | | | |")
            continue
        took = time_taken(chapter)
        own = [r for r in records if chapter_name(r.chapter) == page.name]
        done = f"{sum(r.status == 'done' for r in own)} of {len(own)}" if own else "none"
        answered, asked = chapter.answered
        lines.append(f"| {title} | {works} | {took} | {done} | {answered} of {asked} |")
    if problems:
        lines += ["", "> [!WARNING]", *(f"> - {problem}" for problem in problems)]
    here = "; ".join(f"{name} {escape(value)}" for name, value in environment_lines(environment))
    lines += ["", f"A dash stands for a run without a record. Built on: {here}."]
    return "\n".join(lines)
