# SPDX-License-Identifier: Apache-2.0
"""What matching knows of the tiles, as arrays: about 130 bytes a tile, and thumbnails on demand."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from rspipe.curate.dedup.hashing import THUMBNAIL_PX
from rspipe.curate.dedup.pairs import Flags, Indices
from rspipe.curate.dedup.scratch import mapped_array
from rspipe.curate.dedup.verify import BLOCKS, Blocks, block_sums, moments
from rspipe.curate.progress import Progress, quiet
from rspipe.io.places import Place
from rspipe.io.tables import count_rows, reading
from rspipe.schema import ORIENTATIONS, TILE_SCHEMA

THUMBNAIL_BYTES = THUMBNAIL_PX * THUMBNAIL_PX
UNKNOWN_DAY = 0
"""1 January 1970: no picture of ours, and what clocks say that know no day."""

COLUMNS = (
    "source_sha256",
    "original_bytes",
    "pixel_hash",
    "orientation_hashes",
    "thumbnail",
    "dataset",
    "image_id",
    "pair_path",
    *("y0", "x0", "h", "w"),
    *("height", "width"),
    *("gsd_m", "xmin", "ymin", "xmax", "ymax", "acquired"),
    "is_parent",
)
"""Columns of the tile table that matching reads; what a table lacks counts as null."""

# Of the boxes only whether there are any counts: one field of theirs says so.
_NARROWED = {"boxes": "boxes.list.element.difficult"}

_EMPTY = pa.schema([]).empty_table()

Keys = NDArray[np.uint64]
Selection = Callable[[pa.Table, int], Flags]
"""Which rows of a part take part, by the part's table and the number of its first row."""


class Thumbnails(Protocol):
    """Where the thumbnails lie."""

    def blocks(self, rows: Indices) -> Blocks:
        """What `verify` compares of some tiles, uint16 (len(rows), 256); `rows` increase."""

    def select(self, rows: Indices) -> NDArray[np.uint8]:
        """The thumbnails of a few tiles, uint8 (len(rows), 1024), 0..255; `rows` increase."""


@dataclass(frozen=True)
class MemoryThumbnails:
    """Thumbnails that are few enough to be held."""

    pixels: NDArray[np.uint8]
    """uint8 (N, 1024)."""

    def blocks(self, rows: Indices) -> Blocks:
        """See Thumbnails."""
        return block_sums(self.pixels[rows])

    def select(self, rows: Indices) -> NDArray[np.uint8]:
        """See Thumbnails."""
        return self.pixels[rows]


@dataclass(frozen=True)
class Tiles:
    """N measured tiles."""

    byte_key: NDArray[np.uint64]
    """(N,) of the file where the tile is a whole file, else 0."""
    pixel_keys: Keys
    """(N, 2) of size and pixel values."""
    hashes: NDArray[np.uint64]
    """(N, 8), one per orientation."""
    thumbnail_std: NDArray[np.float32]
    """(N,) in grey levels."""
    thumbnails: Thumbnails
    image: NDArray[np.uint64]
    """(N,) the published image it is, or was cut from: the first half of `image_id`."""
    partner: NDArray[np.uint64]
    """(N,) the image of the same place at another time, 0 where none is named."""
    is_parent: Flags
    """(N,) a whole image that was cut: its tiles are rows of their own."""
    windows: NDArray[np.int32]
    """(N, 4) y0, x0, h, w in the image, px."""
    size_px: NDArray[np.int32]
    """(N, 2) height, width of its pixels."""
    gsd_m: NDArray[np.float32]
    """(N,) 0 where unknown."""
    bounds: NDArray[np.float64]
    """(N, 4) west, south, east, north in degrees (EPSG:4326), zeros where unknown."""
    day: NDArray[np.int32]
    """(N,) of acquisition, days since 1970; UNKNOWN_DAY where no full date is known."""

    @classmethod
    def from_table(cls, table: pa.Table) -> "Tiles":
        """Take the arrays out of a tile table that is in memory; every row must be measured."""
        columns, pixels = _read_columns(table)
        return cls(thumbnails=MemoryThumbnails(pixels), **columns)

    def __len__(self) -> int:
        return len(self.pixel_keys)

    def has_content(self, min_std: float) -> Flags:
        """Whether a tile's picture varies enough for its hash to mean anything."""
        return np.asarray(self.thumbnail_std >= min_std)

    @property
    def is_reduced(self) -> Flags:
        """Whether a whole image was measured from a smaller picture of it.

        Then equal pixels are those of the two pictures, and say that the images are nearly equal.
        """
        return np.asarray((self.byte_key != 0) & (self.size_px != self.windows[:, 2:]).any(axis=1))

    def may_look_alike(self, copies: Indices, originals: Indices) -> Flags:
        """Whether likeness of two tiles says that one is the other's copy.

        Not for tiles of one image: a field is no copy of the field beside it. Not for the two
        images of a change pair: an unchanged place is what they are there for.
        """
        one, other = self.image[copies], self.image[originals]
        linked = (self.partner[copies] == other) | (self.partner[originals] == one)
        return np.asarray((one != other) & ~linked)


