# SPDX-License-Identifier: Apache-2.0
"""Which planted copies are found, and what else is: ours beside imagehash and imagededup.

`make bench-duplicates`. Real tiles of every kind of ground (real_tiles.py), each copied in 8
orientations under each transform (planted_copies.py). The copies are matched against all tiles
by the code and the default settings that compare a corpus with a benchmark. Writes a document
and prints, as its last line, one line of JSON:

- `recall_min_required`: the least recall of any orientation × {none, JPEG ≥ 50, resize, gamma},
  after verification, of tiles with content (contrast of at least 4 grey levels in the 32x32
  thumbnail); `recall_faint` and `recall_not_blank` are the mean over the same transforms for
  the rest of the tiles that curation keeps, and for all that it keeps.
- `precision`: of the pairs found after verification, over all transforms, the share that is right.
- `strangers_found`: verified pairs among `strangers_pairs` pairs of other tiles of other places.

A pair is right if the copy was made of that original. Of other pairs those do not count that may
truly show the same: one ground (frames of one flight, chips less than 60 m apart), or pictures that
at full resolution differ by at most 2 grey levels in the mean. Ends with 1 where a requirement
fails: recall_min_required ≥ 0.99, precision ≥ 0.995. Without RSPIPE_REAL_DATA there is Blue Marble
alone, a third of it sea and ice: too little ground for the requirement.
"""

import argparse
import datetime
import json
import os
import platform
import sys
import time
from collections import Counter
from pathlib import Path

import imagehash
import numpy as np
import pyarrow as pa
from PIL import Image
from tqdm import tqdm

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.hashing import orient
from rspipe.curate.dedup.matching import find_duplicates, find_hits
from rspipe.curate.dedup.tiles import Tiles
from rspipe.io.provenance import code_commit
from rspipe.schema import ORIENTATIONS
from tests.benchmarks.duplicates_document import write
from tests.benchmarks.planted_copies import (
    REQUIRED,
    TRANSFORMS,
    Measured,
    copies_of,
    measure_all,
    plant,
)
from tests.benchmarks.real_tiles import all_tiles, many_tiles, may_show_the_same, real_data

CONTENT_STD = 4.0
BLANK_FLATNESS = 0.98
IMAGEHASH_BITS, IMAGEDEDUP_BITS = 4, 10
SAME_LEVELS = 2.0
LEAST_RECALL, LEAST_PRECISION = 0.99, 0.995


def tiles_of(measured):
    """Tiles of which each is an image of its own."""
    names = ("pixel_hash", "orientation_hashes", "thumbnail")
    columns = {name: [row[name] for row in measured.rows] for name in names}
    columns["thumbnail"] = pa.array(columns["thumbnail"], pa.binary(1024))
    columns["orientation_hashes"] = pa.array(
        columns["orientation_hashes"], pa.list_(pa.uint64(), 8)
    )
    columns["image_id"] = [f"{number + 1:032x}"[::-1] for number in range(len(measured.rows))]
    return Tiles.from_table(pa.table(columns))


class Judge:
    """Says of two different tiles whether a match of them is false."""

    def __init__(self, tiles):
        self._tiles = tiles
        self._known = {}

    def __call__(self, one, other):
        key = (min(one, other), max(one, other))
        if key not in self._known:
            self._known[key] = self._verdict(self._tiles[key[0]], self._tiles[key[1]])
        return self._known[key]

    def _verdict(self, one, other):
        if may_show_the_same(one, other):
            return "one ground"
        return "one picture" if difference(one.pixels, other.pixels) <= SAME_LEVELS else "strangers"

    def settled(self):
        """All pairs judged, by verdict."""
        return Counter(self._known.values())


def difference(one, other):
    """Mean difference in grey levels at the smaller one's resolution, in the best orientation."""
    small, large = sorted((one, other), key=lambda pixels: pixels.shape[0])
    size = (small.shape[1], small.shape[0])
    grey = np.asarray(Image.fromarray(small).convert("L"), np.int16)
    turned = (np.ascontiguousarray(orient(large, name)) for name in ORIENTATIONS)
    greys = (Image.fromarray(p).convert("L").resize(size, Image.Resampling.LANCZOS) for p in turned)
    return min(np.abs(grey - np.asarray(g, np.int16)).mean() for g in greys)


class Score:
    """What one method found of the copies under one transform."""

    def __init__(self, copies, originals, judge, count):
        self.found = np.zeros((count, len(ORIENTATIONS)), dtype=bool)
        made_of = copies // len(ORIENTATIONS)
        right = made_of == originals
        self.found.reshape(-1)[copies[right]] = True
        wrong = zip(made_of[~right].tolist(), originals[~right].tolist(), strict=True)
        self.false = sum(judge(i, j) == "strangers" for i, j in wrong)
        self.right = int(self.found.sum())

    def recall(self, tiles, orientations=slice(None)):
        return float(self.found[tiles][:, orientations].mean())

    @property
    def precision(self):
        return self.right / max(self.right + self.false, 1)


def by_distance(copies, originals, bits):
    """Pairs whose plain hashes are close: what imagehash and imagededup call duplicates."""
    found = []
    for start in range(0, len(copies), 1000):
        apart = np.bitwise_count(copies[start : start + 1000, None] ^ originals[None])
        copy, original = np.nonzero(apart <= bits)
        found.append((copy + start, original))
    return tuple(np.concatenate(columns) for columns in zip(*found, strict=True))


