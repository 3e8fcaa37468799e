"""What is predicted: the pixels of a patch, standardised."""

from jaxtyping import Float
from torch import Tensor

_EPS = 1e-6


def patch_statistics(
    patches: Float[Tensor, "B N P"],
) -> tuple[Float[Tensor, "B N 1"], Float[Tensor, "B N 1"]]:
    """Mean and standard deviation of each patch over all its values; unbiased variance.

    Source: He et al. 2022, arXiv:2111.06377, sec. 3, "Reconstruction target".
    """
    mean = patches.mean(dim=2, keepdim=True)
    return mean, (patches.var(dim=2, keepdim=True) + _EPS).sqrt()
