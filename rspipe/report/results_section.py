# SPDX-License-Identifier: Apache-2.0
"""The scores: trained and untrained encoder side by side, with their intervals drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from rspipe.report import figures
from rspipe.report.comparisons import Group, Printed, groups_of
from rspipe.report.conventions import Convention, conventions_of
from rspipe.report.details import Detail, details_of
from rspipe.report.provenance import Judged, judged_of
from rspipe.report.results_folder import ResultsFolder, refuse_other_weights
from rspipe.report.robustness_section import Robustness, robustness_of
from rspipe.report.score_table import (
    IMBALANCED,
    ScoreRow,
    axis_of,
    blocks_of,
    elsewhere,
    headline_of,
    score_rows,
)
from rspipe.report.scores import Row, encoders_of, looks_of

VERDICTS = ("better", "inseparable", "worse", "unknown")


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
    groups: tuple[Group, ...]
    elsewhere: Mapping[str, tuple[Printed, ...]]
    """Published figures of benchmarks without a score, by benchmark."""
    judged: tuple[Judged, ...]
    robustness: tuple[Robustness, ...]

    @property
    def has_spread(self) -> bool:
        """Whether any score is a mean over seeds or draws, and has a column for their spread."""
        return any(s.seed_std is not None for row in self.rows for s in row.scores.values())


def describe_results(folders: Sequence[ResultsFolder]) -> ResultsSection:
    """Lay the rows of all `results.json` out as tables and drawings.

    Raises:
        RspipeError: two folders mean other weights by one label.
    """
    refuse_other_weights(folders)
    done = [row for folder in folders for row in folder.done]
    footnotes = list(dict.fromkeys((str(r["metric"]), str(r["convention"] or "")) for r in done))
    axis, encoders, blocks = axis_of(folders), encoders_of(done), blocks_of(folders)
    looks, every = looks_of(encoders), [block.lines for block in blocks]
    rows = score_rows(blocks, footnotes, axis, looks)
    verdicts = [row.verdict for row in rows]
    return ResultsSection(
        encoders=encoders,
        looks=looks,
        rows=rows,
        axis=figures.interval_axis(axis),
        conventions=conventions_of(footnotes),
        skipped=tuple(row for folder in folders for row in folder.rows if row["status"] != "done"),
        details=details_of(blocks, looks),
        verdicts={name: verdicts.count(name) for name in VERDICTS},
        imbalanced=IMBALANCED,
        headline=headline_of(rows),
        groups=groups_of(every),
        elsewhere=elsewhere(folders, blocks),
        judged=judged_of([folder.recipe for folder in folders], done),
        robustness=robustness_of(every, looks),
    )
