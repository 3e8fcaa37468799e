# SPDX-License-Identifier: Apache-2.0
import torch

from rspipe.objectives.targets import patch_statistics


def test_statistics_are_unbiased():
    patches = torch.randn(2, 5, 12)
    mean, std = patch_statistics(patches)
    torch.testing.assert_close(
        ((patches - mean) / std).var(dim=2), torch.ones(2, 5), rtol=1e-4, atol=0
    )


def test_bands_of_different_range_are_standardised_apart():
    noise = torch.randn(2, 5, 16, 4, generator=torch.Generator().manual_seed(0))
    patches = noise * torch.tensor([1.0, 100.0, 0.1, 5.0]) + 3
    flat = patches.flatten(2)
    mean, std = patch_statistics(flat, bands=4)
    apart = ((flat - mean) / std).unflatten(2, (16, 4))
    torch.testing.assert_close(apart.mean(dim=2), torch.zeros(2, 5, 4), rtol=0, atol=1e-4)
    torch.testing.assert_close(apart.std(dim=2), torch.ones(2, 5, 4), rtol=1e-3, atol=0)
    mean, std = patch_statistics(flat)
    together = ((flat - mean) / std).unflatten(2, (16, 4)).std(dim=2)
    assert together[..., 1].min() > 100 * together[..., 2].max()
