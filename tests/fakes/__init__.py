# SPDX-License-Identifier: Apache-2.0
"""Tiny data sets in their native layouts, each with what a reader must find in it.

One file per layout; `write(root)` writes it and returns what was written, as `Expected`. What is
expected is worked out beside the files, never by a reader. Pixels are noise: nothing here may be
used for more than layouts.
"""

import importlib
import io
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Expected:
    """What a reader must find."""

    layout: str
    """Key of the READERS table."""
    images: Mapping[str, Mapping[str, object]]
    """Path → what is said of the image: fields of ImageRecord, Annotation and Geography; the
    others must be null. Boxes are (label, x0, y0, x1, y1) and corners where there are any."""
    sidecars: frozenset[str] = frozenset()
    faults: frozenset[str] = frozenset()
    options: Mapping[str, object] = field(default_factory=dict)
    """Card options, where the layout does not say enough by itself."""
    task: str = "unlabelled"
    """Task of the card."""
    recognised: bool = True
    """Whether the reader must recognise it without a card."""


def fakes() -> dict[str, Callable[[Path], Expected]]:
    """Writers of all fakes, by name."""
    modules = [
        importlib.import_module(f"{__name__}.{m.name}") for m in pkgutil.iter_modules(__path__)
    ]
    return {m.__name__.rpartition(".")[2]: m.write for m in modules if hasattr(m, "write")}


def picture(
    size: tuple[int, int] = (8, 8), mode: str = "RGB", fmt: str = "PNG", seed: int = 0
) -> bytes:
    """Bytes of a noise picture; size is width, height."""
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).convert(mode).save(buffer, fmt)
    return buffer.getvalue()


def write_files(root: Path, files: Mapping[str, bytes | str | None]) -> None:
    """Write files below a root; None stands for a picture in the format that the suffix says."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = _picture_for(path.suffix) if content is None else content
        path.write_bytes(data.encode() if isinstance(data, str) else data)


def _picture_for(suffix: str) -> bytes:
    formats = {".jpg": "JPEG", ".jpeg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}
    return picture(fmt=(formats | {".jp2": "JPEG2000"}).get(suffix.lower(), "PNG"))
