# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rspipe.corpus.reader import Corpus
from rspipe.curate.dedup.pairs import Pairs
from rspipe.curate.dedup.thresholds import near_pairs, read_pictures, rules_of, tally
from rspipe.schema import ORIENTATIONS


@pytest.fixture(scope="module")
def corpus(small):
    return Corpus.open(small.corpus)


@pytest.fixture(scope="module")
def pictures(corpus):
    return read_pictures(corpus)


def test_pictures_are_hashed_as_curation_hashed_them(corpus, pictures):
    noted = dict(
        zip(*(corpus.table([n])[n].to_pylist() for n in ("tile_id", "phash")), strict=True)
    )
    assert pictures.is_kept.sum() == len(corpus)
    for row in np.flatnonzero(pictures.is_kept).tolist():
        assert pictures.tiles.hashes[row, 0] == noted[pictures.tile_ids[row]]


def test_what_the_recipe_dropped_as_near_is_found_again_turned_alike(corpus, pictures):
    pairs = near_pairs(pictures, 12, rules_of(corpus))
    found = {}
    for i in np.flatnonzero(~pairs.rejected).tolist():
        name = pictures.tile_ids[pairs.copy[i]], pictures.tile_ids[pairs.original[i]]
        found[name] = ORIENTATIONS[pairs.orientation[i]], pairs.distance_bits[i]
    columns = ["tile_id", "drop_reason", "duplicate_of", "orientation", "distance_bits"]
    ledger = corpus.ledger(columns).to_pylist()
    dropped = [row for row in ledger if row["drop_reason"] == "near_duplicate"]
    assert len(dropped) >= 5
    for row in dropped:
        same = found[row["tile_id"], row["duplicate_of"]]
        assert same == (row["orientation"], row["distance_bits"])


def test_a_wider_radius_only_adds_pairs_and_only_the_pixels_accept(corpus, pictures):
    rules = rules_of(corpus)
    wide, narrow = (near_pairs(pictures, bits, rules) for bits in (12, 4))
    assert len(wide) > len(narrow)
    np.testing.assert_array_equal(tally(wide, 12)[:5], tally(narrow, 4))
    np.testing.assert_array_equal(wide.rejected, wide.similarity < rules.min_similarity)


def test_fewer_tiles_are_taken_from_all_over_the_corpus(corpus):
    few = read_pictures(corpus, most=3)
    ids = corpus.table(["tile_id"])["tile_id"].to_pylist()
    taken = [ids.index(few.tile_ids[row]) for row in np.flatnonzero(few.is_kept)]
    assert taken == [0, (len(ids) - 1) // 2, len(ids) - 1]


def test_pairs_are_counted_by_distance_and_verdict():
    pairs = Pairs.of(
        np.arange(4), np.arange(4), 2, [0, 2, 2, 4], 0, 1.0, [False, False, True, True]
    )
    assert tally(pairs, 5).tolist() == [[1, 0], [0, 0], [1, 1], [0, 0], [0, 1], [0, 0]]
