# SPDX-License-Identifier: Apache-2.0
"""Scene classification by full fine-tuning: encoder and linear head trained together."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from rspipe.evaluate.base import N_EXAMPLES, Scores, UndefinedScore
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.classification.probing import (
    SCORED,
    Answers,
    examples,
    note_confidence,
    score,
    spread_over,
)
from rspipe.evaluate.classification.tuning.classifier import SceneClassifier
from rspipe.evaluate.classification.tuning.pictures import SceneSet, for_testing, for_training
from rspipe.evaluate.classification.tuning.settings import FineTuning
from rspipe.evaluate.classification.tuning.training import Plan, predict, train_classifier
from rspipe.evaluate.config import What
from rspipe.evaluate.splits import Fold
from rspipe.models.backbone import Backbone
from rspipe.schema import Task


@dataclass(frozen=True)
class Trained:
    """What one training said of the test images."""

    predicted: list[int]
    """Class of each test image; -1 where it cannot be read."""
    faults: dict[str, str]
    """Unreadable images of both parts, by path."""
    final_loss: float | None
    """Of the last step; null where the training was killed behind it."""
    confidence: list[float] = field(default_factory=list)
    """Softmax probability of the named class of each test image; older files lack it."""


class FineTuned:
    """Trains per fold and seed, scores the weights that the last epoch leaves.

    Nothing is chosen, so a publisher's validation split trains too.
    """

    task: ClassVar[Task] = "classification"
    protocol: ClassVar[str] = "fine_tune"
    metric: ClassVar[str] = "OA"

    def __init__(self, what: What, device: torch.device) -> None:
        self.what = what
        self.device = device

    @property
    def convention(self) -> str:
        """Score, training and repetition."""
        return (
            f"{SCORED}; encoder fine-tuned with a linear head on its class token; weights after "
            "the last epoch, none chosen by test images; shorter side resized to 256/224 of the "
            f"input, centre crop; mean of {self.settings.seeds} seeds"
        )

    @property
    def settings(self) -> FineTuning:
        """Training."""
        return self.what.fine_tune

    def run_on_pixels(self, benchmark: Benchmark, encoder: Backbone, work: Path) -> Scores:
        """Train per fold and seed, predict the test part, score all predictions together.

        Killed, it goes on: finished trainings are kept as their predictions, the one that was
        under way as a checkpoint.

        Raises:
            UndefinedScore: an image to train on or to score is lacking.
        """
        seeds = range(self.what.seed, self.what.seed + self.settings.seeds)
        runs = [
            [self._trained(benchmark, fold, encoder, seed, work / f"fold_{number}_seed_{seed}")
             for number, fold in enumerate(benchmark.folds)]
            for seed in seeds
        ]  # fmt: skip
        predicted = np.array([[i for one in folds for i in one.predicted] for folds in runs])
        readable = (predicted >= 0).all(axis=0)
        if not readable.any():
            raise UndefinedScore("no test image can be read")
        answers = Answers.of(benchmark)
        sure = np.array([share for one in runs[0] for share in one.confidence])
        shares = sure[readable] if len(sure) == predicted.shape[1] else None
        tested, predicted = benchmark.tested[readable], predicted[:, readable]
        scores = score(answers, tested, predicted, self.what)
        note_confidence(scores, shares, "softmax probability")
        for one in (one for folds in runs for one in folds):
            scores.unreadable.update(one.faults)
        scores.extra["final_loss"] = [[one.final_loss for one in folds] for folds in runs]
        plan = Plan.of(_n_train(benchmark.folds[0]), self.settings)
        scores.extra["plan"] = {**asdict(plan), "steps": plan.steps}
        shown = spread_over(len(tested), N_EXAMPLES)
        scores.examples.extend(examples(answers, tested[shown], predicted[0, shown]))
        scores.columns["n_train"] = _n_train(benchmark.folds[0])
        for left in (*work.glob("fold_*_seed_*.pt"), *work.glob("fold_*_seed_*.json")):
            left.unlink()
        return scores

    def _trained(
        self, benchmark: Benchmark, fold: Fold, encoder: Backbone, seed: int, stem: Path
    ) -> Trained:
        """Train with one seed, or take what a killed evaluation had finished."""
        done, checkpoint = stem.with_suffix(".json"), stem.with_suffix(".pt")
        if done.is_file():
            return Trained(**json.loads(done.read_text()))
        train = np.concatenate([fold.train, fold.validation])
        if len(train) < 2:
            raise UndefinedScore("fine-tuning needs two images to train on")
        model = SceneClassifier(encoder, len(benchmark.classes), self.settings, seed)
        config = model.encoder.config
        faults: dict[str, str] = {}
        learned = SceneSet(benchmark, for_training(config, self.settings))
        losses = train_classifier(model, learned, train, self.settings, seed, checkpoint, faults)
        scored = SceneSet(benchmark, for_testing(config))
        labels, sure = predict(model, scored, fold.test, self.settings, faults)
        loss = round(losses[-1], 6) if losses else None
        trained = Trained(labels.tolist(), faults, loss, sure.tolist())
        _write(done, json.dumps(asdict(trained)))
        checkpoint.unlink(missing_ok=True)
        return trained


def _n_train(fold: Fold) -> int:
    return len(fold.train) + len(fold.validation)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)
