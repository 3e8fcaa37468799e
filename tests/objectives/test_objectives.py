"""Laws that every objective keeps."""

import json
from pathlib import Path

import pytest
import torch

from rspipe.errors import RecipeError
from rspipe.models.encoder import EncoderConfig
from rspipe.objectives import OBJECTIVES, build
from rspipe.objectives.mae import MAEConfig
from rspipe.objectives.selective_mae import SelectiveMAEConfig

ENCODER = EncoderConfig(img_px=(32, 48), patch_px=8, width=24, depth=2, heads=2)
SMALL = {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
CONFIGS = {
    "mae": MAEConfig(**SMALL),
    "selective_mae": SelectiveMAEConfig(**SMALL),
    "selective_mae_hog_sample": SelectiveMAEConfig(selection="hog_sample", **SMALL),
    "selective_mae_random": SelectiveMAEConfig(selection="random", **SMALL),
}
COUNTS = {"mae": (6, 18), "selective_mae": (3, 6)}
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


@pytest.fixture
def images():
    return torch.randn(4, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def train(objective, images, steps, lr, still=False):
    """Losses of a short run; `still` keeps one plan all through."""
    optimiser = torch.optim.AdamW(objective.parameters(), lr=lr)
    losses = []
    for step in range(steps):
        done, seed = (0.5, 0) if still else (step / steps, step)
        loss = objective(images, done, seeded(seed)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def test_every_objective_is_tested_here():
    assert {config.name for config in CONFIGS.values()} == set(OBJECTIVES)


@pytest.mark.parametrize("progress", [0.0, 0.36, 0.5, 0.74, 1.0])
def test_counts_are_exact_disjoint_and_per_image(config, images, progress):
    plan = build(config, ENCODER, seed=0).plan(images, progress, seeded())
    kept, predicted = COUNTS[config.name]
    assert plan.ids_keep.shape == (4, kept)
    assert plan.ids_predict.shape == (4, predicted)
    for keep, predict in zip(plan.ids_keep.tolist(), plan.ids_predict.tolist(), strict=True):
        assert len(set(keep) | set(predict)) == kept + predicted
    assert len({tuple(sorted(row)) for row in plan.ids_keep.tolist()}) > 1


def test_loss_ignores_what_is_neither_seen_nor_predicted(config, images):
    objective = build(config, ENCODER, seed=0)
    plan = objective.plan(images, 0.5, seeded())
    objective.plan = lambda *_: plan
    before = objective(images, 0.5, seeded()).loss_per_image
    used = torch.cat([plan.ids_keep, plan.ids_predict], dim=1)
    mask = torch.zeros(4, 24, dtype=torch.bool).scatter(1, used, value=True).reshape(4, 1, 4, 6)
    mask = mask.repeat_interleave(8, 2).repeat_interleave(8, 3)
    noise = torch.randn(images.shape, generator=seeded(5))
    after = objective(torch.where(mask, images, noise), 0.5, seeded()).loss_per_image
    assert torch.equal(before, after)


def test_prediction_depends_on_visible_pixels_only(config, images):
    objective = build(config, ENCODER, seed=0)
    plan = objective.plan(images, 0.5, seeded())
    mask = torch.zeros(4, 24, dtype=torch.bool).scatter(1, plan.ids_keep, value=True)
    mask = mask.reshape(4, 1, 4, 6).repeat_interleave(8, 2).repeat_interleave(8, 3)
    noise = torch.randn(images.shape, generator=seeded(5))
    changed = torch.where(mask, images, noise)
    assert torch.equal(objective.predict(images, plan), objective.predict(changed, plan))


def test_step_is_a_function_of_its_generator(config, images):
    objective = build(config, ENCODER, seed=0)
    a, b, c = (objective(images, 0.9, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(a.loss_per_image, b.loss_per_image)
    assert not torch.equal(a.plan.ids_keep, c.plan.ids_keep)


def test_batch_of_one_works_at_every_stage(config, images):
    objective = build(config, ENCODER, seed=0)
    for progress in (0.0, 0.36, 0.5, 0.74, 1.0):
        step = objective(images[:1], progress, seeded())
        assert torch.isfinite(step.loss)
        torch.testing.assert_close(step.loss_per_image.mean(), step.loss)


def test_overfits_eight_images(config):
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    waves = [
        torch.sin(x * (i + 2) / 9 + c) * torch.cos(y * (i + 1) / 7)
        for i in range(8)
        for c in range(3)
    ]
    images = torch.stack(waves).reshape(8, 3, 32, 48)
    objective = build(config, ENCODER, seed=0)
    losses = train(objective, images, steps=200, lr=1e-2, still=True)
    assert losses[-1] < 0.5 * losses[0]


def test_reconstruction_keeps_what_is_visible(config, images):
    objective = build(config, ENCODER, seed=0)
    made = objective.reconstruct(images, 0.5, seeded())
    shown = made.visible != 0
    assert torch.equal(made.filled[shown], images[shown])
    kept, predicted = COUNTS[config.name]
    assert shown.float().mean() == kept / 24
    assert (made.predicted.sum(dim=(1, 2)) == predicted).all()


@pytest.mark.parametrize("name", CONFIGS)
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
    # Analytic counts of both methods for ViT-B/16 at 224 px.
    assert mae.macs_per_image() == pytest.approx(9.78e9, rel=1e-3)
    assert selective.macs_per_image() == pytest.approx(4.54e9, rel=1e-3)


def test_macs_are_those_that_torch_counts(config, images):
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    objective = build(config, ENCODER, seed=0)
    plan = objective.plan(images, 0.5, seeded())
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter, torch.no_grad():
        objective.predict(images, plan)
    assert counter.get_total_flops() == 2 * 4 * objective.macs_per_image()


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
        plan = objective.plan(images, 1.0, seeded())
        share[selection] = (plan.ids_predict % 6 >= 3).float().mean().item()
    assert share["hog_topk"] == 1
    assert share["hog_sample"] > 0.7
    assert 0.3 < share["random"] < 0.7


def test_grid_too_small_for_its_ratios_is_refused():
    tiny = EncoderConfig(img_px=16, patch_px=8, width=24, depth=1, heads=2)
    with pytest.raises(RecipeError, match="use smaller patches"):
        build(SelectiveMAEConfig(**SMALL), tiny, seed=0)
