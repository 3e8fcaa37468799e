# SPDX-License-Identifier: Apache-2.0
"""Images opened for window reads: through Pillow where they are 8-bit pictures, else rasterio."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rspipe.curate.config import SliceConfig
from rspipe.errors import UnreadableImage
from rspipe.io import images
from rspipe.io.derived import local_raster
from rspipe.io.resample import Shape, area_average
from rspipe.io.scene import Scene, Stretch, open_scene
from rspipe.io.storage import Storage
from rspipe.schema import Box

Row = dict[str, Any]
Bounds = tuple[float, float, float, float]
Window = tuple[images.Pixels, NDArray[np.bool_] | None]
"""Pixels uint8 (H, W, C), and whether they have data, bool (H, W); None: all have."""


class Source(Protocol):
    """An open image, read window by window."""

    stretch: Stretch | None
    """What raw values become; None where they are 8-bit and shown as they are."""

    def read(self, box: Box, shape: Shape | None = None) -> Window:
        """Pixels and validity of a window, resampled to `shape` (rows, columns)."""

    def preview(self, most_px: int) -> Window:
        """A small picture of the whole, its longest side at most `most_px`."""

    def bounds_4326(self, box: Box) -> Bounds | None:
        """Footprint of a window in degrees, where known."""


@contextmanager
def open_source(storage: Storage, row: Row, config: SliceConfig) -> Iterator[Source]:
    """Open an image for window reads, through Pillow or rasterio as its own bytes need.

    Args:
        storage: the files of its dataset.
        row: the image's row, or that of any of its tiles. Where it says `stretch_low` and
            `stretch_high`, they hold.
        config: carries the stretch rule.

    Raises:
        UnreadableImage: it cannot be opened or, for Pillow's formats, decoded.
    """
    path, bands = row["source_path"], tuple(row["display_bands"])
    if row["derivation"] is None:
        picture = _picture(storage, path)
        if picture is not None:
            yield _Picture(picture, path, bands)
            return
    with (
        local_raster(storage, path, row["derivation"]) as file,
        open_scene(file, path, bands) as scene,
    ):
        yield _Raster(scene, _stretch_of(scene, row, config))


def read_tile(source: Source, tile: Row) -> images.Pixels:
    """Read the pixels of a row of the tile table, uint8 (H, W, C)."""
    return source.read(box_of(tile), shape_of(tile))[0]


def shape_of(tile: Row) -> Shape | None:
    """Rows and columns that a tile's window is resampled to; None where it is not."""
    shape = (tile["height"], tile["width"])
    return None if shape == (tile["h"], tile["w"]) else shape


def box_of(tile: Row) -> Box:
    """Window of a tile in its image."""
    y0, x0 = tile["y0"], tile["x0"]
    return Box(y0=y0, x0=x0, y1=y0 + tile["h"], x1=x0 + tile["w"])


def _picture(storage: Storage, path: str) -> images.Picture | None:
    """An 8-bit picture of moderate size; None for anything else."""
    data = storage.read_unless(path, images.is_raster)
    return None if data is None else images.decode_picture(data, path)


def _stretch_of(scene: Scene, row: Row, config: SliceConfig) -> Stretch | None:
    if scene.is_8bit:
        return None
    if scene.own_stretch is not None:
        return scene.own_stretch
    if row.get("stretch_low") is not None:
        return Stretch(row["stretch_low"], row["stretch_high"])
    rule = config.stretch.of(row["dataset"])
    return scene.percentile_stretch(rule.low_percentile, rule.high_percentile)


class _Picture:
    """An 8-bit picture, decoded whole."""

    stretch: Stretch | None = None

    def __init__(self, picture: images.Picture, path: str, bands: tuple[int, ...]) -> None:
        self._pixels = _chosen(picture.pixels, path, bands)
        self._valid = picture.valid

    def read(self, box: Box, shape: Shape | None = None) -> Window:
        window = np.s_[box.y0 : box.y1, box.x0 : box.x1]
        pixels = self._pixels[window]
        valid = None if self._valid is None else self._valid[window]
        if shape is None:
            return pixels, valid
        if shape[0] > box.height or shape[1] > box.width:
            enlarged = None if valid is None else _enlarge(valid[:, :, None] * np.uint8(255), shape)
            return _enlarge(pixels, shape), None if enlarged is None else enlarged[:, :, 0] > 127
        return _shrink(pixels, valid, shape)

    def preview(self, most_px: int) -> Window:
        height, width = self._pixels.shape[:2]
        scale = min(1.0, most_px / max(height, width))
        whole = Box(y0=0, x0=0, y1=height, x1=width)
        return self.read(whole, (max(1, round(height * scale)), max(1, round(width * scale))))

    def bounds_4326(self, box: Box) -> Bounds | None:
        return None


def _chosen(pixels: images.Pixels, path: str, bands: tuple[int, ...]) -> images.Pixels:
    """Bring a picture's bands into the order they are shown in."""
    shown = [band - 1 for band in bands]
    if pixels.shape[2] == 1 or shown == [0, 1, 2]:
        return pixels
    if max(shown) > 2:
        raise UnreadableImage(path, f"band {max(bands)} of a picture that has 3 colours")
    return np.ascontiguousarray(pixels[:, :, shown])


def _shrink(pixels: images.Pixels, valid: NDArray[np.bool_] | None, shape: Shape) -> Window:
    values, half_valid = area_average(
        lambda first, last: (
            pixels[first:last].transpose(2, 0, 1),
            None if valid is None else valid[first:last],
        ),
        (pixels.shape[0], pixels.shape[1]),
        shape,
    )
    small = np.ascontiguousarray(np.rint(values).astype(np.uint8).transpose(1, 2, 0))
    return small, None if valid is None else half_valid


def _enlarge(pixels: images.Pixels, shape: Shape) -> images.Pixels:
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    large = np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
    return large.reshape(*shape, pixels.shape[2])


class _Raster:
    """A raster with its stretch."""

    def __init__(self, scene: Scene, stretch: Stretch | None) -> None:
        self._scene = scene
        self.stretch = stretch

    def read(self, box: Box, shape: Shape | None = None) -> Window:
        return self._scene.read(box, self.stretch, shape)

    def preview(self, most_px: int) -> Window:
        return self._scene.preview(self.stretch, most_px)

    def bounds_4326(self, box: Box) -> Bounds | None:
        return self._scene.bounds_4326(box)
