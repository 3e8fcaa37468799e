# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.compare.plan import TRAINING_MACS_PER_FORWARD_MAC, Planner
from rspipe.errors import RecipeError
from rspipe.objectives import build
from tests.compare.conftest import DECODER, MACS


def test_every_variant_may_spend_the_same_within_half_a_step(make_compare):
    recipe = make_compare()
    planner = Planner(recipe)
    for name in recipe.variants:
        run = planner.final(name, 0, None, None)
        assert abs(run.training_macs - MACS) <= run.step_macs / 2
        what = run.recipe.what
        macs = build(what.objective, what.encoder, 0).macs_per_image()
        assert run.training_macs == (
            TRAINING_MACS_PER_FORWARD_MAC * macs * what.images_per_step * what.steps
        )


def test_a_variant_is_laid_over_the_base_and_may_change_anything(make_compare):
    recipe = make_compare(
        variants={
            "plain": {},
            "large_batch": {"what": {"images_per_step": 16, "objective": {"mask_ratio": 0.5}}},
            "mae": {"what": {"objective": {"name": "mae", **DECODER}}},
        }
    )
    planner = Planner(recipe)
    plain, large, mae = (planner.final(name, 0, None, None) for name in recipe.variants)
    assert large.recipe.what.images_per_step == 2 * plain.recipe.what.images_per_step
    assert large.recipe.what.objective.selection == plain.recipe.what.objective.selection
    assert large.recipe.what.objective.mask_ratio == 0.5
    assert mae.recipe.what.objective.name == "mae"


def test_a_budget_in_seconds_is_cut_by_the_pace(make_compare):
    planner = Planner(make_compare(budget={"seconds": 30.0}))
    assert planner.final("mae", 0, None, 0.1).recipe.what.steps == 300
    with pytest.raises(RecipeError, match="needs a trial of mae"):
        planner.final("mae", 0, None, None)


def test_runs_that_differ_in_anything_have_folders_of_their_own(make_compare):
    recipe = make_compare()
    planner = Planner(recipe)
    again = Planner(make_compare(base_what={"weight_decay": 0.1}))
    runs = [
        planner.final("mae", 0, None, None),
        planner.final("mae", 1, None, None),
        planner.final("mae", 0, 1e-3, None),
        planner.final("random", 0, None, None),
        again.final("mae", 0, None, None),
    ]
    assert len({run.folder for run in runs}) == len(runs)
    assert planner.final("mae", 0, None, None).folder == runs[0].folder


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"variants": {"a": {"what": {"objectve": {}}}}}, "variant 'a': unknown key 'what.objectv"),
        ({"variants": {"a": {"what": {"objective": {"name": "mea"}}}}}, "mea"),
        ({"base": "nowhere.yaml"}, "nowhere.yaml: no such recipe"),
    ],
)
def test_a_wrong_variant_or_base_is_named(make_compare, said, words):
    with pytest.raises(RecipeError, match=words):
        Planner(make_compare(**said))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"budget": {}}, "either macs or seconds"),
        ({"budget": {"macs": 1.0, "seconds": 1.0}}, "either macs or seconds"),
        ({"seeds": [0, 0]}, "name one twice"),
        ({"sweep": {"base_lrs": [0.1], "seed": 0}}, "also a seed that is reported"),
        ({"reference": "nobody"}, "is no variant"),
        ({"variants": {"a": {"base_lrs": [0.1]}}}, "there is no sweep"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_refused(make_compare, said, words):
    with pytest.raises(RecipeError, match=words):
        make_compare(**said)
