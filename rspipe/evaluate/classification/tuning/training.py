# SPDX-License-Identifier: Apache-2.0
"""Trains a scene classifier; killed, it goes on from its checkpoint to the same weights.

Which pictures a step sees, how they are augmented and mixed are functions of the seed and the step
alone; the generator that drops paths is kept in the checkpoint.
"""

import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from timm.data import Mixup
from timm.loss import SoftTargetCrossEntropy
from torch import Tensor
from torch.utils.data import DataLoader

from rspipe.errors import RspipeError
from rspipe.evaluate.base import UndefinedScore
from rspipe.evaluate.classification.tuning.classifier import SceneClassifier
from rspipe.evaluate.classification.tuning.pictures import Scene, SceneSet, global_draws
from rspipe.evaluate.classification.tuning.settings import FineTuning
from rspipe.evaluate.tuning.checkpoint import TuningCheckpoint
from rspipe.progress import track

CHECKPOINT_EVERY = 100
"""Steps between checkpoints; a shorter training leaves none."""
_PART = 64
"""Pictures that a worker process makes at once."""
_IMAGE, _ORDER, _MIX = range(3)

Asked = tuple[int, tuple[int, ...]]
"""Position of a picture and the key of its draws."""


@dataclass(frozen=True)
class Plan:
    """Steps of a training, and their rates."""

    n_images: int
    images_per_step: int
    epochs: int
    warmup_epochs: float
    lr: float
    """Peak rate."""
    min_lr: float

    @classmethod
    def of(cls, n_images: int, settings: FineTuning) -> "Plan":
        """Plan a training: steps are of even size (mixing pairs pictures), the rate is by it."""
        B = min(settings.images_per_step, n_images)
        B -= B % 2
        return cls(n_images, B, settings.epochs, settings.warmup_epochs,
                   settings.base_lr * B / 256, settings.min_lr)  # fmt: skip

    @property
    def steps_per_epoch(self) -> int:
        """Whole steps."""
        return self.n_images // self.images_per_step

    @property
    def steps(self) -> int:
        """Of the training."""
        return self.epochs * self.steps_per_epoch

    def lr_at(self, step: int) -> float:
        """Rate in a step, counted from 0: linear from 0 in warm-up, then half a cosine."""
        epoch = step / self.steps_per_epoch
        if epoch < self.warmup_epochs:
            return self.lr * epoch / self.warmup_epochs
        done = (epoch - self.warmup_epochs) / max(self.epochs - self.warmup_epochs, 1e-9)
        return self.min_lr + (self.lr - self.min_lr) * (1 + math.cos(math.pi * done)) / 2

    def batches(self, train: Int[np.ndarray, " n"], seed: int, first: int) -> Iterator[list[Asked]]:
        """Yield what each step from `first` on sees: every epoch in an order of its own."""
        order = np.empty(0, dtype=np.int64)
        for step in range(first, self.steps):
            epoch, turn = divmod(step, self.steps_per_epoch)
            if turn == 0 or not len(order):
                order = np.random.default_rng((seed, _ORDER, epoch)).permutation(train)
            start = turn * self.images_per_step
            yield [
                (int(order[i]), (seed, _IMAGE, epoch * self.n_images + i))
                for i in range(start, start + self.images_per_step)
            ]


def train_classifier(
    model: SceneClassifier,
    scenes: SceneSet,
    train: Int[np.ndarray, " n"],
    settings: FineTuning,
    seed: int,
    checkpoint: Path,
    faults: dict[str, str],
) -> list[float]:
    """Train in place by AdamW and cross-entropy with mixed, smoothed labels.

    Args:
        model: on its device.
        scenes: with the transform for training.
        train: positions of the images that train.
        settings: rates, batch, epochs, mixing.
        seed: of order, augmentation, mixing and stochastic depth.
        checkpoint: file that a killed training left, and leaves; the caller deletes it.
        faults: unreadable images are noted here, by path; they do not train.

    Returns:
        The loss of each step that was run now.

    Raises:
        UndefinedScore: no step found two images that can be read.
        RspipeError: the loss is no number, or the checkpoint is of another training.
    """
    plan = Plan.of(len(train), settings)
    groups = model.groups(settings.layer_decay, settings.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=plan.lr)
    mixup = _mixup(settings, model.head.out_features)
    device = model.head.weight.device
    losses: list[float] = []
    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        saved = TuningCheckpoint(checkpoint, device)
        first = saved.resume(model, optimiser)
        batches = load(scenes, plan.batches(train, seed, first), device, faults)
        bar = track(batches, f"{scenes.benchmark.name}: fine-tune", plan.steps, unit="step",
                   leave=False, initial=first)  # fmt: skip
        for step, batch in enumerate(bar, start=first):
            even = len(batch.positions) // 2 * 2
            if even:
                for group in optimiser.param_groups:
                    group["lr"] = plan.lr_at(step) * group["lr_scale"]
                images = batch.pixels[:even].to(device)
                labels = torch.tensor(batch.labels[:even], device=device)
                with global_draws((seed, _MIX, step)):
                    images, targets = mixup(images, labels)
                losses.append(_step(model, optimiser, images, targets, settings))
                if not math.isfinite(losses[-1]):
                    raise RspipeError(f"fine-tuning: loss {losses[-1]} in step {step}; lower lr")
            if (step + 1) % CHECKPOINT_EVERY == 0:
                saved.save(step + 1, model, optimiser)
    if first == 0 and not losses:
        raise UndefinedScore("no train image can be read")
    model.eval()
    return losses


