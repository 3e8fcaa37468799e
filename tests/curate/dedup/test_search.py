import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rspipe.curate.dedup import search
from rspipe.curate.dedup.search import radius_pairs


def brute_force(queries, hashes, max_bits):
    distance = np.bitwise_count(queries[:, None] ^ hashes[None, :])
    return np.argwhere(distance <= max_bits).tolist()


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
    query, index, distance = radius_pairs(queries, hashes, bits)
    assert np.stack([query, index], axis=1).tolist() == brute_force(queries, hashes, bits)
    assert (distance == np.bitwise_count(queries[query] ^ hashes[index])).all()


@pytest.mark.parametrize("block", [1, 7, 10_000])
def test_results_do_not_depend_on_the_block_size(monkeypatch, block):
    hashes = clustered(3, 300)
    expected = radius_pairs(hashes, hashes, 4)
    monkeypatch.setattr(search, "_BLOCK_PAIRS", block)
    for got, want in zip(radius_pairs(hashes, hashes, 4), expected, strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_skewed_bucket_is_complete():
    """Thousands of flat tiles share one hash: every pair of them is still found."""
    hashes = np.full(500, 0x8000000000000000, dtype=np.uint64)
    assert len(radius_pairs(hashes, hashes, 4)[0]) == 500 * 500
