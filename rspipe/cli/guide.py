# SPDX-License-Identifier: Apache-2.0
"""What the help of a verb says, as data: so that documentation is made of it and tests can try it.

A verb's docstring says what it does. Its guide adds what is read and written, examples that work
from the project's root, and exit codes.
"""

import functools
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec

import typer
from typer.core import TyperCommand

from rspipe.cli.exits import DONE, EXIT_CODES
from rspipe.errors import Interrupted

P = ParamSpec("P")

_WIDTH = 88
_RAW = "\b\n"  # click keeps the lines of a paragraph that begins so
HELP_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@dataclass(frozen=True)
class Guide:
    """What a verb's help says besides what it does."""

    reads: str
    writes: str
    examples: tuple[str, ...]
    """Command lines; they work from the root of the project once `make demo` has run."""
    codes: tuple[int, ...] = ()
    """Exit codes that are likely, besides 0; any verb may end with any of them."""


def verb(
    app: typer.Typer, name: str, guide: Guide, cls: type[TyperCommand] | None = None
) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Add a function to the command line, with its docstring and its guide as help.

    Ctrl-C then is an error like any other: one line that says how to go on.
    """

    def add(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except KeyboardInterrupt as error:
                raise Interrupted from error

        app.command(
            name,
            cls=cls,
            help=_help(function, guide),
            epilog=_epilog(guide),
            context_settings=HELP_SETTINGS,
        )(run)
        return function

    return add


def new_app(help_text: str, **settings: Any) -> typer.Typer:
    """Make a group of verbs whose help is plain text: quick to start, the same in a document."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=HELP_SETTINGS,
        **settings,
    )


def _help(function: Callable[..., None], guide: Guide) -> str:
    told = textwrap.dedent(f"    {function.__doc__ or ''}".rstrip())
    return f"{told}\n\n{_RAW}{_line('Reads', guide.reads)}\n{_line('Writes', guide.writes)}"


def _epilog(guide: Guide) -> str:
    examples = "\n".join(f"  {example}" for example in guide.examples)
    codes = "\n".join(_line(f"  {code}", EXIT_CODES[code]) for code in (DONE, *guide.codes))
    return f"{_RAW}Examples:\n{examples}\n\n{_RAW}Exit codes:\n{codes}"


def _line(label: str, text: str) -> str:
    indent = " " * 8
    return textwrap.fill(
        f"{label:<8}{text}", _WIDTH, subsequent_indent=indent, break_on_hyphens=False
    )
