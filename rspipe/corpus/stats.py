# SPDX-License-Identifier: Apache-2.0
"""What a corpus is made of: counts and bytes by source, licence, size and ground resolution."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rspipe.corpus.format import shard_paths
from rspipe.corpus.reader import Corpus
from rspipe.io.places import Place

_COLUMNS = (
    *("dataset", "split", "licence", "redistributable", "format", "original_bytes", "image_id"),
    *("height", "width", "bands", "gsd_m", "label", "acquired", "xmin", "flatness", "sharpness"),
)
GSD_EDGES_M = (0.0, 0.1, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 1e9)
"""Classes of ground resolution: aerial, very high, high, medium (Sentinel-2: 10), coarse."""


def describe(corpus: Place) -> dict[str, Any]:
    """Count a corpus; everything JSON-able, everything sorted.

    Raises:
        CorpusError: no finished corpus is there.
    """
    opened = Corpus.open(corpus)
    tiles = opened.table(_COLUMNS)
    return {
        "name": opened.manifest["name"],
        "fingerprint": opened.fingerprint,
        "schema_version": opened.manifest["schema_version"],
        "tiles": len(opened),
        "images": pc.count_distinct(tiles["image_id"]).as_py(),
        "shards": len(shard_paths(corpus)),
        "size_bytes": sum(path.stat().st_size for path in shard_paths(corpus)),
        "megapixels": round(_sum(pc.multiply(tiles["height"], tiles["width"])) / 1e6, 3),
        "by_source": _counts(tiles, "dataset"),
        "by_split": _counts(tiles, "split"),
        "by_licence": _counts(tiles, "licence"),
        "redistributable": _counts(tiles, "redistributable"),
        "by_format": _counts(tiles, "format"),
        "by_bands": _counts(tiles, "bands"),
        "published_bytes_kept": _sum(tiles["original_bytes"]),
        "side_px": _quantiles(pc.max_element_wise(tiles["height"], tiles["width"])),
        "gsd_m": _gsd_classes(tiles["gsd_m"]),
        "labelled": _known(tiles["label"]),
        "located": _known(tiles["xmin"]),
        "dated": _known(tiles["acquired"]),
        "flatness": _quantiles(tiles["flatness"]),
        "sharpness": _quantiles(tiles["sharpness"]),
        "funnel": opened.manifest["funnel"],
    }


def lines(stats: dict[str, Any]) -> list[str]:
    """Say it in lines for a terminal."""
    said = [
        f"{stats['name']} (fingerprint {stats['fingerprint']}, schema v{stats['schema_version']})",
        f"  {stats['tiles']:,} tiles of {stats['images']:,} images, {stats['megapixels']:,} Mpx, "
        f"{stats['size_bytes'] / 1e6:,.1f} MB in {stats['shards']} shards",
    ]
    for key in ("by_source", "by_licence", "redistributable", "by_split", "by_format", "gsd_m"):
        said.append(f"  {key.removeprefix('by_').replace('_', ' ')}")
        said += [f"    {n:>12,}  {name}" for name, n in stats[key].items() if n]
    said.append("  known of the tiles")
    said += [f"    {stats[key]:>12,}  {key}" for key in ("labelled", "located", "dated")]
    for key in ("side_px", "flatness", "sharpness"):
        if stats[key]:
            values = ", ".join(f"{name} {value:g}" for name, value in stats[key].items())
            said.append(f"  {key:<10} {values}")
    return said


def _counts(tiles: pa.Table, column: str) -> dict[str, int]:
    """Count rows by value, most frequent first; null is `unknown`."""
    rows = tiles.group_by([column]).aggregate([([], "count_all")]).to_pylist()
    rows.sort(key=lambda row: (-row["count_all"], str(row[column])))
    return {
        "unknown" if row[column] is None else str(row[column]): row["count_all"] for row in rows
    }


def _gsd_classes(gsd_m: pa.ChunkedArray) -> dict[str, int]:
    known = gsd_m.drop_null().to_numpy()
    counts, _ = np.histogram(known, GSD_EDGES_M)
    names = [f"< {edge:g} m" for edge in GSD_EDGES_M[1:-1]] + [f"≥ {GSD_EDGES_M[-2]:g} m"]
    classes = dict(zip(names, counts.tolist(), strict=True))
    return classes | {"unknown": len(gsd_m) - len(known)}


def _quantiles(values: pa.ChunkedArray) -> dict[str, float]:
    known = values.drop_null().to_numpy()
    if not len(known):
        return {}
    points = np.quantile(known, [0, 0.05, 0.5, 0.95, 1]).astype(float)
    names = ("min", "5%", "median", "95%", "max")
    return dict(zip(names, points.round(4).tolist(), strict=True))


def _sum(values: pa.ChunkedArray) -> int:
    return int(pc.sum(values).as_py() or 0)


def _known(values: pa.ChunkedArray) -> int:
    return int(len(values) - values.null_count)
