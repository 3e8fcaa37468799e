# SPDX-License-Identifier: Apache-2.0
"""COCO average precision: pycocotools matches boxes once, any resample of images is summed."""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from jaxtyping import Float
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rspipe.evaluate.detection.average_precision.curves import (
    hundred_and_one_points,
    precision_at_recalls,
    precisions,
)
from rspipe.evaluate.detection.average_precision.matches import FoundBoxes, Matches, TrueBoxes
from rspipe.evaluate.splits import Indices

MAX_DETECTIONS = 100
"""Per image and class, as COCO evaluates."""


class CocoAP:
    """Average precision of any multiset of the images, boxes being matched only once.

    pycocotools matches; the sum over a resample weighs each image by how often it was drawn,
    which equals pycocotools' own sum over repeated images (a test holds both against it).

    COCO's rule: per class, detections in order of score take the best box that is still free at
    IoU 0.50, 0.55 … 0.95; precision is interpolated at 101 recalls; classes without a true box
    are left out of the mean. Only the area range "all".
    """

    def __init__(
        self, truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], n_classes: int
    ) -> None:
        with redirect_stdout(io.StringIO()):  # pycocotools prints its progress
            matcher = COCOeval(*_coco_pair(truth, found, n_classes), "bbox")
            matcher.params.areaRng, matcher.params.areaRngLbl = [[0, 1e10]], ["all"]
            matcher.params.maxDets = [MAX_DETECTIONS]
            matcher.evaluate()
        n = len(truth)
        # pycocotools lists matches class after class, images within; None where both are empty.
        self._classes = [
            _gather(matcher.evalImgs[k * n : (k + 1) * n], len(matcher.params.iouThrs))
            for k in range(n_classes)
        ]
        self._n_images = n

    def score(self, images: Indices) -> Float[np.ndarray, " m"]:
        """AP50, AP, AP75, then AP50 of every class; not a number where nothing was to be found.

        Args:
            images: positions, repetition allowed.
        """
        weights = np.bincount(images, minlength=self._n_images)
        per_class = np.stack(
            [precisions(one, weights, hundred_and_one_points) for one in self._classes], axis=1
        )
        defined = per_class[:, ~np.isnan(per_class[0])]
        if not defined.size:
            return np.full(3 + len(self._classes), np.nan)
        return np.array([defined[0].mean(), defined.mean(), defined[5].mean(), *per_class[0]])

    def curves(self) -> Float[np.ndarray, "K 101"]:
        """Precision of every class at the recalls 0, 0.01 … 1 and IoU 0.5, all images once."""
        return np.stack([precision_at_recalls(one) for one in self._classes])


def _gather(matches: Sequence[dict[str, Any] | None], thresholds: int) -> Matches:
    image: list[int] = []
    scores: list[float] = []
    matched, ignored = [np.zeros((thresholds, 0))], [np.zeros((thresholds, 0), dtype=bool)]
    true_per_image = np.zeros(len(matches), dtype=np.int64)
    for position, one in enumerate(matches):
        if one is None:
            continue
        image += [position] * len(one["dtScores"])
        scores += one["dtScores"]
        matched.append(one["dtMatches"])
        ignored.append(one["dtIgnore"])
        true_per_image[position] = np.count_nonzero(one["gtIgnore"] == 0)
    order = np.argsort(-np.array(scores), kind="stable")
    found = np.concatenate(matched, axis=1)[:, order] > 0
    counts = ~np.concatenate(ignored, axis=1)[:, order]
    positions = np.array(image, dtype=np.int64)[order]
    return Matches(positions, found & counts, ~found & counts, true_per_image)


def _coco_pair(
    truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], n_classes: int
) -> tuple[COCO, COCO]:
    """Write truth and detections as COCO data sets; every id starts at 1.

    pycocotools reads annotation id 0 as "unmatched": a perfect detection of it scores 0.
    """
    true_rows = [
        {**_row(image, box, label), "iscrowd": int(difficult)}
        for image, one in enumerate(truth, start=1)
        for box, label, difficult in zip(one.boxes, one.labels, one.difficult, strict=True)
    ]
    found_rows = [
        {**_row(image, box, label), "iscrowd": 0, "score": float(score)}
        for image, one in enumerate(found, start=1)
        for box, label, score in zip(one.boxes, one.labels, one.scores, strict=True)
    ]
    return (
        _coco(true_rows, len(truth), n_classes),
        _coco(found_rows, len(truth), n_classes),
    )


def _row(image: int, box: Float[np.ndarray, " 4"], label: int) -> dict[str, Any]:
    x0, y0, x1, y1 = (float(v) for v in box)
    size = [x1 - x0, y1 - y0]
    return {
        "image_id": image,
        "category_id": int(label) + 1,
        "bbox": [x0, y0, *size],
        "area": size[0] * size[1],
    }


def _coco(rows: list[dict[str, Any]], n_images: int, n_classes: int) -> COCO:
    coco = COCO()
    coco.dataset = {
        "images": [{"id": i} for i in range(1, n_images + 1)],
        "categories": [{"id": k} for k in range(1, n_classes + 1)],
        "annotations": [{"id": i, **row} for i, row in enumerate(rows, start=1)],
    }
    coco.createIndex()
    return coco
