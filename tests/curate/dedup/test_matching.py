# SPDX-License-Identifier: Apache-2.0
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup import matching
from rspipe.curate.dedup.clusters import choose_dropped
from rspipe.curate.dedup.hashing import orient
from rspipe.curate.dedup.matching import best_of_equals, find_hits
from rspipe.curate.dedup.tiles import MemoryThumbnails
from rspipe.schema import ORIENTATIONS
from tests.curate.dedup.tables import dicts, tiles_of


def find_duplicates(tiles, config, rank=None, **options):
    rank = np.arange(len(tiles)) if rank is None else rank
    return matching.find_duplicates(tiles, config, rank, **options)


def jpeg(grey, quality):
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.fixture(scope="module")
def chips(demo_native):
    """Textured chips of real imagery, each of another place."""
    paths = sorted((demo_native / "demo_chips").glob("gallery/earth_*.jpg"))[::8]
    greys = [np.asarray(Image.open(path).convert("L")) for path in paths]
    return [g for g in greys if g.std() > 20][:40]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turned_and_reencoded_copies_are_found_with_their_orientation(chips, orientation):
    copies = [jpeg(orient(g, orientation), quality=70) for g in chips]
    pairs = dicts(find_hits(tiles_of(copies), tiles_of(chips), DedupConfig()))
    found = {(p["copy"], p["original"]): p for p in pairs}
    for index in range(len(chips)):
        assert found[index, index]["orientation"] == orientation
        assert found[index, index]["similarity"] > 0.97
    assert len(found) == len(chips)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_within_a_set_the_orientation_says_what_was_done_to_the_better_ranked(chips, orientation):
    tiles = tiles_of([jpeg(orient(chips[0], orientation), 80), chips[0]])
    for rank, copy in (([1, 0], 0), ([0, 1], 1)):
        (pair,) = dicts(find_duplicates(tiles, DedupConfig(), np.array(rank)))
        upright = matching.find_hits(tiles_of([chips[0]]), tiles, DedupConfig())
        assert pair["copy"] == copy
        if copy == 0:
            assert pair["orientation"] == orientation
        else:
            assert pair["orientation"] == dicts(upright)[0]["orientation"]


def test_without_orientations_only_upright_copies_are_found(chips):
    config = DedupConfig(orientations=False)
    turned = tiles_of([orient(g, "rot90").copy() for g in chips])
    assert not len(find_hits(turned, tiles_of(chips), config))
    assert len(find_hits(tiles_of(chips), tiles_of(chips), config)) >= len(chips)


def test_different_places_are_no_duplicates(chips):
    assert dicts(find_duplicates(tiles_of(chips), DedupConfig())) == []


def test_flat_tiles_do_not_collide():
    """Water and desert share one hash; a hash without content proves nothing."""
    flats = [np.full((64, 64), level, np.uint8) for level in range(10, 200, 5)]
    assert len(find_duplicates(tiles_of(flats), DedupConfig())) == 0
    assert len(find_duplicates(tiles_of([*flats, flats[0]]), DedupConfig())) == 1


def test_a_colliding_hash_alone_is_not_enough_and_the_refused_pairs_can_be_listed(chips):
    """Equal hashes, different pictures: the pixels decide."""
    tiles = tiles_of(chips)
    tiles.hashes[:] = tiles.hashes[:1]
    assert len(find_duplicates(tiles, DedupConfig())) == 0
    refused = find_duplicates(tiles, DedupConfig(), rejected=True)
    assert len(refused) == len(chips) * (len(chips) - 1) // 2
    assert refused.rejected.all()
    assert not len(choose_dropped(refused, np.arange(len(tiles))))
    hits = find_hits(tiles, tiles, DedupConfig(), rejected=True)
    assert (~hits.rejected).sum() == len(chips)
    assert len(hits) == len(chips) ** 2


def test_bytes_go_before_pixels_and_pixels_before_near(chips):
    pair = [chips[0], chips[0]]
    assert dicts(find_duplicates(tiles_of(pair, ["a", "a"]), DedupConfig()))[0]["kind"] == "bytes"
    assert dicts(find_duplicates(tiles_of(pair, ["a", "b"]), DedupConfig()))[0]["kind"] == "pixels"
    assert dicts(find_duplicates(tiles_of(pair), DedupConfig()))[0]["kind"] == "pixels"
    pair = [chips[0], jpeg(chips[0], 80)]
    assert dicts(find_duplicates(tiles_of(pair), DedupConfig()))[0]["kind"] == "near"
    for files, kind in ((["a"], "bytes"), (["b"], "pixels"), (None, "pixels")):
        (hit,) = dicts(
            find_hits(tiles_of([chips[0]], ["a"]), tiles_of([chips[0]], files), DedupConfig())
        )
        assert (hit["kind"], hit["bits"], hit["similarity"]) == (kind, 0, 1.0)


