"""Detection of horizontal boxes by detectors that are fine-tuned with the encoder."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from rspipe.evaluate.average_precision import FoundBoxes, TrueBoxes
from rspipe.evaluate.base import Scores
from rspipe.evaluate.detection import (
    COCO_CONVENTION,
    COCO_MEASURES,
    coco_scores,
    described,
    true_boxes,
)
from rspipe.evaluate.detector_tuning.evaluator import TunedDetection
from rspipe.evaluate.detector_tuning.objects import Detector, Found
from rspipe.evaluate.detector_tuning.pictures import Picture, Rgb
from rspipe.evaluate.horizontal import FasterRCNN, PlainDETR
from rspipe.evaluate.horizontal.faster_rcnn import levels_of
from rspipe.evaluate.horizontal.pictures import to_learn, to_published
from rspipe.evaluate.horizontal.settings import FasterRCNNTuning, PlainDETRTuning
from rspipe.models.encoder import Encoder
from rspipe.schema import ImageRecord


class HorizontalDetection(TunedDetection):
    """Scored as COCO does. Oriented boxes are judged by the rectangles around them."""

    metric: ClassVar[str] = COCO_MEASURES[0]
    convention: ClassVar[str] = COCO_CONVENTION

    def truth(
        self, record: ImageRecord, classes: Mapping[str, int], size_px: tuple[int, int]
    ) -> TrueBoxes:
        """Take an image's objects, cut at its edges."""
        return true_boxes(record, classes, np.array(size_px))

    def to_learn(
        self, image: Rgb, truth: TrueBoxes, side_px: int, rng: np.random.Generator
    ) -> Picture:
        """Scale and mirror left to right."""
        return to_learn(image, truth, side_px, bool(rng.random() < self.settings.flip_share))

    def to_published(self, found: Found, factor: float, size_px: tuple[int, int]) -> FoundBoxes:
        """Scale back and cut at the edges."""
        return to_published(found, factor, size_px)

    def score(
        self, truth: list[TrueBoxes], found: list[FoundBoxes], classes: tuple[str, ...]
    ) -> Scores:
        """Score by COCO's AP50, AP and AP75."""
        return coco_scores(truth, found, classes, self.what)

    def drawn(
        self, boxes: TrueBoxes | FoundBoxes, classes: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        """Describe boxes."""
        return described(boxes, classes)


class FasterRCNNDetection(HorizontalDetection):
    """Faster R-CNN by the protocol of MTP and SelectiveMAE for DIOR."""

    protocol: ClassVar[str] = "faster_rcnn"

    @property
    def settings(self) -> FasterRCNNTuning:
        """Network and training."""
        return self.what.faster_rcnn

    def detector_on(self, encoder: Encoder, n_classes: int) -> Detector:
        """Put two stages on the pyramid of the settings."""
        settings = self.settings.detector
        return FasterRCNN(levels_of(encoder, settings), n_classes, settings)


class PlainDETRDetection(HorizontalDetection):
    """Plain DETR on the last block's map: how much of a detector is in the tokens themselves."""

    protocol: ClassVar[str] = "plain_detr"

    @property
    def settings(self) -> PlainDETRTuning:
        """Network and training."""
        return self.what.plain_detr

    def detector_on(self, encoder: Encoder, n_classes: int) -> Detector:
        """Put the decoder on the encoder."""
        return PlainDETR(encoder, n_classes, self.settings.detector)
