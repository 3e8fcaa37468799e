# SPDX-License-Identifier: Apache-2.0
"""Where an image is cut: a grid, or random crops. Pure functions of a size, an id and the recipe.

Everything is laid out in pixels after resampling to the recipe's GSD, then mapped back to windows
of the published image.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

from rspipe.curate.config import CropsConfig, SliceConfig
from rspipe.schema import Box

_TRIES = 32  # places tried for one crop before it is given up


@dataclass(frozen=True)
class Cut:
    """One tile to be: a window of the published image, and the size it is read at."""

    box: Box
    """In pixels of the published image."""
    height: int
    """Rows of the tile; box.height where it is not resampled."""
    width: int

    def covers(self, height: int, width: int) -> bool:
        """Whether the window is the whole image."""
        return self.box.height == height and self.box.width == width


def scale_to(gsd_m: float | None, config: SliceConfig) -> float:
    """Tile pixels per image pixel that bring an image to the recipe's GSD; 1: leave it.

    >>> scale_to(0.3, SliceConfig(target_gsd_m=0.6)), scale_to(2.0, SliceConfig(target_gsd_m=0.6))
    (0.5, 1.0)
    """
    if config.target_gsd_m is None or gsd_m is None:
        return 1.0
    scale = gsd_m / config.target_gsd_m
    if 1 / config.gsd_tolerance <= scale <= config.gsd_tolerance:
        return 1.0
    return scale if scale < 1 or config.upsample else 1.0


def lay_cuts(
    height: int, width: int, scale: float, image_id: str, config: SliceConfig
) -> Iterator[Cut]:
    """Say how an image is cut, by rows from the top; nothing where it is too large to stay whole.

    Args:
        height: of the published image, px.
        width: likewise.
        scale: tile pixels per image pixel, see `scale_to`.
        image_id: seeds random crops.
        config: the rules.
    """
    frame = _Frame(height, width, max(1, round(height * scale)), max(1, round(width * scale)))
    if max(frame.rows, frame.columns) <= config.larger_than_px:
        yield frame.cut(0, 0, frame.rows, frame.columns)
    elif config.mode == "grid":
        yield from _grid(frame, config)
    elif config.mode == "random_crops":
        yield from _crops(frame, image_id, config.crops)


@dataclass(frozen=True)
class _Frame:
    """A published image and the size it would have after resampling."""

    height: int
    width: int
    rows: int
    columns: int

    def cut(self, y: int, x: int, rows: int, columns: int) -> Cut:
        """Map a window of the resampled image back to the published one."""
        return Cut(
            Box(
                y0=y * self.height // self.rows,
                x0=x * self.width // self.columns,
                y1=-(-(y + rows) * self.height // self.rows),
                x1=-(-(x + columns) * self.width // self.columns),
            ),
            rows,
            columns,
        )


def _grid(frame: _Frame, config: SliceConfig) -> Iterator[Cut]:
    """Lay a grid; the last window in each direction ends at the edge."""
    tile = config.tile_px
    for y in _starts(frame.rows, tile, config.stride_px):
        for x in _starts(frame.columns, tile, config.stride_px):
            yield frame.cut(y, x, min(tile, frame.rows), min(tile, frame.columns))


def _starts(length: int, tile: int, stride: int) -> list[int]:
    if length <= tile:
        return [0]
    starts = list(range(0, length - tile + 1, stride))
    return starts if starts[-1] == length - tile else [*starts, length - tile]


def _crops(frame: _Frame, image_id: str, config: CropsConfig) -> list[Cut]:
    """Draw crops; one that finds no place among the earlier ones is left out."""
    wanted = math.floor(frame.rows * frame.columns / 1e6 * config.per_megapixel + 0.5)
    chosen: list[Cut] = []
    for number in range(min(max(wanted, 1), config.max_crops)):
        cut = _place_crop(frame, image_id, number, chosen, config)
        if cut is not None:
            chosen.append(cut)
    return sorted(chosen, key=lambda c: (c.box.y0, c.box.x0, c.box.y1, c.box.x1))


def _place_crop(
    frame: _Frame, image_id: str, number: int, others: list[Cut], config: CropsConfig
) -> Cut | None:
    for attempt in range(_TRIES):
        u, v, w = _draw(config.seed, image_id, number, attempt)
        side = _side_px(u, min(frame.rows, frame.columns), config)
        rows, columns = min(side, frame.rows), min(side, frame.columns)
        y = math.floor(v * (frame.rows - rows + 1))
        x = math.floor(w * (frame.columns - columns + 1))
        cut = frame.cut(y, x, rows, columns)
        if all(iou(cut.box, other.box) <= config.max_iou for other in others):
            return cut
    return None


def _side_px(u: float, shorter_px: int, config: CropsConfig) -> int:
    """Turn a uniform draw into a side: a multiple within the limits and, if it can, the image."""
    step = config.multiple_px
    lowest = -(-config.min_px // step)
    highest = max(lowest, min(config.max_px, shorter_px) // step)
    if config.sizes == "uniform":
        return step * (lowest + math.floor(u * (highest - lowest + 1)))
    # Each multiple k stands for the sides k-½ … k+½, whose share of the log scale it gets.
    low, high = math.log(lowest - 0.5), math.log(highest + 0.5)
    return step * min(max(round(math.exp(low + u * (high - low))), lowest), highest)


def _draw(seed: int, image_id: str, number: int, attempt: int) -> tuple[float, float, float]:
    """Three numbers in [0, 1), the same on any machine and with any version of any library."""
    text = f"{seed}\0{image_id}\0{number}\0{attempt}"
    digest = hashlib.blake2b(text.encode(), digest_size=24).digest()
    u, v, w = (int.from_bytes(digest[i : i + 8], "big") >> 11 for i in (0, 8, 16))
    return u / 2**53, v / 2**53, w / 2**53


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two windows.

    >>> iou(Box(y0=0, x0=0, y1=2, x1=2), Box(y0=0, x0=1, y1=2, x1=3))
    0.3333333333333333
    """
    rows = min(a.y1, b.y1) - max(a.y0, b.y0)
    columns = min(a.x1, b.x1) - max(a.x0, b.x0)
    shared = max(rows, 0) * max(columns, 0)
    return shared / (a.area_px + b.area_px - shared)
