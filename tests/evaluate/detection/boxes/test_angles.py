# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rspipe.evaluate.detection.boxes.angles import (
    CONVENTIONS,
    from_torchvision,
    regular,
    to_torchvision,
    wrapped,
)
from rspipe.evaluate.detection.boxes.corners import to_corners
from rspipe.readers.boxes import corners_from_angle
from tests.evaluate.detection.boxes.rectangles import anywhere, same_rectangle

conventions = st.sampled_from(list(CONVENTIONS))


def is_regular(box, convention):
    _, _, w, h, angle = box.tolist()
    return {
        "le90": w >= h and -math.pi / 2 <= angle < math.pi / 2,
        "le135": w >= h and -math.pi / 4 <= angle < 3 * math.pi / 4,
        "oc": 0 < angle <= math.pi / 2,
        "oc_negative": -math.pi / 2 <= angle < 0,
    }[convention]


@given(anywhere, conventions)
def test_every_convention_describes_the_same_rectangle_by_its_rule(box, convention):
    found = regular(box, convention)
    assert is_regular(found, convention)
    assert same_rectangle(found, box, atol=1e-8)


@given(anywhere, conventions)
def test_what_is_regular_stays_bit_for_bit(box, convention):
    found = regular(box, convention)
    assert torch.equal(regular(found, convention), found)


@given(anywhere, conventions, conventions)
def test_conventions_translate_there_and_back(box, here, there):
    box = box.clone()
    box[2] = box[3] + 1  # no square: its quarter turns are one rectangle
    start = regular(box, here)
    back = regular(regular(start, there), here)
    assert same_rectangle(back, start, atol=1e-8)
    rule = CONVENTIONS[here]
    # A hair from an end, rounding may turn it into the other end.
    if 1e-9 < float(start[4]) - rule.start < rule.period - 1e-9:
        torch.testing.assert_close(back, start, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("convention", list(CONVENTIONS))
@pytest.mark.parametrize("quarters", range(-9, 10))
def test_ends_of_the_ranges(convention, quarters, dtype):
    for nudge in (0.0, 1e-7, -1e-7, 1e-17, -1e-17):
        angle = quarters * math.pi / 4 + nudge
        box = torch.tensor([0, 0, 3, 2, angle], dtype=dtype)
        found = regular(box, convention)
        rule = CONVENTIONS[convention]
        assert rule.start - 2e-7 <= float(found[4]) <= rule.start + rule.period + 2e-7
        assert same_rectangle(found, box, atol=1e-5)


def test_published_examples_of_each_convention():
    # 30 degrees clockwise, 4 wide and 2 high; the rows are hand-made from each rule's definition.
    box = torch.tensor([0, 0, 4, 2, math.radians(30)])
    tall = torch.tensor([0, 0, 2, 4, math.radians(30)])
    degrees = {
        "le90": ((4, 2, 30), (4, 2, -60)),
        "le135": ((4, 2, 30), (4, 2, 120)),
        "oc": ((4, 2, 30), (2, 4, 30)),
        "oc_negative": ((2, 4, -60), (4, 2, -60)),
    }
    for convention, rows in degrees.items():
        for given_box, (w, h, angle) in zip((box, tall), rows, strict=True):
            found = regular(given_box, convention)[2:]
            torch.testing.assert_close(found, torch.tensor([w, h, math.radians(angle)]))


def test_opencv_never_writes_zero_degrees():
    # `minAreaRect` since 4.5.1 gives an upright 4 x 2 box as (2, 4, 90).
    found = regular(torch.tensor([0.0, 0, 4, 2, 0]), "oc")
    torch.testing.assert_close(found, torch.tensor([0, 0, 2, 4, math.pi / 2]))


def test_unknown_convention_is_refused():
    with pytest.raises(ValueError, match="le90, le135, oc"):
        regular(torch.zeros(5), "le180")


@given(anywhere)
def test_torchvision_there_and_back(box):
    torch.testing.assert_close(from_torchvision(to_torchvision(box)), box)


@given(anywhere)
def test_torchvision_turns_the_same_box(box):
    from torchvision.ops import box_convert

    theirs = box_convert(to_torchvision(box)[None], "cxcywhr", "xyxyxyxy").view(4, 2)
    apart = torch.cdist(to_corners(box), theirs)
    assert (apart.min(dim=1).values < 1e-3).all()  # torchvision turns in float32


@given(anywhere)
def test_corners_are_those_the_readers_write(box):
    cx, cy, w, h, angle = box.tolist()
    theirs = torch.tensor(corners_from_angle(cx, cy, w, h, angle), dtype=torch.float64).view(4, 2)
    torch.testing.assert_close(to_corners(box), theirs)


@given(st.floats(-50, 50))
def test_a_half_turn_changes_no_line(angle):
    found = wrapped(torch.tensor(angle, dtype=torch.float64))
    assert -math.pi / 2 <= float(found) < math.pi / 2
    assert abs(math.sin(float(found) - angle)) < 1e-12
