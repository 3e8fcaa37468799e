# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rspipe.evaluate.detection.boxes.angles import regular
from rspipe.evaluate.detection.boxes.corners import hulls, to_corners
from rspipe.evaluate.detection.oriented.coders import (
    decode_deltas,
    decode_midpoints,
    encode_deltas,
    encode_midpoints,
)


def random_boxes(count, seed):
    draws = torch.rand(count, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    scale = torch.tensor([800, 800, 195, 195, 2 * math.pi], dtype=torch.float64)
    return regular(draws * scale + torch.tensor([0, 0, 5, 5, -math.pi], dtype=torch.float64))


def furthest_corner(first, second):
    apart = torch.cdist(to_corners(first), to_corners(second))
    return float(apart.amin(dim=-1).max())


def anchors_near(boxes, seed):
    """Anchors within the ratio of sides that decoding allows."""
    draws = torch.rand(
        len(boxes), 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
    )
    centre = boxes[:, :2] + (draws[:, :2] - 0.5) * 100
    sides = 30 + 200 * draws[:, 2:]
    return torch.cat([centre - sides / 2, centre + sides / 2], dim=1)


def test_midpoints_there_and_back():
    boxes = random_boxes(2000, 0)
    anchors = anchors_near(boxes, 1)
    offsets = encode_midpoints(anchors, boxes)
    back = decode_midpoints(anchors, offsets)
    # Two corners within 0.1 px of the top count as one height: the price of stable targets.
    gaps = [to_corners(boxes)[..., axis].sort(dim=1).values.diff(dim=1) for axis in (0, 1)]
    tied = (gaps[0][:, 2] <= 0.1) | (gaps[1][:, 0] <= 0.1)
    assert 0 < int(tied.sum()) < 20
    assert furthest_corner(back[~tied], boxes[~tied]) < 1e-6
    assert furthest_corner(back[tied], boxes[tied]) < 0.1
    assert float(offsets[:, 4:].abs().max()) <= 1 + 1e-9  # half an edge over a deviation of 0.5


def test_deltas_there_and_back():
    boxes, proposals = random_boxes(3000, 2), random_boxes(3000, 3)
    deltas = encode_deltas(proposals, boxes)
    assert furthest_corner(decode_deltas(proposals, deltas), boxes) < 1e-6
    assert float(deltas[:, 4].abs().max()) <= math.pi / 4 / 0.1 + 1e-9


@given(st.sampled_from([0.0, math.pi / 2, -math.pi / 2, math.pi]))
def test_upright_boxes_take_the_right_and_the_lower_corner(angle):
    box = torch.tensor([[50.0, 40, 30, 10, angle]])
    offsets = encode_midpoints(hulls(box), box)
    expected = torch.tensor([[0.0, 0, 0, 0, 1, 1]])  # 0.5 / 0.5
    torch.testing.assert_close(offsets, expected, rtol=0, atol=1e-5)
    assert furthest_corner(decode_midpoints(hulls(box), offsets), box) < 1e-4


def test_hand_made_midpoints():
    # A square on its corner: hull 0..20, corners in the middle of its edges.
    side = 20 / math.sqrt(2)
    box = torch.tensor([[10, 10, side, side, math.pi / 4]])
    offsets = encode_midpoints(torch.tensor([[0.0, 0, 10, 40]]), box)
    expected = torch.tensor([[0.5, -0.25, math.log(2), math.log(0.5), 0, 0]])
    torch.testing.assert_close(offsets, expected, rtol=0, atol=1e-5)


def test_any_output_decodes_to_a_rectangle_as_long_as_its_parallelogram():
    draws = torch.randn(500, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 9
    anchors = torch.tensor([[0.0, 0, 32, 64]], dtype=torch.float64).expand(500, 4)
    boxes = decode_midpoints(anchors, draws)
    assert (boxes[:, 2] >= boxes[:, 3]).all()
    # By hand: sides within mmdet's limit of 1000 / 16, slides within half an edge.
    limit = math.log(1000 / 16)
    half_w = 16 * draws[:, 2].clamp(-limit, limit).exp()
    half_h = 32 * draws[:, 3].clamp(-limit, limit).exp()
    slide_x, slide_y = (draws[:, 4:].clamp(-1, 1) * torch.stack([half_w, half_h], dim=1)).T
    longer = torch.maximum(torch.hypot(slide_x, half_h), torch.hypot(half_w, slide_y))
    torch.testing.assert_close(torch.hypot(boxes[:, 2], boxes[:, 3]), 2 * longer)


def test_deltas_do_not_depend_on_how_the_target_is_written():
    boxes, proposals = random_boxes(200, 4), random_boxes(200, 5)
    turn = torch.tensor([0, 0, 0, 0, math.pi / 2], dtype=torch.float64)
    turned = boxes[:, [0, 1, 3, 2, 4]] + turn
    torch.testing.assert_close(encode_deltas(proposals, turned), encode_deltas(proposals, boxes))


def test_deltas_turn_with_the_plane():
    boxes, proposals = random_boxes(200, 6), random_boxes(200, 7)
    cos, sin = math.cos(0.8), math.sin(0.8)
    spin = torch.tensor([[cos, sin], [-sin, cos]], dtype=torch.float64)

    def turned(b):
        return torch.cat([b[:, :2] @ spin, b[:, 2:4], b[:, 4:] + 0.8], dim=1)

    here = encode_deltas(proposals, boxes)
    there = encode_deltas(turned(proposals), turned(boxes))
    torch.testing.assert_close(there, here, rtol=0, atol=1e-9)


@pytest.mark.parametrize("decode", [decode_midpoints, decode_deltas])
def test_nothing_decodes_to_nothing(decode):
    inputs = {decode_midpoints: (4, 6), decode_deltas: (5, 5)}[decode]
    assert decode(*(torch.zeros(0, n) for n in inputs)).shape == (0, 5)
