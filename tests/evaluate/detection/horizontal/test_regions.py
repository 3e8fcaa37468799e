# SPDX-License-Identifier: Apache-2.0
import pytest
import torch
from torchvision.ops import roi_align

from rspipe.evaluate.detection.horizontal.regions import AlignedPooler, Regions, region_losses
from rspipe.evaluate.detection.tuning.two_stage import RegionSettings

STRIDES = {"0": 4.0, "1": 8.0}


def linear_field(stride, side_px=64):
    """A map whose value is 2x - 3y + 1 at the place x, y in pixels that each cell's centre has."""
    cells = (torch.arange(int(side_px / stride)) + 0.5) * stride
    return (2 * cells[None, :] - 3 * cells[:, None] + 1)[None, None].double().float()


def test_bins_of_a_linear_field_are_its_values_at_their_centres():
    box = torch.tensor([[13.0, 9.0, 41.0, 37.0]])
    levels = {name: linear_field(stride) for name, stride in STRIDES.items()}
    pooled = AlignedPooler(STRIDES, 4)(levels, [box], [(64, 64)])[0, 0]
    centres = torch.arange(4) + 0.5
    x, y = 13 + centres * 7, 9 + centres * 7
    torch.testing.assert_close(pooled, 2 * x[None] - 3 * y[:, None] + 1, rtol=0, atol=1e-4)


def test_boxes_are_read_at_the_level_that_fits_their_size_and_from_their_own_image():
    draws = torch.Generator().manual_seed(0)
    levels = {
        "0": torch.randn(2, 3, 64, 64, generator=draws),
        "1": torch.randn(2, 3, 32, 32, generator=draws),
    }
    small, large = torch.tensor([[1.0, 2, 40, 50]]), torch.tensor([[3.0, 1, 130, 120]])
    pooled = AlignedPooler(STRIDES, 7)(levels, [large, torch.cat([small, large])], [(256, 256)] * 2)
    wanted = [("1", 8, 0, large), ("0", 4, 1, small), ("1", 8, 1, large)]
    for found, (name, stride, image, box) in zip(pooled, wanted, strict=True):
        want = roi_align(levels[name][image : image + 1], [box], 7, 1 / stride, -1, aligned=True)
        torch.testing.assert_close(found, want[0])


def test_no_box_pools_to_nothing():
    levels = {name: linear_field(stride) for name, stride in STRIDES.items()}
    assert AlignedPooler(STRIDES, 4)(levels, [torch.zeros(0, 4)], [(64, 64)]).shape == (0, 1, 4, 4)


def test_box_loss_is_l1_of_the_object_s_class_over_the_number_drawn():
    deltas = torch.zeros(3, 3, 4)
    deltas[0, 2, 0], deltas[1, 1, 1], deltas[0, 1], deltas[2] = 0.5, -3.0, 9.0, 9.0
    labels, wanted = torch.tensor([2, 1, 0]), torch.zeros(3, 4)
    losses = region_losses(torch.zeros(3, 3), deltas.flatten(1), labels, wanted)
    assert losses["region_boxes"].item() == pytest.approx(3.5 / 3)
    assert losses["region_classes"].item() == pytest.approx(torch.tensor(3.0).log().item())


def test_deltas_are_told_in_tenths_and_fifths():
    boxes = [torch.tensor([[10.0, 20, 30, 60]])]
    target = [torch.tensor([[12.0, 20, 32, 60]])]
    heads = Regions(4, STRIDES, 2, RegionSettings())
    told = heads.box_coder.encode(target, boxes)[0]
    torch.testing.assert_close(told, torch.tensor([[0.1 / 0.1, 0, 0, 0]]))
