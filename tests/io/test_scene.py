# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp, Resampling

from rspipe.errors import UnreadableImage
from rspipe.io.scene import Stretch, open_scene
from rspipe.schema import Box
from tests.io.rasters import ramp, write_raster


@pytest.fixture
def write(tmp_path):
    return lambda values, **options: write_raster(tmp_path / "a.tif", values, **options)


def whole(values):
    return Box(y0=0, x0=0, y1=values.shape[1], x1=values.shape[2])


def test_windows_of_8_bit_are_the_pixels_themselves(write):
    values = ramp(3, "uint8")
    with open_scene(write(values), "a", (1, 2, 3)) as scene:
        assert scene.is_8bit
        pixels, valid = scene.read(Box(y0=5, x0=7, y1=15, x1=30), None)
    np.testing.assert_array_equal(pixels, values[:, 5:15, 7:30].transpose(1, 2, 0))
    assert valid.all()


def test_bands_come_in_the_order_asked_for(write):
    values = ramp(4, "uint8")
    with open_scene(write(values), "a", (4, 2, 1)) as scene:
        pixels, _ = scene.read(whole(values), None)
    np.testing.assert_array_equal(pixels, values[[3, 1, 0]].transpose(1, 2, 0))


def test_one_stretch_serves_all_windows_of_a_scene(write):
    values = ramp(1, "uint16")
    with open_scene(write(values), "a", (1,)) as scene:
        stretch = scene.percentile_stretch(0, 100)
        everything, _ = scene.read(whole(values), stretch)
        part, _ = scene.read(Box(y0=10, x0=0, y1=20, x1=40), stretch)
    np.testing.assert_array_equal(everything[10:], part)
    assert everything.min() == 0
    assert everything.max() == 255


def test_a_stretch_keeps_the_ratio_of_colours(write):
    values = np.stack([np.full((20, 40), v) for v in (100, 200, 400)]).astype("uint16")
    values[:, 0, 0] = 0
    with open_scene(write(values), "a", (1, 2, 3)) as scene:
        pixels, _ = scene.read(Box(y0=5, x0=5, y1=6, x1=6), scene.percentile_stretch(0, 100))
    np.testing.assert_allclose(pixels[0, 0] / 255, [0.25, 0.5, 1], atol=0.01)


