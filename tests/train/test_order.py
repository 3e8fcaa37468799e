# SPDX-License-Identifier: Apache-2.0
import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rspipe.errors import RunError
from rspipe.train.order import Order, Shuffle

sizes_of_blocks = st.lists(st.integers(1, 9), min_size=1, max_size=30)


def starts_of(sizes):
    return np.cumsum([0, *sizes])


@settings(deadline=None)
@given(sizes=sizes_of_blocks, window=st.integers(1, 40), seed=st.integers(0, 5))
def test_every_epoch_visits_every_row_exactly_once(sizes, window, seed):
    shuffle = Shuffle(starts_of(sizes), window, seed)
    for epoch in (0, 1, 7):
        rows = shuffle.at(np.arange(epoch * shuffle.rows, (epoch + 1) * shuffle.rows))
        assert np.array_equal(np.sort(rows), np.arange(shuffle.rows))


@settings(deadline=None)
@given(sizes=sizes_of_blocks, window=st.integers(1, 40), data=st.data())
def test_blocks_at_some_places_are_those_that_are_read_there(sizes, window, data):
    shuffle = Shuffle(starts_of(sizes), window, seed=0)
    first = data.draw(st.integers(0, 3 * shuffle.rows))
    stop = first + data.draw(st.integers(1, 2 * shuffle.rows))
    rows = shuffle.at(np.arange(first, stop))
    read = set((np.searchsorted(starts_of(sizes), rows, side="right") - 1).tolist())
    named = shuffle.blocks_at(first, stop)
    assert read <= named <= set(range(len(sizes)))


def test_no_more_blocks_than_the_window_are_mixed_and_with_each_stretch_one_begins():
    shuffle = Shuffle(np.arange(0, 4001, 8), window_blocks=8, seed=0)
    named = [shuffle.blocks_at(place, place + 1) for place in range(0, 4000, 8)]
    assert {len(blocks) for blocks in named} == {8}
    assert {len(new - old) for old, new in itertools.pairwise(named)} == {1}


def test_rows_of_a_stretch_come_from_all_blocks_of_the_window():
    shuffle = Shuffle(np.arange(0, 4001, 8), window_blocks=8, seed=0)
    rows = shuffle.at(np.arange(800, 1600)).reshape(-1, 8)
    assert all(len(np.unique(stretch // 8)) == 8 for stretch in rows)


def test_epochs_and_seeds_differ_and_the_order_is_a_function_of_both():
    def order(seed, epoch):
        return Shuffle([0, 20, 40, 50], 2, seed).at(np.arange(epoch * 50, (epoch + 1) * 50))

    assert np.array_equal(order(3, 1), order(3, 1))
    assert not np.array_equal(order(3, 0), order(3, 1))
    assert not np.array_equal(order(3, 0), order(4, 0))


def test_position_is_looked_up_alone_as_in_company():
    shuffle = Shuffle([0, 20, 40, 50], 2, seed=1)
    together = shuffle.at(np.arange(120))
    alone = [Shuffle([0, 20, 40, 50], 2, seed=1).at(np.array([p]))[0] for p in range(120)]
    assert together.tolist() == alone


def test_13_million_rows_need_a_few_megabytes():
    rows, images_per_step = 13_200_000, 4096
    starts = np.append(np.arange(0, rows, 256), rows)
    tracemalloc.start()
    order = Order(Shuffle(starts, window_blocks=256, seed=0), images_per_step)
    for step in (*range(4), *range(rows // images_per_step - 2, rows // images_per_step + 2)):
        order.step(step)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 8 * 2**20


@pytest.mark.parametrize("world", [1, 2, 4, 8])
def test_ranks_together_read_the_same_step_whatever_their_number(world):
    shuffle = Shuffle(np.arange(0, 401, 8), window_blocks=8, seed=0)
    for step in (0, 3, 24, 25):
        shares = [Order(shuffle, 16, rank, world).step(step) for rank in range(world)]
        rows, places = (np.concatenate(parts) for parts in zip(*shares, strict=True))
        assert np.array_equal(places, np.arange(step * 16, step * 16 + 16))
        assert np.array_equal(np.sort(rows), np.sort(shuffle.at(places)))
        assert np.array_equal(rows, Order(shuffle, 16).step(step)[0])


def test_a_rank_reads_about_its_share_of_the_blocks():
    shuffle = Shuffle(np.arange(0, 64 * 400 + 1, 64), window_blocks=64, seed=0)
    order = Order(shuffle, 512, rank=1, world=4)
    blocks = {b for step in range(8) for b in (order.step(step)[0] // 64).tolist()}
    assert len(blocks) < len(shuffle.blocks_at(0, 8 * 512)) / 2


def test_step_that_cannot_be_shared_is_an_error_with_a_next_move():
    with pytest.raises(RunError, match=r"images_per_step=10 cannot be shared by 4.*such as 8"):
        Order(Shuffle([0, 50], 1, 0), 10, rank=0, world=4)
