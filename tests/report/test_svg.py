# SPDX-License-Identifier: Apache-2.0
"""Scales and escaping."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from rspipe.report.svg import Canvas, Scale, spread


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize(("low", "high"), [(0.001, 0.0012), (1, 9), (3, 70_000), (1e-5, 1e5)])
def test_ticks_lie_between_the_ends_and_are_few(low, high, is_log):
    ticks = Scale(low, high, 0, 100, is_log).ticks()
    assert 1 <= len(ticks) <= 10
    slack = low * 1e-3 if is_log else (high - low) * 1e-6
    assert all(low - slack <= tick <= high * 1.001 for tick in ticks)
    assert ticks == sorted(ticks)


def test_scale_maps_ends_to_ends():
    for is_log in (False, True):
        scale = Scale(2, 50, 300, 10, is_log)
        assert scale(2) == 300
        assert scale(50) == pytest.approx(10)


def test_equal_values_still_have_a_spread():
    for value in (0.0, 5.0):
        low, high = spread(np.array([value, value]))
        assert low < value < high


def test_texts_are_escaped():
    canvas = Canvas(10, 10, '"><script>')
    canvas.add("text", "<b>&", hint="</title><i>", x=1, y=2)
    drawn = canvas.render()
    assert "<script>" not in drawn
    assert ET.fromstring(drawn).find("text").text == "<b>&"
