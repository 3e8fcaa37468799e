# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from rspipe.curate.pixel_scan import (
    BLACK_LEVEL,
    CLOUD_LEVEL,
    CLOUD_SPREAD,
    CLOUD_STEP,
    FLAT_STEP,
    SATURATED_LEVEL,
    Counts,
    scan,
)


def scan_slowly(pixels, valid):
    """The definitions, written down in NumPy."""
    grey = pixels[:, :, 0]
    if pixels.shape[2] == 3:
        grey = np.asarray(Image.fromarray(pixels).convert("L"))
    g = grey.astype(np.int64)
    low, high = pixels.min(axis=2).astype(int), pixels.max(axis=2).astype(int)
    right, below = np.abs(np.diff(g, axis=1)), np.abs(np.diff(g, axis=0))
    right_ok, below_ok = valid[:, 1:] & valid[:, :-1], valid[1:] & valid[:-1]
    corner_ok = right_ok[:-1] & below_ok[:, :-1]
    bright = (low >= CLOUD_LEVEL) & (high - low <= CLOUD_SPREAD)
    smooth = (right[:-1] <= CLOUD_STEP) & (below[:, :-1] <= CLOUD_STEP)
    centre_ok = right_ok[1:-1, 1:] & right_ok[1:-1, :-1] & below_ok[1:, 1:-1] & below_ok[:-1, 1:-1]
    around = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:]
    laplacian = (around - 4 * g[1:-1, 1:-1])[centre_ok]
    return grey, Counts(
        valid.sum(),
        g[valid].sum(),
        (g[valid] ** 2).sum(),
        (valid & (low >= SATURATED_LEVEL)).sum(),
        (valid & (high <= BLACK_LEVEL)).sum(),
        right_ok.sum() + below_ok.sum(),
        (right_ok & (right <= FLAT_STEP)).sum() + (below_ok & (below <= FLAT_STEP)).sum(),
        corner_ok.sum(),
        (corner_ok & smooth & bright[:-1, :-1]).sum(),
        centre_ok.sum(),
        laplacian.sum(),
        (laplacian**2).sum(),
    )


def pictures():
    rng = np.random.default_rng(0)
    for shape in ((1, 1), (1, 9), (9, 1), (2, 2), (3, 3), (17, 31), (40, 64), (3, 4100)):
        for bands in (1, 3):
            yield rng.integers(0, 256, (*shape, bands), dtype=np.uint8)
            yield rng.integers(240, 256, (*shape, bands), dtype=np.uint8)
            yield rng.integers(0, 8, (*shape, bands), dtype=np.uint8)
            yield np.full((*shape, bands), 255, np.uint8)
    checks = np.indices((6, 5000)).sum(axis=0) % 2 * 255  # the largest Laplacian there is
    yield np.repeat(checks.astype(np.uint8)[:, :, None], 3, axis=2)


@pytest.mark.parametrize("share", [None, 1.0, 0.9, 0.3, 0.0])
def test_the_one_pass_counts_what_the_definitions_say(share):
    rng = np.random.default_rng(1)
    for pixels in pictures():
        everywhere = np.ones(pixels.shape[:2], dtype=bool)
        valid = everywhere if share is None else rng.random(pixels.shape[:2]) < share
        grey, counts = scan(pixels, None if share is None else valid)
        expected_grey, expected = scan_slowly(pixels, valid)
        np.testing.assert_array_equal(grey, expected_grey)
        assert counts == expected, pixels.shape


def test_every_colour_is_weighed_as_pillow_weighs_it():
    colours = np.stack(np.meshgrid(*[np.arange(0, 256, 3, dtype=np.uint8)] * 3), axis=-1)
    pixels = np.ascontiguousarray(colours.reshape(86, -1, 3))
    np.testing.assert_array_equal(scan(pixels, None)[0], Image.fromarray(pixels).convert("L"))
