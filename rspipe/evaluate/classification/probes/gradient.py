# SPDX-License-Identifier: Apache-2.0
"""Heads trained by LARS on cached features: what linear, efficient and attentive probing share.

Differs from the probes of masked autoencoders, which encode every augmented crop anew: features
are cached, so there is no augmentation; batches are smaller and small sets are passed more
often, so the rate is chosen on validation images and not scaled by the batch. The head of the
last step is scored, never the best one.
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from rspipe.evaluate.classification.probes.base import (
    Confidence,
    Fitted,
    Images,
    Indices,
    Labelled,
    Labels,
    Probe,
    best_of,
    described,
    middle_of,
)
from rspipe.evaluate.classification.probes.lars import Lars
from rspipe.evaluate.classification.probes.pooling import TokenPool
from rspipe.evaluate.config import GradientProbe as Settings
from rspipe.evaluate.config import TokenProbing
from rspipe.models.encoder import seeded

Read: TypeAlias = Callable[[Indices], Tensor]
"""From places of images to what the head reads of them."""

_PREDICT = 256
"""Images at a time when nothing is trained."""


class GradientProbe(Probe):
    """A head, trained with cross-entropy."""

    confidence = "softmax probability"
    is_random = True

    @property
    @abstractmethod
    def settings(self) -> Settings:
        """Rates, batch and steps."""

    @abstractmethod
    def make_head(self, width: int, n_classes: int) -> nn.Module:
        """Build the head for features of so many channels."""

    @abstractmethod
    def reader(self, images: Images) -> Read:
        """Say how the head's input is read."""

    def fit(self, train: Labelled, validation: Labelled, seeds: Sequence[int]) -> list[Fitted]:
        """Choose the rate with the first seed, then train once per seed on both parts."""
        lr = middle_of(self.settings.lr_grid)
        accuracy: dict[float, float] = {}
        if len(validation) and len(train.present) > 1 and len(self.settings.lr_grid) > 1:
            for rate in sorted(self.settings.lr_grid):
                found = self._train(train, rate, seeds[0]).predict(validation.images)
                accuracy[rate] = float((found == validation.labels).mean())
            lr = best_of(accuracy)
        both = train.joined(validation)
        fitted = [self._train(both, lr, seed) for seed in seeds]
        fitted[0].notes["validation_accuracy"] = described(accuracy)
        return list(fitted)

    def _train(self, labelled: Labelled, lr: float, seed: int) -> "Head":
        read = self.reader(labelled.images)
        targets = torch.from_numpy(labelled.labels)
        batch = min(self.settings.images_per_step, len(labelled))
        steps = max(self.settings.min_steps, self.settings.epochs * len(labelled) // batch)
        with seeded(seed):
            head = self.make_head(read(np.arange(1)).shape[-1], labelled.n_classes)
        head.to(self.device).train()
        optimiser = Lars(head.parameters(), lr=0.0)
        loss = torch.zeros(())
        for step, chosen in zip(range(steps), stream(len(labelled), batch, seed), strict=False):
            share = rate_share(step / steps, self.settings.warmup_share)
            for group in optimiser.param_groups:
                group["lr"] = lr * share
            logits = head(read(chosen))
            loss = F.cross_entropy(logits, targets[chosen].to(self.device))
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
        notes = {"lr": lr, "steps": steps, "images_per_step": batch, "last_loss": loss.item()}
        return Head(self, head.eval(), notes)


class TokenProbe(GradientProbe):
    """A head that pools patch tokens by itself."""

    reads = "tokens"

    @property
    @abstractmethod
    def settings(self) -> TokenProbing:
        """Which tokens; rates, batch and steps."""

    @property
    def input_name(self) -> str:
        """Which tokens."""
        first = "class and " if self.settings.class_token else ""
        return f"{first}patch tokens, {self.settings.norm}-norm"

    def reader(self, images: Images) -> Read:
        """Read tokens from the file, batch by batch."""
        norm, class_token = self.settings.norm, self.settings.class_token
        return lambda chosen: images.tokens(chosen, norm, class_token, self.device)


def stream(count: int, batch: int, seed: int) -> Iterator[Int[np.ndarray, " b"]]:
    """Yield batches of one size without end: shuffled passes over the images, end to end."""
    rng = np.random.default_rng(seed)
    left = np.empty(0, dtype=np.int64)
    while True:
        while len(left) < batch:
            left = np.concatenate([left, rng.permutation(count)])
        yield left[:batch]
        left = left[batch:]


def rate_share(progress: float, warmup: float) -> float:
    """Share of the peak rate: rises linearly from 0, then falls as half a cosine to 0."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


class Head(Fitted):
    """A trained head."""

    def __init__(self, probe: GradientProbe, module: nn.Module, notes: dict[str, Any]) -> None:
        self.probe = probe
        self.module = module
        self.notes = notes

    @torch.no_grad()
    def logits(self, images: Images) -> Float[Tensor, "n K"]:
        """Score every class of each image."""
        read = self.probe.reader(images)
        parts = [self.module(read(p)).cpu() for p in images.parts(_PREDICT)]
        return torch.cat(parts)

    def predict(self, images: Images) -> Labels:
        """Name the class with the highest score."""
        return self.predict_surely(images)[0]

    def predict_surely(self, images: Images) -> tuple[Labels, Confidence]:
        """Name the class with the highest score, and its softmax probability."""
        logits = self.logits(images)
        return logits.argmax(dim=1).numpy(), logits.softmax(dim=1).amax(dim=1).numpy()

    @torch.no_grad()
    def attention(self, images: Images) -> Float[np.ndarray, "n M T"] | None:
        """Weights over the patch tokens, where the head pools tokens by itself."""
        pool = next(self.module.children())
        if not isinstance(pool, TokenPool):
            return None
        read = self.probe.reader(images)
        weights = [pool.attention(read(part)).cpu() for part in images.parts(_PREDICT)]
        patches = math.prod(images.features.grid or (0, 0))
        return torch.cat(weights)[:, :, -patches:].numpy()


def classifier(width: int, n_classes: int) -> list[nn.Module]:
    """Batch normalisation without gain, then a linear layer with small weights.

    Source: He et al. 2022, arXiv:2111.06377, app. A.1, "Linear probing".
    """
    layer = nn.Linear(width, n_classes)
    nn.init.trunc_normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return [nn.BatchNorm1d(width, eps=1e-6, affine=False), layer]


def divisor_of(width: int, wanted: int) -> int:
    """Take the largest number up to `wanted` that divides the width."""
    return next(number for number in range(wanted, 0, -1) if width % number == 0)
