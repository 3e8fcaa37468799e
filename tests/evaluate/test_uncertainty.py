# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from scipy import stats

from rspipe.evaluate.uncertainty import bootstrap


def mean_of(values):
    return lambda images: np.array([values[images].mean()])


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(0).normal(size=200)
    found = bootstrap(mean_of(values), 200, 4000, seed=1)
    want = stats.bootstrap(
        (values,), np.mean, n_resamples=4000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert found.low[0] == pytest.approx(want.low, abs=0.01)
    assert found.high[0] == pytest.approx(want.high, abs=0.01)


def test_interval_of_an_accuracy_is_scipys_for_the_same_draws():
    hits = np.random.default_rng(0).random(150) < 0.8
    found = bootstrap(mean_of(hits), 150, 500, seed=7)
    want = stats.bootstrap(
        (hits,), np.mean, n_resamples=500, method="percentile", rng=np.random.default_rng(7)
    ).confidence_interval
    assert (found.low[0], found.high[0]) == pytest.approx((want.low, want.high), abs=1e-12)


def test_interval_covers_the_truth_about_nineteen_times_in_twenty():
    rng = np.random.default_rng(0)
    hits = 0
    for trial in range(200):
        values = rng.binomial(1, 0.7, size=100).astype(float)
        found = bootstrap(mean_of(values), 100, 200, seed=trial)
        hits += bool(found.low[0] <= 0.7 <= found.high[0])
    assert 180 <= hits <= 199


def test_same_seed_same_interval_and_value_lies_inside():
    values = np.random.default_rng(0).random(50)
    first, second = (bootstrap(mean_of(values), 50, 100, seed=3) for _ in range(2))
    assert (first.low, first.high) == (second.low, second.high)
    assert first.low <= first.values <= first.high


def test_one_image_gives_a_value_without_an_interval():
    found = bootstrap(mean_of(np.array([0.5])), 1, 10, seed=0)
    assert found.values[0] == 0.5
    assert np.isnan([found.low[0], found.high[0]]).all()


def test_score_that_is_sometimes_undefined_keeps_an_interval_and_a_never_defined_one_none():
    def statistic(images):
        return np.array([1.0 if 0 in images else np.nan, np.nan])

    found = bootstrap(statistic, 3, 100, seed=0)
    assert found.low[0] == found.high[0] == 1.0
    assert np.isnan(found.low[1])
