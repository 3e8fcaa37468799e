# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassF1Score,
    MulticlassJaccardIndex,
    MulticlassPrecision,
    MulticlassStatScores,
)

from rspipe.evaluate.segmentation.masks import IGNORE
from rspipe.evaluate.segmentation.scores import (
    by_group,
    count_pixels,
    image_miou,
    score,
)

CLASSES = ("sea", "land", "lake", "absent")


@pytest.fixture
def masks():
    """Eleven images with ignored pixels; the fourth class is nowhere."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (11, 13, 17)).astype(np.uint8)
    guess = np.where(rng.random(truth.shape) < 0.6, truth, rng.integers(0, 3, truth.shape))
    truth[rng.random(truth.shape) < 0.1] = IGNORE
    return truth, guess.astype(np.uint8)


def counted(truth, guess, n_classes=4):
    return np.stack([count_pixels(g, t, n_classes) for t, g in zip(truth, guess, strict=True)])


def test_scores_equal_torchmetrics_with_ignored_pixels_and_an_absent_class(masks):
    # S1. torchmetrics divides in float32; from its integer counts everything agrees to 1e-12.
    truth, guess = (torch.from_numpy(m).long() for m in masks)
    found = score(counted(*masks), CLASSES, resamples=5, seed=0)
    given = {"num_classes": 4, "ignore_index": IGNORE}
    stats = MulticlassStatScores(average=None, **given)(guess, truth).double()
    hits, false, _, missed, _ = (column[:3] for column in stats.T)
    exact = {
        "mIoU": hits / (hits + false + missed),
        "mF1": 2 * hits / (2 * hits + false + missed),
        "mRecall": hits / (hits + missed),
        "mPrecision": hits / (hits + false),
    }
    ours = {"mIoU": found.value, **{name: found.extra[name]["value"] for name in list(exact)[1:]}}
    metrics = (
        *(MulticlassJaccardIndex, MulticlassF1Score, MulticlassAccuracy, MulticlassPrecision),
    )
    for (name, each), metric in zip(exact.items(), metrics, strict=True):
        assert ours[name] == pytest.approx(float(each.mean()), abs=1e-12)
        macro = metric(average="macro", **given)(guess, truth)
        assert ours[name] == pytest.approx(float(macro), abs=1e-6)
    assert found.per_class["absent"] is None


def test_f1_follows_from_iou_class_by_class(masks):
    # S2.
    found = score(counted(*masks), CLASSES, resamples=5, seed=0)
    for name in CLASSES[:3]:
        iou = found.per_class[name]
        f1 = found.extra["per_class_F1"][name]["value"]
        assert f1 == pytest.approx(2 * iou / (1 + iou), abs=1e-12)
        assert found.extra["per_class_IoU"][name]["value"] == iou


def test_scores_do_not_depend_on_the_order_or_the_packing_of_images(masks):
    # S3. Intervals do depend on the order: images are drawn by their place.
    truth, guess = masks
    whole = score(counted(truth, guess), CLASSES, resamples=5, seed=0)
    turned = score(counted(truth[::-1], guess[::-1]), CLASSES, resamples=5, seed=0)
    packed = score(counted(truth.reshape(1, -1, 17), guess.reshape(1, -1, 17)), CLASSES, 5, 0)
    for other in (turned, packed):
        assert other.value == whole.value
        assert other.per_class == whole.per_class
        assert (other.arrays["confusion"] == whole.arrays["confusion"]).all()


def test_two_classes_counted_by_hand():
    # Rows are the truth. Building: TP 30, FP 10, FN 20, TN 40: IoU 30/60, F1 60/90.
    counts = np.array([[[40, 10], [20, 30]]])
    found = score(counts, ("background", "building"), resamples=5, seed=0)
    building, background = 30 / 60, 40 / 70
    assert found.value == pytest.approx((building + background) / 2)
    assert found.extra["building_IoU"]["value"] == pytest.approx(building)
    assert found.extra["building_F1"]["value"] == pytest.approx(60 / 90)
    assert found.extra["mF1"]["value"] == pytest.approx((60 / 90 + 80 / 110) / 2)
    assert found.extra["pixel_accuracy"]["value"] == 0.7
    assert found.extra["per_class_precision"]["building"]["value"] == 30 / 40
    assert found.extra["per_class_recall"]["building"]["value"] == 30 / 50
    assert found.ci_low is None


def test_interval_is_of_sums_of_resampled_matrices(masks):
    counts = counted(*masks)
    found = score(counts, CLASSES, resamples=400, seed=0)
    rng, values = np.random.default_rng(7), []
    for _ in range(400):
        total = counts[rng.integers(0, 11, 11)].sum(0)[:3, :3]
        hits = np.diag(total)
        values.append((hits / (total.sum(0) + total.sum(1) - hits)).mean())
    np.testing.assert_allclose(
        (found.ci_low, found.ci_high), np.quantile(values, (0.025, 0.975)), atol=0.005
    )
    assert found.ci_low < found.value < found.ci_high


def test_score_of_some_images_is_theirs_alone(masks):
    counts = counted(*masks)
    some = np.array([1, 4, 5])
    alone = score(counts[some], CLASSES, resamples=5, seed=0)
    found = score(counts, CLASSES, resamples=5, seed=0).estimates
    assert found.n == 11
    assert found.of(some).values[0] == alone.value


def test_groups_are_folders_of_the_path(masks):
    counts = counted(*masks)
    paths = [f"Val/{'Urban' if i < 4 else 'Rural'}/images_png/{i}.png" for i in range(11)]
    found = by_group(counts, paths, ("Urban", "Rural", "Val"))
    assert [found[name]["n"] for name in ("Urban", "Rural", "Val")] == [4, 7, 11]
    for name, part in (("Urban", counts[:4]), ("Val", counts)):
        assert found[name]["mIoU"] == score(part, CLASSES, 5, 0).value


def test_names_have_conventions(masks):
    found = score(counted(*masks), CLASSES, resamples=5, seed=0)
    means = [name for name in found.extra if name.startswith("m")]
    assert set(means) | {"mIoU", "pixel_accuracy"} <= set(found.extra["conventions"])


def test_the_score_of_an_image_is_torchmetrics_miou_of_it_alone():
    rng = np.random.default_rng(0)
    guess, truth = rng.integers(0, 3, (2, 8, 8)).astype(np.uint8)
    alone = MulticlassJaccardIndex(3, average="macro")(
        torch.from_numpy(guess), torch.from_numpy(truth)
    )
    assert image_miou(count_pixels(guess, truth, 3)) == pytest.approx(float(alone))
    assert np.isnan(image_miou(np.zeros((3, 3), np.int64)))
