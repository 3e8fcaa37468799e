"""Marking rows: how a stage says why it drops one. Nothing is ever deleted."""

from typing import Any


def drop(row: dict[str, Any], stage: str, reason: str, detail: str) -> dict[str, Any]:
    """Return the row, marked as dropped.

    >>> drop({"a": 1}, "exclude", "too_small", "20 px")["drop_reason"]
    'too_small'
    """
    return row | {"drop_stage": stage, "drop_reason": reason, "drop_detail": detail}


def is_held_out(row: dict[str, Any]) -> bool:
    """Whether a row was excluded only because it belongs to a benchmark."""
    return bool(row["drop_reason"] == "benchmark_split")
