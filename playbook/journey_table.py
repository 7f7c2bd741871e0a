"""The rows of a road: their intervals, the bands they should fall into, and how they are shown.

A band is where the value of a new road should lie. It follows from the road that came with the
course (playbook/recorded): its mean and the spread of its seeds say where the mean of as many new
seeds lies with 95% probability. All seeds of a road stand on one pretraining, whose luck they
cannot show, so a band is never narrower than LEAST on either side.
"""

import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from scipy import stats
from scipy.stats import binomtest

from course.language import padded, say

RECORDS = files("playbook") / "recorded"
Tell = Callable[[str], str]  # a word in the language that is asked for
LEAST = {"%": 6.0, "": 0.03}  # on either side: points of a share; a part of any other value


@dataclass(frozen=True)
class Measure:
    """What a row holds: its measure, its unit, and what it is held against."""

    row: str
    what: str
    against: str
    over: str  # what the interval is over
    better: int  # 1: more is better, -1: less is, 0: what a stage costs, which may be nothing
    unit: str = ""

    @property
    def stage(self) -> str:
        return self.row.removesuffix(", cost")


SEEDS, DOCUMENTS, COUNTED = "seeds", "groups of documents", "counted"
DRAWN, LIKELIEST = "drawn answers right", "likeliest answers right, chapter 7's test"
PAIRS = "right answer likelier than a wrong one"
BITS, WITH_16 = "bits per byte, held-out documents", "16 bits"
MEASURES = (
    Measure("tokenizer", "bytes for each token, held-out text", "plain bytes", SEEDS, 1),
    Measure("pretraining", BITS, "counts of pairs of tokens", DOCUMENTS, -1),
    Measure("instructions", LIKELIEST, "the pretrained model, first line", SEEDS, 1, "%"),
    Measure("DPO", PAIRS, "the finetuned model", SEEDS, 1, "%"),
    Measure("DPO, cost", LIKELIEST, "the finetuned model", SEEDS, 0, "%"),
    Measure("GRPO", DRAWN, "DPO's model", SEEDS, 1, "%"),
    Measure("GRPO, cost", LIKELIEST, "DPO's model", SEEDS, 0, "%"),
    Measure("int8", "megabytes of the file", WITH_16, COUNTED, -1),
    Measure("int8, cost", BITS, WITH_16, DOCUMENTS, 0),
    Measure("chat", "follow-up questions right in a talk", "without the talk", "talks", 1, "%"),
)
MEASURE_OF = {measure.row: measure for measure in MEASURES}


def half_interval(values: list[float]) -> float:
    """Half the 95% interval of a mean, by Student's t; 0 for what is counted."""
    if len(values) < 2:
        return 0.0
    return float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))


def make_row(measure: Measure, before: list[float], after: list[float], **more) -> dict:
    """A row of a road: what was measured before a stage and after it, value by value."""
    gains = [b - a for a, b in zip(before, after, strict=True)]
    value, gain, half = statistics.mean(after), statistics.mean(gains), half_interval(gains)
    around = half_interval(after)
    interval = [value - around, value + around]
    if measure.row == "chat":  # right or wrong
        found = binomtest(round(sum(after)), len(after)).proportion_ci(method="wilson")
        interval = [found.low, found.high]
    improves = None if measure.better == 0 else measure.better * gain > half
    return {
        "row": measure.row, "before": statistics.mean(before), "value": value,
        "interval": [float(x) for x in interval], "gain": gain, "half": half,
        "n": len(after), "befores": before, "values": after, "improves": improves, **more,
    }  # fmt: skip


def band_of(row: dict) -> list[float]:
    """Where the value of another road of this size should lie."""
    measure, values = MEASURE_OF[row["row"]], row["values"]
    half = 0.0
    if measure.over == SEEDS and len(values) > 1:
        n = len(values)
        half = stats.t.ppf(0.975, n - 1) * statistics.stdev(values) * (2 / n) ** 0.5
    least = LEAST["%"] / 100 if measure.unit == "%" else LEAST[""] * row["value"]
    half = max(float(half), least)
    return [row["value"] - half, row["value"] + half]


def record_path(size: str) -> Path:
    return Path(str(RECORDS / f"journey-{size}.json"))


def read_record(path: Path) -> dict:
    """A finished road, with its rows by name. Raises: ValueError if the file is no such record."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        rows = {row["row"]: row for row in record["rows"]}
        for row in rows.values():
            [*row["interval"], row["value"], row["seconds"], row["cpu"], MEASURE_OF[row["row"]]]
        return record | {"rows": rows}
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{path} is damaged: fetch it again, or delete it") from None


def reference(size: str) -> dict:
    """The road of this size that came with the course; without rows if there is none."""
    path = record_path(size)
    return read_record(path) if path.exists() else {"rows": {}, "settings": {}}


def number(value: float, unit: str) -> str:
    """A value as a table shows it."""
    return f"{100 * value:.1f}%" if unit == "%" else f"{value:.3f}"


def between(ends: list[float], unit: str) -> str:
    if unit == "%":
        low, high = (max(0.0, min(1.0, end)) for end in ends)
        return f"{100 * low:.1f}–{100 * high:.1f}"
    return f"{ends[0]:.3f}–{ends[1]:.3f}"


def verdict(row: dict, band: list[float] | None, tell: Tell = say) -> str:
    """What a row says about its stage."""
    said = []
    if row["improves"] is not None:
        said.append(tell("improves") if row["improves"] else tell("not more than chance"))
    if band:
        is_inside = band[0] <= row["value"] <= band[1]
        said.append(tell("in its band") if is_inside else tell("outside of its band"))
    return ", ".join(said) or "–"


HEADINGS = ("stage", "measure", "before", "after", "95% interval", "band", "verdict")


def cells_of(row: dict, band: list[float] | None, tell: Tell = say) -> list[str]:
    """A row's cells below HEADINGS."""
    measure = MEASURE_OF[row["row"]]
    counted = row["n"] == 1
    return [
        tell(measure.row),
        tell(measure.what),
        number(row["before"], measure.unit),
        number(row["value"], measure.unit),
        tell("counted") if counted else between(row["interval"], measure.unit),
        between(band, measure.unit) if band else "–",
        verdict(row, band, tell),
    ]


def table(rows: list[dict], bands: dict[str, list[float]]) -> str:
    """The rows for a terminal."""
    lines = [[say(name) for name in HEADINGS]]
    lines += [cells_of(row, bands.get(row["row"])) for row in rows]
    widths = [max(width_of(line[i]) for line in lines) for i in range(len(HEADINGS))]
    return "\n".join(
        "  ".join(padded(cell, width) for cell, width in zip(line, widths)).rstrip()
        for line in lines
    )


def width_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return 3 * len(text) - len(padded(text, 2 * len(text)))
