# SPDX-License-Identifier: Apache-2.0
"""The decoder of Plain DETR: queries ask each other, then the whole map."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from rspipe.evaluate.detection.horizontal.box_bias import BoxBias
from rspipe.evaluate.detection.horizontal.settings import PlainDETRSettings


class CrossAttention(nn.Module):
    """Attention of queries to cells, with an additive bias: softmax(QK'/sqrt(d) + bias) V."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(
        self,
        queries: Float[Tensor, "B Q D"],
        keys: Float[Tensor, "B N D"],
        values: Float[Tensor, "B N D"],
        bias: Float[Tensor, "B heads Q N"],
    ) -> Float[Tensor, "B Q D"]:
        """Read the map."""
        q, k, v = (
            layer(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer, x in ((self.query, queries), (self.key, keys), (self.value, values))
        )
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        found: Tensor = self.out(read.transpose(1, 2).flatten(2))
        return found


class DecoderLayer(nn.Module):
    """Self-attention, cross-attention and a feed-forward network, norms before each.

    Source: Lin et al. 2023 (Plain DETR), arXiv:2308.01904, sec. 4.
    """

    def __init__(
        self, settings: PlainDETRSettings, grid: tuple[int, int], stride_px: float
    ) -> None:
        """Make a layer for maps of one size.

        Args:
            settings: widths and heads.
            grid: cells of the map, down and across.
            stride_px: pixels per cell.
        """
        super().__init__()
        self.grid, self.stride_px = grid, stride_px
        width, heads = settings.width, settings.heads
        self.among = nn.MultiheadAttention(width, heads, batch_first=True)
        self.across = CrossAttention(width, heads)
        self.bias = BoxBias(heads, settings.bias_hidden, settings.bias_scale)
        self.forward_net = nn.Sequential(
            nn.Linear(width, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, width)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))

    def forward(
        self,
        x: Float[Tensor, "B Q D"],
        places: Float[Tensor, "B Q D"],
        boxes: Float[Tensor, "B Q 4"],
        apart: Bool[Tensor, "Q Q"] | None,
        cells: tuple[Float[Tensor, "B N D"], Float[Tensor, "B N D"]],
    ) -> Float[Tensor, "B Q D"]:
        """Update queries.

        Args:
            x: the queries.
            places: added where they ask.
            boxes: x0, y0, x1, y1 in pixels, one for each query.
            apart: True where one query must not see another.
            cells: keys and values of the map.
        """
        bias = self.bias(boxes, self.grid, self.stride_px)
        y = self.norms[0](x)
        x = x + self.among(y + places, y + places, y, attn_mask=apart, need_weights=False)[0]
        x = x + self.across(self.norms[1](x) + places, *cells, bias)
        updated: Tensor = x + self.forward_net(self.norms[2](x))
        return updated


def groups_apart(sizes: tuple[int, int], device: torch.device) -> Bool[Tensor, "Q Q"]:
    """Mask two groups of queries from each other: True where one must not see the other."""
    group = torch.arange(2, device=device).repeat_interleave(torch.tensor(sizes, device=device))
    return group[:, None] != group[None]
