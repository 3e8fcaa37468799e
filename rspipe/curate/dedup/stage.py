# SPDX-License-Identifier: Apache-2.0
"""Stage 5, dedup: one survivor for every picture; every copy names the one it was dropped for."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.fates import fates_of
from rspipe.curate.dedup.pairs import Flags, Indices
from rspipe.curate.dedup.rank import rank_parts
from rspipe.curate.dedup.tiles import part_starts, read_tiles
from rspipe.curate.dedup.verdict import judge
from rspipe.curate.progress import Progress, quiet
from rspipe.io.places import Place

VERSION = 6


def dedup(
    parts: Sequence[Place], config: DedupConfig, scratch: Path, progress: Progress = quiet
) -> pa.Table:
    """Mark the copies among the tiles that are still in.

    Args:
        parts: Parquet files of TILE_SCHEMA, held-out benchmark tiles included (they are left
            alone). About 130 bytes of each tile are held, no thumbnail.
        config: what counts as the same picture.
        scratch: folder for what is too large to hold; nothing is left in it.
        progress: told of every part read and of every step.

    Returns:
        FATE_SCHEMA rows in the order of the parts.
    """
    starts = part_starts(parts)
    tiles, rows = read_tiles(parts, starts, _is_candidate, scratch, progress)
    progress("rank", 0, 1)
    rank = rank_parts(parts, rows_by_part(starts, rows), config.keep)
    progress("match", 0, 1)
    verdict = judge(tiles, config, rank, progress=progress)
    del tiles, rank
    progress("write", 0, 1)
    return fates_of(parts, starts, rows, verdict)


def _is_candidate(table: pa.Table, _start: int) -> Flags:
    alive = pc.and_(table["drop_stage"].is_null(), table["pixel_hash"].is_valid())
    return np.asarray(alive.to_numpy())


def rows_by_part(starts: Indices, rows: Indices) -> list[Indices]:
    """Split rows of the whole table, increasing, into rows of each part."""
    edges = np.searchsorted(rows, [*starts, np.iinfo(np.int64).max])
    return [
        rows[first:last] - start
        for start, first, last in zip(starts, edges[:-1], edges[1:], strict=True)
    ]
