"""Scene classification on frozen features: nearest neighbours and logistic regression."""

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from rspipe.evaluate import confusion
from rspipe.evaluate.base import N_EXAMPLES, Scores
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import Knn, LinearProbe, What
from rspipe.evaluate.features import Features
from rspipe.evaluate.splits import hash_order, stratified_share
from rspipe.evaluate.uncertainty import bootstrap
from rspipe.schema import Task

Vectors = Float[np.ndarray, "n D"]
Labels = Int[np.ndarray, " n"]


class _Classifier(ABC):
    """What the two protocols share: loop over folds, then OA, macro-F1 and recall per class."""

    task: ClassVar[Task] = "classification"
    metric: ClassVar[str] = "OA"

    def __init__(self, what: What, device: torch.device) -> None:
        self.what = what

    @abstractmethod
    def predict(
        self, train: Vectors, labels: Labels, paths: Sequence[str], test: Vectors
    ) -> tuple[Labels, dict[str, Any]]:
        """Fit on the train part; return the test part's classes, and notes on the way."""

    def run(self, benchmark: Benchmark, features: Features) -> Scores:
        """Fit and predict fold by fold, then score all predictions together."""
        index = benchmark.class_index
        labels = np.array([index[str(r.annotation.label)] for r in benchmark.records])
        paths = [record.source_path for record in benchmark.records]
        predicted, chosen = [], []
        for fold in benchmark.folds:
            found, notes = self.predict(
                features.vectors[fold.train],
                labels[fold.train],
                [paths[i] for i in fold.train],
                features.vectors[fold.test],
            )
            predicted.append(found)
            chosen.append(notes)
        tested = benchmark.tested
        guesses = np.concatenate(predicted)
        scores = self._score(labels[tested], guesses, benchmark.classes)
        scores.extra["folds"] = chosen
        # Spread over the test part: neighbours in the list are mostly of one class.
        shown = np.unique(np.linspace(0, len(tested) - 1, N_EXAMPLES).astype(int))
        scores.examples.extend(
            {
                "path": paths[i],
                "truth": benchmark.classes[labels[i]],
                "predicted": benchmark.classes[guess],
            }
            for i, guess in zip(tested[shown], guesses[shown], strict=True)
        )
        return scores

    def _score(self, truth: Labels, predicted: Labels, classes: tuple[str, ...]) -> Scores:
        k = len(classes)

        def statistic(images: Labels) -> Float[np.ndarray, " m"]:
            counts = confusion.confusion_of(truth[images], predicted[images], k)
            macro_f1 = confusion.mean_defined(confusion.f1(counts))
            return np.array(
                [confusion.overall_accuracy(counts), macro_f1, *confusion.recall(counts)]
            )

        found = bootstrap(statistic, len(truth), self.what.bootstrap.resamples, self.what.seed)
        return Scores.from_estimates(
            found,
            ("OA", "macro_f1"),
            classes,
            arrays={"confusion": confusion.confusion_of(truth, predicted, k)},
        )


class KnnClassifier(_Classifier):
    """Nearest neighbours by cosine: no training, so nothing hides what the features hold.

    A neighbour at cosine s votes with exp(s / T); k neighbours, the class with most votes wins.

    Source: Wu et al. 2018, arXiv:1805.01978, and Caron et al. 2021 (DINO), arXiv:2104.14294,
    with their k = 20, T = 0.07. Fewer images than k: all of them vote.
    """

    protocol: ClassVar[str] = "knn"
    convention: ClassVar[str] = (
        "overall accuracy (micro), 0..1; cosine kNN, votes exp(cos/T); "
        "percentile bootstrap over test images"
    )

    @property
    def settings(self) -> Knn:
        """Number of neighbours and temperature."""
        return self.what.knn

    def predict(
        self, train: Vectors, labels: Labels, paths: Sequence[str], test: Vectors
    ) -> tuple[Labels, dict[str, Any]]:
        """Let the nearest train images vote."""
        knn = KNeighborsClassifier(
            n_neighbors=min(self.settings.k, len(train)),
            metric="cosine",
            algorithm="brute",
            weights=self._votes,
        )
        guesses: Labels = knn.fit(train, labels).predict(test)
        return guesses, {}

    def _votes(self, distances: Float[np.ndarray, "n k"]) -> Float[np.ndarray, "n k"]:
        # The cosine distance is 1 - cos; all votes divided by exp(1/T), which changes no winner
        # and cannot overflow at a small T.
        return np.exp(-distances.astype(np.float64) / self.settings.temperature)


