# SPDX-License-Identifier: Apache-2.0
"""Semantic segmentation: a linear head on the frozen encoder, and UPerNet-512, fine-tuned."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int

from rspipe.errors import RecipeError
from rspipe.evaluate.base import Scores, UndefinedScore
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import LinearSegmentation, SegmentationTraining, UPerNetTuning, What
from rspipe.evaluate.segmentation.crops import Crop, Rgb, draw_crop
from rspipe.evaluate.segmentation.masks import ClassMask
from rspipe.evaluate.segmentation.model import (
    Segmenter,
    count_parameters,
    crop_px,
    linear_segmenter,
    upernet_segmenter,
)
from rspipe.evaluate.segmentation.pixels import LabelledPixels, Pair
from rspipe.evaluate.segmentation.sliding import slide
from rspipe.evaluate.segmentation.submission import write_submission
from rspipe.evaluate.segmentation.tally import MIOU, Tally
from rspipe.evaluate.segmentation.training import normalised, train_segmenter
from rspipe.evaluate.segmentation.upernet import resize_to
from rspipe.models.backbone import Backbone
from rspipe.models.encoder import seeded
from rspipe.progress import track
from rspipe.schema import Task


class _Segmentation(ABC):
    """Train on crops of the train part, slide over the test part, score all pixels together."""

    task: ClassVar[Task] = "segmentation"
    metric: ClassVar[str] = "mIoU"

    def __init__(self, what: What, device: torch.device) -> None:
        self.what = what
        self.device = device

    @property
    @abstractmethod
    def settings(self) -> SegmentationTraining:
        """The protocol's part of the recipe."""

    @abstractmethod
    def build(self, encoder: Backbone, n_classes: int) -> Segmenter:
        """Put the protocol's head on a copy of an encoder."""

    def run_on_pixels(self, benchmark: Benchmark, encoder: Backbone, work: Path) -> Scores:
        """Train per seed and fold; count pixels per test image; score all counts together.

        Raises:
            UndefinedScore: no image of a part can be read with its mask.
            RecipeError: no image to be submitted, told before anything is trained.
        """
        hidden = self.hidden_images(benchmark)
        pixels = LabelledPixels(benchmark, self.settings.longest_px)
        tally = Tally(pixels)
        checkpoints = []
        for seed in range(self.what.seed, self.what.seed + self.settings.seeds):
            tally.begin_training()
            for number, fold in enumerate(benchmark.folds):
                checkpoints.append(work / f"seed_{seed}_fold_{number}.pt")
                model = self._fit(pixels, fold.train, encoder, checkpoints[-1], seed)
                tally.predict(fold.test, partial(self._guess, model), "predict")
        scores = tally.score(self.what, self.settings.groups)
        scores.extra["network"] = self._describe(model)
        if hidden:
            scores.extra["submission"] = self._submit(pixels, hidden, encoder, work)
        scores.unreadable.update(pixels.faults)
        for checkpoint in checkpoints:
            checkpoint.unlink(missing_ok=True)
        if work.is_dir() and not any(work.iterdir()):
            work.rmdir()
        return scores

    def _guess(self, model: Segmenter, pair: Pair) -> ClassMask:
        return predict(model, pair.image, pair.mask.shape, self.settings)

    def _fit(
        self,
        pixels: LabelledPixels,
        train: Int[np.ndarray, " n"],
        encoder: Backbone,
        checkpoint: Path,
        seed: int,
    ) -> Segmenter:
        positions = pixels.readable(train)
        if not positions:
            raise UndefinedScore("no train image can be read with its mask")
        with seeded(seed):
            model = self.build(encoder, len(pixels.legend.classes)).to(self.device)
        side = crop_px(encoder, self.settings)

        def draw(image: int, rng: np.random.Generator) -> Crop:
            pair: Pair = pixels.read(positions[image]).for_training()
            return draw_crop(pair.image, pair.mask, side, self.settings, rng)

        train_segmenter(
            model,
            draw,
            len(positions),
            self.settings,
            seed,
            checkpoint,
            self.auxiliary_weight,
        )
        return model

    @property
    def auxiliary_weight(self) -> float:
        """Of a second loss."""
        return 0.0

    def _describe(self, model: Segmenter) -> dict[str, Any]:
        return {
            "parameters": {
                "encoder": count_parameters(model.encoder),
                "levels": count_parameters(model.levels) - count_parameters(model.encoder),
                "head": count_parameters(model.head),
            },
            "window_px": model.encoder.config.size_px[0],
        }

    def hidden_images(self, benchmark: Benchmark) -> list[str]:
        """Paths of images without public masks whose prediction is to be submitted."""
        return []

    def _submit(
        self, pixels: LabelledPixels, paths: list[str], encoder: Backbone, work: Path
    ) -> dict[str, Any]:
        """Train again, on the scored images too, and write what the server takes."""
        benchmark = pixels.benchmark
        checkpoint = work / "submission.pt"
        model = self._fit(pixels, benchmark.used(), encoder, checkpoint, self.what.seed)
        archive = work / "submission.zip"

        def predictions() -> Iterator[tuple[str, ClassMask]]:
            for path in track(paths, f"{benchmark.name}: submission", leave=False):
                # An unreadable image ends the run: the server wants all of them.
                image = pixels.image(path)
                yield path, predict(model, image, pixels.size_px(path), self.settings)

        count = write_submission(predictions(), archive)
        checkpoint.unlink(missing_ok=True)
        return {"file": str(archive), "n": count}


