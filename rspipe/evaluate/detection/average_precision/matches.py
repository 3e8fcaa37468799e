# SPDX-License-Identifier: Apache-2.0
"""True and found boxes of an image, and what became of all detections of a class."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class TrueBoxes:
    """Objects of one image, in pixels of the published image.

    Horizontal boxes are x0, y0, x1, y1; oriented ones cx, cy, w, h, θ (radians, clockwise).
    """

    boxes: Float[np.ndarray, "n c"]
    labels: Int[np.ndarray, " n"]
    difficult: Bool[np.ndarray, " n"]
    """True: finding it counts neither for nor against."""

    def chosen(self, rows: np.ndarray) -> "TrueBoxes":
        """Take some, by a mask or by their places."""
        return TrueBoxes(self.boxes[rows], self.labels[rows], self.difficult[rows])


@dataclass(frozen=True)
class FoundBoxes:
    """Detections of one image; coordinates as in `TrueBoxes`."""

    boxes: Float[np.ndarray, "n c"]
    labels: Int[np.ndarray, " n"]
    scores: Float[np.ndarray, " n"]

    def chosen(self, rows: np.ndarray) -> "FoundBoxes":
        """Take some, by a mask or by their places, in the order of these."""
        return FoundBoxes(self.boxes[rows], self.labels[rows], self.scores[rows])


@dataclass(frozen=True)
class Matches:
    """All detections of one class, best score first, and the true boxes per image."""

    image: Int[np.ndarray, " d"]
    hits: Bool[np.ndarray, "T d"]
    """Per IoU threshold: the detection found a true box."""
    misses: Bool[np.ndarray, "T d"]
    """Neither hit nor miss: the detection found a difficult box."""
    true_per_image: Int[np.ndarray, " n"]
    """Without the difficult ones."""
