# SPDX-License-Identifier: Apache-2.0
"""The verbs of the flow: curate, pretrain, eval, compare, report. Each reads one recipe."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rspipe.cli.completion import recipes
from rspipe.cli.exits import BAD_INPUT, INTERRUPTED, MISSING, USAGE
from rspipe.cli.guide import Guide, verb
from rspipe.cli.output import DryRun, Json, emit, emit_preview, told_aside

if TYPE_CHECKING:
    from rspipe.evaluate.on_the_way import NearestNeighbours
    from rspipe.train.config import Probe

Recipe = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="A YAML recipe.", autocompletion=recipes)
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Instead of the recipe's: how.workers=2"),
]

_CODES = (USAGE, MISSING, BAD_INPUT, INTERRUPTED)


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    verb(app, "curate", _CURATE)(curate)
    verb(app, "pretrain", _PRETRAIN)(pretrain)
    verb(app, "eval", _EVAL)(evaluate)
    verb(app, "compare", _COMPARE)(compare)
    verb(app, "report", _REPORT)(report)


_CURATE = Guide(
    reads="the recipe's `data`: every folder or archive in it is one data set, as published",
    writes="the corpus (data/corpus/<name>) and the tables of its stages (data/stages)",
    examples=(
        "rspipe curate pipelines/demo/curate.yaml --dry-run",
        "rspipe curate pipelines/demo/curate.yaml how.workers=2",
        "rspipe curate pipelines/demo/curate.yaml name=strict what.dedup.max_hamming_bits=2",
    ),
    codes=_CODES,
)


def curate(
    recipe: Recipe, overrides: Overrides = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Build a corpus from native data sets.

    Clean, without copies and without benchmark pictures. Run again, it does only what is
    missing; killed, it goes on and ends with the same bytes.
    JSON: the corpus folder, its fingerprint, and the funnel of counts by stage and reason.
    """
    from rspipe.curate.config import CurateRecipe
    from rspipe.recipe import load_recipe

    wanted = load_recipe(recipe, CurateRecipe, overrides or ())
    if dry_run:
        from rspipe.curate.preview import preview

        emit_preview(lambda: preview(wanted), as_json=as_json)
        return
    from rspipe.curate.runner import curate as run

    with told_aside(as_json):
        folder = run(wanted)
    if as_json:
        from rspipe.corpus.reader import read_manifest

        known = read_manifest(folder)
        emit({"corpus": str(folder)} | {k: known[k] for k in ("name", "fingerprint", "funnel")})


_PRETRAIN = Guide(
    reads="the recipe's `corpus`",
    writes="the run (data/runs/<name>): encoder, checkpoints, metrics, pictures",
    examples=(
        "rspipe pretrain pipelines/demo/pretrain.yaml --dry-run",
        "rspipe pretrain pipelines/demo/pretrain.yaml",
        "torchrun --standalone --nproc-per-node=8 -m rspipe.cli pretrain "
        "pipelines/demo/pretrain.yaml",
    ),
    codes=_CODES,
)


