# SPDX-License-Identifier: Apache-2.0
"""The linear head: what single tokens know of their ground."""

from jaxtyping import Float
from torch import Tensor, nn

from rspipe.evaluate.segmentation.upernet import Classifier
from rspipe.evaluate.tuning.pyramid import LEVELS, Levels
from rspipe.models.backbone import Backbone


class TokenMap(nn.Module):
    """The encoder's patch tokens behind its final LayerNorm, as the only level of a pyramid."""

    def __init__(self, encoder: Backbone) -> None:
        super().__init__()
        self.encoder = encoder
        self.width = encoder.config.width

    def forward(self, images: Float[Tensor, "B C H W"]) -> Levels:
        """Encode normalised images, class token included, as in pre-training."""
        tokens = self.encoder.patch_tokens(images, final_norm=True)
        grid = self.encoder.config.grid
        return {LEVELS[0]: tokens.transpose(1, 2).reshape(len(tokens), -1, *grid)}


class LinearHead(nn.Module):
    """BatchNorm without gain and bias, then one linear layer per patch token.

    Logits are enlarged to pixels bilinearly. Enlarging tokens and classifying them then gives the
    same: both are linear.

    Source: Oquab et al. 2024 (DINOv2), arXiv:2304.07193, sec. 7.4, "linear".
    """

    def __init__(self, width: int, n_classes: int) -> None:
        super().__init__()
        self.scale = nn.BatchNorm2d(width, affine=False)
        self.classify = Classifier(width, n_classes)

    def forward(self, levels: Levels) -> Float[Tensor, "B K h w"]:
        """Classify every token."""
        logits: Tensor = self.classify(self.scale(levels[LEVELS[0]]))
        return logits
