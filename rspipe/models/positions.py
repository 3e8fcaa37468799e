# SPDX-License-Identifier: Apache-2.0
"""Positions of patches: fixed 2-D sine-cosine ones for any grid, and any table at another grid."""

import torch
from jaxtyping import Float
from timm.layers import resample_abs_pos_embed
from torch import Tensor


def sincos_positions(width: int, grid: tuple[int, int]) -> Float[Tensor, "1 T D"]:
    """Code the place of each patch; the class token, first in the row, has position zero.

    The first half of the width codes the column, the second the row; each half is sines, then
    cosines, of frequencies falling from 1 to 1/10000.

    Args:
        width: a multiple of 4.
        grid: patches down and across.

    Raises:
        ValueError: width is no multiple of 4.

    Source: Vaswani et al. 2017, sec. 3.5, in two dimensions as in He et al. 2022,
        arXiv:2111.06377, app. A. Same order of halves as the released weights.
    """
    if width % 4:
        raise ValueError(f"width={width}: 2-D sine-cosine positions need a multiple of 4")
    rows, columns = grid
    # float64: the released tables were made in double precision.
    frequency = 10000.0 ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    y, x = torch.meshgrid(
        torch.arange(rows, dtype=torch.float64),
        torch.arange(columns, dtype=torch.float64),
        indexing="ij",
    )
    angles_x, angles_y = (axis.reshape(-1, 1) * frequency for axis in (x, y))
    patches = torch.cat([angles_x.sin(), angles_x.cos(), angles_y.sin(), angles_y.cos()], dim=1)
    return torch.cat([torch.zeros(1, width), patches.float()])[None]


def resize_positions(
    table: Float[Tensor, "1 T D"], grid: tuple[int, int], new_grid: tuple[int, int]
) -> Float[Tensor, "1 S D"]:
    """Interpolate a table of positions to another grid; the class token's, its first, is kept.

    Bicubic with antialiasing, as timm does it when it loads weights at another size. Where both
    tables are the fixed code of `sincos_positions`, the interpolated one is not the code of the
    new grid: it keeps the old numbers at the old places, which is what the weights know.

    Args:
        table: class token, then patches in row-major order of `grid`.
        grid: patches down and across that the table is for.
        new_grid: those wanted.

    Raises:
        ValueError: the table is not of that grid.
    """
    if table.shape[1] != 1 + grid[0] * grid[1]:
        raise ValueError(f"{table.shape[1]} positions are not a class token and {grid} patches")
    resized: Tensor = resample_abs_pos_embed(
        table, new_size=list(new_grid), old_size=list(grid), num_prefix_tokens=1
    )
    return resized
