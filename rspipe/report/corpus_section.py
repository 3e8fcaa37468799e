# SPDX-License-Identifier: Apache-2.0
"""What was curated: the funnel, the sources, a look at the tiles, where and how large they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from markupsafe import Markup
from numpy.typing import NDArray

from rspipe.corpus.card import summarise_sources
from rspipe.corpus.reader import Corpus
from rspipe.report import figures, words
from rspipe.report.pictures import jpeg_uri
from rspipe.report.svg import compact

_GRID_TILES = 60
_GRID_PX = 144
_MAP_SOURCES = 8
_MAX_FAULTS = 200
_DETAILS = 12

_FAULTS = ("unreadable", "bad_annotation")
_FAULT_COLUMNS = ("dataset", "source_path", "level", "drop_reason", "drop_detail")


@dataclass(frozen=True)
class Segment:
    """A part of a funnel bar."""

    words: str
    count: int
    share: float
    """Per cent of the longest bar of the same unit."""
    colour: str


@dataclass(frozen=True)
class FunnelStep:
    """One stage of the funnel."""

    stage: str
    words: str
    unit: str
    rows_in: int
    kept: Segment
    dropped: tuple[Segment, ...]
    note: str | None


@dataclass(frozen=True)
class Tile:
    """A tile to look at."""

    picture: str
    dataset: str
    path: str
    facts: str


@dataclass(frozen=True)
class Histogram:
    """A measure of the tiles."""

    title: str
    label: str
    """What is measured, and in which unit."""
    chart: Markup
    known: int
    """Tiles that it is known of."""
    only: str | None
    """The value, where it is the same for all of these tiles: no chart says more."""


@dataclass(frozen=True)
class Geography:
    """Where the tiles lie."""

    chart: Markup
    legend: tuple[tuple[str, int, str], ...]
    """Source, tiles, colour."""
    known: int


@dataclass(frozen=True)
class CorpusSection:
    """Everything the page says of the corpus, matches apart."""

    manifest: Mapping[str, Any]
    tiles: int
    files: int
    funnel: tuple[FunnelStep, ...]
    sources: tuple[Mapping[str, Any], ...]
    grid: tuple[Tile, ...]
    geography: Geography | None
    histograms: tuple[Histogram, ...]
    faults: tuple[Mapping[str, Any], ...]
    """The first files and tiles that could not be used."""
    n_faults: int
    details: tuple[Mapping[str, Any], ...]
    """How often each rule on headers fired, with the value it saw."""

    def dropped_by(self, stage: str) -> int:
        """Count what a stage dropped."""
        funnel = self.manifest["funnel"]
        return sum(sum(step["dropped"].values()) for step in funnel if step["stage"] == stage)

    def dropped(self, *reasons: str) -> int:
        """Count what was dropped for some reasons, over all stages of tiles."""
        return sum(
            count
            for step in self.manifest["funnel"]
            for reason, count in step["dropped"].items()
            if reason in reasons
        )


def describe_corpus(corpus: Corpus, ledger: pa.Table) -> CorpusSection:
    """Read everything the page says of a corpus."""
    funnel = corpus.manifest["funnel"]
    columns = ["dataset", "height", "width", "gsd_m", "sharpness", "xmin", "ymin", "xmax", "ymax"]
    facts = corpus.table(columns) if len(corpus) else None
    faults = ledger.filter(pc.is_in(ledger["drop_reason"], pa.array(_FAULTS)))
    return CorpusSection(
        manifest=corpus.manifest,
        tiles=len(corpus),
        files=funnel[0]["rows_in"],
        funnel=draw_funnel(funnel),
        sources=_sources(corpus, funnel),
        grid=_grid(corpus),
        geography=_geography(facts) if facts is not None else None,
        histograms=_histograms(facts) if facts is not None else (),
        faults=tuple(faults[:_MAX_FAULTS].select(_FAULT_COLUMNS).to_pylist()),
        n_faults=len(faults),
        details=_details(ledger),
    )


def draw_funnel(funnel: list[dict[str, Any]]) -> tuple[FunnelStep, ...]:
    """Turn the manifest's counts into bars; files and tiles each have their own full length."""
    longest: dict[str, int] = {}
    for step in funnel:
        longest[step["unit"]] = max(longest.get(step["unit"], 1), step["rows_in"])
    return tuple(_funnel_step(step, longest[step["unit"]]) for step in funnel)


def _funnel_step(step: dict[str, Any], longest: int) -> FunnelStep:
    dropped = sorted(step["dropped"].items(), key=lambda item: (-item[1], item[0]))
    return FunnelStep(
        stage=step["stage"],
        words=words.STAGES.get(step["stage"], ""),
        unit=step["unit"],
        rows_in=step["rows_in"],
        kept=Segment("kept", step["kept"], 100 * step["kept"] / longest, "kept"),
        dropped=tuple(
            Segment(words.of_reason(reason), count, 100 * count / longest, f"drop d{i % 5}")
            for i, (reason, count) in enumerate(dropped)
        ),
        note=_note(step),
    )


