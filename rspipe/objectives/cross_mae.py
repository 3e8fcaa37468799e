# SPDX-License-Identifier: Apache-2.0
"""CrossMAE: predict only some hidden patches, each from the visible ones alone."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from rspipe.errors import RecipeError
from rspipe.models.decoders import CrossAttentionDecoder, FeatureMix
from rspipe.models.encoder import EncoderConfig
from rspipe.objectives.base import Objective, Plan
from rspipe.objectives.draws import Draws
from rspipe.objectives.masking import count_share, keep_smallest, others
from rspipe.objectives.targets import Normalise
from rspipe.recipe import Strict


class CrossMAEConfig(Strict):
    """Defaults are the paper's cheaper setting; most released weights predict 0.75."""

    name: Literal["cross_mae"] = "cross_mae"
    mask_ratio: float = Field(default=0.75, gt=0, lt=1)
    predict_ratio: float = Field(default=0.25, gt=0, lt=1)
    """Share of all patches; the other hidden ones are ignored."""
    mix_input: bool = True
    """Mix the embedded input with the blocks' outputs, too (13 maps for 12 blocks)."""
    lr_rule: Literal["predict_over_mask", "none"] = "predict_over_mask"
    """Factor on the learning rate: the released code multiplies by predict_ratio / mask_ratio."""
    decoder_width: int = Field(default=512, gt=0)
    decoder_depth: int = Field(default=12, gt=0)
    decoder_heads: int = Field(default=16, gt=0)
    normalise: Normalise = "patch"

    @model_validator(mode="after")
    def _fits(self) -> "CrossMAEConfig":
        if self.predict_ratio > self.mask_ratio:
            raise ValueError(
                f"predict_ratio={self.predict_ratio} exceeds mask_ratio={self.mask_ratio}"
            )
        return self


class CrossMAE(Objective):
    """Masked autoencoder whose decoder only asks the encoder, block by block another mix of layers.

    Source: Fu et al. 2024, arXiv:2401.14391. Agrees with the released code to float32 rounding.
        The encoder's final norm learns nothing, since layers are mixed before it; it is kept
        fixed (gain 1, bias 0), so that the encoder is an ordinary one.
    """

    name = "cross_mae"
    Config: ClassVar[type[Strict]] = CrossMAEConfig

    def __init__(self, config: CrossMAEConfig, encoder: EncoderConfig) -> None:
        super().__init__(encoder, config.normalise)
        self.kept = count_share(encoder.patches, 1 - config.mask_ratio)
        hidden = encoder.patches - self.kept
        self.predicted = min(count_share(encoder.patches, config.predict_ratio), hidden)
        if min(self.kept, self.predicted) < 1:
            raise RecipeError(
                f"mask_ratio={config.mask_ratio}, predict_ratio={config.predict_ratio}: too few of "
                f"{encoder.patches} patches; use smaller patches or larger images"
            )
        if config.lr_rule == "predict_over_mask":
            self.lr_scale = config.predict_ratio / config.mask_ratio
        self.encoder.vit.norm.requires_grad_(False)
        self.first_layer = 0 if config.mix_input else 1
        layers = encoder.depth + 1 - self.first_layer
        self.mix = FeatureMix(encoder.width, layers, config.decoder_depth)
        self.decoder = CrossAttentionDecoder(
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
        """Keep random patches; predict random ones of the others. `progress` has no effect."""
        count = self.encoder.config.patches
        ids_keep = keep_smallest(self.order(images, draws, regions), self.kept)
        hidden = others(ids_keep, count)
        drawn = keep_smallest(draws.uniform(count).gather(1, hidden), self.predicted)
        return Plan(ids_keep, hidden.gather(1, drawn))

    def predict(self, images: Float[Tensor, "V C H W"], plan: Plan) -> Float[Tensor, "V M P"]:
        """Encode the visible patches, mix the layers, ask for the wanted patches."""
        layers = self.encoder.layers(self.encoder.embed(images, plan.ids_keep))
        memory = self.mix(layers[self.first_layer :])
        predicted: Tensor = self.decoder(memory, plan.ids_predict)
        return predicted

    def macs_per_image(self) -> int:
        """Encoder over the visible patches, mixes of its layers, decoder over the predicted."""
        encoder = self.encoder.config.macs(self.kept) + self.mix.macs(self.kept + 1)
        return encoder + self.decoder.macs(self.kept, self.predicted)
