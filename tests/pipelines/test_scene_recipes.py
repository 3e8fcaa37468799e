# SPDX-License-Identifier: Apache-2.0
"""The recipes of AID and RESISC-45 state the published protocol and run on fakes."""

import json
from pathlib import Path

import numpy as np
import pytest

from rspipe.catalog import catalog_card
from rspipe.errors import RecipeError
from rspipe.evaluate.base import EvalResult
from rspipe.evaluate.classification.tuning.settings import FineTuning
from rspipe.evaluate.config import EvalRecipe
from rspipe.evaluate.runner import evaluate
from rspipe.models.encoder import Encoder, EncoderConfig
from rspipe.recipe import load_recipe
from tests.evaluate.native_sets import HUES, noisy, write_image

PIPELINES = Path(__file__).parents[2] / "pipelines"
TINY = EncoderConfig(
    timm_name="vit_tiny_patch16_224", img_px=32, patch_px=8, width=48, depth=2, heads=2
)
QUICK = (
    *("what.fine_tune.img_px=32", "what.fine_tune.epochs=3", "what.fine_tune.images_per_step=4"),
    *("what.fine_tune.seeds=2", "what.bootstrap.resamples=20"),
    *("how.device=cpu", "how.threads=1"),
)
RECIPES = {
    "aid/eval.yaml": ("aid", 20, "28_0", 0.9710),
    "aid/eval_50.yaml": ("aid", 50, "55_0", 0.9828),
    "resisc45/eval.yaml": ("resisc45", 10, "19_0", 0.9370),
    "resisc45/eval_20.yaml": ("resisc45", 20, "28_0", 0.9548),
}


def write_native(folder, tag, per_class=5):
    """Class folders below one folder; lists of name, the publisher's own folder, and label."""
    rng = np.random.default_rng(0)
    lists = {"train": [], "test": []}
    for number, name in enumerate(catalog_card(folder.name).classes[:3]):
        for i in range(per_class):
            file = f"{name.lower()}_{i}.jpg"
            write_image(folder / "images" / name / file, noisy(rng, list(HUES.values())[number]))
            lists["train" if i < 2 else "test"].append(f"{file} /their/images/{name} {number}")
    (folder / f"train_labels_{tag}.txt").write_text("\n".join(lists["train"]))
    (folder / f"valid_labels_{tag}.txt").write_text("\n".join(lists["test"]))
    # Lists of another split lie there too (TorchGeo's, of RESISC-45), and must not count.
    (folder / f"{folder.name}-train.txt").write_text("\n".join(lists["test"]))


@pytest.fixture
def run(tmp_path):
    Encoder.random(TINY, seed=1).save(tmp_path / "run")

    def build(recipe):
        places = (f"encoder={tmp_path / 'run'}", f"data={tmp_path / 'data'}", f"out={tmp_path}/out")
        return evaluate(load_recipe(PIPELINES / recipe, EvalRecipe, [*places, *QUICK]))

    return build


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_and_scores_by_its_lists(name, run, tmp_path, capsys):
    data_set, ratio, tag, published = RECIPES[name]
    write_native(tmp_path / "data" / data_set, tag)
    (row,) = json.loads((run(name) / "results.json").read_text())
    row = EvalResult.model_validate(row)
    assert (row.protocol, row.metric, row.status) == ("fine_tune", "OA", "done")
    assert (row.n_train, row.n_test, row.n_seeds) == (6, 9, 2)
    assert row.seed_std is not None
    assert row.ci_low <= row.value <= row.ci_high
    told = capsys.readouterr().out
    assert f"published: {data_set}  SelectiveMAE ViT-B, OpticalRS-13M  OA {published:.4f}" in told
    assert f"TR {ratio} %" in told


def test_without_its_lists_a_recipe_makes_up_no_split(run, tmp_path):
    write_native(tmp_path / "data" / "aid", tag="55_0")
    with pytest.raises(RecipeError, match=r"no file 'train_labels_28_0.txt'"):
        run("aid/eval.yaml")


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_state_the_published_protocol(name):
    data_set, ratio, tag, _ = RECIPES[name]
    recipe = load_recipe(PIPELINES / name, EvalRecipe)
    assert recipe.benchmarks == (data_set,)
    assert recipe.what.protocols.classification == ("fine_tune",)
    assert recipe.what.fine_tune == FineTuning()
    lists = {"train": f"train_labels_{tag}.txt", "test": f"valid_labels_{tag}.txt"}
    assert recipe.what.split_lists == lists
    assert {figure.benchmark for figure in recipe.published} == {data_set}
    assert all(figure.note.startswith(f"TR {ratio} %") for figure in recipe.published)
    assert len(recipe.published) == 6


def test_recipes_do_not_share_a_folder_of_results():
    names = {load_recipe(PIPELINES / name, EvalRecipe).out_folder for name in RECIPES}
    assert len(names) == len(RECIPES)
