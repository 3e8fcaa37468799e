"""Histograms of oriented gradients: how much structure a patch has."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

BINS = 9


def hog_cells(images: Float[Tensor, "B C H W"], cell_px: int) -> Float[Tensor, "B C h w bins"]:
    """Average the gradient magnitude of each cell by unsigned orientation.

    Each pixel votes for one of 9 bins of 20 degrees; no block normalisation.

    Source: Dalal & Triggs 2005, sec. 6; as a target, Wei et al. 2022, arXiv:2112.09133.
    """
    batch, bands, height, width = images.shape
    dy, dx = _gradient(images)
    bin_of = (torch.atan2(dy, dx) / math.pi * BINS).floor().long() % BINS
    votes = dx.new_zeros(batch, bands, BINS, height, width)
    votes.scatter_(2, bin_of[:, :, None], torch.hypot(dx, dy)[:, :, None])
    cells = F.avg_pool2d(votes.flatten(1, 2), cell_px)
    return cells.reshape(batch, bands, BINS, *cells.shape[2:]).permute(0, 1, 3, 4, 2)


def hog_scores(images: Float[Tensor, "B C H W"], patch_px: int) -> Float[Tensor, "B N"]:
    """Score each patch by its mean HOG, in standard deviations from the image's mean patch.

    Textured patches score above flat ones; an image without structure scores 0 everywhere. The
    mean over the bins is the mean gradient magnitude / 9, so no histogram has to be made.

    Source: SelectiveMAE, arXiv:2406.11933, partial reconstruction. Differs: the paper's formula
        is not known to us, and the released code standardises each patch over its own bins, so
        that every patch scores 0. We standardise over the patches of the image.
    """
    magnitude = torch.hypot(*_gradient(images)).mean(dim=1, keepdim=True)
    mean = F.avg_pool2d(magnitude, patch_px).flatten(1) / BINS
    centred = mean - mean.mean(dim=1, keepdim=True)
    return centred / centred.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-6)


def _gradient(
    images: Float[Tensor, "B C H W"],
) -> tuple[Float[Tensor, "B C H W"], Float[Tensor, "B C H W"]]:
    """Central differences down and across (not halved), with mirrored edges."""
    padded = F.pad(images.float(), (1, 1, 1, 1), mode="reflect")
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    return down, across
