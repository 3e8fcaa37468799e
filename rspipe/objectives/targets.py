# SPDX-License-Identifier: Apache-2.0
"""What is predicted: the pixels of a patch, standardised or not."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor

Normalise = Literal["patch", "patch_band", "none"]
"""Whether a patch's pixels are standardised as a target. patch: all its values together, as the
papers do. patch_band: each band by itself, which is what bands of different range need; over all
together, a band of large range hides the structure of the others. none: left as the encoder reads
them."""

_EPS = 1e-6


def patch_statistics(
    patches: Float[Tensor, "B N P"], bands: int = 1
) -> tuple[Float[Tensor, "B N #P"], Float[Tensor, "B N #P"]]:
    """Mean and standard deviation that each value of a patch is standardised by.

    Args:
        patches: values in the order row, column, band.
        bands: bands that get statistics of their own; 1: all values together.

    Returns:
        Both; per value where there are bands. Unbiased variance, 1e-6 added.

    Source: He et al. 2022, arXiv:2111.06377, sec. 3, "Reconstruction target"; bands are ours.
    """
    values = patches.reshape(*patches.shape[:2], -1, bands)
    mean, variance = values.mean(dim=2), values.var(dim=2)
    times = values.shape[2] if bands > 1 else 1
    return mean.repeat(1, 1, times), (variance + _EPS).sqrt().repeat(1, 1, times)
