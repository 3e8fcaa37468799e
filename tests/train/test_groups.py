# SPDX-License-Identifier: Apache-2.0
import threading

import numpy as np
import pytest

from rspipe.train.groups import Group, Groups
from tests.train.fakes import FakeCorpus, make_tile


def test_tiles_and_masks_are_found_by_their_row():
    group = Group.read(FakeCorpus(), 1, with_masks=True)
    for row in range(10, 20):
        tile = group.tile(row)
        assert tile.name == f"tile id-{row} (corpus row {row})"
        assert tile.shape == make_tile(row).shape[:2]
        assert (group.mask(row) is None) == (row % 3 == 0)
    assert Group.read(FakeCorpus(), 1, with_masks=False).mask(11) is None


def test_threads_that_need_the_same_group_read_it_once():
    corpus = FakeCorpus()
    groups = Groups(corpus, False, 10**9)
    threads = [threading.Thread(target=groups.get, args=(1,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert corpus.groups_read == [1]


def test_groups_are_kept_while_they_are_used_and_then_forgotten():
    corpus = FakeCorpus(rows=40)
    groups = Groups(corpus, False, 10**9)
    for index in (0, 1, 2, 1, 0):
        groups.get(index)
    assert corpus.groups_read == [0, 1, 2]
    groups.keep_only({1, 3})
    held = groups.size_bytes
    groups.get(1)
    groups.get(0)
    assert corpus.groups_read == [0, 1, 2, 0]
    assert held < groups.size_bytes


def test_memory_is_bounded_and_reading_again_is_said():
    corpus = FakeCorpus(rows=40)
    size = Group.read(corpus, 0, False).size_bytes
    groups = Groups(corpus, False, most_bytes=int(size * 2.5))
    for index in range(4):
        groups.get(index)
    assert groups.size_bytes <= size * 2.5
    with pytest.warns(UserWarning, match=r"cache_bytes=\d+ .*shuffle_window_blocks"):
        groups.get(0)
    groups.get(1)  # warns once


def test_threads_that_waited_for_a_read_that_failed_are_told():
    class Slow(FakeCorpus):
        def group(self, index, columns):
            self.groups_read.append(index)
            started.set()
            go_on.wait()
            raise OSError("disk gone")

    started, go_on, told = threading.Event(), threading.Event(), []
    groups = Groups(Slow(), False, 10**9)

    def ask():
        try:
            groups.get(0)
        except OSError as error:
            told.append(str(error))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    threads[0].start()
    started.wait()
    for thread in threads[1:]:
        thread.start()
    go_on.set()
    for thread in threads:
        thread.join()
    assert told == ["disk gone"] * 4


def test_group_that_cannot_be_read_is_an_error_each_time():
    class Broken(FakeCorpus):
        def group(self, index, columns):
            raise OSError("disk gone")

    groups = Groups(Broken(), False, 10**9)
    for _ in range(2):
        with pytest.raises(OSError, match="disk gone"):
            groups.get(0)


def test_shapes_are_those_of_the_corpus():
    group = Group.read(FakeCorpus(), 0, False)
    assert np.array_equal(group.shapes, [make_tile(row).shape[:2] for row in range(10)])
