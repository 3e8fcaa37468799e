# SPDX-License-Identifier: Apache-2.0
"""Images and class masks of a benchmark, read when asked for; what cannot be read is noted once."""

import threading
from dataclasses import dataclass

import numpy as np
from PIL import Image

from rspipe.errors import UnreadableImage
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.segmentation.crops import Rgb, scaled_to
from rspipe.evaluate.segmentation.footprints import draw_footprints
from rspipe.evaluate.segmentation.masks import ClassMask, MaskLegend
from rspipe.io.images import decode, read_facts, to_rgb
from rspipe.schema import ImageRecord

CACHE_BYTES = 512 * 2**20
"""Of decoded images that are kept; a larger data set is decoded again and again."""


@dataclass(frozen=True)
class Pair:
    """An image and its mask, which may differ in size."""

    image: Rgb
    mask: ClassMask

    @property
    def nbytes(self) -> int:
        """Memory that both take."""
        return self.image.nbytes + self.mask.nbytes

    def for_training(self) -> "Pair":
        """Bring the mask to the size of the image, nearest neighbour."""
        return Pair(self.image, shrink(self.mask, *self.image.shape[:2]))


class LabelledPixels:
    """What a segmentation benchmark shows, image by image."""

    def __init__(self, benchmark: Benchmark, longest_px: int | None) -> None:
        """Prepare to read.

        Args:
            benchmark: its card names the classes.
            longest_px: longer side that images, not masks, are scaled to; None: as published.
        """
        self.benchmark = benchmark
        self.legend = MaskLegend.from_card(benchmark.card)
        self.longest_px = longest_px
        self.faults: dict[str, str] = {}
        """Paths of images that cannot be used, and why: themselves or their masks."""
        self._kept: dict[int, Pair] = {}
        self._room = CACHE_BYTES
        self._lock = threading.Lock()

    def readable(self, positions: np.ndarray) -> list[int]:
        """Keep the images that can be read with their masks; each is decoded once for it."""
        return [i for i in positions.tolist() if self.try_read(i) is not None]

    def try_read(self, position: int) -> Pair | None:
        """Read an image and its mask; None, and a note, where either cannot be read."""
        path = self.benchmark.records[position].source_path
        if path in self.faults:
            return None
        try:
            return self.read(position)
        except UnreadableImage as error:
            self.faults[path] = error.reason if error.path == path else str(error)
        except OSError as error:
            self.faults[path] = str(error)
        return None

    def read(self, position: int) -> Pair:
        """Read an image and its mask.

        Raises:
            UnreadableImage: either cannot be decoded.
            OSError: either cannot be read from storage.
        """
        kept = self._kept.get(position)
        if kept is not None:
            return kept
        record = self.benchmark.records[position]
        pair = Pair(self.image(record.source_path), self._mask(record))
        with self._lock:
            if self._room >= pair.nbytes and position not in self._kept:
                self._kept[position] = pair
                self._room -= pair.nbytes
        return pair

    def _mask(self, record: ImageRecord) -> ClassMask:
        storage, said = self.benchmark.storage, record.annotation
        if said.mask_path is not None:
            return self.legend.read(storage.read_bytes(said.mask_path), said.mask_path)
        path, image_path = str(said.footprints_path), record.source_path
        drawn = draw_footprints(
            storage.read_bytes(path),
            path,
            storage.read_bytes(image_path),
            image_path,
            self.benchmark.card,
        )
        return self.legend.of_values(drawn)

    def image(self, path: str) -> Rgb:
        """Read an image alone.

        Raises:
            UnreadableImage: it cannot be decoded.
            OSError: it cannot be read from storage.
        """
        pixels = to_rgb(decode(self.benchmark.storage.read_bytes(path), path))
        return scaled_to(pixels, self.longest_px)

    def size_px(self, path: str) -> tuple[int, int]:
        """Height and width of an image as published.

        Raises:
            UnreadableImage: its header cannot be read.
            OSError: it cannot be read from storage.
        """
        facts = read_facts(self.benchmark.storage.read_bytes(path), path)
        return facts.height, facts.width


def shrink(mask: ClassMask, height: int, width: int) -> ClassMask:
    """Resize a mask, nearest neighbour."""
    if mask.shape == (height, width):
        return mask
    return np.asarray(Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST))
