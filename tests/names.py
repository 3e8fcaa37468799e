# SPDX-License-Identifier: Apache-2.0
"""Every name that others rely on, as text: verbs, options, make targets, columns, `import rspipe`.

`python -m tests.names > tests/names.txt` freezes them anew; the diff of that file is what a release
changes for its users, and belongs into CHANGELOG.md.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

import rspipe
from rspipe.cli import app
from rspipe.cli.exits import EXIT_CODES
from rspipe.corpus import pairs
from rspipe.schema import CORPUS_SCHEMA, EXCLUSION_SCHEMA, HIT_SCHEMA, LEDGER_SCHEMA

TABLES = {
    "data/": CORPUS_SCHEMA,
    "ledger/": LEDGER_SCHEMA,
    "ledger/benchmark_hits.parquet": HIT_SCHEMA,
    "ledger/exclusion_list.parquet": EXCLUSION_SCHEMA,
    "pairs.parquet of an audit": pairs.PAIRS_SCHEMA,
    "clusters.parquet of an audit": pairs.CLUSTERS_SCHEMA,
}


def names() -> Iterator[str]:
    """All of it, a line each."""
    for words, command in commands():
        yield f"\n[{' '.join(words)}]"
        for param in command.params:
            yield " ".join([*param.opts, *param.secondary_opts]) if is_option(param) else param.name
    yield "\n[exit codes]"
    yield from map(str, EXIT_CODES)
    yield "\n[make]"
    yield from re.findall(r"^([a-z-]+):.*## ", Path("Makefile").read_text(), re.MULTILINE)
    yield "\n[import rspipe]"
    yield from rspipe.__all__
    for name, schema in TABLES.items():
        yield f"\n[columns of {name}]"
        yield from (f"{field.name} {field.type}" for field in schema)


def commands(command=None, words=("rspipe",)):
    """The verbs, depth first: their words, and the command."""
    command = command or typer.main.get_command(app)
    yield words, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*words, name))


def is_option(param) -> bool:
    return param.param_type_name == "option"


if __name__ == "__main__":
    sys.stdout.write("\n".join(names()).lstrip() + "\n")
