import pytest
import torch
from torch import nn

from rspipe.errors import WeightsError
from rspipe.models.weights import from_released, load_strictly, read_state


def test_released_names_become_ours_and_dead_ones_are_reported():
    names = ["cls_token", "blocks.0.norm1.weight", "decoder_blocks.1.cross_attn.q.bias"]
    state = dict.fromkeys([*names, "decoder_embed1.weight"], torch.zeros(1))
    renamed, report = from_released(state, "file")
    assert list(renamed) == [
        "encoder.vit.cls_token",
        "encoder.vit.blocks.0.norm1.weight",
        "decoder.blocks.1.cross_attn.q.bias",
    ]
    assert report.dropped == ("decoder_embed1.weight",)


def test_key_of_no_known_layout_is_an_error():
    with pytest.raises(WeightsError, match=r"unexpected: teacher\.weight"):
        from_released({"teacher.weight": torch.zeros(1)}, "file")


def test_wrong_shape_is_named_and_loads_nothing():
    module = nn.Linear(2, 2)
    before = module.weight.clone()
    state = {"weight": torch.zeros(3, 2), "bias": torch.zeros(2)}
    with pytest.raises(WeightsError, match=r"weight \(3, 2\), want \(2, 2\)"):
        load_strictly(module, state, "file")
    assert torch.equal(module.weight, before)


def test_state_is_found_one_level_down(tmp_path):
    path = tmp_path / "released.pth"
    torch.save({"model": {"a": torch.ones(1)}, "epoch": 800}, path)
    assert torch.equal(read_state(path)["a"], torch.ones(1))


def test_file_that_holds_no_weights_is_an_error(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="not a readable weights file"):
        read_state(path)
