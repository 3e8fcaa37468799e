# SPDX-License-Identifier: Apache-2.0
"""Detection of horizontal boxes by detectors that are fine-tuned with the encoder."""

from typing import ClassVar

import numpy as np

from rspipe.evaluate.detection.average_precision import FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.box_kinds import BoxKind, HorizontalBoxes
from rspipe.evaluate.detection.horizontal import FasterRCNN, PlainDETR
from rspipe.evaluate.detection.horizontal.faster_rcnn import levels_of
from rspipe.evaluate.detection.horizontal.pictures import to_learn, to_published
from rspipe.evaluate.detection.horizontal.settings import FasterRCNNTuning, PlainDETRTuning
from rspipe.evaluate.detection.tuning.evaluator import TunedDetection
from rspipe.evaluate.detection.tuning.objects import Detector, Found
from rspipe.evaluate.detection.tuning.pictures import Picture, Rgb
from rspipe.models.backbone import Backbone


class HorizontalDetection(TunedDetection):
    """Scored as COCO does. Oriented boxes are judged by the rectangles around them."""

    boxes: ClassVar[BoxKind] = HorizontalBoxes()
    metric: ClassVar[str] = HorizontalBoxes.metric
    convention: ClassVar[str] = HorizontalBoxes.convention

    @property
    def seam_iou(self) -> float:
        """Half: what neighbours find of one object overlaps well."""
        return 0.5

    def to_learn(
        self, image: Rgb, truth: TrueBoxes, factor: float, rng: np.random.Generator
    ) -> Picture:
        """Scale and mirror left to right."""
        return to_learn(image, truth, factor, bool(rng.random() < self.settings.flip_share))

    def to_published(self, found: Found, factor: float, size_px: tuple[int, int]) -> FoundBoxes:
        """Scale back and cut at the edges."""
        return to_published(found, factor, size_px)


class FasterRCNNDetection(HorizontalDetection):
    """Faster R-CNN by the protocol of MTP and SelectiveMAE for DIOR."""

    protocol: ClassVar[str] = "faster_rcnn"

    @property
    def settings(self) -> FasterRCNNTuning:
        """Network and training."""
        return self.what.faster_rcnn

    def detector_on(self, encoder: Backbone, n_classes: int) -> Detector:
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

    def detector_on(self, encoder: Backbone, n_classes: int) -> Detector:
        """Put the decoder on the encoder."""
        return PlainDETR(encoder, n_classes, self.settings.detector)
