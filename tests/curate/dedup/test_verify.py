# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.hashing import orient, shrink
from rspipe.curate.dedup.verify import NOISE_LEVELS, NOISE_SHARE, similarities, similarity
from rspipe.schema import ORIENTATIONS


def picture(seed, std=30.0, size=(128, 128)):
    """A smooth random picture."""
    coarse = np.random.default_rng(seed).normal(0, 1, (9, 9)).astype(np.float32)
    smooth = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    return np.clip(np.rint(120 + smooth / smooth.std() * std), 0, 255).astype(np.uint8)


@pytest.fixture
def thumbnail():
    return shrink(picture(0))


def by_definition(copy, original, orientation):
    a, b = (
        t.reshape(16, 2, 16, 2).mean(axis=(1, 3)).ravel()
        for t in (copy, orient(original, orientation))
    )
    r = np.corrcoef(a, b)[0, 1]
    if r <= 0:
        return r
    noise = min(NOISE_LEVELS**2 / max(a.var(), b.var()), NOISE_SHARE)
    unlike = max(1 - r**2 - noise, 0)
    return np.sqrt(1 - unlike)


def test_similarities_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    copies = np.stack([shrink(picture(seed, std)) for seed in range(20) for std in (1, 5, 30)])
    originals = np.roll(copies, 1, axis=0)
    turns = rng.integers(0, 8, len(copies))
    expected = [
        by_definition(a, b, ORIENTATIONS[k])
        for a, b, k in zip(copies, originals, turns, strict=True)
    ]
    np.testing.assert_allclose(similarities(copies, originals, turns), expected, atol=1e-12)
    assert min(expected) < 0 < 0.9 < max(expected)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_turned_copy_is_like_its_original_in_its_own_orientation_only(thumbnail, orientation):
    copy = orient(thumbnail, orientation)
    scores = {name: similarity(copy, thumbnail, name) for name in ORIENTATIONS}
    assert scores.pop(orientation) == pytest.approx(1)
    assert max(scores.values()) < 0.6


def test_brightness_and_contrast_do_not_matter(thumbnail):
    changed = (thumbnail * 0.5 + 20).astype(np.uint8)
    assert similarity(changed, thumbnail, "identity") > 0.999


def compressed(grey, quality):
    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def test_a_faint_copy_is_verified_and_a_faint_stranger_is_not():
    """What a plain correlation of the thumbnails cannot do."""
    least = DedupConfig().min_similarity
    originals = [picture(seed, 3.0, (64, 64)) for seed in range(30)]
    shrunk = [shrink(grey) for grey in originals]
    copies = [shrink(compressed(grey, 50)) for grey in originals]
    plain = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(copies, shrunk, strict=True)]
    alike = [similarity(a, b, "identity") for a, b in zip(copies, shrunk, strict=True)]
    strangers = [similarity(copies[i], shrunk[i - 1], "identity") for i in range(30)]
    assert np.mean(np.array(plain) < least) > 0.5
    assert np.mean(np.array(alike) >= least) > 0.9
    assert max(strangers) < 0.9 < least


def test_a_flat_thumbnail_verifies_nothing(thumbnail):
    flat = np.full((32, 32), 7, np.uint8)
    assert similarity(flat, thumbnail, "identity") == 0
    assert similarity(flat, flat, "identity") == 0
