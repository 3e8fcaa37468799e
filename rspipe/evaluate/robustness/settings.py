# SPDX-License-Identifier: Apache-2.0
"""The robustness part of the evaluation recipe."""

from fractions import Fraction
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from rspipe.recipe import Strict


def _as_number(said: Any) -> Any:
    """Read a fraction: steps of 8-bit images are written as 2/255."""
    return float(Fraction(said)) if isinstance(said, str) and "/" in said else said


class Pgd(Strict):
    """Images changed on purpose, so that the encoder's features of them move far."""

    epsilon: Annotated[float, BeforeValidator(_as_number), Field(ge=0, le=1)] = 2 / 255
    """Most that a value may change, of values scaled to 0..1; `2/255` may be written so."""
    steps: Annotated[int, Field(ge=1)] = 3


class Robustness(Strict):
    """Corruptions of test images, each with its severities; none is on by default.

    They are applied to images as published, before the resize to the encoder's input; `pgd` to
    the input itself.
    """

    probes: tuple[str, ...] = ("knn", "logistic")
    """Keys of the PROBES table; each is fitted once, on clean images."""
    jpeg: tuple[Annotated[int, Field(ge=1, le=100)], ...] = ()
    """Qualities, 1..100."""
    blur_px: tuple[Annotated[float, Field(ge=0)], ...] = ()
    """Standard deviations of a Gaussian."""
    haze: tuple[Annotated[float, Field(ge=0, le=1)], ...] = ()
    """Shares of the light that come from the haze: 1 - transmission."""
    gsd_factor: tuple[Annotated[float, Field(ge=1)], ...] = ()
    """By how much coarser the ground is sampled."""
    pgd: Pgd | None = None

    @model_validator(mode="after")
    def _asks_something(self) -> "Robustness":
        if not any((self.jpeg, self.blur_px, self.haze, self.gsd_factor, self.pgd)):
            raise ValueError("no corruption is listed; say one (jpeg: [30]) or leave it out")
        return self
