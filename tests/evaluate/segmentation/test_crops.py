# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from rspipe.evaluate.config import LinearSegmentation, UPerNetTuning
from rspipe.evaluate.segmentation.crops import distort, draw_crop, largest_share, scaled_to
from rspipe.evaluate.segmentation.masks import IGNORE

PLAIN = LinearSegmentation(flip=False)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def pair():
    """A picture whose red says its row and green its column, and a mask of four quarters."""
    y, x = np.mgrid[:40, :60]
    image = np.stack([y * 4, x * 4, np.zeros_like(y)], axis=-1).astype(np.uint8)
    return image, ((y >= 20) * 2 + (x >= 30)).astype(np.uint8)


def test_a_crop_is_a_window_of_the_image_and_the_same_of_the_mask(pair):
    image, mask = pair
    seen = set()
    for seed in range(20):
        crop = draw_crop(image, mask, 16, PLAIN, rng(seed))
        y, x = crop.image[0, 0, 0] // 4, crop.image[0, 0, 1] // 4
        assert (crop.image == image[y : y + 16, x : x + 16]).all()
        assert (crop.mask == mask[y : y + 16, x : x + 16]).all()
        seen.add((y, x))
    assert len(seen) > 15


def test_small_images_are_padded_and_the_padding_counts_for_nothing(pair):
    crop = draw_crop(*pair, 64, PLAIN, rng())
    assert crop.inside == (40, 60)
    assert (crop.mask[40:] == IGNORE).all()
    assert (crop.mask[:, 60:] == IGNORE).all()
    assert (crop.mask[:40, :60] == pair[1]).all()


def test_scaling_a_window_is_scaling_the_image_and_cutting_it(pair):
    image, mask = pair
    settings = LinearSegmentation(flip=False, fit_px=120, scale=(0.5, 2.0))
    for seed in range(8):
        crop = draw_crop(image, mask, 32, settings, rng(seed))
        factor = 2 * rng(seed).uniform(0.5, 2.0)
        size = round(60 * factor), round(40 * factor)
        whole = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        draws = rng(seed)
        draws.uniform(0.5, 2.0)
        y = int(draws.integers(0, max(size[1] - 32, 0) + 1))
        x = int(draws.integers(0, max(size[0] - 32, 0) + 1))
        h, w = crop.inside
        want = whole[y : y + h, x : x + w].astype(int)
        inner = np.abs(crop.image[:h, :w].astype(int) - want)[2:-2, 2:-2]
        assert inner.max() <= 2


def test_one_class_takes_no_more_than_its_share_where_other_windows_exist():
    mask = np.zeros((64, 64), dtype=np.uint8)
    mask[:, 32:] = 1
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    settings = LinearSegmentation(max_class_share=0.75)
    shares = [largest_share(draw_crop(image, mask, 32, settings, rng(s)).mask) for s in range(50)]
    assert sum(share < 0.75 for share in shares) >= 49
    alone = draw_crop(image, np.zeros_like(mask), 32, settings, rng())
    assert (alone.mask == 0).all()


def test_share_leaves_ignored_pixels_out():
    mask = np.full((4, 4), IGNORE, dtype=np.uint8)
    mask[0] = [0, 0, 0, 1]
    assert largest_share(mask) == 0.75


def test_flip_mirrors_image_and_mask_together(pair):
    crops = [draw_crop(*pair, 64, LinearSegmentation(), rng(seed)) for seed in range(20)]
    mirrored = [bool(crop.image[0, 0, 1]) for crop in crops]
    assert 4 < sum(mirrored) < 16
    flipped = crops[mirrored.index(True)]
    assert (flipped.mask[:40, :60] == pair[1][:, ::-1]).all()


def test_same_draws_same_crop(pair):
    first, second = (draw_crop(*pair, 16, UPerNetTuning(), rng(3)) for _ in range(2))
    assert (first.image == second.image).all()
    assert (first.mask == second.mask).all()


def test_distortion_stays_in_its_bounds_and_keeps_greys_grey():
    grey = np.full((4, 4, 3), 100, dtype=np.uint8)
    found = np.array([distort(grey, rng(seed))[0, 0] for seed in range(300)]).astype(int)
    assert np.abs(found - found[:, :1]).max() <= 1
    assert (found >= (100 - 32) * 0.5 - 1).all()
    assert (found <= (100 + 32) * 1.5 + 1).all()
    assert 0.15 < (np.abs(found[:, 0] - 100) <= 1).mean() < 0.35  # neither brightness nor contrast


def test_hue_turns_by_at_most_a_tenth_of_the_circle():
    red = np.full((2, 2, 3), (200, 50, 50), dtype=np.uint8)
    hues = []
    for seed in range(300):
        hue = np.array(Image.fromarray(distort(red, rng(seed))).convert("HSV"))[0, 0, 0]
        hues.append(min(int(hue), 256 - int(hue)))
    assert 20 <= max(hues) <= 28


def test_longest_side():
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    assert scaled_to(image, 30).shape == (20, 30, 3)
    assert scaled_to(image, None) is image
