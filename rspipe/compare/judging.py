# SPDX-License-Identifier: Apache-2.0
"""Judge encoders on the benchmark of a comparison, and on a part of its training images."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from rspipe.compare.config import CompareRecipe
from rspipe.errors import RecipeError
from rspipe.evaluate.base import EvalResult
from rspipe.evaluate.benchmarks import Benchmark, Skipped, find_benchmarks
from rspipe.evaluate.cells import CellStore
from rspipe.evaluate.config import EvalRecipe
from rspipe.evaluate.config import How as EvaluateHow
from rspipe.evaluate.encoders import Judged
from rspipe.evaluate.lineup import PRETRAINED, load_encoders
from rspipe.evaluate.planning import check_protocols
from rspipe.evaluate.runner import judge, pick_device
from rspipe.evaluate.splits import Fold, hash_order, stratified_share
from rspipe.recipe import fingerprint


class Bench:
    """A benchmark, opened once, whose finished cells are kept.

    Args:
        recipe: of the comparison.

    Raises:
        RecipeError: an unknown protocol or benchmark, or one that allows no score.
    """

    def __init__(self, recipe: CompareRecipe) -> None:
        self.recipe = recipe
        check_protocols(recipe.judge.what)
        self.device = pick_device(recipe.how.device)
        self.store = CellStore(Path(recipe.out_folder) / "cells")
        found = next(iter(find_benchmarks(self._evaluation(Path(), baselines=False))))
        if isinstance(found, Skipped):
            raise RecipeError(f"judge.benchmark={recipe.judge.benchmark}: {found.reason}")
        self.benchmark = found

    @property
    def protocols(self) -> tuple[str, ...]:
        """What the encoders are judged by."""
        chosen: tuple[str, ...] = getattr(self.recipe.judge.what.protocols, self.benchmark.task)
        return chosen

    def scores(self, folder: Path) -> dict[str, EvalResult]:
        """Judge the encoder of a run on the test part; by protocol."""
        rows = self._rows(self.benchmark, self._evaluation(folder, baselines=False))
        return {str(row.protocol): row for row in rows}

    def floors(self, folder: Path, seed: int) -> dict[str, dict[str, EvalResult]]:
        """Judge the baselines beside the encoder of a run; by baseline, then protocol."""
        evaluation = self._evaluation(folder, baselines=True)
        what = evaluation.what.model_copy(update={"seed": seed})
        evaluation = evaluation.model_copy(update={"what": what})
        encoders = load_encoders(evaluation, self.device)
        encoders.pop(PRETRAINED)
        found: dict[str, dict[str, EvalResult]] = {}
        for row in self._judge(self.benchmark, encoders, evaluation):
            found.setdefault(str(row.encoder), {})[str(row.protocol)] = row
        return found

    def validation_score(self, folder: Path, protocol: str, share: float) -> float:
        """Judge the encoder of a run on images of the train part; no test image is looked at."""
        evaluation = self._evaluation(folder, baselines=False)
        task = self.benchmark.task
        protocols = evaluation.what.protocols.model_copy(update={task: (protocol,)})
        what = evaluation.what.model_copy(update={"protocols": protocols})
        part = validation_part(self.benchmark, share, what.seed)
        (row,) = self._rows(part, evaluation.model_copy(update={"what": what}))
        if row.value is None:
            raise RecipeError(f"{self.benchmark.name}, validation part: {row.reason}")
        return row.value

    def _rows(self, benchmark: Benchmark, evaluation: EvalRecipe) -> list[EvalResult]:
        return self._judge(benchmark, load_encoders(evaluation, self.device), evaluation)

    def _judge(
        self, benchmark: Benchmark, encoders: dict[str, Judged], evaluation: EvalRecipe
    ) -> list[EvalResult]:
        with threadpool_limits(self.recipe.how.torch_threads):
            return judge(benchmark, encoders, evaluation, self.store, self.device)

    def _evaluation(self, folder: Path, baselines: bool) -> EvalRecipe:
        wanted = self.recipe.judge
        kept = wanted.what.baselines if baselines else ()
        return EvalRecipe(
            name=self.recipe.name,
            encoder=str(folder),
            data=wanted.data,
            benchmarks=(wanted.benchmark,),
            out=self.recipe.out_folder,
            what=wanted.what.model_copy(update={"baselines": kept}),
            how=EvaluateHow(
                device=self.recipe.how.device,
                batch=wanted.batch,
                threads=self.recipe.how.torch_threads,
            ),
        )


def validation_part(benchmark: Benchmark, share: float, seed: int) -> Benchmark:
    """Make a benchmark of the train part alone: a share of each class is scored, the rest trains.

    Raises:
        RecipeError: the benchmark is cross-validated, so that every image is a test image.
    """
    if len(benchmark.folds) > 1:
        raise RecipeError(
            f"{benchmark.name}: with judge.what.folds={len(benchmark.folds)} every image is a test "
            "image and none is left to choose a learning rate by; set judge.what.folds=1"
        )
    train = benchmark.folds[0].train
    records = [benchmark.records[i] for i in train]
    order = hash_order([record.source_path for record in records], seed)
    scored, fitted = stratified_share(order, [r.annotation.label for r in records], share)
    fold = Fold(train=np.asarray(train)[fitted], test=np.asarray(train)[scored])
    return replace(
        benchmark,
        folds=(fold,),
        listing=fingerprint(benchmark.listing, "validation", share, seed),
    )
