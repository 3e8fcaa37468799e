# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from PIL import Image

from rspipe.curate.config import CropsConfig, SliceConfig, StretchConfig, StretchRule
from rspipe.curate.dedup.hashing import hash_orientations, shrink
from rspipe.curate.sources import open_source, read_tile
from rspipe.io.images import encode_png, to_grey
from rspipe.io.storage import Storage
from rspipe.schema import TILE_SCHEMA
from tests.curate.slicing import image_row, slice_file, slice_rows
from tests.io.rasters import write_raster

HELD_OUT = {"drop_stage": "exclude", "drop_reason": "benchmark_split", "drop_detail": "held out"}
GRID = {"tile_px": 64, "stride_px": 64, "larger_than_px": 100}


def ground(height, width, bands=3, seed=0):
    """Smooth random ground, so that hashes have content: uint8 (H, W, C)."""
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 9, bands), dtype=np.uint8)
    layers = [
        np.asarray(Image.fromarray(coarse[:, :, b]).resize((width, height), Image.BICUBIC))
        for b in range(bands)
    ]
    return np.stack(layers, axis=2)


def write_png(folder, pixels, name="a.png"):
    (folder / name).write_bytes(encode_png(pixels))
    return name


def write_tif(folder, pixels, name="a.tif", **options):
    write_raster(folder / name, pixels.transpose(2, 0, 1), **options)
    return name


def read_back(folder, tile, **config):
    storage = Storage(str(folder), folder / ".cache")
    with open_source(storage, tile, SliceConfig(**config)) as source:
        return read_tile(source, tile)


def test_a_small_image_is_one_tile_of_its_own_bytes_and_has_no_parent_row(tmp_path):
    name = write_png(tmp_path, ground(90, 80))
    parents, (tile,) = slice_file(tmp_path, name, **GRID)
    assert parents == []
    assert tile["original_bytes"]
    assert tile["format"] == "PNG"
    assert (tile["height"], tile["width"], tile["scale"]) == (90, 80, 1.0)
    assert tile["stretch_low"] is None


@pytest.mark.parametrize("write", [write_png, write_tif])
def test_tiles_are_windows_of_the_image_and_a_parent_row_is_the_whole(tmp_path, write):
    pixels = ground(300, 200)
    (parent,), tiles = slice_file(tmp_path, write(tmp_path, pixels), **GRID)
    assert len(tiles) == 5 * 4
    for tile in tiles:
        window = pixels[tile["y0"] : tile["y0"] + tile["h"], tile["x0"] : tile["x0"] + tile["w"]]
        np.testing.assert_array_equal(read_back(tmp_path, tile), window)
        assert tile["phash"] == hash_orientations(shrink(to_grey(window)))[0]
        assert not tile["original_bytes"]
    assert (parent["y0"], parent["x0"], parent["h"], parent["w"]) == (0, 0, 300, 200)
    assert parent["phash"] == hash_orientations(shrink(to_grey(pixels)))[0]
    ids = {row["tile_id"] for row in [parent, *tiles]}
    assert len(ids) == len(tiles) + 1


@pytest.mark.parametrize("write", [write_png, write_tif])
def test_a_parent_is_measured_from_a_small_average_of_the_whole(tmp_path, write):
    (parent,), _ = slice_file(tmp_path, write(tmp_path, ground(700, 1400)), **GRID)
    assert (parent["height"], parent["width"]) == (256, 512)
    assert (parent["h"], parent["w"]) == (700, 1400)
    assert parent["scale"] == pytest.approx(512 / 1400, rel=0.01)
    grey = to_grey(ground(700, 1400))
    thumbnail = np.frombuffer(parent["thumbnail"], np.uint8).astype(int)
    assert abs(thumbnail - shrink(grey).ravel().astype(int)).mean() < 1.5


def test_a_single_crop_has_a_parent_too(tmp_path):
    name = write_png(tmp_path, ground(300, 300))
    crops = CropsConfig(max_crops=1, min_px=64, max_px=128)
    parents, tiles = slice_file(tmp_path, name, mode="random_crops", crops=crops, larger_than_px=99)
    assert len(parents) == len(tiles) == 1
    assert not tiles[0]["original_bytes"]


