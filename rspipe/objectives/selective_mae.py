# SPDX-License-Identifier: Apache-2.0
"""SelectiveMAE: see 15 % of the patches, predict 25 %, choose both by content."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from rspipe.errors import RecipeError
from rspipe.models.decoders import CrossAttentionDecoder
from rspipe.models.encoder import EncoderConfig
from rspipe.objectives.base import Objective, Plan
from rspipe.objectives.draws import Draws
from rspipe.objectives.hog import hog_scores
from rspipe.objectives.masking import (
    count_share,
    grow_from_seeds,
    keep_smallest,
    mix_at,
    others,
)
from rspipe.objectives.targets import Normalise
from rspipe.recipe import Strict

Selection = Literal["hog_topk", "hog_sample", "random"]
LrRule = Literal["predict_over_mask", "mask_over_predict", "none"]


class SelectiveMAEConfig(Strict):
    """Defaults are those of the README of the released code (decoder depth 12)."""

    name: Literal["selective_mae"] = "selective_mae"
    mask_ratio: float = Field(default=0.85, gt=0, lt=1)
    predict_ratio: float = Field(default=0.25, gt=0, lt=1)
    selection: Selection = "hog_topk"
    """How seeds and predicted patches are chosen. hog_topk: the highest scores, as the paper is
    reported to do. hog_sample: without replacement, odds by softmax of the score, as the released
    code means to do. random: what the released code does, as its scores are constant."""
    stages: tuple[float, float, float, float] = (0.35, 0.375, 0.725, 0.75)
    """End of nearest, start of farthest, end of farthest, start of random, as shares of the run."""
    lr_rule: LrRule = "predict_over_mask"
    """Factor on the learning rate. The released code multiplies by predict_ratio / mask_ratio
    (CrossMAE's rule); the paper is reported to multiply by the inverse. Unsettled: hence a dial."""
    decoder_width: int = Field(default=512, gt=0)
    decoder_depth: int = Field(default=12, gt=0)
    decoder_heads: int = Field(default=16, gt=0)
    normalise: Normalise = "patch"

    @model_validator(mode="after")
    def _fits(self) -> "SelectiveMAEConfig":
        if self.predict_ratio > self.mask_ratio:
            raise ValueError(
                f"predict_ratio={self.predict_ratio} exceeds mask_ratio={self.mask_ratio}"
            )
        if (
            list(self.stages) != sorted(self.stages)
            or not 0 <= self.stages[0] <= self.stages[3] <= 1
        ):
            raise ValueError(f"stages={self.stages} must rise within 0..1")
        return self


class SelectiveMAE(Objective):
    """Masked autoencoder with partial reconstruction and progressive token selection.

    Source: arXiv:2406.11933 (ICCV 2025). Encoder, decoder and loss agree with the released code to
    float32 rounding. Differs: scores tell flat from textured patches, stages are shares of the
    run, choices are made image by image, every parameter is used.
    """

    name = "selective_mae"
    Config: ClassVar[type[Strict]] = SelectiveMAEConfig

    def __init__(self, config: SelectiveMAEConfig, encoder: EncoderConfig) -> None:
        super().__init__(encoder, config.normalise)
        self.config = config
        visible = 1 - config.mask_ratio
        self.kept = count_share(encoder.patches, visible)
        self.seeds = count_share(encoder.patches, visible / 2)
        self.predicted = count_share(encoder.patches, config.predict_ratio)
        if min(self.seeds, self.predicted) < 1:
            raise RecipeError(
                f"mask_ratio={config.mask_ratio}, predict_ratio={config.predict_ratio}: too few of "
                f"{encoder.patches} patches; use smaller patches or larger images"
            )
        ratio = config.predict_ratio / config.mask_ratio
        self.lr_scale = {
            "predict_over_mask": ratio,
            "mask_over_predict": 1 / ratio,
            "none": 1.0,
        }[config.lr_rule]
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
        """Seed by score, grow the visible set by similarity, predict by score among the hidden."""
        count = self.encoder.config.patches
        order = self.order(images, draws, regions)
        barred = order.isinf()
        # What may not be seen may well be predicted, so it needs a rank of its own.
        rank = self._rank(images, torch.where(barred, draws.uniform(count), order))
        ids_keep = grow_from_seeds(
            self.encoder.embed(images),
            keep_smallest(rank.masked_fill(barred, float("inf")), self.seeds),
            self.kept,
            mix_at(progress, self.config.stages),
            draws.uniform(count),
            barred,
        )
        hidden = others(ids_keep, count)
        best = keep_smallest(rank.gather(1, hidden), self.predicted)
        return Plan(ids_keep, hidden.gather(1, best))

    def _rank(
        self, images: Float[Tensor, "B C H W"], noise: Float[Tensor, "B N"]
    ) -> Float[Tensor, "B N"]:
        """Give each patch a number; the smallest are chosen first."""
        if self.config.selection == "random":
            return noise
        scores = hog_scores(images, self.encoder.config.patch_px)
        if self.config.selection == "hog_topk":
            return noise * 1e-4 - scores  # equal scores: by chance, not by place
        # Exponential races: the k first arrivals are k draws without replacement by softmax odds.
        return -torch.log1p(-noise) / scores.exp()

    def predict(self, images: Float[Tensor, "V C H W"], plan: Plan) -> Float[Tensor, "V M P"]:
        """Encode the visible patches and ask for the wanted ones."""
        return self.decode(self.encoder.encode_visible(images, plan.ids_keep), plan.ids_predict)

    def decode(
        self, latent: Float[Tensor, "B K+1 D"], ids_predict: Int[Tensor, "B M"]
    ) -> Float[Tensor, "B M P"]:
        """Predict patches from the encoder's last layer after its norm, class token included."""
        predicted: Tensor = self.decoder(latent, ids_predict)
        return predicted

    def macs_per_image(self) -> int:
        """Encoder over the visible patches, decoder over the predicted ones.

        The selection embeds every patch once more, without gradient: 1.3 % for ViT-B, not counted.
        """
        return self.encoder.config.macs(self.kept) + self.decoder.macs(self.kept, self.predicted)
