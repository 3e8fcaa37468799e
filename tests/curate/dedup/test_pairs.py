# SPDX-License-Identifier: Apache-2.0
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rspipe.curate.dedup.hashing import INVERSE
from rspipe.curate.dedup.pairs import INVERSE_INDEX, NEAR, Pairs
from rspipe.schema import ORIENTATIONS
from tests.curate.dedup.tables import dicts


@st.composite
def pairs(draw):
    count = draw(st.integers(0, 20))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    ends = rng.permutation(2 * count)
    turned = rng.integers(0, 8, count).astype(np.uint8)
    alike = rng.random(count)
    return Pairs.of(ends[:count], ends[count:], NEAR, 2, turned, alike, alike < 0.5)


def test_the_inverse_is_that_of_the_words():
    assert [ORIENTATIONS[k] for k in INVERSE_INDEX] == [INVERSE[name] for name in ORIENTATIONS]


@given(pairs())
def test_turning_twice_changes_nothing_and_once_swaps_the_ends(found):
    every = np.ones(len(found), bool)
    once = found.turned(every)
    np.testing.assert_array_equal(once.copy, found.original)
    assert dicts(once.turned(every)) == dicts(found)


@given(pairs())
def test_the_best_comes_last(found):
    rank = np.random.default_rng(0).permutation(2 * len(found))
    best = found.best_last(rank)
    assert (rank[best.original] < rank[best.copy]).all()
    np.testing.assert_array_equal(best.rejected, found.rejected)


@given(pairs(), pairs())
def test_joined_pairs_are_all_of_them_in_order(one, other):
    assert dicts(Pairs.join([one, other])) == dicts(one) + dicts(other)
    assert len(Pairs.join([])) == 0
