"""What is predicted: the pixels of a patch."""

from jaxtyping import Float
from torch import Tensor

_EPS = 1e-6


def patchify(images: Float[Tensor, "B C H W"], patch_px: int) -> Float[Tensor, "B N P"]:
    """Cut images into patches in row-major order; a patch lists row, column, band."""
    tall = images.unflatten(3, (-1, patch_px)).unflatten(2, (-1, patch_px))
    return tall.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def unpatchify(
    patches: Float[Tensor, "B N P"], grid: tuple[int, int], patch_px: int
) -> Float[Tensor, "B C H W"]:
    """Put patches back in their places: the inverse of `patchify`."""
    cells = patches.unflatten(1, grid).unflatten(3, (patch_px, patch_px, -1))
    return cells.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)


def patch_statistics(
    patches: Float[Tensor, "B N P"],
) -> tuple[Float[Tensor, "B N 1"], Float[Tensor, "B N 1"]]:
    """Mean and standard deviation of each patch over all its values; unbiased variance.

    Source: He et al. 2022, arXiv:2111.06377, sec. 3, "Reconstruction target".
    """
    mean = patches.mean(dim=2, keepdim=True)
    return mean, (patches.var(dim=2, keepdim=True) + _EPS).sqrt()
