# SPDX-License-Identifier: Apache-2.0
"""All verbs together, and what the process ends with."""

import importlib.util
import sys
import traceback
from typing import Annotated

import typer

import rspipe
from rspipe.cli import catalog, corpus, flow, search, start, weights
from rspipe.cli.exits import BUG
from rspipe.cli.guide import new_app
from rspipe.errors import MissingDependency, RspipeError

app = new_app(
    "Public remote-sensing datasets in; a clean corpus, an encoder and a score out.\n\n"
    "\b\n"
    "A first corpus:   rspipe init my_project --data FOLDER\n"
    "                  rspipe curate my_project/curate.yaml --dry-run\n"
    "Tab completion:   rspipe --install-completion\n"
    "All about a verb: rspipe VERB --help"
)
for register in (start.register, flow.register, search.register):
    register(app)
app.add_typer(corpus.corpus_app, name="corpus")
app.add_typer(catalog.catalog_app, name="catalog")
app.add_typer(weights.weights_app, name="weights")


@app.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(rspipe.__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; every error becomes one message and its exit code."""
    try:
        app(prog_name="rspipe")
    except RspipeError as error:
        _end(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        commands = [f"`pip install 'rspipe[{extra}]'`" for extra in _lacking(error.name or "")]
        if not commands:
            _end_of_bug()
        said = f"{error.name} is not installed; {' or '.join(commands)}"
        _end(said, MissingDependency.exit_code)
    except Exception:  # noqa: BLE001 - the last resort: shown whole, under a code of its own
        _end_of_bug()


def _end(message: str, code: int) -> None:
    typer.echo(f"error: {message}", err=True)
    sys.exit(code)


def _end_of_bug() -> None:
    traceback.print_exc()
    _end(
        f"nobody foresaw this; please report the lines above with the command and the version "
        f"({rspipe.__version__}; `rspipe doctor` says the rest)",
        BUG,
    )


def _lacking(module: str) -> tuple[str, ...]:
    """Name the extras that bring a module whose package is not there at all."""
    from rspipe.extras import extras_with

    is_there = importlib.util.find_spec(module.partition(".")[0]) if module else None
    return () if is_there else extras_with(module)
