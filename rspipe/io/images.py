# SPDX-License-Identifier: Apache-2.0
"""8-bit images: bytes to facts, bytes to uint8 (H, W, C), arrays to PNG.

Formats are told by content, never by suffix: downloads are full of PNGs named .jpg.

Pillow decides what an image is and says why it is none. Sound JPEGs are decoded by simplejpeg: the
same libjpeg-turbo and the same pixels, 1.5 (512 px) to 3 times (64 px) as fast, since nothing is
copied from line to line and from there to NumPy.
"""

import io
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from rspipe.errors import UnreadableImage

Pixels = NDArray[np.uint8]
"""uint8 (H, W, C), C = 1 or 3, values 0..255."""

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".ppm", ".pgm"}
    | {".tif", ".tiff", ".gtiff", ".jp2", ".j2k", ".img", ".vrt", ".hdf"}
)
"""Suffixes by which a file claims to be an image."""

MOST_PILLOW_PIXELS = 100_000_000
"""Most pixels that are decoded whole, at 8 bytes each or less; read a larger image as a raster."""
# Pillow's own guard against decompression bombs also refuses to read the header of a large scene.
# `decode_picture` is the only place that decodes, and keeps the limit above.
Image.MAX_IMAGE_PIXELS = None

_PNG_LEVEL = 2  # against 6: less than half the time, and no larger on aerial tiles

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\x00", "TIFF"),
    (b"MM\x00*", "TIFF"),
    (b"II+\x00", "TIFF"),
    (b"MM\x00+", "TIFF"),
    (b"\x00\x00\x00\x0cjP  ", "JP2"),
    (b"\xff\x4f\xff\x51", "JP2"),
    (b"\x0e\x03\x13\x01", "HDF4"),
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
)
RASTER_FORMATS = frozenset({"TIFF", "JP2"})
"""Formats that curation reads through rasterio: windows, georeference, any dtype."""

_JPEG_COLOURS = {"Gray": "GRAY", "YCbCr": "RGB"}
# What the best case of each compression holds: deflate 1032 bytes in one, here of 8 pixels each;
# JPEG a block of 64 pixels in one bit.
_MOST_PIXELS_PER_BYTE = {"PNG": 1032 * 8, "JPEG": 64 * 8}
_STRIP_PIXELS = 4_000_000

_BANDS_OF_MODE = {"1": 1, "L": 1, "P": 3, "RGB": 3, "RGBA": 4, "LA": 2, "CMYK": 4, "YCbCr": 3}


@dataclass(frozen=True)
class PixelFacts:
    """What a header says of its pixels."""

    height: int
    width: int
    bands: int
    dtype: str
    """NumPy name."""
    format: str


def claims_image(path: str) -> bool:
    """Whether a file's name says it is an image.

    >>> claims_image("a/B.JPG"), claims_image("a/B.xml")
    (True, False)
    """
    stem, _, suffix = path.rpartition("/")[2].rpartition(".")  # pathlib takes 20 times as long
    return stem != "" and f".{suffix.lower()}" in IMAGE_SUFFIXES


