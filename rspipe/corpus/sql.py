# SPDX-License-Identifier: Apache-2.0
"""Ask a corpus in SQL: its Parquet files as views of a DuckDB connection."""

from pathlib import Path
from typing import TYPE_CHECKING

from rspipe.corpus.format import HITS, PICTURES, ledger_paths, shard_paths
from rspipe.corpus.reader import Corpus
from rspipe.errors import CorpusError, MissingDependency
from rspipe.io.places import Place

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def connect(corpus: Corpus) -> "DuckDBPyConnection":
    """Open a connection in which the tables of a corpus can be asked; nothing is read yet.

    The views, whose columns docs/corpus-format.md lists: `tiles` (the shards), `ledger`, `hits`
    (what was found of benchmarks), and `pictures` (small ones of dropped tiles and of the tiles
    they were dropped for).

    Args:
        corpus: on a local disk.

    Raises:
        MissingDependency: duckdb is not installed.
        CorpusError: the corpus lies in object storage, holds no tile, or lacks a file.
    """
    try:
        import duckdb
    except ModuleNotFoundError as error:
        raise MissingDependency(
            "SQL on a corpus needs duckdb: `pip install 'rspipe[notebooks]'`"
        ) from error
    if not isinstance(corpus.path, Path):
        raise CorpusError(f"{corpus.path}: SQL reads local files; copy the corpus to a disk first")
    views: dict[str, list[Place]] = {
        "tiles": shard_paths(corpus.path),
        "ledger": ledger_paths(corpus.path),
        "hits": [corpus.path / HITS],
        "pictures": [corpus.path / PICTURES],
    }
    for name, files in views.items():
        if not all(file.is_file() for file in files) or not files:
            raise CorpusError(
                f"{corpus.path}: no {name} here; see what is missing with `rspipe corpus verify`, "
                "or rebuild the corpus"
            )
    connection = duckdb.connect()
    for name, files in views.items():
        listed = ", ".join(_quoted(str(file)) for file in files)
        connection.execute(f"CREATE VIEW {name} AS FROM read_parquet([{listed}])")
    return connection


def _quoted(text: str) -> str:
    """Write a string for SQL.

    >>> print(_quoted("Earth's"))
    'Earth''s'
    """
    return "'" + text.replace("'", "''") + "'"
