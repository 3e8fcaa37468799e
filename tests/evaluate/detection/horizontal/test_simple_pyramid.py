# SPDX-License-Identifier: Apache-2.0
import torch

from rspipe.evaluate.detection.horizontal.simple_pyramid import SimplePyramid
from rspipe.models.encoder import Encoder, EncoderConfig


def test_four_levels_of_one_width(tiny_encoder):
    pyramid = SimplePyramid(tiny_encoder.at_size((32, 48)), width=8)
    levels = pyramid(torch.randn(2, 3, 32, 48))
    assert [tuple(m.shape) for m in levels.values()] == [
        (2, 8, 16, 24), (2, 8, 8, 12), (2, 8, 4, 6), (2, 8, 2, 3)
    ]  # fmt: skip
    assert list(pyramid.strides_px.values()) == [2, 4, 8, 16]


def test_vit_b_has_the_parameters_of_the_definition():
    config = EncoderConfig(depth=1)
    pyramid = SimplePyramid(Encoder.random(config, seed=0), width=256)
    D, W = 768, 256
    scaling = (D * D // 2 * 4 + D // 2) + D + (D // 2 * D // 4 * 4 + D // 4)
    scaling += D * D // 2 * 4 + D // 2
    reading = sum(inner * W for inner in (D // 4, D // 2, D, D)) + 4 * (9 * W * W + 4 * W)
    assert sum(p.numel() for p in pyramid.levels.parameters()) == scaling + reading


def test_nothing_but_the_last_block_feeds_the_levels(tiny_encoder):
    encoder = tiny_encoder.at_size(32)
    pyramid, images = SimplePyramid(encoder, width=8), torch.randn(1, 3, 32, 32)
    before = pyramid(images)
    with torch.no_grad():
        for parameter in (encoder.vit.blocks[-1].mlp.fc2, encoder.vit.blocks[-1].attn.proj):
            parameter.weight.zero_()
            parameter.bias.zero_()
    after = pyramid(images)
    assert all(not torch.allclose(before[name], after[name]) for name in before)
