# SPDX-License-Identifier: Apache-2.0
"""Masks drawn from GeoJSON outlines (SpaceNet), by Pillow and NumPy alone.

Curation draws outlines in any CRS through rasterio (`io/outlines.py`). Evaluation must do without
it, and reads what SpaceNet publishes: north-up GeoTIFFs in longitude and latitude, outlines in the
same. Anything else is refused.
"""

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from rspipe.errors import UnreadableImage
from rspipe.evaluate.segmentation.masks import IGNORE
from rspipe.schema import DatasetCard

# TIFF tags and keys of GeoTIFF 1.1 (OGC 19-008r4).
_PIXEL_SCALE, _TIE_POINT, _GEO_KEYS = 33550, 33922, 34735
_MODEL_TYPE, _RASTER_TYPE, _GEODETIC_CRS = 1024, 1025, 2048
_GEOGRAPHIC, _PIXEL_IS_AREA, _WGS84 = 2, 1, 4326
_DEGREES = ("CRS84", "EPSG::4326", "EPSG:4326")

Ring = Float[np.ndarray, "n 2"]


def draw_footprints(
    outlines: bytes, path: str, image: bytes, image_path: str, card: DatasetCard
) -> UInt8[np.ndarray, "H W"]:
    """Draw the outlines of an image's objects into a mask of the card's pixel values.

    A pixel belongs to an object that holds its centre, as in GDAL's rasterisation; 0 outside of
    all, later objects over earlier ones. Points and lines have no area and draw nothing; objects
    of a class that the card does not name count for nothing.

    Args:
        outlines: the GeoJSON file.
        path: its name, for errors.
        image: the GeoTIFF.
        image_path: its name, for errors.
        card: says the objects' class, or which property does.

    Raises:
        UnreadableImage: no GeoJSON, no georeference, or another CRS than degrees.
    """
    (height, width), origin, pixel = _frame(image, image_path)
    mask = np.zeros((height, width), dtype=np.uint8)
    for value, polygon in _polygons(outlines, path, card):
        rings = [(ring - origin) / pixel for ring in polygon]
        fill(mask, rings, value)
    return mask


def fill(mask: UInt8[np.ndarray, "H W"], rings: list[Ring], value: int) -> None:
    """Set the pixels whose centres lie within a polygon, by the even-odd rule.

    Args:
        mask: drawn into.
        rings: outline and holes, x and y in pixels, closed or not.
        value: of the pixels.
    """
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    first = max(int(np.ceil(starts[:, 1].min() - 0.5)), 0)
    last = min(int(np.floor(starts[:, 1].max() - 0.5)), mask.shape[0] - 1)
    for row in range(first, last + 1):
        y = row + 0.5
        crossed = (starts[:, 1] <= y) != (ends[:, 1] <= y)
        (x0, y0), (x1, y1) = starts[crossed].T, ends[crossed].T
        at = np.sort(x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        columns = np.clip(np.ceil(at - 0.5), 0, mask.shape[1]).astype(np.int64)
        for enter, leave in zip(columns[::2], columns[1::2], strict=True):
            mask[row, enter:leave] = value


def _frame(
    image: bytes, path: str
) -> tuple[tuple[int, int], Float[np.ndarray, " 2"], Float[np.ndarray, " 2"]]:
    """Read size, the place of the upper left corner, and the step of a pixel in x and y."""
    try:
        with Image.open(io.BytesIO(image)) as picture:
            size = (picture.height, picture.width)
            tags: Mapping[int, Any] = dict(getattr(picture, "tag_v2", {}))
    except (OSError, ValueError, SyntaxError) as error:
        raise UnreadableImage(path, str(error)) from error
    if not {_PIXEL_SCALE, _TIE_POINT, _GEO_KEYS} <= set(tags):
        raise UnreadableImage(path, "no north-up georeference, so outlines have no place in it")
    keys = np.array(tags[_GEO_KEYS], dtype=np.int64).reshape(-1, 4)[1:]
    said = {int(key): int(value) for key, location, _, value in keys if location == 0}
    wanted = {_MODEL_TYPE: _GEOGRAPHIC, _GEODETIC_CRS: _WGS84}
    if any(said.get(key) != value for key, value in wanted.items()):
        raise UnreadableImage(
            path,
            "its CRS is not longitude and latitude (EPSG:4326); `rspipe curate` draws masks in "
            "any CRS",
        )
    column, row, _, x, y, _ = (float(v) for v in tags[_TIE_POINT][:6])
    step = np.array([float(tags[_PIXEL_SCALE][0]), -float(tags[_PIXEL_SCALE][1])])
    half = 0.0 if said.get(_RASTER_TYPE, _PIXEL_IS_AREA) == _PIXEL_IS_AREA else 0.5
    return size, np.array([x, y]) - (np.array([column, row]) + half) * step, step


def _polygons(data: bytes, path: str, card: DatasetCard) -> Iterator[tuple[int, list[Ring]]]:
    try:
        content = json.loads(data)
        stated = content.get("crs")
        if stated is not None and not str(stated["properties"]["name"]).endswith(_DEGREES):
            raise UnreadableImage(path, f"outlines in {stated['properties']['name']}; want degrees")
        for feature in content["features"]:
            geometry = feature.get("geometry") or {}
            value = _value(feature.get("properties") or {}, card)
            for polygon in _parts(geometry):
                rings = [np.array(ring, dtype=np.float64)[:, :2] for ring in polygon]
                yield value, [ring for ring in rings if len(ring) > 2]
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise UnreadableImage(path, f"not GeoJSON: {error}") from error


def _parts(geometry: Mapping[str, Any]) -> list[Any]:
    coordinates = geometry.get("coordinates") or []
    kind = geometry.get("type")
    if kind == "Polygon":
        return [coordinates] if coordinates else []
    return list(coordinates) if kind == "MultiPolygon" else []


def _value(properties: Mapping[str, Any], card: DatasetCard) -> int:
    named = card.classes if isinstance(card.classes, dict) else {}
    values = {label: v for label, v in named.items() if isinstance(v, int) and 0 < v < IGNORE}
    if card.outline_class_property is None:
        return next(iter(values.values())) if len(values) == 1 else 1
    return values.get(str(properties.get(card.outline_class_property)), IGNORE)
