# SPDX-License-Identifier: Apache-2.0
"""What any encoder has to beat: one class everywhere, and colour alone."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int

from rspipe.evaluate.segmentation.crops import Rgb
from rspipe.evaluate.segmentation.masks import IGNORE, ClassMask
from rspipe.evaluate.segmentation.pixels import Pair, shrink

LEVELS = 16
"""Steps of each band."""
MOST_PIXELS = 2**16
"""Of each training image that are counted, on a regular grid."""


class ColourTable:
    """The commonest class of each colour: naive, local, and often hard to beat.

    Colours are cut into 16 levels a band. A colour that training images do not show gets their
    commonest class.
    """

    def __init__(self, pairs: Iterable[Pair], n_classes: int) -> None:
        """Count the classes of each colour.

        Args:
            pairs: training images with masks of their size.
            n_classes: scored classes.
        """
        counts = np.zeros(LEVELS**3 * n_classes, dtype=np.int64)
        for pair in pairs:
            step = max(int(np.ceil((pair.mask.size / MOST_PIXELS) ** 0.5)), 1)
            mask = pair.mask[::step, ::step]
            counted = mask != IGNORE
            codes = _codes(pair.image[::step, ::step])[counted] * n_classes + mask[counted]
            counts += np.bincount(codes, minlength=counts.size)
        by_colour = counts.reshape(-1, n_classes)
        self.majority = int(by_colour.sum(axis=0).argmax())
        """The commonest class of the training images."""
        seen = by_colour.sum(axis=1) > 0
        self.table = np.where(seen, by_colour.argmax(axis=1), self.majority).astype(np.uint8)

    def predict(self, image: Rgb, size_px: tuple[int, ...]) -> ClassMask:
        """Look every pixel's colour up; the answer is resized, nearest neighbour."""
        found: ClassMask = self.table[_codes(image)]
        return shrink(found, size_px[0], size_px[1])


def _codes(image: Rgb) -> Int[np.ndarray, "H W"]:
    red, green, blue = np.moveaxis(image.astype(np.int64) * LEVELS // 256, 2, 0)
    codes: Int[np.ndarray, "H W"] = (red * LEVELS + green) * LEVELS + blue
    return codes
