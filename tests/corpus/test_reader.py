import shutil

import numpy as np
import pytest

from rspipe.corpus.reader import Corpus
from rspipe.corpus.story import tell
from rspipe.corpus.verify import verify
from rspipe.errors import CorpusError
from rspipe.io.tables import read_json, write_json


def test_rows_come_in_the_order_asked_for(small):
    corpus = Corpus.open(small.corpus)
    rows = [5, 300, 5, 0, len(corpus) - 1]
    one_by_one = [corpus.image_bytes([row])[0] for row in rows]
    assert corpus.image_bytes(rows) == one_by_one
    for pixels in corpus.images(rows):
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3


@pytest.mark.parametrize("row", [-1, 10**9])
def test_a_row_outside_is_an_index_error(small, row):
    with pytest.raises(IndexError):
        Corpus.open(small.corpus).image_bytes([row])


def test_an_older_schema_is_refused_with_the_next_move(small, tmp_path):
    shutil.copytree(small.corpus, tmp_path / "c")
    manifest = read_json(tmp_path / "c/manifest.json") | {"schema_version": 0}
    write_json(manifest, tmp_path / "c/manifest.json")
    with pytest.raises(CorpusError, match="rebuild it"):
        Corpus.open(tmp_path / "c")


@pytest.mark.parametrize("harm", ["truncate", "remove"])
def test_verify_names_the_file_that_was_harmed(small, tmp_path, harm):
    shutil.copytree(small.corpus, tmp_path / "c")
    ledger = next((tmp_path / "c/ledger").glob("ledger-*.parquet"))
    if harm == "remove":
        ledger.unlink()
    else:
        ledger.write_bytes(ledger.read_bytes()[:-1])
    with pytest.raises(CorpusError, match=ledger.name):
        verify(tmp_path / "c")


def test_the_story_of_a_file_names_its_fate(small):
    corpus = Corpus.open(small.corpus)
    assert any("duplicate_bytes" in line for line in tell(corpus, "same_again_1.jpg"))
    assert any("kept" in line for line in tell(corpus, "gallery/earth_"))
    with pytest.raises(CorpusError, match="nosuchfile"):
        list(tell(corpus, "nosuchfile"))
