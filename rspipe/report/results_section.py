# SPDX-License-Identifier: Apache-2.0
"""The scores: trained and untrained encoder side by side, with their intervals drawn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from rspipe.io.tables import read_json
from rspipe.report import figures
from rspipe.report.comparisons import Floor, Group, Printed, floors_of, groups_of, printed_of
from rspipe.report.confident import Confident, confident_of
from rspipe.report.conventions import Convention, conventions_of
from rspipe.report.curve_figures import label_curves, precision_curves
from rspipe.report.examples import Example, Swatch, read_examples
from rspipe.report.provenance import Judged, judged_of
from rspipe.report.robustness_section import Robustness, is_corrupted, robustness_of
from rspipe.report.scores import (
    PRETRAINED,
    SIZES,
    Difference,
    Lines,
    Row,
    Score,
    curves_of,
    encoders_of,
    further_of,
    lines_of,
    looks_of,
    over_floor,
    over_untrained,
    score_of,
)

VERDICTS = ("better", "inseparable", "worse", "unknown")
IMBALANCED = 1.5
"""Times its even share of the test images that the largest class holds, from which on AA is shown
beside OA."""

# What `per_class` holds, by task.
_CLASS_METRICS = {"classification": "recall", "detection": "AP50", "segmentation": "IoU"}
# What a class of the test part consists of.
_THINGS = {"classification": "image", "detection": "object", "segmentation": "pixel"}


@dataclass(frozen=True)
class Results:
    """A results folder."""

    path: Path
    manifest: Mapping[str, Any]
    rows: Sequence[Row]

    @classmethod
    def read(cls, path: Path) -> "Results | None":
        """Read a results folder; None where nothing was evaluated."""
        if not (path / "results.json").is_file():
            return None
        manifest = path / "manifest.json"
        return cls(
            path=path,
            manifest=read_json(manifest) if manifest.is_file() else {},
            rows=read_json(path / "results.json"),
        )

    @property
    def done(self) -> list[Row]:
        """Rows with a score."""
        return [row for row in self.rows if row["status"] == "done"]

    @property
    def looks(self) -> Mapping[str, str]:
        """Class of each encoder in the page's style."""
        return looks_of(encoders_of(self.done))

    def cell_file(self, row: Row, suffix: str) -> Path:
        """File of a row's arrays (.npz) or examples (.json)."""
        return self.path / "cells" / f"{Path(str(row.get('cell'))).name}{suffix}"


@dataclass(frozen=True)
class ScoreRow:
    """One line of the score table."""

    benchmark: str
    task: str
    protocol: str
    metric: str
    footnote: int
    scores: Mapping[str, Score]
    n_train: int | None
    n_test: int | None
    n_audited: int | None
    """Test images that were compared with the encoder's corpus; None: nobody looked."""
    n_leaked: int | None
    clean: Mapping[str, Score]
    """The scores without the leaked images."""
    drawings: Mapping[str, Markup]
    """The interval of each encoder, all on one axis."""
    is_last: bool
    """Whether the benchmark's published figures follow."""
    is_corrupted: bool
    """Whether the test images were corrupted."""

    over_untrained: Mapping[str, Difference]
    """By trained encoder."""
    over_floor: Mapping[str, Difference]
    """Over the best floor, by encoder."""
    balanced: Mapping[str, Score]
    """AA by encoder, where the classes of the test images are imbalanced; else empty."""

    @property
    def gain(self) -> Difference | None:
        """Trained over untrained, where both are there."""
        return self.over_untrained.get(PRETRAINED)

    @property
    def verdict(self) -> str:
        """Of the gain; empty where there is none."""
        return self.gain.verdict if self.gain else ""


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
    confusion: Markup
    examples: tuple[Example, ...]
    legend: tuple[Swatch, ...]
    image_score: str | None
    """What the score of a single image is."""
    confident: Confident
    confidence: str | None
    """What says how sure a prediction is."""


