# SPDX-License-Identifier: Apache-2.0
"""What stats says is what the tables hold."""

from collections import Counter

import pytest

from rspipe.corpus.reader import Corpus
from rspipe.corpus.stats import describe, lines


def test_every_count_sums_to_the_tiles(small):
    stats, corpus = describe(small.corpus), Corpus.open(small.corpus)
    assert stats["tiles"] == len(corpus)
    for key in ("by_source", "by_split", "by_licence", "by_format", "by_bands", "redistributable"):
        assert sum(stats[key].values()) == len(corpus)
    assert sum(stats["gsd_m"].values()) == len(corpus)
    sources = Counter(corpus.table(["dataset"])["dataset"].to_pylist())
    assert stats["by_source"] == dict(sources.most_common())


def test_resolutions_fall_into_their_classes(small):
    stats = describe(small.corpus)
    known = Corpus.open(small.corpus).table(["gsd_m"])["gsd_m"].drop_null().to_pylist()
    coarse = sum(1 for value in known if value >= 30)
    assert stats["gsd_m"]["≥ 30 m"] == coarse
    assert stats["gsd_m"]["unknown"] == stats["tiles"] - len(known)


def test_the_lines_name_every_source(small):
    stats = describe(small.corpus)
    text = "\n".join(lines(stats))
    assert all(name in text for name in stats["by_source"])
    assert f"{stats['tiles']:,} tiles" in text
    assert pytest.approx(stats["megapixels"], rel=1e-6) == stats["megapixels"]
