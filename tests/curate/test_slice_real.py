# SPDX-License-Identifier: Apache-2.0
"""Real rasters of many dtypes, CRSs and faults, through exclude, slice and screen."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import rasterio

from rspipe.curate.config import ExcludeConfig, ScreenConfig, SliceConfig
from rspipe.curate.exclude import ExcludeItem, exclude
from rspipe.curate.screen import screen
from rspipe.curate.slice import SliceItem, slice_images
from rspipe.curate.sources import open_source, read_tile
from rspipe.errors import UnreadableImage
from rspipe.io.storage import Storage
from rspipe.schema import IMAGE_SCHEMA, DatasetCard
from tests.curate.slicing import image_row

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning"),
]
GRID = {"tile_px": 256, "stride_px": 256, "larger_than_px": 300}


@pytest.fixture
def curated(real_data, tmp_path):
    """Curate files of one folder up to screen; gives the rows of the tile table."""

    def curated(folder, paths, card=None, exclude_rules=None, **config):
        rows = []
        for path in paths:
            try:
                rows.append(image_row(real_data / folder, path))
            except UnreadableImage as error:
                assert path in str(error)
        return _through(tmp_path, real_data / folder, rows, card or {}, exclude_rules or {}, config)

    return curated


def _through(tmp_path, folder, rows, card, exclude_rules, config):
    part = tmp_path / "part.parquet"
    cards = {"d": DatasetCard(name="d", **card)}
    pq.write_table(pa.Table.from_pylist(rows, IMAGE_SCHEMA), part)
    kept = exclude(ExcludeItem(part, cards, ExcludeConfig(**exclude_rules)))
    pq.write_table(kept, part)
    storages = {"d": Storage(str(folder), tmp_path / "cache")}
    tiles = slice_images(SliceItem(part, storages, cards, SliceConfig(**GRID | config)))
    files = [row for row in kept.to_pylist() if row["drop_stage"]]
    return files, screen(tiles, ScreenConfig()).to_pylist()


def tiles_of(rows):
    return [row for row in rows if not row["is_parent"]]


def read_back(real_data, tmp_path, folder, tile):
    storage = Storage(str(real_data / folder), tmp_path / "cache")
    with open_source(storage, tile, SliceConfig()) as source:
        return read_tile(source, tile)


def test_no_odd_raster_stops_the_stage(real_data, curated):
    names = sorted(p.name for p in (real_data / "odd_files/real").glob("*.tif"))
    files, rows = curated("odd_files/real", names, exclude_rules={"min_side_px": 1})
    fates = {row["source_path"]: row["drop_reason"] for row in files}
    fates |= {row["source_path"]: row["drop_reason"] for row in tiles_of(rows)}
    assert set(fates) == set(names)
    assert fates["cint16.tif"] == "wrong_bands"
    assert fates["float_nan.tif"] == "wrong_bands"
    assert fates["corrupt.tif"] == "unreadable"
    assert fates["all-nodata.tif"] == "nodata"
    for name in ("cogeo.tif", "goes.tif", "rotated.tif", "test_rpcs.tif", "RGBA.uint16.tif"):
        assert fates[name] != "unreadable", name


def test_8_bit_windows_are_the_pixels_that_rasterio_reads(real_data, tmp_path, curated):
    folder, name = "geotiff/landsat_utm18", "RGB.byte.tif"
    _, rows = curated(folder, [name])
    with rasterio.open(real_data / folder / name) as dataset:
        values = dataset.read().transpose(1, 2, 0)
        for tile in tiles_of(rows):
            window = values[
                tile["y0"] : tile["y0"] + tile["h"], tile["x0"] : tile["x0"] + tile["w"]
            ]
            if tile["phash"] is None:
                assert not window.any()
                continue
            ours = read_back(real_data, tmp_path, folder, tile)
            np.testing.assert_array_equal(ours, window)
            # The collar around a Landsat scene is black in all bands.
            black = (window == 0).all(axis=2)
            assert tile["nodata_fraction"] == pytest.approx(black.mean(), abs=1e-6)
            west, north = dataset.xy(tile["y0"] - 0.5, tile["x0"] - 0.5)
            (x,), (y,) = rasterio.warp.transform(dataset.crs, "EPSG:4326", [west], [north])
            assert tile["xmin"] - 0.02 < x < tile["xmax"]
            assert tile["ymin"] < y < tile["ymax"] + 0.02


def test_a_scene_of_four_bands_is_shown_by_the_cards_names(real_data, tmp_path, curated):
    folder, name = "geotiff/landsat_pucallpa", "2020.tif"
    files, rows = curated(folder, [name])
    assert [row["drop_reason"] for row in files] == ["wrong_bands"]
    assert rows == []
    rules = {"display_bands": {"d": ("swir1", "nir", "red")}}
    card = {"bands": ("swir1", "nir", "red", "green")}
    files, rows = curated(folder, [name], card, rules)
    assert files == []
    tile = tiles_of(rows)[0]
    ours = read_back(real_data, tmp_path, folder, tile)
    with rasterio.open(real_data / folder / name) as dataset:
        np.testing.assert_array_equal(
            ours, dataset.read([1, 2, 3])[:, :256, :256].transpose(1, 2, 0)
        )


def test_float_reflectances_need_a_card_and_take_its_range(real_data, tmp_path, curated):
    folder, name = "geotiff/hls", "hls_10band_float32.tif"
    files, _ = curated(folder, [name])
    assert files[0]["drop_reason"] == "wrong_bands"
    bands = ("blue", "green", "red", *(f"b{n}" for n in range(7)))
    card = {"bands": bands, "display_range": (0.0, 3000.0)}
    rules = {"display_bands": {"d": ("red", "green", "blue")}}
    config = {"stretch": {"rule": "range"}}
    stretch = SliceConfig.model_validate(config)
    _, rows = curated(folder, [name], card, rules, stretch=stretch.stretch)
    (tile,) = tiles_of(rows)
    assert (tile["stretch_low"], tile["stretch_high"]) == (0.0, 3000.0)
    with rasterio.open(real_data / folder / name) as dataset:
        raw = dataset.read([3, 2, 1]).astype(np.float64)
    expected = np.rint(np.clip(raw / 3000, 0, 1) * 255).transpose(1, 2, 0)
    expected[(raw == -9999).any(axis=0)] = 0
    np.testing.assert_array_equal(read_back(real_data, tmp_path, folder, tile), expected)


@pytest.mark.parametrize("name", ["img-8bit.jp2", "img-15bit.jp2"])
def test_jpeg_2000_is_read_by_windows(real_data, tmp_path, curated, name):
    files, rows = curated("jp2", [name])
    assert files == []
    with rasterio.open(real_data / "jp2" / name) as dataset:
        values = dataset.read().transpose(1, 2, 0)
    assert len(rows) > 4
    for tile in tiles_of(rows)[::7]:
        window = values[tile["y0"] : tile["y0"] + tile["h"], tile["x0"] : tile["x0"] + tile["w"]]
        ours = read_back(real_data, tmp_path, "jp2", tile)
        if tile["stretch_low"] is None:
            np.testing.assert_array_equal(ours, window)
        else:
            low, high = tile["stretch_low"], tile["stretch_high"]
            expected = np.rint(np.clip((window - low) / (high - low), 0, 1) * 255)
            np.testing.assert_array_equal(ours, expected)


def test_a_scene_becomes_tiles_of_a_coarser_ground_resolution(real_data, tmp_path, curated):
    folder, name = "geotiff/naip", "m_4709963_se_14_1_20090818.tif"
    card = {"bands": ("red", "green", "blue", "nir")}
    rules = {"display_bands": {"d": ("red", "green", "blue")}}
    config = {"target_gsd_m": 20.0, "tile_px": 64, "stride_px": 64, "larger_than_px": 64}
    _, rows = curated(folder, [name], card, rules, **config)
    with rasterio.open(real_data / folder / name) as dataset:
        values, gsd_m = dataset.read([1, 2, 3]).astype(float), abs(dataset.transform.e)
    for tile in tiles_of(rows):
        assert tile["gsd_m"] == pytest.approx(20.0, rel=0.01)
        assert tile["scale"] == pytest.approx(gsd_m / 20.0, rel=0.01)
        ours = read_back(real_data, tmp_path, folder, tile)
        window = values[:, tile["y0"] : tile["y0"] + tile["h"], tile["x0"] : tile["x0"] + tile["w"]]
        assert ours.mean() == pytest.approx(window.mean(), abs=0.5)


def test_the_same_scene_gives_the_same_rows_twice(real_data, curated):
    names = ["img-15bit.jp2", "img-8bit.jp2"]
    assert curated("jp2", names) == curated("jp2", names)
