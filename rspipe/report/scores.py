# SPDX-License-Identifier: Apache-2.0
"""Numbers with their intervals, read from rows of `results.json`, and the colours of encoders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rspipe.report.figures import colour

SIZES = {"few_shot": "images per class", "label_share": "share of the train part"}
"""What the sizes of a curve are, by protocol."""
PRETRAINED, RANDOM = "pretrained", "random"
_LAST = (RANDOM, "image_statistics", "none")

Row = Mapping[str, Any]
Lines = Mapping[str, Row]
"""Rows that differ in the encoder alone, by encoder."""


@dataclass(frozen=True)
class Score:
    """A number with its 95 % interval over test images."""

    value: float
    low: float
    high: float
    n_seeds: int | None = None
    """Repetitions whose mean the value is."""
    seed_std: float | None = None
    """Standard deviation over them; no part of the interval."""

    def __str__(self) -> str:
        return f"{self.value:.3f}"


def score_of(row: Row, which: str = "") -> Score:
    """Read a value; where there is no interval it shrinks to the value.

    Args:
        row: of the results, a point of a curve, or a score in `extra`.
        which: `clean_` for the score without leaked images, which has no spread of its own.
    """
    value = float(row[f"{which}value"])
    low, high = row.get(f"{which}ci_low"), row.get(f"{which}ci_high")
    return Score(
        value,
        value if low is None else low,
        value if high is None else high,
        None if which else row.get("n_seeds"),
        None if which else row.get("seed_std"),
    )


@dataclass(frozen=True)
class Difference:
    """A score minus that of a reference, with the 95 % interval of the difference itself."""

    reference: str
    value: float
    low: float | None
    """None where no interval was recorded."""
    high: float | None

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the interval leaves 0 out, else `inseparable`, or `unknown`."""
        if self.low is None or self.high is None:
            return "unknown"
        if self.low > 0:
            return "better"
        return "worse" if self.high < 0 else "inseparable"


def is_trained(encoder: str) -> bool:
    """Whether a label is of an encoder that was trained, and not of a baseline.

    >>> is_trained("pretrained"), is_trained("CrossMAE B"), is_trained("random")
    (True, True, False)
    """
    return encoder not in _LAST


def over_untrained(row: Row, lines: Lines) -> Difference | None:
    """Compare a trained encoder with the untrained one of its line.

    Images are paired (`extra.over`); of results that recorded no pairs only the difference of
    the two scores is known.
    """
    untrained = lines.get(RANDOM)
    if untrained is None or not is_trained(str(row["encoder"])):
        return None
    known = _over(row).get(RANDOM)
    if known is None:
        return Difference(RANDOM, float(row["value"]) - float(untrained["value"]), None, None)
    return _difference(RANDOM, known)


def over_floor(row: Row) -> Difference | None:
    """Compare a score with the best of its floors: the one that it beats by least."""
    floors = [_difference(name, one) for name, one in _over(row).items() if name != RANDOM]
    return min(floors, key=lambda one: one.value, default=None)


def _over(row: Row) -> Mapping[str, Mapping[str, Any]]:
    found: Mapping[str, Mapping[str, Any]] = (row.get("extra") or {}).get("over") or {}
    return found


def _difference(name: str, known: Mapping[str, Any]) -> Difference:
    return Difference(name, float(known["value"]), known.get("ci_low"), known.get("ci_high"))


def lines_of(done: Sequence[Row]) -> list[dict[str, Row]]:
    """Group rows that differ in the encoder alone: a line of the score table each."""
    lines: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in done:
        key = tuple(str(row[name]) for name in ("benchmark", "task", "protocol", "metric"))
        lines.setdefault(key, {})[str(row["encoder"])] = row
    return list(lines.values())


def curves_of(lines: Lines) -> dict[str, list[tuple[float, Score]]]:
    """Read the scores by number of labels, by encoder; empty where a protocol draws no parts."""
    return {
        encoder: [(float(point["size"]), score_of(point)) for point in row["extra"]["curve"]]
        for encoder, row in lines.items()
        if "curve" in (row.get("extra") or {})
    }


def encoders_of(done: Sequence[Row]) -> tuple[str, ...]:
    """List encoders in the order of columns: trained ones as they come, then ever lower floors.

    >>> encoders_of([{"encoder": name} for name in ("none", "random", "pretrained", "B")])
    ('pretrained', 'B', 'random', 'none')
    """
    found = dict.fromkeys(str(row["encoder"]) for row in done)
    trained = sorted(filter(is_trained, found), key=lambda n: n != PRETRAINED)
    return (*trained, *(name for name in _LAST if name in found))


def looks_of(encoders: Sequence[str]) -> dict[str, str]:
    """Give each encoder its class in the page's style: labels are free text, classes are not.

    >>> looks_of(["pretrained", "random", "CrossMAE B"])
    {'pretrained': 'pretrained', 'random': 'random', 'CrossMAE B': 'c1'}
    """
    own = {PRETRAINED, RANDOM}
    others = [name for name in encoders if name not in own]
    free = {name: colour(1 + i % 7) for i, name in enumerate(others)}
    return {name: free.get(name, name) for name in encoders}


def further_of(lines: Lines) -> tuple[tuple[str, Mapping[str, Score]], ...]:
    """Collect the scores with intervals that stand in `extra`."""
    found: dict[str, dict[str, Score]] = {}
    for encoder, row in lines.items():
        for name, value in (row.get("extra") or {}).items():
            if isinstance(value, dict) and isinstance(value.get("value"), float):
                found.setdefault(name, {})[encoder] = score_of(value)
    return tuple(found.items())
