# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch

from rspipe.evaluate.detection.average_precision import TrueBoxes
from rspipe.evaluate.detection.horizontal.pictures import to_learn, to_published
from rspipe.evaluate.detection.tuning.objects import Found

TRUTH = TrueBoxes(
    np.array([[0.0, 2, 10, 8], [12, 4, 20, 10]]), np.array([1, 0]), np.array([False, True])
)


def test_mirrored_boxes_lie_on_the_mirrored_objects_and_difficult_ones_are_left_out():
    image = np.zeros((10, 20, 3), np.uint8)
    image[2:8, :10] = 255
    for mirrored, box in ((False, [0, 4, 20, 16]), (True, [20, 4, 40, 16])):
        picture = to_learn(image, TRUTH, 2.0, mirrored)
        assert picture.pixels.shape == (20, 40, 3)
        assert picture.objects.boxes.tolist() == [box]
        assert picture.objects.labels.tolist() == [1]
        x0, y0, x1, y1 = box
        assert (picture.pixels[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2] == 255).all()
        assert picture.pixels.mean() < 100


def test_detections_come_back_in_pixels_of_the_image_and_cut_at_its_edges():
    found = Found(
        torch.tensor([[-4.0, 2, 30, 50], [10, 24, 20, 44], [2, 2, 6, 6]]),
        torch.tensor([0, 1, 2]),
        torch.tensor([0.9, 0.8, 0.7]),
    )
    told = to_published(found, 2.0, (10, 20))
    assert told.boxes.tolist() == [[0, 1, 15, 10], [1, 1, 3, 3]]  # the second lies in the padding
    assert told.labels.tolist() == [0, 2]


def test_back_and_forth_is_identity():
    image = np.zeros((13, 21, 3), np.uint8)
    picture = to_learn(image, TRUTH, 64 / 21, mirrored=False)
    found = Found(picture.objects.boxes, picture.objects.labels, torch.ones(1))
    told = to_published(found, 64 / 21, (13, 21))
    np.testing.assert_allclose(told.boxes, TRUTH.boxes[:1], atol=1e-5)