@dataclass(frozen=True)
class PartThumbnails:
    """Thumbnails in the parts of a tile table; blocks asked for are written to a scratch file."""

    parts: Sequence[Place]
    rows: Indices
    """Row of the whole table of each tile, increasing."""
    starts: Indices
    """Row of the whole table at which each part starts."""
    scratch: Path

    def select(self, rows: Indices) -> NDArray[np.uint8]:
        """See Thumbnails."""
        found = [
            _thumbnails(table["thumbnail"].take(pa.array(chosen)))
            for table, chosen in chosen_rows(
                self.parts, self.starts, self.rows[rows], ["thumbnail"]
            )
        ]
        return np.concatenate([np.empty((0, THUMBNAIL_PX**2), np.uint8), *found])

    def blocks(self, rows: Indices) -> Blocks:
        """See Thumbnails. The array is mapped from a file."""
        shape = (len(rows), BLOCKS * BLOCKS)
        found: Blocks = mapped_array(self.scratch, "blocks.bin", shape, np.uint16)
        done = 0
        for table, chosen in chosen_rows(self.parts, self.starts, self.rows[rows], ["thumbnail"]):
            pixels = _thumbnails(table["thumbnail"].take(chosen))
            found[done : done + len(chosen)] = block_sums(pixels)
            done += len(chosen)
        return found


def chosen_rows(
    parts: Sequence[Place], starts: Indices, rows: Indices, columns: list[str]
) -> Iterator[tuple[pa.Table, Indices]]:
    """Read the parts that hold some rows of a table.

    Args:
        parts: the table's parts.
        starts: row at which each part starts.
        rows: rows of the whole table, increasing.
        columns: columns to read.

    Yields:
        A part's columns and the wanted rows within it, parts in order.
    """
    edges = np.searchsorted(rows, [*starts, np.iinfo(np.int64).max])
    for part, start, first, last in zip(parts, starts, edges[:-1], edges[1:], strict=True):
        if last > first:
            yield read_columns(part, columns), rows[first:last] - start


def read_rows(
    parts: Sequence[Place], starts: Indices, rows: Indices, columns: list[str]
) -> pa.Table:
    """Some rows of some columns, in the order of `rows`, which may repeat and be unsorted."""
    wanted, places = np.unique(rows, return_inverse=True)
    found = [t.take(chosen) for t, chosen in chosen_rows(parts, starts, wanted, columns)]
    schema = pa.schema([_field(name) for name in columns])
    table = pa.concat_tables([schema.empty_table(), *found])
    return table.take(pa.array(places))


def read_columns(part: Place, columns: Sequence[str]) -> pa.Table:
    """Read columns of a part; those it lacks are null."""
    with reading(part) as file:
        there = [name for name in columns if name in file.schema_arrow.names]
        table = file.read(columns=[_NARROWED.get(name, name) for name in there])
    for name in columns:
        if name not in there:
            field = _field(name)
            table = table.append_column(field, pa.nulls(table.num_rows, field.type))
    return table.select(list(columns))


