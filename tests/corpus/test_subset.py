# SPDX-License-Identifier: Apache-2.0
"""A subset is a function of rule and seed, and its ledger still knows every tile."""

import hashlib

import numpy as np
import pytest

from rspipe.corpus.reader import Corpus
from rspipe.corpus.subset import SubsetRule, choose, subset, uniform
from rspipe.corpus.verify import verify
from rspipe.errors import CorpusError


@pytest.fixture(scope="module")
def tiles(small):
    names = ["tile_id", "image_id", "dataset", "licence", "redistributable", "gsd_m"]
    return Corpus.open(small.corpus).table(names)


def kept(tiles, **rule):
    return set(np.flatnonzero(choose(tiles, SubsetRule(**rule)) == "").tolist())


def test_the_draw_is_uniform_and_depends_on_id_and_seed_alone():
    ids = np.array([hashlib.sha256(bytes([i % 256, i // 256])).hexdigest() for i in range(20_000)])
    draw = uniform(ids, 0)
    assert abs(draw.mean() - 0.5) < 0.01
    assert np.histogram(draw, 10, (0, 1))[0].min() > 1_800
    assert np.array_equal(uniform(ids[::-1], 0)[::-1], draw)
    assert abs(np.corrcoef(draw, uniform(ids, 1))[0, 1]) < 0.03


def test_a_smaller_share_is_part_of_a_larger_one(tiles):
    some = kept(tiles, fraction=0.2)
    assert some < kept(tiles, fraction=0.5) < kept(tiles)
    assert len(some) == pytest.approx(0.2 * tiles.num_rows, rel=0.25)


def test_a_count_is_exact_and_the_smallest_draws(tiles):
    assert len(kept(tiles, count=100)) == 100
    assert kept(tiles, count=100) < kept(tiles, count=101)
    assert len(kept(tiles, count=100, by="image")) == 100


def test_drawn_by_image_all_tiles_of_an_image_go_together(tiles):
    rows = kept(tiles, fraction=0.5, by="image")
    images = tiles["image_id"].to_pylist()
    inside = {images[i] for i in rows}
    assert {i for i, image in enumerate(images) if image in inside} == rows


def test_too_large_a_count_is_an_error_that_says_how_many_there_are(tiles):
    with pytest.raises(CorpusError, match=f"only {tiles.num_rows:,} tiles pass"):
        kept(tiles, count=tiles.num_rows + 1)


def test_a_subset_is_a_sound_corpus_whose_ledger_names_what_is_left_out(small, tmp_path):
    whole = Corpus.open(small.corpus)
    source = whole.table(["dataset"])["dataset"].to_pylist()[0]
    out = tmp_path / "part"
    count = subset(small.corpus, out, SubsetRule(sources=(source,), fraction=0.5))
    part = Corpus.open(out)
    assert verify(out) == count == len(part)
    rows = part.ledger(["level", "tile_id", "drop_stage", "drop_reason"]).to_pylist()
    alive = {r["tile_id"] for r in rows if r["level"] == "tile" and r["drop_stage"] is None}
    assert alive == set(part.table(["tile_id"])["tile_id"].to_pylist())
    left = [r for r in rows if r["drop_stage"] == "subset"]
    assert len(left) + count == len(whole)
    assert {r["drop_reason"] for r in left} <= {"source_not_chosen", "not_drawn"}
    assert part.manifest["funnel"][-1]["dropped"].keys() == {r["drop_reason"] for r in left}
    ids = part.table(["tile_id"])["tile_id"].to_pylist()
    place = {i: n for n, i in enumerate(whole.table(["tile_id"])["tile_id"].to_pylist())}
    assert part.image_bytes([0, count - 1]) == whole.image_bytes([place[ids[0]], place[ids[-1]]])
    with pytest.raises(CorpusError, match="exists already"):
        subset(small.corpus, out, SubsetRule())
