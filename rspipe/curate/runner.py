# SPDX-License-Identifier: Apache-2.0
"""Run `make curate`, top to bottom.

The driver holds plans and counts, never the tables: stages leave them in partitions, workers read
them there, and corpus and ledger are written from them file by file.
"""

import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import typer

from rspipe.corpus.format import DATA, EXCLUSIONS, HITS, LEDGER, PICTURES, shard_name
from rspipe.corpus.verify import checksum
from rspipe.curate import leakage as leakage_stage
from rspipe.curate import pack as pack_stage
from rspipe.curate import pictures
from rspipe.curate.config import CurateRecipe
from rspipe.curate.datasets import iter_datasets
from rspipe.curate.engine import Engine, Task, say_stage
from rspipe.curate.ledger import LOST_SCHEMA, Counts, plan_ledger, write_ledger
from rspipe.curate.listing import Listed, write_listing
from rspipe.curate.lock import locked
from rspipe.curate.matches import MarkItem, find_duplicates, find_leaks, mark_leaks
from rspipe.curate.partition import Partition
from rspipe.curate.planning import corpus_fingerprint, plan_matching, plan_measuring
from rspipe.curate.publish import is_published, publish
from rspipe.curate.receipt import Note, read_receipt
from rspipe.errors import DamagedTable
from rspipe.io.places import Place, place
from rspipe.io.tables import read_table, write_table
from rspipe.schema import HIT_SCHEMA


def curate(recipe: CurateRecipe) -> Place:
    """Build the corpus that a recipe describes; do only what is missing.

    Returns:
        The corpus folder.

    Raises:
        RecipeError: the data folder, a dataset or a card is wrong.
        StageFailed: another run works in the stages folder, the cluster has gone, or a partition
            cannot be done.
        NoSpace: a disk is full.
    """
    typer.echo(f"curate {recipe.name}: reads {recipe.data}, writes {recipe.corpus_folder}")
    mended: set[str] = set()
    with locked(recipe.stages_folder), Engine(recipe.how, recipe.stages_folder) as engine:
        while True:
            try:
                return _curate(recipe, engine)
            except DamagedTable as damage:
                if damage.path in mended:
                    raise
                typer.echo(f"  damaged on disk, made anew: {damage}")
                mended.add(damage.path)
                place(damage.path).unlink(missing_ok=True)


def _curate(recipe: CurateRecipe, engine: Engine) -> Place:
    started = time.monotonic()
    listed = [write_listing(d, recipe.stages_folder, recipe.how) for d in iter_datasets(recipe)]
    files, size_mb = sum(d.n_files for d in listed), sum(d.size_bytes for d in listed) / 1e6
    typer.echo(f"  {len(listed)} data sets, {files:,} files, {size_mb:,.1f} MB")
    known_as = corpus_fingerprint(recipe, listed)
    if is_published(recipe.corpus_folder, known_as):
        typer.echo(f"  done before, nothing has changed ({time.monotonic() - started:.1f} s)")
        return recipe.corpus_folder
    funnel = _build(recipe, listed, known_as, engine)
    _report_funnel(funnel)
    if not funnel[-1]["kept"]:
        typer.echo("  warning: no tile was kept; the reasons stand above and in the ledger")
    typer.echo(f"wrote {recipe.corpus_folder} in {time.monotonic() - started:.1f} s")
    return recipe.corpus_folder


