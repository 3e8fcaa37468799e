# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rspipe.evaluate.segmentation.floors import MOST_PIXELS, ColourTable
from rspipe.evaluate.segmentation.masks import IGNORE
from rspipe.evaluate.segmentation.pixels import Pair


def pair(colours, mask):
    return Pair(np.array(colours, np.uint8), np.array(mask, np.uint8))


RED, BLUE, GREEN = (200, 10, 10), (10, 10, 200), (10, 200, 10)


def test_each_colour_gets_its_commonest_class_and_a_new_one_the_commonest_of_all():
    train = [
        pair([[RED, RED, RED, BLUE]], [[1, 1, 0, 0]]),
        pair([[BLUE, BLUE, BLUE, BLUE]], [[0, 0, 2, IGNORE]]),
    ]
    table = ColourTable(train, 3)
    assert table.majority == 0
    found = table.predict(np.array([[RED, BLUE, GREEN]], np.uint8), (1, 3))
    assert found.tolist() == [[1, 0, 0]]


def test_near_colours_are_one_and_the_answer_has_the_size_asked_for():
    table = ColourTable([pair([[RED, BLUE]], [[1, 0]])], 2)
    near = np.array([[(203, 12, 4)]], np.uint8)
    assert (table.predict(near, (5, 7)) == np.ones((5, 7))).all()


def test_ignored_pixels_are_not_counted():
    table = ColourTable([pair([[RED, RED, RED]], [[IGNORE, IGNORE, 1]])], 2)
    assert table.majority == 1


@pytest.mark.parametrize("side", [256, 600])
def test_large_images_are_counted_on_a_grid(side):
    image, mask = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.uint8)
    mask[:, side // 4 :] = 1
    assert ColourTable([Pair(image, mask)], 2).majority == 1
    step = int(np.ceil(side / MOST_PIXELS**0.5))
    assert mask[::step, ::step].size <= MOST_PIXELS
