# SPDX-License-Identifier: Apache-2.0
"""ViTDet's simple feature pyramid: every level from the last block's map."""

from jaxtyping import Float
from torch import Tensor, nn

from rspipe.evaluate.tuning.pyramid import LEVELS, ChannelNorm, Levels
from rspipe.models.backbone import Backbone


class SimplePyramid(nn.Module):
    """An encoder and levels of a quarter, a half, one and two patches; no top-down path.

    Each level is scaled by (transposed) convolutions that halve the width at each doubling, then
    read by a 1 × 1 and a 3 × 3 convolution, each followed by a LayerNorm over channels.

    Source: Li et al. 2022, arXiv:2203.16527, sec. 3 and app. A.2. Differs: the encoder's
    attention is global in every block and without relative positions; the class token is left
    out.
    """

    def __init__(self, encoder: Backbone, width: int) -> None:
        """Put the levels behind an encoder.

        Args:
            encoder: at the size of the images; see `Backbone.at_size`.
            width: channels of every level.
        """
        super().__init__()
        self.encoder = encoder
        self.widths = (width,) * len(LEVELS)
        inner, patch = encoder.stages[-1].width, encoder.stages[-1].stride_px
        self.strides_px = dict(zip(LEVELS, (patch / 4, patch / 2, patch, patch * 2), strict=True))
        to_quarter = (
            nn.ConvTranspose2d(inner, inner // 2, 2, stride=2),
            ChannelNorm(inner // 2),
            nn.GELU(),
            nn.ConvTranspose2d(inner // 2, inner // 4, 2, stride=2),
        )
        to_half = (nn.ConvTranspose2d(inner, inner // 2, 2, stride=2),)
        self.levels = nn.ModuleDict(
            {
                "0": _level(*to_quarter, width_in=inner // 4, width=width),
                "1": _level(*to_half, width_in=inner // 2, width=width),
                "2": _level(width_in=inner, width=width),
                "3": _level(nn.MaxPool2d(2, stride=2), width_in=inner, width=width),
            }
        )

    def forward(self, images: Float[Tensor, "B C H W"]) -> Levels:
        """Encode normalised images; levels are keyed as those of `pyramid.Pyramid`."""
        (last,) = self.encoder.maps(images, (len(self.encoder.stages) - 1,))
        return {name: level(last) for name, level in self.levels.items()}


def _level(*scaling: nn.Module, width_in: int, width: int) -> nn.Sequential:
    return nn.Sequential(
        *scaling,
        nn.Conv2d(width_in, width, 1, bias=False),
        ChannelNorm(width),
        nn.Conv2d(width, width, 3, padding=1, bias=False),
        ChannelNorm(width),
    )
