# SPDX-License-Identifier: Apache-2.0
"""Faster R-CNN: pyramid, two stages of torchvision's."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from rspipe.evaluate.detection.horizontal.proposals import Proposals
from rspipe.evaluate.detection.horizontal.regions import Regions
from rspipe.evaluate.detection.horizontal.settings import FasterRCNNSettings
from rspipe.evaluate.detection.horizontal.simple_pyramid import SimplePyramid
from rspipe.evaluate.detection.tuning.objects import Detector, Found, Objects
from rspipe.evaluate.tuning.pyramid import FeaturePyramid, Pyramid, last_taps
from rspipe.models.backbone import Backbone

_LOSSES = {"loss_objectness": "proposal_objectness", "loss_rpn_box_reg": "proposal_boxes"}


class FasterRCNN(Detector):
    """A two-stage detector of horizontal boxes; see the package for source and differences."""

    def __init__(
        self, levels: FeaturePyramid, n_classes: int, settings: FasterRCNNSettings | None = None
    ) -> None:
        """Put two stages behind a pyramid.

        Args:
            levels: all of `settings.width` channels, as `levels_of` makes them.
            n_classes: without "nothing".
            settings: None: the protocol's.
        """
        super().__init__()
        settings = settings or FasterRCNNSettings()
        self.levels = levels
        self.coarser = LastLevelMaxPool()
        strides = dict(levels.strides_px)
        above = {**strides, "pool": list(strides.values())[-1] * 2}
        self.proposals = Proposals(settings.width, above, settings.proposals)
        self.regions = Regions(settings.width, strides, n_classes, settings.regions)

    def losses(
        self, images: Float[Tensor, "B C H W"], objects: Sequence[Objects]
    ) -> dict[str, Tensor]:
        """Four losses whose sum is to be minimised; in training mode."""
        levels, sizes = self._levels(images)
        targets = [{"boxes": one.boxes, "labels": one.labels + 1} for one in objects]
        boxes, first = self.proposals(ImageList(images, sizes), levels, targets)
        _, second = self.regions(levels, boxes, sizes, targets)
        return {**{_LOSSES[name]: loss for name, loss in first.items()}, **second}

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "B C H W"]) -> list[Found]:
        """Find objects; in evaluation mode."""
        levels, sizes = self._levels(images)
        boxes, _ = self.proposals(ImageList(images, sizes), levels)
        found: list[dict[str, Tensor]] = self.regions(levels, boxes, sizes)[0]
        return [Found(one["boxes"], one["labels"] - 1, one["scores"]) for one in found]

    def _levels(
        self, images: Float[Tensor, "B C H W"]
    ) -> tuple[dict[str, Float[Tensor, "B C h w"]], list[tuple[int, int]]]:
        """Maps of all levels, a coarser one added, and the size of each image."""
        maps = {name: one.float() for name, one in self.levels(images).items()}
        made, names = self.coarser(list(maps.values()), [], list(maps))
        height, width = images.shape[-2:]
        return dict(zip(names, made, strict=True)), [(height, width)] * len(images)


class WithFPN(nn.Module):
    """A pyramid and the feature pyramid network behind it.

    Source: Lin et al. 2017, arXiv:1612.03144; initialised as mmdet's FPN.
    """

    def __init__(self, pyramid: FeaturePyramid, width: int) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.widths = (width,) * len(pyramid.strides_px)
        self.strides_px: Mapping[str, float] = pyramid.strides_px
        self.neck = FeaturePyramidNetwork(list(pyramid.widths), width)
        for module in self.neck.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)

    def forward(self, images: Float[Tensor, "B C H W"]) -> dict[str, Float[Tensor, "B C h w"]]:
        """Turn normalised images into maps by level."""
        maps: dict[str, Tensor] = self.neck(OrderedDict(self.pyramid(images)))
        return maps


def levels_of(encoder: Backbone, settings: FasterRCNNSettings) -> FeaturePyramid:
    """Put the pyramid that the settings ask for on an encoder at the size of the images."""
    if settings.pyramid == "simple":
        return SimplePyramid(encoder, settings.width)
    taps = last_taps(len(encoder.stages)) if settings.pyramid == "last" else None
    return WithFPN(Pyramid(encoder, taps), settings.width)
