# SPDX-License-Identifier: Apache-2.0
"""Trains a segmenter on crops; killed, it goes on from its last checkpoint to the same weights.

Every crop is a function of the seed, the step and its place in the batch alone, and the draws of
dropout and stochastic depth are kept in the checkpoint.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from rspipe.errors import RspipeError
from rspipe.evaluate.config import SegmentationTraining
from rspipe.evaluate.segmentation.crops import Crop, Rgb
from rspipe.evaluate.segmentation.masks import IGNORE
from rspipe.evaluate.segmentation.model import Segmenter
from rspipe.evaluate.tuning.checkpoint import TuningCheckpoint
from rspipe.models.backbone import Backbone
from rspipe.progress import track

CHECKPOINT_EVERY = 1000
"""Iterations between checkpoints; a shorter training leaves none."""
WARMUP_START = 1e-6
READERS = 4
"""Threads that decode and cut the crops of coming steps; results do not depend on it."""

Draw = Callable[[int, np.random.Generator], Crop]
"""From the place of a training image and the crop's draws to a crop."""


def train_segmenter(
    model: Segmenter,
    draw: Draw,
    n_images: int,
    settings: SegmentationTraining,
    seed: int,
    checkpoint: Path,
    auxiliary_weight: float = 0.0,
) -> list[float]:
    """Train in place by AdamW and pixel-wise cross-entropy.

    The loss is the mean over the pixels that count. (mmsegmentation divides by all pixels; with
    AdamW that changes a step only where crops have ignored pixels.) Images come in the order of
    shuffled rounds through all of them.

    Args:
        model: on its device; trained as it says itself.
        draw: makes one crop; called from several threads.
        n_images: training images.
        settings: rates, batch, iterations.
        seed: of crops, dropout and stochastic depth.
        checkpoint: file that a killed training left, and leaves; the caller deletes it.
        auxiliary_weight: of the auxiliary head's loss.

    Returns:
        The loss of each iteration that was run now.

    Raises:
        RspipeError: the loss is no number, or the checkpoint is of another training.
    """
    optimiser = torch.optim.AdamW(model.groups(settings.weight_decay), lr=settings.lr)
    losses: list[float] = []
    model.train()
    device = model.encoder.device
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        saved = TuningCheckpoint(checkpoint, device)
        first = saved.resume(model, optimiser)
        batches = _batches(draw, n_images, settings, seed, first)
        bar = track(batches, "segmentation: fit", unit="step", leave=False,
                   initial=first, total=settings.iterations)  # fmt: skip
        for step, crops in enumerate(bar, start=first):
            factor = lr_factor(step, settings)
            for group in optimiser.param_groups:
                group["lr"] = settings.lr * group["lr_scale"] * factor
            loss = _loss(model, crops, auxiliary_weight)
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                raise RspipeError(f"segmentation: loss {losses[-1]} in step {step}; lower lr")
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            if (step + 1) % CHECKPOINT_EVERY == 0:
                saved.save(step + 1, model, optimiser)
    model.eval()
    return losses


def lr_factor(step: int, settings: SegmentationTraining) -> float:
    """Factor on the learning rate in a step, counted from 0.

    Rises linearly from a millionth over the warm-up, then falls to 0 behind the last step.
    """
    warmup = settings.warmup_iterations
    if step < warmup:
        return WARMUP_START + (1 - WARMUP_START) * step / warmup
    done = (step - warmup) / max(settings.iterations - warmup, 1)
    return 1 - done if settings.schedule == "poly" else (1 + math.cos(math.pi * done)) / 2


def to_batch(model: Segmenter, crops: list[Crop]) -> tuple[Float[Tensor, "B C h w"], Tensor]:
    """Normalise crops as the encoder reads them, and stack their masks.

    What lies outside of the image is 0 after normalisation, as in sliding windows.
    """
    images = torch.stack([normalised(model.encoder, crop.image) for crop in crops])
    for image, crop in zip(images, crops, strict=True):
        height, width = crop.inside
        image[:, height:] = 0
        image[:, :, width:] = 0
    masks = torch.from_numpy(np.stack([crop.mask for crop in crops])).long()
    return images, masks.to(images.device)


def normalised(encoder: Backbone, image: Rgb) -> Float[Tensor, "C H W"]:
    """Standardise an image of any size by the encoder's mean and deviation of each band."""
    device = encoder.device
    pixels = torch.from_numpy(np.array(image, order="C")).to(device).permute(2, 0, 1).float()
    mean, std = (
        torch.tensor(v, device=device).view(-1, 1, 1)
        for v in (encoder.config.mean, encoder.config.std)
    )
    return (pixels / 255 - mean) / std


def _loss(model: Segmenter, crops: list[Crop], auxiliary_weight: float) -> Tensor:
    images, masks = to_batch(model, crops)
    counted = (masks != IGNORE).sum().clamp(min=1)
    losses = [
        F.cross_entropy(logits, masks, ignore_index=IGNORE, reduction="sum") / counted
        for logits in model.for_loss(images)
    ]
    return losses[0] + auxiliary_weight * losses[1] if len(losses) > 1 else losses[0]


def _batches(
    draw: Draw, n_images: int, settings: SegmentationTraining, seed: int, first: int
) -> Iterator[list[Crop]]:
    """Yield the crops of each step, made ahead by threads, in order."""

    def crop(place: int) -> Crop:
        rng = np.random.default_rng((seed, place))
        return draw(image_at(place, n_images, seed), rng)

    waiting: deque[list[Future[Crop]]] = deque()
    with ThreadPoolExecutor(READERS) as readers:
        try:
            for step in range(first, settings.iterations + 2):
                if step < settings.iterations:
                    B = settings.images_per_step
                    places = range(step * B, (step + 1) * B)
                    waiting.append([readers.submit(crop, place) for place in places])
                if len(waiting) > 2 or (waiting and step >= settings.iterations):
                    yield [future.result() for future in waiting.popleft()]
        finally:
            readers.shutdown(wait=True, cancel_futures=True)


def image_at(place: int, n_images: int, seed: int) -> int:
    """Which image the crop at a place of the endless stream is of: rounds of permutations."""
    round_, turn = divmod(place, n_images)
    return int(np.random.default_rng((seed, round_, 1)).permutation(n_images)[turn])
