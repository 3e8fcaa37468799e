# SPDX-License-Identifier: Apache-2.0
"""Attentive probing: one learned query, several heads, keys and values."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rspipe.evaluate.classification.probes.gradient import TokenProbe, classifier, divisor_of
from rspipe.evaluate.classification.probes.pooling import TokenPool, attention_of, pool_slices
from rspipe.evaluate.config import AttentiveProbing as Settings


class AttentiveProbe(TokenPool):
    """Pool tokens by multi-head cross-attention of one learned query, in AIM's form.

    Tokens are standardised by a BatchNorm without gain; keys and values are linear without bias;
    there is neither a query nor an output projection, no residual and no MLP.

    Args:
        width: D of the tokens.
        heads: of attention.

    Raises:
        ValueError: the heads do not divide D.

    Source: El-Nouby et al. 2024 (AIM), arXiv:2401.08541, sec. 4 and app. B; CAE's probe (Chen
    et al. 2022, arXiv:2202.03026) has query and output projections besides. Differs: a key
    matrix acts on tokens only through the query, so both are joined before they meet the
    tokens (u_h = W_K,hᵀ q_h): the same numbers.
    """

    def __init__(self, width: int, heads: int = 12) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"{heads} heads do not divide {width} channels; choose others")
        self.heads = heads
        self.norm = nn.BatchNorm1d(width, eps=1e-6, affine=False)
        self.query = nn.Parameter(torch.randn(1, width) * 0.02)
        self.key_weight = nn.Parameter(torch.empty(width, width))
        self.value_weight = nn.Parameter(torch.empty(width, width))
        for weight in (self.key_weight, self.value_weight):
            nn.init.kaiming_uniform_(weight, a=5**0.5)

    def attention(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B H N"]:
        """Weigh the tokens for each head; the weights of a head add up to 1."""
        return self._attention(self._standardised(tokens))

    def forward(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B D"]:
        """Pool tokens into one vector per image."""
        tokens = self._standardised(tokens)
        return pool_slices(tokens, self._attention(tokens), self.value_weight)

    def _attention(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B H N"]:
        keys = self.key_weight.reshape(self.heads, -1, tokens.shape[-1])
        joined = torch.einsum("hcd,hc->hd", keys, self.query.reshape(self.heads, -1))
        return attention_of(tokens, joined, (tokens.shape[-1] // self.heads) ** -0.5)

    def _standardised(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B N D"]:
        standardised: Tensor = self.norm(tokens.flatten(0, 1))
        return standardised.reshape(tokens.shape)


class AttentiveProbing(TokenProbe):
    """AttentiveProbe, batch normalisation and one linear layer, on patch tokens.

    Source: El-Nouby et al. 2024 (AIM), arXiv:2401.08541. Differs: a normalisation before the
    linear layer, as in the other probes here; see `gradient.py`.
    """

    name: ClassVar[str] = "attentive"
    rule: ClassVar[str] = (
        "attentive probing (AIM's form: one query, keys and values) of patch tokens, LARS, last "
        "step, rate chosen on validation images, trained again on train and validation; features "
        "cached, no augmentation"
    )

    @property
    def settings(self) -> Settings:
        """Heads, tokens, rates, batch and steps."""
        return self.what.attentive

    def make_head(self, width: int, n_classes: int) -> nn.Module:
        """Build pooling and classifier."""
        pool = AttentiveProbe(width, divisor_of(width, self.settings.heads))
        return nn.Sequential(pool, *classifier(width, n_classes))
