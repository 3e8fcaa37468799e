# SPDX-License-Identifier: Apache-2.0
import json

import pytest
from typer.testing import CliRunner

from rspipe.catalog import catalog
from rspipe.cli import app
from rspipe.errors import RecipeError


def run(*words):
    return CliRunner().invoke(app, ["catalog", *words])


def test_list_prints_every_card_and_json_is_the_cards():
    done = run("list")
    assert done.exit_code == 0
    assert all(f"\n{name} " in done.stdout for name in catalog())
    cards = json.loads(run("list", "--json").stdout)
    assert [card["name"] for card in cards] == list(catalog())


def test_show_takes_another_name_of_the_set_and_names_the_nearest_of_a_wrong_one():
    assert "CC-BY-NC-SA-4.0" in run("show", "LoveDA").stdout
    wrong = run("show", "lovda")
    assert isinstance(wrong.exception, RecipeError)
    with pytest.raises(RecipeError, match="loveda"):
        raise wrong.exception


def test_fetch_dry_run_tells_licence_and_addresses_and_writes_nothing(tmp_path):
    done = run("fetch", "loveda", "AID", "--to", str(tmp_path), "--dry-run")
    assert done.exit_code == 0
    assert "licence CC-BY-NC-SA-4.0" in done.stdout
    assert "zenodo.org" in done.stdout
    assert "by hand" in done.stdout
    assert not list(tmp_path.iterdir())


def test_fetch_of_what_a_person_must_bring_ends_with_1_and_says_where_it_goes(tmp_path):
    done = run("fetch", "aid", "--to", str(tmp_path))
    assert done.exit_code == 1
    assert str(tmp_path / "aid/AID.zip") in done.stdout


def test_plan_ends_with_1_and_the_next_command_until_everything_is_there(tmp_path):
    recipe = tmp_path / "curate.yaml"
    recipe.write_text(f"name: t\ndata: {tmp_path / 'data'}\nwhat: {{datasets: [dubai_seg]}}\n")
    missing = run("plan", str(recipe))
    assert missing.exit_code == 1
    assert "rspipe catalog fetch dubai_seg" in missing.stdout
    (tmp_path / "data/dubai_seg").mkdir(parents=True)
    ready = run("plan", str(recipe))
    assert ready.exit_code == 0
    assert "ready" in ready.stdout
