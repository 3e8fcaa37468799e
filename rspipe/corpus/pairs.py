# SPDX-License-Identifier: Apache-2.0
"""What `rspipe duplicates` and `rspipe audit` leave: pairs, clusters, files, pictures, a page."""

import pyarrow as pa
import pyarrow.compute as pc

PAIRS = "pairs.parquet"
CLUSTERS = "clusters.parquet"
PICTURES = "pictures.parquet"
FILES = "files.parquet"
SUMMARY = "summary.json"
GALLERY = "gallery.html"
SHOWN = 60
"""Pairs of a group that the gallery shows."""

# One row per pair that is the same picture, and per pair whose hashes said so and whose pixels did
# not. In an audit a is of the target and b of the benchmark.
PAIRS_SCHEMA = pa.schema(
    [
        pa.field("path_a", pa.string()),
        pa.field("path_b", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("distance_bits", pa.int32()),
        pa.field("orientation", pa.string()),
        pa.field("similarity", pa.float32()),
        pa.field("verdict", pa.string()),
    ]
)
# One row per picture that has a duplicate.
CLUSTERS_SCHEMA = pa.schema(
    [
        pa.field("path", pa.string()),
        pa.field("cluster_id", pa.string()),
        pa.field("kept", pa.bool_()),
        pa.field("duplicate_of", pa.string()),
    ]
)
PICTURES_SCHEMA = pa.schema([pa.field("path", pa.string()), pa.field("picture", pa.binary())])

PAIR_GROUPS = (
    ("near", "duplicate"),
    ("footprint", "duplicate"),
    ("near", "rejected"),
    ("pixels", "duplicate"),
    ("bytes", "duplicate"),
)
"""Kinds and verdicts, in the order in which people look at them."""


def doubtful_first(pairs: pa.Table, kind: str, verdict: str) -> tuple[pa.Table, int]:
    """Choose what most needs a look: doubtful matches, and refusals that were nearly none.

    Returns:
        At most SHOWN pairs, and the count of all of this kind and verdict.
    """
    of_group = pairs.filter(
        pc.and_(pc.equal(pairs["kind"], kind), pc.equal(pairs["verdict"], verdict))
    )
    order = "descending" if verdict == "rejected" else "ascending"
    keys = [("similarity", order), ("path_a", "ascending"), ("path_b", "ascending")]
    return of_group.sort_by(keys)[:SHOWN], of_group.num_rows
