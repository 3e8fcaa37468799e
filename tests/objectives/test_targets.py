import torch

from rspipe.objectives.targets import patch_statistics


def test_statistics_are_unbiased():
    patches = torch.randn(2, 5, 12)
    mean, std = patch_statistics(patches)
    torch.testing.assert_close(
        ((patches - mean) / std).var(dim=2), torch.ones(2, 5), rtol=1e-4, atol=0
    )
