import numpy as np
import pytest

from rspipe.curate.dedup.hashing import orient
from rspipe.curate.dedup.verify import similarity
from rspipe.schema import ORIENTATIONS


@pytest.fixture
def thumbnail():
    return np.random.default_rng(0).integers(40, 200, (32, 32)).astype(np.uint8)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_turned_copy_correlates_fully_in_its_own_orientation_only(thumbnail, orientation):
    copy = orient(thumbnail, orientation)
    scores = {name: similarity(copy, thumbnail, name) for name in ORIENTATIONS}
    assert scores.pop(orientation) == pytest.approx(1)
    assert max(scores.values()) < 0.5


def test_brightness_and_contrast_do_not_matter(thumbnail):
    changed = (thumbnail * 0.5 + 20).astype(np.uint8)
    assert similarity(changed, thumbnail, "identity") > 0.999


def test_a_flat_thumbnail_verifies_nothing(thumbnail):
    flat = np.full((32, 32), 7, np.uint8)
    assert similarity(flat, thumbnail, "identity") == 0
    assert similarity(flat, flat, "identity") == 0
