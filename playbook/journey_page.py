"""What the page of the road shows: its rows, its times and its talk, as Markdown.

The road is the reader's own where runs/journey holds a finished one, else the one that came with
the course. Bands are always the course's.
"""

from pathlib import Path

from playbook.journey_table import (
    HEADINGS,
    MEASURE_OF,
    MEASURES,
    Tell,
    band_of,
    cells_of,
    read_record,
    reference,
    verdict,
)

OWN = Path("runs") / "journey" / "journey.json"
PARTS = ("where", "rows", "times", "talk")


def road_shown(root: Path) -> tuple[dict, bool]:
    """A finished road, and whether it is the reader's own.

    Raises: ValueError if a record cannot be read.
    """
    path = root / OWN
    if path.exists():
        own = read_record(path)
        if own["settings"].get("name") == "full" and len(own["rows"]) == len(MEASURES):
            return own, True
    return reference("full"), False


def markdown_table(lines: list[list[str]], right: int) -> str:
    """A table whose last columns, so many, hold numbers."""
    marks = [":---"] * (len(lines[0]) - right) + ["---:"] * right
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], marks, *lines[1:]])


def where(road: dict, is_own: bool, tell: Tell) -> str:
    """Whose road it is, on which machine, and how long it took."""
    kept, rows = road["settings"], road["rows"].values()
    minutes, cpu = (f"{sum(row[name] for row in rows) / 60:.0f}" for name in ("seconds", "cpu"))
    whose = (
        tell("this machine's own road") if is_own else tell("the road that came with the course")
    )
    lines = [
        ["", whose],
        [tell("minutes by the clock"), minutes],
        [tell("minutes of the processor"), cpu],
        [tell("processor"), kept["processor"]],
        [tell("threads"), str(kept["threads"])],
        [tell("device"), kept["device"]],
        [tell("precision"), kept["precision"]],
        [tell("tokens read"), f"{kept['tokens']:,}"],
        [tell("seed"), str(kept["seed"])],
    ]
    return markdown_table(lines, 1)


def rows(road: dict, is_own: bool, tell: Tell) -> str:
    """The rows with their intervals and bands, of which the course's road is the middle."""
    known = reference("full")["rows"]
    lines = [[tell(name) for name in (HEADINGS[0], HEADINGS[1], "against", *HEADINGS[2:])]]
    for name, row in road["rows"].items():
        band = band_of(known[name]) if name in known else None
        *cells, said = cells_of(row, band, tell)
        if not is_own:
            said = verdict(row, None, tell)
        lines.append([*cells[:2], tell(MEASURE_OF[name].against), *cells[2:], said])
    return markdown_table(lines, 5)


def times(road: dict, tell: Tell) -> str:
    """What each stage took."""
    lines = [[tell(n) for n in ("stage", "minutes by the clock", "minutes of the processor")]]
    for name, row in road["rows"].items():
        if name == MEASURE_OF[name].stage:
            lines.append([tell(name), f"{row['seconds'] / 60:.1f}", f"{row['cpu'] / 60:.1f}"])
    return markdown_table(lines, 2)


def talk(road: dict) -> str:
    """The talk with the model of 8 bits, as code: what it says is no Markdown."""
    said = "\n".join(f"> {text}\n{answer}" for text, answer in road["rows"]["chat"]["talk"])
    return f"```\n{said}\n```"


def part_of_page(part: str, root: Path, tell: Tell) -> str:
    """One of PARTS, in the page's language.

    Raises: ValueError if there is no such part, or a record cannot be read.
    """
    if part not in PARTS:
        raise ValueError(f"{part!r} is no part of the road; there are: {', '.join(PARTS)}")
    road, is_own = road_shown(root)
    if not road["rows"]:
        return f"*({tell('no road has been gone here yet')})*"
    if part == "where":
        return where(road, is_own, tell)
    if part == "talk":
        return talk(road)
    return rows(road, is_own, tell) if part == "rows" else times(road, tell)
