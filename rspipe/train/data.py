# SPDX-License-Identifier: Apache-2.0
"""Batches: which rows, in which order, as which views.

The order and every view are pure functions of the recipe and of the place in the stream. So there
is no loader state to save, and threads change nothing but speed.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int, Int32, UInt8

from rspipe.train.augment import View, draw_views, whole_view
from rspipe.train.config import PretrainHow, PretrainWhat
from rspipe.train.decode import decode_box, decode_regions
from rspipe.train.groups import Groups, Tiles
from rspipe.train.order import Order, Shuffle

_PART_IMAGES = 32
"""Most images that a thread works on at a time."""
_STEPS_AHEAD = 2
"""Steps that are made while one is used."""


@dataclass(frozen=True)
class Batch:
    """Views of one step, and the rows they come from."""

    rows: Int[np.ndarray, " B"]
    """Of the corpus."""
    places: Int[np.ndarray, " B"]
    """In the stream of the whole run: what each image's random draws hang on."""
    images: UInt8[np.ndarray, "B H W C"]
    regions: Int32[np.ndarray, "B H W"] | None
    """Labels of the tiles' masks, -1 where a tile has none; None where nobody asked for them."""


class Batches:
    """Make the batches of a run, or a rank's share of them, ahead of time, in threads.

    Decoding and resizing leave the interpreter to other threads, so threads are enough: the
    encoded tiles are in memory once, and views are written where they are used.

    Args:
        open_tiles: opens the corpus.
        what: the recipe.
        how: threads, and the bytes of encoded tiles that are kept in memory.
        rank: of this process.
        world: processes that share each step.
        with_regions: give the tiles' masks too, cut and turned as the images are.
        pin: put images and regions into page-locked memory, for copies to a GPU that do not wait;
            keep a batch until its copy is done, for its memory is used again.

    Raises:
        RunError: the images of a step cannot be shared evenly.
    """

    def __init__(
        self,
        open_tiles: Callable[[], Tiles],
        what: PretrainWhat,
        how: PretrainHow,
        rank: int = 0,
        world: int = 1,
        with_regions: bool = False,
        pin: bool = False,
    ) -> None:
        self._tiles = open_tiles()
        self._what = what
        self._with_regions, self._pin = with_regions, pin
        self._starts = split_blocks(self._tiles.group_starts, what.shuffle_block_rows)
        self._shuffle = Shuffle(self._starts, what.shuffle_window_blocks, what.seed)
        self._order = Order(self._shuffle, what.images_per_step, rank, world)
        self._groups = Groups(self._tiles, with_regions, how.cache_bytes)
        self.threads = how.loader_threads or threads_per_process()

    def make(self, step: int) -> Batch:
        """Make the batch of one step, in this thread."""
        batch = self._empty(*self._order.step(step))
        self._fill(batch, slice(0, len(batch.rows)), self._draw)
        return batch

    def ahead(self, first: int, stop: int) -> Generator[Batch, None, None]:
        """Yield the batches of steps first..stop - 1, in order."""
        with ThreadPoolExecutor(self.threads, thread_name_prefix="loader") as pool:
            waiting: deque[tuple[int, Batch, list[Future[None]]]] = deque()
            upcoming = iter(range(first, stop))
            try:
                while True:
                    for step in upcoming:
                        waiting.append((step, *self._submit(pool, step)))
                        if len(waiting) > self._steps_ahead():
                            break
                    if not waiting:
                        return
                    step, batch, parts = waiting.popleft()
                    for part in parts:
                        part.result()
                    self._forget(step + 1, stop=waiting[-1][0] + 1 if waiting else step + 2)
                    yield batch
            finally:
                for *_, parts in waiting:
                    for part in parts:
                        part.cancel()

    def fixed(self, count: int) -> Batch:
        """Show the first tiles of the shuffled corpus, whole: the same ones all through a run."""
        places = np.arange(min(count, self._shuffle.rows))
        batch = self._empty(self._shuffle.at(places), places)
        self._fill(batch, slice(0, len(places)), self._show_whole)
        return batch

    def tile_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the names of some tiles, in the order asked for."""
        return self._tiles.tile_ids(rows)

    def _steps_ahead(self) -> int:
        """So many that no thread waits for work, at least `_STEPS_AHEAD`."""
        parts = math.ceil(self._order.share / self._part_images())
        return max(_STEPS_AHEAD, math.ceil(2 * self.threads / parts))

    def _part_images(self) -> int:
        return max(1, min(_PART_IMAGES, math.ceil(self._order.share / self.threads)))

    def _submit(self, pool: ThreadPoolExecutor, step: int) -> tuple[Batch, list[Future[None]]]:
        batch = self._empty(*self._order.step(step))
        size = self._part_images()
        parts = [slice(i, i + size) for i in range(0, len(batch.rows), size)]
        return batch, [pool.submit(self._fill, batch, part, self._draw) for part in parts]

    def _forget(self, first: int, stop: int) -> None:
        """Let go of the row groups that steps before `first` alone have used."""
        images = self._what.images_per_step
        blocks = self._shuffle.blocks_at(first * images, stop * images)
        self._groups.keep_only(set(self._group_of(self._starts[list(blocks)]).tolist()))

    def _group_of(self, rows: Int[np.ndarray, " B"]) -> Int[np.ndarray, " B"]:
        return np.searchsorted(self._tiles.group_starts, rows, side="right") - 1

    def _empty(self, rows: Int[np.ndarray, " B"], places: Int[np.ndarray, " B"]) -> Batch:
        encoder = self._what.encoder
        shape = (len(rows), *encoder.size_px)
        images = self._memory((*shape, encoder.in_chans), np.uint8)
        regions = self._memory(shape, np.int32) if self._with_regions else None
        return Batch(rows, places, images, regions)

    def _memory(self, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
        if not self._pin:
            return np.empty(shape, dtype)  # in huge pages, unlike torch's: a tenth of the time
        size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        pinned = torch.empty(size_bytes, dtype=torch.uint8, pin_memory=True)
        return pinned.numpy().view(dtype).reshape(shape)

    def _fill(self, batch: Batch, part: slice, choose: "_Choose") -> None:
        """Make the views of a part of a batch where they belong."""
        rows = batch.rows[part]
        groups = [self._groups.get(index) for index in self._group_of(rows).tolist()]
        tiles = [group.tile(row) for group, row in zip(groups, rows.tolist(), strict=True)]
        views = choose(np.array([tile.shape for tile in tiles]), batch.places[part])
        bands = self._what.encoder.in_chans
        for index, (group, tile, view) in enumerate(
            zip(groups, tiles, views, strict=True), part.start
        ):
            crop = decode_box(tile, view.box, view.upright_px, bands)
            view.of_pixels(crop, batch.images[index])
            if batch.regions is not None:
                mask = group.mask(int(batch.rows[index]))
                batch.regions[index] = view.of_regions(decode_regions(mask, tile))

    def _draw(self, shapes: Int[np.ndarray, "B 2"], places: Int[np.ndarray, " B"]) -> list[View]:
        what = self._what
        return draw_views(shapes, what.encoder.size_px, what.augment, what.seed, places)

    def _show_whole(self, shapes: Int[np.ndarray, "B 2"], _: Int[np.ndarray, " B"]) -> list[View]:
        return [whole_view((h, w), self._what.encoder.size_px) for h, w in shapes.tolist()]


_Choose = Callable[[Int[np.ndarray, "B 2"], Int[np.ndarray, " B"]], list[View]]


def split_blocks(
    group_starts: Int[np.ndarray, " groups+1"], most_rows: int
) -> Int[np.ndarray, " blocks+1"]:
    """Cut row groups into blocks of at most so many rows; each block lies in one group.

    >>> split_blocks(np.array([0, 5, 7]), most_rows=2)
    array([0, 2, 4, 5, 7])
    """
    starts = [
        np.arange(first, stop, most_rows)
        for first, stop in zip(group_starts[:-1].tolist(), group_starts[1:].tolist(), strict=True)
    ]
    return np.concatenate([*starts, group_starts[-1:]])


def threads_per_process() -> int:
    """Share the cores that this process may use with the other ranks of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (cores or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
