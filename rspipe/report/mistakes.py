"""Test images that every seed of a probe names wrongly."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from rspipe.report.examples import Example, read_example

_SHOWN = 6


def mistakes_of(
    arrays: Mapping[str, np.ndarray], names: Sequence[str], root: Path | None
) -> tuple[Example, ...]:
    """Pick some, spread over the test images; cells keep no confidence to rank them by.

    Args:
        arrays: of a cell: `truth` (n,), `predicted` (seeds, n) and `paths` (n,) of a
            classification; of other tasks, and of older cells, nothing is picked.
        names: classes, in the order of their indices.
        root: folder of the benchmark's images.
    """
    if not names or not {"truth", "predicted", "paths"} <= arrays.keys():
        return ()
    truth, predicted = arrays["truth"], arrays["predicted"]
    wrong = np.flatnonzero((predicted != truth).all(axis=0))
    if not len(wrong):
        return ()
    shown = np.unique(np.linspace(0, len(wrong) - 1, _SHOWN).astype(int))
    return tuple(
        read_example(str(arrays["paths"][i]), names[truth[i]], names[predicted[0, i]], root)
        for i in wrong[shown].tolist()
    )
