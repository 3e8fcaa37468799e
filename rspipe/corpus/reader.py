# SPDX-License-Identifier: Apache-2.0
"""Read a packed corpus by row number: what the trainer, the notebooks and the reports use."""

from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from rspipe.corpus.format import MANIFEST, ledger_paths, shard_paths
from rspipe.errors import CorpusError
from rspipe.io.images import Pixels, decode, to_rgb
from rspipe.io.places import Place, arrow_source, place
from rspipe.io.tables import read_json, read_tables
from rspipe.recipe import nearest_name
from rspipe.schema import LEDGER_SCHEMA, SCHEMA_VERSION

_KEPT_GROUPS = 8
_FOOTERS_AT_ONCE = 16


class Corpus:
    """A corpus on disk. Rows are numbered 0..len-1 over its shards, in order.

    Only the footers are read when it is opened, and of them only how many rows each row group has
    is kept. Row groups are read when asked for, each from a file opened for it: no file stays open,
    and threads may read at once. `image_bytes` and `images` keep the last few.
    """

    def __init__(self, path: Place, manifest: dict[str, Any], shards: Sequence[Place]) -> None:
        self.path = path
        self.manifest = manifest
        self._shards = list(shards)
        with ThreadPoolExecutor(_FOOTERS_AT_ONCE) as pool:
            counts = list(pool.map(_rows_of_groups, self._shards))
        self._groups = [
            (shard, group) for shard, rows in enumerate(counts) for group in range(len(rows))
        ]
        self.group_starts: NDArray[np.int64] = np.cumsum(
            [0, *(rows for groups in counts for rows in groups)], dtype=np.int64
        )
        """First row of each row group, and the number of rows at the end."""
        self._cache: OrderedDict[int, pa.Table] = OrderedDict()

    @classmethod
    def open(cls, path: str | Place) -> "Corpus":
        """Open a corpus folder.

        Raises:
            CorpusError: no corpus is there, it is unfinished, or of another schema version.
        """
        path = place(path)
        return cls(path, read_manifest(path), shard_paths(path))

    def __len__(self) -> int:
        return int(self.group_starts[-1])

    @property
    def fingerprint(self) -> str:
        """Hash of everything that made this corpus: inputs, recipe, stage versions."""
        return str(self.manifest["fingerprint"])

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Read whole columns (leave `image` out unless the corpus is small)."""
        return pa.concat_tables([_open_shard(s).read(columns=list(columns)) for s in self._shards])

    def group(self, index: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of one row group, those in a struct by dotted names: `image.bytes`.

        Raises:
            CorpusError: the shard is gone or broken.
        """
        shard, group = self._groups[index]
        file = _open_shard(self._shards[shard])
        try:
            # The caller's threads are those that it wants; a corpus has no columns to share out.
            return file.read_row_group(group, columns=list(columns), use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise CorpusError(
                f"{self._shards[shard]}: row group {group} cannot be read ({error}); find what is "
                "broken with `rspipe corpus verify`"
            ) from error

    def tile_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the names of some tiles, in the order asked for; only their groups are read."""
        wanted = [self._locate(row) for row in rows]
        ids = {g: self.group(g, ["tile_id"])["tile_id"] for g in {group for group, _ in wanted}}
        return [ids[group][row].as_py() for group, row in wanted]

    def ledger(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the ledger: what became of every file and every tile."""
        names = None if columns is None else list(columns)
        return read_tables(ledger_paths(self.path), LEDGER_SCHEMA, names)

    def image_bytes(self, rows: Sequence[int]) -> list[bytes]:
        """Return the encoded images of some rows, in the order asked for."""
        found: dict[int, bytes] = {}
        for row in sorted(set(rows)):
            group, within = self._locate(row)
            column = self._cached(group)["image"].combine_chunks()
            found[row] = column.field("bytes")[within].as_py()
        return [found[row] for row in rows]

    def images(self, rows: Sequence[int]) -> list[Pixels]:
        """Decode some rows to uint8 (H, W, 3), 0..255; grey tiles repeat their band."""
        data = self.image_bytes(rows)
        names = (f"{self.path}, row {row}" for row in rows)
        return [to_rgb(decode(d, name)) for d, name in zip(data, names, strict=True)]

    def _locate(self, row: int) -> tuple[int, int]:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of a corpus of {len(self)}")
        group = int(np.searchsorted(self.group_starts, row, side="right")) - 1
        return group, row - int(self.group_starts[group])

    def _cached(self, index: int) -> pa.Table:
        if index not in self._cache:
            self._cache[index] = self.group(index, ["image"])
            while len(self._cache) > _KEPT_GROUPS:
                self._cache.popitem(last=False)
        self._cache.move_to_end(index)
        return self._cache[index]


def read_manifest(corpus: Place) -> dict[str, Any]:
    """Read what a corpus says of itself.

    Raises:
        CorpusError: no corpus is there, it is unfinished, or of another schema version.
    """
    if not (corpus / MANIFEST).is_file():
        near = _finished_beside(corpus)
        raise CorpusError(
            f"{corpus}: no finished corpus here; build it with `rspipe curate`"
            f"{nearest_name(corpus.name, near) if near else ''}"
        )
    manifest: dict[str, Any] = read_json(corpus / MANIFEST)
    if manifest["schema_version"] != SCHEMA_VERSION:
        raise CorpusError(f"{corpus}: {_other_version(manifest)}")
    return manifest


def _finished_beside(corpus: Place) -> list[str]:
    """Names of the corpora in the same folder: one of them may be meant."""
    if not isinstance(corpus, Path) or not corpus.parent.is_dir():
        return []
    return [beside.name for beside in corpus.parent.iterdir() if (beside / MANIFEST).is_file()]


def _other_version(manifest: dict[str, Any]) -> str:
    """Say what to do about a corpus of another version of the format."""
    theirs, maker = manifest["schema_version"], manifest.get("rspipe_version", "unknown")
    versions = f"format {theirs} (written by rspipe {maker}), this rspipe reads {SCHEMA_VERSION}"
    if theirs > SCHEMA_VERSION:
        return f"{versions}: install a newer rspipe, `pip install --upgrade rspipe`"
    return (
        f"{versions}: run `rspipe curate` on its recipe again; docs/corpus-format.md, "
        "Versions, says what changed"
    )


def _rows_of_groups(shard: Place) -> list[int]:
    metadata = _open_shard(shard).metadata
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


def _open_shard(shard: Place) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(**arrow_source(shard))
    except (OSError, pa.ArrowInvalid) as error:
        raise CorpusError(f"{shard}: no whole shard ({error}); rebuild the corpus") from error
