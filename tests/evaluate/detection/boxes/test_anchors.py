# SPDX-License-Identifier: Apache-2.0
import torch
from torchvision.models.detection.image_list import ImageList

from rspipe.evaluate.detection.boxes.anchors import TrueStrideAnchors

SIDES = (200, 100, 50, 25, 13)


def anchors_of_dior():
    """As on an image of 800 px."""
    maps = [torch.zeros(1, 1, side, side) for side in SIDES]
    image = ImageList(torch.zeros(1, 3, 800, 800), [(800, 800)])
    return TrueStrideAnchors((4, 8, 16, 32, 64), 8, (0.5, 1, 2))(image, maps)[0]


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
