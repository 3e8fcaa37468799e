# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import rasterio.features
import shapely
from rasterio.transform import from_origin
from rasterio.warp import transform_geom

from rspipe.errors import UnreadableImage
from rspipe.io.outlines import read_frame, read_outlines
from rspipe.schema import Box, DatasetCard
from tests.io.rasters import ramp, write_raster

BUILDINGS = DatasetCard(name="d", classes={"background": 0, "building": 1})
ORIGIN = from_origin(500_000, 5_000_000, 0.5, 0.5)


@pytest.fixture
def frame(tmp_path):
    """A raster of 100 x 80 px, 0.5 m each, in UTM."""
    values = ramp(1, "uint8", 100, 80)
    path = write_raster(tmp_path / "a.tif", values, crs="EPSG:32631", transform=ORIGIN)
    return read_frame(path, "a.tif")


def geojson(geometries, crs="EPSG:32631", properties=None):
    said = [{}] * len(geometries) if properties is None else properties
    content = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": p,
                "geometry": None if g is None else shapely.geometry.mapping(g),
            }
            for g, p in zip(geometries, said, strict=True)
        ],
    }
    if crs is not None:
        content["crs"] = {"type": "name", "properties": {"name": crs}}
    return json.dumps(content).encode()


def at(x0, y0, x1, y1):
    """A rectangle given in pixels, in the raster's CRS."""
    return shapely.box(500_000 + x0 / 2, 5_000_000 - y1 / 2, 500_000 + x1 / 2, 5_000_000 - y0 / 2)


BLOB = (
    b'{"type": "FeatureCollection", "features":'
    b' [{"geometry": {"type": "Blob", "coordinates": [1]}}]}'
)
WHOLE = Box(y0=0, x0=0, y1=100, x1=80)


def test_outlines_fall_on_the_pixels_below_them(frame):
    outlines = read_outlines(geojson([at(10, 20, 30, 50)]), "a", frame, BUILDINGS, 0.5)
    (found,) = outlines.objects
    assert found.label == "building"
    assert found.shape.bounds == pytest.approx((10, 20, 30, 50))
    expected = np.zeros((100, 80))
    expected[20:50, 10:30] = 1
    np.testing.assert_array_equal(outlines.draw(WHOLE), expected)
    assert outlines.note is None


@pytest.mark.parametrize(
    "crs", [None, "EPSG:4326", "urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::32632"]
)
def test_outlines_come_from_any_crs(frame, crs):
    source = crs or "EPSG:4326"
    moved = transform_geom("EPSG:32631", source, shapely.geometry.mapping(at(10, 20, 30, 50)))
    shape = shapely.geometry.shape(moved)
    outlines = read_outlines(geojson([shape], crs), "a", frame, BUILDINGS, 0.5)
    assert outlines.objects[0].shape.bounds == pytest.approx((10, 20, 30, 50), abs=0.01)


def test_windows_and_resampled_masks_agree_with_rasterio_on_the_ground(frame):
    """Drawn by rasterio in the raster's own coordinates, window by window."""
    random = np.random.default_rng(0)
    shapes = [
        shapely.Point(500_000 + x, 5_000_000 - y).buffer(r)
        for x, y, r in zip(
            random.uniform(0, 40, 12),
            random.uniform(0, 50, 12),
            random.uniform(1, 6, 12),
            strict=True,
        )
    ]
    outlines = read_outlines(geojson(shapes), "a", frame, BUILDINGS, 0.5)
    for box, shape in ((WHOLE, None), (Box(y0=13, x0=7, y1=77, x1=71), None), (WHOLE, (50, 40))):
        rows, columns = shape or (box.height, box.width)
        step = rasterio.Affine.scale(box.width / columns, box.height / rows)
        transform = ORIGIN @ rasterio.Affine.translation(box.x0, box.y0) @ step
        theirs = rasterio.features.rasterize(
            shapes, out_shape=(rows, columns), transform=transform, dtype="uint8"
        )
        np.testing.assert_array_equal(outlines.draw(box, shape), theirs)


