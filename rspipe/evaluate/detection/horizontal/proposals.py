# SPDX-License-Identifier: Apache-2.0
"""First stage of Faster R-CNN: torchvision's region proposals under mmdet's rules."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead

from rspipe.evaluate.detection.boxes.anchors import TrueStrideAnchors
from rspipe.evaluate.detection.boxes.assignment import NOTHING, UNDECIDED, assign
from rspipe.evaluate.detection.horizontal.settings import HorizontalProposalSettings


class BestIfEnough(Matcher):  # type: ignore[misc]
    """An object's best anchors learn it, but only if they overlap it enough.

    torchvision's matcher has no such limit.
    """

    BELOW_LOW_THRESHOLD = NOTHING
    BETWEEN_THRESHOLDS = UNDECIDED

    def __init__(self, settings: HorizontalProposalSettings) -> None:
        super().__init__(settings.positive_iou, settings.negative_iou)
        self.least_best_iou = settings.least_best_iou

    def __call__(self, match_quality_matrix: Float[Tensor, "g n"]) -> Int[Tensor, " n"]:
        """Give each box an object, `NOTHING` or `UNDECIDED`."""
        return assign(
            match_quality_matrix.T, self.high_threshold, self.low_threshold, self.least_best_iou
        )


class FullPrecisionHead(RPNHead):  # type: ignore[misc]
    """Judges anchors in float32 whatever the precision of its products: boxes are made of them."""

    def forward(
        self, x: list[Float[Tensor, "B C h w"]]
    ) -> tuple[list[Float[Tensor, "B a h w"]], list[Float[Tensor, "B b h w"]]]:
        """Score and move the anchors of every level."""
        logits, deltas = super().forward(x)
        return [one.float() for one in logits], [one.float() for one in deltas]


class Proposals(RegionProposalNetwork):  # type: ignore[misc]
    """One 3 × 3 convolution and two linear outputs, shared by all levels.

    Source: Ren et al. 2015, arXiv:1506.01497; see the package for what is torchvision's and what
    is not.
    """

    def __init__(
        self, width: int, strides_px: Mapping[str, float], settings: HorizontalProposalSettings
    ) -> None:
        super().__init__(
            TrueStrideAnchors(
                list(strides_px.values()), settings.anchor_scale, settings.anchor_ratios
            ),
            FullPrecisionHead(width, len(settings.anchor_ratios)),
            settings.positive_iou,
            settings.negative_iou,
            settings.samples,
            settings.positive_share,
            {"training": settings.before_nms, "testing": settings.before_nms_at_test},
            {"training": settings.kept, "testing": settings.kept},
            settings.nms_iou,
        )
        self.proposal_matcher = BestIfEnough(settings)

    def compute_loss(
        self,
        objectness: Float[Tensor, "n 1"],
        pred_bbox_deltas: Float[Tensor, "n 4"],
        labels: list[Float[Tensor, " A"]],
        regression_targets: list[Float[Tensor, "A 4"]],
    ) -> tuple[Tensor, Tensor]:
        """Binary cross-entropy and L1 (torchvision: smooth) of drawn anchors, over their number."""
        here, nowhere = (torch.cat(part).nonzero()[:, 0] for part in self.fg_bg_sampler(labels))
        drawn = torch.cat([here, nowhere])
        found = F.binary_cross_entropy_with_logits(
            objectness.flatten()[drawn], torch.cat(labels)[drawn]
        )
        wanted = torch.cat(regression_targets)[here]
        placed = F.l1_loss(pred_bbox_deltas[here], wanted, reduction="sum")
        return found, placed / max(1, len(drawn))
