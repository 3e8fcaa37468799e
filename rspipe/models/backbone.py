# SPDX-License-Identifier: Apache-2.0
"""What is judged: the one protocol by which evaluators know any encoder.

`Encoder` (ours) and `TimmEncoder` (anything of timm's) are its implementations. An encoder says
what images it reads, turns them into tokens, into maps behind its blocks and into pooled vectors.
Registers and distillation tokens never leave it: what comes out is a class token, where there is
one, and patches in row-major order of their grid.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from rspipe.models.weights import LoadReport


class BackboneConfig(Protocol):
    """What an encoder says of itself: the images that it reads, and the tokens that it makes."""

    @property
    def img_px(self) -> int | tuple[int, int]:
        """Side of a square image, or (height, width)."""

    @property
    def size_px(self) -> tuple[int, int]:
        """Height and width of the images."""

    @property
    def in_chans(self) -> int:
        """Number of bands."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Their names, in order."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Per band, of values scaled to 0..1."""

    @property
    def std(self) -> tuple[float, ...]:
        """Likewise."""

    @property
    def width(self) -> int:
        """Of a token, D."""

    @property
    def patch_px(self) -> int:
        """Pixels from one token to the next: the patch, or the stride of the last map."""

    @property
    def grid(self) -> tuple[int, int]:
        """Tokens down and across."""

    def model_dump_json(self) -> str:
        """Write all of it down."""


@dataclass(frozen=True)
class Stage:
    """A place inside an encoder where a map can be read."""

    stride_px: int
    width: int


class Backbone(nn.Module, ABC):
    """An encoder under evaluation."""

    config: BackboneConfig
    has_class_token: bool
    """Whether the first token is one of the whole image."""
    norm_after_pooling: bool = False
    """Whether its head norms the mean of the tokens, not the tokens (ConvNeXt, EVA, BEiT)."""
    report: LoadReport | None = None
    """How the weights matched, where they came from a file."""

    @property
    @abstractmethod
    def trunk(self) -> nn.Module:
        """What learns in fine-tuning, under timm's names."""

    @property
    @abstractmethod
    def final_norm(self) -> nn.Module:
        """The norm behind the last block, of tokens (B, T, D); identity where there is none."""

    @property
    @abstractmethod
    def stages(self) -> tuple[Stage, ...]:
        """Where maps can be read: behind each block of a plain transformer, or each stage."""

    @abstractmethod
    def tokens(
        self, images: Float[Tensor, "B C H W"], final_norm: bool = False
    ) -> Float[Tensor, "B T D"]:
        """Encode normalised images: the class token first, if there is one, then every patch."""

    @abstractmethod
    def maps(
        self, images: Float[Tensor, "B C H W"], places: Sequence[int]
    ) -> list[Float[Tensor, "B D h w"]]:
        """Read maps of patches at some of the `stages`, in their order, before the final norm."""

    @abstractmethod
    def at_size(self, size_px: int | tuple[int, int]) -> "Backbone":
        """Copy it, so that it reads images of another size; at its own, the copy is the same.

        Args:
            size_px: side of square images, or (height, width).
        """

    @abstractmethod
    def untrained(self, seed: int) -> "Backbone":
        """Make one of the same shape with random weights, on the CPU."""

    @property
    def is_columnar(self) -> bool:
        """Whether all its maps are of one grid, as a plain transformer's."""
        return len({stage.stride_px for stage in self.stages}) == 1

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    def patch_tokens(
        self, images: Float[Tensor, "B C H W"], final_norm: bool
    ) -> Float[Tensor, "B N D"]:
        """Encode normalised images; patches alone."""
        return self.tokens(images, final_norm)[:, int(self.has_class_token) :]

    def vectors(self, tokens: Float[Tensor, "B T D"]) -> dict[str, Float[Tensor, "B D"]]:
        """Pool tokens: `pre/cls`, `pre/mean`, `post/cls`, `post/mean`; some have no `cls`.

        `post/mean` is what the encoder's own head would read: the mean of normed tokens or, where
        it norms behind pooling, the normed mean.

        Args:
            tokens: as `tokens` gives them, before the final norm.
        """
        found = {}
        for name, of in (("pre", tokens), ("post", self.final_norm(tokens))):
            if self.has_class_token:
                found[f"{name}/cls"] = of[:, 0]
            found[f"{name}/mean"] = of[:, int(self.has_class_token) :].mean(dim=1)
        if self.norm_after_pooling:
            found["post/mean"] = self.final_norm(found["pre/mean"][:, None])[:, 0]
        return found

    def preprocess(self, images: UInt8[np.ndarray, "B H W C"]) -> Float[Tensor, "B C h w"]:
        """Turn 8-bit images (0..255) into what the encoder reads.

        Other sizes are resized, bilinear and antialiased; bands are standardised.

        Raises:
            ValueError: the bands are not those of the encoder.
        """
        if images.shape[-1] != self.config.in_chans:
            raise ValueError(
                f"images have {images.shape[-1]} bands, the encoder reads {self.config.bands}"
            )
        # A copy: torch warns of arrays it may not write to, such as decoded pictures.
        pixels = torch.from_numpy(np.array(images, order="C")).permute(0, 3, 1, 2)
        return self.normalise(pixels.to(self.device))

    def normalise(self, pixels: UInt8[Tensor, "B C H W"]) -> Float[Tensor, "B C h w"]:
        """Resize 8-bit pixels where they differ in size, and standardise each band."""
        values = pixels.float()
        if values.shape[-2:] != self.config.size_px:
            values = F.interpolate(values, self.config.size_px, mode="bilinear", antialias=True)
        return self.standardise(values)

    def standardise(self, values: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        """Standardise values 0..255 of each band, at the size they have."""
        mean, std = self._statistics(values)
        return (values / 255 - mean) / std

    def denormalise(self, images: Float[Tensor, "B C H W"]) -> UInt8[Tensor, "B C H W"]:
        """Undo the standardisation, for pictures."""
        mean, std = self._statistics(images)
        return ((images * std + mean) * 255).round().clamp(0, 255).byte()

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        mean, std = (_per_band(v, like.device) for v in (self.config.mean, self.config.std))
        return mean, std


@cache
def _per_band(values: tuple[float, ...], device: torch.device) -> Float[Tensor, "1 C 1 1"]:
    """Put one number per band on a device, once: sending it would stop the host each time."""
    with torch.inference_mode(mode=False):
        return torch.tensor(values, device=device).view(1, -1, 1, 1)
