# SPDX-License-Identifier: Apache-2.0
"""Laws that every objective keeps."""

import json
from pathlib import Path

import pytest
import torch

from rspipe.errors import RecipeError
from rspipe.models.encoder import EncoderConfig
from rspipe.objectives import OBJECTIVES, Draws, Plan, build
from rspipe.objectives.cross_mae import CrossMAEConfig
from rspipe.objectives.dmjd import DMJDConfig
from rspipe.objectives.mae import MAEConfig
from rspipe.objectives.region_masking import RegionMaskingConfig
from rspipe.objectives.selective_mae import SelectiveMAEConfig
from rspipe.objectives.simmim import SimMIMConfig

ENCODER = EncoderConfig(img_px=(32, 48), patch_px=8, width=24, depth=2, heads=2)
SMALL = {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
METHODS = {
    "mae": MAEConfig(**SMALL),
    "cross_mae": CrossMAEConfig(**SMALL),
    "selective_mae": SelectiveMAEConfig(**SMALL),
    "selective_mae_hog_sample": SelectiveMAEConfig(selection="hog_sample", **SMALL),
    "selective_mae_random": SelectiveMAEConfig(selection="random", **SMALL),
    "simmim": SimMIMConfig(mask_cell_px=16),
    "dmjd": DMJDConfig(mask_cell_px=16, visible_width=16, **SMALL),
    "dmjd_three_views": DMJDConfig(
        views=3, mask_ratio=0.7, mask_cell_px=None, visible_width=16, **SMALL
    ),
}
CONFIGS = METHODS | {
    f"regions_{name}": RegionMaskingConfig(base=METHODS[name], segments=8)
    for name in ("mae", "cross_mae", "selective_mae", "simmim", "dmjd")
}
COUNTS = {
    "mae": (6, 18),
    "cross_mae": (6, 6),
    "selective_mae": (3, 6),
    "selective_mae_hog_sample": (3, 6),
    "selective_mae_random": (3, 6),
    "simmim": (8, 16),
    "dmjd": (8, 16),
    "dmjd_three_views": (7, 17),
}
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(params=CONFIGS)
def name(request):
    return request.param


@pytest.fixture
def config(name):
    return CONFIGS[name]


@pytest.fixture
def images():
    return torch.randn(4, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def per_view(objective, images):
    return images.repeat_interleave(objective.views, dim=0)


def pixels_of(ids):
    """True at the pixels of these patches, per row of ids."""
    mask = torch.zeros(len(ids), 24, dtype=torch.bool).scatter(1, ids, value=True)
    return mask.reshape(-1, 1, 4, 6).repeat_interleave(8, 2).repeat_interleave(8, 3)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(images, seed=0):
    return Draws(seed, torch.arange(len(images)))


def train(objective, images, steps, lr, still=False):
    """Losses of a short run; `still` keeps one plan all through."""
    optimiser = torch.optim.AdamW(objective.parameters(), lr=lr)
    losses = []
    for step in range(steps):
        done, seed = (0.5, 0) if still else (step / steps, step)
        loss = objective(images, objective.plan(images, done, draws(images, seed))).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def test_every_objective_is_tested_here():
    assert {config.name for config in METHODS.values()} == set(OBJECTIVES)


@pytest.mark.parametrize("progress", [0.0, 0.36, 0.5, 0.74, 1.0])
def test_counts_are_exact_disjoint_and_per_image(name, config, images, progress):
    objective = build(config, ENCODER, seed=0)
    plan = objective.plan(images, progress, draws(images))
    kept, predicted = COUNTS[name.removeprefix("regions_")]
    assert kept == objective.kept
    assert plan.ids_keep.shape == (4 * objective.views, kept)
    assert plan.ids_predict.shape == (4 * objective.views, predicted)
    for keep, predict in zip(plan.ids_keep.tolist(), plan.ids_predict.tolist(), strict=True):
        assert len(set(keep) | set(predict)) == kept + predicted
    together = plan.ids_keep.reshape(4, -1)
    assert len({tuple(sorted(row)) for row in together.tolist()}) > 1
    assert all(len(set(row)) == objective.shown for row in together.tolist())


def test_loss_ignores_what_is_neither_seen_nor_predicted(config, images):
    objective = build(config, ENCODER, seed=0)
    plan = objective.plan(images, 0.5, draws(images))
    before = objective(images, plan).loss_per_image
    used = pixels_of(torch.cat([plan.ids_keep, plan.ids_predict], dim=1).reshape(4, -1))
    noise = torch.randn(images.shape, generator=seeded(5))
    after = objective(torch.where(used, images, noise), plan).loss_per_image
    assert torch.equal(before, after)


def test_prediction_depends_on_visible_pixels_only(config, images):
    objective = build(config, ENCODER, seed=0)
    plan = objective.plan(images, 0.5, draws(images))
    noise = torch.randn(images.shape, generator=seeded(5))
    views = per_view(objective, images)
    changed = torch.where(pixels_of(plan.ids_keep), views, per_view(objective, noise))
    assert torch.equal(objective.predict(views, plan), objective.predict(changed, plan))


def test_plan_is_a_function_of_its_draws(config, images):
    objective = build(config, ENCODER, seed=0)
    a, b, c = (objective.plan(images, 0.9, draws(images, s)) for s in (1, 1, 2))
    assert torch.equal(a.ids_keep, b.ids_keep)
    assert torch.equal(a.ids_predict, b.ids_predict)
    assert not torch.equal(a.ids_keep, c.ids_keep)


@pytest.mark.parametrize("progress", [0.0, 0.36, 0.5, 0.74, 1.0])
def test_an_image_is_planned_alike_in_any_batch(config, images, progress):
    objective = build(config, ENCODER, seed=0)
    whole = objective.plan(images, progress, draws(images))
    parts = [
        objective.plan(images[i : i + 1], progress, Draws(0, torch.tensor([i])))
        for i in range(len(images))
    ]
    assert torch.equal(whole.ids_keep, torch.cat([part.ids_keep for part in parts]))
    assert torch.equal(whole.ids_predict, torch.cat([part.ids_predict for part in parts]))


def test_batch_of_one_works_at_every_stage(config, images):
    objective = build(config, ENCODER, seed=0)
    for progress in (0.0, 0.36, 0.5, 0.74, 1.0):
        step = objective(images[:1], objective.plan(images[:1], progress, draws(images[:1])))
        assert torch.isfinite(step.loss)
        torch.testing.assert_close(step.loss_per_image.mean(), step.loss)
        torch.testing.assert_close(sum(step.terms.values()), step.loss.detach())


def test_every_parameter_learns(config, images):
    objective = build(config, ENCODER, seed=0)
    objective(images, objective.plan(images, 0.5, draws(images))).loss.backward()
    still = [
        name
        for name, parameter in objective.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.any())
    ]
    assert still == []


@pytest.mark.parametrize("name", METHODS)
def test_a_step_is_one_graph(name, images):
    """What torch.compile needs to be of use; it falls apart silently where it is not."""
    objective = build(CONFIGS[name], ENCODER, seed=0)
    plan = objective.plan(images, 0.5, draws(images))
    whole = torch.compile(objective, backend="eager", fullgraph=True, dynamic=False)
    torch.testing.assert_close(whole(images, plan).loss, objective(images, plan).loss)


def test_half_precision_changes_little(config, images):
    objective = build(config, ENCODER, seed=0)
    plan = objective.plan(images, 0.5, draws(images))
    exact = objective(images, plan).loss
    with torch.autocast("cpu", torch.bfloat16):
        rounded = objective(images, plan).loss
    assert rounded.dtype == torch.float32
    rounded.backward()
    torch.testing.assert_close(rounded, exact, rtol=0.01, atol=0)


def test_checkpointed_blocks_give_the_same_gradients(config, images):
    gradients = []
    for checkpointed in (False, True):
        objective = build(config, ENCODER, seed=0)
        for part in objective.modules():
            if hasattr(part, "checkpointed"):
                part.checkpointed = checkpointed
        objective(images, objective.plan(images, 0.5, draws(images))).loss.backward()
        gradients.append([p.grad for p in objective.parameters() if p.grad is not None])
    for plain, again in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, again)


