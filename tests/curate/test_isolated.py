# SPDX-License-Identifier: Apache-2.0
"""Of a partition that no worker survives only the deadly rows are lost, and they say why."""

import pytest

from rspipe.curate.isolated import run_apart
from rspipe.errors import StageFailed
from tests.curate.deadly import Numbers, work


def test_deadly_rows_are_found_and_the_others_are_as_ever_in_order():
    numbers = (1, 2, 666, 4, 5, 6, 667, 8)
    rows = run_apart(work, Numbers(numbers), 400_000_000).to_pylist()
    assert [row["number"] for row in rows] == list(numbers)
    said = {row["number"]: row["said"] for row in rows}
    assert "SIGKILL" in said.pop(666)
    assert "400,000,000 bytes of memory" in said.pop(667)
    assert set(said.values()) == {"fine"}


def test_work_that_kills_nobody_is_done_in_one_go():
    assert run_apart(work, Numbers((1, 2, 3)), None).num_rows == 3


def test_an_ordinary_fault_is_no_killing():
    with pytest.raises(StageFailed, match="a fault of ours"):
        run_apart(work, Numbers((1, 668)), None)
