# SPDX-License-Identifier: Apache-2.0
"""Stage 4, screen: drop the tiles whose own pixels say that they are worth nothing.

No pixel is read here: the rules look at what `slice` measured. So a limit can be moved, and its
effect looked at, without decoding anything again.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rspipe.curate.config import ScreenConfig
from rspipe.io.places import Place
from rspipe.io.tables import read_table
from rspipe.schema import FATE_FIELDS, TILE_SCHEMA

VERSION = 1


@dataclass(frozen=True)
class TileRule:
    """Drops the tiles whose measure lies beyond a limit of the recipe."""

    column: str
    """Measure of the tile table."""
    limit: str
    """Key of the recipe's `screen` section; null there: no limit."""
    drops: Literal["above", "below"] = "above"

    def breaks(self, values: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
        """Whether each value lies beyond the limit; a missing one (NaN) does not."""
        return np.asarray(values > limit if self.drops == "above" else values < limit)

    def detail(self, value: float, limit: float) -> str:
        """Say what was measured."""
        sign = ">" if self.drops == "above" else "<"
        return f"{self.column} {value:.4g} {sign} {limit:g}"


RULES: dict[str, TileRule] = {
    "nodata": TileRule("nodata_fraction", "max_nodata_fraction"),
    "blank": TileRule("flatness", "max_flatness"),
    "saturated": TileRule("saturated_fraction", "max_saturated_fraction"),
    "black": TileRule("black_fraction", "max_black_fraction"),
    "cloudy": TileRule("cloud_fraction", "max_cloud_fraction"),
    "too_dark": TileRule("mean_grey", "min_mean_grey", "below"),
    "too_bright": TileRule("mean_grey", "max_mean_grey"),
    "low_contrast": TileRule("std_grey", "min_std_grey", "below"),
    "blurred": TileRule("sharpness", "min_sharpness", "below"),
}
"""Reason → rule; the first rule that a tile breaks gives the reason."""


@dataclass(frozen=True)
class ScreenItem:
    """One partition of the tile table."""

    part: Place
    config: ScreenConfig


def screen_part(item: ScreenItem) -> pa.Table:
    """Screen one partition."""
    return screen(read_table(item.part, TILE_SCHEMA), item.config)


def screen(tiles: pa.Table, config: ScreenConfig) -> pa.Table:
    """Mark the tiles that break a rule. Held-out tiles and whole parents are left as they are.

    Args:
        tiles: TILE_SCHEMA rows.
        config: the limits.
    """
    parent = tiles["is_parent"].to_numpy(zero_copy_only=False).astype(bool)
    free = tiles["drop_stage"].is_null().to_numpy() & ~parent
    fates = {field.name: tiles[field.name].to_pylist() for field in FATE_FIELDS}
    for reason, rule in RULES.items():
        limit = getattr(config, rule.limit)
        if limit is None:
            continue
        values = tiles[rule.column].cast(pa.float64()).to_numpy(zero_copy_only=False)
        broken = np.flatnonzero(free & rule.breaks(values, limit))
        free[broken] = False
        for row in broken:
            fates["drop_stage"][row] = "screen"
            fates["drop_reason"][row] = reason
            fates["drop_detail"][row] = rule.detail(values[row], limit)
    for name, values in fates.items():
        field = tiles.schema.field(name)
        tiles = tiles.set_column(
            tiles.schema.names.index(name), field, pa.array(values, field.type)
        )
    return tiles
