# SPDX-License-Identifier: Apache-2.0
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rspipe.curate.dedup.keys import MAX_BITS, agreement_masks, exact_families


def touches_all(sets, bands, touched):
    """Whether some `touched` bands touch every set: branch on the bands of one not touched yet."""
    words = np.array([sum(1 << band for band in chosen) for chosen in sets], dtype=np.uint64)
    begun = np.zeros(1, dtype=np.uint64)
    for _ in range(touched):
        untouched = (begun[:, None] & words[None]) == 0
        open_ones = untouched.any(axis=1)
        if not open_ones.all():
            return True
        target = words[untouched.argmax(axis=1)]
        choices = [
            begun[(target >> np.uint64(band)) & np.uint64(1) == 1] | np.uint64(1 << band)
            for band in range(bands)
        ]
        begun = np.unique(np.concatenate(choices))
    return bool(((begun[:, None] & words[None]) != 0).all(axis=1).any())


@pytest.mark.parametrize("max_bits", range(7))
def test_no_bands_within_the_radius_touch_every_set(max_bits):
    small = [f for f in exact_families(max_bits) if f.keys <= 130]
    assert len(small) >= 3
    for family in small:
        assert not touches_all(family.sets(), family.bands, max_bits), family


def test_the_lines_of_nine_bands_are_twelve_and_five_bands_touch_them_all():
    """So the test above can fail: the family for 4 bits is not exact for 5."""
    (lines,) = (f for f in exact_families(4) if (f.bands, f.agreeing) == (9, 3))
    sets = list(lines.sets())
    assert len(sets) == lines.keys == 12
    assert all(len(set(a) & set(b)) <= 1 for a, b in combinations(sets, 2))
    assert touches_all(sets, 9, 5)


@given(
    max_bits=st.integers(0, MAX_BITS),
    indexed=st.sampled_from([1, 1_000, 100_000, 1_000_000, 13_000_000, 1_000_000_000]),
    orientations=st.sampled_from([1, 8]),
    seed=st.integers(0, 1000),
)
def test_close_hashes_agree_under_a_mask_whatever_the_sizes(max_bits, indexed, orientations, seed):
    masks = agreement_masks(max_bits, indexed, indexed * orientations)
    rng = np.random.default_rng(seed)
    bits = np.argsort(rng.random((50, 64)), axis=1)[:, :max_bits]
    differing = np.bitwise_or.reduce(np.uint64(1) << bits.astype(np.uint64), axis=1, initial=0)
    assert ((differing[:, None].astype(np.uint64) & masks[None]) == 0).any(axis=1).all()


@pytest.mark.parametrize("max_bits", [-1, MAX_BITS + 1])
def test_a_radius_out_of_range_is_refused(max_bits):
    with pytest.raises(ValueError, match="max_bits"):
        agreement_masks(max_bits, 10, 10)


def test_every_bit_counts_at_radius_0():
    assert agreement_masks(0, 1000, 1000).tolist() == [2**64 - 1]
