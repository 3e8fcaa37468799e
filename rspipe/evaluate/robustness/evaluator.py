# SPDX-License-Identifier: Apache-2.0
"""A fitted probe on corrupted test images: how much accuracy goes, and how far features move."""

import time
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
import typer
from jaxtyping import Float

from rspipe.errors import RecipeError
from rspipe.evaluate.base import Scores
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.classification.probes import PROBES
from rspipe.evaluate.classification.probes.base import Fitted, Images
from rspipe.evaluate.classification.probing import Classification, Scenes
from rspipe.evaluate.config import What
from rspipe.evaluate.encoders import Gives, Judged
from rspipe.evaluate.frozen.features import Features
from rspipe.evaluate.frozen.token_extraction import TokenCache, extract_tokens
from rspipe.evaluate.frozen.tokens import FrozenTokens
from rspipe.evaluate.robustness.copies import Corruption, copies_of, corruptions_of
from rspipe.evaluate.robustness.settings import Robustness
from rspipe.evaluate.uncertainty import Estimates, bootstrap, deviation
from rspipe.recipe import Strict, nearest_name
from rspipe.schema import Task

Right = Float[np.ndarray, "S n"]
"""Whether each seed's probe is right of each test image."""


class _Settings(Strict):
    corruptions: dict[str, Any]
    probe: dict[str, Any]


class UnderCorruption:
    """One probe, fitted on clean images exactly as its own protocol fits it, never again.

    The score is the mean accuracy over the listed corruptions, each severity counting alike.
    `extra.corruptions` holds each of them: accuracy, its change against the clean test images
    with a paired interval (a resample draws the same images for both), and the mean cosine distance
    between clean and corrupted features.
    """

    task: ClassVar[Task] = "classification"
    metric: ClassVar[str] = "OA_corrupted"

    def __init__(self, probe: str, what: What, device: torch.device) -> None:
        if probe not in PROBES or PROBES[probe].confidence is None:
            raise RecipeError(
                f"what.robustness.probes: no probe {probe!r} that reads features"
                f"{nearest_name(probe, PROBES)}"
            )
        self.clean = Classification(PROBES[probe], what, device)
        self.what = what

    @property
    def robustness(self) -> Robustness:
        """Kinds and severities."""
        if self.what.robustness is None:
            raise RecipeError("what.robustness: null; there is nothing to corrupt images by")
        return self.what.robustness

    @property
    def protocol(self) -> str:
        """The probe's name, marked."""
        return f"{self.clean.protocol}_corrupted"

    @property
    def settings(self) -> Strict:
        """Corruptions, and the probe's part of the recipe; not which other probes are asked."""
        said = self.robustness.model_dump(mode="json", exclude={"probes"})
        return _Settings(corruptions=said, probe=self.clean.settings.model_dump(mode="json"))

    @property
    def reads(self) -> Gives:
        """What the probe reads."""
        return self.clean.reads

    @property
    def input_name(self) -> str:
        """What the probe reads of an encoder, in words."""
        return self.clean.input_name

    @property
    def convention(self) -> str:
        """The corruptions and their severities, then the probe's convention."""
        said = self.robustness.model_dump(mode="json", exclude={"probes"}, exclude_none=True)
        listed = ", ".join(f"{kind} {_listed(values)}" for kind, values in said.items() if values)
        return f"mean OA over corruptions of the test images: {listed}; {self.clean.convention}"

    def run_with_encoder(
        self, benchmark: Benchmark, features: Features, judged: Judged, cache: TokenCache
    ) -> Scores:
        """Fit on clean images, then predict the test part clean and under each corruption."""
        started = time.perf_counter()
        scenes = Scenes.of(benchmark, features)
        fitted = self.clean.fit_folds(benchmark, scenes)
        tested = benchmark.tested
        truth = scenes.labels[tested]
        clean = Images(scenes.features, tested)
        rights = [_right(fitted, benchmark, clean, truth)]
        distances = [np.zeros(len(tested))]
        found = list(self._corruptions(judged))
        for corruption in found:
            copies = Images(
                self._encode(benchmark, corruption, judged, cache), np.arange(len(tested))
            )
            rights.append(_right(fitted, benchmark, copies, truth))
            distances.append(_cosine_distance(*map(self._vectors, (clean, copies))))
        scores = self._score(found, np.stack(rights), np.stack(distances))
        scores.extra["feature_distance_between_images"] = self._between(clean)
        typer.echo(
            f"  {self.protocol}: {len(found)} corrupted copies of {len(tested)} test images, "
            f"{time.perf_counter() - started:.1f} s"
        )
        return scores

    def _corruptions(self, judged: Judged) -> Iterator[Corruption]:
        return corruptions_of(self.robustness, judged.network, judged, self.what)

    def _encode(
        self, benchmark: Benchmark, corruption: Corruption, judged: Judged, cache: TokenCache
    ) -> FrozenTokens:
        """Encode corrupted test images, or take the features that a killed run had made."""
        tokens = frozenset({"it"} if self.reads == "tokens" else ())
        copies = copies_of(benchmark, corruption)
        made = extract_tokens(copies, {"it": judged}, tokens, cache)
        if made.unreadable:
            raise ValueError(f"{benchmark.name}: images became unreadable: {made.unreadable}")
        return made.features["it"].images

    def _vectors(self, images: Images) -> Float[np.ndarray, "n D"]:
        return images.vectors(self.what.pooling, self.what.norm)

    def _between(self, clean: Images) -> float:
        """Mean distance of a test image and another one: the scale of all feature distances."""
        vectors = self._vectors(clean)
        order = np.random.default_rng(self.what.seed).permutation(len(vectors))
        return float(_cosine_distance(vectors[order], vectors[np.roll(order, 1)]).mean())

    def _score(
        self,
        corruptions: list[Corruption],
        rights: Float[np.ndarray, "C+1 S n"],
        distances: Float[np.ndarray, "C+1 n"],
    ) -> Scores:
        estimates = estimate(rights.mean(axis=1), distances, self.what)
        count = len(corruptions)
        triples = np.stack([estimates.values, estimates.low, estimates.high], axis=1).tolist()
        headline, clean, *rest = [_triple(*one) for one in triples]
        by_seed = rights[1:].mean(axis=(0, 2))
        return Scores(
            value=headline["value"],
            ci_low=headline["ci_low"],
            ci_high=headline["ci_high"],
            extra={
                "clean": clean,
                "corruptions": [
                    {
                        "kind": one.kind,
                        "severity": one.severity,
                        **rest[i],
                        "change": rest[count + i],
                        "feature_distance": rest[2 * count + i],
                    }
                    for i, one in enumerate(corruptions)
                ],
            },
            arrays={"right": rights.astype(bool), "feature_distance": distances.astype(np.float32)},
            columns={"n_seeds": len(by_seed), "seed_std": deviation(by_seed)},
            estimates=estimates,
        )


