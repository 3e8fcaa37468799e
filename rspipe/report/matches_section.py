# SPDX-License-Identifier: Apache-2.0
"""Duplicates and leaks, in pictures: what was dropped, and the picture it was dropped for."""

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rspipe.corpus.format import HITS
from rspipe.corpus.reader import Corpus
from rspipe.io.tables import open_table
from rspipe.report import words
from rspipe.report.pictures import PictureBook
from rspipe.schema import HIT_SCHEMA

LEAK = "benchmark_leak"
# Tiles dropped by a limit: the measure it bounds.
_MEASURE = {"blank": "flatness", "nodata": "nodata_fraction"}
_KIND_OF = {
    "duplicate_bytes": "bytes",
    "duplicate_pixels": "pixels",
    "near_duplicate": "near",
    "duplicate_image": "near",
    "overlapping_crop": "crop",
    "same_footprint": "footprint",
}
DUPLICATES = tuple(_KIND_OF)
_PAIRS = 24
_STRIP = 16

_KINDS = {"bytes": 0, "pixels": 1, "near": 2, "footprint": 3}
_COLUMNS = (
    *("tile_id", "dataset", "source_path", "y0", "x0", "h", "w", "original_bytes"),
    *("flatness", "nodata_fraction", "drop_reason", "drop_detail"),
    *("duplicate_of", "distance_bits", "orientation", "verified_similarity", "overlap_iou"),
)
LEDGER_COLUMNS = (*_COLUMNS, "level", "drop_stage")
"""What this section and the corpus's need of the ledger."""

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Panel:
    """A picture and where it comes from."""

    picture: str | None
    dataset: str
    path: str
    window: str


@dataclass(frozen=True)
class Match:
    """A dropped tile and the picture it equals."""

    dropped: Panel
    kept: Panel
    orientation: str
    is_turned: bool
    closeness: tuple[str, ...]
    """How alike they are, in lines."""


@dataclass(frozen=True)
class MatchGroup:
    """The matches of one reason."""

    reason: str
    words: str
    count: int
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Strip:
    """Tiles dropped for what they measure, not for what they resemble."""

    words: str
    count: int
    tiles: tuple[tuple[Panel, str], ...]
    """With the measured value."""


@dataclass(frozen=True)
class LeakMatrix:
    """How many tiles of each source are pictures of each benchmark."""

    benchmarks: tuple[tuple[str, int, int], ...]
    """Name, tiles held out, held-out tiles that the sources also hold."""
    sources: tuple[tuple[str, tuple[int, ...]], ...]
    highest: int


@dataclass(frozen=True)
class MatchesSection:
    """Everything the page says of matches."""

    groups: tuple[MatchGroup, ...]
    strips: tuple[Strip, ...]
    matrix: LeakMatrix
    bits: int
    similarity: float
    has_drops: bool
    """Whether any tile was dropped."""
    has_pictures: bool


def describe_matches(corpus: Corpus, ledger: pa.Table, book: PictureBook) -> MatchesSection:
    """Choose the pictures and count the leaks."""
    path = corpus.path / HITS
    hits = open_table(path).read() if path.is_file() else HIT_SCHEMA.empty_table()
    tiles = ledger.filter(pc.equal(ledger["level"], "tile"))
    dropped = {
        reason: tiles.filter(pc.equal(tiles["drop_reason"], reason)).select(_COLUMNS)
        for reason in tiles["drop_reason"].unique().drop_null().to_pylist()
    }
    # Tiles of a copied image go for a whole image, whose row is no tile's.
    rows = ledger.filter(pc.not_equal(ledger["level"], "file"))
    groups = [_duplicates(r, dropped[r], rows, book) for r in DUPLICATES if r in dropped]
    if LEAK in dropped:
        groups.append(_leaks(dropped[LEAK], hits, book))
    others = sorted(dropped.keys() - {*DUPLICATES, LEAK, "benchmark_split", "unreadable"})
    dedup = corpus.manifest["recipe"]["what"]["dedup"]
    return MatchesSection(
        groups=tuple(groups),
        strips=tuple(_strip(reason, dropped[reason], book) for reason in others),
        matrix=_matrix(hits, ledger),
        bits=dedup["max_hamming_bits"],
        similarity=dedup["min_similarity"],
        has_drops=bool(dropped.keys() - {"benchmark_split"}),
        has_pictures=book.is_kept,
    )


def _duplicates(reason: str, dropped: pa.Table, rows: pa.Table, book: PictureBook) -> MatchGroup:
    shown = choose(_candidates(dropped, book), book)
    names = pa.array([row["duplicate_of"] for row in shown], pa.string())
    originals = {
        row["tile_id"]: row
        for row in rows.filter(pc.is_in(rows["tile_id"], names)).select(_COLUMNS).to_pylist()
    }
    uris = book.uris([*(row["tile_id"] for row in shown), *originals])
    matches = tuple(
        Match(
            dropped=_panel(row, uris),
            kept=_panel(originals.get(row["duplicate_of"], {}), uris),
            orientation=orientation_words(row["orientation"]),
            is_turned=row["orientation"] not in {None, "identity"},
            closeness=_closeness(
                _KIND_OF[reason],
                row["distance_bits"],
                row["verified_similarity"] or row["overlap_iou"],
            ),
        )
        for row in shown
    )
    return MatchGroup(reason, words.of_reason(reason), len(dropped), matches)


