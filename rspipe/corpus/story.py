# SPDX-License-Identifier: Apache-2.0
"""Answer "what happened to image X?" from the ledger, in words."""

from collections.abc import Iterator
from typing import Any

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


def find(corpus: Corpus, name: str) -> list[dict[str, Any]]:
    """Return the ledger's rows of the files and tiles whose path contains a name, or of one tile.

    Raises:
        CorpusError: nothing in the ledger has that name.
    """
    rows = corpus.ledger(_COLUMNS)
    paths = pc.binary_join_element_wise(rows["dataset"], rows["source_path"], "/")
    is_named = pc.or_kleene(pc.equal(rows["tile_id"], name), pc.match_substring(paths, name))
    found: list[dict[str, Any]] = rows.filter(is_named).to_pylist()
    if not found:
        raise CorpusError(f"{corpus.path}: no file or tile in the ledger is named {name!r}")
    return found


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


def _fate(row: dict[str, Any]) -> str:
    if row["drop_stage"] is None:
        return "passed on to slice" if row["level"] == "file" else "kept"
    return f"dropped by {row['drop_stage']}: {row['drop_reason']} ({row['drop_detail']})"
