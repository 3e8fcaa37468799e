# SPDX-License-Identifier: Apache-2.0
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rspipe.errors import ReaderError
from rspipe.readers.boxes import (
    UnusableBox,
    corners_from_angle,
    from_corners,
    horizontal,
    in_pixels,
    number,
    parse_each,
)
from rspipe.schema import Annotation, ObjectBox

sides = st.floats(0.5, 1000)
places = st.floats(-1000, 1000)


def polygon_area(corners):
    xs, ys = corners[::2], corners[1::2]
    return abs(sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(4))) / 2


@given(places, places, sides, sides, st.floats(-7, 7))
def test_a_turned_box_keeps_centre_and_area(cx, cy, width, height, angle):
    corners = corners_from_angle(cx, cy, width, height, angle)
    assert sum(corners[::2]) / 4 == pytest.approx(cx, abs=1e-6)
    assert sum(corners[1::2]) / 4 == pytest.approx(cy, abs=1e-6)
    assert polygon_area(corners) == pytest.approx(width * height, rel=1e-6)


def test_angles_turn_clockwise_in_image_axes():
    # The right edge's middle of an upright box goes down, in image axes, on a turn by 90 degrees.
    corners = corners_from_angle(0, 0, 4, 2, math.pi / 2)
    assert corners == pytest.approx((1, -2, 1, 2, -1, 2, -1, -2))


@given(places, places, sides, sides, st.floats(-7, 7))
def test_the_rectangle_around_an_oriented_box_touches_it_on_four_sides(cx, cy, w, h, angle):
    box = from_corners("x", corners_from_angle(cx, cy, w, h, angle))
    assert (min(box.corners[::2]), max(box.corners[::2])) == (box.x0, box.x1)
    assert (min(box.corners[1::2]), max(box.corners[1::2])) == (box.y0, box.y1)


@pytest.mark.parametrize(
    "value", [None, "", "x", "nan", "inf", "-inf", math.nan, 1e300, 10**400, True, [], "1 2"]
)
def test_what_is_no_place_in_an_image_is_no_coordinate(value):
    with pytest.raises(UnusableBox, match="no coordinate"):
        number(value)


@pytest.mark.parametrize(
    ("make", "numbers", "why"),
    [
        (horizontal, (5, 0, 5, 4), "no area: x 5..5"),
        (horizontal, (5, 0, 1, 4), "no area: x 5..1"),
        (horizontal, (0, 0, 1), "not four edges"),
        (from_corners, (0, 0, 4, 0, 4, 4), "3 corners"),
        (from_corners, (0, 0, 1, 1, 2, 2, 3, 3), "no area"),
    ],
)
def test_a_box_without_area_says_so(make, numbers, why):
    with pytest.raises(UnusableBox, match=why):
        make("ship", numbers)


def test_one_unusable_object_costs_only_itself_and_is_described():
    found = parse_each([(0, 0, 1, 1), (5, 5, 5, 9)], lambda edges: horizontal("a", edges))
    assert len(found.boxes) == 1
    assert found.note() == (
        "annotation; 1 of 2 objects unusable: object 2: 'a' has no area: x 5..5, y 5..9"
    )


def test_where_no_object_is_usable_the_file_is_at_fault():
    with pytest.raises(ReaderError, match=r"5 of 5 objects unusable: .*object 3.*; …$"):
        parse_each([(1, 1, 1, 1)] * 5, lambda edges: horizontal("a", edges))
    assert parse_each([], lambda edges: horizontal("a", edges)).boxes == ()


@given(
    st.integers(1, 5000), st.integers(1, 5000), st.lists(st.floats(0, 1), min_size=8, max_size=8)
)
def test_shares_become_pixels_by_width_and_height(height, width, shares):
    xs, ys = shares[::2], shares[1::2]
    box = ObjectBox(
        label="a", x0=min(xs), y0=min(ys), x1=max(xs), y1=max(ys), corners=tuple(shares)
    )
    said = in_pixels(Annotation(boxes=(box,), boxes_normalised=True), height, width)
    (found,) = said.boxes
    assert found.corners == tuple(s * (height if i % 2 else width) for i, s in enumerate(shares))
    assert (found.x0, found.y1) == (min(xs) * width, max(ys) * height)
    # What is in pixels stays as it is.
    assert in_pixels(said, 7, 7) is said
