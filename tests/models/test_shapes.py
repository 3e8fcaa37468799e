# SPDX-License-Identifier: Apache-2.0
import pytest
import timm
import torch

from rspipe.errors import WeightsError
from rspipe.models.shapes import KNOWN_WIDTHS, infer_config, read_shape

HALF = {"mean": (0.5,) * 3, "std": (0.5,) * 3}


@pytest.mark.parametrize("name", [name for _, name in KNOWN_WIDTHS.values()])
def test_config_of_a_published_transformer_builds_timms_own_module(name):
    """Heads cannot be read off the weights, so those that a width implies must be timm's."""
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=0)
    config = infer_config(model.state_dict(), name, **HALF)
    assert config.timm_name == name
    assert config.heads == model.blocks[0].attn.num_heads
    with torch.device("meta"):
        again = timm.create_model(config.timm_name, **config.timm_kwargs())
    shapes, found = (
        {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
        for module in (model, again)
    )
    assert found == shapes


def test_oblong_patches_and_blocks_with_a_gap_are_refused():
    state = timm.create_model("vit_tiny_patch16_224", depth=3, num_classes=0).state_dict()
    gap = {k: v for k, v in state.items() if not k.startswith("blocks.1.")}
    with pytest.raises(WeightsError, match=r"blocks \[1\] of 3"):
        read_shape(gap, "file")
    oblong = state | {"patch_embed.proj.weight": torch.zeros(192, 3, 16, 8)}
    with pytest.raises(WeightsError, match="16 x 8 px"):
        read_shape(oblong, "file")
