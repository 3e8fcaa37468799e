# SPDX-License-Identifier: Apache-2.0
"""From a tile's bytes to the pixels of a box: no more is decoded than the view needs.

A JPEG is decoded to a half, a quarter or an eighth of its size where the box, so scaled, is still
at least as large as the view: most of the work of the inverse cosine transform and of the resize
is not done. Pixels differ a little from those of a full decode that is resized: the transform
averages, where the resize is bicubic. Subsampled colour is repeated, not interpolated, since it is
resized with the rest. In views of real tiles both differ from the full decode by 0.2 (colour) and
0.5 to 3 grey levels (size) in the mean, and contrast stays within 1 %.
"""

import io
from dataclasses import dataclass

import numpy as np
import simplejpeg
from jaxtyping import Int32, UInt8
from PIL import Image

from rspipe.errors import RunError, UnreadableImage
from rspipe.io.images import decode, decode_mask, to_grey, to_rgb

Pixels = UInt8[np.ndarray, "H W C"]
Regions = Int32[np.ndarray, "H W"]
Box = tuple[int, int, int, int]

NO_REGION = -1
"""Label where a tile has no mask."""

_JPEG = b"\xff\xd8\xff"
_NUMPY = b"\x93NUMPY"
# libjpeg-turbo has vector code for these; 5/8 and others take longer than the whole picture.
_REDUCTIONS = (8, 4, 2)
_JPEG_COLOURS = {
    ("YCbCr", 3): "RGB",
    ("YCbCr", 1): "GRAY",  # luma, which is the grey that Pillow weighs
    ("Gray", 3): "RGB",
    ("Gray", 1): "GRAY",
}
"""What simplejpeg is asked for, by the colours that are stored and the bands that are wanted."""


@dataclass(frozen=True)
class Encoded:
    """A tile as it is stored."""

    data: memoryview | bytes
    shape: tuple[int, int]
    """Height, width in px, as the corpus says."""
    name: str
    """For errors: its id, and its row in the corpus."""


