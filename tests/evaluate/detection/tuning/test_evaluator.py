# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rspipe.evaluate.config import What
from rspipe.evaluate.detection.average_precision import FoundBoxes
from rspipe.evaluate.detection.horizontal.evaluators import FasterRCNNDetection
from rspipe.evaluate.detection.horizontal.settings import FasterRCNNTuning
from rspipe.evaluate.detection.oriented.evaluator import OrientedDetection
from rspipe.evaluate.detection.oriented.settings import OrientedTuning
from rspipe.evaluate.detection.tuning.evaluator import Tuned

CPU = torch.device("cpu")
WINDOWS = {"crop_px": 24, "stride_px": 12}
SIDE_PX = 6


class SeesSquares:
    """Finds the bright squares of a crop, cut at its edges as a detector sees them."""

    def __init__(self, boxes):
        self.boxes = boxes

    def __call__(self, tuned, images, side_px):
        del tuned
        assert side_px == 24
        return [self.found(image) for image in images]

    def found(self, image):
        # Every square has a grey level of its own.
        levels = np.unique(image[image > 0])
        spans = []
        for level in levels:
            y, x = np.nonzero(image[:, :, 0] == level)
            spans.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
        corners = np.array(spans, dtype=np.float64).reshape(-1, 4)
        sides = corners[:, 2:] - corners[:, :2]
        boxes = self.boxes.upright((corners[:, :2] + corners[:, 2:]) / 2, sides)
        return FoundBoxes(boxes, np.zeros(len(boxes), int), sides.prod(axis=1) / SIDE_PX**2)


@pytest.mark.parametrize(
    "evaluator",
    [
        FasterRCNNDetection(What(faster_rcnn=FasterRCNNTuning(**WINDOWS)), CPU),
        OrientedDetection(What(oriented=OrientedTuning(**WINDOWS)), CPU),
    ],
)
def test_windows_find_every_object_once_and_whole(evaluator, monkeypatch):
    rng = np.random.default_rng(0)
    image = np.zeros((40, 70, 3), np.uint8)
    firsts = [(y, x) for y in (0, 10, 20, 34) for x in range(0, 64, 9)]
    for level, (y, x) in enumerate(firsts, start=1):
        image[y : y + SIDE_PX, x : x + SIDE_PX] = level
    monkeypatch.setattr(evaluator, "_detect", SeesSquares(evaluator.boxes))
    found = evaluator.detect(Tuned(None, None), image)
    assert (found.scores == 1).all()
    centres = evaluator.boxes.centres(found.boxes)
    want = np.array([(x + SIDE_PX / 2, y + SIDE_PX / 2) for y, x in firsts])
    assert sorted(map(tuple, centres)) == sorted(map(tuple, want))
    assert (evaluator.boxes.sides(found.boxes) == SIDE_PX).all()

    truth = evaluator.boxes.upright(want, np.full(want.shape, SIDE_PX))
    told = FoundBoxes(truth, np.zeros(len(truth), int), np.ones(len(truth)))
    for _ in range(20):
        window, objects = evaluator._window(image, told, rng)
        assert window.shape[:2] == (24, 24)
        assert len(objects.scores)
        for x, y in evaluator.boxes.centres(objects.boxes).astype(int):
            assert window[y, x, 0] > 0
