# SPDX-License-Identifier: Apache-2.0
import numpy as np
from PIL import Image

from rspipe.curate.dedup.lanczos import shrink


def pillows(grey):
    return np.asarray(Image.fromarray(grey).resize((32, 32), Image.Resampling.LANCZOS))


def test_shrinking_equals_pillow_at_every_size():
    """Small sizes of any shape, tall ones where Pillow changes its order, and large ones."""
    rng = np.random.default_rng(0)
    small = [(h, w) for h in range(1, 72, 3) for w in range(1, 72, 2)]
    edges = [(2 * w - 32 + d, w) for w in (33, 48, 64, 100, 256) for d in (-1, 0, 1, 2)]
    large = [tuple(size) for size in rng.integers(1, 1100, (120, 2))]
    extreme = [(1, 1), (5000, 3), (3, 5000), (32, 32), (32, 90), (90, 32), (31, 33)]
    for size in small + edges + large + extreme:
        grey = rng.integers(0, 256, size, dtype=np.uint8)
        np.testing.assert_array_equal(shrink(grey), pillows(grey), err_msg=str(size))


def test_overshoot_is_clipped_as_pillow_clips_it():
    grey = np.repeat(np.repeat(np.uint8([[0, 255], [255, 0]]), 90, axis=0), 90, axis=1)
    np.testing.assert_array_equal(shrink(grey), pillows(grey))
    assert shrink(grey).min() == 0
    assert shrink(grey).max() == 255


def test_a_view_is_shrunk_like_its_copy():
    grey = np.random.default_rng(0).integers(0, 256, (128, 128), dtype=np.uint8)
    view = grey[::2, 10:100].T
    np.testing.assert_array_equal(shrink(view), shrink(view.copy()))
