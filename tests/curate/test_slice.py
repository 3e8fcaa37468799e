from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rspipe.curate.config import SliceConfig
from rspipe.curate.slice import carry_boxes, tile_boxes
from rspipe.schema import Box


@given(
    st.integers(1, 400),
    st.integers(1, 400),
    st.integers(8, 128),
    st.integers(1, 128),
    st.integers(1, 300),
)
def test_tiles_lie_inside_and_leave_no_pixel_out(height, width, tile, stride, larger):
    stride = min(stride, tile)
    config = SliceConfig(tile_px=tile, stride_px=stride, larger_than_px=larger)
    boxes = tile_boxes(height, width, config)
    assert len(set(boxes)) == len(boxes)
    for axis, length in (("y", height), ("x", width)):
        starts = sorted({getattr(b, f"{axis}0") for b in boxes})
        stops = sorted({getattr(b, f"{axis}1") for b in boxes})
        assert starts[0] == 0
        assert stops[-1] == length
        assert all(b - a <= tile for a, b in pairwise(starts))
    if max(height, width) > larger:
        assert all(b.height == min(tile, height) for b in boxes)
        assert all(b.width == min(tile, width) for b in boxes)
    else:
        assert boxes == [Box(y0=0, x0=0, y1=height, x1=width)]


BOX = {"label": "a", "x0": 10.0, "y0": 20.0, "x1": 30.0, "y1": 40.0, "difficult": False}


@pytest.mark.parametrize(
    ("tile", "expected"),
    [
        (Box(y0=0, x0=0, y1=64, x1=64), (10, 20, 30, 40)),
        (Box(y0=20, x0=10, y1=84, x1=74), (0, 0, 20, 20)),
        (Box(y0=0, x0=20, y1=64, x1=84), (0, 20, 10, 40)),
        (Box(y0=0, x0=21, y1=64, x1=85), None),
        (Box(y0=64, x0=0, y1=128, x1=64), None),
    ],
)
def test_an_object_follows_the_tile_that_holds_half_of_it(tile, expected):
    carried = carry_boxes([BOX | {"corners": None}], tile, 0.5)
    got = [tuple(b[k] for k in ("x0", "y0", "x1", "y1")) for b in carried]
    assert got == ([] if expected is None else [expected])


def test_corners_move_with_the_box():
    corners = [10, 20, 30, 20, 30, 40, 10, 40]
    (box,) = carry_boxes([BOX | {"corners": corners}], Box(y0=5, x0=2, y1=69, x1=66), 0.5)
    assert box["corners"] == [8, 15, 28, 15, 28, 35, 8, 35]


def test_no_annotation_and_no_object_stay_different():
    tile = Box(y0=0, x0=0, y1=8, x1=8)
    assert carry_boxes(None, tile, 0.5) is None
    assert carry_boxes([], tile, 0.5) == []
