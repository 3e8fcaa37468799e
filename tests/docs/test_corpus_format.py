# SPDX-License-Identifier: Apache-2.0
"""docs/corpus-format.md names every column of a corpus, and no other."""

import re

import pytest

from rspipe import schema
from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/corpus-format.md").read_text()
DATA, REST = PAGE.split("## Columns of `data/`")[1].split("## Columns of `ledger/`", 1)
LEDGER, REST = REST.split("## Columns of `ledger/benchmark_hits", 1)


def table(text):
    rows = (line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    return {name for row in rows for part in re.findall(r"`([^`]+)`", row) for name in part.split()}


def test_the_table_of_tiles_is_the_schema():
    assert table(DATA) == set(schema.CORPUS_SCHEMA.names)


def test_the_ledgers_table_is_its_schema_beyond_what_a_tile_has():
    beyond = set(schema.LEDGER_SCHEMA.names) - set(schema.CORPUS_SCHEMA.names)
    assert table(LEDGER) == beyond - {"level"}
    assert "(`level` = `file`)" in LEDGER


@pytest.mark.parametrize(
    "columns", [schema.HIT_SCHEMA, schema.EXCLUSION_SCHEMA], ids=["hits", "list"]
)
def test_columns_of_hits_and_of_the_exclusion_list_are_named(columns):
    text = REST.split("\n## ", 1)[0]
    assert [name for name in columns.names if f"`{name}`" not in text] == []
