"""Stage 2, exclude: rules on what an image's header and card say, before any pixel is decoded."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.curate.config import ExcludeConfig
from rspipe.curate.rows import drop
from rspipe.schema import IMAGE_SCHEMA, DatasetCard

VERSION = 1

Row = dict[str, Any]
Rule = Callable[[Row, DatasetCard, ExcludeConfig], str | None]
"""Returns the detail of why an image goes, with the measured value, or None to keep it."""


@dataclass(frozen=True)
class ExcludeItem:
    """One partition of the image table, and the cards it speaks of."""

    part: Path
    cards: dict[str, DatasetCard]
    config: ExcludeConfig


def exclude(item: ExcludeItem) -> pa.Table:
    """Mark the images that break a rule; the first rule that is broken gives the reason."""
    rows = pq.read_table(item.part).to_pylist()
    return pa.Table.from_pylist([_mark(row, item) for row in rows], IMAGE_SCHEMA)


def _mark(row: Row, item: ExcludeItem) -> Row:
    if row["drop_stage"] is not None:
        return row
    for reason, rule in RULES.items():
        detail = rule(row, item.cards[row["dataset"]], item.config)
        if detail is not None:
            return drop(row, "exclude", reason, detail)
    return row


def _wrong_bands(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    if row["display_bands"] is None:
        named = f" ({', '.join(card.bands)})" if card.bands else ""
        return f"{row['bands']} {row['dtype']} bands{named}: no rule makes visible light of them"
    if len(row["display_bands"]) == 1 and not config.allow_grey:
        return "a single grey band; allow it with what.exclude.allow_grey=true"
    return None


def _too_small(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    side = min(row["height"], row["width"])
    return f"{side} px < {config.min_side_px} px" if side < config.min_side_px else None


def _licence(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    allowed = config.licences_allowed
    return None if allowed is None or card.licence in allowed else f"{card.licence} not allowed"


def _split(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    return f"split {row['split']} denied" if row["split"] in config.splits_denied else None


def _benchmark_split(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    if not card.is_benchmark(row["split"]):
        return None
    return f"held out: {card.name} is a benchmark (split {row['split'] or 'all'})"


# Held-out images come last: only readable, sound pictures can leak.
RULES: dict[str, Rule] = {
    "wrong_bands": _wrong_bands,
    "too_small": _too_small,
    "licence_not_allowed": _licence,
    "split_not_allowed": _split,
    "benchmark_split": _benchmark_split,
}
