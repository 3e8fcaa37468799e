# SPDX-License-Identifier: Apache-2.0
"""Attention maps of pooling probes, as veils to lie over example images."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rspipe.report.pictures import veil_uri

_SHARPEST = 3


@dataclass(frozen=True)
class Attention:
    """One map."""

    words: str
    veil: str
    """A data URI, transparent where nobody looks, to be stretched over the image."""


def attention_of(arrays: Mapping[str, np.ndarray], index: int) -> tuple[Attention, ...]:
    """Draw the mean over queries, then the queries that look at the fewest places.

    Args:
        arrays: of a cell; `attention` (image, query, row, column) holds weights that sum to 1
            over the places, float16. Without it there are no maps.
        index: of the example image.
    """
    maps = arrays.get("attention")
    if maps is None or index >= len(maps):
        return ()
    queries = maps[index].astype(np.float64)
    mean = Attention(f"mean of {len(queries)} queries", _veil(queries.mean(axis=0)))
    if len(queries) == 1:
        return (Attention("its query", mean.veil),)
    sharp = np.argsort(_entropy(queries), kind="stable")[:_SHARPEST]
    return (mean, *(Attention(f"query {q}", _veil(queries[q])) for q in sharp.tolist()))


def _entropy(queries: NDArray[np.float64]) -> NDArray[np.float64]:
    flat = queries.reshape(len(queries), -1)
    shares = flat / np.maximum(flat.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    logs = np.log(np.where(shares > 0, shares, 1))
    entropy: NDArray[np.float64] = -(shares * logs).sum(axis=1)
    return entropy


def _veil(weights: NDArray[np.float64]) -> str:
    """Stretch to the map's own lowest and highest weight."""
    low, high = weights.min(), weights.max()
    share = (weights - low) / (high - low) if high > low else np.zeros_like(weights)
    return veil_uri(np.round(255 * share).astype(np.uint8))
