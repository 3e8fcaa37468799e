# SPDX-License-Identifier: Apache-2.0
"""Outlines of objects in GeoJSON (SpaceNet …), brought into the pixels of a georeferenced raster.

Coordinates are in the CRS that the file states, else longitude and latitude (RFC 7946). Lines and
points are no areas: they get one by a buffer whose width the card states, or are left out and
counted.
"""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform as warp

from rspipe.errors import UnreadableImage
from rspipe.io.raster import opened
from rspipe.schema import Box, DatasetCard

_DEGREES = CRS.from_epsg(4326)
_AREAS = frozenset({"Polygon", "MultiPolygon"})


@dataclass(frozen=True)
class Frame:
    """Where on Earth the pixels of a raster are."""

    height: int
    width: int
    pixel_to_crs: Affine
    """Column and row to x and y."""
    crs: CRS


@dataclass(frozen=True)
class Outline:
    """One object."""

    label: str
    value: int
    """In the mask, 1..255."""
    shape: shapely.Geometry
    """Polygon or polygons in pixels: x is the column, y the row."""
    is_buffer: bool = False
    """Made around a line or point: an area to draw, but no object with a box."""


@dataclass(frozen=True)
class Outlines:
    """The objects of an image, and what was left out of them."""

    size: tuple[int, int]
    """Rows and columns of the image."""
    objects: tuple[Outline, ...]
    note: str | None
    """What was left out, with counts and reasons."""

    def draw(self, box: Box, shape: tuple[int, int] | None = None) -> NDArray[np.uint8]:
        """Draw the objects into a mask of a window: 0 outside of all, later ones over earlier ones.

        A pixel belongs to an object that holds its centre.

        Args:
            box: the window.
            shape: rows and columns of the mask, where it is resampled.
        """
        rows, columns = shape or (box.height, box.width)
        to_image = Affine.translation(box.x0, box.y0) @ Affine.scale(
            box.width / columns, box.height / rows
        )
        window = shapely.box(box.x0, box.y0, box.x1, box.y1)
        inside = [(o.shape, o.value) for o in self.objects if o.shape.intersects(window)]
        if not inside:
            return np.zeros((rows, columns), dtype=np.uint8)
        drawn: NDArray[np.uint8] = rasterio.features.rasterize(
            inside, out_shape=(rows, columns), transform=to_image, dtype="uint8"
        )
        return drawn


def read_frame(path: Path, name: str) -> Frame:
    """Read where a raster lies.

    Args:
        path: the file.
        name: the image as the ledger names it.

    Raises:
        UnreadableImage: its header cannot be parsed, or it has no CRS.
    """
    with opened(path, name) as dataset:
        if dataset.crs is None or dataset.transform == Affine.identity():
            raise UnreadableImage(name, "no georeference, so outlines have no place in it")
        return Frame(dataset.height, dataset.width, dataset.transform, dataset.crs)


def read_outlines(
    data: bytes, path: str, frame: Frame, card: DatasetCard, gsd_m: float | None
) -> Outlines:
    """Read a GeoJSON file of outlines.

    Args:
        data: the file.
        path: its name, for errors.
        frame: of the raster it belongs to.
        card: says which property is the class and how wide lines are.
        gsd_m: ground size of the raster's pixels.

    Raises:
        UnreadableImage: no GeoJSON, an unknown CRS, or coordinates that it cannot hold.
    """
    features, crs = _parse(data, path)
    left_out: Counter[str] = Counter()
    found: list[tuple[str, int, shapely.Geometry]] = []
    for properties, geometry in features:
        label, value = _class_of(properties, card)
        if value is None:
            left_out[f"of class {label!r}, which the card does not name"] += 1
        elif geometry is None or geometry.is_empty:
            left_out["without a geometry"] += 1
        else:
            found.append((label, value, geometry))
    shapes = _to_pixels([shape for _, _, shape in found], crs, frame, path)
    radius_px = _radius_px(card, gsd_m)
    whole = shapely.box(0, 0, frame.width, frame.height)
    objects = []
    for (label, value, _), in_pixels in zip(found, shapes, strict=True):
        shape = _as_area(in_pixels, radius_px, left_out)
        if shape is None:
            continue
        if shape.intersects(whole):
            objects.append(Outline(label, value, shape, in_pixels.geom_type not in _AREAS))
        else:
            left_out["outside the image"] += 1
    note = ", ".join(f"{count} {why}" for why, count in sorted(left_out.items()))
    said = f"outlines left out: {note}" if note else None
    return Outlines((frame.height, frame.width), tuple(objects), said)


