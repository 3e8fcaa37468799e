# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rspipe.curate.dedup import engine
from rspipe.curate.dedup.keys import exact_families
from rspipe.curate.dedup.search import (
    grouped_orientation_pairs,
    iter_orientation_pairs,
    orientation_pairs,
)


def brute_force(queries, hashes, max_bits):
    distance = np.bitwise_count(queries[:, None] ^ hashes[None, :])
    return np.argwhere(distance <= max_bits).tolist()


def radius_pairs(queries, hashes, bits):
    return orientation_pairs(queries[:, None], hashes[:, None], bits, orientations=1)


def clustered(seed, count):
    """Hashes near a few centres, so that many pairs lie around the radius."""
    rng = np.random.default_rng(seed)
    centres = rng.integers(0, 2**63, max(1, count // 8), dtype=np.uint64)
    hashes = rng.choice(centres, count)
    for _ in range(6):
        flip = np.uint64(1) << rng.integers(0, 64, count, dtype=np.uint64)
        hashes = np.where(rng.random(count) < 0.5, hashes ^ flip, hashes)
    return hashes


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    counts=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    bits=st.integers(0, 9),
)
def test_no_pair_within_the_radius_is_lost_and_none_is_added(seed, counts, bits):
    queries, hashes = clustered(seed, counts[0]), clustered(seed, counts[1])
    found = radius_pairs(queries, hashes, bits)
    pairs = np.stack([found.copy, found.original], axis=1)
    assert pairs.tolist() == brute_force(queries, hashes, bits)
    distance = np.bitwise_count(queries[found.copy] ^ hashes[found.original])
    assert (found.distance_bits == distance).all()


@pytest.mark.parametrize("threads", [2, 5])
def test_results_do_not_depend_on_the_number_of_threads(monkeypatch, threads):
    hashes = clustered(3, 8 * 1000).reshape(-1, 8)
    whole = triples(orientation_pairs(hashes, None, 8))
    monkeypatch.setattr(engine, "_MIN_SLICE_ROWS", 100)
    monkeypatch.setattr(engine, "_STEP_PAIRS", 50)
    alone = list(iter_orientation_pairs(hashes, None, 8, threads=1, chunk_pairs=1000))
    assert len(alone) > 3
    pieces = np.concatenate([triples(block) for block in alone])
    np.testing.assert_array_equal(pieces[np.lexsort(pieces.T[::-1])], whole)
    together = iter_orientation_pairs(hashes, None, 8, threads=threads, chunk_pairs=1000)
    for got, want in zip(together, alone, strict=True):
        np.testing.assert_array_equal(triples(got), triples(want))
        np.testing.assert_array_equal(got.distance_bits, want.distance_bits)


def test_a_skewed_bucket_is_complete():
    """Thousands of flat tiles share one hash: every pair of them is still found."""
    hashes = np.full(500, 0x8000000000000000, dtype=np.uint64)
    assert len(radius_pairs(hashes, hashes, 4).copy) == 500 * 500


def brute_force_orientations(queries, hashes, max_bits, orientations):
    """Every (i, j, k) of the definition, one comparison each; i != j within one set."""
    originals = queries if hashes is None else hashes
    near = np.bitwise_count(queries[:, None, None, 0] ^ originals[None]) <= max_bits
    triples = np.argwhere(near[:, :, :orientations])
    return triples[triples[:, 0] != triples[:, 1]] if hashes is None else triples


def triples(matches):
    return np.stack([matches.copy, matches.original, matches.orientation], axis=1)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    counts=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    bits=st.integers(0, 16),
    orientations=st.sampled_from([1, 8]),
    within=st.booleans(),
)
def test_every_orientation_within_the_radius_is_found(seed, counts, bits, orientations, within):
    queries = clustered(seed, counts[0] * 8).reshape(-1, 8)
    hashes = None if within else clustered(seed, counts[1] * 8).reshape(-1, 8)
    found = orientation_pairs(queries, hashes, bits, orientations=orientations)
    want = brute_force_orientations(queries, hashes, bits, orientations)
    np.testing.assert_array_equal(triples(found), want)
    originals = queries if hashes is None else hashes
    turned = originals[found.original, found.orientation]
    np.testing.assert_array_equal(
        found.distance_bits, np.bitwise_count(queries[found.copy, 0] ^ turned)
    )


@pytest.mark.parametrize("max_bits", [0, 1, 2, 3, 4, 5, 6, 8])
def test_every_family_of_keys_finds_the_same_matches(monkeypatch, max_bits):
    """Large sets use other keys than small ones; here each is used on a small one."""
    hashes = clustered(max_bits, 8 * 200).reshape(-1, 8)
    hashes[:30, 0] = hashes[30:60, 3]
    want = brute_force_orientations(hashes, None, max_bits, 8)
    assert len(want) >= 20
    families = [f for f in exact_families(max_bits) if f.keys <= 600]
    assert len(families) > 4
    for family in families:
        monkeypatch.setattr(engine, "agreement_masks", lambda *_, chosen=family: chosen.masks())
        found = orientation_pairs(hashes, None, max_bits, threads=1)
        np.testing.assert_array_equal(triples(found), want, err_msg=str(family))


