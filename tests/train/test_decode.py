# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image

from pipelines.demo.world import World
from rspipe.errors import RunError, UnreadableImage
from rspipe.io.images import encode_png
from rspipe.train.augment import View
from rspipe.train.decode import (
    Encoded,
    decode_bands,
    decode_box,
    decode_regions,
    reduction_for,
)


@pytest.fixture(scope="module")
def ground():
    """Coast, desert and forest of the Blue Marble: uint8 (700, 901, 3)."""
    return np.ascontiguousarray(World.from_package().picture[600:1300, 2600:3501])


def encoded(pixels, kind="JPEG", mode=None, **options):
    picture = Image.fromarray(pixels.squeeze() if pixels.shape[-1] == 1 else pixels, mode)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return Encoded(memoryview(buffer.getvalue()), pixels.shape[:2], "tile t (corpus row 3)")


def resized(view, crop):
    out = np.empty((*view.size_px, crop.shape[2]), np.uint8)
    view.of_pixels(crop, out)
    return out


@pytest.mark.parametrize("reduction", [2, 4])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_view_of_a_reduced_decode_is_close_to_that_of_a_whole_one(ground, reduction, subsampling):
    tile = encoded(ground, quality=90, subsampling=subsampling)
    whole = decode_bands(tile, 3)
    for y0, x0 in ((0, 0), (13, 101), (700 - 64 * 2 * reduction, 901 - 64 * 2 * reduction)):
        box = (y0, x0, y0 + 64 * reduction + 7, x0 + 64 * reduction + 3)
        view = View(box, (64, 64))
        crop = decode_box(tile, box, (64, 64), 3)
        assert abs(crop.shape[0] - (64 * reduction + 7) / reduction) <= 1
        full = resized(view, whole[box[0] : box[2], box[1] : box[3]])
        difference = resized(view, crop).astype(int) - full
        assert np.abs(difference).mean() < 4
        assert abs(difference.mean()) < 0.5
        assert difference.any()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_where_nothing_is_reduced_a_box_is_cut_from_the_whole_tile(ground, kind):
    tile = encoded(ground, kind)
    box = (10, 20, 10 + 127, 20 + 300)
    expected = decode_bands(tile, 3)[10:137, 20:320]
    assert np.array_equal(decode_box(tile, box, (64, 64), 3), expected)


def test_png_is_decoded_whole_however_large_the_box(ground):
    tile = encoded(ground, "PNG")
    assert np.array_equal(decode_box(tile, (0, 0, 700, 901), (64, 64), 3), ground)


@pytest.mark.parametrize("size", [(700, 901), (64, 65), (8, 9), (1, 1)])
def test_reduction_never_makes_the_box_smaller_than_the_view(size):
    for least in (1, 7, 64, 224):
        reduction = reduction_for(size, (least, least))
        assert reduction == 1 or min(size) // reduction >= least
        if reduction < 8:
            assert min(size) < 2 * reduction * least


@pytest.mark.parametrize("odd", [0, 1, 3])
def test_box_has_at_least_the_size_of_the_view_at_every_offset(ground, odd):
    tile = encoded(ground[: 600 + odd, : 800 + odd])
    for reduction in (2, 4):
        px = 96 * reduction
        for offset in range(10):
            box = (offset, 600 - px, offset + px, 600)
            crop = decode_box(tile, box, (96, 96), 3)
            assert min(crop.shape[:2]) >= 96
            assert max(crop.shape[:2]) <= 97


def test_every_picture_becomes_three_bands_or_one(ground):
    grey = ground[..., :1]
    pictures = {
        "grey png": (encoded(grey, "PNG"), np.repeat(grey, 3, 2)),
        "rgba": (encoded(np.concatenate([ground, grey], 2), "PNG"), ground),
        "rgb": (encoded(ground, "PNG"), ground),
    }
    for tile, expected in pictures.values():
        assert np.array_equal(decode_bands(tile, 3), expected)
        weighed = np.asarray(Image.fromarray(expected).convert("L"))
        assert np.array_equal(decode_bands(tile, 1)[..., 0], weighed)
    jpeg = encoded(grey, quality=95)
    assert np.array_equal(decode_bands(jpeg, 3), np.repeat(decode_bands(jpeg, 1), 3, 2))
    assert np.array_equal(
        decode_box(jpeg, (0, 0, 256, 256), (64, 64), 3).std(axis=2), np.zeros((64, 64))
    )


def test_luma_of_a_jpeg_is_the_grey_of_its_colours(ground):
    tile = encoded(ground, quality=95)
    weighed = np.asarray(Image.open(io.BytesIO(tile.data)).convert("L"))
    assert np.abs(decode_bands(tile, 1)[..., 0].astype(int) - weighed).mean() < 0.2


def test_bands_of_a_multi_band_tile_are_handed_over_as_they_are(ground):
    four = np.concatenate([ground, ground[..., :1]], axis=2)
    assert np.array_equal(decode_bands(encoded(four, "PNG"), 4), four)
    seven = np.concatenate([ground, four], axis=2)
    buffer = io.BytesIO()
    np.save(buffer, seven)
    tile = Encoded(buffer.getvalue(), seven.shape[:2], "seven")
    assert np.array_equal(decode_bands(tile, 7), seven)
    assert np.array_equal(decode_box(tile, (5, 6, 70, 90), (16, 16), 7), seven[5:70, 6:90])


@pytest.mark.parametrize("bands", [2, 4, 7])
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_tile_with_other_bands_is_an_error_with_its_name_and_a_next_move(ground, kind, bands):
    with pytest.raises(RunError, match=rf"tile t .*row 3.* has 3 bands.* reads {bands};.*in_chans"):
        decode_box(encoded(ground, kind), (0, 0, 300, 300), (64, 64), bands)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_tile_of_another_size_than_the_corpus_says_is_an_error(ground, kind):
    tile = encoded(ground, kind)
    lying = Encoded(tile.data, (700, 600), tile.name)
    for box in ((0, 0, 100, 100), (0, 0, 512, 512)):
        with pytest.raises(UnreadableImage, match=r"tile t .*700.*600"):
            decode_box(lying, box, (128, 128), 3)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_truncated_tile_is_an_error_with_its_name(ground, kind):
    tile = encoded(ground, kind)
    half = Encoded(tile.data[: len(tile.data) // 2], tile.shape, tile.name)
    for box in ((0, 0, 100, 100), (0, 0, 512, 512)):
        with pytest.raises(UnreadableImage, match=r"tile t \(corpus row 3\)"):
            decode_box(half, box, (128, 128), 3)


def test_regions_are_the_values_of_the_mask():
    tile = Encoded(b"", (4, 5), "tile t")
    classes = np.arange(20, dtype=np.uint8).reshape(4, 5)
    wide = np.arange(20, dtype=np.uint16).reshape(4, 5) * 1000
    colours = np.stack([classes, classes * 0, classes + 1], axis=2)
    assert np.array_equal(decode_regions(encode_png(classes), tile), classes)
    assert np.array_equal(decode_regions(encode_png(wide), tile), wide)
    assert decode_regions(encode_png(colours), tile)[1, 2] == 0x070008
    assert (decode_regions(None, tile) == np.full((4, 5), -1)).all()


def test_mask_of_another_size_is_an_error_with_the_name_of_its_tile():
    with pytest.raises(UnreadableImage, match=r"mask of tile t.*\(4, 5\)"):
        decode_regions(encode_png(np.zeros((3, 5), np.uint8)), Encoded(b"", (4, 5), "tile t"))
