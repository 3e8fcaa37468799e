# SPDX-License-Identifier: Apache-2.0
"""Segmentation without an encoder: one class everywhere, and colour alone."""

from abc import ABC, abstractmethod
from functools import partial
from typing import ClassVar, Literal

import numpy as np
import torch

from rspipe.evaluate.base import Scores
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.segmentation.floors import ColourTable
from rspipe.evaluate.segmentation.masks import ClassMask
from rspipe.evaluate.segmentation.pixels import LabelledPixels, Pair
from rspipe.evaluate.segmentation.tally import MIOU, Tally
from rspipe.recipe import Strict
from rspipe.schema import Task


class _Floor(ABC):
    """Count the train part, look up the test part, score all pixels together.

    Images are read as published, whatever size the heads beside it see.
    """

    task: ClassVar[Task] = "segmentation"
    protocol: ClassVar[str]
    reads: ClassVar[Literal["labels"]] = "labels"
    metric: ClassVar[str] = "mIoU"

    def __init__(self, what: What, device: torch.device) -> None:
        del device  # nothing to accelerate
        self.what = what

    @property
    def settings(self) -> Strict:
        """None."""
        return Strict()

    @abstractmethod
    def guess(self, learned: ColourTable, pair: Pair) -> ClassMask:
        """Name a class for every pixel."""

    def run_without_encoder(self, benchmark: Benchmark) -> Scores:
        """Count per fold, look the test images up, score all pixels together.

        Raises:
            UndefinedScore: no test image can be read with its mask.
        """
        pixels = LabelledPixels(benchmark, longest_px=None)
        tally = Tally(pixels)
        tally.begin_training()
        for fold in benchmark.folds:
            pairs = (pixels.try_read(i) for i in fold.train.tolist())
            readable = (pair.for_training() for pair in pairs if pair is not None)
            learned = ColourTable(readable, len(pixels.legend.classes))
            tally.predict(fold.test, partial(self.guess, learned), self.protocol)
        scores = tally.score(self.what)
        scores.unreadable.update(pixels.faults)
        return scores


class MajorityPixels(_Floor):
    """The commonest class of the train part for every pixel; at a tie the first class."""

    protocol: ClassVar[str] = "majority"
    convention: ClassVar[str] = f"the commonest class of the train part for every pixel; {MIOU}"

    def guess(self, learned: ColourTable, pair: Pair) -> ClassMask:
        """Name one class."""
        return np.full_like(pair.mask, learned.majority)


class ColourOfPixels(_Floor):
    """The commonest class of each pixel's colour in the train part."""

    protocol: ClassVar[str] = "colour"
    convention: ClassVar[str] = (
        "the commonest class of the train part for each pixel's colour, of 4,096 colours; " + MIOU
    )

    def guess(self, learned: ColourTable, pair: Pair) -> ClassMask:
        """Look every pixel up."""
        return learned.predict(pair.image, pair.mask.shape)
