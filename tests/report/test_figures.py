# SPDX-License-Identifier: Apache-2.0
"""The charts hold what they are given."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from rspipe.report import figures
from rspipe.report.figures import Series


def by_class(svg, name):
    return [e for e in ET.fromstring(svg).iter() if name in (e.get("class") or "").split()]


def test_histogram_counts_every_finite_value():
    values = np.array([1.0, 2.0, 2.0, 1000.0, np.nan, np.inf])
    bars = by_class(figures.histogram(values, "t", "x"), "column")
    assert sum(int(bar.find("title").text.rsplit(" ", 1)[1]) for bar in bars) == 4


def test_logarithmic_histogram_leaves_out_what_has_no_logarithm():
    bars = by_class(figures.histogram(np.array([0.0, -1.0, 10.0, 100.0]), "t", "x", True), "column")
    assert len(bars) == 2


@pytest.mark.parametrize("values", [[], [np.nan]])
def test_nothing_to_draw_is_no_chart(values):
    assert figures.histogram(np.array(values), "t", "x") == ""
    assert figures.line_chart([Series("a", np.array(values), np.array(values))], "t", "x") == ""


def test_long_curves_are_thinned_and_keep_their_ends():
    x = np.arange(100_000.0)
    chart = figures.line_chart([Series("a", x, np.cos(x / 1e4))], "t", "step")
    faint, strong = by_class(chart, "line")
    assert len(faint.get("points").split()) <= 400
    assert len(strong.get("points").split()) <= 400


def test_moving_mean_of_a_straight_line_is_the_line():
    x = np.arange(300.0)
    faint, strong = by_class(figures.line_chart([Series("a", x, 2 * x + 1)], "t", "x"), "line")
    assert faint.get("points") == strong.get("points")


def test_every_series_has_its_own_colour():
    x = np.arange(5.0)
    chart = figures.line_chart([Series(str(i), x, x + i) for i in range(3)], "t", "x")
    assert [len(by_class(chart, f"c{i}")) for i in range(4)] == [2, 2, 2, 0]


def test_a_footprint_stands_where_it_lies():
    path = by_class(figures.world_map({"a": np.array([[0.0, 0.0, 90.0, 45.0]])}), "foot")[0]
    left, top, width, height = (float(n) for n in re.findall(r"[\d.]+", path.get("d"))[:4])
    sea = by_class(figures.world_map({}), "sea")[0]
    full_width, full_height = float(sea.get("width")), float(sea.get("height"))
    assert width / full_width == pytest.approx(0.25, abs=0.01)
    assert height / full_height == pytest.approx(0.25, abs=0.01)
    assert (left - float(sea.get("x"))) / full_width == pytest.approx(0.5, abs=0.01)
    assert (top - float(sea.get("y"))) / full_height == pytest.approx(0.25, abs=0.01)


def test_a_footprint_across_the_antimeridian_is_cut_in_two():
    path = by_class(figures.world_map({"a": np.array([[170.0, 0.0, -170.0, 10.0]])}), "foot")[0]
    widths = [float(n) for n in re.findall(r"h(\d+)", path.get("d"))]
    assert len(widths) == 2
    assert max(widths) < 40


def test_many_footprints_in_one_place_are_drawn_once():
    boxes = np.tile(np.array([[1.0, 1.0, 1.001, 1.001]]), (10_000, 1))
    assert len(by_class(figures.world_map({"a": boxes}), "foot")[0].get("d")) < 40


def test_whiskers_overlap_where_the_intervals_do():
    scores = [("pretrained", 0.8, 0.7, 0.9), ("random", 0.6, 0.5, 0.75)]
    trained, untrained = (
        by_class(figures.interval(score, (0, 1), score[0]), "whisker")[0] for score in scores
    )
    assert float(trained.get("x1")) < float(untrained.get("x2"))


def test_a_published_value_stands_on_the_axis_of_the_intervals():
    dot = by_class(figures.interval(("a", 0.7, 0.7, 0.7), (0, 1), "c1"), "dot")[0]
    corners = by_class(figures.mark("b", 0.7, (0, 1)), "diamond")[0].get("points").split()
    xs = [float(corner.split(",")[0]) for corner in corners]
    assert (min(xs) + max(xs)) / 2 == pytest.approx(float(dot.get("cx")))


def test_right_and_wrong_boxes_look_different():
    box = np.array([0.0, 0.0, 9.0, 9.0])
    chart = figures.boxes((9, 9), [], [(box, "a", True), (box, "b", False), (box, "c", None)])
    assert [len(by_class(chart, name)) for name in ("found", "right", "wrong")] == [3, 1, 1]


def test_confusion_shades_are_shares_of_rows():
    chart = figures.heatmap(np.array([[3, 1], [0, 0]]), ["<a>", "b"])
    assert [t.text for t in by_class(chart, "share")] == ["75", "25"]
    assert len(by_class(chart, "hit")) == 2


def test_boxes_are_drawn_in_pixels_of_the_picture():
    chart = figures.boxes((100, 50), [np.array([10.0, 20.0, 30.0, 45.0])], [])
    box = by_class(chart, "truth")[0]
    assert [box.get(k) for k in ("x", "y", "width", "height")] == ["10", "20", "20", "25"]
    assert ET.fromstring(chart).get("viewBox") == "0 0 100 50"
