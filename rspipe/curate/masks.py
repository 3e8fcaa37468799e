# SPDX-License-Identifier: Apache-2.0
"""Masks, read window by window beside their images: published ones, and those drawn from outlines.

A mask's values are kept as published: numbers, or colours where it has colours or a palette. Of a
resampled tile each pixel takes the value nearest to its centre.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from rspipe.errors import UnreadableImage
from rspipe.io import images
from rspipe.io.derived import local_raster
from rspipe.io.outlines import Outlines, read_frame, read_outlines
from rspipe.io.raster import opened
from rspipe.io.resample import Shape
from rspipe.io.scene import is_palette, palette_colours
from rspipe.io.storage import Storage
from rspipe.schema import Box, DatasetCard

Row = dict[str, Any]
Mask = NDArray[np.uint8] | NDArray[np.uint16]
"""(H, W) numbers, uint8 or uint16, or (H, W, 3) colours, uint8."""


class MaskSource(Protocol):
    """An open mask."""

    size: Shape
    """Rows and columns."""
    is_sound: bool
    """Whether all of it is known to be readable."""

    def read(self, box: Box, shape: Shape | None = None) -> Mask:
        """Values of a window, resampled to `shape` by the nearest one.

        Raises:
            UnreadableImage: the window cannot be decoded, or holds values beyond 0..65535.
        """


def outlines_of(storage: Storage, row: Row, card: DatasetCard) -> Outlines | None:
    """Read the outlines of an image's objects; None where it has none.

    Raises:
        UnreadableImage: they cannot be read, or the image has no georeference.
    """
    path = row["footprints_path"]
    if path is None:
        return None
    data = storage.read_bytes(path)
    with local_raster(storage, row["source_path"], row["derivation"]) as file:
        frame = read_frame(file, row["source_path"])
    gsd_m = row["gsd_m"]
    if row.get("scale") is not None and gsd_m is not None:
        # A tile's row says the ground size of its own pixels.
        gsd_m *= row["scale"]
    return read_outlines(data, path, frame, card, gsd_m)


@contextmanager
def open_mask(storage: Storage, row: Row, outlines: Outlines | None) -> Iterator[MaskSource | None]:
    """Open the mask of an image or tile: the published one, else its outlines; None without either.

    Raises:
        UnreadableImage: it cannot be read, or is no mask of numbers or colours.
    """
    path = row["mask_path"]
    if path is None:
        yield None if outlines is None else _DrawnMask(outlines)
        return
    picture = _picture(storage, path)
    if picture is not None:
        yield _WholeMask(picture)
        return
    with storage.local_file(path) as file, opened(file, path) as dataset:
        yield _RasterMask(dataset, path)


def _picture(storage: Storage, path: str) -> NDArray[np.uint8] | None:
    """Decode a mask that is an 8-bit picture of moderate size; None for anything else."""
    data = storage.read_unless(path, images.is_raster)
    picture = None if data is None else images.decode_picture(data, path)
    if picture is None:
        return None
    return picture.pixels[:, :, 0] if picture.pixels.shape[2] == 1 else picture.pixels


def _nearest(values: NDArray[Any], shape: Shape | None) -> NDArray[Any]:
    if shape is None:
        return values
    rows, columns = (
        ((np.arange(n) + 0.5) * length / n).astype(np.int64)
        for n, length in zip(shape, values.shape, strict=False)
    )
    nearest: NDArray[Any] = values[rows[:, None], columns[None, :]]
    return nearest


class _WholeMask:
    """A mask decoded whole."""

    def __init__(self, values: NDArray[np.uint8]) -> None:
        self._values = values
        self.size: Shape = (values.shape[0], values.shape[1])
        self.is_sound = True

    def read(self, box: Box, shape: Shape | None = None) -> Mask:
        return _nearest(self._values[box.y0 : box.y1, box.x0 : box.x1], shape)


class _RasterMask:
    """A mask read by windows."""

    def __init__(self, dataset: DatasetReader, path: str) -> None:
        self._dataset = dataset
        self._path = path
        self.size: Shape = (dataset.height, dataset.width)
        self.is_sound = False
        dtype = dataset.dtypes[0]
        if dataset.count not in {1, 3, 4} or np.dtype(dtype).kind not in "iu":
            raise UnreadableImage(path, f"{dataset.count} {dtype} bands are no mask")
        if dataset.count > 1 and dtype != "uint8":
            raise UnreadableImage(path, f"colours of {dtype}, not uint8")
        self._palette = palette_colours(dataset) if is_palette(dataset) else None
        bits = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
        # As Pillow reads a mask of one bit: 0 and 255.
        self._factor = 255 if bits == "1" else 1

    def read(self, box: Box, shape: Shape | None = None) -> Mask:
        window = Window(box.x0, box.y0, box.width, box.height)
        bands = [1] if self._dataset.count == 1 else [1, 2, 3]
        try:
            values = np.moveaxis(self._dataset.read(bands, window=window), 0, 2)
        except RasterioError as error:
            why = f"pixels cannot be decoded: {error.__cause__ or error}"
            raise UnreadableImage(self._path, why) from error
        if self._palette is not None:
            return _nearest(self._palette[values[:, :, 0]], shape)
        if self._dataset.count > 1:
            return _nearest(values, shape)
        return _nearest(self._numbers(values[:, :, 0]), shape)

    def _numbers(self, values: NDArray[Any]) -> Mask:
        if values.dtype == np.uint8:
            return values * np.uint8(self._factor)
        lowest, highest = int(values.min()), int(values.max())
        if lowest < 0 or highest > 65535:
            raise UnreadableImage(self._path, f"values {lowest}..{highest} beyond 0..65535")
        return values.astype(np.uint16)


class _DrawnMask:
    """A mask drawn from outlines: 0, or the value of an object's class."""

    def __init__(self, outlines: Outlines) -> None:
        self._outlines = outlines
        self.size: Shape = outlines.size
        self.is_sound = True

    def read(self, box: Box, shape: Shape | None = None) -> Mask:
        return self._outlines.draw(box, shape)
