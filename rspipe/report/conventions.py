# SPDX-License-Identifier: Apache-2.0
"""What each metric means: what all its definitions share once, then what is a score's own."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Convention:
    """One metric."""

    metric: str
    shared: str
    """What holds for all its footnotes."""
    notes: tuple[tuple[int, str], ...]
    """Number and own part of each footnote."""


def conventions_of(footnotes: Sequence[tuple[str, str]]) -> tuple[Convention, ...]:
    """Group numbered footnotes by metric.

    Args:
        footnotes: metric and convention, clauses parted by semicolons; the first has number 1.
    """
    found = []
    for metric in dict.fromkeys(metric for metric, _ in footnotes):
        said = {
            number: text.split("; ")
            for number, (of, text) in enumerate(footnotes, start=1)
            if of == metric
        }
        every = list(said.values())
        common = [c for c in every[0] if all(c in other for other in every)]
        shared = "; ".join(common).removeprefix(f"{metric}: ")  # the page names the metric itself
        notes = tuple(
            (number, "; ".join(c for c in clauses if c not in common))
            for number, clauses in said.items()
        )
        found.append(Convention(metric, shared, notes))
    return tuple(found)
