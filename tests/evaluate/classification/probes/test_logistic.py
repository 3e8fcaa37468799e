# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from rspipe.evaluate.classification.probes.logistic import LogisticProbe
from rspipe.evaluate.config import LogisticProbe as Settings
from rspipe.evaluate.config import What

CPU = torch.device("cpu")
GRID = (1e-4, 1e-2, 1.0, 100.0)


def fitted(train, validation, grid=GRID):
    return LogisticProbe(What(logistic=Settings(c_grid=grid)), CPU).fit(train, validation, [0])[0]


@pytest.mark.parametrize("c", GRID)
def test_coefficients_are_those_of_scikit_learn(parts, c):
    """E5."""
    train, validation, _ = parts
    both = train.joined(validation)
    vectors = both.images.vectors("mean", "post")
    scaled = StandardScaler().fit_transform(vectors).astype(np.float64)
    want = LogisticRegression(C=c, solver="lbfgs", max_iter=5000, tol=1e-10)
    want.fit(scaled, both.labels)
    model = fitted(train, validation, grid=(c,)).path.model
    np.testing.assert_allclose(model.coef_, want.coef_, rtol=0, atol=1e-4)


@pytest.mark.parametrize("c", GRID)
def test_coefficients_are_where_the_stated_loss_is_flat(parts, c):
    """Cross-entropy summed over images + ‖W‖² / 2C, its gradient by hand, per image."""
    train, validation, _ = parts
    path = fitted(train, validation, grid=(c,)).path
    model, labels = path.model, np.concatenate([train.labels, validation.labels])
    scores = path.vectors @ model.coef_.T + model.intercept_
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    slope = (shares - np.eye(3)[labels]).T @ path.vectors + model.coef_ / c
    assert abs(slope).max() / len(labels) < 1e-6


def test_c_is_the_best_on_validation_images_and_the_smallest_of_the_best(parts):
    train, validation, _ = parts
    notes = fitted(train, validation).notes
    accuracy = {float(c): value for c, value in notes["validation_accuracy"].items()}
    best = [c for c in sorted(accuracy) if accuracy[c] == max(accuracy.values())]
    assert notes["C"] == best[0]
    assert notes["converged"]
    x, z = (part.images.vectors("mean", "post") for part in (train, validation))
    scaler = StandardScaler().fit(x)
    for c, value in accuracy.items():
        model = LogisticRegression(C=c, max_iter=5000).fit(scaler.transform(x), train.labels)
        assert model.score(scaler.transform(z), validation.labels) == pytest.approx(value, abs=0.01)


def test_without_validation_images_the_middle_of_the_grid_holds(parts, blobs):
    found = fitted(parts[0], blobs([]))
    assert (found.notes["C"], found.notes["validation_accuracy"]) == (1.0, {})


def test_probe_finds_what_the_vectors_hold(parts):
    train, validation, test = parts
    assert (fitted(train, validation).predict(test.images) == test.labels).mean() > 0.6
