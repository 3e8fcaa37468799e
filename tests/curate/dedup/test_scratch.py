# SPDX-License-Identifier: Apache-2.0
import errno
import os

import numpy as np
import pytest

from rspipe.curate.dedup.scratch import mapped_array
from rspipe.errors import NoSpace


def test_an_array_is_zeros_that_keep_what_is_written_and_leaves_no_file(tmp_path):
    array = mapped_array(tmp_path / "new", "x.bin", (100, 8), np.uint64)
    assert array.shape == (100, 8)
    assert not array.any()
    array[7] = 2**63
    assert array.sum(dtype=object) == 8 * 2**63
    assert not list((tmp_path / "new").iterdir())


def test_an_empty_array_needs_no_file(tmp_path):
    assert mapped_array(tmp_path / "none", "x.bin", (0, 8), np.uint64).shape == (0, 8)
    assert not (tmp_path / "none").exists()


def test_a_full_disk_is_said_before_anything_is_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(NoSpace):
        mapped_array(tmp_path, "x.bin", (100, 8), np.uint64)
    assert not list(tmp_path.iterdir())
