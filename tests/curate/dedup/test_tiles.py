# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pyarrow as pa
import pytest

from rspipe.curate.dedup.tiles import (
    UNKNOWN_DAY,
    Tiles,
    hex_keys,
    part_starts,
    read_rows,
    read_tiles,
)
from rspipe.curate.dedup.verify import block_sums
from rspipe.curate.ingest import image_id
from tests.curate.dedup.tile_tables import table, tile, write_parts

RNG = np.random.default_rng(0)
GREYS = RNG.integers(0, 256, (9, 40, 40), dtype=np.uint8)


@pytest.fixture
def rows():
    rows = [tile(f"{i}.png", g) for i, g in enumerate(GREYS)]
    rows[1] |= {"gsd_m": 0.5, "acquired": "2019-02-03T10:11:12Z", "pair_path": "0.png"}
    rows[2] |= dict(zip(("xmin", "ymin", "xmax", "ymax"), (1.0, 2.0, 3.0, 4.0), strict=True))
    rows[3] |= {"is_parent": True, "original_bytes": False}
    rows[4] |= {"original_bytes": False, "y0": 5, "x0": 6}
    return rows


def everything(part, start):
    return np.ones(part.num_rows, np.bool_)


COLUMNS = [
    *("byte_key", "pixel_keys", "hashes", "thumbnail_std", "image", "partner", "is_parent"),
    *("windows", "size_px", "gsd_m", "bounds", "day"),
]


@pytest.mark.parametrize("sizes", [(), (1, 0, 5), (1,) * 8])
def test_tiles_read_in_parts_are_those_of_the_table(rows, tmp_path, sizes):
    parts = write_parts(tmp_path, rows, list(sizes))
    tiles, row = read_tiles(parts, part_starts(parts), everything, tmp_path / "scratch")
    whole = Tiles.from_table(table(rows))
    assert row.tolist() == list(range(9))
    for name in COLUMNS:
        np.testing.assert_array_equal(getattr(tiles, name), getattr(whole, name), err_msg=name)
    some = np.array([0, 3, 8])
    np.testing.assert_array_equal(tiles.thumbnails.blocks(some), whole.thumbnails.blocks(some))
    assert not list((tmp_path / "scratch").iterdir())


def test_tiles_say_what_their_rows_say(rows):
    tiles = Tiles.from_table(table(rows))
    assert len(tiles) == 9
    assert tiles.gsd_m.tolist() == [0, 0.5, *[0] * 7]
    assert tiles.day.tolist() == [UNKNOWN_DAY, 17930, *[UNKNOWN_DAY] * 7]
    assert tiles.bounds[2].tolist() == [1, 2, 3, 4]
    assert not tiles.bounds[[0, 1, *range(3, 9)]].any()
    assert tiles.is_parent.tolist() == [i == 3 for i in range(9)]
    assert tiles.windows[4].tolist() == [5, 6, 40, 40]
    assert (tiles.byte_key != 0).tolist() == [i != 4 for i in range(9)]
    assert tiles.partner[1] == tiles.image[0] == int(image_id("set", "0.png")[:16], 16)
    assert tiles.hashes[0].tolist() == rows[0]["orientation_hashes"]
    thumbnail = np.frombuffer(rows[0]["thumbnail"], np.uint8)
    assert tiles.thumbnail_std[0] == pytest.approx(thumbnail.std(), rel=1e-6)
    expected = block_sums(thumbnail.reshape(1, 32, 32))
    np.testing.assert_array_equal(tiles.thumbnails.blocks(np.array([0])), expected)


def test_only_chosen_rows_are_read(rows, tmp_path):
    parts = write_parts(tmp_path, rows, [4])
    chosen = [2, 3, 5, 8]

    def select(part, start):
        return np.isin(np.arange(start, start + part.num_rows), chosen)

    tiles, row = read_tiles(parts, part_starts(parts), select, tmp_path)
    assert row.tolist() == chosen
    whole = Tiles.from_table(table(rows))
    np.testing.assert_array_equal(tiles.hashes, whole.hashes[chosen])
    last = tiles.thumbnails.blocks(np.array([1, 3]))
    np.testing.assert_array_equal(last, whole.thumbnails.blocks(np.array([3, 8])))


def test_rows_are_read_in_the_order_asked_for(rows, tmp_path):
    parts = write_parts(tmp_path, rows, [4, 2])
    found = read_rows(parts, part_starts(parts), np.array([8, 0, 5, 0]), ["source_path"])
    assert found["source_path"].to_pylist() == ["8.png", "0.png", "5.png", "0.png"]
    none = read_rows(parts, part_starts(parts), np.array([], np.int64), ["source_path"])
    assert none.num_rows == 0


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2019-02-03", 17930),
        ("2019-02-03T23:59:59+02:00", 17930),
        ("20190203", 17930),
        ("20190203T101112", 17930),
        ("2019-02", UNKNOWN_DAY),
        ("2019", UNKNOWN_DAY),
        ("last summer", UNKNOWN_DAY),
        ("2019-13-01", UNKNOWN_DAY),
        ("1970-01-01", UNKNOWN_DAY),
        ("1965-07-04", -1642),
        (None, UNKNOWN_DAY),
    ],
)
def test_only_a_full_date_is_a_day(text, day):
    assert Tiles.from_table(table([tile("a.png", GREYS[0], acquired=text)])).day.tolist() == [day]


def test_keys_are_the_first_128_bits_of_hex_hashes():
    digests = [RNG.bytes(32).hex() for _ in range(50)]
    chunks = pa.chunked_array([digests[:20], [None], digests[20:]], pa.string())
    keys = hex_keys(chunks)
    wanted = [*digests[:20], "0" * 32, *digests[20:]]
    assert [f"{int(a):016x}{int(b):016x}" for a, b in keys] == [d[:32] for d in wanted]
    sliced = hex_keys(chunks.slice(5, 30))
    np.testing.assert_array_equal(sliced, keys[5:35])


def test_a_short_hash_is_refused():
    with pytest.raises(ValueError, match="8 hex digits"):
        hex_keys(pa.chunked_array([["00ff00ff"]]))