@dataclass(frozen=True)
class ResultsSection:
    """Everything the page says of the scores."""

    encoders: tuple[str, ...]
    looks: Mapping[str, str]
    """Class of each encoder in the page's style."""
    rows: tuple[ScoreRow, ...]
    axis: Markup
    conventions: tuple[Convention, ...]
    """Of the metrics; a row's `footnote` is a number in them."""
    skipped: tuple[Row, ...]
    details: tuple[Detail, ...]
    verdicts: Mapping[str, int]
    """How many scores, by verdict of trained over untrained."""
    imbalanced: float
    """Times its even share from which a largest class makes AA stand beside OA."""
    headline: ScoreRow | None
    floors: tuple[Floor, ...]
    groups: tuple[Group, ...]
    printed: Mapping[str, tuple[Printed, ...]]
    """Published figures by benchmark."""
    judged: tuple[Judged, ...]
    robustness: tuple[Robustness, ...]


def describe_results(results: Results) -> ResultsSection:
    """Lay the rows of `results.json` out as tables and drawings."""
    done = results.done
    footnotes = list(dict.fromkeys((str(r["metric"]), str(r["convention"] or "")) for r in done))
    recipe = results.manifest.get("recipe") or {}
    printed = printed_of(recipe, done)
    axis = _axis(done, printed)
    encoders = encoders_of(done)
    looks, every = results.looks, lines_of(done)
    last = {str(next(iter(lines.values()))["benchmark"]): lines for lines in every}
    rows = tuple(
        _score_row(lines, results, footnotes, axis, any(lines is one for one in last.values()))
        for lines in every
    )
    verdicts = [row.verdict for row in rows]
    return ResultsSection(
        encoders=encoders,
        looks=looks,
        rows=rows,
        axis=figures.interval_axis(axis),
        conventions=conventions_of(footnotes),
        skipped=tuple(row for row in results.rows if row["status"] != "done"),
        details=_details(every, results, looks),
        verdicts={name: verdicts.count(name) for name in VERDICTS},
        imbalanced=IMBALANCED,
        headline=_headline(rows),
        floors=floors_of(done),
        groups=groups_of(every),
        printed=_by_benchmark(printed, axis),
        judged=judged_of(recipe, done),
        robustness=robustness_of(every, looks),
    )


def _axis(done: Sequence[Row], printed: Sequence[Printed]) -> tuple[float, float]:
    """Shared axis of all intervals: tenths around the lowest and the highest end."""
    ends = [s.low for s in map(score_of, done)] + [s.high for s in map(score_of, done)]
    ends += [one.value for one in printed if one.is_headline]
    if not ends:
        return 0.0, 1.0
    return math.floor(10 * min(ends)) / 10, math.ceil(10 * max(ends)) / 10


def _score_row(
    lines: Lines,
    results: Results,
    footnotes: Sequence[tuple[str, str]],
    axis: tuple[float, float],
    is_last: bool,
) -> ScoreRow:
    row, looks = next(iter(lines.values())), results.looks
    ordered = encoders_of(list(lines.values()))
    scores = {encoder: score_of(lines[encoder]) for encoder in ordered}
    return ScoreRow(
        benchmark=row["benchmark"],
        task=row["task"],
        protocol=row["protocol"],
        metric=row["metric"],
        footnote=footnotes.index((str(row["metric"]), str(row["convention"] or ""))) + 1,
        scores=scores,
        n_train=row.get("n_train"),
        n_test=row.get("n_test"),
        n_audited=row.get("n_audited"),
        n_leaked=row.get("n_leaked"),
        clean={
            encoder: score_of(one, "clean_")
            for encoder, one in lines.items()
            if one.get("clean_value") is not None
        },
        drawings={
            name: figures.interval((name, s.value, s.low, s.high), axis, looks[name])
            for name, s in scores.items()
        },
        is_last=is_last,
        is_corrupted=is_corrupted(lines),
        over_untrained=_known({e: over_untrained(one, lines) for e, one in lines.items()}),
        over_floor=_known({e: over_floor(one) for e, one in lines.items()}),
        balanced=dict(further_of(lines)).get("AA", {}) if _is_imbalanced(lines, results) else {},
    )


def _known(found: Mapping[str, Difference | None]) -> dict[str, Difference]:
    return {encoder: one for encoder, one in found.items() if one is not None}


