# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rspipe.curate.dedup import kernels
from rspipe.curate.dedup.groups import distinct_rows


def few_distinct(seed, count, columns):
    rng = np.random.default_rng(seed)
    table = rng.integers(0, 2**64, (max(1, count // 3), columns), dtype=np.uint64)
    # Rows that are equal in all but one column must stay apart.
    table[::2, 1:] = table[0, 1:]
    return table[rng.integers(0, len(table), count)]


@given(seed=st.integers(0, 1000), count=st.integers(0, 200), columns=st.sampled_from([1, 2, 8]))
def test_rows_are_together_exactly_if_they_are_equal(seed, count, columns):
    table = few_distinct(seed, count, columns)
    rows = distinct_rows(table)
    np.testing.assert_array_equal(table[rows.first[rows.group]], table)
    assert len(np.unique(table, axis=0)) == len(rows.first)
    assert (np.diff(rows.first) > 0).all()
    for group, first in enumerate(rows.first):
        assert np.flatnonzero(rows.group == group)[0] == first


def test_groups_are_right_over_many_parts_of_memory():
    rng = np.random.default_rng(0)
    table = rng.integers(0, 40_000, (150_000, 1)).astype(np.uint64) << np.uint64(40)
    rows = distinct_rows(table)
    values, first, group = np.unique(table[:, 0], return_index=True, return_inverse=True)
    np.testing.assert_array_equal(rows.first, np.sort(first))
    np.testing.assert_array_equal(table[rows.first[rows.group], 0], values[group])


@pytest.mark.parametrize("limit", [1, 10, 10_000])
def test_members_are_spread_in_the_order_asked_for(limit):
    rows = distinct_rows(few_distinct(3, 300, 1))
    chosen = np.random.default_rng(3).integers(0, len(rows.first), 200)
    pieces = list(rows.members().spread(chosen, limit))
    want = [(p, r) for p, g in enumerate(chosen) for r in np.flatnonzero(rows.group == g)]
    assert [(p, r) for at, row in pieces for p, r in zip(at, row, strict=True)] == want


def test_rows_that_mix_to_one_word_stay_apart():
    """The word is a hint; here a second row is made that has the word of the first."""
    rows = np.array([[3, 5], [4, 0]], dtype=np.uint64)
    words = np.empty((2, 1), dtype=np.uint64)
    kernels.mix_rows(rows[:, :1].copy(), words)
    rows[1, 1] = words[0, 0] ^ words[1, 0] ^ rows[0, 1]
    kernels.mix_rows(rows, words)
    assert words[0, 0] == words[1, 0]
    assert distinct_rows(rows).group.tolist() == [0, 1]
