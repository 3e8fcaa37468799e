# SPDX-License-Identifier: Apache-2.0
import io
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch
from pycocotools.cocoeval import COCOeval
from torchmetrics.detection import MeanAveragePrecision

from rspipe.evaluate.detection.average_precision import CocoAP, FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.average_precision.coco import _coco_pair


def true(boxes, labels=None, difficult=None):
    boxes = np.array(boxes, float).reshape(-1, 4)
    n = len(boxes)
    return TrueBoxes(
        boxes, np.array(labels or [0] * n, int), np.array(difficult or [False] * n, bool)
    )


def found(boxes, scores, labels=None):
    boxes = np.array(boxes, float).reshape(-1, 4)
    return FoundBoxes(boxes, np.array(labels or [0] * len(boxes), int), np.array(scores, float))


@pytest.fixture(scope="module")
def scene():
    """Forty images, three classes, jittered, missed and invented boxes."""
    rng = np.random.default_rng(0)
    truth, guesses = [], []
    for _ in range(40):
        n = rng.integers(0, 5)
        corner = rng.uniform(0, 80, (n, 2))
        boxes = np.hstack([corner, corner + rng.uniform(5, 30, (n, 2))])
        labels = rng.integers(0, 3, n)
        truth.append(TrueBoxes(boxes, labels, rng.random(n) < 0.1))
        corner = rng.uniform(0, 80, (2, 2))
        invented = np.hstack([corner, corner + 15])
        guess = np.vstack([boxes + rng.normal(0, 1.5, boxes.shape), invented])
        kept = rng.random(len(guess)) < 0.8
        guess_labels = np.concatenate([labels, rng.integers(0, 3, 2)])
        guesses.append(FoundBoxes(guess[kept], guess_labels[kept], rng.random(kept.sum())))
    return truth, guesses


def reference(truth, guesses):
    metric = MeanAveragePrecision(backend="pycocotools", class_metrics=True)
    metric.update(
        [
            {
                "boxes": torch.from_numpy(g.boxes),
                "labels": torch.from_numpy(g.labels),
                "scores": torch.from_numpy(g.scores),
            }
            for g in guesses
        ],
        [
            {
                "boxes": torch.from_numpy(t.boxes),
                "labels": torch.from_numpy(t.labels),
                "iscrowd": torch.from_numpy(t.difficult.astype(np.int64)),
            }
            for t in truth
        ],
    )
    with redirect_stdout(io.StringIO()):
        return metric.compute()


def test_ap_equals_torchmetrics(scene):
    truth, guesses = scene
    got = CocoAP(truth, guesses, 3).score(np.arange(40))
    want = reference(truth, guesses)
    assert got[0] == pytest.approx(float(want["map_50"]), abs=1e-6)
    assert got[1] == pytest.approx(float(want["map"]), abs=1e-6)
    assert got[2] == pytest.approx(float(want["map_75"]), abs=1e-6)
    assert 0.1 < got[1] < 0.9


def test_ap_of_a_resample_equals_pycocotools_on_repeated_images(scene):
    truth, guesses = scene
    images = np.random.default_rng(1).integers(0, 40, 40)
    got = CocoAP(truth, guesses, 3).score(images)
    repeated = [truth[i] for i in images], [guesses[i] for i in images]
    with redirect_stdout(io.StringIO()):
        plain = COCOeval(*_coco_pair(*repeated, 3), "bbox")
        plain.evaluate()
        plain.accumulate()
        plain.summarize()
    ap, ap50, ap75 = plain.stats[:3]
    np.testing.assert_allclose(got[:3], [ap50, ap, ap75], rtol=1e-12)


def test_hand_vector():
    # Scores 0.9 hit, 0.8 miss, 0.7 hit, 0.6 miss, three true boxes: 56/101 by COCO's rule.
    truth = true([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
    guess = found(
        [[0, 0, 10, 10], [70, 0, 80, 10], [20, 0, 30, 10], [80, 0, 90, 10]],
        [0.9, 0.8, 0.7, 0.6],
    )
    assert CocoAP([truth], [guess], 1).score(np.array([0]))[0] == pytest.approx(56 / 101)


def test_truth_as_prediction_is_one_and_nothing_is_zero():
    truth = [true([[0, 0, 9, 9], [20, 20, 50, 40]], [0, 1]), true([])]
    perfect = [found(t.boxes, [0.5] * len(t.boxes), list(t.labels)) for t in truth]
    images = np.arange(2)
    assert CocoAP(truth, perfect, 2).score(images)[:3] == pytest.approx([1, 1, 1])
    nothing = [found([], []), found([], [])]
    assert CocoAP(truth, nothing, 2).score(images)[:3].tolist() == [0, 0, 0]


def test_class_without_truth_is_left_out_and_no_truth_at_all_is_no_score():
    guess = [found([[0, 0, 9, 9]], [0.9], [1])]
    scores = CocoAP([true([[0, 0, 9, 9]])], guess, 2).score(np.array([0]))
    assert scores[0] == 0
    assert np.isnan(scores[-1])
    assert np.isnan(CocoAP([true([])], guess, 2).score(np.array([0]))).all()


def test_finding_a_difficult_object_counts_neither_way():
    truth = [true([[0, 0, 9, 9], [20, 20, 40, 40]], difficult=[False, True])]
    sure_of_it = [found([[20, 20, 40, 40], [0, 0, 9, 9]], [0.9, 0.5])]
    assert CocoAP(truth, sure_of_it, 1).score(np.array([0]))[0] == pytest.approx(1)
