"""8-bit images through Pillow: bytes to facts, bytes to uint8 (H, W, C), arrays to PNG.

Formats are told by content, never by suffix: downloads are full of PNGs named .jpg.
"""

import io
import warnings
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
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

# Above this Pillow refuses: a guard against decompression bombs. Larger scenes go through rasterio.
Image.MAX_IMAGE_PIXELS = 400_000_000

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
    return PurePosixPath(path).suffix.lower() in IMAGE_SUFFIXES


def sniff_format(head: bytes) -> str | None:
    """Name the format of a file from its first bytes; None where they belong to no image."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


def read_facts(data: bytes, path: str) -> PixelFacts:
    """Read an image's header, without decoding its pixels.

    Raises:
        UnreadableImage: the header cannot be parsed.
    """
    with _opened(data, path) as image:
        bands = _BANDS_OF_MODE.get(image.mode, len(image.getbands()))
        dtype = "uint8" if image.mode in _BANDS_OF_MODE else str(np.dtype(_dtype_of(image)))
        return PixelFacts(image.height, image.width, bands, dtype, image.format or "unknown")


def decode(data: bytes, path: str) -> Pixels:
    """Decode an 8-bit image as it is stored: uint8 (H, W, 1 or 3), 0..255.

    Palettes and CMYK become RGB, an alpha channel is left out (see `alpha_of`), and an EXIF
    orientation is not applied: annotations refer to the stored pixels.

    Raises:
        UnreadableImage: the pixels cannot be decoded whole, or are not 8-bit.
    """
    with _opened(data, path) as image:
        if image.mode not in _BANDS_OF_MODE:
            raise UnreadableImage(path, f"{image.mode} pixels are not 8-bit; read it as a raster")
        grey = image.mode in {"1", "L", "LA"}
        try:
            array = np.asarray(image.convert("L" if grey else "RGB"))
        except (OSError, SyntaxError, ValueError) as error:
            raise UnreadableImage(path, f"pixels cannot be decoded: {error}") from error
    return np.ascontiguousarray(array[:, :, None] if grey else array)


def alpha_of(data: bytes, path: str) -> NDArray[np.uint8] | None:
    """Return the alpha channel, uint8 (H, W), or None where the image has none."""
    with _opened(data, path) as image:
        if "A" not in image.getbands():
            return None
        return np.asarray(image.getchannel("A"))


def decode_mask(data: bytes, path: str) -> NDArray[np.uint8]:
    """Decode a mask as it is stored: uint8 (H, W) indices, or (H, W, 3) colours.

    A palette mask gives its colours, since published palettes are the only legend it carries.

    Raises:
        UnreadableImage: the mask cannot be decoded.
    """
    pixels = decode(data, path)
    return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """Encode uint8 (H, W), (H, W, 1) or (H, W, 3) losslessly; equal pixels, equal bytes."""
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
        with warnings.catch_warnings():
            # Large scenes are expected here; the hard limit above still holds.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
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


def _dtype_of(image: Image.Image) -> str:
    typestr = image.__array_interface__["typestr"] if image.mode in {"I", "F", "I;16"} else "|u1"
    return str(typestr)
