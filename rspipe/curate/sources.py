"""Images opened for window reads: through Pillow where they are 8-bit pictures, else rasterio."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rspipe.curate.config import SliceConfig
from rspipe.errors import UnreadableImage
from rspipe.io import images, raster
from rspipe.io.derived import local_raster
from rspipe.io.storage import Storage
from rspipe.schema import Box

Row = dict[str, Any]
Bounds = tuple[float, float, float, float]
Shape = tuple[int, int]

Window = tuple[images.Pixels, NDArray[np.bool_] | None]
"""Pixels uint8 (H, W, C), and whether they have data, bool (H, W); None: all have."""


class Source(Protocol):
    """An open image, read window by window."""

    stretch: raster.Stretch | None
    """What raw values become; None where they are 8-bit and shown as they are."""

    def read(self, box: Box, shape: Shape | None = None) -> Window:
        """Pixels and validity of a window, resampled to `shape` (rows, columns)."""

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
        raster.open_scene(file, path, bands) as scene,
    ):
        yield _Raster(scene, _stretch_of(scene, row, config))


def read_tile(source: Source, tile: Row) -> images.Pixels:
    """Read the pixels of a row of the tile table, uint8 (H, W, C)."""
    shape = (tile["height"], tile["width"])
    resampled = shape != (tile["h"], tile["w"])
    return source.read(box_of(tile), shape if resampled else None)[0]


def box_of(tile: Row) -> Box:
    """Window of a tile in its image."""
    y0, x0 = tile["y0"], tile["x0"]
    return Box(y0=y0, x0=x0, y1=y0 + tile["h"], x1=x0 + tile["w"])


def _picture(storage: Storage, path: str) -> images.Picture | None:
    """An 8-bit picture of moderate size; None for anything else."""
    with storage.open(path) as stream:
        if images.sniff_format(stream.read(512)) in images.RASTER_FORMATS:
            return None
    return images.decode_picture(storage.read_bytes(path), path)


def _stretch_of(scene: raster.Scene, row: Row, config: SliceConfig) -> raster.Stretch | None:
    if scene.is_8bit:
        return None
    if scene.own_stretch is not None:
        return scene.own_stretch
    if row.get("stretch_low") is not None:
        return raster.Stretch(row["stretch_low"], row["stretch_high"])
    rule = config.stretch.of(row["dataset"])
    return scene.percentile_stretch(rule.low_percentile, rule.high_percentile)


class _Picture:
    """An 8-bit picture, decoded whole."""

    stretch: raster.Stretch | None = None

    def __init__(self, picture: images.Picture, path: str, bands: tuple[int, ...]) -> None:
        self._pixels = _chosen(picture.pixels, path, bands)
        self._valid = picture.valid

    def read(self, box: Box, shape: Shape | None = None) -> Window:
        window = np.s_[box.y0 : box.y1, box.x0 : box.x1]
        pixels = self._pixels[window]
        valid = None if self._valid is None else self._valid[window]
        if shape is None:
            return pixels, valid
        pixels = _resize_bands(pixels, shape)
        if valid is None:
            return pixels, None
        return pixels, _resize(valid.astype(np.uint8) * 255, shape) >= 128

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


def _resize_bands(pixels: images.Pixels, shape: Shape) -> images.Pixels:
    if pixels.shape[2] == 1:
        return _resize(pixels[:, :, 0], shape)[:, :, None]
    return _resize(pixels, shape)


def _resize(values: NDArray[np.uint8], shape: Shape) -> NDArray[np.uint8]:
    """Shrink by area averages, enlarge by bilinear interpolation, as `Scene.read` does."""
    finer = shape[0] > values.shape[0] or shape[1] > values.shape[1]
    rule = Image.Resampling.BILINEAR if finer else Image.Resampling.BOX
    return np.asarray(Image.fromarray(values).resize((shape[1], shape[0]), rule))


class _Raster:
    """A raster with its stretch."""

    def __init__(self, scene: raster.Scene, stretch: raster.Stretch | None) -> None:
        self._scene = scene
        self.stretch = stretch

    def read(self, box: Box, shape: Shape | None = None) -> Window:
        return self._scene.read(box, self.stretch, shape)

    def bounds_4326(self, box: Box) -> Bounds | None:
        return self._scene.bounds_4326(box)
