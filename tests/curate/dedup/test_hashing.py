import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from rspipe.curate.dedup.hashing import INVERSE, hash_orientations, orient, shrink
from rspipe.schema import ORIENTATIONS


@pytest.fixture(scope="module")
def chips(demo_native):
    """Grey chips of real imagery, of several sizes."""
    paths = sorted((demo_native / "demo_chips").glob("gallery/earth_*.jpg"))[::6]
    return [np.asarray(Image.open(path).convert("L")) for path in paths]


def test_the_identity_hash_equals_imagehash_bit_for_bit(chips):
    assert len(chips) >= 60
    for grey in chips:
        ours = hash_orientations(shrink(grey))[0]
        assert f"{int(ours):016x}" == str(imagehash.phash(Image.fromarray(grey)))


def test_hashes_of_orientations_are_those_of_the_turned_image(chips):
    """At most 2 bits off: resizing rounds rows and columns in another order after a turn."""
    distances = [
        int(np.bitwise_count(hashes[k] ^ hash_orientations(shrink(orient(grey, name)))[0]))
        for grey in chips
        for hashes in [hash_orientations(shrink(grey))]
        for k, name in enumerate(ORIENTATIONS)
    ]
    assert max(distances) <= 4
    assert np.mean(distances) < 0.3


def test_orientations_are_those_of_numpy():
    a = np.arange(12, dtype=np.uint8).reshape(3, 4)
    np.testing.assert_array_equal(orient(a, "rot90"), np.rot90(a))
    np.testing.assert_array_equal(orient(a, "rot180"), np.rot90(a, 2))
    np.testing.assert_array_equal(orient(a, "rot270"), np.rot90(a, 3))
    np.testing.assert_array_equal(orient(a, "flip_lr"), np.fliplr(a))
    np.testing.assert_array_equal(orient(a, "flip_ud"), np.flipud(a))
    np.testing.assert_array_equal(orient(a, "transpose"), a.T)
    np.testing.assert_array_equal(orient(a, "transverse"), np.rot90(a, 2).T)


@given(st.sampled_from(ORIENTATIONS), st.integers(1, 7), st.integers(1, 7))
def test_the_inverse_undoes_an_orientation(name, height, width):
    a = np.arange(height * width, dtype=np.uint8).reshape(height, width)
    np.testing.assert_array_equal(orient(orient(a, name), INVERSE[name]), a)


def test_an_unknown_orientation_is_refused():
    with pytest.raises(ValueError, match="valid"):
        orient(np.zeros((2, 2), np.uint8), "rot45")
