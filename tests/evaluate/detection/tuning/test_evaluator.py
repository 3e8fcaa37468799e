# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rspipe.evaluate.config import What
from rspipe.evaluate.detection.average_precision import FoundBoxes
from rspipe.evaluate.detection.horizontal.evaluators import FasterRCNNDetection, PlainDETRDetection
from rspipe.evaluate.detection.horizontal.settings import FasterRCNNTuning
from rspipe.evaluate.detection.oriented.evaluator import OrientedDetection
from rspipe.evaluate.detection.oriented.settings import OrientedTuning
from rspipe.evaluate.detection.tuning.evaluator import Tuned
from rspipe.evaluate.detection.tuning.objects import Objects
from rspipe.evaluate.detection.tuning.training import lower_precision
from rspipe.models.encoder import seeded
from tests.evaluate.detection.horizontal.small import SMALL as RCNN
from tests.evaluate.detection.horizontal.small import SMALL_DETR
from tests.evaluate.detection.oriented.small import SMALL as ORIENTED

CPU = torch.device("cpu")
WINDOWS = {"crop_px": 24, "stride_px": 12}
SIDE_PX = 6
OBJECTS = {
    "horizontal": [Objects(torch.tensor([[4.0, 6, 20, 15]]), torch.tensor([1]))] * 2,
    "oriented": [Objects(torch.tensor([[12.0, 10, 16, 9, 0.2]]), torch.tensor([1]))] * 2,
}


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
        OrientedDetection(What(oriented_rcnn=OrientedTuning(**WINDOWS)), CPU),
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


@pytest.mark.parametrize(
    "evaluator",
    [
        FasterRCNNDetection(What(faster_rcnn={"precision": "bfloat16", "detector": RCNN}), CPU),
        PlainDETRDetection(What(plain_detr={"precision": "bfloat16", "detector": SMALL_DETR}), CPU),
        OrientedDetection(What(oriented_rcnn={"precision": "bfloat16", "detector": ORIENTED}), CPU),
    ],
)
def test_lower_precision_is_of_products_not_of_boxes(evaluator, tiny_encoder):
    with seeded(0):
        detector = evaluator.detector_on(tiny_encoder.at_size(32), 2)
        for parameter in detector.parameters():  # as trained: outputs start at 0
            parameter.data += torch.randn_like(parameter) * 0.02
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with lower_precision(evaluator.settings, CPU):
        trained = detector.train().losses(images, OBJECTS[evaluator.boxes.name])
        found = detector.eval()(images)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in trained.values())
    boxes, scores = (
        torch.cat([getattr(one, name) for one in found]) for name in ("boxes", "scores")
    )
    assert len(boxes)
    assert boxes.dtype == scores.dtype == torch.float32
    # A bfloat16 tells pixels from 128 on apart, and these are no wholes.
    assert not torch.equal(boxes, boxes.bfloat16().float())
    exact = detector(images)
    assert not torch.equal(torch.cat([one.scores for one in exact]), scores)
