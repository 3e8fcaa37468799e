# SPDX-License-Identifier: Apache-2.0
"""Views of a tile: a crop, a mirror image, a quarter turn. A pure function of seed and place.

What is drawn is drawn for many tiles at once and before any is decoded, so that only what the crop
needs is decoded.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Int32, UInt8

from rspipe.objectives import Draws
from rspipe.recipe import Strict

Pixels = UInt8[np.ndarray, "H W C"]
Regions = Int32[np.ndarray, "H W"]

_ASPECT = (3 / 4, 4 / 3)
_TRIES = 10
# So that views are drawn apart from the masks of the same images.
_SEED_OF_VIEWS = 2**40
_VECTOR_BANDS = (3, 4)
"""Bands that torch has vector code for."""


class Augment(Strict):
    """What a view may do to a tile. Seen from above, mirror images and turns are as likely."""

    crop_scale: tuple[float, float] = (0.2, 1.0)
    """Smallest and largest share of the tile's area."""
    flips: bool = True
    quarter_turns: bool = True


@dataclass(frozen=True)
class View:
    """How a view is made of a tile: a box is cut, resized, mirrored and turned."""

    box: tuple[int, int, int, int]
    """y0, x0, y1, x1 in px of the tile."""
    size_px: tuple[int, int]
    """Height, width of the view."""
    is_mirrored: bool = False
    turns: int = 0
    """Quarter turns, counter-clockwise, after the mirror."""

    @property
    def upright_px(self) -> tuple[int, int]:
        """Height, width before it is turned."""
        return self.size_px[::-1] if self.turns % 2 else self.size_px

    def of_pixels(self, crop: Pixels, out: Pixels) -> None:
        """Resize the pixels in the box (bicubic, antialiased), mirror and turn them.

        Args:
            crop: what is in the box.
            out: of the view's size; written.
        """
        if not (self.is_mirrored or self.turns):
            _resize(crop, out)
            return
        upright = np.empty((*self.upright_px, crop.shape[2]), dtype=np.uint8)
        _resize(crop, upright)
        if self.turns % 2 == 0:
            flipped = (self.turns == 2, self.is_mirrored != (self.turns == 2))
            axes = [axis for axis, is_flipped in enumerate(flipped) if is_flipped]
            out[...] = torch.from_numpy(upright).flip(axes).numpy()
            return
        # Band by band, NumPy copies a turned image four times as fast as whole pixels.
        for band in range(crop.shape[2]):
            out[..., band] = self._oriented(upright[..., band])

    def of_regions(self, regions: Regions) -> Regions:
        """Cut the box of a label map of the whole tile as the pixels are cut; nearest label."""
        y0, x0, y1, x1 = self.box
        height, width = self.upright_px
        rows = _nearest(y0, y1, height, regions.shape[0])
        columns = _nearest(x0, x1, width, regions.shape[1])
        return self._oriented(regions[rows[:, None], columns])

    def _oriented(self, band: np.ndarray) -> np.ndarray:
        return np.rot90(band[:, ::-1] if self.is_mirrored else band, self.turns)


def draw_views(
    shapes: Int[np.ndarray, "B 2"],
    size_px: tuple[int, int],
    augment: Augment,
    seed: int,
    places: Int[np.ndarray, " B"],
) -> list[View]:
    """Draw a view of each tile: a random crop, which may be mirrored and turned.

    The crop is of the aspect of the view times 3/4 to 4/3; where ten draws do not fit into the
    tile, it is the largest one in the middle.

    Args:
        shapes: height and width of each tile, px.
        size_px: height, width of the views.
        augment: what may be done.
        seed: of the run.
        places: of each view in the stream of the run.

    Source: Szegedy et al. 2015, arXiv:1409.4842, sec. 6; scales of He et al. 2022, app. A.1.
        Differs: adds vertical flips and quarter turns.
    """
    draws = Draws(seed + _SEED_OF_VIEWS, torch.from_numpy(places)).uniform(2 + 4 * _TRIES).numpy()
    turns = (draws[:, 0] * 4).astype(int) * augment.quarter_turns
    is_mirrored = (draws[:, 1] < 0.5) & np.bool_(augment.flips)
    aspect = np.where(turns % 2, size_px[0] / size_px[1], size_px[1] / size_px[0])
    tries = draws[:, 2:].reshape(-1, _TRIES, 4)
    boxes = _crop_boxes(shapes, aspect, augment.crop_scale, tries)
    return [
        View((y0, x0, y1, x1), size_px, mirror, turn)
        for (y0, x0, y1, x1), mirror, turn in zip(
            boxes.tolist(), is_mirrored.tolist(), turns.tolist(), strict=True
        )
    ]


