# SPDX-License-Identifier: Apache-2.0
"""From matched detections to one number: three integrals of the precision-recall curve.

Each takes counts, not rates: hits and misses so far, detection by detection from the best score,
and the number of true boxes. Counts are whole numbers (images drawn twice count twice), so recalls
are compared exactly.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from rspipe.evaluate.detection.average_precision.matches import Matches

Integral = Callable[[Int[np.ndarray, " d"], Int[np.ndarray, " d"], int], float]

# As pycocotools makes them: some differ from k / 100 in the last bit.
_COCO_RECALLS = np.linspace(0.0, 1.0, 101)


def eleven_points(hits: Int[np.ndarray, " d"], misses: Int[np.ndarray, " d"], n_true: int) -> float:
    """Mean over the recalls 0, 0.1 … 1 of the best precision at that recall or a higher one.

    Source: VOC 2007 (Everingham et al. 2010, doi:10.1007/s11263-009-0275-4, sec. 4.2.1). Differs:
    recalls are compared as fractions; mmdet and py-faster-rcnn compare 3/10 with the float
    0.30000000000000004 and so miss a point that is reached exactly, at 0.3, 0.6 and 0.7.
    """
    envelope = _envelope(hits, misses)
    reached = np.searchsorted(10 * hits, np.arange(11) * n_true, side="left")
    return float(envelope[reached].mean())


def area(hits: Int[np.ndarray, " d"], misses: Int[np.ndarray, " d"], n_true: int) -> float:
    """Area under the curve, precision made to fall: VOC since 2010, "AP all points".

    Source: VOC 2012 development kit, sec. 3.4.1 (doi:10.1007/s11263-014-0733-5).
    """
    gained = np.diff(hits, prepend=0)
    return float((_envelope(hits, misses)[:-1] * gained).sum() / n_true)


def hundred_and_one_points(
    hits: Int[np.ndarray, " d"], misses: Int[np.ndarray, " d"], n_true: int
) -> float:
    """Mean over the recalls 0, 0.01 … 1, as pycocotools computes it, to the bit."""
    return float(_at_recalls(hits, misses, n_true).mean())


def precisions(
    matches: Matches, weights: Int[np.ndarray, " n"], integral: Integral
) -> Float[np.ndarray, " T"]:
    """Average precision of a class at each IoU threshold; not a number without a true box.

    Args:
        matches: of the class.
        weights: how often each image counts.
        integral: one of this module.
    """
    n_true = int(matches.true_per_image @ weights)
    if n_true == 0:
        return np.full(len(matches.hits), np.nan)
    times = weights[matches.image]
    hits, misses = ((found * times).cumsum(axis=1) for found in (matches.hits, matches.misses))
    return np.array([integral(h, m, n_true) for h, m in zip(hits, misses, strict=True)])


def precision_at_recalls(matches: Matches) -> Float[np.ndarray, " 101"]:
    """Interpolated precision of a class at the recalls 0, 0.01 … 1, first IoU threshold.

    Every image counts once; not a number without a true box. Their mean is COCO's AP.
    """
    n_true = int(matches.true_per_image.sum())
    if n_true == 0:
        return np.full(len(_COCO_RECALLS), np.nan)
    hits, misses = matches.hits[0].cumsum(), matches.misses[0].cumsum()
    return _at_recalls(hits, misses, n_true)


def _at_recalls(
    hits: Int[np.ndarray, " d"], misses: Int[np.ndarray, " d"], n_true: int
) -> Float[np.ndarray, " 101"]:
    reached = np.searchsorted(hits / n_true, _COCO_RECALLS, side="left")
    interpolated: Float[np.ndarray, " 101"] = _envelope(hits, misses)[reached]
    return interpolated


def _envelope(
    hits: Int[np.ndarray, " d"], misses: Int[np.ndarray, " d"]
) -> Float[np.ndarray, " d+1"]:
    """The best precision from here on; 0 beyond the last detection."""
    precision = hits / (hits + misses + np.spacing(1))
    return np.pad(np.maximum.accumulate(precision[::-1])[::-1], (0, 1))
