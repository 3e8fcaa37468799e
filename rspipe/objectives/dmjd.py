# SPDX-License-Identifier: Apache-2.0
"""DMJD: several views of an image whose visible patches are disjoint; both kinds are predicted."""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor

from rspipe.errors import RecipeError
from rspipe.models.decoders import SelfAttentionDecoder, TokenDecoder
from rspipe.models.encoder import EncoderConfig, gather_tokens
from rspipe.objectives.base import Objective, Plan
from rspipe.objectives.draws import Draws
from rspipe.objectives.hog import BINS, hog_cell_px, hog_glyphs, hog_target
from rspipe.objectives.masking import Cells, disjoint_views, keep_smallest, others
from rspipe.recipe import Strict


class DMJDConfig(Strict):
    """Defaults are those of the released code, with the decoder of 8 blocks."""

    name: Literal["dmjd"] = "dmjd"
    views: int = Field(default=2, gt=0)
    """Masked views of an image in a step. The paper's are 2; see `disjoint_views` for more."""
    mask_ratio: float = Field(default=0.6, gt=0, lt=1)
    """Hidden share of each view, rounded up (in cells). Views see disjoint patches as long as
    views * (1 - mask_ratio) <= 1."""
    predict_ratio: float = Field(default=1.0, gt=0, le=1)
    """Share of the patches that some view hides, as far as the views reach."""
    mask_cell_px: int | None = Field(default=32, gt=0)
    """Side of the squares that are hidden as one; null: single patches."""
    theta: float = Field(default=1.0, ge=0)
    """Weight of the loss on visible patches."""
    lr_rule: Literal["predict_over_mask", "none"] = "predict_over_mask"
    """Factor on the learning rate: the released code multiplies by predict_ratio / mask_ratio."""
    decoder_width: int = Field(default=512, gt=0)
    decoder_depth: int = Field(default=8, gt=0)
    decoder_heads: int = Field(default=16, gt=0)
    visible_width: int = Field(default=512, gt=0)
    """Width of the layers that predict visible patches."""

    @model_validator(mode="after")
    def _fits(self) -> "DMJDConfig":
        if self.predict_ratio < self.mask_ratio:
            raise ValueError(
                f"predict_ratio={self.predict_ratio} is below mask_ratio={self.mask_ratio}, "
                "which one view alone predicts"
            )
        return self


