# SPDX-License-Identifier: Apache-2.0
"""An encoder as a feature pyramid: four taps, four strides.

Layout, shared by detection and segmentation: `Pyramid(...)` returns a dict of four maps, finest
first. Of a plain vision transformer all are of its width D:

    level  tap (block, from 0; B / L)  made by                                     stride, patch 16
    "0"     3 /  7                     deconvolution, LayerNorm, GELU, deconvolution      4
    "1"     5 / 11                     deconvolution                                      8
    "2"     7 / 15                     nothing                                           16
    "3"    11 / 23                     max-pool 2 x 2                                    32

For an image of H x W and a patch of P pixels the maps are 4h x 4w, 2h x 2w, h x w and
floor(h/2) x floor(w/2), where h x w = H/P x W/P. Tokens are tapped behind their block, before the
encoder's final LayerNorm, which is not used. What is a pyramid itself gives its own last four maps.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor, nn

from rspipe.errors import UnfitEncoder
from rspipe.models.backbone import Backbone

LEVELS = ("0", "1", "2", "3")
"""Keys of the pyramid, finest first: the names that torchvision's backbones give their maps."""

Levels = dict[str, Float[Tensor, "B D h w"]]

_OTHERWISE = (
    "`taps: last` (UPerNet) and `pyramid: last` (Faster R-CNN) make all levels of the last map"
)


def protocol_taps(depth: int) -> tuple[int, int, int, int]:
    """Number the blocks that are tapped: the ends of a third, a half, two thirds and the whole.

    >>> protocol_taps(12), protocol_taps(24)
    ((3, 5, 7, 11), (7, 11, 15, 23))
    """
    first, second, third = (max(round(depth * share) - 1, 0) for share in (1 / 3, 1 / 2, 2 / 3))
    return first, second, third, depth - 1


def last_taps(depth: int) -> tuple[int, int, int, int]:
    """Number the last block four times: all levels from its map, as ViTDet's simple pyramid.

    Source: Li et al. 2022, arXiv:2203.16527. Differs: the layers that make the levels are those
    of `Adapter`, so that nothing but the taps changes.
    """
    return (depth - 1,) * 4


def level_of(sides_px: Float[Tensor, " n"], strides_px: Sequence[float]) -> Int[Tensor, " n"]:
    """Say from which level a box of each side is read, 0 the finest.

    Boxes of 14 to 28 strides of the finest level (56 to 112 px at stride 4), and smaller ones,
    are read there, twice as large ones a level higher.

    Args:
        sides_px: square roots of the boxes' areas.
        strides_px: of all levels, finest first.

    Source: Lin et al. 2017 (FPN), arXiv:1612.03144, eq. 1, as mmdet rounds it.
    """
    octave = (sides_px / (14 * strides_px[0]) + 1e-6).log2().floor()
    return octave.clamp(0, len(strides_px) - 1).long()


class FeaturePyramid(Protocol):
    """What a detector needs of its backbone: `Pyramid`, or any module like it."""

    @property
    def widths(self) -> Sequence[int]:
        """Channels of every level, finest first."""

    @property
    def strides_px(self) -> Mapping[str, float]:
        """Pixels per cell of every level, finest first; each twice the one before."""

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Mapping[str, Float[Tensor, "B D h w"]]:
        """Turn normalised images into maps by level."""


class Pyramid(nn.Module):
    """An encoder and, where its maps are of one size, the adapter behind it: images in, four out.

    The maps of an encoder that is a pyramid itself (Swin, ConvNeXt, ResNet) are its levels as they
    are: those of its last four stages, each of its own width.

    Source: Bao et al. 2022 (BEiT), arXiv:2106.08254, app. G; taps and norm as MTP
    (arXiv:2403.13430) and SelectiveMAE fine-tune.
    """

    def __init__(self, encoder: Backbone, taps: Sequence[int] | None = None) -> None:
        """Put an adapter behind an encoder.

        Args:
            encoder: at the size of the images; see `Backbone.at_size`.
            taps: four places of `encoder.stages`, finest level first, all of one stride; None:
                `protocol_taps`, or the last four stages of a pyramid.

        Raises:
            ValueError: taps are no four of its stages.
            UnfitEncoder: its own stages make no four levels.
        """
        super().__init__()
        self.encoder = encoder
        self.taps = _own_taps(encoder) if taps is None else tuple(taps)
        places = range(len(encoder.stages))
        if len(self.taps) != len(LEVELS) or not set(self.taps) <= set(places):
            raise ValueError(f"taps={self.taps}: want four blocks of {len(places)}")
        tapped = [encoder.stages[place] for place in self.taps]
        strides = [float(stage.stride_px) for stage in tapped]
        self.adapter: nn.Module
        if len(set(strides)) == 1:
            self.adapter = Adapter(tapped[0].width)
            strides = [strides[0] * factor for factor in (1 / 4, 1 / 2, 1, 2)]
        else:
            self.adapter = AsTheyAre()
        if any(coarse != 2 * fine for fine, coarse in pairwise(strides)):
            raise UnfitEncoder(
                f"its maps have strides of {', '.join(f'{s:g}' for s in strides)} px, and four "
                f"levels want each twice the one before; {_OTHERWISE}"
            )
        self.widths = tuple(stage.width for stage in tapped)
        self.strides_px = dict(zip(LEVELS, strides, strict=True))

    def forward(self, images: Float[Tensor, "B C H W"]) -> Levels:
        """Encode normalised images; see the module for the layout of the result."""
        levels: Levels = self.adapter(self.encoder.maps(images, self.taps))
        return levels


def _own_taps(encoder: Backbone) -> tuple[int, ...]:
    count = len(encoder.stages)
    if encoder.is_columnar:
        return protocol_taps(count)
    if count < len(LEVELS):
        raise UnfitEncoder(f"it has {count} stages, and four levels are wanted; {_OTHERWISE}")
    return tuple(range(count)[-len(LEVELS) :])


class AsTheyAre(nn.Module):
    """No adapter: four maps are four levels."""

    def forward(self, maps: Sequence[Float[Tensor, "B D h w"]]) -> Levels:
        """Name the levels."""
        return dict(zip(LEVELS, maps, strict=True))


class Adapter(nn.Module):
    """Four maps of one size to strides of a quarter, a half, one and two patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.to_quarter = nn.Sequential(
            nn.ConvTranspose2d(width, width, 2, stride=2),
            ChannelNorm(width),
            nn.GELU(),
            nn.ConvTranspose2d(width, width, 2, stride=2),
        )
        self.to_half = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.to_double = nn.MaxPool2d(2, stride=2)

    def forward(self, maps: Sequence[Float[Tensor, "B D h w"]]) -> Levels:
        """Make the levels."""
        first, second, third, fourth = maps
        made = (self.to_quarter(first), self.to_half(second), third, self.to_double(fourth))
        return dict(zip(LEVELS, made, strict=True))


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of each pixel of a map, epsilon 1e-6."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, pixels: Float[Tensor, "B D h w"]) -> Float[Tensor, "B D h w"]:
        """Normalise."""
        normed: Tensor = self.norm(pixels.permute(0, 2, 3, 1))
        return normed.permute(0, 3, 1, 2)
