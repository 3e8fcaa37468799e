# SPDX-License-Identifier: Apache-2.0
"""Curves of scores."""

import re

import numpy as np
import pytest

from rspipe.report.curve_figures import label_curves, precision_curves, precision_legend
from rspipe.report.scores import Score


def test_sizes_lie_on_a_logarithmic_axis_and_whiskers_span_the_interval():
    points = [(size, Score(0.5, 0.4, 0.8, 5, 0.01)) for size in (4, 1, 2)]
    chart = label_curves({"a": points}, {"a": "c1"}, "images per class")
    (line,) = re.findall(r'<polyline points="([^"]+)" class="curve c1"', chart)
    x = [float(point.split(",")[0]) for point in line.split()]
    assert x[1] - x[0] == pytest.approx(x[2] - x[1], abs=0.2)
    assert chart.count('class="dot c1"') == 3
    assert "a, 4: 0.500 [0.400, 0.800] ± 0.010 over 5 draws" in chart
    whisker = re.search(r'y1="([\d.]+)" y2="([\d.]+)" class="whisker', chart)
    dot = float(re.search(r'cy="([\d.]+)"', chart)[1])
    low, high = map(float, whisker.groups())
    assert (low - dot) * 3 == pytest.approx(dot - high, abs=0.5)


def test_nothing_to_draw_is_no_drawing():
    assert label_curves({}, {}, "x") == ""
    assert precision_curves(np.full((2, 101), np.nan), ["a", "b"]) == ""
    assert precision_curves(np.zeros((2, 101)), ["a", "b"]) == ""


def test_one_size_is_no_curve():
    assert label_curves({"a": [(4, Score(0.5, 0.4, 0.8))]}, {"a": "c1"}, "images per class") == ""


def test_classes_without_objects_have_no_precision_curve():
    precision = np.stack([np.linspace(1, 0, 101), np.full(101, np.nan)])
    chart = precision_curves(precision, ["ship", "<car>"])
    assert chart.count("<polyline") == 2  # the class and the mean
    assert "ship" in chart
    assert "car" not in chart


def test_each_precision_curve_is_named_in_its_colour_and_the_mean_has_its_own():
    precision = np.stack([np.linspace(1, 0, 101), np.full(101, np.nan), np.ones(101)])
    legend = precision_legend(precision, ["ship", "car", "bridge"])
    assert [name for name, _ in legend] == ["ship", "bridge", "mean"]
    chart = precision_curves(precision, ["ship", "car", "bridge"])
    looks = re.findall(r'class="line (?:raw )?(c\d)"', chart)
    assert looks == [look for _, look in legend]
    assert len(set(looks)) == 3


def test_colours_that_would_come_twice_name_no_class():
    assert precision_legend(np.ones((8, 101)), [str(k) for k in range(8)]) == ()
