"""A unit's texts with their Korean, in a file that any PO editor opens.

Each entry has the text's name as its context. When the English changes, the entry becomes fuzzy and
keeps the English that its Korean was made from; when a text is gone, so is its entry.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, read_po, write_po

from course.files import written_whole
from korean.texts import Text

HEADER = """\
# Korean texts of the course. `make ko` updates this file from the English ones.
msgid ""
msgstr ""
"Language: ko\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Plural-Forms: nplurals=1; plural=0;\\n"

"""


@dataclass(frozen=True)
class Entry:
    """A text, its Korean or nothing, and the English that this was made from if it is another."""

    text: Text
    korean: str = ""
    made_from: str = ""

    @property
    def is_fuzzy(self) -> bool:
        return self.made_from != ""


def read_catalogue(path: Path) -> dict[str, tuple[str, str, str]]:
    """Each text's name -> English, Korean, and the earlier English of a fuzzy entry.

    Raises: ValueError if the file is damaged.
    """
    if not path.exists():
        return {}
    try:
        with path.open("rb") as file:
            catalogue = read_po(file, locale="ko", abort_invalid=True)
    except (PoFileError, UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"{path} is no catalogue: {error}") from None
    return {
        message.context: (
            message.id,
            message.string,
            (message.previous_id or [""])[0] if message.fuzzy else "",
        )
        for message in catalogue
        if message.id
    }


def updated(texts: Iterable[Text], known: dict[str, tuple[str, str, str]]) -> list[Entry]:
    """An entry for each text, with the Korean that is known of it."""
    entries = []
    for text in texts:
        english, korean, made_from = known.get(text.context, (text.english, "", ""))
        if english != text.english and korean:
            made_from = made_from or english
        if made_from == text.english:  # the old English is back
            made_from = ""
        entries.append(Entry(text, korean, made_from if korean else ""))
    return entries


def write_catalogue(entries: Iterable[Entry], path: Path) -> None:
    """Write a catalogue whole; the same entries give the same bytes."""
    catalogue = Catalog(locale="ko")
    for entry in entries:
        text = entry.text
        catalogue.add(
            text.english,
            entry.korean,
            locations=[(text.place, None)],
            flags=["fuzzy"] if entry.is_fuzzy else [],
            previous_id=[entry.made_from] if entry.is_fuzzy else [],
            context=text.context,
        )
    with written_whole(path) as draft, draft.open("wb") as file:
        file.write(HEADER.encode())
        write_po(file, catalogue, width=0, omit_header=True, include_previous=True)
