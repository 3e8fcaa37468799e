# SPDX-License-Identifier: Apache-2.0
"""Images and their oriented objects, as a detector takes them."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from rspipe.evaluate.detection.average_precision import TrueBoxes
from rspipe.evaluate.detection.boxes.angles import regular
from rspipe.evaluate.detection.boxes.corners import from_horizontal, smallest_rectangles
from rspipe.evaluate.detection.tuning.objects import Objects
from rspipe.evaluate.detection.tuning.pictures import Picture, Rgb, scale_by
from rspipe.readers.boxes import in_pixels
from rspipe.schema import ImageRecord, ObjectBox

Flip = Literal["none", "sideways", "upside_down", "both"]


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


def to_learn(image: Rgb, truth: TrueBoxes, factor: float, flip: Flip) -> Picture:
    """Scale and mirror an image with its objects; difficult ones are not learned."""
    pixels = scale_by(image, factor)
    kept = ~truth.difficult
    boxes = torch.from_numpy(truth.boxes[kept] * np.array([factor, factor, factor, factor, 1.0]))
    height, width = pixels.shape[:2]
    if flip in ("sideways", "both"):
        pixels, boxes = pixels[:, ::-1], _mirrored(boxes, 0, width)
    if flip in ("upside_down", "both"):
        pixels, boxes = pixels[::-1], _mirrored(boxes, 1, height)
    labels = torch.from_numpy(truth.labels[kept])
    return Picture(pixels, Objects(regular(boxes).float(), labels))


def _mirrored(boxes: Float[Tensor, "n 5"], axis: int, length: int) -> Float[Tensor, "n 5"]:
    mirrored = boxes.clone()
    mirrored[:, axis] = length - boxes[:, axis]
    mirrored[:, 4] = -boxes[:, 4]
    return mirrored


def draw_flip(rng: np.random.Generator, share: float) -> Flip:
    """Draw how an image is mirrored."""
    flips: tuple[Flip, ...] = ("sideways", "upside_down", "both")
    return flips[rng.integers(3)] if rng.random() < share else "none"
