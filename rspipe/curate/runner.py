"""Run `make curate`, top to bottom. The only file that imports Dask."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dask
import pyarrow as pa
import pyarrow.compute as pc
import typer
from distributed import Client, LocalCluster, as_completed
from tqdm import tqdm

import rspipe
from rspipe.corpus.card import write_card
from rspipe.corpus.format import DATA, HITS, LEDGER, MANIFEST, PICTURES, shard_name
from rspipe.corpus.verify import checksum
from rspipe.curate import exclude as exclude_stage
from rspipe.curate import ingest as ingest_stage
from rspipe.curate import leakage as leakage_stage
from rspipe.curate import pack as pack_stage
from rspipe.curate import pictures
from rspipe.curate import screen as screen_stage
from rspipe.curate import slice as slice_stage
from rspipe.curate.config import CurateHow, CurateRecipe
from rspipe.curate.datasets import Dataset, list_datasets
from rspipe.curate.dedup import stage as dedup_stage
from rspipe.curate.ledger import build_ledger, count_funnel, with_fates
from rspipe.curate.stage import StageFolder
from rspipe.io.provenance import code_commit
from rspipe.io.storage import Storage
from rspipe.io.tables import read_json, read_tables, write_json, write_table
from rspipe.recipe import fingerprint
from rspipe.schema import FATE_SCHEMA, HIT_SCHEMA, IMAGE_SCHEMA, SCHEMA_VERSION, TILE_SCHEMA

_FILES_PER_PARTITION = 128
_MOST_PARTITIONS = 4096  # Dask's scheduler slows down from about 1e5 tasks
_LEDGER_ROWS = 1_000_000  # rows per ledger file
_INFLIGHT_PER_WORKER = 4

Task = tuple[Any, Path]
"""What to work on, and the file that holds the result."""


def curate(recipe: CurateRecipe) -> Path:
    """Build the corpus that a recipe describes; do only what is missing.

    Returns:
        The corpus folder.

    Raises:
        RecipeError: the data folder, a dataset or a card is wrong.
    """
    started = time.monotonic()
    typer.echo(f"curate {recipe.name}: reads {recipe.data}, writes {recipe.corpus_folder}")
    datasets = list_datasets(recipe)
    files = sum(len(d.tree.files) for d in datasets)
    size_mb = sum(f.size_bytes for d in datasets for f in d.tree.files) / 1e6
    typer.echo(f"  {len(datasets)} data sets, {files:,} files, {size_mb:,.1f} MB")
    source = fingerprint([d.fingerprint() for d in datasets])
    corpus_fingerprint = _corpus_fingerprint(recipe, source)
    if _is_done(recipe.corpus_folder, corpus_fingerprint):
        typer.echo(f"  done before, nothing has changed ({time.monotonic() - started:.1f} s)")
        return recipe.corpus_folder
    with _Engine(recipe.how) as engine:
        _build(recipe, datasets, source, corpus_fingerprint, engine)
    funnel = read_json(recipe.corpus_folder / MANIFEST)["funnel"]
    _report_funnel(funnel)
    if not funnel[-1]["kept"]:
        typer.echo("  warning: no tile was kept; the reasons stand above and in the ledger")
    typer.echo(f"wrote {recipe.corpus_folder} in {time.monotonic() - started:.1f} s")
    return recipe.corpus_folder


def _build(
    recipe: CurateRecipe,
    datasets: Sequence[Dataset],
    source: str,
    corpus_fingerprint: str,
    engine: "_Engine",
) -> None:
    """Run the seven stages."""
    what, stages = recipe.what, recipe.stages_folder
    storages = {d.name: d.tree.storage for d in datasets}
    cards = {d.name: d.card for d in datasets}

    ingested = StageFolder.of(stages, "ingest", ingest_stage.VERSION, None, source)
    count = sum(len(d.entries) for d in datasets)
    per_part = max(_FILES_PER_PARTITION, -(-count // _MOST_PARTITIONS))
    parts = [item for d in datasets for item in ingest_stage.partitions(d, per_part)]
    engine.run(ingested, ingest_stage.ingest, parts)
    order = range(len(parts))

    kept = StageFolder.of(
        stages, "exclude", exclude_stage.VERSION, what.exclude, ingested.fingerprint
    )
    engine.run(
        kept,
        exclude_stage.exclude,
        [exclude_stage.ExcludeItem(ingested.part(i), cards, what.exclude) for i in order],
    )

    sliced = StageFolder.of(stages, "slice", slice_stage.VERSION, what.slice, kept.fingerprint)
    engine.run(
        sliced,
        slice_stage.slice_images,
        [slice_stage.SliceItem(kept.part(i), storages, cards, what.slice) for i in order],
    )

    screened = StageFolder.of(
        stages, "screen", screen_stage.VERSION, what.screen, sliced.fingerprint
    )
    engine.run(
        screened,
        screen_stage.screen_part,
        [screen_stage.ScreenItem(sliced.part(i), what.screen) for i in order],
    )
    tile_parts = [screened.part(i) for i in order]
    tiles = read_tables(tile_parts, TILE_SCHEMA)

    deduped = StageFolder.of(stages, "dedup", dedup_stage.VERSION, what.dedup, screened.fingerprint)
    fates = _whole_table(
        deduped.table("fates"),
        FATE_SCHEMA,
        lambda: dedup_stage.dedup(tile_parts, what.dedup, deduped.path),
    )

    alike = what.dedup.model_copy(update={"min_similarity": what.leakage.min_similarity})
    clean = StageFolder.of(
        stages, "leakage", leakage_stage.VERSION, alike.model_dump(), deduped.fingerprint
    )
    hits = _whole_table(
        clean.table("hits"),
        HIT_SCHEMA,
        lambda: leakage_stage.find_leaks(tile_parts, fates, alike, clean.path),
    )
    fates = leakage_stage.mark_leaks(fates, hits)

    files = read_tables([kept.part(i) for i in order], IMAGE_SCHEMA)
    ledger = build_ledger(files, tiles, fates)
    tiles = with_fates(tiles, fates)
    packed = _pack(recipe, tiles, storages, corpus_fingerprint, engine)
    chosen = pictures.choose_pictures(tiles, hits)
    plan = stages / f"plan-{corpus_fingerprint}" / "pictures.parquet"
    write_table(chosen, plan)
    drawn = pictures.PicturesItem(plan, storages, what.slice)
    engine.map("pictures", _run_part, [((pictures.draw_pictures, drawn), packed / PICTURES)])
    _write_ledger(packed, ledger, hits)
    _finish(recipe, packed, ledger, corpus_fingerprint)


def _whole_table(path: Path, schema: pa.Schema, build: Callable[[], pa.Table]) -> pa.Table:
    """Read a stage's table, building it first if it is not there."""
    if not path.is_file():
        started = time.monotonic()
        table = build()
        write_table(table, path)
        _say_stage(path.parent.name.split("-")[0], table.num_rows, started, path)
    return read_tables([path], schema)


