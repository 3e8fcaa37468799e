# SPDX-License-Identifier: Apache-2.0
"""Count what a search found, for the terminal and for the gallery's head."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from rspipe.curate.config import DedupConfig

_COMPARED = (None, "bytes_only")


@dataclass(frozen=True)
class Counted:
    """What was found, in numbers."""

    summary: dict[str, Any]
    lines: tuple[str, ...]
    duplicates: int
    """Pairs that are the same picture."""


def summarise(
    verb: str,
    config: DedupConfig,
    sides: Sequence[pa.Table],
    pairs: pa.Table,
    clusters: pa.Table,
    groups: tuple[pa.Array, pa.Array],
) -> Counted:
    """Count pictures, pairs by kind, and pairs by target and split.

    Args:
        verb: duplicates or audit.
        config: what counted as the same picture.
        sides: the file table of the targets and, in an audit, of the benchmarks.
        pairs: PAIRS_SCHEMA, in the order of `groups`.
        clusters: CLUSTERS_SCHEMA.
        groups: target and split of both pictures of each pair.
    """
    is_same = pc.equal(pairs["verdict"], "duplicate")
    kinds = Counter(pairs.filter(is_same)["kind"].to_pylist())
    rejected = pairs.num_rows - kinds.total()
    compared = [_compared(side) for side in sides]
    unread = sum(_count(side, "unreadable") for side in sides)
    leaking = len(pairs.filter(is_same)["path_a"].unique())
    headlines = _headlines(verb, compared, kinds, rejected, leaking, clusters)
    tables = [_kind_table(kinds, rejected), *_group_tables(verb, pairs, groups)]
    tables.append(_file_table(sides))
    names = [", ".join(sorted(side["dataset"].unique().to_pylist())) for side in sides]
    summary = {
        "verb": verb,
        "title": " against ".join(names),
        "lead": _lead(verb, compared, kinds, leaking),
        "headlines": headlines,
        "tables": tables,
        "pairs": dict(sorted(kinds.items())) | {"rejected": rejected},
        "compared": compared,
        "unreadable": unread,
        "max_hamming_bits": config.max_hamming_bits,
        "orientations": config.orientations,
        "min_similarity": config.min_similarity,
    }
    return Counted(summary, tuple(_lines(summary)), kinds.total())


def _compared(files: pa.Table) -> int:
    return sum(1 for reason in files["drop_reason"].to_pylist() if reason in _COMPARED)


def _count(files: pa.Table, reason: str) -> int:
    return int(pc.sum(pc.equal(files["drop_reason"], reason)).as_py() or 0)


def _headlines(
    verb: str,
    compared: Sequence[int],
    kinds: Counter[str],
    rejected: int,
    leaking: int,
    clusters: pa.Table,
) -> list[tuple[str, int]]:
    if verb == "audit":
        return [
            ("pictures of the target", compared[0]),
            ("pictures of the benchmarks", compared[1]),
            ("target pictures that are benchmark pictures", leaking),
            ("pairs", kinds.total()),
            ("pairs refused by their pixels", rejected),
        ]
    dropped = clusters.num_rows - int(pc.sum(clusters["kept"]).as_py() or 0)
    return [
        ("pictures", compared[0]),
        ("pictures that are copies of a kept one", dropped),
        ("clusters", len(clusters["cluster_id"].unique())),
        ("pairs", kinds.total()),
        ("pairs refused by their pixels", rejected),
    ]


def _lead(verb: str, compared: Sequence[int], kinds: Counter[str], leaking: int) -> str:
    if verb == "audit":
        share = 100 * leaking / max(compared[0], 1)
        return (
            f"{leaking:,} of {compared[0]:,} pictures ({share:.1f} %) are also pictures of a "
            f"benchmark."
        )
    return f"{kinds.total():,} pairs among {compared[0]:,} pictures are the same picture."


def _kind_table(kinds: Counter[str], rejected: int) -> dict[str, Any]:
    names = ("bytes", "pixels", "near", "footprint")
    return {
        "title": "Pairs by kind",
        "columns": ["", *names, "refused"],
        "rows": [["pairs", *(kinds.get(name, 0) for name in names), rejected]],
    }


def _group_tables(
    verb: str, pairs: pa.Table, groups: tuple[pa.Array, pa.Array]
) -> list[dict[str, Any]]:
    """Cross-count pairs by the target and split of both pictures."""
    is_same = pc.equal(pairs["verdict"], "duplicate")
    named = pa.table({"a": groups[0], "b": groups[1]}).filter(is_same)
    counts = named.group_by(["a", "b"]).aggregate([([], "count_all")]).to_pylist()
    cells: Counter[tuple[str, str]] = Counter()
    for row in counts:
        key = (row["a"], row["b"]) if verb == "audit" else tuple(sorted((row["a"], row["b"])))
        cells[key[0], key[1]] += row["count_all"]
    rows, columns = (sorted({key[i] for key in cells}) for i in (0, 1))
    if not cells:
        return []
    return [
        {
            "title": "Pairs by target and split",
            "columns": ["", *columns],
            "rows": [[row, *(cells[row, column] for column in columns)] for row in rows],
        }
    ]


def _file_table(sides: Sequence[pa.Table]) -> dict[str, Any]:
    reasons: Counter[tuple[str, str]] = Counter()
    for side in sides:
        counts = side.group_by(["dataset", "drop_reason"]).aggregate([([], "count_all")])
        for row in counts.to_pylist():
            reasons[row["dataset"], row["drop_reason"] or "compared"] += row["count_all"]
    names = sorted({name for name, _ in reasons})
    fates = sorted({fate for _, fate in reasons}, key=lambda fate: (fate != "compared", fate))
    return {
        "title": "Files by what became of them",
        "columns": ["", *(fate.replace("_", " ") for fate in fates)],
        "rows": [[name, *(reasons[name, fate] for fate in fates)] for name in names],
    }


def _lines(summary: dict[str, Any]) -> list[str]:
    said = [summary["lead"]]
    said += [f"  {value:>10,}  {name}" for name, value in summary["headlines"]]
    for table in summary["tables"]:
        said.append(f"  {table['title']}")
        for row in table["rows"]:
            cells = zip(table["columns"][1:], row[1:], strict=True)
            counts = ", ".join(f"{name} {value:,}" for name, value in cells if value)
            said.append(f"    {row[0]}: {counts or 'none'}")
    return said
