# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a JPEG tile to all its measures, on one core: ours beside Pillow and two peers.

`make bench-curate`. Real tiles of 64, 128, 256 and 512 px, cut from real pictures (real_tiles.py)
and encoded by Pillow at quality 90. One process, bound to one core; the contenders take turns, run
by run, and a ratio is the median of the ratios of the runs. Prints a table per tile size and,
as its last line, one line of JSON.

- **Pillow**: `Image.open(bytes).load()`: bare decode, no array.
- **imagehash**: decode with Pillow once, then for each of the 8 orientations turn the picture
  and hash it. "decoded": the same without the decode.
- **imagededup**: decode with Pillow once, then `PHash.encode_image` on the array, turned 8 ways.
- **rspipe**: what the slice stage does with a tile: decode, all measures (pixel hash, thumbnail,
  flatness, sharpness, shares of no data, saturation, black and cloud, mean and deviation), and the
  hashes of all 8 orientations, taken in batches of 256. "hashes only": from decoded pixels.

The JSON line speaks of 256 px, the field's usual tile:
`vs_imagehash_8` is the hardest reading: imagehash's 8 hashes *without* its decode, over everything
we do *with* ours; `vs_imagehash_8_from_bytes` grants imagehash its decode. `vs_imagededup` and
`vs_bare_decode` (a speed ratio: 1 is as fast as Pillow decodes) are from bytes, too.
`images_per_s_core` is ours. Ends with 1 where a hash differs from imagehash's, or a pixel from
Pillow's.
"""

import argparse
import io
import json
import os
import statistics
import sys
import time

import imagehash
import numpy as np
from imagededup.methods import PHash
from PIL import Image

from rspipe.curate.dedup.hashing import hash_orientations_batch, orient, shrink
from rspipe.curate.measure import hash_rows, measure_pixels
from rspipe.curate.pixel_scan import scan
from rspipe.io.images import decode_picture
from rspipe.schema import ORIENTATIONS
from tests.benchmarks.real_tiles import cut, large_pictures, real_data

SIZES = (64, 128, 256, 512)
HEADLINE_PX = 256
BATCH = 256
TURNS = (
    None,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_180,
    Image.Transpose.ROTATE_270,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
)


def encode(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def decode(data):
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def imagehash_8(image):
    turned = (image if turn is None else image.transpose(turn) for turn in TURNS)
    return [imagehash.phash(picture) for picture in turned]


def imagededup_8(encoder, pixels):
    return [
        encoder.encode_image(image_array=np.ascontiguousarray(orient(pixels, name)))
        for name in ORIENTATIONS
    ]


def ours(tiles):
    for start in range(0, len(tiles), BATCH):
        rows = []
        for data in tiles[start : start + BATCH]:
            picture = decode_picture(data, "tile")
            rows.append(measure_pixels(picture.pixels, picture.valid))
        hash_rows(rows)
    return rows


def our_hashes(arrays):
    for start in range(0, len(arrays), BATCH):
        some = arrays[start : start + BATCH]
        hash_orientations_batch(np.stack([shrink(scan(pixels, None)[0]) for pixels in some]))


def contenders(tiles):
    """Name and call of each; every call does all tiles once."""
    images = [decode(data) for data in tiles]
    arrays = [np.array(image) for image in images]
    encoder = PHash(verbose=False)
    return {
        "Pillow: decode": lambda: [decode(data) for data in tiles],
        "imagehash: decode + 8 hashes": lambda: [imagehash_8(decode(data)) for data in tiles],
        "imagehash: 8 hashes, decoded": lambda: [imagehash_8(image) for image in images],
        "imagededup: decode + 8 hashes": lambda: [
            imagededup_8(encoder, np.asarray(decode(data))) for data in tiles
        ],
        "rspipe: decode + 8 hashes + all measures": lambda: ours(tiles),
        "rspipe: hashes only, decoded": lambda: our_hashes(arrays),
    }


def clock(calls, runs):
    """Seconds of each run of each contender, taking turns after one warm-up."""
    for call in calls.values():
        call()
    seconds = {name: [] for name in calls}
    for _ in range(runs):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def ratio(slow, fast):
    """Median over the runs of how many times longer the first took."""
    return statistics.median(s / f for s, f in zip(slow, fast, strict=True))


def is_right(tiles):
    """Whether our pixels are Pillow's and our hashes imagehash's."""
    for data in tiles:
        image = decode(data)
        pixels = decode_picture(data, "tile").pixels
        row = measure_pixels(pixels)
        hash_rows([row])
        if not np.array_equal(pixels, np.asarray(image).reshape(pixels.shape)):
            return False
        if f"{row['phash']:016x}" != str(imagehash.phash(image)):
            return False
    return True


def table(px, tiles, seconds):
    all_ours = seconds["rspipe: decode + 8 hashes + all measures"]
    print(f"\n{px} px, {len(tiles)} tiles, {statistics.mean(map(len, tiles)) / 1024:.1f} KiB each")
    print(f"  {'':<42}{'µs a tile':>10}{'tiles/s':>10}{'× ours':>9}")
    for name, times in seconds.items():
        each = statistics.median(times) / len(tiles)
        print(f"  {name:<42}{each * 1e6:>10.1f}{1 / each:>10.0f}{ratio(times, all_ours):>9.2f}")


def headline(tiles, seconds):
    names = {
        "vs_imagehash_8": "imagehash: 8 hashes, decoded",
        "vs_imagehash_8_from_bytes": "imagehash: decode + 8 hashes",
        "vs_imagededup": "imagededup: decode + 8 hashes",
        "vs_bare_decode": "Pillow: decode",
    }
    all_ours = seconds["rspipe: decode + 8 hashes + all measures"]
    figures = {key: round(ratio(seconds[name], all_ours), 2) for key, name in names.items()}
    return figures | {"images_per_s_core": round(len(tiles) / statistics.median(all_ours))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=256, help="tiles of each size")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    pictures = large_pictures(real_data())
    print(f"{len(pictures)} pictures: {', '.join(sorted({p.kind for p in pictures}))}; core {core}")
    result, right = {}, True
    for px in SIZES:
        tiles = [encode(pixels) for pixels in cut(pictures, px, options.tiles)]
        right = right and is_right(tiles)
        seconds = clock(contenders(tiles), options.runs)
        table(px, tiles, seconds)
        if px == HEADLINE_PX:
            result = headline(tiles, seconds)
    print(f"\npixels equal Pillow's and hashes equal imagehash's: {right}")
    print(json.dumps(result))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
