# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
import torch
from sklearn.neighbors import KNeighborsClassifier

from rspipe.evaluate.classification.probes import knn
from rspipe.evaluate.classification.probes.base import Images, Labelled
from rspipe.evaluate.classification.probes.knn import KnnProbe, WhitenedKnnProbe, whitening
from rspipe.evaluate.config import Knn, What
from rspipe.evaluate.frozen.tokens import FrozenTokens

CPU = torch.device("cpu")


def labelled(vectors, labels):
    features = FrozenTokens(vectors[:, None].astype(np.float32), ("whole",))
    return Labelled(Images(features, np.arange(len(vectors))), np.asarray(labels), 3)


def fitted(memory, probe=KnnProbe, **settings):
    empty = Labelled(Images(memory.images.features, np.arange(0)), memory.labels[:0], 3)
    return probe(What(knn=Knn(**settings)), CPU).fit(memory, empty, [0])[0]


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.07), (20, 0.07), (50, 0.2)])
def test_labels_are_those_of_scikit_learn(k, temperature):
    """E4: on 1,000 random points."""
    rng = np.random.default_rng(k)
    points = rng.normal(size=(1000, 16)).astype(np.float32)
    labels = rng.integers(0, 3, 1000)
    reference = KNeighborsClassifier(
        k, weights=lambda d: np.exp((1 - d.astype(np.float64)) / temperature), metric="cosine"
    ).fit(points[:700], labels[:700])
    found = fitted(labelled(points[:700], labels[:700]), k=k, temperature=temperature)
    test = labelled(points[700:], labels[700:]).images
    found_labels, shares = found.predict_surely(test)
    assert (found_labels == reference.predict(points[700:])).all()
    np.testing.assert_allclose(shares, reference.predict_proba(points[700:]).max(axis=1), 1e-4)


def test_every_listed_k_and_temperature_is_predicted_as_if_it_were_the_headline(parts):
    train, _, test = parts
    found = fitted(train, k=20, temperature=0.07, also_k=(1, 5), also_temperature=(0.2,))
    variants = found.variants(test.images)
    assert set(variants) == {
        "k=1, T=0.07", "k=1, T=0.2", "k=5, T=0.07", "k=5, T=0.2", "k=20, T=0.2",
    }  # fmt: skip
    alone = fitted(train, k=5, temperature=0.2)
    assert (variants["k=5, T=0.2"] == alone.predict(test.images)).all()


def test_labels_do_not_depend_on_how_many_images_are_compared_at_a_time(parts, monkeypatch):
    train, _, test = parts
    whole = fitted(train).predict(test.images)
    monkeypatch.setattr(knn, "_CELLS", 7 * 200)
    assert (fitted(train).predict(test.images) == whole).all()


def test_fewer_images_than_neighbours_all_vote(parts):
    train, _, test = parts
    few = Labelled(Images(train.images.features, train.images.ids[:5]), np.zeros(5, int), 3)
    found = fitted(few)
    assert found.notes["k"] == 5
    assert (found.predict(test.images) == 0).all()


def test_small_temperature_does_not_overflow(parts):
    train, _, test = parts
    assert (fitted(train, temperature=1e-4).predict(test.images) >= 0).all()


def test_whitened_features_are_uncorrelated_and_of_one_spread(parts):
    vectors = parts[0].images.vectors("mean", "post") * np.geomspace(1, 50, 8, dtype=np.float32)
    mean, matrix = whitening(vectors, damping=0)
    np.testing.assert_allclose(np.cov(((vectors - mean) @ matrix).T), np.eye(8), atol=1e-4)


def test_whitening_damps_directions_without_spread(parts):
    vectors = parts[0].images.vectors("mean", "post")
    vectors[:, 7] = vectors[:, 6]
    mean, matrix = whitening(vectors)
    assert np.cov(((vectors - mean) @ matrix).T).diagonal().max() <= 1.001


def test_whitened_neighbours_do_not_depend_on_the_scale_of_a_feature(parts):
    train, _, test = (part.images.vectors("mean", "post") for part in parts)
    labels = parts[0].labels
    scale = np.array([1, 1, 1, 1, 1, 1, 1, 3], dtype=np.float32)

    def predicted(factor):
        found = fitted(labelled(train * factor, labels), WhitenedKnnProbe)
        return found.predict(labelled(test * factor, np.zeros(100, int)).images)

    assert (predicted(1) == predicted(scale)).mean() > 0.97
