# SPDX-License-Identifier: Apache-2.0
"""Which detection found which object: two rules, for boxes of either kind.

| rule | a detection tries | a second hit on an object | difficult objects |
|---|---|---|---|
| `voc` | only the box that it overlaps most | miss | as others, but neither hit nor miss |
| `coco` | the best box still free | cannot be | as crowds: tried last, often, by the share inside |

Source: `voc` from the VOC development kit (mmdet's and mmrotate's `tpfp_default` do the same);
`coco` from pycocotools' `evaluateImg`, with difficult objects as crowds and all areas. Differs: box
edges are continuous, while the VOC kit counts x1 - x0 + 1 pixels; DOTA's kit wants an overlap of
more than the threshold, here, in VOC and in mmrotate it is enough to reach it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from rspipe.evaluate.detection.average_precision.matches import FoundBoxes, Matches, TrueBoxes
from rspipe.evaluate.detection.boxes.overlap import paired_iou

Boxes = Float[np.ndarray, "p c"]


@dataclass(frozen=True)
class BoxKind:
    """How boxes of a kind are measured."""

    paired_iou: Callable[[Boxes, Boxes], Float[np.ndarray, " p"]]
    """Intersection over union of the i-th with the i-th, float64."""
    areas: Callable[[Boxes], Float[np.ndarray, " p"]]


@dataclass(frozen=True)
class Pairs:
    """One class: every detection with every object of its image.

    Detections go from the best score down, equal ones in the order of images; objects image by
    image, difficult ones last; pairs by detection, then object.
    """

    image: Int[np.ndarray, " d"]
    """Of each detection."""
    difficult: Bool[np.ndarray, " g"]
    """Of each object."""
    true_per_image: Int[np.ndarray, " n"]
    detection: Int[np.ndarray, " p"]
    object: Int[np.ndarray, " p"]
    iou: Float[np.ndarray, " p"]
    share: Float[np.ndarray, " p"]
    """Intersection over the detection's area."""


def pair_up(
    truth: Sequence[TrueBoxes], found: Sequence[FoundBoxes], label: int, kind: BoxKind
) -> Pairs:
    """Measure the overlaps of one class.

    Args:
        truth: of each image.
        found: of each image, in the same order.
        label: the class.
        kind: of the boxes.
    """
    objects = _of_class(truth, label)
    detections = _of_class(found, label)
    difficult = np.concatenate([one.difficult[one.labels == label] for one in truth])
    scores = np.concatenate([one.scores[one.labels == label] for one in found])
    last = np.lexsort((difficult, objects.image))
    best = np.argsort(-scores, kind="stable")
    objects, detections, difficult = objects[last], detections[best], difficult[last]
    per_image = np.bincount(objects.image, minlength=len(truth))
    starts = np.cumsum(per_image) - per_image
    counts = per_image[detections.image]
    d = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(d)) - np.repeat(np.cumsum(counts) - counts, counts)
    g = np.repeat(starts[detections.image], counts) + within
    iou = kind.paired_iou(detections.boxes[d], objects.boxes[g])
    areas = kind.areas(detections.boxes)[d], kind.areas(objects.boxes)[g]
    shared = iou * (areas[0] + areas[1]) / (1 + iou)
    share = np.divide(shared, areas[0], out=np.zeros_like(shared), where=areas[0] > 0)
    true_per_image = np.bincount(objects.image[~difficult], minlength=len(truth))
    return Pairs(detections.image, difficult, true_per_image, d, g, iou, share)


def match_voc(pairs: Pairs, ious: Sequence[float]) -> Matches:
    """Match by the VOC rule at each IoU threshold."""
    # First of each detection: the highest overlap, of equal ones the first object.
    order = np.lexsort((pairs.object, -pairs.iou, pairs.detection))
    detections, first = np.unique(pairs.detection[order], return_index=True)
    objects, overlaps = pairs.object[order][first], pairs.iou[order][first]
    hits = np.zeros((len(ious), len(pairs.image)), dtype=bool)
    misses = np.ones_like(hits)
    for t, least in enumerate(ious):
        reaching = overlaps >= least
        takers, taken = detections[reaching], objects[reaching]
        misses[t, takers[pairs.difficult[taken]]] = False
        _, firsts = np.unique(taken, return_index=True)  # detections come best first
        winners = firsts[~pairs.difficult[taken[firsts]]]
        hits[t, takers[winners]] = True
    return Matches(pairs.image, hits, misses & ~hits, pairs.true_per_image)


