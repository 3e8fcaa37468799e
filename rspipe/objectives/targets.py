"""What is predicted: the pixels of a patch."""

from jaxtyping import Float
from torch import Tensor

_EPS = 1e-6


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


def patch_statistics(
    patches: Float[Tensor, "B N P"],
) -> tuple[Float[Tensor, "B N 1"], Float[Tensor, "B N 1"]]:
    """Mean and standard deviation of each patch over all its values; unbiased variance.

    Source: He et al. 2022, arXiv:2111.06377, sec. 3, "Reconstruction target".
    """
    mean = patches.mean(dim=2, keepdim=True)
    return mean, (patches.var(dim=2, keepdim=True) + _EPS).sqrt()
