"""A plain vision transformer as a feature pyramid: four taps, four strides.

Layout, shared by detection and segmentation: `Pyramid(...)` returns a dict of four maps, all of
the encoder's width D, finest first:

    level  tap (block, from 0; B / L)  made by                                     stride, patch 16
    "0"     3 /  7                     deconvolution, LayerNorm, GELU, deconvolution      4
    "1"     5 / 11                     deconvolution                                      8
    "2"     7 / 15                     nothing                                           16
    "3"    11 / 23                     max-pool 2 x 2                                    32

For an image of H x W and a patch of P pixels the maps are 4h x 4w, 2h x 2w, h x w and
floor(h/2) x floor(w/2), where h x w = H/P x W/P. Tokens are tapped behind their block, before the
encoder's final LayerNorm, which is not used.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rspipe.models.encoder import Encoder, run_block

LEVELS = ("0", "1", "2", "3")
"""Keys of the pyramid, finest first: the names that torchvision's backbones give their maps."""

Levels = dict[str, Float[Tensor, "B D h w"]]


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
    def width(self) -> int:
        """Channels of every level."""

    @property
    def strides_px(self) -> Mapping[str, float]:
        """Pixels per cell of every level, finest first; each twice the one before."""

    def __call__(self, images: Float[Tensor, "B C H W"]) -> Mapping[str, Float[Tensor, "B D h w"]]:
        """Turn normalised images into maps by level."""


class Pyramid(nn.Module):
    """An encoder and the adapter behind it: images in, four maps out.

    Source: Bao et al. 2022 (BEiT), arXiv:2106.08254, app. G; taps and norm as MTP
    (arXiv:2403.13430) and SelectiveMAE fine-tune.
    """

    def __init__(
        self, encoder: Encoder, taps: Sequence[int] | None = None, class_token: bool = False
    ) -> None:
        """Put an adapter behind an encoder.

        Args:
            encoder: at the size of the images; see `resized.at_size`.
            taps: four blocks, from 0, finest level first; None: `protocol_taps`.
            class_token: whether the class token takes part in attention; the protocol drops it.
        """
        super().__init__()
        self.encoder = encoder
        self.taps = protocol_taps(encoder.config.depth) if taps is None else tuple(taps)
        if len(self.taps) != len(LEVELS) or not set(self.taps) <= set(range(encoder.config.depth)):
            raise ValueError(f"taps={self.taps}: want four blocks of {encoder.config.depth}")
        self.class_token = class_token
        self.adapter = Adapter(encoder.config.width)
        self.width = encoder.config.width
        patch = encoder.config.patch_px
        self.strides_px = dict(zip(LEVELS, (patch / 4, patch / 2, patch, patch * 2), strict=True))

    def forward(self, images: Float[Tensor, "B C H W"]) -> Levels:
        """Encode normalised images; see the module for the layout of the result."""
        found = tap(self.encoder, images, self.taps, self.class_token)
        levels: Levels = self.adapter(
            [to_map(tokens, self.encoder.config.grid) for tokens in found]
        )
        return levels


def tap(
    encoder: Encoder, images: Float[Tensor, "B C H W"], taps: Sequence[int], class_token: bool
) -> list[Float[Tensor, "B N D"]]:
    """Run the blocks up to the last tap and return the patch tokens behind each tapped one."""
    x = encoder.embed(images)
    if class_token:
        first = encoder.vit.cls_token + encoder.vit.pos_embed[:, :1]
        x = torch.cat([first.expand(len(x), -1, -1).to(x.dtype), x], dim=1)
    behind: dict[int, Tensor] = {}
    for number, block in enumerate(encoder.vit.blocks[: max(taps) + 1]):
        x = run_block(block, x, checkpointed=encoder.checkpointed)
        if number in taps:
            behind[number] = x[:, 1:] if class_token else x
    return [behind[number] for number in taps]


def to_map(tokens: Float[Tensor, "B N D"], grid: tuple[int, int]) -> Float[Tensor, "B D h w"]:
    """Lay patch tokens out as the map that they are of."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, *grid)


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
