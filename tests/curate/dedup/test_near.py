# SPDX-License-Identifier: Apache-2.0
"""The search with its verification against comparing everything with everything."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup import close_groups, near
from rspipe.curate.dedup.clusters import choose_dropped
from rspipe.curate.dedup.frames import FRAMES
from rspipe.curate.dedup.hashing import INVERSE, hash_orientations, orient
from rspipe.curate.dedup.matching import find_duplicates, find_hits, near_rule
from rspipe.curate.dedup.verify import similarity
from rspipe.errors import StageFailed
from rspipe.schema import ORIENTATIONS
from tests.curate.dedup.tables import dicts, make_tiles


def families(seed, count, *, forge=0.0):
    """Thumbnails of few families: turned, noisy copies; a share of the hashes is forged equal."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:32, 0:32] / 32
    bases = [
        128 + 60 * np.sin(2 * np.pi * (a * x + b * y) + c) for a, b, c in rng.uniform(0, 2, (4, 3))
    ]
    noise = rng.choice([0, 3, 30], count)
    thumbnails = np.stack(
        [
            orient((bases[f] + rng.normal(0, n, (32, 32))).clip(0, 255).astype(np.uint8), o)
            for f, n, o in zip(
                rng.integers(0, 4, count), noise, rng.choice(ORIENTATIONS, count), strict=True
            )
        ]
    )
    hashes = np.stack([hash_orientations(t) for t in thumbnails])
    hashes[rng.random(count) < forge] = hashes[0]
    image = rng.integers(1, count + 1, count).astype(np.uint64)
    partner = np.where(rng.random(count) < 0.2, rng.integers(1, count + 1, count), 0)
    return make_tiles(
        hashes, thumbnails, range(count), image=image, partner=partner.astype(np.uint64)
    )


def brute_force(tiles, config, rank):
    """Every pair, both ways round, every orientation; the most alike one counts."""
    found = {}
    pictures = tiles.thumbnails.pixels.reshape(-1, 32, 32)
    for i in range(len(tiles)):
        for j in range(len(tiles)):
            if rank[j] >= rank[i] or not tiles.may_look_alike(np.array([i]), np.array([j]))[0]:
                continue
            for k, name in enumerate(ORIENTATIONS):
                back = ORIENTATIONS.index(INVERSE[name])
                one, other = tiles.hashes[i], tiles.hashes[j]
                bits = min(
                    int(np.bitwise_count(x[columns[0]] ^ y[columns[turn]]))
                    for columns in FRAMES
                    for x, y, turn in ((one, other, k), (other, one, back))
                )
                alike = similarity(pictures[i], pictures[j], name)
                known = found.get((i, j))
                if bits <= config.max_hamming_bits and (known is None or alike > known[2] + 1e-9):
                    found[i, j] = (bits, name, alike)
    return {
        pair: (bits, name, pytest.approx(alike, abs=1e-5))
        for pair, (bits, name, alike) in found.items()
        if alike >= config.min_similarity
    }


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.integers(1, 25), st.sampled_from([0.0, 0.5]))
def test_the_pairs_are_those_of_comparing_everything(seed, count, forge):
    tiles = families(seed, count, forge=forge)
    rank = np.random.default_rng(seed).permutation(count)
    config = DedupConfig(min_similarity=0.9)
    found = {
        (p["copy"], p["original"]): (p["bits"], p["orientation"], p["similarity"])
        for p in dicts(find_duplicates(tiles, config, rank, compared_per_tile=10**6))
    }
    assert found == brute_force(tiles, config, rank)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(1, 60), st.sampled_from([0.0, 0.3, 1.0]))
def test_leaders_drop_the_same_tiles_for_the_same_survivors(seed, count, forge):
    """Comparing with survivors only is enough: what two dropped tiles share decides nothing."""
    tiles = families(seed, count, forge=forge)
    rank = np.random.default_rng(seed + 1).permutation(count)
    config = DedupConfig(min_similarity=0.9)
    every = find_duplicates(tiles, config, rank, compared_per_tile=10**6)
    leaders = find_duplicates(tiles, config, rank, compared_per_tile=0)
    assert dicts(choose_dropped(leaders, rank)) == dicts(choose_dropped(every, rank))
    all_pairs = {(p["copy"], p["original"]): p for p in dicts(every)}
    for pair in dicts(leaders):
        assert all_pairs[pair["copy"], pair["original"]] == pair


def test_equal_hashes_of_many_different_pictures_cost_one_look_per_survivor(monkeypatch):
    """3,000 tiles of 3 pictures share one hash: 4.5 million pairs, of which few are compared."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (3, 32, 32), dtype=np.uint8)
    thumbnails = pictures[rng.integers(0, 3, 3000)]
    thumbnails[:, 0, 0] = rng.integers(0, 256, 3000)
    hashes = np.full((3000, 8), 0x1234567890ABCDEF, np.uint64)
    tiles = make_tiles(hashes, thumbnails, range(3000))
    monkeypatch.setattr(near, "_compare_all", lambda *args: ())
    seen = find_duplicates(tiles, DedupConfig(), np.arange(3000), rejected=True)
    assert 2997 <= len(seen) <= 3 * 3000
    assert len(choose_dropped(seen, np.arange(3000))) == 2997


def test_more_close_hashes_than_can_be_held_are_refused_by_name(monkeypatch):
    monkeypatch.setattr(close_groups, "MOST_PAIRS", 3)
    with pytest.raises(StageFailed, match=r"raise dedup\.min_thumbnail_std"):
        find_duplicates(families(0, 60), DedupConfig(max_hamming_bits=16), np.arange(60))


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_pairs_do_not_depend_on_the_block_size(monkeypatch, block):
    tiles = families(3, 40, forge=0.5)
    rank = np.arange(40)
    config = DedupConfig(min_similarity=0.9)
    within = dicts(find_duplicates(tiles, config, rank, rejected=True))
    between = dicts(find_hits(tiles, tiles, config, rejected=True))
    assert len(within) > 20
    monkeypatch.setattr(near, "_BLOCK_PAIRS", block)
    assert dicts(find_duplicates(tiles, config, rank, rejected=True)) == within
    assert dicts(find_hits(tiles, tiles, config, rejected=True)) == between


@settings(max_examples=10)
@given(st.integers(0, 10_000), st.integers(1, 20), st.integers(1, 20))
def test_pairs_between_two_sets_are_those_of_comparing_everything(seed, count, others):
    tiles = families(seed, count)
    benchmark = families(seed, others)
    config = DedupConfig(min_similarity=0.9)
    pictures = [t.thumbnails.pixels.reshape(-1, 32, 32) for t in (tiles, benchmark)]
    want = {
        (i, j)
        for i in range(count)
        for j in range(others)
        for k, name in enumerate(ORIENTATIONS)
        if any(
            np.bitwise_count(tiles.hashes[i, own] ^ benchmark.hashes[j, turned]) <= 4
            for own, turned in FRAMES[:, [0, k]]
        )
        and similarity(pictures[0][i], pictures[1][j], name) >= 0.9
    }
    rule = near_rule(config)
    hits = dicts(near.near_between(tiles, np.arange(count), benchmark, np.arange(others), rule))
    assert sorted((h["copy"], h["original"]) for h in hits) == sorted(want)
