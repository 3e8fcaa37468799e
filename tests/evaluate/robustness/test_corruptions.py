# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rspipe.evaluate.robustness.corruptions import (
    AIRLIGHT,
    CORRUPTIONS,
    blur,
    coarsen,
    compress,
    veil,
)

UNCHANGED = {"blur_px": 0, "haze": 0, "gsd_factor": 1}
HARDER = {
    "jpeg": (90, 50, 10),
    "blur_px": (0.5, 1, 3),
    "haze": (0.1, 0.4, 0.8),
    "gsd_factor": (2, 4, 8),
}


@pytest.fixture(scope="module")
def image():
    """Fields and a road: smooth shades, sharp edges, some noise."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:60, :84]
    shades = np.stack([100 + 60 * np.sin(x / 9), 90 + y, 60 + 40 * np.cos(y / 7)], axis=-1)
    shades[28:32] = 200
    return (shades + rng.normal(0, 8, shades.shape)).clip(0, 255).astype(np.uint8)


def error(image, corrupted):
    return np.abs(image.astype(float) - corrupted).mean()


@pytest.mark.parametrize("kind", UNCHANGED)
def test_severity_zero_changes_nothing_bit_for_bit(image, kind):
    np.testing.assert_array_equal(CORRUPTIONS[kind](image, UNCHANGED[kind]), image)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_harder_is_farther_and_the_same_each_time(image, kind):
    made = [CORRUPTIONS[kind](image, severity) for severity in HARDER[kind]]
    errors = [error(image, one) for one in made]
    assert errors == sorted(errors)
    assert errors[0] > 0
    assert all(one.shape == image.shape and one.dtype == np.uint8 for one in made)
    again = [CORRUPTIONS[kind](image, severity) for severity in HARDER[kind]]
    assert all((a == b).all() for a, b in zip(made, again, strict=True))


def test_jpeg_of_the_best_quality_hardly_changes_grey(image):
    """Chroma is at half the resolution at any quality."""
    grey = np.repeat(image[..., :1], 3, axis=2)
    assert np.abs(grey.astype(int) - compress(grey, 100)).max() <= 2


def test_haze_is_the_scattering_model(image):
    hazy = veil(image, 0.25)
    np.testing.assert_allclose(hazy, 0.75 * image + 0.25 * AIRLIGHT, atol=0.5 + 1e-9)
    assert (veil(image, 1) == round(AIRLIGHT)).all()


def test_coarse_pixels_are_means_of_their_ground():
    image = np.zeros((8, 8, 3), np.uint8)
    image[::2] = 200  # finer than the coarse pixel: only the mean is left
    assert (coarsen(image, 2) == 100).all()
    assert coarsen(np.zeros((5, 3, 3), np.uint8), 100).shape == (5, 3, 3)


def test_blur_keeps_flat_ground_and_the_mean(image):
    flat = np.full((9, 9, 3), 77, np.uint8)
    assert (blur(flat, 2.0) == 77).all()
    assert blur(image, 1.0).mean() == pytest.approx(image.mean(), abs=0.5)
