# SPDX-License-Identifier: Apache-2.0
"""How far a score stands above the untrained encoder and the floors, image by image."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from rspipe.evaluate.base import EvalResult
from rspipe.evaluate.cells import CellStore
from rspipe.evaluate.uncertainty import difference

BASELINES = ("random", "image_statistics", "none")
"""Encoders that learnt nothing, the strongest first."""

Drawn = tuple[float, np.ndarray]
"""A score, and the score in each resample."""


def with_differences(rows: Sequence[EvalResult], store: CellStore) -> list[EvalResult]:
    """Add to each score of one benchmark its paired differences, as `extra.over`.

    By name of the reference: an encoder of `BASELINES` under the same protocol, or a protocol
    that asks no encoder and has the same metric (`blobs`, `majority`). A reference without
    resamples (a cell from before they were kept, or a single test image) is left out.

    Args:
        rows: of one benchmark; they were resampled by one seed.
        store: of their cells.
    """
    scored = {row.cell: _scored(row, store) for row in rows}
    return [_with_differences(row, rows, scored) for row in rows]


def _with_differences(
    row: EvalResult, rows: Sequence[EvalResult], scored: Mapping[str | None, Drawn | None]
) -> EvalResult:
    mine = scored[row.cell]
    if mine is None:
        return row
    over = dict(row.extra.get("over", {}))
    for name, other in _references(row, rows):
        theirs = scored[other.cell]
        if theirs is not None and len(theirs[1]) == len(mine[1]) and other.n_test == row.n_test:
            over[name] = difference(mine, theirs)
    return row.model_copy(update={"extra": {**row.extra, "over": over}})


def _references(row: EvalResult, rows: Sequence[EvalResult]) -> Iterator[tuple[str, EvalResult]]:
    """List what a score has to beat, the strongest first."""
    for baseline in BASELINES[_rank(row) :]:
        for other in rows:
            if other.encoder != baseline or other.metric != row.metric:
                continue
            if baseline == "none":
                yield str(other.protocol), other
            elif other.protocol == row.protocol:
                yield baseline, other


def _rank(row: EvalResult) -> int:
    """Place in `BASELINES` of the first one that a row is compared with."""
    return BASELINES.index(row.encoder) + 1 if row.encoder in BASELINES else 0


def _scored(row: EvalResult, store: CellStore) -> Drawn | None:
    if row.value is None or row.cell is None:
        return None
    draws = store.draws(row.cell)
    return None if draws is None or not len(draws) else (row.value, draws)
