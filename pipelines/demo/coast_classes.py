# SPDX-License-Identifier: Apache-2.0
"""Names the scene class of a tile from its topology and shape, never from its colour.

A tile is cut in connected bodies of land (8-neighbours) and of sea (4-neighbours). How many
there are, which of them touch the border of the tile and how hollow they are decides:

| class       | land bodies                          | sea bodies | shape                      |
|-------------|--------------------------------------|------------|----------------------------|
| coast       | one, from the border                 | one        | both nearly convex         |
| peninsula   | one, from the border                 | one        | the sea wraps around land  |
| bay         | one, from the border                 | one        | the land wraps around sea  |
| strait      | two, both from the border            | one        |                            |
| isthmus     | one, from the border                 | two        |                            |
| archipelago | four or more of > 0.3 %              | any        |                            |

Tiles between two classes get none and are not used. There is no class of lakes or of inland
tiles: sea is blue and lakes are black in the picture, so colour alone would name them.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import shapely
from scipy import ndimage

from pipelines.demo.world import LAKE, SEA, Pixels

CLASSES = ("archipelago", "bay", "coast", "isthmus", "peninsula", "strait")

MIN_LAND_SHARE, MAX_LAND_SHARE = 0.15, 0.80
MAX_LAKE_SHARE = 0.03
MIN_BODY_SHARE = 0.02
"""A body below this share of the tile does not count as a body."""
MIN_ARCHIPELAGO_BODIES = 4
MIN_ARCHIPELAGO_BODY_SHARE = 0.003
MIN_SECOND_BODY_SHARE = 0.05
"""The smaller shore of a strait, the smaller sea of an isthmus."""
MAX_STRAY_SHARE = 0.04
"""Land in other places than the bodies which give the class."""
NEARLY_CONVEX = 0.86
HOLLOW = 0.80
HOLLOW_MARGIN = 0.08

Mask: TypeAlias = npt.NDArray[np.bool_]

EIGHT_NEIGHBOURS = np.ones((3, 3), dtype=int)


@dataclass(frozen=True)
class Bodies:
    """Connected bodies of a mask; index 0 is everything else and has share 0."""

    labels: npt.NDArray[np.signedinteger]
    shares: npt.NDArray[np.float64]
    from_border: Mask

    @classmethod
    def from_mask(cls, mask: Mask, structure: npt.NDArray[np.int_] | None) -> "Bodies":
        """Label the True pixels of a mask; `structure` says who is a neighbour."""
        labels, count = ndimage.label(mask, structure)
        shares = np.bincount(labels.ravel(), minlength=count + 1) / mask.size
        shares[0] = 0.0
        from_border = np.zeros(count + 1, dtype=bool)
        for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
            from_border[edge] = True
        from_border[0] = False
        return cls(labels, shares, from_border)

    def count(self, min_share: float = MIN_BODY_SHARE) -> int:
        """How many bodies have at least this share of the tile."""
        return int((self.shares >= min_share).sum())

    def second_share(self) -> float:
        """Share of the second largest body, 0 if there is none."""
        return float(np.sort(self.shares)[-2]) if len(self.shares) > 2 else 0.0

    def largest(self) -> Mask:
        """Pixels of the largest body."""
        return np.asarray(self.labels == self.shares.argmax())


def solidity(body: Mask) -> float:
    """Area of a body over the area of its convex hull, 0..1; 1 is convex."""
    rows = np.flatnonzero(body.any(axis=1))
    left = body[rows].argmax(axis=1)
    right = body.shape[1] - body[rows, ::-1].argmax(axis=1)
    # The hull of the outer corners of each row's first and last pixel is the body's hull.
    corners = [(x, y) for x in (left, right) for y in (rows, rows + 1)]
    points = np.concatenate([np.stack(corner, axis=1) for corner in corners]).astype(float)
    hull = shapely.convex_hull(shapely.multipoints(points))
    return float(body.sum() / shapely.area(hull))


def classify(cover: Pixels) -> str | None:
    """The scene class of a tile's cover mask, None if it shows none of them clearly."""
    sea = cover == SEA
    if not MIN_LAND_SHARE <= 1 - sea.mean() <= MAX_LAND_SHARE:
        return None
    if (cover == LAKE).mean() > MAX_LAKE_SHARE:
        return None
    return classify_shore(
        Bodies.from_mask(~sea, EIGHT_NEIGHBOURS), Bodies.from_mask(sea, structure=None)
    )


def classify_shore(land: Bodies, sea: Bodies) -> str | None:
    """The class of a tile with both land and sea."""
    if land.count(MIN_ARCHIPELAGO_BODY_SHARE) >= MIN_ARCHIPELAGO_BODIES:
        return "archipelago"
    if land.shares[~land.from_border].sum() > MAX_STRAY_SHARE:
        return None
    match land.count(), sea.count():
        case 2, 1 if land.second_share() >= MIN_SECOND_BODY_SHARE:
            return "strait"
        case 1, 2 if sea.second_share() >= MIN_SECOND_BODY_SHARE:
            return "isthmus"
        case 1, 1:
            return classify_shore_line(solidity(land.largest()), solidity(sea.largest()))
        case _:
            return None


def classify_shore_line(land_solidity: float, sea_solidity: float) -> str | None:
    """The class of a tile with one land body and one sea body, by which of them is hollow."""
    if min(land_solidity, sea_solidity) >= NEARLY_CONVEX:
        return "coast"
    if sea_solidity < HOLLOW and land_solidity - sea_solidity > HOLLOW_MARGIN:
        return "peninsula"
    if land_solidity < HOLLOW and sea_solidity - land_solidity > HOLLOW_MARGIN:
        return "bay"
    return None
