# SPDX-License-Identifier: Apache-2.0
"""What `rspipe eval` would do: `--dry-run`. Benchmarks are listed; no image is read or encoded."""

import math
from collections.abc import Mapping
from pathlib import Path

import torch

from rspipe.evaluate.benchmarks import Benchmark, Skipped, find_benchmarks
from rspipe.evaluate.cells import CellStore
from rspipe.evaluate.config import EvalRecipe
from rspipe.evaluate.contamination import Contamination, contamination_sources
from rspipe.evaluate.encoders import Judged
from rspipe.evaluate.lineup import load_encoders
from rspipe.evaluate.planning import check_protocols, plan_cells
from rspipe.evaluate.runner import pick_device
from rspipe.models.backbone import Backbone
from rspipe.preview import Part, Preview


def preview(recipe: EvalRecipe) -> Preview:
    """Say which cells are done, and how many images the open ones take.

    Raises:
        RecipeError: an unknown protocol or data set, no data folder, an encoder not for RGB.
        WeightsError: the encoder folder is not whole.
    """
    check_protocols(recipe.what)
    device = pick_device(recipe.how.device)
    encoders = load_encoders(recipe, torch.device("cpu"))
    contamination = Contamination(contamination_sources(recipe))
    store = CellStore(Path(recipe.out_folder) / "cells")
    parts, images = [], 0
    for benchmark in find_benchmarks(recipe):
        if isinstance(benchmark, Skipped):
            parts.append(Part(benchmark.name, 0, 0, "cells", f"skipped: {benchmark.reason}"))
            continue
        exposure = contamination.of(benchmark.name, benchmark.tested_paths())
        cells = plan_cells(benchmark, encoders, recipe.what, device, exposure)
        done = sum(store.load(cell.fingerprint) is not None for cell in cells)
        images += 0 if done == len(cells) else len(benchmark.used())
        parts.append(Part(benchmark.name, done, len(cells), "cells", _described(benchmark)))
    beside = (f"{place} (beside: {label})" for label, place in recipe.beside.items())
    return Preview(
        verb="eval",
        name=recipe.name,
        reads=(recipe.encoder, *beside, recipe.data, *contamination_sources(recipe)),
        writes=(recipe.out_folder,),
        parts=tuple(parts),
        facts={
            "encoders and floors": ", ".join(encoders),
            "device": str(device),
            "images of benchmarks with open cells": images,
            "GB of cached tokens, at most": images * _token_bytes(recipe, encoders) / 1e9,
        },
        is_done=all(part.done == part.total for part in parts),
    )


def _described(benchmark: Benchmark) -> str:
    return f"{benchmark.task}, {len(benchmark.used()):,} images, {len(benchmark.classes)} classes"


def _token_bytes(recipe: EvalRecipe, encoders: Mapping[str, Judged]) -> int:
    """Bytes of one image's tokens by all encoders, as they are cached for probes that pool them."""
    width_of_value = 2 if recipe.what.features_dtype == "float16" else 4
    return sum(
        width_of_value * judged.encoder.config.width * (1 + math.prod(judged.encoder.config.grid))
        for judged in encoders.values()
        if isinstance(judged.encoder, Backbone)
    )