def sniff_format(head: bytes) -> str | None:
    """Name the format of a file from its first bytes; None where they belong to no image."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def is_raster(head: bytes) -> bool:
    """Whether a file that begins with these bytes is read through rasterio."""
    return sniff_format(head) in RASTER_FORMATS


def read_facts(data: bytes, path: str) -> PixelFacts:
    """Read an image's header, without decoding its pixels.

    Raises:
        UnreadableImage: the header cannot be parsed.
    """
    with _opened(data, path) as image:
        bands = _BANDS_OF_MODE.get(image.mode, len(image.getbands()))
        dtype = "uint8" if _is_8bit(image) else str(np.dtype(_dtype_of(image)))
        return PixelFacts(image.height, image.width, bands, dtype, image.format or "unknown")


@dataclass(frozen=True)
class Picture:
    """A decoded 8-bit image."""

    pixels: Pixels
    valid: NDArray[np.bool_] | None
    """(H, W), False where fully transparent; None where nothing is."""


def decode_picture(data: bytes, path: str) -> Picture | None:
    """Decode an 8-bit image as it is stored, once: pixels uint8 (H, W, 1 or 3), 0..255.

    Palettes and CMYK become RGB, alpha and transparent colours become `valid`, and an EXIF
    orientation is not applied: annotations refer to the stored pixels. Of an animation the first
    frame counts.

    Returns:
        None where the pixels are not 8-bit or more than `MOST_PILLOW_PIXELS`: read it as a raster.

    Raises:
        UnreadableImage: the pixels cannot be decoded whole. Nothing is allocated for a size that
            the bytes cannot hold.
    """
    pixels = _decode_sound_jpeg(data)
    if pixels is not None:
        return Picture(pixels, None)
    with _opened(data, path) as image:
        if not _is_8bit(image) or _pixels_in(image) > MOST_PILLOW_PIXELS:
            return None
        _check_size(image, data, path)
        try:
            return _read_strips(image)
        except (OSError, SyntaxError, ValueError, TypeError) as error:  # TypeError: TIFF tags
            raise UnreadableImage(path, f"pixels cannot be decoded: {error}") from error


def decode(data: bytes, path: str) -> Pixels:
    """Decode the pixels of an 8-bit image: uint8 (H, W, 1 or 3); see `decode_picture`.

    Raises:
        UnreadableImage: the pixels cannot be decoded whole, are not 8-bit, or are too many.
    """
    picture = decode_picture(data, path)
    if picture is not None:
        return picture.pixels
    with _opened(data, path) as image:
        if not _is_8bit(image):
            raise UnreadableImage(path, f"{image.mode} pixels are not 8-bit; read it as a raster")
        size = f"{image.height}x{image.width} px"
    raise UnreadableImage(path, f"{size} are too many to decode whole; read it as a raster")


def _decode_sound_jpeg(data: bytes) -> Pixels | None:
    """Decode a grey or YCbCr JPEG without the slightest fault; None leaves it to Pillow."""
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    try:
        height, width, colourspace, _ = simplejpeg.decode_jpeg_header(data)
        if colourspace not in _JPEG_COLOURS or not _may_hold(data, "JPEG", height * width):
            return None
        pixels: Pixels = simplejpeg.decode_jpeg(data, _JPEG_COLOURS[colourspace])
    except ValueError:  # any warning of libjpeg's: Pillow knows which ones to forgive
        return None
    return pixels


def _pixels_in(image: Image.Image) -> int:
    return image.height * image.width


def _check_size(image: Image.Image, data: bytes, path: str) -> None:
    size = f"{image.height}x{image.width} px"
    if _pixels_in(image) == 0:
        raise UnreadableImage(path, f"{size}: there are no pixels")
    if not _may_hold(data, image.format, _pixels_in(image)):
        raise UnreadableImage(path, f"{len(data)} bytes cannot hold the {size} of its header")


def _may_hold(data: bytes, kind: str | None, pixels: int) -> bool:
    """Whether an image of this many pixels may be decoded whole, and its bytes can hold them."""
    most_per_byte = _MOST_PIXELS_PER_BYTE.get(kind or "", MOST_PILLOW_PIXELS)
    return pixels <= min(MOST_PILLOW_PIXELS, len(data) * most_per_byte)


def _read_strips(image: Image.Image) -> Picture:
    """Decode, and copy to NumPy in strips: Pillow's own way would hold two copies more."""
    bands = 1 if image.mode in {"1", "L", "LA"} else 3
    pixels = np.empty((image.height, image.width, bands), dtype=np.uint8)
    valid = None
    if image.has_transparency_data:
        valid = np.empty((image.height, image.width), dtype=np.bool_)
    rows = max(1, _STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        bottom = min(top + rows, image.height)
        strip = image.crop((0, top, image.width, bottom))
        if valid is None:
            values = np.asarray(strip.convert("L" if bands == 1 else "RGB"))
        else:
            values = np.asarray(strip.convert("RGBA"))
            valid[top:bottom] = values[:, :, 3] > 0
            values = values[:, :, :bands]
        pixels[top:bottom] = values.reshape(bottom - top, image.width, bands)
    return Picture(pixels, None if valid is None or valid.all() else valid)


def decode_mask(data: bytes, path: str) -> NDArray[np.uint8]:
    """Decode a mask as it is stored: uint8 (H, W) indices, or (H, W, 3) colours.

    A palette mask gives its colours, since published palettes are the only legend it carries.

    Raises:
        UnreadableImage: the mask cannot be decoded.
    """
    pixels = decode(data, path)
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def encode_png(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> bytes:
    """Encode uint8 (H, W), (H, W, 1) or (H, W, 3), or uint16 (H, W), losslessly.

    Equal pixels, equal bytes.
    """
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def to_rgb(pixels: Pixels) -> Pixels:
    """Repeat a grey band three times; leave RGB as it is."""
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def to_grey(pixels: Pixels) -> NDArray[np.uint8]:
    """Weigh RGB into grey as Pillow does (ITU-R 601-2): uint8 (H, W), 0..255."""
    if pixels.shape[2] == 1:
        return pixels[:, :, 0]
    return np.asarray(Image.fromarray(pixels).convert("L"))


def _opened(data: bytes, path: str) -> Image.Image:
    if not data:
        raise UnreadableImage(path, "the file is empty (0 bytes)")
    try:
        return Image.open(io.BytesIO(data))
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImage(path, _why_unreadable(data)) from error


def _why_unreadable(data: bytes) -> str:
    head = data[:512].lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "an HTML page, not an image: the download failed; fetch it again"
    if head.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not an image: run `git lfs pull` in the source"
    if sniff_format(data) is None:
        return f"no image format begins with {data[:8]!r}"
    # Pillow's own message names an object in memory, different in every run.
    return "the header cannot be parsed"


def _is_8bit(image: Image.Image) -> bool:
    """Whether Pillow decodes all that is stored: of 16-bit colours it keeps the upper byte."""
    return image.mode in _BANDS_OF_MODE and not _is_16bit(image)


def _is_16bit(image: Image.Image) -> bool:
    return any(";16" in str(part) for part in getattr(image, "tile", ()))


def _dtype_of(image: Image.Image) -> str:
    if _is_16bit(image):
        return "uint16"
    typestr = image.__array_interface__["typestr"] if image.mode in {"I", "F", "I;16"} else "|u1"
    return str(typestr)