def test_classes_come_from_the_property_that_the_card_names(frame):
    card = DatasetCard(
        name="d", classes={"none": 0, "intact": 1, "destroyed": 4}, outline_class_property="damage"
    )
    shapes = [at(0, 0, 10, 10), at(20, 20, 30, 30), at(40, 40, 50, 50)]
    said = [{"damage": "destroyed"}, {"damage": "intact"}, {"damage": "unsure"}]
    outlines = read_outlines(geojson(shapes, properties=said), "a", frame, card, 0.5)
    assert [(o.label, o.value) for o in outlines.objects] == [("destroyed", 4), ("intact", 1)]
    assert outlines.note == "outlines left out: 1 of class 'unsure', which the card does not name"
    mask = outlines.draw(WHOLE)
    assert mask[5, 5] == 4
    assert mask[25, 25] == 1
    assert mask[45, 45] == 0


def test_lines_and_points_need_a_width(frame):
    line = shapely.LineString([(500_000, 4_999_975), (500_040, 4_999_975)])
    point = shapely.Point(500_020, 4_999_960)
    data = geojson([line, point])
    without = read_outlines(data, "a", frame, BUILDINGS, 0.5)
    assert without.objects == ()
    assert "1 LineString without a width" in without.note
    assert "1 Point without a width" in without.note
    card = BUILDINGS.model_copy(update={"outline_buffer_m": 2.0})
    outlines = read_outlines(data, "a", frame, card, 0.5)
    assert outlines.note is None
    mask = outlines.draw(WHOLE)
    # 2 m to both sides are 8 px of 0.5 m.
    assert mask[:, 40].sum() == pytest.approx(8 + 8, abs=1)
    assert read_outlines(data, "a", frame, card, None).objects == ()


def test_what_cannot_be_carried_is_counted(frame):
    bow = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
    crossed = shapely.affinity.translate(bow, 500_010, 4_999_970)
    flat = shapely.Polygon([(500_000, 4_999_990), (500_005, 4_999_990), (500_000, 4_999_990)])
    shapes = [at(200, 200, 300, 300), None, shapely.Polygon(), crossed, flat]
    outlines = read_outlines(geojson(shapes), "a", frame, BUILDINGS, 0.5)
    assert len(outlines.objects) == 1
    assert outlines.objects[0].shape.area == pytest.approx(50 * 4)
    assert outlines.note == (
        "outlines left out: 1 outside the image, 2 without a geometry, 1 without area"
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 bytes"),
        (b"[]", "not GeoJSON"),
        (b'{"type": "Topology"}', "not a FeatureCollection"),
        (BLOB, "not GeoJSON"),
        (geojson([at(0, 0, 1, 1)], crs="EPSG:99999999"), "not GeoJSON"),
        (geojson([at(0, 0, 1, 1)], crs=None), "no degrees"),
        (b"[" * 100_000, "not GeoJSON"),
    ],
)
def test_what_is_no_geojson_is_named(frame, data, words):
    with pytest.raises(UnreadableImage, match=words):
        read_outlines(data, "a.geojson", frame, BUILDINGS, 0.5)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_an_image_without_georeference_has_no_place_for_outlines(tmp_path):
    path = write_raster(tmp_path / "a.tif", ramp(1, "uint8"), crs=None)
    with pytest.raises(UnreadableImage, match="no georeference"):
        read_frame(path, "a.tif")


@pytest.mark.real_data
def test_the_buildings_of_atlanta_lie_where_rasterio_puts_them(real_data):
    folder = real_data / "geotiff/spacenet4_atlanta"
    frame = read_frame(folder / "sample_geotiff.tif", "a")
    data = (folder / "geotiff_labels.geojson").read_bytes()
    outlines = read_outlines(data, "b", frame, BUILDINGS, 0.5)
    assert len(outlines.objects) == 43
    shapes = [feature["geometry"] for feature in json.loads(data)["features"]]
    theirs = rasterio.features.rasterize(
        shapes, out_shape=(900, 900), transform=frame.pixel_to_crs, dtype="uint8"
    )
    ours = outlines.draw(Box(y0=0, x0=0, y1=900, x1=900))
    assert theirs.sum() > 10_000
    np.testing.assert_array_equal(ours, theirs)
