# SPDX-License-Identifier: Apache-2.0
"""Linear probing: batch normalisation and one linear layer, trained by LARS."""

from typing import ClassVar

import torch
from torch import nn

from rspipe.evaluate.classification.probes.base import Images
from rspipe.evaluate.classification.probes.gradient import GradientProbe, Read, classifier
from rspipe.evaluate.config import LinearProbing
from rspipe.evaluate.encoders import Gives


class LinearProbe(GradientProbe):
    """The linear probe of masked autoencoders, on pooled vectors.

    Source: He et al. 2022, arXiv:2111.06377, app. A.1. Differs: see `gradient.py`.
    """

    name: ClassVar[str] = "linear"
    reads: ClassVar[Gives] = "vectors"
    rule: ClassVar[str] = (
        "BatchNorm without gain and a linear layer, LARS, last step, rate chosen on validation "
        "images, trained again on train and validation; features cached, no augmentation"
    )

    @property
    def settings(self) -> LinearProbing:
        """Rates, batch and steps."""
        return self.what.linear

    def make_head(self, width: int, n_classes: int) -> nn.Module:
        """Build the two layers."""
        return nn.Sequential(*classifier(width, n_classes))

    def reader(self, images: Images) -> Read:
        """Read pooled vectors, all of them at once."""
        stored = images.vectors(self.what.pooling, self.what.norm)
        vectors = torch.from_numpy(stored).to(self.device)
        return lambda chosen: vectors[torch.from_numpy(chosen)]
