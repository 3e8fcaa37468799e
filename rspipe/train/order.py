# SPDX-License-Identifier: Apache-2.0
"""Which rows a step reads: a pure function of seed, step and rank, without a list of all rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Int

from rspipe.errors import RunError

Rows = Int[np.ndarray, " B"]


@dataclass(frozen=True)
class Epoch:
    """The order of one epoch: blocks in random order, and where each stretch of the stream ends."""

    number: int
    blocks: Int[np.ndarray, " blocks"]
    ends: Int[np.ndarray, " blocks"]
    """Places before the end of stretch k; block k is the one that begins in stretch k."""


class Shuffle:
    """Visit every row once per epoch, in an order that reads a corpus block by block.

    The blocks (row groups) of an epoch are put in random order, and each gives a like share of its
    rows, drawn at random, to each of the next `window_blocks` stretches of the stream, the last
    ones going on at the beginning. So at any place rows of `window_blocks` blocks are mixed; with
    each stretch one block is done with and one begins, and reading is as even as can be. A corpus
    of fewer blocks is mixed wholly.

    Only the order of the blocks and the stretches in use are held: nothing grows with the rows.

    Args:
        starts: first row of each block, and the number of rows at the end.
        window_blocks: blocks that are mixed at any one place.
        seed: of the order.
    """

    def __init__(self, starts: Sequence[int] | Rows, window_blocks: int, seed: int) -> None:
        self._starts = np.asarray(starts, dtype=np.int64)
        self.rows = int(self._starts[-1])
        self.window_blocks = min(window_blocks, len(self._starts) - 1)
        self._seed = seed
        # Of this object alone; steps in flight may lie at both sides of an epoch's end.
        self._epoch = lru_cache(maxsize=2)(self._order_blocks)
        self._block_rows = lru_cache(maxsize=2 * self.window_blocks)(self._shuffle_block)
        self._stretch = lru_cache(maxsize=64)(self._mix)

    def at(self, places: Rows) -> Rows:
        """Look up the rows at some places of the endless stream of epochs."""
        epochs, within = np.divmod(places, self.rows)
        out = np.empty_like(places)
        for number in np.unique(epochs).tolist():
            epoch = self._epoch(number)
            stretches = np.searchsorted(epoch.ends, within, side="right")
            for k in np.unique(stretches[epochs == number]).tolist():
                here = (epochs == number) & (stretches == k)
                first = int(epoch.ends[k - 1]) if k else 0
                out[here] = self._stretch(number, k)[within[here] - first]
        return out

    def blocks_at(self, first: int, stop: int) -> set[int]:
        """Name the blocks that places first..stop - 1 may read."""
        found: set[int] = set()
        while first < stop:
            number, within = divmod(first, self.rows)
            epoch = self._epoch(number)
            last = min(stop - number * self.rows, self.rows) - 1
            k0, k1 = np.searchsorted(epoch.ends, [within, last], side="right").tolist()
            spread = np.arange(k0 - self.window_blocks + 1, k1 + 1) % len(epoch.blocks)
            found.update(epoch.blocks[spread].tolist())
            first = number * self.rows + last + 1
        return found

    def _order_blocks(self, number: int) -> Epoch:
        sizes = np.diff(self._starts)
        blocks = np.random.default_rng([self._seed, number]).permutation(len(sizes))
        counts = np.zeros(len(sizes), dtype=np.int64)
        for step in range(self.window_blocks):
            first, stop = self._share(np.roll(sizes[blocks], step), step)
            counts += stop - first
        return Epoch(number, blocks, np.cumsum(counts))

    def _share(self, sizes: Rows, step: int | Rows) -> tuple[Rows, Rows]:
        """Which of its shuffled rows a block gives, `step` stretches after it began."""
        return step * sizes // self.window_blocks, (step + 1) * sizes // self.window_blocks

    def _shuffle_block(self, number: int, block: int) -> Rows:
        first, stop = self._starts[block : block + 2].tolist()
        rng = np.random.default_rng([self._seed, number, block])
        shuffled: Rows = first + rng.permutation(stop - first)
        return shuffled

    def _mix(self, number: int, k: int) -> Rows:
        epoch = self._epoch(number)
        steps = np.arange(self.window_blocks)
        blocks = epoch.blocks[(k - steps) % len(epoch.blocks)]
        shares = self._share(self._starts[blocks + 1] - self._starts[blocks], steps)
        rows = [
            self._block_rows(number, block)[first:stop]
            for block, first, stop in zip(
                blocks.tolist(), *(s.tolist() for s in shares), strict=True
            )
        ]
        rng = np.random.default_rng([self._seed, number, len(epoch.blocks), k])
        mixed: Rows = rng.permutation(np.concatenate(rows))
        return mixed


@dataclass(frozen=True)
class Order:
    """What each rank reads in each step.

    The rows of a step are sorted and then cut into as many parts as there are ranks. So a rank
    reads few of the window's blocks and leaves the others to its peers, and all ranks together
    read the same step, however many they are.
    """

    shuffle: Shuffle
    images_per_step: int
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.images_per_step % self.world:
            near = self.images_per_step // self.world * self.world or self.world
            raise RunError(
                f"what.images_per_step={self.images_per_step} cannot be shared by {self.world} "
                f"processes; set it to a multiple, such as {near}, or start another number"
            )

    def step(self, step: int) -> tuple[Rows, Rows]:
        """Return the rows of this rank in a step, and their places in the stream."""
        first = step * self.images_per_step
        rows = np.sort(self.shuffle.at(np.arange(first, first + self.images_per_step)))
        mine = slice(self.rank * self.share, (self.rank + 1) * self.share)
        return rows[mine], np.arange(first + mine.start, first + mine.stop)

    @property
    def share(self) -> int:
        """Images of a step that are this rank's."""
        return self.images_per_step // self.world