def part_starts(parts: Sequence[Place]) -> Indices:
    """Row of the whole table at which each part starts."""
    counts = np.array([count_rows(part) for part in parts], np.int64)
    return np.asarray(np.cumsum(counts) - counts)


def read_tiles(
    parts: Sequence[Place],
    starts: Indices,
    select: Selection,
    scratch: Path,
    progress: Progress = quiet,
) -> tuple[Tiles, Indices]:
    """Read what matching needs of the tiles that take part.

    Args:
        parts: Parquet files of TILE_SCHEMA.
        starts: row at which each starts.
        select: which rows of a part take part; they must be measured.
        scratch: folder for what is too large to hold.
        progress: told of each part.

    Returns:
        The tiles, and the row of the whole table of each.
    """
    builder = _Builder(sum(count_rows(part) for part in parts), scratch)
    rows = []
    for index, (part, start) in enumerate(zip(parts, starts, strict=True)):
        progress("read", index, len(parts))
        table = read_columns(part, [*COLUMNS, "drop_stage", "drop_reason"])
        chosen = np.flatnonzero(select(table, int(start)))
        builder.add(_read_columns(table.take(pa.array(chosen)))[0])
        rows.append(chosen + start)
    row = np.concatenate([np.empty(0, np.int64), *rows])
    return builder.tiles(PartThumbnails(parts, row, starts, scratch)), row


def _field(name: str) -> pa.Field:
    if name in TILE_SCHEMA.names:
        return TILE_SCHEMA.field(name)
    return pa.field(name, pa.bool_())


class _Builder:
    """Fills the columns of the tiles part by part.

    They are as long as the whole table from the start: pages that nothing is written to, such as
    the footprints of tiles without any, take no memory. The hashes, half of it all, are mapped from
    a file that is gone once they are let go.
    """

    def __init__(self, rows: int, scratch: Path) -> None:
        none, _ = _read_columns(_EMPTY)
        self._columns = {
            name: np.zeros((rows, *column.shape[1:]), column.dtype) for name, column in none.items()
        }
        self._filled = 0
        shape = (rows, len(ORIENTATIONS))
        self._columns["hashes"] = mapped_array(scratch, "hashes.bin", shape, np.uint64)

    def add(self, columns: dict[str, NDArray[Any]]) -> None:
        """Append the columns of some tiles."""
        stop = self._filled + len(columns["hashes"])
        for name, values in columns.items():
            if values.any():
                self._columns[name][self._filled : stop] = values
        self._filled = stop

    def tiles(self, thumbnails: Thumbnails) -> Tiles:
        """All that was added."""
        columns = {name: column[: self._filled] for name, column in self._columns.items()}
        return Tiles(thumbnails=thumbnails, **columns)


def _read_columns(table: pa.Table) -> tuple[dict[str, NDArray[Any]], NDArray[np.uint8]]:
    """The columns of Tiles, and the thumbnails."""
    there = table.column_names
    table = pa.table(
        {
            name: table[name] if name in there else pa.nulls(table.num_rows, _field(name).type)
            for name in COLUMNS
        }
    )
    thumbnails = _thumbnails(table["thumbnail"])
    hashes = table["orientation_hashes"].combine_chunks().flatten().to_numpy()
    whole = pc.fill_null(pc.or_kleene(table["original_bytes"], table["is_parent"]), False)
    columns = {
        "byte_key": hex_keys(pc.if_else(whole, table["source_sha256"], None))[:, 0],
        "pixel_keys": hex_keys(table["pixel_hash"]),
        "hashes": hashes.reshape(-1, len(ORIENTATIONS)),
        "thumbnail_std": _std(thumbnails),
        "image": hex_keys(table["image_id"])[:, 0],
        "partner": _partners(table),
        "is_parent": np.asarray(pc.fill_null(table["is_parent"], False).to_numpy(), np.bool_),
        "windows": _numbers(table, ("y0", "x0", "h", "w"), np.int32),
        "size_px": _numbers(table, ("height", "width"), np.int32),
        "gsd_m": _numbers(table, ("gsd_m",), np.float32)[:, 0],
        "bounds": _numbers(table, ("xmin", "ymin", "xmax", "ymax"), np.float64),
        "day": _days(table["acquired"]),
    }
    return columns, thumbnails


