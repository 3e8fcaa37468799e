# SPDX-License-Identifier: Apache-2.0
"""Small pictures of what the gallery shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rspipe.corpus.pairs import PAIR_GROUPS, PICTURES, PICTURES_SCHEMA, doubtful_first
from rspipe.curate.config import SliceConfig
from rspipe.curate.dedup.tiles import part_starts, read_rows
from rspipe.curate.sources import open_source
from rspipe.errors import UnreadableImage
from rspipe.io import images
from rspipe.io.places import Place
from rspipe.io.storage import Storage
from rspipe.io.tables import write_table
from rspipe.progress import track
from rspipe.schema import TILE_SCHEMA, Box

SIDE_PX = 160
_CLUSTER_PICTURES = 200
_COLUMNS = ["dataset", "source_path", "display_bands", "derivation", "h", "w", "drop_reason"]


@dataclass(frozen=True)
class Drawable:
    """Where measured pictures can be read again."""

    parts: Sequence[Place]
    paths: pa.Array
    """Path of every row of the parts."""
    storages: dict[str, Storage]
    """Files of each target, by the name that stands in `dataset`."""


def draw_pictures(
    pairs: pa.Table, clusters: pa.Table, sides: Sequence[Drawable], out: Path
) -> None:
    """Draw the pictures of the pairs and clusters that are shown, at most 160 px a side."""
    shown = [doubtful_first(pairs, kind, verdict)[0] for kind, verdict in PAIR_GROUPS]
    wanted = pa.chunked_array(
        [
            *(chunk for t in shown for n in ("path_a", "path_b") for chunk in t[n].chunks),
            *clusters["path"][:_CLUSTER_PICTURES].chunks,
        ],
        pa.string(),
    ).unique()
    drawn: dict[str, bytes] = {}
    for side in sides:
        rows = pc.index_in(wanted, side.paths).drop_null().to_numpy()
        table = read_rows(side.parts, part_starts(side.parts), rows, _columns())
        for row in track(table.to_pylist(), "  pictures", unit="picture"):
            data = _draw(row, side.storages[row["dataset"]])
            if data is not None:
                drawn[f"{row['dataset']}/{row['source_path']}"] = data
    table = pa.table([sorted(drawn), [drawn[p] for p in sorted(drawn)]], schema=PICTURES_SCHEMA)
    write_table(table, out / PICTURES)


def _columns() -> list[str]:
    stretch = [name for name in TILE_SCHEMA.names if name.startswith("stretch_")]
    return [*_COLUMNS, *stretch]


def _draw(row: dict[str, Any], storage: Storage) -> bytes | None:
    """Draw one picture; None where it was compared by its bytes alone."""
    if row["drop_reason"] is not None:
        return None
    scale = min(1.0, SIDE_PX / max(row["h"], row["w"]))
    shape = (max(1, round(row["h"] * scale)), max(1, round(row["w"] * scale)))
    whole = Box(y0=0, x0=0, y1=row["h"], x1=row["w"])
    try:
        with open_source(storage, row, SliceConfig()) as source:
            pixels, _ = source.read(whole, shape if scale < 1 else None)
    except UnreadableImage:
        return None
    return images.encode_png(images.to_rgb(pixels))
