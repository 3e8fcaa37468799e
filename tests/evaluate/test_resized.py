import pytest
import torch

from rspipe.evaluate.resized import at_size


def test_same_size_computes_the_same(tiny_encoder):
    images = torch.randn(2, 3, 32, 32)
    same = at_size(tiny_encoder, 32)
    assert torch.equal(same.tokens(images), tiny_encoder.tokens(images))
    assert not any(
        mine.data_ptr() == its.data_ptr()
        for mine, its in zip(same.parameters(), tiny_encoder.parameters(), strict=True)
    )


def test_twice_the_size_has_twice_the_grid_and_positions_between_the_old_ones(tiny_encoder):
    wide = at_size(tiny_encoder, (32, 64))
    assert wide.config.grid == (4, 8)
    assert wide.tokens(torch.randn(1, 3, 32, 64)).shape == (1, 33, 48)
    old, new = tiny_encoder.vit.pos_embed, wide.vit.pos_embed
    assert torch.equal(old[:, 0], new[:, 0])
    rows = new[0, 1:].reshape(4, 8, -1)
    neighbours = rows.reshape(4, 4, 2, -1).mean(2)
    assert (neighbours - old[0, 1:].reshape(4, 4, -1)).abs().mean() < 0.05


def test_no_multiple_of_the_patch_is_refused(tiny_encoder):
    with pytest.raises(ValueError, match="multiple"):
        at_size(tiny_encoder, 30)
