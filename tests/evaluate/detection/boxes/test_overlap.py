# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from rspipe.evaluate.detection.boxes import overlap
from rspipe.evaluate.detection.boxes.corners import from_horizontal, to_corners
from rspipe.evaluate.detection.boxes.overlap import paired_iou, rotated_iou

centre, side = st.floats(-50, 50), st.floats(1, 80)
boxes = st.builds(
    lambda *v: torch.tensor([v], dtype=torch.float64),
    *(centre, centre, side, side, st.floats(-7, 7)),
)


def exact_iou(first, second):
    """Shapely's, from the same corners."""
    a, b = (shapely.Polygon(to_corners(box[0]).numpy()) for box in (first, second))
    shared = a.intersection(b).area
    return shared / (a.area + b.area - shared)


def random_boxes(count, seed, spread=60.0):
    draws = torch.rand(count, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    scale = torch.tensor([spread, spread, 79, 79, 14], dtype=torch.float64)
    return draws * scale + torch.tensor([0, 0, 1, 1, -7], dtype=torch.float64)


@settings(max_examples=400)
@given(boxes, boxes)
def test_iou_equals_shapelys(first, second):
    assert float(rotated_iou(first, second)) == pytest.approx(exact_iou(first, second), abs=1e-9)


def test_iou_equals_shapelys_on_ten_thousand_pairs():
    first, second = random_boxes(10_000, 0), random_boxes(10_000, 1)
    a, b = (shapely.polygons(to_corners(one).numpy()) for one in (first, second))
    shared = shapely.area(shapely.intersection(a, b, grid_size=1e-7))
    want = shared / (shapely.area(a) + shapely.area(b) - shared)
    found = paired_iou(first, second)
    assert float(found.mean()) > 0.1
    torch.testing.assert_close(found, torch.from_numpy(want), rtol=0, atol=1e-6)


@given(boxes, boxes)
def test_iou_is_symmetric_and_moves_with_the_plane(first, second):
    here = float(rotated_iou(first, second))
    assert 0 <= here <= 1
    assert float(rotated_iou(second, first)) == pytest.approx(here, abs=1e-12)
    moved = torch.tensor([3e3, -5e3, 0, 0, 0], dtype=torch.float64)
    assert float(rotated_iou(first + moved, second + moved)) == pytest.approx(here, abs=1e-10)


@settings(max_examples=300)
@given(
    st.floats(0.5, 800),
    st.floats(0.5, 800),
    st.floats(-7, 7),
    st.sampled_from([0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4]),
    st.floats(0, 7),
)
def test_coincident_boxes_are_one_however_they_are_written(w, h, angle, shift, towards):
    x, y = 1234.5, 678.9
    box = torch.tensor([[x, y, w, h, angle]], dtype=torch.float64)
    away = [x + shift * math.cos(towards), y + shift * math.sin(towards)]
    again = torch.tensor(
        [
            [*away, w, h, angle],
            [*away, w, h, angle + math.pi],
            [*away, h, w, angle + math.pi / 2],
            [*away, h, w, angle - math.pi / 2],
        ],
        dtype=torch.float64,
    )
    # A shift s costs at most s * (w + h) * sqrt(2) of the area on each side, and nothing more.
    allowed = 1e-9 + 4 * shift * (w + h) / (w * h)
    assert float(rotated_iou(box, again).min()) >= 1 - allowed


def test_published_pairs_that_other_kernels_get_wrong():
    # facebookresearch/detectron2 issue 2154 (0.600 there) and 2167 (0.585): equal boxes.
    for box in ([60.0, 60, 20, 10, 0.7], [160.0, 153, 230, 23, -math.radians(37)]):
        for dtype in (torch.float32, torch.float64):
            one = torch.tensor([box], dtype=dtype)
            other = one + torch.tensor([0, 0, 0, 0, 1e-7], dtype=dtype)
            assert float(rotated_iou(one, other)) == pytest.approx(1, abs=1e-5)


def test_closed_forms():
    square = torch.tensor([[0, 0, 2, 2, 0]], dtype=torch.float64)
    turned = torch.tensor([[0, 0, 2, 2, math.pi / 4]], dtype=torch.float64)
    assert float(rotated_iou(square, turned)) == pytest.approx(1 / math.sqrt(2), abs=1e-12)
    bar = torch.tensor([[0, 0, 4, 2, 0.3]], dtype=torch.float64)
    across = torch.tensor([[0, 0, 4, 2, 0.3 + math.pi / 2]], dtype=torch.float64)
    assert float(rotated_iou(bar, across)) == pytest.approx(1 / 3, abs=1e-12)
    inside = torch.tensor([[0.1, 0.1, 1, 0.5, 1.1]], dtype=torch.float64)
    assert float(rotated_iou(bar, inside)) == pytest.approx(0.5 / 8, abs=1e-12)
    touching = torch.tensor([[2, 0, 2, 2, 0], [1 + math.sqrt(2), 0, 2, 2, math.pi / 4]])
    assert float(rotated_iou(square, touching.double()).max()) < 1e-7  # float32 roots
    assert float(rotated_iou(square, touching[:1])) == 0


def test_boxes_without_area_overlap_nothing():
    flat = torch.tensor([[0.0, 0, 4, 0, 0.3], [0, 0, 0, 0, 0], [0, 0, 0, 4, 0.3]])
    solid = torch.tensor([[0.0, 0, 4, 4, 0.3]])
    assert not rotated_iou(flat, torch.cat([flat, solid])).any()
    assert not rotated_iou(solid, flat).any()


def test_thin_and_huge_boxes():
    needle = torch.tensor([[0, 0, 1e4, 1e-3, 0.7]], dtype=torch.float64)
    half = needle.clone()
    half[0, 2] /= 2
    assert float(rotated_iou(needle, half)) == pytest.approx(0.5, abs=1e-9)
    assert float(rotated_iou(needle, needle)) == pytest.approx(1, abs=1e-9)


@given(st.lists(st.tuples(centre, centre, side, side), min_size=1, max_size=6))
def test_upright_boxes_have_torchvisions_iou(rows):
    cx, cy, w, h = torch.tensor(rows, dtype=torch.float64).unbind(-1)
    edges = torch.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], dim=-1)
    oriented = from_horizontal(edges)
    torch.testing.assert_close(
        rotated_iou(oriented, oriented), box_iou(edges, edges), rtol=0, atol=1e-12
    )


