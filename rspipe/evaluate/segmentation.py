"""Semantic segmentation on frozen features: one linear layer per patch token."""

from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from PIL import Image
from torch import Tensor, nn
from torchmetrics.functional.classification import multiclass_confusion_matrix
from tqdm import tqdm

from rspipe.errors import UnreadableImage
from rspipe.evaluate import confusion
from rspipe.evaluate.base import N_EXAMPLES, Scores, UndefinedScore
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import SegmentationProbe, What
from rspipe.evaluate.features import Features
from rspipe.evaluate.masks import IGNORE, ClassMask, MaskLegend
from rspipe.evaluate.splits import Indices
from rspipe.evaluate.uncertainty import bootstrap
from rspipe.models.encoder import seeded
from rspipe.schema import ImageRecord, Task


class LinearSegmentation:
    """A linear layer on standardised patch tokens, its logits resized bilinearly to pixels.

    (Resizing features and then applying the layer gives the same: both are linear.) Trained by
    Adam with a cosine schedule and pixel-wise cross-entropy, at the size at which the encoder
    saw the images; scored at each mask's own size. It asks what single tokens know of their
    ground; it is no UPerNet, and its mIoU is not comparable with fine-tuned decoders.
    """

    task: ClassVar[Task] = "segmentation"
    protocol: ClassVar[str] = "linear"
    metric: ClassVar[str] = "mIoU"
    convention: ClassVar[str] = (
        "mean over classes of the IoU of the whole test set, 0..1, ignored pixels left out "
        "(as mmsegmentation and torchmetrics JaccardIndex(macro), not the per-image MeanIoU); "
        "percentile bootstrap over test images"
    )

    def __init__(self, what: What, device: torch.device) -> None:
        self.what = what
        self.device = device

    @property
    def settings(self) -> SegmentationProbe:
        """Steps, learning rate and batch."""
        return self.what.segmentation

    def run(self, benchmark: Benchmark, features: Features) -> Scores:
        """Train per fold; count pixels per test image; score all counts together.

        Raises:
            UndefinedScore: no mask of a part can be read.
        """
        masks = _Masks(benchmark)
        tally = _Tally(masks.legend.classes)
        for fold in benchmark.folds:
            layer = self._fit(features, masks, fold.train)
            for i in fold.test.tolist():
                truth = masks.read(i)
                if truth is not None:
                    guess = predict(layer, features.grids[i], truth.shape, self.device)
                    tally.add(benchmark.records[i], guess, truth)
        if not tally.counts:
            raise UndefinedScore("no mask of a test image can be read")
        scores = self._score(np.stack(tally.counts), masks.legend.classes)
        scores.extra["ignored_pixel_share"] = tally.ignored_share
        scores.arrays.update(tally.arrays)
        scores.examples.extend(tally.examples)
        scores.unreadable.update(masks.faults)
        return scores

    def _fit(self, features: Features, masks: "_Masks", train: Indices) -> nn.Module:
        height, width = features.input_px
        read = ((i, masks.read(i)) for i in train.tolist())
        shrunk = {i: shrink(mask, height, width) for i, mask in read if mask is not None}
        if not shrunk:
            raise UndefinedScore("no mask of a train image can be read")
        kept = torch.tensor(list(shrunk))
        targets = torch.from_numpy(np.stack(list(shrunk.values())))
        return fit_layer(
            features.grids[kept],
            targets,
            len(masks.legend.classes),
            self.settings,
            self.what.seed,
            self.device,
        )

    def _score(self, counts: Int[np.ndarray, "n K K"], classes: tuple[str, ...]) -> Scores:
        def statistic(images: Indices) -> Float[np.ndarray, " m"]:
            total = counts[images].sum(axis=0)
            ious = confusion.iou(total)
            named = (
                confusion.mean_defined(ious),
                confusion.mean_defined(confusion.f1(total)),
                confusion.overall_accuracy(total),
            )
            return np.array([*named, *ious])

        found = bootstrap(statistic, len(counts), self.what.bootstrap.resamples, self.what.seed)
        return Scores.from_estimates(
            found, ("mIoU", "mF1", "pixel_accuracy"), classes, {"confusion": counts.sum(axis=0)}
        )