def _is_imbalanced(lines: Lines, results: Results) -> bool:
    """Whether one class holds far more of the test images than its even share."""
    row = next(iter(lines.values()))
    counts = _arrays(results.cell_file(row, ".npz")).get("confusion")
    if row["task"] != "classification" or counts is None or not counts.sum():
        return False
    held = counts.sum(axis=1)
    return bool(held.max() * len(held) > IMBALANCED * held.sum())


def _by_benchmark(
    printed: Sequence[Printed], axis: tuple[float, float]
) -> dict[str, tuple[Printed, ...]]:
    """Put published figures with their benchmarks; those of a headline metric are drawn."""
    found: dict[str, tuple[Printed, ...]] = {}
    for one in printed:
        drawing = figures.mark(one.model, one.value, axis) if one.is_headline else Markup("")
        found[one.benchmark] = (*found.get(one.benchmark, ()), replace(one, drawing=drawing))
    return found


def _headline(rows: Sequence[ScoreRow]) -> ScoreRow | None:
    """Choose the score with most test images: a rule that does not look at the scores."""
    pairs = [row for row in rows if row.gain and not row.is_corrupted]
    return max(pairs, key=lambda row: (row.n_test or 0, row.protocol), default=None)


def _details(
    every: Sequence[Lines], results: Results, looks: Mapping[str, str]
) -> tuple[Detail, ...]:
    """Describe what stands behind each line; the page opens the first, so floors come last."""
    shown = [lines for lines in every if not is_corrupted(lines)]
    shown.sort(key=lambda lines: PRETRAINED not in lines)
    return tuple(_detail(lines, results, looks) for lines in shown)


def _detail(lines: Lines, results: Results, looks: Mapping[str, str]) -> Detail:
    row = lines.get(PRETRAINED, next(iter(lines.values())))
    arrays = _arrays(results.cell_file(row, ".npz"))
    names = [str(name) for name in (row.get("extra") or {}).get("classes") or ()]
    examples, legend = read_examples(
        results.cell_file(row, ".json"), arrays, names, _images_root(results, row)
    )
    return Detail(
        benchmark=row["benchmark"],
        protocol=row["protocol"],
        metric=row["metric"],
        encoder=str(row["encoder"]),
        encoders=encoders_of(list(lines.values())),
        further=further_of(lines),
        class_metric=_CLASS_METRICS.get(row["task"], ""),
        thing=_THINGS.get(row["task"], "thing"),
        classes=_classes(lines, names),
        curve=_curve(lines, looks),
        precision=_precision(arrays, names),
        confusion=_confusion(arrays, names),
        examples=examples,
        legend=legend,
        image_score=(row.get("extra") or {}).get("image_score"),
        confident=confident_of(arrays, names, _images_root(results, row)),
        confidence=(row.get("extra") or {}).get("confidence"),
    )


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def _images_root(results: Results, row: Row) -> Path | None:
    """Folder of the benchmark's images, where it can still be found."""
    data = (results.manifest.get("recipe") or {}).get("data")
    return None if data is None else Path(data) / row["benchmark"]


def _curve(lines: Lines, looks: Mapping[str, str]) -> Markup:
    protocol = str(next(iter(lines.values()))["protocol"])
    return label_curves(curves_of(lines), looks, SIZES.get(protocol, "size of the train part"))


def _classes(lines: Lines, names: Sequence[str]) -> tuple[ClassRow, ...]:
    known = list(dict.fromkeys(n for row in lines.values() for n in row.get("per_class") or {}))
    ordered = [n for n in names if n in known] + [n for n in known if n not in names]
    return tuple(
        ClassRow(name, {e: (row.get("per_class") or {}).get(name) for e, row in lines.items()})
        for name in ordered
    )


def _precision(arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> Markup:
    """Draw precision by recall; older cells of detectors kept none."""
    precision = arrays.get("precision")
    if precision is None or len(precision) != len(names):
        return Markup("")
    return precision_curves(precision.astype(np.float64), names)


def _confusion(arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> Markup:
    """Draw the matrix; classes whose order is not recorded are numbered."""
    counts = arrays.get("confusion")
    if counts is None:
        return Markup("")
    fits = len(names) == len(counts)
    return figures.heatmap(counts, names if fits else [f"class {i}" for i in range(len(counts))])
