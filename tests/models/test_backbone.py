# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.errors import RecipeError
from rspipe.models.encoder import Encoder, EncoderConfig


@pytest.fixture(scope="module")
def tiny_encoder():
    config = EncoderConfig(img_px=32, patch_px=8, width=48, depth=2, heads=2)
    return Encoder.random(config, seed=1).eval()


def test_same_size_computes_the_same(tiny_encoder):
    images = torch.randn(2, 3, 32, 32)
    same = tiny_encoder.at_size(32)
    assert torch.equal(same.tokens(images), tiny_encoder.tokens(images))
    assert not any(
        mine.data_ptr() == its.data_ptr()
        for mine, its in zip(same.parameters(), tiny_encoder.parameters(), strict=True)
    )


def test_twice_the_size_has_twice_the_grid_and_positions_between_the_old_ones(tiny_encoder):
    wide = tiny_encoder.at_size((32, 64))
    assert wide.config.grid == (4, 8)
    assert wide.tokens(torch.randn(1, 3, 32, 64)).shape == (1, 33, 48)
    old, new = tiny_encoder.vit.pos_embed, wide.vit.pos_embed
    assert torch.equal(old[:, 0], new[:, 0])
    rows = new[0, 1:].reshape(4, 8, -1)
    neighbours = rows.reshape(4, 4, 2, -1).mean(2)
    assert (neighbours - old[0, 1:].reshape(4, 4, -1)).abs().mean() < 0.05


def test_no_multiple_of_the_patch_is_refused(tiny_encoder):
    with pytest.raises(RecipeError, match="multiple"):
        tiny_encoder.at_size(30)
