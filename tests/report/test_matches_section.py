# SPDX-License-Identifier: Apache-2.0
"""Pairs, leaks and strips."""

import pytest

from rspipe.corpus.reader import Corpus
from rspipe.report.matches_section import LEDGER_COLUMNS, choose, describe_matches
from rspipe.report.pictures import PictureBook


@pytest.fixture
def section(folders):
    corpus = Corpus.open(folders.corpus)
    return describe_matches(corpus, corpus.ledger(LEDGER_COLUMNS), PictureBook(corpus))


def test_a_duplicate_stands_beside_its_original(section):
    near = next(group for group in section.groups if group.reason == "near_duplicate")
    match = near.matches[0]
    assert near.count == 1
    assert match.kept.path == "kept.jpg"
    assert match.kept.picture is not None  # from the corpus: pictures.parquet lacks it
    assert match.orientation == "turned 90° counter-clockwise"
    assert match.closeness == ("2 bits", "r = 0.987")


def test_what_matches_by_place_says_how_much_is_in_common(folders):
    corpus = Corpus.open(folders.corpus)
    ledger = corpus.ledger(LEDGER_COLUMNS)
    rows = ledger.to_pylist()
    near = next(row for row in rows if row["drop_reason"] == "near_duplicate")
    near |= {"verified_similarity": None, "overlap_iou": 0.712, "drop_reason": "overlapping_crop"}
    kept = next(row for row in rows if row["tile_id"] == near["duplicate_of"])
    kept["level"] = "parent"
    changed = type(ledger).from_pylist(rows, ledger.schema)
    (group, *_) = describe_matches(corpus, changed, PictureBook(corpus)).groups
    assert group.words == "mostly the same window of one image"
    assert group.matches[0].closeness == ("71% in common",)
    assert group.matches[0].kept.path == "kept.jpg"


def test_a_leak_stands_beside_the_benchmark_as_the_hit_found_it(section):
    leak = next(group for group in section.groups if group.reason == "benchmark_leak")
    assert leak.matches[0].kept.dataset == "bench"
    assert leak.matches[0].orientation == "mirrored left to right"


def test_matrix_counts_tiles_by_source_and_benchmark(section):
    assert section.matrix.benchmarks == (("bench", 1, 1),)
    assert section.matrix.sources == (("fake", (1,)),)


def test_strips_show_the_measured_value(section):
    assert [(s.words, s.count) for s in section.strips] == [("blank", 1)]
    assert section.strips[0].tiles[0][1] == "flatness 0.9900 > 0.98"


def test_every_kind_of_turn_is_shown_before_a_second_of_one():
    rows = [
        {"tile_id": str(i), "orientation": "identity" if i < 90 else "rot180", "distance_bits": 0}
        for i in range(100)
    ]
    shown = choose(rows, pictured=set())
    assert {row["orientation"] for row in shown[:2]} == {"identity", "rot180"}
    assert len(shown) == 24


def test_tiles_with_pictures_come_first():
    rows = [{"tile_id": str(i), "orientation": None, "distance_bits": None} for i in range(50)]
    assert choose(rows, pictured={"49"})[0]["tile_id"] == "49"
