# SPDX-License-Identifier: Apache-2.0
"""What the two stages learn of a box, relative to where they look."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rspipe.evaluate.detection.boxes.angles import regular, wrapped
from rspipe.evaluate.detection.boxes.corners import from_corners, hulls, to_corners

_MIDPOINT_STDS = (1.0, 1.0, 1.0, 1.0, 0.5, 0.5)
_DELTA_STDS = (0.1, 0.1, 0.2, 0.2, 0.1)
_MOST_LOG_RATIO = abs(math.log(16 / 1000))
# Corners so near the top (or the right) edge are at it: an upright box has two.
_TIE_PX = 0.1


def encode_midpoints(
    anchors: Float[Tensor, "n 4"], boxes: Float[Tensor, "n 5"]
) -> Float[Tensor, "n 6"]:
    """Describe oriented boxes from horizontal anchors x0, y0, x1, y1.

    (dx, dy, dw, dh) is the box's hull relative to the anchor; α and β say where on the hull's top
    edge and on its right edge the box's corners are, from -½ to ½ of the edge.

    Source: Xie et al. 2021, arXiv:2108.05699, sec. 3.1.1; of two corners at the top the right
    one is taken, of two at the right the lower one, as mmrotate does.
    """
    pc, ps = _centres_and_sides(anchors)
    hull = hulls(boxes)
    gc, gs = _centres_and_sides(hull)
    x, y = to_corners(boxes).unbind(-1)
    at_top, at_right = y <= hull[:, 1:2] + _TIE_PX, x >= hull[:, 2:3] - _TIE_PX
    top = x.masked_fill(~at_top, -torch.inf).amax(dim=1)
    right = y.masked_fill(~at_right, -torch.inf).amax(dim=1)
    slides = (torch.stack([top, right], dim=-1) - gc) / gs
    return _scaled(torch.cat([(gc - pc) / ps, (gs / ps).log(), slides], dim=-1), _MIDPOINT_STDS)


def decode_midpoints(
    anchors: Float[Tensor, "n 4"], offsets: Float[Tensor, "n 6"]
) -> Float[Tensor, "n 5"]:
    """Undo `encode_midpoints`; boxes come in le90.

    α and β are free, so they describe a parallelogram: its corners are moved away from the centre
    until all are as far as the farther pair, which makes it a rectangle.
    """
    pc, ps = _centres_and_sides(anchors)
    d = offsets * offsets.new_tensor(_MIDPOINT_STDS)
    centre = pc + ps * d[:, :2]
    half = ps * d[:, 2:4].clamp(-_MOST_LOG_RATIO, _MOST_LOG_RATIO).exp() / 2
    slides = d[:, 4:].clamp(-0.5, 0.5) * 2 * half
    top = torch.stack([slides[:, 0], -half[:, 1]], dim=-1)
    right = torch.stack([half[:, 0], slides[:, 1]], dim=-1)
    rays = torch.stack([top, right, -top, -right], dim=1)
    lengths = rays.norm(dim=-1, keepdim=True)
    rays = rays * (lengths.amax(dim=1, keepdim=True) / lengths)
    return from_corners(centre[:, None] + rays)


def encode_deltas(
    proposals: Float[Tensor, "n 5"], boxes: Float[Tensor, "n 5"]
) -> Float[Tensor, "n 5"]:
    """Describe oriented boxes from oriented proposals, in the axes of the proposal.

    Of the two ways to name the box's sides the one that turns less is taken: |dθ| ≤ π/4.

    Source: mmrotate's DeltaXYWHTRBBoxCoder with `proj_xy` and `edge_swap`.
    """
    centre, (w, h, angle) = proposals[:, :2], proposals[:, 2:].unbind(-1)
    along, across = _turned(boxes[:, :2] - centre, -angle)
    turn, quarter = wrapped(boxes[:, 4] - angle), wrapped(boxes[:, 4] - angle + math.pi / 2)
    same = turn.abs() < quarter.abs()
    gw, gh = (
        torch.where(same, boxes[:, 2], boxes[:, 3]),
        torch.where(same, boxes[:, 3], boxes[:, 2]),
    )
    deltas = [
        along / w,
        across / h,
        (gw / w).log(),
        (gh / h).log(),
        torch.where(same, turn, quarter),
    ]
    return _scaled(torch.stack(deltas, dim=-1), _DELTA_STDS)


def decode_deltas(
    proposals: Float[Tensor, "n 5"], deltas: Float[Tensor, "n 5"]
) -> Float[Tensor, "n 5"]:
    """Undo `encode_deltas`; boxes come in le90."""
    d = deltas * deltas.new_tensor(_DELTA_STDS)
    sizes = proposals[:, 2:4] * d[:, 2:4].clamp(-_MOST_LOG_RATIO, _MOST_LOG_RATIO).exp()
    moved = torch.stack(_turned(d[:, :2] * proposals[:, 2:4], proposals[:, 4]), dim=-1)
    centre = proposals[:, :2] + moved
    return regular(torch.cat([centre, sizes, (proposals[:, 4] + d[:, 4])[:, None]], dim=-1))


def _centres_and_sides(
    boxes: Float[Tensor, "n 4"],
) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n 2"]]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def _turned(
    vectors: Float[Tensor, "n 2"], angles: Float[Tensor, " n"]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """Turn vectors clockwise on the screen."""
    (x, y), cos, sin = vectors.unbind(-1), angles.cos(), angles.sin()
    return cos * x - sin * y, sin * x + cos * y


def _scaled(offsets: Float[Tensor, "n c"], stds: tuple[float, ...]) -> Float[Tensor, "n c"]:
    return offsets / offsets.new_tensor(stds)
