"""Pixel verification of candidate pairs: a hash proposes, the pictures decide."""

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.dedup.hashing import orient


def similarity(copy: NDArray[np.uint8], original: NDArray[np.uint8], orientation: str) -> float:
    """Correlate two thumbnails after bringing the original into the copy's orientation.

    Args:
        copy: uint8 (32, 32) grey.
        original: uint8 (32, 32) grey.
        orientation: what was done to the original to get the copy.

    Returns:
        Pearson correlation, -1..1; invariant to brightness and contrast. 0 where either is flat.
    """
    a = copy.astype(np.float64) - copy.mean()
    turned = orient(original, orientation).astype(np.float64)
    b = turned - turned.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum() / norm) if norm > 0 else 0.0
