# SPDX-License-Identifier: Apache-2.0
"""Laws of a plan: it names everything that is missing, and reads no picture."""

import pytest
from PIL import Image

from rspipe.curate.config import CurateRecipe
from rspipe.curate.plan import CARD_RULES, plan, tell
from rspipe.recipe import validate


def recipe(data, datasets="auto", **exclude):
    what = {"datasets": datasets, "exclude": exclude}
    return validate({"name": "t", "data": str(data), "what": what}, CurateRecipe, "test")


def by_name(planned):
    return {need.card.name: need for need in planned.needs}


@pytest.fixture
def data(tmp_path):
    for name in ("dubai_seg", "loveda", "mine"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data/packed.zip").write_bytes(b"not even a zip")
    (tmp_path / "data/mine/dataset.yaml").write_text("name: mine\nlicence: MIT\nn_images: 7\n")
    return tmp_path / "data"


def test_all_that_lies_there_is_ready_and_no_file_of_it_is_opened(data, monkeypatch):
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("a picture was opened"))
    planned = plan(recipe(data))
    assert planned.is_ready
    origins = {name: need.card_origin for name, need in by_name(planned).items()}
    assert origins == {"dubai_seg": "catalog", "loveda": "catalog", "mine": "own", "packed": "none"}


def test_every_missing_data_set_is_named_with_the_command_that_brings_it(data):
    planned = plan(recipe(data, ["mine", "aid", "nowhere"]))
    assert not planned.is_ready
    needs = by_name(planned)
    assert needs["mine"].problem is None
    assert needs["aid"].next_step == f"rspipe catalog fetch aid --to {data}"
    assert "no card" in needs["nowhere"].problem
    text = "\n".join(tell(planned))
    assert f"rspipe catalog fetch aid --to {data}" in text
    assert "2 of 3 data sets" in text


def test_a_folder_under_another_name_of_the_set_is_pointed_out(data):
    (data / "NWPU-RESISC45").mkdir()
    need = plan(recipe(data, ["resisc45"])).needs[0]
    assert need.next_step == "name it NWPU-RESISC45 in the recipe: that folder is there"


def test_a_data_folder_that_is_not_there_makes_everything_missing(tmp_path):
    planned = plan(recipe(tmp_path / "nowhere", ["aid", "fmow"]))
    assert [need.source for need in planned.needs] == [None, None]
    assert not plan(recipe(tmp_path / "nowhere")).is_ready


def test_a_source_that_the_rules_keep_out_is_named_in_vain_but_a_benchmark_is_not(data):
    needs = by_name(plan(recipe(data, ["dubai_seg", "loveda"], licences_allowed=["MIT"])))
    assert "CC0-1.0" in needs["dubai_seg"].problem
    assert needs["loveda"].problem is None


def test_nobody_is_told_to_fetch_what_the_recipe_keeps_out(tmp_path):
    need = plan(recipe(tmp_path, ["patternnet"], licences_allowed=["MIT"])).needs[0]
    assert "CC-BY-4.0" in need.problem
    assert "fetch" not in need.next_step


def test_what_may_not_be_passed_on_is_named_where_the_recipe_asks_for_it(data):
    (data / "mine/dataset.yaml").write_text("name: mine\nredistributable: false\n")
    needs = by_name(plan(recipe(data, ["mine", "dubai_seg"], redistributable_only=True)))
    assert "redistributable: no" in needs["mine"].problem
    assert needs["dubai_seg"].problem is None


def test_sources_that_share_pictures_with_a_benchmark_are_pointed_out(data):
    (data / "mine/dataset.yaml").write_text("name: mine\nshares_imagery_with: [loveda]\n")
    alone = plan(recipe(data, ["mine"])).needs[0]
    both = by_name(plan(recipe(data, ["mine", "loveda"])))["mine"]
    assert "name it too" in alone.notes[0]
    assert "held out here" in both.notes[0]


def test_sums_say_of_how_many_a_number_is_unknown(data):
    lines = tell(plan(recipe(data, ["mine", "packed"])))
    assert "images of sources   at least 7; of 1 it is unknown" in lines


def test_the_rules_on_cards_are_rules_of_the_exclude_stage():
    from rspipe.curate.exclude import RULES

    assert set(CARD_RULES) <= set(RULES)
