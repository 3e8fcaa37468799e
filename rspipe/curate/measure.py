# SPDX-License-Identifier: Apache-2.0
"""All measures of a tile, in the one pass that decodes it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_128

from rspipe.curate.dedup.hashing import THUMBNAIL_PX, hash_orientations_batch
from rspipe.curate.dedup.lanczos import shrink
from rspipe.curate.pixel_scan import Counts, scan
from rspipe.io.images import Pixels

Row = dict[str, Any]


def measure(pixels: Pixels, valid: NDArray[np.bool_] | None = None) -> Row:
    """Measure a tile: `measure_pixels`, then `hash_rows`.

    Args:
        pixels: uint8 (H, W, C), 0..255.
        valid: bool (H, W), False where there is no data; None: data everywhere.
    """
    row = measure_pixels(pixels, valid)
    hash_rows([row])
    return row


def measure_pixels(pixels: Pixels, valid: NDArray[np.bool_] | None = None) -> Row:
    """Measure a tile, all but its perceptual hashes, which cost less by the many (`hash_rows`).

    Args:
        pixels: uint8 (H, W, C), 0..255.
        valid: bool (H, W), False where there is no data; None: data everywhere.

    Returns:
        Columns of the tile table. Pixels without data count in none of the shares and moments:
        `pixel_hash` (of size and values: XXH3, 128 bits, which no chance makes collide, but which
        is not cryptographic), `thumbnail` (32x32 grey), `nodata_fraction` (0..1),
        `flatness` (share of pairs of neighbours, to the right and below, at most 2 grey levels
        apart; 1 = blank, or no pair), `sharpness` (variance of the Laplacian, grey levels
        squared), `saturated_fraction` and `black_fraction` (every band ≥ 250, ≤ 5),
        `cloud_fraction` (bright, colourless and smooth; see `docs/corpus-format.md` for what that
        can and cannot tell), `mean_grey` and `std_grey` (grey levels).
    """
    pixels = np.ascontiguousarray(pixels)
    grey, counts = scan(pixels, valid)
    return {
        "pixel_hash": pixel_hash(pixels),
        "thumbnail": shrink(grey).tobytes(),
        "nodata_fraction": 1.0 - counts.valid / grey.size,
        "flatness": _share(counts.flat_pairs, counts.pairs, 1.0),
        "sharpness": _variance(counts.laplacian_sum, counts.laplacian_squares, counts.centres),
        "saturated_fraction": _share(counts.saturated, counts.valid),
        "black_fraction": _share(counts.black, counts.valid),
        "cloud_fraction": _share(counts.clouds, counts.corners),
        **_tone(counts),
    }


def hash_rows(rows: list[Row]) -> None:
    """Add `phash` (equals imagehash) and `orientation_hashes` to rows that have a `thumbnail`."""
    pictures = b"".join(row["thumbnail"] for row in rows)
    thumbnails = np.frombuffer(pictures, dtype=np.uint8).reshape(-1, THUMBNAIL_PX, THUMBNAIL_PX)
    for row, hashes in zip(rows, hash_orientations_batch(thumbnails).tolist(), strict=True):
        row["phash"] = hashes[0]
        row["orientation_hashes"] = hashes


def pixel_hash(pixels: Pixels) -> str:
    """Hash the size and the values of pixels, uint8 (H, W, C): XXH3, 32 hex digits."""
    pixels = np.ascontiguousarray(pixels)
    digest = xxh3_128(repr(pixels.shape).encode())
    digest.update(pixels.data)
    return digest.hexdigest()


def _tone(counts: Counts) -> Row:
    if not counts.valid:
        return {"mean_grey": 0.0, "std_grey": 0.0}
    spread = _variance(counts.grey_sum, counts.grey_squares, counts.valid)
    return {"mean_grey": counts.grey_sum / counts.valid, "std_grey": spread**0.5}


def _share(part: int, whole: int, otherwise: float = 0.0) -> float:
    return part / whole if whole else otherwise


def _variance(total: int, squares: int, count: int) -> float:
    # In whole numbers up to the division: no cancellation.
    return (squares * count - total * total) / (count * count) if count else 0.0
