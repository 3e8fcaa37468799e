# SPDX-License-Identifier: Apache-2.0
"""A split by order: the first so many images train, the rest are scored."""

import re
from collections.abc import Sequence

import numpy as np

from rspipe.errors import RecipeError
from rspipe.evaluate.splits import Fold
from rspipe.schema import ImageRecord

_DIGITS = re.compile(r"(\d+)")


def first_trains(records: Sequence[ImageRecord], count: int) -> Fold:
    """Let the first images in the order of their paths train, where numbers count as numbers.

    Args:
        records: labelled images.
        count: how many train.

    Raises:
        RecipeError: no image is left to be scored.
    """
    if count >= len(records):
        raise RecipeError(
            f"what.train_first={count}: only {len(records)} labelled images, none left to score"
        )
    order = sorted(range(len(records)), key=lambda i: natural_key(records[i].source_path))
    train, test = order[:count], order[count:]
    return Fold(np.sort(np.array(train, np.int64)), np.sort(np.array(test, np.int64)))


def natural_key(path: str) -> tuple[tuple[str, int], ...]:
    """Sort key under which img2 comes before img10.

    >>> sorted(["img10", "img2"], key=natural_key)
    ['img2', 'img10']
    """
    parts = _DIGITS.split(path)
    return tuple(zip(parts[::2], (*map(int, parts[1::2]), -1), strict=True))