def test_the_result_does_not_depend_on_the_order_of_tiles(chips):
    greys = [*chips[:10], *(jpeg(orient(g, "rot90"), 80) for g in chips[:5]), chips[3]]
    rank = np.random.default_rng(1).permutation(len(greys))
    straight = find_duplicates(tiles_of(greys), DedupConfig(), rank)
    order = np.random.default_rng(0).permutation(len(greys))
    shuffled = find_duplicates(tiles_of([greys[i] for i in order]), DedupConfig(), rank[order])
    there = replace(shuffled, copy=order[shuffled.copy], original=order[shuffled.original])
    named = matching.in_order(there)
    assert dicts(named) == dicts(straight)
    assert len(straight) == 6


def test_of_equal_tiles_only_the_best_ranked_stays(chips):
    """Also where it is not the first of them, and where the hash has no content."""
    flat = np.full((64, 64), 90, np.uint8)
    tiles = tiles_of([chips[0]] * 3 + [flat] * 3)
    rank = np.array([2, 0, 1, 5, 4, 3])
    dropped = choose_dropped(find_duplicates(tiles, DedupConfig(), rank), rank)
    assert dict(zip(dropped.copy.tolist(), dropped.original.tolist(), strict=True)) == {
        0: 1,
        2: 1,
        3: 5,
        4: 5,
    }


def test_what_equals_a_near_copy_goes_with_it(chips):
    again = jpeg(orient(chips[0], "rot90"), 80)
    tiles = tiles_of([again, chips[0], again])
    rank = np.array([1, 0, 2])
    dropped = dicts(choose_dropped(find_duplicates(tiles, DedupConfig(), rank), rank))
    assert [(p["copy"], p["original"], p["kind"], p["orientation"]) for p in dropped] == [
        (0, 1, "near", "rot90"),
        (2, 1, "near", "rot90"),
    ]


def test_every_tile_has_a_hit_for_every_equal_benchmark_tile(chips):
    ours = tiles_of([chips[0], chips[1], chips[0]])
    theirs = tiles_of([chips[0], chips[0], jpeg(chips[0], 80)])
    hits = dicts(find_hits(ours, theirs, DedupConfig()))
    assert [(h["copy"], h["original"], h["kind"]) for h in hits] == [
        (copy, original, kind)
        for copy in (0, 2)
        for original, kind in ((0, "pixels"), (1, "pixels"), (2, "near"))
    ]


def test_tiles_of_one_image_and_change_pairs_are_no_near_duplicates_of_each_other(chips):
    greys = [chips[0], jpeg(chips[0], 80), chips[1], jpeg(chips[1], 80), chips[2], chips[2]]
    image = np.array([1, 1, 2, 3, 4, 4], np.uint64)
    partner = np.array([0, 0, 0, 2, 0, 0], np.uint64)
    tiles = tiles_of(greys, image=image, partner=partner)
    assert [p["kind"] for p in dicts(find_duplicates(tiles, DedupConfig()))] == ["pixels"]
    free = tiles_of(greys)
    assert [p["kind"] for p in dicts(find_duplicates(free, DedupConfig()))] == [
        "pixels",
        "near",
        "near",
    ]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30), st.randoms())
def test_the_best_of_equals_is_the_best_ranked_with_the_same_key(keys, random):
    rank = np.arange(len(keys))
    random.shuffle(rank)
    best = best_of_equals(np.array(keys, np.uint64).reshape(-1, 2), rank)
    for row, key in enumerate(keys):
        assert best[row] == min((i for i in rank if keys[i] == key), key=lambda i: rank[i])


def test_only_the_thumbnails_of_candidates_are_read(chips, monkeypatch):
    asked = []
    blocks = MemoryThumbnails.blocks
    monkeypatch.setattr(
        MemoryThumbnails, "blocks", lambda self, rows: asked.append(len(rows)) or blocks(self, rows)
    )
    find_duplicates(tiles_of([*chips[:20], jpeg(chips[0], 80)]), DedupConfig())
    assert asked == [2]
