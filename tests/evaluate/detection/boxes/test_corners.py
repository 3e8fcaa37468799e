# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shapely import MultiPoint, minimum_rotated_rectangle

from rspipe.catalog import card_for
from rspipe.evaluate.detection.boxes.angles import regular
from rspipe.evaluate.detection.boxes.corners import (
    from_corners,
    from_horizontal,
    hulls,
    smallest_rectangles,
    to_corners,
)
from rspipe.readers import READERS, FileTree
from tests.evaluate.detection.boxes.rectangles import anywhere, same_rectangle

points = st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=4, max_size=4)


@given(anywhere)
def test_corners_there_and_back(box):
    for corners in (to_corners(box), to_corners(box).flip(0)):  # either way round
        for back in (from_corners(corners), smallest_rectangles(corners)):
            assert same_rectangle(back, box, atol=1e-7)
            assert torch.equal(regular(back), back)


@given(anywhere)
def test_hull_is_that_of_the_corners(box):
    corners = to_corners(box)
    want = torch.cat([corners.amin(dim=0), corners.amax(dim=0)])
    torch.testing.assert_close(hulls(box), want, rtol=0, atol=1e-9)


@given(points)
def test_smallest_rectangle_is_as_small_as_shapelys_and_holds_all_points(quad):
    corners = torch.tensor(quad, dtype=torch.float64)
    found = smallest_rectangles(corners)
    area = float(found[2] * found[3])
    assert area == pytest.approx(minimum_rotated_rectangle(MultiPoint(quad)).area, abs=1e-6)
    cos, sin = found[4].cos(), found[4].sin()
    away = corners - found[:2]
    along, across = away @ torch.stack([cos, sin]), away @ torch.stack([-sin, cos])
    assert (along.abs() <= found[2] / 2 + 1e-9).all()
    assert (across.abs() <= found[3] / 2 + 1e-9).all()


def test_batches_give_what_single_quads_give():
    quads = torch.rand(3, 5, 4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    one_by_one = torch.stack([smallest_rectangles(q) for q in quads.view(-1, 4, 2)])
    torch.testing.assert_close(smallest_rectangles(quads).view(-1, 5), one_by_one)


def test_degenerate_points():
    line = torch.tensor([[0.0, 0], [1, 1], [3, 3], [2, 2]])
    torch.testing.assert_close(
        smallest_rectangles(line), torch.tensor([1.5, 1.5, math.sqrt(18), 0, math.pi / 4])
    )
    same = torch.full((4, 2), 7.0)
    assert smallest_rectangles(same).tolist() == [7, 7, 0, 0, 0]
    twice = torch.tensor([[0.0, 0], [0, 0], [4, 0], [4, 2]])  # DIOR-R has such quads
    torch.testing.assert_close(
        smallest_rectangles(twice)[2:4].prod(), torch.tensor(8.0), rtol=0, atol=1e-5
    )


def test_horizontal_boxes_become_oriented_ones():
    boxes = torch.tensor([[0.0, 0, 4, 2], [1, 1, 2, 9]])
    torch.testing.assert_close(hulls(from_horizontal(boxes)), boxes)
    assert (from_horizontal(boxes)[:, 2] >= from_horizontal(boxes)[:, 3]).all()


@pytest.mark.real_data
def test_real_corners_become_rectangles_with_the_same_hulls(real_data):
    tree = FileTree.scan(real_data / "hit_uav/rotate_xml")
    listing = READERS["voc"].read(tree, card_for(real_data / "hit_uav"))
    oriented = [box for record in listing.images.values() for box in record.annotation.boxes or ()]
    assert len(oriented) == 1286
    corners = torch.tensor([box.corners for box in oriented], dtype=torch.float64).view(-1, 4, 2)
    edges = torch.tensor([(b.x0, b.y0, b.x1, b.y1) for b in oriented], dtype=torch.float64)
    torch.testing.assert_close(hulls(smallest_rectangles(corners)), edges, rtol=0, atol=1e-6)
