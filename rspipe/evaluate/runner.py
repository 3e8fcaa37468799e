# SPDX-License-Identifier: Apache-2.0
"""Runs an evaluation recipe: benchmarks x protocols x encoders, one finished cell at a time."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import typer
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from rspipe.errors import MissingDependency, RecipeError, UnfitEncoder
from rspipe.evaluate import EVALUATORS, AnyEvaluator
from rspipe.evaluate.base import (
    EncodingEvaluator,
    EvalResult,
    Evaluator,
    FloorEvaluator,
    PixelEvaluator,
    Scores,
    UndefinedScore,
)
from rspipe.evaluate.benchmarks import Benchmark, Skipped, find_benchmarks
from rspipe.evaluate.cells import CellStore
from rspipe.evaluate.config import EvalRecipe, What
from rspipe.evaluate.contamination import Contamination, Exposure, corpus_of_run
from rspipe.evaluate.encoders import (
    Gives,
    ImageStatistics,
    Judged,
    NoEncoder,
    of_memory,
    open_encoder,
)
from rspipe.evaluate.frozen.features import Extraction, extract
from rspipe.evaluate.frozen.token_extraction import TokenCache, extract_tokens
from rspipe.evaluate.paired import with_differences
from rspipe.evaluate.published import to_lines
from rspipe.evaluate.results import to_table, write_results
from rspipe.evaluate.robustness.evaluator import UnderCorruption
from rspipe.io.tables import remove_partials
from rspipe.models.backbone import Backbone
from rspipe.recipe import fingerprint, nearest_name

# Raised by every change that moves numbers, so that older cells are not taken for new ones.
CELL_VERSION = 2
PRETRAINED = "pretrained"
NO_ENCODER = "none"


@dataclass(frozen=True)
class Cell:
    """One number to find: a protocol on a benchmark through an encoder."""

    label: str
    """Of the encoder."""
    evaluator: AnyEvaluator
    fingerprint: str


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
                rows.append(_skipped(benchmark))
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


def check_protocols(what: What) -> None:
    """Refuse a protocol that no evaluator has.

    Raises:
        RecipeError: naming the nearest one.
    """
    for task, protocols in what.protocols.model_dump().items():
        known = [name for of, name in EVALUATORS if of == task]
        for name in protocols:
            if name not in known:
                raise RecipeError(
                    f"what.protocols.{task}: no protocol {name!r}{nearest_name(name, known)}"
                )


def load_encoders(recipe: EvalRecipe, device: torch.device) -> dict[str, Judged]:
    """Load the trained encoder, those beside it, and make the baselines.

    Raises:
        RecipeError: an encoder reads other bands than red, green and blue, or its label is taken.
        WeightsError: an encoder is not whole.
    """
    rules = recipe.what.input
    _refuse_unknown_labels(recipe)
    judged = {PRETRAINED: open_encoder(recipe.encoder, rules.get(PRETRAINED))}
    trained = judged[PRETRAINED].network
    for baseline in recipe.what.baselines:
        if baseline == "random":
            untrained = trained.untrained(recipe.what.seed).eval()
            judged[baseline] = Judged(untrained, of_memory(untrained), source="random weights")
        else:
            judged[baseline] = Judged(ImageStatistics(), ImageStatistics.sha256)
    judged[NO_ENCODER] = Judged(NoEncoder(), NoEncoder.sha256)
    for label, place in recipe.beside.items():
        if label in judged:
            raise RecipeError(f"beside.{label}: the label is taken; choose another")
        judged[label] = open_encoder(place, rules.get(label))
    for one in judged.values():
        if isinstance(one.encoder, Backbone):
            one.encoder.to(device)
    return judged


def _refuse_unknown_labels(recipe: EvalRecipe) -> None:
    known = [PRETRAINED, *recipe.beside]
    for label in recipe.what.input:
        if label not in known:
            raise RecipeError(f"what.input.{label}: no such encoder{nearest_name(label, known)}")


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


def plan_cells(
    benchmark: Benchmark,
    encoders: Mapping[str, Judged],
    what: What,
    device: torch.device,
    exposure: Exposure | None,
) -> list[Cell]:
    """Name every number to find on one benchmark."""
    protocols: tuple[str, ...] = getattr(what.protocols, benchmark.task)
    evaluators = [EVALUATORS[benchmark.task, name](what, device) for name in protocols]
    if benchmark.task == "classification" and what.robustness is not None:
        probes = what.robustness.probes
        evaluators += [UnderCorruption(probe, what, device) for probe in probes]
    return [
        Cell(label, evaluator, _cell_name(benchmark, judged, evaluator, what, exposure))
        for evaluator in evaluators
        for label, judged in encoders.items()
        if _reads(evaluator) in judged.gives
    ]


def _reads(evaluator: AnyEvaluator) -> Gives:
    """What a protocol needs: one that runs an encoder itself needs one that has tokens."""
    if isinstance(evaluator, PixelEvaluator | EncodingEvaluator):
        return "tokens"
    return evaluator.reads


def _cell_name(
    benchmark: Benchmark,
    judged: Judged,
    evaluator: AnyEvaluator,
    what: What,
    exposure: Exposure | None,
) -> str:
    """Fingerprint everything that changes a cell's number, and nothing else."""
    shared = {"seed", "bootstrap"}
    if benchmark.task == "classification":
        shared |= {"pooling", "norm", "features_dtype", "validation_share", "probe_seeds"}
    return fingerprint(
        CELL_VERSION,
        [benchmark.name, benchmark.listing, evaluator.task, evaluator.protocol],
        judged.sha256,
        evaluator.settings,
        what.model_dump(mode="json", include=shared),
        exposure.to_json() if exposure else None,
    )


