# SPDX-License-Identifier: Apache-2.0
import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rspipe.curate.carry import Objects
from rspipe.curate.config import SliceConfig
from rspipe.readers.boxes import corners_from_angle, from_corners
from rspipe.schema import Box

BOX = {
    **{"label": "a", "x0": 10.0, "y0": 20.0, "x1": 30.0, "y1": 40.0},
    **{"difficult": False, "truncated": False, "corners": None},
}
TILE = Box(y0=0, x0=0, y1=64, x1=64)


def carry(boxes, tile, min_share, mark_cut=False, shape=None):
    config = SliceConfig(min_box_share=min_share, mark_cut=mark_cut)
    return Objects.from_boxes(boxes).in_tile(tile, config, shape)


@pytest.mark.parametrize(
    ("tile", "expected"),
    [
        (Box(y0=0, x0=0, y1=64, x1=64), (10, 20, 30, 40, False)),
        (Box(y0=20, x0=10, y1=84, x1=74), (0, 0, 20, 20, False)),
        (Box(y0=0, x0=20, y1=64, x1=84), (0, 20, 10, 40, True)),
        (Box(y0=0, x0=11, y1=64, x1=75), (0, 20, 19, 40, True)),
        (Box(y0=0, x0=21, y1=64, x1=85), None),
        (Box(y0=64, x0=0, y1=128, x1=64), None),
    ],
)
def test_an_object_follows_the_tile_that_holds_half_of_it(tile, expected):
    carried = carry([BOX], tile, 0.5)
    got = [tuple(b[k] for k in ("x0", "y0", "x1", "y1", "truncated")) for b in carried]
    assert got == ([] if expected is None else [expected])


def test_marking_keeps_what_is_cut_as_difficult():
    tile = Box(y0=0, x0=28, y1=64, x1=92)
    assert carry([BOX], tile, 0.5) == []
    (box,) = carry([BOX], tile, 0.5, mark_cut=True)
    assert box["difficult"]
    assert box["truncated"]
    assert (box["x0"], box["x1"]) == (0, 2)


def test_what_the_publisher_marked_stays_marked():
    (box,) = carry([BOX | {"difficult": True, "truncated": True}], TILE, 0.5)
    assert box["difficult"]
    assert box["truncated"]


def oriented(cx, cy, width, height, angle):
    corners = corners_from_angle(cx, cy, width, height, angle)
    return asdict(from_corners("ship", corners)) | {"corners": list(corners)}


def test_the_share_of_an_oriented_box_is_of_its_own_area():
    """A long ship along the diagonal: its upright box is mostly water."""
    ship = oriented(64, 64, 120, 8, math.pi / 4)
    # The window holds the upper left half of the ship, but a quarter of its upright box.
    tile = Box(y0=0, x0=0, y1=64, x1=64)
    (box,) = carry([ship], tile, 0.45)
    assert box["truncated"]
    # The lower left quarter holds a corner of the ship's width only.
    assert carry([ship], Box(y0=64, x0=0, y1=128, x1=64), 0.05) == []


@given(
    st.floats(0, 64),
    st.floats(0, 64),
    st.floats(2, 60),
    st.floats(2, 60),
    st.floats(0, math.pi),
    st.floats(0.05, 1),
)
def test_the_share_inside_agrees_with_counting_points(cx, cy, width, height, angle, min_share):
    box = oriented(cx, cy, width, height, angle)
    n = 60
    inside = 0
    for i in range(n):
        for j in range(n):
            dx, dy = (i + 0.5) / n * width - width / 2, (j + 0.5) / n * height - height / 2
            x = cx + dx * math.cos(angle) - dy * math.sin(angle)
            y = cy + dx * math.sin(angle) + dy * math.cos(angle)
            inside += 0 <= x <= 64 and 0 <= y <= 64
    share = inside / n**2
    if abs(share - min_share) > 0.03:
        assert bool(carry([box], TILE, min_share)) == (share > min_share)


@given(
    st.floats(0, 64),
    st.floats(0, 64),
    st.floats(2, 60),
    st.floats(2, 60),
    st.floats(0, math.pi),
)
def test_upright_boxes_lie_in_the_tile_and_corners_keep_the_object(cx, cy, width, height, angle):
    tile = Box(y0=8, x0=4, y1=56, x1=60)
    original = oriented(cx, cy, width, height, angle)
    for box in carry([original], tile, 0.2):
        assert -1e-6 <= box["x0"] < box["x1"] <= tile.width + 1e-6
        assert -1e-6 <= box["y0"] < box["y1"] <= tile.height + 1e-6
        back = [c + (tile.y0 if i % 2 else tile.x0) for i, c in enumerate(box["corners"])]
        assert back == pytest.approx(original["corners"], abs=1e-6)


def test_coordinates_follow_a_resampled_tile():
    corners = [10.0, 20, 30, 20, 30, 40, 10, 40]
    tile = Box(y0=4, x0=2, y1=68, x1=66)
    (box,) = carry([BOX | {"corners": corners}], tile, 0.5, shape=(32, 16))
    assert (box["x0"], box["y0"], box["x1"], box["y1"]) == (2, 8, 7, 18)
    assert box["corners"] == [2, 8, 7, 8, 7, 18, 2, 18]


def test_crossed_corners_and_no_area_are_no_error():
    crossed = BOX | {"corners": [10.0, 20, 30, 40, 30, 20, 10, 40]}
    (box,) = carry([crossed], TILE, 0.99)
    assert not box["truncated"]
    line = BOX | {"corners": [10.0, 20, 30, 20, 10, 20, 30, 20]}
    point = BOX | {"x1": 10.0, "y1": 20.0}
    assert carry([line, point], TILE, 0.1) == []


def test_objects_that_no_tile_can_carry_are_counted():
    objects = [
        BOX,
        BOX | {"x1": 10.0},
        BOX | {"x0": 200.0, "x1": 210.0},
        BOX | {"y0": -9.0, "y1": 0.0},
        BOX | {"corners": [10.0, 20, 30, 20, 10, 20, 30, 20]},
    ]
    note = Objects.from_boxes(objects).note(64, 64)
    assert note == "objects left out: 2 without area, 2 outside the image"
    assert Objects.from_boxes([BOX]).note(64, 64) is None
    assert Objects.from_boxes([]).note(64, 64) is None


@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.floats(0, 100), st.floats(1, 40), st.floats(1, 40)),
        max_size=5,
    ),
    st.integers(10, 40),
)
def test_the_parts_of_an_object_in_all_windows_of_a_grid_make_it_whole(places, step):
    boxes = [BOX | {"label": str(n)} for n in range(len(places))]
    for box, (x, y, w, h) in zip(boxes, places, strict=True):
        box |= {"x0": x, "y0": y, "x1": x + w, "y1": y + h}
    objects = Objects.from_boxes(boxes)
    config = SliceConfig(min_box_share=1e-9)
    areas = dict.fromkeys((box["label"] for box in boxes), 0.0)
    for y in range(0, 140, step):
        for x in range(0, 140, step):
            for part in objects.in_tile(Box(y0=y, x0=x, y1=y + step, x1=x + step), config):
                areas[part["label"]] += (part["x1"] - part["x0"]) * (part["y1"] - part["y0"])
    for box in boxes:
        area = (box["x1"] - box["x0"]) * (box["y1"] - box["y0"])
        assert areas[box["label"]] == pytest.approx(area, rel=1e-6)
