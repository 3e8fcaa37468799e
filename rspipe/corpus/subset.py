# SPDX-License-Identifier: Apache-2.0
"""Draw a smaller corpus out of a corpus: by source, licence, ground resolution, and at random.

This is how a 4-million corpus comes out of a 13-million one. The draw is a pure function of the
seed and the tile's (or image's) id: it is the same on every machine and whatever the order, and a
smaller share with the same seed is a part of a larger one.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from rspipe.corpus.card import write_card
from rspipe.corpus.format import (
    DATA,
    EXCLUSIONS,
    HITS,
    LEDGER,
    MANIFEST,
    PICTURES,
    ledger_paths,
    shard_name,
)
from rspipe.corpus.reader import Corpus
from rspipe.corpus.shards import ShardWriter, row_groups
from rspipe.corpus.verify import checksum
from rspipe.errors import CorpusError
from rspipe.io.places import Place, copy_file
from rspipe.io.tables import open_table, write_json, write_table
from rspipe.recipe import Strict, fingerprint
from rspipe.schema import LEDGER_SCHEMA

_COLUMNS = ("tile_id", "image_id", "dataset", "licence", "redistributable", "gsd_m")


class SubsetRule(Strict):
    """Which tiles stay. Every limit that is given must hold; then the draw."""

    sources: tuple[str, ...] | None = None
    """Names of data sets."""
    licences: tuple[str, ...] | None = None
    """SPDX identifiers."""
    redistributable: bool = False
    """Only tiles that may be passed on."""
    min_gsd_m: float | None = None
    """Finest ground resolution; tiles of unknown resolution go when a limit is given."""
    max_gsd_m: float | None = None
    fraction: float | None = Field(default=None, gt=0, le=1)
    """Share of what passes, on average: each tile is drawn by itself."""
    count: int | None = Field(default=None, ge=1)
    """Exactly so many of what passes."""
    by: Literal["tile", "image"] = "tile"
    """What is drawn: single tiles, or published images with all their tiles."""
    seed: int = 0


def subset(corpus: Place, out: Path, rule: SubsetRule) -> int:
    """Write the corpus that a rule leaves; the ledger says of every other tile why it is not in.

    Args:
        corpus: a finished corpus.
        out: a folder that does not exist yet.
        rule: what stays.

    Returns:
        The number of tiles.

    Raises:
        CorpusError: no corpus there, `out` exists, or fewer tiles pass than `count` asks for.
    """
    opened = Corpus.open(corpus)
    if out.exists():
        raise CorpusError(f"{out}: exists already; name a new folder")
    tiles = opened.table(_COLUMNS)
    reasons = choose(tiles, rule)
    kept = {reason: int((reasons == reason).sum()) for reason in np.unique(reasons)}
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    _write_shards(corpus, partial, reasons == "")
    left_out = tiles.select(["tile_id"]).append_column("reason", pa.array(reasons))
    left_out = left_out.filter(pa.array(reasons != ""))
    for path in ledger_paths(corpus):
        write_table(_marked(open_table(path).read(), left_out, rule), partial / LEDGER / path.name)
    for name in (HITS, EXCLUSIONS, PICTURES):
        if (corpus / name).is_file():
            copy_file(corpus / name, partial / name)
    _write_manifest(opened, partial, out.name, rule, kept)
    partial.rename(out)
    return kept.get("", 0)


def choose(tiles: pa.Table, rule: SubsetRule) -> NDArray[np.str_]:
    """Say of each tile why it goes; an empty string where it stays.

    Args:
        tiles: a table with the columns tile_id, image_id, dataset, licence, redistributable, gsd_m.
        rule: what stays.

    Raises:
        CorpusError: fewer tiles pass the limits than `rule.count` asks for.
    """
    reasons = np.full(tiles.num_rows, "", dtype="U24")
    for reason, fails in _limits(tiles, rule):
        reasons[(reasons == "") & fails] = reason
    passed = reasons == ""
    draw = uniform(tiles[f"{rule.by}_id"].to_numpy(zero_copy_only=False), rule.seed)
    if rule.fraction is not None:
        reasons[passed & (draw >= rule.fraction)] = "not_drawn"
        passed = reasons == ""
    if rule.count is not None:
        if rule.count > passed.sum():
            raise CorpusError(f"only {passed.sum():,} tiles pass; count={rule.count:,} is too many")
        # Ties (tiles of one image) are settled by the tile's own draw.
        own = uniform(tiles["tile_id"].to_numpy(zero_copy_only=False), rule.seed)
        order = np.lexsort((own, draw, ~passed))
        reasons[order[rule.count :]] = np.where(
            passed[order[rule.count :]], "not_drawn", reasons[order[rule.count :]]
        )
    return reasons


def uniform(ids: NDArray[Any], seed: int) -> NDArray[np.float64]:
    """Draw a number in [0, 1) for every id, which depends on id and seed alone.

    Args:
        ids: hexadecimal ids of at least 16 digits, themselves hashes.
        seed: any integer.
    """
    if not len(ids):
        return np.empty(0)
    digits = np.array([text[:16] for text in ids], dtype="S16")
    nibbles = digits.view(np.uint8).reshape(len(ids), 16).astype(np.uint64)
    nibbles = np.where(nibbles >= ord("a"), nibbles - ord("a") + 10, nibbles - ord("0"))
    words = (nibbles << (np.arange(15, -1, -1, dtype=np.uint64) * np.uint64(4))).sum(
        axis=1, dtype=np.uint64
    )
    mixed = _mix(words ^ _mix(np.array([seed % 2**64], dtype=np.uint64)))
    return np.asarray((mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finalise as SplitMix64 (Steele, Lea, Flood 2014): equal bits in, unrelated bits out."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _limits(tiles: pa.Table, rule: SubsetRule) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    def mask(passes: pa.ChunkedArray) -> NDArray[np.bool_]:
        return ~np.asarray(pc.fill_null(passes, False).to_numpy(zero_copy_only=False), dtype=bool)

    if rule.sources is not None:
        yield "source_not_chosen", mask(pc.is_in(tiles["dataset"], pa.array(rule.sources)))
    if rule.licences is not None:
        yield "licence_not_chosen", mask(pc.is_in(tiles["licence"], pa.array(rule.licences)))
    if rule.redistributable:
        yield "not_redistributable", mask(tiles["redistributable"])
    if rule.min_gsd_m is not None:
        yield "gsd_not_chosen", mask(pc.greater_equal(tiles["gsd_m"], rule.min_gsd_m))
    if rule.max_gsd_m is not None:
        yield "gsd_not_chosen", mask(pc.less_equal(tiles["gsd_m"], rule.max_gsd_m))


def _write_shards(corpus: Place, out: Path, stays: NDArray[np.bool_]) -> None:
    with ShardWriter(out / DATA) as writer:
        start = 0
        for group in row_groups(corpus, title="subset"):
            mask = stays[start : start + group.num_rows]
            start += group.num_rows
            if mask.any():
                writer.write(group.filter(pa.array(mask)))
        writer.settle([shard_name(i, writer.count) for i in range(writer.count)])


def _marked(ledger: pa.Table, left_out: pa.Table, rule: SubsetRule) -> pa.Table:
    """Mark the tiles that the rule leaves out."""
    detail = rule.model_dump_json(exclude_none=True, exclude_defaults=True)
    places = pc.index_in(ledger["tile_id"], value_set=left_out["tile_id"].combine_chunks())
    reasons = left_out["reason"].take(places)
    left = pc.and_(reasons.is_valid(), ledger["drop_stage"].is_null())
    for name, value in (
        ("drop_detail", pa.scalar(detail)),
        ("drop_reason", reasons),
        ("drop_stage", pa.scalar("subset")),
    ):
        column = pc.if_else(left, value, ledger[name])
        index = ledger.column_names.index(name)
        ledger = ledger.set_column(index, LEDGER_SCHEMA.field(name), column)
    return ledger


def _write_manifest(
    opened: Corpus, out: Path, name: str, rule: SubsetRule, counts: dict[str, int]
) -> None:
    dropped = {reason: n for reason, n in sorted(counts.items()) if reason}
    step = {"stage": "subset", "unit": "tiles", "rows_in": len(opened), "dropped": dropped}
    files = sorted(p for p in out.rglob("*.parquet") if p.parent.name in {DATA, LEDGER})
    manifest = opened.manifest | {
        "name": name,
        "fingerprint": fingerprint(opened.fingerprint, rule),
        "subset_of": {"name": opened.manifest["name"], "fingerprint": opened.fingerprint},
        "subset_rule": rule.model_dump(mode="json"),
        "funnel": [*opened.manifest["funnel"], step | {"kept": counts.get("", 0)}],
        "files": {p.relative_to(out).as_posix(): checksum(p) for p in files},
    }
    write_card(out, manifest, sorted(_benchmarks(out)))
    write_json(manifest, out / MANIFEST)


def _benchmarks(corpus: Place) -> set[str]:
    """Datasets of which something was held out."""
    found: set[str] = set()
    for path in ledger_paths(corpus):
        fates = open_table(path).read(columns=["dataset", "drop_reason"])
        held_out = fates.filter(pc.equal(fates["drop_reason"], "benchmark_split"))
        found.update(held_out["dataset"].unique().to_pylist())
    return found
