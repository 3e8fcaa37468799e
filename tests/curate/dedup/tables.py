# SPDX-License-Identifier: Apache-2.0
"""Tiles for tests of matching, from grey pictures or from numbers."""

import hashlib

import numpy as np

from rspipe.curate.dedup.hashing import hash_orientations, shrink
from rspipe.curate.dedup.pairs import KINDS
from rspipe.curate.dedup.tiles import UNKNOWN_DAY, MemoryThumbnails, Tiles
from rspipe.curate.dedup.verify import similarity
from rspipe.schema import ORIENTATIONS


def key_of(value):
    digest = hashlib.blake2b(repr(value).encode(), digest_size=16).digest()
    return np.frombuffer(digest, ">u8").astype(np.uint64)


def make_tiles(hashes, thumbnails, pixels, files=None, **changes):
    """Tiles of which each is an image of its own, unless told otherwise."""
    count = len(pixels)
    thumbnails = np.asarray(thumbnails, np.uint8).reshape(count, -1)
    columns = {
        "byte_key": np.array(
            [key_of(f)[0] if f else 0 for f in files or [None] * count], np.uint64
        ),
        "pixel_keys": np.array([key_of(p) for p in pixels]).reshape(-1, 2),
        "hashes": np.asarray(hashes, np.uint64),
        "thumbnail_std": thumbnails.std(axis=1, dtype=np.float64).astype(np.float32),
        "thumbnails": MemoryThumbnails(thumbnails),
        "image": np.arange(1, count + 1, dtype=np.uint64),
        "partner": np.zeros(count, np.uint64),
        "is_parent": np.zeros(count, np.bool_),
        "windows": np.tile(np.array([0, 0, 64, 64], np.int32), (count, 1)),
        "size_px": np.full((count, 2), 64, np.int32),
        "gsd_m": np.zeros(count, np.float32),
        "bounds": np.zeros((count, 4)),
        "day": np.full(count, UNKNOWN_DAY, np.int32),
    }
    return Tiles(**columns | changes)


def tiles_of(greys, files=None, **changes):
    """Tiles of uint8 (H, W) pictures."""
    thumbnails = np.stack([shrink(np.ascontiguousarray(g)) for g in greys])
    hashes = np.stack([hash_orientations(t) for t in thumbnails])
    pixels = [(g.shape, g.tobytes()) for g in greys]
    return make_tiles(hashes, thumbnails, pixels, files, **changes)


def noisy_copy(grey, low, high):
    """A copy whose thumbnail correlates with that of a (32 n, 32 n) picture by low … high."""
    noise = np.random.default_rng(0).normal(0, 1, (32, 32))
    noise = noise.repeat(len(grey) // 32, axis=0).repeat(len(grey) // 32, axis=1)
    for level in range(1, 100):
        copy = (grey + level * noise).clip(0, 255).astype(np.uint8)
        if low < similarity(shrink(copy), shrink(np.ascontiguousarray(grey)), "identity") < high:
            return copy
    raise AssertionError("no level of noise does it")


def dicts(pairs):
    """Pairs as dictionaries with words, for comparison and for reading."""
    return [
        {
            "copy": int(pairs.copy[i]),
            "original": int(pairs.original[i]),
            "kind": KINDS[pairs.kind[i]],
            "bits": int(pairs.distance_bits[i]),
            "orientation": ORIENTATIONS[pairs.orientation[i]],
            "similarity": round(float(pairs.similarity[i]), 5),
            "rejected": bool(pairs.rejected[i]),
        }
        for i in range(len(pairs))
    ]
