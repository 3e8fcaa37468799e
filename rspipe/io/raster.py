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
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from rspipe.errors import UnreadableImage
from rspipe.io.images import Pixels
from rspipe.schema import Box

_METRES_PER_DEGREE = 111_320.0
_CACHE_BYTES = 256 * 2**20  # holds a row of tiles of a scene 80,000 px wide and stored by rows
_MOST_BLOCK_BYTES = 2**29
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
        span = self.high - self.low
        scaled = np.clip((raw - self.low) / (span if span else 1e-12), 0.0, 1.0) * 255.0
        return np.ascontiguousarray(np.rint(scaled).astype(np.uint8).transpose(1, 2, 0))


class Scene:
    """An open raster, seen through its display bands."""

    def __init__(self, dataset: DatasetReader, path: str, bands: tuple[int, ...]) -> None:
        self._dataset = dataset
        self._path = path
        self._bands = list(bands)
        self._palette = self._read_palette()
        if self._palette is not None:
            self._bands = [1]
        self._has_masks = any(
            MaskFlags.all_valid not in dataset.mask_flag_enums[band - 1] for band in self._bands
        )
        self._is_float = any(dataset.dtypes[b - 1].startswith("float") for b in self._bands)
        self._refuse_huge_blocks()

    @property
    def height(self) -> int:
        """Rows."""
        return int(self._dataset.height)

    @property
    def width(self) -> int:
        """Columns."""
        return int(self._dataset.width)

    @cached_property
    def is_8bit(self) -> bool:
        """Whether pixels are shown as they are."""
        return self.own_stretch is None and all(
            self._dataset.dtypes[band - 1] == "uint8" for band in self._bands
        )

    @cached_property
    def own_stretch(self) -> Stretch | None:
        """The range that the file itself states: 1 to 7 bits in a byte, or white as zero."""
        tags = self._dataset.tags(self._bands[0], ns="IMAGE_STRUCTURE")
        bits = int(tags.get("NBITS", 8))
        if self._palette is not None or self._dataset.dtypes[self._bands[0] - 1] != "uint8":
            return None
        inverted = self._dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES"
        highest = float(2**bits - 1)
        if inverted:
            return Stretch(highest, 0.0)
        return Stretch(0.0, highest) if bits < 8 else None

    def read(
        self, box: Box, stretch: Stretch | None, shape: tuple[int, int] | None = None
    ) -> tuple[Pixels, NDArray[np.bool_]]:
        """Read a window as uint8 (H, W, C) and its validity (H, W): False where there is no data.

        Args:
            box: the window.
            stretch: what becomes of raw values; None for 8-bit data.
            shape: rows and columns to resample the window to: fewer by averages over the pixels
                that have data, more by bilinear interpolation. A pixel then has data where at least
                half of its ground does.

        Raises:
            UnreadableImage: the window cannot be decoded.
        """
        window = Window(box.x0, box.y0, box.width, box.height)
        valid = self._read_valid(window, shape)
        if not valid.any():
            rows, columns = shape or (box.height, box.width)
            count = 3 if self._palette is not None else len(self._bands)
            return np.zeros((rows, columns, count), dtype=np.uint8), valid
        raw = self._read_raw(window, shape)
        if self._is_float:
            finite = np.isfinite(raw).all(axis=0)
            valid = valid & finite
            raw = np.where(finite, raw, 0)
        if stretch is None:
            pixels = np.ascontiguousarray(raw.astype(np.uint8, copy=False).transpose(1, 2, 0))
        else:
            pixels = stretch.apply(raw.astype(np.float64))
        pixels[~valid] = 0
        return pixels, valid

    def percentile_stretch(self, low: float, high: float) -> Stretch:
        """Find the stretch between two percentiles of the scene's valid values.

        All bands share it, so that colours keep their ratios: a stretch band by band turns a
        scene of sea and desert into cyan and yellow. Looks at a decimated read of at most 1024 px
        a side, from overviews where there are any: cheap, and the same on any machine.

        Raises:
            UnreadableImage: the scene cannot be decoded.
        """
        scale = max(1.0, max(self.height, self.width) / _OVERVIEW_PX)
        shape = (math.ceil(self.height / scale), math.ceil(self.width / scale))
        whole = Window(0, 0, self.width, self.height)
        raw = self._read_raw(whole, shape, Resampling.nearest)
        valid = self._read_valid(whole, shape, Resampling.nearest) & np.isfinite(raw).all(axis=0)
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
        self,
        window: Window,
        shape: tuple[int, int] | None,
        resampling: Resampling | None = None,
    ) -> NDArray[Any]:
        """Raw values (C, H, W) of a window; of a palette its colours."""
        options = self._options(window, shape, resampling, len(self._bands))
        if self._palette is not None:
            # Averages of palette numbers mean nothing: the nearest one stands for its neighbours.
            options["resampling"] = Resampling.nearest
        try:
            raw = self._dataset.read(self._bands, **options)
        except RasterioError as error:
            raise self._unreadable(error) from error
        return raw if self._palette is None else np.moveaxis(self._palette[raw[0]], 2, 0)

    def _read_valid(
        self,
        window: Window,
        shape: tuple[int, int] | None,
        resampling: Resampling | None = None,
    ) -> NDArray[np.bool_]:
        """Whether pixels of a window have data.

        An integer pixel has none where all its bands have none: a single band may well hold the
        no-data value (0) as a value. A float pixel needs all its bands.
        """
        if not self._has_masks:
            return np.ones(shape or (window.height, window.width), dtype=np.bool_)
        options = self._options(window, shape, resampling, len(self._bands))
        try:
            masks = self._dataset.read_masks(self._bands, **options)
        except RasterioError as error:
            raise self._unreadable(error) from error
        present = masks >= (1 if options["resampling"] is Resampling.nearest else 128)
        return np.asarray(present.all(axis=0) if self._is_float else present.any(axis=0))

    def _options(
        self,
        window: Window,
        shape: tuple[int, int] | None,
        resampling: Resampling | None,
        count: int,
    ) -> dict[str, Any]:
        if shape is None:
            return {"window": window, "resampling": Resampling.nearest}
        if resampling is None:
            finer = shape[0] > window.height or shape[1] > window.width
            resampling = Resampling.bilinear if finer else Resampling.average
        return {"window": window, "out_shape": (count, *shape), "resampling": resampling}

    def _read_palette(self) -> NDArray[np.uint8] | None:
        """Colours (256, 3) of the values of a palette image."""
        if list(self._dataset.colorinterp) != [ColorInterp.palette]:
            return None
        colours = np.zeros((256, 3), dtype=np.uint8)
        for value, colour in self._dataset.colormap(1).items():
            colours[value] = colour[:3]
        return colours

    def _refuse_huge_blocks(self) -> None:
        """A block is decoded whole, however small the window.

        Raises:
            UnreadableImage: one would take more than half a GiB.
        """
        rows, columns = self._dataset.block_shapes[self._bands[0] - 1]
        size = rows * columns * np.dtype(self._dataset.dtypes[self._bands[0] - 1]).itemsize
        if size * len(self._bands) > _MOST_BLOCK_BYTES:
            raise UnreadableImage(
                self._path,
                f"stored in blocks of {rows}x{columns} px, too large to be read by windows; "
                "rewrite it: gdal_translate -co TILED=YES",
            )

    def _unreadable(self, error: RasterioError) -> UnreadableImage:
        return UnreadableImage(self._path, f"pixels cannot be decoded: {error.__cause__ or error}")


@contextmanager
def _opened(path: Path, name: str) -> Iterator[DatasetReader]:
    # GDAL's own cache would take a twentieth of the memory, in each worker.
    with rasterio.Env(GDAL_CACHEMAX=_CACHE_BYTES):
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
        UnreadableImage: the header cannot be parsed, or the file is not made for window reads.
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
