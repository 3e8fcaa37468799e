# SPDX-License-Identifier: Apache-2.0
"""Test images that a protocol is surest of: the right ones and, more telling, the wrong ones."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rspipe.report.examples import Example, read_example

_SHOWN = 6


@dataclass(frozen=True)
class Confident:
    """Pictures of classifications."""

    right: tuple[Example, ...]
    """The surest first; none where the protocol does not say how sure it is."""
    wrong: tuple[Example, ...]
    """Likewise; without confidence some of those that every seed names wrongly."""
    per_class: int
    """Pictures of one true class at most."""
    has_confidence: bool

    def __bool__(self) -> bool:
        """Whether there is a picture."""
        return bool(self.right or self.wrong)


def confident_of(
    arrays: Mapping[str, np.ndarray], names: Sequence[str], root: Path | None
) -> Confident:
    """Pick the predictions of highest confidence.

    Args:
        arrays: of a cell: `truth` (n,), `predicted` (seeds, n), `paths` (n,) and, where the
            protocol yields one, `confidence` (n,) of the first seed. Of other tasks, and of older
            cells, nothing is picked.
        names: classes, in the order of their indices.
        root: folder of the benchmark's images.
    """
    per_class = max(2, math.ceil(_SHOWN / max(len(names), 1)))
    if not names or not {"truth", "predicted", "paths"} <= arrays.keys():
        return Confident((), (), per_class, has_confidence=False)
    truth, predicted, sure = arrays["truth"], arrays["predicted"], arrays.get("confidence")

    def shown(images: NDArray[np.int64]) -> tuple[Example, ...]:
        return tuple(
            read_example(
                str(arrays["paths"][i]),
                names[truth[i]],
                names[predicted[0, i]],
                root,
                None if sure is None else float(sure[i]),
            )
            for i in images.tolist()
        )

    if sure is None:
        wrong = np.flatnonzero((predicted != truth).all(axis=0))
        spread = np.unique(np.linspace(0, max(len(wrong) - 1, 0), _SHOWN).astype(int))
        return Confident((), shown(wrong[spread[: len(wrong)]]), per_class, has_confidence=False)
    is_right = predicted[0] == truth
    surest = np.argsort(-sure, kind="stable")
    right, wrong = (
        np.array(list(_few_of_each(surest[which[surest]], truth, per_class)), np.int64)
        for which in (is_right, ~is_right)
    )
    return Confident(shown(right), shown(wrong), per_class, has_confidence=True)


def _few_of_each(
    images: NDArray[np.int64], truth: NDArray[np.int64], per_class: int
) -> Iterator[int]:
    """Yield the first images, of each class a few: one easy class must not fill the row."""
    left = dict.fromkeys(np.unique(truth).tolist(), per_class)
    shown = 0
    for image in images.tolist():
        label = int(truth[image])
        if shown < _SHOWN and left[label]:
            left[label] -= 1
            shown += 1
            yield image
