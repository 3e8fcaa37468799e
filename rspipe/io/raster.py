# SPDX-License-Identifier: Apache-2.0
"""Rasters through rasterio: opened safely, and what their headers say. Pixels: see `scene`."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.warp import transform_bounds

from rspipe.errors import UnreadableImage

_METRES_PER_DEGREE = 111_320.0
_CACHE_BYTES = 256 * 2**20  # holds a row of tiles of a scene 80,000 px wide and stored by rows


@dataclass(frozen=True)
class RasterFacts:
    """What a raster's header says."""

    height: int
    width: int
    bands: int
    dtype: str
    format: str
    crs: str | None
    bounds_4326: tuple[float, float, float, float] | None
    """West, south, east, north in degrees; null without a CRS."""
    gsd_m: float | None
    display_bands: tuple[int, ...] | None
    """Bands, from 1, that make a visible-light picture; null where no rule gives them."""


@contextmanager
def opened(path: Path, name: str) -> Iterator[DatasetReader]:
    """Open a raster, with GDAL's memory bounded.

    Args:
        path: the file.
        name: the image as the ledger names it.

    Raises:
        UnreadableImage: the header cannot be parsed.
    """
    # GDAL's own cache would take a twentieth of the memory, in each worker.
    # Where a JPEG ends too early, libjpeg only warns, and the rest is grey.
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES, GDAL_ERROR_ON_LIBJPEG_WARNING=True):
        try:
            with warnings.catch_warnings():
                # A scene without georeference is an image like any other; its columns stay null.
                warnings.simplefilter("ignore", NotGeoreferencedWarning)
                dataset = rasterio.open(path)
        except RasterioError as error:
            # The ledger must read the same on every machine: no folder of this one.
            why = str(error).replace(str(path), name)
            raise UnreadableImage(name, f"the header cannot be parsed: {why}") from error
        with dataset:
            yield dataset


def read_facts(path: Path, name: str, band_names: tuple[str, ...] | None) -> RasterFacts:
    """Read a raster's header.

    Args:
        path: the file.
        name: the image as the ledger names it.
        band_names: the card's band names, in file order, where it gives them.

    Raises:
        UnreadableImage: the header cannot be parsed, or no band is in the file.
    """
    with opened(path, name) as dataset:
        if not dataset.count:
            raise UnreadableImage(name, "a container of sub-datasets without bands of its own")
        bounds = bounds_4326(dataset, dataset.bounds) if dataset.crs else None
        return RasterFacts(
            height=dataset.height,
            width=dataset.width,
            bands=dataset.count,
            dtype=dataset.dtypes[0],
            format=dataset.driver,
            crs=_crs_name(dataset),
            bounds_4326=bounds,
            gsd_m=_gsd_m(dataset, bounds),
            display_bands=_display_bands(dataset, band_names),
        )


def _display_bands(
    dataset: DatasetReader, band_names: tuple[str, ...] | None
) -> tuple[int, ...] | None:
    """Choose the visible bands: by the card, else by the file's own colour marks, else 1 or 3.

    Without a card only unsigned integers count: a lone float band is a measurement (elevation,
    an index), not a picture.
    """
    if band_names is not None:
        return _named_bands(band_names, dataset.count)
    if any(dtype not in {"uint8", "uint16"} for dtype in dataset.dtypes):
        return None
    marks = list(dataset.colorinterp)
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in marks for colour in colours):
        return tuple(marks.index(colour) + 1 for colour in colours)
    if ColorInterp.palette in marks:
        # A raster of numbered colours is a map of classes, or a scanned one.
        return None
    shown = tuple(i for i, mark in enumerate(marks, start=1) if mark is not ColorInterp.alpha)
    return shown if len(shown) in {1, 3} else None


def _named_bands(names: tuple[str, ...], count: int) -> tuple[int, ...] | None:
    wanted = ("red", "green", "blue") if "red" in names else ("grey",)
    if any(name not in names or names.index(name) >= count for name in wanted):
        return None
    return tuple(names.index(name) + 1 for name in wanted)


def _crs_name(dataset: DatasetReader) -> str | None:
    if dataset.crs is None:
        return None
    epsg = dataset.crs.to_epsg()
    return f"EPSG:{epsg}" if epsg else str(dataset.crs.to_wkt())


def bounds_4326(
    dataset: DatasetReader, bounds: tuple[float, float, float, float]
) -> tuple[float, float, float, float] | None:
    """Turn bounds in a raster's CRS into west, south, east, north in degrees; None off the Earth.

    West lies beyond east where they cross 180 degrees.
    """
    try:
        west, south, east, north = transform_bounds(dataset.crs, "EPSG:4326", *bounds)
    except (RasterioError, CRSError):
        # E.g. the corners of a geostationary full disk lie off the Earth: no footprint to record.
        return None
    values = (float(west), float(south), float(east), float(north))
    return values if all(map(math.isfinite, values)) else None


def _gsd_m(
    dataset: DatasetReader, bounds: tuple[float, float, float, float] | None
) -> float | None:
    """Ground size of a pixel's height, in metres."""
    if dataset.crs is None:
        return None
    pixel = math.hypot(dataset.transform.b, dataset.transform.e)
    if dataset.crs.is_geographic:
        return pixel * _METRES_PER_DEGREE
    if dataset.crs.to_epsg() == 3857 and bounds is not None:
        # Web Mercator stretches the ground by 1/cos(latitude).
        return pixel * math.cos(math.radians((bounds[1] + bounds[3]) / 2))
    try:
        return pixel * float(dataset.crs.linear_units_factor[1])
    except CRSError:
        # A CRS of no linear unit, such as a local engineering grid: not to be guessed.
        return None
