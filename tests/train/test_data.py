import numpy as np
import pytest

from rspipe.errors import RunError
from rspipe.train.data import Batches, Shuffle, positions_of
from tests.train.fakes import FakeCorpus


@pytest.fixture
def what(make_recipe):
    return make_recipe().what


def test_every_row_is_seen_once_per_epoch_in_another_order():
    for window in (1, 3, 100):
        shuffle = Shuffle(rows=50, block_rows=4, window_blocks=window, seed=0)
        first, second = shuffle.epoch(0), shuffle.epoch(1)
        assert sorted(first) == sorted(second) == list(range(50))
        assert not np.array_equal(first, second)


def test_window_reads_its_blocks_together():
    shuffle = Shuffle(rows=64, block_rows=4, window_blocks=2, seed=0)
    windows = shuffle.epoch(0).reshape(-1, 8)
    assert all(len(np.unique(window // 4)) == 2 for window in windows)


def test_batches_run_over_the_end_of_an_epoch():
    shuffle = Shuffle(rows=10, block_rows=4, window_blocks=9, seed=0)
    rows = np.concatenate([shuffle.at(positions_of(step, 4)) for step in range(5)])
    assert sorted(rows[:10]) == sorted(rows[10:]) == list(range(10))


def test_ranks_share_a_step_without_overlap():
    parts = [positions_of(3, 8, rank, world=4) for rank in range(4)]
    assert np.array_equal(np.concatenate(parts), positions_of(3, 8))


def test_batch_is_a_function_of_its_step_whatever_the_threads_and_the_cache(what):
    runs = []
    for threads, cache_bytes in ((1, 0), (3, 5000), (2, 10**7)):
        batches = Batches(FakeCorpus, what, cache_bytes)
        runs.append(list(batches.ahead(2, 7, threads)))
    for batch, *others in zip(*runs, strict=True):
        for other in others:
            assert np.array_equal(batch.rows, other.rows)
            assert np.array_equal(batch.images, other.images)


def test_tile_with_other_bands_is_an_error_with_a_next_move(what):
    class Grey(FakeCorpus):
        def images(self, rows):
            return [tile[..., :1] for tile in super().images(rows)]

    with pytest.raises(RunError, match=r"row \d+ has 1 bands.*in_chans"):
        Batches(Grey, what, 0).make(0)


def test_error_in_a_thread_reaches_the_run(what):
    class Broken(FakeCorpus):
        def images(self, rows):
            raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        next(Batches(Broken, what, 0).ahead(0, 5, 2))
