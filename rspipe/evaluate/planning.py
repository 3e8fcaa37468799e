# SPDX-License-Identifier: Apache-2.0
"""Every number that a recipe asks for, and the name that tells it from any other."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from rspipe.errors import RecipeError
from rspipe.evaluate import EVALUATORS, AnyEvaluator
from rspipe.evaluate.base import EncodingEvaluator, PixelEvaluator
from rspipe.evaluate.benchmarks import Benchmark
from rspipe.evaluate.config import What
from rspipe.evaluate.contamination import Exposure
from rspipe.evaluate.encoders import Gives, Judged
from rspipe.evaluate.robustness.evaluator import UnderCorruption
from rspipe.recipe import fingerprint, nearest_name

# Raised by every change that moves numbers, so that older cells are not taken for new ones.
CELL_VERSION = 2


@dataclass(frozen=True)
class Cell:
    """One number to find: a protocol on a benchmark through an encoder."""

    label: str
    """Of the encoder."""
    evaluator: AnyEvaluator
    fingerprint: str


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
