import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RegionProposalNetwork

from rspipe.evaluate.horizontal.proposals import BestIfEnough, Proposals, TrueStrideAnchors
from rspipe.evaluate.horizontal.settings import ProposalSettings
from rspipe.models.encoder import seeded

STRIDES = {"0": 4.0, "1": 8.0, "2": 16.0, "3": 32.0, "pool": 64.0}
SIDES = (200, 100, 50, 25, 13)


def anchors_of_dior():
    """As on an image of 800 px."""
    maps = [torch.zeros(1, 1, side, side) for side in SIDES]
    image = ImageList(torch.zeros(1, 3, 800, 800), [(800, 800)])
    return TrueStrideAnchors(tuple(STRIDES.values()), ProposalSettings())(image, maps)[0]


def test_anchors_are_as_many_as_the_protocol_has():
    counts = [3 * side**2 for side in SIDES]
    assert counts[2] == 7500
    assert len(anchors_of_dior()) == sum(counts) == 159_882


def test_anchors_have_real_valued_sides_and_true_strides():
    coarsest = anchors_of_dior()[-3 * 13**2 :].view(13, 13, 3, 4)
    sides = coarsest[..., 2:] - coarsest[..., :2]
    torch.testing.assert_close(
        sides.prod(dim=-1).sqrt(), torch.full((13, 13, 3), 512.0), rtol=0, atol=1e-3
    )
    torch.testing.assert_close(sides[0, 0, :, 1] / sides[0, 0, :, 0], torch.tensor([0.5, 1, 2]))
    centres = (coarsest[..., :2] + coarsest[..., 2:]) / 2
    torch.testing.assert_close(
        centres[:, 3, 0, 1], torch.arange(13) * 64.0, rtol=0, atol=1e-3
    )  # torchvision: 61 px
    torch.testing.assert_close(centres[5, :, 0, 0], torch.arange(13) * 64.0, rtol=0, atol=1e-3)


def test_best_anchors_learn_only_from_an_overlap_of_three_tenths_on():
    overlaps = torch.tensor([[0.1, 0.29, 0.0, 0.0], [0.0, 0.0, 0.5, 0.31], [0.71, 0.2, 0.0, 0.2]])
    owner = BestIfEnough(ProposalSettings())(overlaps)
    assert owner.tolist() == [2, -1, 1, -2]


def stage(**said):
    return Proposals(4, {"0": 4.0}, ProposalSettings(**said)).train()


def test_box_loss_is_l1_over_the_number_drawn():
    moved = torch.tensor([[0.05, 0, 0, 0], [2.0, 0, 0, 0], [9.0, 9, 9, 9]])
    labels = [torch.tensor([1.0, 1.0, 0.0])]
    found, placed = stage().compute_loss(torch.zeros(3, 1), moved, labels, [torch.zeros(3, 4)])
    assert placed.item() == pytest.approx(2.05 / 3)
    assert found.item() == pytest.approx(torch.tensor(2.0).log().item())


def test_where_rounding_and_strides_agree_proposals_are_torchvision_s():
    strides = {"0": 4.0, "1": 8.0}
    settings = ProposalSettings(anchor_ratios=(1.0,), before_nms_at_test=40, kept=30)
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
