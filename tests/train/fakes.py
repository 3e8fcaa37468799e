# SPDX-License-Identifier: Apache-2.0
"""A corpus that lives in memory: made tiles of several sizes, without files."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.io.images import encode_png
from rspipe.schema import SCHEMA_VERSION


class FakeCorpus:
    """Tiles and masks are made when a row group is read."""

    fingerprint = "fake-corpus"

    def __init__(self, rows=24, group_rows=10):
        self.rows = rows
        self.group_starts = np.append(np.arange(0, rows, group_rows), rows)
        self.groups_read = []

    def __len__(self):
        return self.rows

    def group(self, index, columns):
        self.groups_read.append(index)
        rows = range(*self.group_starts[index : index + 2].tolist())
        tiles = [make_tile(row) for row in rows]
        made = {
            "tile_id": self.tile_ids(rows),
            "height": [tile.shape[0] for tile in tiles],
            "width": [tile.shape[1] for tile in tiles],
            "image": [{"bytes": self.encode(tile)} for tile in tiles],
            "mask": [self.mask(row, tile) for row, tile in zip(rows, tiles, strict=True)],
        }
        return pa.table({c.split(".")[0]: made[c.split(".")[0]] for c in columns})

    def encode(self, tile):
        return encode_png(tile)

    def mask(self, row, tile):
        """Every third tile has none; the others are labelled by their grey."""
        return {"bytes": encode_png(tile[:, :, 0] // 32)} if row % 3 else None

    def tile_ids(self, rows):
        return [f"id-{row}" for row in rows]


def make_tile(row):
    """A tile with a smooth part and a textured part; its size depends on the row."""
    rng = np.random.default_rng(row)
    height, width = 24 + row % 3 * 8, 32
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([y * rng.uniform(1, 5), x * rng.uniform(1, 5), y + x], axis=2)
    texture = rng.integers(0, 90, (height, width, 3)) * (x > width // 2)[..., None]
    return (smooth + texture).clip(0, 255).astype(np.uint8)


def write_corpus(folder, rows=48, group_rows=20):
    """Write the same tiles as a packed corpus, as far as training reads one."""
    fake = FakeCorpus(rows, group_rows)
    columns = ["tile_id", "height", "width", "image", "mask"]
    (folder / "data").mkdir(parents=True)
    path = folder / "data/train-00000-of-00001.parquet"
    groups = [fake.group(i, columns) for i in range(len(fake.group_starts) - 1)]
    with pq.ParquetWriter(path, groups[0].schema) as writer:
        for group in groups:
            writer.write_table(group, row_group_size=group_rows)
    manifest = {"schema_version": SCHEMA_VERSION, "fingerprint": "tiny", "complete": True}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
