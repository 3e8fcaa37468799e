# SPDX-License-Identifier: Apache-2.0
"""Scenes: bands become pictures, tiles become scenes, and no invisible band passes for grey."""

import hashlib
import re

import numpy as np
import pytest
import rasterio

from rspipe.errors import RecipeError
from rspipe.io import gdal_child
from rspipe.io.derived import local_raster
from rspipe.io.storage import Storage
from rspipe.readers import READERS, FileTree, read_dataset
from rspipe.schema import DatasetCard
from tests.fakes import write_files
from tests.ingested import ingested


def read(root, **options):
    return read_dataset(
        FileTree.scan(root), DatasetCard(name="x", layout="scenes", options=options)
    )


def test_a_band_without_its_scene_says_what_is_missing(tmp_path):
    write_files(
        tmp_path, {"T32TQM_20200101T101021_B08.jp2": b"", "T32TQM_20200101T101021_B04.jp2": b""}
    )
    listing = read(tmp_path)
    assert not listing.images
    reason = listing.sidecars["T32TQM_20200101T101021_B08.jp2"]
    assert reason == "band B08 of a scene without B03, B02"


def test_scenes_of_two_dates_are_not_mixed(tmp_path):
    names = [
        f"T32TQM_202001{day}T101021_{b}.jp2" for day in ("01", "06") for b in ("B02", "B03", "B04")
    ]
    write_files(tmp_path, dict.fromkeys(names, b""))
    for path, record in read(tmp_path).images.items():
        day = re.search(r"_(\d{8})T", path)[1]
        assert len(record.derivation.members) == 3
        assert all(day in member for member in record.derivation.members)


def test_tiles_of_two_splits_are_never_one_mosaic(tmp_path):
    names = [f"{split}/s_{i}.tif" for split in ("train", "test") for i in (1, 2)]
    write_files(tmp_path, dict.fromkeys(names, b""))
    images = read(tmp_path, mosaic_pattern=r"(?P<scene>s)_\d\.tif$").images
    assert {(path, r.split, r.derivation.members) for path, r in images.items()} == {
        (f"{split}/s.vrt", split, (f"{split}/s_1.tif", f"{split}/s_2.tif"))
        for split in ("train", "test")
    }


def test_rasters_named_after_their_folders_are_classes_and_no_scenes(tmp_path):
    names = [f"Images/{c}/{c}{i:02d}.tif" for c in ("agricultural", "airplane") for i in range(3)]
    write_files(tmp_path, dict.fromkeys(names, b""))
    tree = FileTree.scan(tmp_path)
    assert not READERS["scenes"].recognises(tree)
    labels = {r.annotation.label for r in read_dataset(tree, DatasetCard(name="x")).images.values()}
    assert labels == {"agricultural", "airplane"}


def test_bands_in_a_folder_of_their_scene_are_no_classes(tmp_path):
    scenes = (
        "LC08_L1TP_008067_20200101_20200113_01_T1",
        "LC08_L1TP_009067_20200108_20200113_01_T1",
    )
    names = [f"{s}/{s}_{band}.TIF" for s in scenes for band in ("B2", "B3", "B4", "B5")]
    write_files(tmp_path, dict.fromkeys(names, b""))
    listing = read_dataset(FileTree.scan(tmp_path), DatasetCard(name="x"))
    assert [record.derivation.kind for record in listing.images.values()] == ["stack", "stack"]


@pytest.mark.parametrize("option", ["stack_pattern", "mosaic_pattern"])
def test_a_pattern_without_its_groups_is_an_error_of_the_card(tmp_path, option):
    with pytest.raises(RecipeError, match=r"has no group \(\?P<"):
        read(tmp_path, **{option: "x"})


@pytest.fixture
def rows(real_data, tmp_path):
    """Rows of a real dataset's files, through ingest with a card of the test's own."""
    if gdal_child.describe() is None:
        pytest.skip("the GDAL bindings are not installed; see rspipe doctor")

    def rows(name, card):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        for path in (real_data / name).rglob("*"):
            if path.is_file():
                copy = folder / path.relative_to(real_data / name)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.symlink_to(path)
        (folder / "dataset.yaml").write_text(f"name: {name}\n{card}")
        return ingested(tmp_path / "data", tmp_path / "stages", name)

    return rows


@pytest.mark.real_data
def test_bands_of_ports_become_colour_scenes_equal_to_their_files(rows, real_data, tmp_path):
    """Three ports, told by hand: B04, B03, B02 of each become one picture, B08 and B11 none."""
    found = rows(
        "sen2ships", "layout: coco+mask_pairs+scenes\noptions: {masks: SegmentationClass}\n"
    )
    kept = {path: row for path, row in found.items() if row["drop_reason"] is None}
    stacks = {path: row for path, row in kept.items() if row["derivation"]}
    theirs = {}
    for red in (real_data / "sen2ships").glob("*/*_B04_(Raw).tiff"):
        path = red.relative_to(real_data / "sen2ships").as_posix()
        theirs[path.replace("_B04_", "_B04B03B02_")] = [
            path.replace("_B04_", f"_{b}_") for b in ("B04", "B03", "B02")
        ]
    assert len(theirs) == 3
    assert stacks.keys() == theirs.keys()
    storage = Storage(str(real_data / "sen2ships"), tmp_path / "cache")
    for path, members in theirs.items():
        row = stacks[path]
        assert row["acquired"] == path.rpartition("/")[2][:10]
        assert (row["bands"], row["dtype"], row["display_bands"]) == (3, "uint16", [1, 2, 3])
        with local_raster(storage, path, row["derivation"]) as file, rasterio.open(file) as dataset:
            values = dataset.read()
        for band, member in zip(values, members, strict=True):
            with rasterio.open(real_data / "sen2ships" / member) as one:
                np.testing.assert_array_equal(band, one.read(1))
                assert row["xmin"] == pytest.approx(one.lnglat()[0], abs=1)
    assert not [path for path in kept if re.search(r"_B\d\d_\(Raw\)", path)]
    boxes = {path: len(row["boxes"] or []) for path, row in kept.items()}
    assert boxes["honolulu/honolulu_rgb.tiff"] == 12
    assert boxes["casablanca/casablanca_rgb.tiff"] == 15