def match_coco(pairs: Pairs, ious: Sequence[float], max_detections: int = 100) -> Matches:
    """Match by COCO's rule at each IoU threshold.

    Args:
        pairs: of one class.
        ious: thresholds.
        max_detections: per image; the others are as if not found.
    """
    kept = _best_of_each_image(pairs.image, max_detections)
    overlaps = np.where(pairs.difficult[pairs.object], pairs.share, pairs.iou)
    hits = np.zeros((len(ious), len(pairs.image)), dtype=bool)
    misses = np.tile(kept, (len(ious), 1))
    for t, least in enumerate(ious):
        reaching = np.flatnonzero(kept[pairs.detection] & (overlaps >= min(least, 1 - 1e-10)))
        for detection, difficult in _claims(pairs, overlaps, reaching):
            hits[t, detection] = not difficult
            misses[t, detection] = False
    return Matches(pairs.image[kept], hits[:, kept], misses[:, kept], pairs.true_per_image)


def _claims(
    pairs: Pairs, overlaps: Float[np.ndarray, " p"], reaching: Int[np.ndarray, " q"]
) -> list[tuple[int, bool]]:
    """Detections that get an object, from the best on, and whether that is a difficult one."""
    taken = np.zeros(len(pairs.difficult), dtype=bool)
    claims = []
    detections, starts = np.unique(pairs.detection[reaching], return_index=True)
    for detection, tried in zip(detections, np.split(reaching, starts[1:]), strict=False):
        objects = pairs.object[tried]
        free = tried[~taken[objects]]
        plain = free[~pairs.difficult[pairs.object[free]]]
        candidates = plain if len(plain) else free
        if not len(candidates):
            continue
        # Of equal overlaps the last, as in pycocotools.
        claimed = candidates[len(candidates) - 1 - overlaps[candidates][::-1].argmax()]
        difficult = bool(pairs.difficult[pairs.object[claimed]])
        taken[pairs.object[claimed]] = not difficult  # a crowd can be found again
        claims.append((int(detection), difficult))
    return claims


def _best_of_each_image(image: Int[np.ndarray, " d"], most: int) -> Bool[np.ndarray, " d"]:
    """Mark the first `most` detections of every image; they come best first."""
    by_image = np.argsort(image, kind="stable")
    _, starts, counts = np.unique(image[by_image], return_index=True, return_counts=True)
    kept = np.empty(len(image), dtype=bool)
    kept[by_image] = np.arange(len(image)) - np.repeat(starts, counts) < most
    return kept


@dataclass(frozen=True)
class _Placed:
    """Boxes of one class and where they are."""

    boxes: Boxes
    image: Int[np.ndarray, " p"]

    def __getitem__(self, order: Int[np.ndarray, " q"]) -> "_Placed":
        return _Placed(self.boxes[order], self.image[order])


def _of_class(images: Sequence[TrueBoxes] | Sequence[FoundBoxes], label: int) -> _Placed:
    chosen = [one.boxes[one.labels == label] for one in images]
    image = np.repeat(np.arange(len(images)), [len(boxes) for boxes in chosen])
    return _Placed(np.concatenate(chosen), image)


def _horizontal_iou(first: Boxes, second: Boxes) -> Float[np.ndarray, " p"]:
    sides = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    shared = _products(np.clip(sides, 0, None))
    union = _horizontal_areas(first) + _horizontal_areas(second) - shared
    iou: Float[np.ndarray, " p"] = np.divide(
        shared, union, out=np.zeros_like(shared), where=union > 0
    )
    return iou


def _horizontal_areas(boxes: Boxes) -> Float[np.ndarray, " p"]:
    return _products(boxes[:, 2:] - boxes[:, :2])


def _oriented_iou(first: Boxes, second: Boxes) -> Float[np.ndarray, " p"]:
    return paired_iou(torch.from_numpy(first), torch.from_numpy(second)).numpy()


def _oriented_areas(boxes: Boxes) -> Float[np.ndarray, " p"]:
    return _products(boxes[:, 2:4])


def _products(sides: Float[np.ndarray, "p 2"]) -> Float[np.ndarray, " p"]:
    areas: Float[np.ndarray, " p"] = sides.prod(axis=1)
    return areas


KINDS: dict[str, BoxKind] = {
    "horizontal": BoxKind(_horizontal_iou, _horizontal_areas),
    "oriented": BoxKind(_oriented_iou, _oriented_areas),
}
