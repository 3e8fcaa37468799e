# SPDX-License-Identifier: Apache-2.0
"""The network that is fine-tuned: an encoder and a linear layer on its class token."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from rspipe.evaluate.classification.tuning.settings import FineTuning
from rspipe.evaluate.tuning.drop_path import set_drop_path
from rspipe.evaluate.tuning.layer_decay import layer_decay_groups
from rspipe.models.backbone import Backbone
from rspipe.models.encoder import seeded

_HEAD_STD = 2e-5


class SceneClassifier(nn.Module):
    """A copy of an encoder with a head; all of it learns, positions too.

    Source: He et al. 2022, arXiv:2111.06377, app. A, with the class token in place of the mean of
    the patch tokens, as SelectiveMAE (arXiv:2406.11933) does; the mean where there is none.
    """

    def __init__(self, encoder: Backbone, n_classes: int, settings: FineTuning, seed: int) -> None:
        super().__init__()
        size = settings.img_px if settings.img_px is not None else encoder.config.img_px
        self.encoder = encoder.at_size(size).requires_grad_(True)
        set_drop_path(self.encoder.trunk, settings.drop_path)
        with seeded(seed):
            self.head = nn.Linear(encoder.config.width, n_classes)
            nn.init.trunc_normal_(self.head.weight, std=_HEAD_STD)
            nn.init.zeros_(self.head.bias)
        self.to(encoder.device)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K"]:
        """Give a logit for each class."""
        vectors = self.encoder.vectors(self.encoder.tokens(images))
        logits: Tensor = self.head(
            vectors["post/cls" if self.encoder.has_class_token else "post/mean"]
        )
        return logits

    def groups(self, layer_decay: float, weight_decay: float) -> list[dict[str, Any]]:
        """Group parameters for the optimizer: blocks by depth, the head at full rate."""
        return [
            *layer_decay_groups(self.encoder, layer_decay, weight_decay),
            {"params": [self.head.weight], "lr_scale": 1.0, "weight_decay": weight_decay},
            {"params": [self.head.bias], "lr_scale": 1.0, "weight_decay": 0.0},
        ]
