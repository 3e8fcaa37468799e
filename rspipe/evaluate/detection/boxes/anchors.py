# SPDX-License-Identifier: Apache-2.0
"""Boxes of fixed shapes around every cell of every level, which proposals start from."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList


class TrueStrideAnchors(AnchorGenerator):  # type: ignore[misc]  # torchvision has no types
    """Anchors of real-valued sides, a level's own stride apart, as mmdet has them.

    torchvision rounds sides to pixels, and takes the stride of a level for image // map: 61 px
    instead of 64 for the 13 x 13 map of an 800 px image.
    """

    def __init__(self, strides_px: Sequence[float], scale: float, ratios: Sequence[float]) -> None:
        """Fix the shapes.

        Args:
            strides_px: of every level.
            scale: side of a square anchor, in strides of its level.
            ratios: heights over widths; all anchors of a level have one area.
        """
        sides = tuple((scale * stride,) for stride in strides_px)
        super().__init__(sides, (tuple(ratios),) * len(strides_px))
        self.strides_px = tuple(strides_px)

    def generate_anchors(
        self,
        scales: tuple[float, ...],
        aspect_ratios: tuple[float, ...],
        dtype: torch.dtype = torch.float32,
        device: torch.device = torch.device("cpu"),  # noqa: B008
    ) -> Float[Tensor, "a 4"]:
        """Make the anchors of one place, around (0, 0)."""
        roots = torch.as_tensor(aspect_ratios, dtype=dtype, device=device).sqrt()
        sides = torch.as_tensor(scales, dtype=dtype, device=device)
        shapes = torch.stack([1 / roots, roots], dim=1)
        halves = (shapes[:, None] * sides[None, :, None]).flatten(0, 1) / 2
        return torch.cat([-halves, halves], dim=1)

    def on(self, maps: Sequence[Float[Tensor, "B C h w"]]) -> list[Float[Tensor, "a 4"]]:
        """Lay anchors over the map of every level."""
        device = maps[0].device
        self.set_cell_anchors(torch.float32, device)
        strides = [[torch.tensor(stride, device=device)] * 2 for stride in self.strides_px]
        made: list[Tensor] = self.grid_anchors([list(one.shape[-2:]) for one in maps], strides)
        return made

    def forward(
        self, image_list: ImageList, feature_maps: list[Float[Tensor, "B C h w"]]
    ) -> list[Float[Tensor, "A 4"]]:
        """As torchvision calls it: all levels together for each image; the images share them."""
        return [torch.cat(self.on(feature_maps))] * len(image_list.image_sizes)
