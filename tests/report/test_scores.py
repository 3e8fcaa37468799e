# SPDX-License-Identifier: Apache-2.0
"""Numbers read from rows."""

from rspipe.report.scores import curves_of, lines_of, looks_of, score_of


def test_the_spread_over_seeds_stands_apart_from_the_interval():
    row = {"value": 0.5, "ci_low": 0.4, "ci_high": 0.6, "n_seeds": 3, "seed_std": 0.02}
    score = score_of(row | {"clean_value": 0.7})
    assert (score.low, score.high, score.n_seeds, score.seed_std) == (0.4, 0.6, 3, 0.02)
    clean = score_of(row | {"clean_value": 0.7}, "clean_")
    assert (clean.value, clean.low, clean.high, clean.seed_std) == (0.7, 0.7, 0.7, None)


def test_labels_are_never_classes_of_the_page():
    looks = looks_of(["pretrained", "random", 'x" onload="y', "none"])
    assert looks == {
        "pretrained": "pretrained",
        "random": "random",
        'x" onload="y': "c1",
        "none": "c2",
    }


def test_a_line_holds_the_encoders_of_one_protocol():
    def row(**said):
        return {"benchmark": "b", "task": "t", "protocol": "knn", "metric": "OA", **said}

    rows = [row(encoder="x"), row(encoder="x", protocol="few_shot"), row(encoder="y")]
    assert lines_of(rows) == [{"x": rows[0], "y": rows[2]}, {"x": rows[1]}]


def test_curves_are_read_where_a_protocol_has_one():
    point = {"size": 4, "value": 0.5, "ci_low": 0.4, "ci_high": 0.6}
    lines = {"x": {"extra": {"curve": [point]}}, "y": {"extra": {}}, "z": {"extra": None}}
    ((name, ((size, score),)),) = curves_of(lines).items()
    assert (name, size, score.low, score.value, score.high) == ("x", 4.0, 0.4, 0.5, 0.6)
