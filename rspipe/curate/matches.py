# SPDX-License-Identifier: Apache-2.0
"""Dedup and leakage: matching sees all tiles; their fates lie in partitions again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from rspipe.curate import leakage
from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup import stage as dedup
from rspipe.curate.progress import progress_bar
from rspipe.curate.stage import StageFolder
from rspipe.io.places import Place
from rspipe.io.tables import count_rows, is_sound_table, read_table, read_tables, write_table
from rspipe.schema import FATE_SCHEMA, HIT_SCHEMA


@dataclass(frozen=True)
class MarkItem:
    """One partition's fates after dedup, and all hits."""

    fates: Place
    hits: Place


def find_duplicates(
    tiles: Sequence[Place], config: DedupConfig, folder: StageFolder, scratch: Path
) -> bool:
    """Match the tiles with each other and leave their fates in `folder`, one table per partition.

    Args:
        tiles: the partitions of the tile table.
        config: what counts as the same picture.
        folder: where the fates go.
        scratch: local folder for what is too large to hold.

    Returns:
        Whether there was anything to do.
    """
    targets = [folder.part(index) for index in range(len(tiles))]
    if all(is_sound_table(target) for target in targets):
        return False
    with progress_bar("dedup") as progress:
        fates = dedup.dedup(tiles, config, scratch, progress)
    start = 0
    for part, target in zip(tiles, targets, strict=True):
        stop = start + count_rows(part)
        write_table(fates[start:stop].combine_chunks(), target)
        start = stop
    return True


def find_leaks(
    tiles: Sequence[Place],
    fates: Sequence[Place],
    config: DedupConfig,
    target: Place,
    scratch: Path,
) -> bool:
    """Match the tiles that are left with every held-out one; leave the hits in `target`.

    Args:
        tiles: the partitions of the tile table.
        fates: what dedup made of them.
        config: what counts as the same picture.
        target: where the hits go.
        scratch: local folder for what is too large to hold.

    Returns:
        Whether there was anything to do.
    """
    if is_sound_table(target):
        return False
    # Of all that is known of a tile's fate, its stage is enough.
    so_far = read_tables(fates, FATE_SCHEMA, ["drop_stage"])
    with progress_bar("leakage") as progress:
        hits = leakage.find_leaks(tiles, so_far, config, scratch, progress)
    write_table(hits, target)
    return True


def mark_leaks(item: MarkItem) -> pa.Table:
    """Drop the tiles of one partition that have hits: FATE_SCHEMA, in row order."""
    fates = read_table(item.fates, FATE_SCHEMA)
    hits = read_table(item.hits, HIT_SCHEMA)
    own = pc.is_in(hits["tile_id"], fates["tile_id"].combine_chunks())
    return leakage.mark_leaks(fates, hits.filter(own))
