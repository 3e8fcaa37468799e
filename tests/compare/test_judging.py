# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from rspipe.compare.judging import Bench, validation_part
from rspipe.errors import RecipeError


def test_the_validation_part_holds_no_test_image_and_some_of_each_class(make_compare):
    benchmark = Bench(make_compare()).benchmark
    part = validation_part(benchmark, 0.25, seed=0)
    test = set(benchmark.tested.tolist())
    scored, fitted = (set(x.tolist()) for x in (part.folds[0].test, part.folds[0].train))
    assert scored and fitted and not scored & fitted
    assert scored | fitted == set(benchmark.folds[0].train.tolist())
    assert not (scored | fitted) & test
    labels = np.array([record.annotation.label for record in benchmark.records])
    assert set(labels[sorted(scored)]) == set(labels)
    assert part.listing != benchmark.listing


def test_a_cross_validated_benchmark_leaves_no_image_to_choose_by(make_compare):
    recipe = make_compare()
    benchmark = Bench(recipe).benchmark
    twice = type(benchmark)(**{**vars(benchmark), "folds": benchmark.folds * 2})
    with pytest.raises(RecipeError, match="every image is a test image"):
        validation_part(twice, 0.2, seed=0)


def test_an_unknown_benchmark_is_named(make_compare):
    recipe = make_compare()
    wrong = recipe.judge.model_copy(update={"benchmark": "huse"})
    with pytest.raises(RecipeError, match="did you mean 'hues'"):
        Bench(recipe.model_copy(update={"judge": wrong}))
