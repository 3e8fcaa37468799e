# SPDX-License-Identifier: Apache-2.0
import torch

from rspipe.evaluate.config import LinearDetector
from rspipe.evaluate.detection.dense_head import (
    Objects,
    assign,
    detect,
    detection_loss,
    fit_head,
    locations,
)

CPU = torch.device("cpu")


def objects(boxes, labels=None):
    return Objects(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(labels or [0] * len(boxes), dtype=torch.int64),
    )


def test_locations_are_centres_row_after_row():
    assert locations(2, 2).tolist() == [[0.5, 0.5], [1.5, 0.5], [0.5, 1.5], [1.5, 1.5]]


def test_only_the_middle_of_an_object_learns_it():
    owner = assign(objects([[0, 0, 8, 8]]), locations(8, 8)).reshape(8, 8)
    assert (owner[2:6, 2:6] == 0).all()
    assert (owner == 0).sum() == 16


def test_smaller_object_owns_what_both_cover():
    owner = assign(objects([[0, 0, 8, 8], [3, 3, 5, 5]]), locations(8, 8)).reshape(8, 8)
    assert (owner[3:5, 3:5] == 1).all()


def test_object_too_small_for_any_location_takes_the_nearest():
    owner = assign(objects([[2.6, 3.6, 2.9, 3.9]]), locations(8, 8)).reshape(8, 8)
    assert owner[3, 2] == 0
    assert (owner == 0).sum() == 1


def test_image_without_objects_teaches_background():
    logits, boxes = torch.zeros(1, 4, 2, requires_grad=True), torch.rand(1, 4, 4)
    empty = objects([])
    loss = detection_loss(logits, boxes, [(empty, assign(empty, locations(2, 2)))])
    loss.backward()
    assert (logits.grad > 0).all()


def test_head_overfits_and_finds_each_object_where_it_is():
    torch.manual_seed(0)
    grids = torch.randn(2, 16, 6, 8)
    wanted = [objects([[1, 1, 5, 5], [8, 2, 12, 10]], [0, 1]), objects([[4, 3, 9, 6]], [1])]
    settings = LinearDetector(steps=150, images_per_step=2, lr=5e-3)
    head = fit_head(grids, wanted, 2, settings, 0, CPU)
    for grid, one in zip(grids, wanted, strict=True):
        boxes, labels, scores = detect(head, grid, settings, CPU)
        best = scores.argsort(descending=True)[: len(one.labels)]
        order = labels[best].argsort()
        assert labels[best][order].tolist() == one.labels.tolist()
        torch.testing.assert_close(boxes[best][order], one.boxes, atol=0.7, rtol=0)


def test_boxes_stay_inside_the_map():
    torch.manual_seed(0)
    settings = LinearDetector(steps=1, score_threshold=0.0)
    head = fit_head(torch.randn(1, 4, 3, 5), [objects([[0, 0, 2, 2]])], 1, settings, 0, CPU)
    boxes, _, _ = detect(head, torch.randn(4, 3, 5) * 9, settings, CPU)
    assert boxes.min() >= 0
    assert (boxes[:, 2] <= 10).all()
    assert (boxes[:, 3] <= 6).all()
