# SPDX-License-Identifier: Apache-2.0
"""Scores side by side."""

import json

import numpy as np
import pytest

from rspipe.report.results_folder import ResultsFolder
from rspipe.report.results_section import describe_results


@pytest.fixture
def rescored(folders):
    """Describe the results after a change to their rows."""

    def describe(*changes):
        path = folders.results[0] / "results.json"
        rows = json.loads(path.read_text())
        for change in changes:
            change(rows)
        path.write_text(json.dumps(rows))
        return describe_results([ResultsFolder.read(*folders.results)])

    return describe


def over(low, high, reference="random"):
    return {reference: {"value": (low + high) / 2, "ci_low": low, "ci_high": high}}


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.2, "better"), (-0.01, 0.2, "inseparable"), (-0.2, -0.01, "worse")],
)
def test_verdict_is_that_of_the_paired_difference(rescored, low, high, verdict):
    """The two intervals of the fixture overlap in every case."""
    section = rescored(lambda rows: rows[0]["extra"].update(over=over(low, high)))
    assert section.rows[0].verdict == verdict
    assert section.verdicts[verdict] == 1


def test_a_difference_without_pairs_is_a_number_without_a_verdict(rescored):
    (row,) = rescored().rows
    assert row.verdict == "unknown"
    assert (row.gain.value, row.gain.low) == (pytest.approx(0.25), None)


def test_the_best_floor_is_the_one_beaten_by_least(rescored):
    def change(rows):
        known = over(0.1, 0.2) | over(0.3, 0.5, "none") | over(0.2, 0.3, "image_statistics")
        rows[0]["extra"]["over"] = known

    (row,) = rescored(change).rows
    assert row.over_floor["pretrained"].reference == "image_statistics"
    assert set(row.over_untrained) == {"pretrained"}


def count(folders, confusion):
    for name in ("pretrained", "random"):
        np.savez(folders.results[0] / f"cells/cell-{name}.npz", confusion=np.array(confusion))


@pytest.mark.parametrize(
    ("confusion", "is_shown"), [([[70, 5], [10, 15]], False), ([[70, 6], [10, 14]], True)]
)
def test_aa_stands_beside_oa_where_one_class_holds_most_images(
    folders, rescored, confusion, is_shown
):
    """Of two classes, 1.5 times the even share is three quarters."""
    count(folders, confusion)

    def change(rows):
        for row in rows[:2]:
            row["extra"]["AA"] = {"value": 0.5, "ci_low": 0.4, "ci_high": 0.6}

    (row,) = rescored(change).rows
    assert bool(row.balanced) == is_shown


def test_a_class_that_no_encoder_has_a_score_for_is_empty(rescored):
    (detail,) = rescored().details
    assert [(row.name, row.is_empty) for row in detail.classes] == [("lake", False), ("bay", True)]


def test_a_floor_that_is_not_of_a_line_has_no_column_in_its_table(rescored):
    def add(rows):
        rows.append({**rows[0], "encoder": "none", "protocol": "majority"})

    assert [one.encoders for one in rescored(add).details] == [("pretrained", "random"), ("none",)]


def test_what_stands_behind_a_floor_comes_last(rescored):
    """The page opens the first: that of an encoder that was trained."""

    def add(rows):
        rows.insert(0, {**rows[0], "encoder": "none", "protocol": "majority"})

    assert [one.protocol for one in rescored(add).details] == ["knn", "majority"]


def test_encoders_stand_in_one_line(rescored):
    (row,) = rescored().rows
    assert str(row.scores["pretrained"]) == "0.875"
    assert row.gain.value == pytest.approx(0.25)


def test_headline_is_the_score_with_most_test_images(rescored):
    def add(rows):
        rows += [{**row, "benchmark": "big", "value": 0.1, "n_test": 999} for row in rows[:2]]

    assert rescored(add).headline.benchmark == "big"


def test_a_score_under_corruption_is_a_line_but_no_headline(rescored):
    def add(rows):
        triple = {"value": -0.1, "ci_low": -0.2, "ci_high": 0.0}
        one = {"kind": "jpeg", "severity": 30.0, **triple, "change": triple}
        extra = {
            "corruptions": [one | {"feature_distance": triple}],
            "feature_distance_between_images": 0.3,
        }
        rows += [
            {**row, "protocol": "knn_corrupted", "metric": "OA_corrupted", "extra": extra}
            for row in rows[:2]
        ]

    section = rescored(add)
    assert [row.protocol for row in section.rows] == ["knn", "knn_corrupted"]
    assert section.headline.protocol == "knn"
    assert [one.probe for one in section.robustness] == ["knn"]
    assert len(section.details) == 1


def test_without_a_baseline_there_is_no_headline_and_no_verdict(rescored):
    section = rescored(lambda rows: rows.pop(1))
    assert section.headline is None
    assert section.rows[0].verdict == ""


def test_a_score_without_interval_is_a_point(rescored):
    section = rescored(lambda rows: rows[0].update(ci_low=None, ci_high=None))
    score = section.rows[0].scores["pretrained"]
    assert score.low == score.value == score.high


def test_skipped_sets_keep_their_reason(rescored):
    assert [row["reason"] for row in rescored().skipped] == ["no boxes"]


def test_classes_follow_the_recorded_order_and_name_the_matrix(rescored):
    (detail,) = rescored().details
    assert [row.name for row in detail.classes] == ["lake", "bay"]
    assert "lake seen as bay: 2" in detail.confusion
    assert detail.further[0][0] == "macro_f1"


def test_a_matrix_of_unrecorded_order_is_numbered(rescored):
    (detail,) = rescored(lambda rows: rows[0]["extra"].pop("classes")).details
    assert "class 0 seen as class 1: 2" in detail.confusion


def test_only_skipped_rows_still_make_a_section(rescored):
    section = rescored(lambda rows: rows.__delitem__(slice(0, 2)))
    assert section.rows == ()
    assert len(section.skipped) == 1


def test_the_curve_of_every_encoder_is_drawn(rescored):
    def change(rows):
        for row in rows[:2]:
            row["extra"]["curve"] = [{"size": s, "value": 0.1 * s} for s in (1, 2, 4)]

    (detail,) = rescored(change).details
    assert 'class="curve pretrained"' in detail.curve
    assert 'class="curve random"' in detail.curve


def test_an_encoder_beside_has_its_own_colour_and_column(rescored):
    section = rescored(lambda rows: rows.append({**rows[0], "encoder": "CrossMAE B"}))
    (row,) = section.rows
    assert set(row.scores) == {"pretrained", "random", "CrossMAE B"}
    assert 'class="dot c1"' in row.drawings["CrossMAE B"]
    assert dict(section.details[0].further)["macro_f1"]["CrossMAE B"].value == 0.5


def test_detectors_show_precision_by_recall_where_the_cell_kept_it(folders, rescored):
    assert rescored().details[0].precision == ""
    precision = np.stack([np.linspace(1, 0, 101), np.ones(101)])
    np.savez(folders.results[0] / "cells/cell-pretrained.npz", precision=precision)
    assert rescored().details[0].precision.count("<polyline") == 3
