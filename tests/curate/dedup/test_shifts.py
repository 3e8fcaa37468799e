# SPDX-License-Identifier: Apache-2.0
"""A shifted crop of a real picture is the same picture; another place is not, however shifted."""

import numpy as np
import pytest
from PIL import Image

from rspipe.curate.dedup.hashing import orient
from rspipe.curate.dedup.shifts import shifted_similarities
from rspipe.curate.dedup.verify import similarities
from rspipe.schema import ORIENTATIONS


@pytest.fixture(scope="module")
def grounds(demo_native):
    """Real ground, 160 px a side, grey."""
    paths = sorted((demo_native / "demo_scenes").rglob("*.jp2"))
    paths += sorted((demo_native / "demo_scenes").rglob("*.tif"))
    import rasterio

    found = []
    for path in paths:
        with rasterio.open(path) as scene:
            pixels = scene.read(1)
        for y in range(0, pixels.shape[0] - 160, 160):
            for x in range(0, pixels.shape[1] - 160, 160):
                cut = pixels[y : y + 160, x : x + 160]
                if cut.dtype == np.uint8 and cut.std() > 12:
                    found.append(cut)
    assert len(found) >= 8
    return found[:40]


def thumbnail(pixels):
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.asarray(image.resize((32, 32), Image.Resampling.LANCZOS))


def crop(ground, dy, dx):
    return ground[16 + dy : 144 + dy, 16 + dx : 144 + dx]


@pytest.mark.parametrize("shift", [(0, 3), (5, 0), (-4, 6), (7, -7), (-8, -8)])
def test_a_shift_of_up_to_a_sixteenth_is_undone_in_every_orientation(grounds, shift):
    for k, name in enumerate(ORIENTATIONS):
        copies = np.stack([thumbnail(orient(crop(g, *shift), name)) for g in grounds])
        originals = np.stack([thumbnail(crop(g, 0, 0)) for g in grounds])
        kinds = np.full(len(grounds), k)
        assert shifted_similarities(copies, originals, kinds).min() > 0.98


def test_without_a_shift_nothing_is_lost(grounds):
    thumbnails = np.stack([thumbnail(crop(g, 0, 0)) for g in grounds])
    kinds = np.zeros(len(grounds), np.int64)
    assert shifted_similarities(thumbnails, thumbnails, kinds).min() == pytest.approx(1.0)
    noisy = np.clip(thumbnails + np.random.default_rng(0).normal(0, 3, thumbnails.shape), 0, 255)
    noisy = noisy.astype(np.uint8)
    fixed = similarities(noisy, thumbnails, kinds)
    assert (shifted_similarities(noisy, thumbnails, kinds) >= fixed - 0.01).all()


def test_other_places_stay_strangers(grounds):
    thumbnails = np.stack([thumbnail(crop(g, 0, 0)) for g in grounds])
    others = np.roll(thumbnails, 1, axis=0)
    assert shifted_similarities(thumbnails, others, np.zeros(len(grounds), np.int64)).max() < 0.95
