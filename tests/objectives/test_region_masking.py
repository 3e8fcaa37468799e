# SPDX-License-Identifier: Apache-2.0
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rspipe.errors import RecipeError
from rspipe.models.encoder import EncoderConfig
from rspipe.objectives import Draws, build
from rspipe.objectives.dmjd import DMJDConfig
from rspipe.objectives.mae import MAEConfig
from rspipe.objectives.region_masking import (
    RegionMaskingConfig,
    cells_of_regions,
    numbered,
    systematic_order,
)
from rspipe.objectives.selective_mae import SelectiveMAEConfig
from rspipe.objectives.simmim import SimMIMConfig
from rspipe.recipe import validate
from rspipe.train.config import PretrainWhat

ENCODER = EncoderConfig(img_px=(80, 80), patch_px=8, width=8, depth=1, heads=2)
SMALL = {"decoder_width": 8, "decoder_depth": 1, "decoder_heads": 2}
BASES = {
    "mae": MAEConfig(**SMALL),
    "selective_mae": SelectiveMAEConfig(**SMALL),
    "simmim": SimMIMConfig(),
    "dmjd": DMJDConfig(visible_width=8, **SMALL),
}


def quarters(count):
    """Label maps of four unlike regions: 6 x 4, 6 x 6, 4 x 4 and 4 x 6 patches."""
    maps = torch.zeros(count, 80, 80, dtype=torch.long)
    maps[:, :48, 32:], maps[:, 48:, :32], maps[:, 48:, 32:] = 7, 40, 300
    return maps


def planned(base, regions, count=8, seed=0, **dials):
    config = RegionMaskingConfig(base=base, regions="masks", **dials)
    objective = build(config, ENCODER, seed=0)
    images = torch.randn(count, 3, 80, 80, generator=torch.Generator().manual_seed(0))
    draws = Draws(seed, torch.arange(count))
    return objective, objective.plan(images, 0.5, draws, regions)


def seen_per_region(plan, region_of, views=1):
    """Patches seen in each region: (V, regions)."""
    rows = region_of.repeat_interleave(views, dim=0).gather(1, plan.ids_keep)
    return torch.stack([(rows == region).sum(dim=1) for region in range(4)], dim=1)


@pytest.mark.parametrize("base", BASES)
def test_one_region_of_each_image_is_never_seen(base):
    objective, plan = planned(BASES[base], quarters(8))
    region_of = numbered(quarters(8), 64)[:, ::8, ::8].flatten(1)
    seen = seen_per_region(plan, region_of, objective.views)
    together = seen.reshape(8, objective.views, 4).sum(dim=1)
    unseen = (together == 0).sum(dim=1)
    # SelectiveMAE chooses by content, and so may leave out another one.
    assert (unseen >= 1).all() if base == "selective_mae" else (unseen == 1).all()
    assert len((together == 0).int().argmax(dim=1).unique()) > 1  # drawn image by image


@pytest.mark.parametrize("base", ["mae", "simmim", "dmjd"])
def test_other_regions_are_seen_in_proportion(base):
    objective, plan = planned(BASES[base], quarters(8))
    region_of = numbered(quarters(8), 64)[:, ::8, ::8].flatten(1)
    area = torch.tensor([24, 36, 16, 24])
    seen = seen_per_region(plan, region_of, objective.views)
    together = seen.reshape(8, objective.views, 4).sum(dim=1, keepdim=True)
    hidden = (together == 0).expand(-1, objective.views, -1).flatten(0, 1)
    free = 100 - area.expand_as(hidden)[hidden]
    want = objective.kept * area / free[:, None]
    assert (seen[~hidden] >= want.floor()[~hidden]).all()
    assert (seen[~hidden] <= want.ceil()[~hidden]).all()


@given(
    sizes=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    data=st.data(),
    seed=st.integers(0, 999),
)
def test_every_stretch_of_the_order_is_in_proportion(sizes, data, seed):
    hidden_size = data.draw(st.integers(0, 10))
    strata = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    strata = torch.cat([strata, torch.zeros(hidden_size, dtype=torch.long)])
    place = torch.randperm(len(strata), generator=torch.Generator().manual_seed(seed))
    hidden = (torch.arange(len(strata)) >= sum(sizes))[place][None]
    strata = strata[place][None]
    kept = data.draw(st.integers(1, sum(sizes)))
    order = systematic_order(strata, hidden, kept, Draws(seed, torch.tensor([0])))
    assert torch.equal(order.isinf(), hidden)
    assert len(order[~hidden].unique()) <= sum(sizes)
    ranked = order.argsort(dim=1, stable=True)[0]
    for start in range(0, sum(sizes) - kept + 1, kept):
        found = strata[0, ranked[start : start + kept]].bincount(minlength=len(sizes))
        for size, share in zip(sizes, found.tolist(), strict=True):
            exact = kept * size / sum(sizes)
            assert math.floor(exact) <= share <= math.ceil(exact)


def test_every_patch_outside_the_region_is_seen_as_often():
    strata = torch.arange(4).repeat_interleave(torch.tensor([1, 3, 10, 16])).expand(6000, -1)
    hidden = torch.zeros_like(strata, dtype=torch.bool)
    hidden[:, 20:24] = True
    order = systematic_order(strata, hidden, 7, Draws(0, torch.arange(6000)))
    often = order.argsort(dim=1, stable=True)[:, :7].flatten().bincount(minlength=30) / 6000
    want = torch.where(hidden[0], 0.0, 7 / 26)
    torch.testing.assert_close(often, want, rtol=0, atol=0.025)


