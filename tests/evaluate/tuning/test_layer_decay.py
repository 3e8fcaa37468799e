# SPDX-License-Identifier: Apache-2.0
"""C1: the multipliers of layer-wise learning rates."""

import pytest
import torch

from rspipe.evaluate.tuning.layer_decay import layer_decay_groups, layer_of
from rspipe.models.encoder import Encoder, EncoderConfig


@pytest.fixture
def encoder():
    shape = EncoderConfig(img_px=32, patch_px=8, width=24, depth=12, heads=2)
    return Encoder.random(shape, seed=0)


def test_multiplier_of_a_layer_is_the_decay_to_its_distance_from_the_head(encoder):
    groups = layer_decay_groups(encoder, decay=0.9, weight_decay=0.05)
    scale = {id(p): g["lr_scale"] for g in groups for p in g["params"]}
    for name, parameter in encoder.vit.named_parameters():
        if not parameter.requires_grad:
            assert id(parameter) not in scale
        elif name.startswith("blocks."):
            assert scale[id(parameter)] == 0.9 ** (12 - int(name.split(".")[1]))
        else:
            assert scale[id(parameter)] == (1.0 if name.startswith("norm.") else 0.9**13)


def test_every_trainable_parameter_is_in_one_group(encoder):
    groups = layer_decay_groups(encoder, decay=0.75, weight_decay=0.05)
    grouped = [id(p) for g in groups for p in g["params"]]
    assert sorted(grouped) == sorted(id(p) for p in encoder.vit.parameters() if p.requires_grad)


def test_biases_norms_and_tokens_are_not_decayed(encoder):
    for group in layer_decay_groups(encoder, decay=0.75, weight_decay=0.05):
        matrices = [p for p in group["params"] if p.ndim > 1 and p is not encoder.vit.cls_token]
        assert group["weight_decay"] == (0.05 if matrices else 0.0)


def test_head_is_the_last_layer():
    assert layer_of("head.weight", 12) == layer_of("fc_norm.bias", 12) == 13
    assert torch.tensor(0.9**13).item() == pytest.approx(0.254, abs=5e-4)
