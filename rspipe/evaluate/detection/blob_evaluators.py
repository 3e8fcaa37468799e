# SPDX-License-Identifier: Apache-2.0
"""Detection without an encoder: what any encoder has to beat."""

from collections.abc import Iterator
from typing import ClassVar, Literal

import numpy as np
import torch

from rspipe.evaluate.base import Scores, UndefinedScore
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import Blobs, What
from rspipe.evaluate.detection.average_precision import FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.blobs import BlobFinder, Example
from rspipe.evaluate.detection.box_kinds import BoxKind, HorizontalBoxes, OrientedBoxes
from rspipe.evaluate.detection.tuning.images import BenchmarkImages
from rspipe.evaluate.detection.tuning.pictures import Rgb
from rspipe.evaluate.splits import Fold
from rspipe.schema import Task


class BlobDetection:
    """Boxes of a class's median size at places of its colours; see `blobs`."""

    task: ClassVar[Task] = "detection"
    protocol: ClassVar[str] = "blobs"
    reads: ClassVar[Literal["labels"]] = "labels"
    boxes: ClassVar[BoxKind] = HorizontalBoxes()
    metric: ClassVar[str] = HorizontalBoxes.metric
    convention: ClassVar[str] = HorizontalBoxes.convention

    def __init__(self, what: What, device: torch.device) -> None:
        del device  # nothing to accelerate
        self.what = what

    @property
    def settings(self) -> Blobs:
        """Suppression and the most boxes."""
        return self.what.blobs

    def run_without_encoder(self, benchmark: Benchmark) -> Scores:
        """Fit per fold, find in the test images, score all detections together.

        Raises:
            UndefinedScore: no test image can be read, or no training image shows an object.
        """
        images = BenchmarkImages(benchmark)
        tested: list[int] = []
        truth: list[TrueBoxes] = []
        found: list[FoundBoxes] = []
        for fold in benchmark.folds:
            finder, sides = self._fit(images, fold)
            for i in fold.test.tolist():
                image = images.read(i)
                if image is not None:
                    tested.append(i)
                    truth.append(self._truth(benchmark, i, image))
                    found.append(self._find(finder, sides, image))
        scores = self.boxes.judge(benchmark, tested, truth, found, self.what)
        scores.unreadable.update(images.faults)
        return scores

    def _fit(self, images: BenchmarkImages, fold: Fold) -> tuple[BlobFinder, dict[int, np.ndarray]]:
        """Return the regressions, and width and height of each class that has objects."""
        chosen = fold.train[: self.settings.most_images]
        sides: dict[int, list[np.ndarray]] = {}
        for _, truth in self._learned(images, chosen):
            for label, pair in zip(truth.labels, self.boxes.sides(truth.boxes), strict=True):
                sides.setdefault(int(label), []).append(pair)
        if not sides:
            raise UndefinedScore("no train image that can be read shows an object")
        median = {label: np.median(pairs, axis=0) for label, pairs in sorted(sides.items())}
        examples = (
            Example(image, self.boxes.centres(truth.boxes), truth.labels)
            for image, truth in self._learned(images, chosen)
        )
        square = {label: float(np.sqrt(pair.prod())) for label, pair in median.items()}
        return BlobFinder(examples, square, self.what.seed), median

    def _learned(
        self, images: BenchmarkImages, positions: np.ndarray
    ) -> Iterator[tuple[Rgb, TrueBoxes]]:
        for i in positions.tolist():
            image = images.read(i)
            if image is not None:
                truth = self._truth(images.benchmark, i, image)
                yield image, truth.chosen(~truth.difficult)

    def _find(self, finder: BlobFinder, sides: dict[int, np.ndarray], image: Rgb) -> FoundBoxes:
        """Ask about each class everywhere; keep the best, as detectors do."""
        boxes, labels, scores = [], [], []
        for label, pair in sides.items():
            places, likely = finder.places(image, label)
            made = self.boxes.upright(places, np.broadcast_to(pair, places.shape))
            boxes.append(self.boxes.cut(made, (image.shape[0], image.shape[1])))
            labels.append(np.full(len(places), label, dtype=np.int64))
            scores.append(likely)
        everything = FoundBoxes(
            np.concatenate(boxes), np.concatenate(labels), np.concatenate(scores)
        )
        best = np.argsort(-everything.scores, kind="stable")[: self.settings.candidates]
        found = self.boxes.suppressed(everything.chosen(best), self.settings.nms_iou)
        return found.chosen(np.arange(min(len(found.scores), self.settings.kept)))

    def _truth(self, benchmark: Benchmark, position: int, image: Rgb) -> TrueBoxes:
        size = image.shape[0], image.shape[1]
        return self.boxes.truth(benchmark.records[position], benchmark.class_index, size)


class OrientedBlobDetection(BlobDetection):
    """The same boxes with the sides of oriented objects, at θ = 0, scored as oriented ones."""

    protocol: ClassVar[str] = "oriented_blobs"
    boxes: ClassVar[BoxKind] = OrientedBoxes()
    metric: ClassVar[str] = OrientedBoxes.metric
    convention: ClassVar[str] = OrientedBoxes.convention
