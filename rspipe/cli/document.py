# SPDX-License-Identifier: Apache-2.0
"""docs/cli.md, made of the command line itself: `python -m rspipe.cli.document > docs/cli.md`."""

import sys
from collections.abc import Iterator
from typing import Any

import typer

from rspipe.cli.exits import EXIT_CODES
from rspipe.cli.guide import HELP_SETTINGS
from rspipe.cli.program import app

_HEAD = """\
# The command line

Made by `python -m rspipe.cli.document > docs/cli.md`; a test compares. `rspipe VERB --help` says
the same.

The verbs of the flow (`curate`, `pretrain`, `eval`, `compare`, `report`) read a recipe, a YAML
file; any of its keys may be given after it, `how.workers=2`. `rspipe init FOLDER` writes a first
set of recipes. A mistyped verb, option, key, recipe or data set is answered with the nearest
name.

**Before long work**: `--dry-run` says what would be read and written, what is done already, and
what is known of steps, sizes and hours. It writes nothing, with one exception: what is in a
compressed tar is known only once it is unpacked, so that is done, into the cache where the run
finds it.

**For programs**: with `--json` stdout is one JSON document and nothing else; what people read
goes to stderr. `jq` then takes it: `rspipe eval recipe.yaml --json | jq '.rows[] | {benchmark,
protocol, encoder, value}'`.

**Tab completion**: `rspipe --install-completion` for bash, zsh, fish or PowerShell, then open a
new shell. It knows verbs and options, recipes, finished corpora below `data/corpus`, and the
names of the catalog.

**Ctrl-C** is safe everywhere: what is done stays, and the same command goes on. Pre-training
saves a checkpoint first, so it may take a step; a second Ctrl-C does not wait for it.

## Exit codes

| code | meaning |
|---|---|
"""


def document() -> str:
    """Write the whole page."""
    command = typer.main.get_command(app)
    table = "".join(f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES.items())
    return _HEAD + table + "".join(_sections(command, ("rspipe",)))


def _sections(command: Any, words: tuple[str, ...]) -> Iterator[str]:
    # Of a fixed width, whatever terminal this is run in.
    context = typer.Context(
        command,
        info_name=" ".join(words),
        terminal_width=98,
        help_option_names=HELP_SETTINGS["help_option_names"],
    )
    yield f"\n## {' '.join(words)}\n\n```text\n{command.get_help(context)}\n```\n"
    for name, below in getattr(command, "commands", {}).items():
        yield from _sections(below, (*words, name))


if __name__ == "__main__":
    sys.stdout.write(document())