def _fill(
    cell: Cell, found: Extraction, judged: Judged, what: What, work: Path, cache: TokenCache
) -> tuple[EvalResult, Scores | None]:
    """Run one cell; a benchmark that allows no score gives a row that says why."""
    row = _empty_row(cell, found, judged, what)
    lack = found.benchmark.lacks()
    if lack is not None:
        faults = "; ".join(f"{path}: {why}" for path, why in list(found.unreadable.items())[:3])
        return _without_score(row, f"{lack}; {len(found.unreadable)} unreadable, {faults}"), None
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
        return _without_score(row, str(error)), None
    except UnfitEncoder as error:
        return _without_score(row, f"{judged.source}: {error}"), None
    if math.isnan(scores.value):
        return _without_score(row, "nothing to find in the scored images"), None
    return _with_score(row, found, scores, time.perf_counter() - started), scores


def _with_score(row: EvalResult, found: Extraction, scores: Scores, elapsed_s: float) -> EvalResult:
    unreadable = {**found.unreadable, **scores.unreadable}
    updates = {
        "value": scores.value,
        "ci_low": scores.ci_low,
        "ci_high": scores.ci_high,
        "per_class": scores.per_class,
        "extra": {**row.extra, **scores.extra, "unreadable": unreadable},
        "n_unreadable": len(unreadable),
        "n_test": len(_scored_paths(found, scores)),
        "elapsed_s": round(elapsed_s, 3),
        **scores.columns,
    }
    return row.model_copy(update=updates)


def with_clean_score(
    row: EvalResult, found: Extraction, scores: Scores, exposure: Exposure
) -> EvalResult:
    """Add how many test images leaked, and the score without them.

    The head is the one that was trained for the plain score; only the scored images differ. An
    encoder that saw no corpus gets the same images taken out: the baseline of the difference.
    """
    paths = _scored_paths(found, scores)
    clean = np.array([i for i, path in enumerate(paths) if path not in exposure.leaked], np.int64)
    updates: dict[str, object] = {
        "n_audited": sum(path in exposure.audited for path in paths),
        "n_leaked": len(paths) - len(clean),
        "extra": {**row.extra, "contamination": exposure.to_json()},
    }
    if len(clean) == len(paths):
        updates |= {"clean_value": row.value, "clean_ci_low": row.ci_low}
        updates["clean_ci_high"] = row.ci_high
    elif scores.estimates is not None and len(clean):
        if scores.estimates.n != len(paths):
            raise ValueError(f"{row.protocol} scored {scores.estimates.n} of {len(paths)} images")
        ends = scores.estimates.of(clean)
        names = ("clean_value", "clean_ci_low", "clean_ci_high")
        for name, values in zip(names, (ends.values, ends.low, ends.high), strict=True):
            updates[name] = None if np.isnan(values[0]) else float(values[0])
    return row.model_copy(update=updates)


def _scored_paths(found: Extraction, scores: Scores) -> list[str]:
    """Paths of the test images in the order of the scores' statistic."""
    records = found.benchmark.records
    return [
        records[i].source_path
        for i in found.benchmark.tested
        if scores.unreadable.keys().isdisjoint(
            (records[i].source_path, records[i].annotation.mask_path)
        )
    ]


def contamination_sources(recipe: EvalRecipe) -> tuple[str, ...]:
    """Name the audits and corpora that tell which test images the encoder may have seen."""
    if recipe.contamination == "none":
        return ()
    if recipe.contamination == "auto":
        corpus = corpus_of_run(Path(recipe.encoder))
        return (corpus,) if corpus is not None else ()
    return tuple(recipe.contamination)


def _empty_row(cell: Cell, found: Extraction, judged: Judged, what: What) -> EvalResult:
    benchmark = found.benchmark
    return EvalResult(
        benchmark=benchmark.name,
        task=benchmark.task,
        status="done",
        protocol=cell.evaluator.protocol,
        encoder=cell.label,
        encoder_sha256=judged.sha256,
        metric=cell.evaluator.metric,
        convention=cell.evaluator.convention,
        n_train=len(benchmark.folds[0].train),
        n_test=len(benchmark.tested),
        n_classes=len(benchmark.classes),
        n_folds=len(benchmark.folds),
        n_unreadable=len(found.unreadable),
        n_validation=len(benchmark.folds[0].validation),
        pooling=(
            cell.evaluator.input_name
            if isinstance(cell.evaluator, Evaluator | EncodingEvaluator)
            else None
        ),
        seed=what.seed,
        cell=cell.fingerprint,
        extra={
            "unreadable": found.unreadable,
            "n_unlabelled": benchmark.n_unlabelled,
            "classes": list(benchmark.classes),
            "input": judged.as_dict(),
        },
    )


def _without_score(row: EvalResult, reason: str) -> EvalResult:
    return row.model_copy(update={"status": "skipped", "reason": reason})


def _skipped(skipped: Skipped) -> EvalResult:
    return EvalResult(
        benchmark=skipped.name, task=skipped.task, status="skipped", reason=skipped.reason
    )
