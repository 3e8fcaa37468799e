# SPDX-License-Identifier: Apache-2.0
"""Angle conventions: one oriented box, many descriptions.

(w, h, θ), (w, h, θ ± π) and (h, w, θ ± π/2) are the same rectangle. A convention picks one:

| name | range of θ | sides | who writes or expects it |
|---|---|---|---|
| `le90` | [-90°, 90°) | w ≥ h | mmrotate *-le90 configs (MTP, SelectiveMAE: DIOR-R); rspipe |
| `le135` | [-45°, 135°) | w ≥ h | mmrotate configs *-le135 |
| `oc` | (0°, 90°] | either | OpenCV ≥ 4.5.1 `minAreaRect`, mmrotate 0.x "oc" |
| `oc_negative` | [-90°, 0°) | either | OpenCV < 4.5.1, mmrotate 1.x "oc" |

In all four θ is clockwise on the screen. Three more are met in files and libraries:

| where | what | conversion |
|---|---|---|
| torchvision `cxcywhr`, detectron2 | degrees, counter-clockwise | `from_torchvision` |
| DOTA, DIOR-R, YOLO-OBB files | four corners, any quadrilateral | `corners.smallest_rectangles` |
| HRSC2016, HIT-UAV `robndbox` | cx, cy, w, h and radians, clockwise | `regular` |

Whoever takes mmrotate 1.x's "oc" for 0.x's turns every box by 90°: w and h are exchanged with it.

Source: mmrotate, `RotatedBoxes.regularize_boxes` (branch 1.x) and `poly2obb` (0.x). Differs: a
square keeps its angle's quarter (mmrotate turns it by 90°, since it swaps unless w > h), and an
angle that lies in its range already comes back bit for bit.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class AngleConvention:
    """A rule that gives every oriented box but a square exactly one description."""

    start: float
    """Radians; the range is `period` wide."""
    period: float
    """π where the longer side comes first, π/2 where the angle alone decides."""
    end_included: bool = False
    """The range contains its end instead of its start."""

    @property
    def longest_first(self) -> bool:
        """Whether w ≥ h."""
        return self.period == math.pi


CONVENTIONS: dict[str, AngleConvention] = {
    "le90": AngleConvention(-math.pi / 2, math.pi),
    "le135": AngleConvention(-math.pi / 4, math.pi),
    "oc": AngleConvention(0.0, math.pi / 2, end_included=True),
    "oc_negative": AngleConvention(-math.pi / 2, math.pi / 2),
}


def regular(boxes: Float[Tensor, "*n 5"], convention: str = "le90") -> Float[Tensor, "*n 5"]:
    """Describe the same rectangles as a convention wants.

    Args:
        boxes: cx, cy, w, h, θ; radians, clockwise, any range.
        convention: a key of `CONVENTIONS`.

    Raises:
        ValueError: no such convention.
    """
    if convention not in CONVENTIONS:
        raise ValueError(f"no angle convention {convention!r}; there are {', '.join(CONVENTIONS)}")
    rule = CONVENTIONS[convention]
    cx, cy, w, h, angle = boxes.unbind(-1)
    if rule.longest_first:
        swap = h > w
        angle = _wrapped(torch.where(swap, angle + math.pi / 2, angle), rule)[0]
    else:
        angle, swap = _wrapped(angle, rule)
    return torch.stack([cx, cy, torch.where(swap, h, w), torch.where(swap, w, h), angle], dim=-1)


def wrapped(angles: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Bring angles of a line into [-π/2, π/2): a half turn changes no rectangle."""
    return _wrapped(angles, CONVENTIONS["le90"])[0]


def to_torchvision(boxes: Float[Tensor, "*n 5"]) -> Float[Tensor, "*n 5"]:
    """Turn radians, clockwise, into torchvision's and detectron2's degrees, counter-clockwise."""
    return torch.cat([boxes[..., :4], -boxes[..., 4:].rad2deg()], dim=-1)


def from_torchvision(boxes: Float[Tensor, "*n 5"]) -> Float[Tensor, "*n 5"]:
    """Undo `to_torchvision`."""
    return torch.cat([boxes[..., :4], -boxes[..., 4:].deg2rad()], dim=-1)


def _wrapped(
    angles: Float[Tensor, "*n"], rule: AngleConvention
) -> tuple[Float[Tensor, "*n"], Bool[Tensor, "*n"]]:
    """Move angles into the range by whole periods; tell where their number is odd."""
    periods = (angles - rule.start) / rule.period
    turns = periods.ceil() - 1 if rule.end_included else periods.floor()
    moved = angles - turns * rule.period  # exact where it need not move
    end = rule.start + rule.period
    if rule.end_included:
        low, high = moved <= rule.start, moved > end
    else:
        low, high = moved < rule.start, moved >= end
    # Rounding can leave an angle a hair outside: it is at that end, so the other end is the same.
    moved = torch.where(low, moved + rule.period, torch.where(high, moved - rule.period, moved))
    turns = turns - low.to(turns.dtype) + high.to(turns.dtype)
    return moved, turns % 2 == 1
