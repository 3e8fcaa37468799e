# SPDX-License-Identifier: Apache-2.0
"""What an objective does to patches, as numbers to be drawn: never part of training."""

import copy

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rspipe.objectives.base import Objective, Plan
from rspipe.objectives.hog import hog_cells
from rspipe.objectives.selective_mae import Selection, SelectiveMAE


def choosing(objective: SelectiveMAE, selection: Selection) -> SelectiveMAE:
    """Return the same model, which chooses its patches in another way; weights are shared."""
    other = copy.copy(objective)
    other.config = objective.config.model_copy(update={"selection": selection})
    return other


def released_scores(images: Float[Tensor, "B C H W"], patch_px: int) -> Float[Tensor, "B N"]:
    """Score patches as the released code of SelectiveMAE does: 0 for each, but for rounding.

    It standardises the histogram of a patch over that histogram's own values, and takes their
    mean. The mean of what was standardised is 0, whatever the patch shows.

    Source: SelectiveMAE's released code; `hog_scores` standardises over the patches instead.
    """
    histograms = hog_cells(images, patch_px).permute(0, 2, 3, 1, 4).flatten(1, 2).flatten(2)
    mean, std = histograms.mean(dim=2, keepdim=True), histograms.std(dim=2, keepdim=True)
    return ((histograms - mean) / (std + 1e-6)).mean(dim=2)


@torch.no_grad()
def patch_errors(
    objective: Objective, images: Float[Tensor, "B C H W"], plan: Plan
) -> Float[Tensor, "V M"]:
    """Say how wrong each predicted patch is, in the order of `ids_predict`.

    The mean over a view's patches is what `objective.error` says of that view.

    Args:
        objective: its error must be a mean over patches.
        images: normalised.
        plan: which patches are seen, and which are predicted.
    """
    views = images.repeat_interleave(objective.views, dim=0)
    predicted = objective.predict(views, plan).float()
    wanted = objective.targets(views, plan.ids_predict)
    each = objective.error(*(values.flatten(0, 1)[:, None] for values in (predicted, wanted)))
    return each.reshape(plan.ids_predict.shape)


def shares_by_score(
    roles: Int[np.ndarray, "B h w"], scores: Float[np.ndarray, "B N"], groups: int, kinds: int
) -> Float[np.ndarray, "groups kinds"]:
    """Say what becomes of patches by the rank of their score within their image.

    Args:
        roles: 0..kinds-1 per patch.
        scores: of the same patches; equal ones are ranked by place.
        groups: of patches, as even as N allows; the first has the lowest scores.
        kinds: how many roles there are.

    Returns:
        Share of each role among a group's patches; rows sum to 1.
    """
    rank = scores.argsort(axis=1, kind="stable").argsort(axis=1)
    group = rank * groups // scores.shape[1]
    counts = np.zeros((groups, kinds))
    np.add.at(counts, (group.ravel(), roles.reshape(len(roles), -1).ravel()), 1)
    shares: Float[np.ndarray, "groups kinds"] = counts / counts.sum(axis=1, keepdims=True)
    return shares
