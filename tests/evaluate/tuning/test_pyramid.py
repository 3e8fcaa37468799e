# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torch import nn

from rspipe.evaluate.tuning.pyramid import LEVELS, Adapter, ChannelNorm, Pyramid, last_taps


def test_four_maps_of_four_strides_at_any_size(tiny_encoder):
    pyramid = Pyramid(tiny_encoder.at_size((32, 48)))
    levels = pyramid(torch.randn(2, 3, 32, 48))
    assert tuple(levels) == LEVELS
    assert [tuple(m.shape) for m in levels.values()] == [
        (2, 48, 16, 24), (2, 48, 8, 12), (2, 48, 4, 6), (2, 48, 2, 3)
    ]  # fmt: skip
    assert list(pyramid.strides_px.values()) == [2, 4, 8, 16]


def test_adapter_of_vit_b_has_the_parameters_of_its_definition():
    # Three transposed 2 x 2 convolutions with bias (two of them for the finest level), one norm.
    width = 768
    want = 3 * (width * width * 4 + width) + 2 * width
    assert sum(p.numel() for p in Adapter(width).parameters()) == want == 7_081_728


def test_third_level_is_the_tapped_block_and_fourth_its_maximum(tiny_encoder):
    pyramid = Pyramid(tiny_encoder.at_size(32), taps=(0, 0, 0, 1))
    images = torch.randn(1, 3, 32, 32)
    levels = pyramid(images)
    first, last = pyramid.encoder.maps(images, (0, 1))
    assert torch.equal(levels["2"], first)
    blocks = last.reshape(1, 48, 2, 2, 2, 2)
    assert torch.equal(levels["3"], blocks.amax(dim=(3, 5)))


def test_maps_are_the_blocks_one_after_the_other_without_the_class_token(tiny_encoder):
    images = torch.randn(2, 3, 32, 32)
    tokens = tiny_encoder.embed(images)
    for block, found in zip(
        tiny_encoder.vit.blocks, tiny_encoder.maps(images, (0, 1)), strict=True
    ):
        tokens = block(tokens)
        torch.testing.assert_close(found, tokens.transpose(1, 2).reshape(2, 48, 4, 4))


def test_channel_norm_is_layer_norm_of_each_pixel():
    found, pixels = ChannelNorm(5), torch.randn(2, 5, 3, 4)
    rows = pixels.permute(0, 2, 3, 1).reshape(-1, 5)
    want = nn.functional.layer_norm(rows, (5,), eps=1e-6).reshape(2, 3, 4, 5).permute(0, 3, 1, 2)
    torch.testing.assert_close(found(pixels), want)


def test_every_block_up_to_the_last_tap_learns(tiny_encoder):
    pyramid = Pyramid(tiny_encoder.at_size(32), taps=last_taps(2))
    torch.autograd.backward([m.sum() for m in pyramid(torch.randn(1, 3, 32, 32)).values()])
    assert pyramid.encoder.vit.blocks[0].attn.qkv.weight.grad is not None
    assert pyramid.encoder.vit.norm.weight.grad is None


def test_taps_outside_the_encoder_are_refused(tiny_encoder):
    with pytest.raises(ValueError, match="four blocks of 2"):
        Pyramid(tiny_encoder, taps=(0, 1, 2, 3))
