# SPDX-License-Identifier: Apache-2.0
import itertools

import numpy as np
import pytest
import torch

from rspipe.errors import RecipeError
from rspipe.evaluate.classification.label_curves import FewShotCurve, LabelShareCurve
from rspipe.evaluate.classification.probing import Scenes
from rspipe.evaluate.config import FewShot, LabelShare, What
from rspipe.evaluate.frozen.tokens import FrozenTokens

CPU = torch.device("cpu")
CLASSES = ("a", "b", "c")


@pytest.fixture
def scenes():
    """Unequal classes: 60, 30 and 10 images."""
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    paths = tuple(f"{CLASSES[k]}/{i}.png" for i, k in enumerate(labels))
    return Scenes(FrozenTokens(np.zeros((100, 1, 2)), ("whole",)), labels, paths, CLASSES)


def few_shot(**said):
    return FewShotCurve(What(few_shot=FewShot(**said)), CPU)


@pytest.mark.parametrize("shots", [1, 2, 8])
def test_few_shot_draws_are_class_balanced(scenes, shots):
    drawn = few_shot().draw(scenes, np.arange(100), shots, seed=0)
    assert np.bincount(scenes.labels[drawn]).tolist() == [shots] * 3


def test_draws_of_one_seed_are_nested_and_of_two_seeds_differ(scenes):
    for curve, sizes in (
        (few_shot(), (1, 2, 4, 8, 16)),
        (LabelShareCurve(What(), CPU), (0.05, 0.1, 0.5, 1.0)),
    ):
        drawn = [set(curve.draw(scenes, np.arange(100), s, seed=1).tolist()) for s in sizes]
        assert all(small < large for small, large in itertools.pairwise(drawn))
        assert drawn[1] != set(curve.draw(scenes, np.arange(100), sizes[1], seed=2).tolist())


def test_draws_are_of_the_train_part_alone(scenes):
    train = np.arange(0, 100, 2)
    assert set(few_shot().draw(scenes, train, 16, seed=0)) <= set(train)


def test_small_class_gives_all_it_has(scenes):
    drawn = few_shot().draw(scenes, np.arange(100), 16, seed=0)
    assert np.bincount(scenes.labels[drawn]).tolist() == [16, 16, 10]


def test_label_share_keeps_the_share_of_each_class_and_at_least_one(scenes):
    curve = LabelShareCurve(What(label_share=LabelShare()), CPU)
    for share, want in ((0.1, [6, 3, 1]), (0.01, [1, 1, 1]), (1.0, [60, 30, 10])):
        drawn = curve.draw(scenes, np.arange(100), share, seed=0)
        assert np.bincount(scenes.labels[drawn]).tolist() == want


def test_unknown_probe_is_an_error_with_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'logistic'"):
        few_shot(probe="logistics")
