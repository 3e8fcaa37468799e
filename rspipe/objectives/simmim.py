# SPDX-License-Identifier: Apache-2.0
"""SimMIM: the encoder sees a token in place of each hidden patch; one linear layer predicts."""

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor, nn

from rspipe.errors import RecipeError
from rspipe.models.encoder import EncoderConfig, gather_tokens, initialise
from rspipe.objectives.base import Objective, Plan
from rspipe.objectives.draws import Draws
from rspipe.objectives.masking import Cells, keep_smallest, others
from rspipe.objectives.targets import Normalise
from rspipe.recipe import Strict


class SimMIMConfig(Strict):
    """Defaults are those of the paper for ViT-B."""

    name: Literal["simmim"] = "simmim"
    mask_ratio: float = Field(default=0.6, gt=0, lt=1)
    """Share of cells that are hidden, rounded up: 30 of 49 at 224 px."""
    mask_cell_px: int = Field(default=32, gt=0)
    """Side of the squares that are hidden as one; a multiple of the patch. See `Cells`."""
    normalise: Normalise = "none"


class SimMIM(Objective):
    """Masked image modelling with a linear head and L1 loss; every patch has a token.

    The cost is that of the whole image, 1.8 times MAE's for ViT-B.

    Source: Xie et al. 2022, arXiv:2111.09886. Differs: the encoder is the plain ViT of all
        objectives here (fixed positions, no layer scale, no relative bias); the target lists row,
        column, band of a patch, where the released head has band first. The order does not change
        the loss.
    """

    name = "simmim"
    Config: ClassVar[type[Strict]] = SimMIMConfig

    def __init__(self, config: SimMIMConfig, encoder: EncoderConfig) -> None:
        super().__init__(encoder, config.normalise)
        self.cells = Cells.of(encoder.grid, encoder.patch_px, config.mask_cell_px)
        hidden = self.cells.count_hidden(config.mask_ratio)
        self.kept = encoder.patches - hidden
        if not 1 <= self.kept < encoder.patches:
            raise RecipeError(
                f"mask_ratio={config.mask_ratio} hides {hidden} of {encoder.patches} patches in "
                f"cells of {config.mask_cell_px} px; lower what.objective.mask_cell_px"
            )
        self.order = self.cells.order
        self.mask_token = nn.Parameter(torch.zeros(1, 1, encoder.width))
        self.head = nn.Linear(encoder.width, encoder.patch_values)
        initialise(self.head)
        nn.init.normal_(self.mask_token, std=0.02)

    @torch.no_grad()
    def plan(
        self,
        images: Float[Tensor, "B C H W"],
        progress: float,
        draws: Draws,
        regions: Int[Tensor, "B H W"] | None = None,
    ) -> Plan:
        """Hide random cells; predict all that is hidden. `progress` has no effect."""
        ids_keep = keep_smallest(self.order(images, draws, regions), self.kept)
        return Plan(ids_keep, others(ids_keep, self.encoder.config.patches))

    def predict(self, images: Float[Tensor, "V C H W"], plan: Plan) -> Float[Tensor, "V M P"]:
        """Encode visible patches among mask tokens; map each hidden place to pixels.

        Source: Xie et al. 2022, arXiv:2111.09886, sec. 3.2 and 3.3. A mask token gets the
            position of its patch.
        """
        visible = self.encoder.embed(images, plan.ids_keep)
        places = self.mask_token + self.encoder.vit.pos_embed[:, 1:]
        index = plan.ids_keep[:, :, None].expand_as(visible)
        everywhere = places.to(visible.dtype).expand(len(images), -1, -1)
        tokens = self.encoder.encode(everywhere.scatter(1, index, visible))
        predicted: Tensor = self.head(gather_tokens(tokens[:, 1:], plan.ids_predict))
        return predicted

    def error(
        self, predicted: Float[Tensor, "V M P"], wanted: Float[Tensor, "V M P"]
    ) -> Float[Tensor, " V"]:
        """Mean absolute difference: the sum over masked pixels / (their number times bands).

        Source: Xie et al. 2022, arXiv:2111.09886, eq. 2.
        """
        return (predicted - wanted).abs().mean(dim=(1, 2))

    def macs_per_image(self) -> int:
        """Encoder over all places; a hidden one is not embedded but predicted, at equal cost."""
        return self.encoder.config.macs(self.encoder.config.patches)
