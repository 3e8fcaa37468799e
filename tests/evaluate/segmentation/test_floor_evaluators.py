# SPDX-License-Identifier: Apache-2.0
"""Floors of segmentation are scored as every other protocol, image by image."""

import json

import numpy as np
import pytest
import torch

from rspipe.catalog import card_for
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.runner import evaluate
from rspipe.evaluate.segmentation.floor_evaluators import ColourOfPixels, MajorityPixels
from rspipe.evaluate.segmentation.floors import ColourTable
from rspipe.evaluate.segmentation.pixels import LabelledPixels
from rspipe.evaluate.segmentation.scores import count_pixels
from tests.evaluate.native_sets import write_masks

CPU = torch.device("cpu")


@pytest.fixture
def roofs(tmp_path):
    write_masks(tmp_path / "roofs")
    return list_benchmark(tmp_path / "roofs", card_for(tmp_path / "roofs"), What())


def test_one_class_everywhere_has_the_iou_that_its_share_of_pixels_has(roofs):
    found = MajorityPixels(What(), CPU).run_without_encoder(roofs)
    counts = found.arrays["confusion"]
    named = int(counts.sum(axis=0).argmax())
    share = counts[named].sum() / counts.sum()
    assert counts[:, named].sum() == counts.sum()
    assert found.value == pytest.approx(share / len(counts))
    assert found.extra["pixel_accuracy"]["value"] == pytest.approx(share)


def test_colour_alone_counts_what_its_table_says_of_each_test_image(roofs):
    found = ColourOfPixels(What(), CPU).run_without_encoder(roofs)
    pixels, counts = LabelledPixels(roofs, None), np.zeros((2, 2), np.int64)
    (fold,) = roofs.folds
    table = ColourTable((pixels.read(i).for_training() for i in fold.train), 2)
    for i in fold.test:
        pair = pixels.read(i)
        counts += count_pixels(table.predict(pair.image, pair.mask.shape), pair.mask, 2)
    np.testing.assert_array_equal(found.arrays["confusion"], counts)
    assert len(found.arrays["paths"]) == len(fold.test)


def test_a_head_is_compared_with_both_floors_image_by_image(recipe, roofs, tmp_path):
    what = {
        "protocols": {"segmentation": ["linear", "majority", "colour"]},
        "linear_segmentation": {"iterations": 2, "images_per_step": 2, "crop_px": 16},
        "baselines": [],
    }
    out = evaluate(recipe(tmp_path, what, benchmarks=["roofs"]))
    head, *floors = json.loads((out / "results.json").read_text())
    assert [(row["protocol"], row["encoder"]) for row in floors] == [
        ("majority", "none"),
        ("colour", "none"),
    ]
    for floor in floors:
        over = head["extra"]["over"][floor["protocol"]]
        assert over["value"] == pytest.approx(head["value"] - floor["value"], abs=1e-6)
        assert over["ci_low"] <= over["value"] <= over["ci_high"]
