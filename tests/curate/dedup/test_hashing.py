# SPDX-License-Identifier: Apache-2.0
import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.fftpack import dct

from rspipe.curate.dedup.hashing import (
    INVERSE,
    hash_orientations,
    hash_orientations_batch,
    orient,
    shrink,
)
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


def adversarial_pictures():
    """Pictures whose coefficients are ties and rounding errors: the last bit of a DCT decides."""
    y, x = np.indices((64, 64))
    yield from (np.full((64, 64), level, np.uint8) for level in (0, 1, 7, 128, 254, 255))
    yield from ((x * 4).astype(np.uint8), (y * 4).astype(np.uint8), (x + y).astype(np.uint8))
    yield from (((x // n + y // n) % 2 * 255).astype(np.uint8) for n in (1, 2, 4, 8, 16, 32))
    yield from (
        (x // 32 * 255).astype(np.uint8),
        ((x - 32) ** 2 + (y - 32) ** 2 < 400) * np.uint8(9),
    )
    yield from (np.full((1, 1), 5, np.uint8), np.arange(32, dtype=np.uint8)[None, :])
    rng = np.random.default_rng(0)
    yield from (rng.integers(low, low + 2, (64, 64)).astype(np.uint8) for low in (0, 100, 254))
    yield from (
        rng.integers(0, 256, size).astype(np.uint8) for size in ((3, 900), (900, 3), (31, 70))
    )


def test_the_identity_hash_equals_imagehash_on_pictures_without_content_too():
    for grey in adversarial_pictures():
        ours = hash_orientations(shrink(grey))[0]
        assert f"{int(ours):016x}" == str(imagehash.phash(Image.fromarray(grey)))


@pytest.mark.real_data
def test_the_identity_hash_equals_imagehash_on_every_kind_of_real_tile(real_data):
    folders = ("hurricane_damage", "eurosat_recut", "hit_uav", "dubai_seg")
    paths = [p for f in folders for p in sorted((real_data / f).rglob("*.jp*g"))[::37]]
    assert len(paths) > 100
    for path in paths:
        image = Image.open(path)
        ours = hash_orientations(shrink(np.asarray(image.convert("L"))))[0]
        assert f"{int(ours):016x}" == str(imagehash.phash(image)), path


def hash_by_definition(thumbnail):
    """Each orientation's own DCT block and median, one after the other."""
    low = dct(dct(thumbnail, axis=0), axis=1)[:8, :8]
    flip = np.where(np.arange(8) % 2, -1.0, 1.0)
    blocks = {
        "identity": low,
        "rot90": low.T * flip[:, None],
        "rot180": low * flip[:, None] * flip[None, :],
        "rot270": low.T * flip[None, :],
        "flip_lr": low * flip[None, :],
        "flip_ud": low * flip[:, None],
        "transpose": low.T,
        "transverse": low.T * flip[:, None] * flip[None, :],
    }
    bits = [(blocks[name] > np.median(blocks[name])).ravel() for name in ORIENTATIONS]
    return [int("".join("01"[int(bit)] for bit in row), 2) for row in bits]


def test_hashes_in_a_batch_equal_each_picture_hashed_by_definition(chips):
    thumbnails = np.stack([shrink(g) for g in (*chips, *adversarial_pictures())])
    many = np.concatenate([thumbnails] * 9)  # more than one block
    hashes = hash_orientations_batch(many)
    assert hashes[: len(thumbnails)].tolist() == [hash_by_definition(t) for t in thumbnails]
    np.testing.assert_array_equal(hashes, np.tile(hashes[: len(thumbnails)], (9, 1)))
    assert len(many) > 512


def test_no_picture_has_no_hash():
    assert hash_orientations_batch(np.empty((0, 32, 32), np.uint8)).shape == (0, 8)


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
