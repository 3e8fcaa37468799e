# SPDX-License-Identifier: Apache-2.0
"""The detection recipes of pipelines/real_sets run end to end on a few real pictures."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.real_sets.by_heart import NAME as BY_HEART
from pipelines.real_sets.by_heart import PICTURES, WINDOW_PX
from pipelines.real_sets.detection_data import make_detection_data
from pipelines.real_sets.ship_tiles import NAME, PLACES, TILE_PX
from rspipe.catalog import card_for
from rspipe.evaluate.base import EvalResult
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import EvalRecipe, What
from rspipe.evaluate.runner import evaluate
from rspipe.models.encoder import Encoder, EncoderConfig
from rspipe.recipe import load_recipe

PIPELINE = Path(__file__).parents[2] / "pipelines/real_sets"
TINY = EncoderConfig(
    timm_name="vit_tiny_patch16_224", img_px=32, patch_px=8, width=24, depth=2, heads=2
)
PER_SPLIT = 2
QUICK = (
    *(f"what.{which}.epochs=1" for which in ("faster_rcnn", "plain_detr", "oriented_rcnn")),
    *(f"what.{which}.img_px=48" for which in ("faster_rcnn", "plain_detr", "oriented_rcnn")),
    *(f"what.{which}.crop_px=256" for which in ("faster_rcnn", "plain_detr", "oriented_rcnn")),
    *("what.bootstrap.resamples=20", "what.blobs.candidates=200"),
)

pytestmark = pytest.mark.real_data


def judged(recipe, data, tmp_path, *overrides):
    Encoder.random(TINY, seed=1).save(tmp_path / "encoder")
    given = (f"encoder={tmp_path}/encoder", f"data={data}", f"out={tmp_path}/out", *overrides)
    out = evaluate(load_recipe(PIPELINE / recipe, EvalRecipe, (*QUICK, *given)))
    rows = [
        EvalResult.model_validate(row) for row in json.loads((out / "results.json").read_text())
    ]
    assert {row.status for row in rows} == {"done"}
    return {(row.protocol, row.encoder): row for row in rows}


@pytest.fixture(scope="module")
def data(real_data, tmp_path_factory) -> Path:
    """All sets that detectors are judged on; tests only read them."""
    folder = tmp_path_factory.mktemp("detection")
    make_detection_data(real_data, folder)
    return folder


def listed(data, name, **what):
    return list_benchmark(data / name, card_for(data / name), What(**what))


def test_thermal_pictures(data, tmp_path):
    (fold,) = listed(data, "hit_uav").folds
    assert (len(fold.train), len(fold.test)) == (84, 33)
    rows = judged("detect_hit_uav.yaml", data, tmp_path, f"what.max_images={PER_SPLIT}")
    protocols = {"faster_rcnn", "plain_detr", "oriented_rcnn"}
    assert set(rows) == {(p, e) for p in protocols for e in ("pretrained", "random")} | {
        ("blobs", "none"),
        ("oriented_blobs", "none"),
    }


def test_tiles_of_ports(data, tmp_path):
    tiles = listed(data, NAME)
    ships = {
        s: [b for r in tiles.records if r.split == s for b in r.annotation.boxes]
        for s in ("train", "test")
    }
    assert {split: len(boxes) for split, boxes in ships.items()} == {"train": 27, "test": 19}
    # Put together, the tiles are the scene.
    tested = [r.source_path for r in tiles.records if r.split == "test"]
    pixels = sum(np.prod(Image.open(data / NAME / p).size) for p in tested)
    assert pixels == 747 * 1226
    for record in tiles.records:
        for box in record.annotation.boxes:
            assert 0 <= box.x0 < box.x1 <= TILE_PX and 0 <= box.y0 < box.y1 <= TILE_PX
    judged("detect_ships.yaml", data, tmp_path, f"benchmarks=[{NAME}]")


def test_tiles_dealt_to_folds_are_each_scored_once(data):
    tiles = listed(data, PLACES, folds=3)
    assert sorted(tiles.tested) == list(range(84))
    assert all(len(np.intersect1d(fold.train, fold.test)) == 0 for fold in tiles.folds)
    assert sum(len(record.annotation.boxes) for record in tiles.records) == 46


def test_pictures_to_learn_by_heart_stand_in_both_parts(data, tmp_path):
    folder, pictures = data / BY_HEART, listed(data, BY_HEART)
    train, test = (
        [pictures.records[i] for i in part] for part in (pictures.folds[0].train, pictures.tested)
    )
    assert len(train) == len(test) == PICTURES
    for one, other in zip(train, test, strict=True):
        assert one.annotation == other.annotation
        assert (folder / one.source_path).read_bytes() == (folder / other.source_path).read_bytes()
    boxes = [box for record in train for box in record.annotation.boxes]
    assert {box.label for box in boxes} == {"Person", "Car", "Bicycle"}
    assert len(boxes) == 34
    middles = np.array([((b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2) for b in boxes])
    assert ((middles >= 0) & (middles < WINDOW_PX)).all()
    rows = judged("by_heart.yaml", data, tmp_path)
    assert {name for name, _ in rows} == {"faster_rcnn", "plain_detr", "oriented_rcnn"}
    # People are warm: the picture and its boxes are of one place.
    person = next(b for b in train[1].annotation.boxes if b.label == "Person")
    pixels = np.asarray(Image.open(folder / train[1].source_path).convert("L"), dtype=float)
    inside = pixels[int(person.y0) : int(person.y1), int(person.x0) : int(person.x1)]
    assert inside.mean() > pixels.mean() + 10
