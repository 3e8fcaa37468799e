# SPDX-License-Identifier: Apache-2.0
"""Where a cell of the map lies relative to a query's box, as a bias of attention (BoxRPB)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn


class BoxBias(nn.Module):
    """A bias for each head, query and cell, from the cell's distances to the box's four edges.

    The centre of cell (i, j) is at p = ((j + 1/2) s, (i + 1/2) s) for a stride of s px. Two small
    networks read (x0 - p_x, x1 - p_x) and (y0 - p_y, y1 - p_y); their sum is the bias, so the
    cost grows with h + w and not with h w.

    Source: Lin et al. 2023 (Plain DETR), arXiv:2308.01904, sec. 4.1.
    """

    def __init__(self, heads: int, hidden: int, scale: Literal["linear", "log8"]) -> None:
        """Make both networks.

        Args:
            heads: of the attention.
            hidden: width inside.
            scale: distances in pixels, or sign(d) log2(|d| + 1) / log2(8) of them.
        """
        super().__init__()
        self.scale = scale
        self.across, self.down = (
            nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, heads, bias=False))
            for _ in range(2)
        )

    def forward(
        self, boxes: Float[Tensor, "B Q 4"], grid: tuple[int, int], stride_px: float
    ) -> Float[Tensor, "B heads Q N"]:
        """Bias of N = h w cells, row after row.

        Args:
            boxes: x0, y0, x1, y1 in pixels.
            grid: cells down and across.
            stride_px: pixels per cell.
        """
        y, x = (
            (torch.arange(n, dtype=boxes.dtype, device=boxes.device) + 0.5) * stride_px
            for n in grid
        )
        along_x = self.across(self._scaled(boxes[:, :, None, 0::2] - x[:, None]))
        along_y = self.down(self._scaled(boxes[:, :, None, 1::2] - y[:, None]))
        bias: Tensor = along_y[:, :, :, None] + along_x[:, :, None]  # B Q h w heads
        return bias.flatten(2, 3).permute(0, 3, 1, 2)

    def _scaled(self, distances: Float[Tensor, "*d"]) -> Float[Tensor, "*d"]:
        if self.scale == "linear":
            return distances
        return distances.sign() * (distances.abs() + 1).log2() / 3
