import numpy as np
import torch
from torchmetrics.classification import MulticlassJaccardIndex

from rspipe.evaluate.config import SegmentationProbe
from rspipe.evaluate.confusion import iou
from rspipe.evaluate.masks import IGNORE
from rspipe.evaluate.segmentation import (
    count_pixels,
    fit_layer,
    predict,
    shrink,
    upsample,
)

CPU = torch.device("cpu")


def test_counts_over_images_give_torchmetrics_jaccard_with_ignored_pixels():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (5, 9, 11)).astype(np.uint8)
    guess = np.where(rng.random(truth.shape) < 0.5, truth, 2).astype(np.uint8)
    truth[:, :2] = IGNORE
    counts = sum(count_pixels(g, t, 3) for g, t in zip(guess, truth, strict=True))
    metric = MulticlassJaccardIndex(3, average="none", ignore_index=IGNORE)
    want = metric(torch.from_numpy(guess).long(), torch.from_numpy(truth).long())
    np.testing.assert_allclose(iou(counts), want, rtol=1e-6)
    assert counts.sum() == 5 * 7 * 11


def test_layer_before_resizing_equals_layer_after():
    torch.manual_seed(0)
    grids, layer = torch.randn(2, 6, 4, 5), torch.nn.Conv2d(6, 3, 1)
    torch.testing.assert_close(upsample(layer(grids), (16, 20)), layer(upsample(grids, (16, 20))))


def test_layer_learns_what_tokens_hold_and_ignored_pixels_teach_nothing():
    torch.manual_seed(0)
    targets = torch.zeros(8, 16, 16, dtype=torch.uint8)
    targets[:, :, 8:] = 1
    grids = torch.randn(8, 5, 4, 4) * 0.1
    grids[:, 2, :, 2:] += 1  # one channel knows the class
    poisoned = targets.clone()
    poisoned[:, 0] = IGNORE
    layer = fit_layer(grids, poisoned, 2, SegmentationProbe(steps=100), 0, CPU)
    guess = predict(layer, grids[0], (32, 32), CPU)
    assert guess.shape == (32, 32)
    assert (guess[:, :12] == 0).all()
    assert (guess[:, 20:] == 1).all()


def test_same_seed_same_layer():
    torch.manual_seed(0)
    grids, targets = torch.randn(4, 3, 2, 2), torch.randint(0, 2, (4, 8, 8)).to(torch.uint8)
    settings = SegmentationProbe(steps=5)
    first, second = (fit_layer(grids, targets, 2, settings, 3, CPU) for _ in range(2))
    assert torch.equal(first[1].weight, second[1].weight)


def test_shrink_invents_no_class():
    mask = np.array([[0, 7], [7, 0]], dtype=np.uint8).repeat(5, 0).repeat(3, 1)
    assert set(np.unique(shrink(mask, 4, 4))) == {0, 7}
