"""Detection of oriented boxes: Oriented R-CNN, encoder and detector fine-tuned together."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch

from rspipe.evaluate.average_precision import MEASURES, BoxAP, FoundBoxes, TrueBoxes
from rspipe.evaluate.base import Scores
from rspipe.evaluate.boxes.corners import hulls, to_corners
from rspipe.evaluate.detector_tuning.evaluator import TunedDetection
from rspipe.evaluate.detector_tuning.objects import Detector, Found
from rspipe.evaluate.detector_tuning.pictures import Picture, Rgb
from rspipe.evaluate.oriented import OrientedRCNN
from rspipe.evaluate.oriented.pictures import draw_flip, oriented_truth, to_learn
from rspipe.evaluate.oriented.settings import OrientedTuning
from rspipe.evaluate.pyramid import Pyramid
from rspipe.evaluate.uncertainty import bootstrap
from rspipe.models.encoder import Encoder
from rspipe.schema import ImageRecord

HEADLINE = "AP50_voc07"
_MEASURES = (HEADLINE, "AP50_area", "AP75_voc07", "AP50_coco", "AP_coco")


class OrientedDetection(TunedDetection):
    """Oriented R-CNN, trained per fold, scored as mmrotate scores DIOR-R.

    Horizontal boxes are taken as oriented ones at θ = 0. Difficult objects are not learned and
    count neither as found nor as missed (mmrotate counts DOTA's as others).
    """

    protocol: ClassVar[str] = "oriented_rcnn"
    metric: ClassVar[str] = HEADLINE
    convention: ClassVar[str] = (
        f"{MEASURES[HEADLINE].convention('oriented')}; exact float64 overlaps, at most 2000 "
        "detections per image; percentile bootstrap over test images"
    )

    @property
    def settings(self) -> OrientedTuning:
        """Network and training."""
        return self.what.oriented

    def detector_on(self, encoder: Encoder, n_classes: int) -> Detector:
        """Put Oriented R-CNN on the four-tap pyramid."""
        return OrientedRCNN(Pyramid(encoder), n_classes, self.settings.detector)

    def truth(
        self, record: ImageRecord, classes: Mapping[str, int], size_px: tuple[int, int]
    ) -> TrueBoxes:
        """Take an image's objects as smallest rectangles."""
        return oriented_truth(record, classes, size_px)

    def to_learn(
        self, image: Rgb, truth: TrueBoxes, side_px: int, rng: np.random.Generator
    ) -> Picture:
        """Scale and mirror, in one of three ways."""
        return to_learn(image, truth, side_px, draw_flip(rng, self.settings.flip_share))

    def to_published(self, found: Found, factor: float, size_px: tuple[int, int]) -> FoundBoxes:
        """Scale back; nothing is cut at the edges, as nothing of the truth is."""
        del size_px
        return FoundBoxes(
            found.boxes.double().cpu().numpy() / np.array([factor, factor, factor, factor, 1.0]),
            found.labels.cpu().numpy(),
            found.scores.double().cpu().numpy(),
        )

    def score(
        self, truth: list[TrueBoxes], found: list[FoundBoxes], classes: tuple[str, ...]
    ) -> Scores:
        """Score by five measures, VOC07's AP50 first."""
        precision = BoxAP(truth, found, len(classes), "oriented", _MEASURES)
        estimates = bootstrap(
            precision.score, len(truth), self.what.bootstrap.resamples, self.what.seed
        )
        arrays = {"precision": precision.curves().astype(np.float32)}
        scores = Scores.from_estimates(estimates, _MEASURES, classes, arrays)
        scores.extra["conventions"] = {
            name: MEASURES[name].convention("oriented") for name in _MEASURES
        }
        return scores

    def drawn(
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