@pytest.mark.parametrize("name", [*METHODS, "regions_mae"])
def test_overfits_eight_real_tiles(name, tiles):
    objective = build(CONFIGS[name], ENCODER, seed=0)
    images = objective.encoder.normalise(tiles)
    losses = train(objective, images, steps=100, lr=1e-2, still=True)
    assert losses[-1] < 0.5 * losses[0]


def test_reconstruction_keeps_what_is_visible(name, config, images):
    objective = build(config, ENCODER, seed=0)
    made = objective.reconstruct(images, objective.plan(images, 0.5, draws(images)))
    shown = made.visible != 0
    assert torch.equal(made.filled[shown], images[shown])
    kept, predicted = COUNTS[name.removeprefix("regions_")]
    assert shown.float().mean() == kept / 24
    assert (made.predicted.sum(dim=(1, 2)) == predicted).all()


def test_losses_are_those_of_the_golden_file(name):
    images = torch.randn(8, 3, 32, 48, generator=seeded(7))
    losses = train(build(CONFIGS[name], ENCODER, seed=0), images, steps=20, lr=1e-3)
    want = json.loads((GOLDEN / f"{name}.json").read_text())["losses"]
    torch.testing.assert_close(torch.tensor(losses), torch.tensor(want), rtol=0, atol=1e-4)


