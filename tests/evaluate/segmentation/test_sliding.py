# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from rspipe.evaluate.segmentation.sliding import slide, starts


@pytest.mark.parametrize(("height", "width"), [(40, 52), (16, 16), (9, 33), (64, 16)])
@pytest.mark.parametrize("stride_px", [5, 12, 16])
def test_identity_comes_back_and_a_constant_stays(height, width, stride_px):
    # S4. Small integers: their sums and quotients are exact in float32.
    image = torch.randint(0, 64, (3, height, width)).float()
    assert torch.equal(slide(lambda x: x, image, 16, stride_px), image)
    constant = slide(lambda x: torch.full_like(x[:, :1], 2.0), image, 16, stride_px)
    assert torch.equal(constant, torch.full((1, height, width), 2.0))


@pytest.mark.parametrize("size_px", [512, 513, 896, 1024, 1300])
def test_windows_cover_every_pixel_and_end_at_the_edge(size_px):
    at = starts(size_px, 512, 384)
    seen = torch.zeros(size_px)
    for y in at:
        assert 0 <= y <= size_px - 512
        seen[y : y + 512] += 1
    assert seen.min() >= 1
    assert at[-1] == size_px - 512


def test_one_window_that_covers_the_image_is_whole_image_inference():
    network = torch.nn.Conv2d(3, 2, 3, padding=1)
    image = torch.randn(3, 32, 32)
    torch.testing.assert_close(slide(network, image, 32, 24), network(image[None])[0])


def test_overlapping_logits_are_averaged():
    calls = iter([torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)])

    def network(windows):
        return torch.cat([next(calls) for _ in windows])

    found = slide(network, torch.zeros(3, 4, 6), 4, 2)
    assert found[0, 0].tolist() == [0, 0, 0.5, 0.5, 1, 1]


def test_gaps_are_refused():
    with pytest.raises(ValueError, match="gaps"):
        slide(lambda x: x, torch.zeros(3, 8, 8), 4, 5)