@torch.no_grad()
def predict(
    model: SceneClassifier,
    scenes: SceneSet,
    positions: Int[np.ndarray, " n"],
    settings: FineTuning,
    faults: dict[str, str],
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Predict the class of images, in evaluation mode; -1 where one cannot be read.

    Args:
        model: trained.
        scenes: with the transform for testing.
        positions: of the images.
        settings: precision, and how many go through the network at once.
        faults: unreadable images are noted here, by path.

    Returns:
        Classes, and their softmax probabilities.
    """
    device = model.head.weight.device
    found: dict[int, tuple[int, float]] = {}
    parts: Iterator[list[Asked]] = (
        [(int(i), ()) for i in positions[start : start + settings.images_per_pass]]
        for start in range(0, len(positions), settings.images_per_pass)
    )
    for batch in load(scenes, parts, device, faults):
        if batch.positions:
            with _autocast(settings, device):
                logits = model(batch.pixels.to(device))
            guesses, sure = logits.argmax(dim=1), logits.float().softmax(dim=1).amax(dim=1)
            answers = zip(guesses.tolist(), sure.tolist(), strict=True)
            found |= dict(zip(batch.positions, answers, strict=True))
    said = [found.get(int(i), (-1, 0.0)) for i in positions]
    return np.array([label for label, _ in said], np.int64), np.array([sure for _, sure in said])


@dataclass(frozen=True)
class Batch:
    """Pictures that could be read, and what became of the others."""

    positions: list[int]
    """In the benchmark's records."""
    labels: list[int]
    pixels: Float[Tensor, "B C H W"]
    faults: dict[int, str]
    """Why, by position."""

    @classmethod
    def of(cls, scenes: list[Scene]) -> "Batch":
        """Stack scenes: one tensor passes between processes, not one a picture."""
        read = [(s.position, s.label, s.pixels) for s in scenes if s.pixels is not None]
        return cls(
            [position for position, _, _ in read],
            [label for _, label, _ in read],
            _joined([pixels[None] for _, _, pixels in read]),
            {s.position: s.fault for s in scenes if s.pixels is None},
        )

    @classmethod
    def joined(cls, parts: list["Batch"]) -> "Batch":
        """Lay batches end to end."""
        return cls(
            [position for part in parts for position in part.positions],
            [label for part in parts for label in part.labels],
            _joined([part.pixels for part in parts if part.positions]),
            {position: why for part in parts for position, why in part.faults.items()},
        )


def load(
    scenes: SceneSet, batches: Iterable[list[Asked]], device: torch.device, faults: dict[str, str]
) -> Iterator[Batch]:
    """Make batches in order, by worker processes where a GPU does the rest; note faults.

    Workers make parts of a batch, so that memory does not grow with batch times workers.
    """
    sizes: deque[int] = deque()

    def parts() -> Iterator[list[Asked]]:
        for batch in batches:
            starts = range(0, len(batch), _PART)
            sizes.append(len(starts))
            for start in starts:
                yield batch[start : start + _PART]

    loader: DataLoader[Scene] = DataLoader(
        scenes,
        batch_sampler=parts(),
        collate_fn=Batch.of,
        num_workers=_workers(device),
        # Its own generator: else a loader takes a number from the one that drops paths.
        generator=torch.Generator(),
    )
    made: list[Batch] = []
    for part in loader:
        made.append(part)
        if len(made) == sizes[0]:
            batch = Batch.joined(made)
            for position, why in batch.faults.items():
                faults[scenes.benchmark.records[position].source_path] = why
            yield batch
            sizes.popleft()
            made = []


def _workers(device: torch.device) -> int:
    return (os.cpu_count() or 1) if device.type == "cuda" else 0


def _joined(pixels: list[Tensor]) -> Tensor:
    return torch.cat(pixels) if pixels else torch.empty(0)


def _mixup(settings: FineTuning, n_classes: int) -> Mixup:
    mixup = Mixup(
        mixup_alpha=settings.mixup,
        cutmix_alpha=settings.cutmix,
        label_smoothing=settings.smoothing,
        num_classes=n_classes,
    )
    mixup.mixup_enabled = settings.mixup > 0 or settings.cutmix > 0
    return mixup


def _step(
    model: SceneClassifier,
    optimiser: torch.optim.Optimizer,
    images: Float[Tensor, "B C H W"],
    targets: Float[Tensor, "B K"],
    settings: FineTuning,
) -> float:
    """Make one optimizer step; gradients of its parts are added up to that of the mean loss."""
    criterion = SoftTargetCrossEntropy()
    optimiser.zero_grad()
    total = 0.0
    for start in range(0, len(images), settings.images_per_pass):
        part = images[start : start + settings.images_per_pass]
        aims = targets[start : start + settings.images_per_pass]
        with _autocast(settings, images.device):
            logits = model(part)
        loss = criterion(logits.float(), aims) * (len(part) / len(images))
        torch.autograd.backward(loss)
        total += float(loss.detach())
    optimiser.step()
    return total


def _autocast(settings: FineTuning, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")
