# SPDX-License-Identifier: Apache-2.0
"""The recipes of pipelines/real_sets run end to end: few images, few steps, real pixels."""

import json
import shutil
from pathlib import Path

import pytest

from pipelines.real_sets.make_data import make_data
from pipelines.real_sets.sets import SETS
from rspipe.catalog import card_for
from rspipe.corpus.reader import Corpus
from rspipe.curate.config import CurateRecipe
from rspipe.curate.runner import curate
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import EvalRecipe, What
from rspipe.evaluate.runner import evaluate
from rspipe.recipe import load_recipe
from rspipe.train.config import PretrainRecipe
from rspipe.train.trainer import pretrain

PIPELINE = Path(__file__).parents[2] / "pipelines/real_sets"

FEW = {
    "eurosat_recut": [f"{name}/*_0[0-4][2-7].jpg" for name in ("River", "Forest", "Highway")],
    "hurricane_damage": ["t*_another/*/*42.jpeg", "test/*/*42.jpeg"],
    "dubai_seg": ["*/Tile [12]/*/image_part_00[1-2].*"],
    "hit_uav": ["rotate_xml/**/1_100_*"],
    "sen2ships": ["honolulu/*B0[2-4]*"],
    "geotiff/naip": ["*"],
    "geotiff/landsat_pucallpa": ["2020.tif"],
    "geotiff/landsat_utm18": ["rgb1.tif"],
    "jp2": ["img-8bit.jp2"],
}
"""Files of each set that the quick run reads."""


@pytest.fixture(scope="module")
def native(real_data, tmp_path_factory):
    """A few files of every set, laid out as the recipes want them."""
    folder = tmp_path_factory.mktemp("real_sets")
    for source, patterns in FEW.items():
        for path in {p for pattern in patterns for p in (real_data / source).glob(pattern)}:
            target = folder / "few" / path.relative_to(real_data)
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                shutil.copyfile(path, target)
    make_data(folder / "few", folder / "native", demo=False)
    return folder / "native"


def test_cards_are_the_catalog_s_but_for_who_is_held_out():
    held = {one.name: one.card().benchmark_splits for one in SETS}
    assert held == {
        "hurricane_damage": ("validation_another", "test_another", "test"),
        "eurosat_recut": ("test",),
        "dubai_seg": ("test",),
        "hit_uav": ("val", "test"),
        "sen2ships": ("test",),
        "naip_scene": (),
        "landsat_pucallpa": (),
        "landsat_utm18": (),
        "sentinel2_jp2": (),
    }


def test_a_missing_set_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="should hold hurricane_damage"):
        make_data(tmp_path, tmp_path / "native", demo=False)
    assert not (tmp_path / "native").exists()


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "folder", "n_train", "n_test"),
    [("eurosat_recut", "eurosat_recut", 483, 317), ("dubai_seg", "dubai_seg", 27, 18)],
)
def test_who_trains_and_who_is_scored(name, folder, n_train, n_test, real_data):
    card = next(one for one in SETS if one.name == name).card()
    (fold,) = list_benchmark(real_data / folder, card, What()).folds
    assert (len(fold.train), len(fold.test)) == (n_train, n_test)


@pytest.mark.real_data
def test_the_recipes_run_end_to_end(native, tmp_path):
    """What is judged is not in the corpus, and every protocol gives a row with its floors."""
    places = (f"data={native}", f"out={tmp_path / 'corpus'}", f"stages={tmp_path / 'stages'}")
    how = ("how.dashboard=false", "how.workers=1", "what.slice.stride_px=128")
    recipe = load_recipe(PIPELINE / "curate.yaml", CurateRecipe, [*places, *how])
    corpus = Corpus.open(curate(recipe))
    packed = corpus.table(["dataset", "source_path", "split"]).to_pylist()
    assert {row["dataset"] for row in packed} == {one.name for one in SETS}
    for row in packed:
        assert not card_for(native / row["dataset"]).is_benchmark(row["split"]), row

    small = ("what.encoder.width=48", "what.encoder.depth=2", "what.encoder.heads=2")
    quick = ("what.steps=2", "what.images_per_step=8", "how.log_to=[]", f"out={tmp_path / 'run'}")
    said = [f"corpus={tmp_path / 'corpus'}", *small, *quick]
    pretrain(load_recipe(PIPELINE / "pretrain.yaml", PretrainRecipe, said))

    rows = evaluate(load_recipe(PIPELINE / "eval.yaml", EvalRecipe, _quick_eval(native, tmp_path)))
    found = json.loads((rows / "results.json").read_text())
    assert {row["status"] for row in found} == {"done"}
    asked = load_recipe(PIPELINE / "eval.yaml", EvalRecipe).what.protocols
    for benchmark in ("eurosat_recut", "hurricane_damage"):
        done = {(row["protocol"], row["encoder"]) for row in found if row["benchmark"] == benchmark}
        assert {protocol for protocol, _ in done} == set(asked.classification)
        assert ("majority", "none") in done
        assert {("knn", each) for each in ("pretrained", "random", "image_statistics")} <= done
    for row in found:
        assert (row["n_audited"], row["n_leaked"]) == (row["n_test"], 0)
        if row["benchmark"] == "dubai_seg":
            assert row["protocol"] in asked.segmentation
            assert set(row["extra"]["over"]) >= {"majority", "colour"} or row["encoder"] == "none"

    brief = (
        "what.fine_tune.epochs=1",
        "what.fine_tune.images_per_step=8",
        "what.fine_tune.seeds=1",
    )
    said = [*_quick_eval(native, tmp_path), *brief, f"out={tmp_path / 'tuned'}"]
    tuned = evaluate(load_recipe(PIPELINE / "fine_tune.yaml", EvalRecipe, said))
    rows = json.loads((tuned / "results.json").read_text())
    done = [(row["benchmark"], row["protocol"], row["encoder"]) for row in rows]
    assert done == [("eurosat_recut", "fine_tune", each) for each in ("pretrained", "random")]


def _quick_eval(native, tmp_path):
    heads = [f"what.{name}.{dial}" for name in ("linear", "efficient") for dial in _QUICK_HEAD]
    tuned = [f"what.{name}.iterations=2" for name in ("linear_segmentation", "upernet")]
    return [
        *(f"encoder={tmp_path / 'run'}", f"data={native}", f"out={tmp_path / 'results'}"),
        *heads,
        *tuned,
        *("what.linear_segmentation.crop_px=96", "what.linear_segmentation.stride_px=96"),
        *("what.upernet.crop_px=96", "what.upernet.stride_px=96", "what.upernet.channels=8"),
        *("what.linear_segmentation.longest_px=192", "what.upernet.longest_px=192"),
        *("what.logistic.c_grid=[1.0]", "what.bootstrap.resamples=20", "how.device=cpu"),
    ]


_QUICK_HEAD = ("min_steps=2", "epochs=1", "lr_grid=[8.0]")
