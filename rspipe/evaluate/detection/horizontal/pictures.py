# SPDX-License-Identifier: Apache-2.0
"""Images and their horizontal objects, as a detector takes them and as files say them."""

import numpy as np
import torch

from rspipe.evaluate.detection.average_precision import FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.tuning.objects import Found, Objects
from rspipe.evaluate.detection.tuning.pictures import Picture, Rgb, scale_by


def to_learn(image: Rgb, truth: TrueBoxes, factor: float, mirrored: bool) -> Picture:
    """Scale an image with its objects and mirror it left to right; difficult ones are left out."""
    pixels = scale_by(image, factor)
    kept = ~truth.difficult
    height, width = pixels.shape[:2]
    boxes = (truth.boxes[kept] * factor).clip(0, (width, height, width, height))
    if mirrored:
        pixels = pixels[:, ::-1]
        boxes = np.stack(
            [width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1
        )
    labels = torch.from_numpy(truth.labels[kept])
    return Picture(pixels, Objects(torch.from_numpy(boxes).float(), labels))


def to_published(found: Found, factor: float, size_px: tuple[int, int]) -> FoundBoxes:
    """Scale detections back and cut them at the edges of the image; those outside it go."""
    height, width = size_px
    boxes = found.boxes.double().cpu().numpy() / factor
    boxes = boxes.clip(0, (width, height, width, height))
    solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return FoundBoxes(
        boxes[solid],
        found.labels.cpu().numpy()[solid],
        found.scores.double().cpu().numpy()[solid],
    )