@pytest.mark.parametrize("label", [-1, 3])
def test_without_a_usable_region_masks_are_random(label):
    """No region at all, or one that fills the image: every patch is seen as often as another."""
    regions = torch.full((400, 80, 80), label)
    _, plan = planned(BASES["mae"], regions, count=400)
    often = plan.ids_keep.flatten().bincount(minlength=100) / 400
    torch.testing.assert_close(often, torch.full((100,), 0.25), rtol=0, atol=0.09)
    assert len({tuple(sorted(row)) for row in plan.ids_keep.tolist()}) == 400


def test_a_region_hides_every_patch_it_touches():
    regions = torch.full((4, 80, 80), -1)
    regions[:, 20:29, 20:29] = 5  # touches patches 2 and 3, down and across
    _, plan = planned(BASES["mae"], regions, count=4)
    assert not torch.isin(plan.ids_keep, torch.tensor([22, 23, 32, 33])).any()


def test_a_region_larger_than_what_stays_hidden_is_seen():
    regions = torch.zeros(64, 80, 80, dtype=torch.long)
    regions[:, :, 64:] = 1  # 20 and 80 of 100 patches; MAE hides 75
    _, plan = planned(BASES["mae"], regions, count=64)
    assert (plan.ids_keep % 10 < 8).all()


def test_regions_that_are_too_small_or_too_large_stay_visible():
    regions = torch.zeros(64, 80, 80, dtype=torch.long)
    regions[:, :8, :8] = 1
    _, plan = planned(BASES["mae"], regions, count=64)
    assert (plan.ids_keep == 0).any(dim=1).float().mean() > 0.1


def test_superpixels_hide_a_piece_of_one_colour():
    objective = build(RegionMaskingConfig(base=BASES["mae"]), ENCODER, seed=0)
    images = torch.zeros(32, 3, 80, 80)
    images[:, :, 16:40, 16:40] = 4.0
    plan = objective.plan(images, 0.5, Draws(0, torch.arange(32)))
    bright = torch.tensor([10 * y + x for y in range(2, 5) for x in range(2, 5)])
    wholly = ~torch.isin(plan.ids_keep, bright).any(dim=1)
    assert 2 / 32 <= wholly.float().mean() < 0.5  # by chance: 0.06
    assert not objective.needs_regions


def test_wrapper_changes_nothing_but_the_order():
    base = DMJDConfig(visible_width=8, **SMALL)
    plain = build(base, ENCODER, seed=0)
    objective = build(RegionMaskingConfig(base=base), ENCODER, seed=0)
    assert type(objective) is type(plain)
    assert list(objective.state_dict()) == list(plain.state_dict())
    for found, want in zip(objective.parameters(), plain.parameters(), strict=True):
        assert torch.equal(found, want)
    for trait in ("lr_scale", "views", "kept", "shown"):
        assert getattr(objective, trait) == getattr(plain, trait)
    assert objective.macs_per_image() == plain.macs_per_image()


def test_maps_are_asked_for_and_must_fit():
    config = RegionMaskingConfig(base=BASES["mae"], regions="masks")
    objective = build(config, ENCODER, seed=0)
    assert objective.needs_regions
    images, draws = torch.zeros(2, 3, 80, 80), Draws(0, torch.arange(2))
    with pytest.raises(ValueError, match="found None"):
        objective.plan(images, 0.5, draws)
    with pytest.raises(ValueError, match="found \\(2, 8, 8\\)"):
        objective.plan(images, 0.5, draws, torch.zeros(2, 8, 8, dtype=torch.long))


def test_views_that_show_all_leave_no_region_to_hide():
    base = DMJDConfig(mask_ratio=0.5, mask_cell_px=None, visible_width=8, **SMALL)
    with pytest.raises(RecipeError, match="dmjd shows 100 of 100 patches"):
        build(RegionMaskingConfig(base=base), ENCODER, seed=0)


def test_recipe_names_the_base_and_its_dials():
    what = {"encoder": {}, "images_per_step": 8, "steps": 1}
    objective = {"name": "region_masking", "base": {"name": "mae", "mask_ratio": 0.8}}
    read = validate(what | {"objective": objective}, PretrainWhat, "recipe")
    assert read.objective.base == MAEConfig(mask_ratio=0.8)
    for wrong in ({"name": "mae", "mask_ration": 0.8}, {"name": "region_masking", "base": {}}):
        with pytest.raises(RecipeError, match="recipe"):
            validate(what | {"objective": objective | {"base": wrong}}, PretrainWhat, "recipe")


def test_values_are_numbered_in_their_order():
    assert numbered(torch.tensor([[[9, 2], [-5, 9]]]), most=64).tolist() == [[[1, 0], [-1, 1]]]
    assert numbered(torch.arange(6).reshape(1, 2, 3), most=2).tolist() == [[[0, 1, -1], [-1] * 3]]


def test_cells_are_counted_in_their_patch():
    labels = torch.tensor([[[0, 0, 1, -1], [0, 2, 1, 1]]])
    counts = cells_of_regions(labels, (1, 2), regions=3)
    assert counts.tolist() == [[[3, 0, 1, 0], [0, 3, 0, 1]]]
