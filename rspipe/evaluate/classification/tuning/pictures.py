# SPDX-License-Identifier: Apache-2.0
"""Pictures for fine-tuning: timm's augmentations, each a function of the seed and the place alone.

timm draws from the global generators of Python, NumPy and torch. They are set for each picture and
put back afterwards, so pictures are the same in any worker process and in none.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from timm.data import create_transform
from timm.data.auto_augment import RandAugment
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms import Compose

from rspipe.errors import UnreadableImage
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.classification.tuning.settings import FineTuning
from rspipe.io.images import decode, to_rgb
from rspipe.models.backbone import BackboneConfig

CENTRE_SHARE = 224 / 256

Transform = Callable[[Image.Image], Tensor]


@dataclass(frozen=True)
class Scene:
    """One picture with its class, or why there is none."""

    position: int
    """In the benchmark's records."""
    label: int
    pixels: Float[Tensor, "C H W"] | None
    """Normalised as the encoder reads them."""
    fault: str = ""


class SceneSet(Dataset[Scene]):
    """Scenes of a benchmark, asked for by (position, key of the draws)."""

    def __init__(self, benchmark: Benchmark, transform: Transform) -> None:
        self.benchmark = benchmark
        self.transform = transform

    def __getitem__(self, asked: tuple[int, tuple[int, ...]]) -> Scene:
        """Read and transform one picture."""
        position, key = asked
        record = self.benchmark.records[position]
        label = self.benchmark.class_index[str(record.annotation.label)]
        try:
            data = self.benchmark.storage.read_bytes(record.source_path)
            image = to_rgb(decode(data, record.source_path))
        except UnreadableImage as error:
            return Scene(position, label, None, error.reason)
        except OSError as error:
            return Scene(position, label, None, str(error))
        with global_draws(key):
            return Scene(position, label, self.transform(Image.fromarray(image)))


def for_training(config: BackboneConfig, settings: FineTuning) -> Transform:
    """Build timm's training transform: crop of 8..100 % of the area, mirror, RandAugment, erase.

    Differs from timm: posterising keeps at least one bit. At magnitude 10, which the spread of
    the recipe reaches, timm 1.0.31 asks for none, and Pillow 13 refuses that.
    """
    if not settings.augment:
        return for_testing(config)
    composed: Compose = create_transform(
        (config.in_chans, *config.size_px),
        is_training=True,
        color_jitter=None,
        auto_augment=settings.rand_augment,
        interpolation="bicubic",
        re_prob=settings.erase,
        re_mode="pixel",
        mean=config.mean,
        std=config.std,
    )
    for step in composed.transforms:
        for operation in step.ops if isinstance(step, RandAugment) else ():
            if operation.name.startswith("Posterize"):
                operation.level_fn = partial(_at_least_one_bit, operation.level_fn)
    transform: Transform = composed
    return transform


def _at_least_one_bit(
    bits_of: Callable[[float, object], tuple[int]], level: float, settings: object
) -> tuple[int]:
    return (max(bits_of(level, settings)[0], 1),)


def for_testing(config: BackboneConfig) -> Transform:
    """Build timm's test transform: shorter side to 256/224 of the size, bicubic; the centre."""
    transform: Transform = create_transform(
        (config.in_chans, *config.size_px),
        is_training=False,
        interpolation="bicubic",
        crop_pct=CENTRE_SHARE,
        mean=config.mean,
        std=config.std,
    )
    return transform


@contextmanager
def global_draws(key: tuple[int, ...]) -> Iterator[None]:
    """Set the global CPU generators by a key, and put them back as they were."""
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002 timm's
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 timm draws from it
    # Not torch.manual_seed: that would set the generators of GPUs too.
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002 timm draws from it
        torch.set_rng_state(before[2])
