# SPDX-License-Identifier: Apache-2.0
import pytest

from rspipe.curate.config import CurateRecipe
from rspipe.curate.datasets import iter_datasets
from rspipe.errors import RecipeError
from rspipe.recipe import validate


@pytest.mark.parametrize(
    ("what", "key"),
    [
        ({"exclude": {"display_bands": {"naap": ["red", "green", "blue"]}}}, "display_bands"),
        ({"slice": {"stretch": {"datasets": {"naap": {"rule": "refuse"}}}}}, "stretch.datasets"),
    ],
)
def test_a_rule_for_a_dataset_that_is_not_there_names_the_nearest_one(tmp_path, what, key):
    (tmp_path / "naip").mkdir()
    (tmp_path / "naip/a.png").write_bytes(b"")
    recipe = {"name": "t", "data": str(tmp_path), "what": what}
    with pytest.raises(RecipeError, match=f"{key}.*'naap'; did you mean 'naip'"):
        list(iter_datasets(validate(recipe, CurateRecipe, "t")))
