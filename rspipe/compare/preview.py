# SPDX-License-Identifier: Apache-2.0
"""What `rspipe compare` would do: `--dry-run`. Runs are planned; none is begun."""

from pathlib import Path

from rspipe.compare.config import CompareRecipe
from rspipe.compare.plan import PlannedRun, Planner
from rspipe.compare.runs import has_diverged, is_complete
from rspipe.preview import Part, Preview


def preview(recipe: CompareRecipe) -> Preview:
    """Say which runs are done, and what the comparison may spend.

    Which learning rate a variant gets is known only after its sweep, and with a budget in seconds
    the number of steps only after a trial of speed: of such runs only those on disk are counted.

    Raises:
        RecipeError: the base or a variant is no valid pre-training recipe.
        CorpusError: there is no finished corpus.
    """
    planner = Planner(recipe)
    runs_folder = Path(recipe.out_folder) / "runs"
    finals = len(recipe.variants) * len(recipe.seeds)
    labels = [f"{name}-s{seed}" for name in recipe.variants for seed in recipe.seeds]
    reported = Part("reported runs", _complete(runs_folder, labels), finals, "runs")
    sweep = _sweep(recipe, planner)
    parts = (*sweep, reported)
    share = recipe.sweep.budget_share if recipe.sweep is not None else 0.0
    budgets = sum((part.total or 0) for part in sweep) * share + finals
    spent = {"macs": recipe.budget.macs, "seconds": recipe.budget.seconds}
    macs, seconds = (None if each is None else each * budgets for each in spent.values())
    return Preview(
        verb="compare",
        name=recipe.name,
        reads=(recipe.base, planner.base_corpus, f"{recipe.judge.data}/{recipe.judge.benchmark}"),
        writes=(recipe.out_folder,),
        parts=parts,
        facts={
            "variants": ", ".join(recipe.variants),
            "seeds": ", ".join(map(str, recipe.seeds)),
            "training MACs in all": macs,
            "hours of training in all, runs one by one": seconds and seconds / 3600,
            "runs at a time": recipe.how.parallel_runs,
        },
        is_done=(Path(recipe.out_folder) / "compare.json").is_file()
        and all(part.done == part.total for part in parts),
    )


def _sweep(recipe: CompareRecipe, planner: Planner) -> tuple[Part, ...]:
    if recipe.sweep is None:
        return ()
    tried = [
        (name, rate)
        for name, variant in recipe.variants.items()
        for rate in variant.base_lrs or recipe.sweep.base_lrs
    ]
    if recipe.budget.seconds is not None:
        labels = [f"{name}-lr{rate:g}" for name, rate in tried]
        done = _complete(Path(recipe.out_folder) / "runs", labels)
    else:
        runs = [planner.candidate(name, rate, None) for name, rate in tried]
        done = sum(_is_over(run, planner) for run in runs)
    return (Part("sweep of learning rates", done, len(tried), "runs"),)


def _is_over(run: PlannedRun, planner: Planner) -> bool:
    return has_diverged(run) or is_complete(run, planner.corpus_fingerprint)


def _complete(folder: Path, labels: list[str]) -> int:
    """Count the labels of which a finished or diverged run lies there, whatever its settings."""
    ends = ("manifest.json", "nonfinite.json")
    return sum(any(any(folder.glob(f"{label}-*/{end}")) for end in ends) for label in labels)
