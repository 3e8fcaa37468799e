# SPDX-License-Identifier: Apache-2.0
"""SpaceNet chips and their outlines."""

import csv
import json
import re

import numpy as np
import pytest
import rasterio
from rasterio.features import rasterize

from rspipe.readers import READERS, FileTree, read_dataset
from rspipe.schema import DatasetCard
from tests.fakes import fakes, write_files


def read(root, **options):
    return read_dataset(
        FileTree.scan(root), DatasetCard(name="x", layout="spacenet", options=options)
    )


def test_outlines_of_the_training_chip_never_go_to_the_test_chip_of_its_number(tmp_path):
    write_files(
        tmp_path,
        dict.fromkeys(
            [
                "SN1_buildings_train_AOI_1_Rio_geojson_buildings/geojson/Geo_AOI_1_RIO_img1.geojson",
                "SN1_buildings_train_AOI_1_Rio_3band/3band/3band_AOI_1_RIO_img1.tif",
                "SN1_buildings_test_AOI_1_Rio_3band/3band/3band_AOI_1_RIO_img1.tif",
            ],
            b"",
        ),
    )
    found = {r.split: r.annotation.footprints_path for r in read(tmp_path).images.values()}
    assert found["test"] is None
    assert found["train"].endswith("Geo_AOI_1_RIO_img1.geojson")


def test_a_product_that_the_card_leaves_out_is_no_image_even_alone(tmp_path):
    write_files(tmp_path, {"train/MUL/MUL_AOI_2_Vegas_img1.tif": b""})
    listing = read(tmp_path, images="RGB-PanSharpen")
    assert not listing.images
    assert list(listing.sidecars.values()) == ["product mul, which the card does not choose"]


def test_pairs_of_a_flood_are_those_of_the_published_table(tmp_path):
    expected = fakes()["spacenet8"](tmp_path)
    images = read(tmp_path, **expected.options).images
    rows = [r for p in tmp_path.rglob("*.csv") for r in csv.DictReader(p.open())]
    theirs = {(r["pre-event image"], r["post-event image 1"], r["label"]) for r in rows}
    ours = {
        tuple(
            path.rpartition("/")[2]
            for path in (p, r.annotation.pair_path, r.annotation.footprints_path)
        )
        for p, r in images.items()
        if "/PRE-event/" in p
    }
    assert ours == theirs


@pytest.mark.real_data
@pytest.mark.parametrize("layout", ["auto", "spacenet"])
def test_published_chips_of_versions_1_and_6_meet_their_outlines(real_data, layout):
    root = real_data / "layouts_synthetic/spacenet"
    theirs = {}
    for version, folder, rewrite in (
        ("spacenet1", "3band", [("/3band/3band_", "/geojson/Geo_")]),
        ("spacenet6", "PS-RGB", [("/PS-RGB/", "/geojson_buildings/"), ("_PS-RGB_", "_Buildings_")]),
    ):
        for path in (root / version).rglob(f"{folder}/*.tif"):
            name = path.relative_to(root / version).as_posix()
            label = re.sub(r"tif$", "geojson", name)
            for old, new in rewrite:
                label = label.replace(old, new)
            theirs[version, name] = label if (root / version / label).is_file() else None
    assert [sum(v == s for v, _ in theirs) for s in ("spacenet1", "spacenet6")] == [8, 4]
    assert sum(label is not None for label in theirs.values()) == 8
    for version, products in (("spacenet1", "3band"), ("spacenet6", "PS-RGB")):
        card = DatasetCard(
            name="x",
            layout=layout,
            options={} if layout == "auto" else {"images": products},
        )
        listing = read_dataset(FileTree.scan(root / version), card)
        ours = {
            (version, path): record.annotation.footprints_path
            for path, record in listing.images.items()
            if f"/{products}/" in path
        }
        assert ours == {key: label for key, label in theirs.items() if key[0] == version}
        named = {*listing.images, *listing.sidecars}
        assert named == set(FileTree.scan(root / version).paths)


@pytest.mark.real_data
def test_the_43_buildings_of_atlanta_lie_in_their_picture(real_data):
    """A tree that no challenge wrote: the card says which file is which."""
    root = real_data / "geotiff/spacenet4_atlanta"
    listing = read(
        root,
        image_pattern=r"^(.*)sample_geotiff\.tif$",
        label_pattern=r"^(.*)geotiff_labels\.geojson$",
    )
    (record,) = listing.images.values()
    labels = json.loads((root / record.annotation.footprints_path).read_text())
    assert len(labels["features"]) == 43
    with rasterio.open(root / record.source_path) as dataset:
        assert labels["crs"]["properties"]["name"].endswith("32616")
        assert dataset.crs.to_epsg() == 32616
        shapes = [feature["geometry"] for feature in labels["features"]]
        roofs = rasterize(shapes, dataset.shape, transform=dataset.transform) == 1
        pixels = dataset.read(1).astype(float)
    inner = np.zeros_like(roofs)
    inner[1:-1, 1:-1] = roofs[:-2, 1:-1] & roofs[2:, 1:-1] & roofs[1:-1, :-2] & roofs[1:-1, 2:]
    edges, steepness = roofs & ~inner, np.hypot(*np.gradient(np.log1p(pixels)))
    # The outlines run where the picture has edges, and 5 m beside them it has fewer.
    for shift in ((10, 0), (-10, 0), (0, 10), (0, -10)):
        assert steepness[np.roll(edges, shift, (0, 1))].mean() < 0.9 * steepness[edges].mean()


def test_it_is_told_from_scenes_without_outlines(tmp_path):
    write_files(tmp_path, {"train/PAN/PAN_AOI_2_Vegas_img1.tif": b""})
    assert not READERS["spacenet"].recognises(FileTree.scan(tmp_path))
