"""Detection of oriented boxes: Oriented R-CNN, encoder and detector fine-tuned together."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from tqdm import tqdm

from rspipe.errors import UnreadableImage
from rspipe.evaluate.average_precision import MEASURES, BoxAP, FoundBoxes, TrueBoxes
from rspipe.evaluate.base import N_EXAMPLES, Scores, UndefinedScore
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.boxes.corners import hulls, to_corners
from rspipe.evaluate.config import What
from rspipe.evaluate.oriented import OrientedRCNN
from rspipe.evaluate.oriented.pictures import (
    Picture,
    Rgb,
    draw_flip,
    oriented_truth,
    scale_into,
    to_batch,
    to_learn,
)
from rspipe.evaluate.oriented.settings import OrientedTuning
from rspipe.evaluate.oriented.training import build, train_detector
from rspipe.evaluate.pyramid import Pyramid
from rspipe.evaluate.splits import Fold
from rspipe.evaluate.uncertainty import bootstrap
from rspipe.io.images import decode, to_rgb
from rspipe.models.encoder import Encoder
from rspipe.schema import Task

HEADLINE = "AP50_voc07"
_MEASURES = (HEADLINE, "AP50_area", "AP75_voc07", "AP50_coco", "AP_coco")
_SHOWN = 20


class OrientedDetection:
    """Oriented R-CNN, trained per fold, scored as mmrotate scores DIOR-R.

    Horizontal boxes are taken as oriented ones at θ = 0. Difficult objects are not learned and
    count neither as found nor as missed (mmrotate counts DOTA's as others).
    """

    task: ClassVar[Task] = "detection"
    protocol: ClassVar[str] = "oriented_rcnn"
    metric: ClassVar[str] = HEADLINE
    convention: ClassVar[str] = (
        f"{MEASURES[HEADLINE].convention('oriented')}; exact float64 overlaps, at most 2000 "
        "detections per image; percentile bootstrap over test images"
    )

    def __init__(self, what: What, device: torch.device) -> None:
        self.what = what
        self.device = device

    @property
    def settings(self) -> OrientedTuning:
        """Network and training."""
        return self.what.oriented

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
            model = self._fit(images, fold, encoder, checkpoint)
            for i in tqdm(fold.test.tolist(), f"{benchmark.name}: detect", disable=None):
                image = images.read(i)
                if image is not None:
                    tested.append(i)
                    truth.append(images.truth(i, image))
                    found.append(detect(model, image))
        if not tested:
            raise UndefinedScore("no test image can be read")
        scores = self._score(truth, found, benchmark.classes)
        scores.unreadable.update(images.faults)
        rows = list(zip(tested, truth, found, strict=True))[:N_EXAMPLES]
        scores.examples.extend(_example(benchmark, *row) for row in rows)
        for checkpoint in checkpoints:
            checkpoint.unlink(missing_ok=True)
        return scores

    def _fit(
        self, images: "_Images", fold: Fold, encoder: Encoder, checkpoint: Path
    ) -> OrientedRCNN:
        settings, seed = self.settings, self.what.seed
        model = build(encoder, len(images.benchmark.classes), settings, seed).to(self.device)
        inner = _encoder_of(model)

        def draw(place: int, rng: np.random.Generator) -> Picture | None:
            position = int(fold.train[place])
            image = images.read(position)
            if image is None:
                return None
            flip = draw_flip(rng, settings.flip_share)
            truth = images.truth(position, image)
            return to_learn(image, truth, inner.config.size_px[0], flip)

        train_detector(model, inner, draw, len(fold.train), settings, seed, checkpoint)
        if all(images.benchmark.records[i].source_path in images.faults for i in fold.train):
            raise UndefinedScore("no train image can be read")
        return model

    def _score(
        self, truth: list[TrueBoxes], found: list[FoundBoxes], classes: tuple[str, ...]
    ) -> Scores:
        precision = BoxAP(truth, found, len(classes), "oriented", _MEASURES)
        estimates = bootstrap(
            precision.score, len(truth), self.what.bootstrap.resamples, self.what.seed
        )
        scores = Scores.from_estimates(estimates, _MEASURES, classes)
        scores.extra["conventions"] = {
            name: MEASURES[name].convention("oriented") for name in _MEASURES
        }
        scores.extra["n_objects"] = int(sum((~one.difficult).sum() for one in truth))
        scores.extra["n_detections"] = sum(len(one.boxes) for one in found)
        return scores


class _Images:
    """Images and objects of a benchmark, read when asked for; faults are noted by path."""

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

    def truth(self, position: int, image: Rgb) -> TrueBoxes:
        record, size = self.benchmark.records[position], (image.shape[0], image.shape[1])
        return oriented_truth(record, self.benchmark.class_index, size)


def detect(model: OrientedRCNN, image: Rgb) -> FoundBoxes:
    """Find objects in one image: boxes in le90 and pixels of the published image."""
    encoder = _encoder_of(model)
    config, device = encoder.config, encoder.vit.pos_embed.device
    pixels, factor = scale_into(image, config.size_px[0])
    batch = to_batch([pixels], config.size_px[0], config.mean, config.std, device)
    found = model(batch)[0]
    boxes = found.boxes.double().cpu().numpy()
    return FoundBoxes(
        boxes / np.array([factor, factor, factor, factor, 1.0]),
        found.labels.cpu().numpy(),
        found.scores.double().cpu().numpy(),
    )


def _encoder_of(model: OrientedRCNN) -> Encoder:
    assert isinstance(model.pyramid, Pyramid)  # `build` puts nothing else there
    return model.pyramid.encoder


def _example(
    benchmark: Benchmark, position: int, truth: TrueBoxes, found: FoundBoxes
) -> dict[str, Any]:
    """Corners and the rectangles x0, y0, x1, y1 around them; the best detections only."""
    best = dataclasses.replace(
        found,
        **{name: getattr(found, name)[:_SHOWN] for name in ("boxes", "labels", "scores")},
    )
    return {
        "path": benchmark.records[position].source_path,
        "truth": _drawn(benchmark, truth),
        "found": [
            {**one, "score": round(float(score), 4)}
            for one, score in zip(_drawn(benchmark, best), best.scores, strict=True)
        ],
    }


def _drawn(benchmark: Benchmark, boxes: TrueBoxes | FoundBoxes) -> list[dict[str, Any]]:
    oriented = torch.from_numpy(boxes.boxes)
    return [
        {
            "label": benchmark.classes[label],
            "box": hull.round(decimals=2).tolist(),
            "corners": corners.flatten().round(decimals=2).tolist(),
        }
        for label, hull, corners in zip(
            boxes.labels, hulls(oriented), to_corners(oriented), strict=True
        )
    ]
