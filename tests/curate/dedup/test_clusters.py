import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rspipe.curate.dedup.clusters import Pair, choose_dropped, component_labels, reverse


def near(copy, original, bits=2, orientation="identity"):
    return Pair(copy, original, "near", bits, orientation, 0.95)


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
    return count, [near(a, b) for a, b in sorted(edges)], rank


@given(graphs())
def test_every_dropped_tile_matches_a_kept_one_and_no_two_kept_tiles_match(graph):
    count, pairs, rank = graph
    dropped = choose_dropped(pairs, rank)
    linked = {frozenset((p.copy, p.original)) for p in pairs}
    for tile, pair in dropped.items():
        assert pair.copy == tile
        assert pair.original not in dropped
        assert frozenset((tile, pair.original)) in linked
        assert rank[pair.original] < rank[tile]
    kept = set(range(count)) - dropped.keys()
    assert not any(link <= kept for link in linked)


@given(graphs(), st.randoms())
def test_the_choice_does_not_depend_on_the_order_of_pairs(graph, random):
    _, pairs, rank = graph
    shuffled = [p if random.random() < 0.5 else reverse(p) for p in pairs]
    random.shuffle(shuffled)
    assert choose_dropped(shuffled, rank) == choose_dropped(pairs, rank)


def test_a_chain_drops_nothing_that_resembles_no_survivor():
    """A like B, B like C, A unlike C: with A kept, B goes and C stays."""
    dropped = choose_dropped([near(1, 0), near(2, 1)], np.array([0, 1, 2]))
    assert set(dropped) == {1}


def test_of_several_survivors_the_most_alike_is_named():
    pairs = [near(2, 0, bits=4), near(2, 1, bits=0)]
    assert choose_dropped(pairs, np.array([0, 1, 2]))[2].original == 1
    pairs = [near(2, 0, bits=0), Pair(2, 1, "bytes", 0, "identity", 1.0)]
    assert choose_dropped(pairs, np.array([0, 1, 2]))[2].original == 1


def test_turning_a_pair_round_undoes_its_orientation():
    assert reverse(near(1, 0, orientation="rot90")) == near(0, 1, orientation="rot270")


def test_components_follow_the_links():
    labels = component_labels([near(1, 0), near(2, 1)], 4)
    assert labels[0] == labels[1] == labels[2] != labels[3]
