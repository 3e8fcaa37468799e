# SPDX-License-Identifier: Apache-2.0
"""Trains a detector together with its encoder; killed, it goes on to the same weights.

Which images a step sees and how they are mirrored are functions of the seed and the step alone;
the generator that draws boxes and drops paths is kept in the checkpoint.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from rspipe.errors import RspipeError
from rspipe.evaluate.detection.tuning.objects import Detector, Objects
from rspipe.evaluate.detection.tuning.pictures import Picture, to_batch
from rspipe.evaluate.detection.tuning.settings import DetectorTuning
from rspipe.evaluate.tuning.checkpoint import TuningCheckpoint
from rspipe.evaluate.tuning.drop_path import set_drop_path
from rspipe.evaluate.tuning.layer_decay import layer_decay_groups
from rspipe.models.backbone import Backbone
from rspipe.progress import track

CHECKPOINT_EVERY = 200
"""Steps between checkpoints; a shorter training leaves none."""
_WARMUP_START = 1e-6
_STEPS_AHEAD = 2
_READERS = 4
"""Threads that decode images of coming steps; results do not depend on it."""

Draw = Callable[[int, np.random.Generator], Picture | None]
"""From the place of a training image and its draws to a picture; None: it cannot be read."""


def copy_to_tune(encoder: Backbone, settings: DetectorTuning) -> Backbone:
    """Copy an encoder at the detector's image size; all of it learns, positions too."""
    size = settings.img_px if settings.img_px is not None else encoder.config.img_px
    copy = encoder.at_size(size)
    copy.requires_grad_(not settings.frozen)
    if not settings.frozen:
        set_drop_path(copy.trunk, settings.drop_path)
    return copy


def train_detector(
    model: Detector,
    encoder: Backbone,
    draw: Draw,
    n_images: int,
    settings: DetectorTuning,
    seed: int,
    checkpoint: Path,
) -> list[float]:
    """Train in place by AdamW.

    Args:
        model: on its device.
        encoder: the one within it.
        draw: makes one picture; called from several threads.
        n_images: training images; each is seen `settings.epochs` times.
        settings: rates, batch, epochs.
        seed: of order, mirroring, drawn boxes and stochastic depth.
        checkpoint: file that a killed training left, and leaves; the caller deletes it.

    Returns:
        The loss of each step that was run now.

    Raises:
        RspipeError: the loss is no number, or the checkpoint is of another training.
    """
    steps = math.ceil(n_images * settings.epochs / settings.images_per_step)
    groups = _groups(model, encoder, settings)
    optimiser = torch.optim.AdamW(groups, lr=settings.lr)
    device = encoder.device
    losses: list[float] = []
    model.train()
    if settings.frozen:
        encoder.eval()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        saved = TuningCheckpoint(checkpoint, device)
        first = saved.resume(model, optimiser)
        batches = _batches(draw, n_images, range(first, steps), settings, seed)
        bar = track(batches, "detection: fit", steps, unit="step", leave=False,
                   initial=first)  # fmt: skip
        for step, pictures in enumerate(bar, start=first):
            if pictures:
                for group in optimiser.param_groups:
                    group["lr"] = settings.lr * group["lr_scale"] * lr_factor(step, steps, settings)
                losses.append(_step(model, encoder, optimiser, pictures, settings))
                if not math.isfinite(losses[-1]):
                    raise RspipeError(f"detection: loss {losses[-1]} in step {step}; lower lr")
            if (step + 1) % CHECKPOINT_EVERY == 0:
                saved.save(step + 1, model, optimiser)
    model.eval()
    return losses


def lower_precision(settings: DetectorTuning, device: torch.device) -> torch.autocast:
    """Make the products of what runs within as precise as the settings say."""
    return torch.autocast(device.type, torch.bfloat16, enabled=settings.precision == "bfloat16")


def lr_factor(step: int, steps: int, settings: DetectorTuning) -> float:
    """Factor on the learning rate in a step, counted from 0: warm-up times drops."""
    passed = sum(step >= round(share * steps) for share in settings.drops)
    factor = 0.1**passed
    if step < settings.warmup_steps:
        factor *= _WARMUP_START + (1 - _WARMUP_START) * step / settings.warmup_steps
    return factor


def _step(
    model: Detector,
    encoder: Backbone,
    optimiser: torch.optim.Optimizer,
    pictures: list[Picture],
    settings: DetectorTuning,
) -> float:
    device = encoder.device
    config = encoder.config
    images = to_batch(
        [p.pixels for p in pictures], config.size_px[0], config.mean, config.std, device
    )
    objects = [Objects(p.objects.boxes.to(device), p.objects.labels.to(device)) for p in pictures]
    with lower_precision(settings, device):
        parts = model.losses(images, objects)
    loss = torch.stack(list(parts.values())).sum()
    optimiser.zero_grad()
    torch.autograd.backward(loss)
    if settings.most_norm is not None:
        nn.utils.clip_grad_norm_(model.parameters(), settings.most_norm)
    optimiser.step()
    return float(loss.detach())


def _groups(model: Detector, encoder: Backbone, settings: DetectorTuning) -> list[dict[str, Any]]:
    """Blocks by depth, then all that is new at full rate; biases and norms are not decayed."""
    groups = layer_decay_groups(encoder, settings.layer_decay, settings.weight_decay)
    known = {id(parameter) for parameter in encoder.parameters()}
    new = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    for params, decay in (
        ([p for p in new if p.ndim > 1], settings.weight_decay),
        ([p for p in new if p.ndim <= 1], 0.0),
    ):
        groups.append({"params": params, "lr_scale": 1.0, "weight_decay": decay})
    return groups


def _batches(
    draw: Draw, n_images: int, steps: range, settings: DetectorTuning, seed: int
) -> Iterator[list[Picture]]:
    """Yield the pictures of each step, made ahead by threads, in order of shuffled rounds."""
    orders: dict[int, np.ndarray] = {}

    def picture(place: int) -> Picture | None:
        epoch, turn = divmod(place, n_images)
        if epoch not in orders:
            orders[epoch] = np.random.default_rng((seed, epoch, 1)).permutation(n_images)
        return draw(int(orders[epoch][turn]), np.random.default_rng((seed, place)))

    waiting: deque[list[Future[Picture | None]]] = deque()
    B, total = settings.images_per_step, n_images * settings.epochs
    with ThreadPoolExecutor(_READERS) as readers:
        try:
            for ahead in range(len(steps) + _STEPS_AHEAD):
                start = (steps.start + ahead) * B
                places = range(start, min(start + B, total))
                waiting.append([readers.submit(picture, place) for place in places])
                if ahead >= _STEPS_AHEAD:
                    made = [future.result() for future in waiting.popleft()]
                    yield [one for one in made if one is not None]
        finally:
            readers.shutdown(wait=True, cancel_futures=True)
