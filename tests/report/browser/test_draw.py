# SPDX-License-Identifier: Apache-2.0
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rspipe.report.browser.draw import Draw, water_level


def keys_of(kind, count):
    names = (f"{kind}/{i}".encode() for i in range(count))
    return np.array(
        [f"{blake2b(name, digest_size=15).hexdigest()}0{kind}" for name in names], object
    )


def drawn(counts, limit, seed=0, batches=1):
    draw = Draw(limit, seed)
    kinds = np.concatenate([np.full(n, f"k{k}", object) for k, n in enumerate(counts)])
    keys = np.concatenate([keys_of(k, n) for k, n in enumerate(counts)])
    order = np.random.default_rng(batches).permutation(len(keys))
    for part in np.array_split(order, batches):
        draw.add(kinds[part], keys[part])
    return draw


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8), st.integers(0, 200))
def test_the_level_is_the_highest_that_fits(counts, limit):
    level = water_level(counts, limit)
    assert sum(min(n, level) for n in counts) <= limit or level == 0
    if level < max(counts):
        assert sum(min(n, level + 1) for n in counts) > limit


def test_the_sample_depends_on_the_seed_and_on_nothing_else():
    whole, parts = drawn([50, 500, 3], 60), drawn([50, 500, 3], 60, batches=7)
    assert whole.drawn() == parts.drawn()
    assert whole.drawn() != drawn([50, 500, 3], 60, seed=1).drawn()


def test_every_kind_gets_its_share_and_small_ones_all_they_have():
    draw = drawn([50, 500, 3], 63)
    kinds = [key[-2:] for key in draw.drawn()]
    assert draw.level == 30
    assert [kinds.count(k) for k in ("00", "01", "02")] == [30, 30, 3]


@pytest.mark.parametrize("limit", [10, 100])
def test_memory_is_that_of_the_sample(limit):
    draw = drawn([5_000, 7_000], limit, batches=9)
    assert sum(len(stratum.keys) for stratum in draw.strata.values()) <= limit
    assert [stratum.count for stratum in draw.strata.values()] == [5_000, 7_000]


def test_where_kinds_outnumber_places_every_place_is_taken():
    draw = drawn([9] * 7, 4)
    keys = draw.drawn()
    assert draw.level == 0
    assert len(keys) == len({key[-2:] for key in keys}) == 4


def test_where_everything_fits_everything_is_drawn():
    assert len(drawn([5, 7], 12).drawn()) == 12
