# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch

from rspipe.models.encoder import EncoderConfig, gather_tokens
from rspipe.models.patches import patchify
from rspipe.objectives import Draws, Plan, build
from rspipe.objectives.hog import hog_scores
from rspipe.objectives.inspection import choosing, patch_errors, released_scores, shares_by_score
from rspipe.objectives.mae import MAEConfig
from rspipe.objectives.selective_mae import SelectiveMAEConfig
from rspipe.objectives.simmim import SimMIMConfig

TINY = EncoderConfig(img_px=32, patch_px=4, width=16, depth=1, heads=2)
DECODER = {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
SELECTIVE = SelectiveMAEConfig(**DECODER)
METHODS = [SELECTIVE, MAEConfig(**DECODER), SimMIMConfig(mask_cell_px=8)]


def textured(count=3):
    """The right half is noise, the left half flat."""
    images = torch.zeros(count, 3, 32, 32)
    noise = torch.Generator().manual_seed(0)
    images[..., 16:] = torch.rand(count, 3, 32, 16, generator=noise)
    return images


@pytest.mark.parametrize("config", METHODS, ids=lambda config: config.name)
def test_errors_of_the_patches_average_to_the_loss(config):
    objective, images = build(config, TINY, seed=0).eval(), textured()
    plan = objective.plan(images, 0.5, Draws(0, torch.arange(3)))
    errors = patch_errors(objective, images, plan)
    assert errors.shape == plan.ids_predict.shape
    torch.testing.assert_close(errors.mean(), objective(images, plan).loss)


def test_an_error_belongs_to_its_patch():
    objective, images = build(SELECTIVE, TINY, seed=0).eval(), textured(1)
    plan = objective.plan(images, 0.5, Draws(0, torch.arange(1)))
    turned = Plan(plan.ids_keep, plan.ids_predict.flip(1))
    torch.testing.assert_close(
        patch_errors(objective, images, turned), patch_errors(objective, images, plan).flip(1)
    )
    # Of a flat patch nothing is wanted but zeros, so that the error is what was predicted.
    flat = gather_tokens(patchify(images, 4), plan.ids_predict).std(dim=2) == 0
    predicted = objective.predict(images, plan).square().mean(dim=2)
    torch.testing.assert_close(patch_errors(objective, images, plan)[flat], predicted[flat])


def test_another_choice_keeps_the_weights_and_leaves_the_model_alone():
    objective, images = build(SELECTIVE, TINY, seed=0), textured()
    other = choosing(objective, "random")
    assert other.encoder is objective.encoder
    assert objective.config.selection == "hog_topk"
    seeds = {}
    for model in (objective, other):
        plan = model.plan(images, 0.0, Draws(0, torch.arange(3)))
        seeds[model.config.selection] = plan.ids_keep[:, : model.seeds] % 8
    assert (seeds["hog_topk"] >= 4).all()  # columns of the textured half
    assert not (seeds["random"] >= 4).all()


def test_the_released_formula_tells_no_patch_from_another():
    images = textured()
    assert released_scores(images, 4).abs().max() < 1e-6
    assert hog_scores(images, 4).std() > 0.5


def test_shares_follow_the_rank_of_the_score_within_its_image():
    scores = np.array([[0.1, 0.4, 0.2, 0.3], [40.0, 10.0, 30.0, 20.0]])
    roles = np.array([[0, 1, 0, 1], [1, 0, 1, 0]]).reshape(2, 2, 2)
    assert shares_by_score(roles, scores, groups=2, kinds=3).tolist() == [[1, 0, 0], [0, 1, 0]]
    constant = np.zeros_like(scores)
    assert shares_by_score(roles, constant, groups=1, kinds=2).tolist() == [[0.5, 0.5]]
