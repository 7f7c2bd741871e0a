"""The Korean edition: python -m korean (make ko)

    python -m korean                # bring the catalogues up to date, and build what follows
    python -m korean list           # the texts to look at: without Korean, fuzzy, or with faults
    python -m korean list ch04      # of one unit
    python -m korean merge ch04 FILE.yaml    # take Korean texts from a file: name -> Korean

English texts are changed where they stand. Then `python -m korean` marks what is stale.
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
from korean.texts import catalogue_path, texts_of, units


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
            for fault in faults(entry.text.english, entry.korean):
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


def main(arguments: Sequence[str] | None = None) -> int:
    replace_unprintable()
    parser = argparse.ArgumentParser(
        prog="python -m korean",
        description="Keep the Korean edition in step with the English one.",
    )
    what = parser.add_subparsers(dest="what")
    listing = what.add_parser("list", help="the texts to look at")
    listing.add_argument("unit", nargs="*", help="folders such as ch04; without any, all")
    merging = what.add_parser("merge", help="take Korean texts from a file")
    merging.add_argument("unit")
    merging.add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.what == "merge":
            print(f"{merge(options.unit, options.file)} texts of {options.unit} are taken")
            return 0
        n_open = 0
        for unit in getattr(options, "unit", None) or units():
            entries = entries_of(unit)
            open_ones = list(to_do(entries))
            n_open += len(open_ones)
            if options.what == "list":
                for entry, why in open_ones:
                    print(f"{entry.text.place}  {entry.text.context}: {why}")
                continue
            write_catalogue(entries, catalogue_path(unit))
            changed = write(unit)
            print(f"{unit or 'README'}: {len(changed)} files written, {len(open_ones)} to look at")
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return 1 if options.what == "list" and n_open else 0


if __name__ == "__main__":
    sys.exit(main())
