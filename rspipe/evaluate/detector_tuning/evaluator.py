"""The evaluator of every detector that trains with its encoder; a protocol fills the gaps."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from tqdm import tqdm

from rspipe.errors import UnreadableImage
from rspipe.evaluate.average_precision import FoundBoxes, TrueBoxes
from rspipe.evaluate.base import N_EXAMPLES, Scores, UndefinedScore
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.detector_tuning.objects import Detector, Found
from rspipe.evaluate.detector_tuning.pictures import Picture, Rgb, scale_into, to_batch
from rspipe.evaluate.detector_tuning.settings import DetectorTuning
from rspipe.evaluate.detector_tuning.training import copy_to_tune, train_detector
from rspipe.evaluate.splits import Fold
from rspipe.io.images import decode, to_rgb
from rspipe.models.encoder import Encoder, seeded
from rspipe.schema import ImageRecord, Task

_SHOWN = 20


@dataclasses.dataclass(frozen=True)
class Tuned:
    """A trained detector and the encoder within it."""

    detector: Detector
    encoder: Encoder


class TunedDetection(ABC):
    """Trains a detector per fold with a copy of the encoder, scores all detections together.

    Difficult objects are not learned and count neither as found nor as missed.
    """

    task: ClassVar[Task] = "detection"
    protocol: ClassVar[str]
    metric: ClassVar[str]
    convention: ClassVar[str]

    def __init__(self, what: What, device: torch.device) -> None:
        self.what = what
        self.device = device

    @property
    @abstractmethod
    def settings(self) -> DetectorTuning:
        """Network and training."""

    @abstractmethod
    def detector_on(self, encoder: Encoder, n_classes: int) -> Detector:
        """Put an untrained detector on an encoder that is at the size of the images."""

    @abstractmethod
    def truth(
        self, record: ImageRecord, classes: Mapping[str, int], size_px: tuple[int, int]
    ) -> TrueBoxes:
        """Take an image's objects of the scored classes, in pixels of the published image."""

    @abstractmethod
    def to_learn(
        self, image: Rgb, truth: TrueBoxes, side_px: int, rng: np.random.Generator
    ) -> Picture:
        """Scale and mirror an image with its objects; difficult ones are left out."""

    @abstractmethod
    def to_published(self, found: Found, factor: float, size_px: tuple[int, int]) -> FoundBoxes:
        """Bring detections in an image that was scaled by a factor to the published size."""

    @abstractmethod
    def score(
        self, truth: list[TrueBoxes], found: list[FoundBoxes], classes: tuple[str, ...]
    ) -> Scores:
        """Score the detections of all test images."""

    @abstractmethod
    def drawn(
        self, boxes: TrueBoxes | FoundBoxes, classes: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Describe boxes for pictures: `label`, `box` x0, y0, x1, y1, and what else there is."""

    def run_on_pixels(self, benchmark: Benchmark, encoder: Encoder, work: Path) -> Scores:
        """Train per fold, detect in the test images, score all detections together.

        Raises:
            UndefinedScore: no image of a part can be read.
        """
        images = _Images(benchmark)
        tested: list[int] = []
        truth: list[TrueBoxes] = []
        found: list[FoundBoxes] = []
        checkpoints = [work / f"fold_{number}.pt" for number in range(len(benchmark.folds))]
        for fold, checkpoint in zip(benchmark.folds, checkpoints, strict=True):
            tuned = self._fit(images, fold, encoder, checkpoint)
            for i in tqdm(fold.test.tolist(), f"{benchmark.name}: detect", disable=None):
                image = images.read(i)
                if image is not None:
                    tested.append(i)
                    truth.append(self._truth(benchmark, i, image))
                    found.append(self.detect(tuned, image))
        if not tested:
            raise UndefinedScore("no test image can be read")
        scores = self.score(truth, found, benchmark.classes)
        scores.extra["n_objects"] = int(sum((~one.difficult).sum() for one in truth))
        scores.extra["n_detections"] = sum(len(one.boxes) for one in found)
        scores.unreadable.update(images.faults)
        rows = list(zip(tested, truth, found, strict=True))[:N_EXAMPLES]
        scores.examples.extend(self._example(benchmark, *row) for row in rows)
        for checkpoint in checkpoints:
            checkpoint.unlink(missing_ok=True)
        return scores

    def detect(self, tuned: Tuned, image: Rgb) -> FoundBoxes:
        """Find objects in one image; boxes in pixels of the published image."""
        config = tuned.encoder.config
        device = tuned.encoder.vit.pos_embed.device
        pixels, factor = scale_into(image, config.size_px[0])
        batch = to_batch([pixels], config.size_px[0], config.mean, config.std, device)
        return self.to_published(tuned.detector(batch)[0], factor, (image.shape[0], image.shape[1]))

    def _fit(self, images: "_Images", fold: Fold, encoder: Encoder, checkpoint: Path) -> Tuned:
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
            return self.to_learn(image, self._truth(benchmark, position, image), side, rng)

        train_detector(detector, copy, draw, len(fold.train), settings, seed, checkpoint)
        if all(benchmark.records[i].source_path in images.faults for i in fold.train):
            raise UndefinedScore("no train image can be read")
        return Tuned(detector, copy)

    def _truth(self, benchmark: Benchmark, position: int, image: Rgb) -> TrueBoxes:
        size = (image.shape[0], image.shape[1])
        return self.truth(benchmark.records[position], benchmark.class_index, size)

    def _example(
        self, benchmark: Benchmark, position: int, truth: TrueBoxes, found: FoundBoxes
    ) -> dict[str, Any]:
        best = dataclasses.replace(
            found,
            **{name: getattr(found, name)[:_SHOWN] for name in ("boxes", "labels", "scores")},
        )
        return {
            "path": benchmark.records[position].source_path,
            "truth": self.drawn(truth, benchmark.classes),
            "found": [
                {**one, "score": round(float(score), 4)}
                for one, score in zip(self.drawn(best, benchmark.classes), best.scores, strict=True)
            ],
        }


class _Images:
    """Images of a benchmark, read when asked for; faults are noted by path."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        self.faults: dict[str, str] = {}

    def read(self, position: int) -> Rgb | None:
        path = self.benchmark.records[position].source_path
        try:
            return to_rgb(decode(self.benchmark.storage.read_bytes(path), path))
        except UnreadableImage as error:
            self.faults[path] = error.reason
        except OSError as error:
            self.faults[path] = str(error)
        return None
