# SPDX-License-Identifier: Apache-2.0
"""Frozen features made by hand: what a probe sees, without images or an encoder."""

import numpy as np
import pytest
import torch

from rspipe.evaluate.classification.probes.base import Images, Labelled
from rspipe.evaluate.frozen.tokens import FrozenTokens

ENCODED = ("pre/cls", "pre/mean", "post/cls", "post/mean")


@pytest.fixture
def blobs():
    """Three overlapping classes in eight dimensions; a half of each image's four tokens is noise.

    Returns a function from places of images to what a probe is given.
    """
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 400)
    centres = rng.normal(size=(3, 8))
    points = (centres[labels] + rng.normal(size=(400, 8))).astype(np.float32)
    tokens = rng.normal(size=(400, 5, 8)).astype(np.float32)
    tokens[:, 2:4] += 2 * centres[labels][:, None]
    pooled = np.repeat(points[:, None], len(ENCODED), axis=1)
    norm = torch.nn.LayerNorm(8)
    features = FrozenTokens(pooled, ENCODED, grid=(2, 2), stored=tokens, norm=norm)

    def take(ids, of=features):
        ids = np.asarray(ids, dtype=np.int64)
        return Labelled(Images(of, ids), labels[ids], n_classes=3)

    take.features = features
    return take


@pytest.fixture
def parts(blobs):
    """Train, validation and test part."""
    return blobs(range(200)), blobs(range(200, 300)), blobs(range(300, 400))
