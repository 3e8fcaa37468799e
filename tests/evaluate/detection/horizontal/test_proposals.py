# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork

from rspipe.evaluate.detection.horizontal.proposals import BestIfEnough, Proposals
from rspipe.evaluate.detection.horizontal.settings import HorizontalProposalSettings
from rspipe.models.encoder import seeded


def test_best_anchors_learn_only_from_an_overlap_of_three_tenths_on():
    overlaps = torch.tensor([[0.1, 0.29, 0.0, 0.0], [0.0, 0.0, 0.5, 0.31], [0.71, 0.2, 0.0, 0.2]])
    owner = BestIfEnough(HorizontalProposalSettings())(overlaps)
    assert owner.tolist() == [2, -1, 1, -2]


def stage(**said):
    return Proposals(4, {"0": 4.0}, HorizontalProposalSettings(**said)).train()


def test_box_loss_is_l1_over_the_number_drawn():
    moved = torch.tensor([[0.05, 0, 0, 0], [2.0, 0, 0, 0], [9.0, 9, 9, 9]])
    labels = [torch.tensor([1.0, 1.0, 0.0])]
    found, placed = stage().compute_loss(torch.zeros(3, 1), moved, labels, [torch.zeros(3, 4)])
    assert placed.item() == pytest.approx(2.05 / 3)
    assert found.item() == pytest.approx(torch.tensor(2.0).log().item())


def test_where_rounding_and_strides_agree_proposals_are_torchvision_s():
    strides = {"0": 4.0, "1": 8.0}
    settings = HorizontalProposalSettings(anchor_ratios=(1.0,), before_nms_at_test=40, kept=30)
    with seeded(0):
        ours = Proposals(6, strides, settings).eval()
    theirs = RegionProposalNetwork(
        AnchorGenerator(((32,), (64,)), ((1.0,), (1.0,))), ours.head, 0.7, 0.3, 256, 0.5,
        {"testing": 40}, {"testing": 30}, 0.7,
    ).eval()  # fmt: skip
    draws = torch.Generator().manual_seed(0)
    images = ImageList(torch.zeros(2, 3, 64, 64), [(64, 64)] * 2)
    levels = {
        "0": torch.randn(2, 6, 16, 16, generator=draws) * 20,
        "1": torch.randn(2, 6, 8, 8, generator=draws) * 20,
    }
    for mine, other in zip(ours(images, levels)[0], theirs(images, levels)[0], strict=True):
        assert len(mine) > 10
        assert torch.equal(mine, other)


def test_on_constant_maps_all_places_but_the_border_say_the_same():
    logits = stage().head([torch.full((1, 4, 9, 9), 0.7)])[0][0]
    inner = logits[0, :, 1:-1, 1:-1]
    torch.testing.assert_close(inner, inner[:, :1, :1].expand_as(inner))
    assert not torch.allclose(logits[0, :, 0, 0], inner[:, 0, 0])
