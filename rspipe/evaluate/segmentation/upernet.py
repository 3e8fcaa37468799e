# SPDX-License-Identifier: Apache-2.0
"""UPerNet's head as mmsegmentation defines it: the reference of every remote-sensing table.

Heads of the same name in other libraries are other networks: segmentation_models_pytorch 0.6.0
has pooled branches of a quarter of the width, no 3 x 3 convolution per level and 256 channels.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from rspipe.evaluate.tuning.pyramid import LEVELS, Levels

POOLED = (1, 2, 3, 6)
"""Sides of the maps that the coarsest level is pooled to."""
DROPOUT = 0.1


class UPerNet(nn.Module):
    """Pyramid pooling on the coarsest level, a top-down path, all levels fused: logits at level 0.

    1. The coarsest level: averaged to POOLED sizes, each 1 x 1 to C channels, enlarged, joined with
       the level, 3 x 3 to C.
    2. The other levels: 1 x 1 to C; each adds the coarser one, enlarged.
    3. 3 x 3 on each of these.
    4. All enlarged to the finest, joined (4 C), 3 x 3 to C, dropout of whole channels, 1 x 1 to
       the classes.

    Every convolution but the last is one without bias, then BatchNorm, then ReLU. Enlarging is
    bilinear, corners not aligned.

    Source: Xiao et al. 2018, arXiv:1807.10221; layers as mmsegmentation 1.2's UPerHead. Differs:
    BatchNorm of one device, where the reference synchronises it over its devices.
    """

    def __init__(self, widths: Sequence[int], n_classes: int, channels: int = 512) -> None:
        """Put the layers together.

        Args:
            widths: channels of each level, finest first.
            n_classes: of the logits.
            channels: C.
        """
        super().__init__()
        *finer, width = widths
        self.pooled = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(side), ConvBlock(width, channels, 1))
            for side in POOLED
        )
        self.context = ConvBlock(width + len(POOLED) * channels, channels, 3)
        self.laterals = nn.ModuleList(ConvBlock(each, channels, 1) for each in finer)
        self.smooth = nn.ModuleList(ConvBlock(channels, channels, 3) for _ in LEVELS[:-1])
        self.fuse = ConvBlock(len(LEVELS) * channels, channels, 3)
        self.drop = nn.Dropout2d(DROPOUT)
        self.classify = Classifier(channels, n_classes)

    def forward(self, levels: Levels) -> Float[Tensor, "B K h w"]:
        """Classify every place of the finest level."""
        coarsest = levels[LEVELS[-1]]
        context = [resize(branch(coarsest), coarsest) for branch in self.pooled]
        maps = [lateral(levels[key]) for key, lateral in zip(LEVELS, self.laterals, strict=False)]
        maps.append(self.context(torch.cat([coarsest, *context], dim=1)))
        for fine in range(len(maps) - 2, -1, -1):
            maps[fine] = maps[fine] + resize(maps[fine + 1], maps[fine])
        smoothed = [smooth(m) for smooth, m in zip(self.smooth, maps, strict=False)] + maps[-1:]
        fused = self.fuse(torch.cat([resize(m, smoothed[0]) for m in smoothed], dim=1))
        logits: Tensor = self.classify(self.drop(fused))
        return logits


class AuxiliaryFCN(nn.Module):
    """A shallow head on the third level, for a second loss in training.

    One 3 x 3 convolution to 256 channels, dropout, 1 x 1. The published recipes for plain vision
    transformers on LoveDA and SpaceNet have none; mmsegmentation's own UPerNet configs weigh it
    by 0.4.

    Source: Long et al. 2015, arXiv:1411.4038; layers as mmsegmentation's FCNHead with one
    convolution.
    """

    def __init__(self, width: int, n_classes: int, channels: int = 256) -> None:
        super().__init__()
        self.block = ConvBlock(width, channels, 3)
        self.drop = nn.Dropout2d(DROPOUT)
        self.classify = Classifier(channels, n_classes)

    def forward(self, levels: Levels) -> Float[Tensor, "B K h w"]:
        """Classify every patch."""
        logits: Tensor = self.classify(self.drop(self.block(levels[LEVELS[2]])))
        return logits


class ConvBlock(nn.Sequential):
    """Convolution without bias, BatchNorm, ReLU; He-normal by fan-out, as mmcv's ConvModule."""

    def __init__(self, inputs: int, outputs: int, kernel_px: int) -> None:
        convolution = nn.Conv2d(inputs, outputs, kernel_px, padding=kernel_px // 2, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        super().__init__(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Classifier(nn.Conv2d):
    """1 x 1 convolution to class logits; weights normal with deviation 0.01, bias 0."""

    def __init__(self, channels: int, n_classes: int) -> None:
        super().__init__(channels, n_classes, 1)
        nn.init.normal_(self.weight, std=0.01)
        if self.bias is not None:
            nn.init.zeros_(self.bias)


def resize(
    source: Float[Tensor, "B C h w"], like: Float[Tensor, "B D H W"]
) -> Float[Tensor, "B C H W"]:
    """Resize a map to the height and width of another."""
    return resize_to(source, (like.shape[2], like.shape[3]))


def resize_to(
    source: Float[Tensor, "B C h w"], size_px: tuple[int, int]
) -> Float[Tensor, "B C H W"]:
    """Resize a map, bilinear, corners not aligned."""
    if source.shape[2:] == size_px:
        return source
    return F.interpolate(source, size=size_px, mode="bilinear", align_corners=False)
