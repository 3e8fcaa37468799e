# SPDX-License-Identifier: Apache-2.0
"""The whole of a comparison: trials, sweep, runs, judging, table and plot."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import typer

from rspipe.compare.config import CompareRecipe
from rspipe.compare.judging import Bench
from rspipe.compare.page import write_page
from rspipe.compare.plan import PlannedRun, Planner
from rspipe.compare.runs import has_diverged, is_complete, train_in_children
from rspipe.compare.table import Candidate, Row, Table, floor_row, run_row, to_text, write_table
from rspipe.errors import RunError
from rspipe.io.tables import read_json, read_json_if_there, write_json
from rspipe.train.logging import read_metrics

_TRIAL_STEPS = 40

Train = Callable[[Sequence[PlannedRun], int], None]


def compare(recipe: CompareRecipe, train: Train = train_in_children) -> Path:
    """Run every variant with every seed at equal compute, judge all encoders, draw the result.

    Finished runs and finished scores are taken as they are; so a stopped comparison goes on where
    it was, and a finished one only draws itself again. Learning rates are chosen on a part of the
    benchmark's train images, never on test images.

    Args:
        recipe: who, for how much, judged how.
        train: does runs, some at the same time.

    Returns:
        The folder, with `compare.json`, `compare.csv`, `compare.svg` and `compare.html`.

    Raises:
        RecipeError: the recipe, its base, a variant, a protocol or the benchmark is wrong.
        CorpusError: there is no finished corpus.
        RunError: a run failed, all runs of a variant diverged, or the comparison was stopped.
    """
    started = time.perf_counter()
    out = Path(recipe.out_folder)
    out.mkdir(parents=True, exist_ok=True)
    comparison = _Comparison(recipe, train)
    typer.echo(
        f"compare {recipe.name}: {len(recipe.variants)} variants x {len(recipe.seeds)} seeds on "
        f"{recipe.judge.benchmark}, writes {out}"
    )
    candidates = comparison.sweep()
    rows = comparison.rows(candidates)
    table = Table(recipe, rows, candidates, comparison.floors(rows))
    write_table(table, out)
    write_page(table, out)
    typer.echo(to_text(table))
    typer.echo(f"{out / 'compare.html'}, {time.perf_counter() - started:.0f} s")
    return out


class _Comparison:
    def __init__(self, recipe: CompareRecipe, train: Train) -> None:
        self.recipe = recipe
        self.train = train
        self.planner = Planner(recipe)
        self.bench = Bench(recipe)
        self.pace: dict[str, float | None] = dict.fromkeys(recipe.variants)
        if recipe.budget.seconds is not None:
            self.pace |= self._trials()

    def _trials(self) -> dict[str, float]:
        """Find the seconds per step of each variant; found once, so that a resumed run agrees."""
        note = Path(self.recipe.out_folder) / "pace.json"
        known: dict[str, float] = read_json_if_there(note)
        trials = {name: self.planner.trial(name, _TRIAL_STEPS) for name in self.recipe.variants}
        missing = {name: run for name, run in trials.items() if run.recipe.name not in known}
        self._do(list(missing.values()), "trials of speed")
        for run in missing.values():
            known[run.recipe.name] = _seconds_per_step(run)
        write_json(known, note)
        return {name: known[run.recipe.name] for name, run in trials.items()}

    def sweep(self) -> list[Candidate]:
        """Try the learning rates and mark the best of each variant."""
        sweep = self.recipe.sweep
        if sweep is None:
            return []
        tried = [
            (name, rate, self.planner.candidate(name, rate, self.pace[name]))
            for name, variant in self.recipe.variants.items()
            for rate in variant.base_lrs or sweep.base_lrs
        ]
        self._do([run for _, _, run in tried], "runs of the sweep")
        scores = {
            run.recipe.name: None
            if has_diverged(run)
            else self.bench.validation_score(run.folder, sweep.protocol, sweep.validation_share)
            for _, _, run in tried
        }
        found = [Candidate(name, rate, scores[run.recipe.name]) for name, rate, run in tried]
        return [_marked(one, found) for one in found]

    def rows(self, candidates: Sequence[Candidate]) -> list[Row]:
        """Do the runs that are reported, and judge their encoders."""
        rates = {one.variant: one.base_lr for one in candidates if one.is_chosen}
        runs = [
            self.planner.final(name, seed, rates.get(name), self.pace[name])
            for seed in self.recipe.seeds  # seed by seed, so that a look on the way sees all
            for name in self.recipe.variants
        ]
        self._do(runs, "runs")
        return [self._row(run) for run in sorted(runs, key=self._place)]

    def _place(self, run: PlannedRun) -> tuple[int, int]:
        return list(self.recipe.variants).index(run.variant), run.recipe.what.seed

    def _row(self, run: PlannedRun) -> Row:
        if has_diverged(run):
            return run_row(run, {}, {}, [])
        manifest: dict[str, Any] = read_json(run.folder / "manifest.json")
        return run_row(run, manifest, self.bench.scores(run.folder), read_metrics(run.folder))

    def floors(self, rows: Sequence[Row]) -> list[Row]:
        """Judge what every encoder should beat: once per seed."""
        whole = [row for row in rows if row.scores]
        if not whole:
            raise RunError(f"compare {self.recipe.name}: every run diverged; lower the rates")
        found: list[Row] = []
        for seed in self.recipe.seeds:
            for name, scores in self.bench.floors(Path(whole[0].folder), seed).items():
                found.append(floor_row(name, seed, scores))
        return found

    def _do(self, runs: Sequence[PlannedRun], what: str) -> None:
        missing = [
            run
            for run in runs
            if not has_diverged(run) and not is_complete(run, self.planner.corpus_fingerprint)
        ]
        typer.echo(f"{what}: {len(runs)}, of which {len(missing)} to do")
        if missing:
            self.train(missing, self.recipe.how.parallel_runs)


def _seconds_per_step(run: PlannedRun) -> float:
    """Read the pace of the second half of a trial: the first warms up."""
    lines = read_metrics(run.folder)
    rates = [line["images_per_s"] for line in lines[len(lines) // 2 :]]
    if not rates:
        raise RunError(f"{run.folder}: the trial left no metrics; delete it and run again")
    return run.recipe.what.images_per_step / statistics.median(rates)


def _marked(one: Candidate, all_: Sequence[Candidate]) -> Candidate:
    """Mark the best rate of a variant; at a tie the smaller one."""
    rivals = [other for other in all_ if other.variant == one.variant]

    def rank(other: Candidate) -> tuple[float, float]:
        score = other.validation_score
        return (-math.inf if score is None else score, -other.base_lr)

    return one.marked(max(rivals, key=rank) is one)