def _leaks(dropped: pa.Table, hits: pa.Table, book: PictureBook) -> MatchGroup:
    candidates = _candidates(dropped, book)
    names = pa.array([row["tile_id"] for row in candidates], pa.string())
    found = hits.filter(pc.is_in(hits["tile_id"], names)).to_pylist()
    surest: dict[str, Row] = {}
    for hit in sorted(found, key=lambda hit: _surety(hit, book)):
        surest.setdefault(hit["tile_id"], hit)
    shown = choose([row for row in candidates if row["tile_id"] in surest], book)
    chosen = [surest[row["tile_id"]] for row in shown]
    uris = book.uris([*(r["tile_id"] for r in shown), *(h["benchmark_tile_id"] for h in chosen)])
    matches = tuple(
        Match(
            dropped=_panel(row, uris),
            kept=Panel(
                uris.get(hit["benchmark_tile_id"]),
                hit["benchmark"],
                hit["benchmark_path"],
                f"split {hit['benchmark_split']}" if hit["benchmark_split"] else "",
            ),
            orientation=orientation_words(hit["orientation"]),
            is_turned=hit["orientation"] not in {None, "identity"},
            closeness=_closeness(hit["kind"], hit["distance_bits"], hit["similarity"]),
        )
        for row, hit in zip(shown, chosen, strict=True)
    )
    return MatchGroup(LEAK, words.of_reason(LEAK), len(dropped), matches)


def _surety(hit: Row, book: PictureBook) -> tuple[bool, int, int, str]:
    """Sort hits: those that can be shown, then by how sure they are."""
    tile = hit["benchmark_tile_id"]
    return tile not in book, _KINDS.get(hit["kind"], 4), hit["distance_bits"], tile


def _candidates(dropped: pa.Table, book: PictureBook) -> list[Row]:
    """Take all tiles with pictures and the first of the others: never a whole ledger of rows."""
    has_picture = pc.is_in(dropped["tile_id"], pa.array(book.tile_ids, pa.string()))
    others = dropped.filter(pc.invert(has_picture)).sort_by("tile_id")[:_PAIRS]
    chosen = pa.concat_tables([dropped.filter(has_picture).sort_by("tile_id"), others])
    return list(chosen.to_pylist())


def choose(rows: Sequence[Row], pictured: Container[str]) -> list[Row]:
    """Choose what to show: tiles with pictures first, then every turn and distance in its turn."""
    kinds: dict[tuple[bool, str, int], list[Row]] = defaultdict(list)
    for row in rows:
        is_bare = row["tile_id"] not in pictured
        kinds[is_bare, row["orientation"] or "", row["distance_bits"] or 0].append(row)
    ranked = [
        ((is_bare, place, turn, bits), row)
        for (is_bare, turn, bits), alike in kinds.items()
        for place, row in enumerate(alike)
    ]
    ranked.sort(key=lambda pair: pair[0])
    return [row for _, row in ranked[:_PAIRS]]


def _strip(reason: str, dropped: pa.Table, book: PictureBook) -> Strip:
    """Show those with pictures first, and of them those nearest to the limit."""
    measure = _MEASURE.get(reason, "y0")
    rows = _candidates(dropped, book)
    rows.sort(key=lambda row: (row["tile_id"] not in book, row[measure] or 0))
    shown = rows[:_STRIP]
    uris = book.uris(row["tile_id"] for row in shown)
    tiles = tuple((_panel(row, uris), row["drop_detail"] or "") for row in shown)
    return Strip(words.of_reason(reason), len(dropped), tiles)


def _panel(row: Row, uris: Mapping[str, str]) -> Panel:
    if not row:
        return Panel(None, "", "not in the ledger", "")
    size = f"{row['h']} × {row['w']} px"
    window = size if row["original_bytes"] else f"y {row['y0']}, x {row['x0']}, {size}"
    return Panel(uris.get(row["tile_id"]), row["dataset"], row["source_path"], window)


def _closeness(kind: str, bits: int | None, similarity: float | None) -> tuple[str, ...]:
    if kind in {"bytes", "pixels"}:
        return (f"same {kind}",)
    if kind in {"crop", "footprint"}:
        return () if similarity is None else (f"{similarity:.0%} in common",)
    lines = [] if bits is None else [f"{bits} bits"]
    return (*lines, *([] if similarity is None else [f"r = {similarity:.3f}"]))


def orientation_words(name: str | None) -> str:
    """Say what was done to a picture to get its copy."""
    return words.ORIENTATIONS.get(name or "identity", name or "")


def _matrix(hits: pa.Table, ledger: pa.Table) -> LeakMatrix:
    tiles = [("tile_id", "count_distinct")]
    cells = hits.group_by(["dataset", "benchmark"]).aggregate(tiles).to_pylist()
    counts = {(c["dataset"], c["benchmark"]): c["tile_id_count_distinct"] for c in cells}
    met = _by_benchmark(hits, "benchmark", [("benchmark_tile_id", "count_distinct")])
    is_tile = pc.equal(ledger["level"], "tile")
    is_held = pc.fill_null(pc.equal(ledger["drop_reason"], "benchmark_split"), False)
    held = _by_benchmark(ledger.filter(pc.and_(is_tile, is_held)), "dataset", [([], "count_all")])
    benchmarks = sorted(held.keys() | met.keys())
    sources = sorted({dataset for dataset, _ in counts})
    return LeakMatrix(
        benchmarks=tuple((name, held.get(name, 0), met.get(name, 0)) for name in benchmarks),
        sources=tuple(
            (source, tuple(counts.get((source, name), 0) for name in benchmarks))
            for source in sources
        ),
        highest=max(counts.values(), default=1),
    )


def _by_benchmark(table: pa.Table, key: str, aggregate: list[Any]) -> dict[str, int]:
    counted = table.group_by([key]).aggregate(aggregate).to_pylist()
    return {row.pop(key): next(iter(row.values())) for row in counted}
