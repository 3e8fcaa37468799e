# SPDX-License-Identifier: Apache-2.0
"""Nearest neighbours by cosine: no training, so nothing hides what the features hold."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, ClassVar

import numpy as np

from rspipe.evaluate.classification.probes.base import (
    Confidence,
    Fitted,
    Images,
    Labelled,
    Labels,
    Probe,
    Vectors,
)
from rspipe.evaluate.config import Knn
from rspipe.evaluate.encoders import Gives

_CELLS = 2**24
"""Similarities held at a time: 64 MB in float32."""


class KnnProbe(Probe):
    """A neighbour at cosine s votes with exp(s / T); of k neighbours the class with most votes.

    Nothing is chosen: k and T are stated, train and validation part are the memory.

    Source: Wu et al. 2018, arXiv:1805.01978, and Caron et al. 2021 (DINO), arXiv:2104.14294,
    with their k = 20, T = 0.07. Fewer images than k: all of them vote. At a tie the first class.
    """

    name: ClassVar[str] = "knn"
    confidence: ClassVar[str | None] = "share of the neighbours' weighted votes"
    reads: ClassVar[Gives] = "vectors"
    rule: ClassVar[str] = "cosine kNN, votes exp(cos/T), k and T fixed beforehand"

    @property
    def settings(self) -> Knn:
        """Numbers of neighbours and temperatures."""
        return self.what.knn

    def fit(self, train: Labelled, validation: Labelled, seeds: Sequence[int]) -> list[Fitted]:
        """Remember both parts."""
        memory = train.joined(validation)
        vectors = memory.images.vectors(self.what.pooling, self.what.norm)
        return [self._neighbours(memory, *self.projection(vectors))]

    def projection(self, vectors: Vectors) -> tuple[Vectors, Vectors | None]:
        """Say what is subtracted from vectors (1, D), and by what they are multiplied (D, D)."""
        return np.zeros((1, vectors.shape[1]), dtype=vectors.dtype), None

    def _neighbours(self, memory: Labelled, mean: Vectors, matrix: Vectors | None) -> Fitted:
        return _Neighbours(self, memory, mean, matrix)


class WhitenedKnnProbe(KnnProbe):
    """Nearest neighbours on decorrelated features.

    Mean-pooled features of masked autoencoders crowd into a few directions that the cosine then
    sees alone. Directions are found on the memory only and divided by their spread; those
    with next to none are damped rather than blown up. Every encoder is treated alike.

    Source: whitening as in Su et al. 2021, arXiv:2103.15316. Differs: the damping.
    """

    name: ClassVar[str] = "knn_white"
    rule: ClassVar[str] = (
        "cosine kNN, votes exp(cos/T), k and T fixed beforehand, on features whitened with the "
        "train part"
    )

    def projection(self, vectors: Vectors) -> tuple[Vectors, Vectors | None]:
        """Decorrelate by the memory."""
        return whitening(vectors)


def whitening(vectors: Vectors, damping: float = 1e-3) -> tuple[Vectors, Vectors]:
    """Find the mean (1, D) and the matrix (D, D) that decorrelate vectors.

    Args:
        vectors: features, one row each.
        damping: share of the largest variance that is added to each.
    """
    mean = vectors.mean(axis=0, keepdims=True)
    variance, directions = np.linalg.eigh(np.cov((vectors - mean).T))
    variance = np.maximum(variance, 0)
    return mean, directions / np.sqrt(variance + damping * variance.max() + 1e-12)


class _Neighbours(Fitted):
    def __init__(
        self, probe: KnnProbe, memory: Labelled, mean: Vectors, matrix: Vectors | None
    ) -> None:
        self.probe = probe
        self.labels = memory.labels
        self.n_classes = memory.n_classes
        self.mean = mean
        self.matrix = matrix
        self.memory = self._directions(memory.images)
        self.notes: dict[str, Any] = {"k": min(probe.settings.k, len(memory))}

    def predict(self, images: Images) -> Labels:
        """Let the nearest images vote."""
        return self.predict_surely(images)[0]

    def predict_surely(self, images: Images) -> tuple[Labels, Confidence]:
        """Let the nearest images vote; the winner's share of all votes."""
        settings = self.probe.settings
        return self._predict(images, [(settings.k, settings.temperature)])[0]

    def variants(self, images: Images) -> dict[str, Labels]:
        """Predict with every listed k and T but the headline's."""
        settings = self.probe.settings
        pairs = [
            pair
            for pair in product(
                sorted({settings.k, *settings.also_k}),
                sorted({settings.temperature, *settings.also_temperature}),
            )
            if pair != (settings.k, settings.temperature)
        ]
        found = self._predict(images, pairs)
        return {f"k={k}, T={t:g}": one for (k, t), (one, _) in zip(pairs, found, strict=True)}

    def _predict(
        self, images: Images, pairs: Sequence[tuple[int, float]]
    ) -> list[tuple[Labels, Confidence]]:
        """Predict for each (k, T); the similarities are computed once."""
        most = min(max(k for k, _ in pairs), len(self.memory))
        found: list[list[tuple[Labels, Confidence]]] = [[] for _ in pairs]
        for cosine, labels in self._nearest(images, most):
            for (k, temperature), parts in zip(pairs, found, strict=True):
                parts.append(self._vote(cosine[:, :k], labels[:, :k], temperature))
        nothing = (np.empty(0, np.int64), np.empty(0))
        return [_joined(parts or [nothing]) for parts in found]

    def _nearest(self, images: Images, k: int) -> Iterator[tuple[Vectors, Labels]]:
        """Yield cosines and labels of the k nearest, nearest first, for some images at a time."""
        vectors = self._directions(images)
        for part in images.parts(max(1, _CELLS // len(self.memory))):
            cosine = vectors[part] @ self.memory.T
            # argpartition finds the k largest, the sort of these alone puts them in order.
            nearest = np.argpartition(cosine, -k, axis=1)[:, -k:]
            taken = np.take_along_axis(cosine, nearest, axis=1)
            order = np.argsort(-taken, axis=1, kind="stable")
            yield (
                np.take_along_axis(taken, order, axis=1),
                self.labels[np.take_along_axis(nearest, order, axis=1)],
            )

    def _vote(
        self, cosine: Vectors, labels: Labels, temperature: float
    ) -> tuple[Labels, Confidence]:
        # Divided by the nearest one's vote: no share changes, and no small T overflows or leaves 0.
        exact = cosine.astype(np.float64)
        votes = np.exp((exact - exact[:, :1]) / temperature)
        rows = np.arange(len(labels))[:, None]
        cells = (rows * self.n_classes + labels).ravel()
        totals = np.bincount(cells, votes.ravel(), minlength=len(labels) * self.n_classes)
        by_class = totals.reshape(-1, self.n_classes)
        return by_class.argmax(axis=1), by_class.max(axis=1) / by_class.sum(axis=1)

    def _directions(self, images: Images) -> Vectors:
        """Read vectors, project them and bring them to length 1."""
        what = self.probe.what
        vectors = images.vectors(what.pooling, what.norm) - self.mean
        if self.matrix is not None:
            vectors = vectors @ self.matrix
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        directions: Vectors = vectors / np.maximum(lengths, 1e-12)
        return directions


def _joined(parts: Sequence[tuple[Labels, Confidence]]) -> tuple[Labels, Confidence]:
    labels, shares = zip(*parts, strict=True)
    return np.concatenate(labels), np.concatenate(shares)
