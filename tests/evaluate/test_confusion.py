# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from sklearn import metrics
from torchmetrics.classification import MulticlassJaccardIndex
from torchmetrics.segmentation import MeanIoU

from rspipe.evaluate import confusion


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 300)  # class 4 of 5 never occurs
    predicted = np.where(rng.random(300) < 0.6, truth, rng.integers(0, 4, 300))
    return truth, predicted


def test_rows_are_truth_as_in_scikit_learn(pair):
    counts = confusion.confusion_of(*pair, 5)
    assert (counts == metrics.confusion_matrix(*pair, labels=range(5))).all()


def test_accuracy_recall_and_macro_f1_equal_scikit_learn(pair):
    counts = confusion.confusion_of(*pair, 5)
    assert confusion.overall_accuracy(counts) == pytest.approx(metrics.accuracy_score(*pair))
    assert confusion.mean_defined(confusion.f1(counts)) == pytest.approx(
        metrics.f1_score(*pair, average="macro")
    )
    want = metrics.recall_score(*pair, average=None, labels=range(4))
    np.testing.assert_allclose(confusion.recall(counts)[:4], want)
    want = metrics.precision_score(*pair, average=None, labels=range(4))
    np.testing.assert_allclose(confusion.precision(counts)[:4], want)


def test_iou_equals_torchmetrics_jaccard_with_an_absent_class(pair):
    truth, predicted = map(torch.from_numpy, pair)
    found = confusion.iou(confusion.confusion_of(*pair, 5))
    each = MulticlassJaccardIndex(5, average="none")(predicted, truth)
    np.testing.assert_allclose(found[:4], each[:4], rtol=1e-6)
    assert np.isnan(found[4])
    macro = MulticlassJaccardIndex(5, average="macro")(predicted, truth)
    assert confusion.mean_defined(found) == pytest.approx(float(macro), rel=1e-6)


def test_miou_is_of_the_whole_set_not_the_mean_over_images():
    # Image 1: four pixels of class 0, all right. Image 2: one of class 0, wrong, and three of
    # class 1, right. Over the set: IoU_0 = 4/5, IoU_1 = 3/4. Image 2 alone: 0 and 3/4.
    truth = torch.tensor([[[0, 0], [0, 0]], [[0, 1], [1, 1]]])
    predicted = torch.tensor([[[0, 0], [0, 0]], [[1, 1], [1, 1]]])
    counts = confusion.confusion_of(truth.flatten().numpy(), predicted.flatten().numpy(), 2)
    assert confusion.mean_defined(confusion.iou(counts)) == pytest.approx((4 / 5 + 3 / 4) / 2)
    per_image = MeanIoU(num_classes=2, input_format="index")(predicted, truth)
    assert float(per_image) < 0.7


def test_f1_follows_from_iou(pair):
    counts = confusion.confusion_of(*pair, 4)
    iou = confusion.iou(counts)
    np.testing.assert_allclose(confusion.f1(counts), 2 * iou / (1 + iou))
