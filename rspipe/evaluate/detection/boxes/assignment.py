# SPDX-License-Identifier: Apache-2.0
"""Which boxes learn which object, and which of them are drawn."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torchvision.models.detection._utils import BalancedPositiveNegativeSampler

NOTHING = -1
"""The box learns that no object is there."""
UNDECIDED = -2
"""The box does not learn."""


def assign(
    overlaps: Float[Tensor, "n g"],
    positive_iou: float,
    negative_iou: float,
    least_best_iou: float | None = None,
) -> Int[Tensor, " n"]:
    """Give each box the object it learns, `NOTHING` or `UNDECIDED`.

    Args:
        overlaps: of n boxes with g objects.
        positive_iou: from here on a box learns the object that it overlaps most.
        negative_iou: below it a box learns that nothing is there.
        least_best_iou: the boxes that overlap an object most learn it too, if so much; of several
            objects the last. None: they do not.

    Source: mmdet's MaxIoUAssigner. torchvision's Matcher has no lower limit for best boxes.
    """
    if overlaps.shape[1] == 0:
        return torch.full((len(overlaps),), NOTHING, device=overlaps.device)
    most, owner = overlaps.max(dim=1)
    undecided = torch.where(most < negative_iou, NOTHING, UNDECIDED)
    owner = torch.where(most >= positive_iou, owner, undecided)
    if least_best_iou is not None and len(overlaps):
        best = overlaps.amax(dim=0)
        claims = (overlaps == best) & (best >= least_best_iou)
        boxes, objects = claims.nonzero(as_tuple=True)
        claimant = torch.full_like(owner, -1).scatter_reduce(0, boxes, objects, "amax")
        owner = torch.where(claimant >= 0, claimant, owner)
    return owner


def draw(
    owner: Int[Tensor, " n"], count: int, positive_share: float
) -> tuple[Int[Tensor, " p"], Int[Tensor, " q"]]:
    """Draw boxes that learn: first at most a share of those with an object, then of the others.

    Randomness is torch's global generator.

    Returns:
        Positions of drawn boxes with an object, and of drawn boxes with none.
    """
    sampler = BalancedPositiveNegativeSampler(count, positive_share)
    with_object, without = sampler([owner + 1])  # its code: 0 is nothing, -1 is undecided
    return with_object[0].nonzero()[:, 0], without[0].nonzero()[:, 0]
