"""Hashing and search on real tiles: ours beside imagehash, and beside brute force.

`make bench-curate`. Prints a table for people and, as its last line, one line of JSON.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import imagehash
import numpy as np
from PIL import Image

from pipelines.demo.make_data import make_data
from rspipe.curate.dedup.hashing import hash_orientations, orient, shrink
from rspipe.curate.dedup.search import radius_pairs
from rspipe.schema import ORIENTATIONS


def timed(function, runs):
    """Median seconds of a call, after one warm-up."""
    function()
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def peer_orientations(grey):
    """Eight hashes the way one gets them from imagehash: turn the image, hash it again."""
    return [
        imagehash.phash(Image.fromarray(np.ascontiguousarray(orient(grey, o))))
        for o in ORIENTATIONS
    ]


def brute_force(queries, hashes, bits):
    found = 0
    for query in queries:
        found += int((np.bitwise_count(hashes ^ query) <= bits).sum())
    return found


def spread(hashes, count, rng):
    """Real hashes first, then random ones, up to `count`."""
    extra = rng.integers(0, 2**64, max(0, count - len(hashes)), dtype=np.uint64)
    return np.concatenate([hashes, extra])[:count]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiles", type=int, default=300)
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--queries", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        make_data(Path(folder) / "native")
        paths = sorted((Path(folder) / "native/demo_chips/gallery").glob("earth_*.jpg"))
        greys = [np.asarray(Image.open(p).convert("L")) for p in paths[: options.tiles]]
    ours_s = timed(lambda: [hash_orientations(shrink(g)) for g in greys], options.runs)
    peer_s = timed(lambda: [peer_orientations(g) for g in greys], options.runs)
    rng = np.random.default_rng(0)
    real = np.array([hash_orientations(shrink(g))[0] for g in greys])
    hashes = spread(real, options.hashes, rng)
    queries = spread(real, options.queries, rng)
    search_s = timed(lambda: radius_pairs(queries, hashes, 4), options.runs)
    brute_s = timed(lambda: brute_force(queries, hashes, 4), 1)
    same = len(radius_pairs(queries, hashes, 4)[0]) == brute_force(queries, hashes, 4)
    result = {
        "hash_tiles_per_s": round(len(greys) / ours_s, 1),
        "imagehash_tiles_per_s": round(len(greys) / peer_s, 1),
        "hash_speedup": round(peer_s / ours_s, 2),
        "search_queries_per_s": round(len(queries) / search_s, 1),
        "brute_force_queries_per_s": round(len(queries) / brute_s, 1),
        "search_speedup": round(brute_s / search_s, 2),
        "search_equals_brute_force": same,
        "hashes": len(hashes),
    }
    rows = (
        (f"8 orientations of {len(greys)} tiles", "tiles/s", "hash_tiles", "imagehash_tiles"),
        (
            f"radius 4 in {len(hashes):,} hashes",
            "queries/s",
            "search_queries",
            "brute_force_queries",
        ),
    )
    for title, unit, ours, peer in rows:
        fast, slow = result[f"{ours}_per_s"], result[f"{peer}_per_s"]
        print(f"{title:<32} {unit:<9} rspipe {fast:>10,.0f}   peer {slow:>8,.0f}")
    print(f"search finds the same pairs as brute force: {same}")
    print(json.dumps(result))
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
