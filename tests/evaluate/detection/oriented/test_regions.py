# SPDX-License-Identifier: Apache-2.0
import torch

from rspipe.evaluate.detection.boxes.roi_align import rotated_roi_align
from rspipe.evaluate.detection.oriented.regions import OrientedRegions, RotatedPooler
from rspipe.evaluate.detection.oriented.settings import OrientedRegionSettings
from rspipe.evaluate.detection.tuning.objects import Objects
from rspipe.models.encoder import seeded

STRIDES = {"0": 4.0, "1": 8.0, "2": 16.0, "3": 32.0}


def maps(side=256, channels=4):
    draws = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(2, channels, side // int(s), side // int(s), generator=draws)
        for name, s in STRIDES.items()
    }


def test_boxes_are_read_at_the_level_of_their_size():
    pooler = RotatedPooler(STRIDES, 7)
    sides = torch.tensor([10.0, 111, 113, 223, 225, 447, 449, 2000])
    boxes = torch.stack([sides * 0 + 9, sides * 0 + 9, sides * 2, sides / 2, sides * 0], dim=1)
    assert pooler.level_of(boxes).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_pooled_features_keep_the_order_of_the_boxes():
    levels, pooler = maps(), RotatedPooler(STRIDES, 3)
    boxes = torch.tensor([[90.0, 90, 300, 300, 0.1], [60, 60, 20, 20, 0.3], [90, 90, 120, 140, 1]])
    images = torch.tensor([1, 0, 1])
    found = pooler(levels, boxes, images)
    for i, (name, stride) in enumerate([("2", 16), ("0", 4), ("1", 8)]):
        alone = rotated_roi_align(
            levels[name], boxes[i : i + 1], images[i : i + 1], bins=3, stride_px=stride
        )
        torch.testing.assert_close(found[i], alone[0])


def stage(**said):
    with seeded(0):
        return OrientedRegions(4, STRIDES, 2, OrientedRegionSettings(hidden=16, bins=3, **said))


TRUTH = Objects(
    torch.tensor([[60.0, 60, 50, 20, 0.6], [180, 90, 80, 60, -1.2]]), torch.tensor([1, 0])
)
NO_TRUTH = Objects(torch.zeros(0, 5), torch.zeros(0, dtype=torch.int64))


def test_drawn_boxes_carry_label_and_deltas_of_the_object_they_overlap():
    near, far = TRUTH.boxes + 2 * torch.tensor([1, 1, 0, 0, 0]), TRUTH.boxes + 100
    with seeded(0):
        boxes, labels, deltas = stage()._draw(torch.cat([TRUTH.boxes, near, far]), TRUTH)
    assert labels.tolist() == [1, 0, 1, 0, 2, 2]
    torch.testing.assert_close(boxes[:4], torch.cat([TRUTH.boxes, near]))
    assert deltas.shape == (4, 5)
    torch.testing.assert_close(deltas[:2], torch.zeros(2, 5), rtol=0, atol=1e-5)
    assert (deltas[2:, :2].abs() > 0.1).all()


def test_images_without_objects_or_proposals_have_a_loss_with_gradients():
    regions, nothing = stage(), torch.zeros(0, 5)
    with seeded(0):
        losses = regions.losses(maps(), [TRUTH.boxes + 1, TRUTH.boxes], [TRUTH, NO_TRUTH])
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in regions.parameters())
    empty = regions.losses(maps(), [nothing, nothing], [NO_TRUTH, NO_TRUTH])
    assert sum(empty.values()) == 0
    found = regions.detect(maps(), [nothing, TRUTH.boxes])
    assert len(found[0].boxes) == 0


def test_detections_come_best_first_above_the_threshold_and_within_the_limit():
    regions = stage(score_threshold=0.2, kept=3)
    boxes = torch.rand(50, 5) * torch.tensor([256, 256, 30, 30, 3]) + torch.tensor([0, 0, 5, 5, 0])
    for found in regions.detect(maps(), [boxes, boxes]):
        assert len(found.boxes) == 3
        assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
        assert (found.scores > 0.2).all()
    assert not len(stage(score_threshold=0.9).detect(maps(), [boxes, boxes])[0].boxes)
