# SPDX-License-Identifier: Apache-2.0
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rspipe.curate.dedup import clusters
from rspipe.curate.dedup.clusters import choose_dropped, find_clusters
from rspipe.curate.dedup.pairs import BYTES, CROP, NEAR, PIXELS, Pairs
from tests.curate.dedup.tables import dicts


def links(*pairs):
    """Pairs of (copy, original) or (copy, original, bits) or (copy, original, bits, kind)."""
    rows = [(*p, *(2, NEAR)[len(p) - 2 :]) for p in pairs]
    copy, original, bits, kind = np.array(rows, np.int64).reshape(-1, 4).T
    return Pairs.of(copy, original, kind.astype(np.uint8), bits.astype(np.uint8), 0, 0.95)


@st.composite
def graphs(draw):
    count = draw(st.integers(2, 12))
    edges = draw(
        st.sets(
            st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)).filter(
                lambda e: e[0] > e[1]
            ),
            max_size=20,
        )
    )
    rank = np.array(draw(st.permutations(range(count))))
    bits = draw(st.lists(st.integers(0, 2), min_size=len(edges), max_size=len(edges)))
    kinds = draw(st.lists(st.sampled_from([NEAR, CROP]), min_size=len(edges), max_size=len(edges)))
    rows = [(a, b, 2 * n, k) for (a, b), n, k in zip(sorted(edges), bits, kinds, strict=True)]
    return count, links(*rows), rank


@given(graphs())
def test_every_dropped_tile_matches_a_kept_one_and_no_two_kept_tiles_match(graph):
    count, pairs, rank = graph
    dropped = choose_dropped(pairs, rank)
    linked = {
        frozenset(ends) for ends in zip(pairs.copy.tolist(), pairs.original.tolist(), strict=True)
    }
    gone = set(dropped.copy.tolist())
    assert len(gone) == len(dropped)
    for tile, survivor in zip(dropped.copy.tolist(), dropped.original.tolist(), strict=True):
        assert survivor not in gone
        assert frozenset((tile, survivor)) in linked
        assert rank[survivor] < rank[tile]
    kept = set(range(count)) - gone
    assert not any(link <= kept for link in linked)


@given(graphs())
def test_the_choice_is_that_of_visiting_tiles_one_by_one_from_the_best(graph):
    _, pairs, rank = graph
    better = {}
    for p in dicts(pairs.best_last(rank)):
        better.setdefault(p["copy"], []).append(p)
    survivor = {}
    for tile in np.argsort(rank).tolist():
        kept = [p for p in better.get(tile, ()) if p["original"] not in survivor]
        if kept:
            kinds = {"near": 0, "crop": 1}
            survivor[tile] = min(
                kept, key=lambda p: (kinds[p["kind"]], p["bits"], rank[p["original"]])
            )
    assert {p["copy"]: p for p in dicts(choose_dropped(pairs, rank))} == survivor


@given(graphs(), st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_pairs(graph, random):
    _, pairs, rank = graph
    order = np.arange(len(pairs))
    random.shuffle(order)
    shuffled = pairs.take(order)
    shuffled = shuffled.turned(np.array([random.random() < 0.5 for _ in order], bool))
    assert dicts(choose_dropped(shuffled, rank)) == dicts(choose_dropped(pairs, rank))


def test_a_chain_drops_nothing_that_resembles_no_survivor():
    """A like B, B like C, A unlike C: with A kept, B goes and C stays."""
    dropped = choose_dropped(links((1, 0), (2, 1)), np.array([0, 1, 2]))
    assert dropped.copy.tolist() == [1]


def test_a_chain_of_twenty_thousand_keeps_every_other_tile():
    ends = np.arange(20_000)
    dropped = choose_dropped(Pairs.of(ends + 1, ends, NEAR, 2, 0, 0.99), np.arange(20_001))
    assert dropped.copy.tolist() == list(range(1, 20_001, 2))


def test_of_several_survivors_the_most_alike_is_named():
    pairs = links((2, 0, 4), (2, 1, 0))
    assert choose_dropped(pairs, np.array([0, 1, 2])).original.tolist() == [1]
    pairs = links((2, 0, 0), (2, 1, 0, BYTES))
    assert choose_dropped(pairs, np.array([0, 1, 2])).original.tolist() == [1]
    pairs = links((2, 0, 0, CROP), (2, 1, 4, NEAR))
    assert choose_dropped(pairs, np.array([0, 1, 2])).original.tolist() == [1]


def test_what_equals_a_dropped_tile_goes_for_its_survivor_whatever_the_reason():
    pairs = links((1, 0, 9, CROP), (2, 1, 0, PIXELS), (3, 2, 9, CROP))
    dropped = dicts(choose_dropped(pairs, np.arange(4)))
    assert [(p["copy"], p["original"], p["kind"]) for p in dropped] == [
        (1, 0, "crop"),
        (2, 0, "crop"),
    ]


def test_a_refused_pair_drops_nothing():
    pairs = Pairs.of(np.array([1]), np.array([0]), NEAR, 0, 0, 0.5, rejected=True)
    assert not len(choose_dropped(pairs, np.arange(2)))
    assert not len(find_clusters(pairs, np.zeros((2, 8), np.uint64)).rows)


def hashes_at(*bits):
    """Hashes with the lowest n bits set, the same in all orientations."""
    return np.repeat(np.array([[(1 << n) - 1] for n in bits], np.uint64), 8, axis=1)


def test_clusters_follow_the_links_and_measure_all_their_members():
    found = find_clusters(links((1, 0), (2, 1), (4, 5)), hashes_at(0, 4, 8, 0, 1, 1))
    assert found.rows.tolist() == [0, 1, 2, 4, 5]
    a, b = found.label[0], found.label[3]
    assert found.label.tolist() == [a, a, a, b, b]
    assert found.size[[a, b]].tolist() == [3, 2]
    assert found.diameter_bits[[a, b]].tolist() == [8, 0]


def test_the_diameter_of_a_large_cluster_is_bounded_from_below_by_its_widest_pair(monkeypatch):
    monkeypatch.setattr(clusters, "MEASURED_MEMBERS", 2)
    found = find_clusters(links((1, 0, 4), (2, 1, 2)), hashes_at(0, 4, 8))
    assert found.diameter_bits.tolist() == [4]


def test_a_diameter_counts_each_pair_in_its_best_orientation():
    hashes = hashes_at(0, 10)
    hashes[:, 3] = hashes[::-1, 0]
    assert find_clusters(links((1, 0)), hashes).diameter_bits.tolist() == [0]
    assert find_clusters(links((1, 0)), hashes, orientations=1).diameter_bits.tolist() == [10]


def test_overlapping_windows_are_no_cluster():
    assert not len(find_clusters(links((1, 0, 9, CROP)), hashes_at(0, 9)).rows)


def test_no_pair_is_no_cluster_and_drops_nothing():
    assert not len(find_clusters(Pairs.empty(), hashes_at(0)).rows)
    assert not len(choose_dropped(Pairs.empty(), np.arange(3)))
