# SPDX-License-Identifier: Apache-2.0
"""Cut single files as the slice stage does, without the stages before it."""

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.curate.config import SliceConfig
from rspipe.curate.slice import SliceItem, slice_images
from rspipe.io import images, raster
from rspipe.io.storage import Storage
from rspipe.schema import IMAGE_SCHEMA, DatasetCard


def image_row(folder, path, **said):
    """The row of an image file, as ingest and exclude leave it; `said` goes first."""
    data = (folder / path).read_bytes()
    row = {
        "dataset": "d",
        "source_path": path,
        "image_id": hashlib.blake2b(path.encode(), digest_size=16).hexdigest(),
        "source_sha256": hashlib.sha256(data).hexdigest(),
        "source_size_bytes": len(data),
    }
    kind = images.sniff_format(data)
    facts = None if kind in images.RASTER_FORMATS else images.read_facts(data, path)
    if facts is None or facts.dtype != "uint8":
        facts = raster.read_facts(folder / path, path, None)
        west, south, east, north = facts.bounds_4326 or (None, None, None, None)
        row |= {"xmin": west, "ymin": south, "xmax": east, "ymax": north}
        row |= {"crs": facts.crs, "gsd_m": facts.gsd_m, "display_bands": facts.display_bands}
    else:
        row["display_bands"] = [1] if facts.bands in {1, 2} else [1, 2, 3]
    names = ("height", "width", "bands", "dtype", "format")
    return row | {name: getattr(facts, name) for name in names} | said


def slice_rows(folder, rows, card=None, **config):
    """Slice images of one dataset; gives the rows of the tile table."""
    part = folder / ".part.parquet"
    pq.write_table(pa.Table.from_pylist(rows, IMAGE_SCHEMA), part)
    card = DatasetCard(name="d", **(card or {}))
    storage = Storage(str(folder), folder / ".cache")
    item = SliceItem(part, {"d": storage}, {"d": card}, SliceConfig(**config))
    return slice_images(item).to_pylist()


def slice_file(folder, path, card=None, said=None, **config):
    """Slice one file; gives (parents, tiles)."""
    rows = slice_rows(folder, [image_row(folder, path, **(said or {}))], card, **config)
    parents = [row for row in rows if row["is_parent"]]
    return parents, [row for row in rows if not row["is_parent"]]
