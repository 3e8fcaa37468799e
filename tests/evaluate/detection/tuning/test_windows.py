# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rspipe.evaluate.detection.tuning.settings import DetectorTuning
from rspipe.evaluate.detection.tuning.windows import draw_window, lay_windows, nearest, within

SIZES = st.tuples(st.integers(1, 90), st.integers(1, 90))
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=40)
@given(SIZES, st.integers(1, 60), SEEDS, st.integers(0, 3))
def test_a_drawn_window_lies_in_the_image_and_holds_an_object(size, side, seed, count):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 1, (count, 2)) * size[::-1]
    place = draw_window(centres, size, side, rng)
    for start, length in zip(place, size, strict=True):
        assert 0 <= start <= max(length - side, 0)
    if count:
        assert within(centres, place, side).any()


def test_every_place_that_holds_the_object_is_drawn():
    rng = np.random.default_rng(0)
    centre = np.array([[12.0, 3.0]])
    drawn = {draw_window(centre, (20, 40), 8, rng) for _ in range(2000)}
    assert drawn == {(y, x) for y in range(4) for x in range(5, 13)}


@settings(max_examples=40)
@given(SIZES, st.integers(9, 60), SEEDS)
def test_every_place_of_an_image_is_nearest_to_one_window_and_within_it(size, side, seed):
    rng = np.random.default_rng(seed)
    places = lay_windows(size, side, max(side * 3 // 4, 1))
    centres = rng.uniform(0, 1, (30, 2)) * size[::-1]
    mine = np.array([nearest(centres, place, places, side) for place in places])
    held = np.array([within(centres, place, side) for place in places])
    assert (mine.sum(axis=0) == 1).all()
    assert held[mine].all()


def test_the_nearest_window_is_the_one_whose_middle_is_nearest():
    places = lay_windows((20, 40), 16, 8)
    centres = np.random.default_rng(0).uniform(0, 1, (200, 2)) * [40, 20]
    middles = np.array(places)[:, ::-1] + 8
    by_hand = np.abs(centres[:, None] - middles).argmin(axis=1)
    for axis in (0, 1):
        want = middles[by_hand[:, axis], axis]
        for place, middle in zip(places, middles, strict=True):
            mine = nearest(centres, place, places, 16)
            assert (want[mine] == middle[axis]).all()


@pytest.mark.parametrize("crop", [None, 16])
def test_a_stride_that_leaves_gaps_is_refused(crop):
    with pytest.raises(ValueError, match=f"stride_px=17 with crop_px={crop}: windows would leave"):
        DetectorTuning(crop_px=crop, stride_px=17)
