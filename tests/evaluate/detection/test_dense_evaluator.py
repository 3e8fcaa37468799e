# SPDX-License-Identifier: Apache-2.0
import dataclasses

import numpy as np
import torch

from rspipe.catalog import card_for
from rspipe.evaluate.benchmarks import list_benchmark
from rspipe.evaluate.config import Bootstrap, LinearDetector, What
from rspipe.evaluate.detection.average_precision import FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.dense_evaluator import DenseDetection, coco_scores, true_boxes
from rspipe.evaluate.frozen.features import extract
from rspipe.evaluate.splits import Fold
from rspipe.schema import Annotation, ImageRecord, ObjectBox
from tests.evaluate.native_sets import write_boxes

CPU = torch.device("cpu")


def test_few_images_are_learned_by_heart(tmp_path, tiny_encoder):
    write_boxes(tmp_path / "lamps", count=4)
    what = What(
        linear_detector=LinearDetector(tiles=2, steps=250, images_per_step=4, lr=5e-3),
        bootstrap=Bootstrap(resamples=10),
    )
    benchmark = list_benchmark(tmp_path / "lamps", card_for(tmp_path / "lamps"), what)
    found = extract(benchmark, {"tiny": tiny_encoder}, what, 8, CPU)
    train = found.benchmark.folds[0].train
    by_heart = dataclasses.replace(found.benchmark, folds=(Fold(train, train),))
    scores = DenseDetection(what, CPU).run(by_heart, found.features["tiny"])
    assert scores.value > 0.9
    assert scores.extra["n_objects"] == 4
    # One lamp in each image: the picture shows one detection, and it is right.
    assert {one["score"] for one in scores.examples} == {1.0}
    assert scores.arrays["image_score"].tolist() == [1.0] * 4
    best = scores.examples[0]["found"][0]
    assert best["right"] is True
    # 64 x 32 px images, encoded as squares: boxes come back in pixels of the image.
    np.testing.assert_allclose(best["box"], scores.examples[0]["truth"][0]["box"], atol=3)


def test_boxes_are_cut_at_the_image_and_other_classes_left_out():
    boxes = (
        ObjectBox(label="ship", x0=-5, y0=2, x1=4, y1=9),
        ObjectBox(label="ship", x0=40, y0=2, x1=50, y1=9),
        ObjectBox(label="DontCare", x0=0, y0=0, x1=4, y1=4),
    )
    record = ImageRecord(source_path="a.png", annotation=Annotation(boxes=boxes))
    found = true_boxes(record, {"ship": 0}, np.array([20, 30]))
    assert found.boxes.tolist() == [[0, 2, 4, 9]]


def test_normalised_boxes_are_judged_in_pixels_of_the_image():
    boxes = (ObjectBox(label="ship", x0=0.25, y0=0.5, x1=0.5, y1=1.0),)
    record = ImageRecord(
        source_path="a.png", annotation=Annotation(boxes=boxes, boxes_normalised=True)
    )
    found = true_boxes(record, {"ship": 0}, np.array([10, 40]))
    assert found.boxes.tolist() == [[10, 5, 20, 10]]


def test_a_cell_keeps_precision_by_recall_for_the_report():
    box, label = np.array([[0.0, 0.0, 9.0, 9.0]]), np.zeros(1, np.int64)
    truth = [TrueBoxes(box, label, np.zeros(1, bool))]
    found = [FoundBoxes(box, label, np.ones(1))]
    precision = coco_scores(truth, found, ("lamp", "ship"), What()).arrays["precision"]
    np.testing.assert_allclose(precision[0], 1, rtol=1e-6)
    assert np.isnan(precision[1]).all()
