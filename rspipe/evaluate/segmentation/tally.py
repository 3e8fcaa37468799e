# SPDX-License-Identifier: Apache-2.0
"""What the predicted masks of a test part add up to: one score, and the best and worst images."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Int

from rspipe.evaluate.base import Scores, UndefinedScore
from rspipe.evaluate.config import What
from rspipe.evaluate.extremes import Extremes
from rspipe.evaluate.segmentation.masks import IGNORE, ClassMask
from rspipe.evaluate.segmentation.pixels import LabelledPixels, Pair
from rspipe.evaluate.segmentation.scores import (
    IMAGE_MIOU,
    by_group,
    count_pixels,
    image_miou,
    score,
)
from rspipe.progress import track
from rspipe.schema import ImageRecord

MIOU = (
    "mean over classes of the IoU of the whole test set, 0..1, ignored pixels left out "
    "(as mmsegmentation and torchmetrics JaccardIndex(macro), not the per-image MeanIoU); "
    "percentile bootstrap over test images"
)


class Tally:
    """What the scored images add up to, training by training.

    The best and the worst images are those of the first training.
    """

    def __init__(self, pixels: LabelledPixels) -> None:
        self.pixels = pixels
        self.classes = pixels.legend.classes
        self.trainings: list[list[Int[np.ndarray, "K K"]]] = []
        self.paths: list[str] = []
        self.extremes = Extremes[tuple[ImageRecord, ClassMask, ClassMask]]()
        self.counted = 0
        self.ignored = 0

    def begin_training(self) -> None:
        """What is added from here on is of another training, of the same images in their order."""
        self.trainings.append([])

    def predict(
        self, tested: Int[np.ndarray, " n"], guess: Callable[[Pair], ClassMask], doing: str
    ) -> None:
        """Predict the images of a test part, and count them; unreadable ones are left out.

        Args:
            tested: places of the images in the benchmark.
            guess: names a class for every pixel of a mask.
            doing: what this is, in words.
        """
        for i in track(tested.tolist(), f"{self.pixels.benchmark.name}: {doing}", leave=False):
            pair = self.pixels.try_read(i)
            if pair is not None:
                self._add(self.pixels.benchmark.records[i], guess(pair), pair.mask)

    def _add(self, record: ImageRecord, guess: ClassMask, truth: ClassMask) -> None:
        """Count an image."""
        counts = count_pixels(guess, truth, len(self.classes))
        self.trainings[-1].append(counts)
        if len(self.trainings) > 1:
            return
        self.paths.append(record.source_path)
        things = int(counts.any(axis=1).sum())
        self.extremes.add(image_miou(counts), things, (record, guess, truth))
        self.counted += truth.size
        self.ignored += int((truth == IGNORE).sum())

    def score(self, what: What, groups: tuple[str, ...] = ()) -> Scores:
        """Score all images together.

        Args:
            what: for the bootstrap.
            groups: names of folders whose images are scored apart, too.

        Raises:
            UndefinedScore: no image was added.
        """
        if not self.paths:
            raise UndefinedScore("no test image can be read with its mask")
        counts = np.stack([np.stack(training) for training in self.trainings])
        scores = score(counts, self.classes, what.bootstrap.resamples, what.seed)
        scores.extra["ignored_pixel_share"] = self.ignored / self.counted
        if groups:
            scores.extra["groups"] = dict(by_group(counts, self.paths, groups))
        scores.arrays["paths"] = np.array(self.paths)
        scores.arrays["image_score"] = np.array([image_miou(n) for n in counts[0]], np.float32)
        scores.extra["image_score"] = IMAGE_MIOU
        for place, end in enumerate(self.extremes.shown()):
            record, guess, truth = end.value
            scores.arrays.update({f"predicted_{place}": guess, f"truth_{place}": truth})
            scores.examples.append(
                {
                    "path": record.source_path,
                    "mask_path": record.annotation.mask_path,
                    "rank": end.rank,
                    "score": round(end.score, 6),
                }
            )
        return scores