class _Masks:
    """Masks of a benchmark, read when asked for; what cannot be read is noted once."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark
        self.legend = MaskLegend.from_card(benchmark.card)
        self.faults: dict[str, str] = {}

    def read(self, position: int) -> ClassMask | None:
        path = str(self.benchmark.records[position].annotation.mask_path)
        try:
            return self.legend.read(self.benchmark.storage.read_bytes(path), path)
        except UnreadableImage as error:
            self.faults[path] = error.reason
        except OSError as error:
            self.faults[path] = str(error)
        return None


class _Tally:
    """What the scored images add up to, and the first few of them as examples."""

    def __init__(self, classes: tuple[str, ...]) -> None:
        self.classes = classes
        self.counts: list[Int[np.ndarray, "K K"]] = []
        self.arrays: dict[str, np.ndarray] = {}
        self.examples: list[dict[str, Any]] = []
        self.pixels = 0
        self.ignored = 0

    @property
    def ignored_share(self) -> float:
        """Share of the test pixels that count for nothing."""
        return self.ignored / self.pixels

    def add(self, record: ImageRecord, guess: ClassMask, truth: ClassMask) -> None:
        self.counts.append(count_pixels(guess, truth, len(self.classes)))
        self.pixels += truth.size
        self.ignored += int((truth == IGNORE).sum())
        place = len(self.examples)
        if place < N_EXAMPLES:
            self.arrays[f"predicted_{place}"] = guess
            self.arrays[f"truth_{place}"] = truth
            self.examples.append(
                {"path": record.source_path, "mask_path": record.annotation.mask_path}
            )


def fit_layer(
    grids: Float[Tensor, "n D h w"],
    targets: UInt8[Tensor, "n H W"],
    n_classes: int,
    settings: SegmentationProbe,
    seed: int,
    device: torch.device,
) -> nn.Module:
    """Train the linear layer; with it comes the standardisation of its input."""
    with seeded(seed):
        scale = nn.BatchNorm2d(grids.shape[1], affine=False)
        layer = nn.Sequential(scale, nn.Conv2d(grids.shape[1], n_classes, 1))
    # Statistics of the whole train part, not running ones: exact, and the same in any batch.
    scale.running_mean = grids.mean(dim=(0, 2, 3))
    scale.running_var = grids.var(dim=(0, 2, 3))
    layer.eval().to(device)
    optimiser = torch.optim.Adam(layer.parameters(), lr=settings.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, settings.steps)
    draws = torch.Generator().manual_seed(seed)
    for _ in tqdm(
        range(settings.steps), "segmentation: fit", unit="step", leave=False, disable=None
    ):
        chosen = torch.randint(len(grids), (settings.images_per_step,), generator=draws)
        logits = upsample(layer(grids[chosen].to(device)), targets.shape[1:])
        loss = F.cross_entropy(
            logits, targets[chosen].long().to(device), ignore_index=IGNORE, reduction="sum"
        )
        counted = (targets[chosen] != IGNORE).sum().clamp(min=1).to(device)
        optimiser.zero_grad()
        torch.autograd.backward(loss / counted)
        optimiser.step()
        schedule.step()
    return layer


@torch.inference_mode()
def predict(
    layer: nn.Module,
    grid: Float[Tensor, "D h w"],
    size_px: tuple[int, ...],
    device: torch.device,
) -> ClassMask:
    """Predict the class of every pixel of one image, at the size of its mask."""
    logits = upsample(layer(grid[None].to(device)), size_px)
    return logits.argmax(dim=1)[0].to(torch.uint8).cpu().numpy()


def upsample(
    logits: Float[Tensor, "B K h w"], size_px: tuple[int, ...]
) -> Float[Tensor, "B K H W"]:
    """Resize logits to pixels, bilinear, corners not aligned."""
    return F.interpolate(logits, size=tuple(size_px), mode="bilinear", align_corners=False)


def count_pixels(guess: ClassMask, truth: ClassMask, n_classes: int) -> Int[np.ndarray, "K K"]:
    """Count the pixels of one image by true and predicted class, ignored ones left out."""
    counts = multiclass_confusion_matrix(
        torch.from_numpy(guess).long().flatten(),
        torch.from_numpy(truth).long().flatten(),
        n_classes,
        ignore_index=IGNORE,
    )
    return counts.numpy()


def shrink(mask: ClassMask, height: int, width: int) -> ClassMask:
    """Resize a mask, nearest neighbour."""
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
