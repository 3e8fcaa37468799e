# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from rspipe.curate.masks import open_mask, outlines_of
from rspipe.errors import UnreadableImage
from rspipe.io import images
from rspipe.io.images import decode_mask, encode_png
from rspipe.io.storage import Storage
from rspipe.schema import Box, DatasetCard
from tests.curate.slicing import image_row, slice_file
from tests.io.rasters import write_raster

GRID = {"tile_px": 64, "stride_px": 64, "larger_than_px": 100}
SIZE = (150, 130)
BOX = Box(y0=20, x0=30, y1=84, x1=94)


def numbers(dtype="uint8", most=250):
    return np.random.default_rng(0).integers(0, most, SIZE).astype(dtype)


def read(folder, path, box=BOX, shape=None):
    row = {"mask_path": path}
    with open_mask(Storage(str(folder), folder / ".cache"), row, None) as mask:
        assert mask.size == SIZE
        return mask.read(box, shape)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "int32", "uint32"])
def test_numbers_of_any_integer_type_are_kept(tmp_path, dtype):
    values = numbers(dtype, 120 if dtype == "int8" else 250 if dtype == "uint8" else 30_000)
    write_raster(tmp_path / "m.tif", values[None])
    found = read(tmp_path, "m.tif")
    np.testing.assert_array_equal(found, values[20:84, 30:94])
    assert found.dtype == (np.uint8 if dtype == "uint8" else np.uint16)
    back = np.asarray(Image.open(__import__("io").BytesIO(encode_png(found))))
    np.testing.assert_array_equal(back, found)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "RGBA", "I;16"])
