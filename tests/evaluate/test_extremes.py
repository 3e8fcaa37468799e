# SPDX-License-Identifier: Apache-2.0
import numpy as np

from rspipe.evaluate.extremes import Extremes


def shown(extremes):
    return [(one.rank, one.score, one.value) for one in extremes.shown()]


def test_ends_are_those_of_all_scores_sorted():
    scores = np.random.default_rng(0).permutation(np.arange(100) / 100).tolist()
    extremes = Extremes(6)
    for place, score in enumerate(scores):
        extremes.add(score, 2, place)
    assert [score for _, score, _ in shown(extremes)] == [0.99, 0.98, 0.97, 0.0, 0.01, 0.02]
    assert [scores[place] for _, _, place in shown(extremes)] == [s for _, s, _ in shown(extremes)]


def test_no_image_is_shown_twice_and_none_is_lost_where_there_are_few():
    for count in range(7):
        extremes = Extremes(6)
        for place in range(count):
            extremes.add(0.5, 1, place)
        assert sorted(place for _, _, place in shown(extremes)) == list(range(count))


def test_an_image_of_one_thing_is_best_only_where_others_are_too_few():
    extremes = Extremes(4)
    for score, things in ((1.0, 1), (0.9, 2), (0.2, 3), (0.1, 1)):
        extremes.add(score, things, things)
    assert shown(extremes) == [
        ("best", 0.9, 2), ("best", 0.2, 3), ("worst", 0.1, 1), ("worst", 1.0, 1)
    ]  # fmt: skip


def test_an_image_without_a_score_is_not_shown():
    extremes = Extremes(6)
    extremes.add(float("nan"), 0, "empty")
    assert extremes.shown() == []
