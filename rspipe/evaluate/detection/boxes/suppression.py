# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression of oriented boxes; horizontal ones go to `torchvision.ops`."""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rspipe.evaluate.detection.boxes.overlap import overlapping_pairs, paired_iou


def rotated_nms(
    boxes: Float[Tensor, "n 5"],
    scores: Float[Tensor, " n"],
    labels: Int[Tensor, " n"],
    iou: float,
) -> Int[Tensor, " k"]:
    """Keep the best boxes of each class, best first; equal scores in the order given.

    A box goes if a better one of its class, itself kept, overlaps it by more than `iou`. At θ = 0
    and one class the list is that of `torchvision.ops.nms`.

    Raises:
        ValueError: a number that is not finite, or a negative side.
    """
    order = scores.argsort(descending=True, stable=True)
    boxes, labels = boxes[order], labels[order]
    better, worse = overlapping_pairs(boxes, boxes)
    rivals = (better < worse) & (labels[better] == labels[worse])
    better, worse = better[rivals], worse[rivals]
    close = paired_iou(boxes[better], boxes[worse]) > iou
    kept = _survivors(len(boxes), better[close].cpu().numpy(), worse[close].cpu().numpy())
    return order[torch.from_numpy(kept).to(order.device)]


def _survivors(
    n: int, better: Int[np.ndarray, " p"], worse: Int[np.ndarray, " p"]
) -> Int[np.ndarray, " k"]:
    """Go through the boxes from the best; one that is still there removes its worse rivals."""
    alive = np.ones(n, dtype=bool)
    removers, starts = np.unique(better, return_index=True)  # pairs are sorted by `better`
    for box, rivals in zip(removers, np.split(worse, starts[1:]), strict=False):
        if alive[box]:
            alive[rivals] = False
    return np.flatnonzero(alive)
