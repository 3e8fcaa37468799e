# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rspipe.evaluate.splits import hash_order, limit, split_folds, stratified_share
from rspipe.schema import Annotation, DatasetCard, ImageRecord


def records(splits, labels=None):
    labels = labels or ["a"] * len(splits)
    return [
        ImageRecord(source_path=f"{i}.png", split=split, annotation=Annotation(label=label))
        for i, (split, label) in enumerate(zip(splits, labels, strict=True))
    ]


def folds_of(splits, folds=1, labels=None, **card):
    return split_folds(records(splits, labels), DatasetCard(name="x", **card), 0.8, folds, seed=0)


def test_card_splits_go_before_names():
    (fold,) = folds_of(
        ["train_a", "val_a", "test"], train_splits=("train_a",), test_splits=("val_a",)
    )
    assert fold.train.tolist() == [0]
    assert fold.test.tolist() == [1]


def test_validation_is_scored_only_where_there_is_no_test_split():
    (fold,) = folds_of(["train", "val", "test", "training", "trainval"])
    assert fold.train.tolist() == [0, 3, 4]
    assert fold.test.tolist() == [2]
    (fold,) = folds_of(["train", "validation"])
    assert fold.test.tolist() == [1]


def test_declared_but_absent_split_is_empty_never_a_share_by_hash():
    (fold,) = folds_of(["train"] * 9, test_splits=("test",))
    assert len(fold.test) == 0


@pytest.mark.parametrize("folds", [1, 5])
def test_no_image_both_trains_and_is_scored(folds):
    for fold in folds_of([None] * 37, folds, labels=["a"] * 20 + ["b"] * 17):
        assert not set(fold.train) & set(fold.test)
        assert len(fold.train) + len(fold.test) == 37


def test_folds_score_every_image_once_and_mix_the_classes():
    folds = folds_of([None] * 40, 5, labels=["a"] * 20 + ["b"] * 20)
    assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(40))
    assert [(fold.test < 20).sum() for fold in folds] == [4] * 5


def test_share_is_taken_from_each_class():
    (fold,) = folds_of([None] * 30, labels=["a"] * 20 + ["b"] * 10)
    assert (fold.train < 20).sum() == 16
    assert (fold.train >= 20).sum() == 8


def test_hash_order_depends_on_names_and_seed_only():
    names = [f"n{i}" for i in range(50)]
    order = hash_order(names, 0)
    fewer = [name for name in (names[i] for i in order) if name != "n7"]
    rest = [name for name in names if name != "n7"]
    assert [rest[i] for i in hash_order(rest, 0)] == fewer
    assert hash_order(names, 1).tolist() != order.tolist()


def test_limit_keeps_the_first_of_the_order():
    order = np.array([3, 0, 2, 1])
    assert limit(np.array([0, 1, 3]), order, 2).tolist() == [0, 3]
    assert limit(np.array([0, 1]), order, None).tolist() == [0, 1]


def test_lone_image_of_a_class_stays_with_the_larger_share():
    held, fitted = stratified_share(np.arange(3), ["a", "b", "c"], 0.2)
    assert len(held) == 0
    assert len(fitted) == 3
