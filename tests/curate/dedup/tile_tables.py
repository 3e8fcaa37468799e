# SPDX-License-Identifier: Apache-2.0
"""Tile tables as `slice` writes them, from small grey pictures; in memory or in parts."""

import hashlib
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.curate.ingest import image_id
from rspipe.curate.measure import measure
from rspipe.schema import TILE_SCHEMA


def tile(path, grey, *, dataset="set", image=None, window=None, held_out=False, **values):
    """One row. Without a window the tile is a whole published file."""
    grey = np.ascontiguousarray(grey)
    height, width = grey.shape
    y0, x0 = window or (0, 0)
    name = f"{dataset}/{path}/{y0},{x0},{values.get('is_parent', False)}"
    row = {
        "tile_id": hashlib.blake2b(name.encode(), digest_size=16).hexdigest(),
        "dataset": dataset,
        "source_path": path,
        "image_id": image_id(dataset, path),
        "source_sha256": hashlib.sha256((image or name).encode()).hexdigest(),
        "original_bytes": window is None,
        "is_parent": False,
        **{"y0": y0, "x0": x0, "h": height, "w": width},
        **{"height": height, "width": width},
        **measure(grey[:, :, None], np.ones(grey.shape, np.bool_)),
    }
    if held_out:
        row |= {"drop_stage": "exclude", "drop_reason": "benchmark_split", "split": "test"}
    row |= values
    return {name: row.get(name) for name in TILE_SCHEMA.names}


def table(rows):
    return pa.Table.from_pylist(rows, TILE_SCHEMA)


def write_parts(folder, rows, sizes):
    """Write rows to parts of the given sizes (the last one takes the rest); returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    edges = [0, *np.cumsum(sizes).tolist(), len(rows)]
    paths = []
    for index, (start, stop) in enumerate(pairwise(edges)):
        paths.append(folder / f"part-{index:05d}.parquet")
        pq.write_table(table(rows[start:stop]), paths[-1])
    return paths
