# SPDX-License-Identifier: Apache-2.0
"""Accuracy by number of labels: few-shot and label-share curves of one probe."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from rspipe.errors import RecipeError
from rspipe.evaluate.base import N_EXAMPLES, Scores
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.classification.probes import PROBES
from rspipe.evaluate.classification.probes.base import Indices, Labels
from rspipe.evaluate.classification.probing import (
    SCORED,
    Predictions,
    Scenes,
    examples,
    fit,
    note_confidence,
    score,
    spread_over,
)
from rspipe.evaluate.config import FewShot, LabelShare, What
from rspipe.evaluate.encoders import Gives
from rspipe.evaluate.frozen.features import Features
from rspipe.evaluate.splits import hash_order
from rspipe.recipe import Strict, nearest_name
from rspipe.schema import Task


class _Settings(Strict):
    """What changes the numbers of a curve: its own dials, and those of its probe."""

    curve: dict[str, Any]
    probe: dict[str, Any]


class LabelCurve(ABC):
    """A probe fitted on growing parts of the train part, several draws of each.

    The draws of one number are nested: what a small part holds, every larger one holds. Settings
    are chosen within the drawn images alone (`validation_share` of them; with less than one image
    of a class to spare, the middle of the grid), so no label is used that is not counted. The
    row's score is that of the largest part; `extra.curve` holds all points. Each is the mean
    over draws, their deviation apart from the interval over test images.
    """

    task: ClassVar[Task] = "classification"
    metric: ClassVar[str] = "OA"
    protocol: ClassVar[str]

    def __init__(self, what: What, device: torch.device) -> None:
        self.what = what
        if self.dials.probe not in PROBES:
            raise RecipeError(
                f"what.{self.protocol}.probe: no probe {self.dials.probe!r}"
                f"{nearest_name(self.dials.probe, PROBES)}"
            )
        self.probe = PROBES[self.dials.probe](what, device)

    @property
    @abstractmethod
    def dials(self) -> FewShot | LabelShare:
        """The curve's part of the recipe."""

    @property
    @abstractmethod
    def sizes(self) -> Sequence[float]:
        """Sizes of the drawn parts."""

    @abstractmethod
    def many(self, size: float, of: int) -> int:
        """How many of a class's train images are drawn."""

    @property
    def settings(self) -> Strict:
        """The curve's dials and its probe's."""
        return _Settings(
            curve=self.dials.model_dump(mode="json"),
            probe=self.probe.settings.model_dump(mode="json"),
        )

    @property
    def reads(self) -> Gives:
        """What the probe reads."""
        return self.probe.reads

    @property
    def input_name(self) -> str:
        """What the probe reads of an encoder, in words."""
        return self.probe.input_name

    @property
    def convention(self) -> str:
        """Score, probe and repetition."""
        return (
            f"{SCORED}; {self.probe.rule}, all of them among the drawn images; mean of "
            f"{self.dials.draws} draws of the largest part"
        )

    def run(self, benchmark: Benchmark, features: Features) -> Scores:
        """Score every size; the largest is the headline."""
        scenes = Scenes.of(benchmark, features)
        curve: list[dict[str, Any]] = []
        for size in sorted(self.sizes):
            scores = self._score(benchmark, scenes, size)
            point = {"size": size, "value": scores.value}
            curve.append(
                {**point, "ci_low": scores.ci_low, "ci_high": scores.ci_high} | scores.columns
            )
        scores.extra["curve"] = curve
        return scores

    def _score(self, benchmark: Benchmark, scenes: Scenes, size: float) -> Scores:
        folds: list[Predictions] = []
        n_train = 0
        for fold in benchmark.folds:
            found = []
            for draw in range(self.what.seed, self.what.seed + self.dials.draws):
                chosen = self.draw(scenes, fold.train, size, draw)
                train, validation = scenes.part(chosen, self.what.validation_share, draw)
                found += fit(self.probe, scenes, train, validation, [draw])[:1]
            n_train = n_train or len(chosen)
            folds.append(Predictions.of(found, scenes.images(fold.test)))
        joined = Predictions.joined(folds)
        tested = benchmark.tested
        scores = score(scenes, tested, joined.labels, self.what)
        note_confidence(scores, joined.confidence, self.probe.confidence)
        scores.columns["n_train"] = n_train
        shown = spread_over(len(tested), N_EXAMPLES)
        scores.examples.extend(examples(scenes, tested[shown], joined.labels[0, shown]))
        return scores

    def draw(self, scenes: Scenes, train: Indices, size: float, seed: int) -> Indices:
        """Draw train images of every class, in the order of a hash of their paths."""
        order = train[hash_order([scenes.paths[i] for i in train], seed)]
        return np.sort(
            np.concatenate(
                [
                    members[: self.many(size, len(members))]
                    for members in _by_class(order, scenes.labels)
                ]
            )
        )


def _by_class(ids: Indices, labels: Labels) -> list[Indices]:
    """Images of each class that has any, in the order given."""
    return [ids[labels[ids] == label] for label in np.unique(labels[ids])]


class FewShotCurve(LabelCurve):
    """The same few images of every class; a class with fewer gives all it has."""

    protocol: ClassVar[str] = "few_shot"

    @property
    def dials(self) -> FewShot:
        """Shots, draws and the probe."""
        return self.what.few_shot

    @property
    def sizes(self) -> Sequence[float]:
        """Images per class."""
        return self.dials.shots

    def many(self, size: float, of: int) -> int:
        """So many of each class."""
        return min(int(size), of)


class LabelShareCurve(LabelCurve):
    """The same share of every class, at least one image."""

    protocol: ClassVar[str] = "label_share"

    @property
    def dials(self) -> LabelShare:
        """Shares, draws and the probe."""
        return self.what.label_share

    @property
    def sizes(self) -> Sequence[float]:
        """Shares of the train part."""
        return self.dials.shares

    def many(self, size: float, of: int) -> int:
        """A share of each class."""
        return max(1, round(size * of))
