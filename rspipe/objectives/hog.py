# SPDX-License-Identifier: Apache-2.0
"""Histograms of oriented gradients: how much structure a patch has, and which."""

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

BINS = 9


def hog_cells(images: Float[Tensor, "B C H W"], cell_px: int) -> Float[Tensor, "B C h w bins"]:
    """Average the gradient magnitude of each cell by unsigned orientation.

    Each pixel votes for one of 9 bins of 20 degrees; no block normalisation. A cell that would
    reach over the edge is left out.

    Source: Dalal & Triggs 2005, sec. 6; as a target, Wei et al. 2022, arXiv:2112.09133.
    """
    dy, dx = _gradient(images)
    bin_of = (torch.atan2(dy, dx) / math.pi * BINS).floor().long() % BINS
    votes = torch.hypot(dx, dy)
    # Bin by bin: all votes at once would take nine times the memory of the images.
    bins = [F.avg_pool2d(votes * (bin_of == k), cell_px) for k in range(BINS)]
    return torch.stack(bins, dim=-1)


def hog_cell_px(patch_px: int) -> int:
    """Side of the cells of a target: 8 px; half a patch, or all of it, where 8 does not divide it.

    >>> [hog_cell_px(patch_px) for patch_px in (16, 8, 14, 7)]
    [8, 8, 7, 7]
    """
    if patch_px % 8 == 0:
        return 8
    return patch_px // 2 if patch_px % 2 == 0 else patch_px


def hog_target(pixels: Float[Tensor, "B C H W"], patch_px: int) -> Float[Tensor, "B N T"]:
    """Describe each patch by the histograms of its cells, band by band.

    Args:
        pixels: in grey levels, 0..255; another factor matters only where there is no contrast.
        patch_px: sides are multiples of it.

    Returns:
        The 9 bins of each cell and band standardised (biased variance, 1e-5 added), 0 where there
        is no gradient; in the order cell row, cell column, bin, band. 36 values per band for a
        patch of 16 px.

    Source: DMJD, arXiv:2301.00230, "HOG target" as in its released code, with which it agrees to
        1e-5; Wei et al. 2022, arXiv:2112.09133.
    """
    cell_px = hog_cell_px(patch_px)
    cells = F.layer_norm(hog_cells(pixels, cell_px), (BINS,))
    batch, bands, height, width, _ = cells.shape
    n = patch_px // cell_px
    blocks = cells.reshape(batch, bands, height // n, n, width // n, n, BINS)
    patches = blocks.permute(0, 2, 4, 3, 5, 6, 1)
    return patches.reshape(batch, (height // n) * (width // n), n * n * BINS * bands)


def hog_glyphs(target: Float[Tensor, "B M T"], patch_px: int) -> Float[Tensor, "B M p p"]:
    """Draw what `hog_target` says as strokes along the edges, bands averaged, 0..1.

    Source: Dalal & Triggs 2005, fig. 6: a stroke per bin, across its gradient; here as bright as
        the bin is above the cell's mean.
    """
    cell_px = hog_cell_px(patch_px)
    n = patch_px // cell_px
    bins = target.reshape(*target.shape[:2], n, n, BINS, -1).mean(dim=-1).relu()
    strokes = _strokes(cell_px).to(target.device)
    cells = (bins[..., None, None] * strokes).sum(dim=4)
    # One full bin among nine is (1 - 1/9) / std = 2.83 above the mean.
    picture = cells.transpose(3, 4).reshape(*target.shape[:2], patch_px, patch_px) / 2.83
    return picture.clamp(0, 1)


def _strokes(cell_px: int) -> Float[Tensor, "bins c c"]:
    """A line through the middle of a cell per bin, at right angles to the bin's gradient."""
    place = torch.arange(cell_px) - (cell_px - 1) / 2
    angle = (torch.arange(BINS) + 0.5)[:, None, None] * math.pi / BINS
    away = (place * angle.cos() + place[:, None] * angle.sin()).abs()
    return (1.25 - away).clamp(0, 1)


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
