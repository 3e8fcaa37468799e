"""Read a packed corpus by row number: what the trainer, the notebooks and the reports use."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.corpus.format import MANIFEST, ledger_paths, shard_paths
from rspipe.errors import CorpusError
from rspipe.io.images import Pixels, decode, to_rgb
from rspipe.io.places import Place, arrow_source, place
from rspipe.io.tables import read_json, read_tables
from rspipe.schema import LEDGER_SCHEMA, SCHEMA_VERSION


class Corpus:
    """A corpus on disk. Rows are numbered 0..len-1 over its shards, in order.

    Only the footers are read when it is opened; row groups are read when asked for, and the last
    few are kept, so memory does not grow with the corpus.
    """

    def __init__(self, path: Place, manifest: dict[str, Any], shards: Sequence[Place]) -> None:
        self.path = path
        self.manifest = manifest
        self._files = [_open_shard(shard) for shard in shards]
        groups = [
            (file, group, pq_file.metadata.row_group(group).num_rows)
            for file, pq_file in enumerate(self._files)
            for group in range(pq_file.metadata.num_row_groups)
        ]
        self._groups = [(file, group) for file, group, _ in groups]
        self._starts = np.cumsum([0, *(rows for _, _, rows in groups)])
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
        return int(self._starts[-1])

    @property
    def fingerprint(self) -> str:
        """Hash of everything that made this corpus: inputs, recipe, stage versions."""
        return str(self.manifest["fingerprint"])

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Read whole columns (leave `image` out unless the corpus is small)."""
        return pa.concat_tables([file.read(columns=list(columns)) for file in self._files])

    def ledger(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Read the ledger: what became of every file and every tile."""
        names = None if columns is None else list(columns)
        return read_tables(ledger_paths(self.path), LEDGER_SCHEMA, names)

    def image_bytes(self, rows: Sequence[int]) -> list[bytes]:
        """Return the encoded images of some rows, in the order asked for."""
        found: dict[int, bytes] = {}
        for row in sorted(set(rows)):
            index = int(np.searchsorted(self._starts, row, side="right")) - 1
            if not 0 <= row < len(self):
                raise IndexError(f"row {row} of a corpus of {len(self)}")
            column = self._group(index)["image"].combine_chunks()
            found[row] = column.field("bytes")[row - int(self._starts[index])].as_py()
        return [found[row] for row in rows]

    def images(self, rows: Sequence[int]) -> list[Pixels]:
        """Decode some rows to uint8 (H, W, 3), 0..255; grey tiles repeat their band."""
        data = self.image_bytes(rows)
        names = (f"{self.path}, row {row}" for row in rows)
        return [to_rgb(decode(d, name)) for d, name in zip(data, names, strict=True)]

    def _group(self, index: int) -> pa.Table:
        if index not in self._cache:
            file, group = self._groups[index]
            self._cache[index] = self._files[file].read_row_group(group, columns=["image"])
            while len(self._cache) > 8:
                self._cache.popitem(last=False)
        self._cache.move_to_end(index)
        return self._cache[index]


def read_manifest(corpus: Place) -> dict[str, Any]:
    """Read what a corpus says of itself.

    Raises:
        CorpusError: no corpus is there, it is unfinished, or of another schema version.
    """
    if not (corpus / MANIFEST).is_file():
        raise CorpusError(f"{corpus}: no finished corpus here; build it with `make curate`")
    manifest: dict[str, Any] = read_json(corpus / MANIFEST)
    if manifest["schema_version"] != SCHEMA_VERSION:
        raise CorpusError(
            f"{corpus}: schema v{manifest['schema_version']}, this rspipe reads "
            f"v{SCHEMA_VERSION}; rebuild it with `make curate`"
        )
    return manifest


def _open_shard(shard: Place) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(**arrow_source(shard))
    except (OSError, pa.ArrowInvalid) as error:
        raise CorpusError(f"{shard}: no whole shard ({error}); rebuild the corpus") from error
