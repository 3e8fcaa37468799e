# SPDX-License-Identifier: Apache-2.0
"""Scene classification on frozen features: a probe per cell, scored by its confusion."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int

from rspipe.evaluate import confusion
from rspipe.evaluate.base import N_EXAMPLES, Scores
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.classification.probes.base import (
    Confidence,
    Constant,
    Fitted,
    Images,
    Indices,
    Labelled,
    Labels,
    Probe,
)
from rspipe.evaluate.config import What
from rspipe.evaluate.encoders import Gives
from rspipe.evaluate.frozen.features import Features
from rspipe.evaluate.frozen.tokens import FrozenTokens
from rspipe.evaluate.splits import Fold, hash_order, stratified_share
from rspipe.evaluate.uncertainty import Estimates, bootstrap, deviation
from rspipe.recipe import Strict
from rspipe.schema import Task

NAMES = ("OA", "AA", "macro_f1")
SCORED = (
    "OA: overall accuracy (micro), 0..1; AA: mean of the recalls of all classes (balanced "
    "accuracy); percentile bootstrap over test images"
)


@dataclass(frozen=True)
class Answers:
    """The classes of a benchmark's images."""

    labels: Labels
    paths: tuple[str, ...]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, benchmark: Benchmark) -> "Answers":
        """Number the classes in the benchmark's order."""
        index = benchmark.class_index
        labels = np.array([index[str(r.annotation.label)] for r in benchmark.records])
        paths = tuple(record.source_path for record in benchmark.records)
        return cls(labels, paths, benchmark.classes)


