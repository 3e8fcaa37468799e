"""The scores: trained and untrained encoder side by side, with their intervals drawn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from rspipe.io.tables import read_json
from rspipe.report import figures
from rspipe.report.examples import Example, Swatch, read_examples

PRETRAINED, RANDOM = "pretrained", "random"
# What `per_class` holds, by task.
_CLASS_METRICS = {"classification": "recall", "detection": "AP50", "segmentation": "IoU"}

Row = Mapping[str, Any]


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

    def cell_file(self, row: Row, suffix: str) -> Path:
        """File of a row's arrays (.npz) or examples (.json)."""
        return self.path / "cells" / f"{Path(str(row.get('cell'))).name}{suffix}"


@dataclass(frozen=True)
class Score:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f}"


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
    drawing: Markup

    @property
    def pair(self) -> tuple[Score, Score] | None:
        """Trained and untrained, where both are there."""
        if PRETRAINED in self.scores and RANDOM in self.scores:
            return self.scores[PRETRAINED], self.scores[RANDOM]
        return None

    @property
    def gain(self) -> float | None:
        """Trained minus untrained."""
        return self.pair[0].value - self.pair[1].value if self.pair else None

    @property
    def verdict(self) -> str:
        """`better`, `worse`, or `overlap` where the two intervals share a value."""
        if self.pair is None:
            return ""
        trained, untrained = self.pair
        if trained.low > untrained.high:
            return "better"
        return "worse" if trained.high < untrained.low else "overlap"


@dataclass(frozen=True)
class ClassRow:
    """Scores of one class."""

    name: str
    values: Mapping[str, float | None]


@dataclass(frozen=True)
class Detail:
    """What stands behind one line of the score table."""

    benchmark: str
    protocol: str
    metric: str
    further: tuple[tuple[str, Mapping[str, Score]], ...]
    class_metric: str
    classes: tuple[ClassRow, ...]
    confusion: Markup
    examples: tuple[Example, ...]
    legend: tuple[Swatch, ...]


@dataclass(frozen=True)
class ResultsSection:
    """Everything the page says of the scores."""

    encoders: tuple[str, ...]
    rows: tuple[ScoreRow, ...]
    axis: Markup
    footnotes: tuple[tuple[str, str], ...]
    """Metric and convention; a row's `footnote` counts from 1."""
    skipped: tuple[Row, ...]
    details: tuple[Detail, ...]
    verdicts: Mapping[str, int]
    headline: ScoreRow | None


def describe_results(results: Results) -> ResultsSection:
    """Lay the rows of `results.json` out as tables and drawings."""
    done = [row for row in results.rows if row["status"] == "done"]
    footnotes = list(dict.fromkeys((str(r["metric"]), str(r["convention"] or "")) for r in done))
    axis = _axis(done)
    rows = tuple(_score_row(lines, footnotes, axis) for lines in _lines(done))
    verdicts = [row.verdict for row in rows]
    return ResultsSection(
        encoders=tuple(dict.fromkeys(str(row["encoder"]) for row in done)),
        rows=rows,
        axis=figures.interval_axis(axis),
        footnotes=tuple(footnotes),
        skipped=tuple(row for row in results.rows if row["status"] != "done"),
        details=tuple(_detail(lines, results) for lines in _lines(done)),
        verdicts={name: verdicts.count(name) for name in ("better", "overlap", "worse")},
        headline=_headline(rows),
    )


def _lines(done: Sequence[Row]) -> list[dict[str, Row]]:
    """Group rows that differ in the encoder alone."""
    lines: dict[tuple[str, ...], dict[str, Row]] = {}
    for row in done:
        key = tuple(str(row[name]) for name in ("benchmark", "task", "protocol", "metric"))
        lines.setdefault(key, {})[str(row["encoder"])] = row
    return list(lines.values())


def _axis(done: Sequence[Row]) -> tuple[float, float]:
    """Shared axis of all intervals: tenths around the lowest and the highest end."""
    ends = [s.low for s in map(_score, done)] + [s.high for s in map(_score, done)]
    if not ends:
        return 0.0, 1.0
    return math.floor(10 * min(ends)) / 10, math.ceil(10 * max(ends)) / 10


def _score(row: Row, which: str = "") -> Score:
    """Read a value; where there is no interval it shrinks to the value."""
    value = float(row[f"{which}value"])
    low, high = row.get(f"{which}ci_low"), row.get(f"{which}ci_high")
    return Score(value, value if low is None else low, value if high is None else high)


def _score_row(
    lines: Mapping[str, Row], footnotes: Sequence[tuple[str, str]], axis: tuple[float, float]
) -> ScoreRow:
    row = next(iter(lines.values()))
    scores = {encoder: _score(one) for encoder, one in lines.items()}
    drawn = [(name, s.value, s.low, s.high) for name, s in scores.items()]
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
            encoder: _score(one, "clean_")
            for encoder, one in lines.items()
            if one.get("clean_value") is not None
        },
        drawing=figures.interval(drawn, axis),
    )


def _headline(rows: Sequence[ScoreRow]) -> ScoreRow | None:
    """Choose the score with most test images: a rule that does not look at the scores."""
    pairs = [row for row in rows if row.pair]
    return max(pairs, key=lambda row: (row.n_test or 0, row.protocol), default=None)


def _detail(lines: Mapping[str, Row], results: Results) -> Detail:
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
        further=_further(lines),
        class_metric=_CLASS_METRICS.get(row["task"], ""),
        classes=_classes(lines, names),
        confusion=_confusion(arrays, names),
        examples=examples,
        legend=legend,
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


def _further(lines: Mapping[str, Row]) -> tuple[tuple[str, Mapping[str, Score]], ...]:
    """Collect the scores with intervals that stand in `extra`."""
    found: dict[str, dict[str, Score]] = {}
    for encoder, row in lines.items():
        for name, value in (row.get("extra") or {}).items():
            if isinstance(value, dict) and isinstance(value.get("value"), float):
                found.setdefault(name, {})[encoder] = _score(value)
    return tuple(found.items())


def _classes(lines: Mapping[str, Row], names: Sequence[str]) -> tuple[ClassRow, ...]:
    known = list(dict.fromkeys(n for row in lines.values() for n in row.get("per_class") or {}))
    ordered = [n for n in names if n in known] + [n for n in known if n not in names]
    return tuple(
        ClassRow(name, {e: (row.get("per_class") or {}).get(name) for e, row in lines.items()})
        for name in ordered
    )


def _confusion(arrays: Mapping[str, np.ndarray], names: Sequence[str]) -> Markup:
    """Draw the matrix; classes whose order is not recorded are numbered."""
    counts = arrays.get("confusion")
    if counts is None:
        return Markup("")
    fits = len(names) == len(counts)
    return figures.heatmap(counts, names if fits else [f"class {i}" for i in range(len(counts))])
