# SPDX-License-Identifier: Apache-2.0
import sys

import pytest
from upath import UPath

from rspipe.corpus.reader import Corpus
from rspipe.corpus.sql import connect
from rspipe.errors import CorpusError, MissingDependency


def test_views_hold_what_the_reader_reads(small):
    corpus = Corpus.open(small.corpus)
    db = connect(corpus)
    assert db.execute("SELECT count(*) FROM tiles").fetchone() == (len(corpus),)
    assert db.execute("SELECT count(*) FROM ledger").fetchone() == (len(corpus.ledger()),)
    ids, data = (
        db.execute("SELECT tile_id, image.bytes FROM tiles ORDER BY tile_id LIMIT 3")
        .fetchnumpy()
        .values()
    )
    rows = [corpus.table(["tile_id"])["tile_id"].to_pylist().index(i) for i in ids]
    assert corpus.image_bytes(rows) == list(data)
    kept, dropped = (
        db.execute(
            f"SELECT count(*) FROM ledger WHERE level = 'tile' AND drop_stage IS {word} NULL"
        ).fetchone()[0]
        for word in ("", "NOT")
    )
    assert kept == len(corpus)
    assert dropped > 0
    assert db.execute("SELECT count(*) FROM hits h JOIN ledger l USING (tile_id)").fetchone()[0] > 0
    assert (
        db.execute("SELECT count(*) FROM pictures p JOIN ledger l USING (tile_id)").fetchone()[0]
        > 0
    )


def test_what_cannot_be_asked_is_named_with_the_next_move(small, monkeypatch, tmp_path):
    corpus = Corpus.open(small.corpus)
    elsewhere = Corpus.open(small.corpus)
    elsewhere.path = UPath("memory://corpus")
    with pytest.raises(CorpusError, match="copy the corpus"):
        connect(elsewhere)
    elsewhere.path = tmp_path
    with pytest.raises(CorpusError, match="no tiles here"):
        connect(elsewhere)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingDependency, match="pip install"):
        connect(corpus)
