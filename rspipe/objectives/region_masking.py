# SPDX-License-Identifier: Apache-2.0
"""Region-consistent masking: any objective, with one region of each image wholly hidden.

A wrapper that changes nothing but the order in which patches become visible. So the weights, the
loss, the cost and the learning rate are those of the objective it is put on.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from rspipe.errors import RecipeError
from rspipe.objectives.base import Objective
from rspipe.objectives.draws import Draws
from rspipe.objectives.superpixels import count_segments, superpixels
from rspipe.objectives.table import MethodConfig
from rspipe.recipe import Strict

# So that memory is bounded where a map numbers every object.
_MOST_REGIONS = 64


class RegionMaskingConfig(Strict):
    """Which objective, and what a region is."""

    name: Literal["region_masking"] = "region_masking"
    base: MethodConfig
    regions: Literal["superpixels", "masks"] = "superpixels"
    """superpixels: made from the image. masks: the corpus's label maps, one region per value; of
    more than 64 values in an image, the largest count as no region. An image without a region of
    usable area is masked at random."""
    min_share: float = Field(default=0.02, gt=0, lt=1)
    """Smallest region that may be wholly hidden, as share of the patches. The largest is what the
    objective leaves hidden in all views."""
    segments: int = Field(default=16, gt=1)
    """Superpixels of an image, about."""
    compactness: float = Field(default=0.5, gt=0)
    """Distance between seeds of superpixels, in standard deviations of colour."""
    rounds: int = Field(default=5, gt=0)
    """Rounds of clustering."""


def mask_by_region(objective: Objective, config: RegionMaskingConfig) -> Objective:
    """Give an objective an order by regions; it stays what it is.

    An objective that hides cells (SimMIM, DMJD) now hides patches by region instead. SelectiveMAE
    never sees the hidden region, but chooses among the others by content, not in proportion.

    Raises:
        RecipeError: the objective shows so much of an image that no region could stay hidden.
    """
    encoder = objective.encoder.config
    smallest = max(1, math.ceil(config.min_share * encoder.patches - 1e-6))
    largest = encoder.patches - objective.shown
    if largest < smallest:
        raise RecipeError(
            f"{objective.name} shows {objective.shown} of {encoder.patches} patches, so that no "
            f"region of {smallest} patches can stay hidden; raise what.objective.base.mask_ratio, "
            "or take fewer views"
        )
    objective.order = RegionOrder(
        config, encoder.grid, encoder.patch_px, objective.kept, smallest, largest
    )
    objective.needs_regions = config.regions == "masks"
    return objective


@dataclass(frozen=True)
class RegionOrder:
    """An order in which one region comes never, and the others come in proportion.

    Source: FSFM (CRFR-P masking), arXiv:2412.12032, in its released code; superpixels as regions as
        in R-MAE, arXiv:2306.05411. Differs: superpixels or any label map for parts of a face; the
        region is drawn image by image; shares are kept by systematic sampling, so that the count
        is exact without a correction by random patches, and every patch outside the region is as
        likely as another to be seen.
    """

    config: RegionMaskingConfig
    grid: tuple[int, int]
    patch_px: int
    kept: int
    """Patches of a view: of each region, every view shows its share, rounded down or up; only
    nearly so where views have patches in common (DMJD with a predict_ratio below 1)."""
    smallest: int
    """Patches that a region to hide must touch, at least and at most."""
    largest: int

    def __call__(
        self,
        images: Float[Tensor, "B C H W"],
        draws: Draws,
        regions: Int[Tensor, "B H W"] | None,
    ) -> Float[Tensor, "B N"]:
        """Order the patches; infinite: in the hidden region.

        Raises:
            ValueError: label maps are wanted, and none or others than of the images are given.
        """
        counts = self._count_cells(images, regions)
        hidden = self._draw_region(counts[..., :-1] > 0, draws)
        return systematic_order(counts.argmax(dim=2), hidden, self.kept, draws)

    def _count_cells(
        self, images: Float[Tensor, "B C H W"], regions: Int[Tensor, "B H W"] | None
    ) -> Int[Tensor, "B N S+1"]:
        if self.config.regions == "masks":
            if regions is None or regions.shape != images[:, 0].shape:
                found = None if regions is None else tuple(regions.shape)
                raise ValueError(
                    f"region_masking by masks: want label maps of {tuple(images[:, 0].shape)}, "
                    f"found {found}"
                )
            return cells_of_regions(numbered(regions, _MOST_REGIONS), self.grid, _MOST_REGIONS)
        cell_px = self.patch_px // 2 if self.patch_px % 2 == 0 else self.patch_px
        height, width = images.shape[-2] // cell_px, images.shape[-1] // cell_px
        segments = self.config.segments
        labels = superpixels(images, cell_px, segments, self.config.compactness, self.config.rounds)
        return cells_of_regions(labels, self.grid, count_segments(height, width, segments))

    def _draw_region(self, touched: Bool[Tensor, "B N S"], draws: Draws) -> Bool[Tensor, "B N"]:
        """Draw one region of usable area per image; True at the patches it touches."""
        area = touched.sum(dim=1)
        usable = (area >= self.smallest) & (area <= self.largest)
        race = draws.uniform(touched.shape[2]).masked_fill(~usable, float("inf"))
        chosen = race.argmin(dim=1)[:, None, None].expand(-1, touched.shape[1], -1)
        return touched.gather(2, chosen).squeeze(2) & usable.any(dim=1, keepdim=True)


def systematic_order(
    strata: Int[Tensor, "B N"], hidden: Bool[Tensor, "B N"], kept: int, draws: Draws
) -> Float[Tensor, "B N"]:
    """Order patches so that each next `kept` of them hold every stratum in proportion.

    The n patches that are not hidden stand in line, stratum by stratum, at random within one.
    The patch at place i gets (i * kept + start) mod n, start drawn: the smallest `kept` of these
    whole numbers are every (n / kept)-th patch of the line, the next `kept` their neighbours, and
    so on. So a stratum of s patches has s * kept / n of them in each stretch, rounded down or up,
    and every patch is in the first with odds kept / n.

    Args:
        strata: number of the stratum of each patch.
        hidden: patches that get infinity.
        kept: length of a stretch, K; at most the patches that are not hidden.
        draws: places in line, and the start.

    Returns:
        Numbers in (0, 1), or infinity.

    Source: Madow 1949, "On the theory of systematic sampling, II", doi:10.1214/aoms/1177729988.
    """
    count = strata.shape[1]
    by_chance = draws.uniform(count).argsort(dim=1, stable=True)
    last = strata.max() + 1
    sorted_strata = torch.where(hidden, last, strata).gather(1, by_chance)
    line = by_chance.gather(1, sorted_strata.argsort(dim=1, stable=True))
    free = count - hidden.sum(dim=1, keepdim=True)
    start = (draws.uniform(1) * free).long()
    place = torch.arange(count, device=strata.device)
    turn = ((place * kept + start) % free + 0.5) / free
    turn = turn.masked_fill(place >= free, float("inf"))
    return torch.empty_like(turn).scatter_(1, line, turn)


def cells_of_regions(
    labels: Int[Tensor, "B h w"], grid: tuple[int, int], regions: int
) -> Int[Tensor, "B N regions+1"]:
    """Count the cells of each region in each patch; the last count is of cells in no region (-1).

    Args:
        labels: -1, or 0 to below `regions`; its sides are multiples of the grid's.
        grid: patches down and across.
        regions: how many there may be.
    """
    batch, height, width = labels.shape
    rows, columns = grid
    blocks = labels.reshape(batch, rows, height // rows, columns, width // columns)
    cells = blocks.transpose(2, 3).reshape(batch, rows * columns, -1)
    cells = torch.where(cells < 0, regions, cells)
    counts = cells.new_zeros(batch, rows * columns, regions + 1)
    return counts.scatter_add_(2, cells, torch.ones_like(cells))


def numbered(labels: Int[Tensor, "B H W"], most: int) -> Int[Tensor, "B H W"]:
    """Number the values of each map 0, 1, 2 … in their order; below 0, or from `most` on: -1.

    >>> numbered(torch.tensor([[[7, -1], [7, 300]]]), most=64).tolist()
    [[[0, -1], [0, 1]]]
    """
    values, order = labels.long().flatten(1).sort(dim=1, stable=True)
    before = torch.cat([torch.full_like(values[:, :1], -1), values[:, :-1]], dim=1)
    number = ((values != before) & (values >= 0)).cumsum(dim=1) - 1
    number = torch.where(number < most, number, -1)
    return torch.empty_like(number).scatter_(1, order, number).reshape(labels.shape)
