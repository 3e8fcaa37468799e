# SPDX-License-Identifier: Apache-2.0
import torch
from torchvision.ops import box_iou

from rspipe.evaluate.detection.boxes.corners import hulls
from rspipe.evaluate.detection.oriented.coders import encode_midpoints
from rspipe.evaluate.detection.oriented.proposals import AnchorScores, OrientedProposals
from rspipe.evaluate.detection.oriented.settings import OrientedProposalSettings
from rspipe.models.encoder import seeded

STRIDES = {"0": 4.0, "1": 8.0, "2": 16.0, "3": 32.0, "pool": 64.0}


def stage(**said):
    with seeded(0):
        return OrientedProposals(8, STRIDES, OrientedProposalSettings(**said))


def maps(side, value=None):
    shapes = [(2, 8, -(-side // int(s)), -(-side // int(s))) for s in STRIDES.values()]
    made = [torch.full(s, value) if value is not None else torch.randn(s) for s in shapes]
    return dict(zip(STRIDES, made, strict=True))


def test_anchors_of_an_800_px_image():
    scores = stage()(maps(800))
    assert scores.anchors.shape == (3 * (200**2 + 100**2 + 50**2 + 25**2 + 13**2), 4)
    assert len(scores.anchors) == 159_882
    assert int((scores.level == 2).sum()) == 7500
    assert scores.offsets.shape == (2, 159_882, 6)
    sides = scores.anchors[:, 2:] - scores.anchors[:, :2]
    for level, stride in enumerate(STRIDES.values()):
        areas = sides[scores.level == level].prod(dim=1).sqrt()
        torch.testing.assert_close(areas, torch.full_like(areas, 8 * stride), rtol=0.02, atol=0)
    # In the order of the outputs: all of a cell, then the next cell to the right.
    centres = (scores.anchors[:, :2] + scores.anchors[:, 2:]) / 2
    assert centres[:6].tolist() == [[0, 0]] * 3 + [[4, 0]] * 3
    assert centres[600].tolist() == [0, 4]


def test_equal_features_are_judged_equally_away_from_the_border():
    scores = stage()(maps(64, value=0.5))
    finest = scores.logits[:, :768].view(2, 16, 16, 3)[:, 1:-1, 1:-1]
    torch.testing.assert_close(finest, finest[:, :1, :1].expand_as(finest))


def perfect(boxes):
    """Scores as if the stage knew the truth."""
    scores = stage()(maps(256))
    overlaps = box_iou(scores.anchors, hulls(boxes))
    most, owner = overlaps.max(dim=1)
    logits = (most * 10 - 5).expand(2, -1)
    offsets = encode_midpoints(scores.anchors, boxes[owner]).expand(2, -1, -1)
    return AnchorScores(logits, offsets, scores.anchors, scores.level)


BOXES = torch.tensor([[60.0, 60, 50, 20, 0.6], [180, 90, 80, 60, -1.2], [128, 200, 130, 30, 0.0]])


def test_perfect_offsets_become_the_boxes_and_cost_nothing():
    proposals = stage()
    scores = perfect(BOXES)
    for found in proposals.propose(scores):
        apart = torch.cdist(BOXES[:, :4], found[:, :4]).amin(dim=1)
        assert (apart < 1e-2).all()
        assert len(found) <= 2000
    with seeded(0):
        losses = proposals.losses(scores, [BOXES, BOXES], (256, 256))
    assert float(losses["proposal_boxes"]) < 1e-6
    assert float(losses["proposal_objectness"]) < 0.3


def test_so_many_go_into_nms_and_so_many_come_out():
    scores = stage()(maps(256))
    assert [len(found) for found in stage(kept=9).propose(scores)] == [9, 9]
    # Seven of each of the five levels, overlapping ones allowed.
    many = stage(before_nms=7, nms_iou=1 - 1e-9).propose(scores)
    assert [len(found) for found in many] == [35, 35]


def test_images_without_objects_have_a_loss_with_gradients():
    proposals = stage()
    scores = proposals(maps(256))
    with seeded(0):
        losses = proposals.losses(scores, [torch.zeros(0, 5), BOXES], (256, 256))
    assert all(loss.item() > 0 for loss in losses.values())
    sum(losses.values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in proposals.parameters())


def test_anchors_that_leave_the_image_do_not_learn():
    scores = stage()(maps(64))
    box = torch.tensor([[8.0, 8, 40, 30, 0.2]])
    strict, free = stage(), stage(border_px=None)
    outside = (scores.anchors[:, :2] < 0).any(dim=1) | (scores.anchors[:, 2:] >= 64).any(dim=1)
    owner = strict._owners(scores.anchors, box, (64, 64))
    assert (owner[outside] == -2).all()
    assert (owner[~outside] != -2).any()
    assert (free._owners(scores.anchors, box, (64, 64))[outside] != -2).any()
