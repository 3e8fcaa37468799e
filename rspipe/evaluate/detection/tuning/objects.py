# SPDX-License-Identifier: Apache-2.0
"""What a detector learns, what it finds, and what it must be able to do."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor, nn


@dataclass(frozen=True)
class Objects:
    """Objects of one image that are to be learned."""

    boxes: Float[Tensor, "g k"]
    """Pixels. Horizontal: x0, y0, x1, y1. Oriented: cx, cy, w, h, θ in radians, le90."""
    labels: Int[Tensor, " g"]


@dataclass(frozen=True)
class Found:
    """Detections of one image, best first."""

    boxes: Float[Tensor, "n k"]
    """As those of `Objects`."""
    labels: Int[Tensor, " n"]
    scores: Float[Tensor, " n"]


class Detector(nn.Module, ABC):
    """Images in, losses or detections out."""

    @abstractmethod
    def losses(
        self, images: Float[Tensor, "B C H W"], objects: Sequence[Objects]
    ) -> dict[str, Tensor]:
        """Return losses whose sum is to be minimised; in training mode.

        Args:
            images: normalised, all of one size.
            objects: of each image; none is fine.
        """

    @abstractmethod
    def forward(self, images: Float[Tensor, "B C H W"]) -> list[Found]:
        """Find objects, without gradients; in evaluation mode."""
