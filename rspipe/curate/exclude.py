# SPDX-License-Identifier: Apache-2.0
"""Stage 2, exclude: rules on what an image's header and card say, before any pixel is decoded."""

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pyarrow as pa

from rspipe.curate.config import ExcludeConfig
from rspipe.curate.rows import drop
from rspipe.io.places import Place
from rspipe.io.tables import read_table
from rspipe.schema import IMAGE_SCHEMA, DatasetCard

VERSION = 2

Row = dict[str, Any]
Rule = Callable[[Row, DatasetCard, ExcludeConfig], str | None]
"""Returns the detail of why an image goes, with the measured value, or None to keep it."""


@dataclass(frozen=True)
class ExcludeItem:
    """One partition of the image table, and the cards it speaks of."""

    part: Place
    cards: dict[str, DatasetCard]
    config: ExcludeConfig


def exclude(item: ExcludeItem) -> pa.Table:
    """Mark the images that break a rule; the first rule that is broken gives the reason."""
    rows = read_table(item.part, IMAGE_SCHEMA).to_pylist()
    return pa.Table.from_pylist([_mark(row, item) for row in rows], IMAGE_SCHEMA)


def _mark(row: Row, item: ExcludeItem) -> Row:
    if row["drop_stage"] is not None:
        return row
    card = item.cards[row["dataset"]]
    wanted = item.config.display_bands.get(row["dataset"])
    if wanted is not None:
        row = row | {"display_bands": declared_bands(wanted, card, row["bands"])}
    for reason, rule in RULES.items():
        detail = rule(row, card, item.config)
        if detail is not None:
            return drop(row, "exclude", reason, detail)
    return row


def declared_bands(
    wanted: tuple[str, ...] | tuple[int, ...], card: DatasetCard, count: int
) -> list[int] | None:
    """Number the bands that a recipe wants to be shown, from 1; None where one is not there.

    Args:
        wanted: three bands, as red, green and blue, or one, as grey: the card's names, or numbers.
        card: names the dataset's bands.
        count: bands of the image.

    >>> card = DatasetCard(name="x", bands=("blue", "green", "red", "nir"))
    >>> declared_bands(("red", "green", "blue"), card, 4)
    [3, 2, 1]
    """
    names = card.bands or ()
    numbers = [
        band if isinstance(band, int) else names.index(band) + 1 if band in names else 0
        for band in wanted
    ]
    right = len(numbers) in {1, 3} and all(1 <= number <= count for number in numbers)
    return numbers if right else None


def _wrong_bands(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    named = f" ({', '.join(card.bands)})" if card.bands else ""
    said = f"{row['bands']} {row['dtype']} bands{named}"
    if row["display_bands"] is None:
        wanted = config.display_bands.get(row["dataset"])
        if wanted is not None:
            return f"{said}: not among them {', '.join(map(str, wanted))}"
        return f"{said}: no rule makes visible light of them"
    if row["dtype"].startswith("complex"):
        return f"{said}: complex numbers are no picture"
    grey = len(row["display_bands"]) == 1
    if grey and not config.allow_grey and not card.is_benchmark(row["split"]):
        return "a single grey band; allow it with what.exclude.allow_grey=true"
    return None


def _dtype(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    allowed = config.dtypes_allowed
    return None if allowed is None or row["dtype"] in allowed else f"{row['dtype']} not allowed"


def _too_small(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    side = min(row["height"], row["width"])
    return f"{side} px < {config.min_side_px} px" if side < config.min_side_px else None


def _too_large(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    side = max(row["height"], row["width"])
    if config.max_side_px is not None and side > config.max_side_px:
        return f"{side} px > {config.max_side_px} px"
    return None


def _too_many_pixels(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    megapixels = row["height"] * row["width"] / 1e6
    if config.max_megapixels is not None and megapixels > config.max_megapixels:
        return f"{megapixels:,.1f} Mpx > {config.max_megapixels:,.1f} Mpx"
    return None


def _aspect(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    sides = row["height"], row["width"]
    ratio = max(sides) / min(sides)
    if config.max_aspect_ratio is None or ratio <= config.max_aspect_ratio:
        return None
    return f"{ratio:.2f} to 1 > {config.max_aspect_ratio} to 1"


def _gsd(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    gsd_m, low, high = row["gsd_m"], config.min_gsd_m, config.max_gsd_m
    if low is None and high is None:
        return None
    if gsd_m is None:
        return "unknown GSD" if config.unknown_gsd == "drop" else None
    if low is not None and gsd_m < low:
        return f"{gsd_m:.3g} m < {low} m"
    return f"{gsd_m:.3g} m > {high} m" if high is not None and gsd_m > high else None


def _cloudy(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    cover, most = row["cloud_cover"], config.max_cloud_cover
    if most is None:
        return None
    if cover is None:
        return "unknown cloud cover" if config.unknown_cloud_cover == "drop" else None
    return f"cloud cover {cover:.3f} > {most} (published)" if cover > most else None


def _licence(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    licence, allowed = card.licence, config.licences_allowed
    if licence is None:
        return "no licence stated" if config.unknown_licence == "drop" else None
    if _matches(licence, config.licences_denied):
        return f"{licence} denied"
    return None if allowed is None or _matches(licence, allowed) else f"{licence} not allowed"


def _matches(licence: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(licence, pattern) for pattern in patterns)


def _not_redistributable(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    if not config.redistributable_only or card.redistributable:
        return None
    said = "unknown" if card.redistributable is None else "no"
    return f"redistributable: {said} (licence {card.licence or 'not stated'})"


def _split(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    return f"split {row['split']} denied" if row["split"] in config.splits_denied else None


def _benchmark_split(row: Row, card: DatasetCard, config: ExcludeConfig) -> str | None:
    if not card.is_benchmark(row["split"]):
        return None
    return f"held out: {card.name} is a benchmark (split {row['split'] or 'all'})"


# First what no picture can be made of; then held-out images are set aside, so that no rule of taste
# or law keeps a benchmark's picture from being compared with.
RULES: dict[str, Rule] = {
    "wrong_bands": _wrong_bands,
    "too_many_pixels": _too_many_pixels,
    "benchmark_split": _benchmark_split,
    "too_small": _too_small,
    "too_large": _too_large,
    "dtype_not_allowed": _dtype,
    "aspect_ratio": _aspect,
    "gsd_not_allowed": _gsd,
    "cloudy": _cloudy,
    "licence_not_allowed": _licence,
    "not_redistributable": _not_redistributable,
    "split_not_allowed": _split,
}
