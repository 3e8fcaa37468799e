# SPDX-License-Identifier: Apache-2.0
"""Sets of orientation hashes whose neighbours are known, for `bench_dedup`.

Both sets are made in the space of low DCT blocks and hashed there by the very rules of
`rspipe.curate.dedup.hashing`, many at a time; `check_hashing` compares the two on real windows.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.fftpack import dct
from tqdm import tqdm

from pipelines.demo.world import World
from rspipe.curate.dedup.hashing import hash_orientations, orient, shrink
from rspipe.schema import ORIENTATIONS

CHUNK = 100_000
PROBE = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)


def low_dct(thumbnail):
    """The 64 coefficients that are hashed, row by row."""
    return dct(dct(thumbnail, axis=0), axis=1)[:8, :8].reshape(64)


def effect_on_dct(orientation):
    """What a flip or turn does to the 64 coefficients: where each comes from, and its sign."""
    before, turned = low_dct(PROBE), low_dct(orient(PROBE, orientation))
    source = np.abs(np.abs(turned)[:, None] - np.abs(before)).argmin(axis=1)
    return source, np.sign(turned * before[source])


SOURCE, SIGN = (np.stack(parts) for parts in zip(*map(effect_on_dct, ORIENTATIONS), strict=True))


def after(k, then):
    """The orientation that is orientation k followed by another."""
    probe = np.arange(4, dtype=np.uint8).reshape(2, 2)
    turned = orient(orient(probe, ORIENTATIONS[k]), ORIENTATIONS[then])
    return next(i for i, o in enumerate(ORIENTATIONS) if (orient(probe, o) == turned).all())


AFTER = np.array([[after(k, then) for then in range(8)] for k in range(8)])


def hash_blocks(blocks):
    """Orientation hashes, uint64 (n, 8), of low DCT blocks, (n, 64)."""
    hashes = np.empty((len(blocks), 8), dtype=np.uint64)
    for k in range(8):
        turned = blocks.take(SOURCE[k], axis=1) * SIGN[k].astype(blocks.dtype)
        middle = np.sort(turned, axis=1)[:, 31:33]
        bits = turned > middle.mean(axis=1, keepdims=True)
        hashes[:, k] = np.packbits(bits, axis=1).view(">u8")[:, 0]
    return hashes


def fill(hashes, make_blocks, seed, title):
    """Hash blocks chunk by chunk on two threads; each chunk has a seed of its own."""

    def one(start):
        rows = slice(start, min(start + CHUNK, len(hashes)))
        rng = np.random.default_rng([seed, start])
        hashes[rows] = hash_blocks(make_blocks(rng, rows.stop - rows.start))

    starts = range(0, len(hashes), CHUNK)
    with ThreadPoolExecutor(2) as pool:
        list(tqdm(pool.map(one, starts), title, len(starts), disable=None))


@dataclass
class Planted:
    """Hashes (N, 8), and what was planted: C copies with their originals and how they turned."""

    hashes: np.ndarray
    copy: np.ndarray
    original: np.ndarray
    orientation: np.ndarray


def planted_set(count, seed=0, share=0.05, orientations=8):
    """Random pictures, and copies of some of them: turned, with 0 to 4 bits of the hash flipped.

    Copy i is original j after orientation k: its own hash is hashes[j, k] with up to four bits
    flipped (0 to 4, equally often), so that the pair (i, j, k) has exactly that distance. Its other
    orientations are the original's that come after k, with the same coefficients' bits flipped.
    """
    hashes = np.empty((count, 8), dtype=np.uint64)
    u, v = np.mgrid[:8, :8]
    falloff = (1 / (1 + u + v)).reshape(64).astype(np.float32)

    def random_blocks(rng, n):
        blocks = rng.standard_normal((n, 64), dtype=np.float32) * falloff
        blocks[:, 0] = 20 + 10 * rng.random(n, dtype=np.float32)  # a mean grey is positive
        return blocks

    fill(hashes, random_blocks, seed, f"hashing {count:,} random pictures")
    rng = np.random.default_rng([seed, 1, 1])
    chosen = rng.choice(count, 2 * round(count * share), replace=False)
    copy, original = np.sort(chosen[::2]), chosen[1::2]
    k = rng.integers(0, orientations, len(copy))
    places = np.argsort(rng.random((len(copy), 64), dtype=np.float32), axis=1)[:, :4]
    flipped = np.zeros((len(copy), 64), dtype=bool)
    used = np.arange(4) < rng.integers(0, 5, len(copy))[:, None]
    flipped[np.nonzero(used)[0], places[used]] = True
    for then in range(8):
        bits = (
            np.packbits(flipped.take(SOURCE[then], axis=1), axis=1)
            .view(">u8")[:, 0]
            .astype(np.uint64)
        )
        hashes[copy, then] = hashes[original, AFTER[k, then]] ^ bits
    return Planted(hashes, copy, original, k)


def real_blocks(count, seed=0):
    """Low DCT blocks, (n, 64), of windows of Blue Marble: 48 to 255 px wide, anywhere on Earth."""
    grey = np.asarray(Image.fromarray(World.from_package().picture).convert("L"))
    rng = np.random.default_rng([seed, 2])
    blocks = np.empty((count, 64))
    for i in tqdm(range(count), "reading real windows", disable=None):
        side = rng.integers(48, 256)
        y, x = rng.integers(0, grey.shape[0] - side), rng.integers(0, grey.shape[1] - side)
        thumbnail = shrink(grey[y : y + side, x : x + side])
        blocks[i] = low_dct(thumbnail)
        if i < 200:
            check_hashing(thumbnail, blocks[i])
    return blocks


def check_hashing(thumbnail, block):
    """The hashes of a block are those that rspipe computes from the picture."""
    if hash_blocks(block[None])[0].tolist() != hash_orientations(thumbnail).tolist():
        raise AssertionError("the benchmark's hashes differ from rspipe's")


def skewed_set(count, seed=0, flat=0.1, windows=40_000):
    """Real pictures blown up to `count`, a tenth of them exactly flat, in random order.

    The others are each the low DCT block of a real window (open sea and ice included, as they
    come) plus white noise of 0.75 times the block's median magnitude, hashed anew in all
    orientations: some 300 pictures around each window at 13 million, about 13 bits apart. So the
    bits go together as in real pictures, and crowds are where real pictures are.
    """
    real = real_blocks(windows, seed).astype(np.float32)
    noise = 0.75 * np.median(np.abs(real), axis=1, keepdims=True)
    hashes = np.empty((count, 8), dtype=np.uint64)

    def like_real(rng, n):
        chosen = rng.integers(0, len(real), n)
        return real[chosen] + noise[chosen] * rng.standard_normal((n, 64), dtype=np.float32)

    fill(hashes, like_real, seed, f"hashing {count:,} pictures like real ones")
    rng = np.random.default_rng([seed, 3])
    hashes[rng.random(count) < flat] = hash_orientations(np.full_like(PROBE, 96))
    return hashes
