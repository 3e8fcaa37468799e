# SPDX-License-Identifier: Apache-2.0
"""Encoder, what brings it to levels, and a head, as one network from pixels to class logits."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rspipe.errors import RecipeError
from rspipe.evaluate.config import LinearSegmentation, SegmentationTraining, UPerNetTuning
from rspipe.evaluate.segmentation.linear import LinearHead, TokenMap
from rspipe.evaluate.segmentation.upernet import AuxiliaryFCN, UPerNet, resize
from rspipe.evaluate.tuning.drop_path import set_drop_path
from rspipe.evaluate.tuning.layer_decay import layer_decay_groups
from rspipe.evaluate.tuning.pyramid import Pyramid, last_taps
from rspipe.models.backbone import Backbone


class Segmenter(nn.Module):
    """A network for crops of one size, and how its parts learn."""

    def __init__(
        self,
        levels: Pyramid | TokenMap,
        head: nn.Module,
        *,
        frozen: bool,
        layer_decay: float = 1.0,
        precision: str = "float32",
        auxiliary: nn.Module | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            levels: with an encoder that nobody else uses: it is trained.
            head: from levels to logits.
            frozen: whether the encoder stays as it is, in evaluation mode.
            layer_decay: rate of a block over that of the block behind it.
            precision: float32, or bfloat16 by autocast; logits are float32 always.
            auxiliary: a head for a second loss.
        """
        super().__init__()
        self.levels = levels
        self.head = head
        self.auxiliary = auxiliary
        self.frozen = frozen
        self.layer_decay = layer_decay
        self.precision = precision
        # The position table learns with the rest, as in the references.
        levels.encoder.requires_grad_(not frozen)

    @property
    def encoder(self) -> Backbone:
        """The copy that is trained or read."""
        return self.levels.encoder

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        """Classify every pixel of normalised crops."""
        return self._classify(images, [self.head])[0]

    def for_loss(self, images: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B K H W"]]:
        """Logits of the head and, where there is one, of the auxiliary head."""
        heads = [self.head] if self.auxiliary is None else [self.head, self.auxiliary]
        return self._classify(images, heads)

    def _classify(
        self, images: Float[Tensor, "B C H W"], heads: list[nn.Module]
    ) -> list[Float[Tensor, "B K H W"]]:
        half = self.precision == "bfloat16"
        with torch.autocast(images.device.type, torch.bfloat16, enabled=half):
            levels = self.levels(images)
            logits = [head(levels) for head in heads]
        return [resize(each.float(), images) for each in logits]

    def train(self, mode: bool = True) -> "Segmenter":
        """Set the mode; a frozen encoder stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Group what learns by rate and decay: blocks, then all that is new at full rate.

        Biases, norms and positions are not decayed. Parts of the encoder that no tap needs get no
        gradient and stay as they are.
        """
        groups = layer_decay_groups(self.encoder, self.layer_decay, weight_decay)
        known = {id(parameter) for parameter in self.encoder.parameters()}
        new = [p for p in self.parameters() if p.requires_grad and id(p) not in known]
        matrices = [p for p in new if p.ndim > 1]
        vectors = [p for p in new if p.ndim <= 1]
        for params, decay in ((matrices, weight_decay), (vectors, 0.0)):
            groups.append({"params": params, "lr_scale": 1.0, "weight_decay": decay})
        return groups


def linear_segmenter(encoder: Backbone, n_classes: int, settings: LinearSegmentation) -> Segmenter:
    """Put a linear head on a frozen copy of an encoder."""
    copy = encoder.at_size(crop_px(encoder, settings))
    return Segmenter(
        TokenMap(copy),
        LinearHead(copy.config.width, n_classes),
        frozen=True,
        precision=settings.precision,
    )


def upernet_segmenter(encoder: Backbone, n_classes: int, settings: UPerNetTuning) -> Segmenter:
    """Put UPerNet on the four taps of a copy of an encoder."""
    copy = encoder.at_size(crop_px(encoder, settings))
    if not settings.frozen:
        set_drop_path(copy.trunk, settings.drop_path)
    taps: Sequence[int] | None = last_taps(len(copy.stages)) if settings.taps == "last" else None
    pyramid = Pyramid(copy, taps)
    return Segmenter(
        pyramid,
        UPerNet(pyramid.widths, n_classes, settings.channels),
        frozen=settings.frozen,
        layer_decay=settings.layer_decay,
        precision=settings.precision,
        auxiliary=AuxiliaryFCN(pyramid.widths[2], n_classes) if settings.auxiliary_weight else None,
    )


def crop_px(encoder: Backbone, settings: SegmentationTraining) -> int:
    """Side of crops and windows: the recipe's, else the encoder's.

    Raises:
        RecipeError: neither is a square, or the windows of inference would leave gaps.
    """
    height, width = encoder.config.size_px
    if settings.crop_px is None and height != width:
        raise RecipeError(f"the encoder reads {height} x {width} px; crop_px must be given")
    side = settings.crop_px if settings.crop_px is not None else height
    if settings.stride_px is not None and settings.stride_px > side:
        raise RecipeError(
            f"stride_px={settings.stride_px} is more than the windows of {side} px, which would "
            f"leave gaps: take at most {side}, or null for three quarters of it"
        )
    return side


def count_parameters(module: nn.Module) -> int:
    """Count the numbers that a part holds."""
    return sum(parameter.numel() for parameter in module.parameters())
