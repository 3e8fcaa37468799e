# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from torchvision.ops import batched_nms, nms

from rspipe.evaluate.detection.boxes.corners import from_horizontal
from rspipe.evaluate.detection.boxes.overlap import rotated_iou
from rspipe.evaluate.detection.boxes.suppression import rotated_nms


def upright(count, seed):
    draws = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, dtype=torch.float64, generator=draws) * 100
    size = torch.rand(count, 2, dtype=torch.float64, generator=draws) * 30 + 5
    scores = (
        torch.rand(count, dtype=torch.float64, generator=draws) * 50
    ).round() / 50  # ties are common
    return torch.cat([corner, corner + size], dim=1), scores


def naive(boxes, scores, labels, iou):
    kept = []
    overlaps = rotated_iou(boxes, boxes)
    for i in scores.argsort(descending=True, stable=True).tolist():
        if all(labels[i] != labels[j] or overlaps[i, j] <= iou for j in kept):
            kept.append(i)
    return kept


@pytest.mark.parametrize("iou", [0.1, 0.3, 0.5, 0.8])
def test_upright_boxes_are_kept_as_torchvision_keeps_them(iou):
    edges, scores = upright(400, seed=0)
    labels = torch.zeros(400, dtype=torch.int64)
    found = rotated_nms(from_horizontal(edges), scores, labels, iou)
    assert found.tolist() == nms(edges, scores, iou).tolist()
    assert 10 < len(found) < 400
    labels = torch.arange(400) % 3
    found = rotated_nms(from_horizontal(edges), scores, labels, iou)
    assert found.tolist() == batched_nms(edges, scores, labels, iou).tolist()


def test_turned_boxes_are_kept_as_the_definition_says():
    edges, scores = upright(150, seed=1)
    boxes = from_horizontal(edges)
    boxes[:, 4] = torch.linspace(-2, 2, 150, dtype=torch.float64)
    labels = torch.arange(150) % 2
    found = rotated_nms(boxes, scores, labels, 0.1)
    assert found.tolist() == naive(boxes, scores, labels, 0.1)


def test_crossing_bars_both_stay_where_their_hulls_would_not():
    bars = torch.tensor([[0, 0, 40, 2, math.pi / 4], [0, 0, 40, 2, -math.pi / 4]])
    one_class = torch.zeros(2, dtype=torch.int64)
    assert rotated_nms(bars, torch.tensor([0.5, 0.9]), one_class, 0.1).tolist() == [1, 0]


def test_no_boxes():
    none = torch.zeros(0)
    assert rotated_nms(torch.zeros(0, 5), none, none.long(), 0.1).tolist() == []


def test_an_overlap_equal_to_the_threshold_is_allowed():
    edges = torch.tensor([[0.0, 0, 2, 1], [0, 0, 1, 1]])
    scores, one_class = torch.tensor([0.9, 0.8]), torch.zeros(2, dtype=torch.int64)
    assert rotated_nms(from_horizontal(edges), scores, one_class, 0.5).tolist() == [0, 1]
    assert nms(edges, scores, 0.5).tolist() == [0, 1]
    assert rotated_nms(from_horizontal(edges), scores, one_class, 0.499).tolist() == [0]