def whole_view(shape: tuple[int, int], size_px: tuple[int, int]) -> View:
    """Show as much of a tile as its middle holds in the aspect of the view."""
    aspect = np.array([size_px[1] / size_px[0]])
    box = _middle_boxes(np.array([shape]), aspect)[0]
    y0, x0, y1, x1 = (int(v) for v in box)
    return View((y0, x0, y1, x1), size_px)


def _crop_boxes(
    shapes: Int[np.ndarray, "B 2"],
    aspect: Float[np.ndarray, " B"],
    scale: tuple[float, float],
    draws: Float[np.ndarray, "B tries 4"],
) -> Int[np.ndarray, "B 4"]:
    """Return y0, x0, y1, x1 of the first draw of each tile that fits into it."""
    height, width = (shapes[:, axis, None] for axis in (0, 1))
    low, high = (math.log(a) for a in _ASPECT)
    area = height * width * (scale[0] + (scale[1] - scale[0]) * draws[..., 0])
    ratio = aspect[:, None] * np.exp(low + (high - low) * draws[..., 1])
    h, w = np.rint(np.sqrt(area / ratio)), np.rint(np.sqrt(area * ratio))
    fits = (h > 0) & (h <= height) & (w > 0) & (w <= width)
    y0 = np.minimum(np.floor(draws[..., 2] * (height - h + 1)), height - h)
    x0 = np.minimum(np.floor(draws[..., 3] * (width - w + 1)), width - w)
    boxes = np.stack([y0, x0, y0 + h, x0 + w], axis=2)
    first = boxes[np.arange(len(boxes)), fits.argmax(axis=1)]
    chosen = np.where(fits.any(axis=1)[:, None], first, _middle_boxes(shapes, aspect))
    return chosen.astype(np.int64)


def _middle_boxes(
    shapes: Int[np.ndarray, "B 2"], aspect: Float[np.ndarray, " B"]
) -> Int[np.ndarray, "B 4"]:
    height, width = shapes[:, 0], shapes[:, 1]
    h = np.clip(np.rint(width / aspect), 1, height)
    w = np.clip(np.rint(height * aspect), 1, width)
    y0, x0 = (height - h) // 2, (width - w) // 2
    return np.stack([y0, x0, y0 + h, x0 + w], axis=1).astype(np.int64)


def _nearest(first: int, stop: int, count: int, limit: int) -> Int[np.ndarray, " count"]:
    """Indices of the pixels nearest to the centres of `count` pixels over first..stop."""
    centres = first + (np.arange(count) + 0.5) * ((stop - first) / count)
    return np.minimum(centres.astype(np.int64), limit - 1)


def _resize(pixels: Pixels, out: Pixels) -> None:
    """Resize 8-bit pixels as Pillow does, to within a few grey levels.

    torch resizes 3 and 4 bands at once, five times as fast as Pillow; so more come in parts. The
    operator under `interpolate` is called, since only it writes where it is told to.
    """
    if pixels.shape[2] in _VECTOR_BANDS:
        source, target = (torch.from_numpy(a[None]).permute(0, 3, 1, 2) for a in (pixels, out))
        size_px = list(out.shape[:2])
        torch.ops.aten._upsample_bicubic2d_aa.out(source, size_px, False, None, None, out=target)
        return
    for first in range(0, pixels.shape[2], max(_VECTOR_BANDS)):
        part = slice(first, first + max(_VECTOR_BANDS))
        bands = torch.from_numpy(np.ascontiguousarray(pixels[..., part])).permute(2, 0, 1)[None]
        made = F.interpolate(bands, out.shape[:2], mode="bicubic", antialias=True)
        out[..., part] = made[0].permute(1, 2, 0).numpy()
