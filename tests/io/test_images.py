# SPDX-License-Identifier: Apache-2.0
import io
import resource
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import rasterio
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


def pillows(data):
    """What Pillow decodes, or None where it refuses."""
    try:
        image = Image.open(io.BytesIO(data))
        return np.asarray(image.convert("L" if image.mode == "L" else "RGB"))
    except (OSError, SyntaxError, ValueError):
        return None


def ours(data):
    try:
        pixels = images.decode(data, "x")
    except UnreadableImage:
        return None
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def scene(mode="RGB", size=(75, 51)):
    rng = np.random.default_rng(0)
    rough = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    return rough.resize(size, Image.Resampling.BICUBIC).convert(mode)


def jpeg(mode="RGB", **options):
    buffer = io.BytesIO()
    scene(mode).save(buffer, "JPEG", **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK", "YCbCr"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"optimize": True}])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("quality", [30, 75, 95])
def test_a_jpeg_has_the_pixels_that_pillow_decodes(mode, options, subsampling, quality):
    data = jpeg(mode, subsampling=subsampling, quality=quality, **options)
    np.testing.assert_array_equal(ours(data), pillows(data))


def test_a_jpeg_that_says_it_holds_rgb_has_the_pixels_that_pillow_decodes():
    data = jpeg(keep_rgb=True)
    np.testing.assert_array_equal(ours(data), pillows(data))


def test_a_damaged_jpeg_is_read_or_refused_as_pillow_does():
    rng = np.random.default_rng(0)
    sound, outcomes = jpeg(quality=80), set()
    for _ in range(400):
        data = bytearray(sound[: int(rng.integers(2, len(sound) + 1))])
        for at in rng.integers(0, len(data), int(rng.integers(0, 4))):
            data[at] = rng.integers(0, 256)
        expected, got = pillows(bytes(data)), ours(bytes(data))
        assert (got is None) == (expected is None)
        if expected is not None:
            np.testing.assert_array_equal(got, expected)
        outcomes.add(expected is None)
    assert outcomes == {True, False}


@pytest.mark.real_data
def test_every_real_jpeg_has_the_pixels_that_pillow_decodes(real_data):
    paths = [p for p in sorted(real_data.rglob("*.jp*g")) if p.is_file()][::23]
    assert len(paths) > 150
    for path in paths:
        data = path.read_bytes()
        expected, got = pillows(data), ours(data)
        assert (got is None) == (expected is None), path
        if expected is not None:
            np.testing.assert_array_equal(got, expected, err_msg=str(path))


def test_transparent_pixels_are_not_valid():
    def save(image, fmt="PNG", **options):
        buffer = io.BytesIO()
        image.save(buffer, fmt, **options)
        return images.decode_picture(buffer.getvalue(), "x")

    alpha = Image.fromarray(np.repeat(np.uint8([[0, 1, 255]]), 2, axis=0))
    expected = [[False, True, True]] * 2
    for mode, bands in (("RGBA", 3), ("LA", 1)):
        image = scene(mode, (3, 2))
        image.putalpha(alpha)
        picture = save(image)
        assert picture.pixels.shape == (2, 3, bands)
        assert picture.valid.tolist() == expected
        np.testing.assert_array_equal(picture.pixels[:, :, 0], np.asarray(image)[:, :, 0])
    image = scene("RGBA", (3, 2))
    image.putalpha(255)
    assert save(image).valid is None
    assert save(scene("RGB", (3, 2))).valid is None
    palette = Image.fromarray(np.uint8([[0, 1, 2]] * 2)).convert("P")
    assert save(palette, transparency=0).valid.tolist() == expected
    assert save(palette, transparency=bytes([0, 9, 255])).valid.tolist() == expected
    assert save(palette, "GIF", transparency=0).valid.tolist() == expected
    colour = Image.fromarray(np.uint8([[[9, 9, 9], [9, 9, 8], [0, 0, 0]]] * 2))
    assert save(colour, transparency=(9, 9, 9)).valid.tolist() == expected


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "1"])
def test_strips_make_up_the_picture(mode, monkeypatch):
    data = encoded(mode, size=(33, 50))
    whole = images.decode_picture(data, "x")
    monkeypatch.setattr(images, "_STRIP_PIXELS", 100)
    in_strips = images.decode_picture(data, "x")
    np.testing.assert_array_equal(in_strips.pixels, whole.pixels)
    assert (in_strips.valid is None) == (whole.valid is None)


def with_size(data, height, width):
    """The same file with another size in its header."""
    if data.startswith(b"\x89PNG"):
        header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
        return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


@pytest.mark.parametrize("fmt", ["PNG", "JPEG"])
def test_a_huge_size_in_a_small_file_costs_no_memory(fmt):
    data = with_size(encoded(fmt=fmt), 9_000, 11_000)
    assert images.read_facts(data, "x").width == 11_000
    tracemalloc.start()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadableImage, match="cannot hold the 9000x11000 px"):
        images.decode(data, "x")
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    traced = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(grown_kib * 1024, traced) < 20_000_000


@pytest.mark.parametrize("fmt", ["PNG", "JPEG"])
def test_more_pixels_than_are_decoded_whole_are_left_to_the_raster_reader(fmt):
    data = with_size(encoded(fmt=fmt), 20_000, 20_000)
    assert images.read_facts(data, "x").height == 20_000
    assert images.decode_picture(data, "x") is None
    with pytest.raises(UnreadableImage, match="20000x20000 px are too many"):
        images.decode(data, "x")


def test_pixels_that_are_not_8_bit_are_left_to_the_raster_reader():
    buffer = io.BytesIO()
    Image.fromarray(np.arange(6, dtype=np.uint16).reshape(2, 3)).save(buffer, "PNG")
    assert images.decode_picture(buffer.getvalue(), "x") is None
    with pytest.raises(UnreadableImage, match="not 8-bit"):
        images.decode(buffer.getvalue(), "x")


@pytest.mark.parametrize("fmt", ["PNG", "GIF", "BMP", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGB", "P", "L", "1"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of damaged metadata
def test_a_damaged_picture_is_read_or_refused_and_nothing_else(fmt, mode):
    rng = np.random.default_rng(0)
    sound, outcomes = encoded(mode, fmt, size=(40, 30)), set()
    for round_ in range(150):
        data = bytearray(sound[: int(rng.integers(1, len(sound)))] if round_ % 3 else sound)
        within = min(len(data), 80) if round_ % 2 else len(data)
        for at in rng.integers(0, within, int(rng.integers(1, 5))):
            data[at] = rng.integers(0, 256)
        try:
            images.decode_picture(bytes(data), "x")
            outcomes.add("read")
        except UnreadableImage as error:
            assert error.path == "x"
            outcomes.add("refused")
    assert "refused" in outcomes


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_16_bit_colours_are_no_8_bit_picture(tmp_path, bands):
    """Pillow would keep the upper byte, and 12-bit data in 16 bits would be all but black."""
    values = np.random.default_rng(0).integers(0, 4096, (bands, 20, 30)).astype(np.uint16)
    profile = {"driver": "PNG", "count": bands, "height": 20, "width": 30, "dtype": "uint16"}
    with rasterio.open(tmp_path / "a.png", "w", **profile) as out:
        out.write(values)
    data = (tmp_path / "a.png").read_bytes()
    assert images.read_facts(data, "x").dtype == "uint16"
    assert images.decode_picture(data, "x") is None
