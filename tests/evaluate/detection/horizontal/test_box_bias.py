# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.evaluate.detection.horizontal.box_bias import BoxBias
from rspipe.models.encoder import seeded

GRID, STRIDE = (5, 7), 16


def bias_of(scale="linear", dyadic=False):
    with seeded(0):
        bias = BoxBias(heads=3, hidden=8, scale=scale).double()
    if dyadic:
        # Sixteenths: every sum below is exact in float64, in any order.
        with torch.no_grad():
            for parameter in bias.parameters():
                parameter.copy_((parameter * 16).round() / 16)
    return bias


def boxes(n_images=2, queries=4):
    draws = torch.Generator().manual_seed(1)
    corners = torch.randint(-40, 300, (n_images, queries, 2, 2), generator=draws).sort(dim=2).values
    return corners.flatten(2).double() / 2


def naive(bias, boxes):
    """Loop over images, queries and cells: one pair at a time."""
    found = torch.zeros(*boxes.shape[:2], *GRID, 3, dtype=torch.float64)
    for b, of_image in enumerate(boxes):
        for q, (x0, y0, x1, y1) in enumerate(of_image):
            for i in range(GRID[0]):
                for j in range(GRID[1]):
                    px, py = (j + 0.5) * STRIDE, (i + 0.5) * STRIDE
                    x, y = torch.stack([x0 - px, x1 - px]), torch.stack([y0 - py, y1 - py])
                    if bias.scale == "log8":
                        x, y = (d.sign() * (d.abs() + 1).log2() / 3 for d in (x, y))
                    found[b, q, i, j] = bias.across(x) + bias.down(y)
    return found.flatten(2, 3).permute(0, 3, 1, 2)


def test_d11_equals_the_naive_loop_exactly():
    bias = bias_of(dyadic=True)
    found = bias(boxes(), GRID, STRIDE)
    assert found.shape == (2, 3, 4, 35)
    assert found.abs().max() > 1
    assert torch.equal(found, naive(bias, boxes()))


@pytest.mark.parametrize("scale", ["linear", "log8"])
def test_d11_with_any_weights_to_the_last_bits(scale):
    bias = bias_of(scale)
    torch.testing.assert_close(
        bias(boxes(), GRID, STRIDE), naive(bias, boxes()), rtol=1e-13, atol=1e-12
    )


def test_a_box_moved_by_one_stride_moves_the_bias_by_one_cell():
    bias = bias_of(dyadic=True)
    before = bias(boxes(), GRID, STRIDE).unflatten(3, GRID)
    after = bias(boxes() + torch.tensor([STRIDE, 0, STRIDE, 0]), GRID, STRIDE).unflatten(3, GRID)
    assert torch.equal(after[..., 1:], before[..., :-1])
    after = bias(boxes() + torch.tensor([0, STRIDE, 0, STRIDE]), GRID, STRIDE).unflatten(3, GRID)
    assert torch.equal(after[..., 1:, :], before[..., :-1, :])
