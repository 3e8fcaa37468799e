# SPDX-License-Identifier: Apache-2.0
"""What a probe is: something small that is fitted on frozen features and names classes.

A probe is given the train and the validation part with their labels and, only once it is fitted,
the test images without theirs. So nothing of the test part can take part in a choice.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from rspipe.evaluate.config import What
from rspipe.evaluate.encoders import Gives
from rspipe.evaluate.frozen.tokens import FrozenTokens, Norm
from rspipe.recipe import Strict

Vectors = Float[np.ndarray, "n D"]
Labels = Int[np.ndarray, " n"]
Indices = Int[np.ndarray, " n"]
Confidence = Float[np.ndarray, " n"]
Setting = TypeVar("Setting", float, int)


@dataclass(frozen=True)
class Images:
    """Some images of a benchmark, as an encoder sees them; no labels."""

    features: FrozenTokens
    ids: Indices

    def __len__(self) -> int:
        return len(self.ids)

    def vectors(self, pooling: str, norm: Norm) -> Vectors:
        """One vector per image."""
        return self.features.vectors(self.ids, pooling, norm)

    def tokens(
        self, chosen: Indices, norm: Norm, class_token: bool, device: torch.device
    ) -> Float[Tensor, "b T D"]:
        """Tokens of some of these images, by their places here."""
        return self.features.tokens(self.ids[chosen], norm, class_token, device)

    def parts(self, most: int) -> Iterator[Indices]:
        """Yield places of consecutive images, so many at a time."""
        for start in range(0, len(self), most):
            yield np.arange(start, min(start + most, len(self)))


@dataclass(frozen=True)
class Labelled:
    """Images with their classes."""

    images: Images
    labels: Labels
    """Of each image, 0 .. n_classes - 1."""
    n_classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def joined(self, other: "Labelled") -> "Labelled":
        """These images, then those."""
        ids = np.concatenate([self.images.ids, other.images.ids])
        labels = np.concatenate([self.labels, other.labels])
        return Labelled(Images(self.images.features, ids), labels, self.n_classes)

    @property
    def present(self) -> Labels:
        """Classes that have an image."""
        return np.unique(self.labels)


class Fitted(ABC):
    """A probe after fitting."""

    notes: dict[str, Any]
    """JSON-able: the settings that were chosen, and what led to the choice."""

    @abstractmethod
    def predict(self, images: Images) -> Labels:
        """Name the class of each image."""

    def predict_surely(self, images: Images) -> tuple[Labels, Confidence | None]:
        """Name the class of each image, and say how sure that is, where the probe can.

        Returns:
            What `predict` returns, and of each image the share that the named class has of all
            classes, 0..1; what it is a share of, the probe's `confidence` says.
        """
        return self.predict(images), None

    def variants(self, images: Images) -> dict[str, Labels]:
        """Predictions with other settings, by their description; scored beside, never chosen."""
        return {}

    def attention(self, images: Images) -> Float[np.ndarray, "n M T"] | None:
        """Weights over the patch tokens for each query, where there are any."""
        return None


@dataclass(frozen=True)
class Constant(Fitted):
    """The same class for every image."""

    label: int
    notes: dict[str, Any] = field(default_factory=dict)

    def predict(self, images: Images) -> Labels:
        """Name that class."""
        return np.full(len(images), self.label)


class Probe(ABC):
    """One way to read classes off frozen features."""

    name: ClassVar[str]
    reads: ClassVar[Gives]
    rule: ClassVar[str]
    """How it is fitted, for the results' convention."""
    confidence: ClassVar[str | None] = None
    """What says how sure a prediction is; None: nothing does."""
    is_random: ClassVar[bool] = False
    """Whether fitting draws random numbers, so that it is repeated with several seeds."""

    def __init__(self, what: What, device: torch.device) -> None:
        self.what = what
        self.device = device

    @property
    @abstractmethod
    def settings(self) -> Strict:
        """The part of the recipe that changes this probe's numbers."""

    @property
    def input_name(self) -> str:
        """What it reads of an encoder."""
        return f"{self.what.pooling}, {self.what.norm}-norm"

    @abstractmethod
    def fit(self, train: Labelled, validation: Labelled, seeds: Sequence[int]) -> list[Fitted]:
        """Choose settings by the validation part, then fit on both parts, once per seed.

        Args:
            train: at least two classes have an image in it or in `validation`.
            validation: may be empty: then nothing is chosen, and defaults hold.
            seeds: of the final fits; a probe that draws nothing uses the first alone.
        """


def best_of(accuracy: dict[Setting, float]) -> Setting:
    """Take the setting with the best accuracy; at a tie the smallest."""
    return max(accuracy, key=lambda setting: (accuracy[setting], -setting))


def middle_of(grid: Sequence[Setting]) -> Setting:
    """Take the middle of a grid: what holds where nothing can be chosen."""
    return sorted(grid)[len(grid) // 2]


def described(accuracy: dict[Setting, float]) -> dict[str, float]:
    """Accuracies by setting, for a row's notes."""
    return {f"{setting:g}": round(value, 6) for setting, value in accuracy.items()}
