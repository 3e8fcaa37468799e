# SPDX-License-Identifier: Apache-2.0
"""Answer "what happened to image X?" from the ledger, in words."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rspipe.corpus.reader import Corpus
from rspipe.errors import CorpusError

_COLUMNS = (
    *("level", "tile_id", "dataset", "split", "source_path", "y0", "x0", "h", "w"),
    *(
        "height",
        "width",
        "drop_stage",
        "drop_reason",
        "drop_detail",
        "cluster_id",
        "benchmark_hit",
    ),
)


_OF_SHARDS = ("tile_id", "label", "boxes", "acquired")


def find(corpus: Corpus, name: str) -> list[dict[str, Any]]:
    """Return the ledger's rows of the files and tiles whose path contains a name, or of one tile.

    A kept tile has, from its shard, `label`, `box_labels` (objects by name) and `acquired`.

    Raises:
        CorpusError: nothing in the ledger has that name.
    """
    rows = corpus.ledger(_COLUMNS)
    paths = pc.binary_join_element_wise(rows["dataset"], rows["source_path"], "/")
    is_named = pc.or_kleene(pc.equal(rows["tile_id"], name), pc.match_substring(paths, name))
    found: list[dict[str, Any]] = rows.filter(is_named).to_pylist()
    if not found:
        raise CorpusError(f"{corpus.path}: no file or tile in the ledger is named {name!r}")
    kept = {row["tile_id"]: row for row in found if row["level"] == "tile" and _is_kept(row)}
    for row in _packed(corpus, set(kept)):
        names = (box["label"] for box in row["boxes"] or ())
        kept[row["tile_id"]] |= {
            "label": row["label"],
            "box_labels": dict(sorted(Counter(names).items())),
            "acquired": row["acquired"],
        }
    return found


def _packed(corpus: Corpus, wanted: set[str]) -> Iterator[dict[str, Any]]:
    """Rows of the shards for some tiles, row group by row group, until all are found."""
    for group in range(len(corpus.group_starts) - 1):
        if not wanted:
            return
        ids = corpus.group(group, ["tile_id"])["tile_id"]
        is_wanted = pc.is_in(ids, value_set=pa.array(sorted(wanted), pa.string()))
        if pc.any(is_wanted).as_py():
            rows = corpus.group(group, _OF_SHARDS).filter(is_wanted).to_pylist()
            wanted -= {row["tile_id"] for row in rows}
            yield from rows


def tell(corpus: Corpus, name: str) -> Iterator[str]:
    """Tell the fate of the files and tiles whose path contains a name, or of one tile id.

    Raises:
        CorpusError: nothing in the ledger has that name.
    """
    for row in find(corpus, name):
        yield f"{row['level']} {row['dataset']}/{row['source_path']}{_window(row)}: {_fate(row)}"


def _window(row: dict[str, Any]) -> str:
    if row["level"] == "file":
        return ""
    return f" [y {row['y0']}, x {row['x0']}, {row['h']}x{row['w']} px, id {row['tile_id']}]"


def _is_kept(row: dict[str, Any]) -> bool:
    return row["drop_stage"] is None


def _fate(row: dict[str, Any]) -> str:
    if _is_kept(row):
        return "passed on to slice" if row["level"] == "file" else f"kept{_known(row)}"
    return f"dropped by {row['drop_stage']}: {row['drop_reason']} ({row['drop_detail']})"


def _known(row: dict[str, Any]) -> str:
    """What the source says of a kept tile."""
    boxes = ", ".join(f"{count:,} {label}" for label, count in row.get("box_labels", {}).items())
    said = {"label": row.get("label"), "objects": boxes, "acquired": row.get("acquired")}
    return "".join(f"; {name}: {value}" for name, value in said.items() if value)
