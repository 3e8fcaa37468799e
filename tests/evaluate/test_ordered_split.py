# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.errors import RecipeError
from rspipe.evaluate.ordered_split import first_trains
from rspipe.schema import ImageRecord

RECORDS = [ImageRecord(source_path=f"train/3band/img{i}.tif") for i in (1, 10, 2, 11, 3)]


def test_the_first_by_number_train_and_the_others_are_scored():
    fold = first_trains(RECORDS, 3)
    assert [RECORDS[i].source_path[-8:] for i in fold.train] == ["img1.tif", "img2.tif", "img3.tif"]
    assert sorted([*fold.train, *fold.test]) == list(range(5))


def test_order_of_the_listing_does_not_matter():
    turned = first_trains(RECORDS[::-1], 2)
    names = {RECORDS[::-1][i].source_path for i in turned.train}
    assert names == {RECORDS[i].source_path for i in first_trains(RECORDS, 2).train}


def test_nothing_left_to_score_is_an_error():
    with pytest.raises(RecipeError, match="train_first=5"):
        first_trains(RECORDS, 5)
