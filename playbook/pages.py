"""From chapters and templates to the Markdown pages that all three outputs are made of.

A template is Markdown with a few calls in it (Jinja). It never holds a number of a run: it asks for
a result by its name, and a name that the chapter's table does not have is an error.
"""

import re
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import jinja2

from playbook.read import ROOT, BadInput, Chapter, Problem, split_answers

HERE = Path(__file__).resolve().parent
FRONT = "llm-journey"
NOT_PAGES = ("README", "template", FRONT)
NO_RESULT = "*(no result)*"
NOT_WRITTEN = "*Your answer:* not written yet."
IMAGE = re.compile(
    r"""!\[(?P<alt>[^\]]*)\]\(\s*<?(?P<src>[^)\s>]+)>?(?:\s+"(?P<title>[^"]*)")?\s*\)"""
    r"""|<img\b(?P<tag>[^>]*)>"""
)
LINK = re.compile(r"(?<!!)\[(?P<text>(?:[^\[\]]|\[[^\]]*\])+)\]\(\s*<?(?P<to>[^)\s>]+)>?\s*\)")
CODE = re.compile(r"(^(?:```|~~~).*?^(?:```|~~~)[ \t]*$|`[^`\n]+`)", re.S | re.M)


@dataclass
class Page:
    """One page: its name (the file's stem on the site), title, Markdown, and what is wrong."""

    name: str
    title: str
    text: str
    problems: list[Problem] = field(default_factory=list)
    kind: str = "chapter"


@dataclass
class Book:
    """All pages in order, and the pictures they show: file name -> content."""

    pages: list[Page]
    pictures: dict[str, bytes] = field(default_factory=dict)

    def joined(self) -> str:
        """All pages as one Markdown text whose links between pages stay inside it."""
        names = {page.name for page in self.pages}
        texts = []
        for page in self.pages:
            head, _, body = page.text.partition("\n")
            text = f'<a id="{page.name}"></a>\n\n{head}\n{body}'
            texts.append(LINK.sub(lambda m: link_inside(m, names), text).strip())
        return "\n\n".join(texts) + "\n"


