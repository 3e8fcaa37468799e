# SPDX-License-Identifier: Apache-2.0
import json

import pytest
import torch

from rspipe.train.launched import Copied, Share, is_sound, lag_of, refuse


def test_only_finite_steps_are_sound():
    good = {"loss": 1.0, "grad_norm": 2.0}
    assert is_sound(good)
    for name in good:
        for value in (float("nan"), float("inf"), float("-inf")):
            assert not is_sound(good | {name: value})


def test_gradient_alone_is_told_apart_from_a_loss(tmp_path):
    shares = [Share([3], ["a"], [0.5]), Share([9], ["b"], [0.25])]
    values = {"loss": 0.375, "grad_norm": float("nan")}
    error = refuse(tmp_path / "note.json", 4, values, shares)
    assert "each image's loss is finite, the gradient is not" in str(error)
    note = json.loads((tmp_path / "note.json").read_text())
    assert note["offending"] == []
    assert [image["tile_id"] for image in note["images"]] == ["a", "b"]
    assert note["grad_norm"] == "nan"


def test_many_offending_tiles_are_counted_in_the_note_and_named_in_part(tmp_path):
    names = [f"t{i}" for i in range(9)]
    share = Share(list(range(9)), names, [float("nan")] * 9)
    error = refuse(tmp_path / "n.json", 0, {"loss": float("nan"), "grad_norm": 1.0}, [share])
    assert "of t0, t1, t2, ...;" in str(error)
    assert len(json.loads((tmp_path / "n.json").read_text())["offending"]) == 9


def test_process_that_may_not_write_does_not(tmp_path):
    values = {"loss": float("nan"), "grad_norm": 1.0}
    refuse(tmp_path / "n.json", 0, values, [], may_write=False)
    assert not (tmp_path / "n.json").exists()


def test_numbers_arrive():
    assert Copied(torch.tensor([1.0, 2.5])).read() == [1.0, 2.5]


@pytest.mark.gpu
def test_numbers_of_a_gpu_arrive_while_it_goes_on():
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    values = torch.tensor([1.0, 2.5], device="cuda")
    copied = Copied(values)
    values.zero_()
    assert copied.read() == [1.0, 2.5]
    assert lag_of(values.device) == 1
