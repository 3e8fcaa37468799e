# SPDX-License-Identifier: Apache-2.0
"""Training crops: scaled, cut, mirrored and recoloured, each a function of its own draws.

Source: mmsegmentation's RandomResize, RandomCrop, RandomFlip and PhotoMetricDistortion. Differs:
the window is drawn first and only its pixels are scaled (the same picture, at a fraction of the
cost); shrinking is antialiased; hue has 256 steps, not 180.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from rspipe.evaluate.config import SegmentationTraining
from rspipe.evaluate.segmentation.masks import IGNORE, ClassMask

Rgb = UInt8[np.ndarray, "H W 3"]

TRIES = 10
"""Windows drawn before one is taken that a single class fills."""
BRIGHTNESS = 32
CONTRAST = SATURATION = (0.5, 1.5)
HUE_DEGREES = 36


@dataclass(frozen=True)
class Crop:
    """A square for training; where it lies outside of the image, `mask` is IGNORE."""

    image: Rgb
    inside: tuple[int, int]
    """Height and width, from the upper left, that lie in the image."""
    mask: ClassMask


def draw_crop(
    image: Rgb,
    mask: ClassMask,
    crop_px: int,
    settings: SegmentationTraining,
    rng: np.random.Generator,
) -> Crop:
    """Cut a training crop from an image and its mask.

    Args:
        image: 0..255.
        mask: of the same height and width.
        crop_px: side of the crop.
        settings: scales, the share that one class may take, colours.
        rng: of this crop alone.
    """
    factor = _factor(image.shape[:2], settings) * rng.uniform(*settings.scale)
    for _ in range(TRIES):
        box, size = _window(image.shape[:2], crop_px, factor, rng)
        labels = _scaled(mask, box, size, Image.Resampling.NEAREST)
        if largest_share(labels) < settings.max_class_share or settings.max_class_share == 1:
            break
    pixels = _scaled(image, box, size, Image.Resampling.BILINEAR)
    if settings.flip and rng.random() < 0.5:
        pixels, labels = pixels[:, ::-1], labels[:, ::-1]
    if settings.photometric:
        pixels = distort(pixels, rng)
    whole = np.zeros((crop_px, crop_px, 3), dtype=np.uint8)
    whole[: size[0], : size[1]] = pixels
    target = np.full((crop_px, crop_px), IGNORE, dtype=np.uint8)
    target[: size[0], : size[1]] = labels
    return Crop(whole, size, target)


def largest_share(mask: ClassMask) -> float:
    """Share of the commonest class among the pixels that count; 1 where one class stands alone."""
    counts = np.bincount(mask.ravel(), minlength=IGNORE + 1)[:IGNORE]
    return float(counts.max() / counts.sum()) if (counts > 0).sum() > 1 else 1.0


def scaled_to(image: Rgb, longest_px: int | None) -> Rgb:
    """Scale an image to a longer side, bilinear and antialiased; None leaves it."""
    longest = max(image.shape[:2])
    if longest_px is None or longest_px == longest:
        return image
    height, width = (max(round(side * longest_px / longest), 1) for side in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def distort(image: Rgb, rng: np.random.Generator) -> Rgb:
    """Distort brightness, contrast, saturation and hue, each with probability one half.

    Brightness moves by up to 32 grey levels, contrast and saturation by a factor of 0.5 to 1.5,
    hue by up to 36 degrees of the colour circle. Contrast comes before the colours or behind
    them, by a coin.

    Source: Liu et al. 2016 (SSD), arXiv:1512.02325, as mmsegmentation applies it.
    """
    contrast_first, *chosen = (rng.random(5) < 0.5).tolist()
    brighter, contrast, saturation, hue = chosen
    shift = rng.uniform(-BRIGHTNESS, BRIGHTNESS) if brighter else 0.0
    gain = rng.uniform(*CONTRAST) if contrast else 1.0
    colour = rng.uniform(*SATURATION) if saturation else 1.0
    turn = rng.uniform(-HUE_DEGREES, HUE_DEGREES) if hue else 0.0
    image = _linear(image, 1.0, shift)
    if contrast_first:
        image = _linear(image, gain, 0.0)
    if saturation or hue:
        image = _recolour(image, colour, turn)
    return image if contrast_first else _linear(image, gain, 0.0)


def _linear(image: Rgb, gain: float, shift: float) -> Rgb:
    if gain == 1 and shift == 0:
        return image
    table = np.clip(np.arange(256) * gain + shift, 0, 255).astype(np.uint8)
    changed: Rgb = table[image]
    return changed


def _recolour(image: Rgb, saturation: float, turn_degrees: float) -> Rgb:
    hsv = np.array(Image.fromarray(image).convert("HSV"))
    steps = round(turn_degrees / 360 * 256)
    hsv[..., 0] = ((hsv[..., 0].astype(np.int16) + steps) % 256).astype(np.uint8)
    hsv[..., 1] = _linear(hsv[..., 1], saturation, 0.0)
    return np.asarray(Image.fromarray(hsv, mode="HSV").convert("RGB"))


def _factor(size_px: tuple[int, ...], settings: SegmentationTraining) -> float:
    return 1.0 if settings.fit_px is None else settings.fit_px / max(size_px)


def _window(
    size_px: tuple[int, ...], crop_px: int, factor: float, rng: np.random.Generator
) -> tuple[Float[np.ndarray, " 4"], tuple[int, int]]:
    """Draw a window of the scaled image: its box x0, y0, x1, y1 before scaling, its size after."""
    scaled = [max(round(side * factor), 1) for side in size_px]
    sizes = [min(side, crop_px) for side in scaled]
    starts = [
        int(rng.integers(0, side - size + 1)) for side, size in zip(scaled, sizes, strict=True)
    ]
    y0, x0 = (at * px / side for at, px, side in zip(starts, size_px, scaled, strict=True))
    h, w = (size * px / side for size, px, side in zip(sizes, size_px, scaled, strict=True))
    height, width = size_px
    return np.array([x0, y0, min(x0 + w, width), min(y0 + h, height)]), (sizes[0], sizes[1])


def _scaled(
    pixels: UInt8[np.ndarray, "H W ..."],
    box: Float[np.ndarray, " 4"],
    size_px: tuple[int, int],
    how: Image.Resampling,
) -> UInt8[np.ndarray, "h w ..."]:
    x0, y0, x1, y1 = box.tolist()
    if (y1 - y0, x1 - x0) == size_px and y0 == int(y0) and x0 == int(x0):
        return pixels[int(y0) : int(y1), int(x0) : int(x1)]
    picture = Image.fromarray(pixels)
    return np.asarray(picture.resize(size_px[::-1], how, box=(x0, y0, x1, y1)))