def test_a_matrix_is_its_pairs_whatever_the_chunks(monkeypatch):
    first, second = random_boxes(40, 2, spread=300), random_boxes(30, 3, spread=300)
    whole = rotated_iou(first, second)
    pairs = paired_iou(first.repeat_interleave(30, dim=0), second.repeat(40, 1)).view(40, 30)
    torch.testing.assert_close(whole, pairs, rtol=0, atol=1e-13)
    assert 0 < int((whole > 0).sum()) < 1200
    monkeypatch.setattr(overlap, "_PAIRS_AT_ONCE", 7)
    monkeypatch.setattr(overlap, "_CANDIDATES_AT_ONCE", 100)
    assert torch.equal(rotated_iou(first, second), whole)


def test_empty_sets_have_no_overlaps():
    none, some = torch.zeros(0, 5), random_boxes(3, 0)
    assert rotated_iou(none, some).shape == (0, 3)
    assert rotated_iou(some, none).shape == (3, 0)
    assert paired_iou(none, none).shape == (0,)


@pytest.mark.parametrize("bad", [[0, 0, math.nan, 1, 0], [0, 0, -1, 1, 0], [math.inf, 0, 1, 1, 0]])
def test_impossible_boxes_are_refused_by_number(bad):
    boxes = torch.tensor([[0.0, 0, 1, 1, 0], bad])
    with pytest.raises(ValueError, match="box 1 is"):
        rotated_iou(boxes, boxes)
