# SPDX-License-Identifier: Apache-2.0
"""Corruptions of 8-bit images, each a pure function of an image and a severity.

`CORRUPTIONS` is the whole list: keys are those of the recipe.
"""

import io
from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from scipy.ndimage import gaussian_filter

Rgb = UInt8[np.ndarray, "H W 3"]

AIRLIGHT = 0.9 * 255
"""Colour of the haze in all bands, 0..255: a light grey (RESIDE draws 0.7 to 1.0)."""


def compress(image: Rgb, quality: float) -> Rgb:
    """Write and read as JPEG, chroma at half the resolution (4:2:0).

    Args:
        image: 0..255.
        quality: libjpeg's, 1..100.
    """
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=round(quality), subsampling="4:2:0")
    return np.asarray(Image.open(buffer))


def blur(image: Rgb, sigma_px: float) -> Rgb:
    """Convolve with a Gaussian, cut at four standard deviations; edges are mirrored."""
    exact = gaussian_filter(image.astype(np.float32), (sigma_px, sigma_px, 0))
    return np.rint(exact).clip(0, 255).astype(np.uint8)


def veil(image: Rgb, share: float) -> Rgb:
    """Lay uniform haze over the image: I = J t + A (1 - t), t = 1 - share.

    Source: the atmospheric scattering model (Koschmieder 1924; Narasimhan and Nayar 2002, IJCV
    48(3); He, Sun and Tang 2011, TPAMI 33(12), eq. 1). Seen from above every pixel lies behind
    the same depth of air, so t = exp(-β d) is one number. Differs: A is grey and fixed, and bands
    scatter alike.
    """
    exact = image.astype(np.float64) * (1 - share) + AIRLIGHT * share
    return np.rint(exact).astype(np.uint8)


def coarsen(image: Rgb, factor: float) -> Rgb:
    """Sample the ground `factor` times as coarsely, then resize back.

    Down by the mean over areas (each coarse pixel sees all of its ground), up bilinearly: so the
    input keeps its size, and a patch its extent on the ground.
    """
    height, width = image.shape[:2]
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = Image.fromarray(image).resize(size, Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BILINEAR))


CORRUPTIONS: dict[str, Callable[[Rgb, float], Rgb]] = {
    "jpeg": compress,
    "blur_px": blur,
    "haze": veil,
    "gsd_factor": coarsen,
}
