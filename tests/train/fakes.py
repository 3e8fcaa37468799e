"""A corpus that lives in memory: made tiles of several sizes, without files."""

import numpy as np


class FakeCorpus:
    fingerprint = "fake-corpus"

    def __init__(self, rows=24):
        self.rows = rows

    def __len__(self):
        return self.rows

    def images(self, rows):
        return [make_tile(row) for row in rows]


def make_tile(row):
    """A tile with a smooth part and a textured part; its size depends on the row."""
    rng = np.random.default_rng(row)
    height, width = 24 + row % 3 * 8, 32
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([y * rng.uniform(1, 5), x * rng.uniform(1, 5), y + x], axis=2)
    texture = rng.integers(0, 90, (height, width, 3)) * (x > width // 2)[..., None]
    return (smooth + texture).clip(0, 255).astype(np.uint8)
