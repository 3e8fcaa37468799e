# SPDX-License-Identifier: Apache-2.0
"""What an evaluator is, and the row that it fills."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

from rspipe.errors import RspipeError
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.encoders import Gives, Judged
from rspipe.evaluate.frozen.features import Features
from rspipe.evaluate.frozen.token_extraction import TokenCache
from rspipe.evaluate.uncertainty import Estimates
from rspipe.models.backbone import Backbone
from rspipe.recipe import Strict
from rspipe.schema import Task

RESULTS_VERSION = 1
N_EXAMPLES = 6
"""Test images whose predictions are kept for pictures."""


class UndefinedScore(RspipeError):
    """A benchmark's images or labels allow no score; the row says why."""


class EvalResult(Strict):
    """One number: a benchmark, a protocol, an encoder; or why there is no number."""

    benchmark: str
    task: Task
    status: Literal["done", "skipped"]
    reason: str | None = None
    """Why a benchmark was skipped."""
    protocol: str | None = None
    encoder: str | None = None
    """`pretrained`, a baseline (`random`, `image_statistics`), or `none`: only labels count."""
    encoder_sha256: str | None = None
    """Of the weights file; of all weights in memory for `random`; of the definition of a floor."""
    corpus_fingerprint: str | None = None
    """Of the corpus that the encoder was trained on, by the manifest of its run; null: no run of
    these weights says so."""
    metric: str | None = None
    convention: str | None = None
    """Which of the definitions that share the metric's name."""
    value: float | None = None
    """0..1, higher is better."""
    ci_low: float | None = None
    ci_high: float | None = None
    """95 % bootstrap interval over test images; null with a single image."""
    n_train: int | None = None
    """Training images; with folds, of the first; of the largest part of a label curve."""
    n_validation: int | None = None
    """Images of the publisher's validation split, which choose settings; 0: a share of the
    training images does."""
    n_test: int | None = None
    n_classes: int | None = None
    n_folds: int | None = None
    n_audited: int | None = None
    """Test images that were compared with what the encoder was trained on; null: unknown."""
    n_leaked: int | None = None
    """Those of them that it holds; `extra.contamination` names them."""
    clean_value: float | None = None
    """The score without the leaked images."""
    clean_ci_low: float | None = None
    clean_ci_high: float | None = None
    n_unreadable: int | None = None
    """Listed images that could not be decoded; `results.json` names them in `extra`."""
    pooling: str | None = None
    """What the protocol reads of an encoder: pooling, and tokens before or after the final norm."""
    seed: int | None = None
    n_seeds: int | None = None
    """Repetitions (trainings, or draws of training images) whose mean the value is."""
    seed_std: float | None = None
    """Standard deviation of the value over them; no part of the interval."""
    elapsed_s: float | None = None
    """Wall time of this cell, feature extraction not included."""
    cell: str | None = None
    """Fingerprint; names the files below `cells/`."""
    per_class: dict[str, float | None] = Field(default_factory=dict)
    extra: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Scores:
    """What an evaluator found, headline first."""

    value: float
    ci_low: float | None
    ci_high: float | None
    per_class: dict[str, float | None] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    """JSON-able: further scores with intervals, settings that were chosen on the way."""
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    """Confusion matrices, predicted masks, precision by recall, for `cells/<fingerprint>.npz`."""
    examples: list[dict[str, Any]] = field(default_factory=list)
    """JSON-able predictions of a few test images."""
    columns: dict[str, Any] = field(default_factory=dict)
    """Columns of the row that the evaluator knows: n_seeds, seed_std, n_train of a curve."""
    unreadable: dict[str, str] = field(default_factory=dict)
    """Masks that could not be read, and why; their images neither trained nor were scored."""
    estimates: Estimates | None = None
    """What the scores were read from: it can score some of the images alone."""

    @classmethod
    def from_estimates(
        cls,
        found: Estimates,
        names: tuple[str, ...],
        classes: tuple[str, ...],
        arrays: dict[str, np.ndarray] | None = None,
    ) -> "Scores":
        """Sort estimates into headline, further scores and scores per class.

        Args:
            found: first the named scores, headline first, then one score per class.
            names: of the scores that are not per class.
            classes: of the scores that are.
            arrays: kept as they are.
        """
        triples = [
            tuple(None if np.isnan(v) else float(v) for v in triple)
            for triple in zip(found.values, found.low, found.high, strict=True)
        ]
        further = {
            name: {"value": value, "ci_low": low, "ci_high": high}
            for name, (value, low, high) in zip(names[1:], triples[1:], strict=False)
        }
        of_classes = dict(zip(classes, triples[len(names) :], strict=True))
        return cls(
            value=float(found.values[0]),
            ci_low=triples[0][1],
            ci_high=triples[0][2],
            per_class={name: triple[0] for name, triple in of_classes.items()},
            extra={
                **further,
                "per_class_ci": {name: list(triple[1:]) for name, triple in of_classes.items()},
            },
            arrays=arrays or {},
            estimates=found,
        )


class Judging(Protocol):
    """What every protocol of a task says of itself."""

    @property
    def task(self) -> Task:
        """What is to be predicted."""

    @property
    def protocol(self) -> str:
        """Its name in the EVALUATORS table."""

    @property
    def metric(self) -> str:
        """Name of the headline score."""

    @property
    def convention(self) -> str:
        """Which of the definitions that share the metric's name, and how it came about."""

    @property
    def settings(self) -> Strict:
        """The part of the recipe that changes this evaluator's numbers."""


@runtime_checkable
class Evaluator(Judging, Protocol):
    """One protocol of one task: train something small on frozen features, score it."""

    @property
    def reads(self) -> Gives:
        """What it needs of an encoder."""

    @property
    def input_name(self) -> str:
        """What it reads of an encoder, in words: pooling, and before or after the final norm."""

    def run(self, benchmark: Benchmark, features: Features) -> Scores:
        """Fit on the train part of every fold, predict the test part, score all predictions."""


@runtime_checkable
class FloorEvaluator(Judging, Protocol):
    """One protocol that reads images itself and asks no encoder: what all of them have to beat."""

    @property
    def reads(self) -> Literal["labels"]:
        """Nothing of an encoder."""

    def run_without_encoder(self, benchmark: Benchmark) -> Scores:
        """Fit on the train part of every fold, predict the test part, score all predictions.

        Args:
            benchmark: with images that may turn out unreadable.
        """


@runtime_checkable
class EncodingEvaluator(Judging, Protocol):
    """One protocol that reads frozen features, and has further images encoded by itself."""

    @property
    def reads(self) -> Gives:
        """What it needs of an encoder."""

    @property
    def input_name(self) -> str:
        """What it reads of an encoder, in words."""

    def run_with_encoder(
        self, benchmark: Benchmark, features: Features, judged: Judged, cache: TokenCache
    ) -> Scores:
        """Fit on the train part of every fold, predict the test part and what it is made into.

        Args:
            benchmark: with images that can be read.
            features: of its images.
            judged: the encoder that made them.
            cache: where further features go.
        """


@runtime_checkable
class PixelEvaluator(Judging, Protocol):
    """One protocol that reads images itself, crop by crop, and may train the encoder.

    No features are made for it. What it cannot read it notes in `Scores.unreadable`, images as
    well as masks.
    """

    def run_on_pixels(self, benchmark: Benchmark, encoder: Backbone, work: Path) -> Scores:
        """Train on the train part of every fold, predict the test part, score all predictions.

        Args:
            benchmark: with images that may turn out unreadable.
            encoder: left as it is: what trains is a copy.
            work: a folder of this cell alone, for checkpoints and predictions; it may not exist.
        """
