# SPDX-License-Identifier: Apache-2.0
"""Pooling tokens by learned queries: what efficient and attentive probing share.

A query weighs the tokens, and its slice of the value channels is summed with these weights.
The sum is linear in the tokens, so tokens are pooled first and projected afterwards: M pooled
vectors instead of N projected tokens, the same numbers for a small part of the work.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn


class TokenPool(nn.Module, ABC):
    """Makes one vector of an image's tokens, by weights that can be drawn."""

    @abstractmethod
    def attention(self, tokens: Float[Tensor, "B N D"]) -> Float[Tensor, "B M N"]:
        """Weigh the tokens for each query; the weights of a query add up to 1."""


def attention_of(
    tokens: Float[Tensor, "B N D"], queries: Float[Tensor, "M D"], scale: float
) -> Float[Tensor, "B M N"]:
    """Weigh tokens: for each query a softmax over the tokens of their scaled products."""
    return torch.softmax(queries @ tokens.transpose(1, 2) * scale, dim=-1)


def pool_slices(
    tokens: Float[Tensor, "B N D"],
    attention: Float[Tensor, "B M N"],
    value_weight: Float[Tensor, "V D"],
) -> Float[Tensor, "B V"]:
    """Sum the values of all tokens, the m-th slice of V / M channels by the m-th weights.

    Args:
        tokens: of B images.
        attention: weights that add up to 1 over the tokens.
        value_weight: maps a token to its V value channels; M divides V.
    """
    slices = value_weight.reshape(attention.shape[1], -1, value_weight.shape[1])
    return torch.einsum("bmd,mcd->bmc", attention @ tokens, slices).flatten(1)
