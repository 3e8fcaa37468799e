# SPDX-License-Identifier: Apache-2.0
"""The figures of a comparison: a row per run, a summary per variant, as JSON, CSV and text."""

import csv
import io
import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from scipy import stats

from rspipe import __version__
from rspipe.compare.config import CompareRecipe
from rspipe.compare.plan import PlannedRun
from rspipe.evaluate.base import EvalResult
from rspipe.io.provenance import code_commit
from rspipe.io.tables import write_json, write_text

LEVEL = 0.95


@dataclass(frozen=True)
class Candidate:
    """One learning rate of the sweep."""

    variant: str
    base_lr: float
    validation_score: float | None
    """None: diverged."""
    is_chosen: bool = False

    def marked(self, is_chosen: bool) -> "Candidate":
        """The same, chosen or not."""
        return replace(self, is_chosen=is_chosen)


@dataclass(frozen=True)
class Score:
    """One accuracy, with the interval over test images."""

    value: float
    ci_low: float | None
    ci_high: float | None
    n_test: int | None


@dataclass(frozen=True)
class Row:
    """One run, or one floor; a run without scores diverged."""

    variant: str
    seed: int
    scores: dict[str, Score]
    """By protocol."""
    folder: str = ""
    objective: str = ""
    base_lr: float | None = None
    steps: int | None = None
    images: int | None = None
    macs_per_image: int | None = None
    """Forward."""
    training_macs: int | None = None
    seconds: float | None = None
    """Of training, waiting for data included."""
    images_per_s: float | None = None
    peak_memory_gib: float | None = None
    final_loss: float | None = None
    curve: list[tuple[float, float, float]] = field(default_factory=list)
    """(training MACs, seconds, loss), oldest first."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds."""

    mean: float
    sd: float | None
    """Sample standard deviation; None with one seed."""
    ci_low: float | None
    """95 % interval of the mean by Student's t: the seeds' spread, not that of test images."""
    ci_high: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Summarise at least one value."""
        mean = statistics.fmean(values)
        if len(values) < 2:
            return cls(mean, None, None, None, len(values))
        sd = statistics.stdev(values)
        reach = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * sd / math.sqrt(len(values))
        return cls(mean, sd, mean - reach, mean + reach, len(values))


@dataclass(frozen=True)
class Table:
    """Everything that is reported."""

    recipe: CompareRecipe
    rows: list[Row]
    candidates: list[Candidate]
    floors: list[Row]

    @property
    def protocols(self) -> list[str]:
        """Those that gave any score, in order."""
        return list(dict.fromkeys(name for row in self.rows for name in row.scores))

    def of(self, variant: str) -> list[Row]:
        """Runs of a variant that have scores, or a floor's rows."""
        return [row for row in [*self.rows, *self.floors] if row.variant == variant and row.scores]

    @property
    def floor_names(self) -> list[str]:
        """Baselines, in order."""
        return list(dict.fromkeys(row.variant for row in self.floors))

    def estimate(self, variant: str, protocol: str) -> Estimate | None:
        """Accuracy over seeds; None where all diverged."""
        values = [row.scores[protocol].value for row in self.of(variant) if protocol in row.scores]
        return Estimate.of(values) if values else None

    def difference(self, variant: str, protocol: str) -> Estimate | None:
        """Accuracy minus the reference's, seed by seed."""
        if self.recipe.reference in (None, variant):
            return None
        base = {row.seed: row.scores.get(protocol) for row in self.of(str(self.recipe.reference))}
        pairs = [
            row.scores[protocol].value - other.value
            for row in self.of(variant)
            if protocol in row.scores and (other := base.get(row.seed)) is not None
        ]
        return Estimate.of(pairs) if pairs else None

    def cost(self, variant: str, name: str) -> float | None:
        """Mean of a column over the runs of a variant."""
        values = [getattr(row, name) for row in self.rows if row.variant == variant]
        known = [value for value in values if value is not None]
        return statistics.fmean(known) if known else None


