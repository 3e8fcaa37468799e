# SPDX-License-Identifier: Apache-2.0
import pytest
from scipy import stats

from rspipe.compare.table import Estimate


def test_the_interval_over_seeds_is_student_s():
    values = [0.51, 0.55, 0.58]
    found = Estimate.of(values)
    low, high = stats.t.interval(0.95, 2, loc=found.mean, scale=stats.sem(values))
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high))


def test_one_seed_has_no_spread():
    assert Estimate.of([0.5]) == Estimate(0.5, None, None, None, 1)
