# SPDX-License-Identifier: Apache-2.0
"""Funnel and facts of a corpus."""

import pytest

from rspipe.corpus.reader import Corpus
from rspipe.report.corpus_section import describe_corpus
from rspipe.report.matches_section import LEDGER_COLUMNS


@pytest.fixture
def section(folders):
    corpus = Corpus.open(folders.corpus)
    return describe_corpus(corpus, corpus.ledger(LEDGER_COLUMNS))


def test_every_bar_is_as_long_as_its_rows(section):
    longest = {"files": 4321, "tiles": 6789}
    for step in section.funnel:
        drawn = step.kept.share + sum(part.share for part in step.dropped)
        assert drawn == pytest.approx(100 * step.rows_in / longest[step.unit])


def test_counts_by_reason(section):
    assert section.dropped("near_duplicate", "duplicate_bytes") == 40
    assert section.dropped("benchmark_leak") == 7
    assert section.dropped_by("dedup") == 40


def test_every_tile_of_a_small_corpus_is_shown_once(section):
    assert sorted(tile.path for tile in section.grid) == [f"a/{i}.jpg" for i in range(5)]


def test_known_measures_are_counted(section):
    assert {h.title: h.known for h in section.histograms} == {
        "Tile size": 5,
        "Ground sample distance": 4,
        "Sharpness": 5,
    }
    assert section.geography.known == 5


def test_a_measure_that_all_tiles_share_is_a_number(section):
    only = {h.title: h.only for h in section.histograms}
    assert only == {"Tile size": "16", "Ground sample distance": "0.5", "Sharpness": None}


def test_faults_name_the_file_and_the_reason(section):
    assert section.n_faults == 1
    assert section.faults[0]["source_path"] == "broken.png"
    assert section.details == ({"reason": "too small", "detail": "3 px < 32 px", "n": 1},)
