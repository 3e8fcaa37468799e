# SPDX-License-Identifier: Apache-2.0
"""Small drawings as inline SVG. Colours come from the page, so they follow its light and dark."""

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray


class Canvas:
    """A drawing, in pixels from the top left corner.

    Args:
        width: of the coordinate system; the page scales it.
        height: likewise.
        title: what it shows, for those who cannot see it.
        may_grow: whether the page may draw it wider than it is.
    """

    def __init__(self, width: float, height: float, title: str, may_grow: bool = True) -> None:
        box = f"0 0 {number(width)} {number(height)}"
        self._root = ET.Element(
            "svg", {"viewBox": box, "role": "img", "aria-label": title, "class": "chart"}
        )
        if not may_grow:
            self._root.set("style", f"max-width:{number(width)}px")

    def add(
        self, tag: str, text: str | None = None, hint: str | None = None, **attributes: float | str
    ) -> None:
        """Add an element.

        Args:
            tag: its name.
            text: its content.
            hint: shown when the pointer rests on it.
            attributes: `class_` becomes class, other underscores become hyphens.
        """
        plain = {_attribute(k): _value(v) for k, v in attributes.items()}
        element = ET.SubElement(self._root, tag, plain)
        element.text = text
        if hint is not None:
            ET.SubElement(element, "title").text = hint

    def rect(
        self,
        corner: tuple[float, float],
        size: tuple[float, float],
        class_: str,
        hint: str | None = None,
        style: str = "",
    ) -> None:
        """Add a rectangle from its upper left corner (x, y) and its (width, height)."""
        (x, y), (width, height) = corner, size
        look = {"class_": class_, **({"style": style} if style else {})}
        self.add("rect", hint=hint, x=x, y=y, width=width, height=height, **look)

    def polyline(self, points: Iterable[tuple[float, float]], class_: str) -> None:
        """Add a line through points (x, y)."""
        path = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self.add("polyline", points=path, class_=class_)

    def render(self) -> Markup:
        """Return the drawing for the page; ElementTree has escaped every text in it."""
        return Markup(ET.tostring(self._root, encoding="unicode"))  # noqa: S704 - escaped


@dataclass(frozen=True)
class Scale:
    """A line from data to pixels, linear or logarithmic."""

    low: float
    high: float
    start_px: float
    end_px: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """Place a value.

        >>> Scale(0, 10, 100, 200)(5)
        150.0
        """
        low, high, at = (self._bend(v) for v in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start_px + share * (self.end_px - self.start_px)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values between the ends, about `count` of them.

        >>> Scale(0, 1, 0, 1).ticks()
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        """
        is_wide = self.is_log and self.high / self.low > 20
        return self._decades(count) if is_wide else self._steps(count)

    def _bend(self, value: float) -> float:
        return math.log10(value) if self.is_log else value

    def _steps(self, count: int) -> list[float]:
        if self.high <= self.low:
            return [self.low]
        rough = (self.high - self.low) / count
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.7)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [float(f"{i * step:.12g}") for i in range(first, last + 1)]

    def _decades(self, count: int) -> list[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        per_decade = (1, 2, 5) if last - first <= 2 else (1,)
        marks = [m * 10.0**p for p in range(first, last + 1) for m in per_decade]
        inside = [m for m in marks if self.low <= m * 1.0001 and m <= self.high * 1.0001]
        return inside[:: max(1, round(len(inside) / (count + 2)))]


def number(value: float) -> str:
    """Write a coordinate with at most one decimal.

    >>> number(3.04), number(3.26)
    ('3', '3.3')
    """
    return f"{value:.1f}".removesuffix(".0")


def compact(value: float) -> str:
    """Write a tick label in few letters.

    >>> [compact(v) for v in (0, 0.25, 1500, 20000, 3e6, 2e-5)]
    ['0', '0.25', '1,500', '20k', '3M', '2e-5']
    """
    size = abs(value)
    if size and size < 1e-3:
        mantissa, _, power = f"{value:.0e}".partition("e")
        return f"{mantissa}e{int(power)}"
    for least, unit, name in ((1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if size >= least:
            return f"{value / unit:.3g}{name}"
    return f"{value:,.0f}" if size >= 1e3 else f"{value:.4g}"


def spread(values: NDArray[np.float64]) -> tuple[float, float]:
    """Smallest and largest value; apart from each other even where all are equal."""
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low * 0.9 - (not low), high * 1.1 + (not high))


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else number(value)