def _note(step: dict[str, Any]) -> str | None:
    if "images_in" not in step:
        return None
    text = f"{step['images_in']:,} images give {step['rows_in']:,} candidate tiles"
    held_out = step.get("benchmark_tiles_held_out", 0)
    if held_out:
        text += f"; {held_out:,} benchmark tiles are kept aside to compare with"
    return text


def _sources(corpus: Corpus, funnel: list[dict[str, Any]]) -> tuple[dict[str, Any], ...]:
    total = max(funnel[-1]["kept"], 1)
    return tuple(s | {"share": 100 * s["tiles"] / total} for s in summarise_sources(corpus.path))


def _grid(corpus: Corpus) -> tuple[Tile, ...]:
    """Draw tiles at random, the same ones each time."""
    rows = np.random.default_rng(0).permutation(len(corpus))[:_GRID_TILES].tolist()
    if not rows:
        return ()
    origin = corpus.table(["dataset", "source_path", "height", "width", "gsd_m"])
    described = origin.take(pa.array(rows)).to_pylist()
    return tuple(
        Tile(jpeg_uri(pixels, _GRID_PX), row["dataset"], row["source_path"], _facts(row))
        for pixels, row in zip(corpus.images(rows), described, strict=True)
    )


def _facts(row: dict[str, Any]) -> str:
    size = f"{row['height']} × {row['width']} px"
    return size if row["gsd_m"] is None else f"{size}, {row['gsd_m']:.3g} m"


def _geography(facts: pa.Table) -> Geography | None:
    corners = ["xmin", "ymin", "xmax", "ymax"]
    boxes = np.column_stack([facts[name].to_numpy().astype(np.float64) for name in corners])
    limits = np.array([180.0, 90.0, 180.0, 90.0])
    known = (np.isfinite(boxes) & (np.abs(boxes) <= limits + 1e-6)).all(axis=1)
    if not known.any():
        return None
    sources = facts["dataset"].combine_chunks().dictionary_encode()
    groups = _largest_first(boxes[known], sources.indices.to_numpy()[known], sources.dictionary)
    legend = [(name, len(of), figures.colour(i)) for i, (name, of) in enumerate(groups.items())]
    return Geography(figures.world_map(groups), tuple(legend), int(known.sum()))


def _largest_first(
    boxes: figures.Floats, codes: NDArray[np.int32], names: pa.Array
) -> dict[str, figures.Floats]:
    """Split footprints by source, the most frequent first; the smallest are one group."""
    counts = np.bincount(codes, minlength=len(names))
    order = [i for i in np.argsort(-counts, kind="stable").tolist() if counts[i]]
    shown = order if len(order) <= _MAP_SOURCES else order[: _MAP_SOURCES - 1]
    groups = {str(names[i]): boxes[codes == i] for i in shown}
    if len(shown) < len(order):
        others = boxes[np.isin(codes, order[len(shown) :])]
        groups[f"{len(order) - len(shown)} more sources"] = others
    return groups


def _histograms(facts: pa.Table) -> tuple[Histogram, ...]:
    names = ("height", "width", "gsd_m", "sharpness")
    height, width, gsd, sharpness = (facts[n].to_numpy().astype(np.float64) for n in names)
    measures = (
        ("Tile size", "side, px (square root of the area)", np.sqrt(height * width), False),
        ("Ground sample distance", "metres per pixel, logarithmic", gsd, True),
        ("Sharpness", "variance of the Laplacian, logarithmic", sharpness, True),
    )
    return tuple(
        Histogram(
            title,
            label,
            figures.histogram(values, title, label, is_log),
            int(np.isfinite(values).sum()),
            _only(values[np.isfinite(values)]),
        )
        for title, label, values, is_log in measures
    )


def _only(known: figures.Floats) -> str | None:
    """The one value that all have."""
    return compact(float(known[0])) if len(known) and (known == known[0]).all() else None


def _details(ledger: pa.Table) -> tuple[dict[str, Any], ...]:
    excluded = ledger.filter(
        pc.and_(pc.equal(ledger["drop_stage"], "exclude"), pc.equal(ledger["level"], "file"))
    )
    keys = ["drop_reason", "drop_detail"]
    counts = excluded.group_by(keys).aggregate([([], "count_all")]).to_pylist()
    rows = [
        {
            "reason": words.of_reason(count["drop_reason"]),
            "detail": count["drop_detail"] or "",
            "n": count["count_all"],
        }
        for count in counts
    ]
    rows.sort(key=lambda row: (-row["n"], row["reason"], row["detail"]))
    return tuple(rows[:_DETAILS])