class LinearSegmentationProbe(_Segmentation):
    """One linear layer per patch token of the frozen encoder, enlarged to pixels.

    It asks what single tokens know of their ground. Its mIoU is not comparable with fine-tuned
    decoders.
    """

    protocol: ClassVar[str] = "linear"
    convention: ClassVar[str] = f"linear head on frozen tokens, final iteration; {MIOU}"

    @property
    def settings(self) -> LinearSegmentation:
        """Steps, learning rate and batch."""
        return self.what.linear_segmentation

    def build(self, encoder: Backbone, n_classes: int) -> Segmenter:
        """Put a linear head on a frozen copy of an encoder."""
        return linear_segmenter(encoder, n_classes, self.settings)


class UPerNetSegmentation(_Segmentation):
    """UPerNet on four taps, trained with the encoder; the head of published tables."""

    protocol: ClassVar[str] = "upernet"
    convention: ClassVar[str] = f"UPerNet of mmsegmentation, final iteration; {MIOU}"

    @property
    def settings(self) -> UPerNetTuning:
        """Crops, rates, schedule and head."""
        return self.what.upernet

    @property
    def auxiliary_weight(self) -> float:
        """Of the loss of the auxiliary head."""
        return self.settings.auxiliary_weight

    def build(self, encoder: Backbone, n_classes: int) -> Segmenter:
        """Put UPerNet on the four taps of a copy of an encoder."""
        return upernet_segmenter(encoder, n_classes, self.settings)

    def hidden_images(self, benchmark: Benchmark) -> list[str]:
        """Paths of the submission split.

        Raises:
            RecipeError: the recipe names a split without such images.
        """
        split = self.settings.submission_split
        if split is None:
            return []
        paths = [r.source_path for r in benchmark.unlabelled if r.split == split]
        if not paths:
            splits = sorted({str(record.split) for record in benchmark.unlabelled})
            raise RecipeError(
                f"what.upernet.submission_split={split}: {benchmark.name} has no image without "
                f"a mask in that split; it has some in {splits}"
            )
        return paths


@torch.inference_mode()
def predict(
    model: Segmenter, image: Rgb, size_px: tuple[int, ...], settings: SegmentationTraining
) -> ClassMask:
    """Predict the class of every pixel of an image by sliding windows.

    Args:
        model: in evaluation mode.
        image: of any size.
        size_px: height and width of the answer; logits are resized, bilinear.
        settings: step between windows.
    """
    window_px = model.encoder.config.size_px[0]
    stride_px = settings.stride_px or max(window_px * 3 // 4, 1)
    logits = slide(model, normalised(model.encoder, image), window_px, stride_px)
    pixels = resize_to(logits[None], (size_px[0], size_px[1]))
    guess: ClassMask = pixels.argmax(dim=1)[0].to(torch.uint8).cpu().numpy()
    return guess