def test_macs_are_those_of_the_paper_shapes():
    base = EncoderConfig()
    with torch.device("meta"):
        mae = OBJECTIVES["mae"](MAEConfig(), base)
        selective = OBJECTIVES["selective_mae"](SelectiveMAEConfig(), base)
    # As published analytic counts for ViT-B/16 at 224 px, less the embedding of hidden patches.
    assert mae.macs_per_image() == pytest.approx(9.69e9, rel=1e-3)
    assert selective.macs_per_image() == pytest.approx(4.44e9, rel=1e-3)


@pytest.mark.parametrize("count", [1, 4, 12])
@pytest.mark.parametrize("normalise", ["patch", "patch_band"])
def test_any_number_of_bands_is_learnt_from(name, config, count, normalise):
    statistics = {"mean": (0.5,) * count, "std": (0.2,) * count}
    bands = tuple(f"b{i}" for i in range(count))
    encoder = ENCODER.model_copy(update={"in_chans": count, "bands": bands} | statistics)
    if hasattr(config, "normalise"):
        config = config.model_copy(update={"normalise": normalise})
    objective = build(config, encoder, seed=0)
    images = torch.randn(2, count, 32, 48, generator=seeded(1))
    plan = objective.plan(images, 0.5, draws(images))
    kept, predicted = COUNTS[name.removeprefix("regions_")]
    assert plan.ids_keep.shape == (2 * objective.views, kept)
    assert plan.ids_predict.shape == (2 * objective.views, predicted)
    losses = train(objective, images, steps=5, lr=1e-2, still=True)
    assert losses[-1] < losses[0]
    made = objective.reconstruct(images, plan)
    assert made.filled.shape == images.shape
    assert torch.isfinite(made.filled).all()


def test_macs_are_those_that_torch_counts(config, images):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    objective = build(config, ENCODER, seed=0)
    plan = objective.plan(images, 0.5, draws(images))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        objective(images, plan)
    assert counter.get_total_flops() == 2 * 4 * objective.macs_per_image()


@pytest.mark.parametrize(("normalise", "values"), [("patch", 192), ("patch_band", 64)])
def test_zero_output_costs_the_biased_variance(images, normalise, values):
    """Targets have an unbiased variance of 1, so the mean square of n values is (n - 1) / n."""
    objective = build(MAEConfig(normalise=normalise, **SMALL), ENCODER, seed=0)
    torch.nn.init.zeros_(objective.decoder.predict.weight)
    loss = objective(images, objective.plan(images, 0.5, draws(images))).loss.item()
    assert loss == pytest.approx((values - 1) / values, rel=1e-4)


@pytest.mark.parametrize("name", ["cross_mae", "selective_mae"])
def test_prediction_of_a_patch_does_not_depend_on_what_else_is_predicted(name, images):
    objective = build(CONFIGS[name], ENCODER, seed=0)
    plan = objective.plan(images, 0.5, draws(images))
    fewer = Plan(plan.ids_keep, plan.ids_predict[:, ::2])
    torch.testing.assert_close(
        objective.predict(images, fewer), objective.predict(images, plan)[:, ::2]
    )


@pytest.mark.parametrize("rule", ["predict_over_mask", "mask_over_predict", "none"])
def test_learning_rate_rule_is_stated(rule):
    config = SelectiveMAEConfig(lr_rule=rule, **SMALL)
    want = {"predict_over_mask": 0.25 / 0.85, "mask_over_predict": 0.85 / 0.25, "none": 1.0}[rule]
    assert build(config, ENCODER, seed=0).lr_scale == pytest.approx(want)


def test_hog_selection_prefers_texture_and_random_does_not():
    images = torch.zeros(16, 3, 32, 48)
    images[..., 24:] = torch.randn(16, 3, 32, 24, generator=seeded(3))
    share = {}
    for selection in ("hog_topk", "hog_sample", "random"):
        objective = build(SelectiveMAEConfig(selection=selection, **SMALL), ENCODER, seed=0)
        plan = objective.plan(images, 1.0, draws(images))
        share[selection] = (plan.ids_predict % 6 >= 3).float().mean().item()
    assert share["hog_topk"] == 1
    assert share["hog_sample"] > 0.7
    assert 0.3 < share["random"] < 0.7


def test_grid_too_small_for_its_ratios_is_refused():
    tiny = EncoderConfig(img_px=16, patch_px=8, width=24, depth=1, heads=2)
    with pytest.raises(RecipeError, match="use smaller patches"):
        build(SelectiveMAEConfig(**SMALL), tiny, seed=0)
