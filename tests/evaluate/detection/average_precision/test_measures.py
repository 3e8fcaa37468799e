# SPDX-License-Identifier: Apache-2.0
import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch

from rspipe.evaluate.detection.average_precision import (
    MEASURES,
    BoxAP,
    CocoAP,
    FoundBoxes,
    TrueBoxes,
)
from rspipe.evaluate.detection.boxes.corners import from_horizontal
from rspipe.evaluate.detection.boxes.overlap import rotated_iou

VOC = ("AP50_voc07", "AP50_area")
EVERY = tuple(MEASURES)


def true(boxes, labels=None, difficult=None, sides=4):
    boxes = np.array(boxes, float).reshape(-1, sides)
    n = len(boxes)
    return TrueBoxes(
        boxes, np.array(labels or [0] * n, int), np.array(difficult or [False] * n, bool)
    )


def found(boxes, scores, labels=None, sides=4):
    boxes = np.array(boxes, float).reshape(-1, sides)
    return FoundBoxes(boxes, np.array(labels or [0] * len(boxes), int), np.array(scores, float))


def scene(seed, n_images=40, oriented=False):
    """Jittered, doubled, missed and invented boxes of three classes, one of them rare."""
    rng = np.random.default_rng(seed)
    truth, guesses = [], []
    for _ in range(n_images):
        n = rng.integers(0, 5)
        corner = rng.uniform(0, 80, (n, 2))
        boxes = np.hstack([corner, corner + rng.uniform(8, 30, (n, 2))])
        labels = rng.choice(3, n, p=[0.6, 0.35, 0.05])
        again = rng.random(n) < 0.4
        corner = rng.uniform(0, 80, (2, 2))
        guess = np.vstack([boxes, boxes[again], np.hstack([corner, corner + 15])])
        guess += rng.normal(0, 2, guess.shape)
        guess_labels = np.concatenate([labels, labels[again], rng.integers(0, 3, 2)])
        kept = rng.random(len(guess)) < 0.85
        scores = rng.integers(1, 40, len(guess)) / 40  # ties are common
        if oriented:
            boxes, guess = turned(boxes, rng), turned(guess, rng)
        truth.append(TrueBoxes(boxes, labels, rng.random(n) < 0.15))
        guesses.append(FoundBoxes(guess[kept], guess_labels[kept], scores[kept]))
    return truth, guesses


def turned(boxes, rng):
    """Upright boxes as oriented ones, turned a little."""
    oriented = from_horizontal(torch.from_numpy(boxes)).numpy()
    return oriented + np.array([0, 0, 0, 0, 1]) * rng.normal(0, 0.2, (len(boxes), 1))


def upright(images):
    """The same boxes, described as oriented ones."""
    return [
        type(one)(**{**vars(one), "boxes": from_horizontal(torch.from_numpy(one.boxes)).numpy()})
        for one in images
    ]


def iou_of(first, second):
    """By hand: of two horizontal boxes, or of two oriented ones."""
    if len(first) == 5:
        return float(rotated_iou(torch.tensor([first]), torch.tensor([second])))
    w = min(first[2], second[2]) - max(first[0], second[0])
    h = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(w, 0) * max(h, 0)
    area = [(b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)]
    return shared / (sum(area) - shared)


def voc_by_hand(truth, guesses, label, area):
    """The development kit's loop, in fractions."""
    rows = [
        (score, image, box)
        for image, one in enumerate(guesses)
        for box, of, score in zip(one.boxes.tolist(), one.labels, one.scores, strict=True)
        if of == label
    ]
    rows.sort(key=lambda row: -row[0])
    taken, hits, misses = set(), 0, 0
    curve = []
    n_true = sum(int(((t.labels == label) & ~t.difficult).sum()) for t in truth)
    if not n_true:
        return math.nan
    for _, image, box in rows:
        mine = [i for i, of in enumerate(truth[image].labels) if of == label]
        overlaps = [iou_of(box, truth[image].boxes[i].tolist()) for i in mine]
        best = max(range(len(mine)), key=lambda i: overlaps[i], default=None)
        if best is not None and overlaps[best] >= 0.5:
            if truth[image].difficult[mine[best]]:
                continue
            if (image, best) in taken:
                misses += 1
            else:
                taken.add((image, best))
                hits += 1
        else:
            misses += 1
        curve.append((Fraction(hits, n_true), Fraction(hits, hits + misses)))
    if area:
        recalls = sorted({0, *(r for r, _ in curve)})
        steps = pairwise(recalls)
        return float(sum((b - a) * max(p for r, p in curve if r >= b) for a, b in steps))
    points = [Fraction(k, 10) for k in range(11)]
    return float(sum(max((p for r, p in curve if r >= point), default=0) for point in points) / 11)


HAND_TRUTH = true([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]])
HAND_FOUND = found(
    [[0, 0, 10, 10], [70, 0, 80, 10], [20, 0, 30, 10], [80, 0, 90, 10]], [0.9, 0.8, 0.7, 0.6]
)


