# SPDX-License-Identifier: Apache-2.0
import math

import torch
from torchvision.ops import roi_align

from rspipe.evaluate.detection.boxes.corners import hulls
from rspipe.evaluate.detection.boxes.roi_align import rotated_roi_align

DRAWS = torch.Generator().manual_seed(0)
FEATURES = torch.rand(2, 3, 12, 20, dtype=torch.float64, generator=DRAWS)


def pooled(features, boxes, images=None, **said):
    images = torch.zeros(len(boxes), dtype=torch.int64) if images is None else images
    return rotated_roi_align(
        features, boxes, images, **{"bins": 7, "stride_px": 8.0, "samples": 2, **said}
    )


def random_boxes(count):
    """Some reach over the edges of the 160 x 96 px image."""
    draws = torch.rand(count, 5, dtype=torch.float64, generator=DRAWS)
    return draws * torch.tensor([170, 100, 90, 60, 0], dtype=torch.float64)


def test_upright_boxes_are_pooled_as_torchvision_pools_them():
    boxes, images = random_boxes(60), torch.arange(60) % 2
    for bins, samples in ((7, 2), (3, 1), (2, 4)):
        want = roi_align(
            FEATURES,
            torch.cat([images[:, None].double(), hulls(boxes)], dim=1),
            bins,
            spatial_scale=1 / 8,
            sampling_ratio=samples,
            aligned=True,
        )
        found = pooled(FEATURES, boxes, images, bins=bins, samples=samples)
        torch.testing.assert_close(found, want, rtol=0, atol=1e-10)


def test_turning_image_and_boxes_together_changes_nothing():
    boxes, images = random_boxes(30), torch.arange(30) % 2
    boxes[:, 4] = torch.linspace(-3, 3, 30, dtype=torch.float64)
    turned = torch.rot90(FEATURES, 1, dims=(2, 3))  # counter-clockwise: (x, y) goes to (y, W - x)
    x, y, w, h, angle = boxes.unbind(-1)
    moved = torch.stack([y, 160 - x, w, h, angle - math.pi / 2], dim=-1)
    torch.testing.assert_close(
        pooled(turned, moved, images), pooled(FEATURES, boxes, images), rtol=0, atol=1e-10
    )


def test_a_quarter_turn_of_the_box_turns_what_it_holds():
    boxes = random_boxes(20)
    x, y, w, h, angle = boxes.unbind(-1)
    again = torch.stack([x, y, h, w, angle + math.pi / 2], dim=-1)
    torch.testing.assert_close(
        pooled(FEATURES, again), pooled(FEATURES, boxes).rot90(1, dims=(2, 3)), rtol=0, atol=1e-10
    )


def test_a_linear_field_is_read_at_the_centres_of_the_bins():
    y, x = torch.meshgrid(
        torch.arange(12, dtype=torch.float64), torch.arange(20, dtype=torch.float64), indexing="ij"
    )
    field = (2 * x - 3 * y + 1)[None, None]
    angle = math.radians(37)
    box = torch.tensor([[80, 48, 40, 24, angle]], dtype=torch.float64)
    steps = (torch.arange(7, dtype=torch.float64) + 0.5) / 7 - 0.5
    along, across = 40 * steps[None, :], 24 * steps[:, None]
    px = 80 + along * math.cos(angle) - across * math.sin(angle)
    py = 48 + along * math.sin(angle) + across * math.cos(angle)
    want = 2 * (px / 8 - 0.5) - 3 * (py / 8 - 0.5) + 1
    torch.testing.assert_close(pooled(field, box)[0, 0], want, rtol=0, atol=1e-10)


def test_gradients_reach_the_features_a_box_covers_and_no_others():
    features = FEATURES.clone().requires_grad_()
    box = torch.tensor([[40, 40, 16, 16, 0.4]], dtype=torch.float64)
    pooled(features, box, torch.tensor([1])).sum().backward()
    assert not features.grad[0].any()
    assert features.grad[1, :, 4, 4].all()
    assert not features.grad[1, :, :, 10:].any()


def test_no_boxes_pool_nothing():
    assert pooled(FEATURES, torch.zeros(0, 5)).shape == (0, 3, 7, 7)
