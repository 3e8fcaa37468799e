# SPDX-License-Identifier: Apache-2.0
"""Runs of candidates, opened in blocks: memory is bounded however many there are."""

from collections.abc import Iterator

import numpy as np

from rspipe.curate.dedup.pairs import Indices


def product_blocks(
    lefts: Indices, rights: Indices, most: int
) -> Iterator[tuple[Indices, Indices, Indices]]:
    """Open runs of lefts × rights, at most `most` combinations at a time.

    Args:
        lefts: size of the left side of each run.
        rights: size of the right side.
        most: combinations in a block.

    Yields:
        Run, number on its left side, number on its right side; in order.

    >>> one, two = np.array([2, 0, 1]), np.array([1, 5, 2])
    >>> [[column.tolist() for column in block] for block in product_blocks(one, two, 3)]
    [[[0, 0, 2], [0, 1, 0], [0, 0, 0]], [[2], [0], [1]]]
    """
    ends = np.cumsum(lefts * rights)
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, total, most):
        numbers = np.arange(start, min(start + most, total))
        run = np.searchsorted(ends, numbers, side="right")
        within = numbers - (ends[run] - lefts[run] * rights[run])
        left, right = np.divmod(within, rights[run])
        yield run, left, right


def ranges(starts: Indices, counts: Indices) -> Indices:
    """Join the ranges starts[i] … starts[i] + counts[i].

    >>> ranges(np.array([5, 0]), np.array([2, 3])).tolist()
    [5, 6, 0, 1, 2]
    """
    first = np.cumsum(counts) - counts
    return np.repeat(starts - first, counts) + np.arange(int(counts.sum()))