def decode_box(tile: Encoded, box: Box, least_px: tuple[int, int], bands: int) -> Pixels:
    """Decode what is in a box of a tile.

    Args:
        tile: encoded.
        box: y0, x0, y1, x1 in px of the whole tile.
        least_px: height and width that the result has to have, if the box has them.
        bands: of the result; see `decode_bands`.

    Returns:
        The box, where it pays at 1/2, 1/4 or 1/8 of its size (edges to the nearest pixel there).

    Raises:
        UnreadableImage: the tile cannot be decoded, or is not of the size that the corpus says.
        RunError: the tile has other bands.
    """
    y0, x0, y1, x1 = box
    reduction = reduction_for((y1 - y0, x1 - x0), least_px)
    pixels = _decode_reduced(tile, reduction, bands) if reduction > 1 else None
    if pixels is None:
        reduction, pixels = 1, decode_bands(tile, bands)
    y0, x0, y1, x1 = ((edge + reduction // 2) // reduction for edge in box)
    return pixels[y0:y1, x0:x1]


def reduction_for(box_px: tuple[int, int], least_px: tuple[int, int]) -> int:
    """Return the largest of 8, 4, 2, 1 by which a box may shrink and be at least so large.

    >>> reduction_for((448, 900), least_px=(224, 224)), reduction_for((447, 900), (224, 224))
    (2, 1)
    """
    for reduction in _REDUCTIONS:
        if all(have >= want * reduction for have, want in zip(box_px, least_px, strict=True)):
            return reduction
    return 1


def decode_bands(tile: Encoded, bands: int) -> Pixels:
    """Decode a whole tile to so many bands.

    To 3 bands every picture can be made (grey is repeated, palettes and CMYK are converted, alpha
    is left out), and to 1 (weighed grey). Any other number must be that of the tile: RGBA or CMYK
    for 4, or an `.npy` file of uint8 (H, W, C).

    Raises:
        UnreadableImage: the tile cannot be decoded, or is not of the size that the corpus says.
        RunError: the tile has other bands.
    """
    pixels = _decode_reduced(tile, 1, bands)
    if pixels is None:
        pixels = _decode_any(tile, bands)
    if pixels.shape[2] != bands:
        raise RunError(
            f"{tile.name} has {pixels.shape[2]} bands, the encoder reads {bands}; set "
            "what.encoder.in_chans, bands, mean and std, or exclude such tiles in curation"
        )
    _check_shape(tile, pixels.shape[:2])
    return pixels


def decode_regions(mask: memoryview | bytes | None, tile: Encoded) -> Regions:
    """Decode a label map: class values, colours as 0xRRGGBB; -1 all over where there is none.

    Raises:
        UnreadableImage: the mask cannot be decoded, or is not of the size of its tile.
    """
    if mask is None:
        return np.full(tile.shape, NO_REGION, dtype=np.int32)
    name = f"mask of {tile.name}"
    values = _decode_labels(bytes(mask), name)
    if values.shape != tile.shape:
        raise UnreadableImage(name, f"{values.shape} px, the tile has {tile.shape}")
    return values


def _decode_labels(data: bytes, name: str) -> Regions:
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.mode.startswith("I"):
                return np.asarray(image).astype(np.int32)
    except OSError as error:
        raise UnreadableImage(name, f"not a picture: {error}") from error
    values = decode_mask(data, name).astype(np.int32)
    if values.ndim == 2:
        return values
    return (values[..., 0] << 16) | (values[..., 1] << 8) | values[..., 2]


def _decode_reduced(tile: Encoded, reduction: int, bands: int) -> Pixels | None:
    """Decode a sound grey or colour JPEG at 1/reduction of its size; None leaves it to others."""
    if bytes(tile.data[:3]) != _JPEG:
        return None
    try:
        *shape, colourspace, _ = simplejpeg.decode_jpeg_header(tile.data)
        _check_shape(tile, tuple(shape))
        wanted = _JPEG_COLOURS.get((colourspace, bands))
        if wanted is None:
            return None
        height, width = (-(-px // reduction) for px in shape)
        pixels: Pixels = simplejpeg.decode_jpeg(
            tile.data,
            wanted,
            fastupsample=True,
            min_height=height,
            min_width=width,
            min_factor=reduction,
        )
    except ValueError:  # any warning of libjpeg's: Pillow knows which ones to forgive
        return None
    return pixels


def _check_shape(tile: Encoded, shape: tuple[int, ...]) -> None:
    if shape != tile.shape:
        raise UnreadableImage(
            tile.name,
            f"has {shape} px, the corpus says {tile.shape}; run `rspipe corpus verify`",
        )


def _decode_any(tile: Encoded, bands: int) -> Pixels:
    data = bytes(tile.data)
    if data.startswith(_NUMPY):
        return _decode_numpy(data, tile.name)
    if bands == 4:
        return _decode_as_stored(data, tile.name)
    pixels = decode(data, tile.name)
    if bands == 3:
        return to_rgb(pixels)
    return to_grey(pixels)[:, :, None] if bands == 1 else pixels


def _decode_numpy(data: bytes, name: str) -> Pixels:
    try:
        pixels: Pixels = np.load(io.BytesIO(data), allow_pickle=False)
    except ValueError as error:
        raise UnreadableImage(name, f"no whole .npy file: {error}") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 3:
        raise UnreadableImage(name, f"{pixels.dtype} {pixels.shape}; want uint8 (H, W, C)")
    return pixels


def _decode_as_stored(data: bytes, name: str) -> Pixels:
    """Decode all bands that a picture has: RGBA and CMYK as 4."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise UnreadableImage(name, f"pixels cannot be decoded: {error}") from error
    return pixels if pixels.ndim == 3 else pixels[:, :, None]