def _thumbnails(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # no chunk at all
        return np.empty((0, THUMBNAIL_BYTES), np.uint8)
    pixels = np.frombuffer(array.buffers()[1], np.uint8).reshape(-1, THUMBNAIL_BYTES)
    return pixels[array.offset : array.offset + len(array)]


def _std(thumbnails: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (np.sqrt(moments(thumbnails)[:, 1]) / THUMBNAIL_BYTES).astype(np.float32)


def hex_keys(column: pa.ChunkedArray) -> Keys:
    """The first 128 bits of hashes written as hex digits, uint64 (N, 2); nulls are zeros.

    Two of 13 million different hashes share 128 bits with a probability below 1e-24.

    Raises:
        ValueError: some hash has fewer than 32 digits.

    >>> [hex(x) for x in hex_keys(pa.chunked_array([["00" * 7 + "0aff" + "00" * 6 + "10"]]))[0]]
    ['0xa', '0xff00000000000010']
    """
    lengths = pc.binary_length(column)
    shortest = pc.min(lengths).as_py()
    keys = np.zeros((len(column), 2), np.uint64)
    if shortest is None:
        return keys
    if shortest < 32:
        raise ValueError(f"a hash of {shortest} hex digits; want at least 32")
    known = column.is_valid().to_numpy()
    text = pc.utf8_slice_codeunits(column.drop_null(), 0, 32).combine_chunks()
    digits = np.frombuffer(text.buffers()[2], np.uint8)[: 32 * len(text)].reshape(-1, 32)
    nibbles = np.where(digits >= ord("a"), digits - (ord("a") - 10), digits - ord("0"))
    octets = (nibbles[:, 0::2] << 4) | nibbles[:, 1::2]
    keys[known] = np.ascontiguousarray(octets).view(">u8").astype(np.uint64)
    return keys


def _numbers(table: pa.Table, names: Sequence[str], dtype: type[np.generic]) -> NDArray[Any]:
    """Columns side by side, (N, len(names)); nulls are zeros."""
    columns = [pc.fill_null(table[name], 0).to_numpy(zero_copy_only=False) for name in names]
    return np.stack(columns, axis=1).astype(dtype)


def _partners(table: pa.Table) -> NDArray[np.uint64]:
    """Name the images that `pair_path` names as `image_id` names them."""
    keys = np.zeros(table.num_rows, np.uint64)
    linked = np.flatnonzero(table["pair_path"].is_valid().to_numpy())
    if not len(linked):
        return keys
    names = table.select(["dataset", "pair_path"]).take(pa.array(linked))
    named = pc.binary_join_element_wise(names["dataset"], names["pair_path"], "\0")
    encoded = named.combine_chunks().dictionary_encode()
    ids = [
        hashlib.blake2b(n.encode(), digest_size=16).hexdigest()
        for n in encoded.dictionary.to_pylist()
    ]
    keys[linked] = hex_keys(pa.chunked_array([ids]))[:, 0][encoded.indices.to_numpy()]
    return keys


def _days(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """Day of an ISO 8601 time; a year or a month alone names no day."""
    spread = pc.replace_substring_regex(column, r"^(\d{4})(\d{2})(\d{2})", r"\1-\2-\3")
    dated = pc.match_substring_regex(spread, r"^\d{4}-\d{2}-\d{2}")
    text = pc.if_else(dated, pc.utf8_slice_codeunits(spread, 0, 10), None)
    days = pc.strptime(text, "%Y-%m-%d", "s", error_is_null=True).cast(pa.date32()).cast(pa.int32())
    return np.asarray(pc.fill_null(days, int(UNKNOWN_DAY)).to_numpy(), np.int32)
