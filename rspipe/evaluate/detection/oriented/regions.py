# SPDX-License-Identifier: Apache-2.0
"""Second stage of Oriented R-CNN: what is in an oriented box, and where exactly."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from rspipe.evaluate.detection.boxes.assignment import assign, draw
from rspipe.evaluate.detection.boxes.overlap import rotated_iou
from rspipe.evaluate.detection.boxes.roi_align import pool_by_level, rotated_roi_align
from rspipe.evaluate.detection.boxes.suppression import rotated_nms
from rspipe.evaluate.detection.oriented.coders import decode_deltas, encode_deltas
from rspipe.evaluate.detection.oriented.settings import OrientedRegionSettings
from rspipe.evaluate.detection.tuning.objects import Found, Objects
from rspipe.evaluate.tuning.pyramid import level_of


class RotatedPooler(nn.Module):
    """Rotated RoIAlign at the level that fits a box's size.

    Source: Lin et al. 2017 (FPN), arXiv:1612.03144, eq. 1, with the side sqrt(w h).
    """

    def __init__(self, strides_px: Mapping[str, float], bins: int) -> None:
        super().__init__()
        self.strides_px = dict(strides_px)
        self.bins = bins

    def forward(
        self,
        levels: Mapping[str, Float[Tensor, "B C h w"]],
        boxes: Float[Tensor, "n 5"],
        images: Int[Tensor, " n"],
    ) -> Float[Tensor, "n C b b"]:
        """Pool each box from its image and level."""

        def align(maps: Tensor, stride_px: float, mine: Tensor) -> Tensor:
            return rotated_roi_align(
                maps, boxes[mine], images[mine], bins=self.bins, stride_px=stride_px
            )

        return pool_by_level(levels, self.strides_px, self.level_of(boxes), self.bins, align)

    def level_of(self, boxes: Float[Tensor, "n 5"]) -> Int[Tensor, " n"]:
        """Say which level each box is read from, 0 the finest."""
        return level_of(boxes[:, 2:4].prod(dim=1).sqrt(), list(self.strides_px.values()))


class OrientedRegions(nn.Module):
    """Rotated RoIAlign, two linear layers, classes and one box for all classes."""

    def __init__(
        self,
        width: int,
        strides_px: Mapping[str, float],
        n_classes: int,
        settings: OrientedRegionSettings,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.n_classes = n_classes
        self.pool = RotatedPooler(strides_px, settings.bins)
        hidden = settings.hidden
        self.trunk = nn.Sequential(
            nn.Flatten(),
            nn.Linear(width * settings.bins**2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.classes = nn.Linear(hidden, n_classes + 1)
        self.deltas = nn.Linear(hidden, 5)
        self._initialise()

    def _initialise(self) -> None:
        """As mmdet's Shared2FCBBoxHead."""
        for layer in self.trunk:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        for output, std in ((self.classes, 0.01), (self.deltas, 0.001)):
            nn.init.normal_(output.weight, std=std)
            nn.init.zeros_(output.bias)

    def forward(
        self,
        levels: Mapping[str, Float[Tensor, "B C h w"]],
        boxes: Sequence[Float[Tensor, "n 5"]],
    ) -> tuple[Float[Tensor, "m K+1"], Float[Tensor, "m 5"]]:
        """Return logits (the last one: nothing) and deltas of all boxes, image after image."""
        counts = torch.tensor([len(one) for one in boxes], device=boxes[0].device)
        images = torch.arange(len(boxes), device=counts.device).repeat_interleave(counts)
        hidden = self.trunk(self.pool(levels, torch.cat(list(boxes)), images))
        return self.classes(hidden).float(), self.deltas(hidden).float()

    def losses(
        self,
        levels: Mapping[str, Float[Tensor, "B C h w"]],
        proposals: Sequence[Float[Tensor, "n 5"]],
        objects: Sequence[Objects],
    ) -> dict[str, Tensor]:
        """Cross-entropy and smooth L1 of drawn boxes, each over the number drawn.

        The objects themselves are among the boxes that are drawn from.
        """
        drawn, labels, wanted = [], [], []
        for boxes, truth in zip(proposals, objects, strict=True):
            chosen, label, target = self._draw(torch.cat([truth.boxes, boxes]), truth)
            drawn.append(chosen)
            labels.append(label)
            wanted.append(target)
        logits, deltas = self(levels, drawn)
        label, target = torch.cat(labels), torch.cat(wanted)
        count = max(1, len(label))
        named = F.cross_entropy(logits, label, reduction="sum")
        placed = F.smooth_l1_loss(deltas[label < self.n_classes], target, reduction="sum")
        return {"region_classes": named / count, "region_boxes": placed / count}

    def _draw(
        self, boxes: Float[Tensor, "n 5"], truth: Objects
    ) -> tuple[Float[Tensor, "m 5"], Int[Tensor, " m"], Float[Tensor, "p 5"]]:
        """Draw boxes of an image: the boxes, their labels, and deltas of those with an object."""
        settings = self.settings
        iou = settings.positive_iou
        owner = assign(rotated_iou(boxes, truth.boxes), iou, iou)
        here, nowhere = draw(owner, settings.samples, settings.positive_share)
        nothing = torch.full_like(nowhere, self.n_classes)
        deltas = encode_deltas(boxes[here], truth.boxes[owner[here]])
        chosen = torch.cat([here, nowhere])
        return boxes[chosen], torch.cat([truth.labels[owner[here]], nothing]), deltas

    @torch.no_grad()
    def detect(
        self,
        levels: Mapping[str, Float[Tensor, "B C h w"]],
        proposals: Sequence[Float[Tensor, "n 5"]],
    ) -> list[Found]:
        """Name and place all proposals; keep the best of each class."""
        logits, deltas = self(levels, proposals)
        boxes = decode_deltas(torch.cat(list(proposals)), deltas)
        scores = logits.softmax(dim=1)[:, :-1]
        counts = [len(one) for one in proposals]
        parts = zip(torch.split(boxes, counts), torch.split(scores, counts), strict=True)
        return [self._best(*part) for part in parts]

    def _best(self, boxes: Float[Tensor, "n 5"], scores: Float[Tensor, "n K"]) -> Found:
        place, label = (scores > self.settings.score_threshold).nonzero(as_tuple=True)
        found = scores[place, label]
        kept = rotated_nms(boxes[place], found, label, self.settings.nms_iou)
        kept = kept[: self.settings.kept]
        return Found(boxes[place[kept]], label[kept], found[kept])