def _build(
    recipe: CurateRecipe, listed: Sequence[Listed], known_as: str, engine: Engine
) -> list[dict[str, Any]]:
    """Run the stages; returns the funnel."""
    storages = {d.card.name: d.storage for d in listed}
    cards = {d.card.name: d.card for d in listed}
    images, tiles, sliced = _measure(recipe, listed, engine)
    fates, hits = _match(recipe, tiles, sliced, engine)
    partitions = [Partition(*tables) for tables in zip(images, tiles, fates, strict=True)]

    plans = recipe.stages_folder / f"plan-{known_as}"
    folder = recipe.stages_folder / f"pack-{known_as}"
    shards = pack_stage.plan_shards(partitions, recipe.what.pack.shard_bytes)
    config, group_bytes = recipe.what.slice, recipe.what.pack.row_group_bytes
    packed = _write_files(
        *("pack", folder / DATA, plans, engine, pack_stage.write_shard),
        [pack_stage.PackItem(spans, storages, cards, config, group_bytes) for spans in shards],
    )
    (folder / DATA).mkdir(parents=True, exist_ok=True)

    lost = _write_lost(packed, plans / "lost.parquet")
    ledger = _write_files(
        *("ledger", folder / LEDGER, plans, engine, write_ledger), plan_ledger(partitions, lost)
    )
    counts: Counts = Counts()
    for note in ledger.values():
        counts.update({tuple(key): n for *key, n in note["counts"]})

    found = read_table(hits, HIT_SCHEMA)
    write_table(found, folder / HITS)
    write_table(leakage_stage.exclusion_list(found), folder / EXCLUSIONS)
    chosen = plans / "pictures.parquet"
    write_table(pictures.choose_pictures(partitions, found), chosen)
    drawn = pictures.PicturesItem(chosen, storages, config)
    engine.run("pictures", [Task(pictures.draw_pictures, drawn, folder / PICTURES)])

    checksums = {name: note["sha256"] for name, note in (packed | ledger).items()}
    checksums |= {name: checksum(folder / name) for name in (HITS, EXCLUSIONS)}
    return publish(recipe, folder, known_as, counts, dict(sorted(checksums.items())))


def _measure(
    recipe: CurateRecipe, listed: Sequence[Listed], engine: Engine
) -> tuple[list[Place], list[Place], str]:
    """From ingest to screen: the tables of images and of tiles, and the latters' fingerprint."""
    tasks, measured = plan_measuring(recipe, listed)
    for stage, todo in tasks.items():
        engine.run(stage, todo)
    images, tiles = ([task.target for task in tasks[stage]] for stage in ("exclude", "screen"))
    return images, tiles, measured


def _match(
    recipe: CurateRecipe, tiles: Sequence[Place], measured: str, engine: Engine
) -> tuple[list[Place], Place]:
    """Dedup and leakage: the tables of fates, and that of the hits."""
    what, scratch = recipe.what, recipe.cache_folder / "scratch"
    deduped, clean = plan_matching(recipe, measured)
    started = time.monotonic()
    if find_duplicates(tiles, what.dedup, deduped, scratch):
        say_stage("dedup", f"{len(tiles):,} partitions", started, deduped.path)
    order = range(len(tiles))
    fates = [deduped.part(i) for i in order]

    started, hits = time.monotonic(), clean.table("hits")
    if find_leaks(tiles, fates, what.leakage.rules(what.dedup), hits, scratch):
        say_stage("leakage", f"{len(tiles):,} partitions", started, clean.path)
    marked = [Task(mark_leaks, MarkItem(fates[i], hits), clean.part(i)) for i in order]
    engine.run("fates", marked)
    return [task.target for task in marked], hits


def _write_files(
    stage: str,
    folder: Place,
    receipts: Place,
    engine: Engine,
    function: Any,
    items: Sequence[Any],
) -> dict[str, Note]:
    """Write files of the corpus; returns their receipts by path in the corpus."""
    split = {"pack": "train"}.get(stage, stage)
    names = [shard_name(i, len(items), split) for i in range(len(items))]
    tasks = [
        Task(function, item, folder / name, receipts / f"{name}.json")
        for item, name in zip(items, names, strict=True)
    ]
    engine.run(stage, tasks)
    notes = {}
    for task in tasks:
        note = task.receipt and read_receipt(task.receipt, task.target)
        if not note:
            raise DamagedTable(task.target, "it has gone, or has no receipt")
        notes[f"{folder.name}/{task.target.name}"] = note
    return notes


def _write_lost(packed: dict[str, Note], target: Place) -> Place | None:
    """List the tiles that could not be packed; None if all could."""
    lost = [(tile, "pack", *why) for note in packed.values() for tile, *why in note["lost"]]
    if not lost:
        return None
    columns = [pa.array(column, pa.string()) for column in zip(*lost, strict=True)]
    write_table(pa.table(columns, schema=LOST_SCHEMA), target)
    return target


def _report_funnel(funnel: list[dict[str, Any]]) -> None:
    for step in funnel:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in step["dropped"].items())
        dropped = sum(step["dropped"].values())
        typer.echo(
            f"  {step['stage']:<8} {step['rows_in']:>9,} {step['unit']} in, "
            f"{step['kept']:>9,} kept, {dropped:>7,} dropped{': ' if reasons else ''}{reasons}"
        )
