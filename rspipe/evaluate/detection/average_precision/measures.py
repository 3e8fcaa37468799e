# SPDX-License-Identifier: Apache-2.0
"""Named average precisions, so that no "mAP50" is printed without its rule.

"mAP50" of DIOR is COCO's, "mAP50" of DIOR-R is VOC07's at rotated IoU: on one set of predictions
the two differ by about two points. `MEASURES` is the whole list; `convention` spells one out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from rspipe.evaluate.detection.average_precision.curves import (
    Integral,
    area,
    eleven_points,
    hundred_and_one_points,
    precision_at_recalls,
    precisions,
)
from rspipe.evaluate.detection.average_precision.matches import FoundBoxes, Matches, TrueBoxes
from rspipe.evaluate.detection.average_precision.rules import (
    KINDS,
    Pairs,
    match_coco,
    match_voc,
    pair_up,
)

Kind = Literal["horizontal", "oriented"]


@dataclass(frozen=True)
class Measure:
    """One definition of average precision."""

    rule: Literal["voc", "coco"]
    integral: Integral
    ious: tuple[float, ...]
    says: str

    def convention(self, kind: Kind) -> str:
        """Spell the definition out, for tables."""
        boxes = "rotated" if kind == "oriented" else "horizontal"
        return f"{self.says}, {boxes} IoU, mean over classes with objects, 0..1"


_COCO_IOUS = tuple(np.linspace(0.5, 0.95, 10))
_VOC = "each detection tries its best box only, difficult objects ignored"
_COCO = "COCO: best free box, 101 recalls, 100 detections per image and class, area all"

MEASURES: dict[str, Measure] = {
    "AP50_voc07": Measure(
        "voc", eleven_points, (0.5,), f"VOC07 AP at IoU 0.5: mean of 11 recalls, {_VOC}"
    ),
    "AP50_area": Measure(
        "voc", area, (0.5,), f"VOC10-12 AP at IoU 0.5: area under the envelope, {_VOC}"
    ),
    "AP75_voc07": Measure(
        "voc", eleven_points, (0.75,), f"VOC07 AP at IoU 0.75: mean of 11 recalls, {_VOC}"
    ),
    "AP50_coco": Measure("coco", hundred_and_one_points, (0.5,), f"{_COCO}, IoU 0.5"),
    "AP_coco": Measure("coco", hundred_and_one_points, _COCO_IOUS, f"{_COCO}, IoU 0.50:0.05:0.95"),
}


class BoxAP:
    """Average precisions of any multiset of the images, boxes being matched only once.

    Classes without an object (difficult ones do not count) are left out of the mean, as COCO,
    mmdet and mmrotate do; in VOC every class has objects.
    """

    def __init__(
        self,
        truth: Sequence[TrueBoxes],
        found: Sequence[FoundBoxes],
        n_classes: int,
        kind: Kind,
        measures: Sequence[str],
    ) -> None:
        self.measures = [MEASURES[name] for name in measures]
        pairs = [pair_up(truth, found, label, KINDS[kind]) for label in range(n_classes)]
        self._matches = [[_match(one, measure) for one in pairs] for measure in self.measures]
        self._n_images = len(truth)

    def score(self, images: Int[np.ndarray, " n"]) -> Float[np.ndarray, " m"]:
        """The mean of every measure, then the first measure of every class.

        Not a number where nothing was to be found.

        Args:
            images: positions, repetition allowed.
        """
        weights = np.bincount(images, minlength=self._n_images)
        of_classes = [
            np.array([precisions(one, weights, measure.integral).mean() for one in matches])
            for measure, matches in zip(self.measures, self._matches, strict=True)
        ]
        return np.array([*(_mean(one) for one in of_classes), *of_classes[0]])

    def curves(self) -> Float[np.ndarray, "K 101"]:
        """Precision of every class at the recalls 0, 0.01 … 1, by the first measure's matches."""
        return np.stack([precision_at_recalls(one) for one in self._matches[0]])


def _match(pairs: Pairs, measure: Measure) -> Matches:
    match = match_voc if measure.rule == "voc" else match_coco
    return match(pairs, measure.ious)


def _mean(of_classes: Float[np.ndarray, " k"]) -> float:
    defined = of_classes[~np.isnan(of_classes)]
    return float(defined.mean()) if defined.size else float("nan")
