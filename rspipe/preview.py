# SPDX-License-Identifier: Apache-2.0
"""What a long verb would do, said before it does anything: the answer of `--dry-run`.

The verbs' own packages fill it in (`curate/preview.py`, `train/preview.py` …), as only they know
what is done already; the command line prints it, for people or as JSON.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

Facts = dict[str, str | int | float | None]


@dataclass(frozen=True)
class Part:
    """Some work of one kind: a stage, a benchmark, the runs of a sweep."""

    name: str
    done: int
    """How many units are on disk already, and will not be done again."""
    total: int | None
    """Null: it is known only once the part before it is done."""
    unit: str
    detail: str = ""


@dataclass(frozen=True)
class Preview:
    """What would be read, written, taken as done, and what it would take."""

    verb: str
    name: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    parts: tuple[Part, ...]
    facts: Facts = field(default_factory=dict)
    """Sizes, steps and hours, units in their names; null where nobody knows."""
    is_done: bool = False
    """Whether nothing at all is left to do."""
    warnings: tuple[str, ...] = ()
    """What hardly can be meant, and what to give instead."""

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON-able values."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Say it in lines for a terminal."""
        said = [f"{self.verb} {self.name}: --dry-run, nothing is begun"]
        said += [f"  {'reads':<8}{text}" for text in self.reads]
        said += [f"  {'writes':<8}{text}" for text in self.writes]
        if self.parts:
            width = max(len(part.name) for part in self.parts)
            said.append("  work")
            said += [f"    {part.name:<{width}}  {_of(part)}" for part in self.parts]
        if self.facts:
            width = max(len(name) for name in self.facts)
            said.append("  known before it starts")
            said += [f"    {name:<{width}}  {_value(value)}" for name, value in self.facts.items()]
        said += [f"  warning: {text}" for text in self.warnings]
        said.append("  nothing is left to do" if self.is_done else "  something is left to do")
        return said


def _of(part: Part) -> str:
    detail = f", {part.detail}" if part.detail else ""
    if part.total is None:
        return f"{part.done:,} {part.unit} done{detail}"
    return f"{part.done:,} of {part.total:,} {part.unit} done{detail}"


def _value(value: str | int | float | None) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, str):
        return value
    return f"{value:,.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:,.0f}"
