# SPDX-License-Identifier: Apache-2.0
"""Scores of a confusion matrix: rows are the truth, columns the prediction.

A class that is neither in the truth nor predicted has no score (not a number), and a mean over
classes leaves it out: so do mmsegmentation, torchmetrics' macro averages and scikit-learn.
"""

import numpy as np
from jaxtyping import Float, Int

Counts = Int[np.ndarray, "K K"]


def confusion_of(
    truth: Int[np.ndarray, " n"], predicted: Int[np.ndarray, " n"], n_classes: int
) -> Counts:
    """Count pairs of true and predicted class."""
    cells = np.bincount(truth * n_classes + predicted, minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes)


def overall_accuracy(counts: Counts) -> float:
    """Share of the diagonal, 0..1 (OA of images, aAcc of pixels)."""
    return float(_ratio(np.trace(counts), counts.sum()))


def recall(counts: Counts) -> Float[np.ndarray, " K"]:
    """Share of each class's truth that was found, 0..1."""
    return _ratio(np.diag(counts), counts.sum(axis=1))


def precision(counts: Counts) -> Float[np.ndarray, " K"]:
    """Share of each class's predictions that are right, 0..1."""
    return _ratio(np.diag(counts), counts.sum(axis=0))


def iou(counts: Counts) -> Float[np.ndarray, " K"]:
    """Intersection over union of each class over the whole set, 0..1."""
    hits = np.diag(counts)
    return _ratio(hits, counts.sum(axis=0) + counts.sum(axis=1) - hits)


def f1(counts: Counts) -> Float[np.ndarray, " K"]:
    """F1 of each class, 0..1; equals 2 IoU / (1 + IoU)."""
    return _ratio(2 * np.diag(counts), counts.sum(axis=0) + counts.sum(axis=1))


def mean_defined(scores: Float[np.ndarray, " K"]) -> float:
    """Mean over the classes that have a score."""
    defined = scores[~np.isnan(scores)]
    return float(defined.mean()) if len(defined) else float("nan")


def _ratio(part: np.ndarray, whole: np.ndarray) -> Float[np.ndarray, "..."]:
    part, whole = np.asarray(part, float), np.asarray(whole, float)
    ratio = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=ratio, where=whole > 0)
    return ratio
