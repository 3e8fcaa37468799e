# SPDX-License-Identifier: Apache-2.0
"""Colours of classes in masks: those of the data set's card, else colours of the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import ImageColor

from rspipe.catalog import card_for

Rgb = tuple[int, int, int]

# For class indices of data sets whose masks hold values.
_COLOURS: tuple[Rgb, ...] = (
    (38, 127, 153),
    (214, 140, 69),
    (112, 145, 74),
    (150, 104, 160),
    (201, 92, 92),
    (80, 100, 160),
    (190, 165, 60),
    (90, 160, 140),
)


def palette_of(names: Sequence[str], root: Path | None) -> tuple[Rgb, ...]:
    """Choose a colour for each class, in the order of indices.

    A card whose masks hold colours says which colour people of that data set know a class by;
    they are taken if it has one for every class.

    Args:
        names: of the classes.
        root: folder of the data set; None where it is not known.

    Raises:
        RecipeError: the folder's own card is wrong.

    >>> palette_of(["Road", "Water"], Path("no/dubai_seg"))
    ((110, 193, 228), (226, 169, 41))
    """
    named = card_for(root).classes if root is not None else None
    known = {name: _rgb(said) for name, said in named.items()} if isinstance(named, Mapping) else {}
    found = [known.get(name) for name in names]
    ours = [_COLOURS[index % len(_COLOURS)] for index in range(len(names))]
    return tuple(one for one in found if one is not None) if all(found) else tuple(ours)


def _rgb(said: int | str) -> Rgb | None:
    """Read a colour; a class that is a value has none."""
    if not isinstance(said, str):
        return None
    red, green, blue, *_ = ImageColor.getrgb(said)
    return red, green, blue
