# SPDX-License-Identifier: Apache-2.0
"""Every method's settings come back from YAML as they went: a run's own recipe can be run again."""

import pytest
import yaml
from pydantic import BaseModel

from rspipe.objectives import OBJECTIVES, ObjectiveConfig
from rspipe.recipe import validate


class Holder(BaseModel):
    objective: ObjectiveConfig


def reread(section):
    first = validate({"objective": section}, Holder, "test")
    written = yaml.safe_dump(first.model_dump(mode="json"))
    assert validate(yaml.safe_load(written), Holder, "test") == first
    return first.objective


@pytest.mark.parametrize("name", OBJECTIVES)
def test_settings_survive_yaml_alone_and_inside_a_wrapper(name):
    assert reread({"name": name}).name == name
    assert reread({"name": "region_masking", "base": {"name": name}}).base.name == name


def test_lists_of_a_recipe_fill_tuples():
    stages = [0.1, 0.2, 0.3, 0.4]
    assert reread({"name": "selective_mae", "stages": stages}).stages == tuple(stages)
