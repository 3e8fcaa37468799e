# SPDX-License-Identifier: Apache-2.0
"""Object detection on frozen features, horizontal boxes, scored as COCO does."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int

from rspipe.evaluate.base import Scores
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import LinearDetector, What
from rspipe.evaluate.detection.average_precision import CocoAP, FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.dense_head import UPSCALE, DenseHead, Objects, detect, fit_head
from rspipe.evaluate.detection.examples import note_detections
from rspipe.evaluate.encoders import Gives
from rspipe.evaluate.frozen.features import Features
from rspipe.evaluate.uncertainty import bootstrap
from rspipe.readers.boxes import in_pixels
from rspipe.schema import ImageRecord, Task

COCO_MEASURES = ("AP50_coco", "AP_coco", "AP75_coco")
"""Headline first."""
COCO_CONVENTION = (
    "COCO AP at IoU 0.5 (101 recalls, 100 detections per image and class, area all), mean "
    "over classes, 0..1, horizontal boxes; not VOC07; percentile bootstrap over test images"
)


class DenseDetection:
    """The dense head of `detector.py`, trained per fold on frozen tokens.

    Difficult objects are not learned and count neither as found nor as missed. Oriented boxes
    are judged by the rectangle around them, cut at the edges of the image.
    """

    task: ClassVar[Task] = "detection"
    protocol: ClassVar[str] = "linear_detector"
    metric: ClassVar[str] = COCO_MEASURES[0]
    reads: ClassVar[Gives] = "tokens"
    input_name: ClassVar[str] = "patch tokens, post-norm"
    convention: ClassVar[str] = COCO_CONVENTION

    def __init__(self, what: What, device: torch.device) -> None:
        self.what = what
        self.device = device

    @property
    def settings(self) -> LinearDetector:
        """Steps, width and thresholds."""
        return self.what.linear_detector

    def run(self, benchmark: Benchmark, features: Features) -> Scores:
        """Train per fold, detect in the test images, score all detections together."""
        sizes = features.sizes_px
        truth = [
            true_boxes(record, benchmark.class_index, size)
            for record, size in zip(benchmark.records, sizes, strict=True)
        ]
        unit = [self._pixels_per_location(features, size) for size in sizes]
        found: list[FoundBoxes] = []
        for fold in benchmark.folds:
            head = fit_head(
                features.grids[torch.from_numpy(fold.train)],
                [to_locations(truth[i], unit[i]) for i in fold.train],
                len(benchmark.classes),
                self.settings,
                self.what.seed,
                self.device,
            )
            found += [self._detect(head, features, i, unit[i]) for i in fold.test.tolist()]
        tested = benchmark.tested.tolist()
        scores = coco_scores([truth[i] for i in tested], found, benchmark.classes, self.what)
        scores.extra["n_objects"] = int(sum((~truth[i].difficult).sum() for i in tested))
        scores.extra["n_detections"] = sum(len(one.boxes) for one in found)
        note_detections(
            scores,
            benchmark.tested_paths(),
            [truth[i] for i in tested],
            found,
            "horizontal",
            lambda boxes: described(boxes, benchmark.classes),
        )
        return scores

    def _pixels_per_location(
        self, features: Features, size_px: Int[np.ndarray, " 2"]
    ) -> Float[np.ndarray, " 4"]:
        height, width = features.grids.shape[2] * UPSCALE, features.grids.shape[3] * UPSCALE
        y, x = size_px[0] / height, size_px[1] / width
        return np.array([x, y, x, y])

    def _detect(
        self, head: DenseHead, features: Features, image: int, unit: Float[np.ndarray, " 4"]
    ) -> FoundBoxes:
        boxes, labels, scores = detect(head, features.grids[image], self.settings, self.device)
        return FoundBoxes(boxes.double().numpy() * unit, labels.numpy(), scores.numpy())


def coco_scores(
    truth: list[TrueBoxes], found: list[FoundBoxes], classes: tuple[str, ...], what: What
) -> Scores:
    """Score detections by COCO's AP50, then AP, AP75 and AP50 of every class."""
    precision = CocoAP(truth, found, len(classes))
    estimates = bootstrap(precision.score, len(truth), what.bootstrap.resamples, what.seed)
    arrays = {"precision": precision.curves().astype(np.float32)}
    return Scores.from_estimates(estimates, COCO_MEASURES, classes, arrays)


def true_boxes(
    record: ImageRecord, classes: Mapping[str, int], size_px: Int[np.ndarray, " 2"]
) -> TrueBoxes:
    """Take an image's objects of the scored classes, cut at its edges; empty boxes go."""
    height, width = size_px
    kept = [
        (np.clip((b.x0, b.y0, b.x1, b.y1), 0, (width, height, width, height)), b)
        for b in in_pixels(record.annotation, int(height), int(width)).boxes or ()
        if b.label in classes
    ]
    kept = [(box, b) for box, b in kept if box[2] > box[0] and box[3] > box[1]]
    return TrueBoxes(
        boxes=np.array([box for box, _ in kept], dtype=np.float64).reshape(-1, 4),
        labels=np.array([classes[b.label] for _, b in kept], dtype=np.int64),
        difficult=np.array([b.difficult for _, b in kept], dtype=bool),
    )


def to_locations(truth: TrueBoxes, unit: Float[np.ndarray, " 4"]) -> Objects:
    """Turn the objects to be learned from pixels into location units."""
    learned = ~truth.difficult
    return Objects(
        torch.from_numpy(truth.boxes[learned] / unit).float(),
        torch.from_numpy(truth.labels[learned]),
    )


def described(boxes: TrueBoxes | FoundBoxes, classes: tuple[str, ...]) -> list[dict[str, Any]]:
    """Describe boxes by `label` and `box` x0, y0, x1, y1, for JSON."""
    return [
        {"label": classes[label], "box": box.round(2).tolist()}
        for label, box in zip(boxes.labels, boxes.boxes, strict=True)
    ]