class WhitenedKnnClassifier(KnnClassifier):
    """Nearest neighbours on decorrelated features.

    Mean-pooled features of masked autoencoders crowd into a few directions that the cosine then
    sees alone. Directions are found on the train part only and divided by their spread; those
    with next to none are damped rather than blown up. Every encoder is treated alike.

    Source: whitening as in Su et al. 2021, arXiv:2103.15316. Differs: the damping.
    """

    protocol: ClassVar[str] = "knn_white"
    convention: ClassVar[str] = (
        "overall accuracy (micro), 0..1; cosine kNN, votes exp(cos/T), on features whitened with "
        "the train part; percentile bootstrap over test images"
    )

    def predict(
        self, train: Vectors, labels: Labels, paths: Sequence[str], test: Vectors
    ) -> tuple[Labels, dict[str, Any]]:
        """Whiten both parts by the train part, then vote."""
        mean, matrix = whitening(train)
        return super().predict((train - mean) @ matrix, labels, paths, (test - mean) @ matrix)


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


class LinearClassifier(_Classifier):
    """Logistic regression (L-BFGS, L2) on standardised features.

    C is the one of the grid with the best accuracy on a held-out share of the train part, which
    a hash of the paths picks within each class; at a tie the smallest. Then all train images
    are fitted again. No test image takes part in the choice.
    """

    protocol: ClassVar[str] = "linear"
    convention: ClassVar[str] = (
        "overall accuracy (micro), 0..1; L2 logistic regression, C chosen on held-out train "
        "images; percentile bootstrap over test images"
    )

    @property
    def settings(self) -> LinearProbe:
        """Grid of C and the held-out share."""
        return self.what.linear

    def predict(
        self, train: Vectors, labels: Labels, paths: Sequence[str], test: Vectors
    ) -> tuple[Labels, dict[str, Any]]:
        """Choose C, refit, predict."""
        if len(np.unique(labels)) == 1:
            return np.full(len(test), labels[0]), {
                "C": None,
                "note": "one class in the train part",
            }
        c, holdout = self._choose(train, labels, paths)
        model = self._fit(train, labels, c)
        converged = bool((model[-1].n_iter_ < self.settings.max_iterations).all())
        notes = {"C": c, "holdout_accuracy": holdout, "converged": converged}
        return model.predict(test), notes

    def _choose(
        self, train: Vectors, labels: Labels, paths: Sequence[str]
    ) -> tuple[float, dict[str, float]]:
        order = hash_order(paths, self.what.seed)
        held, fitted = stratified_share(order, labels.tolist(), self.settings.holdout_share)
        grid = sorted(self.settings.c_grid)
        if not len(held) or len(np.unique(labels[fitted])) < 2:
            return grid[len(grid) // 2], {}
        accuracy: dict[float, float] = {}
        for c in grid:
            model = self._fit(train[fitted], labels[fitted], c)
            accuracy[c] = float(model.score(train[held], labels[held]))
        best = max(grid, key=lambda c: (accuracy[c], -c))
        return best, {f"{c:g}": value for c, value in accuracy.items()}

    def _fit(self, train: Vectors, labels: Labels, c: float) -> Pipeline:
        model: Pipeline = make_pipeline(
            StandardScaler(), LogisticRegression(C=c, max_iter=self.settings.max_iterations)
        )
        with warnings.catch_warnings():
            # Whether the fit converged is part of the result instead.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train, labels)
        return model
