# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from PIL import Image

from rspipe.curate.config import SliceConfig
from rspipe.curate.sources import open_source
from rspipe.errors import UnreadableImage
from rspipe.io import images
from rspipe.io.storage import Storage
from rspipe.schema import Box
from tests.curate.slicing import image_row

SIZE = (150, 130)
BOX = Box(y0=20, x0=30, y1=84, x1=94)
KINDS = [
    *(("png", mode) for mode in ("L", "RGB", "P", "LA", "RGBA")),
    *(("jpg", mode) for mode in ("L", "RGB", "CMYK")),
    *(("bmp", mode) for mode in ("L", "RGB", "P")),
    *(("webp", mode) for mode in ("RGB", "RGBA")),
    ("gif", "P"),
]


def picture(mode):
    """Smooth colours, so that JPEG keeps them, with a hole where there is an alpha band."""
    coarse = np.random.default_rng(0).integers(0, 255, (5, 5, 4), dtype=np.uint8)
    layers = [
        np.asarray(Image.fromarray(coarse[:, :, b]).resize(SIZE[::-1], Image.BICUBIC))
        for b in range(4)
    ]
    rgba = np.stack(layers, axis=2)
    rgba[:, :, 3] = 255
    rgba[30:60, 40:70, 3] = 0
    return Image.fromarray(rgba).convert(mode)


def read(folder, path, shape=None, **said):
    """Pixels, 0 where there is no data, and validity of a window."""
    storage = Storage(str(folder), folder / ".cache")
    row = {"derivation": None} | image_row(folder, path) | said
    with open_source(storage, row, SliceConfig()) as source:
        assert source.stretch is None
        assert source.bounds_4326(BOX) is None
        pixels, valid = source.read(BOX, shape)
    valid = np.ones(pixels.shape[:2], bool) if valid is None else valid
    return pixels * valid[:, :, None].astype(int), valid


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("shape", [None, (32, 32), (21, 40), (100, 100)])
@pytest.mark.parametrize(("suffix", "mode"), KINDS)
def test_pictures_too_large_to_decode_whole_are_the_same_by_windows(
    tmp_path, monkeypatch, suffix, mode, shape
):
    name = f"a.{suffix}"
    picture(mode).save(tmp_path / name, **({"lossless": True} if suffix == "webp" else {}))
    pixels, valid = read(tmp_path, name, shape)
    monkeypatch.setattr(images, "MOST_PILLOW_PIXELS", 1000)
    by_windows, valid_by_windows = read(tmp_path, name, shape)
    np.testing.assert_array_equal(valid_by_windows, valid)
    difference = np.abs(by_windows - pixels)
    if shape == (100, 100):
        # Two kinds of bilinear interpolation, also across the edge of a hole.
        assert difference.mean() < 6
    elif (suffix, mode) == ("jpg", "CMYK"):
        assert difference.mean() < 30  # without a profile, ink has no agreed colour
    elif suffix == "jpg":
        # Two decoders, which interpolate colour differently.
        assert difference.mean() < 1
        assert difference.max() <= 16
    else:
        assert difference.max() <= (1 if shape else 0)


def test_a_preview_fits_and_keeps_the_shape(tmp_path):
    picture("RGB").save(tmp_path / "a.png")
    storage = Storage(str(tmp_path), tmp_path / ".cache")
    row = {"derivation": None} | image_row(tmp_path, "a.png")
    with open_source(storage, row, SliceConfig()) as source:
        small, valid = source.preview(75)
        same, _ = source.preview(1000)
    assert valid is None
    assert small.shape == (75, 65, 3)
    whole = np.asarray(picture("RGB"))
    np.testing.assert_array_equal(same, whole)
    blocks = whole.reshape(75, 2, 65, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(small, blocks, atol=0.51)


def test_a_band_that_a_picture_does_not_have_is_named(tmp_path):
    picture("RGBA").save(tmp_path / "a.png")
    with pytest.raises(UnreadableImage, match="band 4"):
        read(tmp_path, "a.png", display_bands=[4, 2, 1])
