"""Fixed 2-D sine-cosine positions, for any grid."""

import torch
from jaxtyping import Float
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
