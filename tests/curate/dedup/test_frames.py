import io

import numpy as np
import pytest
from PIL import Image

from rspipe.curate.dedup.frames import FRAMES, MIRRORS, framed_pairs
from rspipe.curate.dedup.hashing import hash_orientations, orient, shrink
from rspipe.curate.dedup.search import orientation_pairs
from rspipe.schema import ORIENTATIONS


def picture(seed):
    coarse = np.random.default_rng(seed).normal(0, 1, (12, 12)).astype(np.float32)
    smooth = np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC))
    return np.clip(np.rint(120 + 12 * smooth), 0, 255).astype(np.uint8)


def jpeg(grey, quality):
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def hashes_of(greys):
    return np.stack([hash_orientations(shrink(grey)) for grey in greys])


@pytest.mark.parametrize(("frame", "mirror"), list(enumerate(MIRRORS)))
def test_a_frame_holds_the_hashes_of_the_mirrored_picture(frame, mirror):
    thumbnail = shrink(picture(0))
    mirrored = np.ascontiguousarray(orient(thumbnail, mirror))
    turned = [orient(thumbnail, name) for name in ORIENTATIONS]
    expected = [hash_orientations(np.ascontiguousarray(orient(t, mirror)))[0] for t in turned]
    framed = hash_orientations(thumbnail)[FRAMES[frame]]
    assert framed.tolist() == [int(h) for h in expected]
    assert framed[0] == hash_orientations(mirrored)[0]


def brute_force(queries, hashes, bits):
    found = {}
    for i, query in enumerate(queries):
        for j, original in enumerate(hashes):
            for k in range(8):
                apart = min(
                    int(query[columns[0]] ^ original[columns[k]]).bit_count() for columns in FRAMES
                )
                if apart <= bits:
                    found[i, j, k] = apart
    return found


def test_every_pair_that_is_close_in_some_frame_is_found_once():
    originals = hashes_of([picture(seed) for seed in range(30)])
    copies = hashes_of([jpeg(orient(picture(i), ORIENTATIONS[i % 8]), 10) for i in range(30)])
    found = framed_pairs(copies, originals, 4)
    keys = zip(
        found.copy.tolist(), found.original.tolist(), found.orientation.tolist(), strict=True
    )
    expected = brute_force(copies, originals, 4)
    assert dict(zip(keys, found.distance_bits.tolist(), strict=True)) == expected
    assert len(found) == len(expected) > len(orientation_pairs(copies, originals, 4))
    one = framed_pairs(copies, originals, 4, frames=1)
    assert len(one) == len(orientation_pairs(copies, originals, 4))


def test_a_set_is_searched_against_itself_without_a_tile_against_itself():
    greys = [picture(seed) for seed in range(6)]
    hashes = hashes_of([*greys, *(jpeg(orient(g, "rot90"), 60) for g in greys)])
    found = framed_pairs(hashes, None, 4)
    pairs = set(zip(found.copy.tolist(), found.original.tolist(), strict=True))
    assert pairs == {(i, i + 6) for i in range(6)} | {(i + 6, i) for i in range(6)}


def test_upright_copies_alone_are_searched_in_every_frame_too():
    hashes = hashes_of([picture(seed) for seed in range(12)])
    copies = hashes_of([jpeg(picture(seed), 15) for seed in range(12)])
    upright = framed_pairs(copies, hashes, 4, orientations=1)
    assert set(upright.orientation.tolist()) == {0}
    assert len(upright) > len(orientation_pairs(copies, hashes, 4, orientations=1))
