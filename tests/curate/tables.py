# SPDX-License-Identifier: Apache-2.0
"""Partitions made by hand: files, tiles and fates of which only the columns that matter are set."""

from rspipe.curate.partition import Partition
from rspipe.io.tables import write_table
from rspipe.schema import FATE_SCHEMA, IMAGE_SCHEMA, TILE_SCHEMA


def rows(schema, said):
    import pyarrow as pa

    return pa.Table.from_pylist(said, schema)


def write_partitions(folder, images, cuts, drop=()):
    """Write images, each with its tiles, as partitions.

    Args:
        folder: where to.
        images: (dataset, path, [(y0, bytes of the tile)]), in the order of the tables.
        cuts: numbers of images at which partitions end.
        drop: ids of tiles that dedup drops.
    """
    partitions = []
    for index, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(images)], strict=True)):
        part = images[start:stop]
        files = [{"dataset": d, "source_path": p} for d, p, _ in part]
        tiles = [
            {
                "tile_id": f"{d}/{p}@{y0}",
                "dataset": d,
                "source_path": p,
                "y0": y0,
                "x0": 0,
                "h": 1,
                "w": 1,
                "height": 1,
                "width": 1,
                "bands": 1,
                "original_bytes": True,
                "source_size_bytes": size,
                "is_parent": False,
            }
            for d, p, cut in part
            for y0, size in cut
        ]
        fates = [
            {"tile_id": t["tile_id"]}
            | ({"drop_stage": "dedup", "drop_reason": "x"} if t["tile_id"] in drop else {})
            for t in tiles
        ]
        tables = [(IMAGE_SCHEMA, files), (TILE_SCHEMA, tiles), (FATE_SCHEMA, fates)]
        paths = [folder / f"{index}-{kind}.parquet" for kind in ("images", "tiles", "fates")]
        for path, (schema, said) in zip(paths, tables, strict=True):
            write_table(rows(schema, said), path)
        partitions.append(Partition(*paths))
    return partitions
