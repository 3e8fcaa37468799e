# SPDX-License-Identifier: Apache-2.0
"""Logistic regression: the best that a plane between classes can do, found by a convex search."""

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from rspipe.evaluate.classification.probes.base import (
    Confidence,
    Fitted,
    Images,
    Labelled,
    Labels,
    Probe,
    Vectors,
    best_of,
    described,
    middle_of,
)
from rspipe.evaluate.config import LogisticProbe as Settings
from rspipe.evaluate.encoders import Gives

# Largest slope of the loss per image at which a search ends: coarse while C is chosen, then fine
# enough that coefficients are those of any other exact solver to four digits.
_CHOICE_TOLERANCE = 1e-4
_FINAL_TOLERANCE = 1e-7


class LogisticProbe(Probe):
    """Multinomial logistic regression (L-BFGS, L2) on standardised features.

    Minimises cross-entropy summed over images + ‖W‖² / 2C; the bias is free. C is the one of the
    grid with the best accuracy on the validation part, at a tie the smallest; then both parts
    are fitted again.

    Source: the protocol of torchgeo-bench. Differs: half as many values of C, features
    standardised by the images that are fitted.
    """

    name: ClassVar[str] = "logistic"
    confidence: ClassVar[str | None] = "softmax probability"
    reads: ClassVar[Gives] = "vectors"
    rule: ClassVar[str] = (
        "L2 logistic regression on standardised features, C chosen on validation images, "
        "refitted on train and validation"
    )

    @property
    def settings(self) -> Settings:
        """Grid of C and the most iterations."""
        return self.what.logistic

    def fit(self, train: Labelled, validation: Labelled, seeds: Sequence[int]) -> list[Fitted]:
        """Choose C, refit."""
        accuracy: dict[float, float] = {}
        c = middle_of(self.settings.c_grid)
        if len(validation) and len(train.present) > 1:
            accuracy = self._try(train, validation)
            c = best_of(accuracy)
        both = train.joined(validation)
        most = self.settings.max_iterations
        final = _Path(self._vectors(both.images), both.labels, most, _FINAL_TOLERANCE)
        final.move_to(c)
        notes = {
            "C": c,
            "validation_accuracy": described(accuracy),
            "converged": final.converged,
        }
        return [_Regression(self, final, notes)]

    def _try(self, train: Labelled, validation: Labelled) -> dict[float, float]:
        """Accuracy on the validation part at each C, from the strongest penalty on."""
        most = self.settings.max_iterations
        path = _Path(self._vectors(train.images), train.labels, most, _CHOICE_TOLERANCE)
        held = self._vectors(validation.images)
        accuracy: dict[float, float] = {}
        for c in sorted(self.settings.c_grid):
            path.move_to(c)
            accuracy[c] = float((path.predict(held) == validation.labels).mean())
        return accuracy

    def _vectors(self, images: Images) -> Vectors:
        return images.vectors(self.what.pooling, self.what.norm)


class _Path:
    """Fits at one C after the other, each begun where the last ended."""

    def __init__(
        self, vectors: Vectors, labels: Labels, max_iterations: int, tolerance: float
    ) -> None:
        self.scaler = StandardScaler().fit(vectors)
        # float64: the search ends by its tolerance, not by rounding.
        self.vectors = self._scaled(vectors)
        self.labels = labels
        self.model = LogisticRegression(max_iter=max_iterations, tol=tolerance, warm_start=True)

    @property
    def converged(self) -> bool:
        """Whether the last fit ended before its most iterations."""
        return bool((self.model.n_iter_ < self.model.max_iter).all())

    def move_to(self, c: float) -> None:
        self.model.set_params(C=c)
        with warnings.catch_warnings():
            # Whether the fit converged is part of the result instead.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.model.fit(self.vectors, self.labels)

    def predict(self, vectors: Vectors) -> Labels:
        found: Labels = self.model.predict(self._scaled(vectors))
        return found

    def probabilities(self, vectors: Vectors) -> Float[np.ndarray, "n k"]:
        """Of the classes that have an image in the train part, in their order."""
        found: Float[np.ndarray, "n k"] = self.model.predict_proba(self._scaled(vectors))
        return found

    def _scaled(self, vectors: Vectors) -> Vectors:
        scaled: Vectors = self.scaler.transform(vectors).astype(np.float64)
        return scaled


class _Regression(Fitted):
    def __init__(self, probe: LogisticProbe, path: _Path, notes: dict[str, Any]) -> None:
        self.probe = probe
        self.path = path
        self.notes = notes

    def predict(self, images: Images) -> Labels:
        """Name the likeliest class."""
        return self.path.predict(self.probe._vectors(images))

    def predict_surely(self, images: Images) -> tuple[Labels, Confidence]:
        """Name the likeliest class, and its probability."""
        vectors = self.probe._vectors(images)
        sure: Confidence = self.path.probabilities(vectors).max(axis=1)
        return self.path.predict(vectors), sure
