# SPDX-License-Identifier: Apache-2.0
"""Pictures of upright rectangles, some at the border, and a small encoder to look at them with."""

import numpy as np
import torch
from torchvision.ops import box_iou

from rspipe.evaluate.detection.average_precision import CocoAP, FoundBoxes, TrueBoxes
from rspipe.evaluate.detection.tuning.objects import Objects
from rspipe.models.encoder import Encoder, EncoderConfig

SIDE_PX = 64
SMALL_ENCODER = EncoderConfig(
    timm_name="vit_tiny_patch16_224", img_px=SIDE_PX, patch_px=8, width=48, depth=2, heads=2
)


def encoder():
    return Encoder.random(SMALL_ENCODER, seed=0).requires_grad_()


def scenes(count, seed, objects_per_image=3):
    """Grey noise with bright bars (class 0) and dark blocks (class 1) that do not overlap.

    The first object of every image touches its border.
    """
    draws = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 3, SIDE_PX, SIDE_PX, generator=draws) * 0.1
    truth = []
    for image in images:
        boxes, labels = torch.zeros(0, 4), []
        while len(boxes) < objects_per_image:
            label = int(torch.randint(2, (1,), generator=draws))
            u = torch.rand(4, generator=draws)
            w, h = (20 + 8 * u[2], 8 + 4 * u[3]) if label == 0 else (12 + 4 * u[2], 12 + 4 * u[3])
            x, y = (0.0 if not labels else (SIDE_PX - w) * u[0]), (SIDE_PX - h) * u[1]
            box = torch.tensor([[x, y, x + w, y + h]]).round()
            if bool(box_iou(box + torch.tensor([-3.0, -3, 3, 3]), boxes).any()):
                continue
            boxes, labels = torch.cat([boxes, box]), [*labels, label]
            x0, y0, x1, y1 = box[0].int().tolist()
            colour = torch.tensor([1.5, 1.0, 0.5]) * (1 if label == 0 else -1)
            image[:, y0:y1, x0:x1] = colour[:, None, None]
        truth.append(Objects(boxes, torch.tensor(labels)))
    return images, truth


def average_precision(model, images, truth):
    """COCO's AP50, AP and AP75."""
    found = model.eval()(images)
    true = [
        TrueBoxes(t.boxes.double().numpy(), t.labels.numpy(), np.zeros(len(t.labels), dtype=bool))
        for t in truth
    ]
    told = [FoundBoxes(f.boxes.double().numpy(), f.labels.numpy(), f.scores.numpy()) for f in found]
    return CocoAP(true, told, 2).score(np.arange(len(truth)))[:3]
