# SPDX-License-Identifier: Apache-2.0
"""How far a score would move with other test images: percentile bootstrap over images."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int

LEVEL = 0.95

Indices = Int[np.ndarray, " n"]
Values = Float[np.ndarray, " m"]


@dataclass(frozen=True)
class Estimates:
    """Scores with their intervals; not a number where a score is undefined."""

    values: Values
    low: Values
    high: Values
    n: int
    """Images that were scored."""
    of: Callable[[Indices], "Estimates"] = field(repr=False, compare=False)
    """The same scores, from some of these images alone."""


def bootstrap(
    statistic: Callable[[Indices], Values], n: int, resamples: int, seed: int
) -> Estimates:
    """Compute statistics of n images, and the 95 % interval of each.

    Args:
        statistic: from indices of images, with repetition, to one or more scores.
        n: test images.
        resamples: draws of n images with replacement.
        seed: of the draws; equal seeds draw equal images, so encoders see the same ones.

    Source: Efron 1979, the percentile interval. Differs: resamples in which a score is
    undefined (a class drew no image) are left out of that score's interval. One image
    has no interval.
    """

    def some(images: Indices) -> Estimates:
        return bootstrap(lambda drawn: statistic(images[drawn]), len(images), resamples, seed)

    values = statistic(np.arange(n))
    if n < 2:
        unknown = np.full_like(values, np.nan)
        return Estimates(values, unknown, unknown, n, some)
    rng = np.random.default_rng(seed)
    draws = np.stack([statistic(rng.integers(0, n, size=n)) for _ in range(resamples)])
    # A column without any number would make nanquantile warn; zeros stand in and are blanked.
    hollow = np.isnan(draws).all(axis=0)
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(np.where(hollow, 0.0, draws), (tail, 1 - tail), axis=0)
    low, high = (np.where(hollow, np.nan, ends) for ends in (low, high))
    return Estimates(values, low, high, n, some)


def deviation(values: Float[np.ndarray, " S"]) -> float | None:
    """How far a score moves with the seed (or draw): standard deviation; None for one value."""
    return round(float(values.std(ddof=1)), 6) if len(values) > 1 else None