def _pack(
    recipe: CurateRecipe,
    tiles: pa.Table,
    storages: dict[str, Storage],
    corpus_fingerprint: str,
    engine: "_Engine",
) -> Path:
    """Write the shards of the tiles that are left; returns the folder they are in."""
    folder = recipe.stages_folder / f"pack-{corpus_fingerprint}"
    left = pc.and_(tiles["drop_stage"].is_null(), pc.invert(tiles["is_parent"]))
    kept = tiles.filter(left).sort_by(
        [(key, "ascending") for key in ("dataset", "source_path", "y0", "x0")]
    )
    shards = pack_stage.plan_shards(kept, recipe.what.pack.shard_bytes) if kept.num_rows else []
    names = [folder / DATA / shard_name(i, len(shards)) for i in range(len(shards))]
    plans = [folder.with_name(f"plan-{corpus_fingerprint}") / name.name for name in names]
    for shard, plan in zip(shards, plans, strict=True):
        write_table(shard, plan)
    items = [
        pack_stage.PackItem(plan, storages, recipe.what.slice, recipe.what.pack.row_group_bytes)
        for plan in plans
    ]
    (folder / DATA).mkdir(parents=True, exist_ok=True)
    engine.map("pack", pack_stage.write_shard, list(zip(items, names, strict=True)))
    return folder


