# SPDX-License-Identifier: Apache-2.0
"""What stands behind each line of the score table: classes, curves, confusion, pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rspipe.report import figures
from rspipe.report.confident import Confident, confident_of
from rspipe.report.curve_figures import label_curves, precision_curves, precision_legend
from rspipe.report.examples import Example, Swatch, read_examples
from rspipe.report.robustness_section import is_corrupted
from rspipe.report.score_table import Block
from rspipe.report.scores import (
    PRETRAINED,
    SIZES,
    Lines,
    Score,
    curves_of,
    encoders_of,
    further_of,
)

# What `per_class` holds, by task.
_CLASS_METRICS = {"classification": "recall", "detection": "AP50", "segmentation": "IoU"}
# What a class of the test part consists of.
_THINGS = {"classification": "image", "detection": "object", "segmentation": "pixel"}


@dataclass(frozen=True)
class ClassRow:
    """Scores of one class."""

    name: str
    values: Mapping[str, float | None]
    """By encoder; None where it has no score."""

    @property
    def is_empty(self) -> bool:
        """Whether no encoder has a score: the test part shows nothing of the class."""
        return all(value is None for value in self.values.values())


@dataclass(frozen=True)
class Detail:
    """What stands behind one line of the score table."""

    benchmark: str
    protocol: str
    recipe: str
    """Named where several recipes measure the same; else empty."""
    metric: str
    encoder: str
    """Whose predictions are shown."""
    encoders: tuple[str, ...]
    """Of this line."""
    further: tuple[tuple[str, Mapping[str, Score]], ...]
    class_metric: str
    thing: str
    """What a class has none of in the test part if no encoder has a score for it."""
    classes: tuple[ClassRow, ...]
    curve: Markup
    """Score by number of labels."""
    precision: Markup
    """Precision by recall of a detector."""
    precision_legend: tuple[tuple[str, str], ...]
    """Name of each of its curves, and its class in the page's style."""
    confusion: Markup
    examples: tuple[Example, ...]
    legend: tuple[Swatch, ...]
    image_score: str | None
    """What the score of a single image is."""
    confident: Confident
    confidence: str | None
    """What says how sure a prediction is."""


def details_of(blocks: Sequence[Block], looks: Mapping[str, str]) -> tuple[Detail, ...]:
    """Describe what stands behind each block; the page opens the first, so floors come last.

    Args:
        blocks: of all folders.
        looks: class of each encoder in the page's style.
    """
    shown = [block for block in blocks if not is_corrupted(block.lines)]
    shown.sort(key=lambda block: PRETRAINED not in block.lines)
    return tuple(_detail(block, looks) for block in shown)


def _detail(block: Block, looks: Mapping[str, str]) -> Detail:
    lines, folder = block.lines, block.folder
    row = lines.get(PRETRAINED, block.row)
    arrays, root = folder.arrays(row), folder.images_root(row)
    extra = row.get("extra") or {}
    names = [str(name) for name in extra.get("classes") or ()]
    precision = _precision(arrays, len(names))
    examples, legend = read_examples(folder.cell_file(row, ".json"), arrays, names, root)
    return Detail(
        benchmark=row["benchmark"],
        protocol=row["protocol"],
        recipe=block.recipe,
        metric=row["metric"],
        encoder=str(row["encoder"]),
        encoders=encoders_of(list(lines.values())),
        further=further_of(lines),
        class_metric=_CLASS_METRICS.get(row["task"], ""),
        thing=_THINGS.get(row["task"], "thing"),
        classes=_classes(lines, names),
        curve=_curve(block, looks),
        precision=Markup("") if precision is None else precision_curves(precision, names),
        precision_legend=() if precision is None else precision_legend(precision, names),
        confusion=_confusion(arrays, names),
        examples=examples,
        legend=legend,
        image_score=extra.get("image_score"),
        confident=confident_of(arrays, names, root),
        confidence=extra.get("confidence"),
    )


def _curve(block: Block, looks: Mapping[str, str]) -> Markup:
    sizes = SIZES.get(str(block.row["protocol"]), "size of the train part")
    return label_curves(curves_of(block.lines), looks, sizes)


def _classes(lines: Lines, names: Sequence[str]) -> tuple[ClassRow, ...]:
    known = list(dict.fromkeys(n for row in lines.values() for n in row.get("per_class") or {}))
    ordered = [n for n in names if n in known] + [n for n in known if n not in names]
    return tuple(
        ClassRow(name, {e: (row.get("per_class") or {}).get(name) for e, row in lines.items()})
        for name in ordered
    )


def _precision(arrays: Mapping[str, np.ndarray], n_classes: int) -> NDArray[np.float64] | None:
    """Precision by class and recall; older cells of detectors kept none."""
    precision = arrays.get("precision")
    if precision is None or len(precision) != n_classes:
        return None
    return precision.astype(np.float64)


def _confusion(arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> Markup:
    """Draw the matrix; classes whose order is not recorded are numbered."""
    counts = arrays.get("confusion")
    if counts is None:
        return Markup("")
    fits = len(names) == len(counts)
    return figures.heatmap(counts, names if fits else [f"class {i}" for i in range(len(counts))])
