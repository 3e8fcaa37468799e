# SPDX-License-Identifier: Apache-2.0
"""The command line: every verb loads its recipe and calls one function. No logic lives here.

One file per group of verbs: `flow` (curate, pretrain, eval, compare, report), `search` (duplicates,
audit), `corpus`, `catalog`, `weights`, `start` (init, doctor). `guide` adds a verb with what its
help says, `output` keeps stdout clean for programs, `exits` lists the exit codes, `program` puts
all together.
"""

from rspipe.cli.program import app, main

__all__ = ["app", "main"]
