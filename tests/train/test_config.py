# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.errors import RecipeError
from rspipe.recipe import load_recipe
from rspipe.train.config import PretrainRecipe
from rspipe.train.run_folder import run_fingerprint

RECIPE = """
name: demo
corpus: data/corpus/demo
what:
  encoder: {img_px: 64, patch_px: 8, width: 192, depth: 6, heads: 3}
  objective: {name: selective_mae, decoder_width: 128}
  images_per_step: 256
  steps: 100
"""


def test_recipe_is_read_with_its_objective(tmp_path):
    path = tmp_path / "pretrain.yaml"
    path.write_text(RECIPE)
    recipe = load_recipe(path, PretrainRecipe, ["what.base_lr=1e-3"])
    assert recipe.what.objective.name == "selective_mae"
    assert recipe.what.base_lr == 1e-3


@pytest.mark.parametrize(
    "override",
    [
        "what.objective.name=mea",
        "what.layer_decay=0.9",
        "what.encoder.img_px=65",
    ],
)
def test_impossible_recipe_is_refused(tmp_path, override):
    path = tmp_path / "pretrain.yaml"
    path.write_text(RECIPE)
    with pytest.raises(RecipeError):
        load_recipe(path, PretrainRecipe, [override])


def test_fingerprint_follows_what_and_corpus_alone(make_recipe):
    base = make_recipe()
    same = make_recipe(out="elsewhere", how={"loader_threads": 7})
    other = make_recipe(seed=1)
    assert run_fingerprint(base.what, "c") == run_fingerprint(same.what, "c")
    assert run_fingerprint(base.what, "c") != run_fingerprint(other.what, "c")
    assert run_fingerprint(base.what, "c") != run_fingerprint(base.what, "d")
