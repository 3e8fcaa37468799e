# SPDX-License-Identifier: Apache-2.0
"""Which patches are seen: random ones or cells, or grown from seeds by similarity.

All choices are made image by image from explicit numbers and keep exactly the count asked for.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from rspipe.errors import RecipeError
from rspipe.models.encoder import gather_tokens
from rspipe.objectives.draws import Draws


def count_share(patches: int, share: float) -> int:
    """Count the patches of a share, rounded down.

    >>> count_share(196, 1 - 0.85)
    29
    """
    # 1 - 0.85 is a little more than 0.15, and 100 * 0.29 a little less than 29.
    return int(patches * share + 1e-6)


def keep_smallest(noise: Float[Tensor, "B N"], count: int) -> Int[Tensor, "B K"]:
    """Pick, per image, the `count` patches with the smallest noise.

    Source: He et al. 2022, arXiv:2111.06377, sec. 3, "Simple implementation".
    """
    return noise.argsort(dim=1, stable=True)[:, :count]


def others(ids: Int[Tensor, "B K"], patches: int) -> Int[Tensor, "B M"]:
    """List the patches that are not in `ids`, ascending."""
    listed = torch.zeros(len(ids), patches, dtype=torch.uint8, device=ids.device)
    listed.scatter_(1, ids, 1)
    return listed.argsort(dim=1, stable=True)[:, : patches - ids.shape[1]]


def disjoint_views(patches: int, kept: int, always: int, views: int) -> Int[Tensor, "views K"]:
    """Say which ranks of a random order of the patches each of several views sees.

    The first `always` ranks are seen by every view. Of the others each view sees the next
    stretch, going round: so a view hides what the views before it saw, and no rank is seen twice
    before all have been seen. Ranks that some view hides, of two or more:
    min(patches - always, views * (patches - kept)).

    Args:
        patches: ranks, N.
        kept: what each view sees, K.
        always: 0 where every patch shall be predicted; at most K.
        views: how many.

    Source: DMJD, arXiv:2301.00230, "disjoint masking", whose released code has two views; more
        than two are ours.
    """
    stretch = kept - always
    start = torch.arange(views)[:, None] * stretch
    turning = always + (start + torch.arange(stretch)) % max(1, patches - always)
    return torch.cat([torch.arange(always).expand(views, -1), turning], dim=1)


@dataclass(frozen=True)
class Cells:
    """Squares of patches that are hidden as one.

    Where the grid is no multiple, the cells of its last row and column are smaller. So that every
    image still hides the same number of patches, the cell at the limit may be hidden in part
    (its last patches in row-major order); never so where the grid is a multiple.
    """

    grid: tuple[int, int]
    """Patches down and across."""
    side: int
    """Patches along a side of a cell."""

    @classmethod
    def of(cls, grid: tuple[int, int], patch_px: int, cell_px: int) -> "Cells":
        """Cells of a size in pixels.

        Raises:
            RecipeError: the size is no multiple of a patch.
        """
        if cell_px % patch_px:
            raise RecipeError(
                f"mask_cell_px={cell_px} is no multiple of patch_px={patch_px}; "
                f"use {patch_px * max(1, round(cell_px / patch_px))}"
            )
        return cls(grid, cell_px // patch_px)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells down and across, those cut by the edge included."""
        return -(-self.grid[0] // self.side), -(-self.grid[1] // self.side)

    @property
    def count(self) -> int:
        """Cells of an image."""
        return self.shape[0] * self.shape[1]

    def count_hidden(self, share: float) -> int:
        """Count the patches of a share of the cells, cells and patches rounded up.

        >>> Cells(grid=(14, 14), side=2).count_hidden(0.6)
        120
        """
        cells = math.ceil(self.count * share - 1e-6)
        return -(-self.grid[0] * self.grid[1] * cells // self.count)

    def order(
        self, images: Float[Tensor, "B C H W"], draws: Draws, regions: Tensor | None
    ) -> Float[Tensor, "B N"]:
        """Order patches cell by cell, at random: an `Order` that looks at no pixel."""
        return self.by_noise(draws.uniform(self.count))

    def by_noise(self, noise: Float[Tensor, "B cells"]) -> Float[Tensor, "B N"]:
        """Order patches by the rank of their cell's noise, as numbers in [0, 1)."""
        # Ranks, not noise: two cells with equal noise must not be mixed.
        rank = noise.argsort(dim=1, stable=True).argsort(dim=1, stable=True) / self.count
        wide = rank.reshape(-1, *self.shape).repeat_interleave(self.side, dim=1)
        wide = wide.repeat_interleave(self.side, dim=2)
        return wide[:, : self.grid[0], : self.grid[1]].flatten(1)


@dataclass(frozen=True)
class Mix:
    """Shares of a greedy step that take the nearest, the farthest, and random patches; sum 1."""

    nearest: float
    farthest: float
    random: float

    def counts(self, total: int) -> tuple[int, int, int]:
        """Split `total` patches by the shares, exactly."""
        farthest = round(total * self.farthest)
        random = min(round(total * self.random), total - farthest)
        return total - farthest - random, farthest, random


def mix_at(progress: float, stages: tuple[float, float, float, float]) -> Mix:
    """Say which patches a run takes at this moment: nearest, then farthest, then random.

    Args:
        progress: share of the run that is done, 0..1.
        stages: end of nearest, start of farthest, end of farthest, start of random; in between
            the shares change linearly.

    Source: SelectiveMAE, arXiv:2406.11933, "progressive semantic token selection". Differs: the
        boundaries are shares of the run; the released ones are epochs 280, 300, 580, 600, whose
        shares of its 800 epochs are our default.
    """
    end_near, start_far, end_far, start_random = stages
    away = _ramp(progress, end_near, start_far)
    loose = _ramp(progress, end_far, start_random)
    return Mix(nearest=1 - away, farthest=away * (1 - loose), random=away * loose)


def _ramp(x: float, start: float, end: float) -> float:
    if x <= start:
        return 0.0
    return 1.0 if x >= end else (x - start) / (end - start)


def grow_from_seeds(
    tokens: Float[Tensor, "B N D"],
    seeds: Int[Tensor, "B S"],
    count: int,
    mix: Mix,
    noise: Float[Tensor, "B N"],
    barred: Bool[Tensor, "B N"] | None = None,
) -> Int[Tensor, "B K"]:
    """Add patches to the seeds in two greedy steps, the second seeing what the first added.

    Args:
        tokens: patch plus position embedding; no gradient is taken.
        seeds: patches that are in from the start.
        count: patches in the end, seeds included, K.
        mix: what a step takes. Near and far are by the largest cosine similarity to any patch
            that is already in.
        noise: one draw per patch, for the random share.
        barred: patches that must not be added; enough others must be left.

    Returns:
        Seeds first, then the added patches in the order they came.

    Source: SelectiveMAE, arXiv:2406.11933, "progressive semantic token selection". Differs: the
        random share is drawn image by image, and by patch, not by rank of similarity.
    """
    unit = F.normalize(tokens.detach().float(), dim=-1)
    taken = torch.zeros_like(noise, dtype=torch.bool) if barred is None else barred
    taken = taken.scatter(1, seeds, value=True)
    chosen = seeds
    added = count - seeds.shape[1]
    for size in (added // 2, added - added // 2):
        similarity = (unit @ gather_tokens(unit, chosen).transpose(1, 2)).amax(dim=2)
        new = _pick(similarity, taken, mix.counts(size), noise)
        chosen, taken = torch.cat([chosen, new], dim=1), taken.scatter(1, new, value=True)
    return chosen


def _pick(
    similarity: Float[Tensor, "B N"],
    taken: Bool[Tensor, "B N"],
    counts: tuple[int, int, int],
    noise: Float[Tensor, "B N"],
) -> Int[Tensor, "B A"]:
    """Pick new patches: farthest, nearest, then random ones of the rest."""
    near, far, random = counts
    inf = float("inf")
    # Both ascending, so that the order within a step is that of the released code.
    farthest = keep_smallest(similarity.masked_fill(taken, inf), far)
    nearest = similarity.masked_fill(taken, -inf).argsort(dim=1, stable=True)
    nearest = nearest[:, nearest.shape[1] - near :]
    taken = taken.scatter(1, farthest, value=True).scatter(1, nearest, value=True)
    drawn = keep_smallest(noise.masked_fill(taken, inf), random)
    return torch.cat([farthest, nearest, drawn], dim=1)
