import numpy as np
import pytest

from rspipe.train.augment import Augment, view
from tests.train.fakes import make_tile

STILL = Augment(crop_scale=(1.0, 1.0), flips=False, quarter_turns=False)


@pytest.mark.parametrize("bands", [1, 3, 5])
@pytest.mark.parametrize("size_px", [(16, 16), (16, 48)])
def test_view_has_the_size_and_bands_asked_for(bands, size_px):
    tile = np.random.default_rng(0).integers(0, 256, (40, 30, bands)).astype(np.uint8)
    for seed in range(8):
        made = view(tile, size_px, Augment(), np.random.default_rng(seed))
        assert made.shape == (*size_px, bands)
        assert made.dtype == np.uint8


def test_view_is_a_function_of_its_seed():
    a, b, c = (view(make_tile(1), (16, 16), Augment(), np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)


def test_all_eight_orientations_occur():
    tile = np.zeros((16, 16, 3), dtype=np.uint8)
    tile[:4, :8] = 255
    still = Augment(crop_scale=(1e-9, 1e-9))  # no crop fits: the whole tile
    rng = np.random.default_rng(0)
    made = {view(tile, (16, 16), still, rng).tobytes() for _ in range(200)}
    assert len(made) == 8


def test_flat_tile_stays_flat():
    flat = np.full((20, 50, 3), 77, dtype=np.uint8)
    assert (view(flat, (16, 16), Augment(), np.random.default_rng(0)) == 77).all()


def test_bands_are_resized_alike():
    tile = make_tile(2)
    rgb = view(tile, (16, 16), STILL, np.random.default_rng(0))
    five = view(
        np.concatenate([tile, tile[..., :2]], axis=2), (16, 16), STILL, np.random.default_rng(0)
    )
    assert np.abs(five[..., :3].astype(int) - rgb).max() <= 1
