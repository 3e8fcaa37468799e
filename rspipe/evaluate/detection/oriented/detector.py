# SPDX-License-Identifier: Apache-2.0
"""Oriented R-CNN: pyramid, neck, two stages."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from rspipe.evaluate.detection.oriented.proposals import OrientedProposals
from rspipe.evaluate.detection.oriented.regions import OrientedRegions
from rspipe.evaluate.detection.oriented.settings import OrientedSettings
from rspipe.evaluate.detection.tuning.objects import Detector, Found, Objects
from rspipe.evaluate.tuning.pyramid import FeaturePyramid


class OrientedRCNN(Detector):
    """A two-stage detector of oriented boxes; see the package for source and differences."""

    def __init__(
        self, pyramid: FeaturePyramid, n_classes: int, settings: OrientedSettings | None = None
    ) -> None:
        """Put a feature pyramid network and two stages behind a pyramid.

        Args:
            pyramid: a module; it trains with the rest where its parameters want gradients.
            n_classes: without "nothing".
            settings: None: mmrotate's.
        """
        super().__init__()
        settings = settings or OrientedSettings()
        self.pyramid = pyramid
        strides = dict(pyramid.strides_px)
        self.neck = FeaturePyramidNetwork(list(pyramid.widths), settings.width, LastLevelMaxPool())
        above = {**strides, "pool": list(strides.values())[-1] * 2}
        self.proposals = OrientedProposals(settings.width, above, settings.proposals)
        self.regions = OrientedRegions(settings.width, strides, n_classes, settings.regions)

    def levels(self, images: Float[Tensor, "B C H W"]) -> dict[str, Float[Tensor, "B C h w"]]:
        """Maps of all levels, a coarser one added."""
        maps: dict[str, Tensor] = self.neck(OrderedDict(self.pyramid(images)))
        return maps

    def losses(
        self, images: Float[Tensor, "B C H W"], objects: Sequence[Objects]
    ) -> dict[str, Tensor]:
        """Four losses whose sum is to be minimised.

        Where the first stage's are no numbers, those alone: such weights propose no boxes.

        Args:
            images: normalised, all of one size.
            objects: of each image; none is fine.
        """
        levels = self.levels(images)
        scores = self.proposals(levels)
        height, width = images.shape[-2:]
        first = self.proposals.losses(scores, [one.boxes for one in objects], (height, width))
        if not bool(torch.stack(list(first.values())).isfinite().all()):
            return first
        second = self.regions.losses(levels, self.proposals.propose(scores), objects)
        return {**first, **second}

    @torch.no_grad()
    def forward(self, images: Float[Tensor, "B C H W"]) -> list[Found]:
        """Find objects."""
        levels = self.levels(images)
        return self.regions.detect(levels, self.proposals.propose(self.proposals(levels)))
