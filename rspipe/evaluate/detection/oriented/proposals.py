# SPDX-License-Identifier: Apache-2.0
"""First stage of Oriented R-CNN: horizontal anchors to oriented proposals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torchvision.ops import batched_nms, box_iou

from rspipe.evaluate.detection.boxes.anchors import TrueStrideAnchors
from rspipe.evaluate.detection.boxes.assignment import UNDECIDED, assign, draw
from rspipe.evaluate.detection.boxes.corners import hulls
from rspipe.evaluate.detection.oriented.coders import decode_midpoints, encode_midpoints
from rspipe.evaluate.detection.oriented.settings import OrientedProposalSettings

_BETA = 1 / 9
"""Where the smooth L1 loss turns from square to linear."""


@dataclass(frozen=True)
class AnchorScores:
    """What the stage says of every anchor, levels one after the other."""

    logits: Float[Tensor, "B A"]
    """An object is there."""
    offsets: Float[Tensor, "B A 6"]
    """As `coders.encode_midpoints`."""
    anchors: Float[Tensor, "A 4"]
    """x0, y0, x1, y1 in pixels."""
    level: Int[Tensor, " A"]


class OrientedProposals(nn.Module):
    """One 3 × 3 convolution and two linear outputs, shared by all levels.

    Source: Xie et al. 2021, arXiv:2108.05699, sec. 3.1.
    """

    def __init__(
        self, width: int, strides_px: Mapping[str, float], settings: OrientedProposalSettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self.strides_px = dict(strides_px)
        ratios = settings.anchor_ratios
        self.conv = nn.Conv2d(width, width, 3, padding=1)
        self.objectness = nn.Conv2d(width, len(ratios), 1)
        self.offsets = nn.Conv2d(width, len(ratios) * 6, 1)
        for name, parameter in self.named_parameters():
            nn.init.normal_(parameter, std=0.01 if name.endswith("weight") else 0.0)
        self.anchors = TrueStrideAnchors(
            list(strides_px.values()), settings.anchor_scale, settings.anchor_ratios
        )

    def forward(self, levels: Mapping[str, Float[Tensor, "B C h w"]]) -> AnchorScores:
        """Judge every anchor of every level."""
        logits, offsets = [], []
        for name in self.strides_px:
            hidden = F.relu(self.conv(levels[name]))
            logits.append(self.objectness(hidden).permute(0, 2, 3, 1).flatten(1))
            moved = self.offsets(hidden).unflatten(1, (-1, 6))
            offsets.append(moved.permute(0, 3, 4, 1, 2).flatten(1, 3))
        anchors = self.anchors.on([levels[name] for name in self.strides_px])
        level = [torch.full((len(a),), i, device=a.device) for i, a in enumerate(anchors)]
        return AnchorScores(
            torch.cat(logits, dim=1).float(),
            torch.cat(offsets, dim=1).float(),
            torch.cat(anchors),
            torch.cat(level),
        )

    @torch.no_grad()
    def propose(self, scores: AnchorScores) -> list[Float[Tensor, "n 5"]]:
        """Best oriented boxes (le90) of each image, their hulls not too close."""
        return [
            self._propose(scores, logits, offsets)
            for logits, offsets in zip(scores.logits, scores.offsets, strict=True)
        ]

    def _propose(
        self, scores: AnchorScores, logits: Float[Tensor, " A"], offsets: Float[Tensor, "A 6"]
    ) -> Float[Tensor, "n 5"]:
        best = []
        for i in range(len(self.strides_px)):
            mine = (scores.level == i).nonzero()[:, 0]
            best.append(mine[logits[mine].topk(min(self.settings.before_nms, len(mine))).indices])
        chosen = torch.cat(best)
        boxes = decode_midpoints(scores.anchors[chosen], offsets[chosen])
        # Sigmoids of large logits are all 1 in float32: logits rank, and rank the same.
        kept = batched_nms(
            hulls(boxes), logits[chosen], scores.level[chosen], self.settings.nms_iou
        )
        return boxes[kept[: self.settings.kept]]

    def losses(
        self,
        scores: AnchorScores,
        objects: Sequence[Float[Tensor, "g 5"]],
        size_px: tuple[int, int],
    ) -> dict[str, Tensor]:
        """Binary cross-entropy and smooth L1 of drawn anchors, each over the number drawn.

        Args:
            scores: of the forward pass.
            objects: oriented boxes of each image.
            size_px: height and width of the images.
        """
        logits, wanted, moved, moves = [], [], [], []
        for image, boxes in enumerate(objects):
            owner = self._owners(scores.anchors, boxes, size_px)
            here, nowhere = draw(owner, self.settings.samples, self.settings.positive_share)
            logits.append(scores.logits[image, torch.cat([here, nowhere])])
            wanted.append(torch.cat([torch.ones_like(here), torch.zeros_like(nowhere)]))
            moved.append(scores.offsets[image, here])
            moves.append(encode_midpoints(scores.anchors[here], boxes[owner[here]]))
        drawn = max(1, sum(len(one) for one in logits))
        found = F.binary_cross_entropy_with_logits(
            torch.cat(logits), torch.cat(wanted).float(), reduction="sum"
        )
        placed = F.smooth_l1_loss(torch.cat(moved), torch.cat(moves), beta=_BETA, reduction="sum")
        return {"proposal_objectness": found / drawn, "proposal_boxes": placed / drawn}

    def _owners(
        self,
        anchors: Float[Tensor, "A 4"],
        boxes: Float[Tensor, "g 5"],
        size_px: tuple[int, int],
    ) -> Int[Tensor, " A"]:
        """Assign anchors to objects by the objects' hulls; anchors too far outside are none's."""
        settings = self.settings
        inside = _inside(anchors, size_px, settings.border_px)
        owner = torch.full((len(anchors),), UNDECIDED, device=anchors.device)
        owner[inside] = assign(
            box_iou(anchors[inside], hulls(boxes)),
            settings.positive_iou,
            settings.negative_iou,
            settings.least_best_iou,
        )
        return owner


def _inside(
    anchors: Float[Tensor, "A 4"], size_px: tuple[int, int], border_px: float | None
) -> Int[Tensor, " a"]:
    if border_px is None:
        return torch.arange(len(anchors), device=anchors.device)
    height, width = size_px
    low = (anchors[:, :2] >= -border_px).all(dim=1)
    limits = anchors.new_tensor([width + border_px, height + border_px])
    return (low & (anchors[:, 2:] < limits).all(dim=1)).nonzero()[:, 0]
