# SPDX-License-Identifier: Apache-2.0
"""Copies of real tiles as they come about in the wild: turned, compressed, resized, recoloured.

Every copy is made from the tile's colour pixels, first turned, then changed, and is then measured
by the code that measures a corpus. Chance (noise, where a crop is cut) is seeded by tile,
orientation and transform.
"""

import io
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
from imagededup.methods import PHash
from PIL import Image, ImageFilter

from rspipe.curate.dedup.hashing import orient
from rspipe.curate.measure import hash_rows, measure_pixels
from rspipe.schema import ORIENTATIONS

LEVELS = np.arange(256.0)


def jpeg(quality):
    def change(pixels, rng):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer))

    return change


def resize(factor):
    def change(pixels, rng):
        size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
        return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))

    return change


def levels(curve):
    table = np.clip(np.rint(curve(LEVELS)), 0, 255).astype(np.uint8)
    return lambda pixels, rng: table[pixels]


def gamma(exponent):
    return levels(lambda v: 255 * (v / 255) ** exponent)


def contrast(factor):
    def change(pixels, rng):
        mean = pixels.mean()
        return np.clip(np.rint((pixels - mean) * factor + mean), 0, 255).astype(np.uint8)

    return change


def blur(radius_px):
    return lambda pixels, rng: np.asarray(
        Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(radius_px))
    )


def noise(std):
    def change(pixels, rng):
        return np.clip(np.rint(pixels + rng.normal(0, std, pixels.shape)), 0, 255).astype(np.uint8)

    return change


def crop(share):
    """Lose a share of height and of width, at edges drawn by chance."""

    def change(pixels, rng):
        height, width = pixels.shape[:2]
        lost_y, lost_x = round(height * share), round(width * share)
        y, x = rng.integers(0, lost_y + 1), rng.integers(0, lost_x + 1)
        return np.ascontiguousarray(pixels[y : y + height - lost_y, x : x + width - lost_x])

    return change


TRANSFORMS = {
    "none": lambda pixels, rng: pixels,
    "JPEG q75": jpeg(75),
    "JPEG q50": jpeg(50),
    "resize ×0.5": resize(0.5),
    "resize ×0.75": resize(0.75),
    "resize ×1.5": resize(1.5),
    "resize ×2": resize(2),
    "gamma 0.8": gamma(0.8),
    "gamma 1.25": gamma(1.25),
    "brightness −25": levels(lambda v: v - 25),
    "brightness +25": levels(lambda v: v + 25),
    "contrast ×0.8": contrast(0.8),
    "contrast ×1.25": contrast(1.25),
    "blur 1 px": blur(1),
    "noise σ 5": noise(5),
    "crop 2 %": crop(0.02),
    "crop 5 %": crop(0.05),
}
REQUIRED = tuple(
    name for name in TRANSFORMS if name.split()[0] in {"none", "JPEG", "resize", "gamma"}
)


@dataclass(frozen=True)
class Measured:
    """N pictures as rspipe and imagededup see them."""

    rows: list
    """Rows as the slice stage makes them."""
    imagededup: np.ndarray
    """uint64 (N,): imagededup's PHash."""

    @property
    def hashes(self):
        return np.array([row["orientation_hashes"] for row in self.rows], np.uint64)


def measure_all(pictures):
    encoder = PHash(verbose=False)
    rows = [measure_pixels(pixels) for pixels in pictures]
    hash_rows(rows)
    theirs = [int(encoder.encode_image(image_array=pixels), 16) for pixels in pictures]
    return Measured(rows, np.array(theirs, np.uint64))


def copies_of(numbered_tiles, transform):
    """Each tile in 8 orientations, changed: tile by tile, in the order of ORIENTATIONS."""
    change = TRANSFORMS[transform]
    place = list(TRANSFORMS).index(transform)
    for number, tile in numbered_tiles:
        for k, name in enumerate(ORIENTATIONS):
            rng = np.random.default_rng([number, place, k])
            yield change(np.ascontiguousarray(orient(tile.pixels, name)), rng)


def _measure_copies(work):
    return measure_all(list(copies_of(*work)))


def plant(tiles, transform, processes):
    """Measure all copies of all tiles under one transform: 8 N of them."""
    numbered = list(enumerate(tiles))
    chunks = [(numbered[i : i + 100], transform) for i in range(0, len(numbered), 100)]
    with ProcessPoolExecutor(processes) as pool:
        parts = list(pool.map(_measure_copies, chunks))
    return Measured(
        [row for part in parts for row in part.rows],
        np.concatenate([part.imagededup for part in parts]),
    )
