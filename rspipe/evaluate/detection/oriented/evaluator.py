# SPDX-License-Identifier: Apache-2.0
"""Detection of oriented boxes: Oriented R-CNN, encoder and detector fine-tuned together."""

from typing import ClassVar

import numpy as np

from rspipe.evaluate.detection.average_precision import FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.box_kinds import BoxKind, OrientedBoxes
from rspipe.evaluate.detection.oriented import OrientedRCNN
from rspipe.evaluate.detection.oriented.pictures import draw_flip, to_learn
from rspipe.evaluate.detection.oriented.settings import OrientedTuning
from rspipe.evaluate.detection.tuning.evaluator import TunedDetection
from rspipe.evaluate.detection.tuning.objects import Detector, Found
from rspipe.evaluate.detection.tuning.pictures import Picture, Rgb
from rspipe.evaluate.tuning.pyramid import Pyramid
from rspipe.models.backbone import Backbone


class OrientedDetection(TunedDetection):
    """Oriented R-CNN, trained per fold, scored as mmrotate scores DIOR-R.

    Horizontal boxes are taken as oriented ones at θ = 0. Difficult objects are not learned and
    count neither as found nor as missed (mmrotate counts DOTA's as others).
    """

    protocol: ClassVar[str] = "oriented_rcnn"
    boxes: ClassVar[BoxKind] = OrientedBoxes()
    metric: ClassVar[str] = OrientedBoxes.metric
    convention: ClassVar[str] = OrientedBoxes.convention

    @property
    def seam_iou(self) -> float:
        """As within a window."""
        return self.settings.detector.regions.nms_iou

    @property
    def settings(self) -> OrientedTuning:
        """Network and training."""
        return self.what.oriented_rcnn

    def detector_on(self, encoder: Backbone, n_classes: int) -> Detector:
        """Put Oriented R-CNN on the four-tap pyramid."""
        return OrientedRCNN(Pyramid(encoder), n_classes, self.settings.detector)

    def to_learn(
        self, image: Rgb, truth: TrueBoxes, factor: float, rng: np.random.Generator
    ) -> Picture:
        """Scale and mirror, in one of three ways."""
        return to_learn(image, truth, factor, draw_flip(rng, self.settings.flip_share))

    def to_published(self, found: Found, factor: float, size_px: tuple[int, int]) -> FoundBoxes:
        """Scale back; nothing is cut at the edges, as nothing of the truth is."""
        del size_px
        return FoundBoxes(
            found.boxes.double().cpu().numpy() / np.array([factor, factor, factor, factor, 1.0]),
            found.labels.cpu().numpy(),
            found.scores.double().cpu().numpy(),
        )
