# SPDX-License-Identifier: Apache-2.0
"""The table of scores: a line for each benchmark, protocol and recipe, encoders side by side."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup

from rspipe.report import figures
from rspipe.report.comparisons import Printed
from rspipe.report.results_folder import ResultsFolder
from rspipe.report.robustness_section import is_corrupted
from rspipe.report.scores import (
    PRETRAINED,
    Difference,
    Lines,
    Row,
    Score,
    encoders_of,
    further_of,
    lines_of,
    over_floor,
    over_untrained,
    score_of,
)

IMBALANCED = 1.5
"""Times its even share of the test images that the largest class holds, from which on AA is shown
beside OA."""

Axis = tuple[float, float]
Footnotes = Sequence[tuple[str, str]]
"""Metrics with their conventions; the number of a line is a place in them, from 1."""


@dataclass(frozen=True, eq=False)
class Block:
    """Rows of one folder that differ in the encoder alone."""

    folder: ResultsFolder
    lines: Lines
    recipe: str = ""
    """Name of its recipe, where several measure the same; else empty."""

    @property
    def row(self) -> Row:
        """Any of them, for what they share."""
        return next(iter(self.lines.values()))

    @property
    def benchmark(self) -> tuple[str, str]:
        """Name and task."""
        return str(self.row["benchmark"]), str(self.row["task"])

    @property
    def cells(self) -> frozenset[str]:
        """Fingerprints of its numbers; none in results that kept none."""
        return frozenset(str(row["cell"]) for row in self.lines.values() if row.get("cell"))

    @property
    def measure(self) -> tuple[str, ...]:
        """What is measured; several recipes may measure it, by settings of their own."""
        return *self.benchmark, str(self.row["protocol"]), str(self.row["metric"])


@dataclass(frozen=True)
class ScoreRow:
    """One line of the score table."""

    benchmark: str
    task: str
    protocol: str
    recipe: str
    """Named where several recipes measure the same; else empty."""
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
    printed: tuple[Printed, ...]
    """Published figures that its recipe puts below its last line of the benchmark."""
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


def blocks_of(folders: Sequence[ResultsFolder]) -> list[Block]:
    """Group the scores of all folders; blocks of one benchmark stand together.

    The very cells of an earlier folder, as of floors that two recipes share, are shown once.
    """
    different: dict[object, Block] = {}
    for block in (Block(folder, lines) for folder in folders for lines in lines_of(folder.done)):
        different.setdefault((block.measure, block.cells) if block.cells else block, block)
    times = Counter(block.measure for block in different.values())
    found = [
        replace(block, recipe=block.folder.name) if times[block.measure] > 1 else block
        for block in different.values()
    ]
    order = list(dict.fromkeys(block.benchmark for block in found))
    return sorted(found, key=lambda block: order.index(block.benchmark))


def axis_of(folders: Sequence[ResultsFolder]) -> Axis:
    """Shared axis of all intervals: tenths around the lowest and the highest end."""
    scores = [score_of(row) for folder in folders for row in folder.done]
    ends = [end for score in scores for end in (score.low, score.high)]
    ends += [one.value for folder in folders for one in folder.printed if one.is_headline]
    if not ends:
        return 0.0, 1.0
    return math.floor(10 * min(ends)) / 10, math.ceil(10 * max(ends)) / 10


def score_rows(
    blocks: Sequence[Block], footnotes: Footnotes, axis: Axis, looks: Mapping[str, str]
) -> tuple[ScoreRow, ...]:
    """Lay blocks out as lines of the table.

    Args:
        blocks: of all folders.
        footnotes: of all their metrics.
        axis: shared by all drawings.
        looks: class of each encoder in the page's style.
    """
    last = {(block.folder.path, block.benchmark): block for block in blocks}.values()
    return tuple(
        _score_row(block, _drawn(block, axis) if block in last else (), footnotes, axis, looks)
        for block in blocks
    )


def elsewhere(
    folders: Sequence[ResultsFolder], blocks: Sequence[Block]
) -> dict[str, tuple[Printed, ...]]:
    """Published figures of benchmarks that have no score here, by benchmark."""
    scored = {(block.folder.path, block.benchmark[0]) for block in blocks}
    found: dict[str, tuple[Printed, ...]] = {}
    for folder in folders:
        for one in folder.printed:
            if (folder.path, one.benchmark) not in scored:
                found[one.benchmark] = (*found.get(one.benchmark, ()), one)
    return found


def headline_of(rows: Sequence[ScoreRow]) -> ScoreRow | None:
    """Choose the score with most test images: a rule that does not look at the scores."""
    pairs = [row for row in rows if row.gain and not row.is_corrupted]
    return max(pairs, key=lambda row: (row.n_test or 0, row.protocol), default=None)


def _score_row(
    block: Block,
    printed: tuple[Printed, ...],
    footnotes: Footnotes,
    axis: Axis,
    looks: Mapping[str, str],
) -> ScoreRow:
    row, lines = block.row, block.lines
    scores = {name: score_of(lines[name]) for name in encoders_of(list(lines.values()))}
    return ScoreRow(
        benchmark=row["benchmark"],
        task=row["task"],
        protocol=row["protocol"],
        recipe=block.recipe,
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
        printed=printed,
        is_corrupted=is_corrupted(lines),
        over_untrained=_known({e: over_untrained(one, lines) for e, one in lines.items()}),
        over_floor=_known({e: over_floor(one) for e, one in lines.items()}),
        balanced=dict(further_of(lines)).get("AA", {}) if _is_imbalanced(block) else {},
    )


def _known(found: Mapping[str, Difference | None]) -> dict[str, Difference]:
    return {encoder: one for encoder, one in found.items() if one is not None}


def _is_imbalanced(block: Block) -> bool:
    """Whether one class holds far more of the test images than its even share."""
    if block.row["task"] != "classification":
        return False
    counts = block.folder.arrays(block.row).get("confusion")
    if counts is None or not counts.sum():
        return False
    held = counts.sum(axis=1)
    return bool(held.max() * len(held) > IMBALANCED * held.sum())


def _drawn(block: Block, axis: Axis) -> tuple[Printed, ...]:
    """Published figures of a block's benchmark; those of a headline metric are drawn."""
    return tuple(
        replace(one, drawing=figures.mark(one.model, one.value, axis)) if one.is_headline else one
        for one in block.folder.printed
        if one.benchmark == block.benchmark[0]
    )
