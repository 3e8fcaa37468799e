# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import ValidationError

from rspipe.errors import RecipeError
from rspipe.models.encoder import EncoderConfig
from rspipe.objectives import DMJD, Draws, build
from rspipe.objectives.dmjd import DMJDConfig
from rspipe.objectives.hog import hog_target
from rspipe.objectives.masking import Cells

SMALL = {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2, "visible_width": 8}


def made(grid=(4, 6), **dials):
    encoder = EncoderConfig(
        img_px=(grid[0] * 8, grid[1] * 8), patch_px=8, width=8, depth=1, heads=2
    )
    return build(DMJDConfig(**SMALL | dials), encoder, seed=0)


def planned(objective, count=3, seed=0):
    images = torch.zeros(count, 3, *objective.encoder.config.size_px)
    return objective.plan(images, 0.5, Draws(seed, torch.arange(count)))


@given(
    views=st.integers(2, 5),
    extra=st.floats(0, 0.3),
    grid=st.tuples(st.integers(3, 7), st.integers(3, 7)),
    cell_px=st.sampled_from([None, 16]),
    seed=st.integers(0, 99),
)
def test_visible_sets_are_disjoint_and_masked_sets_cover_all(views, extra, grid, cell_px, seed):
    mask_ratio = min(1 - 1 / views + extra, 0.85)
    cells = Cells.of(grid, 8, cell_px or 8)
    assume(cells.count_hidden(mask_ratio) < grid[0] * grid[1])
    objective = made(grid, views=views, mask_ratio=mask_ratio, mask_cell_px=cell_px)
    plan = planned(objective, seed=seed)
    patches = grid[0] * grid[1]
    for keep, predict in zip(
        plan.ids_keep.reshape(3, views, -1), plan.ids_predict.reshape(3, views, -1), strict=True
    ):
        assert len(keep.unique()) == keep.numel() == objective.shown
        assert len(predict.unique()) == patches


@pytest.mark.parametrize(
    ("mask_ratio", "cell_px", "overlap", "masked", "visible"),
    [
        (0.5, None, 0, 196, 196),
        (0.6, None, 0, 196, 156),
        (0.75, None, 0, 196, 98),
        (0.5, 32, 0, 196, 192),
        (0.6, 32, 0, 196, 152),
        (0.75, 32, 0, 196, 96),
    ],
)
def test_counts_are_those_of_the_released_code(mask_ratio, cell_px, overlap, masked, visible):
    encoder = EncoderConfig(width=8, depth=1, heads=2)
    config = DMJDConfig(mask_ratio=mask_ratio, mask_cell_px=cell_px, **SMALL)
    plan = planned(build(config, encoder, seed=0), count=1)
    first, second = (set(row) for row in plan.ids_keep.tolist())
    assert len(first & second) == overlap
    assert len(first | second) == visible
    assert len(set(plan.ids_predict.flatten().tolist())) == masked


def test_below_half_two_views_predict_what_they_can():
    plan = planned(made((10, 10), mask_ratio=0.4, mask_cell_px=None))
    for rows in plan.ids_predict.reshape(3, 2, -1):
        assert len(rows.unique()) == 80


def test_predict_ratio_leaves_patches_that_every_view_sees():
    objective = made((10, 10), mask_ratio=0.6, predict_ratio=0.9, mask_cell_px=None)
    plan = planned(objective)
    assert objective.shown == 10 + 2 * 30
    for rows in plan.ids_predict.reshape(3, 2, -1):
        assert len(rows.unique()) == 90


def test_loss_is_squared_error_of_hidden_and_smooth_l1_of_visible():
    objective = made(theta=0.5, mask_cell_px=None)
    for head in (objective.decoder.predict, objective.visible_decoder.predict):
        torch.nn.init.zeros_(head.weight)
    pixels = torch.randint(0, 256, (2, 3, 32, 48), generator=torch.Generator().manual_seed(0))
    images = objective.encoder.normalise(pixels.byte())
    plan = objective.plan(images, 0.5, Draws(0, torch.arange(2)))
    target = hog_target(pixels.float(), 8).repeat_interleave(2, dim=0)
    step = objective(images, plan)
    hidden = torch.cat([t[ids] for t, ids in zip(target, plan.ids_predict, strict=True)])
    visible = torch.cat([t[ids] for t, ids in zip(target, plan.ids_keep, strict=True)])
    close = {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(step.terms["reconstruction"], hidden.square().mean(), **close)
    smooth = F.smooth_l1_loss(visible, torch.zeros_like(visible), beta=2)
    torch.testing.assert_close(step.terms["visible"], 0.5 * smooth, **close)


def test_cost_and_learning_rate_are_those_of_the_paper_shapes():
    with torch.device("meta"):
        dmjd = DMJD(DMJDConfig(), EncoderConfig())
    assert dmjd.macs_per_image() == pytest.approx(24.2e9, rel=0.01)
    assert dmjd.lr_scale == pytest.approx(1 / 0.6)
    assert made(lr_rule="none", mask_cell_px=16).lr_scale == 1


def test_cells_that_hide_all_are_refused():
    with pytest.raises(RecipeError, match="hides all 24 patches"):
        made(mask_cell_px=32)


def test_predicting_less_than_one_view_hides_is_refused():
    with pytest.raises(ValidationError, match="which one view alone predicts"):
        DMJDConfig(mask_ratio=0.6, predict_ratio=0.5)
