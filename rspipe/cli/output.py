# SPDX-License-Identifier: Apache-2.0
"""Where a verb's words go: to people on the terminal, or as JSON to a program."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rspipe.preview import Preview

Json = Annotated[
    bool, typer.Option("--json", help="Print JSON alone on stdout; progress goes to stderr.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be done, and do nothing of it.")
]


@contextlib.contextmanager
def told_aside(aside: bool) -> Iterator[None]:
    """Send what a verb says to stderr, so that stdout holds JSON alone.

    Args:
        aside: false: it stays on stdout.
    """
    if not aside:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield


def emit(value: Any) -> None:
    """Print JSON."""
    typer.echo(json.dumps(value, indent=2, default=str))


def emit_preview(look: Callable[[], "Preview"], *, as_json: bool) -> None:
    """Look, and print what a verb would do."""
    with told_aside(as_json):
        preview = look()
    if as_json:
        emit(preview.as_dict())
        return
    for line in preview.lines():
        typer.echo(line)
