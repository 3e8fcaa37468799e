# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from rspipe.errors import RecipeError
from rspipe.evaluate.on_the_way import NearestNeighbours
from rspipe.evaluate.runner import evaluate
from tests.evaluate.native_sets import write_boxes, write_scenes


def test_it_scores_as_the_evaluation_of_the_same_encoder_does(tmp_path, tiny_encoder, recipe):
    write_scenes(tmp_path / "data" / "hues")
    value = NearestNeighbours(tmp_path / "data", "hues", 5)(1, tiny_encoder)
    out = evaluate(recipe(tmp_path / "data", {"protocols": {"classification": ["knn"]}}))
    rows = json.loads((out / "results.json").read_text())
    rows = [row for row in rows if row["encoder"] == "pretrained"]
    assert value == {"knn/hues": rows[0]["value"]}


def test_absent_set_is_refused_with_the_nearest_name(tmp_path):
    write_scenes(tmp_path / "hues")
    with pytest.raises(RecipeError, match="did you mean 'hues'"):
        NearestNeighbours(tmp_path, "huse", 5)


def test_set_of_another_task_is_refused(tmp_path):
    write_boxes(tmp_path / "lamps")
    with pytest.raises(RecipeError, match="it is of detection"):
        NearestNeighbours(tmp_path, "lamps", 5)
