import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from rspipe.evaluate.classification import (
    KnnClassifier,
    LinearClassifier,
    WhitenedKnnClassifier,
    whitening,
)
from rspipe.evaluate.config import Knn, LinearProbe, What

CPU = torch.device("cpu")


@pytest.fixture
def blobs():
    """Three overlapping classes in eight dimensions: train, labels, test, labels."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(3, 8))
    labels = rng.integers(0, 3, 400)
    points = (centres[labels] + rng.normal(size=(400, 8))).astype(np.float32)
    return points[:300], labels[:300], points[300:], labels[300:]


def paths(n):
    return [f"{i}.png" for i in range(n)]


def test_knn_votes_as_dino_does(blobs):
    train, labels, test, _ = blobs
    found, _ = KnnClassifier(What(knn=Knn(k=20, temperature=0.07)), CPU).predict(
        train, labels, paths(300), test
    )
    # The rule as DINO's evaluation states it, in torch.
    a, b = (torch.nn.functional.normalize(torch.from_numpy(x), dim=1) for x in (test, train))
    cosine, nearest = (a @ b.T).topk(20, dim=1)
    votes = torch.zeros(100, 3).scatter_add_(
        1, torch.from_numpy(labels)[nearest], (cosine / 0.07).exp()
    )
    assert (found == votes.argmax(dim=1).numpy()).all()


def test_knn_with_fewer_images_than_neighbours_lets_all_vote(blobs):
    train, _, test, _ = blobs
    found, _ = KnnClassifier(What(), CPU).predict(train[:5], np.zeros(5, int), paths(5), test)
    assert (found == 0).all()


def test_linear_probe_is_logistic_regression_at_the_chosen_c(blobs):
    train, labels, test, _ = blobs
    what = What(linear=LinearProbe(c_grid=(1e-4, 1e-2, 1.0)))
    found, notes = LinearClassifier(what, CPU).predict(train, labels, paths(300), test)
    scaler = StandardScaler().fit(train)
    model = LogisticRegression(C=notes["C"], max_iter=1000)
    model.fit(scaler.transform(train), labels)
    assert (found == model.predict(scaler.transform(test))).all()
    assert notes["converged"]


def test_linear_probe_takes_the_c_that_is_best_on_held_out_train_images(blobs):
    train, labels, test, truth = blobs
    found, notes = LinearClassifier(What(), CPU).predict(train, labels, paths(300), test)
    accuracy = notes["holdout_accuracy"]
    assert accuracy[f"{notes['C']:g}"] == max(accuracy.values())
    assert (found == truth).mean() > 0.6


def test_linear_probe_with_one_class_says_so(blobs):
    train, _, test, _ = blobs
    found, notes = LinearClassifier(What(), CPU).predict(train, np.full(300, 2), paths(300), test)
    assert (found == 2).all()
    assert notes["C"] is None


def test_whitened_features_are_uncorrelated_and_of_one_spread(blobs):
    train = blobs[0] * np.geomspace(1, 50, 8, dtype=np.float32)
    mean, matrix = whitening(train, damping=0)
    np.testing.assert_allclose(np.cov(((train - mean) @ matrix).T), np.eye(8), atol=1e-4)


def test_whitening_damps_directions_without_spread(blobs):
    train = blobs[0].copy()
    train[:, 7] = train[:, 6]
    mean, matrix = whitening(train)
    assert np.cov(((train - mean) @ matrix).T).diagonal().max() <= 1.001


def test_whitened_knn_does_not_depend_on_the_scale_of_a_feature(blobs):
    train, labels, test, _ = blobs
    knn = WhitenedKnnClassifier(What(), CPU)
    scale = np.array([1, 1, 1, 1, 1, 1, 1, 3], dtype=np.float32)
    plain, _ = knn.predict(train, labels, paths(300), test)
    scaled, _ = knn.predict(train * scale, labels, paths(300), test * scale)
    assert (plain == scaled).mean() > 0.97
