# SPDX-License-Identifier: Apache-2.0
"""Attention maps over example images."""

import base64
import io

import numpy as np
from PIL import Image

from rspipe.report.attention import attention_of


def pixels_of(uri):
    data = base64.b64decode(uri.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_veil_is_strongest_where_the_probe_looks():
    maps = np.full((2, 1, 3, 3), 0.1, np.float16)
    maps[1, 0, 2, 0] = 0.9
    (one,) = attention_of({"attention": maps}, 1)
    veil = pixels_of(one.veil)[..., 3]
    assert np.argwhere(veil).tolist() == [[2, 0]]
    (even,) = attention_of({"attention": maps}, 0)
    assert not pixels_of(even.veil)[..., 3].any()


def test_the_sharpest_queries_follow_the_mean():
    maps = np.full((1, 5, 2, 2), 0.25, np.float16)
    maps[0, 3] = [[1, 0], [0, 0]]
    maps[0, 1] = [[0.5, 0.5], [0, 0]]
    words = [one.words for one in attention_of({"attention": maps}, 0)]
    assert words == ["mean of 5 queries", "query 3", "query 1", "query 0"]


def test_cells_without_maps_show_none():
    assert attention_of({}, 0) == ()
    assert attention_of({"attention": np.ones((1, 1, 2, 2))}, 1) == ()
