"""Images and their oriented objects, as a detector takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from rspipe.evaluate.average_precision import TrueBoxes
from rspipe.evaluate.boxes.angles import regular
from rspipe.evaluate.boxes.corners import from_horizontal, smallest_rectangles
from rspipe.evaluate.oriented.regions import OrientedObjects
from rspipe.readers.boxes import in_pixels
from rspipe.schema import ImageRecord, ObjectBox

Rgb = UInt8[np.ndarray, "H W 3"]
Flip = Literal["none", "sideways", "upside_down", "both"]


@dataclass(frozen=True)
class Picture:
    """An image scaled for the detector, not yet padded, and what is to be learned from it."""

    pixels: Rgb
    objects: OrientedObjects


def oriented_truth(
    record: ImageRecord, classes: Mapping[str, int], size_px: tuple[int, int]
) -> TrueBoxes:
    """Take an image's objects of the scored classes, in le90 and pixels of the image.

    Four corners become the smallest rectangle around them, a horizontal box stays one. Nothing is
    cut at the edges of the image, as in mmrotate. Objects without area are left out.
    """
    boxes = [b for b in in_pixels(record.annotation, *size_px).boxes or () if b.label in classes]
    oriented = _oriented(boxes)
    solid = (oriented[:, 2:4] > 0).all(dim=1).numpy()
    return TrueBoxes(
        boxes=oriented.numpy()[solid],
        labels=np.array([classes[b.label] for b in boxes], dtype=np.int64)[solid],
        difficult=np.array([b.difficult for b in boxes], dtype=bool)[solid],
    )


def _oriented(boxes: list[ObjectBox]) -> Float[Tensor, "n 5"]:
    rows = [
        smallest_rectangles(torch.tensor(b.corners, dtype=torch.float64).view(4, 2))
        if b.corners is not None
        else from_horizontal(torch.tensor([b.x0, b.y0, b.x1, b.y1], dtype=torch.float64))
        for b in boxes
    ]
    return torch.stack(rows) if rows else torch.zeros(0, 5, dtype=torch.float64)


def scale_into(image: Rgb, side_px: int) -> tuple[Rgb, float]:
    """Scale an image so that its longer side is `side_px`, by one factor in x and y.

    Bilinear, antialiased where it shrinks. Less than a pixel of the shorter side is cut off, so
    that the factor is exact and turned boxes stay rectangles.

    Returns:
        The scaled image and the factor.
    """
    height, width = image.shape[:2]
    factor = side_px / max(height, width)
    size = max(1, int(height * factor + 1e-9)), max(1, int(width * factor + 1e-9))
    if size == (height, width):
        return image, 1.0
    window = (0.0, 0.0, min(size[1] / factor, width), min(size[0] / factor, height))
    scaled = Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR, box=window)
    return np.asarray(scaled), factor


def to_learn(image: Rgb, truth: TrueBoxes, side_px: int, flip: Flip) -> Picture:
    """Scale and mirror an image with its objects; difficult ones are not learned."""
    pixels, factor = scale_into(image, side_px)
    kept = ~truth.difficult
    boxes = torch.from_numpy(truth.boxes[kept] * np.array([factor, factor, factor, factor, 1.0]))
    height, width = pixels.shape[:2]
    if flip in ("sideways", "both"):
        pixels, boxes = pixels[:, ::-1], _mirrored(boxes, 0, width)
    if flip in ("upside_down", "both"):
        pixels, boxes = pixels[::-1], _mirrored(boxes, 1, height)
    labels = torch.from_numpy(truth.labels[kept])
    return Picture(pixels, OrientedObjects(regular(boxes).float(), labels))


def _mirrored(boxes: Float[Tensor, "n 5"], axis: int, length: int) -> Float[Tensor, "n 5"]:
    mirrored = boxes.clone()
    mirrored[:, axis] = length - boxes[:, axis]
    mirrored[:, 4] = -boxes[:, 4]
    return mirrored


def draw_flip(rng: np.random.Generator, share: float) -> Flip:
    """Draw how an image is mirrored."""
    flips: tuple[Flip, ...] = ("sideways", "upside_down", "both")
    return flips[rng.integers(3)] if rng.random() < share else "none"


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
