# SPDX-License-Identifier: Apache-2.0
"""Corrupted copies of a benchmark's test images, made when they are read; none lies on disk."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.encoders import Judged
from rspipe.evaluate.frozen.features import resize
from rspipe.evaluate.robustness.attack import FeatureAttack
from rspipe.evaluate.robustness.corruptions import CORRUPTIONS, Rgb
from rspipe.evaluate.robustness.settings import Robustness
from rspipe.evaluate.splits import Fold
from rspipe.io.images import decode, encode_png, to_rgb
from rspipe.io.storage import LOCAL_CACHE, Storage
from rspipe.models.backbone import Backbone
from rspipe.recipe import fingerprint

# Raised by every change that moves pixels of corrupted images.
COPIES_VERSION = 2


@dataclass(frozen=True)
class Corruption:
    """One kind at one severity."""

    kind: str
    """A key of CORRUPTIONS, or `pgd`."""
    severity: float
    """In the kind's own unit; of `pgd`, epsilon."""
    corrupt: Callable[[Rgb], Rgb]
    key: str
    """Fingerprint of all that decides its pixels, the image apart."""


def corruptions_of(
    settings: Robustness, encoder: Backbone, judged: Judged, what: What
) -> Iterator[Corruption]:
    """List the corruptions of a recipe in its order.

    Args:
        settings: kinds and severities.
        encoder: that `pgd` attacks.
        judged: the same, with its hash.
        what: pooling, norm and seed, which `pgd` depends on.
    """
    for kind, corrupt in CORRUPTIONS.items():
        for severity in getattr(settings, kind):
            at_severity = partial(_at, corrupt, severity)
            key = fingerprint(COPIES_VERSION, kind, severity)
            yield Corruption(kind, float(severity), at_severity, key)
    if settings.pgd is not None:
        attack = FeatureAttack(encoder, settings.pgd, what.pooling, what.norm, what.seed)
        key = fingerprint(
            COPIES_VERSION, settings.pgd, judged.sha256, what.pooling, what.norm, what.seed
        )
        resized = partial(_resized, attack, encoder.config.size_px)
        yield Corruption("pgd", settings.pgd.epsilon, resized, key)


def copies_of(benchmark: Benchmark, corruption: Corruption) -> Benchmark:
    """Make a benchmark of the corrupted test images alone, fold after fold.

    Args:
        benchmark: with images that can be read.
        corruption: of each image.
    """
    storage = CorruptedImages(
        benchmark.storage.root, benchmark.storage.cache, corrupt=corruption.corrupt
    )
    records = tuple(benchmark.records[i] for i in benchmark.tested)
    nobody = np.empty(0, dtype=np.int64)
    return replace(
        benchmark,
        storage=storage,
        records=records,
        folds=(Fold(train=nobody, test=np.arange(len(records))),),
        listing=fingerprint(
            benchmark.listing, corruption.key, [record.source_path for record in records]
        ),
    )


def _unchanged(image: Rgb) -> Rgb:
    return image


@dataclass(frozen=True)
class CorruptedImages(Storage):
    """A storage whose images are corrupted on the way out, and lossless."""

    cache: Path = LOCAL_CACHE
    corrupt: Callable[[Rgb], Rgb] = _unchanged

    def __reduce__(self) -> tuple[type[Storage], tuple[Any, ...]]:
        return CorruptedImages, (self.root, self.cache, self.corrupt)

    def read_bytes(self, path: str) -> bytes:
        """Read an image, corrupt it, write it as PNG."""
        image = to_rgb(decode(super().read_bytes(path), path))
        return encode_png(np.ascontiguousarray(self.corrupt(image)))


def _at(corrupt: Callable[[Rgb, float], Rgb], severity: float, image: Rgb) -> Rgb:
    return corrupt(image, severity)


def _resized(attack: FeatureAttack, size_px: tuple[int, int], image: Rgb) -> Rgb:
    """Attack what the encoder reads, not what is resized for it afterwards."""
    return attack(resize(image, size_px))
