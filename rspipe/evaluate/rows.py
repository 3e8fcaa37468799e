# SPDX-License-Identifier: Apache-2.0
"""Rows of results: what stands in one before there is a score, with it, and without the leaked."""

import numpy as np

from rspipe.evaluate.base import EncodingEvaluator, EvalResult, Evaluator, Scores
from rspipe.evaluate.benchmarks import Skipped
from rspipe.evaluate.config import What
from rspipe.evaluate.contamination import Exposure
from rspipe.evaluate.encoders import Judged
from rspipe.evaluate.frozen.features import Extraction
from rspipe.evaluate.planning import Cell


def empty_row(cell: Cell, found: Extraction, judged: Judged, what: What) -> EvalResult:
    """Say what was asked for, before anything is computed."""
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


def with_score(row: EvalResult, found: Extraction, scores: Scores, elapsed_s: float) -> EvalResult:
    """Add what a protocol found."""
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


def without_score(row: EvalResult, reason: str) -> EvalResult:
    """Say why there is no number."""
    return row.model_copy(update={"status": "skipped", "reason": reason})


def skipped_row(benchmark: Skipped) -> EvalResult:
    """Say why a whole benchmark has no number."""
    return EvalResult(
        benchmark=benchmark.name, task=benchmark.task, status="skipped", reason=benchmark.reason
    )


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
