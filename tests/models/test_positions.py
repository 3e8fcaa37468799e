# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import timm
import torch
from timm.models.vision_transformer import checkpoint_filter_fn

from rspipe.models.positions import resize_positions, sincos_positions


def test_positions_follow_the_formula():
    table = sincos_positions(8, (2, 3))[0]
    assert table.shape == (7, 8)
    assert (table[0] == 0).all()  # class token
    row, column = 1, 2
    want = [math.sin(column), math.sin(column / 100), math.cos(column), math.cos(column / 100)]
    want += [math.sin(row), math.sin(row / 100), math.cos(row), math.cos(row / 100)]
    torch.testing.assert_close(table[1 + row * 3 + column], torch.tensor(want))


def test_width_must_be_a_multiple_of_four():
    with pytest.raises(ValueError, match="multiple of 4"):
        sincos_positions(10, (2, 2))


def test_resized_positions_are_those_of_timm_and_keep_the_class_token():
    """Against what timm's own model does when it loads weights of another size."""
    old, new = (
        timm.create_model("vit_tiny_patch16_224", img_size=px, num_classes=0) for px in (64, 96)
    )
    torch.nn.init.normal_(old.pos_embed)
    want = checkpoint_filter_fn(old.state_dict(), new)["pos_embed"]
    found = resize_positions(old.pos_embed.detach(), (4, 4), (6, 6))
    assert torch.equal(found, want)
    assert torch.equal(found[:, 0], old.pos_embed[:, 0])


def test_resizing_to_the_same_grid_changes_nothing():
    table = torch.randn(1, 13, 8)
    assert torch.equal(resize_positions(table, (3, 4), (3, 4)), table)


def test_oblong_grid_of_the_same_number_of_patches_is_another_grid():
    table = sincos_positions(8, (6, 6))
    resized = resize_positions(table, (6, 6), (4, 9))
    assert resized.shape == table.shape
    assert not torch.equal(resized, table)


def test_table_of_another_grid_is_refused():
    with pytest.raises(ValueError, match="13 positions"):
        resize_positions(torch.randn(1, 13, 8), (4, 4), (6, 6))
