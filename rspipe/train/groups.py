# SPDX-License-Identifier: Apache-2.0
"""Row groups in memory: each read once, kept while rows of it are still to come."""

import threading
import warnings
from collections import OrderedDict
from collections.abc import Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
from jaxtyping import Int

from rspipe.train.decode import Encoded

_COLUMNS = ("tile_id", "height", "width", "image.bytes")


@runtime_checkable
class Tiles(Protocol):
    """What training needs of a corpus; `rspipe.corpus.reader.Corpus` is one."""

    group_starts: Int[np.ndarray, " groups+1"]
    """First row of each row group, and the number of rows at the end."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything that made it."""

    def __len__(self) -> int:
        """Tiles."""

    def group(self, index: int, columns: Sequence[str]) -> pa.Table:
        """Read columns of one row group; many threads may ask at once."""

    def tile_ids(self, rows: Sequence[int]) -> list[str]:
        """Names of some tiles, in the order asked for."""


@dataclass(frozen=True)
class Group:
    """The encoded tiles of one row group, as Arrow holds them: no object per tile."""

    first: int
    tile_id: Any
    shapes: Int[np.ndarray, "rows 2"]
    images: Any
    masks: Any | None
    size_bytes: int

    @classmethod
    def read(cls, tiles: Tiles, index: int, with_masks: bool) -> "Group":
        """Read it from the corpus."""
        columns = [*_COLUMNS, "mask.bytes"] if with_masks else list(_COLUMNS)
        # Flattened: of a tile without a mask the mask's bytes are null, too.
        table = tiles.group(index, columns).combine_chunks().flatten()
        shapes = np.stack([table[name].to_numpy() for name in ("height", "width")], axis=1)
        images = table["image.bytes"].chunk(0)
        masks = table["mask.bytes"].chunk(0) if with_masks else None
        first = int(tiles.group_starts[index])
        return cls(first, table["tile_id"], shapes, images, masks, table.nbytes)

    def tile(self, row: int) -> Encoded:
        """Return a tile by its row in the corpus, without copying it."""
        within = row - self.first
        height, width = self.shapes[within].tolist()
        name = f"tile {self.tile_id[within].as_py()} (corpus row {row})"
        return Encoded(_bytes_of(self.images[within]), (height, width), name)

    def mask(self, row: int) -> memoryview | None:
        """Return the encoded mask of a tile; None where it has none."""
        value = None if self.masks is None else self.masks[row - self.first]
        return _bytes_of(value) if value is not None and value.is_valid else None


def _bytes_of(value: Any) -> memoryview:
    """Show a binary value without copying it; Arrow's are signed, which simplejpeg refuses."""
    return memoryview(value.as_buffer()).cast("B")


class Groups:
    """The row groups in use, shared by the threads of a loader.

    Args:
        tiles: the corpus.
        with_masks: read masks too.
        most_bytes: kept at most; what no longer fits is read again when it is needed, and said.
    """

    def __init__(self, tiles: Tiles, with_masks: bool, most_bytes: int) -> None:
        self._tiles, self._with_masks, self._most_bytes = tiles, with_masks, most_bytes
        self._kept: OrderedDict[int, Group] = OrderedDict()
        self._reading: dict[int, Future[Group]] = {}
        self._dropped_in_use: set[int] = set()
        self._has_warned = False
        self._lock = threading.Lock()

    @property
    def size_bytes(self) -> int:
        """Encoded bytes in memory."""
        with self._lock:
            return sum(group.size_bytes for group in self._kept.values())

    def get(self, index: int) -> Group:
        """Return a row group; the first thread to need it reads it."""
        with self._lock:
            if index in self._kept:
                self._kept.move_to_end(index)
                return self._kept[index]
            reading = self._reading.get(index)
            is_first = reading is None
            if reading is None:
                reading = self._reading[index] = Future()
        return self._read(index, reading) if is_first else reading.result()

    def _read(self, index: int, reading: "Future[Group]") -> Group:
        try:
            group = Group.read(self._tiles, index, self._with_masks)
        except BaseException as error:
            with self._lock:
                del self._reading[index]
            reading.set_exception(error)
            raise
        with self._lock:
            is_again = index in self._dropped_in_use
            self._keep(index, group)
            del self._reading[index]
        reading.set_result(group)
        if is_again:
            self._warn()
        return group

    def keep_only(self, used: Set[int]) -> None:
        """Forget the row groups that no step in flight can need."""
        with self._lock:
            for index in self._kept.keys() - used:
                del self._kept[index]
            self._dropped_in_use &= used

    def _keep(self, index: int, group: Group) -> None:
        self._kept[index] = group
        size = sum(group.size_bytes for group in self._kept.values())
        while size > self._most_bytes and len(self._kept) > 1:
            dropped, old = self._kept.popitem(last=False)
            self._dropped_in_use.add(dropped)
            size -= old.size_bytes

    def _warn(self) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"the shuffle mixes more row groups than how.cache_bytes={self._most_bytes} holds, "
                "so they are read again and again; raise it, or lower what.shuffle_window_blocks",
                stacklevel=2,
            )
