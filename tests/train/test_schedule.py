# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.train.schedule import absolute_lr, learning_rate


def test_rate_rises_to_the_peak_and_falls_to_zero():
    rates = [learning_rate(s, 100, 0.1, 2.0) for s in range(100)]
    assert rates[:10] == pytest.approx([0.2 * (s + 1) for s in range(10)])
    assert max(rates) == 2.0
    assert rates[9:] == sorted(rates[9:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_rate_is_per_256_images():
    assert absolute_lr(1e-3, 512, 0.5) == pytest.approx(1e-3)
