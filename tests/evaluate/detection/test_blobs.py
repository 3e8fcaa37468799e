# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rspipe.evaluate.detection.blobs import BlobFinder, Example, Surroundings


def spots(centres, size=(40, 60)):
    """Bright 8 px squares on noisy grey."""
    image = np.random.default_rng(len(centres)).integers(60, 100, (*size, 3)).astype(np.uint8)
    for x, y in centres:
        image[y - 4 : y + 4, x - 4 : x + 4] = 220
    return image


def test_surroundings_are_means_and_spreads_of_the_square_and_of_the_ring_around_it():
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    (found,) = Surroundings(image).describe(np.array([[20.0, 14.0]]), 6.0)
    values = image / 255
    square = values[11:17, 17:23].reshape(-1, 3)
    block = np.ones((30, 40), bool)
    block[11:17, 17:23] = False
    ring = values[8:20, 14:26][block[8:20, 14:26]]
    want = [square.mean(0), ring.mean(0), square.std(0), ring.std(0)]
    want.append(abs(want[0] - want[1]))
    np.testing.assert_allclose(found, np.concatenate(want), atol=1e-9)


def test_what_lies_outside_the_image_does_not_count():
    image = np.full((9, 9, 3), 51, np.uint8)
    found = Surroundings(image).describe(np.array([[0.0, 0.0], [8.9, 8.9], [4.5, 4.5]]), 30.0)
    np.testing.assert_allclose(found[:, :3], 0.2)
    assert np.isfinite(found).all()


def test_bright_spots_are_where_it_looks():
    places = [[(12, 10), (40, 30)], [(30, 20)], []]
    examples = [
        Example(spots(p), np.array(p, float).reshape(-1, 2), np.zeros(len(p), int)) for p in places
    ]
    finder = BlobFinder(examples, {0: 8.0}, seed=0)
    centres, scores = finder.places(spots([(50, 12)]), 0)
    assert np.abs(centres[scores.argmax()] - [50, 12]).max() <= 2
    far = np.abs(centres - [50, 12]).max(axis=1) > 12
    assert scores[far].max() < scores.max() / 2


def test_it_is_a_function_of_its_images_and_seed():
    examples = [Example(spots([(12, 10)]), np.array([[12.0, 10.0]]), np.zeros(1, int))]
    first, again, other = (
        BlobFinder(examples, {0: 8.0}, seed).places(spots([(30, 20)]), 0)[1] for seed in (1, 1, 2)
    )
    assert (first == again).all()
    assert not (first == other).all()


@pytest.mark.parametrize("count", [1, 3])
def test_classes_have_regressions_of_their_own(count):
    examples = [
        Example(spots([(12, 10)]), np.full((1, 2), 11.0), np.array([label]))
        for label in range(count)
    ]
    finder = BlobFinder(examples, dict.fromkeys(range(count), 8.0), seed=0)
    assert set(finder.models) == set(range(count))