def test_the_two_pictures_of_a_pair_are_cut_alike(tmp_path):
    for n in range(3):
        write_png(tmp_path, ground(400, 400, seed=n), f"{n}.png")
    config = {"mode": "random_crops", "crops": CropsConfig(max_px=128), "larger_than_px": 99}

    def boxes(name, pair):
        _, tiles = slice_file(tmp_path, name, said={"pair_path": pair}, **config)
        return [(tile["y0"], tile["x0"], tile["h"]) for tile in tiles]

    assert boxes("0.png", "1.png") == boxes("1.png", "0.png")
    assert boxes("0.png", "1.png") != boxes("2.png", None)


def test_held_out_images_are_cut_into_a_grid_in_every_mode_and_have_parents(tmp_path):
    name = write_png(tmp_path, ground(300, 200))
    grid = slice_file(tmp_path, name, said=HELD_OUT, **GRID)
    for mode in ("random_crops", "whole"):
        other = slice_file(tmp_path, name, said=HELD_OUT, mode=mode, **GRID)
        assert other == grid
    assert len(grid[0]) == 1
    assert {row["drop_reason"] for rows in grid for row in rows} == {"benchmark_split"}
    assert all(row["phash"] is not None for rows in grid for row in rows)


def test_no_fault_of_an_annotation_keeps_a_held_out_image_from_being_compared(tmp_path):
    name = write_png(tmp_path, ground(90, 90))
    _, (tile,) = slice_file(tmp_path, name, said=HELD_OUT | {"mask_path": "gone.png"}, **GRID)
    assert tile["phash"] is not None


@pytest.mark.parametrize(("west", "east"), [(10.0, 12.0), (179.0, -179.0)])
def test_a_tiles_footprint_is_its_part_of_the_published_one(tmp_path, west, east):
    name = write_png(tmp_path, ground(200, 400))
    said = {"xmin": west, "ymin": 40.0, "xmax": east, "ymax": 41.0}
    config = {"tile_px": 100, "stride_px": 100, "larger_than_px": 100}
    (parent,), tiles = slice_file(tmp_path, name, said=said, **config)
    assert {key: parent[key] for key in said} == said
    tile = next(t for t in tiles if (t["y0"], t["x0"]) == (100, 300))
    found = [tile[key] for key in said]
    assert found == pytest.approx([east - 0.5, 40.0, east, 40.5])
    first = next(t for t in tiles if (t["y0"], t["x0"]) == (0, 0))
    assert [first[key] for key in said] == pytest.approx([west, 40.5, west + 0.5, 41.0])


def test_in_mode_whole_larger_images_are_dropped_with_their_size(tmp_path):
    name = write_png(tmp_path, ground(300, 200))
    parents, (row,) = slice_file(tmp_path, name, mode="whole", larger_than_px=299)
    assert parents == []
    assert (row["drop_stage"], row["drop_reason"]) == ("slice", "too_large")
    assert "300 px > 299 px" in row["drop_detail"]