def test_windows_are_those_of_the_mask_as_pillow_decodes_it(tmp_path, suffix, mode):
    if mode == "I;16":
        image = Image.fromarray(numbers("uint16", 60_000))
    elif mode == "P":
        image = Image.fromarray(numbers()).convert("P")
        image.putpalette([value for i in range(256) for value in (i, 255 - i, i // 2)])
    else:
        colours = np.random.default_rng(1).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
        image = Image.fromarray(colours).convert(mode)
    path = tmp_path / f"m.{suffix}"
    image.save(path)
    whole = np.asarray(image) if mode == "I;16" else decode_mask(path.read_bytes(), path.name)
    np.testing.assert_array_equal(read(tmp_path, path.name), whole[20:84, 30:94])


def test_a_resampled_mask_takes_the_nearest_values(tmp_path):
    values = numbers()
    (tmp_path / "m.png").write_bytes(encode_png(values))
    write_raster(tmp_path / "m.tif", values[None])
    with rasterio.open(tmp_path / "m.tif", "r+") as out:
        out.build_overviews([2, 4], rasterio.enums.Resampling.average)
    for path in ("m.png", "m.tif"):
        found = read(tmp_path, path, shape=(32, 32))
        np.testing.assert_array_equal(found, values[20:84, 30:94][1::2, 1::2])
        assert read(tmp_path, path, shape=(21, 100)).shape == (21, 100)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (numbers("float32")[None], "float32"),
        (np.stack([numbers(), numbers()]), "2 uint8 bands"),
        (np.stack([numbers("uint16")] * 3), "uint16"),
        (numbers("int16")[None] - np.int16(1), "-1"),
        (numbers("int32")[None] + np.int32(65_530), "beyond"),
    ],
)
def test_what_is_no_mask_is_named(tmp_path, values, words):
    write_raster(tmp_path / "m.tif", values)
    with pytest.raises(UnreadableImage, match=words):
        read(tmp_path, "m.tif")


def test_a_large_mask_is_read_by_windows(tmp_path, monkeypatch):
    """Above the limit of what is decoded whole, the same values come through GDAL."""
    values = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    (tmp_path / "m.png").write_bytes(encode_png(values))
    monkeypatch.setattr(images, "MOST_PILLOW_PIXELS", 1000)
    np.testing.assert_array_equal(read(tmp_path, "m.png"), values[20:84, 30:94])


@pytest.mark.parametrize("kind", ["size", "truncated", "missing"])
def test_a_mask_that_does_not_fit_drops_its_image_with_the_reason(tmp_path, kind):
    (tmp_path / "a.png").write_bytes(encode_png(numbers()))
    data = encode_png(numbers()[:-1] if kind == "size" else numbers())
    if kind != "missing":
        (tmp_path / "m.png").write_bytes(data[: len(data) // 2] if kind == "truncated" else data)
    parents, (row,) = slice_file(tmp_path, "a.png", said={"mask_path": "m.png"}, **GRID)
    assert parents == []
    assert (row["drop_stage"], row["drop_reason"]) == ("slice", "bad_annotation")
    assert "m.png" in row["drop_detail"]
    if kind == "size":
        assert "149x130 px, its image has 150x130" in row["drop_detail"]


def test_a_mask_that_breaks_in_the_middle_drops_its_image(tmp_path):
    (tmp_path / "a.png").write_bytes(encode_png(numbers()))
    write_raster(tmp_path / "m.tif", numbers("uint16", 60_000)[None], blockysize=10)
    data = (tmp_path / "m.tif").read_bytes()
    (tmp_path / "m.tif").write_bytes(data[: len(data) // 2])
    _, (row,) = slice_file(tmp_path, "a.png", said={"mask_path": "m.tif"}, **GRID)
    assert row["drop_reason"] == "bad_annotation"


@pytest.fixture
def buildings(tmp_path):
    """A scene of 150 x 130 px of 0.5 m with two buildings, the first across a tile's edge."""
    transform = rasterio.transform.from_origin(0, 1000, 0.5, 0.5)
    write_raster(tmp_path / "a.tif", numbers()[None], crs="EPSG:32631", transform=transform)

    def square(x0, y0, x1, y1):
        ring = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
        corners = [[x / 2, 1000 - y / 2] for x, y in ring]
        geometry = {"type": "Polygon", "coordinates": [corners]}
        return {"type": "Feature", "properties": {}, "geometry": geometry}

    content = {
        "type": "FeatureCollection",
        "crs": {"type": "name", "properties": {"name": "EPSG:32631"}},
        "features": [square(50, 10, 70, 30), square(100, 100, 120, 120)],
    }
    (tmp_path / "a.geojson").write_text(json.dumps(content))
    return tmp_path


def test_outlines_give_boxes_and_a_mask_to_each_tile(buildings):
    card = {"classes": {"background": 0, "building": 1}}
    said = {"footprints_path": "a.geojson"}
    (parent,), tiles = slice_file(buildings, "a.tif", card, said, **GRID)
    assert parent["annotation_note"] is None
    first = next(t for t in tiles if (t["y0"], t["x0"]) == (0, 0))
    (box,) = first["boxes"]
    assert (box["x0"], box["y0"], box["x1"], box["y1"]) == (50, 10, 64, 30)
    assert box["truncated"]
    assert box["label"] == "building"
    storage = Storage(str(buildings), buildings / ".cache")
    outlines = outlines_of(storage, first, DatasetCard(name="d", **card))
    with open_mask(storage, first, outlines) as mask:
        drawn = mask.read(Box(y0=0, x0=0, y1=64, x1=64))
    expected = np.zeros((64, 64))
    expected[10:30, 50:] = 1
    np.testing.assert_array_equal(drawn, expected)


def test_tiles_of_any_scale_draw_lines_of_the_same_ground_width(buildings):
    content = json.loads((buildings / "a.geojson").read_text())
    line = {"type": "LineString", "coordinates": [[0, 980], [65, 980]]}
    content["features"] = [{"type": "Feature", "properties": {}, "geometry": line}]
    (buildings / "a.geojson").write_text(json.dumps(content))
    card = {"outline_buffer_m": 3.0}
    said = {"footprints_path": "a.geojson"}
    storage = Storage(str(buildings), buildings / ".cache")
    for target, width_px in ((None, 12), (1.0, 6)):
        config = GRID | {"larger_than_px": 1000, "target_gsd_m": target}
        _, (tile,) = slice_file(buildings, "a.tif", card, said, **config)
        assert tile["boxes"] is None
        outlines = outlines_of(storage, tile, DatasetCard(name="d", **card))
        with open_mask(storage, tile, outlines) as mask:
            drawn = mask.read(Box(y0=0, x0=0, y1=150, x1=130), (tile["height"], tile["width"]))
        assert drawn[:, 20].sum() == width_px


def test_broken_outlines_drop_their_image_with_the_reason(buildings):
    (buildings / "a.geojson").write_text("{")
    _, (row,) = slice_file(buildings, "a.tif", said={"footprints_path": "a.geojson"}, **GRID)
    assert row["drop_reason"] == "bad_annotation"
    assert "a.geojson" in row["drop_detail"]
    (buildings / "p.png").write_bytes(encode_png(numbers()))
    row = image_row(buildings, "p.png")
    assert row["format"] == "PNG"
    _, (row,) = slice_file(buildings, "p.png", said={"footprints_path": "a.geojson"}, **GRID)
    assert row["drop_reason"] == "bad_annotation"