@pytest.mark.parametrize("dtype", ["int16", "uint16", "int32", "float32", "float64"])
def test_any_real_dtype_is_stretched_by_the_range_given(write, dtype):
    values = np.array([[[-50, 0, 50, 100, 200]]], dtype if dtype[0] != "u" else "int32")
    values = np.clip(values, 0, None).astype(dtype) if dtype[0] == "u" else values.astype(dtype)
    with open_scene(write(values), "a", (1,)) as scene:
        pixels, valid = scene.read(whole(values), Stretch(0.0, 100.0))
    assert pixels[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    assert valid.all()


def test_a_byte_of_fewer_bits_and_white_as_zero_are_the_files_own_ranges(write):
    values = (ramp(1, "uint8") % 2).astype("uint8")
    with open_scene(write(values, NBITS=1), "a", (1,)) as scene:
        assert not scene.is_8bit
        assert scene.own_stretch == Stretch(0.0, 1.0)
        pixels, _ = scene.read(whole(values), scene.own_stretch)
    np.testing.assert_array_equal(pixels[:, :, 0], values[0] * 255)
    values = ramp(1, "uint8")
    with open_scene(write(values, photometric="MINISWHITE"), "a", (1,)) as scene:
        pixels, _ = scene.read(whole(values), scene.own_stretch)
    np.testing.assert_array_equal(pixels[:, :, 0], 255 - values[0])


def test_nodata_is_invalid_and_outside_the_stretch(write):
    values = ramp(1, "uint16")
    values[:, :5] = 0
    with open_scene(write(values, nodata=0), "a", (1,)) as scene:
        stretch = scene.percentile_stretch(0, 100)
        _, valid = scene.read(whole(values), stretch)
    assert stretch.low > 0
    assert not valid[:5].any()


def test_a_dark_band_is_data_where_the_others_have_some(write):
    """No-data 0 in an 8-bit picture: pure red is no hole, black is."""
    values = np.zeros((3, 4, 4), "uint8")
    values[0, :2] = 200
    with open_scene(write(values, nodata=0), "a", (1, 2, 3)) as scene:
        pixels, valid = scene.read(whole(values), None)
    assert valid[:2].all()
    assert not valid[2:].any()
    assert (pixels[:2] == (200, 0, 0)).all()


def test_a_float_pixel_needs_all_its_bands_and_no_nan(write):
    values = np.ones((3, 2, 2), "float32")
    values[0, 0, 0] = -9999
    values[1, 0, 1] = np.nan
    with open_scene(write(values, nodata=-9999), "a", (1, 2, 3)) as scene:
        pixels, valid = scene.read(whole(values), Stretch(0.0, 1.0))
    assert valid.tolist() == [[False, False], [True, True]]
    assert (pixels[0] == 0).all()


def test_an_alpha_band_and_a_mask_file_say_where_there_is_data(write, tmp_path):
    values = ramp(4, "uint8")
    values[3] = 255
    values[3, :, :10] = 0
    path = write(values)
    with rasterio.open(path, "r+") as out:
        out.colorinterp = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    with open_scene(path, "a", (1, 2, 3)) as scene:
        _, valid = scene.read(whole(values), None)
    assert not valid[:, :10].any()
    assert valid[:, 10:].all()
    path = write_raster(tmp_path / "masked.tif", values[:3])
    with rasterio.open(path, "r+") as out:
        out.write_mask(values[3])
    with open_scene(path, "a", (1, 2, 3)) as scene:
        _, masked = scene.read(whole(values), None)
    np.testing.assert_array_equal(masked, valid)


def test_a_resampled_window_is_the_average_of_what_has_data(write):
    values = ramp(1, "float32", 24, 24)
    values[0, :, :3] = -1
    with open_scene(write(values, nodata=-1), "a", (1,)) as scene:
        pixels, valid = scene.read(whole(values), Stretch(0.0, 4100.0), (6, 6))
    for row in range(6):
        for column in range(6):
            block = values[0, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4]
            share = (block != -1).mean()
            assert valid[row, column] == (share >= 0.5)
            if share >= 0.5:
                mean = block[block != -1].mean()
                assert abs(pixels[row, column, 0] - mean / 4100 * 255) <= 0.51


def test_tiles_come_from_the_full_resolution_and_previews_from_overviews(write):
    """Overviews may be anything: here they are black, the scene is not."""
    values = np.full((1, 512, 512), 200, "uint8")
    path = write(values, tiled=True, blockxsize=256, blockysize=256)
    with rasterio.open(path, "r+") as out:
        out.write(np.zeros_like(values))
        out.build_overviews([2, 4, 8], Resampling.nearest)
        out.write(values)
    with open_scene(path, "a", (1,)) as scene:
        tile, _ = scene.read(whole(values), None, (128, 128))
        preview, _ = scene.preview(None, 64)
    assert (tile == 200).all()
    assert preview.shape == (64, 64, 1)
    assert (preview == 0).all()


def test_a_preview_is_a_small_average_of_the_whole(write):
    values = ramp(3, "uint8", 60, 120)
    with open_scene(write(values), "a", (1, 2, 3)) as scene:
        pixels, valid = scene.preview(None, 30)
        same, _ = scene.preview(None, 500)
    assert pixels.shape == (15, 30, 3)
    assert valid.all()
    blocks = values.reshape(3, 15, 4, 30, 4).mean(axis=(2, 4)).transpose(1, 2, 0)
    np.testing.assert_allclose(pixels, blocks, atol=0.51)
    np.testing.assert_array_equal(same, values.transpose(1, 2, 0))


def test_a_window_without_data_is_not_decoded(write):
    """Its pixels are broken, but its mask says that there is nothing to see."""
    values = ramp(1, "uint8", 64, 64)
    path = write(values, tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    with rasterio.open(path, "r+") as out:
        out.write_mask(np.zeros((64, 64), dtype=bool))
        offset = int(out.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1))
    data = bytearray(path.read_bytes())
    data[offset : offset + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))
    with open_scene(path, "a", (1,)) as scene:
        pixels, valid = scene.read(whole(values), None)
    assert not valid.any()
    assert not pixels.any()


def test_what_cannot_be_decoded_is_named(write):
    values = ramp(1, "uint8", 64, 64)
    path = write(values, compress="deflate")
    path.write_bytes(path.read_bytes()[:400])
    with (
        pytest.raises(UnreadableImage, match=r"^a:"),
        open_scene(path, "a", (1,)) as scene,
    ):
        scene.read(whole(values), None)


def test_a_file_in_one_huge_block_is_refused_with_the_next_move(tmp_path):
    block = {"tiled": True, "blockxsize": 24_000, "blockysize": 24_000}
    profile = {"compress": "deflate", "SPARSE_OK": True} | block
    path = tmp_path / "a.tif"
    shape = {"height": 24_000, "width": 24_000, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", **shape, **profile):
        pass
    with (
        pytest.raises(UnreadableImage, match="gdal_translate"),
        open_scene(path, "a", (1,)),
    ):
        pass
