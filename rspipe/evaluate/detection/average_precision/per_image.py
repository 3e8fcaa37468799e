# SPDX-License-Identifier: Apache-2.0
"""One number for one image's detections, that one can count in a picture of them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from rspipe.evaluate.detection.average_precision.matches import FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.average_precision.rules import KINDS, match_coco, pair_up

R_PRECISION = (
    "R-precision of the image: of its R best-scored detections, R being the number of its objects, "
    "the share that finds one (same class, IoU at least 0.5, COCO's matching); difficult objects "
    "do not count"
)


@dataclass(frozen=True)
class FirstFound:
    """The R best-scored detections of an image with R objects."""

    n_objects: int
    """R: without the difficult ones."""
    detections: Int[np.ndarray, " r"]
    """Their places, best score first; fewer than R where fewer were found."""
    right: Bool[np.ndarray, " r"]
    """Whether each finds an object of its own."""

    @property
    def r_precision(self) -> float:
        """Right ones / R, 0..1; not a number where there is no object."""
        return float(self.right.sum() / self.n_objects) if self.n_objects else float("nan")


def first_found(truth: TrueBoxes, found: FoundBoxes, kind: str) -> FirstFound:
    """Match the R best detections of one image.

    Args:
        truth: its objects.
        found: its detections, in any order.
        kind: of the boxes, a key of `KINDS`.

    Source: precision at R of information retrieval (Manning et al. 2008, sec. 8.4), where a
    threshold on scores need not be chosen either.
    """
    count = int((~truth.difficult).sum())
    best = np.argsort(-found.scores, kind="stable")[:count]
    chosen = FoundBoxes(found.boxes[best], found.labels[best], found.scores[best])
    right = np.zeros(len(best), dtype=bool)
    for label in np.unique(chosen.labels).tolist():
        pairs = pair_up([truth], [chosen], label, KINDS[kind])
        hits = match_coco(pairs, (0.5,), max_detections=len(best)).hits[0]
        right[chosen.labels == label] = hits  # both best score first
    return FirstFound(count, best, right)
