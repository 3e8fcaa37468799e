# SPDX-License-Identifier: Apache-2.0
"""Images scaled and batched as detectors take them, with the objects to be learned."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from rspipe.evaluate.detection.tuning.objects import Objects

Rgb = UInt8[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class Picture:
    """An image scaled for the detector, not yet padded, and what is to be learned from it."""

    pixels: Rgb
    objects: Objects


def scale_by(image: Rgb, factor: float) -> Rgb:
    """Scale an image by one factor in x and y.

    Bilinear, antialiased where it shrinks. Less than a pixel of a side is cut off, so that the
    factor is exact and turned boxes stay rectangles.
    """
    height, width = image.shape[:2]
    size = max(1, int(height * factor + 1e-9)), max(1, int(width * factor + 1e-9))
    if size == (height, width):
        return image
    window = (0.0, 0.0, min(size[1] / factor, width), min(size[0] / factor, height))
    scaled = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR, box=window)
    return np.asarray(scaled)


def to_batch(
    pictures: list[Rgb],
    side_px: int,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    device: torch.device,
) -> Float[Tensor, "B C side side"]:
    """Standardise images and pad them, right and below, with 0 (the mean) to squares."""
    batch = torch.zeros(len(pictures), len(mean), side_px, side_px, device=device)
    offset, scale = (torch.tensor(v, device=device).view(-1, 1, 1) for v in (mean, std))
    for place, pixels in zip(batch, pictures, strict=True):
        height, width = pixels.shape[:2]
        values = torch.from_numpy(np.array(pixels, order="C")).to(device).permute(2, 0, 1).float()
        place[:, :height, :width] = (values / 255 - offset) / scale
    return batch
