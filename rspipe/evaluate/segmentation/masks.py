# SPDX-License-Identifier: Apache-2.0
"""Masks as published, pixel values or colours, to class indices."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from rspipe.errors import RecipeError, UnreadableImage
from rspipe.io.images import decode_mask
from rspipe.schema import DatasetCard

IGNORE = 255
"""Index of pixels that no score counts: ignored classes, and values the card does not name."""

ClassMask = UInt8[np.ndarray, "H W"]


@dataclass(frozen=True)
class MaskLegend:
    """Which value of a mask means which class."""

    classes: tuple[str, ...]
    """Scored classes; a class's index is its place here."""
    by_colour: bool
    table: UInt8[np.ndarray, " V"]
    """Class index of each pixel value (256 of them) or of each 24-bit colour."""

    @classmethod
    def from_card(cls, card: DatasetCard) -> "MaskLegend":
        """Build the legend of a card: `classes` maps names to values or to #RRGGBB.

        Names alone mean the values 0, 1, 2 ….

        Raises:
            RecipeError: the card names no classes, or mixes values and colours.
        """
        if card.classes is None:
            raise RecipeError(f"card {card.name!r}: masks need `classes`, a map of names to values")
        legend: Mapping[str, int | str] = (
            card.classes
            if isinstance(card.classes, dict)
            else {name: value for value, name in enumerate(card.classes)}
        )
        by_colour = any(isinstance(value, str) for value in legend.values())
        scored = tuple(name for name in legend if name not in card.ignore_classes)
        table = np.full(2**24 if by_colour else 2**8, IGNORE, dtype=np.uint8)
        for index, name in enumerate(scored):
            table[_code(legend[name], by_colour, card.name)] = index
        return cls(scored, by_colour, table)

    def read(self, data: bytes, path: str) -> ClassMask:
        """Decode a mask into class indices, IGNORE where a pixel counts for nothing.

        Raises:
            UnreadableImage: not an image, or colours where the legend has pixel values.
        """
        pixels = decode_mask(data, path)
        if self.by_colour:
            if pixels.ndim == 2:
                pixels = np.repeat(pixels[:, :, None], 3, axis=2)
            red, green, blue = np.moveaxis(pixels.astype(np.uint32), 2, 0)
            return _look_up(self.table, red << 16 | green << 8 | blue)
        if pixels.ndim == 3:
            if (pixels != pixels[:, :, :1]).any():
                raise UnreadableImage(path, "a colour mask, but the card names pixel values")
            pixels = pixels[:, :, 0]
        return self.of_values(pixels)

    def of_values(self, pixels: UInt8[np.ndarray, "H W"]) -> ClassMask:
        """Turn pixel values into class indices, IGNORE where the card does not name a value.

        Raises:
            RecipeError: the legend is one of colours.
        """
        if self.by_colour:
            raise RecipeError("the card names colours; drawn masks need pixel values")
        return _look_up(self.table, pixels)


def _look_up(table: UInt8[np.ndarray, " V"], codes: np.ndarray) -> ClassMask:
    indices: ClassMask = table[codes]
    return indices


def _code(value: int | str, by_colour: bool, card: str) -> int:
    """Place of a value in the table.

    >>> _code("#0000FF", True, "x")
    255
    """
    if by_colour:
        digits = value.removeprefix("#") if isinstance(value, str) else ""
        if len(digits) == 6 and all(c in "0123456789abcdefABCDEF" for c in digits):
            return int(digits, 16)
        raise RecipeError(f"card {card!r}: class value {value!r} is no colour like #3C1098")
    if isinstance(value, int) and 0 <= value < 256:
        return value
    raise RecipeError(f"card {card!r}: class value {value!r} is no pixel value 0..255")
