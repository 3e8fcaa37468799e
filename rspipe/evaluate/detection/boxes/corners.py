# SPDX-License-Identifier: Apache-2.0
"""Oriented boxes and their corners."""

import torch
from jaxtyping import Float
from torch import Tensor

from rspipe.evaluate.detection.boxes.angles import regular

# Rectangles around a point set whose areas differ by less are taken for equally small.
_AREA_TIE = 1e-9


def to_corners(boxes: Float[Tensor, "*n 5"]) -> Float[Tensor, "*n 4 2"]:
    """Corners x, y, clockwise on the screen; at θ = 0 the first one is at the top left."""
    centre, (w, h, angle) = boxes[..., None, :2], boxes[..., 2:].unbind(-1)
    cos, sin = angle.cos(), angle.sin()
    along = torch.stack([w * cos, w * sin], dim=-1) / 2
    across = torch.stack([-h * sin, h * cos], dim=-1) / 2
    return centre + torch.stack(
        [-along - across, along - across, along + across, across - along], dim=-2
    )


def from_corners(corners: Float[Tensor, "*n 4 2"]) -> Float[Tensor, "*n 5"]:
    """Rectangles (le90) from their corners in order, either way round.

    Only for what is a rectangle: of other quadrilaterals it keeps the centre and the first two
    sides. `smallest_rectangles` takes any.
    """
    first, second = corners[..., 1, :] - corners[..., 0, :], corners[..., 2, :] - corners[..., 1, :]
    sides = torch.stack([first.norm(dim=-1), second.norm(dim=-1)], dim=-1)
    # The longer side tells the angle better; a side of no length tells none.
    longer = torch.where((sides[..., 0] >= sides[..., 1])[..., None], first, second)
    angle = torch.atan2(longer[..., 1], longer[..., 0])[..., None]
    ordered = sides.sort(dim=-1, descending=True).values
    return regular(torch.cat([corners.mean(dim=-2), ordered, angle], dim=-1))


def hulls(boxes: Float[Tensor, "*n 5"]) -> Float[Tensor, "*n 4"]:
    """Smallest horizontal boxes x0, y0, x1, y1 around oriented ones."""
    cx, cy, w, h, angle = boxes.unbind(-1)
    cos, sin = angle.cos().abs(), angle.sin().abs()
    half_x, half_y = (w * cos + h * sin) / 2, (w * sin + h * cos) / 2
    return torch.stack([cx - half_x, cy - half_y, cx + half_x, cy + half_y], dim=-1)


def from_horizontal(boxes: Float[Tensor, "*n 4"]) -> Float[Tensor, "*n 5"]:
    """Horizontal boxes x0, y0, x1, y1 as oriented ones (le90)."""
    x0, y0, x1, y1 = boxes.unbind(-1)
    centred = [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0, torch.zeros_like(x0)]
    return regular(torch.stack(centred, dim=-1))


def smallest_rectangles(points: Float[Tensor, "*n k 2"]) -> Float[Tensor, "*n 5"]:
    """Rectangles (le90) of least area around k points each, such as DOTA's four corners.

    One side of the smallest rectangle lies on an edge of the convex hull (Freeman and Shapira
    1975), and every edge joins two of the points: all pairs are tried, so points may come in any
    order, cross, coincide or lie inside. Of equally small rectangles the one along the earliest
    pair is taken. Points on a line give a rectangle of no height, equal points one of no size.

    Source: what OpenCV's `minAreaRect` finds, which mmrotate calls. Differs: in the dtype of the
    points instead of float32, in which corners at 4000 px carry an error of 2e-4 px.
    """
    first, second = torch.triu_indices(points.shape[-2], points.shape[-2], offset=1).to(
        points.device
    )
    spans = points[..., second, :] - points[..., first, :]
    lengths = spans.norm(dim=-1, keepdim=True)
    along = spans / torch.where(lengths == 0, 1.0, lengths)
    across = torch.stack([-along[..., 1], along[..., 0]], dim=-1)
    axes = torch.stack([along, across], dim=-2)  # ... pairs, axes, xy
    middle = points.mean(dim=-2)
    places = torch.einsum("...pac,...kc->...pak", axes, points - middle[..., None, :])
    low, high = places.amin(dim=-1), places.amax(dim=-1)
    sides = high - low
    # Equal points span no direction, and are no rectangle unless all points are equal.
    areas = sides.prod(dim=-1).masked_fill(lengths[..., 0] == 0, torch.inf)
    tied = areas <= areas.amin(dim=-1, keepdim=True) * (1 + _AREA_TIE)
    chosen = tied.to(torch.uint8).argmax(dim=-1)
    best = chosen[..., None, None].expand(*chosen.shape, 1, 2)
    centre = torch.einsum("...pa,...pac->...pc", (low + high) / 2, axes)
    angle = torch.atan2(along[..., 1], along[..., 0])
    picked = (part.gather(-2, best)[..., 0, :] for part in (centre, sides))
    offset, size = picked
    turned = angle.gather(-1, chosen[..., None])
    return regular(torch.cat([middle + offset, size, turned], dim=-1))
