# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rspipe.io import resample
from rspipe.io.resample import area_average

SIDES = st.integers(1, 40)


def rows_of(values, valid=None):
    return lambda first, last: (
        values[:, first:last],
        None if valid is None else valid[first:last],
    )


def split(values, shape):
    """Every pixel in rows x columns equal parts, so that no edge of a cell lies inside one."""
    rows, columns = shape
    height, width = values.shape
    fine = np.repeat(np.repeat(values, rows, axis=0), columns, axis=1)
    return fine.reshape(rows, height, columns, width)


@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 99))
def test_each_pixel_is_the_mean_of_the_valid_part_of_its_area(height, width, rows, columns, seed):
    shape = min(rows, height), min(columns, width)
    random = np.random.default_rng(seed)
    values = random.integers(0, 65536, (2, height, width)).astype(np.uint16)
    valid = random.random((height, width)) < 0.6
    average, half = area_average(rows_of(values, valid), (height, width), shape)
    weights = split(valid.astype(float), shape)
    area = weights.sum(axis=(1, 3))
    for band in range(2):
        sums = (split(values[band].astype(float), shape) * weights).sum(axis=(1, 3))
        seen = area > 0
        np.testing.assert_allclose(average[band][seen], sums[seen] / area[seen], rtol=1e-9)
        assert (average[band][~seen] == 0).all()
    share = weights.mean(axis=(1, 3))
    clear = abs(share - 0.5) > 1e-6
    np.testing.assert_array_equal(half[clear], share[clear] > 0.5)


@given(SIDES, SIDES, SIDES, SIDES)
def test_strips_change_nothing(height, width, rows, columns):
    shape = min(rows, height), min(columns, width)
    values = np.random.default_rng(0).random((1, height, width))
    valid = values[0] < 0.7
    with pytest.MonkeyPatch.context() as patch:
        whole = area_average(rows_of(values, valid), (height, width), shape)
        patch.setattr(resample, "_STRIP_PX", 1)
        strips = area_average(rows_of(values, valid), (height, width), shape)
    np.testing.assert_allclose(whole[0], strips[0], atol=1e-12)
    np.testing.assert_array_equal(whole[1], strips[1])


def test_all_valid_and_no_validity_are_the_same():
    values = np.random.default_rng(0).integers(0, 255, (3, 50, 70))
    known, _ = area_average(rows_of(values, np.ones((50, 70), bool)), (50, 70), (13, 11))
    unknown, half = area_average(rows_of(values), (50, 70), (13, 11))
    np.testing.assert_allclose(known, unknown)
    assert half.all()


def test_half_an_area_is_valid():
    valid = np.array([[True, True, False, False]])
    _, half = area_average(rows_of(np.ones((1, 1, 4)), valid), (1, 4), (1, 1))
    assert half.tolist() == [[True]]


def test_the_same_size_changes_nothing():
    values = np.random.default_rng(0).integers(0, 255, (3, 20, 30)).astype(np.uint8)
    same, _ = area_average(rows_of(values), (20, 30), (20, 30))
    np.testing.assert_array_equal(np.rint(same), values)
