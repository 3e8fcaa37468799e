# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rspipe.evaluate.detection.average_precision import FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.average_precision.per_image import first_found

SHIP, PIER = 0, 1


def box(x, width=10.0):
    return [x, 0.0, x + width, 10.0]


def true(*boxes, labels, difficult=()):
    marks = [i in difficult for i in range(len(labels))]
    return TrueBoxes(np.array(boxes).reshape(-1, 4), np.array(labels), np.array(marks, bool))


def found(*boxes, labels, scores):
    return FoundBoxes(np.array(boxes).reshape(-1, 4), np.array(labels), np.array(scores))


def test_by_hand():
    """Three objects: of the three best, one is right, one of another class, one a second hit."""
    truth = true(box(0), box(20), box(40), labels=[SHIP, SHIP, PIER])
    said = found(
        box(20), box(1), box(0), box(20), box(40),
        labels=[SHIP, SHIP, SHIP, PIER, PIER], scores=[0.1, 0.8, 0.9, 0.7, 0.6],
    )  # fmt: skip
    first = first_found(truth, said, "horizontal")
    assert first.detections.tolist() == [2, 1, 3]
    assert first.right.tolist() == [True, False, False]
    assert first.r_precision == pytest.approx(1 / 3)


def test_all_found_is_one_and_order_of_detections_does_not_matter():
    truth = true(box(0), box(20), labels=[SHIP, PIER])
    said = found(box(19), box(2), box(60), labels=[PIER, SHIP, SHIP], scores=[0.5, 0.6, 0.4])
    assert first_found(truth, said, "horizontal").r_precision == 1
    turned = FoundBoxes(said.boxes[::-1], said.labels[::-1], said.scores[::-1])
    assert first_found(truth, turned, "horizontal").r_precision == 1


def test_less_found_than_there_is_cannot_reach_one():
    truth = true(box(0), box(20), labels=[SHIP, SHIP])
    assert (
        first_found(truth, found(box(0), labels=[SHIP], scores=[1.0]), "horizontal").r_precision
        == 0.5
    )


def test_difficult_objects_do_not_count_and_an_image_without_others_has_no_score():
    truth = true(box(0), labels=[SHIP], difficult=(0,))
    said = found(box(0), labels=[SHIP], scores=[1.0])
    assert np.isnan(first_found(truth, said, "horizontal").r_precision)


def test_oriented_boxes_are_matched_by_their_own_overlap():
    upright, turned = [5.0, 5.0, 10.0, 2.0, 0.0], [5.0, 5.0, 10.0, 2.0, np.pi / 2]
    truth = TrueBoxes(np.array([upright]), np.array([SHIP]), np.zeros(1, bool))
    for told, right in ((upright, 1), (turned, 0)):
        said = FoundBoxes(np.array([told]), np.array([SHIP]), np.ones(1))
        assert first_found(truth, said, "oriented").r_precision == right
