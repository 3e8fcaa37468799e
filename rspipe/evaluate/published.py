# SPDX-License-Identifier: Apache-2.0
"""Figures of the literature that a recipe puts beside its own."""

from collections.abc import Sequence

from pydantic import Field

from rspipe.recipe import Strict


class Published(Strict):
    """One figure, as its source prints it."""

    benchmark: str
    model: str
    """Method, encoder and corpus."""
    metric: str
    """What the figure is, which may be another name than its column bears."""
    value: float = Field(ge=0, le=1)
    """0..1, higher is better."""
    source: str
    """Where it stands."""
    note: str | None = None
    """Why it does not compare with a score of the recipe, or what its column is called."""


def to_lines(published: Sequence[Published]) -> str:
    """Lay published figures out for a terminal, below the recipe's own."""
    lines = [
        f"published: {p.benchmark}  {p.model}  {p.metric} {p.value:.4f}  ({p.source})"
        + (f"; {p.note}" if p.note else "")
        for p in published
    ]
    return "\n".join(lines)
