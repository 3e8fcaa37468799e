# SPDX-License-Identifier: Apache-2.0
import itertools
import shutil
from pathlib import Path

import numpy as np
import psutil
import pyarrow as pa
import pytest

from rspipe.corpus.format import MANIFEST
from rspipe.corpus.reader import Corpus
from rspipe.corpus.story import find, tell
from rspipe.corpus.verify import verify
from rspipe.errors import CorpusError
from rspipe.io.tables import read_json, write_json, write_table
from rspipe.schema import LEDGER_SCHEMA, SCHEMA_VERSION


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
    with pytest.raises(CorpusError, match="on its recipe again"):
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


def write_told(folder, tiles):
    """A corpus of tiles by source path, as far as their story goes."""
    rows = [{"tile_id": path, "source_path": path, **said} for path, said in tiles.items()]
    shard = pa.Table.from_pylist(rows).select(["tile_id", "label", "boxes", "acquired"])
    write_table(shard, folder / "data/train-00000-of-00001.parquet")
    known = [{"level": "tile", "dataset": "d", **row} for row in rows]
    ledger = pa.Table.from_pylist(known, LEDGER_SCHEMA)
    write_table(ledger, folder / "ledger/ledger-00000-of-00001.parquet")
    write_json({"schema_version": SCHEMA_VERSION, "fingerprint": "told"}, folder / MANIFEST)
    return folder


def test_the_story_of_a_kept_tile_has_its_labels_and_its_date(tmp_path):
    box = {"label": "ship", "x0": 0, "y0": 0, "x1": 4, "y1": 4}
    made = {
        "plain.png": {"label": None, "boxes": None, "acquired": None},
        "port.png": {
            "label": "harbour",
            "boxes": [box, box, {**box, "label": "crane"}],
            "acquired": "2019-05-01",
        },
    }
    corpus = Corpus.open(write_told(tmp_path / "c", made))
    (port,) = tell(corpus, "port.png")
    assert port.endswith(": kept; label: harbour; objects: 1 crane, 2 ship; acquired: 2019-05-01")
    (plain,) = tell(corpus, "plain.png")
    assert plain.endswith(": kept")
    (row,) = find(corpus, "port.png")
    assert row["box_labels"] == {"crane": 1, "ship": 2}


def test_a_misspelt_corpus_is_answered_with_the_nearest_beside_it(small):
    wrong = small.corpus.with_name(f"{small.corpus.name}s")
    with pytest.raises(CorpusError, match=f"did you mean '{small.corpus.name}'"):
        Corpus.open(wrong)


def test_row_groups_are_read_by_their_columns(small):
    corpus = Corpus.open(small.corpus)
    for index, (first, stop) in enumerate(itertools.pairwise(corpus.group_starts.tolist())):
        table = corpus.group(index, ["tile_id", "image.bytes"])
        rows = range(first, stop)
        assert table["tile_id"].to_pylist() == corpus.tile_ids(rows)
        assert table.flatten()["image.bytes"].to_pylist() == corpus.image_bytes(rows)
    assert stop == len(corpus)


def test_tile_ids_come_in_the_order_asked_for(small):
    corpus = Corpus.open(small.corpus)
    ids = corpus.table(["tile_id"])["tile_id"].to_pylist()
    rows = [5, 300, 5, 0, len(corpus) - 1]
    assert corpus.tile_ids(rows) == [ids[row] for row in rows]


def test_no_file_stays_open(small):
    corpus = Corpus.open(small.corpus)
    corpus.images([0, len(corpus) - 1])
    opened = [Path(file.path) for file in psutil.Process().open_files()]
    assert not [path for path in opened if path.is_relative_to(small.corpus)]


def test_shard_that_is_gone_is_named(small, tmp_path):
    shutil.copytree(small.corpus, tmp_path / "c")
    corpus = Corpus.open(tmp_path / "c")
    shard = next((tmp_path / "c/data").iterdir())
    shard.unlink()
    with pytest.raises(CorpusError, match=shard.name):
        corpus.image_bytes([0])
