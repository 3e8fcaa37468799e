# SPDX-License-Identifier: Apache-2.0
"""MAE: hide most patches at random and predict their pixels."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from rspipe.errors import RecipeError
from rspipe.models.decoders import SelfAttentionDecoder
from rspipe.models.encoder import EncoderConfig, gather_tokens
from rspipe.objectives.base import Objective, Plan
from rspipe.objectives.draws import Draws
from rspipe.objectives.masking import count_share, keep_smallest, others
from rspipe.objectives.targets import Normalise
from rspipe.recipe import Strict


class MAEConfig(Strict):
    """Defaults are those of the paper for ViT-B/L/H."""

    name: Literal["mae"] = "mae"
    mask_ratio: float = Field(default=0.75, gt=0, lt=1)
    decoder_width: int = Field(default=512, gt=0)
    decoder_depth: int = Field(default=8, gt=0)
    decoder_heads: int = Field(default=16, gt=0)
    normalise: Normalise = "patch"


class MAE(Objective):
    """Masked autoencoder with a random mask and a self-attention decoder.

    Source: He et al. 2022, arXiv:2111.06377. Agrees with the released code to float32 rounding.
    """

    name = "mae"
    Config: ClassVar[type[Strict]] = MAEConfig

    def __init__(self, config: MAEConfig, encoder: EncoderConfig) -> None:
        super().__init__(encoder, config.normalise)
        self.kept = count_share(encoder.patches, 1 - config.mask_ratio)
        if not 1 <= self.kept < encoder.patches:
            raise RecipeError(
                f"mask_ratio={config.mask_ratio} keeps {self.kept} of {encoder.patches} patches"
            )
        self.decoder = SelfAttentionDecoder(
            encoder.width,
            config.decoder_width,
            config.decoder_depth,
            config.decoder_heads,
            encoder.grid,
            encoder.patch_values,
        )

    @torch.no_grad()
    def plan(
        self,
        images: Float[Tensor, "B C H W"],
        progress: float,
        draws: Draws,
        regions: Int[Tensor, "B H W"] | None = None,
    ) -> Plan:
        """Keep random patches; predict all others. `progress` has no effect."""
        ids_keep = keep_smallest(self.order(images, draws, regions), self.kept)
        return Plan(ids_keep, others(ids_keep, self.encoder.config.patches))

    def predict(self, images: Float[Tensor, "V C H W"], plan: Plan) -> Float[Tensor, "V M P"]:
        """Encode the visible patches, decode all places, return the hidden ones."""
        latent = self.encoder.encode_visible(images, plan.ids_keep)
        return gather_tokens(self.decoder(latent, plan.ids_keep), plan.ids_predict)

    def macs_per_image(self) -> int:
        """Encoder over the visible patches, decoder over all."""
        return self.encoder.config.macs(self.kept) + self.decoder.macs(self.kept)
