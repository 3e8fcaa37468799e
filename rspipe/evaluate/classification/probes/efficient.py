# SPDX-License-Identifier: Apache-2.0
"""Efficient probing: many queries, one value matrix, no keys."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rspipe.evaluate.classification.probes.gradient import TokenProbe, classifier, divisor_of
from rspipe.evaluate.classification.probes.pooling import TokenPool, attention_of, pool_slices
from rspipe.evaluate.config import EfficientProbing as Settings


class EfficientProbe(TokenPool):
    """Pool tokens by M learned queries, each over its own slice of the value channels.

    a_j = softmax over tokens of (X u_j / √D); V = X W_Vᵀ cut along channels into M slices;
    y = [Σ_n a_1n V_n^(1) ‖ … ‖ Σ_n a_Mn V_n^(M)]. No key, query or output projection, no bias,
    no norm.

    Args:
        width: D of the tokens.
        queries: M.
        shrink: d_out; the output has D / d_out channels.

    Raises:
        ValueError: M · d_out does not divide D.

    Source: Psomas et al. 2026, "Attention, Please!", arXiv:2506.10178, sec. 3. Differs: pooled
    before it is projected (`pooling.py`).
    """

    def __init__(self, width: int, queries: int = 32, shrink: int = 1) -> None:
        super().__init__()
        if width % (queries * shrink):
            raise ValueError(
                f"{queries} queries × d_out {shrink} do not divide {width} channels; "
                "choose a number of queries that does"
            )
        self.queries = nn.Parameter(torch.randn(queries, width) * 0.02)
        self.value_weight = nn.Parameter(torch.empty(width // shrink, width))
        nn.init.kaiming_uniform_(self.value_weight, a=5**0.5)

    def attention(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B M N"]:
        """Weigh the tokens for each query; the weights of a query add up to 1."""
        return attention_of(tokens, self.queries, tokens.shape[-1] ** -0.5)

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B V"]:
        """Pool tokens into one vector of D / d_out channels per image."""
        return pool_slices(tokens, self.attention(tokens), self.value_weight)


class EfficientProbing(TokenProbe):
    """EfficientProbe, batch normalisation and one linear layer, on patch tokens.

    Source: Psomas et al. 2026, arXiv:2506.10178. Differs: see `gradient.py`.
    """

    name: ClassVar[str] = "efficient"
    rule: ClassVar[str] = (
        "efficient probing (EP) of patch tokens, LARS, last step, rate chosen on validation "
        "images, trained again on train and validation; features cached, no augmentation"
    )

    @property
    def settings(self) -> Settings:
        """Queries, tokens, rates, batch and steps."""
        return self.what.efficient

    def make_head(self, width: int, n_classes: int) -> nn.Module:
        """Build pooling and classifier.

        Raises:
            ValueError: d_out does not divide the width.
        """
        shrink = self.settings.shrink
        queries = divisor_of(width // shrink, self.settings.queries)
        pool = EfficientProbe(width, queries, shrink)
        return nn.Sequential(pool, *classifier(width // shrink, n_classes))
