# SPDX-License-Identifier: Apache-2.0
"""Horizontal and oriented boxes: how each is read, moved, suppressed, scored and described.

Protocols that find the same kind of box share one of these, so that their scores compare.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torchvision.ops import batched_nms

from rspipe.evaluate.base import Scores, UndefinedScore
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.detection.average_precision import MEASURES, BoxAP, FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.average_precision.measures import Kind
from rspipe.evaluate.detection.boxes.corners import from_horizontal, hulls, to_corners
from rspipe.evaluate.detection.boxes.suppression import rotated_nms
from rspipe.evaluate.detection.dense_evaluator import (
    COCO_CONVENTION,
    COCO_MEASURES,
    coco_scores,
    described,
    true_boxes,
)
from rspipe.evaluate.detection.examples import note_detections
from rspipe.evaluate.detection.oriented.pictures import oriented_truth
from rspipe.evaluate.uncertainty import bootstrap
from rspipe.schema import ImageRecord

ORIENTED_MEASURES = ("AP50_voc07", "AP50_area", "AP75_voc07", "AP50_coco", "AP_coco")
"""Headline first."""


class BoxKind(ABC):
    """One kind of box."""

    name: ClassVar[Kind]
    metric: ClassVar[str]
    convention: ClassVar[str]

    @abstractmethod
    def truth(
        self, record: ImageRecord, classes: Mapping[str, int], size_px: tuple[int, int]
    ) -> TrueBoxes:
        """Take an image's objects of the scored classes, in pixels of the published image."""

    @abstractmethod
    def upright(
        self, centres: Float[np.ndarray, "n 2"], sides_px: Float[np.ndarray, "n 2"]
    ) -> Float[np.ndarray, "n k"]:
        """Make boxes from x, y and width, height."""

    @abstractmethod
    def centres(self, boxes: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n 2"]:
        """Return the middles of boxes, x and y."""

    @abstractmethod
    def sides(self, boxes: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n 2"]:
        """Return width and height; of an oriented box along its own axes."""

    @abstractmethod
    def moved(self, boxes: Float[np.ndarray, "n k"], x: int, y: int) -> Float[np.ndarray, "n k"]:
        """Move boxes to the right and down."""

    @abstractmethod
    def cut(
        self, boxes: Float[np.ndarray, "n k"], size_px: tuple[int, int]
    ) -> Float[np.ndarray, "n k"]:
        """Cut boxes at the edges of an image as the truth is; their middles lie in it."""

    @abstractmethod
    def suppressed(self, found: FoundBoxes, iou: float) -> FoundBoxes:
        """Keep the best of each class that overlap by no more than `iou`, best first."""

    @abstractmethod
    def score(
        self, truth: list[TrueBoxes], found: list[FoundBoxes], classes: tuple[str, ...], what: What
    ) -> Scores:
        """Score the detections of all test images."""

    @abstractmethod
    def described(
        self, boxes: TrueBoxes | FoundBoxes, classes: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Describe boxes for pictures: `label`, `box` x0, y0, x1, y1, and what else there is."""

    def judge(
        self,
        benchmark: Benchmark,
        tested: Sequence[int],
        truth: list[TrueBoxes],
        found: list[FoundBoxes],
        what: What,
    ) -> Scores:
        """Score the detections, count them, and keep those of the best and the worst images.

        Args:
            benchmark: whose images were looked at.
            tested: positions of the test images that could be read, in the order of the boxes.
            truth: objects of each.
            found: detections in each.
            what: resamples and seed of the interval.

        Raises:
            UndefinedScore: no test image could be read.
        """
        if not tested:
            raise UndefinedScore("no test image can be read")
        classes = benchmark.classes
        scores = self.score(truth, found, classes, what)
        scores.extra["n_objects"] = int(sum((~one.difficult).sum() for one in truth))
        scores.extra["n_detections"] = sum(len(one.boxes) for one in found)
        paths = [benchmark.records[i].source_path for i in tested]
        note_detections(
            scores, paths, truth, found, self.name, lambda boxes: self.described(boxes, classes)
        )
        return scores


class HorizontalBoxes(BoxKind):
    """Scored as COCO does. Oriented boxes become the rectangles around them."""

    name: ClassVar[Kind] = "horizontal"
    metric: ClassVar[str] = COCO_MEASURES[0]
    convention: ClassVar[str] = COCO_CONVENTION

    def truth(
        self, record: ImageRecord, classes: Mapping[str, int], size_px: tuple[int, int]
    ) -> TrueBoxes:
        """Take an image's objects, cut at its edges."""
        return true_boxes(record, classes, np.array(size_px))

    def upright(
        self, centres: Float[np.ndarray, "n 2"], sides_px: Float[np.ndarray, "n 2"]
    ) -> Float[np.ndarray, "n 4"]:
        """Make x0, y0, x1, y1."""
        return np.concatenate([centres - sides_px / 2, centres + sides_px / 2], axis=1)

    def centres(self, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 2"]:
        """Take the middle of both edges."""
        middles: Float[np.ndarray, "n 2"] = (boxes[:, :2] + boxes[:, 2:]) / 2
        return middles

    def sides(self, boxes: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n 2"]:
        """Take the distances between edges."""
        sides: Float[np.ndarray, "n 2"] = boxes[:, 2:] - boxes[:, :2]
        return sides

    def moved(self, boxes: Float[np.ndarray, "n 4"], x: int, y: int) -> Float[np.ndarray, "n 4"]:
        """Move both corners."""
        there: Float[np.ndarray, "n 4"] = boxes + np.array([x, y, x, y])
        return there

    def cut(
        self, boxes: Float[np.ndarray, "n 4"], size_px: tuple[int, int]
    ) -> Float[np.ndarray, "n 4"]:
        """Move corners that lie outside to the edge."""
        height, width = size_px
        limits = np.array([width, height, width, height])
        inside: Float[np.ndarray, "n 4"] = np.clip(boxes, 0, limits)
        return inside

    def suppressed(self, found: FoundBoxes, iou: float) -> FoundBoxes:
        """Suppress by torchvision."""
        boxes, scores, labels = map(torch.from_numpy, (found.boxes, found.scores, found.labels))
        return found.chosen(batched_nms(boxes, scores.to(boxes.dtype), labels, iou).numpy())

    def score(
        self, truth: list[TrueBoxes], found: list[FoundBoxes], classes: tuple[str, ...], what: What
    ) -> Scores:
        """Score by COCO's AP50, AP and AP75."""
        return coco_scores(truth, found, classes, what)

    def described(
        self, boxes: TrueBoxes | FoundBoxes, classes: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Describe boxes."""
        return described(boxes, classes)


class OrientedBoxes(BoxKind):
    """Scored as mmrotate scores DIOR-R. Horizontal boxes of a data set stand at θ = 0."""

    name: ClassVar[Kind] = "oriented"
    metric: ClassVar[str] = ORIENTED_MEASURES[0]
    convention: ClassVar[str] = (
        f"{MEASURES[ORIENTED_MEASURES[0]].convention('oriented')}; exact float64 overlaps, at most "
        "2000 detections per image; percentile bootstrap over test images"
    )

    def truth(
        self, record: ImageRecord, classes: Mapping[str, int], size_px: tuple[int, int]
    ) -> TrueBoxes:
        """Take an image's objects as smallest rectangles."""
        return oriented_truth(record, classes, size_px)

    def upright(
        self, centres: Float[np.ndarray, "n 2"], sides_px: Float[np.ndarray, "n 2"]
    ) -> Float[np.ndarray, "n 5"]:
        """Make cx, cy, w, h, θ with w ≥ h."""
        corners = np.concatenate([centres - sides_px / 2, centres + sides_px / 2], axis=1)
        made: Float[np.ndarray, "n 5"] = from_horizontal(torch.from_numpy(corners)).numpy()
        return made

    def centres(self, boxes: Float[np.ndarray, "n 5"]) -> Float[np.ndarray, "n 2"]:
        """Take cx and cy."""
        return boxes[:, :2]

    def sides(self, boxes: Float[np.ndarray, "n 5"]) -> Float[np.ndarray, "n 2"]:
        """Take w and h."""
        return boxes[:, 2:4]

    def moved(self, boxes: Float[np.ndarray, "n 5"], x: int, y: int) -> Float[np.ndarray, "n 5"]:
        """Move the centre."""
        there: Float[np.ndarray, "n 5"] = boxes + np.array([x, y, 0, 0, 0])
        return there

    def cut(
        self, boxes: Float[np.ndarray, "n 5"], size_px: tuple[int, int]
    ) -> Float[np.ndarray, "n 5"]:
        """Leave them: oriented truth is not cut."""
        del size_px
        return boxes

    def suppressed(self, found: FoundBoxes, iou: float) -> FoundBoxes:
        """Suppress by rotated overlap."""
        boxes, scores, labels = map(torch.from_numpy, (found.boxes, found.scores, found.labels))
        return found.chosen(rotated_nms(boxes, scores, labels, iou).numpy())

    def score(
        self, truth: list[TrueBoxes], found: list[FoundBoxes], classes: tuple[str, ...], what: What
    ) -> Scores:
        """Score by five measures, VOC07's AP50 first."""
        precision = BoxAP(truth, found, len(classes), "oriented", ORIENTED_MEASURES)
        estimates = bootstrap(precision.score, len(truth), what.bootstrap.resamples, what.seed)
        arrays = {"precision": precision.curves().astype(np.float32)}
        scores = Scores.from_estimates(estimates, ORIENTED_MEASURES, classes, arrays)
        scores.extra["conventions"] = {
            name: MEASURES[name].convention("oriented") for name in ORIENTED_MEASURES
        }
        return scores

    def described(
        self, boxes: TrueBoxes | FoundBoxes, classes: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Describe boxes by their corners and the rectangles around them."""
        oriented = torch.from_numpy(boxes.boxes)
        return [
            {
                "label": classes[label],
                "box": hull.round(decimals=2).tolist(),
                "corners": corners.flatten().round(decimals=2).tolist(),
            }
            for label, hull, corners in zip(
                boxes.labels, hulls(oriented), to_corners(oriented), strict=True
            )
        ]
