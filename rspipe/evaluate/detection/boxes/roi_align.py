# SPDX-License-Identifier: Apache-2.0
"""Rotated RoIAlign: the features inside an oriented box, upright, on a fixed grid."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

Align = Callable[
    [Float[Tensor, "B C h w"], float, Int[Tensor, " k"]], Float[Tensor, "k C bins bins"]
]
"""From a level's maps, its stride in pixels and the numbers of boxes to what lies in them."""


def pool_by_level(
    levels: Mapping[str, Float[Tensor, "B C h w"]],
    strides_px: Mapping[str, float],
    level: Int[Tensor, " n"],
    bins: int,
    align: Align,
) -> Float[Tensor, "n C bins bins"]:
    """Read each box from its level, in float32 whatever the maps are.

    Args:
        levels: maps by name.
        strides_px: by name, finest first.
        level: of each box, a place in `strides_px`.
        bins: cells of the result, down and across.
        align: reads the boxes of one level.
    """
    channels = next(iter(levels.values())).shape[1]
    pooled = torch.zeros((len(level), channels, bins, bins), device=level.device)
    for i, (name, stride_px) in enumerate(strides_px.items()):
        mine = (level == i).nonzero()[:, 0]
        pooled = pooled.index_put((mine,), align(levels[name].float(), stride_px, mine))
    return pooled


def rotated_roi_align(
    features: Float[Tensor, "B C H W"],
    boxes: Float[Tensor, "n 5"],
    images: Int[Tensor, " n"],
    *,
    bins: int,
    stride_px: float,
    samples: int = 2,
) -> Float[Tensor, "n C bins bins"]:
    """Average bilinear samples in each of bins × bins cells of every box.

    Rows run along a box's h, columns along its w. Samples more than one cell outside the map are
    0, those less far outside take its edge's value.

    Args:
        features: maps; the centre of cell (0, 0) is at (stride_px / 2, stride_px / 2).
        boxes: cx, cy, w, h, θ in pixels of the image.
        images: which map each box is on.
        bins: cells of the result, down and across.
        stride_px: pixels per cell of the maps.
        samples: per bin, down and across.

    Source: RoIAlign (He et al. 2017, arXiv:1703.06870) with the half-pixel shift ("aligned"); at
    θ = 0 equal to torchvision's `roi_align(aligned=True, sampling_ratio=samples)`, rotated as
    mmcv's `RoIAlignRotated(clockwise=True)`. Differs: in the dtype of the features.
    """
    points = _sample_points(boxes.to(features.dtype), bins * samples) / stride_px - 0.5
    pooled = features.new_zeros((len(boxes), features.shape[1], bins, bins))
    for image in range(len(features)):
        mine = (images == image).nonzero()[:, 0]
        if not len(mine):
            continue
        pooled = pooled.index_put((mine,), _average(features[image], points[mine], samples))
    return pooled


def _sample_points(boxes: Float[Tensor, "n 5"], count: int) -> Float[Tensor, "n P P 2"]:
    """Pixel positions x, y of count × count points spread evenly over each box."""
    steps = (torch.arange(count, dtype=boxes.dtype, device=boxes.device) + 0.5) / count - 0.5
    cx, cy, w, h, angle = (part[:, None, None] for part in boxes.unbind(-1))
    along, across = w * steps[None, None, :], h * steps[None, :, None]
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cx + along * cos - across * sin, cy + along * sin + across * cos], dim=-1)


def _average(
    features: Float[Tensor, "C H W"], points: Float[Tensor, "n P P 2"], samples: int
) -> Float[Tensor, "n C b b"]:
    """Sample one map at points in its cells, and average samples × samples of them."""
    size = points.new_tensor([features.shape[2], features.shape[1]])
    near = ((points >= -1) & (points <= size)).all(dim=-1)
    # grid_sample wants -1..1 between the centres of the outermost cells; one cell has no between.
    grid = points / (size - 1).clamp(min=1) * 2 - 1
    n, count = points.shape[:2]
    values = F.grid_sample(
        features[None], grid.view(1, n * count, count, 2), padding_mode="border", align_corners=True
    )
    bins = count // samples
    cells = (values.view(-1, n, count, count) * near).view(-1, n, bins, samples, bins, samples)
    return cells.mean(dim=(3, 5)).transpose(0, 1)
