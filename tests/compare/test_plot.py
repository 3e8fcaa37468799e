# SPDX-License-Identifier: Apache-2.0
import numpy as np

from rspipe.compare.plot import mean_curve
from rspipe.compare.table import Row


def row(*curve):
    return Row(variant="a", seed=0, scores={}, curve=list(curve))


def test_curves_of_seeds_are_averaged_as_far_as_all_of_them_go():
    found = mean_curve([row((1, 0.5, 4.0), (2, 1.0, 2.0)), row((1, 0.6, 2.0)), row()])
    np.testing.assert_array_equal(found, [[1.0, 3.0]])


def test_without_any_curve_there_is_none():
    assert mean_curve([row()]).shape == (0, 2)
