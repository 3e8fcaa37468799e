# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.errors import RunError
from rspipe.train.checkpoint import load_checkpoint, save_checkpoint


def test_newest_checkpoints_are_kept_and_the_last_is_read(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"step": step, "w": torch.ones(2) * step}, keep=2)
    assert sorted(p.name for p in tmp_path.glob("*.pt")) == ["step-000002.pt", "step-000003.pt"]
    assert load_checkpoint(tmp_path)["step"] == 3


def test_no_checkpoint_is_none(tmp_path):
    assert load_checkpoint(tmp_path) is None


def test_half_written_checkpoint_is_never_read(tmp_path):
    save_checkpoint(tmp_path, 1, {"step": 1}, keep=2)
    (tmp_path / "step-000002.tmp").write_bytes(b"half")
    assert load_checkpoint(tmp_path)["step"] == 1


def test_broken_checkpoint_is_an_error_with_a_next_move(tmp_path):
    save_checkpoint(tmp_path, 1, {"step": 1}, keep=2)
    (tmp_path / "step-000001.pt").write_bytes(b"rotten")
    with pytest.raises(RunError, match="delete the run folder"):
        load_checkpoint(tmp_path)
