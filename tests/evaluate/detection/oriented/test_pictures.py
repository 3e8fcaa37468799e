# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest
import torch

from rspipe.evaluate.detection.boxes.overlap import rotated_iou
from rspipe.evaluate.detection.oriented.pictures import (
    draw_flip,
    oriented_truth,
    to_learn,
)
from rspipe.readers.boxes import corners_from_angle, from_corners, horizontal
from rspipe.schema import Annotation, ImageRecord
from tests.evaluate.detection.oriented.scenes import SIDE_PX, draw_box, scenes

CLASSES = {"ship": 0, "plane": 1}


def record(*boxes, **said):
    return ImageRecord(source_path="a.png", annotation=Annotation(boxes=boxes, **said))


def test_truth_is_the_smallest_rectangle_in_le90():
    turned = from_corners("ship", corners_from_angle(30, 20, 4, 12, 0.5), difficult=True)
    upright = horizontal("plane", (10, 10, 14, 40))
    other = horizontal("car", (1, 1, 2, 2))
    truth = oriented_truth(record(turned, other, upright), CLASSES, (64, 64))
    np.testing.assert_allclose(
        truth.boxes,
        [[30, 20, 12, 4, 0.5 - math.pi / 2], [12, 25, 30, 4, -math.pi / 2]],
        atol=1e-9,
    )
    assert truth.labels.tolist() == [0, 1]
    assert truth.difficult.tolist() == [True, False]


def test_objects_at_the_edge_are_not_cut_and_shares_become_pixels():
    beyond = horizontal("ship", (-5, 0, 5, 4))
    assert oriented_truth(record(beyond), CLASSES, (9, 9)).boxes[0].tolist() == [0, 2, 10, 4, 0]
    half = horizontal("ship", (0.0, 0.0, 0.5, 0.25))
    shares = record(half, boxes_normalised=True)
    assert oriented_truth(shares, CLASSES, (40, 100)).boxes[0].tolist() == [25, 5, 50, 10, 0]


def test_objects_without_area_are_left_out():
    flat = from_corners("ship", (0, 0, 4, 4, 8, 8, 4, 4.0000001))
    line = from_corners("ship", (0, 0, 10, 0, 10, 0, 0, 1e-9))
    truth = oriented_truth(record(flat, line), CLASSES, (9, 9))
    assert (truth.boxes[:, 2:4] > 0).all()
    assert oriented_truth(record(), CLASSES, (9, 9)).boxes.shape == (0, 5)


@pytest.mark.parametrize("flip", ["none", "sideways", "upside_down", "both"])
def test_mirrored_boxes_lie_on_the_mirrored_objects(flip):
    _, truth = scenes(1, seed=0)
    blank = torch.zeros(3, SIDE_PX, SIDE_PX)
    for box in truth[0].boxes:
        draw_box(blank, box, torch.ones(3) * 255)
    pixels = blank.permute(1, 2, 0).numpy().astype(np.uint8)
    found = to_learn(pixels, oriented(truth[0]), 1.0, flip)
    again = torch.zeros(3, SIDE_PX, SIDE_PX)
    for box in found.objects.boxes:
        draw_box(again, box, torch.ones(3) * 255)
    differing = (again.permute(1, 2, 0).numpy() != found.pixels).mean()
    assert differing < 1e-3
    assert (found.objects.boxes[:, 2] >= found.objects.boxes[:, 3]).all()


def oriented(objects):
    from rspipe.evaluate.detection.average_precision import TrueBoxes

    none_difficult = np.zeros(len(objects.labels), dtype=bool)
    return TrueBoxes(objects.boxes.double().numpy(), objects.labels.numpy(), none_difficult)


def test_scaled_boxes_keep_their_overlaps():
    _, truth = scenes(1, seed=1)
    pixels = np.zeros((SIDE_PX, SIDE_PX // 2, 3), np.uint8)
    found = to_learn(pixels, oriented(truth[0]), 2.5, "none").objects.boxes
    back = found / torch.tensor([2.5, 2.5, 2.5, 2.5, 1])
    np.testing.assert_allclose(rotated_iou(back, truth[0].boxes).diagonal(), 1, atol=1e-4)


def test_difficult_objects_are_not_learned():
    hard = horizontal("ship", (1, 1, 9, 5), difficult=True)
    easy = horizontal("plane", (10, 10, 20, 30))
    truth = oriented_truth(record(hard, easy), CLASSES, (32, 32))
    learned = to_learn(np.zeros((32, 32, 3), np.uint8), truth, 1.0, "none").objects
    assert learned.labels.tolist() == [1]


def test_three_quarters_are_mirrored_in_equal_parts():
    rng = np.random.default_rng(0)
    drawn = [draw_flip(rng, 0.75) for _ in range(4000)]
    for flip in ("none", "sideways", "upside_down", "both"):
        assert 900 < drawn.count(flip) < 1100
    assert {draw_flip(rng, 0.0) for _ in range(50)} == {"none"}
