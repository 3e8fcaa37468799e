"""Views of a tile: a crop, a mirror image, a quarter turn. A pure function of a seed."""

import math

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from rspipe.recipe import Strict

Pixels = UInt8[np.ndarray, "H W C"]

_ASPECT = (3 / 4, 4 / 3)
_TRIES = 10


class Augment(Strict):
    """What a view may do to a tile. Seen from above, mirror images and turns are as likely."""

    crop_scale: tuple[float, float] = (0.2, 1.0)
    """Smallest and largest share of the tile's area."""
    flips: bool = True
    quarter_turns: bool = True


def view(
    image: Pixels, size_px: tuple[int, int], augment: Augment, rng: np.random.Generator
) -> Pixels:
    """Cut a random crop, resize it (bicubic), and maybe mirror and turn it.

    The crop is of the aspect of the view times 3/4 to 4/3; where ten draws do not fit into the
    tile, it is the largest one in the middle.

    Source: Szegedy et al. 2015, arXiv:1409.4842, sec. 6; scales of He et al. 2022, app. A.1.
        Differs: adds vertical flips and quarter turns.
    """
    turns = int(rng.integers(4)) if augment.quarter_turns else 0
    height, width = size_px[::-1] if turns % 2 else size_px
    box = _crop_box(image.shape[:2], width / height, augment.crop_scale, rng)
    out = _resize(image, (height, width), box)
    if augment.flips and rng.random() < 0.5:
        out = out[:, ::-1]
    return np.ascontiguousarray(np.rot90(out, turns))


def _crop_box(
    shape: tuple[int, ...], aspect: float, scale: tuple[float, float], rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Draw x0, y0, x1, y1, as Pillow wants it."""
    rows, columns = shape[:2]
    low, high = (math.log(a) for a in _ASPECT)
    for _ in range(_TRIES):
        area = rows * columns * rng.uniform(*scale)
        ratio = aspect * math.exp(rng.uniform(low, high))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= columns and 0 < h <= rows:
            x0, y0 = int(rng.integers(columns - w + 1)), int(rng.integers(rows - h + 1))
            return x0, y0, x0 + w, y0 + h
    width, height = min(columns, rows * aspect), min(rows, columns / aspect)
    left, top = (columns - width) / 2, (rows - height) / 2
    return left, top, left + width, top + height


def _resize(
    image: Pixels, size_px: tuple[int, int], box: tuple[float, float, float, float]
) -> Pixels:
    """Resize the box of the image; Pillow reads 3 bands at once, others one by one."""
    height, width = size_px
    if image.shape[2] == 3:
        return np.asarray(
            Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC, box=box)
        )
    bands = [
        np.asarray(Image.fromarray(band).resize((width, height), Image.Resampling.BICUBIC, box=box))
        for band in np.moveaxis(image, 2, 0)
    ]
    return np.stack(bands, axis=2)
