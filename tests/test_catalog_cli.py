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
