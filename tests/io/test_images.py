import io

import numpy as np
import pytest
from PIL import Image

from rspipe.errors import UnreadableImage
from rspipe.io import images


def encoded(mode="RGB", fmt="PNG", size=(12, 8), **options):
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, fmt, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("mode", "fmt", "bands"),
    [
        ("RGB", "PNG", 3),
        ("L", "PNG", 1),
        ("P", "PNG", 3),
        ("RGBA", "PNG", 3),
        ("LA", "PNG", 1),
        ("CMYK", "JPEG", 3),
        ("1", "PNG", 1),
    ],
)
def test_every_8_bit_mode_decodes_to_height_width_bands(mode, fmt, bands):
    pixels = images.decode(encoded(mode, fmt), "x")
    assert pixels.shape == (8, 12, bands)
    assert pixels.dtype == np.uint8


def test_png_round_trip_is_identity():
    pixels = images.decode(encoded(), "x")
    np.testing.assert_array_equal(images.decode(images.encode_png(pixels), "y"), pixels)


def test_formats_are_told_by_content():
    for fmt in ("PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"):
        assert images.sniff_format(encoded(fmt=fmt)) == fmt


def test_a_truncated_image_is_never_let_through():
    data = encoded(fmt="JPEG", size=(128, 128))
    assert images.read_facts(data[: len(data) // 2], "x").width == 128
    with pytest.raises(UnreadableImage, match="truncated"):
        images.decode(data[: len(data) // 2], "x")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (b"<!DOCTYPE html><html>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
        (b"hello", "no image format"),
    ],
)
def test_what_is_no_image_says_what_it_is(data, words):
    with pytest.raises(UnreadableImage, match=words):
        images.read_facts(data, "x")


def test_alpha_is_kept_apart():
    assert images.alpha_of(encoded("RGBA"), "x").shape == (8, 12)
    assert images.alpha_of(encoded("RGB"), "x") is None
