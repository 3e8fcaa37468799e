"""All measures of a tile, in the one pass that decodes it."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rspipe.curate.dedup.hashing import hash_orientations, shrink
from rspipe.io.images import Pixels, to_grey

_FLAT_LEVELS = 2  # grey levels: JPEG noise and the ±1 of a nearly constant tile stay below


def measure(pixels: Pixels, valid: NDArray[np.bool_]) -> dict[str, Any]:
    """Measure a tile.

    Args:
        pixels: uint8 (H, W, C), 0..255.
        valid: bool (H, W), False where there is no data.

    Returns:
        The measure columns of the tile table:
        `pixel_hash` (of size and values), `phash` (equals imagehash), `orientation_hashes`,
        `thumbnail` (32x32 grey), `flatness` (share of neighbouring grey values, to the right and
        below, at most 2 levels apart; 1 = blank), `nodata_fraction` (0..1), `sharpness` (variance
        of the Laplacian, grey levels squared).
    """
    grey = to_grey(pixels)
    thumbnail = shrink(grey)
    hashes = hash_orientations(thumbnail)
    return {
        "pixel_hash": _pixel_hash(pixels),
        "phash": int(hashes[0]),
        "orientation_hashes": hashes.tolist(),
        "thumbnail": thumbnail.tobytes(),
        "flatness": _flatness(grey),
        "nodata_fraction": float(1.0 - valid.mean()),
        "sharpness": _sharpness(grey),
    }


def _pixel_hash(pixels: Pixels) -> str:
    digest = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _flatness(grey: NDArray[np.uint8]) -> float:
    values = grey.astype(np.int16)
    right = np.abs(np.diff(values, axis=1)) <= _FLAT_LEVELS
    below = np.abs(np.diff(values, axis=0)) <= _FLAT_LEVELS
    return float((right.sum() + below.sum()) / max(right.size + below.size, 1))


def _sharpness(grey: NDArray[np.uint8]) -> float:
    v = grey.astype(np.float64)
    if min(v.shape) < 3:
        return 0.0
    laplacian = v[:-2, 1:-1] + v[2:, 1:-1] + v[1:-1, :-2] + v[1:-1, 2:] - 4 * v[1:-1, 1:-1]
    return float(laplacian.var())
