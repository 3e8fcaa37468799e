# SPDX-License-Identifier: Apache-2.0
"""The recipes of LoveDA and SpaceNet 1 state the published protocol and run on fakes."""

import json
import re
import zipfile
from pathlib import Path

import pytest

from rspipe.evaluate.base import EvalResult
from rspipe.evaluate.config import EvalRecipe, UPerNetTuning
from rspipe.evaluate.runner import evaluate
from rspipe.models.encoder import Encoder, EncoderConfig
from rspipe.recipe import load_recipe
from tests.evaluate.native_sets import write_loveda, write_spacenet1

PIPELINES = Path(__file__).parents[2] / "pipelines"
TINY = EncoderConfig(
    timm_name="vit_tiny_patch16_224", img_px=32, patch_px=8, width=48, depth=2, heads=2
)
QUICK = (
    *("what.upernet.crop_px=32", "what.upernet.stride_px=24", "what.upernet.fit_px=32"),
    *("what.upernet.channels=8", "what.upernet.iterations=30", "what.upernet.images_per_step=4"),
    *("what.upernet.warmup_iterations=2", "what.upernet.lr=1e-3", "what.bootstrap.resamples=20"),
    *("what.linear_segmentation.iterations=30", "what.linear_segmentation.images_per_step=4"),
    *("how.device=cpu", "how.threads=1"),
)


@pytest.fixture
def run(tmp_path):
    Encoder.random(TINY, seed=1).save(tmp_path / "run")

    def build(recipe, *more):
        places = (f"encoder={tmp_path / 'run'}", f"data={tmp_path / 'data'}", f"out={tmp_path}/out")
        return evaluate(load_recipe(PIPELINES / recipe, EvalRecipe, [*places, *QUICK, *more]))

    return build


def rows_of(out):
    rows = json.loads((out / "results.json").read_text())
    return {row["protocol"]: EvalResult.model_validate(row) for row in rows}


def test_loveda_trains_on_train_scores_val_and_parts_town_and_country(run, tmp_path, capsys):
    write_loveda(tmp_path / "data" / "loveda")
    rows = rows_of(run("loveda/eval.yaml"))
    assert set(rows) == {"linear", "upernet", "majority", "colour"}
    for row in rows.values():
        assert (row.status, row.n_train, row.n_test, row.n_classes) == ("done", 6, 6, 7)
    for row in (rows["linear"], rows["upernet"]):
        assert row.extra["over"]["majority"]["value"] > 0.2
        assert {name: of["n"] for name, of in row.extra["groups"].items()} == {
            "Urban": 3,
            "Rural": 3,
        }
        assert row.per_class["building"] > 0.8
        assert not row.per_class["forest"]  # none in the truth: no score, or 0 where predicted
    told = capsys.readouterr().out
    assert re.search(r"loveda +majority +mIoU +0\.", told)
    assert "published: loveda  SelectiveMAE ViT-L, OpticalRS-13M  mIoU 0.5392" in told


def test_loveda_s_submission_is_what_its_server_takes(run, tmp_path):
    write_loveda(tmp_path / "data" / "loveda", count=2)
    row = rows_of(run("loveda/submit.yaml", "what.upernet.iterations=4"))["upernet"]
    with zipfile.ZipFile(row.extra["submission"]["file"]) as pack:
        assert sorted(pack.namelist()) == ["0.png", "1.png", "2.png", "3.png"]


def test_spacenet_prints_the_building_class_beside_the_means(run, tmp_path, capsys):
    write_spacenet1(tmp_path / "data" / "spacenet1")
    rows = rows_of(run("spacenet1/eval.yaml", "what.train_first=8"))
    for row in rows.values():
        assert (row.status, row.n_train, row.n_test) == ("done", 8, 4)
        assert row.extra["building_IoU"]["value"] == row.per_class["building"]
        iou = row.per_class["building"]
        assert row.extra["building_F1"]["value"] == pytest.approx(2 * iou / (1 + iou))
    for row in (rows["linear"], rows["upernet"]):
        assert row.extra["mF1"]["value"] > row.value > rows["majority"].value
    assert rows["upernet"].per_class["building"] > 0.5
    assert "column says mF1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "crop_px", "stride_px"), [("loveda", 512, 384), ("spacenet1", 384, 256)]
)
def test_recipes_state_the_published_protocol(name, crop_px, stride_px):
    recipe = load_recipe(PIPELINES / name / "eval.yaml", EvalRecipe)
    said = recipe.what.upernet
    assert (said.crop_px, said.stride_px, said.fit_px) == (crop_px, stride_px, crop_px)
    rest = {"crop_px", "stride_px", "fit_px", "groups"}
    assert said.model_dump(exclude=rest) == UPerNetTuning().model_dump(exclude=rest)
    assert {figure.benchmark for figure in recipe.published} == {name}
    assert {figure.metric for figure in recipe.published} == {"mIoU"}
