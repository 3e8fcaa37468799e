# SPDX-License-Identifier: Apache-2.0
import io

import numpy as np
import pytest
from PIL import Image

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.frames import MIRRORS, in_frame
from rspipe.curate.dedup.hashing import hash_orientations, orient, shrink
from rspipe.curate.dedup.matching import find_hits
from rspipe.schema import ORIENTATIONS
from tests.curate.dedup.tables import tiles_of


def picture(seed):
    coarse = np.random.default_rng(seed).normal(0, 1, (12, 12)).astype(np.float32)
    smooth = np.asarray(Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC))
    return np.clip(np.rint(120 + 12 * smooth), 0, 255).astype(np.uint8)


def jpeg(grey, quality):
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize(("frame", "mirror"), list(enumerate(MIRRORS)))
def test_a_frame_holds_the_hashes_of_the_mirrored_picture(frame, mirror):
    thumbnail = shrink(picture(0))
    turned = [orient(thumbnail, name) for name in ORIENTATIONS]
    expected = [hash_orientations(np.ascontiguousarray(orient(t, mirror)))[0] for t in turned]
    hashes = hash_orientations(thumbnail)[None]
    assert in_frame(hashes, frame)[0].tolist() == [int(h) for h in expected]
    assert in_frame(hashes, frame, 1)[0].tolist() == [int(expected[0])]


@pytest.mark.parametrize("orientations", [True, False])
def test_four_frames_find_copies_that_one_frame_misses(orientations):
    pictures = [picture(seed) for seed in range(40)]
    turns = ORIENTATIONS if orientations else ("identity",)
    copies = [jpeg(orient(p, turns[i % len(turns)]), 10) for i, p in enumerate(pictures)]
    config = DedupConfig(orientations=orientations, min_similarity=-1)  # hashes alone
    found = {}
    for mirror_frames in (True, False):
        change = {"mirror_frames": mirror_frames}
        hits = find_hits(tiles_of(copies), tiles_of(pictures), config.model_copy(update=change))
        assert (hits.copy == hits.original).all()
        found[mirror_frames] = set(hits.copy.tolist())
    assert found[True] > found[False]