def _parse(data: bytes, path: str) -> tuple[list[tuple[Any, shapely.Geometry | None]], CRS]:
    if not data:
        # Of no object there is an empty FeatureCollection; of a failed download there is nothing.
        raise UnreadableImage(path, "the file is empty (0 bytes)")
    try:
        content = json.loads(data)
        crs = _stated_crs(content)
        return list(_features(content)), crs
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableImage(path, f"not GeoJSON: {error}") from error
    except (shapely.errors.ShapelyError, CRSError) as error:
        raise UnreadableImage(path, f"not GeoJSON that can be read: {error}") from error


def _stated_crs(content: Any) -> CRS:
    stated = content.get("crs")
    return _DEGREES if stated is None else CRS.from_user_input(stated["properties"]["name"])


def _features(content: Any) -> Iterator[tuple[Any, shapely.Geometry | None]]:
    if content.get("type") != "FeatureCollection":
        raise ValueError(f"a {content.get('type')!r}, not a FeatureCollection")
    for feature in content["features"]:
        geometry = feature.get("geometry")
        shape = None
        if geometry is not None and geometry.get("coordinates"):
            # Heights do not matter here, and some outlines have them.
            shape = shapely.force_2d(shapely.geometry.shape(geometry))
        yield feature.get("properties") or {}, shape


def _class_of(properties: Any, card: DatasetCard) -> tuple[str, int | None]:
    """An object's label and its value in the mask; None where the card does not name its class.

    Without a property that says it, all objects are of the card's only class beside the background.
    """
    named = card.classes if isinstance(card.classes, dict) else {}
    values = {label: v for label, v in named.items() if isinstance(v, int) and 0 < v < 256}
    if card.outline_class_property is None:
        return next(iter(values.items())) if len(values) == 1 else ("object", 1)
    label = str(properties.get(card.outline_class_property))
    return label, values.get(label) if values else 1


def _to_pixels(
    shapes: list[shapely.Geometry], crs: CRS, frame: Frame, path: str
) -> list[shapely.Geometry]:
    crs_to_pixel = ~frame.pixel_to_crs

    def to_pixels(points: NDArray[np.float64]) -> NDArray[np.float64]:
        xs, ys = points[:, 0], points[:, 1]
        if crs == _DEGREES and (np.abs(xs).max() > 360 or np.abs(ys).max() > 90):
            raise UnreadableImage(path, "coordinates are no degrees, and the file states no CRS")
        if crs != frame.crs:
            xs, ys = map(np.asarray, warp(crs, frame.crs, xs, ys))
        columns, rows = crs_to_pixel @ (xs, ys)
        return np.column_stack([columns, rows])

    if not shapes:
        return []
    try:
        moved: list[shapely.Geometry] = list(shapely.transform(np.array(shapes), to_pixels))
    except (RasterioError, CRSError) as error:
        raise UnreadableImage(
            path, f"outlines have no place in the image's CRS: {error}"
        ) from error
    return moved


def _radius_px(card: DatasetCard, gsd_m: float | None) -> float | None:
    if card.outline_buffer_m is None or not gsd_m:
        return None
    return card.outline_buffer_m / gsd_m


def _as_area(
    shape: shapely.Geometry, radius_px: float | None, left_out: Counter[str]
) -> shapely.Geometry | None:
    """Make an area of a shape, or count why not."""
    if not np.isfinite(shapely.get_coordinates(shape)).all():
        left_out["that do not exist in the image's CRS"] += 1
        return None
    if shape.geom_type not in _AREAS:
        if radius_px is None:
            left_out[f"{shape.geom_type} without a width (outline_buffer_m, GSD)"] += 1
            return None
        return shape.buffer(radius_px)
    area = shape if shape.is_valid else shapely.make_valid(shape, method="structure")
    if area.area <= 0:
        left_out["without area"] += 1
        return None
    return area
