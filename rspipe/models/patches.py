# SPDX-License-Identifier: Apache-2.0
"""Images as rows of patches, and back."""

from jaxtyping import Float
from torch import Tensor


def patchify(images: Float[Tensor, "B C H W"], patch_px: int) -> Float[Tensor, "B N P"]:
    """Cut images into patches in row-major order; a patch lists row, column, band."""
    batch, bands, height, width = images.shape
    h, w = height // patch_px, width // patch_px
    cells = images.reshape(batch, bands, h, patch_px, w, patch_px)
    return cells.permute(0, 2, 4, 3, 5, 1).reshape(batch, h * w, patch_px**2 * bands)


def unpatchify(
    patches: Float[Tensor, "B N P"], grid: tuple[int, int], patch_px: int
) -> Float[Tensor, "B C H W"]:
    """Put patches back in their places: the inverse of `patchify`."""
    batch, _, values = patches.shape
    (h, w), bands = grid, values // patch_px**2
    cells = patches.reshape(batch, h, w, patch_px, patch_px, bands)
    return cells.permute(0, 5, 1, 3, 2, 4).reshape(batch, bands, h * patch_px, w * patch_px)
