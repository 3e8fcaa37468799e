# SPDX-License-Identifier: Apache-2.0
"""Decoders that predict patches from encoded ones: by self-attention, cross-attention, or alone."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from timm.layers import Mlp
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from rspipe.models.encoder import block_macs, gather_tokens, initialise, run_block
from rspipe.models.positions import sincos_positions

_NORM_EPS = 1e-6
_MLP_RATIO = 4


class SelfAttentionDecoder(nn.Module):
    """Fill the hidden places with a mask token and let all patches attend to each other.

    Args:
        in_width: width of the encoder, D.
        width: width of the decoder.
        depth: number of blocks.
        heads: attention heads of each block.
        grid: patches down and across.
        out_values: values to predict for each patch.

    Source: He et al. 2022, arXiv:2111.06377, sec. 3, "MAE decoder".
    """

    positions: Tensor
    checkpointed: bool = False
    """Trade time for memory: see `run_block`."""

    def __init__(
        self,
        in_width: int,
        width: int,
        depth: int,
        heads: int,
        grid: tuple[int, int],
        out_values: int,
    ) -> None:
        super().__init__()
        self.embed = nn.Linear(in_width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("positions", sincos_positions(width, grid))
        self.blocks = nn.ModuleList(
            Block(width, heads, _MLP_RATIO, qkv_bias=True, norm_layer=_layer_norm)
            for _ in range(depth)
        )
        self.norm = _layer_norm(width)
        self.predict = nn.Linear(width, out_values)
        initialise(self)

    def forward(
        self, latent: Float[Tensor, "B K+1 D"], ids_keep: Int[Tensor, "B K"]
    ) -> Float[Tensor, "B N P"]:
        """Predict every patch, visible ones included, in the order of the grid."""
        embedded = self.embed(latent)
        class_token, visible = embedded[:, :1], embedded[:, 1:]
        count = self.positions.shape[1] - 1
        places = self.mask_token.to(visible.dtype).expand(len(latent), count, -1)
        index = ids_keep[:, :, None].expand_as(visible)
        x = torch.cat([class_token, places.scatter(1, index, visible)], dim=1) + self.positions
        for block in self.blocks:
            x = run_block(block, x, checkpointed=self.checkpointed)
        patches: Tensor = self.predict(self.norm(x)[:, 1:])
        return patches

    def macs(self, kept: int) -> int:
        """Multiply-accumulates of one image with `kept` visible patches."""
        tokens, width = self.positions.shape[1], self.embed.out_features
        blocks = len(self.blocks) * block_macs(tokens, width, _MLP_RATIO)
        ends = (kept + 1) * self.embed.in_features + (tokens - 1) * self.predict.out_features
        return blocks + ends * width


class CrossAttentionDecoder(nn.Module):
    """Ask the encoded patches about each wanted place; wanted places do not see each other.

    So the cost grows with the number of predicted patches, and a prediction does not depend on
    what else is predicted. Arguments as in SelfAttentionDecoder.

    Source: Fu et al. 2024 (CrossMAE), arXiv:2401.14391, sec. 3.
    """

    positions: Tensor
    checkpointed: bool = False
    """Trade time for memory: see `run_block`."""

    def __init__(
        self,
        in_width: int,
        width: int,
        depth: int,
        heads: int,
        grid: tuple[int, int],
        out_values: int,
    ) -> None:
        super().__init__()
        self.in_width = in_width
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.register_buffer("positions", sincos_positions(width, grid))
        self.blocks = nn.ModuleList(CrossBlock(width, in_width, heads) for _ in range(depth))
        self.norm = _layer_norm(width)
        self.predict = nn.Linear(width, out_values)
        initialise(self)

    def forward(
        self,
        memory: Float[Tensor, "B T D"] | Sequence[Float[Tensor, "B T D"]],
        ids_predict: Int[Tensor, "B M"],
    ) -> Float[Tensor, "B M P"]:
        """Predict the wanted patches, in the order of `ids_predict`.

        Args:
            memory: encoded tokens, class token included; one for all blocks, or one per block.
            ids_predict: the wanted patches.
        """
        memories = [memory] * len(self.blocks) if isinstance(memory, Tensor) else memory
        places = self.positions[:, 1:].expand(len(ids_predict), -1, -1)
        x = self.mask_token + gather_tokens(places, ids_predict)
        for block, seen in zip(self.blocks, memories, strict=True):
            x = run_block(block, x, seen, checkpointed=self.checkpointed)
        predicted: Tensor = self.predict(self.norm(x))
        return predicted

    def macs(self, kept: int, predicted: int) -> int:
        """Multiply-accumulates of one image with `kept` visible and `predicted` wanted patches."""
        width, memory = self.predict.in_features, kept + 1
        projections = (2 + 2 * _MLP_RATIO) * predicted * width**2
        attention = 2 * memory * self.in_width * width + 2 * memory * predicted * width
        ends = predicted * width * self.predict.out_features
        return len(self.blocks) * (projections + attention) + ends


class TokenDecoder(nn.Module):
    """Predict from each token alone: three linear layers with norm and GELU, then one more.

    The last norm has no gain or bias of its own.

    Args:
        in_width: width of the encoder, D.
        width: width of the layers.
        out_values: values to predict for each token.

    Source: DMJD, arXiv:2301.00230, "visible distillation branch" as in its released code.
    """

    def __init__(self, in_width: int, width: int, out_values: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(in_width, width),
            _layer_norm(width),
            nn.GELU(),
            nn.Linear(width, width),
            _layer_norm(width),
            nn.GELU(),
            nn.Linear(width, width),
        )
        self.predict = nn.Linear(width, out_values)
        initialise(self)

    def forward(self, tokens: Float[Tensor, "B K D"]) -> Float[Tensor, "B K T"]:
        """Predict, token by token."""
        hidden = self.layers(tokens)
        normed = F.layer_norm(hidden, hidden.shape[-1:], eps=_NORM_EPS)
        predicted: Tensor = self.predict(normed)
        return predicted

    def macs(self, tokens: int) -> int:
        """Multiply-accumulates of one image."""
        linear = (part for part in self.modules() if isinstance(part, nn.Linear))
        return tokens * sum(part.weight.numel() for part in linear)


class FeatureMix(nn.Module):
    """Give each decoder block its own mix of all encoder layers, normalised.

    Args:
        width: of the encoder, D.
        layers: how many layers are mixed.
        mixes: decoder blocks.

    Source: Fu et al. 2024 (CrossMAE), arXiv:2401.14391, sec. 3, "inter-block attention"; the
        weights start as the released code's really do, by Xavier.
    """

    def __init__(self, width: int, layers: int, mixes: int) -> None:
        super().__init__()
        self.width = width
        self.weights = nn.Linear(layers, mixes, bias=False)
        self.norms = nn.ModuleList(_layer_norm(width) for _ in range(mixes))
        initialise(self)

    def forward(self, layers: Sequence[Float[Tensor, "B T D"]]) -> list[Float[Tensor, "B T D"]]:
        """Mix the layers, in the order of the encoder, once per decoder block."""
        mixed = self.weights(torch.stack(list(layers), dim=-1))
        return [norm(mix) for norm, mix in zip(self.norms, mixed.unbind(-1), strict=True)]

    def macs(self, tokens: int) -> int:
        """Multiply-accumulates of one image."""
        return tokens * self.width * self.weights.weight.numel()


class CrossBlock(nn.Module):
    """Cross-attention, then an MLP, each with a norm before and a residual around it."""

    def __init__(self, width: int, in_width: int, heads: int) -> None:
        super().__init__()
        self.norm1 = _layer_norm(width)
        self.cross_attn = CrossAttention(width, in_width, heads)
        self.norm2 = _layer_norm(width)
        self.mlp = Mlp(width, width * _MLP_RATIO)

    def forward(
        self, x: Float[Tensor, "B M W"], memory: Float[Tensor, "B T D"]
    ) -> Float[Tensor, "B M W"]:
        """Update the queries from the memory."""
        x = x + self.cross_attn(self.norm1(x), memory)
        out: Tensor = x + self.mlp(self.norm2(x))
        return out


class CrossAttention(nn.Module):
    """Multi-head attention whose keys and values come from tokens of another width."""

    def __init__(self, width: int, in_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q = nn.Linear(width, width)
        self.kv = nn.Linear(in_width, 2 * width)
        self.proj = nn.Linear(width, width)

    def forward(
        self, queries: Float[Tensor, "B M W"], memory: Float[Tensor, "B T D"]
    ) -> Float[Tensor, "B M W"]:
        """Attend from each query to the whole memory.

        Source: Vaswani et al. 2017, arXiv:1706.03762, sec. 3.2.
        """
        key, value = self.kv(memory).chunk(2, dim=-1)
        mixed = F.scaled_dot_product_attention(
            self._split(self.q(queries)), self._split(key), self._split(value)
        )
        out: Tensor = self.proj(mixed.transpose(1, 2).flatten(2))
        return out

    def _split(self, x: Float[Tensor, "B T W"]) -> Float[Tensor, "B heads T d"]:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)


def _layer_norm(width: int, **_: object) -> nn.LayerNorm:
    return nn.LayerNorm(width, eps=_NORM_EPS)
