# SPDX-License-Identifier: Apache-2.0
"""Pictures of turned rectangles, and a small pyramid to look at them with."""

import math

import torch
from torch import nn

from rspipe.evaluate.detection.boxes.angles import regular
from rspipe.evaluate.detection.boxes.overlap import rotated_iou
from rspipe.evaluate.detection.tuning.objects import Objects

SIDE_PX = 64


class SmallPyramid(nn.Module):
    """Five strided convolutions."""

    def __init__(self, width: int = 24):
        super().__init__()
        self.widths = (width,) * 4
        self.strides_px = {"0": 4.0, "1": 8.0, "2": 16.0, "3": 32.0}
        self.stem = nn.Sequential(step(3, width), step(width, width))
        self.rest = nn.ModuleList(step(width, width) for _ in range(3))

    def forward(self, images):
        maps = [self.stem(images)]
        for layer in self.rest:
            maps.append(layer(maps[-1]))
        return dict(zip(self.strides_px, maps, strict=True))


def step(width_in, width):
    return nn.Sequential(
        nn.Conv2d(width_in, width, 3, stride=2, padding=1), nn.GroupNorm(4, width), nn.GELU()
    )


def draw_box(image, box, colour):
    """Fill an oriented box; pixel (0, 0) has its centre at (0.5, 0.5)."""
    cx, cy, w, h, angle = box.tolist()
    y, x = torch.meshgrid(torch.arange(SIDE_PX) + 0.5, torch.arange(SIDE_PX) + 0.5, indexing="ij")
    along = (x - cx) * math.cos(angle) + (y - cy) * math.sin(angle)
    across = (y - cy) * math.cos(angle) - (x - cx) * math.sin(angle)
    inside = (along.abs() <= w / 2) & (across.abs() <= h / 2)
    image[:, inside] = colour[:, None]


def scenes(count, seed, objects_per_image=3):
    """Grey noise with bright bars (class 0) and dark blocks (class 1) that do not overlap."""
    draws = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, SIDE_PX, SIDE_PX, generator=draws) * 0.1
    truth = []
    for image in images:
        boxes, labels = torch.zeros(0, 5), []
        while len(boxes) < objects_per_image:
            label = int(torch.randint(2, (1,), generator=draws))
            u = torch.rand(5, generator=draws)
            sides = [22 + 8 * u[2], 6 + 3 * u[3]] if label == 0 else [14 + 4 * u[2], 11 + 3 * u[3]]
            place = [14 + 36 * u[0], 14 + 36 * u[1]]
            box = regular(torch.tensor([[*place, *sides, (u[4] - 0.5) * math.pi]]))
            grown = box + torch.tensor([0, 0, 6, 6, 0])
            if bool(rotated_iou(grown, boxes).any()):
                continue
            boxes, labels = torch.cat([boxes, box]), [*labels, label]
            draw_box(image, box[0], torch.tensor([1.5, 1.0, 0.5]) * (1 if label == 0 else -1))
        truth.append(Objects(boxes, torch.tensor(labels)))
    return images, truth
