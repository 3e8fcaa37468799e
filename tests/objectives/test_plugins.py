# SPDX-License-Identifier: Apache-2.0
"""Objectives of other packages, as an installed package brings them."""

import importlib
import subprocess
import sys

import pytest
import torch

from rspipe.errors import RecipeError
from rspipe.models.encoder import EncoderConfig
from rspipe.objectives import OBJECTIVES, Draws, ObjectiveConfig, build
from rspipe.plugins import plugins
from rspipe.recipe import Strict, validate
from tests.packages import write_package

OBJECTIVE = """
    from typing import ClassVar, Literal
    from rspipe.objectives.mae import MAE, MAEConfig

    class HalfConfig(MAEConfig):
        name: Literal["half"] = "half"
        mask_ratio: float = 0.5
        extra: int = 3

    class Half(MAE):
        name = "half"
        Config = HalfConfig
"""


class Recipe(Strict):
    objective: ObjectiveConfig


@pytest.fixture
def half(tmp_path, monkeypatch):
    """A package with one objective is installed."""
    write_package(tmp_path, "plug_half", OBJECTIVE, "objectives", "half", "Half")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    plugins.cache_clear()
    yield tmp_path
    sys.modules.pop("plug_half", None)
    plugins.cache_clear()


def test_an_objective_of_another_package_is_read_built_and_written_down(half):
    sizes = {"decoder_width": 16, "decoder_depth": 1, "decoder_heads": 2}
    section = {"name": "half", "extra": 5, **sizes}
    recipe = validate({"objective": section}, Recipe, "r")
    dumped = recipe.model_dump(mode="json")
    assert dumped["objective"]["extra"] == 5
    assert validate(dumped, Recipe, "r") == recipe
    small = EncoderConfig(img_px=32, patch_px=8, width=24, depth=1, heads=2)
    objective = build(recipe.objective, small, seed=0)
    assert (type(objective).__name__, objective.kept) == ("Half", 8)
    wrapped = {"objective": {"name": "region_masking", "base": section}}
    around = build(validate(wrapped, Recipe, "r").objective, small, seed=0)
    images = torch.zeros(2, 3, 32, 32)
    assert around.plan(images, 0.0, Draws(0, torch.arange(2))).ids_keep.shape == (2, 8)
    with pytest.raises(RecipeError, match="unknown key 'extr'; did you mean 'extra'"):
        validate({"objective": {"name": "half", "extr": 5}}, Recipe, "r")


def test_a_built_in_objective_is_read_as_ever(half):
    for name, method in OBJECTIVES.items():
        recipe = validate({"objective": {"name": name}}, Recipe, "r")
        assert recipe.objective == method.Config()
    with pytest.raises(RecipeError, match=r"unknown key 'objective\.mae\.mask_ration'"):
        validate({"objective": {"name": "mae", "mask_ration": 0.5}}, Recipe, "r")
    with pytest.raises(RecipeError, match="no objective 'mea'; did you mean 'mae'"):
        validate({"objective": {"name": "mea"}}, Recipe, "r")


def test_a_plug_in_that_is_imported_first_is_no_circle(half):
    code = "import plug_half; from rspipe.objectives.table import objective_class as of; of('half')"
    env = {"PYTHONPATH": f"{half}:."}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
