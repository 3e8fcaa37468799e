# SPDX-License-Identifier: Apache-2.0
"""The evaluator of every detector that trains with its encoder; a protocol fills the gaps."""

import dataclasses
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from rspipe.evaluate.base import Scores, UndefinedScore
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.detection.average_precision import FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.box_kinds import BoxKind
from rspipe.evaluate.detection.tuning.images import BenchmarkImages
from rspipe.evaluate.detection.tuning.objects import Detector, Found
from rspipe.evaluate.detection.tuning.pictures import Picture, Rgb, scale_by, to_batch
from rspipe.evaluate.detection.tuning.settings import DetectorTuning
from rspipe.evaluate.detection.tuning.training import copy_to_tune, lower_precision, train_detector
from rspipe.evaluate.detection.tuning.windows import (
    Place,
    draw_window,
    lay_windows,
    nearest,
    within,
)
from rspipe.evaluate.splits import Fold
from rspipe.models.backbone import Backbone
from rspipe.models.encoder import seeded
from rspipe.progress import track
from rspipe.schema import Task

WINDOWS_PER_PASS = 8


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A trained detector and the encoder within it."""

    detector: Detector
    encoder: Backbone


class TunedDetection(ABC):
    """Trains a detector per fold with a copy of the encoder, scores all detections together.

    Difficult objects are not learned and count neither as found nor as missed.
    """

    task: ClassVar[Task] = "detection"
    protocol: ClassVar[str]
    metric: ClassVar[str]
    convention: ClassVar[str]
    boxes: ClassVar[BoxKind]

    def __init__(self, what: What, device: torch.device) -> None:
        self.what = what
        self.device = device

    @property
    @abstractmethod
    def settings(self) -> DetectorTuning:
        """Network and training."""

    @property
    @abstractmethod
    def seam_iou(self) -> float:
        """Overlap above which detections of neighbouring windows are taken for one object's."""

    @abstractmethod
    def detector_on(self, encoder: Backbone, n_classes: int) -> Detector:
        """Put an untrained detector on an encoder that is at the size of the images."""

    @abstractmethod
    def to_learn(
        self, image: Rgb, truth: TrueBoxes, factor: float, rng: np.random.Generator
    ) -> Picture:
        """Scale and mirror an image with its objects; difficult ones are left out."""

    @abstractmethod
    def to_published(self, found: Found, factor: float, size_px: tuple[int, int]) -> FoundBoxes:
        """Bring detections in an image that was scaled by a factor to the published size."""

    def run_on_pixels(self, benchmark: Benchmark, encoder: Backbone, work: Path) -> Scores:
        """Train per fold, detect in the test images, score all detections together.

        Raises:
            UndefinedScore: no image of a part can be read.
        """
        images = BenchmarkImages(benchmark)
        tested: list[int] = []
        truth: list[TrueBoxes] = []
        found: list[FoundBoxes] = []
        checkpoints = [work / f"fold_{number}.pt" for number in range(len(benchmark.folds))]
        for fold, checkpoint in zip(benchmark.folds, checkpoints, strict=True):
            tuned = self._fit(images, fold, encoder, checkpoint)
            for i in track(fold.test.tolist(), f"{benchmark.name}: detect"):
                image = images.read(i)
                if image is not None:
                    tested.append(i)
                    truth.append(self._truth(benchmark, i, image))
                    found.append(self.detect(tuned, image))
        scores = self.boxes.judge(benchmark, tested, truth, found, self.what)
        scores.unreadable.update(images.faults)
        for checkpoint in checkpoints:
            checkpoint.unlink(missing_ok=True)
        return scores

    def detect(self, tuned: Tuned, image: Rgb) -> FoundBoxes:
        """Find objects in one image; boxes in pixels of the published image."""
        side = self.settings.crop_px
        if side is None:
            return self._detect(tuned, [image], max(image.shape[:2]))[0]
        stride = self.settings.stride_px or max(side * 3 // 4, 1)
        places = lay_windows(_size(image), side, stride)
        found: list[FoundBoxes] = []
        for first in range(0, len(places), WINDOWS_PER_PASS):
            part = places[first : first + WINDOWS_PER_PASS]
            crops = [image[y : y + side, x : x + side] for y, x in part]
            for (y, x), one in zip(part, self._detect(tuned, crops, side), strict=True):
                there = dataclasses.replace(one, boxes=self.boxes.moved(one.boxes, x, y))
                mine = nearest(self.boxes.centres(there.boxes), (y, x), places, side)
                found.append(there.chosen(mine))
        return self.boxes.suppressed(_joined(found), self.seam_iou)

    def _detect(self, tuned: Tuned, images: list[Rgb], side_px: int) -> list[FoundBoxes]:
        """Find objects in images that are scaled alike, so that `side_px` fill the network."""
        config = tuned.encoder.config
        device = tuned.encoder.device
        factor = config.size_px[0] / side_px
        pixels = [scale_by(image, factor) for image in images]
        batch = to_batch(pixels, config.size_px[0], config.mean, config.std, device)
        with lower_precision(self.settings, device):
            found = tuned.detector(batch)
        rows = zip(found, images, strict=True)
        return [self.to_published(one, factor, _size(image)) for one, image in rows]

    def _fit(
        self, images: BenchmarkImages, fold: Fold, encoder: Backbone, checkpoint: Path
    ) -> Tuned:
        settings, seed = self.settings, self.what.seed
        benchmark = images.benchmark
        copy = copy_to_tune(encoder, settings)
        with seeded(seed):
            detector = self.detector_on(copy, len(benchmark.classes)).to(self.device)
        side = copy.config.size_px[0]

        def draw(place: int, rng: np.random.Generator) -> Picture | None:
            position = int(fold.train[place])
            image = images.read(position)
            if image is None:
                return None
            window, truth = self._window(image, self._truth(benchmark, position, image), rng)
            factor = side / (settings.crop_px or max(window.shape[:2]))
            return self.to_learn(window, truth, factor, rng)

        train_detector(detector, copy, draw, len(fold.train), settings, seed, checkpoint)
        if all(benchmark.records[i].source_path in images.faults for i in fold.train):
            raise UndefinedScore("no train image can be read")
        return Tuned(detector, copy)

    def _window(
        self, image: Rgb, truth: TrueBoxes, rng: np.random.Generator
    ) -> tuple[Rgb, TrueBoxes]:
        """Draw a window and the objects that it holds; the whole, where windows are not used."""
        side = self.settings.crop_px
        if side is None:
            return image, truth
        centres = self.boxes.centres(truth.boxes)
        place: Place = draw_window(centres, _size(image), side, rng)
        y, x = place
        moved = dataclasses.replace(truth, boxes=self.boxes.moved(truth.boxes, -x, -y))
        return image[y : y + side, x : x + side], moved.chosen(within(centres, place, side))

    def _truth(self, benchmark: Benchmark, position: int, image: Rgb) -> TrueBoxes:
        return self.boxes.truth(benchmark.records[position], benchmark.class_index, _size(image))


def _size(image: Rgb) -> tuple[int, int]:
    return image.shape[0], image.shape[1]


def _joined(parts: list[FoundBoxes]) -> FoundBoxes:
    boxes, labels, scores = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("boxes", "labels", "scores")
    )
    return FoundBoxes(boxes, labels, scores)