def run_row(
    run: PlannedRun,
    manifest: Mapping[str, Any],
    scores: Mapping[str, EvalResult],
    metrics: Sequence[Mapping[str, float]],
) -> Row:
    """Describe a run; an empty manifest is that of a diverged one."""
    what = run.recipe.what
    seconds = manifest.get("elapsed_s") or (metrics[-1].get("elapsed_s") if metrics else None)
    images = what.steps * what.images_per_step
    return Row(
        variant=run.variant,
        seed=what.seed,
        scores=_scores(scores),
        folder=str(run.folder),
        objective=what.objective.name,
        base_lr=what.base_lr,
        steps=what.steps,
        images=images,
        macs_per_image=run.macs_per_image,
        training_macs=run.training_macs,
        seconds=seconds,
        images_per_s=images / seconds if seconds else None,
        peak_memory_gib=manifest.get("peak_memory_gib"),
        final_loss=manifest.get("final_loss"),
        curve=[
            (line["step"] * run.step_macs, line.get("elapsed_s", math.nan), line["loss"])
            for line in metrics
        ],
    )


def floor_row(name: str, seed: int, scores: Mapping[str, EvalResult]) -> Row:
    """Describe a baseline."""
    return Row(variant=name, seed=seed, scores=_scores(scores))


def _scores(found: Mapping[str, EvalResult]) -> dict[str, Score]:
    return {
        protocol: Score(row.value, row.ci_low, row.ci_high, row.n_test)
        for protocol, row in found.items()
        if row.value is not None
    }


def write_table(table: Table, folder: Path) -> None:
    """Write `compare.csv`, a line per run and floor, and `compare.json`, everything."""
    write_text(_to_csv(table), folder / "compare.csv")
    value = {
        "rspipe_version": __version__,
        "torch_version": torch.__version__,
        "code_commit": code_commit(),
        "machine": {"cpus": os.cpu_count(), "processor": platform.machine()},
        "recipe": table.recipe.model_dump(mode="json"),
        "summary": {name: _summary(table, name) for name in _names(table)},
        "sweep": [asdict(one) for one in table.candidates],
        "rows": [asdict(row) for row in table.rows],
        "floors": [asdict(row) for row in table.floors],
    }
    write_json(value, folder / "compare.json")


def _names(table: Table) -> list[str]:
    return [*table.recipe.variants, *table.floor_names]


def _summary(table: Table, name: str) -> dict[str, Any]:
    parts: dict[str, Any] = {}
    for protocol in table.protocols:
        score, gap = table.estimate(name, protocol), table.difference(name, protocol)
        parts[protocol] = {
            "score": asdict(score) if score else None,
            "against_reference": asdict(gap) if gap else None,
        }
    return parts


_COSTS = (
    *("objective", "base_lr", "steps", "images", "macs_per_image", "training_macs"),
    *("seconds", "images_per_s", "peak_memory_gib", "final_loss", "folder"),
)


def _to_csv(table: Table) -> str:
    ends = ("", "_ci_low", "_ci_high")
    scores = [f"{name}{end}" for name in table.protocols for end in ends]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, ["variant", "seed", *scores, *_COSTS], lineterminator="\n")
    writer.writeheader()
    for row in [*table.rows, *table.floors]:
        line = {"variant": row.variant, "seed": row.seed, **{k: getattr(row, k) for k in _COSTS}}
        for name, score in row.scores.items():
            values = (score.value, score.ci_low, score.ci_high)
            line |= dict(zip((f"{name}{end}" for end in ends), values, strict=True))
        writer.writerow(line)
    return buffer.getvalue()


def to_text(table: Table) -> str:
    """Lay the summary out for a terminal."""
    head = ["variant", *table.protocols, "images", "TMACs", "seconds"]
    lines = [head, *([name, *_cells(table, name)] for name in _names(table))]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(table: Table, name: str) -> list[str]:
    images, macs, seconds = (
        table.cost(name, column) for column in ("images", "training_macs", "seconds")
    )
    return [
        *(written(table.estimate(name, protocol)) for protocol in table.protocols),
        f"{images:,.0f}" if images is not None else "",
        f"{macs / 1e12:,.2f}" if macs is not None else "",
        f"{seconds:,.0f}" if seconds is not None else "",
    ]


def written(estimate: Estimate | None, sign: str = "") -> str:
    """Write a mean with its standard deviation over seeds.

    >>> written(Estimate.of([0.5, 0.6]))
    '0.550 ± 0.071'
    """
    if estimate is None:
        return "diverged"
    spread = f" ± {estimate.sd:.3f}" if estimate.sd is not None else ""
    return f"{estimate.mean:{sign}.3f}{spread}"
