# SPDX-License-Identifier: Apache-2.0
"""What stands beside the scores: groups of test images, figures of the literature."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rspipe.report.scores import Lines, Row

_NOTHING = Markup("")
NO_REASON = "not said; compare split, protocol and metric before the numbers"


@dataclass(frozen=True)
class Group:
    """The score of some of the test images, encoders side by side."""

    benchmark: str
    protocol: str
    name: str
    n: int
    values: Mapping[str, float | None]
    """mIoU by encoder."""


@dataclass(frozen=True)
class Printed:
    """A figure of the literature, and the recipe's own of the same name."""

    benchmark: str
    model: str
    metric: str
    value: float
    source: str
    reason: str
    """Why it does not compare."""
    ours: tuple[tuple[str, str, float], ...]
    """Protocol, encoder, value."""
    is_headline: bool = False
    """Whether its metric is the headline of a score of the benchmark."""
    drawing: Markup = _NOTHING
    """Its mark on the axis of the scores."""


def groups_of(every: Sequence[Lines]) -> tuple[Group, ...]:
    """List the groups of every line of the score table."""
    return tuple(group for lines in every for group in _groups(lines))


def printed_of(recipe: Mapping[str, Any], done: Sequence[Row]) -> tuple[Printed, ...]:
    """Put the recipe's published figures beside its scores of the same benchmark and metric."""
    return tuple(
        Printed(
            benchmark=one["benchmark"],
            model=one["model"],
            metric=one["metric"],
            value=float(one["value"]),
            source=one["source"],
            reason=one.get("note") or NO_REASON,
            ours=tuple(_ours(one, done)),
            is_headline=any(
                (row["benchmark"], row["metric"]) == (one["benchmark"], one["metric"])
                for row in done
            ),
        )
        for one in recipe.get("published") or ()
    )


def _groups(lines: Lines) -> Iterator[Group]:
    names = dict.fromkeys(n for row in lines.values() for n in _extra(row, "groups"))
    for name in names:
        of = {e: _extra(row, "groups").get(name) or {} for e, row in lines.items()}
        row = next(iter(lines.values()))
        yield Group(
            benchmark=row["benchmark"],
            protocol=row["protocol"],
            name=name,
            n=max(int(one.get("n", 0)) for one in of.values()),
            values={encoder: one.get("mIoU") for encoder, one in of.items()},
        )


def _ours(printed: Mapping[str, Any], done: Sequence[Row]) -> Iterator[tuple[str, str, float]]:
    for row in done:
        if row["benchmark"] != printed["benchmark"]:
            continue
        further = _extra(row, printed["metric"]).get("value")
        value = row["value"] if row["metric"] == printed["metric"] else further
        if value is not None:
            yield str(row["protocol"]), str(row["encoder"]), float(value)


def _extra(row: Row, name: str) -> Mapping[str, Any]:
    found = (row.get("extra") or {}).get(name)
    return found if isinstance(found, dict) else {}