@dataclass(frozen=True)
class Scenes:
    """A benchmark's images with their classes, as one encoder sees them."""

    features: FrozenTokens
    labels: Labels
    paths: tuple[str, ...]
    classes: tuple[str, ...]

    @classmethod
    def of(cls, benchmark: Benchmark, features: Features) -> "Scenes":
        """Take the classes of a benchmark to its features."""
        known = Answers.of(benchmark)
        return cls(features.images, known.labels, known.paths, known.classes)

    def images(self, ids: Indices) -> Images:
        """Take images, without their labels."""
        return Images(self.features, ids)

    def labelled(self, ids: Indices) -> Labelled:
        """Take images with their labels."""
        return Labelled(self.images(ids), self.labels[ids], len(self.classes))

    def part(self, train: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
        """Part images in those that train and those that choose, class by class, by a hash.

        The choosing part may be empty: a class of n images gives round(n * share) to it.
        """
        order = hash_order([self.paths[i] for i in train], seed)
        held, kept = stratified_share(order, self.labels[train].tolist(), share)
        return train[kept], train[held]


class Classification:
    """One probe as a protocol.

    Settings are chosen by the benchmark's validation split, else by a share of the train part
    that a hash of the paths picks within each class; the final probe is fitted on both. A probe
    that draws random numbers is fitted with several seeds: the score is the mean over them,
    their spread stands apart from the interval, which is over test images alone.
    """

    task: ClassVar[Task] = "classification"
    metric: ClassVar[str] = "OA"

    def __init__(self, probe: type[Probe], what: What, device: torch.device) -> None:
        self.probe = probe(what, device)
        self.what = what

    @property
    def protocol(self) -> str:
        """The probe's name."""
        return self.probe.name

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
        many = f"; mean of {self.what.probe_seeds} seeds" if self.probe.is_random else ""
        return f"{SCORED}; {self.probe.rule}{many}"

    @property
    def settings(self) -> Strict:
        """The probe's part of the recipe."""
        return self.probe.settings

    def run(self, benchmark: Benchmark, features: Features) -> Scores:
        """Fit and predict fold by fold, then score all predictions together."""
        scenes = Scenes.of(benchmark, features)
        found = [
            Predictions.of(fitted, scenes.images(fold.test))
            for fitted, fold in zip(self.fit_folds(benchmark, scenes), benchmark.folds, strict=True)
        ]
        tested = benchmark.tested
        joined = Predictions.joined(found)
        scores = score(scenes, tested, joined.labels, self.what)
        note_confidence(scores, joined.confidence, self.probe.confidence)
        scores.extra["folds"] = joined.notes
        if joined.variants:
            scores.extra["variants"] = {
                name: round(float((guess == scenes.labels[tested]).mean()), 6)
                for name, guess in joined.variants.items()
            }
        shown = spread_over(len(tested), N_EXAMPLES)
        scores.examples.extend(examples(scenes, tested[shown], joined.labels[0, shown]))
        scores.arrays.update(attention_maps(joined.fitted, benchmark.folds, scenes, tested[shown]))
        return scores

    def fit_folds(self, benchmark: Benchmark, scenes: Scenes) -> list[list[Fitted]]:
        """Fit the probe of each fold, once per seed; no test image is looked at."""
        seeds = range(self.what.seed, self.what.seed + self.what.probe_seeds)
        runs = list(seeds) if self.probe.is_random else [self.what.seed]
        found = []
        for fold in benchmark.folds:
            train, validation = fold.train, fold.validation
            if not len(validation):
                train, validation = scenes.part(train, self.what.validation_share, self.what.seed)
            found.append(fit(self.probe, scenes, train, validation, runs))
        return found


def fit(
    probe: Probe,
    scenes: Scenes,
    train: Indices,
    validation: Indices,
    seeds: Sequence[int],
) -> list[Fitted]:
    """Fit a probe; where all its images are of one class, that class is the answer."""
    present = np.unique(scenes.labels[np.concatenate([train, validation])])
    if len(present) == 1:
        notes: dict[str, Any] = {"note": "one class in the train part"}
        return [Constant(int(present[0]), notes)] * len(seeds)
    return probe.fit(scenes.labelled(train), scenes.labelled(validation), seeds)


@dataclass(frozen=True)
class Predictions:
    """What fitted probes say of test images."""

    labels: Int[np.ndarray, "S n"]
    """Per seed."""
    confidence: Confidence | None
    """Of the first seed; None where the probe of a fold has none."""
    variants: dict[str, Labels]
    """Of the first seed, with other settings."""
    notes: list[list[dict[str, Any]]]
    """Per fold and seed."""
    fitted: list[Fitted]
    """Of each fold, with the first seed."""

    @classmethod
    def of(cls, fitted: Sequence[Fitted], images: Images) -> "Predictions":
        """Predict the test part of one fold."""
        first, confidence = fitted[0].predict_surely(images)
        labels = np.stack([first, *(one.predict(images) for one in fitted[1:])])
        notes = [one.notes for one in fitted]
        return cls(labels, confidence, fitted[0].variants(images), [notes], [fitted[0]])

    @classmethod
    def joined(cls, folds: Sequence["Predictions"]) -> "Predictions":
        """Lay folds end to end; a variant that one fold lacks is left out."""
        shared = [n for n in folds[0].variants if all(n in fold.variants for fold in folds)]
        sure = [fold.confidence for fold in folds if fold.confidence is not None]
        return cls(
            np.concatenate([fold.labels for fold in folds], axis=1),
            np.concatenate(sure) if len(sure) == len(folds) else None,
            {n: np.concatenate([fold.variants[n] for fold in folds]) for n in shared},
            [notes for fold in folds for notes in fold.notes],
            [one for fold in folds for one in fold.fitted],
        )


def score(
    scenes: Scenes | Answers, tested: Indices, predicted: Int[np.ndarray, "S n"], what: What
) -> Scores:
    """Score predictions: means over seeds, with intervals over images; per class its recall."""
    truth = scenes.labels[tested]
    found = estimate(truth, predicted, len(scenes.classes), what)
    counts = sum(confusion.confusion_of(truth, one, len(scenes.classes)) for one in predicted)
    arrays = {
        "confusion": np.asarray(counts),
        "truth": truth,
        "predicted": predicted,
        "paths": np.array([scenes.paths[i] for i in tested]),
    }
    scores = Scores.from_estimates(found, NAMES, scenes.classes, arrays)
    by_seed = (predicted == truth).mean(axis=1)
    scores.columns.update(n_seeds=len(by_seed), seed_std=deviation(by_seed))
    scores.extra["by_seed"] = by_seed.round(6).tolist()
    return scores


def note_confidence(scores: Scores, sure: Confidence | None, meaning: str | None) -> None:
    """Keep how sure the first seed is of each test image, and say in words what that is."""
    if sure is not None and meaning is not None:
        scores.arrays["confidence"] = sure.astype(np.float32)
        scores.extra["confidence"] = f"{meaning} of the named class, first seed; not calibrated"


def estimate(
    truth: Labels, predicted: Int[np.ndarray, "S n"], n_classes: int, what: What
) -> Estimates:
    """Estimate OA, AA, macro-F1 and the recall of each class, as means over seeds."""

    def statistic(images: Indices) -> Float[np.ndarray, " m"]:
        every = [
            _scores_of(confusion.confusion_of(truth[images], one[images], n_classes))
            for one in predicted
        ]
        means: Float[np.ndarray, " m"] = np.mean(every, axis=0)
        return means

    return bootstrap(statistic, len(truth), what.bootstrap.resamples, what.seed)


def _scores_of(counts: confusion.Counts) -> Float[np.ndarray, " m"]:
    recall = confusion.recall(counts)
    balanced = confusion.mean_defined(recall)
    macro_f1 = confusion.mean_defined(confusion.f1(counts))
    return np.array([confusion.overall_accuracy(counts), balanced, macro_f1, *recall])


def spread_over(count: int, most: int) -> Indices:
    """Places spread over a list: neighbours in it are mostly of one class."""
    return np.unique(np.linspace(0, count - 1, most).astype(int))


def examples(scenes: Scenes | Answers, shown: Indices, guesses: Labels) -> list[dict[str, Any]]:
    """Describe predictions of a few images."""
    return [
        {
            "path": scenes.paths[i],
            "truth": scenes.classes[scenes.labels[i]],
            "predicted": scenes.classes[guess],
        }
        for i, guess in zip(shown, guesses, strict=True)
    ]


def attention_maps(
    fitted: Sequence[Fitted], folds: Sequence[Fold], scenes: Scenes, shown: Indices
) -> dict[str, Float[np.ndarray, "n M h w"]]:
    """Where each query of a pooling probe looks in the shown images, fold after fold."""
    maps = []
    for one, fold in zip(fitted, folds, strict=True):
        here = shown[np.isin(shown, fold.test)]
        if not len(here):
            continue
        weights = one.attention(scenes.images(here))
        if weights is None or scenes.features.grid is None:
            return {}
        maps.append(weights.reshape(*weights.shape[:2], *scenes.features.grid))
    return {"attention": np.concatenate(maps).astype(np.float16)}
