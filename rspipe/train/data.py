"""Batches: which rows, in which order, as which views.

The order and every view are pure functions of the recipe, the step and the place in the batch. So
there is no loader state to save, and threads change nothing but speed.
"""

import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, UInt8

from rspipe.errors import RunError
from rspipe.train.augment import Pixels, view
from rspipe.train.config import PretrainWhat

# Batches in the making beyond the one each thread works on.
_AHEAD = 2


@runtime_checkable
class Images(Protocol):
    """What training needs of a corpus; `rspipe.corpus.reader.Corpus` is one."""

    @property
    def fingerprint(self) -> str:
        """Hash of everything that made it."""

    def __len__(self) -> int:
        """Tiles."""

    def images(self, rows: Sequence[int]) -> list[Pixels]:
        """Decode some rows."""


@dataclass(frozen=True)
class Shuffle:
    """Visit every row once per epoch; shuffle blocks, then rows within windows of blocks.

    A corpus that fits into one window is shuffled wholly. A larger one is read window by window,
    so each row group is read about once per epoch and not once per image.
    """

    rows: int
    block_rows: int
    window_blocks: int
    seed: int

    def epoch(self, number: int) -> Int[np.ndarray, " rows"]:
        """List all rows in the order of this epoch."""
        return _epoch_order(self, number)

    def at(self, positions: Int[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        """Look up places of the endless stream of epochs."""
        epochs, places = np.divmod(positions, self.rows)
        out = np.empty_like(positions)
        for number in np.unique(epochs):
            here = epochs == number
            out[here] = self.epoch(int(number))[places[here]]
        return out


@lru_cache(maxsize=4)
def _epoch_order(shuffle: Shuffle, number: int) -> Int[np.ndarray, " rows"]:
    rng = np.random.default_rng([shuffle.seed, number])
    starts = np.arange(0, shuffle.rows, shuffle.block_rows)
    rng.shuffle(starts)
    windows = [
        starts[i : i + shuffle.window_blocks] for i in range(0, len(starts), shuffle.window_blocks)
    ]
    return np.concatenate([_shuffled_window(shuffle, window, rng) for window in windows])


def _shuffled_window(
    shuffle: Shuffle, starts: Int[np.ndarray, " blocks"], rng: np.random.Generator
) -> Int[np.ndarray, " R"]:
    blocks = [np.arange(s, min(s + shuffle.block_rows, shuffle.rows)) for s in starts]
    return rng.permutation(np.concatenate(blocks))


def positions_of(
    step: int, images_per_step: int, rank: int = 0, world: int = 1
) -> Int[np.ndarray, " B"]:
    """Places in the stream that this process reads in this step.

    >>> positions_of(step=2, images_per_step=4, rank=1, world=2)
    array([10, 11])
    """
    share = images_per_step // world
    first = step * images_per_step + rank * share
    return np.arange(first, first + share)


@dataclass(frozen=True)
class Batch:
    """Views of one step, and the rows they come from."""

    rows: Int[np.ndarray, " B"]
    images: UInt8[np.ndarray, "B H W C"]


class Batches:
    """Make the batches of a run ahead of time, in threads.

    Args:
        open_images: opens the corpus; called once per thread, as readers are not shared.
        what: the recipe.
        cache_bytes: decoded tiles kept in memory, first come.
    """

    def __init__(
        self, open_images: Callable[[], Images], what: PretrainWhat, cache_bytes: int
    ) -> None:
        self._open = open_images
        self._what = what
        self._local = threading.local()
        self._cache = _Cache(cache_bytes)
        self._shuffle = Shuffle(
            len(open_images()), what.shuffle_block_rows, what.shuffle_window_blocks, what.seed
        )

    def make(self, step: int) -> Batch:
        """Make the batch of one step."""
        positions = positions_of(step, self._what.images_per_step)
        rows = self._shuffle.at(positions)
        size_px = self._what.encoder.size_px
        views = [
            view(
                tile,
                size_px,
                self._what.augment,
                np.random.default_rng([self._what.seed, place]),
            )
            for tile, place in zip(self.tiles(rows.tolist()), positions.tolist(), strict=True)
        ]
        return Batch(rows, np.stack(views))

    def tiles(self, rows: Sequence[int]) -> list[Pixels]:
        """Decode whole tiles.

        Raises:
            RunError: a tile has other bands than the encoder.
        """
        found = self._cache.find(rows)
        missing = sorted(set(rows) - found.keys())
        if missing:
            if not hasattr(self._local, "images"):
                self._local.images = self._open()
            decoded = dict(zip(missing, self._local.images.images(missing), strict=True))
            self._check_bands(decoded)
            self._cache.keep(decoded)
            found |= decoded
        return [found[row] for row in rows]

    def _check_bands(self, tiles: dict[int, Pixels]) -> None:
        want = self._what.encoder.in_chans
        for row, tile in tiles.items():
            if tile.shape[-1] != want:
                raise RunError(
                    f"corpus row {row} has {tile.shape[-1]} bands, the encoder reads {want}; set "
                    "what.encoder.in_chans, bands, mean and std, or exclude such tiles in curation"
                )

    def fixed(self, count: int) -> list[Pixels]:
        """Return the first tiles of the shuffled corpus: the same ones all through a run."""
        count = min(count, self._shuffle.rows)
        return self.tiles(self._shuffle.at(np.arange(count)).tolist())

    def ahead(self, first: int, stop: int, threads: int) -> Generator[Batch, None, None]:
        """Yield the batches of steps first..stop - 1, in order."""
        with ThreadPoolExecutor(threads, thread_name_prefix="loader") as pool:
            waiting: deque[Future[Batch]] = deque()
            upcoming = iter(range(first, stop))
            try:
                for step in upcoming:
                    waiting.append(pool.submit(self.make, step))
                    if len(waiting) >= threads + _AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()


class _Cache:
    """Decoded tiles up to a number of bytes; never evicts, so a small corpus is decoded once."""

    def __init__(self, limit_bytes: int) -> None:
        self._tiles: dict[int, Pixels] = {}
        self._free_bytes = limit_bytes
        self._lock = threading.Lock()

    def find(self, rows: Sequence[int]) -> dict[int, Pixels]:
        return {row: self._tiles[row] for row in rows if row in self._tiles}

    def keep(self, tiles: dict[int, Pixels]) -> None:
        with self._lock:
            for row, tile in tiles.items():
                if row not in self._tiles and tile.nbytes <= self._free_bytes:
                    self._tiles[row] = tile
                    self._free_bytes -= tile.nbytes