class DMJD(Objective):
    """Disjoint masking with joint distillation, of HOG, on a plain vision transformer.

    Source: Ma et al. 2022, arXiv:2301.00230. The target agrees with the released code to 1e-5, the
        counts of masks exactly. Differs: that code has a convolutional encoder and two views; the
        plain encoder, and more views, are ours. Each band has histograms of its own (36 values per
        band and patch of 16 px); patches that 8 px do not divide have cells of half a patch.
    """

    name = "dmjd"
    Config: ClassVar[type[Strict]] = DMJDConfig
    seen: Tensor
    contrast: Tensor

    def __init__(self, config: DMJDConfig, encoder: EncoderConfig) -> None:
        super().__init__(encoder, normalise="none")
        self.views = config.views
        self.theta = config.theta
        if config.lr_rule == "predict_over_mask":
            self.lr_scale = config.predict_ratio / config.mask_ratio
        cells = Cells.of(encoder.grid, encoder.patch_px, config.mask_cell_px or encoder.patch_px)
        self.order = cells.order
        self.kept = encoder.patches - cells.count_hidden(config.mask_ratio)
        if self.kept < 1:
            raise RecipeError(
                f"mask_ratio={config.mask_ratio} hides all {encoder.patches} patches in cells of "
                f"{config.mask_cell_px} px; lower what.objective.mask_cell_px"
            )
        always = encoder.patches - cells.count_hidden(config.predict_ratio)
        self._shown = always + min(config.views * (self.kept - always), encoder.patches - always)
        seen = disjoint_views(encoder.patches, self.kept, always, config.views)
        self.register_buffer("seen", seen, persistent=False)
        # Grey levels per unit of a normalised image; their mean drops out of a gradient.
        contrast = 255 * torch.tensor(encoder.std).reshape(1, -1, 1, 1)
        self.register_buffer("contrast", contrast, persistent=False)
        cells_per_patch = (encoder.patch_px // hog_cell_px(encoder.patch_px)) ** 2
        values = cells_per_patch * BINS * encoder.in_chans
        self.decoder = SelfAttentionDecoder(
            encoder.width,
            config.decoder_width,
            config.decoder_depth,
            config.decoder_heads,
            encoder.grid,
            values,
        )
        self.visible_decoder = TokenDecoder(encoder.width, config.visible_width, values)

    @property
    def shown(self) -> int:
        """Patches that the views of an image show together."""
        return self._shown

    @torch.no_grad()
    def plan(
        self,
        images: Float[Tensor, "B C H W"],
        progress: float,
        draws: Draws,
        regions: Int[Tensor, "B H W"] | None = None,
    ) -> Plan:
        """Keep other patches in each view; predict all that a view hides. No use of `progress`."""
        count = self.encoder.config.patches
        ranked = keep_smallest(self.order(images, draws, regions), count)
        ids_keep = ranked[:, self.seen].flatten(0, 1)
        return Plan(ids_keep, others(ids_keep, count))

    def targets(
        self, images: Float[Tensor, "V C H W"], ids: Int[Tensor, "V M"]
    ) -> Float[Tensor, "V M T"]:
        """Histograms of oriented gradients of some patches, in grey levels."""
        return gather_tokens(self._histograms(images), ids)

    def _histograms(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N T"]:
        return hog_target(images.float() * self.contrast, self.encoder.config.patch_px)

    def losses(
        self, images: Float[Tensor, "B C H W"], plan: Plan
    ) -> dict[str, Float[Tensor, " V"]]:
        """Squared error of hidden patches, and smooth L1 (beta 2) of visible ones times theta.

        Source: Ma et al. 2022, arXiv:2301.00230, "joint distillation" as in the released code.
        """
        targets = self._per_view(self._histograms(images))
        latent = self.encoder.encode_visible(self._per_view(images), plan.ids_keep)
        hidden = self._decode(latent, plan).float()
        visible = self.visible_decoder(latent[:, 1:]).float()
        wanted = gather_tokens(targets, plan.ids_keep)
        away = F.smooth_l1_loss(visible, wanted, beta=2.0, reduction="none").mean(dim=(1, 2))
        error = self.error(hidden, gather_tokens(targets, plan.ids_predict))
        return {"reconstruction": error, "visible": self.theta * away}

    def predict(self, images: Float[Tensor, "V C H W"], plan: Plan) -> Float[Tensor, "V M T"]:
        """Predict the histograms of hidden patches, as MAE does their pixels."""
        return self._decode(self.encoder.encode_visible(images, plan.ids_keep), plan)

    def predict_pixels(
        self, images: Float[Tensor, "B C H W"], plan: Plan
    ) -> Float[Tensor, "B M P"]:
        """Draw the predicted histograms as grey strokes along edges, since they are no pixels."""
        config = self.encoder.config
        grey = hog_glyphs(self.predict(images, plan).float(), config.patch_px)
        mean, std = (torch.tensor(v, device=grey.device) for v in (config.mean, config.std))
        return ((grey[..., None] - mean) / std).flatten(2)

    def _decode(self, latent: Float[Tensor, "V K+1 D"], plan: Plan) -> Float[Tensor, "V M T"]:
        return gather_tokens(self.decoder(latent, plan.ids_keep), plan.ids_predict)

    def macs_per_image(self) -> int:
        """All views: encoder and visible branch over the visible patches, decoder over all."""
        view = self.encoder.config.macs(self.kept) + self.visible_decoder.macs(self.kept)
        return self.views * (view + self.decoder.macs(self.kept))
