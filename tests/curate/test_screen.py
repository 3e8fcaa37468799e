# SPDX-License-Identifier: Apache-2.0
import dataclasses

import pyarrow as pa
import pytest

from rspipe.curate.config import ScreenConfig
from rspipe.curate.screen import RULES, screen
from rspipe.schema import TILE_SCHEMA

FINE = {
    **{"is_parent": False, "nodata_fraction": 0.0, "flatness": 0.1, "sharpness": 300.0},
    **{"saturated_fraction": 0.0, "black_fraction": 0.0, "cloud_fraction": 0.0},
    **{"mean_grey": 100.0, "std_grey": 40.0},
}
NO_LIMITS = {rule.limit: None for rule in RULES.values()}


def fates(rows, **config):
    table = screen(pa.Table.from_pylist(rows, TILE_SCHEMA), ScreenConfig(**config))
    assert table.schema == TILE_SCHEMA
    return [(r["drop_stage"], r["drop_reason"], r["drop_detail"]) for r in table.to_pylist()]


@pytest.mark.parametrize("reason", RULES)
def test_each_rule_drops_beyond_its_limit_with_the_measured_value(reason):
    rule = RULES[reason]
    values = [FINE | {rule.column: value} for value in (0.25, 0.5, 0.75)]
    config = NO_LIMITS | {rule.limit: 0.5}
    found = fates(values, **config)
    dropped = 2 if rule.drops == "above" else 0
    for index, (stage, why, detail) in enumerate(found):
        if index == dropped:
            assert (stage, why) == ("screen", reason)
            assert rule.column in detail
            assert f"{values[index][rule.column]:g}" in detail
        else:
            assert stage is None


@pytest.mark.parametrize("reason", RULES)
def test_a_limit_of_null_drops_nothing(reason):
    extreme = FINE | {RULES[reason].column: 1.0 if RULES[reason].drops == "above" else 0.0}
    assert fates([extreme], **NO_LIMITS)[0][0] is None


def test_parents_held_out_and_dropped_tiles_are_left_alone():
    blank = FINE | {"flatness": 1.0}
    before = {"drop_stage": "exclude", "drop_reason": "benchmark_split", "drop_detail": "held out"}
    found = fates([blank, blank | {"is_parent": True}, blank | before])
    assert found[0][1] == "blank"
    assert found[1] == (None, None, None)
    assert found[2] == tuple(before.values())


def test_a_tile_that_breaks_two_rules_is_dropped_for_the_first():
    assert fates([FINE | {"flatness": 1.0, "nodata_fraction": 1.0}])[0][1] == "nodata"


def test_a_tile_without_a_measure_is_not_dropped_for_it():
    assert fates([{"is_parent": False}])[0][0] is None


def test_every_limit_of_the_recipe_has_a_rule():
    assert set(ScreenConfig.model_fields) == {rule.limit for rule in RULES.values()}
    assert all(rule.column in TILE_SCHEMA.names for rule in RULES.values())
    assert all(dataclasses.is_dataclass(rule) for rule in RULES.values())