def score(copies, originals, judge, config):
    """Score all methods on the copies under one transform."""
    count = len(originals.rows)
    pairs = find_hits(tiles_of(copies), tiles_of(originals), config, rejected=True)
    sure = ~pairs.rejected
    upright = by_distance(copies.hashes[:, 0], originals.hashes[:, 0], IMAGEHASH_BITS)
    theirs = by_distance(copies.imagededup, originals.imagededup, IMAGEDEDUP_BITS)
    return {
        "hash": Score(pairs.copy, pairs.original, judge, count),
        "verified": Score(pairs.copy[sure], pairs.original[sure], judge, count),
        "imagehash": Score(*upright, judge, count),
        "imagededup": Score(*theirs, judge, count),
    }


def check_imagehash(tiles, transform, copies):
    """That imagehash would have seen what we say it sees."""
    chosen = list(enumerate(tiles))[::97]
    for number, tile in chosen:
        first = next(copies_of([(number, tile)], transform))
        row = copies.rows[number * len(ORIENTATIONS)]
        if str(imagehash.phash(Image.fromarray(first))) != f"{row['phash']:016x}":
            raise AssertionError(f"{transform}: imagehash sees {tile.name} otherwise")


def strangers(folder, config):
    """Match many small tiles of different places among themselves: what is found is false."""
    tiles = many_tiles(folder)
    measured = measure_all([tile.pixels for tile in tiles])
    keep = np.flatnonzero([row["flatness"] <= BLANK_FLATNESS for row in measured.rows])
    tiles = [tiles[i] for i in keep]
    measured = Measured([measured.rows[i] for i in keep], measured.imagededup[keep])
    judge = Judge(tiles)
    found = find_duplicates(tiles_of(measured), config, np.arange(len(keep)), rejected=True)
    false = {
        "hash": false_pairs(found.copy, found.original, judge),
        "verified": false_pairs(
            found.copy[~found.rejected], found.original[~found.rejected], judge
        ),
    }
    own, theirs = measured.hashes[:, 0], measured.imagededup
    for name, hashes, bits in (
        ("imagehash", own, IMAGEHASH_BITS),
        ("imagededup", theirs, IMAGEDEDUP_BITS),
    ):
        copy, original = by_distance(hashes, hashes, bits)
        below = copy > original
        false[name] = false_pairs(copy[below], original[below], judge)
    return {"tiles": tiles, "false": false}


def false_pairs(copies, originals, judge):
    pairs = zip(copies.tolist(), originals.tolist(), strict=True)
    return sorted((i, j) for i, j in pairs if judge(i, j) == "strangers")


def summarise(masks, scores, others):
    required = [scores[name]["verified"] for name in REQUIRED]
    cells = [s.recall(masks["content"], [k]) for s in required for k in range(len(ORIENTATIONS))]
    verified = [s["verified"] for s in scores.values()]
    right, false = sum(s.right for s in verified), sum(s.false for s in verified)
    count = len(others["tiles"])
    return {
        "recall_min_required": round(min(cells), 5),
        "recall_faint": round(float(np.mean([s.recall(masks["faint"]) for s in required])), 5),
        "recall_not_blank": round(float(np.mean([s.recall(masks["kept"]) for s in required])), 5),
        "precision": round(right / (right + false), 6),
        "precision_min": round(min(s.precision for s in verified), 6),
        "false_pairs": false,
        "copies": sum(s.found.size for s in verified),
        "strangers_found": len(others["false"]["verified"]),
        "strangers_pairs": count * (count - 1) // 2,
    }


def processor():
    """Model and number of cores, where the system says."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="take one of so many tiles")
    parser.add_argument("--document", type=Path, help="where the Markdown goes")
    options = parser.parse_args()
    started = time.monotonic()
    config = DedupConfig()
    tiles = all_tiles(real_data())[:: options.every]
    originals = measure_all([tile.pixels for tile in tiles])
    std = tiles_of(originals).thumbnail_std
    kept = np.array([row["flatness"] <= BLANK_FLATNESS for row in originals.rows])
    masks = {
        "kept": kept,
        "content": kept & (std >= CONTENT_STD),
        "faint": kept & (std < CONTENT_STD),
    }
    judge = Judge(tiles)
    scores = {}
    for transform in tqdm(TRANSFORMS, desc="transforms"):
        copies = plant(tiles, transform, options.processes)
        check_imagehash(tiles, transform, copies)
        scores[transform] = score(copies, originals, judge, config)
    others = strangers(real_data(), config)
    result = summarise(masks, scores, others)
    context = {
        "date": datetime.date.today().isoformat(),
        "commit": code_commit(),
        "command": "make bench-duplicates",
        "machine": f"{processor()}, Python {platform.python_version()}",
        "minutes": round((time.monotonic() - started) / 60, 1),
        "config": config,
    }
    text = write(context, tiles, masks, scores, judge, others, result)
    print(text)
    if options.document:
        options.document.write_text(text)
    print(json.dumps(result))
    good = result["recall_min_required"] >= LEAST_RECALL and result["precision"] >= LEAST_PRECISION
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