def test_a_crowd_in_one_ball_is_complete():
    """Slots fuller than one comparison, and rows with equal hashes, within one set."""
    rng = np.random.default_rng(1)
    flips = np.uint64(1) << rng.integers(0, 64, (3, 400, 8), dtype=np.uint64)
    hashes = np.bitwise_xor.reduce(flips, axis=0) ^ np.uint64(0x123456789ABCDEF)
    hashes[50:90] = hashes[0]
    hashes[90:95, 0] = hashes[0, 0]
    want = brute_force_orientations(hashes, None, 4, 8)
    np.testing.assert_array_equal(triples(orientation_pairs(hashes, None, 4)), want)


def test_blocks_hold_every_match_once():
    hashes = clustered(5, 8 * 300).reshape(-1, 8)
    whole = triples(orientation_pairs(hashes, None, 6))
    blocks = list(iter_orientation_pairs(hashes, None, 6, chunk_pairs=100))
    assert len(blocks) > 1
    together = np.concatenate([triples(block) for block in blocks])
    np.testing.assert_array_equal(together[np.lexsort(together.T[::-1])], whole)


def test_grouped_matches_stand_for_every_pair_between_groups():
    few = clustered(7, 8 * 40).reshape(-1, 8)
    hashes = few[np.random.default_rng(7).integers(0, 40, 200)]
    grouped = grouped_orientation_pairs(hashes, 6)
    np.testing.assert_array_equal(hashes[grouped.rows.first[grouped.rows.group]], hashes)
    assert (np.diff(grouped.rows.first) > 0).all()
    group = grouped.rows.group
    found = {tuple(row) for row in triples(grouped.matches)}
    first = grouped.rows.first
    spread = {
        (i, j, k)
        for i, j, k in triples(orientation_pairs(hashes, None, 6)).tolist()
        if group[i] != group[j]
    }
    assert {(first[group[i]], first[group[j]], k) for i, j, k in spread} == found


def test_equal_rows_cost_nothing_when_grouped():
    """A fifth of a million equal tiles: 2e10 pairs, none of them listed."""
    hashes = clustered(11, 8 * 1000).reshape(-1, 8)
    flat = np.full((200_000, 8), 0x8000000000000000, dtype=np.uint64)
    grouped = grouped_orientation_pairs(np.concatenate([hashes, flat]), 4)
    few = grouped_orientation_pairs(np.concatenate([hashes, flat[:1]]), 4)
    assert len(grouped.rows.group) == 201_000
    np.testing.assert_array_equal(triples(grouped.matches), triples(few.matches))


def test_an_abandoned_search_ends():
    hashes = clustered(3, 8 * 1000).reshape(-1, 8)
    blocks = iter_orientation_pairs(hashes, None, 8, chunk_pairs=1)
    assert len(next(blocks)) > 0
    blocks.close()


def test_progress_rises_to_the_whole():
    shares = []
    orientation_pairs(clustered(3, 80).reshape(-1, 8), progress=shares.append)
    assert shares == sorted(shares) and shares[-1] == 1.0


@pytest.mark.parametrize(
    "table", [np.zeros((3, 4), np.uint64), np.zeros((3, 8), np.int64), np.zeros(3, np.uint64)]
)
def test_tables_of_another_shape_or_type_are_refused(table):
    with pytest.raises(ValueError, match="want uint64"):
        orientation_pairs(table)


@pytest.mark.parametrize("orientations", [0, 9])
def test_other_numbers_of_orientations_are_refused(orientations):
    with pytest.raises(ValueError, match="orientations"):
        orientation_pairs(np.zeros((3, 9), np.uint64), orientations=orientations)


@pytest.mark.parametrize("orientations", [1, 3, 8])
def test_tables_may_be_read_only_or_laid_out_otherwise(orientations):
    """As they come from Arrow, from a mapped file, or out of a wider table."""
    hashes = clustered(2, 8 * 100).reshape(-1, 8)
    want = triples(orientation_pairs(hashes, None, 6, orientations=orientations))
    mapped = hashes.copy()
    mapped.flags.writeable = False
    wide = np.concatenate([hashes, hashes], axis=1)
    for table in (mapped, np.asfortranarray(hashes), wide):
        found = grouped_orientation_pairs(table, 6, orientations=orientations)
        assert len(found.rows.first) == 100
        np.testing.assert_array_equal(triples(found.matches), want)


def test_a_radius_that_has_no_exact_family_is_refused():
    with pytest.raises(ValueError, match="max_bits=17"):
        orientation_pairs(np.zeros((3, 8), np.uint64), max_bits=17)
