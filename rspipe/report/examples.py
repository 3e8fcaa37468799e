# SPDX-License-Identifier: Apache-2.0
"""Example predictions: the picture, what is there, what was found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rspipe.io.images import Pixels
from rspipe.io.tables import read_json
from rspipe.report import figures
from rspipe.report.attention import Attention, attention_of
from rspipe.report.legend import Rgb, palette_of
from rspipe.report.pictures import jpeg_uri, mask_uri, read_picture

_SIDE_PX = 192
_NO_BOXES = Markup("")


@dataclass(frozen=True)
class Swatch:
    """A class and its colour in the masks."""

    name: str
    css: str


@dataclass(frozen=True)
class Example:
    """A test image with its prediction; which fields are filled depends on the task."""

    path: str
    picture: str | None
    truth: str | None = None
    """Class name, or the true mask as a data URI where `found` is one."""
    found: str | None = None
    is_mask: bool = False
    overlay: Markup = _NO_BOXES
    """Boxes."""
    rank: str | None = None
    """`best` or `worst` of the test images; None in older cells, whose examples were the first."""
    score: float | None = None
    """Of the image alone, 0..1."""
    counted: tuple[int, int] | None = None
    """Right detections, of how many objects."""
    confidence: float | None = None
    """How sure a protocol is of the class it names, 0..1; None where it does not say."""
    attention: tuple[Attention, ...] = ()
    """Where a pooling probe looks."""

    @property
    def is_right(self) -> bool:
        """Whether a class was named rightly."""
        return self.truth == self.found


def read_examples(
    cell: Path, arrays: Mapping[str, np.ndarray], names: Sequence[str], root: Path | None
) -> tuple[tuple[Example, ...], tuple[Swatch, ...]]:
    """Read the example predictions of one cell of the results.

    Args:
        cell: its JSON file.
        arrays: its arrays: `truth_i` and `predicted_i` are masks of example i, `attention` maps
            (example, query, row, column) of a pooling probe.
        names: classes, in the order of their indices; empty where the order is not recorded.
        root: folder of the benchmark's images; an example whose image is gone has no picture.

    Returns:
        The examples, and the legend of their masks.
    """
    notes = read_json(cell).get("examples", []) if cell.is_file() else []
    shown = names or [f"class {i}" for i in range(len(arrays.get("confusion", ())))]
    has_masks = any(f"predicted_{i}" in arrays for i in range(len(notes)))
    palette = palette_of(shown, root) if has_masks else ()
    examples = tuple(_example(i, note, arrays, palette, root) for i, note in enumerate(notes))
    return examples, tuple(
        Swatch(name, "rgb({},{},{})".format(*colour))
        for name, colour in zip(shown if palette else (), palette, strict=True)
    )


def read_example(
    path: str, truth: str, found: str, root: Path | None, confidence: float | None = None
) -> Example:
    """Show an image with its class and the class that was named."""
    pixels = _find(root, path)
    picture = None if pixels is None else jpeg_uri(pixels, _SIDE_PX)
    return Example(path, picture, truth, found, confidence=confidence)


def _example(
    index: int,
    note: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    palette: Sequence[Rgb],
    root: Path | None,
) -> Example:
    path = str(note["path"])
    pixels = _find(root, path)
    picture = None if pixels is None else jpeg_uri(pixels, _SIDE_PX)
    if f"predicted_{index}" in arrays:
        truth, found = (
            mask_uri(arrays[f"{kind}_{index}"], palette, _SIDE_PX)
            for kind in ("truth", "predicted")
        )
        return Example(
            path, picture, truth, found, True, rank=note.get("rank"), score=note.get("score")
        )
    if "found" in note:
        return Example(
            path,
            picture,
            overlay=_boxes(note, pixels),
            rank=note.get("rank"),
            score=note.get("score"),
            counted=_counted(note),
        )
    truth, found = str(note.get("truth")), str(note.get("predicted"))
    return Example(path, picture, truth, found, attention=attention_of(arrays, index))


def _find(root: Path | None, path: str) -> Pixels | None:
    if root is None or not (root / path).resolve().is_relative_to(root.resolve()):
        return None
    return read_picture(root / path)


def _counted(note: Mapping[str, Any]) -> tuple[int, int] | None:
    """How many of the best detections are right; older cells did not match them."""
    if "n_objects" not in note:
        return None
    return sum(one.get("right") is True for one in note["found"]), int(note["n_objects"])


def _boxes(note: Mapping[str, Any], pixels: Pixels | None) -> Markup:
    """Draw the true boxes, and as many of the best found ones."""
    truth = [_outline(one) for one in note["truth"]]
    most = note.get("n_objects", max(len(truth), 1))
    best = sorted(note["found"], key=lambda one: -one["score"])[:most]
    found = [
        (_outline(one), f"{one['label']} {one['score']:.2f}", one.get("right")) for one in best
    ]
    hulls = [np.array(one["box"], np.float64) for one in [*note["truth"], *best]]
    if pixels is not None:
        height, width = pixels.shape[:2]
    elif hulls:
        width, height = np.max(hulls, axis=0)[2:]
    else:
        return _NO_BOXES
    return figures.boxes((float(width), float(height)), truth, found)


def _outline(one: Mapping[str, Any]) -> NDArray[np.float64]:
    """The corners of an oriented box; of a horizontal one x0, y0, x1, y1."""
    return np.array(one.get("corners", one["box"]), np.float64)