@pytest.mark.parametrize("oriented", [False, True])
def test_hand_vector(oriented):
    # Scores 0.9 hit, 0.8 miss, 0.7 hit, 0.6 miss; three true boxes.
    pair = [HAND_TRUTH], [HAND_FOUND]
    kind = "oriented" if oriented else "horizontal"
    pair = tuple(map(upright, pair)) if oriented else pair
    names = ("AP50_voc07", "AP50_area", "AP50_coco")
    got = BoxAP(*pair, 1, kind, names).score(np.array([0]))
    np.testing.assert_allclose(got[:3], [6 / 11, 5 / 9, 56 / 101], atol=1e-12, rtol=0)


# Image, score in percent, hit; 15 objects in all. Source: the worked example that everyone copies,
# github:rafaelpadilla/Object-Detection-Metrics, README ("An illustrated example").
PADILLA = (
    "1 88 0, 1 70 1, 1 80 0, 2 71 0, 2 54 1, 2 74 0, 3 18 1, 3 67 0, 3 38 0, 3 91 1, 3 44 0, "
    "4 35 0, 4 78 0, 4 45 0, 4 14 0, 5 62 1, 5 44 0, 5 95 1, 5 23 0, 6 45 0, 6 84 0, 6 43 0, "
    "7 48 1, 7 95 0"
)


def test_published_example():
    rows = np.array([row.split() for row in PADILLA.split(", ")], int)
    objects_per_image = [1, 2, 3, 2, 3, 2, 2]  # sums to 15; hits need at most so many
    truth, guesses = [], []
    for image, objects in enumerate(objects_per_image, start=1):
        mine = rows[rows[:, 0] == image]
        truth.append(true([[20 * i, 0, 20 * i + 10, 10] for i in range(objects)]))
        hit = mine[:, 2] == 1
        place = np.where(hit, np.cumsum(hit) - 1, 50 + np.arange(len(mine))) * 20.0
        boxes = np.stack([place, 0 * place, place + 10, 0 * place + 10], axis=1)
        guesses.append(found(boxes, mine[:, 1] / 100))
    got = BoxAP(truth, guesses, 1, "horizontal", VOC).score(np.arange(7))
    assert got[0] == pytest.approx(0.2684, abs=5e-5)
    # Published from terms rounded to four digits: 0.24560955; exact is 0.24568668.
    assert got[1] == pytest.approx(0.2456, abs=1e-4)