def link_inside(match: re.Match, names: set[str]) -> str:
    name = match["to"].removesuffix(".md")
    return f"[{match['text']}](#{name})" if name in names else match[0]


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
        self.problems: list[Problem] = []  # of the page that is being made
        self.page, self.subject = "", ""  # its file, and the chapter that it is about

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
        for chapter in self.chapters.values():
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

    def either(self, chapter: str, name: str, yes: str, no: str) -> str:
        """One text if a result is True, another if it is False."""
        value = self.value(chapter, name)
        if value not in (None, "True", "False"):
            raise self.fail(f"takes {name!r} of {chapter} for True or False, but it is {value!r}.")
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
        for i, (suffix, content) in enumerate(drawn):
            name = f"{cell_id}{f'-{i + 1}' * (i > 0)}{suffix}"
            self.pictures[name] = content
            lines.append(f'![{caption}](figures/{name} "{caption}")')
        return "\n\n".join(lines)

    def figure(self, path: str) -> str:
        """One of the course's own drawings, with the alt text that the notebook gives it."""
        folder, _, file = path.partition("/")
        if not (self.root / path).is_file():
            raise self.fail(f"shows the figure {path}, which is not there.")
        alt = self.chapter(folder).figures.get(file, Path(path).stem)
        name = f"{folder}-{Path(path).name}"
        self.pictures[name] = (self.root / path).read_bytes()
        return f"![{alt}](figures/{name})"

    def code(self, cell_id: str) -> str:
        return fenced(self.owner_of(cell_id).sources[cell_id])

    # ---- Markdown that somebody else wrote: pictures and links that still work on the page.

    def adopt(self, text: str, folder: Path, attachments: Mapping | None = None) -> str:
        """Markdown from a file in `folder`, with its pictures copied and its links turned."""
        parts = CODE.split(text)  # what is quoted as code stays as it is
        for i in range(0, len(parts), 2):
            parts[i] = IMAGE.sub(lambda m: self.adopt_image(m, folder, attachments or {}), parts[i])
            parts[i] = LINK.sub(lambda m: self.adopt_link(m, folder), parts[i])
        return "".join(parts)

    def adopt_image(self, m: re.Match, folder: Path, attachments: Mapping[str, bytes]) -> str:
        fields = dict(re.findall(r"""(\w+)\s*=\s*["']([^"']*)["']""", m["tag"] or ""))
        src = urllib.parse.unquote(m["src"] or fields.get("src", ""))
        alt = (m["alt"] or fields.get("alt", "")).replace("\n", " ")
        title = f' "{m["title"]}"' if m["title"] else ""
        if src.startswith("figures/") and src.removeprefix("figures/") in self.pictures:
            return m[0]  # put there by plot() or figure()
        pasted = src.removeprefix("attachment:")
        path = (folder / src).resolve()
        if src.startswith("attachment:") and pasted in attachments:
            name, content = f"{folder.name}-{pasted}", attachments[pasted]
        elif re.match(r"[a-z]+:|//", src):
            text = f"A picture is fetched from elsewhere: {src[:80]}; save it beside the page."
            self.note(text)
            return f"*({alt or 'picture'}: {escape(src[:80])})*"
        elif path.is_file() and path.suffix.lower() in (".svg", ".png", ".jpg", ".jpeg", ".gif"):
            name, content = f"{folder.name}-{path.name}", path.read_bytes()
        else:
            self.note(f"A picture is missing: {src}.")
            return f"*(missing picture: {escape(src)})*"
        name = re.sub(r"[^\w.-]+", "-", name)
        self.pictures[name] = content
        return f"![{alt}](figures/{name}{title})"

    def adopt_link(self, m: re.Match, folder: Path) -> str:
        """A link to a chapter's notebook leads to its page; to another file, it is only named."""
        to, _, anchor = m["to"].partition("#")
        if re.match(r"[a-z]+:", m["to"]) or not to:
            return m[0] if to else m["text"]  # headings have no anchors of their own here
        path = (folder / urllib.parse.unquote(to)).resolve()
        for chapter in self.chapters.values():
            if path == (chapter.folder / f"{chapter.name}.ipynb").resolve():
                return f"[{m['text']}]({chapter.name}.md)"
        if path.parent == self.root / "playbook" and path.suffix == ".md":
            name = "index" if path.stem == FRONT else path.stem
            return f"[{m['text']}]({name}.md)"
        if self.root in path.parents and m["text"].strip("`") != path.name:
            return f"{m['text']} (`{path.relative_to(self.root).as_posix()}`)"
        return m["text"]

    # ---- The parts of a chapter's page.

    def parts(self, chapter: Chapter) -> dict:
        """What the layout of a chapter's page shows of one chapter."""
        exercises = [r for r in self.records if chapter_name(r.chapter) == chapter.name]
        return {
            "chapter": chapter,
            "verdict": verdict(chapter),
            "goal": first_sentence(chapter.event),
            "how_long": how_long(chapter),
            "run": run_lines(chapter.run),
            "reference": reference_line(chapter.run),
            "event": self.adopt(demoted(chapter.event), chapter.folder, chapter.attachments),
            "reflection": self.adopt(
                demoted(answers_marked(chapter.reflection)), chapter.folder, chapter.attachments
            ),
            "next_experiment": self.adopt(chapter.next, chapter.folder, chapter.attachments),
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
    return re.sub(r"^#{1,3} +", "#### ", text, flags=re.M)


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


def verdict(chapter: Chapter) -> str:
    if chapter.problems:
        n = len(chapter.problems)
        return f"**Not as it stands:** {n} problem{'s' * (n > 1)}, named above."
    return f"**Yes.** All {len(chapter.cells)} code cells ran in order, and none failed."


def how_long(chapter: Chapter) -> str:
    if chapter.run and "seconds" in chapter.run:
        device = chapter.run["environment"]["device"]
        return f"{duration(chapter.run['seconds'])} on {device}."
    return "Not recorded. `make playbook RUN=1` runs the notebook and records it."


def time_taken(chapter: Chapter) -> str:
    seconds = (chapter.run or {}).get("seconds")
    return "–" if seconds is None else duration(seconds)


def run_lines(run: Mapping | None) -> list[tuple[str, str]]:
    """The record of a run as names and values."""
    if not run or "seconds" not in run:
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
        loader=jinja2.FileSystemLoader([folder, HERE]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    names = ("result", "either", "table", "plot", "figure", "code")
    jinja.globals.update({name: getattr(binder, name) for name in names})
    jinja.filters["line"] = one_line

    def make(name: str, template: str, file: str, kind: str) -> Page:
        binder.page, binder.subject, binder.problems = file, name, []
        own = chapters[name].problems if name in chapters else ()
        parts = binder.parts(chapters[name]) if name in chapters else {}
        where = folder if kind != "chapter" else None
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
        return Page(name, heading[1].strip(), text, [*own, *binder.problems], kind)

    pages = []
    own_pages = {p.stem: p for p in sorted(folder.glob("[!._]*.md")) if p.stem not in NOT_PAGES}
    for name in chapters:
        if (only and name not in only) or name in own_pages:
            continue
        path = folder / "chapters" / f"{name}.md"
        file = path.relative_to(root).as_posix() if path.exists() else f"The page of {name}"
        template = path.read_text(encoding="utf-8") if path.exists() else GENERIC
        pages.append(make(name, template, file, "chapter"))
    for name, path in own_pages.items():
        if only and name not in only:
            continue
        template = path.read_text(encoding="utf-8")
        pages.append(make(name, template, f"playbook/{path.name}", "own"))
    front = folder / f"{FRONT}.md"
    if front.exists():
        text = front.read_text(encoding="utf-8")
    else:
        text = "# The playbook\n\n<!-- overview -->\n"
    page = make("index", text, f"playbook/{FRONT}.md", "front")
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
    names = {page.name for page in book.pages}

    def keep(m: re.Match) -> str:
        to = m["to"]
        local = to.endswith(".md") and not re.match(r"[a-z]+:", to)
        return m["text"] if local and to.removesuffix(".md") not in names else m[0]

    for page in book.pages:
        parts = CODE.split(page.text)
        parts[::2] = [LINK.sub(keep, part) for part in parts[::2]]
        page.text = "".join(parts)


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
        n, title = len(page.problems), f"[{page.title}]({page.name}.md)"
        works = f"**no**, {n} problem{'s' * (n > 1)}" if n else "yes"
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
