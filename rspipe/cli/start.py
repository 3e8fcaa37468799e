# SPDX-License-Identifier: Apache-2.0
"""`rspipe init` and `rspipe doctor`: before the first run."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from rspipe.cli.exits import FOUND, USAGE
from rspipe.cli.guide import Guide, verb
from rspipe.cli.output import Json, emit


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    verb(app, "init", _INIT)(init)
    verb(app, "doctor", _DOCTOR)(doctor)


_INIT = Guide(
    reads="nothing",
    writes="FOLDER/curate.yaml, pretrain.yaml, eval.yaml and report.yaml; never over a file",
    examples=("rspipe init my_project --data data/demo/native", "rspipe init my_project"),
    codes=(USAGE,),
)


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Its last part names corpus, run and results.")
    ],
    data: Annotated[
        str, typer.Option(help="Folder or URL whose subfolders are data sets, as published.")
    ] = "data/native",
) -> None:
    """Write four starting recipes, one per verb.

    They hang together, and say what to change.
    """
    from rspipe.cli.recipes import write_recipes

    for path in write_recipes(folder, data):
        typer.echo(f"wrote {path}")
    typer.echo(f"next: rspipe curate {folder / 'curate.yaml'} --dry-run")


_DOCTOR = Guide(
    reads="this machine: Python, packages, both GDAL libraries, GPUs",
    writes="nothing",
    examples=("rspipe doctor", "rspipe doctor --extra curate", "rspipe doctor --json"),
    codes=(FOUND, USAGE),
)


def doctor(
    extra: Annotated[
        str | None,
        typer.Option(help="Only what one extra needs: curate, train, eval, s3, …"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what is installed and what is missing.

    With the command that mends it. Exit code 1: something is missing of what was asked for, or
    of an extra that is there in part.
    """
    from rspipe.doctor import examine

    findings = examine(extra)
    is_well = not any(finding.remedy and not finding.is_optional for finding in findings)
    if as_json:
        emit({"is_well": is_well, "findings": [asdict(finding) for finding in findings]})
    else:
        width = max(len(finding.name) for finding in findings)
        for finding in findings:
            typer.echo(f"{finding.name:<{width}}  {finding.value}")
            if finding.remedy:
                typer.echo(f"{'':<{width}}  → {finding.remedy}")
    raise typer.Exit(0 if is_well else FOUND)