def _write_ledger(folder: Path, ledger: pa.Table, hits: pa.Table) -> None:
    count = max(1, -(-ledger.num_rows // _LEDGER_ROWS))
    for index in range(count):
        part = ledger.slice(index * _LEDGER_ROWS, _LEDGER_ROWS)
        write_table(part, folder / LEDGER / shard_name(index, count, "ledger"))
    write_table(hits, folder / HITS)


def _finish(recipe: CurateRecipe, folder: Path, ledger: pa.Table, corpus_fingerprint: str) -> None:
    """Write manifest and card, then put the corpus in its place."""
    files = sorted(p for p in folder.rglob("*.parquet") if p.parent.name in {DATA, LEDGER})
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "name": recipe.name,
        "fingerprint": corpus_fingerprint,
        "rspipe_version": rspipe.__version__,
        "code_commit": code_commit(),
        "recipe": recipe.model_dump(mode="json"),
        "funnel": count_funnel(ledger),
        "files": {p.relative_to(folder).as_posix(): checksum(p) for p in files},
    }
    write_card(folder, manifest, ledger)
    write_json(manifest, folder / MANIFEST)
    _replace_folder(folder, recipe.corpus_folder)


def _replace_folder(new: Path, target: Path) -> None:
    """Move a finished folder into place; what was there before goes only then."""
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _corpus_fingerprint(recipe: CurateRecipe, source: str) -> str:
    modules = (
        *(ingest_stage, exclude_stage, slice_stage, screen_stage),
        *(dedup_stage, leakage_stage, pack_stage),
    )
    versions = [SCHEMA_VERSION, *(module.VERSION for module in modules)]
    return fingerprint(versions, recipe.what, source)


def _is_done(folder: Path, corpus_fingerprint: str) -> bool:
    manifest = folder / MANIFEST
    return manifest.is_file() and read_json(manifest)["fingerprint"] == corpus_fingerprint


def _say_stage(stage: str, rows: int, started: float, path: Path) -> None:
    typer.echo(f"  {stage:<8} {rows:>9,} rows  {time.monotonic() - started:6.1f} s  → {path}")


def _report_funnel(funnel: list[dict[str, Any]]) -> None:
    for step in funnel:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in step["dropped"].items())
        dropped = sum(step["dropped"].values())
        typer.echo(
            f"  {step['stage']:<8} {step['rows_in']:>9,} {step['unit']} in, "
            f"{step['kept']:>9,} kept, {dropped:>7,} dropped{': ' if reasons else ''}{reasons}"
        )


class _Engine:
    """A Dask client that is started only when there is work."""

    def __init__(self, how: CurateHow) -> None:
        self._how = how
        self._stack = ExitStack()
        self._client: Client | None = None

    def __enter__(self) -> "_Engine":
        return self

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def run(
        self, folder: StageFolder, function: Callable[[Any], pa.Table], items: Sequence[Any]
    ) -> None:
        """Run a stage: one table per item, those that are missing."""
        started = time.monotonic()
        tasks = [((function, item), folder.part(i)) for i, item in enumerate(items)]
        if self.map(folder.stage, _run_part, tasks):
            _say_stage(folder.stage, len(items), started, folder.path)

    def map(self, title: str, function: Callable[[Any, Path], None], tasks: Sequence[Task]) -> bool:
        """Call `function(item, target)` for every target that is missing; False if none was."""
        missing = [task for task in tasks if not task[1].is_file()]
        if not missing:
            return False
        client = self._start()
        bar = tqdm(total=len(tasks), initial=len(tasks) - len(missing), desc=f"  {title}")
        workers = max(1, len(client.scheduler_info()["workers"]))
        queue = iter(missing)
        with bar:
            first = [t for _, t in zip(range(workers * _INFLIGHT_PER_WORKER), queue, strict=False)]
            running = as_completed([self._submit(client, title, function, t) for t in first])
            for future in running:
                future.result()
                bar.update()
                for task in _next(queue):
                    running.add(self._submit(client, title, function, task))
        return True

    @staticmethod
    def _submit(
        client: Client, title: str, function: Callable[[Any, Path], None], task: Task
    ) -> Any:
        item, target = task
        # Keys name the target, so the dashboard shows what runs; never a cached result.
        return client.submit(
            function, item, target, key=f"{title}-{target.stem}", pure=False, retries=2
        )

    def _start(self) -> Client:
        if self._client is None:
            self._client = self._stack.enter_context(_dask_client(self._how))
            typer.echo(f"  dashboard: {self._client.dashboard_link}")
        return self._client


def _next(queue: Iterator[Task]) -> list[Task]:
    task = next(queue, None)
    return [] if task is None else [task]


def _run_part(work: tuple[Callable[[Any], pa.Table], Any], target: Path) -> None:
    function, item = work
    write_table(function(item), target)


@contextmanager
def _dask_client(how: CurateHow) -> Iterator[Client]:
    """Connect to the recipe's scheduler, or start local workers: spawned, one thread each.

    GDAL handles are not thread-safe, and a fork after its drivers are registered can deadlock.
    """
    if how.scheduler is not None:
        with Client(how.scheduler) as client:
            yield client
        return
    settings = {
        "distributed.worker.multiprocessing-method": "spawn",
        "distributed.worker.daemon": True,
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=how.workers or None,
            threads_per_worker=1,
            processes=True,
            dashboard_address=":0" if how.dashboard else None,
            silence_logs=40,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
