# SPDX-License-Identifier: Apache-2.0
"""Rows of a partition: which of them to work on, and how a stage says why it drops one."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from rspipe.io.places import Place
from rspipe.io.tables import count_rows


@dataclass(frozen=True)
class Rows:
    """Rows `start` to `stop` of a table; `stop` None: to its end.

    >>> Rows(10, 20).piece(2, 5)
    Rows(start=12, stop=15)
    """

    start: int = 0
    stop: int | None = None

    def of(self, table: pa.Table) -> pa.Table:
        """The rows."""
        return table[self.start : self.stop]

    def count(self, part: Place) -> int:
        """How many of a table's rows they are."""
        return (count_rows(part) if self.stop is None else self.stop) - self.start

    def piece(self, start: int, stop: int) -> "Rows":
        """Some of them, counted from their own first one."""
        return Rows(self.start + start, self.start + stop)


ALL_ROWS = Rows()


class Unusable(Exception):
    """An image that goes, though its pixels may be sound.

    Args:
        reason: key of the ledger.
        detail: what was found.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def drop(row: dict[str, Any], stage: str, reason: str, detail: str) -> dict[str, Any]:
    """Return the row, marked as dropped. Nothing is ever deleted.

    >>> drop({"a": 1}, "exclude", "too_small", "20 px")["drop_reason"]
    'too_small'
    """
    return row | {"drop_stage": stage, "drop_reason": reason, "drop_detail": detail}


def is_held_out(row: dict[str, Any]) -> bool:
    """Whether a row was excluded only because it belongs to a benchmark."""
    return bool(row["drop_reason"] == "benchmark_split")
