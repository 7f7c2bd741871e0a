"""A unit's texts with their Korean, in a file that any PO editor opens.

Each entry has the text's name as its context. When the English changes, the entry becomes fuzzy and
keeps the English that its Korean was made from; when a text is gone, so is its entry.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polib

from course.files import written_whole
from korean.texts import Text

HEADER = "Korean texts of the course. `make ko` updates this file from the English ones."
ABOUT = {"Language": "ko", "Content-Type": "text/plain; charset=utf-8"}


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
        catalogue = polib.pofile(str(path), encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:  # polib has no error of its own
        raise ValueError(f"{path} is no catalogue: {error}") from None
    return {
        entry.msgctxt: (
            entry.msgid,
            entry.msgstr,
            (entry.previous_msgid or "") if entry.fuzzy else "",
        )
        for entry in catalogue
        if not entry.obsolete
    }


def updated(texts: Iterable[Text], known: dict[str, tuple[str, str, str]]) -> list[Entry]:
    """An entry for each text, with the Korean that is known of it.

    Blocks of a page are numbered: one that is new moves the others, and their Korean goes along.
    """
    entries, texts = [], list(texts)
    of_english = {english: korean for english, korean, made_from in known.values() if not made_from}
    present = {text.english for text in texts}
    for text in texts:
        english, korean, made_from = known.get(text.context, ("", "", ""))
        if english != text.english and of_english.get(text.english):
            english, korean, made_from = text.english, of_english[text.english], ""
        elif english != text.english and english in present:
            korean = ""  # it is the Korean of a text that has moved
        if english != text.english and korean:
            made_from = made_from or english
        if made_from == text.english:  # the old English is back
            made_from = ""
        entries.append(Entry(text, korean, made_from if korean else ""))
    return entries


def write_catalogue(entries: Iterable[Entry], path: Path) -> None:
    """Write a catalogue whole; the same entries give the same bytes."""
    catalogue = polib.POFile(wrapwidth=0)
    catalogue.header, catalogue.metadata = HEADER, ABOUT
    for entry in entries:
        text = entry.text
        catalogue.append(
            polib.POEntry(
                msgctxt=text.context,
                msgid=text.english,
                msgstr=entry.korean,
                occurrences=[(text.place, "")],
                flags=["fuzzy"] if entry.is_fuzzy else [],
                previous_msgid=entry.made_from or None,
            )
        )
    with written_whole(path) as draft:
        draft.write_text(f"{catalogue}\n", encoding="utf-8")
