"""64-bit DCT perceptual hashes, and the hashes of all 8 flips and turns from the same DCT.

The identity orientation equals `imagehash.phash` bit for bit. A flip of the image only changes
the sign of odd DCT rows or columns, a transposition transposes the coefficients; the median is
taken anew for each orientation, since signs move it.
Source: imagehash 4.3 (`phash`); ThreatExchange issues 1665 and 1669 (dihedral variants of PDQ).
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fftpack import dct

from rspipe.schema import ORIENTATIONS

HASH_SIDE = 8
THUMBNAIL_PX = 32  # imagehash: hash_size * highfreq_factor (4)

_FLIP_X = np.where(np.arange(HASH_SIDE) % 2, -1.0, 1.0)[None, :]
_FLIP_Y = _FLIP_X.T

# Each orientation is a transposition or not, then a flip from top to bottom or not, then one from
# left to right or not: a counter-clockwise quarter turn is a transposition and the first flip.
_TRANSPOSED = frozenset({"transpose", "rot90", "rot270", "transverse"})
_UPSIDE_DOWN = frozenset({"flip_ud", "rot180", "rot90", "transverse"})
_MIRRORED = frozenset({"flip_lr", "rot180", "rot270", "transverse"})


def shrink(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Shrink a grey image (H, W) to the (32, 32) that is hashed and kept as its thumbnail."""
    size = (THUMBNAIL_PX, THUMBNAIL_PX)
    return np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.LANCZOS))


def hash_orientations(thumbnail: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Hash an image as it is and as each of its flips and turns would be hashed.

    Args:
        thumbnail: uint8 (32, 32) grey, from `shrink`.

    Returns:
        uint64 (8,), in the order of `ORIENTATIONS`: element k is the hash of the image after
        orientation k was applied to it. Element 0 equals `imagehash.phash`.
    """
    low = dct(dct(thumbnail, axis=0), axis=1)[:HASH_SIDE, :HASH_SIDE]
    blocks = np.stack([_orient_dct(low, name) for name in ORIENTATIONS])
    medians = np.median(blocks, axis=(1, 2), keepdims=True)
    bits = (blocks > medians).reshape(len(ORIENTATIONS), -1)
    return np.packbits(bits, axis=1).view(">u8").astype(np.uint64)[:, 0]


def _orient_dct(low: NDArray[np.floating], orientation: str) -> NDArray[np.floating]:
    """Low DCT block of the oriented image, from that of the image itself; see `orient`."""
    turned = low.T if orientation in _TRANSPOSED else low
    turned = turned * _FLIP_Y if orientation in _UPSIDE_DOWN else turned
    return turned * _FLIP_X if orientation in _MIRRORED else turned


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
