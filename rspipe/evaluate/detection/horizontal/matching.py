# SPDX-License-Identifier: Apache-2.0
"""Which query learns which object, each one another's: and what it learns then."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import generalized_box_iou, generalized_box_iou_loss, sigmoid_focal_loss

from rspipe.evaluate.detection.horizontal.settings import SetLossSettings
from rspipe.evaluate.detection.tuning.objects import Objects

_CODER = BoxCoder((1.0, 1.0, 1.0, 1.0))
_ALPHA, _GAMMA = 0.25, 2.0
"""Of the focal loss, arXiv:1708.02002."""
_WORST = 1e6
"""Cost of a pair without a number; the loss, which then is none either, tells."""


@dataclass(frozen=True)
class Said:
    """What one stage says of Q queries."""

    logits: Float[Tensor, "B Q K"]
    deltas: Float[Tensor, "B Q 4"]
    """From the reference to the box: ((x - x_r)/w_r, (y - y_r)/h_r, ln(w/w_r), ln(h/h_r))."""
    references: Float[Tensor, "B Q 4"]
    """Boxes x0, y0, x1, y1 in pixels, without gradient."""
    boxes: Float[Tensor, "B Q 4"]

    def part(self, queries: slice) -> "Said":
        """Take some of the queries."""
        return Said(
            self.logits[:, queries],
            self.deltas[:, queries],
            self.references[:, queries],
            self.boxes[:, queries],
        )


def move(references: Float[Tensor, "*b 4"], deltas: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """Apply deltas; sides grow or shrink at most 1000/16-fold at once."""
    growth = deltas[..., 2:].clamp(min=-_CODER.bbox_xform_clip)
    bounded = torch.cat([deltas[..., :2], growth], dim=-1)
    moved: Tensor = _CODER.decode_single(bounded.reshape(-1, 4), references.reshape(-1, 4))
    return moved.view_as(deltas)


def to_deltas(
    boxes: Float[Tensor, "n 4"], references: Float[Tensor, "n 4"]
) -> Float[Tensor, "n 4"]:
    """Undo `move`."""
    deltas: Tensor = _CODER.encode_single(boxes, references)
    return deltas


@torch.no_grad()
def match(
    said: Said, image: int, objects: Objects, settings: SetLossSettings
) -> tuple[Int[Tensor, " m"], Int[Tensor, " m"]]:
    """Pair queries of an image with its objects at the least cost; nobody has two.

    Returns:
        Queries, and the object of each.

    Source: Carion et al. 2020 (DETR), arXiv:2005.12872, sec. 3.1; costs as Deformable DETR
    (arXiv:2010.04159), of boxes as Plain DETR re-parameterises them.
    """
    costs = pair_costs(said, image, objects, settings)
    queries, owned = linear_sum_assignment(costs.nan_to_num(_WORST, _WORST).cpu().numpy())
    device = costs.device
    return torch.as_tensor(queries, device=device), torch.as_tensor(owned, device=device)


def pair_costs(
    said: Said, image: int, objects: Objects, settings: SetLossSettings
) -> Float[Tensor, "Q g"]:
    """What each query would cost as each object."""
    p = said.logits[image].sigmoid()
    yes = _ALPHA * (1 - p) ** _GAMMA * -(p + 1e-8).log()
    no = (1 - _ALPHA) * p**_GAMMA * -(1 - p + 1e-8).log()
    named = (yes - no)[:, objects.labels]
    Q, g = len(p), len(objects.labels)
    references = said.references[image].repeat_interleave(g, dim=0)
    wanted = to_deltas(objects.boxes.repeat(Q, 1), references).view(Q, g, 4)
    placed = (said.deltas[image][:, None] - wanted).abs().sum(dim=2)
    overlap = generalized_box_iou(said.boxes[image], objects.boxes)
    costs: Tensor = (
        settings.class_weight * named
        + settings.box_weight * placed
        - settings.overlap_weight * overlap
    )
    return costs


def set_loss(said: Said, objects: Sequence[Objects], settings: SetLossSettings) -> Tensor:
    """Focal, L1 (of deltas) and GIoU loss of matched queries, weighted, over the objects' number.

    Queries without an object learn to be silent.
    """
    targets = torch.zeros_like(said.logits)
    queries, images, boxes = [], [], []
    for image, mine in enumerate(objects):
        query, owned = match(said, image, mine, settings)
        targets[image, query, mine.labels[owned]] = 1
        queries.append(query)
        images.append(torch.full_like(query, image))
        boxes.append(mine.boxes[owned])
    chosen, wanted = (torch.cat(images), torch.cat(queries)), torch.cat(boxes)
    named = sigmoid_focal_loss(said.logits, targets, _ALPHA, _GAMMA, reduction="sum")
    deltas = to_deltas(wanted, said.references[chosen])
    placed = F.l1_loss(said.deltas[chosen], deltas, reduction="sum")
    overlap = generalized_box_iou_loss(said.boxes[chosen], wanted, reduction="sum")
    total: Tensor = (
        settings.class_weight * named
        + settings.box_weight * placed
        + settings.overlap_weight * overlap
    )
    return total / max(1, sum(len(one.labels) for one in objects))