def estimate(
    right: Float[np.ndarray, "C+1 n"], distances: Float[np.ndarray, "C+1 n"], what: What
) -> Estimates:
    """Estimate, with paired intervals over test images, from each image's share of right seeds.

    Args:
        right: first of clean images, then of each corruption.
        distances: likewise.
        what: resamples and seed.

    Returns:
        The mean OA over corruptions, the clean OA, then for all corruptions their OA, for all its
        change against the clean one, for all the mean feature distance.
    """

    def statistic(images: np.ndarray) -> Float[np.ndarray, " m"]:
        means = right[:, images].mean(axis=1)
        moved = distances[1:, images].mean(axis=1)
        return np.concatenate(
            [[means[1:].mean(), means[0]], means[1:], means[1:] - means[0], moved]
        )

    return bootstrap(statistic, right.shape[1], what.bootstrap.resamples, what.seed)


def _right(
    fitted: list[list[Fitted]], benchmark: Benchmark, images: Images, truth: np.ndarray
) -> Right:
    """Predict the test images of every fold by that fold's probes."""
    start, parts = 0, []
    for probes, fold in zip(fitted, benchmark.folds, strict=True):
        part = Images(images.features, images.ids[start : start + len(fold.test)])
        start += len(fold.test)
        parts.append(np.stack([probe.predict(part) for probe in probes]))
    right: Right = (np.concatenate(parts, axis=1) == truth).astype(np.float64)
    return right


def _cosine_distance(
    first: Float[np.ndarray, "n D"], second: Float[np.ndarray, "n D"]
) -> Float[np.ndarray, " n"]:
    """1 - cosine, 0..2; of equal vectors exactly 0."""
    a, b = (np.asarray(one, np.float64) for one in (first, second))
    a, b = (one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-12) for one in (a, b))
    # |a - b|² / 2 equals 1 - a·b of unit vectors, and does not lose what small distances are.
    distance: Float[np.ndarray, " n"] = ((a - b) ** 2).sum(axis=1) / 2
    return distance


def _triple(value: float, low: float, high: float) -> dict[str, Any]:
    def plain(number: float) -> float | None:
        return None if np.isnan(number) else float(number)

    return {"value": float(value), "ci_low": plain(low), "ci_high": plain(high)}


def _listed(values: Any) -> str:
    """Say severities."""
    if isinstance(values, dict):
        return ", ".join(f"{name} {value:g}" for name, value in values.items())
    return " ".join(f"{value:g}" for value in values)
