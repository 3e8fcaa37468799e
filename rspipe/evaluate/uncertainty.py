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
    draws: Values = field(repr=False, compare=False)
    """The first score in each resample; equal n and seed resample equal images, in equal order."""
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
        return Estimates(values, unknown, unknown, n, np.empty(0), some)
    rng = np.random.default_rng(seed)
    draws = np.stack([statistic(rng.integers(0, n, size=n)) for _ in range(resamples)])
    low, high = _ends(draws)
    return Estimates(values, low, high, n, draws[:, 0], some)


def difference(
    first: tuple[float, Values], second: tuple[float, Values]
) -> dict[str, float | None]:
    """Subtract the second score from the first, with the interval of the difference.

    Resamples are paired: what makes an image hard for both moves neither end. So two scores can
    be told apart whose own intervals overlap.

    Args:
        first: a score, and its draws.
        second: likewise, of the same images in the same order, by the same seed.

    Raises:
        ValueError: the numbers of draws differ.
    """
    if len(first[1]) != len(second[1]):
        raise ValueError(f"{len(first[1])} draws cannot be paired with {len(second[1])}")
    low, high = _ends((first[1] - second[1])[:, None])
    said = {"value": first[0] - second[0], "ci_low": low[0], "ci_high": high[0]}
    return {name: None if np.isnan(value) else float(value) for name, value in said.items()}


def _ends(draws: Float[np.ndarray, "resamples m"]) -> tuple[Values, Values]:
    """Percentiles of each column, undefined values left out."""
    # A column without any number would make nanquantile warn; zeros stand in and are blanked.
    hollow = np.isnan(draws).all(axis=0)
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(np.where(hollow, 0.0, draws), (tail, 1 - tail), axis=0)
    return np.where(hollow, np.nan, low), np.where(hollow, np.nan, high)


def deviation(values: Float[np.ndarray, " S"]) -> float | None:
    """How far a score moves with the seed (or draw): standard deviation; None for one value."""
    return round(float(values.std(ddof=1)), 6) if len(values) > 1 else None
