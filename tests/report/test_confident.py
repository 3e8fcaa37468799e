# SPDX-License-Identifier: Apache-2.0
"""The surest predictions, and what is shown where nothing says how sure they are."""

import numpy as np

from rspipe.report.confident import confident_of


def shown(examples):
    return [(one.path, one.truth, one.found, one.confidence) for one in examples]


def test_the_surest_come_first_and_right_ones_apart_from_wrong_ones():
    arrays = {
        "truth": np.array([0, 0, 1, 1, 1]),
        "predicted": np.array([[0, 1, 1, 0, 0], [1, 1, 0, 0, 1]]),
        "paths": np.array(["a", "b", "c", "d", "e"]),
        "confidence": np.array([0.75, 0.5, 0.875, 1.0, 0.625], np.float32),
    }
    found = confident_of(arrays, ["x", "y"], None)
    assert shown(found.right) == [("c", "y", "y", 0.875), ("a", "x", "x", 0.75)]
    assert shown(found.wrong) == [
        ("d", "y", "x", 1.0),
        ("e", "y", "x", 0.625),
        ("b", "x", "y", 0.5),
    ]


def test_one_class_does_not_fill_the_row():
    arrays = {
        "truth": np.array([0] * 9 + [1, 2]),
        "predicted": np.array([[0] * 9 + [1, 2]]),
        "paths": np.arange(11).astype(str),
        "confidence": np.linspace(1, 0.5, 11),
    }
    found = confident_of(arrays, ["x", "y", "z"], None)
    assert [one.path for one in found.right] == ["0", "1", "9", "10"]
    assert found.per_class == 2


def test_without_confidence_only_images_that_every_seed_gets_wrong_are_shown():
    arrays = {
        "truth": np.array([0, 0, 1, 1]),
        "predicted": np.array([[0, 1, 0, 0], [0, 1, 1, 0]]),
        "paths": np.array(["right.png", "wrong.png", "once.png", "also.png"]),
    }
    found = confident_of(arrays, ["x", "y"], None)
    assert shown(found.wrong) == [("wrong.png", "x", "y", None), ("also.png", "y", "x", None)]
    assert (found.right, found.has_confidence) == ((), False)


def test_cells_of_masks_and_older_cells_show_nothing():
    assert not confident_of({"confusion": np.eye(2)}, ["x", "y"], None)
    perfect = {"truth": np.array([0]), "predicted": np.array([[0]]), "paths": np.array(["a"])}
    assert not confident_of(perfect, ["x"], None)
