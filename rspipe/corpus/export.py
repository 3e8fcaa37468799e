# SPDX-License-Identifier: Apache-2.0
"""Exports of a corpus: WebDataset tars, an image folder, or a folder for the Hugging Face hub.

Parquet stays the truth. Every export is deterministic: same corpus, same bytes.
"""

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rspipe.corpus.attribution import attribution
from rspipe.corpus.croissant import croissant
from rspipe.corpus.format import CARD, DATA, LEDGER, MANIFEST, ledger_paths, shard_paths
from rspipe.corpus.reader import Corpus
from rspipe.corpus.shards import row_groups
from rspipe.errors import CorpusError
from rspipe.io.places import Place, copy_file
from rspipe.io.tables import write_json, write_text

Row = dict[str, Any]
_TAR_BYTES = 1_000_000_000
_PICTURES = ("image", "mask")
ATTRIBUTION = "ATTRIBUTION.md"


def export(corpus: Place, out: Path, kind: str) -> int:
    """Write a corpus in another form.

    Args:
        corpus: a finished corpus.
        out: a folder that does not exist yet.
        kind: a key of EXPORTS.

    Returns:
        The number of tiles.

    Raises:
        CorpusError: no corpus there, `out` exists, or no such kind.
    """
    opened = Corpus.open(corpus)
    if kind not in EXPORTS:
        raise CorpusError(f"no export {kind!r}; valid: {', '.join(EXPORTS)}")
    if out.exists():
        raise CorpusError(f"{out}: exists already; name a new folder")
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    EXPORTS[kind](opened, partial)
    write_text(attribution(corpus), partial / ATTRIBUTION)
    partial.rename(out)
    return len(opened)


def _write_webdataset(corpus: Corpus, out: Path) -> None:
    """Write tars of about 1 GB: `<tile_id>.jpg|png…`, `.mask.png`, `.json` (all other columns)."""
    index, size = -1, _TAR_BYTES
    archive: tarfile.TarFile | None = None
    for row in _rows(corpus):
        length = len(row["image"]["bytes"])
        if archive is None or size + length > _TAR_BYTES:
            if archive is not None:
                archive.close()
            index, size = index + 1, 0
            archive = tarfile.TarFile(out / f"train-{index:05d}.tar", "w")
        size += length
        for name, data in _members(row):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    if archive is not None:
        archive.close()


def _members(row: Row) -> Iterator[tuple[str, bytes]]:
    suffix = PurePosixPath(row["image"]["path"]).suffix
    yield f"{row['tile_id']}{suffix}", row["image"]["bytes"]
    if row["mask"] is not None:
        yield f"{row['tile_id']}.mask.png", row["mask"]["bytes"]
    facts = {key: value for key, value in row.items() if key not in _PICTURES}
    yield f"{row['tile_id']}.json", json.dumps(facts, sort_keys=True).encode()


def _write_image_folder(corpus: Corpus, out: Path) -> None:
    """Write `<data set>/[class/]<tile>` files and `metadata.parquet` (Hugging Face ImageFolder)."""
    tables = []
    for group in row_groups(corpus.path, title="image folder"):
        names, masks = [], []
        for row in group.select(["tile_id", "dataset", "label", "image", "mask"]).to_pylist():
            folder = PurePosixPath(_safe(row["dataset"]), _safe(row["label"] or ""))
            name = folder / _safe(row["image"]["path"])
            names.append(name.as_posix())
            _write(out / name, row["image"]["bytes"])
            mask = row["mask"] and f"masks/{_safe(row['mask']['path'])}"
            masks.append(mask)
            if mask:
                _write(out / mask, row["mask"]["bytes"])
        rest = _hex_hashes(group.drop_columns(list(_PICTURES)).replace_schema_metadata(None))
        rest = rest.append_column("file_name", pa.array(names, pa.string()))
        tables.append(rest.append_column("mask_file_name", pa.array(masks, pa.string())))
    if tables:
        pq.write_table(pa.concat_tables(tables), out / "metadata.parquet", compression="zstd")


def _hex_hashes(table: pa.Table) -> pa.Table:
    """Write pHashes as imagehash prints them: ImageFolder loaders have no unsigned 64-bit type."""
    text = [None if value is None else f"{value:016x}" for value in table["phash"].to_pylist()]
    return table.set_column(table.column_names.index("phash"), "phash", pa.array(text, pa.string()))


def _write_hugging_face(corpus: Corpus, out: Path) -> None:
    """Copy shards and ledger; write the card and Croissant metadata beside them."""
    for folder, paths in ((DATA, shard_paths(corpus.path)), (LEDGER, ledger_paths(corpus.path))):
        (out / folder).mkdir()
        for path in paths:
            copy_file(path, out / folder / path.name)
    for name in (MANIFEST, CARD):
        copy_file(corpus.path / name, out / name)
    write_json(croissant(corpus), out / "croissant.json")


EXPORTS: dict[str, Callable[[Corpus, Path], None]] = {
    "webdataset": _write_webdataset,
    "image_folder": _write_image_folder,
    "hugging_face": _write_hugging_face,
}


def _rows(corpus: Corpus) -> Iterator[Row]:
    for group in row_groups(corpus.path, title="webdataset"):
        for start in range(0, group.num_rows, 32):
            yield from group.slice(start, 32).to_pylist()


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _safe(name: str) -> str:
    """Make one folder or file name of a publisher's words.

    >>> _safe("a/b:c..d"), _safe("..")
    ('a_b_c..d', '_')
    """
    kept = "".join(c if c.isalnum() or c in "._- ()" else "_" for c in name)
    return "_" if kept in {".", ".."} else kept
