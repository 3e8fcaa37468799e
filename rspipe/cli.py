"""The verbs. Each loads its recipe and calls one function; no logic lives here."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

import rspipe
from rspipe import search_cli
from rspipe.catalog_cli import catalog_app
from rspipe.corpus_cli import corpus_app
from rspipe.errors import MissingDependency, RspipeError
from rspipe.recipe import Strict, load_recipe
from rspipe.weights_cli import weights_app

if TYPE_CHECKING:
    from rspipe.evaluate.on_the_way import NearestNeighbours
    from rspipe.train.config import Probe

RecipeT = TypeVar("RecipeT", bound=Strict)

app = typer.Typer(
    help="Public remote-sensing datasets in; a clean corpus, an encoder and a score out.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(corpus_app, name="corpus")
app.add_typer(catalog_app, name="catalog")
app.add_typer(weights_app, name="weights")
search_cli.register(app)

RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="A YAML recipe.")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="E.g. how.workers=2")
]


@app.command()
def curate(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Build a corpus from native data sets, e.g. rspipe curate pipelines/demo/curate.yaml."""
    from rspipe.curate.config import CurateRecipe
    from rspipe.curate.runner import curate as run

    run(load_recipe(recipe, CurateRecipe, overrides or ()))


@app.command()
def pretrain(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Pre-train an encoder on a corpus, e.g. rspipe pretrain pipelines/demo/pretrain.yaml."""
    from rspipe.train.config import PretrainRecipe
    from rspipe.train.trainer import pretrain as run

    wanted = load_recipe(recipe, PretrainRecipe, overrides or ())
    run(wanted, hooks=_probes(wanted.probe))


def _probes(probe: "Probe | None") -> list["NearestNeighbours"]:
    """Let a run ask evaluation, of which it knows nothing itself."""
    if probe is None:
        return []
    from rspipe.evaluate.on_the_way import NearestNeighbours

    return [NearestNeighbours(Path(probe.data), probe.benchmark, probe.every_steps)]


@app.command("eval")
def evaluate(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Score an encoder on benchmarks, e.g. rspipe eval pipelines/demo/eval.yaml."""
    from rspipe.evaluate.config import EvalRecipe
    from rspipe.evaluate.runner import evaluate as run

    run(load_recipe(recipe, EvalRecipe, overrides or ()))


@app.command()
def compare(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Run several objectives at equal compute, e.g. rspipe compare pipelines/demo/compare.yaml."""
    from rspipe.compare.config import CompareRecipe
    from rspipe.compare.driver import compare as run

    run(load_recipe(recipe, CompareRecipe, overrides or ()))


@app.command()
def report(recipe: RecipePath, overrides: Overrides = None) -> None:
    """Draw it all into one page, e.g. rspipe report pipelines/demo/report.yaml."""
    from rspipe.report.build import build_report
    from rspipe.report.config import ReportRecipe

    build_report(load_recipe(recipe, ReportRecipe, overrides or ()))


@app.command()
def doctor() -> None:
    """Say what is installed and what is missing; exit code 1 if something is."""
    from rspipe.doctor import examine

    findings = examine()
    width = max(len(f.name) for f in findings)
    for finding in findings:
        typer.echo(f"{finding.name:<{width}}  {finding.value}")
        if finding.remedy:
            typer.echo(f"{'':<{width}}  → {finding.remedy}")
    raise typer.Exit(1 if any(f.remedy for f in findings) else 0)


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(rspipe.__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; known errors become one message and their exit code."""
    try:
        app()
    except RspipeError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except ModuleNotFoundError as error:
        extra = _extra_of(error.name or "")
        if extra is None:
            raise
        message = f"{error.name} is not installed; `pip install 'rspipe[{extra}]'`"
        typer.echo(f"error: {message}", err=True)
        sys.exit(MissingDependency.exit_code)


def _extra_of(module: str) -> str | None:
    """Name the extra that brings a module in."""
    extras = {
        "curate": ("dask", "distributed", "rasterio", "imagehash", "scipy"),
        "train": ("torch", "torchvision", "timm", "safetensors", "jaxtyping", "tensorboard"),
        "eval": ("sklearn", "torchmetrics", "pycocotools"),
    }
    root = module.partition(".")[0]
    return next((extra for extra, names in extras.items() if root in names), None)


if __name__ == "__main__":
    main()
