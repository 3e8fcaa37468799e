# SPDX-License-Identifier: Apache-2.0
"""The gallery of `rspipe duplicates` and `rspipe audit`: pairs to look at, doubtful ones first."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from rspipe import __version__
from rspipe.corpus.pairs import (
    CLUSTERS,
    GALLERY,
    PAIR_GROUPS,
    PAIRS,
    PICTURES,
    SUMMARY,
    doubtful_first,
)
from rspipe.io.tables import read_json, write_text
from rspipe.report.build import environment
from rspipe.report.matches_section import Match, Panel, orientation_words
from rspipe.report.pictures import uri_of

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    """Pairs of one kind and verdict."""

    key: str
    words: str
    count: int
    matches: tuple[Match, ...]


_TITLES = {
    ("near", "duplicate"): "near-duplicates, the least alike first",
    ("footprint", "duplicate"): "the same ground on the same day",
    ("near", "rejected"): "rejected by their pixels, the most alike first",
    ("pixels", "duplicate"): "equal pixels, other bytes",
    ("bytes", "duplicate"): "equal bytes",
}


def build_gallery(folder: Path) -> Path:
    """Draw the artefacts of a search into one HTML page that needs no other file.

    Args:
        folder: where pairs, clusters, pictures and summary lie.

    Returns:
        The page.
    """
    summary = read_json(folder / SUMMARY)
    pairs = pq.read_table(folder / PAIRS)
    pictures = _read_pictures(folder / PICTURES)
    groups = [_group(pairs, kind, verdict, pictures) for kind, verdict in PAIR_GROUPS]
    template = environment().get_template("gallery.html.j2")
    page = template.render(
        summary=summary,
        groups=[group for group in groups if group.count],
        clusters=_largest_clusters(folder / CLUSTERS, pictures),
        version=__version__,
    )
    write_text(page, folder / GALLERY)
    return folder / GALLERY


def _group(pairs: pa.Table, kind: str, verdict: str, pictures: Mapping[str, bytes]) -> Group:
    rows, count = doubtful_first(pairs, kind, verdict)
    matches = tuple(_match(row, pictures) for row in rows.to_pylist())
    return Group(f"{kind}-{verdict}", _TITLES[kind, verdict], count, matches)


def _match(row: Row, pictures: Mapping[str, bytes]) -> Match:
    closeness = [f"same {row['kind']}"] if row["kind"] in {"bytes", "pixels"} else []
    if not closeness:
        if row["distance_bits"] is not None:
            closeness.append(f"{row['distance_bits']} bits")
        if row["similarity"] is not None:
            closeness.append(f"r = {row['similarity']:.3f}")
    return Match(
        dropped=_panel(row["path_a"], pictures),
        kept=_panel(row["path_b"], pictures),
        orientation=orientation_words(row["orientation"]),
        is_turned=row["orientation"] not in {None, "identity"},
        closeness=tuple(closeness),
    )


def _panel(path: str, pictures: Mapping[str, bytes]) -> Panel:
    data = pictures.get(path)
    dataset, _, rest = path.partition("/")
    return Panel(None if data is None else uri_of(data, path), dataset, rest, "")


def _read_pictures(path: Path) -> dict[str, bytes]:
    table = pq.read_table(path)
    return dict(zip(table["path"].to_pylist(), table["picture"].to_pylist(), strict=True))


def _largest_clusters(path: Path, pictures: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Describe the largest clusters, with as many of their pictures as there are."""
    table = pq.read_table(path)
    counts = table.group_by(["cluster_id"]).aggregate([([], "count_all")])
    counts = counts.sort_by([("count_all", "descending"), ("cluster_id", "ascending")])
    large = counts.filter(pc.greater(counts["count_all"], 2))[:12].to_pylist()
    described = []
    for row in large:
        members = table.filter(pc.equal(table["cluster_id"], row["cluster_id"]))
        members = members.sort_by([("kept", "descending"), ("path", "ascending")])
        paths = members.select(["path", "kept"])[:40].to_pylist()
        panels = [(_panel(p["path"], pictures), p["kept"]) for p in paths if p["path"] in pictures]
        described.append({"size": row["count_all"], "panels": panels, "first": paths[0]["path"]})
    return described
