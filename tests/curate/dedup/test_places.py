# SPDX-License-Identifier: Apache-2.0
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup.places import (
    located,
    overlapping_crops,
    same_footprints,
    shared_footprints,
)
from rspipe.curate.dedup.tiles import UNKNOWN_DAY
from tests.curate.dedup.tables import dicts, make_tiles

DEGREES = 64 / 111_320  # of 64 px at 1 m, at the equator


def tiles_at(corners, *, day=18_000, gsd_m=1.0, windows=None, **changes):
    """Tiles of 64 px with their south-west corners in tile widths off (0, 0)."""
    count = len(corners)
    west, south = np.array(corners, float).reshape(-1, 2).T * DEGREES
    columns = {
        "bounds": np.stack([west, south, west + DEGREES, south + DEGREES], axis=1),
        "day": np.broadcast_to(np.asarray(day, np.int32), count).copy(),
        "gsd_m": np.broadcast_to(np.asarray(gsd_m, np.float32), count).copy(),
    }
    hashes, thumbnails = np.zeros((count, 8), np.uint64), np.zeros((count, 32, 32))
    return make_tiles(hashes, thumbnails, range(count), **columns | changes)


def found(tiles, **config):
    pairs = same_footprints(tiles, np.ones(len(tiles), bool), DedupConfig(**config))
    return sorted(tuple(sorted((p["copy"], p["original"]))) for p in dicts(pairs))


def test_the_same_ground_on_the_same_day_is_the_same_picture():
    assert found(tiles_at([(0, 0), (0.05, 0.05), (0.5, 0)])) == [(0, 1)]
    assert found(tiles_at([(0, 0), (0.05, 0.05), (0.5, 0)]), min_footprint_iou=0.3) == [
        (0, 1),
        (0, 2),
        (1, 2),
    ]


def test_another_day_or_an_unknown_one_is_another_picture():
    assert found(tiles_at([(0, 0)] * 3, day=[18_000, 18_001, UNKNOWN_DAY])) == []
    assert found(tiles_at([(0, 0)] * 2, day=UNKNOWN_DAY)) == []


def test_another_gsd_or_an_unknown_one_is_another_picture():
    corners = [(0, 0)] * 4
    assert found(tiles_at(corners, gsd_m=[1.0, 1.09, 1.2, 0])) == [(0, 1)]
    assert found(tiles_at(corners, gsd_m=[1.0, 1.09, 1.2, 0]), max_gsd_ratio=1.3) == [
        (0, 1),
        (0, 2),
        (1, 2),
    ]


def test_a_footprint_that_is_not_the_tiles_own_says_nothing():
    """All tiles of a scene with the scene's bounds: 64 px of 0.1 m do not cover 64 m."""
    tiles = tiles_at([(0, 0)] * 3, gsd_m=0.1)
    assert not located(tiles).any()
    assert found(tiles) == []


def test_without_bounds_nothing_is_located():
    tiles = tiles_at([(0, 0)] * 2, bounds=np.zeros((2, 4)))
    assert not located(tiles).any()
    assert found(tiles) == []


def test_tiles_of_one_image_and_of_a_change_pair_are_left_to_lineage():
    image = np.array([1, 1, 2], np.uint64)
    partner = np.array([0, 0, 1], np.uint64)
    assert found(tiles_at([(0, 0)] * 3, image=image)) == [(0, 2), (1, 2)]
    assert found(tiles_at([(0, 0)] * 3, image=image, partner=partner)) == []


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.5, 0.8]))
def test_footprints_are_those_of_comparing_everything(seed, iou):
    rng = np.random.default_rng(seed)
    count = 40
    corners = rng.uniform(0, 3, (count, 2))
    days, gsds = rng.integers(18_000, 18_003, count), rng.choice([1.0, 1.05, 1.2], count)
    tiles = tiles_at(corners, day=days, gsd_m=gsds)
    others = tiles_at(corners + 0.1, day=days, gsd_m=gsds)

    def share(i, j, moved):
        common = np.maximum(1 - np.abs(corners[i] - corners[j] - moved), 0).prod()
        return common if moved else common / (2 - common)

    def fits(i, j, moved=0.0):
        ratio = max(gsds[i] / gsds[j], gsds[j] / gsds[i])
        return days[i] == days[j] and ratio <= 1.1 and share(i, j, moved) >= iou

    assert found(tiles, min_footprint_iou=iou) == [
        (i, j) for i in range(count) for j in range(i + 1, count) if fits(i, j)
    ]
    across = shared_footprints(tiles, others, DedupConfig(min_footprint_iou=iou))
    assert sorted(zip(across.copy.tolist(), across.original.tolist(), strict=True)) == [
        (i, j) for i in range(count) for j in range(count) if fits(i, j, 0.1)
    ]


def test_a_tile_inside_a_larger_one_shares_all_its_ground():
    small = tiles_at([(1.5, 1.5)])
    large = tiles_at([(0, 0)], size_px=np.full((1, 2), 256, np.int32))
    large.bounds[:, 2:] = 4 * DEGREES
    hits = shared_footprints(small, large, DedupConfig(min_footprint_iou=0.25))
    assert dicts(hits)[0]["similarity"] == 1.0
    assert not len(shared_footprints(small, tiles_at([(9, 9)]), DedupConfig()))
    assert not len(shared_footprints(small, large, DedupConfig(min_footprint_iou=None)))


def windows(*corners, image=None, side=64):
    count = len(corners)
    boxes = np.array([(y, x, side, side) for y, x in corners], np.int32)
    image = np.ones(count, np.uint64) if image is None else np.array(image, np.uint64)
    return make_tiles(
        np.zeros((count, 8), np.uint64),
        np.zeros((count, 32, 32)),
        range(count),
        windows=boxes,
        image=image,
    )


def test_windows_of_one_image_that_overlap_enough_are_crops_of_each_other():
    tiles = windows((0, 0), (0, 16), (0, 32), (100, 100))
    pairs = dicts(overlapping_crops(tiles, np.ones(4, bool), 0.5))
    assert {(p["copy"], p["original"]): p["similarity"] for p in pairs} == {
        (0, 1): 0.6,
        (1, 2): 0.6,
    }


def test_windows_of_different_images_are_not():
    tiles = windows((0, 0), (0, 0), (0, 0), image=[1, 2, 2])
    assert len(overlapping_crops(tiles, np.ones(3, bool), 0.5)) == 1
    assert not len(overlapping_crops(tiles, np.array([True, True, False]), 0.5))
