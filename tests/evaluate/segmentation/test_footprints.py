# SPDX-License-Identifier: Apache-2.0
import io
import json

import numpy as np
import pytest
import rasterio
from affine import Affine
from PIL import Image

from rspipe.errors import UnreadableImage
from rspipe.evaluate.segmentation.footprints import draw_footprints, fill
from rspipe.io.outlines import read_frame, read_outlines
from rspipe.schema import Box, DatasetCard
from tests.evaluate.native_sets import RIO, geotiff

CARD = DatasetCard(name="x", classes={"background": 0, "building": 1})


def geojson(polygons, **said):
    features = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": p}}
        for p in polygons
    ]
    return json.dumps({"type": "FeatureCollection", "features": features, **said}).encode()


def to_degrees(ring):
    x, y, step = RIO
    return [[x + column * step, y - row * step] for column, row in ring]


def star(rng, centre, radius):
    angles = np.sort(rng.uniform(0, 2 * np.pi, 9))
    radii = rng.uniform(0.3, 1, 9) * radius
    return np.array(centre) + np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


def test_masks_equal_those_that_curation_draws(tmp_path):
    rng = np.random.default_rng(0)
    image = geotiff(np.zeros((40, 50, 3), np.uint8))
    (tmp_path / "i.tif").write_bytes(image)
    frame = read_frame(tmp_path / "i.tif", "i.tif")
    for _ in range(20):
        rings = [star(rng, rng.uniform(-5, 50, 2), rng.uniform(1, 20)) for _ in range(6)]
        hole = star(rng, (20, 20), 6)
        outer = np.array([(5, 5), (35, 5), (35, 35), (5, 35)]) + rng.uniform(-0.4, 0.4, (4, 2))
        polygons = [[to_degrees([*ring, ring[0]])] for ring in rings]
        polygons.append([to_degrees([*outer, outer[0]]), to_degrees([*hole, hole[0]])])
        data = geojson(polygons)
        want = read_outlines(data, "g", frame, CARD, None).draw(Box(y0=0, x0=0, y1=40, x1=50))
        found = draw_footprints(data, "g", image, "i.tif", CARD)
        assert 0 < want.sum() < want.size
        assert (found == want).all()


def test_georeference_is_that_which_gdal_reads(tmp_path):
    profile = {"driver": "GTiff", "height": 30, "width": 20, "count": 3, "dtype": "uint8"}
    path, step = tmp_path / "i.tif", 1 / 240000
    where = Affine(step, 0, -43.5, 0, -step, -22.9)
    with rasterio.open(path, "w", **profile, crs="EPSG:4326", transform=where) as dataset:
        dataset.write(np.zeros((3, 30, 20), np.uint8))
    ring = [where * at for at in ((3, 4), (11, 4), (11, 9), (3, 9), (3, 4))]
    mask = draw_footprints(geojson([[ring]]), "g", path.read_bytes(), "i.tif", CARD)
    assert mask[4:9, 3:11].all()
    assert mask.sum() == 5 * 8


def test_even_odd_rule_on_centres():
    mask = np.zeros((4, 6), np.uint8)
    fill(mask, [np.array([(0.5, 0.6), (4.4, 0.6), (4.4, 3.4), (0.5, 3.4)])], 7)
    assert mask.tolist() == [
        [0, 0, 0, 0, 0, 0],
        [7, 7, 7, 7, 0, 0],
        [7, 7, 7, 7, 0, 0],
        [0, 0, 0, 0, 0, 0],
    ]


def test_no_object_is_an_empty_mask_and_points_draw_nothing():
    image = geotiff(np.zeros((8, 9, 3), np.uint8))
    assert draw_footprints(geojson([]), "g", image, "i", CARD).sum() == 0
    point = {"geometry": {"type": "Point", "coordinates": [RIO[0], RIO[1]]}}
    null = {"geometry": None, "properties": None}
    data = json.dumps({"features": [point, null]}).encode()
    assert draw_footprints(data, "g", image, "i", CARD).shape == (8, 9)


def test_class_by_property_and_unnamed_classes_count_for_nothing():
    card = DatasetCard(name="x", classes={"none": 0, "hut": 3}, outline_class_property="kind")
    content = json.loads(geojson([[to_degrees([(0, 0), (4, 0), (4, 4), (0, 4)])]] * 2))
    content["features"][0]["properties"] = {"kind": "hut"}
    content["features"][1]["properties"] = {"kind": "tent"}
    image = geotiff(np.zeros((8, 8, 3), np.uint8))
    both = draw_footprints(json.dumps(content).encode(), "g", image, "i", card)
    del content["features"][1]
    first = draw_footprints(json.dumps(content).encode(), "g", image, "i", card)
    assert set(np.unique(both)) == {0, 255}
    assert set(np.unique(first)) == {0, 3}


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not GeoJSON"),
        (b"[]", "not GeoJSON"),
        (b'{"features": [{"geometry": {"type": "Polygon", "coordinates": [[1]]}}]}', "not GeoJSON"),
        (geojson([], crs={"properties": {"name": "EPSG:32723"}}), "want degrees"),
    ],
)
def test_other_outlines_are_refused(data, reason):
    with pytest.raises(UnreadableImage, match=reason):
        draw_footprints(data, "g", geotiff(np.zeros((8, 8, 3), np.uint8)), "i", CARD)


def test_images_without_a_place_in_degrees_are_refused(tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "TIFF")
    with pytest.raises(UnreadableImage, match="no north-up georeference"):
        draw_footprints(geojson([]), "g", buffer.getvalue(), "i", CARD)
    with pytest.raises(UnreadableImage):
        draw_footprints(geojson([]), "g", b"torn", "i", CARD)
    profile = {"driver": "GTiff", "height": 4, "width": 4, "count": 3, "dtype": "uint8"}
    where = Affine(0.5, 0, 500000, 0, -0.5, 7000000)
    with rasterio.open(tmp_path / "u.tif", "w", **profile, crs="EPSG:32723", transform=where) as d:
        d.write(np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(UnreadableImage, match="rspipe curate"):
        draw_footprints(geojson([]), "g", (tmp_path / "u.tif").read_bytes(), "i", CARD)
