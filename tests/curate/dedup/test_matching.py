import io

import numpy as np
import pytest
from PIL import Image

from rspipe.curate.config import DedupConfig
from rspipe.curate.dedup import matching
from rspipe.curate.dedup.clusters import choose_dropped
from rspipe.curate.dedup.hashing import hash_orientations, orient, shrink
from rspipe.curate.dedup.matching import Tiles, find_hits
from rspipe.schema import ORIENTATIONS


def tiles_of(greys, keys=None):
    thumbnails = np.stack([shrink(g) for g in greys])
    return Tiles(
        keys or [None] * len(greys),
        [g.tobytes().hex() for g in greys],
        np.stack([hash_orientations(t) for t in thumbnails]),
        thumbnails,
    )


def find_duplicates(tiles, config, rank=None):
    return matching.find_duplicates(tiles, config, np.arange(len(tiles)) if rank is None else rank)


def jpeg(grey, quality):
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(grey)).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.fixture(scope="module")
def chips(demo_native):
    """Textured chips of real imagery, each of another place."""
    paths = sorted((demo_native / "demo_chips").glob("gallery/earth_*.jpg"))[::8]
    greys = [np.asarray(Image.open(path).convert("L")) for path in paths]
    return [g for g in greys if g.std() > 20][:40]


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_turned_and_reencoded_copies_are_found_with_their_orientation(chips, orientation):
    copies = [jpeg(orient(g, orientation), quality=70) for g in chips]
    pairs = find_hits(tiles_of(copies), tiles_of(chips), DedupConfig())
    found = {(p.copy, p.original): p for p in pairs}
    for index in range(len(chips)):
        assert found[index, index].orientation == orientation
        assert found[index, index].similarity > 0.97
    assert len(found) == len(chips)


def test_without_orientations_only_upright_copies_are_found(chips):
    config = DedupConfig(orientations=False)
    turned = tiles_of([orient(g, "rot90").copy() for g in chips])
    assert not find_hits(turned, tiles_of(chips), config)
    assert len(find_hits(tiles_of(chips), tiles_of(chips), config)) >= len(chips)


def test_different_places_are_no_duplicates(chips):
    assert find_duplicates(tiles_of(chips), DedupConfig()) == []


def test_flat_tiles_do_not_collide():
    """Water and desert share one hash; a hash without content proves nothing."""
    flats = [np.full((64, 64), level, np.uint8) for level in range(10, 200, 5)]
    assert find_duplicates(tiles_of(flats), DedupConfig()) == []
    assert len(find_duplicates(tiles_of([*flats, flats[0]]), DedupConfig())) == 1


def test_a_colliding_hash_alone_is_not_enough(chips):
    """Equal hashes, different pictures: the pixels decide."""
    tiles = tiles_of(chips)
    forged = Tiles(
        tiles.byte_keys,
        tiles.pixel_keys,
        np.repeat(tiles.hashes[:1], len(tiles), 0),
        tiles.thumbnails,
    )
    assert find_duplicates(forged, DedupConfig()) == []


def test_bytes_go_before_pixels_and_pixels_before_near(chips):
    pair = [chips[0], chips[0]]
    assert find_duplicates(tiles_of(pair, ["a", "a"]), DedupConfig())[0].kind == "bytes"
    assert find_duplicates(tiles_of(pair, ["a", "b"]), DedupConfig())[0].kind == "pixels"
    pair = [chips[0], jpeg(chips[0], 80)]
    assert find_duplicates(tiles_of(pair), DedupConfig())[0].kind == "near"


def test_the_result_does_not_depend_on_the_order_of_tiles(chips):
    greys = [*chips[:10], *(jpeg(orient(g, "rot90"), 80) for g in chips[:5])]
    order = np.random.default_rng(0).permutation(len(greys))
    straight = find_duplicates(tiles_of(greys), DedupConfig())
    shuffled = find_duplicates(tiles_of([greys[i] for i in order]), DedupConfig())
    assert {frozenset((p.copy, p.original)) for p in straight} == {
        frozenset((int(order[p.copy]), int(order[p.original]))) for p in shuffled
    }
    assert len(straight) == 5


def test_of_equal_tiles_only_the_best_ranked_stays(chips):
    """Also where it is not the first of them, and where the hash has no content."""
    flat = np.full((64, 64), 90, np.uint8)
    tiles = tiles_of([chips[0]] * 3 + [flat] * 3)
    rank = np.array([2, 0, 1, 5, 4, 3])
    dropped = choose_dropped(find_duplicates(tiles, DedupConfig(), rank), rank)
    assert {copy: pair.original for copy, pair in dropped.items()} == {0: 1, 2: 1, 3: 5, 4: 5}


def test_what_equals_a_near_copy_goes_with_it(chips):
    again = jpeg(orient(chips[0], "rot90"), 80)
    tiles = tiles_of([again, chips[0], again])
    rank = np.array([1, 0, 2])
    dropped = choose_dropped(find_duplicates(tiles, DedupConfig(), rank), rank)
    assert {c: (p.original, p.orientation) for c, p in dropped.items()} == {
        0: (1, "rot90"),
        2: (1, "rot90"),
    }
