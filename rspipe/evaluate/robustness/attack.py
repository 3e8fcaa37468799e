# SPDX-License-Identifier: Apache-2.0
"""Projected gradient ascent on an encoder's features: how far can a small change move them?

A feature-space attack: no label and no probe is asked, so one set of images serves all probes, and
what it shows is the encoder's own.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, UInt8
from torch import Tensor

from rspipe.evaluate.frozen.tokens import Norm, kinds_of
from rspipe.evaluate.robustness.settings import Pgd
from rspipe.models.backbone import Backbone

_STEP = 2.5
"""Steps times the step's length, over epsilon: far enough to reach the edge and to turn back."""


class FeatureAttack:
    """Maximises the cosine distance of pooled features within an L-inf ball around an image.

    Starts from noise that is drawn once from the seed (at the image itself the gradient is zero),
    takes signed steps of 2.5 epsilon / steps, and keeps the farthest of all images on the way.

    Source: Madry et al. 2018, arXiv:1706.06083, sec. 2.1; the loss is a distance of features, as
    in dSVA (arXiv:2506.21046), turned to measure an encoder. Differs from both: no label is used,
    nothing is transferred, few steps.

    Args:
        encoder: in evaluation mode.
        settings: radius and steps.
        pooling: `mean`, `cls` or `both`: which vector is moved.
        norm: whether tokens are read before or after the final norm.
        seed: of the noise.

    Raises:
        UnfitEncoder: the class token is to be moved, and the encoder has none.
    """

    def __init__(
        self, encoder: Backbone, settings: Pgd, pooling: str, norm: Norm, seed: int
    ) -> None:
        self.encoder = encoder
        self.settings = settings
        self.kinds = kinds_of(pooling, norm, encoder.has_class_token)
        self.seed = seed

    def __call__(self, image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """Attack one image of the encoder's size; the answer is an 8-bit image again.

        Values are rounded to 8 bits within epsilon, so that it could be a file.
        """
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        moved = self.farthest(pixels)[0]
        most = math.floor(self.settings.epsilon * 255 + 1e-6)
        change = ((moved[0] - pixels[0]) * 255).round().clamp(-most, most)
        exact: np.ndarray = change.permute(1, 2, 0).numpy() + image
        return exact.clip(0, 255).astype(np.uint8)

    def farthest(
        self, pixels: Float[Tensor, "1 C H W"]
    ) -> tuple[Float[Tensor, "1 C H W"], list[float]]:
        """Find the farthest image.

        Args:
            pixels: 0..1, on the CPU.

        Returns:
            It, and the cosine distance after the noise and after each step.
        """
        epsilon = self.settings.epsilon
        if epsilon == 0:  # the step would be 0, and so would every gradient
            return pixels, [0.0] * (self.settings.steps + 1)
        device = next(self.encoder.parameters()).device
        clean = pixels.to(device)
        with torch.no_grad():
            goal = self._vectors(clean)
        noise = torch.rand(clean.shape, generator=torch.Generator().manual_seed(self.seed))
        moved = self._within(clean + epsilon * (2 * noise.to(device) - 1), clean)
        best, found = moved, list[float]()
        for step in range(self.settings.steps + 1):
            moved = moved.detach().requires_grad_()
            distance = 1 - F.cosine_similarity(self._vectors(moved), goal).squeeze()
            found.append(distance.item())
            if found[-1] >= max(found):
                best = moved.detach()
            if step < self.settings.steps:
                (slope,) = torch.autograd.grad(distance, moved)
                length = _STEP * epsilon / self.settings.steps
                moved = self._within(moved.detach() + length * slope.sign(), clean)
        return best.cpu(), found

    def _within(
        self, moved: Float[Tensor, "1 C H W"], clean: Float[Tensor, "1 C H W"]
    ) -> Float[Tensor, "1 C H W"]:
        epsilon = self.settings.epsilon
        return (clean + (moved - clean).clamp(-epsilon, epsilon)).clamp(0, 1)

    def _vectors(self, pixels: Float[Tensor, "1 C H W"]) -> Float[Tensor, "1 D"]:
        """Take the path of the features on disk: standardise, encode, pool, and norm.

        So what is moved is what a probe of pooled vectors reads, also of encoders that norm behind
        pooling. A probe that pools tokens by itself (`efficient`, `attentive`) reads the same
        tokens, and is attacked through this vector of them.
        """
        tokens = self.encoder.tokens(self.encoder.standardise(255 * pixels))
        vectors = self.encoder.vectors(tokens)
        return torch.cat([vectors[kind] for kind in self.kinds], dim=1)
