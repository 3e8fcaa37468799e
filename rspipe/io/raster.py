"""Rasters through rasterio: facts from the header, display windows as uint8, any dtype and CRS.

A raster becomes a picture by a declared rule, never by a guess per tile: which bands are red,
green and blue (`display_bands`), and one stretch per scene (`Stretch`), so that neighbouring
tiles of a scene agree in colour.
"""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from rspipe.errors import UnreadableImage
from rspipe.io.images import Pixels
from rspipe.schema import Box

_METRES_PER_DEGREE = 111_320.0
_OVERVIEW_PX = 1024  # longest side of the decimated read that a percentile stretch looks at


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


@dataclass(frozen=True)
class Stretch:
    """Maps raw values linearly to 0..255: low → 0, high → 255, clipped."""

    low: float
    high: float

    def apply(self, raw: NDArray[np.floating]) -> Pixels:
        """Stretch (C, H, W) raw values into uint8 (H, W, C), rounding half to even."""
        scaled = np.clip((raw - self.low) / max(self.high - self.low, 1e-12), 0.0, 1.0) * 255.0
        return np.ascontiguousarray(np.rint(scaled).astype(np.uint8).transpose(1, 2, 0))


class Scene:
    """An open raster, seen through its display bands."""

    def __init__(self, dataset: DatasetReader, path: str, bands: tuple[int, ...]) -> None:
        self._dataset = dataset
        self._path = path
        self._bands = list(bands)
        self.is_8bit = all(dataset.dtypes[b - 1] == "uint8" for b in bands)

    def read(self, box: Box, stretch: Stretch | None) -> tuple[Pixels, NDArray[np.bool_]]:
        """Read a window as uint8 (H, W, C) and its validity (H, W): False where there is no data.

        Raises:
            UnreadableImage: the window cannot be decoded.
        """
        raw, valid = self._read_raw(Window(box.x0, box.y0, box.width, box.height))
        if stretch is None:
            pixels = np.ascontiguousarray(raw.astype(np.uint8).transpose(1, 2, 0))
        else:
            pixels = stretch.apply(np.where(np.isfinite(raw), raw, stretch.low))
        pixels[~valid] = 0
        return pixels, valid

    def percentile_stretch(self, low: float, high: float) -> Stretch:
        """Find the stretch between two percentiles of the scene's valid values.

        All bands share it, so that colours keep their ratios: a stretch band by band turns a
        scene of sea and desert into cyan and yellow. Looks at a decimated read of at most 1024 px
        a side: cheap, and the same on any machine.
        """
        scale = max(1.0, max(self._dataset.height, self._dataset.width) / _OVERVIEW_PX)
        shape = (math.ceil(self._dataset.height / scale), math.ceil(self._dataset.width / scale))
        raw, valid = self._read_raw(None, shape)
        if not valid.any():
            return Stretch(0.0, 1.0)
        bounds = np.percentile(raw[:, valid], [low, high])
        return Stretch(float(bounds[0]), float(bounds[1]))

    def bounds_4326(self, box: Box) -> tuple[float, float, float, float] | None:
        """West, south, east, north of a window in degrees; None without a CRS."""
        if self._dataset.crs is None:
            return None
        window = Window(box.x0, box.y0, box.width, box.height)
        return _to_4326(self._dataset, self._dataset.window_bounds(window))

    def _read_raw(
        self, window: Window | None, shape: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
        count = len(self._bands)
        out_shape = (count, *shape) if shape else None
        options = {"window": window, "out_shape": out_shape, "resampling": Resampling.nearest}
        try:
            raw = self._dataset.read(self._bands, **options).astype(np.float64)
            masks = self._dataset.read_masks(self._bands, **options)
        except RasterioError as error:
            why = str(error.__cause__ or error)
            raise UnreadableImage(self._path, f"pixels cannot be decoded: {why}") from error
        valid = (masks > 0).all(axis=0) & np.isfinite(raw).all(axis=0)
        return raw, valid


@contextmanager
def _opened(path: Path, name: str) -> Iterator[DatasetReader]:
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


@contextmanager
def open_scene(path: Path, name: str, bands: tuple[int, ...]) -> Iterator[Scene]:
    """Open a raster for window reads through its display bands.

    Raises:
        UnreadableImage: the header cannot be parsed.
    """
    with _opened(path, name) as dataset:
        yield Scene(dataset, name, bands)


def read_facts(path: Path, name: str, band_names: tuple[str, ...] | None) -> RasterFacts:
    """Read a raster's header.

    Args:
        path: the file.
        name: the image as the ledger names it.
        band_names: the card's band names, in file order, where it gives them.

    Raises:
        UnreadableImage: the header cannot be parsed, or no band is in the file.
    """
    with _opened(path, name) as dataset:
        if not dataset.count:
            raise UnreadableImage(name, "a container of sub-datasets without bands of its own")
        bounds = _to_4326(dataset, dataset.bounds) if dataset.crs else None
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
    return {1: (1,), 3: (1, 2, 3)}.get(dataset.count)


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


def _to_4326(
    dataset: DatasetReader, bounds: tuple[float, float, float, float]
) -> tuple[float, float, float, float] | None:
    try:
        west, south, east, north = transform_bounds(dataset.crs, "EPSG:4326", *bounds)
    except RasterioError:
        # E.g. the corners of a geostationary full disk lie off the Earth: no footprint to record.
        return None
    values = (float(west), float(south), float(east), float(north))
    return values if all(map(math.isfinite, values)) else None


def _gsd_m(
    dataset: DatasetReader, bounds: tuple[float, float, float, float] | None
) -> float | None:
    """Ground size of a pixel's height, in metres; projected units are taken as metres."""
    if dataset.crs is None:
        return None
    pixel = math.hypot(dataset.transform.b, dataset.transform.e)
    if dataset.crs.is_geographic:
        return pixel * _METRES_PER_DEGREE
    if dataset.crs.to_epsg() == 3857 and bounds is not None:
        # Web Mercator stretches the ground by 1/cos(latitude).
        return pixel * math.cos(math.radians((bounds[1] + bounds[3]) / 2))
    return pixel
