# SPDX-License-Identifier: Apache-2.0
"""Search targets for duplicates, or for pictures of benchmarks, and leave what was found."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import typer
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rspipe.corpus.pairs import CLUSTERS, CLUSTERS_SCHEMA, FILES, PAIRS, PAIRS_SCHEMA, SUMMARY
from rspipe.curate import ingest as ingest_stage
from rspipe.curate.audit import measured
from rspipe.curate.audit.pictures import Drawable, draw_pictures
from rspipe.curate.audit.summary import Counted, summarise
from rspipe.curate.audit.targets import Target, open_target
from rspipe.curate.config import CurateHow, DedupConfig
from rspipe.curate.dedup.matching import find_hits
from rspipe.curate.dedup.pairs import KINDS, Indices, Pairs
from rspipe.curate.dedup.rank import rank_parts
from rspipe.curate.dedup.stage import rows_by_part
from rspipe.curate.dedup.tiles import Tiles, part_starts, read_tiles
from rspipe.curate.dedup.verdict import judge
from rspipe.curate.engine import Engine, Task
from rspipe.curate.listing import Listed, write_listing
from rspipe.curate.stage import StageFolder
from rspipe.errors import RecipeError
from rspipe.io.places import Place
from rspipe.io.tables import read_tables, write_json, write_table
from rspipe.progress import track
from rspipe.schema import ORIENTATIONS, TILE_SCHEMA

_FILE_COLUMNS = ("dataset", "source_path", "split", "drop_reason", "drop_detail")


@dataclass(frozen=True)
class SearchSettings:
    """What the two verbs have in common."""

    out: Path
    data: Path | None
    """Folder in which data sets of the catalog lie."""
    match: DedupConfig
    how: CurateHow


@dataclass(frozen=True)
class _Measured:
    """The pictures of some targets."""

    tiles: Tiles
    paths: pa.Array
    """Path of each picture, as it is printed."""
    groups: pa.Array
    """Target and split of each picture."""
    rank: Indices
    """Keep rank of each picture, smaller is better."""
    files: pa.Table
    """Every file, with what became of it."""
    drawable: Drawable


def duplicates(targets: Sequence[str], settings: SearchSettings) -> Counted:
    """Find every pair of pictures of some targets that are the same.

    Writes pairs, clusters, files, pictures and a summary into `settings.out`.

    Raises:
        RecipeError: a target is not there or named twice.
    """
    started = time.monotonic()
    with Engine(settings.how, settings.out / "stages") as engine:
        found = _measure(targets, settings, engine)
    verdict = judge(found.tiles, settings.match, found.rank, rejected=True)
    pairs = _pair_table(verdict.pairs, found.paths, found.paths)
    kept = np.ones(len(found.tiles), np.bool_)
    kept[verdict.dropped.copy] = False
    survivor = np.full(len(found.tiles), -1, np.int64)
    survivor[verdict.dropped.copy] = verdict.dropped.original
    clusters = _cluster_table(
        found.paths, verdict.clusters.rows, verdict.clusters.label, kept, survivor
    )
    groups = (_groups(verdict.pairs.copy, found), _groups(verdict.pairs.original, found))
    return _leave("duplicates", settings, [found], pairs, clusters, groups, started)


def audit(targets: Sequence[str], against: Sequence[str], settings: SearchSettings) -> Counted:
    """Find every picture of some benchmarks in some targets.

    Raises:
        RecipeError: a target or benchmark is not there or named twice.
    """
    started = time.monotonic()
    with Engine(settings.how, settings.out / "stages") as engine:
        ours = _measure(targets, settings, engine)
        theirs = _measure(against, settings, engine)
    pairs = find_hits(ours.tiles, theirs.tiles, settings.match, rejected=True)
    # A file that lies in target and benchmark alike is no copy of itself.
    same = pc.equal(ours.paths.take(pairs.copy), theirs.paths.take(pairs.original))
    pairs = pairs.take(~np.asarray(same.to_numpy(zero_copy_only=False), np.bool_))
    table = _pair_table(pairs, ours.paths, theirs.paths)
    clusters = _audit_clusters(pairs.take(~pairs.rejected), ours, theirs)
    groups = (_groups(pairs.copy, ours), _groups(pairs.original, theirs))
    return _leave("audit", settings, [ours, theirs], table, clusters, groups, started)


def _measure(texts: Sequence[str], settings: SearchSettings, engine: Engine) -> _Measured:
    stages = settings.out / "stages"
    targets = open_targets(texts, settings)
    listed = [write_listing(target.dataset, stages, settings.how) for target in targets]
    tasks = plan_measuring(targets, listed, stages)
    for stage, todo in tasks.items():
        _run(stage, todo, settings.how, engine)
    return _read(targets, [task.target for task in tasks["measure"]], settings)


def open_targets(texts: Sequence[str], settings: SearchSettings) -> list[Target]:
    """Find and list what a user names.

    Raises:
        RecipeError: something of it is not there.
    """
    return [open_target(text, settings.data, settings.out / "stages" / "cache") for text in texts]


def plan_measuring(
    targets: Sequence[Target], listed: Sequence[Listed], stages: Path
) -> dict[str, list[Task]]:
    """Plan what has to be opened and measured: tasks by stage."""
    tasks: dict[str, list[Task]] = {"ingest": [], "measure": []}
    for target, d in zip(targets, listed, strict=True):
        ingested = StageFolder.of(
            stages, "ingest", ingest_stage.VERSION, None, d.folder.fingerprint
        )
        done = StageFolder.of(
            stages, "measure", measured.VERSION, target.split, ingested.fingerprint
        )
        for i in range(d.n_partitions):
            opened = ingest_stage.IngestItem(d.storage, d.card, d.folder.part(i))
            tasks["ingest"].append(Task(ingest_stage.ingest, opened, ingested.part(i)))
            item = measured.MeasureItem(ingested.part(i), d.storage, target.split)
            tasks["measure"].append(Task(measured.measure_images, item, done.part(i)))
    return tasks


def _run(stage: str, tasks: Sequence[Task], how: CurateHow, engine: Engine) -> None:
    """Do what is missing; one worker is this process, which spares starting a cluster."""
    if how.workers != 1:
        engine.run(stage, tasks)
        return
    for task in track([t for t in tasks if not t.is_done], f"  {stage}"):
        task.run()


def _read(targets: Sequence[Target], parts: list[Place], settings: SearchSettings) -> _Measured:
    starts = part_starts(parts)
    scratch = settings.out / "stages" / "scratch"
    tiles, rows = read_tiles(
        parts, starts, lambda table, _: np.asarray(table["pixel_hash"].is_valid()), scratch
    )
    files = read_tables(parts, TILE_SCHEMA, list(_FILE_COLUMNS))
    paths = pc.binary_join_element_wise(files["dataset"], files["source_path"], "/")
    paths = pa.chunked_array(paths).combine_chunks() if isinstance(paths, list) else paths
    label = pc.binary_join_element_wise(files["dataset"], pc.fill_null(files["split"], ""), " ")
    files = files.append_column("path", paths).append_column("group", pc.utf8_trim(label, " "))
    chosen = files.take(pa.array(rows))
    counts = pc.value_counts(chosen["path"].combine_chunks())
    twice = counts.filter(pc.greater(counts.field("counts"), 1))
    if len(twice):
        raise RecipeError(f"named twice: {twice.field('values')[0]}; name each target once")
    storages = {target.dataset.name: target.dataset.tree.storage for target in targets}
    return _Measured(
        tiles,
        chosen["path"].combine_chunks(),
        chosen["group"].combine_chunks(),
        rank_parts(parts, rows_by_part(starts, rows), settings.match.keep),
        files,
        Drawable(parts, files["path"].combine_chunks(), storages),
    )


def _groups(rows: Indices, found: _Measured) -> pa.Array:
    return found.groups.take(pa.array(rows))


def _pair_table(pairs: Pairs, ours: pa.Array, theirs: pa.Array) -> pa.Table:
    columns = [
        ours.take(pa.array(pairs.copy)),
        theirs.take(pa.array(pairs.original)),
        pa.array(KINDS).take(pa.array(pairs.kind)),
        pa.array(pairs.distance_bits).cast(pa.int32()),
        pa.array(ORIENTATIONS).take(pa.array(pairs.orientation)),
        pa.array(pairs.similarity),
        pc.if_else(pa.array(pairs.rejected), "rejected", "duplicate"),
    ]
    return pa.table(columns, schema=PAIRS_SCHEMA)


def _cluster_table(
    paths: pa.Array, rows: Indices, label: Indices, kept: np.ndarray, survivor: Indices
) -> pa.Table:
    """List the members of clusters; a cluster is named by the first path in it."""
    members = paths.take(pa.array(rows))
    named = pa.table({"label": label, "path": members}).group_by("label")
    first = named.aggregate([("path", "min")])
    place = pc.index_in(pa.array(label), first["label"].combine_chunks())
    original = survivor[rows]
    known = pa.array(np.where(original >= 0, original, 0), mask=original < 0)
    table = pa.table(
        [
            members,
            first["path_min"].take(place),
            pa.array(kept[rows]),
            paths.take(known),
        ],
        schema=CLUSTERS_SCHEMA,
    )
    return table.sort_by([(name, "ascending") for name in ("cluster_id", "path")])


def _audit_clusters(pairs: Pairs, ours: _Measured, theirs: _Measured) -> pa.Table:
    """Group target pictures with the benchmark pictures that they show; the latter are kept."""
    n, m = len(ours.tiles), len(theirs.tiles)
    graph = coo_array(
        (np.ones(len(pairs), np.int8), (pairs.copy, pairs.original + n)), shape=(n + m, n + m)
    )
    _, labels = connected_components(graph, directed=False)
    rows = np.unique(np.concatenate([pairs.copy, pairs.original + n]))
    order = np.lexsort((pairs.distance_bits, pairs.kind, pairs.copy))
    copies, first = np.unique(pairs.copy[order], return_index=True)
    survivor = np.full(n + m, -1, np.int64)
    survivor[copies] = pairs.original[order][first] + n
    paths = pa.concat_arrays([ours.paths, theirs.paths])
    return _cluster_table(paths, rows, labels[rows].astype(np.int64), survivor < 0, survivor)


def _leave(
    verb: str,
    settings: SearchSettings,
    sides: Sequence[_Measured],
    pairs: pa.Table,
    clusters: pa.Table,
    groups: tuple[pa.Array, pa.Array],
    started: float,
) -> Counted:
    """Write what was found."""
    out = settings.out
    order = pc.sort_indices(
        pairs, [(n, "ascending") for n in ("path_a", "path_b", "kind", "orientation")]
    )
    counted = summarise(verb, settings.match, [s.files for s in sides], pairs, clusters, groups)
    write_table(pairs.take(order), out / PAIRS)
    write_table(clusters, out / CLUSTERS)
    listed = ["path", "split", "drop_reason", "drop_detail"]
    files = pa.concat_tables([side.files.select(listed) for side in sides])
    write_table(files.group_by(listed).aggregate([]).sort_by("path"), out / FILES)
    draw_pictures(pairs, clusters, [side.drawable for side in sides], out)
    write_json(counted.summary, out / SUMMARY)
    for line in counted.lines:
        typer.echo(line)
    typer.echo(f"wrote {out} in {time.monotonic() - started:.1f} s")
    return counted