@pytest.mark.parametrize("oriented", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_voc_equals_a_plain_loop(seed, oriented):
    truth, guesses = scene(seed, oriented=oriented)
    kind = "oriented" if oriented else "horizontal"
    for name, by_area in zip(VOC, (False, True), strict=True):
        want = [voc_by_hand(truth, guesses, label, by_area) for label in range(3)]
        got = BoxAP(truth, guesses, 3, kind, [name]).score(np.arange(40))
        np.testing.assert_allclose(got[1:], want, atol=1e-12, rtol=0)
        assert got[0] == pytest.approx(np.nanmean(want), abs=1e-12)
        assert 0.1 < got[0] < 0.9


@pytest.mark.parametrize("seed", range(4))
def test_coco_rule_equals_pycocotools(seed):
    truth, guesses = scene(seed)
    images = np.random.default_rng(seed).integers(0, 40, 40)
    want = CocoAP(truth, guesses, 3).score(images)
    got = BoxAP(truth, guesses, 3, "horizontal", ("AP50_coco", "AP_coco")).score(images)
    np.testing.assert_allclose(got, [want[0], want[1], *want[3:]], atol=1e-9, rtol=0)


def test_coco_rule_takes_a_hundred_detections_of_an_image():
    boxes = [[0, 0, 5, 5]] * 100 + [[50, 50, 60, 60]]
    guess = found(boxes, np.linspace(0.9, 0.1, 101))
    truth = true([[50, 50, 60, 60]])
    assert BoxAP([truth], [guess], 1, "horizontal", ["AP50_coco"]).score(np.array([0]))[0] == 0
    assert BoxAP([truth], [guess], 1, "horizontal", ["AP50_area"]).score(np.array([0]))[0] > 0


def test_upright_boxes_score_as_horizontal_ones():
    truth, guesses = scene(7)
    images = np.arange(40)
    horizontal = BoxAP(truth, guesses, 3, "horizontal", EVERY).score(images)
    oriented = BoxAP(upright(truth), upright(guesses), 3, "oriented", EVERY).score(images)
    assert horizontal.tolist() == oriented.tolist()


def test_truth_written_otherwise_scores_one():
    rng = np.random.default_rng(0)
    boxes = rng.uniform([0, 0, 5, 5, -1.5], [800, 800, 200, 90, 1.5], (60, 5))
    turn = np.array([0, 0, 0, 0, np.pi])
    ways = [boxes, boxes + turn, boxes[:, [0, 1, 3, 2, 4]] + turn / 2]
    truth = true(boxes, sides=5)
    for again in ways:
        guess = found(again, rng.random(60), sides=5)
        got = BoxAP([truth], [guess], 1, "oriented", EVERY).score(np.array([0]))
        np.testing.assert_allclose(got, 1, atol=1e-9, rtol=0)


def test_a_recall_that_is_reached_exactly_counts():
    # 3 of 10 found at precision 1: the points 0, 0.1, 0.2 and 0.3. In floats 3/10 < 3 * 0.1.
    boxes = [[20 * i, 0, 20 * i + 10, 10] for i in range(10)]
    got = BoxAP([true(boxes)], [found(boxes[:3], [0.9, 0.8, 0.7])], 1, "horizontal", VOC)
    np.testing.assert_allclose(got.score(np.array([0]))[:2], [4 / 11, 0.3], atol=1e-15, rtol=0)


def test_second_hits_are_misses_by_voc_and_try_others_by_coco():
    # Two objects overlap; both detections overlap the first most.
    truth = true([[0, 0, 10, 10], [0, 3, 10, 13]])
    guess = found([[0, 0, 10, 10], [0, 1, 10, 11]], [0.9, 0.8])
    got = BoxAP([truth], [guess], 1, "horizontal", ("AP50_area", "AP50_coco"))
    np.testing.assert_allclose(got.score(np.array([0]))[:2], [0.5, 1])


def test_difficult_objects_count_neither_way():
    truth = true([[0, 0, 9, 9], [20, 20, 40, 40]], difficult=[False, True])
    guess = found([[20, 20, 40, 40], [20, 20, 40, 40], [0, 0, 9, 9]], [0.9, 0.8, 0.5])
    got = BoxAP([truth], [guess], 1, "horizontal", EVERY).score(np.array([0]))
    np.testing.assert_allclose(got, 1)
    only = true([[20, 20, 40, 40]], difficult=[True])
    assert np.isnan(BoxAP([only], [guess], 1, "horizontal", VOC).score(np.array([0]))).all()


def test_score_of_repeated_images_is_that_of_the_repeated_set():
    truth, guesses = scene(3, oriented=True)
    # Without ties the order of detections does not depend on how images are repeated.
    rng = np.random.default_rng(0)
    guesses = [FoundBoxes(g.boxes, g.labels, rng.random(len(g.boxes))) for g in guesses]
    images = rng.integers(0, 40, 40)
    got = BoxAP(truth, guesses, 3, "oriented", EVERY).score(images)
    repeated = [truth[i] for i in images], [guesses[i] for i in images]
    want = BoxAP(*repeated, 3, "oriented", EVERY).score(np.arange(40))
    np.testing.assert_allclose(got, want, atol=1e-12, rtol=0)


def test_score_does_not_depend_on_the_order_of_images():
    truth, guesses = scene(5)
    rng = np.random.default_rng(1)
    guesses = [FoundBoxes(g.boxes, g.labels, rng.random(len(g.boxes))) for g in guesses]
    order = rng.permutation(40)
    shuffled = [truth[i] for i in order], [guesses[i] for i in order]
    here = BoxAP(truth, guesses, 3, "horizontal", EVERY).score(np.arange(40))
    there = BoxAP(*shuffled, 3, "horizontal", EVERY).score(np.arange(40))
    assert here.tolist() == there.tolist()


def test_nothing_found_is_zero_and_an_absent_class_is_left_out():
    truth = [true([[0, 0, 9, 9]])]
    nothing = [found([], [])]
    got = BoxAP(truth, nothing, 2, "horizontal", EVERY).score(np.array([0]))
    assert got[: len(EVERY)].tolist() == [0] * len(EVERY)
    assert np.isnan(got[-1])


def test_every_measure_says_its_convention():
    said = {measure.convention("oriented") for measure in MEASURES.values()}
    assert len(said) == len(MEASURES)
    assert all("rotated IoU" in text for text in said)
    assert "11 recalls" in MEASURES["AP50_voc07"].convention("horizontal")
    assert "horizontal IoU" in MEASURES["AP50_voc07"].convention("horizontal")


def test_an_overlap_equal_to_the_threshold_is_a_hit():
    pair = [true([[0, 0, 2, 1]])], [found([[0, 0, 1, 1]], [0.9])]
    for kind, images in (("horizontal", pair), ("oriented", tuple(map(upright, pair)))):
        got = BoxAP(*images, 1, kind, ("AP50_voc07", "AP50_coco", "AP75_voc07"))
        assert got.score(np.array([0]))[:3] == pytest.approx([1, 1, 0])


def test_precision_by_recall_falls_and_integrates_to_the_score():
    truth, guesses = scene(3)
    by_coco = CocoAP(truth, guesses, 3)
    by_rule = BoxAP(truth, guesses, 3, "horizontal", ["AP50_coco"])
    every = np.arange(len(truth))
    np.testing.assert_allclose(by_coco.curves().mean(axis=1), by_coco.score(every)[3:])
    np.testing.assert_array_equal(by_rule.curves(), by_coco.curves())
    known = by_rule.curves()[:2]  # the rare class may be absent
    assert (np.diff(known, axis=1) <= 0).all()


def test_a_class_without_objects_has_no_precision_by_recall():
    by_rule = BoxAP([true([[0, 0, 9, 9]])], [found([], [])], 2, "horizontal", VOC)
    curves = by_rule.curves()
    assert curves.shape == (2, 101)
    assert (curves[0] == 0).all()
    assert np.isnan(curves[1]).all()
