# SPDX-License-Identifier: Apache-2.0
"""What all writers of demo data sets share: image encoders and the list of what was written."""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from PIL import Image

from pipelines.demo.world import Footprint, Pixels


@dataclass(frozen=True, order=True)
class Placed:
    """One written image and the rectangle of the world picture it shows."""

    dataset: str
    source_path: str
    split: str
    y0: int
    x0: int
    h: int
    w: int

    @classmethod
    def at(cls, footprint: Footprint, dataset: str, source_path: str, split: str) -> "Placed":
        """Place a square image."""
        size_px = footprint.size_px
        return cls(dataset, source_path, split, footprint.y0, footprint.x0, size_px, size_px)


def write_placed(placed: Iterable[Placed], path: Path) -> None:
    """Write a table of where each image comes from, sorted, so that anyone can check it."""
    with path.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(field.name for field in fields(Placed))
        table.writerows(astuple(row) for row in sorted(placed))


def encode_jpeg(pixels: Pixels, quality: int = 92) -> bytes:
    """JPEG bytes of uint8 (H, W, 3) pixels; full colour resolution, for small coasts."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def encode_png(pixels: Pixels) -> bytes:
    """PNG bytes of uint8 (H, W, 3) or (H, W) pixels."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