@pytest.mark.parametrize("write", [write_png, write_tif])
def test_tiles_at_a_coarser_gsd_are_averages_of_their_windows(tmp_path, write):
    pixels = ground(300, 240)
    name = write(tmp_path, pixels)
    (parent,), tiles = slice_file(
        tmp_path, name, said={"gsd_m": 0.5}, target_gsd_m=1.0, **(GRID | {"larger_than_px": 70})
    )
    assert parent["scale"] == 1.0
    assert len(tiles) == 3 * 2
    for tile in tiles:
        assert (tile["height"], tile["width"], tile["h"], tile["w"]) == (64, 64, 128, 128)
        assert (tile["scale"], tile["gsd_m"]) == (0.5, 1.0)
        window = pixels[tile["y0"] : tile["y0"] + 128, tile["x0"] : tile["x0"] + 128]
        mean = window.reshape(64, 2, 64, 2, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(read_back(tmp_path, tile), mean, atol=0.5)


def test_an_image_resampled_whole_is_no_longer_the_published_file(tmp_path):
    name = write_png(tmp_path, ground(90, 90))
    parents, (tile,) = slice_file(tmp_path, name, said={"gsd_m": 0.5}, target_gsd_m=1.0, **GRID)
    assert parents == []
    assert (tile["height"], tile["h"], tile["original_bytes"]) == (45, 90, False)
    _, (same,) = slice_file(tmp_path, name, said={"gsd_m": 0.5}, **GRID)
    assert same["tile_id"] != tile["tile_id"]


def test_the_stretch_of_a_tile_is_recorded_and_gives_it_again(tmp_path):
    pixels = ground(200, 200).astype(np.uint16) * 12
    name = write_tif(tmp_path, pixels)
    _, tiles = slice_file(tmp_path, name, **GRID)
    low, high = tiles[0]["stretch_low"], tiles[0]["stretch_high"]
    assert (low, high) == pytest.approx(tuple(np.percentile(pixels, [2, 98])), rel=1e-3)
    assert {(tile["stretch_low"], tile["stretch_high"]) for tile in tiles} == {(low, high)}
    tile = tiles[4]
    window = pixels[tile["y0"] :, tile["x0"] :][:64, :64].astype(float)
    ours = np.rint(np.clip((window - low) / (high - low), 0, 1) * 255)
    np.testing.assert_array_equal(read_back(tmp_path, tile), ours)
    # Whatever a recipe says later: the row knows how it was made.
    other = StretchConfig(low_percentile=20.0, high_percentile=60.0)
    np.testing.assert_array_equal(read_back(tmp_path, tile, stretch=other), ours)


def test_a_fixed_range_comes_from_the_recipe_or_the_card(tmp_path):
    name = write_tif(tmp_path, ground(90, 90).astype(np.float32))
    said = {"display_bands": [1, 2, 3]}

    def stretch(card=None, **rule):
        config = StretchConfig(rule="range", **rule)
        _, (tile,) = slice_file(tmp_path, name, card, said, stretch=config, **GRID)
        return tile["stretch_low"], tile["stretch_high"], tile["drop_reason"]

    assert stretch({"display_range": (0.0, 300.0)}) == (0.0, 300.0, None)
    assert stretch({"display_range": (0.0, 300.0)}, range=(1.0, 2.0)) == (1.0, 2.0, None)
    assert stretch() == (None, None, "no_stretch")
    mine = {"d": StretchRule(rule="range", range=(5.0, 6.0))}
    assert stretch(datasets=mine) == (5.0, 6.0, None)


def test_data_that_are_not_8_bit_can_be_refused_but_never_a_benchmarks(tmp_path):
    name = write_tif(tmp_path, ground(90, 90).astype(np.uint16))
    config = GRID | {"stretch": StretchConfig(rule="refuse")}
    _, (tile,) = slice_file(tmp_path, name, **config)
    assert (tile["drop_reason"], tile["phash"]) == ("no_stretch", None)
    assert "uint16" in tile["drop_detail"]
    _, (tile,) = slice_file(tmp_path, name, said=HELD_OUT, **config)
    assert tile["phash"] is not None
    eight = write_png(tmp_path, ground(90, 90))
    _, (tile,) = slice_file(tmp_path, eight, **config)
    assert tile["drop_stage"] is None


def test_windows_without_data_are_named_and_not_measured(tmp_path):
    pixels = ground(192, 192) | 1
    pixels[:64] = 0
    pixels[64:96, :64] = 0
    name = write_tif(tmp_path, pixels, nodata=0)
    _, tiles = slice_file(tmp_path, name, **GRID)
    empty = [tile for tile in tiles if tile["y0"] == 0]
    assert {(t["drop_stage"], t["drop_reason"], t["phash"]) for t in empty} == {
        ("slice", "nodata", None)
    }
    half = next(tile for tile in tiles if (tile["y0"], tile["x0"]) == (64, 0))
    assert half["nodata_fraction"] == 0.5
    assert half["drop_stage"] is None
    _, held_out = slice_file(tmp_path, name, said=HELD_OUT, **GRID)
    assert all(tile["phash"] is not None for tile in held_out)


def test_a_scene_that_breaks_in_the_middle_is_one_row(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (500, 500, 3), dtype=np.uint8)
    name = write_tif(tmp_path, pixels, compress="deflate", blockysize=16)
    data = (tmp_path / name).read_bytes()
    row = image_row(tmp_path, name)
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    (broken,) = slice_rows(tmp_path, [row], **GRID)
    assert (broken["drop_stage"], broken["drop_reason"]) == ("slice", "unreadable")
    assert not broken["is_parent"]
    (held_out,) = slice_rows(tmp_path, [row | HELD_OUT], **GRID)
    assert held_out["drop_reason"] == "benchmark_split"
    assert held_out["phash"] is None


def test_bands_in_another_order_are_another_picture(tmp_path):
    pixels = ground(90, 90)
    name = write_png(tmp_path, pixels)
    _, (tile,) = slice_file(tmp_path, name, said={"display_bands": [3, 1, 2]}, **GRID)
    assert not tile["original_bytes"]
    np.testing.assert_array_equal(read_back(tmp_path, tile), pixels[:, :, [2, 0, 1]])
    _, (tile,) = slice_file(tmp_path, name, said={"display_bands": [2]}, **GRID)
    assert (tile["original_bytes"], tile["bands"]) == (False, 1)


def test_images_that_exclude_dropped_give_no_row(tmp_path):
    name = write_png(tmp_path, ground(90, 90))
    dropped = {"drop_stage": "exclude", "drop_reason": "too_small", "drop_detail": "x"}
    assert slice_rows(tmp_path, [image_row(tmp_path, name, **dropped)], **GRID) == []


def test_objects_go_into_the_tiles_that_hold_them(tmp_path):
    name = write_png(tmp_path, ground(128, 128))
    box = {"label": "a", "corners": None, "difficult": False, "truncated": False}
    boxes = [
        box | {"x0": 10.0, "y0": 10.0, "x1": 30.0, "y1": 30.0},
        box | {"x0": 50.0, "y0": 70.0, "x1": 90.0, "y1": 100.0},
        box | {"x0": 500.0, "y0": 70.0, "x1": 600.0, "y1": 100.0},
    ]
    (parent,), tiles = slice_file(tmp_path, name, said={"boxes": boxes}, **GRID)
    found = {(t["y0"], t["x0"]): t["boxes"] for t in tiles}
    assert [len(found[key]) for key in ((0, 0), (0, 64), (64, 0), (64, 64))] == [1, 0, 0, 1]
    (cut,) = found[64, 64]
    assert (cut["x0"], cut["y0"], cut["x1"], cut["y1"]) == (0, 6, 26, 36)
    assert cut["truncated"]
    notes = {row["annotation_note"] for row in [parent, *tiles]}
    assert notes == {"objects left out: 1 outside the image"}


def test_the_table_has_the_schema_and_does_not_depend_on_its_neighbours(tmp_path):
    names = [write_png(tmp_path, ground(150, 150, seed=n), f"{n}.png") for n in range(3)]
    rows = [image_row(tmp_path, name) for name in names]
    config = {"tile_px": 8, "stride_px": 8, "larger_than_px": 100}
    together = slice_rows(tmp_path, rows, **config)
    # More rows than a batch holds.
    assert len(together) == 3 * (19 * 19 + 1)
    alone = [tile for row in rows for tile in slice_rows(tmp_path, [row], **config)]
    assert together == alone
    assert set(together[0]) == set(TILE_SCHEMA.names)


GROWTH = """
import resource, sys
from pathlib import Path
from tests.curate.slicing import slice_rows
folder = Path(sys.argv[1])
row = eval(sys.argv[2])
slice_rows(folder, [row | {"source_path": "small.tif", "height": 600, "width": 600}])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = slice_rows(folder, [row], tile_px=1024, stride_px=1024, larger_than_px=1024)
print(len(rows), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024)
"""


def test_memory_does_not_grow_with_the_scene(tmp_path):
    """805 MB of pixels (sparse on disk), in tiles and as a parent, with GDAL's cache and a bit."""
    for name, side in (("small.tif", 600), ("big.tif", 16_384)):
        profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "SPARSE_OK": True}
        profile |= {"tiled": True, "compress": "deflate", "BIGTIFF": "YES", "crs": "EPSG:32631"}
        transform = rasterio.transform.from_origin(0, 0, 1, 1)
        with rasterio.open(
            tmp_path / name, "w", height=side, width=side, transform=transform, **profile
        ):
            pass
    row = {
        **{"dataset": "d", "source_path": "big.tif", "image_id": "i", "source_sha256": "s"},
        **{"height": 16_384, "width": 16_384, "bands": 3, "dtype": "uint8", "format": "GTiff"},
        **{"display_bands": [1, 2, 3], "gsd_m": 1.0},
    }
    command = [sys.executable, "-c", GROWTH, str(tmp_path), repr(row)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
    rows, growth = map(int, child.stdout.split())
    assert rows == 16 * 16 + 1
    assert growth < 400e6
