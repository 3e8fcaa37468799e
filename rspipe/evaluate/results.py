# SPDX-License-Identifier: Apache-2.0
"""What an evaluation leaves behind: results.json, two CSV files, manifest.json, and a table."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rspipe import __version__
from rspipe.evaluate.base import RESULTS_VERSION, EvalResult
from rspipe.evaluate.config import EvalRecipe
from rspipe.io.tables import write_json, write_text
from rspipe.recipe import fingerprint

_NESTED = ("per_class", "extra")


def write_results(
    folder: Path,
    recipe: EvalRecipe,
    rows: Sequence[EvalResult],
    timings_s: dict[str, float],
    encoders: dict[str, Any],
) -> None:
    """Write all rows, then the manifest: where it stands, everything else is whole.

    Args:
        folder: of the results.
        recipe: what was asked for.
        rows: all of them.
        timings_s: by benchmark.
        encoders: by label, what was judged and what it reads.
    """
    (folder / "manifest.json").unlink(missing_ok=True)
    write_json([row.model_dump(mode="json") for row in rows], folder / "results.json")
    write_text(to_csv(rows), folder / "results.csv")
    write_text(curves_csv(rows), folder / "curves.csv")
    manifest = {
        "schema_version": RESULTS_VERSION,
        "rspipe_version": __version__,
        "recipe": recipe.model_dump(mode="json"),
        "fingerprint": fingerprint([row.cell or [row.benchmark, row.reason] for row in rows]),
        "cells": [row.cell for row in rows if row.cell is not None],
        "timings_s": timings_s,
        "encoders": encoders,
        "complete": True,
    }
    write_json(manifest, folder / "manifest.json")


def to_csv(rows: Sequence[EvalResult]) -> str:
    """Flatten rows; scores per class and notes are left to results.json."""
    names = [name for name in EvalResult.model_fields if name not in _NESTED]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.model_dump(mode="json") for row in rows)
    return buffer.getvalue()


def curves_csv(rows: Sequence[EvalResult]) -> str:
    """List the points of all label curves: accuracy by images (or share) of each class."""
    names = ["benchmark", "protocol", "encoder", "size", "n_train", "value", "ci_low", "ci_high"]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*names, "n_seeds", "seed_std"], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        start = {"benchmark": row.benchmark, "protocol": row.protocol, "encoder": row.encoder}
        writer.writerows({**start, **point} for point in row.extra.get("curve", ()))
    return buffer.getvalue()


def to_table(rows: Sequence[EvalResult]) -> str:
    """Lay results out for a terminal: encoders side by side, skipped sets below.

    After each value its interval over test images, then, for what is repeated with several
    seeds or draws, their standard deviation.
    """
    done = [row for row in rows if row.status == "done"]
    encoders = list(dict.fromkeys(str(row.encoder) for row in done))
    head = ["benchmark", "protocol", "metric", *encoders]
    cells = {(row.benchmark, row.protocol, row.metric): dict[str, str]() for row in done}
    for row in done:
        cells[row.benchmark, row.protocol, row.metric][str(row.encoder)] = _with_interval(row)
    body = [[*map(str, key), *(found.get(e, "") for e in encoders)] for key, found in cells.items()]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in [head, *body]
    ]
    skipped = [f"skipped {_cell_of(row)}: {row.reason}" for row in rows if row.value is None]
    return "\n".join([*(lines if done else []), *skipped])


def _with_interval(row: EvalResult) -> str:
    if row.ci_low is None:
        return f"{row.value:.3f} [one image]"
    # The interval is over test images alone: what seeds add stands apart.
    spread = "" if row.seed_std is None else f" ±{row.seed_std:.3f}"
    return f"{row.value:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]{spread}{_clean(row)}"


def _clean(row: EvalResult) -> str:
    """Say what the score is without leaked images, where any leaked."""
    if not row.n_leaked:
        return ""
    clean = "undefined" if row.clean_value is None else f"{row.clean_value:.3f}"
    return f", without {row.n_leaked} leaked: {clean}"


def _cell_of(row: EvalResult) -> str:
    return f"{row.benchmark} ({row.protocol}, {row.encoder})" if row.protocol else row.benchmark
