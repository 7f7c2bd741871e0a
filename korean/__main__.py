"""The Korean edition: python -m korean (make ko)

    python -m korean                # bring the catalogues up to date, and build what follows
    python -m korean ch04           # of one unit, which gets a catalogue if it has none
    python -m korean list [ch04]    # the texts to look at: without Korean, fuzzy, or with faults
    python -m korean merge ch04 FILE.yaml    # take Korean texts from a file: name -> Korean

English texts are changed where they stand. Then `python -m korean` marks what is stale.

How to translate what a unit's checks say: `python -m korean ch04` puts the sentences of
ch04/checks.py into ch04/ko.po (`check_4_1 3`). Each is a part of what is printed: "{call} has {C}
too many." Write the Korean of the part with the same braces, in whatever order, and merge it; words
such as {'is' if n == 1 else 'are'} are left out. A part that goes in front of others, as
"For x of shape {shape}, ", has its Korean in front, too. After braces put both particles, as in
{call}은(는), 이(가), 을(를), 과(와), (으)로: the one that fits is printed. A text that is data, and
that no reader reads, gets its English as its Korean. tests/test_exercises.py gives every wrong
answer and finds the English words that are left.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from course.lessons import ROOT
from course.terminal import replace_unprintable
from korean.build import write
from korean.catalogue import Entry, read_catalogue, updated, write_catalogue
from korean.check import faults
from korean.sentences import field_faults, needed
from korean.texts import catalogue_path, texts_of, translated, units


def entries_of(unit: str, root: Path = ROOT) -> list[Entry]:
    """The entries of a unit as they should stand in its catalogue now."""
    return updated(texts_of(unit, root), read_catalogue(catalogue_path(unit, root)))


def to_do(entries: Sequence[Entry]) -> Iterator[tuple[Entry, str]]:
    """What somebody who knows both languages has to look at, and why."""
    for entry in entries:
        if not entry.korean:
            yield entry, "has no Korean"
        elif entry.is_fuzzy:
            yield entry, "has changed: look at its Korean, then remove the mark fuzzy"
        else:
            english, korean = entry.text.english, entry.korean
            if entry.text.place.endswith(".py") and english == korean:
                found = []  # data
            elif entry.text.place.endswith(".py"):
                found = [*faults(needed(english), korean), *field_faults(english, korean)]
            else:
                found = faults(english, korean)
            for fault in found:
                yield entry, fault


def merge(unit: str, path: Path, root: Path = ROOT) -> int:
    """Put the Korean texts of a file into a catalogue; give how many there are.

    Raises: ValueError if the file is not a list of names with texts, or has a name of no text.
    """
    korean = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(korean, dict) or not all(isinstance(v, str) for v in korean.values()):
        raise ValueError(f"{path} must have lines of a text's name and its Korean")
    entries = entries_of(unit, root)
    unknown = korean.keys() - {entry.text.context for entry in entries}
    if unknown:
        raise ValueError(f"{path}: {unit} has no text named {min(unknown)}")
    merged = [
        Entry(entry.text, korean[entry.text.context].strip("\n"))
        if entry.text.context in korean
        else entry
        for entry in entries
    ]
    write_catalogue(merged, catalogue_path(unit, root))
    return len(korean)


def brought_up_to_date(unit: str, root: Path = ROOT) -> str:
    """Update a unit's catalogue, build its files, and say what was done in a sentence."""
    entries = entries_of(unit, root)
    write_catalogue(entries, catalogue_path(unit, root))
    changed, n_open = write(unit, root), len(list(to_do(entries)))
    return f"{unit or 'README'}: {len(changed)} files written, {n_open} texts to look at"


def main(arguments: Sequence[str] | None = None) -> int:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m korean",
        description="Keep the Korean edition in step with the English one.",
    )
    parser.add_argument("words", nargs="*", help="units such as ch04; list UNITS; merge UNIT FILE")
    words = parser.parse_args(arguments).words
    what = words.pop(0) if words[:1] in (["list"], ["merge"]) else "build"
    try:
        if what == "merge":
            if len(words) != 2:
                raise ValueError("merge needs a unit and a file: merge ch04 FILE.yaml")
            print(f"{merge(words[0], Path(words[1]))} texts of {words[0]} are taken")
            return 0
        if unknown := set(words) - set(units()):
            raise ValueError(f"there is no {min(unknown)} among {', '.join(filter(None, units()))}")
        found = 0
        for unit in words or translated():
            if what == "build":
                print(brought_up_to_date(unit))
                continue
            for entry, why in to_do(entries_of(unit)):
                print(f"{entry.text.place}  {entry.text.context}: {why}")
                found += 1
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
