# SPDX-License-Identifier: Apache-2.0
"""The best and the worst few of a stream of test images, held without the others."""

import math
from bisect import insort
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from rspipe.evaluate.base import N_EXAMPLES

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class Extreme(Generic[Kept]):
    """An image at one end."""

    rank: Literal["best", "worst"]
    score: float
    value: Kept


@dataclass(order=True)
class _Placed(Generic[Kept]):
    key: tuple[float, ...]
    score: float = field(compare=False)
    value: Kept = field(compare=False)


class Extremes(Generic[Kept]):
    """Half of the pictures show the best images, half the worst, and none is shown twice.

    An image with less than two things in it says little, even if all of it is right: as best it
    is shown only where others are too few. Ties go to the image with more in it, then to the
    one that came first. Memory is that of what is shown, and of as many again.

    Args:
        most: pictures.
    """

    def __init__(self, most: int = N_EXAMPLES) -> None:
        self._most = most
        self._best: list[_Placed[Kept]] = []
        self._worst: list[_Placed[Kept]] = []
        self._seen = 0

    def add(self, score: float, things: int, value: Kept) -> None:
        """Look at an image.

        Args:
            score: higher is better; an image without one (not a number) is not shown.
            things: in it: classes, or objects.
            value: what to keep of it.
        """
        if math.isnan(score):
            return
        place = float(self._seen)
        self._seen += 1
        for held, key in (
            (self._best, (-min(things, 2), -score, -things, place)),
            (self._worst, (score, -things, place)),
        ):
            insort(held, _Placed(key, score, value))
            del held[self._most :]

    def shown(self) -> list[Extreme[Kept]]:
        """The best, best first, then the worst, worst first."""
        best = self._best[: (self._most + 1) // 2]
        taken = {one.key[-1] for one in best}
        worst = [one for one in self._worst if one.key[-1] not in taken]
        return [
            *(Extreme("best", one.score, one.value) for one in best),
            *(Extreme("worst", one.score, one.value) for one in worst[: self._most - len(best)]),
        ]
