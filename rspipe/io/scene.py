# SPDX-License-Identifier: Apache-2.0
"""Rasters as pictures: windows of the display bands as uint8, any dtype, by one declared stretch.

A raster becomes a picture by a declared rule, never by a guess per tile: which bands are red,
green and blue (`display_bands`), and one stretch per scene (`Stretch`), so that neighbouring
tiles of a scene agree in colour. Memory is that of a window, whatever the size of the scene.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from rspipe.errors import UnreadableImage
from rspipe.io.images import Pixels
from rspipe.io.raster import bounds_4326, opened
from rspipe.io.resample import Shape, area_average
from rspipe.schema import Box

_MOST_BLOCK_BYTES = 2**29
_OVERVIEW_PX = 1024  # longest side of the decimated read that a percentile stretch looks at


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
        """Look through an open raster.

        Args:
            dataset: the raster.
            path: the image as the ledger names it.
            bands: shown as red, green and blue, or as grey; from 1.

        Raises:
            UnreadableImage: the file is not made for window reads.
        """
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
        if self._palette is not None or self._dataset.dtypes[self._bands[0] - 1] != "uint8":
            return None
        bits = int(self._dataset.tags(self._bands[0], ns="IMAGE_STRUCTURE").get("NBITS", 8))
        highest = float(2**bits - 1)
        if self._dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
            return Stretch(highest, 0.0)
        return Stretch(0.0, highest) if bits < 8 else None

    def read(
        self, box: Box, stretch: Stretch | None, shape: Shape | None = None
    ) -> tuple[Pixels, NDArray[np.bool_]]:
        """Read a window as uint8 (H, W, C) and its validity (H, W): False where there is no data.

        Args:
            box: the window.
            stretch: what becomes of raw values; None for 8-bit data.
            shape: rows and columns to resample the window to: fewer by averages over the pixels
                that have data, more by bilinear interpolation, from the full resolution in either
                case. A pixel then has data where at least half of its ground does.

        Raises:
            UnreadableImage: the window cannot be decoded.
        """
        window = Window(box.x0, box.y0, box.width, box.height)
        if shape is None or shape[0] > box.height or shape[1] > box.width:
            valid = self._read_valid(window, shape)
            if not valid.any():
                bands = len(self._bands) if self._palette is None else 3
                return np.zeros((*valid.shape, bands), dtype=np.uint8), valid
            raw, valid = self._finite(self._read_raw(window, shape, Resampling.bilinear), valid)
        else:
            raw, valid = area_average(
                lambda first, last: self._read_rows(box, first, last),
                (box.height, box.width),
                shape,
            )
        return _shown(raw, valid, stretch), valid

    def preview(self, stretch: Stretch | None, most_px: int) -> tuple[Pixels, NDArray[np.bool_]]:
        """Read a small picture of the whole scene, averaged, from overviews where there are any.

        Args:
            stretch: what becomes of raw values; None for 8-bit data.
            most_px: longest side; a smaller scene is read as it is.

        Raises:
            UnreadableImage: the scene cannot be decoded.
        """
        whole, shape = Window(0, 0, self.width, self.height), self._fit(most_px)
        valid = self._read_valid(whole, shape)
        raw, valid = self._finite(self._read_raw(whole, shape, Resampling.average), valid)
        return _shown(raw, valid, stretch), valid

    def percentile_stretch(self, low: float, high: float) -> Stretch:
        """Find the stretch between two percentiles of the scene's valid values.

        All bands share it, so that colours keep their ratios: a stretch band by band turns a
        scene of sea and desert into cyan and yellow. Looks at a decimated read of at most 1024 px
        a side, from overviews where there are any: cheap, and the same on any machine.

        Raises:
            UnreadableImage: the scene cannot be decoded.
        """
        whole, shape = Window(0, 0, self.width, self.height), self._fit(_OVERVIEW_PX)
        raw = self._read_raw(whole, shape, Resampling.nearest)
        _, valid = self._finite(raw, self._read_valid(whole, shape))
        if not valid.any():
            return Stretch(0.0, 1.0)
        bounds = np.percentile(raw[:, valid], [low, high])
        return Stretch(float(bounds[0]), float(bounds[1]))

    def bounds_4326(self, box: Box) -> tuple[float, float, float, float] | None:
        """West, south, east, north of a window in degrees; None without a CRS."""
        if self._dataset.crs is None:
            return None
        window = Window(box.x0, box.y0, box.width, box.height)
        return bounds_4326(self._dataset, self._dataset.window_bounds(window))

    def _fit(self, most_px: int) -> Shape:
        scale = max(1.0, max(self.height, self.width) / most_px)
        return max(1, math.ceil(self.height / scale)), max(1, math.ceil(self.width / scale))

    def _finite(
        self, raw: NDArray[Any], valid: NDArray[np.bool_]
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Take NaN and infinity for what they mean: no data."""
        if not self._is_float:
            return raw, valid
        finite = np.isfinite(raw).all(axis=0)
        return np.where(finite, raw, 0), valid & finite

    def _read_rows(
        self, box: Box, first: int, last: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        window = Window(box.x0, box.y0 + first, box.width, last - first)
        valid = self._read_valid(window, None) if self._has_masks or self._is_float else None
        if valid is None:
            return self._read_raw(window, None, Resampling.nearest), None
        if not valid.any():
            bands = len(self._bands) if self._palette is None else 3
            return np.zeros((bands, *valid.shape), dtype=np.uint8), valid
        return self._finite(self._read_raw(window, None, Resampling.nearest), valid)

    def _read_raw(self, window: Window, shape: Shape | None, rule: Resampling) -> NDArray[Any]:
        """Raw values (C, H, W) of a window; of a palette its colours."""
        if self._palette is not None:
            # Averages of palette numbers mean nothing: the nearest one stands for its neighbours.
            rule = Resampling.nearest
        out_shape = None if shape is None else (len(self._bands), *shape)
        try:
            raw = self._dataset.read(
                self._bands, window=window, out_shape=out_shape, resampling=rule
            )
        except RasterioError as error:
            raise self._unreadable(error) from error
        return raw if self._palette is None else np.moveaxis(self._palette[raw[0]], 2, 0)

    def _read_valid(self, window: Window, shape: Shape | None) -> NDArray[np.bool_]:
        """Whether the pixels of a window, or every so many of them, have data.

        An integer pixel has none where all its bands have none: a single band may well hold the
        no-data value (0) as a value. A float pixel needs all its bands.
        """
        if not self._has_masks:
            return np.ones(shape or (int(window.height), int(window.width)), dtype=np.bool_)
        out_shape = None if shape is None else (len(self._bands), *shape)
        try:
            masks = self._dataset.read_masks(self._bands, window=window, out_shape=out_shape) > 0
        except RasterioError as error:
            raise self._unreadable(error) from error
        return np.asarray(masks.all(axis=0) if self._is_float else masks.any(axis=0))

    def _read_palette(self) -> NDArray[np.uint8] | None:
        """Colours (256, 3) of the values of a palette image."""
        return palette_colours(self._dataset) if is_palette(self._dataset) else None

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


def is_palette(dataset: DatasetReader) -> bool:
    """Whether the values of a raster are numbers of colours; black and white are numbers."""
    one_bit = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") == "1"
    return list(dataset.colorinterp) == [ColorInterp.palette] and not one_bit


def palette_colours(dataset: DatasetReader) -> NDArray[np.uint8]:
    """Colours (256, 3) of the values of a single-band palette raster; black where it has none."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    for value, colour in dataset.colormap(1).items():
        colours[value] = colour[:3]
    return colours


@contextmanager
def open_scene(path: Path, name: str, bands: tuple[int, ...]) -> Iterator[Scene]:
    """Open a raster for window reads through its display bands.

    Args:
        path: the file.
        name: the image as the ledger names it.
        bands: shown as red, green and blue, or as grey; from 1.

    Raises:
        UnreadableImage: the header cannot be parsed, or the file is not made for window reads.
    """
    with opened(path, name) as dataset:
        yield Scene(dataset, name, bands)


def _shown(raw: NDArray[Any], valid: NDArray[np.bool_], stretch: Stretch | None) -> Pixels:
    """Turn raw values (C, H, W) into pixels (H, W, C), 0 where there is no data."""
    if stretch is not None:
        pixels = stretch.apply(raw.astype(np.float64, copy=False))
    else:
        values = raw if raw.dtype == np.uint8 else np.rint(raw).astype(np.uint8)
        pixels = np.ascontiguousarray(values.transpose(1, 2, 0))
    pixels[~valid] = 0
    return pixels