def pretrain(
    recipe: Recipe, overrides: Overrides = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Pre-train an encoder on a corpus.

    The recipe names the objective. Stopped and started again, it goes on from its last
    checkpoint to the same weights.
    JSON: the run folder and what its manifest says of the result.
    """
    from rspipe.recipe import load_recipe
    from rspipe.train.config import PretrainRecipe

    wanted = load_recipe(recipe, PretrainRecipe, overrides or ())
    if dry_run:
        from rspipe.train.preview import preview

        emit_preview(lambda: preview(wanted), as_json=as_json)
        return
    from rspipe.train.trainer import pretrain as run

    with told_aside(as_json):
        folder = run(wanted, hooks=_probes(wanted.probe))
    if as_json and _is_main_process():
        emit({"run": str(folder)} | _read(folder / "manifest.json", leave_out=("recipe",)))


def _is_main_process() -> bool:
    """Whether this is the one of torchrun's processes that speaks."""
    return os.environ.get("RANK", "0") == "0"


def _probes(probe: "Probe | None") -> list["NearestNeighbours"]:
    """Let a run ask evaluation, of which it knows nothing itself."""
    if probe is None:
        return []
    from rspipe.evaluate.on_the_way import NearestNeighbours

    return [NearestNeighbours(Path(probe.data), probe.benchmark, probe.every_steps)]


_EVAL = Guide(
    reads="the recipe's `encoder` and the benchmarks in its `data`",
    writes="the results (data/results/<name>): results.json, results.csv, curves.csv, cells/",
    examples=(
        "rspipe eval pipelines/demo/eval.yaml --dry-run",
        "rspipe eval pipelines/demo/eval.yaml",
        "rspipe eval pipelines/demo/eval.yaml --json benchmarks=[demo_coasts]",
    ),
    codes=_CODES,
)


def evaluate(
    recipe: Recipe, overrides: Overrides = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Score an encoder on benchmarks.

    Beside it: an untrained one of its shape, and other floors.

    Every finished cell (benchmark, protocol, encoder) is kept; run again, only open ones are done.
    JSON: the results folder and one row per score.
    """
    from rspipe.evaluate.config import EvalRecipe
    from rspipe.recipe import load_recipe

    wanted = load_recipe(recipe, EvalRecipe, overrides or ())
    if dry_run:
        from rspipe.evaluate.preview import preview

        emit_preview(lambda: preview(wanted), as_json=as_json)
        return
    from rspipe.evaluate.runner import evaluate as run

    with told_aside(as_json):
        folder = run(wanted)
    if as_json:
        emit({"results": str(folder), "rows": _read(folder / "results.json")})


_COMPARE = Guide(
    reads="the recipe's `base`, the corpus that it names, and the benchmark that judges",
    writes="the comparison (data/compare/<name>): table, plot, page, and all its runs",
    examples=(
        "rspipe compare pipelines/demo/compare.yaml --dry-run",
        "rspipe compare pipelines/demo/compare.yaml",
        "rspipe compare pipelines/demo/compare.yaml name=quick budget.macs=1e11 seeds=[0]",
    ),
    codes=_CODES,
)


def compare(
    recipe: Recipe, overrides: Overrides = None, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """Compare objectives: several seeds each, at equal compute.

    Pre-trains them all and judges their encoders. Finished runs and scores are taken as they
    are. JSON: the folder and the table.
    """
    from rspipe.compare.config import CompareRecipe
    from rspipe.recipe import load_recipe

    wanted = load_recipe(recipe, CompareRecipe, overrides or ())
    if dry_run:
        from rspipe.compare.preview import preview

        emit_preview(lambda: preview(wanted), as_json=as_json)
        return
    from rspipe.compare.driver import compare as run

    with told_aside(as_json):
        folder = run(wanted)
    if as_json:
        emit({"comparison": str(folder), "table": _read(folder / "compare.json")})


_REPORT = Guide(
    reads="the recipe's corpus, runs and results, as far as they are there",
    writes="one self-contained page (data/results/<name>/report.html)",
    examples=(
        "rspipe report pipelines/demo/report.yaml",
        "rspipe report pipelines/demo/report.yaml out=page.html",
    ),
    codes=(USAGE, BAD_INPUT),
)


def report(recipe: Recipe, overrides: Overrides = None, as_json: Json = False) -> None:
    """Draw corpus, runs and scores into one HTML page. JSON: where it is."""
    from rspipe.recipe import load_recipe
    from rspipe.report.build import build_report
    from rspipe.report.config import ReportRecipe

    with told_aside(as_json):
        page = build_report(load_recipe(recipe, ReportRecipe, overrides or ()))
    if as_json:
        emit({"report": str(page)})


def _read(path: Path, leave_out: tuple[str, ...] = ()) -> Any:
    from rspipe.io.tables import read_json

    value = read_json(path)
    if isinstance(value, dict):
        return {key: each for key, each in value.items() if key not in leave_out}
    return value
