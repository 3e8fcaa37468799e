# SPDX-License-Identifier: Apache-2.0
"""Superpixels on the device: pieces of an image that are alike in colour and lie together."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

# Sums of whole numbers do not depend on their order: so an image is cut alike in any batch and on
# any device, though the parts of a sum come in another order there.
_LEVELS = 256


def superpixels(
    images: Float[Tensor, "B C H W"],
    cell_px: int,
    segments: int,
    compactness: float,
    rounds: int,
) -> Int[Tensor, "B h w"]:
    """Cluster the cells of each image by colour and place; a pure function of the image.

    Args:
        images: normalised; the distance of colours is their root mean square over bands.
        cell_px: side of the squares that are labelled as one; what is left at an edge is dropped.
        segments: clusters wanted; as many as the nearest grid of seeds has are made.
        compactness: how much colour distance a step of one seed spacing is worth.
        rounds: how often cells are assigned anew.

    Returns:
        Labels from 0 to below `count_segments`; one that won no cell is absent.

    Source: Achanta et al. 2012, "SLIC superpixels", doi:10.1109/TPAMI.2012.120, sec. 4. Differs:
        cells, not pixels; all bands, not CIELAB; every cell is compared with every centre; seeds
        are not moved off edges; a superpixel may be in several parts.
    """
    cells = (F.avg_pool2d(images.float(), cell_px) * _LEVELS).round().long()
    batch, bands, height, width = cells.shape
    rows, columns = _seed_grid(height, width, segments)
    y, x = torch.meshgrid(
        torch.arange(height, device=cells.device),
        torch.arange(width, device=cells.device),
        indexing="ij",
    )
    place = (torch.stack([y, x]) * _LEVELS).expand(batch, -1, -1, -1)
    features = torch.cat([cells, place], dim=1).flatten(2).transpose(1, 2)
    spacing = math.sqrt(height * width / (rows * columns))
    weights = [1 / bands] * bands + [(compactness / spacing) ** 2] * 2
    centres = _seeds(features, (height, width), (rows, columns))
    labels = _nearest(features, centres, weights)
    for _ in range(rounds - 1):
        centres = _means(features, labels, centres)
        labels = _nearest(features, centres, weights)
    return labels.reshape(batch, height, width)


def count_segments(height: int, width: int, segments: int) -> int:
    """Count the seeds of the grid that has nearly `segments` of them.

    >>> count_segments(28, 28, 16), count_segments(28, 28, 18), count_segments(8, 16, 16)
    (16, 16, 15)
    """
    rows, columns = _seed_grid(height, width, segments)
    return rows * columns


def _seed_grid(height: int, width: int, segments: int) -> tuple[int, int]:
    rows = min(height, max(1, round(math.sqrt(segments * height / width))))
    return rows, min(width, max(1, round(segments / rows)))


def _seeds(
    features: Int[Tensor, "B L F"], size: tuple[int, int], grid: tuple[int, int]
) -> Float[Tensor, "B S F"]:
    """Put a centre in the middle of each part of a regular grid, in the colour it has there."""
    y, x = (
        (torch.arange(count, device=features.device) + 0.5) * length / count
        for length, count in zip(size, grid, strict=True)
    )
    centres = features[:, (y.long()[:, None] * size[1] + x.long()).flatten()].float()
    middle = torch.cartesian_prod(y, x) - 0.5
    centres[..., -2:] = middle * _LEVELS
    return centres


def _nearest(
    features: Int[Tensor, "B L F"], centres: Float[Tensor, "B S F"], weights: list[float]
) -> Int[Tensor, "B L"]:
    """Find the centre at the smallest weighted distance; feature by feature, to save memory."""
    far = torch.zeros(1, device=features.device)
    for column, weight in enumerate(weights):
        away = features[:, :, None, column] - centres[:, None, :, column]
        far = far + weight * away.square()
    return far.argmin(dim=2)


def _means(
    features: Int[Tensor, "B L F"], labels: Int[Tensor, "B L"], old: Float[Tensor, "B S F"]
) -> Float[Tensor, "B S F"]:
    """Move each centre to the mean of its cells; one without cells stays."""
    counted = torch.cat([features, torch.ones_like(features[..., :1])], dim=2)
    sums = counted.new_zeros(*old.shape[:2], counted.shape[2])
    sums.scatter_add_(1, labels[..., None].expand_as(counted), counted)
    count = sums[..., -1:]
    return torch.where(count > 0, sums[..., :-1] / count.clamp_min(1), old)
