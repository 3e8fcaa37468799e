# SPDX-License-Identifier: Apache-2.0
"""64-bit DCT perceptual hashes, and the hashes of all 8 flips and turns from the same DCT.

The identity orientation equals `imagehash.phash` bit for bit, on flat pictures too, where every
coefficient is a rounding error: so the DCT is the one that imagehash calls. A flip of the image
only changes the sign of odd DCT rows or columns, a transposition transposes the coefficients; the
median is taken anew for each orientation, since signs move it.
Source: imagehash 4.3 (`phash`); ThreatExchange issues 1665 and 1669 (dihedral variants of PDQ).
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fftpack import dct

from rspipe.curate.dedup.lanczos import THUMBNAIL_PX, shrink
from rspipe.schema import ORIENTATIONS

__all__ = [
    "HASH_SIDE",
    "INVERSE",
    "THUMBNAIL_PX",
    "hash_orientations",
    "hash_orientations_batch",
    "orient",
    "shrink",
]

HASH_SIDE = 8

_BLOCK = 512  # thumbnails whose DCT is in memory at a time: 4 MB

_FLIP_X = np.where(np.arange(HASH_SIDE) % 2, -1.0, 1.0)[None, :] * np.ones((HASH_SIDE, 1))
_FLIP_Y = _FLIP_X.T

# Each orientation is a transposition or not, then a flip from top to bottom or not, then one from
# left to right or not: a counter-clockwise quarter turn is a transposition and the first flip.
_TRANSPOSED = frozenset({"transpose", "rot90", "rot270", "transverse"})
_UPSIDE_DOWN = frozenset({"flip_ud", "rot180", "rot90", "transverse"})
_MIRRORED = frozenset({"flip_lr", "rot180", "rot270", "transverse"})

# A transposition changes no value, so 4 sign patterns make up all 8 orientations. To transpose
# and then flip one way is to flip the other way and then transpose.
_SIGNS = np.stack([np.ones_like(_FLIP_X), _FLIP_X, _FLIP_Y, _FLIP_X * _FLIP_Y])
_SIGNS_OF = {
    "identity": 0,
    "flip_lr": 1,
    "flip_ud": 2,
    "rot180": 3,
    "transpose": 0,
    "rot90": 1,
    "rot270": 2,
    "transverse": 3,
}


def hash_orientations(thumbnail: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hash an image as it is and as each of its flips and turns would be hashed.

    Args:
        thumbnail: uint8 (32, 32) grey, from `shrink`.

    Returns:
        uint64 (8,), in the order of `ORIENTATIONS`: element k is the hash of the image after
        orientation k was applied to it. Element 0 equals `imagehash.phash`.
    """
    hashes: NDArray[np.uint64] = hash_orientations_batch(thumbnail[None])[0]
    return hashes


def hash_orientations_batch(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hash many images, each as `hash_orientations` would, at a fraction of the cost of each.

    Args:
        thumbnails: uint8 (N, 32, 32) grey, from `shrink`.

    Returns:
        uint64 (N, 8).
    """
    hashes = np.empty((len(thumbnails), len(ORIENTATIONS)), dtype=np.uint64)
    for start in range(0, len(thumbnails), _BLOCK):
        hashes[start : start + _BLOCK] = _hash_block(thumbnails[start : start + _BLOCK])
    return hashes


def _hash_block(thumbnails: NDArray[np.uint8]) -> NDArray[np.uint64]:
    # Rows of the first transform that the second one would drop are not transformed twice.
    low = dct(dct(thumbnails, axis=1)[:, :HASH_SIDE], axis=2)[:, None, :, :HASH_SIDE]
    signed = low * _SIGNS
    values = np.sort(signed.reshape(len(low), len(_SIGNS), -1), axis=2)
    middle = values.shape[2] // 2
    medians = (values[:, :, middle - 1] + values[:, :, middle]) / 2
    above = signed > medians[:, :, None, None]
    bits = np.stack([_oriented(above, name) for name in ORIENTATIONS], axis=1)
    packed = np.packbits(bits.reshape(len(low), len(ORIENTATIONS), -1), axis=2)
    return packed.view(">u8")[:, :, 0].astype(np.uint64)


def _oriented(above: NDArray[np.bool_], orientation: str) -> NDArray[np.bool_]:
    bits = above[:, _SIGNS_OF[orientation]]
    return bits.swapaxes(1, 2) if orientation in _TRANSPOSED else bits


def orient(pixels: NDArray[np.uint8], orientation: str) -> NDArray[np.uint8]:
    """Flip or turn an image (H, W) or (H, W, C).

    >>> orient(np.array([[1, 2], [3, 4]], dtype=np.uint8), "rot90").tolist()
    [[2, 4], [1, 3]]
    """
    if orientation not in ORIENTATIONS:
        raise ValueError(f"unknown orientation {orientation!r}; valid: {ORIENTATIONS}")
    turned = pixels.swapaxes(0, 1) if orientation in _TRANSPOSED else pixels
    turned = turned[::-1] if orientation in _UPSIDE_DOWN else turned
    return turned[:, ::-1] if orientation in _MIRRORED else turned


INVERSE = {name: name for name in ORIENTATIONS} | {"rot90": "rot270", "rot270": "rot90"}
"""The orientation that undoes another."""
