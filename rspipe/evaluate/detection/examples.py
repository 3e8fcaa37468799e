# SPDX-License-Identifier: Apache-2.0
"""Which detections are kept for pictures: those of the best and of the worst test images."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rspipe.evaluate.base import Scores
from rspipe.evaluate.detection.average_precision import FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.average_precision.per_image import R_PRECISION, first_found
from rspipe.evaluate.extremes import Extremes

_SHOWN = 20


def note_detections(
    scores: Scores,
    paths: Sequence[str],
    truth: Sequence[TrueBoxes],
    found: Sequence[FoundBoxes],
    kind: str,
    described: Callable[[TrueBoxes | FoundBoxes], list[dict[str, Any]]],
) -> None:
    """Keep the R-precision of every test image, and the detections of the best and the worst.

    Args:
        scores: receives examples and arrays.
        paths: of the test images.
        truth: of each.
        found: of each.
        kind: of the boxes, a key of `KINDS`.
        described: tells boxes for JSON, in pixels of the published image.
    """
    extremes = Extremes[int]()
    first = [first_found(*pair, kind) for pair in zip(truth, found, strict=True)]
    for image, one in enumerate(first):
        extremes.add(one.r_precision, one.n_objects, image)
    scores.arrays["paths"] = np.array(paths)
    scores.arrays["image_score"] = np.array([one.r_precision for one in first], np.float32)
    scores.extra["image_score"] = R_PRECISION
    for end in extremes.shown():
        one, all_found = first[end.value], found[end.value]
        best = np.argsort(-all_found.scores, kind="stable")[: max(_SHOWN, one.n_objects)]
        shown = FoundBoxes(all_found.boxes[best], all_found.labels[best], all_found.scores[best])
        right = [*one.right.tolist(), *[None] * (len(best) - len(one.right))]
        true = truth[end.value]
        scores.examples.append(
            {
                "path": paths[end.value],
                "rank": end.rank,
                "score": round(end.score, 6),
                "n_objects": one.n_objects,
                "truth": [
                    {**told, "difficult": True} if difficult else told
                    for told, difficult in zip(described(true), true.difficult, strict=True)
                ],
                "found": [
                    {**told, "score": round(float(score), 4), "right": is_right}
                    for told, score, is_right in zip(
                        described(shown), shown.scores, right, strict=True
                    )
                ],
            }
        )