@pytest.mark.real_data
def test_a_stack_is_known_by_the_content_of_its_files(rows, real_data):
    found = rows("sen2ships", "layout: scenes\n")
    stack = next(row for path, row in found.items() if "casablanca" in path and row["derivation"])
    folder = real_data / "sen2ships/casablanca"
    files = [next(folder.glob(f"*_{band}_(Raw).tiff")) for band in ("B04", "B03", "B02")]
    hashes = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert stack["source_sha256"] == hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    assert stack["source_size_bytes"] == sum(file.stat().st_size for file in files)


@pytest.mark.real_data
def test_geotiffs_carry_what_gdal_says_and_dates_only_from_known_names(rows, real_data):
    found = rows("geotiff", "layout: scenes\n")
    files = {
        p.relative_to(real_data / "geotiff").as_posix()
        for p in (real_data / "geotiff").rglob("*.tif")
    }
    assert len(files) == 14
    for path in files:
        with rasterio.open(real_data / "geotiff" / path) as dataset:
            assert (found[path]["height"], found[path]["width"], found[path]["bands"]) == (
                *dataset.shape,
                dataset.count,
            )
            assert found[path]["dtype"] == dataset.dtypes[0]
            assert (found[path]["crs"] is None) == (dataset.crs is None)
    dated = {path: row["acquired"] for path, row in found.items() if row["acquired"]}
    assert dated == {"naip/m_4709963_se_14_1_20090818.tif": "2009-08-18"}
    assert found["spacenet4_atlanta/geotiff_labels.geojson"]["drop_reason"] == "sidecar"


@pytest.mark.real_data
def test_two_bands_of_unknown_meaning_stack_only_by_their_card(rows, real_data):
    card = (
        "layout: scenes\noptions:\n"
        "  stack_pattern: '(?P<scene>.*)_(?P<band>band\\d)\\.tif$'\n"
        "  stack_bands: {red: band2, green: band1, blue: band1}\n"
    )
    found = rows("geotiff", card)
    row = found["sentinel2_bands/scene_band2band1band1.tif"]
    assert row["drop_reason"] is None
    with rasterio.open(real_data / "geotiff/sentinel2_bands/scene_band2.tif") as dataset:
        assert (row["height"], row["width"]) == dataset.shape
        assert row["crs"] == "EPSG:32629" == dataset.crs.to_string()
    assert found["sentinel2_bands/scene_band1.tif"]["drop_reason"] == "sidecar"


@pytest.mark.real_data
def test_overlapping_scenes_become_one_picture_where_the_card_says_so(rows, real_data, tmp_path):
    """Two cut-outs of one Landsat scene: put together, they show what the whole scene shows."""
    card = "layout: scenes\noptions: {mosaic_pattern: 'landsat_utm18/(?P<scene>rgb)\\d\\.tif$'}\n"
    found = rows("geotiff", card)
    row = found["landsat_utm18/rgb.vrt"]
    assert (row["drop_reason"], row["bands"], row["display_bands"]) == (None, 3, [1, 2, 3])
    assert found["landsat_utm18/rgb1.tif"]["drop_detail"] == "a tile of landsat_utm18/rgb.vrt"
    folder = real_data / "geotiff"
    storage = Storage(str(folder), tmp_path / "cache")
    with (
        local_raster(storage, "landsat_utm18/rgb.vrt", row["derivation"]) as file,
        rasterio.open(file) as made,
    ):
        assert (row["height"], row["width"]) == made.shape
        for name in ("rgb1.tif", "rgb2.tif"):
            with rasterio.open(folder / "landsat_utm18" / name) as tile:
                ours = made.read(window=made.window(*tile.bounds).round())
                theirs, valid = tile.read(), tile.dataset_mask() > 0
                assert valid.sum() > 100_000
                np.testing.assert_array_equal(ours[:, valid], theirs[:, valid])


@pytest.mark.real_data
def test_jpeg_2000_files_are_scenes_with_the_dates_of_their_names(rows, real_data):
    found = rows("jp2", "layout: scenes\n")
    for path in (real_data / "jp2").glob("*.jp2"):
        row = found[path.name]
        with rasterio.open(path) as dataset:
            assert (row["height"], row["width"], row["bands"]) == (*dataset.shape, dataset.count)
        named = re.search(r"\d{4}-\d\d-\d\d", path.name)
        assert row["acquired"] == (named[0] if named else None)
    assert sum(row["acquired"] is not None for row in found.values()) == 4
