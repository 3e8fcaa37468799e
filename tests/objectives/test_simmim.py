# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.errors import RecipeError
from rspipe.models.encoder import EncoderConfig
from rspipe.models.patches import patchify
from rspipe.objectives import Draws, build
from rspipe.objectives.simmim import SimMIMConfig

ENCODER = EncoderConfig(img_px=(32, 48), patch_px=8, width=24, depth=2, heads=2)


def planned(config=None, encoder=ENCODER, count=6):
    config = config or SimMIMConfig(mask_cell_px=16)
    simmim = build(config, encoder, seed=0)
    images = torch.randn(count, 3, *encoder.size_px, generator=torch.Generator().manual_seed(0))
    return simmim, images, simmim.plan(images, 0.5, Draws(0, torch.arange(count)))


def test_zero_output_costs_the_mean_absolute_masked_pixel():
    simmim, images, plan = planned()
    torch.nn.init.zeros_(simmim.head.weight)
    patches = patchify(images, 8)
    hidden = torch.stack([p[ids] for p, ids in zip(patches, plan.ids_predict, strict=True)])
    want = hidden.abs().sum() / hidden.numel()
    torch.testing.assert_close(simmim(images, plan).loss, want)


def test_paper_shapes_hide_30_cells_of_49():
    encoder = EncoderConfig(width=12, heads=1, depth=1)
    _, _, plan = planned(SimMIMConfig(), encoder, count=2)
    assert plan.ids_predict.shape == (2, 120)
    for ids in plan.ids_predict:
        cells = (ids // 14 // 2) * 7 + ids % 14 // 2
        assert cells.unique(return_counts=True)[1].tolist() == [4] * 30


def test_hidden_patches_share_one_token_but_not_a_place():
    simmim, images, plan = planned()
    seen = []
    simmim.encoder.vit.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    simmim.predict(images, plan)
    tokens = seen[0][:, 1:] - simmim.encoder.vit.pos_embed[:, 1:]
    for row, ids in zip(tokens, plan.ids_predict, strict=True):
        torch.testing.assert_close(row[ids], simmim.mask_token[0].expand(len(ids), -1))


def test_cell_that_is_no_multiple_of_a_patch_is_refused():
    with pytest.raises(RecipeError, match="mask_cell_px=20 is no multiple of patch_px=8; use 16"):
        planned(SimMIMConfig(mask_cell_px=20))


def test_cells_that_hide_all_are_refused():
    with pytest.raises(RecipeError, match="hides 24 of 24 patches"):
        planned(SimMIMConfig(mask_cell_px=32))
