# SPDX-License-Identifier: Apache-2.0
"""Scores of predicted masks: one confusion matrix of the whole test set, and what follows of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from rspipe.evaluate import confusion
from rspipe.evaluate.base import Scores
from rspipe.evaluate.segmentation.masks import IGNORE, ClassMask
from rspipe.evaluate.uncertainty import Estimates, bootstrap, deviation

CONVENTIONS = {
    "mIoU": "mean over classes of TP / (TP + FP + FN), of the pixels of the whole test set",
    "mF1": "mean over classes of 2 TP / (2 TP + FP + FN), each 2 IoU / (1 + IoU)",
    "pixel_accuracy": "right pixels / all pixels that count (aAcc)",
    "mRecall": "mean over classes of TP / (TP + FN) (mAcc)",
    "mPrecision": "mean over classes of TP / (TP + FP)",
    "IoU": "TP / (TP + FP + FN) of one class, of the whole test set",
    "F1": "2 TP / (2 TP + FP + FN) of one class, of the whole test set",
}
"""What each name means. Ignored pixels are left out, and so are classes that are neither in the
truth nor predicted; intervals are percentile bootstraps over test images."""

IMAGE_MIOU = (
    "mIoU of the image alone, by the first training: mean IoU of the classes in its truth or its "
    "prediction, ignored pixels left out; its mean over images is not the mIoU of the test set"
)

_PER_CLASS = ("IoU", "F1", "precision", "recall")
_MEANS = ("mIoU", "mF1", "pixel_accuracy", "mRecall", "mPrecision")


def score(
    counts: Int[np.ndarray, "*S n K K"], classes: tuple[str, ...], resamples: int, seed: int
) -> Scores:
    """Score the counts of n test images together; mIoU is the headline.

    Of several trainings every score is the mean of theirs, and the interval is that of the mean:
    a resample draws the same images for all. Their spread stands apart.

    Of two classes the second is what is looked for (background, building): its IoU and F1 stand
    beside the means, by its name.

    Args:
        counts: per image, by true and predicted class; of each training where there are several.
        classes: their names.
        resamples: of the bootstrap over images.
        seed: of the bootstrap.
    """
    K, means = len(classes), len(_MEANS)
    trainings = counts.reshape(-1, *counts.shape[-3:])
    found = bootstrap(
        lambda images: _statistics(trainings[:, images]), trainings.shape[1], resamples, seed
    )
    arrays = {"confusion": trainings.sum(axis=(0, 1))}
    scores = Scores.from_estimates(_part(found, 0, means + K), _MEANS, classes, arrays)
    by_seed = np.array([_of_one(each)[0] for each in trainings])
    scores.columns.update(n_seeds=len(by_seed), seed_std=deviation(by_seed))
    scores.extra["by_seed"] = by_seed.round(6).tolist()
    for place, name in enumerate(_PER_CLASS):
        first = means + place * K
        scores.extra[f"per_class_{name}"] = {
            of: _as_dict(found, first + k) for k, of in enumerate(classes)
        }
    if K == 2:
        scores.extra[f"{classes[1]}_IoU"] = _as_dict(found, means + 1)
        scores.extra[f"{classes[1]}_F1"] = _as_dict(found, means + K + 1)
    scores.extra["conventions"] = CONVENTIONS
    return replace(scores, estimates=found)


def by_group(
    counts: Int[np.ndarray, "*S n K K"], paths: Sequence[str], groups: Sequence[str]
) -> Mapping[str, Any]:
    """Give mIoU of the images below folders of these names.

    Args:
        counts: per image; of each training where there are several, whose mean is given.
        paths: of the images.
        groups: names of folders anywhere in the paths.
    """
    found = {}
    trainings = counts.reshape(-1, *counts.shape[-3:])
    for group in groups:
        inside = np.array([group in path.split("/")[:-1] for path in paths])
        found[group] = {
            "n": int(inside.sum()),
            "mIoU": _plain(float(_statistics(trainings[:, inside])[0])),
        }
    return found


def image_miou(counts: Int[np.ndarray, "K K"]) -> float:
    """Score one image alone; not a number where no pixel counts. See `IMAGE_MIOU`."""
    return confusion.mean_defined(confusion.iou(counts))


def count_pixels(guess: ClassMask, truth: ClassMask, n_classes: int) -> Int[np.ndarray, "K K"]:
    """Count the pixels of one image by true and predicted class, ignored ones left out."""
    counted = truth != IGNORE
    return confusion.confusion_of(
        truth[counted].astype(np.int64), guess[counted].astype(np.int64), n_classes
    )


def _statistics(counts: Int[np.ndarray, "S n K K"]) -> Float[np.ndarray, " m"]:
    """Mean over trainings; a score that some of them leave undefined is the mean of the others."""
    by_training = np.stack([_of_one(each) for each in counts])
    return np.array([confusion.mean_defined(column) for column in by_training.T])


def _of_one(counts: Int[np.ndarray, "n K K"]) -> Float[np.ndarray, " m"]:
    total = counts.sum(axis=0)
    iou, f1 = confusion.iou(total), confusion.f1(total)
    precision, recall = confusion.precision(total), confusion.recall(total)
    means = [confusion.mean_defined(each) for each in (iou, f1, recall, precision)]
    means.insert(2, confusion.overall_accuracy(total))
    return np.concatenate([means, iou, f1, precision, recall])


def _part(found: Estimates, first: int, end: int) -> Estimates:
    return replace(
        found,
        values=found.values[first:end],
        low=found.low[first:end],
        high=found.high[first:end],
    )


def _as_dict(found: Estimates, place: int) -> dict[str, float | None]:
    triple = (found.values[place], found.low[place], found.high[place])
    return dict(zip(("value", "ci_low", "ci_high"), map(_plain, triple), strict=True))


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
