# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image, ImageFilter

from rspipe.curate.dedup.hashing import hash_orientations, shrink
from rspipe.curate.measure import hash_rows, measure, measure_pixels
from rspipe.schema import MEASURE_FIELDS


@pytest.fixture
def picture():
    smooth = np.random.default_rng(0).integers(0, 256, (10, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(smooth).resize((100, 80), Image.Resampling.BICUBIC))


def test_every_measure_column_is_measured(picture):
    columns = {field.name for field in MEASURE_FIELDS}
    assert columns | {"thumbnail", "orientation_hashes"} == set(measure(picture))


def test_measures_in_a_batch_equal_measures_alone(picture):
    pictures = [picture, picture[:40], picture[:, :, :1], np.zeros((9, 9, 3), np.uint8)]
    rows = [measure_pixels(p) for p in pictures]
    hash_rows(rows)
    assert rows == [measure(p) for p in pictures]


def test_the_hash_is_that_of_the_grey_thumbnail(picture):
    grey = np.asarray(Image.fromarray(picture).convert("L"))
    assert measure(picture)["orientation_hashes"] == hash_orientations(shrink(grey)).tolist()


def test_moments_are_those_of_the_pixels_with_data(picture):
    valid = np.random.default_rng(1).random(picture.shape[:2]) < 0.7
    grey = np.asarray(Image.fromarray(picture).convert("L"), dtype=np.float64)
    row = measure(picture, valid)
    assert row["mean_grey"] == pytest.approx(grey[valid].mean())
    assert row["std_grey"] == pytest.approx(grey[valid].std())
    assert row["nodata_fraction"] == pytest.approx(1 - valid.mean())


def test_what_has_no_data_does_not_count(picture):
    """A black margin declared to be no data changes no measure of the picture beside it."""
    wide = np.concatenate([picture, np.zeros_like(picture)], axis=1)
    valid = np.arange(wide.shape[1])[None, :] < picture.shape[1]
    row, alone = measure(wide, np.broadcast_to(valid, wide.shape[:2])), measure(picture)
    assert row["nodata_fraction"] == 0.5
    for name in ("flatness", "sharpness", "black_fraction", "cloud_fraction", "std_grey"):
        assert row[name] == pytest.approx(alone[name]), name
    assert measure(wide)["black_fraction"] == pytest.approx(0.5, abs=0.01)


def test_a_tile_without_data_is_blank(picture):
    row = measure(picture, np.zeros(picture.shape[:2], dtype=bool))
    assert (row["nodata_fraction"], row["flatness"], row["sharpness"]) == (1, 1, 0)
    assert (row["mean_grey"], row["std_grey"], row["saturated_fraction"]) == (0, 0, 0)


def test_jpeg_noise_on_a_blank_tile_is_flat():
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (90, 100, 80)).save(buffer, "JPEG", quality=75)
    row = measure(np.asarray(Image.open(buffer)))
    assert row["flatness"] == 1
    assert row["std_grey"] < 1


def test_blur_lowers_sharpness(picture):
    image = Image.fromarray(picture)
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(2)))
    assert measure(blurred)["sharpness"] < measure(picture)["sharpness"]


def test_a_cloud_is_bright_colourless_and_smooth():
    cloud = np.full((64, 64, 3), 230, np.uint8)
    coloured, dark = cloud.copy(), np.full((64, 64, 3), 120, np.uint8)
    coloured[:, :, 2] = 204
    roofs = np.where(np.indices((64, 64)).sum(axis=0)[:, :, None] % 2, cloud, dark)
    assert measure(cloud)["cloud_fraction"] == 1
    for ground in (coloured, dark, roofs.astype(np.uint8)):
        assert measure(ground)["cloud_fraction"] == 0
    half = np.concatenate([cloud, dark], axis=1)
    assert measure(half)["cloud_fraction"] == pytest.approx(0.5, abs=0.02)


def test_saturation_needs_every_band():
    pixels = np.full((8, 8, 3), 255, np.uint8)
    assert measure(pixels)["saturated_fraction"] == 1
    pixels[:4, :, 1] = 200
    assert measure(pixels)["saturated_fraction"] == 0.5


def test_the_pixel_hash_knows_values_and_shape(picture):
    changed = picture.copy()
    changed[3, 4, 1] ^= 1
    shapes = [picture, changed, picture.reshape(100, 80, 3), picture.reshape(80, 300, 1)]
    assert len({measure(p)["pixel_hash"] for p in shapes}) == 4
    view = np.pad(picture, ((1, 1), (1, 1), (0, 0)))[1:-1, 1:-1]
    assert measure(view)["pixel_hash"] == measure(picture)["pixel_hash"]


def test_the_pixel_hash_stays_what_it_is():
    """A corpus names tiles by it: a change is a change of results."""
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert measure(pixels)["pixel_hash"] == "ab4616086fd2c0adb1e6191d0b1da892"
