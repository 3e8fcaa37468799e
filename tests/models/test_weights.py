# SPDX-License-Identifier: Apache-2.0
import argparse
import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rspipe.errors import WeightsError
from rspipe.models.weights import LoadReport, load_strictly, read_state


def test_wrong_shape_is_named_and_loads_nothing():
    module = nn.Linear(2, 2)
    before = module.weight.clone()
    state = {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}
    with pytest.raises(WeightsError, match=r"weight \(3, 2\), want \(2, 2\)"):
        load_strictly(module, state, "file")
    assert torch.equal(module.weight, before)


@pytest.mark.parametrize("table", ["model", "state_dict", "objective"])
def test_state_is_found_one_level_down(tmp_path, table):
    path = tmp_path / "released.pth"
    torch.save({table: {"a": torch.ones(1)}, "epoch": 800}, path)
    assert torch.equal(read_state(path)["a"], torch.ones(1))


def test_file_of_torchs_old_format_is_read(tmp_path):
    path = tmp_path / "old.pth"
    torch.save({"model": {"a": torch.ones(1)}}, path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_state(path)["a"], torch.ones(1))


def test_another_table_is_read_when_it_is_named(tmp_path):
    path = tmp_path / "released.pth"
    torch.save({"model": {"a": torch.ones(1)}, "model_ema": {"a": torch.zeros(1)}}, path)
    assert torch.equal(read_state(path, under="model_ema")["a"], torch.zeros(1))
    with pytest.raises(WeightsError, match="no table 'ema'; it has model, model_ema"):
        read_state(path, under="ema")


def test_names_put_before_every_key_by_ddp_and_compile_are_taken_off(tmp_path):
    path = tmp_path / "released.pth"
    torch.save({"module._orig_mod.a": torch.ones(1), "module._orig_mod.b": torch.ones(1)}, path)
    assert list(read_state(path)) == ["a", "b"]
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, path)
    assert list(read_state(path)) == ["module.a", "b"]


def test_settings_of_an_argparse_program_do_not_stop_reading(tmp_path):
    """The training programs of MAE and its kin keep them beside the weights."""
    path = tmp_path / "checkpoint-799.pth"
    content = {"model": {"a": torch.ones(1)}, "args": argparse.Namespace(lr=1e-3), "epoch": 799}
    torch.save(content, path)
    assert list(read_state(path)) == ["a"]


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def write_pickle(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))  # torch's own


@pytest.mark.parametrize("save", [torch.save, write_pickle])
def test_file_that_would_run_code_is_refused_unread(tmp_path, save):
    path, folder = tmp_path / "evil.pth", tmp_path / "made"
    save({"model": {"a": torch.ones(1)}, "args": Evil(folder)}, path)
    with pytest.raises(WeightsError, match=r"would run code.*safetensors"):
        read_state(path)
    assert not folder.exists()


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_file_that_holds_no_weights_is_an_error(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=name):
        read_state(path)


def test_truncated_file_and_absent_file_are_errors(tmp_path):
    whole = tmp_path / "whole.safetensors"
    save_file({"a": torch.ones(100)}, whole)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-40])
    with pytest.raises(WeightsError, match="not a readable weights file"):
        read_state(cut)
    with pytest.raises(WeightsError, match="no such file"):
        read_state(tmp_path / "absent.pth")


@pytest.mark.parametrize("content", [{"epoch": 3}, torch.ones(2), {"model": {}}, [1], {}])
def test_content_that_is_no_table_of_tensors_is_an_error(tmp_path, content):
    path = tmp_path / "odd.pth"
    torch.save(content, path)
    with pytest.raises(WeightsError, match="no table of tensors"):
        read_state(path)


def test_report_counts_every_tensor_and_names_every_key():
    report = LoadReport(
        matched=("a", "b"),
        missing=("c",),
        renamed={"b": "ours.b"},
        filled={"d": "ones"},
        dropped={"e": "dead"},
        layout="mae",
    )
    assert report.total == 4
    assert not report.is_exact
    assert report.lines() == [
        "2 of 4 tensors match, layout mae",
        "missing: c",
        "renamed: b: ours.b",
        "dropped: e: dead",
        "filled: d: ones",
    ]
