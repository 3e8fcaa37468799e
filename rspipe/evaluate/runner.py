# SPDX-License-Identifier: Apache-2.0
"""Runs an evaluation recipe: benchmarks x protocols x encoders, one finished cell at a time."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
import typer
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from rspipe.errors import MissingDependency, UnfitEncoder
from rspipe.evaluate.base import (
    EncodingEvaluator,
    EvalResult,
    FloorEvaluator,
    PixelEvaluator,
    Scores,
    UndefinedScore,
)
from rspipe.evaluate.benchmarks import Benchmark, Skipped, find_benchmarks
from rspipe.evaluate.cells import CellStore
from rspipe.evaluate.config import EvalRecipe, What
from rspipe.evaluate.contamination import Contamination, Exposure, contamination_sources
from rspipe.evaluate.encoders import Judged
from rspipe.evaluate.frozen.features import Extraction, extract
from rspipe.evaluate.frozen.token_extraction import TokenCache, extract_tokens
from rspipe.evaluate.lineup import load_encoders
from rspipe.evaluate.paired import with_differences
from rspipe.evaluate.planning import Cell, check_protocols, plan_cells
from rspipe.evaluate.published import to_lines
from rspipe.evaluate.results import to_table, write_results
from rspipe.evaluate.rows import (
    empty_row,
    skipped_row,
    with_clean_score,
    with_score,
    without_score,
)
from rspipe.io.tables import remove_partials
from rspipe.models.backbone import Backbone


def evaluate(recipe: EvalRecipe) -> Path:
    """Judge an encoder on benchmarks, beside untrained encoders of its shape.

    Finished cells are taken from `cells/`; so a killed evaluation goes on where it stopped, and
    a finished one returns at once. The same recipe gives the same numbers on one machine;
    another CPU, GPU or thread count can move the last digits of float32 sums.

    Returns:
        The folder of the results.

    Raises:
        RecipeError: an unknown protocol or data set, no data folder, an encoder not for RGB.
        WeightsError: the encoder folder is not whole.
    """
    started = time.perf_counter()
    out = Path(recipe.out_folder)
    typer.echo(f"evaluate {recipe.name}: reads {recipe.encoder} and {recipe.data}, writes {out}")
    check_protocols(recipe.what)
    device = pick_device(recipe.how.device)
    encoders = load_encoders(recipe, device)
    contamination = Contamination(contamination_sources(recipe))
    store = CellStore(out / "cells")
    remove_partials(out)
    rows: list[EvalResult] = []
    timings: dict[str, float] = {}
    with _threads(recipe.how.threads):
        for benchmark in find_benchmarks(recipe):
            before = time.perf_counter()
            if isinstance(benchmark, Skipped):
                rows.append(skipped_row(benchmark))
            else:
                exposure = contamination.of(benchmark.name, benchmark.tested_paths())
                rows += judge(benchmark, encoders, recipe, store, device, exposure)
            timings[benchmark.name] = round(time.perf_counter() - before, 3)
    timings["total"] = round(time.perf_counter() - started, 3)
    write_results(out, recipe, rows, timings, {k: j.as_dict() for k, j in encoders.items()})
    typer.echo("\n".join(filter(None, (to_table(rows), to_lines(recipe.published)))))
    typer.echo(f"{len(rows)} rows in {out / 'results.json'}, {timings['total']:.1f} s")
    return out


def judge(
    benchmark: Benchmark,
    encoders: Mapping[str, Judged],
    recipe: EvalRecipe,
    store: CellStore,
    device: torch.device,
    exposure: Exposure | None = None,
) -> list[EvalResult]:
    """Fill every cell of one benchmark; features are made only for encoders with open cells."""
    cells = plan_cells(benchmark, encoders, recipe.what, device, exposure)
    rows = {cell.fingerprint: store.load(cell.fingerprint) for cell in cells}
    still_open = [cell for cell in cells if rows[cell.fingerprint] is None]
    typer.echo(
        f"{benchmark.name}: {benchmark.task}, {len(benchmark.used())} images, "
        f"{len(benchmark.classes)} classes, {len(still_open)} of {len(cells)} cells to do"
    )
    if still_open:
        cache = TokenCache(
            root=Path(recipe.how.features or Path(recipe.out_folder) / "features"),
            dtype=recipe.what.features_dtype,
            batch=recipe.how.batch,
            device=device,
        )
        found = _extracted(benchmark, still_open, encoders, recipe, cache)
        for cell in still_open:
            work = store.folder / f"{cell.fingerprint}.work"
            row, scores = _fill(cell, found, encoders[cell.label], recipe.what, work, cache)
            if scores is not None and exposure is not None:
                row = with_clean_score(row, found, scores, exposure)
            store.save(row, scores)
            rows[cell.fingerprint] = row
    # Not read from the cell: the same weights may have come with and without their run, and by
    # another name.
    named = [
        done.model_copy(
            update={
                "encoder": cell.label,
                "corpus_fingerprint": encoders[cell.label].corpus_fingerprint,
            }
        )
        for cell in cells
        if (done := rows[cell.fingerprint]) is not None
    ]
    return with_differences(named, store)


def _extracted(
    benchmark: Benchmark,
    cells: list[Cell],
    encoders: Mapping[str, Judged],
    recipe: EvalRecipe,
    cache: TokenCache,
) -> Extraction:
    """Encode a benchmark by the encoders of the cells that read features."""
    readers = [
        (cell.label, cell.evaluator.reads)
        for cell in cells
        if not isinstance(cell.evaluator, PixelEvaluator | FloorEvaluator)
    ]
    wanted = {label: encoders[label] for label, _ in readers}
    if not wanted:
        return Extraction(benchmark, {})
    if benchmark.task != "classification":
        dense = {k: j.encoder for k, j in wanted.items() if isinstance(j.encoder, Backbone)}
        return extract(benchmark, dense, recipe.what, recipe.how.batch, cache.device)
    with_tokens = {label for label, reads in readers if reads == "tokens"}
    return extract_tokens(benchmark, wanted, frozenset(with_tokens), cache)


def pick_device(name: str) -> torch.device:
    """Choose where the encoders run.

    Raises:
        MissingDependency: CUDA is asked for and there is none.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise MissingDependency(f"how.device={name}: torch finds no CUDA device; use auto")
    return torch.device(name)


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Limit the threads of torch and of the linear algebra below scikit-learn, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count if count is not None else before)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


