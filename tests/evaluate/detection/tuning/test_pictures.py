# SPDX-License-Identifier: Apache-2.0
import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from rspipe.evaluate.detection.tuning.pictures import scale_by, to_batch


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([32, 64, 224]))
def test_the_longer_side_is_filled_and_the_shorter_one_fits(height, width, side):
    factor = side / max(height, width)
    scaled = scale_by(np.zeros((height, width, 3), np.uint8), factor)
    assert max(scaled.shape[:2]) == side
    want = np.array([height, width]) * factor
    assert ((want - scaled.shape[:2] < 1) | (np.array(scaled.shape[:2]) == 1)).all()


def test_scaling_keeps_places():
    # A smooth field: its value at a pixel's centre, scaled, is that at the scaled centre.
    y, x = np.mgrid[:90, :150] + 0.5
    image = np.stack([x, y, 0 * x], axis=-1).astype(np.uint8)
    factor = 64 / 150
    scaled = scale_by(image, factor)
    y, x = (np.mgrid[: scaled.shape[0], : scaled.shape[1]] + 0.5) / factor
    inner = slice(2, -2)
    np.testing.assert_allclose(scaled[inner, inner, 0], x[inner, inner] - 0.5, atol=1.0)
    np.testing.assert_allclose(scaled[inner, inner, 1], y[inner, inner] - 0.5, atol=1.0)


def test_batches_are_standardised_and_padded_with_the_mean():
    image = np.full((4, 8, 3), 255, np.uint8)
    batch = to_batch([image, image[:, :2]], 8, (0.5,) * 3, (0.25,) * 3, torch.device("cpu"))
    assert batch.shape == (2, 3, 8, 8)
    assert (batch[0, :, :4] == 2).all()
    assert not batch[0, :, 4:].any()
    assert not batch[1, :, :, 2:].any()
