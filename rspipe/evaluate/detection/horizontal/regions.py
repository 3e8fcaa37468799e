# SPDX-License-Identifier: Apache-2.0
"""Second stage of Faster R-CNN: torchvision's heads under mmdet's rules."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.ops import roi_align
from torchvision.ops.boxes import box_area

from rspipe.evaluate.detection.boxes.roi_align import pool_by_level
from rspipe.evaluate.detection.tuning.two_stage import RegionSettings
from rspipe.evaluate.tuning.pyramid import level_of

_STDS = (0.1, 0.1, 0.2, 0.2)
"""Of box deltas, which are divided by them."""


class AlignedPooler(nn.Module):
    """RoIAlign, aligned and as densely sampled as the box is large, at the fitting level.

    torchvision's `MultiScaleRoIAlign` knows neither.
    """

    def __init__(self, strides_px: Mapping[str, float], bins: int) -> None:
        super().__init__()
        self.strides_px = dict(strides_px)
        self.bins = bins

    def forward(
        self,
        levels: Mapping[str, Float[Tensor, "B C h w"]],
        boxes: Sequence[Float[Tensor, "n 4"]],
        image_shapes: list[tuple[int, int]],
    ) -> Float[Tensor, "m C b b"]:
        """Pool all boxes, image after image."""
        del image_shapes  # strides are known
        together = torch.cat(list(boxes))
        counts = torch.tensor([len(one) for one in boxes], device=together.device)
        image = torch.arange(len(boxes), device=together.device).repeat_interleave(counts)
        placed = torch.cat([image[:, None].to(together.dtype), together], dim=1)
        level = level_of(box_area(together).sqrt(), list(self.strides_px.values()))

        def align(maps: Tensor, stride_px: float, mine: Tensor) -> Tensor:
            found: Tensor = roi_align(
                maps,
                placed[mine],
                (self.bins, self.bins),
                spatial_scale=1 / stride_px,
                sampling_ratio=-1,
                aligned=True,
            )
            return found

        return pool_by_level(levels, self.strides_px, level, self.bins, align)


class Regions(RoIHeads):  # type: ignore[misc]  # torchvision has no types
    """Two linear layers on pooled features, classes and a box for each class.

    Labels are torchvision's: 0 is nothing, classes count from 1.

    Source: Girshick 2015, arXiv:1504.08083; see the package for what is torchvision's and what is
    not.
    """

    def __init__(
        self, width: int, strides_px: Mapping[str, float], n_classes: int, settings: RegionSettings
    ) -> None:
        x, y, w, h = (1 / std for std in _STDS)
        super().__init__(
            AlignedPooler(strides_px, settings.bins),
            TwoMLPHead(width * settings.bins**2, settings.hidden),
            FastRCNNPredictor(settings.hidden, n_classes + 1),
            settings.positive_iou,
            settings.positive_iou,
            settings.samples,
            settings.positive_share,
            (x, y, w, h),
            settings.score_threshold,
            settings.nms_iou,
            settings.kept,
        )
        self._initialise()

    def _initialise(self) -> None:
        """As mmdet's Shared2FCBBoxHead; torchvision leaves torch's defaults."""
        for layer in (self.box_head.fc6, self.box_head.fc7):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        predictor = self.box_predictor
        for output, std in ((predictor.cls_score, 0.01), (predictor.bbox_pred, 0.001)):
            nn.init.normal_(output.weight, std=std)
            nn.init.zeros_(output.bias)

    def forward(
        self,
        features: Mapping[str, Float[Tensor, "B C h w"]],
        proposals: list[Float[Tensor, "n 4"]],
        image_shapes: list[tuple[int, int]],
        targets: list[dict[str, Tensor]] | None = None,
    ) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
        """Return losses in training, else detections: `boxes`, `labels`, `scores` of each image."""
        if self.training:
            proposals, _, labels, wanted = self.select_training_samples(proposals, targets)
        hidden = self.box_head(self.box_roi_pool(features, proposals, image_shapes))
        logits, deltas = (output.float() for output in self.box_predictor(hidden))
        if self.training:
            return [], region_losses(logits, deltas, torch.cat(labels), torch.cat(wanted))
        boxes, scores, found = self.postprocess_detections(logits, deltas, proposals, image_shapes)
        rows = zip(boxes, found, scores, strict=True)
        return [{"boxes": b, "labels": label, "scores": s} for b, label, s in rows], {}


def region_losses(
    logits: Float[Tensor, "m K+1"],
    deltas: Float[Tensor, "m 4*K+4"],
    labels: Float[Tensor, " m"],
    wanted: Float[Tensor, "m 4"],
) -> dict[str, Tensor]:
    """Cross-entropy and L1 (torchvision: smooth) of drawn boxes, each over the number drawn."""
    count = max(1, len(labels))
    named = F.cross_entropy(logits, labels, reduction="sum")
    here = (labels > 0).nonzero()[:, 0]
    mine = deltas.reshape(len(deltas), -1, 4)[here, labels[here]]
    placed = F.l1_loss(mine, wanted[here], reduction="sum")
    return {"region_classes": named / count, "region_boxes": placed / count}