def _fill(
    cell: Cell, found: Extraction, judged: Judged, what: What, work: Path, cache: TokenCache
) -> tuple[EvalResult, Scores | None]:
    """Run one cell; a benchmark that allows no score gives a row that says why."""
    row = empty_row(cell, found, judged, what)
    lack = found.benchmark.lacks()
    if lack is not None:
        faults = "; ".join(f"{path}: {why}" for path, why in list(found.unreadable.items())[:3])
        return without_score(row, f"{lack}; {len(found.unreadable)} unreadable, {faults}"), None
    started = time.perf_counter()
    try:
        if isinstance(cell.evaluator, FloorEvaluator):
            scores = cell.evaluator.run_without_encoder(found.benchmark)
        elif isinstance(cell.evaluator, PixelEvaluator):
            scores = cell.evaluator.run_on_pixels(found.benchmark, judged.network, work)
        elif isinstance(cell.evaluator, EncodingEvaluator):
            made = found.features[cell.label]
            scores = cell.evaluator.run_with_encoder(found.benchmark, made, judged, cache)
        else:
            scores = cell.evaluator.run(found.benchmark, found.features[cell.label])
    except UndefinedScore as error:
        return without_score(row, str(error)), None
    except UnfitEncoder as error:
        return without_score(row, f"{judged.source}: {error}"), None
    if math.isnan(scores.value):
        return without_score(row, "nothing to find in the scored images"), None
    return with_score(row, found, scores, time.perf_counter() - started), scores
